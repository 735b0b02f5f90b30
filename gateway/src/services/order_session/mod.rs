//! `OrderService.OrderSession`: commands in, pipelined answers and order events out.
//!
//! One task a session, with four loops that wait for each other only where that is meant:
//! [`reader`] hands commands to the account in their order and stops reading while the window is
//! full; [`writer`] sends answers, events and heartbeats; [`watch`] looks at the caller's rights, at
//! the client's silence, and tells the account that the session is there. The first that is over
//! ends the session, and [`Session::end`] does with its guard what that end means.
//!
//! What is guarded is the account's: see `account/guards` in the domain. This end only says early
//! what the account finds out late.

mod answer;
mod hello;
mod reader;
mod records;
mod watch;
mod writer;

use super::order::OrderServer;
use crate::audit::Auditor;
use crate::auth::Caller;
use crate::shared::caller;
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::{Refusal, SessionRef};
use apex_domain::audit::AuditOrigin;
use apex_domain::event::GuardOutcome;
use apex_proto::v1;
use hello::Begun;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tonic::{Request, Status, Streaming};

/// Commands that one message may hold: enough that the cost of a message is spread thin.
const MAX_COMMANDS: usize = 256;

/// Tries to end a guard while the account is busy, each after a pause. Behind them the account's
/// own timer does it.
const END_TRIES: u32 = 5;
const END_PAUSE: Duration = Duration::from_millis(100);

type Incoming = Streaming<v1::OrderSessionRequest>;

/// Opens the stream.
///
/// Errors: no place for a stream.
pub(super) fn begin(
    server: &OrderServer,
    request: Request<Incoming>,
) -> Result<Receiver<v1::OrderSessionResponse>, Status> {
    let caller = caller(&request)?;
    let origin = request.extensions().get::<AuditOrigin>().cloned();
    let shared = &server.shared;
    let (sender, receiver) = shared.open_session(&shared.streams.sessions)?;
    let wire = Wire {
        server: server.clone(),
        caller,
        records: shared.auditor.clone().zip(origin),
        sender,
    };
    // The answer's header must not wait for the client's first message, so the session begins in
    // its own task.
    tokio::spawn(wire.run(request.into_inner()));
    Ok(receiver)
}

/// A stream before its hello.
struct Wire {
    server: OrderServer,
    caller: Caller,
    records: Option<(Auditor, AuditOrigin)>,
    sender: Sender<v1::OrderSessionResponse>,
}

/// A session under way.
struct Session {
    wire: Wire,
    account: AccountHandle,
    guard: Option<Guard>,
    /// Commands that may still be handed over before one is answered.
    window: Semaphore,
    pulse: Pulse,
}

/// What the account holds over a session.
#[derive(Clone, Copy, Debug)]
struct Guard {
    session: SessionRef,
    cancel_on_disconnect: bool,
    /// What the client asked for.
    dead_man: Option<Duration>,
    /// What the account goes by.
    timeout: Duration,
}

/// Why a session is over.
#[derive(Debug)]
enum End {
    /// The client said goodbye, and everything is answered.
    Goodbye,
    /// The client is gone without one.
    Gone,
    /// It is cut, and finds why.
    Cut(Status),
    /// Nothing was heard of it.
    Silent,
    /// Its key or its rights are gone.
    Revoked(Status),
    /// The account has ended it.
    Over,
}

/// When the client was last heard of.
#[derive(Debug)]
struct Pulse {
    since: Instant,
    /// Nanoseconds behind `since`.
    heard: AtomicU64,
    /// The stream is not read: silence is not the client's.
    deaf: AtomicBool,
}

impl Pulse {
    fn begin() -> Pulse {
        Pulse {
            since: Instant::now(),
            heard: AtomicU64::new(0),
            deaf: AtomicBool::new(false),
        }
    }

