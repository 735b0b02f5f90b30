//! `AuditService`.

mod list;

use crate::auth::{Caller, Grants, Role};
use crate::shared::{Shared, caller};
use crate::status;
use apex_bus::audit::{Audit, AuditError};
use apex_proto::v1;
use apex_proto::v1::audit_service_server::AuditService;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// Readers of the audit at a time: each takes a processor for as long as it reads.
const READERS: usize = 2;

/// The audit of this node.
#[derive(Clone, Debug)]
pub struct AuditServer {
    shared: Shared,
    turns: Arc<Semaphore>,
}

impl AuditServer {
    pub(crate) fn new(shared: Shared) -> AuditServer {
        AuditServer {
            shared,
            turns: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Reads the audit on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Audit) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, Status> {
        let Some(auditor) = &self.shared.auditor else {
            return Err(status::not_here("audit (a replay keeps none)"));
        };
        let audit = auditor.audit.clone();
        // It goes with the reader: a caller that goes away gives no turn to the next before it ends.
        let turn = self.turns.clone().acquire_owned().await;
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&*audit)
        });
        match reading.await {
            Ok(found) => found.map_err(|error| status::audit_unreadable(&error)),
            Err(panic) => {
                let error = AuditError::Unreadable(format!("its reader broke: {panic}"));
                Err(status::audit_unreadable(&error))
            }
        }
    }
}

/// The audit is of all accounts.
fn check(caller: &Caller) -> Result<(), Status> {
    if caller.role == Role::Admin || caller.grants == Grants::All {
        return Ok(());
    }
    Err(status::account_not_granted())
}

#[tonic::async_trait]
impl AuditService for AuditServer {
    async fn list_audit_records(
        &self,
        request: Request<v1::ListAuditRecordsRequest>,
    ) -> Result<Response<v1::ListAuditRecordsResponse>, Status> {
        check(&caller(&request)?)?;
        let filter = list::Filter::read(request.into_inner())?;
        let page = self.read(move |audit| list::page(audit, &filter)).await?;
        Ok(Response::new(page))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        check(&caller(&request)?)?;
        let found = self.read(|audit| audit.check()).await?;
        let bad = found.first_bad;
        Ok(Response::new(v1::VerifyAuditResponse {
            ok: bad.is_none(),
            audit_id: found.audit_id,
            records: found.records,
            link: found.link,
            checkpoints: found.checkpoints,
            last_checkpoint: found.last_checkpoint,
            unseen: found.records.saturating_sub(found.last_checkpoint),
            first_bad: bad.map(|(sequence, reason)| v1::BadAuditRecord { sequence, reason }),
        }))
    }
}
