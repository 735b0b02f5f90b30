//! The beginning of a session: the hello is read, the account told, the client welcomed.

use super::writer::Events;
use super::{Guard, Incoming, MAX_COMMANDS, Pulse, Session, Wire};
use crate::audit;
use crate::services::order::write_all;
use crate::services::order_stream;
use crate::shared::wall_clock;
use crate::status;
use crate::stream::Over;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, OrderFilter, PAGE_LIMIT, Page};
use apex_domain::account::{
    GuardSession, LONGEST_SILENCE_NS, Reply, SHORTEST_SILENCE_NS, SessionRef,
};
use apex_domain::{AccountId, OrderSessionId};
use apex_proto::convert::text;
use apex_proto::field::Fields;
use apex_proto::v1;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::Status;
use v1::order_session_request::Message as Asked;
use v1::order_session_response::Message as Told;

/// How long a client may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);

/// How long the account waits for a gateway that has died before it takes the session to be
/// disconnected, where the client gave no time. Long enough for a gateway that is slow or starts
/// again, and for four words of it.
const LEASE: Duration = Duration::from_secs(10);

/// Orders in one part of the working orders: some 300 KiB.
const PART: usize = PAGE_LIMIT;

/// A session that has begun.
pub(super) struct Begun {
    pub session: Session,
    pub events: Option<Events>,
    /// Whether the client heard its welcome.
    pub welcomed: Result<(), Over>,
}

/// What a hello asks for.
struct Wish {
    account_id: AccountId,
    cancel_on_disconnect: bool,
    dead_man: Option<Duration>,
    resume: Option<OrderSessionId>,
    working_orders: bool,
}

impl Wish {
    fn read(hello: &v1::OrderSessionHello) -> Result<Wish, Status> {
        let mut fields = Fields::new();
        let f = &mut fields;
        let account_id = text::account_id(f, &hello.account_id);
        let resume = text::optional(
            f,
            "resume_session_id",
            &hello.resume_session_id,
            OrderSessionId::new,
        );
        let timeout = hello.dead_man_timeout_ns;
        if timeout != 0 && !(SHORTEST_SILENCE_NS..=LONGEST_SILENCE_NS).contains(&timeout) {
            f.refuse(
                "dead_man_timeout_ns",
                "must be 1000000000 to 3600000000000, or 0 for none",
            );
        }
        let is_guarded = hello.cancel_on_disconnect || timeout != 0;
        if !hello.resume_session_id.is_empty() && !is_guarded {
            f.refuse(
                "resume_session_id",
                "needs cancel_on_disconnect or dead_man_timeout_ns: only a guarded session can be \
                 taken up again",
            );
        }
        let value = account_id.zip(resume).map(|(account_id, resume)| Wish {
            account_id,
            cancel_on_disconnect: hello.cancel_on_disconnect,
            dead_man: (timeout > 0).then(|| Duration::from_nanos(timeout.unsigned_abs())),
            resume,
            working_orders: hello.working_orders,
        });
        fields
            .finish(value)
            .map_err(|errors| status::invalid(&errors))
    }

    fn is_guarded(&self) -> bool {
        self.cancel_on_disconnect || self.dead_man.is_some()
    }
}

/// Reads the hello and begins.
///
/// Errors: [`Over`]; a client that is there finds the reason.
pub(super) async fn begin(wire: Wire, incoming: &mut Incoming) -> Result<Begun, Over> {
    let hello = match tokio::time::timeout(HELLO, incoming.message()).await {
        Ok(Ok(Some(v1::OrderSessionRequest {
            message: Some(Asked::Hello(hello)),
        }))) => hello,
        Ok(Ok(Some(_))) => {
            let status = status::invalid_field("hello", "must be the first message");
            return Err(wire.sender.end(status));
        }
        Ok(Ok(None) | Err(_)) => return Err(Over),
        Err(_) => return Err(wire.sender.end(status::request_timeout(HELLO))),
    };
    match accept(&wire, &hello).await {
        Ok(accepted) => Ok(accepted.welcome(wire).await),
        Err(status) => Err(wire.sender.end(status)),
    }
}

/// What was settled with the account.
struct Accepted {
    wish: Wish,
    account: AccountHandle,
    session_id: OrderSessionId,
    guard: Option<Guard>,
    events: Option<Events>,
}

