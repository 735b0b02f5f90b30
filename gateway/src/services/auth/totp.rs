//! The second factor: on and off.

use super::Answer;
use super::password::check_own;
use super::write::{Decision, change, user_of};
use crate::auth::{
    Access, Caller, Role, begin_totp, check_totp, recovery_codes, step_of, totp_secret,
};
use crate::status;
use apex_bus::access::{AccessChange, Swap};
use apex_domain::access::Totp;
use apex_proto::convert::access::{given, user_id};
use apex_proto::{Fields, v1};
use tonic::{Response, Status};

fn read(password: &str, code: &str) -> Result<String, Status> {
    let mut fields = Fields::new();
    let password = given(&mut fields, "password", password);
    if code.len() > 64 {
        fields.refuse("code", "must be six digits or a recovery code");
    }
    fields
        .finish(password)
        .map_err(|errors| status::invalid(&errors))
}

pub(super) async fn enable(
    access: &Access,
    caller: &Caller,
    asked: v1::EnableTotpRequest,
) -> Answer<v1::EnableTotpResponse> {
    let password = read(&asked.password, &asked.code)?;
    check_own(access, caller, password).await?;
    if asked.code.is_empty() {
        return begin(access, caller).await;
    }
    let (codes, hashes) = recovery_codes().map_err(|error| status::credentials_away(&error))?;
    change(access, || {
        let user = user_of(access, caller)?;
        if user.totp.is_some() {
            return Err(status::totp_is_on());
        }
        let begun = user.totp_begun.clone();
        let secret = begun.ok_or_else(|| status::not_set("second factor that was begun"))?;
        let step = step_of(&secret, &asked.code, access.store.now_ns());
        let last_step = step.ok_or_else(status::wrong_password)?;
        let after = user.changed(|user| {
            user.totp_begun = None;
            user.totp = Some(Totp {
                secret,
                last_step,
                recovery: hashes.clone(),
            });
        });
        Ok(Decision {
            changes: vec![AccessChange::User(Swap::replace((*user).clone(), after))],
            answer: (),
            is_general: false,
        })
    })
    .await?;
    Ok(Response::new(v1::EnableTotpResponse {
        recovery_codes: codes,
        ..Default::default()
    }))
}

async fn begin(access: &Access, caller: &Caller) -> Answer<v1::EnableTotpResponse> {
    let secret = begin_totp().map_err(|error| status::credentials_away(&error))?;
    change(access, || {
        let user = user_of(access, caller)?;
        if user.totp.is_some() {
            return Err(status::totp_is_on());
        }
        let after = user.changed(|user| user.totp_begun = Some(secret.clone()));
        Ok(Decision {
            changes: vec![AccessChange::User(Swap::replace((*user).clone(), after))],
            answer: (),
            is_general: false,
        })
    })
    .await?;
    let (secret, otpauth_url) = totp_secret(&caller.user_id, &secret);
    Ok(Response::new(v1::EnableTotpResponse {
        secret,
        otpauth_url,
        recovery_codes: Vec::new(),
    }))
}

pub(super) async fn disable(
    access: &Access,
    caller: &Caller,
    asked: v1::DisableTotpRequest,
) -> Answer<v1::DisableTotpResponse> {
    let is_own = asked.user_id.is_empty() || asked.user_id == caller.user_id;
    let of = if is_own {
        let password = read(&asked.password, &asked.code)?;
        check_own(access, caller, password).await?;
        caller.user_id.clone()
    } else {
        if caller.role != Role::Admin || caller.is_restricted {
            return Err(status::not_yours(
                "only an admin takes another user's factor off",
            ));
        }
        let mut fields = Fields::new();
        let user_id = user_id(&mut fields, &asked.user_id);
        fields
            .finish(user_id)
            .map_err(|errors| status::invalid(&errors))?
    };
    change(access, || {
        let user = access.store.user(&of).ok_or_else(status::user_not_found)?;
        let Some(totp) = &user.totp else {
            return Err(status::not_set("second factor"));
        };
        if is_own && check_totp(totp, &asked.code, access.store.now_ns()).is_none() {
            return Err(status::wrong_password());
        }
        let after = user.changed(|user| {
            user.totp = None;
            user.totp_begun = None;
        });
        Ok(Decision {
            changes: vec![AccessChange::User(Swap::replace((*user).clone(), after))],
            answer: (),
            is_general: false,
        })
    })
    .await?;
    Ok(Response::new(v1::DisableTotpResponse {}))
}
