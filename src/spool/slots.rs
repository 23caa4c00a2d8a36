//! The accounts of the webhooks that there are, by their index: they come and go while events are accepted.
//!
//! A webhook has its index for as long as it is there. One that has gone leaves its index free, but
//! whoever routes by older rules may still name it for a moment, so it is not given away before
//! [`QUARANTINE`] is over, and not at all while there are few. Meanwhile what is for it is for the one of its name
//! that has taken its place, if there is one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use super::account::{Account, Keeping};
use super::store::WebhookKey;
use crate::rule::WebhookIndex;

/// The most webhooks, those included whose index is not free yet.
const MOST: usize = 4_096;

/// Free indexes that are kept: the longer an index is free, the less it matters who remembers it.
const KEPT: usize = 256;

/// For how long an index is not given to another webhook.
const QUARANTINE: Duration = Duration::from_mins(1);

type Table = Vec<Slot>;

/// What is at an index.
#[derive(Debug, Clone, Default)]
enum Slot {
    #[default]
    Free,
    Taken(Arc<Account>),
    /// It is free, and what is for it is for another.
    Left(WebhookIndex),
}

impl Slot {
    fn account(&self) -> Option<&Arc<Account>> {
        match self {
            Self::Taken(account) => Some(account),
            Self::Free | Self::Left(_) => None,
        }
    }
}

/// The accounts of all webhooks.
#[derive(Debug)]
pub(super) struct Slots {
    table: ArcSwap<Table>,
    /// Indexes of webhooks that have gone, and since when; held by whoever changes the table.
    free: Mutex<VecDeque<(Instant, WebhookIndex)>>,
    /// The bytes of memory that all share.
    max_memory: usize,
}

/// The accounts as they are now.
pub(super) struct Accounts(Guard<Arc<Table>>);

impl Slots {
    /// Returns the slots of these accounts, in the order of their indexes.
    pub(super) fn new(accounts: Vec<Account>, max_memory: usize) -> Self {
        let table = accounts.into_iter().map(|it| Slot::Taken(Arc::new(it)));
        Self {
            table: ArcSwap::from_pointee(table.collect()),
            free: Mutex::default(),
            max_memory,
        }
    }

    /// Returns the accounts as they are now, without a lock.
    pub(super) fn load(&self) -> Accounts {
        Accounts(self.table.load())
    }

    /// Returns the account of a webhook, if it is there.
    pub(super) fn of(&self, webhook: WebhookIndex) -> Option<Arc<Account>> {
        self.load().get(webhook).cloned()
    }

    /// Adds an account; returns its index, none if there are too many.
    pub(super) fn add(&self, account: Account, now: Instant) -> Option<WebhookIndex> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        let is_crowded = free.len() >= KEPT || table.len() >= MOST;
        let oldest = free.pop_front_if(|(since, _)| is_crowded && now >= *since + QUARANTINE);
        let webhook = match oldest {
            Some((_, webhook)) => webhook,
            None if table.len() < MOST => table.len(),
            None => return None,
        };
        table.resize_with(table.len().max(webhook + 1), Slot::default);
        table[webhook] = Slot::Taken(Arc::new(account));
        self.share_out(&table);
        self.table.store(Arc::new(table));
        Some(webhook)
    }

    /// Removes an account.
    pub(super) fn remove(&self, webhook: WebhookIndex, now: Instant) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        let account = table.get(webhook).and_then(Slot::account);
        if let Some(heir) = account.map(|account| account.heir()) {
            table[webhook] = heir.map_or(Slot::Free, Slot::Left);
            free.push_back((now, webhook));
            self.share_out(&table);
            self.table.store(Arc::new(table));
        }
    }

    /// Gives each webhook an equal share of the memory.
    fn share_out(&self, table: &Table) {
        let count = table.iter().filter_map(Slot::account).count();
        for account in table.iter().filter_map(Slot::account) {
            account.set_max_bytes(self.max_memory / count.max(1));
        }
    }
}

impl Accounts {
    /// Returns the account of a webhook, if it is there.
    pub(super) fn get(&self, webhook: WebhookIndex) -> Option<&Arc<Account>> {
        self.0.get(webhook)?.account()
    }

    /// Returns for whom it is what is for a webhook: itself, or the one that takes its place.
    pub(super) fn taker(&self, mut webhook: WebhookIndex) -> Option<(WebhookIndex, &Arc<Account>)> {
        // It ends, as each has come later than the one before it.
        loop {
            webhook = match self.0.get(webhook)? {
                Slot::Free => return None,
                Slot::Left(heir) => *heir,
                Slot::Taken(account) => match account.heir() {
                    None => return Some((webhook, account)),
                    Some(heir) => heir,
                },
            }
        }
    }

