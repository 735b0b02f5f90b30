//! Records every call that changes something: who, what, from where, before and after, and what came
//! of it.
//!
//! One layer around all services does it, so that no service can forget to: the method's name says
//! what is recorded ([`methods`]), the message is kept as it came in, and the status as it goes out. A
//! call that the gate turned away is recorded by the gate.

mod before;
pub(crate) mod methods;
mod origin;
mod refusals;
pub(crate) mod render;
mod secrets;
mod wire;

pub(crate) use origin::Peer;

use crate::auth::Caller;
use crate::shared::{Shared, wall_clock};
use crate::status;
use apex_bus::audit::{Audit, AuditError, Ticket};
use apex_domain::audit::{AuditAnswer, AuditOrigin, AuditRecord, AuditRequest};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use methods::Kind;
use refusals::Refusals;
use secrets::Part;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tonic::Status;

/// What a call that needs its record waits for it: well below the time limit of a call, and far
/// above a sync of a disk that works.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one that must not be held up waits for it, where the audit says that it works. More than twice
/// as long as the audit waits for a server that is away before it goes on in its reserve, which is
/// what the first kill switch of an outage meets.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of a message that are kept. An order is some 200, a list of a hundred 20 KiB.
const KEPT_BYTES: usize = 64 << 10;

/// Writes the audit for a gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Auditor {
    pub audit: Arc<dyn Audit>,
    calls: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
}

impl Auditor {
    pub fn new(audit: Arc<dyn Audit>) -> Auditor {
        // Calls of an earlier process began at an earlier time, and had less than one a nanosecond.
        let first = wall_clock().0.max(0) as u64;
        Auditor {
            audit,
            calls: Arc::new(AtomicU64::new(first)),
            refusals: Arc::default(),
        }
    }

    fn request(&self, action: &str, origin: AuditOrigin, message: &[u8]) -> AuditRequest {
        let (request, is_cut) = kept(&secrets::without(action, Part::Request, message));
        AuditRequest {
            call: self.calls.fetch_add(1, Ordering::Relaxed),
            ts: wall_clock(),
            action: action.to_owned(),
            origin,
            request,
            is_cut,
        }
    }

    /// Records a call that the gate turned away.
    pub fn refused(&self, parts: &Parts, caller: Option<&Caller>, status: &Status) {
        let Some((action, _)) = methods::find(parts.uri.path()) else {
            return;
        };
        let request = self.request(action, origin::of(parts, caller), &[]);
        self.turned_away(request, wire::Outcome::of_status(status));
    }

    /// Records a request that came to nothing, unless there are too many of them.
    fn turned_away(&self, request: AuditRequest, outcome: wire::Outcome) {
        // Whoever has no key must not be able to fill the disk.
        let Some(unrecorded) = self.refusals.take(std::time::Instant::now()) else {
            return;
        };
        let answer = answer(request.call, outcome, Vec::new());
        let record = AuditRecord::Refused {
            request,
            answer,
            unrecorded,
        };
        if self.audit.append(record).is_err() {
            self.audit.lost();
        }
    }

    /// Records what is commanded in a session.
    ///
    /// Errors: the audit does not work, and the command must not be carried out.
    pub fn session_command(&self, origin: &AuditOrigin, message: &[u8]) -> Result<Ticket, Status> {
        let ready = self.audit.ready();
        let request = self.request(methods::SESSION, origin.clone(), message);
        ready
            .and_then(|()| self.audit.append(AuditRecord::Requested(request)))
            .map_err(|error| status::audit_down(&error))
    }
}

/// Returns what is kept of a message, and whether that is nothing since it is too large.
fn kept(message: &[u8]) -> (Vec<u8>, bool) {
    if message.len() > KEPT_BYTES {
        return (Vec::new(), true);
    }
    (message.to_vec(), false)
}

fn answer(call: u64, outcome: wire::Outcome, before: Vec<u8>) -> AuditAnswer {
    let (after, is_cut) = kept(&outcome.message);
    AuditAnswer {
        call,
        ts: wall_clock(),
        code: outcome.code as u32,
        reason: outcome.reason,
        message: outcome.text,
        before,
        after,
        is_cut,
    }
}

/// Waits until a record is durable, but not for ever.
pub(crate) async fn is_durable(ticket: Ticket, patience: Duration) -> bool {
    tokio::time::timeout(patience, ticket.durable())
        .await
        .unwrap_or(false)
}

/// Waits as long as an order waits for its record.
///
/// Errors: the record may not be durable, so nothing of it may be answered.
pub(crate) async fn durable(ticket: Ticket) -> Result<(), Status> {
    if is_durable(ticket, PATIENCE).await {
        return Ok(());
    }
    Err(status::audit_unknown())
}

/// The layer.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub auditor: Auditor,
    pub shared: Shared,
}

/// Carries a call and records it.
pub(crate) async fn record(
    State(recording): State<Recording>,
    request: Request,
    next: Next,
) -> Response {
    let Some((action, kind)) = methods::find(request.uri().path()) else {
        return next.run(request).await;
    };
    let call = Call {
        auditor: &recording.auditor,
        shared: &recording.shared,
        action,
    };
    let outcome = match kind {
        Kind::Order => call.order(request, next).await,
        Kind::Setting => call.setting(request, next).await,
        Kind::Essential => Ok(call.essential(request, next).await),
        Kind::Session => call.session(request, next).await,
        Kind::Sign => Ok(call.sign(request, next).await),
    };
    outcome.unwrap_or_else(Status::into_http)
}

struct Call<'a> {
    auditor: &'a Auditor,
    shared: &'a Shared,
    action: &'static str,
}

