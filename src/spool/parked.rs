//! What a lane asks of the store when its deliveries must come in order.

use super::Inner;
use super::delivery::Delivery;
use super::journal::Journal;
use super::keeper::Keeper;
use super::store::{self, Due, Key, Seq, Window};
use crate::event::Timestamp;
use crate::rule::WebhookIndex;

/// A question, which is answered when all that was done before it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// About deliveries of this key.
    pub key: Key,
    /// What is asked.
    pub what: What,
}

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The deliveries that are parked under the key.
    Parked {
        /// Behind this number.
        after: Seq,
        /// The most of them.
        limit: usize,
    },
    /// Whether a delivery that was put off is there.
    PutOff {
        /// Its number.
        seq: Seq,
        /// Until when it was put off.
        due: Timestamp,
    },
}

/// What the store has.
#[derive(Debug)]
pub struct Answer<T = Delivery> {
    /// What was asked.
    pub question: Question,
    /// What was found.
    pub found: Found<T>,
}

/// What was found.
#[derive(Debug)]
pub enum Found<T> {
    /// Parked deliveries in order, and whether there may be more behind them.
    Parked(Vec<T>, HasMore),
    /// Whether the delivery is there.
    PutOff(bool),
}

/// Whether there may be more on disk.
pub type HasMore = bool;

impl Inner {
    /// Asks the store; the answer comes by the webhook's queue.
    pub(super) fn ask(&self, webhook: WebhookIndex, question: Question) {
        if let Some(journal) = &self.journal {
            journal.ask(webhook, question);
        }
    }
}

impl Keeper {
    /// Answers what was asked before a commit. What cannot be answered is asked again.
    pub(super) fn answer(
        &mut self,
        journal: &Journal,
        questions: Vec<(WebhookIndex, Question)>,
    ) -> Result<(), store::Error> {
        let mut result = Ok(());
        for (webhook, question) in questions {
            let answered = self.answer_one(journal, webhook, question);
            if let Err(error) = answered {
                journal.ask(webhook, question);
                result = Err(error);
            }
        }
        result
    }

    fn answer_one(
        &mut self,
        journal: &Journal,
        webhook: WebhookIndex,
        question: Question,
    ) -> Result<(), store::Error> {
        let Some((account, key)) = self.durable(webhook) else {
            return Ok(());
        };
        let found = match question.what {
            What::PutOff { seq, due } => Found::PutOff(self.store.has(key, seq, Due::At(due))?),
            What::Parked { after, limit } => {
                let window = Window {
                    deliveries: limit,
                    bytes: account.free_bytes(),
                };
                match self.store.parked(key, question.key, after, window) {
                    Ok(loaded) => {
                        let has_more = !loaded.is_empty();
                        let load = |loaded| self.load((webhook, &account), loaded);
                        Found::Parked(loaded.into_iter().map(load).collect(), has_more)
                    }
                    Err(error) => {
                        self.pass_over(journal, key, error)?;
                        Found::Parked(Vec::new(), true)
                    }
                }
            }
        };
        account.answer(Answer { question, found });
        Ok(())
    }
}
