//! Opening the spool, and its thread.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::account::{Account, Keeping};
use super::disk::Disk;
use super::held::held_back;
use super::journal::Journal;
use super::keeper::Keeper;
use super::slots::Slots;
use super::stock::Stock;
use super::store::{self, Backlog, Change, Key, PutOff, Seq, Store, WebhookKey};
use super::{AtStart, Backend, Config, Inner, MetricsFamily, Queue, Spool, Webhook};
use crate::tap::Tap;

/// Why the spool cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store was opened and cannot be used.
    #[error("see what waits in the spool")]
    Read(#[from] store::Error),
    /// There is no thread to be had.
    #[error("start the spool's thread")]
    Thread(#[source] io::Error),
}

/// The spool's thread. It ends by [`close`](Self::close), or when this is dropped.
#[derive(Debug)]
pub struct Thread {
    spool: Spool,
    thread: Option<JoinHandle<()>>,
}

/// The most deliveries that a lane is told of; more than a lane that is told of them puts off itself.
pub(super) const PUT_OFF: usize = 65_536;

/// What may wait to be written takes this part of the memory for events, on top of it, and at most this part of what
/// the database may take.
const PENDING_SHARE: u8 = 8;

impl Spool {
    /// Opens the spool for these webhooks, in the order of their indexes, and starts its thread.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub fn open(
        config: &Config,
        webhooks: &[Webhook],
        metrics: MetricsFamily,
    ) -> Result<(Self, Thread, Vec<Queue>), OpenError> {
        let mut store = match &config.backend {
            Backend::Memory => None,
            Backend::Sqlite { dir } => Some(open_store(dir)?),
        };
        if store.is_some() {
            metrics.bound(config.max_bytes);
        }
        let keys = match &mut store {
            None => vec![None; webhooks.len()],
            Some(store) => {
                begin_watch(store)?;
                register(store, webhooks)?
            }
        };
        let share = config.max_memory_bytes / webhooks.len().max(1);
        let open = webhooks.iter().zip(&keys).map(|(webhook, key)| {
            let keeping = match (key, &config.backend) {
                (Some(key), _) => Keeping::Durable(*key),
                (None, Backend::Memory) if webhook.durable => Keeping::Held,
                (None, _) => Keeping::Loose,
            };
            let (mut account, queue) = Account::new(keeping, share, metrics.of(&webhook.name));
            account.is_ordered = !matches!(webhook.put_off, AtStart::Leave);
            (account, queue)
        });
        let (accounts, mut queues): (Vec<_>, Vec<_>) = open.unzip();
        if let Some(store) = &mut store {
            for ((webhook, key), queue) in webhooks.iter().zip(&keys).zip(&mut queues) {
                queue.put_off = in_order(store, webhook, *key)?;
            }
        }
        let mut held = Vec::new();
        for (index, (webhook, key)) in webhooks.iter().zip(&keys).enumerate() {
            if let (Some(store), Some(key)) = (&store, key) {
                held.extend(held_back(store, webhook, (index, *key))?);
            }
        }
        let is_held: HashSet<_> = held.iter().map(|it| (it.webhook, it.seq)).collect();
        for (webhook, queue) in queues.iter_mut().enumerate() {
            // What comes behind it need not wait until its client has stayed away for long.
            let is_other = |it: &PutOff<Key>| !is_held.contains(&(webhook, it.seq));
            queue.put_off.retain(is_other);
        }
        let journal = store
            .as_ref()
            .map(|store| journal(store, webhooks, &keys, &accounts));
        let spool = Self(Arc::new(Inner {
            accounts: Slots::new(accounts, config.max_memory_bytes),
            journal: journal.transpose()?,
            disk: Disk::new(config.max_bytes, max_pending(config, store.as_ref())),
            accepted: AtomicU64::new(1),
            on_full: config.on_full,
            elide: config.elide,
            metrics,
            changed: Notify::new(),
            foreign: Notify::new(),
            held_back: Mutex::new(held),
            tap: Tap::default(),
        }));
        let thread = Thread::start(&spool, store, config)?;
        Ok((spool, thread, queues))
    }
}

/// Returns the most bytes of events that may wait to be written: they are written at once, and must not fill a
/// small disk before that is noticed.
fn max_pending(config: &Config, store: Option<&Store>) -> usize {
    let of_memory = config.max_memory_bytes / usize::from(PENDING_SHARE);
    let of_disk = config.max_bytes / u64::from(PENDING_SHARE);
    let space = store.and_then(|store| store.space().ok());
    let of_space = space.map_or(u64::MAX, |space| space.reserve / 2);
    of_memory.min(usize::try_from(of_disk.min(of_space)).unwrap_or(usize::MAX))
}

impl Thread {
    fn start(spool: &Spool, store: Option<Store>, config: &Config) -> Result<Self, OpenError> {
        let thread = store.map(|store| {
            let keeper = Keeper::new(store, Arc::clone(&spool.0), config.clone());
            std::thread::Builder::new()
                .name("spool".to_owned())
                .spawn(move || keeper.run())
        });
        Ok(Self {
            spool: spool.clone(),
            thread: thread.transpose().map_err(OpenError::Thread)?,
        })
    }

