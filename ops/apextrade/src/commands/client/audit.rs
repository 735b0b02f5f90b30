//! `apextrade audit`.

use super::{Gateway, fields, pages, print_json, say_cut};
use crate::cli::{AuditAction, AuditArgs, AuditListArgs, AuditResultArg, ClientArgs};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists or checks the audit.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: AuditArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        AuditAction::List(args) => list(&args, settings),
        AuditAction::Verify(args) => verify(&args, settings),
    }
}

fn request(args: &AuditListArgs) -> v1::ListAuditRecordsRequest {
    let result = args
        .result
        .map_or(v1::AuditResult::Unspecified, |it| match it {
            AuditResultArg::Ok => v1::AuditResult::Ok,
            AuditResultArg::Refused => v1::AuditResult::Refused,
            AuditResultArg::Unknown => v1::AuditResult::Unknown,
        });
    v1::ListAuditRecordsRequest {
        from_ns: args.from.map_or(0, |it| it.0),
        to_ns: args.to.map_or(0, |it| it.0),
        principal: args.principal.clone().unwrap_or_default(),
        action: args.action.clone().unwrap_or_default(),
        account_id: args.account.clone().unwrap_or_default(),
        result: result.into(),
        page_size: 0,
        page_token: String::new(),
    }
}

fn list(args: &AuditListArgs, settings: &Settings) -> Result<ExitCode> {
    let (records, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListAuditRecordsRequest {
                page_size,
                page_token,
                ..request(args)
            };
            let gateway = &gateway;
            async move {
                let mut audit = gateway.audit();
                let answer = gateway.answer(audit.list_audit_records(request)).await?;
                Ok((answer.records, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let records: Vec<Value> = records.iter().map(record).collect();
        print_json(&json!({ "records": records }));
    } else {
        print(&records);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn result(record: &v1::AuditRecord) -> String {
    record.result().as_str_name().to_owned()
}

/// What the gateway wrote as JSON; null where it kept nothing.
fn inner(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn record(record: &v1::AuditRecord) -> Value {
    json!({
        "sequence": record.sequence,
        "ts_ns": record.ts_ns,
        "action": record.action,
        "principal": record.principal,
        "role": record.role,
        "key_id": record.key_id,
        "peer": record.peer,
        "user_agent": record.user_agent,
        "account_id": record.account_id,
        "request_id": record.request_id,
        "request": inner(&record.request),
        "before": inner(&record.before),
        "after": inner(&record.after),
        "result": result(record),
        "code": record.code,
        "reason": record.reason,
        "message": record.message,
        "answer_sequence": record.answer_sequence,
        "ts_answered_ns": record.ts_answered_ns,
        "unrecorded": record.unrecorded,
    })
}

fn print(records: &[v1::AuditRecord]) {
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let why = if record.reason.is_empty() {
                &record.message
            } else {
                &record.reason
            };
            vec![
                record.sequence.to_string(),
                fields::time(record.ts_ns),
                record.principal.clone(),
                record.peer.clone(),
                record.action.clone(),
                record.account_id.clone(),
                record.request_id.clone(),
                fields::word(&result(record), "AUDIT_RESULT_"),
                why.clone(),
            ]
        })
        .collect();
    let headings = [
        "RECORD", "TIME", "BY", "FROM", "ACTION", "ACCOUNT", "ID", "RESULT", "WHY",
    ];
    table(&headings, &rows);
}

fn verify(args: &ClientArgs, settings: &Settings) -> Result<ExitCode> {
    let found = block_on(async {
        let gateway = Gateway::open(args, settings).await?;
        let request = v1::VerifyAuditRequest {};
        gateway.answer(gateway.audit().verify_audit(request)).await
    })?;
    if args.json {
        let bad = found.first_bad.as_ref();
        let bad = bad.map(|bad| json!({ "sequence": bad.sequence, "reason": bad.reason }));
        print_json(&json!({
            "ok": found.ok,
            "audit_id": found.audit_id,
            "records": found.records,
            "link": found.link,
            "checkpoints": found.checkpoints,
            "last_checkpoint": found.last_checkpoint,
            "unseen": found.unseen,
            "first_bad": bad,
        }));
    } else {
        match &found.first_bad {
            None => crate::say!(
                "ok: {} records, {} checkpoints, the last at record {}; {} behind it could be cut \
                 off unseen",
                found.records,
                found.checkpoints,
                found.last_checkpoint,
                found.unseen
            ),
            Some(bad) => crate::say!("damaged: audit record {}: {}", bad.sequence, bad.reason),
        }
    }
    Ok(if found.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