    fn beat(&self) {
        let behind = self.since.elapsed().as_nanos();
        self.heard
            .store(u64::try_from(behind).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        if self.deaf.load(Ordering::Relaxed) {
            return Instant::now();
        }
        self.since + Duration::from_nanos(self.heard.load(Ordering::Relaxed))
    }

    /// States whether the stream is read from here on.
    fn listen(&self, listens: bool) {
        self.beat();
        self.deaf.store(!listens, Ordering::Relaxed);
    }
}

impl Wire {
    async fn run(self, mut incoming: Incoming) {
        let Begun {
            session,
            events,
            welcomed,
        } = match hello::begin(self, &mut incoming).await {
            Ok(begun) => begun,
            // The client has been told whatever there is to say.
            Err(Over) => return,
        };
        let end = match welcomed {
            Ok(()) => session.run(&mut incoming, events).await,
            Err(Over) => End::Gone,
        };
        session.end(end).await;
    }
}

impl Session {
    /// Carries the session until it is over.
    async fn run(&self, incoming: &mut Incoming, events: Option<writer::Events>) -> End {
        // Bounded by the window; a message and its commands take a place each.
        let (handed, taken) = mpsc::channel(self.window.available_permits() + 1);
        let carried = async {
            let inwards = reader::run(self, incoming, handed);
            let outwards = writer::run(self, taken, events);
            tokio::pin!(inwards, outwards);
            tokio::select! {
                biased;
                // The reader hands over no more once it has ended, and it has not.
                sent = &mut outwards => sent.err().unwrap_or(End::Gone),
                end = &mut inwards => {
                    // What was handed over is answered before the end.
                    self.pulse.listen(false);
                    outwards.await.err().unwrap_or(end)
                }
            }
        };
        tokio::select! {
            biased;
            end = watch::rights(self) => end,
            end = watch::silence(self) => end,
            end = watch::keep(self) => end,
            end = carried => end,
        }
    }

    /// Does with the guard what the end means, and tells the client.
    async fn end(self, end: End) {
        let outcome = self.guard.and_then(|guard| outcome(&end, guard));
        let done = match (self.guard, outcome) {
            (Some(guard), Some(outcome)) => self.end_guard(guard.session, outcome).await,
            _ => Ok(()),
        };
        let status = match end {
            End::Goodbye => match done {
                Ok(()) => return,
                Err(status) => status,
            },
            End::Gone => return,
            End::Cut(status) | End::Revoked(status) => status,
            End::Silent => {
                let timeout = self.guard.and_then(|guard| guard.dead_man);
                status::session_silent(timeout.unwrap_or_default())
            }
            End::Over => status::session_over(),
        };
        self.wire.sender.end(status);
    }

    /// Ends the guard.
    ///
    /// Errors: the account took it neither now nor a little later, or had ended it by itself.
    async fn end_guard(&self, session: SessionRef, outcome: GuardOutcome) -> Result<(), Status> {
        for _ in 0..END_TRIES {
            let command = AccountCommand::EndSession { session, outcome };
            match self.account.command(command).await {
                Ok(_) => return Ok(()),
                // It is over already, or another stream's.
                Err(CommandError::Refused(Refusal::SessionOver)) => {
                    return Err(status::session_over());
                }
                Err(error) => {
                    let account_id = self.account.account_id();
                    tracing::warn!(%account_id, %error, "an order session could not be ended");
                }
            }
            tokio::time::sleep(END_PAUSE).await;
        }
        Err(status::session_not_let_go())
    }
}

/// Returns how the guard ends with the session; `None` leaves it to its timeout.
fn outcome(end: &End, guard: Guard) -> Option<GuardOutcome> {
    match end {
        End::Goodbye => Some(GuardOutcome::LetGo),
        End::Gone | End::Cut(_) => guard
            .cancel_on_disconnect
            .then_some(GuardOutcome::Disconnected),
        // Nobody is left who could take it up again.
        End::Revoked(_) => Some(GuardOutcome::Disconnected),
        End::Silent => Some(GuardOutcome::Silent),
        End::Over => None,
    }
}
