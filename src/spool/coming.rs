//! Webhooks that come and go while the spool is open.
//!
//! ```text
//! admit: what is accepted for it waits on disk -> begin: its lane has what the disk has, as at a start
//! leave: nothing is loaded for it any more -> its lane ends -> close: what is left is on disk
//! ```
//!
//! One that takes another's place under the same name is admitted before that one leaves, and begins after it is
//! closed: nothing is lost, nothing comes twice, and nothing overtakes what came before.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::oneshot;
use tracing::warn;

use super::account::{Account, Keeping};
use super::agenda::Agenda;
use super::flow::Flow;
use super::held::held_back;
use super::journal::Journal;
use super::keeper::Keeper;
use super::open::in_order;
use super::stock::Stock;
use super::store::{self, Key, PutOff, Seq};
use super::{AtStart, Inner, Queue, Spool, Webhook};
use crate::rule::WebhookIndex;

/// Why there is no place for a webhook. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// There are too many.
    #[error("find a place for it: there are too many webhooks")]
    TooMany,
    /// The spool has ended.
    #[error("find a place for it: the spool has ended")]
    Ended,
}

/// What is done after a commit, when all that was done before is on disk.
#[derive(Debug)]
pub(super) enum Request {
    Admit(
        Webhook,
        oneshot::Sender<Result<(WebhookIndex, Queue), AdmitError>>,
    ),
    Begin(WebhookIndex, Webhook, oneshot::Sender<Vec<PutOff<Key>>>),
    Close(WebhookIndex, oneshot::Sender<()>),
}

impl Spool {
    /// Makes a place for a webhook. If it is durable, as it also is if events wait for it on disk, what is accepted
    /// for it waits there until it [begins](Self::begin); otherwise it has begun.
    ///
    /// # Errors
    /// There are too many, or the spool has ended.
    ///
    /// # Cancel safety
    /// A place that nobody waits for any more is given up.
    pub async fn admit(&self, webhook: &Webhook) -> Result<(WebhookIndex, Queue), AdmitError> {
        let Some(journal) = &self.0.journal else {
            let keeping = if webhook.durable {
                Keeping::Held
            } else {
                Keeping::Loose
            };
            return self.place_account(webhook, keeping);
        };
        let (answer, answered) = oneshot::channel();
        journal.request(Request::Admit(webhook.clone(), answer));
        answered.await.unwrap_or(Err(AdmitError::Ended))
    }

    /// Has a webhook that was admitted begin with what the disk has of it, as at a start. Nobody else may have
    /// deliveries of that name.
    ///
    /// # Cancel safety
    /// It begins all the same; what its lane must be told of is lost.
    pub async fn begin(&self, webhook: WebhookIndex, config: &Webhook, queue: &mut Queue) {
        let is_durable = self.is_durable(webhook);
        let Some(journal) = self.0.journal.as_ref().filter(|_| is_durable) else {
            return;
        };
        let (answer, answered) = oneshot::channel();
        journal.request(Request::Begin(webhook, config.clone(), answer));
        // The spool has ended, and so does everything.
        queue.put_off = answered.await.unwrap_or_default();
    }

    /// Loads nothing more for a webhook, whose lane is to end. What is for it from now on is for the one of its name
    /// that was admitted to take its place, if one was.
    pub fn leave(&self, webhook: WebhookIndex) {
        let accounts = self.0.accounts.load();
        if let Some(account) = accounts.get(webhook) {
            account.set_leaving(accounts.heir(webhook));
            if let Some(journal) = &self.0.journal {
                journal.lock().stocks[webhook].is_idle = true;
            }
        }
    }

    /// Returns whether deliveries of a webhook are in memory.
    #[must_use]
    pub fn holds(&self, webhook: WebhookIndex) -> bool {
        let accounts = self.0.accounts.load();
        accounts.get(webhook).is_some_and(|it| it.holds_any())
    }

    /// Shows nothing more of what waits for a webhook of this name, which leaves.
    pub fn left(&self, webhook: &str) {
        self.0.metrics.left(webhook);
    }

    /// Shows nothing more of a webhook of this name, which has gone.
    pub fn forget(&self, webhook: &str) {
        self.0.metrics.forget(webhook);
    }

    /// Gives up the place of a webhook whose lane has ended, when all that it has not settled is on disk. What is
    /// accepted for it afterwards goes nowhere.
    ///
    /// # Cancel safety
    /// It is given up all the same.
    pub async fn close(&self, webhook: WebhookIndex) {
        let Some(journal) = &self.0.journal else {
            self.0.accounts.remove(webhook, Instant::now());
            self.0.wake_waiting();
            return;
        };
        let (answer, answered) = oneshot::channel();
        journal.request_close(&self.0, webhook, answer);
        // The spool has ended, and so does everything.
        let _ = answered.await;
    }

    /// Makes an account for a webhook, which has not begun if it is durable.
    fn place_account(
        &self,
        webhook: &Webhook,
        keeping: Keeping,
    ) -> Result<(WebhookIndex, Queue), AdmitError> {
        let metrics = self.0.metrics.of(&webhook.name);
        let (mut account, queue) = Account::new(keeping, 0, metrics);
        account.is_ordered = !matches!(webhook.put_off, AtStart::Leave);
        let is_durable = account.is_durable();
        account.set_spilled(is_durable);
        let mut agenda = self.0.journal.as_ref().map(Journal::lock);
        let added = self.0.accounts.add(account, Instant::now());
        let index = added.ok_or(AdmitError::TooMany)?;
        if let Some(agenda) = &mut agenda {
            // It is read from the beginning, even if there is nothing.
            let last = Seq(agenda.next_seq.0 - 1);
            let stock = Stock {
                is_idle: is_durable,
                takes_turns: !matches!(webhook.put_off, AtStart::Leave),
                last_spilled: is_durable.then_some(last),
                ..Stock::default()
            };
            agenda.make_place(index, stock);
        }
        Ok((index, queue))
    }
}

