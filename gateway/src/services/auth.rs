//! `AuthService`, as far as it goes without users.

use crate::auth::{Grants, Role};
use crate::shared::caller;
use apex_proto::v1;
use apex_proto::v1::auth_service_server::AuthService;
use tonic::{Request, Response, Status};

/// Tells a caller who it is.
#[derive(Clone, Copy, Debug)]
pub struct AuthServer;

fn role(role: Role) -> v1::Role {
    match role {
        Role::Viewer => v1::Role::Viewer,
        Role::Trader => v1::Role::Trader,
        Role::Risk => v1::Role::Risk,
        Role::Ops => v1::Role::Ops,
        Role::Admin => v1::Role::Admin,
    }
}

#[tonic::async_trait]
impl AuthService for AuthServer {
    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = caller(&request)?;
        let all_accounts = caller.role == Role::Admin || caller.grants == Grants::All;
        let account_ids = match &caller.grants {
            Grants::Only(accounts) if !all_accounts => {
                accounts.iter().map(ToString::to_string).collect()
            }
            Grants::All | Grants::Only(_) => Vec::new(),
        };
        Ok(Response::new(v1::WhoAmIResponse {
            role: role(caller.role).into(),
            user_id: caller.user_id,
            all_accounts,
            account_ids,
        }))
    }
}