async fn accept(wire: &Wire, hello: &v1::OrderSessionHello) -> Result<Accepted, Status> {
    let shared = &wire.server.shared;
    let wish = Wish::read(hello)?;
    let account = shared.account(&wire.caller, &wish.account_id)?;
    record(wire, hello).await?;
    // Before the guard: what the client is told of the events must not leave one behind.
    let events = match &hello.events {
        Some(wanted) => {
            let request = v1::StreamOrdersRequest {
                account_id: hello.account_id.clone(),
                from_sequence: wanted.from_sequence,
                resume_token: wanted.resume_point.clone(),
                instrument_id: wanted.instrument_id.clone(),
                strategy_id: wanted.strategy_id.clone(),
            };
            Some(order_stream::begin(shared, wire.caller.clone(), request).await?)
        }
        None => None,
    };
    let session_id = wish.resume.clone().unwrap_or_else(new_id);
    let guard = if wish.is_guarded() {
        let timeout = wish.dead_man.unwrap_or(LEASE);
        let session = guard(wire, &account, &wish, &session_id, timeout).await?;
        Some(Guard {
            session,
            cancel_on_disconnect: wish.cancel_on_disconnect,
            dead_man: wish.dead_man,
            timeout,
        })
    } else {
        None
    };
    Ok(Accepted {
        wish,
        account,
        session_id,
        guard,
        events,
    })
}

/// What a session is told to do with orders is on record before it does it.
async fn record(wire: &Wire, hello: &v1::OrderSessionHello) -> Result<(), Status> {
    let Some((auditor, origin)) = &wire.records else {
        return Ok(());
    };
    let message = v1::OrderSessionRequest {
        message: Some(Asked::Hello(hello.clone())),
    };
    let recorded = auditor.session_message(origin, &message, false);
    let (_recorded, ticket) = recorded.map_err(|error| status::audit_down(&error))?;
    audit::durable(ticket).await
}

async fn guard(
    wire: &Wire,
    account: &AccountHandle,
    wish: &Wish,
    session_id: &OrderSessionId,
    timeout: Duration,
) -> Result<SessionRef, Status> {
    let command = AccountCommand::GuardSession(GuardSession {
        session_id: session_id.clone(),
        resumes: wish.resume.is_some(),
        by: wire.caller.user_id.clone(),
        timeout_ns: i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX),
    });
    match account.command(command).await {
        Ok(Reply::Guarded(session)) => Ok(session),
        Ok(other) => Err(crate::services::order::unexpected(&other)),
        Err(error) => Err(status::command(&error)),
    }
}

/// Returns an id that no other session has: its time, and 64 bits that differ at each call and
/// start of a process.
fn new_id() -> OrderSessionId {
    let random = RandomState::new().hash_one(0_u8);
    let text = format!("{:x}-{random:016x}", wall_clock().0);
    OrderSessionId::new(&text).expect("hexadecimal digits and a dash are an id")
}

impl Accepted {
    async fn welcome(self, wire: Wire) -> Begun {
        let window = wire.server.shared.limits.session_window.max(1);
        let session = Session {
            wire,
            account: self.account,
            guard: self.guard,
            window: Semaphore::new(window as usize),
            pulse: Pulse::begin(),
        };
        let welcomed = tell(&session, &self.wish, &self.session_id, window).await;
        Begun {
            session,
            events: self.events,
            welcomed,
        }
    }
}

async fn tell(
    session: &Session,
    wish: &Wish,
    session_id: &OrderSessionId,
    window: u32,
) -> Result<(), Over> {
    let (sender, shared) = (&session.wire.sender, &session.wire.server.shared);
    let end = |error| sender.end(status::command(&error));
    let summary = session.account.summary().await.map_err(end)?;
    let ns = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let welcome = v1::OrderSessionWelcome {
        session_id: session_id.to_string(),
        account_id: wish.account_id.to_string(),
        sequence: summary.sequence,
        window,
        max_commands: MAX_COMMANDS as u32,
        heartbeat_interval_ns: ns(shared.limits.heartbeat),
        dead_man_timeout_ns: wish.dead_man.map_or(0, ns),
        cancel_on_disconnect: wish.cancel_on_disconnect,
        resumed: wish.resume.is_some(),
    };
    sender.send(response(Told::Welcome(welcome))).await?;
    if !wish.working_orders {
        return Ok(());
    }
    let mut cursor = None;
    loop {
        let filter = OrderFilter {
            working_only: true,
            ..OrderFilter::default()
        };
        let page = Page {
            cursor,
            limit: PART,
        };
        let (orders, next) = session.account.orders(filter, page).await.map_err(end)?;
        let orders = write_all(shared, &orders).map_err(|status| sender.end(status))?;
        let complete = next.is_none();
        let part = v1::OrderSessionWorkingOrders { orders, complete };
        sender.send(response(Told::WorkingOrders(part))).await?;
        if complete {
            return Ok(());
        }
        cursor = next;
    }
}

pub(super) fn response(message: Told) -> v1::OrderSessionResponse {
    v1::OrderSessionResponse {
        message: Some(message),
    }
}
