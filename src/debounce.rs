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
//! One whose connection another of its own has taken over has not left. What is refused takes nothing back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytestring::ByteString;
use smallvec::SmallVec;

use crate::ack::Ticket;
use crate::event::{Detail, Happening, Kind, KindSet, Reason, Status, Timestamp};
use crate::rule::{Rules, WebhookIndex};
use crate::spool::store::Seq;
use crate::spool::{Later, Spool};

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
    /// When which of them is not to be waited for any more, in about this order.
    order: VecDeque<(Timestamp, Key)>,
}

type Key = (WebhookIndex, ByteString);

/// A client that has left.
#[derive(Debug)]
struct Away {
    /// Until when its return is not told.
    until: Timestamp,
    /// What is held back of it, and until when.
    held: SmallVec<[(Seq, Timestamp); 1]>,
}

/// Who is told of a happening, and when.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Those who are told now.
    pub now: SmallVec<[WebhookIndex; 4]>,
    /// Those who are told later, unless it is taken back.
    pub later: Later,
}

/// What a happening says of whether its client is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Leaves,
    /// Another connection of its own has taken over.
    Moves,
    Returns,
    /// It is refused, or remembered no more.
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
                Status::Refused | Status::Decommissioned => Self::Fails,
            },
            _ => return None,
        })
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
            order: VecDeque::new(),
        };
        for held in spool.held_back(|kind| kinds.contains(kind)) {
            let key = (held.webhook, held.client_id);
            debouncer.left(key, held.due, Some(held.seq));
        }
        Some(debouncer)
    }

    /// Decides which of these webhooks, which want a happening, are told of it now and which later. What its
    /// client's return takes back is taken back; the message that tells of it is acknowledged when that is
    /// on disk.
    pub fn split(
        &mut self,
        happening: &Happening,
        webhooks: &[WebhookIndex],
        (now, ticket): (Timestamp, &Ticket),
    ) -> Split {
        self.forget(now);
        let id = happening.client.id.as_ref();
        let (Some(turn), Some(id)) = (Turn::of(happening), id) else {
            return Split {
                now: webhooks.into(),
                later: Later::new(),
            };
        };
        match turn {
            Turn::Returns => self.returns(happening.kind, id, webhooks, (now, ticket)),
            Turn::Leaves | Turn::Moves => self.leaves(happening.kind, id, webhooks, (turn, now)),
            Turn::Fails => {
                for &webhook in &self.webhooks {
                    self.away.remove(&(webhook, id.clone()));
                }
                Split {
                    now: webhooks.into(),
                    later: Later::new(),
                }
            }
        }
    }

    /// Notes under which number what is told later can be taken back.
    pub fn held_back(&mut self, client_id: &ByteString, later: &Later, seq: Seq) {
        for &(webhook, due) in later {
            self.left((webhook, client_id.clone()), due, Some(seq));
        }
    }

    fn returns(
        &mut self,
        kind: Kind,
        id: &ByteString,
        webhooks: &[WebhookIndex],
        (now, ticket): (Timestamp, &Ticket),
    ) -> Split {
        let mut told: SmallVec<[WebhookIndex; 4]> = webhooks.into();
        for &webhook in &self.webhooks {
            let Some(away) = self.away.remove(&(webhook, id.clone())) else {
                continue;
            };
            // What is due is told, even if nobody has read it yet.
            let take_back = |&&held: &&(Seq, Timestamp)| {
                now < held.1 && self.spool.take_back(webhook, held, ticket.share())
            };
            let are_back = away.held.iter().filter(take_back).count();
            let is_soon = now < away.until && are_back == away.held.len();
            if is_soon && self.rules.debounce(webhook, kind).is_some() {
                told.retain(|told| *told != webhook);
            }
        }
        Split {
            now: told,
            later: Later::new(),
        }
    }

    fn leaves(
        &mut self,
        kind: Kind,
        id: &ByteString,
        webhooks: &[WebhookIndex],
        (turn, now): (Turn, Timestamp),
    ) -> Split {
        let mut split = Split {
            now: webhooks.into(),
            later: Later::new(),
        };
        let of_return = match kind {
            Kind::ClientDisconnected => Kind::ClientConnected,
            other => other,
        };
        for webhook in self.webhooks.clone() {
            let key = (webhook, id.clone());
            let is_wanted = webhooks.contains(&webhook);
            match self.rules.debounce(webhook, kind) {
                Some(debounce) if is_wanted && self.may_hold(&key) => {
                    split.now.retain(|told| *told != webhook);
                    let due = now.after(debounce);
                    if turn == Turn::Leaves {
                        split.later.push((webhook, due));
                    } else {
                        self.left(key, due, None);
                    }
                }
                _ => {
                    // Who wants only the returns has nothing held back.
                    let debounce = self.rules.debounce(webhook, of_return);
                    if let Some(debounce) = debounce.filter(|_| !is_wanted) {
                        self.left(key, now.after(debounce), None);
                    }
                }
            }
        }
        split
    }

    /// Returns whether what a client tells by leaving can be held back.
    fn may_hold(&self, key: &Key) -> bool {
        let held = self.away.get(key).map_or(0, |away| away.held.len());
        self.spool.is_durable(key.0) && held < MOST_EACH && self.order.len() < MOST
    }

    fn left(&mut self, key: Key, until: Timestamp, held: Option<Seq>) {
        if self.order.len() >= MOST {
            return;
        }
        self.order.push_back((until, key.clone()));
        let away = self.away.entry(key).or_insert(Away {
            until,
            held: SmallVec::new(),
        });
        away.until = away.until.max(until);
        away.held.extend(held.map(|seq| (seq, until)));
    }

    /// Forgets who is not waited for any more.
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, _)) = self.order.front()
            && *until <= now
            && let Some((_, key)) = self.order.pop_front()
        {
            let is_over = self.away.get(&key).is_some_and(|away| away.until <= now);
            if is_over {
                self.away.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
