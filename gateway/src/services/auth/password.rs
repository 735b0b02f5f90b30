//! Passwords: a user's own, and those that an admin gives.

use super::Answer;
use super::guess::Guess;
use super::write::{self, Decision, check_free, once, request, user_of};
use crate::auth::{Access, Caller};
use crate::status;
use apex_bus::access::{AccessChange, Swap};
use apex_domain::access::User;
use apex_proto::convert::access::{given, new_password, read_reset, write_user};
use apex_proto::{Fields, v1};
use std::sync::Arc;
use tonic::{Response, Status};

/// Says whether a password is the caller's. Wrong ones are counted: a session that was stolen must not
/// become the account by guessing.
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
    let guess = Guess::of_own(&caller.user_id);
    guess.begin(access).await?;
    let is_right = access
        .passwords
        .verify(password, user.password.clone())
        .await;
    if !is_right.map_err(status::password)? {
        return Err(status::wrong_password());
    }
    guess.was_right(access).await;
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
            user.end_sessions();
        });
        let own = access.store.session(&caller.key_id);
        let own = own.filter(|session| session.is_live(&user, now));
        // The session of this call goes on, and no other.
        let kept = own.map(|session| {
            let mut kept = (*session).clone();
            kept.epoch = after.epoch;
            AccessChange::Session(Swap::replace((*session).clone(), kept))
        });
        let mut changes = vec![AccessChange::User(Swap::replace((*user).clone(), after))];
        changes.extend(kept);
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
    check_free(caller)?;
    let (of, password) = read_reset(asked).map_err(|errors| status::invalid(&errors))?;
    let hashed = access
        .passwords
        .hash(password)
        .await
        .map_err(status::password)?;
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
            user.end_sessions();
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
