//! Pages of the audit, newest first.
//!
//! The audit is read in windows from its end to its beginning. An answer stands behind its request,
//! so reading backwards meets it first, and holds it until the request comes.

use crate::audit::methods::actions;
use crate::audit::render;
use crate::{near, page, status};
use apex_bus::audit::{Audit, AuditError, AuditRecords};
use apex_domain::audit::{AuditAnswer, AuditRecord, AuditRequest};
use apex_proto::v1;
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Records that are read at a time.
const WINDOW: u64 = 4_096;

/// Records that one page looks at: some 64 MiB. Where few match, a page is shorter and has a next one.
const LOOKED_AT: u64 = 200_000;

/// How far behind its request an answer may stand: as many calls as may be under way have two records
/// each.
const BEHIND: u64 = 16_384;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Filter {
    from_ns: i64,
    /// `i64::MAX` is no bound.
    to_ns: i64,
    principal: String,
    action: String,
    account_id: String,
    /// Unspecified is any.
    result: v1::AuditResult,
    size: usize,
    /// Only records before this one.
    before: Option<u64>,
}

impl Filter {
    /// Errors: a field that cannot be taken.
    pub fn read(list: v1::ListAuditRecordsRequest) -> Result<Filter, Status> {
        let result = v1::AuditResult::try_from(list.result)
            .map_err(|_| status::invalid_field("result", "is no AuditResult"))?;
        let before = match list.page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| {
                status::invalid_field("page_token", "is not one that a list answered")
            })?),
        };
        if list.to_ns != 0 && list.to_ns <= list.from_ns {
            return Err(status::invalid_field(
                "to_ns",
                "must be after from_ns, or 0",
            ));
        }
        check_action(&list.action)?;
        Ok(Filter {
            from_ns: list.from_ns,
            to_ns: if list.to_ns == 0 {
                i64::MAX
            } else {
                list.to_ns
            },
            principal: list.principal,
            action: list.action,
            account_id: list.account_id,
            result,
            size: page::size(list.page_size)?,
            before,
        })
    }

    fn takes(&self, record: &v1::AuditRecord) -> bool {
        let method = method(&record.action);
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        (self.from_ns..self.to_ns).contains(&record.ts_ns)
            && is(&self.principal, &record.principal)
            && (is(&self.action, &record.action) || self.action == method)
            && is(&self.account_id, &record.account_id)
            && (self.result == v1::AuditResult::Unspecified || self.result == record.result())
    }
}

/// Errors: no record can have this action, which would pass for one that never happened.
fn check_action(action: &str) -> Result<(), Status> {
    let is_it = |known: &str| known == action || method(known) == action;
    if action.is_empty() || actions().any(is_it) {
        return Ok(());
    }
    // As it was meant: with its service, or without.
    let advice = if action.contains('/') {
        near::advice(action, actions())
    } else {
        near::advice(action, actions().map(method))
    };
    let description = format!("is no recorded action: {advice}");
    Err(status::invalid_field("action", &description))
}

/// Returns the part of an action behind its service.
fn method(action: &str) -> &str {
    action.rsplit_once('/').map_or("", |(_, method)| method)
}

/// Errors: the audit cannot be read.
pub(super) fn page(
    audit: &dyn Audit,
    filter: &Filter,
) -> Result<v1::ListAuditRecordsResponse, AuditError> {
    let end = audit.figures().durable + 1;
    let before = filter.before.unwrap_or(end).min(end);
    let mut answers = BTreeMap::new();
    let mut records = Vec::new();
    let mut at = before.saturating_add(BEHIND).min(end);
    let last = before.saturating_sub(LOOKED_AT).max(1);
    while at > last {
        let from = at.saturating_sub(WINDOW).max(last);
        let window: AuditRecords = audit.read(from, (at - from) as usize)?;
        for (sequence, record) in window.into_iter().rev() {
            let Some(shown) = show(sequence, record, &mut answers) else {
                continue;
            };
            if sequence >= before {
                continue;
            }
            // Requests are handed over in the order of their times, but for calls at the same moment.
            if filter.takes(&shown) {
                records.push(shown);
            }
            if records.len() == filter.size {
                return Ok(answer(records, sequence));
            }
        }
        at = from;
    }
    Ok(answer(records, last))
}

fn answer(records: Vec<v1::AuditRecord>, before: u64) -> v1::ListAuditRecordsResponse {
    let next_page_token = if before > 1 {
        before.to_string()
    } else {
        String::new()
    };
    v1::ListAuditRecordsResponse {
        records,
        next_page_token,
    }
}

type Answers = BTreeMap<u64, (u64, AuditAnswer)>;

/// Returns the record as it is listed; `None` of an answer, which waits for its request.
fn show(sequence: u64, record: AuditRecord, answers: &mut Answers) -> Option<v1::AuditRecord> {
    match record {
        AuditRecord::Answered(answer) => {
            answers.insert(answer.call, (sequence, answer));
            None
        }
        AuditRecord::Requested(request) => {
            let answer = answers.remove(&request.call);
            Some(written(sequence, request, answer, 0))
        }
        AuditRecord::Refused {
            request,
            answer,
            unrecorded,
        } => {
            let answer = Some((sequence, answer));
            Some(written(sequence, request, answer, unrecorded))
        }
        AuditRecord::Noted { ts, action, detail } => Some(v1::AuditRecord {
            sequence,
            ts_ns: ts.0,
            action,
            principal: "node".to_owned(),
            message: detail,
            result: v1::AuditResult::Ok.into(),
            ..Default::default()
        }),
    }
}

fn written(
    sequence: u64,
    request: AuditRequest,
    answer: Option<(u64, AuditAnswer)>,
    unrecorded: u64,
) -> v1::AuditRecord {
    let AuditRequest {
        ts, action, origin, ..
    } = request;
    let shown = render::request(&action, &request.request);
    let mut written = v1::AuditRecord {
        sequence,
        ts_ns: ts.0,
        principal: origin.principal,
        role: origin.role,
        key_id: origin.key_id,
        peer: origin.peer,
        user_agent: origin.user_agent,
        account_id: shown.account_id,
        request_id: shown.request_id,
        request: shown.json,
        result: v1::AuditResult::Unknown.into(),
        unrecorded,
        ..Default::default()
    };
    if let Some((answer_sequence, answer)) = answer {
        let code = Code::from_i32(answer.code as i32);
        written.result = match code {
            Code::Ok => v1::AuditResult::Ok,
            Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => v1::AuditResult::Unknown,
            _ => v1::AuditResult::Refused,
        }
        .into();
        written.code = name(code).to_owned();
        written.before = render::answer(&action, &answer.before);
        written.after = render::answer(&action, &answer.after);
        written.reason = answer.reason;
        written.message = answer.message;
        written.answer_sequence = answer_sequence;
        written.ts_answered_ns = answer.ts.0;
    }
    written.action = action;
    written
}

/// The name of a code as gRPC's documents write it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
