//! Debounce: a client that leaves and is soon back makes no event.
//!
//! That a client has left is held back, on disk, for as long as the rule says. If the client is back by then it is
//! taken back, and the webhook is not told of the return either. Otherwise it is told, with its own time.
//!
//! | kind | leaves | returns |
//! |---|---|---|
//! | `on_client_disconnected`, `on_client_connected` | the first | the second |
//! | `on_device_status_changed` | to `disconnected` | to `connected` |
//!
//! One whose connection another of its own has taken over has not left. Who is told of anything since the client left, such
//! as that it was refused, or that it left again where that cannot be held back, is not told later that it had left, but of its
//! return: what is held back is taken back then as well.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytestring::ByteString;
use smallvec::SmallVec;

use crate::event::{Detail, Happening, Kind, KindSet, Reason, Status, Timestamp};
use crate::rule::{Rules, WebhookIndex};
use crate::spool::store::Seq;
use crate::spool::{Back, Later, Spool};

/// The most clients that may be away at a time, of all webhooks together. Of those beyond it is told at once.
const MOST: usize = 65_536;

/// The most times that a client may leave without being heard to return.
const MOST_EACH: usize = 4;

/// What both kinds of connections are about.
pub const CLIENTS: KindSet = KindSet::of(&[Kind::ClientConnected, Kind::ClientDisconnected]);

/// What is about devices.
pub const DEVICES: KindSet = KindSet::of(&[Kind::DeviceStatusChanged]);

/// Knows which clients have just left, by webhook.
#[derive(Debug)]
pub struct Debouncer {
    rules: Arc<Rules>,
    spool: Spool,
    /// Those with a rule that debounces.
    webhooks: Vec<WebhookIndex>,
    away: HashMap<Key, Away>,
    /// When which of them is not to be waited for any more: one entry for each.
    order: BTreeSet<(Timestamp, Key)>,
}

type Key = (WebhookIndex, ByteString);

/// A client that has left.
#[derive(Debug)]
struct Away {
    /// Until when its return is not told.
    until: Timestamp,
    /// What is held back of it, and until when.
    held: SmallVec<[(Seq, Timestamp); 1]>,
    /// Whether something of it was told meanwhile, so that its return must be.
    is_told: bool,
}

/// Who is told of a happening, and when.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Those who are told now.
    pub now: SmallVec<[WebhookIndex; 4]>,
    /// Those who are told later, unless it is taken back.
    pub later: Later,
    /// What was held back and is to be taken back, with what else follows from the happening.
    pub back: Back,
}

/// What a happening says of whether its client is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Leaves,
    /// Another connection of its own has taken over.
    Moves,
    Returns,
    /// It is refused.
    Fails,
}

impl Turn {
    fn of(happening: &Happening) -> Option<Self> {
        Some(match (happening.kind, &happening.detail) {
            (Kind::ClientConnected, _) => Self::Returns,
            (Kind::ClientDisconnected, Detail::End(end)) => match end.reason {
                Reason::TakenOver => Self::Moves,
                _ => Self::Leaves,
            },
            (Kind::DeviceStatusChanged, Detail::Device(device)) => match device.status {
                Status::Connected => Self::Returns,
                Status::Disconnected => Self::Leaves,
                Status::Refused => Self::Fails,
                Status::Decommissioned => return None,
            },
            _ => return None,
        })
    }
}

impl Split {
    /// Returns that all of these are told now.
    fn at_once(webhooks: &[WebhookIndex]) -> Self {
        Self {
            now: webhooks.into(),
            ..Self::default()
        }
    }
}

impl Debouncer {
    /// Returns the debouncer of some kinds, [`CLIENTS`] or [`DEVICES`], with what an earlier run has held back; `None` if no
    /// rule needs one.
    #[must_use]
    pub fn new(rules: &Arc<Rules>, spool: &Spool, kinds: KindSet) -> Option<Self> {
        let webhooks = rules.debounced(kinds);
        if webhooks.is_empty() {
            return None;
        }
        let mut debouncer = Self {
            rules: Arc::clone(rules),
            spool: spool.clone(),
            webhooks,
            away: HashMap::new(),
            order: BTreeSet::new(),
        };
        for held in spool.held_back(|kind| kinds.contains(kind)) {
            let key = (held.webhook, held.client_id);
            debouncer.wait_for(&key, held.due);
            debouncer.hold(&key, held.seq, held.due);
        }
        Some(debouncer)
    }

    /// Decides which of these webhooks, which want a happening, are told of it now and which later, and claims what is
    /// to be taken back.
    pub fn split(
        &mut self,
        happening: &Happening,
        webhooks: &[WebhookIndex],
        now: Timestamp,
    ) -> Split {
        self.forget(now);
        let id = happening.client.id.as_ref();
        let (Some(turn), Some(id)) = (Turn::of(happening), id) else {
            return Split::at_once(webhooks);
        };
        match turn {
            Turn::Returns => self.returns(happening, id, webhooks, now),
            Turn::Leaves | Turn::Moves => self.leaves(happening.kind, id, webhooks, (turn, now)),
            Turn::Fails => {
                let mut split = Split::at_once(webhooks);
                for &webhook in webhooks {
                    self.tell(&(webhook, id.clone()), now, &mut split.back);
                }
                split
            }
        }
    }