    /// Returns who takes the place of a webhook that is about to leave: the one of its name that does not.
    pub(super) fn heir(&self, webhook: WebhookIndex) -> Option<WebhookIndex> {
        let name = self.get(webhook)?.metrics.webhook();
        let is_heir = |&(other, account): &(WebhookIndex, &Arc<Account>)| {
            other != webhook && account.metrics.webhook() == name && !account.is_leaving()
        };
        self.iter().find(is_heir).map(|(heir, _)| heir)
    }

    /// Returns the keys of these webhooks, as far as they are durable.
    pub(super) fn keys(&self, webhooks: &[WebhookIndex]) -> Vec<WebhookKey> {
        let key = |&webhook: &WebhookIndex| self.get(webhook)?.key();
        webhooks.iter().filter_map(key).collect()
    }

    /// Returns how many deliveries wait for those that are meant. One that takes another's place counts
    /// what waits for both.
    pub(super) fn waiting(&self, is_meant: impl Fn(&Account) -> bool) -> usize {
        let meant = self.iter().filter(|(_, account)| is_meant(account));
        let counted = meant.filter(|(_, account)| !account.is_leaving());
        counted
            .map(|(_, account)| account.metrics.waiting.get())
            .sum()
    }

    /// Returns the index of the account that has a key of the store.
    pub(super) fn with_key(&self, key: WebhookKey) -> Option<(WebhookIndex, &Arc<Account>)> {
        let keeping = Keeping::Durable(key);
        self.iter().find(|(_, account)| account.keeping == keeping)
    }

    /// Returns all that are there, with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (WebhookIndex, &Arc<Account>)> {
        let all = self.0.iter().enumerate();
        all.filter_map(|(webhook, slot)| Some((webhook, slot.account()?)))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::spool::MetricsFamily;

    fn account() -> Account {
        named("webhook")
    }

    fn named(name: &str) -> Account {
        let metrics = MetricsFamily::new(&mut Registry::default());
        Account::new(Keeping::Loose, 100, metrics.of(name)).0
    }

    fn add(slots: &Slots, now: Instant) -> Option<WebhookIndex> {
        slots.add(account(), now)
    }

    #[test]
    fn memory_is_shared_by_those_that_are_there() {
        let now = Instant::now();
        let slots = Slots::new(vec![account(), account()], 120);
        let share = |webhook| slots.of(webhook).map(|it| it.max_bytes());
        assert_eq!(add(&slots, now), Some(2));
        assert_eq!(share(0), Some(40));
        slots.remove(1, now);
        assert_eq!((share(0), share(1), share(2)), (Some(60), None, Some(60)));
        let indexes: Vec<_> = slots.load().iter().map(|(webhook, _)| webhook).collect();
        assert_eq!(indexes, [0, 2]);
    }

    #[test]
    fn an_index_is_not_given_away_before_everybody_has_forgotten_it() {
        let begin = Instant::now();
        let slots = Slots::new(Vec::new(), 1_000);
        for webhook in 0..KEPT {
            assert_eq!(add(&slots, begin), Some(webhook));
            slots.remove(webhook, begin);
        }
        assert_eq!(add(&slots, begin), Some(KEPT), "it is too early");
        let later = begin + QUARANTINE;
        assert_eq!(add(&slots, later), Some(0));
        assert_eq!(add(&slots, later), Some(KEPT + 1), "few are free");
        slots.remove(0, later);
        assert_eq!(add(&slots, later), Some(1), "the oldest comes first");
    }

    #[test]
    fn what_is_for_one_that_leaves_is_for_the_one_that_takes_its_place() {
        let now = Instant::now();
        let slots = Slots::new(vec![named("a"), named("b")], 1_000);
        let taker = |webhook| slots.load().taker(webhook).map(|(taker, _)| taker);
        let leave = |webhook| {
            let accounts = slots.load();
            let account = accounts.get(webhook).expect("it is there");
            account.set_leaving(accounts.heir(webhook));
        };
        for new in 2..4 {
            assert_eq!(slots.add(named("a"), now), Some(new));
            leave(if new == 2 { 0 } else { 2 });
            assert_eq!(
                (taker(0), taker(1), taker(new)),
                (Some(new), Some(1), Some(new))
            );
        }
        slots.remove(0, now);
        slots.remove(2, now);
        assert_eq!((taker(0), taker(2)), (Some(3), Some(3)));
        leave(3);
        assert_eq!(taker(0), Some(3), "it is there until it is removed");
        slots.remove(3, now);
        assert_eq!((taker(0), taker(1), taker(3)), (None, Some(1), None));
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let begin = Instant::now();
        let accounts = (0..MOST).map(|_| account()).collect();
        let slots = Slots::new(accounts, 1_000);
        assert_eq!(add(&slots, begin), None);
        slots.remove(7, begin);
        assert_eq!(add(&slots, begin), None, "it may still be named");
        assert_eq!(add(&slots, begin + QUARANTINE), Some(7));
    }
}
