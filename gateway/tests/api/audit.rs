//! What an audit that does not work stops, and what it does not.

use crate::harness::{Harness, resting};
use crate::orders::reason;
use apex_bus::audit::{Audit, AuditCheck, AuditError, AuditFigures, AuditRecords, Durable, Ticket};
use apex_domain::audit::{AuditAnswer, AuditRecord, AuditRequest};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::audit_service_client::AuditServiceClient;
use apex_proto::v1::risk_service_client::RiskServiceClient;
use std::sync::{Arc, Mutex};
use tonic::Code;

/// An audit in memory that can be made to fail.
#[derive(Debug, Default)]
pub struct Kept {
    records: Mutex<Vec<AuditRecord>>,
    /// Of records that are not to be durable before they are given up.
    held: Mutex<Vec<Durable>>,
    trouble: Mutex<Option<AuditError>>,
    lost: Mutex<u64>,
    early: Mutex<u64>,
    /// It works and is slow: records are durable when the test says so.
    slow: Mutex<bool>,
}

impl Kept {
    /// Nothing becomes durable from here on.
    pub fn fail(&self) {
        *self.trouble.lock().unwrap() = Some(AuditError::Down("no disk".to_owned()));
    }

    pub fn all(&self) -> Vec<AuditRecord> {
        self.records.lock().unwrap().clone()
    }

    /// Returns the requests of an action, each with its answer.
    pub fn of(&self, action: &str) -> Vec<(AuditRequest, Option<AuditAnswer>)> {
        let all = self.all();
        let answer = |call| {
            let mut answers = all.iter().filter_map(|record| match record {
                AuditRecord::Answered(answer) => Some(answer),
                _ => None,
            });
            answers.find(|answer| answer.call == call).cloned()
        };
        let requests = all.iter().filter_map(|record| match record {
            AuditRecord::Requested(request) if request.action == action => Some(request.clone()),
            _ => None,
        });
        requests.map(|it| (it.clone(), answer(it.call))).collect()
    }
}

impl Audit for Kept {
    fn append(&self, record: AuditRecord) -> Result<Ticket, AuditError> {
        let (durable, ticket) = Ticket::pair();
        match &*self.trouble.lock().unwrap() {
            None if *self.slow.lock().unwrap() => self.held.lock().unwrap().push(durable),
            None => durable.tell(),
            Some(AuditError::Down(_)) => self.held.lock().unwrap().push(durable),
            Some(other) => return Err(other.clone()),
        }
        self.records.lock().unwrap().push(record);
        Ok(ticket)
    }