impl Queue {
    /// Drops what is in it and not durable, as nobody will take it.
    pub fn discard(mut self) {
        for queue in [&mut self.fresh, &mut self.due] {
            queue.close();
            while let Ok(delivery) = queue.try_recv() {
                if !delivery.is_durable() {
                    delivery.discard();
                }
            }
        }
    }
}

impl Journal {
    fn request(&self, request: Request) {
        let mut agenda = self.lock();
        agenda.batch.requests.push(request);
        self.notify(agenda);
    }

    fn request_close(&self, spool: &Inner, webhook: WebhookIndex, answer: oneshot::Sender<()>) {
        let mut agenda = self.lock();
        agenda.hand_over_of(spool, webhook);
        let request = Request::Close(webhook, answer);
        agenda.batch.requests.push(request);
        self.notify(agenda);
    }
}

impl Agenda {
    fn make_place(&mut self, webhook: WebhookIndex, stock: Stock) {
        let places = self.stocks.len().max(webhook + 1);
        self.stocks.resize_with(places, Stock::default);
        self.flows.resize_with(places, Flow::default);
        self.flows[webhook] = Flow::default();
        self.stocks[webhook] = stock;
    }
}

impl Keeper {
    /// Does what was requested before a commit. What cannot be done is tried again.
    pub(super) fn meet(
        &mut self,
        journal: &Journal,
        requests: Vec<Request>,
    ) -> Result<(), store::Error> {
        let mut result = Ok(());
        for request in requests {
            if result.is_err() {
                journal.request(request);
            } else if let Err(failed) = self.meet_one(journal, request) {
                let (request, error) = *failed;
                journal.request(request);
                result = Err(error);
            }
        }
        result
    }

    fn meet_one(
        &mut self,
        journal: &Journal,
        request: Request,
    ) -> Result<(), Box<(Request, store::Error)>> {
        match request {
            Request::Admit(webhook, answer) => {
                let admitted = match self.keeping(&webhook) {
                    Ok(keeping) => {
                        let spool = Spool(Arc::clone(&self.spool));
                        spool.place_account(&webhook, keeping)
                    }
                    Err(error) => return Err(Box::new((Request::Admit(webhook, answer), error))),
                };
                if let Err(Ok((index, _queue))) = answer.send(admitted) {
                    self.vacate(journal, index);
                }
            }
            Request::Begin(index, webhook, answer) => {
                match self.begin(journal, index, &webhook) {
                    // Who asked may have gone.
                    Ok(put_off) => drop(answer.send(put_off)),
                    Err(error) => {
                        return Err(Box::new((Request::Begin(index, webhook, answer), error)));
                    }
                }
            }
            Request::Close(index, answer) => {
                self.vacate(journal, index);
                let _ = answer.send(());
            }
        }
        Ok(())
    }

    /// Returns how a webhook's deliveries are kept: in the store also if there are some, or will be of the one whose
    /// place it takes.
    fn keeping(&mut self, webhook: &Webhook) -> Result<Keeping, store::Error> {
        if webhook.durable {
            return self.store.register(&webhook.name).map(Keeping::Durable);
        }
        let Some((key, waiting)) = self.store.waiting_of(&webhook.name)? else {
            return Ok(Keeping::Loose);
        };
        if waiting == 0 && self.spool.accounts.load().with_key(key).is_none() {
            return Ok(Keeping::Loose);
        }
        let webhook = webhook.name.as_str();
        warn!(
            webhook,
            waiting, "it is durable until mqhook starts anew, as events wait for it on disk"
        );
        Ok(Keeping::Durable(key))
    }

    fn vacate(&self, journal: &Journal, webhook: WebhookIndex) {
        let mut agenda = journal.lock();
        self.spool.accounts.remove(webhook, Instant::now());
        agenda.make_place(webhook, Stock::default());
        drop(agenda);
        self.spool.wake_waiting();
    }

    /// Has a webhook begin; returns what its lane must be told of.
    fn begin(
        &mut self,
        journal: &Journal,
        webhook: WebhookIndex,
        config: &Webhook,
    ) -> Result<Vec<PutOff<Key>>, store::Error> {
        let Some((account, key)) = self.durable(webhook) else {
            return Ok(Vec::new());
        };
        let mut put_off = in_order(&mut self.store, config, Some(key))?;
        let held = held_back(&self.store, config, (webhook, key))?;
        // What comes behind it need not wait until its client has stayed away for long.
        put_off.retain(|it| !held.iter().any(|held| held.seq == it.seq));
        let state = self.store.state(key)?;
        let last = self.store.last_fresh(key)?;
        let next_due = self.store.next_due(key, &HashSet::new())?;
        let known = &self.spool.held_back;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(held);
        drop(known);
        let mut agenda = journal.lock();
        let stock = &mut agenda.stocks[webhook];
        stock.last_spilled = stock.last_spilled.max(last);
        stock.next_due = next_due;
        stock.is_served = state.is_enabled();
        stock.is_idle = false;
        account.state.send_replace(state);
        drop(agenda);
        self.measure();
        Ok(put_off)
    }
}
