//! The deliveries of one key.

use std::collections::VecDeque;

use super::Gate;
use crate::spool::store::Seq;

/// The deliveries of one key.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) head: Head,
    pub(super) waiting: VecDeque<(Seq, T)>,
    pub(super) parked: Parked,
    /// The highest number that was attempted since the line was held; all behind it that is not in memory is
    /// parked.
    pub(super) begun: Seq,
}

/// What stands before all others of the key.
#[derive(Debug)]
pub(super) enum Head {
    None,
    /// So many of one request, and the first of them that has failed.
    UnderWay {
        first: Seq,
        left: usize,
        failed: Option<(Seq, Gate)>,
    },
    PutOff {
        seq: Seq,
        gate: Gate,
        number: u64,
    },
}

/// What of a line is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parked {
    Nothing,
    /// Something, perhaps.
    Some,
    /// It is wanted.
    Wanted,
    /// It is asked for.
    Asked,
    /// It was asked for before more was parked.
    AskedBefore,
}

impl<T> Line<T> {
    pub(super) const fn new(head: Head, begun: Seq) -> Self {
        Self {
            head,
            waiting: VecDeque::new(),
            parked: Parked::Nothing,
            begun,
        }
    }

    pub(super) fn begin(&mut self, seq: Seq) {
        self.head = Head::one(seq);
        self.begun = self.begun.max(seq);
    }

    /// Notes that something more is parked.
    pub(super) fn has_parked(&mut self) {
        self.parked = match self.parked {
            Parked::Nothing | Parked::Some => Parked::Some,
            Parked::Wanted => Parked::Wanted,
            Parked::Asked | Parked::AskedBefore => Parked::AskedBefore,
        };
    }
}

impl Head {
    /// Returns one that has just begun.
    pub(super) const fn one(seq: Seq) -> Self {
        Self::UnderWay {
            first: seq,
            left: 1,
            failed: None,
        }
    }
}