    fn ready(&self) -> Result<(), AuditError> {
        self.trouble.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn lost(&self) {
        *self.lost.lock().unwrap() += 1;
    }

    fn early(&self) {
        *self.early.lock().unwrap() += 1;
    }

    fn figures(&self) -> AuditFigures {
        AuditFigures {
            durable: self.records.lock().unwrap().len() as u64,
            ..AuditFigures::default()
        }
    }

    fn read(&self, sequence: u64, limit: usize) -> Result<AuditRecords, AuditError> {
        let records = self.records.lock().unwrap();
        let numbered = (1..).zip(records.iter().cloned());
        let asked = numbered.skip(sequence.saturating_sub(1) as usize);
        Ok(asked.take(limit).collect())
    }

    fn check(&self) -> Result<AuditCheck, AuditError> {
        Ok(AuditCheck {
            records: 7,
            last_checkpoint: 5,
            first_bad: Some((6, "it was edited".to_owned())),
            ..AuditCheck::default()
        })
    }
}

pub async fn audited(trouble: Option<AuditError>) -> (Harness, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    *kept.trouble.lock().unwrap() = trouble;
    let audit = kept.clone();
    let harness = Harness::with(|options| options.audit = Some(audit)).await;
    (harness, kept)
}

fn halt() -> v1::HaltRequest {
    v1::HaltRequest {
        request_id: "halt-1".into(),
        reason: "a drill".into(),
        ..Default::default()
    }
}

fn limits() -> v1::SetLimitsRequest {
    v1::SetLimitsRequest {
        account_id: "paper".into(),
        request_id: "limits-1".into(),
        limits: Some(v1::Limits::default()),
        expected_sequence: 0,
    }
}

#[tokio::test]
async fn without_an_audit_that_works_orders_and_settings_are_refused_and_nothing_is_done() {
    let away = AuditError::Down("no disk".to_owned());
    for trouble in [away, AuditError::Overloaded { limit: 1 }] {
        let (harness, _kept) = audited(Some(trouble)).await;
        let before = harness.records.len("paper");
        let refused = harness.orders().await.submit_order(resting("c-1")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(reason(&refused), "AUDIT_UNAVAILABLE");
        let mut risk = RiskServiceClient::new(harness.admin().await);
        let refused = risk.set_limits(limits()).await.unwrap_err();
        assert_eq!(reason(&refused), "AUDIT_UNAVAILABLE");
        assert_eq!(harness.records.len("paper"), before);
    }
}

#[tokio::test]
async fn the_kill_switch_neither_fails_nor_waits_for_an_audit_that_does_not_work() {
    let away = AuditError::Down("no disk".to_owned());
    for (trouble, lost) in [(away, 0), (AuditError::Overloaded { limit: 1 }, 1)] {
        let (harness, kept) = audited(Some(trouble)).await;
        let mut risk = RiskServiceClient::new(harness.admin().await);
        let halted = risk.halt(halt()).await.unwrap().into_inner();
        let states = halted
            .accounts
            .iter()
            .map(v1::AccountTradingState::trading_state);
        assert!(states.clone().count() == 2);
        assert!(states.into_iter().all(|it| it == v1::TradingState::Halted));
        assert_eq!(*kept.lost.lock().unwrap(), lost);
    }
}

#[tokio::test]
async fn a_kill_switch_that_is_answered_before_its_record_is_durable_is_counted() {
    let (harness, kept) = audited(None).await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    risk.halt(halt()).await.unwrap();
    assert_eq!(*kept.early.lock().unwrap(), 0);
    *kept.slow.lock().unwrap() = true;
    let again = v1::HaltRequest {
        request_id: "halt-2".into(),
        ..halt()
    };
    risk.halt(again).await.unwrap();
    assert_eq!(*kept.early.lock().unwrap(), 1);
    assert_eq!(*kept.lost.lock().unwrap(), 0, "it is kept all the same");
    assert_eq!(kept.records.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn calls_are_listed_with_what_came_of_them() {
    let (harness, _kept) = audited(None).await;
    harness
        .orders()
        .await
        .submit_order(resting("c-1"))
        .await
        .unwrap();
    let mut risk = RiskServiceClient::new(harness.admin().await);
    risk.set_limits(limits()).await.unwrap();
    let (token, _) = harness.user(9, Role::Viewer, &["paper"]);
    let mut viewer = RiskServiceClient::new(harness.as_token(&token).await);
    assert_eq!(
        viewer.halt(halt()).await.unwrap_err().code(),
        Code::PermissionDenied
    );

    let mut audit = AuditServiceClient::new(harness.admin().await);
    let all = v1::ListAuditRecordsRequest::default();
    let page = audit.list_audit_records(all).await.unwrap().into_inner();
    let shown: Vec<_> = page
        .records
        .iter()
        .map(|it| (it.action.as_str(), it.principal.as_str(), it.code.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("RiskService/Halt", "user-9", "PERMISSION_DENIED"),
            ("RiskService/SetLimits", "admin", "OK"),
            ("OrderService/SubmitOrder", "admin", "OK"),
        ]
    );
    assert!(page.next_page_token.is_empty());
    assert!(!page.records[1].before.is_empty() && !page.records[1].after.is_empty());
    let found = audit.verify_audit(v1::VerifyAuditRequest {}).await;
    let found = found.unwrap().into_inner();
    assert!(!found.ok);
    assert_eq!((found.unseen, found.first_bad.unwrap().sequence), (2, 6));
}

#[tokio::test]
async fn the_audit_is_for_those_who_may_see_every_account() {
    let (harness, _kept) = audited(None).await;
    for role in [Role::Trader, Role::Risk] {
        let (token, _) = harness.user(9, role, &["paper"]);
        let mut audit = AuditServiceClient::new(harness.as_token(&token).await);
        let all = v1::ListAuditRecordsRequest::default();
        let refused = audit.list_audit_records(all).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    let plain = Harness::start().await;
    let mut audit = AuditServiceClient::new(plain.admin().await);
    let refused = audit.verify_audit(v1::VerifyAuditRequest {}).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}
