//! Which connections there are, and which has to go when there is one too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// The connections of a server.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    most: usize,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    seats: HashMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    /// Since when no request is under way that is there in whole; `None` while one is.
    idle_since: Option<Instant>,
    /// Tells the connection that its seat is taken away.
    taken_away: CancellationToken,
}

/// The right of a connection to be there; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    connections: Connections,
    taken_away: CancellationToken,
}

/// That a request is under way; the connection is idle when this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    number: u64,
    connections: Connections,
}

impl Connections {
    /// Returns a table without a connection, for at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            table: Arc::default(),
        }
    }

    /// Returns a seat, if need be that of the connection that has been idle for longest; `None` if none is.
    pub(super) fn take_seat(&self) -> Option<Seat> {
        let mut table = self.lock();
        if table.seats.len() >= self.most {
            let idle = |(number, place): (&u64, &Place)| Some((place.idle_since?, *number));
            let (_, longest) = table.seats.iter().filter_map(idle).min()?;
            if let Some(place) = table.seats.remove(&longest) {
                place.taken_away.cancel();
            }
        }
        table.last += 1;
        let (number, taken_away) = (table.last, CancellationToken::new());
        let place = Place {
            idle_since: Some(Instant::now()),
            taken_away: taken_away.clone(),
        };
        table.seats.insert(number, place);
        Some(Seat {
            number,
            connections: self.clone(),
            taken_away,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request is not there in whole.
    fn wait_for_more(&self, number: u64) {
        if let Some(place) = self.lock().seats.get_mut(&number) {
            // Who sends a little now and then is as slow as who sends nothing.
            place.idle_since.get_or_insert_with(Instant::now);
        }
    }

    fn set_idle_since(&self, number: u64, idle_since: Option<Instant>) {
        if let Some(place) = self.lock().seats.get_mut(&number) {
            place.idle_since = idle_since;
        }
    }
}

impl Seat {
    /// Notes that a request is under way, until the result is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.connections.set_idle_since(self.number, None);
        Busy {
            number: self.number,
            connections: self.connections.clone(),
        }
    }

    /// Notes that the body of the request under way is waited for, until [`Self::is_whole`].
    pub(super) fn waits_for_more(&self) {
        self.connections.wait_for_more(self.number);
    }

    /// Notes that the body of the request under way has come.
    pub(super) fn is_whole(&self) {
        self.connections.set_idle_since(self.number, None);
    }

    /// Waits until the seat is taken away.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn is_taken_away(&self) {
        self.taken_away.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().seats.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.connections
            .set_idle_since(self.number, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_goes_and_the_busy_stay() {
        let connections = Connections::new(3);
        let seats: Vec<Seat> = (0..3).filter_map(|_| connections.take_seat()).collect();
        let busy = seats[0].busy();
        let fourth = connections
            .take_seat()
            .expect("the second is idle for longest");
        let is_gone = |seat: &Seat| seat.taken_away.is_cancelled();
        assert_eq!(
            seats.iter().map(is_gone).collect::<Vec<_>>(),
            [false, true, false]
        );
        drop(busy);
        let _fifth = connections
            .take_seat()
            .expect("the third is idle for longest");
        assert_eq!(
            seats.iter().map(is_gone).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(!is_gone(&fourth));
    }

    #[test]
    fn who_is_slow_to_send_a_body_gives_way_until_it_is_there() {
        let connections = Connections::new(1);
        let slow = connections.take_seat().expect("it is the first");
        let _busy = slow.busy();
        slow.waits_for_more();
        slow.is_whole();
        assert!(connections.take_seat().is_none());
        slow.waits_for_more();
        assert!(connections.take_seat().is_some());
        assert!(slow.taken_away.is_cancelled());
    }

    #[test]
    fn where_all_are_busy_there_is_no_seat() {
        let connections = Connections::new(1);
        let seat = connections.take_seat().expect("it is the first");
        let busy = seat.busy();
        assert!(connections.take_seat().is_none());
        drop(busy);
        drop(seat);
        assert!(connections.take_seat().is_some());
    }
}
