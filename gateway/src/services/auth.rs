//! `AuthService`: logins, users, keys.
//!
//! A change is decided on what is in memory, and stored only while that is still so; of two at once one
//! decides again. Secrets come in and go out here and are kept nowhere: only their hashes are.

mod guess;
mod keys;
mod login;
mod password;
mod totp;
mod users;
mod write;

use crate::shared::{Shared, caller};
use crate::status;
use apex_proto::convert::access::write_role;
use apex_proto::v1;
use apex_proto::v1::auth_service_server::AuthService;
use tonic::{Request, Response, Status};

/// Serves logins, users and keys.
#[derive(Clone, Debug)]
pub struct AuthServer {
    shared: Shared,
}

impl AuthServer {
    pub fn new(shared: Shared) -> AuthServer {
        AuthServer { shared }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AuthService for AuthServer {
    async fn who_am_i(&self, request: Request<v1::WhoAmIRequest>) -> Answer<v1::WhoAmIResponse> {
        let caller = caller(&request)?;
        let all_accounts = caller.has_all();
        let account_ids = match &caller.grants {
            crate::auth::Grants::Only(accounts) => {
                accounts.iter().map(ToString::to_string).collect()
            }
            crate::auth::Grants::All => Vec::new(),
        };
        let user = self.shared.access.store.user(&caller.user_id);
        Ok(Response::new(v1::WhoAmIResponse {
            role: write_role(caller.role).into(),
            user_id: caller.user_id,
            all_accounts,
            account_ids,
            credential_id: caller.key_id,
            must_change_password: caller.must_change,
            totp: user.is_some_and(|user| user.totp.is_some()),
        }))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Answer<v1::LoginResponse> {
        login::login(&self.shared.access, request).await
    }

    async fn refresh(&self, request: Request<v1::RefreshRequest>) -> Answer<v1::LoginResponse> {
        login::refresh(&self.shared.access, request).await
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Answer<v1::LogoutResponse> {
        let caller = caller(&request)?;
        login::logout(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Answer<v1::ChangePasswordResponse> {
        let caller = caller(&request)?;
        password::change(&self.shared.access, &caller, request.into_inner()).await
    }

    async fn reset_password(&self, request: Request<v1::ResetPasswordRequest>) -> Answer<v1::User> {
        let caller = caller(&request)?;
        password::reset(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn enable_totp(
        &self,
        request: Request<v1::EnableTotpRequest>,
    ) -> Answer<v1::EnableTotpResponse> {
        let caller = caller(&request)?;
        totp::enable(&self.shared.access, &caller, request.into_inner()).await
    }

    async fn disable_totp(
        &self,
        request: Request<v1::DisableTotpRequest>,
    ) -> Answer<v1::DisableTotpResponse> {
        let caller = caller(&request)?;
        totp::disable(&self.shared.access, &caller, request.into_inner()).await
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Answer<v1::CreateApiKeyResponse> {
        let caller = caller(&request)?;
        // Others may name only what is granted to them, and are told nothing else.
        if caller.has_all() {
            self.known_accounts(&request.get_ref().account_ids)?;
        }
        keys::create(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Answer<v1::ListApiKeysResponse> {
        let caller = caller(&request)?;
        keys::list(&self.shared.access, &caller, request.get_ref())
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Answer<v1::ApiKey> {
        let caller = caller(&request)?;
        keys::revoke(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn create_user(&self, request: Request<v1::CreateUserRequest>) -> Answer<v1::User> {
        let caller = caller(&request)?;
        self.known_accounts(&request.get_ref().account_ids)?;
        users::create(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Answer<v1::ListUsersResponse> {
        users::list(&self.shared.access, request.get_ref())
    }

    async fn set_user_role(&self, request: Request<v1::SetUserRoleRequest>) -> Answer<v1::User> {
        let caller = caller(&request)?;
        users::set_role(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn grant_account(&self, request: Request<v1::GrantAccountRequest>) -> Answer<v1::User> {
        let caller = caller(&request)?;
        if !request.get_ref().revoke {
            self.known_accounts(&request.get_ref().account_ids)?;
        }
        users::grant(&self.shared.access, &caller, request.get_ref()).await
    }

    async fn disable_user(&self, request: Request<v1::DisableUserRequest>) -> Answer<v1::User> {
        let caller = caller(&request)?;
        users::disable(&self.shared.access, &caller, request.get_ref()).await
    }
}

impl AuthServer {
    /// Refuses names of accounts that there are not: a typo in a grant would wait for whoever makes an
    /// account of that name.
    fn known_accounts(&self, ids: &[String]) -> Result<(), Status> {
        let known = self.shared.platform.accounts.all();
        let unknown = ids.iter().position(|id| {
            let id = apex_domain::AccountId::new(id.as_str());
            // What is no id at all is refused with the other fields.
            id.is_ok_and(|id| !known.contains_key(&id))
        });
        match unknown {
            None => Ok(()),
            Some(place) => Err(status::invalid_field(
                &format!("account_ids[{place}]"),
                "there is no such account",
            )),
        }
    }
}