/// Writes the answer when the call is over, also when its caller does not wait for it.
struct Open {
    auditor: Auditor,
    call: Option<u64>,
}

impl Open {
    fn close(mut self, outcome: wire::Outcome, before: Vec<u8>) -> Result<Ticket, AuditError> {
        let Some(call) = self.call.take() else {
            return Err(AuditError::Down("its request was not taken".to_owned()));
        };
        let record = AuditRecord::Answered(answer(call, outcome, before));
        self.auditor.audit.append(record)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let record = AuditRecord::Answered(answer(call, wire::Outcome::left(), Vec::new()));
            // The listing says the same of a request without an answer.
            let _ = self.auditor.audit.append(record);
        }
    }
}

impl Call<'_> {
    async fn read(&self, request: Request) -> (Request, AuditRequest) {
        let limit = self.shared.limits.message_bytes;
        let (request, message) = wire::read(request, limit).await;
        let (parts, body) = request.into_parts();
        let origin = origin::of(&parts, parts.extensions.get::<Caller>());
        let record = self.auditor.request(self.action, origin, &message);
        (Request::from_parts(parts, body), record)
    }

    /// Hands the request over.
    ///
    /// Errors: the audit does not work.
    fn open(&self, record: AuditRequest) -> Result<(Open, Ticket), Status> {
        let audit = &self.auditor.audit;
        let call = Some(record.call);
        let taken = audit.ready();
        let taken = taken.and_then(|()| audit.append(AuditRecord::Requested(record)));
        let ticket = taken.map_err(|error| status::audit_down(&error))?;
        let auditor = self.auditor.clone();
        Ok((Open { auditor, call }, ticket))
    }

    /// Reads what came of a call, without secrets.
    async fn outcome(&self, response: Response) -> (Response, wire::Outcome) {
        let (response, mut outcome) = wire::outcome(response).await;
        outcome.message = secrets::without(self.action, Part::Answer, &outcome.message);
        (response, outcome)
    }

    /// Carries out a login, which waits for its record as what is essential does. One that was refused
    /// is recorded as every refused call is: whoever has no password must not fill the disk.
    async fn sign(&self, request: Request, next: Next) -> Response {
        let (request, record) = self.read(request).await;
        let (response, outcome) = self.outcome(next.run(request).await).await;
        let audit = &self.auditor.audit;
        if outcome.code != tonic::Code::Ok {
            self.auditor.turned_away(record, outcome);
            return response;
        }
        let answer = AuditRecord::Answered(answer(record.call, outcome, Vec::new()));
        let told = audit
            .append(AuditRecord::Requested(record))
            .and_then(|_| audit.append(answer));
        match told {
            Ok(ticket) => {
                if audit.ready().is_ok() && !is_durable(ticket, SHORT_PATIENCE).await {
                    audit.early();
                }
            }
            Err(_) => audit.lost(),
        }
        response
    }

    async fn order(&self, request: Request, next: Next) -> Result<Response, Status> {
        let (request, record) = self.read(request).await;
        let (open, ticket) = self.open(record)?;
        // While the account's journal is synced, this one is too.
        let (response, outcome) = self.outcome(next.run(request).await).await;
        if open.close(outcome, Vec::new()).is_err() {
            // The request is there, and what came of it stands in the account's journal.
            self.auditor.audit.lost();
        }
        durable(ticket).await?;
        Ok(response)
    }

    async fn setting(&self, request: Request, next: Next) -> Result<Response, Status> {
        let (request, record) = self.read(request).await;
        let caller = request.extensions().get::<Caller>().cloned();
        let before = before::state(self.shared, caller.as_ref(), self.action, &record.request);
        let before = before.await;
        let (open, ticket) = self.open(record)?;
        if !is_durable(ticket, PATIENCE).await {
            return Err(status::audit_down(&AuditError::Down(
                "it does not answer in time".to_owned(),
            )));
        }
        let (response, outcome) = self.outcome(next.run(request).await).await;
        let ticket = open.close(outcome, before);
        durable(ticket.map_err(|_| status::audit_unknown())?).await?;
        Ok(response)
    }

    async fn essential(&self, request: Request, next: Next) -> Response {
        let (request, record) = self.read(request).await;
        let caller = request.extensions().get::<Caller>().cloned();
        let before = before::quickly(self.shared, caller.as_ref(), self.action, &record.request);
        let before = before.await;
        let audit = &self.auditor.audit;
        let call = record.call;
        let asked = audit.append(AuditRecord::Requested(record));
        let open = Open {
            auditor: self.auditor.clone(),
            call: asked.is_ok().then_some(call),
        };
        let (response, outcome) = self.outcome(next.run(request).await).await;
        let told = open.close(outcome, before);
        let (Ok(_), Ok(ticket)) = (asked, told) else {
            audit.lost();
            tracing::error!(action = self.action, "carried out without its record");
            return response;
        };
        // Records are durable in their order, so the answer's says it of both.
        if audit.ready().is_ok() && !is_durable(ticket, SHORT_PATIENCE).await {
            audit.early();
            tracing::warn!(
                action = self.action,
                "answered before its record was durable"
            );
        }
        response
    }

    async fn session(&self, mut request: Request, next: Next) -> Result<Response, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        let (parts, body) = request.into_parts();
        let origin = origin::of(&parts, caller.as_ref());
        request = Request::from_parts(parts, body);
        request.extensions_mut().insert(origin.clone());
        let record = self.auditor.request(self.action, origin, &[]);
        let (open, ticket) = self.open(record)?;
        let response = next.run(request).await;
        let outcome = wire::Outcome::of_headers(response.headers());
        if open.close(outcome, Vec::new()).is_err() {
            self.auditor.audit.lost();
        }
        durable(ticket).await?;
        Ok(response)
    }
}