    /// Commits what is left, as far as the disk takes it, and ends the thread. Blocks for as long as
    /// that takes.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let (Some(journal), Some(thread)) = (&self.spool.0.journal, self.thread.take()) else {
            return;
        };
        journal.close();
        if thread.join().is_err() {
            warn!("the spool's thread has panicked");
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end();
    }
}

fn open_store(dir: &Path) -> Result<Store, store::OpenError> {
    let opened = Store::open(dir)?;
    if let Some(path) = opened.set_aside {
        let path = path.display();
        warn!(%path, "the spool's database was damaged; it was set aside and a new one is begun");
    }
    Ok(opened.store)
}

/// Has what an earlier run knew of devices be known no more, whether they are remembered in this one or not.
fn begin_watch(store: &mut Store) -> Result<(), store::Error> {
    let counts = store.device_counts()?;
    if counts.devices == 0 {
        return Ok(());
    }
    store.commit(&[Change::Watch(counts.watch + 1)])
}

/// Returns the keys of the webhooks that are durable, and of those that were and for which events wait: such one
/// stays durable in this run.
fn register(
    store: &mut Store,
    webhooks: &[Webhook],
) -> Result<Vec<Option<WebhookKey>>, store::Error> {
    let backlog = store.backlog()?;
    let waiting = |webhook: &Webhook| {
        let backlog = backlog.iter().find(|it| it.name == webhook.name);
        backlog.map_or(0, Backlog::waiting)
    };
    let mut key = |webhook: &Webhook| {
        let waiting = waiting(webhook);
        if !webhook.durable && waiting > 0 {
            let webhook = webhook.name.as_str();
            warn!(
                webhook,
                waiting, "it stays durable in this run, as events of an earlier one wait on disk"
            );
        }
        let is_kept = webhook.durable || waiting > 0;
        let key = is_kept.then(|| store.register(&webhook.name));
        key.transpose()
    };
    webhooks.iter().map(&mut key).collect()
}

/// Makes what an earlier run has parked fresh again, and what it has put off, if that has to be or is too
/// much to tell of; returns that otherwise, if it is to be told of.
pub(super) fn in_order(
    store: &mut Store,
    webhook: &Webhook,
    key: Option<WebhookKey>,
) -> Result<Vec<PutOff<Key>>, store::Error> {
    let Some(key) = key else {
        return Ok(Vec::new());
    };
    store.unpark(key)?;
    if let AtStart::Tell(key_of) = webhook.put_off
        && let Some(put_off) = store.put_off(key, PUT_OFF, key_of)?
    {
        return Ok(put_off);
    }
    if !matches!(webhook.put_off, AtStart::Leave) {
        store.refresh(key)?;
    }
    Ok(Vec::new())
}

/// Returns the journal of a store as it was left by an earlier run.
fn journal(
    store: &Store,
    webhooks: &[Webhook],
    keys: &[Option<WebhookKey>],
    accounts: &[Account],
) -> Result<Journal, store::Error> {
    let backlog = store.backlog()?;
    say_what_nobody_takes(&backlog, keys);
    let mut stocks = Vec::new();
    for ((webhook, key), account) in webhooks.iter().zip(keys).zip(accounts) {
        let mut stock = match *key {
            None => Stock::default(),
            Some(key) => stock(store, key, account, &backlog)?,
        };
        stock.takes_turns = !matches!(webhook.put_off, AtStart::Leave);
        stocks.push(stock);
    }
    let next = store.last_seq()?.map_or(1, |seq| seq.0 + 1);
    Ok(Journal::new(Seq(next), stocks))
}

fn stock(
    store: &Store,
    key: WebhookKey,
    account: &Account,
    backlog: &[Backlog],
) -> Result<Stock, store::Error> {
    let mut stock = Stock::default();
    let state = store.state(key)?;
    stock.is_served = state.is_enabled();
    stock.last_spilled = store.last_fresh(key)?;
    stock.next_due = store.next_due(key, &stock.retries)?;
    account.set_spilled(stock.last_spilled.is_some());
    account.state.send_replace(state);
    if let Some(backlog) = backlog.iter().find(|backlog| backlog.webhook == key) {
        let waiting = backlog.waiting();
        account.metrics.waiting.set_on_disk(waiting);
        if waiting > 0 {
            let webhook = backlog.name.as_str();
            info!(webhook, waiting, "events of an earlier run are delivered");
        }
    }
    Ok(stock)
}

fn say_what_nobody_takes(backlog: &[Backlog], keys: &[Option<WebhookKey>]) {
    for backlog in backlog {
        let (webhook, waiting) = (backlog.name.as_str(), backlog.waiting());
        if waiting > 0 && !keys.contains(&Some(backlog.webhook)) {
            warn!(
                webhook,
                waiting, "events of an earlier run wait for a webhook that is not configured"
            );
        }
    }
}
