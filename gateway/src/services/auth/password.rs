//! Passwords: a user's own, and those that an admin gives.

use super::Answer;
use super::write::{self, Decision, once, request, user_of};
use crate::auth::{Access, Caller};
use crate::status;
use apex_bus::access::{AccessChange, Swap};
use apex_domain::access::User;
use apex_proto::convert::access::{given, new_password, read_reset, write_user};
use apex_proto::{Fields, v1};
use std::sync::Arc;
use tonic::{Response, Status};

/// Says whether a password is the caller's, and counts nothing: whoever asks is logged in, and its calls
/// have a rate.
///
/// Errors: `FAILED_PRECONDITION` when it is not.
pub(super) async fn check_own(
    access: &Access,
    caller: &Caller,
    password: String,
) -> Result<Arc<User>, Status> {
    let user = user_of(access, caller)?;
    if user.password.is_none() {
        return Err(status::not_set("password"));
    }
    let is_right = access
        .passwords
        .verify(password, user.password.clone())
        .await;
    if !is_right.map_err(status::password)? {
        return Err(status::wrong_password());
    }
    Ok(user)
}

async fn change_own(
    access: &Access,
    caller: &Caller,
    old: String,
    new: String,
) -> Result<(), Status> {
    let known = check_own(access, caller, old).await?;
    let hashed = access.passwords.hash(new).await.map_err(status::password)?;
    let now = access.store.now_ns();
    write::change(access, || {
        let user = user_of(access, caller)?;
        // It was compared with the one that was there.
        if user.password != known.password {
            return Err(status::wrong_password());
        }
        let after = user.changed(|user| {
            user.password = Some(hashed.clone());
            user.must_change = false;
        });
        let mut changes = vec![AccessChange::User(Swap::replace((*user).clone(), after))];
        let sessions = access.store.sessions(&user.user_id);
        let others = sessions
            .iter()
            .filter(|it| it.ended.is_none() && it.session_id != caller.key_id);
        changes.extend(others.map(|session| {
            let ended = session.end("the password was changed", now);
            AccessChange::Session(Swap::replace((**session).clone(), ended))
        }));
        Ok(Decision {
            changes,
            answer: (),
            is_general: false,
        })
    })
    .await
}

pub(super) async fn change(
    access: &Access,
    caller: &Caller,
    asked: v1::ChangePasswordRequest,
) -> Answer<v1::ChangePasswordResponse> {
    let mut fields = Fields::new();
    let old = given(&mut fields, "old_password", &asked.old_password);
    let new = new_password(&mut fields, "new_password", &asked.new_password);
    if asked.old_password == asked.new_password && !asked.new_password.is_empty() {
        fields.refuse("new_password", "must be another one");
    }
    let (old, new) = fields
        .finish(old.zip(new))
        .map_err(|errors| status::invalid(&errors))?;
    change_own(access, caller, old, new).await?;
    Ok(Response::new(v1::ChangePasswordResponse {}))
}

pub(super) async fn reset(
    access: &Access,
    caller: &Caller,
    asked: &v1::ResetPasswordRequest,
) -> Answer<v1::User> {
    let (of, password) = read_reset(asked).map_err(|errors| status::invalid(&errors))?;
    let hashed = access
        .passwords
        .hash(password)
        .await
        .map_err(status::password)?;
    let now = access.store.now_ns();
    let content = v1::ResetPasswordRequest {
        password: String::new(),
        ..asked.clone()
    };
    let request = request(
        caller,
        &of.request_id,
        "AuthService/ResetPassword",
        &content,
    );
    let (user, _) = once(access, request, || {
        let user = access
            .store
            .user(&of.user_id)
            .ok_or_else(status::user_not_found)?;
        let after = user.changed(|user| {
            user.password = Some(hashed.clone());
            user.must_change = true;
            user.sessions_after_ns = now.saturating_add(1);
        });
        Ok(Decision {
            answer: write_user(&after, 0),
            changes: vec![AccessChange::User(Swap::replace((*user).clone(), after))],
            is_general: false,
        })
    })
    .await?;
    Ok(Response::new(user))
}
