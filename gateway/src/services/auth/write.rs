//! Changes that are decided again when somebody else was faster.

use crate::auth::{Access, Caller};
use crate::status;
use apex_bus::access::{AccessChange, AccessError, AccessRequest, AccessWrite, Answered};
use apex_domain::access::User;
use prost::Message;
use std::sync::Arc;
use tonic::Status;

/// How often a change is decided anew: each time another one succeeded.
const ATTEMPTS: usize = 8;

/// What is to be changed, and what is answered for it.
pub(super) struct Decision<T> {
    pub changes: Vec<AccessChange>,
    pub answer: T,
    /// It rests on a rule over all users or keys.
    pub is_general: bool,
}

/// Decides and stores, until nobody was faster in between.
///
/// Errors: what `decide` says; what the store says.
pub(super) async fn change<T>(
    access: &Access,
    mut decide: impl FnMut() -> Result<Decision<T>, Status>,
) -> Result<T, Status> {
    for _ in 0..ATTEMPTS {
        let generation = access.store.generation();
        let decision = decide()?;
        let write = AccessWrite {
            changes: decision.changes,
            answer: None,
            only_at: decision.is_general.then_some(generation),
        };
        match access.store.change(write).await {
            Ok(()) => return Ok(decision.answer),
            Err(AccessError::Conflict) => refresh(access).await?,
            Err(error) => return Err(status::access(&error)),
        }
    }
    Err(status::access(&AccessError::Conflict))
}

async fn refresh(access: &Access) -> Result<(), Status> {
    let refreshed = access.store.refresh().await;
    refreshed.map_err(|error| status::access(&error))
}

/// Carries out a request that names itself: once, and the answer is the same when it comes again. Also
/// returns whether it was carried out now.
///
/// Errors: `ALREADY_EXISTS` for an id that was used for something else; as [`change`].
pub(super) async fn once<T: Message + Default>(
    access: &Access,
    request: AccessRequest,
    mut decide: impl FnMut() -> Result<Decision<T>, Status>,
) -> Result<(T, bool), Status> {
    for _ in 0..ATTEMPTS {
        let known = access.store.answered(request.clone()).await;
        match known.map_err(|error| status::access(&error))? {
            Answered::New => {}
            Answered::Other => return Err(status::request_reused(&request.request_id)),
            Answered::Same(bytes) => {
                let answer = T::decode(&*bytes);
                let answer = answer.map_err(|error| status::credentials_away(&error.to_string()));
                return Ok((answer?, false));
            }
        }
        let generation = access.store.generation();
        let decision = decide()?;
        let write = AccessWrite {
            changes: decision.changes,
            answer: Some((request.clone(), decision.answer.encode_to_vec())),
            only_at: decision.is_general.then_some(generation),
        };
        match access.store.change(write).await {
            Ok(()) => return Ok((decision.answer, true)),
            Err(AccessError::Conflict) => refresh(access).await?,
            Err(error) => return Err(status::access(&error)),
        }
    }
    Err(status::access(&AccessError::Conflict))
}

/// Returns how a request names itself. `content` has no secrets.
pub(super) fn request(
    caller: &Caller,
    request_id: &str,
    method: &'static str,
    content: &impl Message,
) -> AccessRequest {
    AccessRequest {
        user_id: caller.user_id.clone(),
        request_id: request_id.to_owned(),
        method,
        content: content.encode_to_vec(),
    }
}

/// Returns the record of the caller itself.
///
/// Errors: `UNAUTHENTICATED` when it is gone.
pub(super) fn user_of(access: &Access, caller: &Caller) -> Result<Arc<User>, Status> {
    let user = access.store.user(&caller.user_id);
    user.ok_or_else(status::unauthenticated)
}
