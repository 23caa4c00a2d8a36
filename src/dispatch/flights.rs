//! Attempts under way, in places that are used again, so that an attempt costs no allocation here.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::Stream;
use futures_util::task::AtomicWaker;

/// A future that is under way.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Futures under way, each with what belongs to it. As a stream it yields those that have ended, and
/// ends when there is none.
pub(super) struct Flights<Luggage, T> {
    places: Vec<Place<Luggage, T>>,
    /// Those of the places that are free.
    free: Vec<usize>,
    signals: Arc<Signals>,
}

struct Place<Luggage, T> {
    flight: Option<(Boxed<T>, Luggage)>,
    waker: Waker,
    beacon: Arc<Beacon>,
}

/// What futures tell when they can go on.
#[derive(Debug, Default)]
struct Signals {
    /// The places to look at, each once.
    queue: Mutex<VecDeque<usize>>,
    /// Who looks at them.
    watcher: AtomicWaker,
}

/// Wakes one place.
#[derive(Debug)]
struct Beacon {
    place: usize,
    is_queued: AtomicBool,
    signals: Arc<Signals>,
}

impl Signals {
    fn queue(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beacon {
    fn queue(&self) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.signals.queue().push_back(self.place);
        }
    }
}

impl Wake for Beacon {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
        self.signals.watcher.wake();
    }
}

impl<Luggage, T> Flights<Luggage, T> {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            signals: Arc::default(),
        }
    }

    /// Returns how many are under way.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has a future go on with the others; it is first polled with the stream.
    pub(super) fn begin(&mut self, future: Boxed<T>, luggage: Luggage) {
        let place = self.free.pop().unwrap_or_else(|| self.add_place());
        let place = &mut self.places[place];
        place.flight = Some((future, luggage));
        place.beacon.queue();
    }

    fn add_place(&mut self) -> usize {
        let place = self.places.len();
        let beacon = Arc::new(Beacon {
            place,
            is_queued: AtomicBool::new(false),
            signals: Arc::clone(&self.signals),
        });
        self.places.push(Place {
            flight: None,
            waker: Waker::from(Arc::clone(&beacon)),
            beacon,
        });
        place
    }

    /// Polls what is in a place; one that is empty was woken after its end.
    fn poll_place(&mut self, place: usize) -> Poll<(Luggage, T)> {
        let Place {
            flight,
            waker,
            beacon,
        } = &mut self.places[place];
        beacon.is_queued.store(false, Ordering::Release);
        let Some((future, _)) = flight else {
            return Poll::Pending;
        };
        let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) else {
            return Poll::Pending;
        };
        let Some((_, luggage)) = flight.take() else {
            return Poll::Pending;
        };
        self.free.push(place);
        Poll::Ready((luggage, output))
    }

    /// Goes on with those that can, in turn, until one has ended; each once at most within a round.
    fn go_on(&mut self, round: &mut usize) -> Option<(Luggage, T)> {
        while *round > 0 {
            *round -= 1;
            let place = self.signals.queue().pop_front()?;
            if let Poll::Ready(ended) = self.poll_place(place) {
                return Some(ended);
            }
        }
        None
    }

    /// Returns those that have ended by now.
    pub(super) fn ended(&mut self) -> impl Iterator<Item = (Luggage, T)> {
        let mut round = self.signals.queue().len();
        std::iter::from_fn(move || self.go_on(&mut round))
    }
}

impl<Luggage: Unpin, T> Stream for Flights<Luggage, T> {
    type Item = (Luggage, T);

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_empty() {
            return Poll::Ready(None);
        }
        this.signals.watcher.register(context.waker());
        // One round: what wakes itself all the time does not keep others from their turn.
        let mut round = this.signals.queue().len();
        if let Some(ended) = this.go_on(&mut round) {
            return Poll::Ready(Some(ended));
        }
        if !this.signals.queue().is_empty() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn each_comes_out_with_its_own_as_it_ends_and_places_are_used_again() {
        let mut flights = Flights::new();
        for round in 0..3 {
            let (end_first, first) = oneshot::channel::<u32>();
            let (end_second, second) = oneshot::channel::<u32>();
            flights.begin(Box::pin(first), "first");
            flights.begin(Box::pin(second), "second");
            assert_eq!(flights.next().now_or_never(), None, "none has ended");
            end_second.send(round).expect("it is awaited");
            assert_eq!(flights.next().await, Some(("second", Ok(round))));
            end_first.send(round + 10).expect("it is awaited");
            assert_eq!(flights.next().await, Some(("first", Ok(round + 10))));
            assert_eq!(flights.next().await, None);
        }
        assert_eq!(flights.places.len(), 2);
    }

    #[tokio::test]
    async fn those_that_have_ended_together_come_out_together_and_the_rest_later() {
        let mut flights = Flights::new();
        let (ends, waits): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel::<u32>()).unzip();
        for (number, wait) in waits.into_iter().enumerate() {
            flights.begin(Box::pin(wait), number);
        }
        assert_eq!(flights.ended().count(), 0, "none has ended");
        let mut ends = ends.into_iter();
        for end in ends.by_ref().take(3) {
            end.send(7).expect("it is awaited");
        }
        assert_eq!(flights.next().await, Some((0, Ok(7))));
        let rest: Vec<_> = flights.ended().collect();
        assert_eq!(rest, [(1, Ok(7)), (2, Ok(7))]);
        ends.next()
            .expect("one is left")
            .send(8)
            .expect("it is awaited");
        assert_eq!(flights.next().await, Some((3, Ok(8))));
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_wake_after_the_end_does_not_touch_who_has_the_place_next() {
        let mut flights = Flights::new();
        let (told, tell) = std::sync::mpsc::channel();
        let mut polled = false;
        let future = std::future::poll_fn(move |context| {
            let _ = told.send(context.waker().clone());
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(1);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        flights.begin(Box::pin(future), ());
        assert_eq!(flights.next().await, Some(((), 1)));
        let stale = tell.recv().expect("it was polled");
        let (end, next) = oneshot::channel();
        flights.begin(Box::pin(async { next.await.unwrap_or(0) }), ());
        stale.wake();
        assert_eq!(flights.next().now_or_never(), None);
        end.send(2).expect("it is awaited");
        assert_eq!(flights.next().await, Some(((), 2)));
    }

    #[tokio::test]
    async fn what_wakes_itself_all_the_time_keeps_nobody_from_ending() {
        let mut flights = Flights::new();
        let restless = std::future::poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<u32>::Pending
        });
        flights.begin(Box::pin(restless), "restless");
        flights.begin(
            Box::pin(async {
                tokio::task::yield_now().await;
                7
            }),
            "quiet",
        );
        assert_eq!(flights.next().await, Some(("quiet", 7)));
    }
}