    /// Notes under which number what is told later can be taken back.
    pub fn held_back(&mut self, client_id: &ByteString, later: &Later, seq: Seq) {
        for &(webhook, due) in later {
            self.hold(&(webhook, client_id.clone()), seq, due);
        }
    }

    fn returns(
        &mut self,
        happening: &Happening,
        id: &ByteString,
        webhooks: &[WebhookIndex],
        now: Timestamp,
    ) -> Split {
        // An earlier run may have told that.
        let was_refused = match &happening.detail {
            Detail::Device(device) => device.previous == Some(Status::Refused),
            _ => false,
        };
        let mut split = Split::at_once(webhooks);
        for &webhook in &self.webhooks {
            let key = (webhook, id.clone());
            let Some(away) = self.away.remove(&key) else {
                continue;
            };
            self.order.remove(&(away.until, key));
            let are_back = claim(&self.spool, webhook, &away.held, now, &mut split.back);
            let is_soon = now < away.until && are_back;
            let is_told = away.is_told || was_refused;
            if is_soon && !is_told && self.rules.debounce(webhook, happening.kind).is_some() {
                split.now.retain(|told| *told != webhook);
            }
        }
        split
    }

    fn leaves(
        &mut self,
        kind: Kind,
        id: &ByteString,
        webhooks: &[WebhookIndex],
        (turn, now): (Turn, Timestamp),
    ) -> Split {
        let mut split = Split::at_once(webhooks);
        let of_return = match kind {
            Kind::ClientDisconnected => Kind::ClientConnected,
            other => other,
        };
        for webhook in self.webhooks.clone() {
            let key = (webhook, id.clone());
            let is_wanted = webhooks.contains(&webhook);
            if !is_wanted {
                // Who wants only the returns has nothing held back.
                if let Some(debounce) = self.rules.debounce(webhook, of_return) {
                    self.wait_for(&key, now.after(debounce));
                }
                continue;
            }
            match self.rules.debounce(webhook, kind) {
                Some(debounce) if self.may_hold(&key) => {
                    let due = now.after(debounce);
                    self.wait_for(&key, due);
                    split.now.retain(|told| *told != webhook);
                    if turn == Turn::Leaves {
                        split.later.push((webhook, due));
                    }
                }
                _ => self.tell(&key, now, &mut split.back),
            }
        }
        split
    }

    /// Returns whether what a client tells by leaving can be held back.
    fn may_hold(&self, key: &Key) -> bool {
        let away = self.away.get(key);
        let has_place = away.is_some() || self.away.len() < MOST;
        let held = away.map_or(0, |away| away.held.len());
        has_place && held < MOST_EACH && self.spool.can_hold_back(key.0)
    }

    /// Notes that a client is away, if there are not too many, and until when its return is not told.
    fn wait_for(&mut self, key: &Key, until: Timestamp) {
        let known = self.away.get(key).map(|away| away.until);
        if known.is_none() && self.away.len() >= MOST || known >= Some(until) {
            return;
        }
        if let Some(before) = known {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((until, key.clone()));
        let away = self.away.entry(key.clone()).or_insert(Away {
            until,
            held: SmallVec::new(),
            is_told: false,
        });
        away.until = until;
    }

    /// Notes what is held back of a client that is away.
    fn hold(&mut self, key: &Key, seq: Seq, due: Timestamp) {
        if let Some(away) = self.away.get_mut(key) {
            away.held.push((seq, due));
        }
    }

    /// Notes that something of a client is told, if it is away: what would be told later is older than that. Nothing of it
    /// is left for the next run, which so tells of the return as well.
    fn tell(&mut self, key: &Key, now: Timestamp, back: &mut Back) {
        if let Some(away) = self.away.get_mut(key) {
            away.is_told = true;
            let held = std::mem::take(&mut away.held);
            claim(&self.spool, key.0, &held, now, back);
        }
    }

    /// Forgets who is not waited for any more.
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, _)) = self.order.first()
            && *until <= now
            && let Some((_, key)) = self.order.pop_first()
        {
            self.away.remove(&key);
        }
    }
}

/// Claims back what is held back for a webhook; returns whether that is all. What is due is told, even if nobody has read
/// it yet.
fn claim(
    spool: &Spool,
    webhook: WebhookIndex,
    held: &[(Seq, Timestamp)],
    now: Timestamp,
    back: &mut Back,
) -> bool {
    let is_ours = |&&(seq, due): &&(Seq, Timestamp)| now < due && spool.claim_back(webhook, seq);
    let before = back.len();
    back.extend(
        held.iter()
            .filter(is_ours)
            .map(|&(seq, due)| (webhook, seq, due)),
    );
    back.len() - before == held.len()
}

#[cfg(test)]
mod tests;
