//! A bounded server stream that ends with a reason.

use crate::auth::{Access, Caller};
use crate::status;
use futures::Stream;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::Status;

/// Messages between a stream's task and its connection. The connection has its own window of
/// flow control; this only has to cover the time between two wake-ups. Full: the task waits, up
/// to its patience.
const QUEUE: usize = 16;

/// How often a stream asks whether its caller is still let in: a look into memory, which itself is a
/// second behind the store at the most. So what is revoked is cut well within five seconds.
const LOOK: Duration = Duration::from_secs(1);

/// Cuts a stream whose caller is no longer let in, or may something else by now.
#[derive(Debug)]
pub struct Guard {
    access: Access,
    caller: Caller,
    looks: Interval,
}

impl Guard {
    pub fn new(access: &Access, caller: &Caller) -> Guard {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Guard {
            access: access.clone(),
            caller: caller.clone(),
            looks,
        }
    }

    /// Returns why the stream is cut, once it is to be.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Option<Status> {
        while self.looks.poll_tick(context).is_ready() {
            match self.access.renew(&self.caller) {
                None => return Some(status::unauthenticated()),
                Some(now) if now != self.caller => return Some(status::rights_changed()),
                Some(_) => {}
            }
        }
        None
    }
}

type End = Arc<Mutex<Option<Status>>>;

/// The task's end of a stream.
#[derive(Debug)]
pub struct Sender<T> {
    queue: mpsc::Sender<T>,
    end: End,
    patience: Duration,
}

/// The connection's end of a stream.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: mpsc::Receiver<T>,
    end: End,
    /// `None` where whoever feeds the stream looks itself.
    guard: Option<Guard>,
    is_cut: bool,
    /// Held as long as the client has the stream.
    _permit: OwnedSemaphorePermit,
}

/// The stream is over: the client went away or was cut. The task returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;

/// Makes a stream whose client is cut when it does not read for `patience`.
pub fn channel<T>(
    patience: Duration,
    permit: OwnedSemaphorePermit,
    guard: Option<Guard>,
) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let end = End::default();
    (
        Sender {
            queue: sender,
            end: end.clone(),
            patience,
        },
        Receiver {
            queue: receiver,
            end,
            guard,
            is_cut: false,
            _permit: permit,
        },
    )
}

impl<T> Sender<T> {
    /// Sends a message, waiting for the client up to the patience.
    ///
    /// Errors: [`Over`]; a client that did not read then finds the reason as the stream's end.
    pub async fn send(&self, message: T) -> Result<(), Over> {
        match tokio::time::timeout(self.patience, self.queue.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over),
            Err(_) => Err(self.end(status::stalled_client(self.patience))),
        }
    }

    /// Ends the stream with a reason, behind what was sent.
    pub fn end(&self, reason: Status) -> Over {
        // The lock is held for one assignment, so it is never poisoned half-way.
        *self
            .end
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(reason);
        Over
    }

    /// Returns when the client has gone away.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl<T> Stream for Receiver<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_cut {
            return Poll::Ready(None);
        }
        let reason = self.guard.as_mut().and_then(|guard| guard.poll(context));
        if let Some(reason) = reason {
            self.is_cut = true;
            // What waits there is for somebody who is not let in; its task sees that it is over.
            self.queue.close();
            return Poll::Ready(Some(Err(reason)));
        }
        match self.queue.poll_recv(context) {
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
            Poll::Ready(None) => {
                let mut end = self
                    .end
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                Poll::Ready(end.take().map(Err))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Grants, Role, new_key};
    use apex_bus::access::{AccessChange, MemoryAccess, Swap};
    use apex_bus::clock::Clock;
    use apex_domain::access::User;
    use futures::StreamExt;
    use tokio::sync::Semaphore;
    use tonic::Code;

    /// A user who may call, and how to change that.
    fn ann() -> (Arc<MemoryAccess>, Guard) {
        let store = Arc::new(MemoryAccess::new(Clock::Wall));
        let key = new_key(&[7; 40], "ann", Role::Trader, Grants::All, 0);
        {
            let mut state = store.state_mut();
            let user = User::new("ann", Role::Trader, Grants::All, 0);
            state.put(&AccessChange::User(Swap::insert(user)));
            state.put(&AccessChange::Key(Swap::insert(key.record)));
        }
        let access = Access::new(store.clone());
        let caller = access.verify(&key.token, None).unwrap();
        (store, Guard::new(&access, &caller))
    }

    fn pair(streams: &Arc<Semaphore>) -> (Sender<u32>, Receiver<u32>) {
        let permit = streams.clone().try_acquire_owned().unwrap();
        channel(Duration::from_secs(30), permit, Some(ann().1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_no_longer_let_in_is_cut_within_two_seconds() {
        let change_of = |change: fn(&mut User)| async move {
            let streams = Arc::new(Semaphore::new(1));
            let permit = streams.clone().try_acquire_owned().unwrap();
            let (store, guard) = ann();
            let (sender, mut receiver) = channel(Duration::from_secs(30), permit, Some(guard));
            sender.send(1).await.unwrap();
            assert_eq!(receiver.next().await.unwrap().unwrap(), 1);
            let before = (*store.state_mut().users["ann"]).clone();
            let after = before.changed(change);
            let change = AccessChange::User(Swap::replace(before, after));
            store.state_mut().put(&change);
            let begun = tokio::time::Instant::now();
            let end = receiver.next().await.unwrap().unwrap_err();
            assert!(begun.elapsed() <= Duration::from_secs(2));
            assert!(receiver.next().await.is_none());
            assert_eq!(sender.send(2).await, Err(Over), "its task hears of it");
            end.code()
        };
        let disabled = change_of(|user| user.disabled = true).await;
        assert_eq!(disabled, Code::Unauthenticated);
        let demoted = change_of(|user| user.role = Role::Viewer).await;
        assert_eq!(demoted, Code::Aborted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_cut_with_a_reason() {
        let streams = Arc::new(Semaphore::new(1));
        let (sender, mut receiver) = pair(&streams);
        for number in 0..QUEUE as u32 {
            sender.send(number).await.unwrap();
        }
        // Nobody reads: the paused clock runs to the end of the patience.
        assert_eq!(sender.send(99).await, Err(Over));
        drop(sender);
        let mut got = Vec::new();
        let end = loop {
            match receiver.next().await {
                Some(Ok(number)) => got.push(number),
                Some(Err(status)) => break status,
                None => panic!("the stream ended without a reason"),
            }
        };
        assert_eq!(got.len(), QUEUE);
        assert_eq!(end.code(), Code::ResourceExhausted);
        assert!(receiver.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_gives_its_permit_back_when_the_client_is_gone() {
        let streams = Arc::new(Semaphore::new(1));
        let (sender, receiver) = pair(&streams);
        assert_eq!(streams.available_permits(), 0);
        drop(receiver);
        assert_eq!(streams.available_permits(), 1);
        assert_eq!(sender.send(1).await, Err(Over));
        sender.closed().await;
    }
}
