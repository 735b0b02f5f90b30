//! API keys: made, listed, revoked.

use super::Answer;
use super::write::{Decision, once, request};
use crate::auth::{Access, Caller, Grants, RANDOM_BYTES, Role, new_key, random};
use crate::page;
use crate::status;
use apex_bus::access::{AccessChange, Swap};
use apex_domain::access::{ApiKey, User};
use apex_proto::convert::access::{CreateKey, given, read_create_key, write_key};
use apex_proto::convert::text;
use apex_proto::{Fields, v1};
use std::sync::Arc;
use tonic::{Response, Status};

/// Keys that are kept in memory, revoked ones too: some 500 bytes each.
const KEYS: usize = 10_000;

/// Refuses what would give more than the caller has: a key that is held to something could else make
/// one that is not.
fn check_right(caller: &Caller, of: &User, asked: &CreateKey) -> Result<(), Status> {
    if caller.is_restricted {
        return Err(status::not_yours(
            "this key is held to less than its user may: log in, or use a key without limits",
        ));
    }
    if of.user_id != caller.user_id && caller.role != Role::Admin {
        return Err(status::not_yours("only an admin makes keys of other users"));
    }
    if asked.role.is_some_and(|role| role.within(of.role) != role) {
        return Err(status::not_yours("the role is not one that this user has"));
    }
    let mut accounts = asked.accounts.iter().flatten();
    if accounts.any(|account| !of.grants.contains(account)) {
        return Err(status::not_yours("an account is not granted to this user"));
    }
    Ok(())
}

pub(super) async fn create(
    access: &Access,
    caller: &Caller,
    asked: &v1::CreateApiKeyRequest,
) -> Answer<v1::CreateApiKeyResponse> {
    let now = access.store.now_ns();
    // The time is one at which it was in order when it was first asked for: what was answered is looked
    // up by what was asked.
    let read = read_create_key(asked, now);
    let wanted = read.map_err(|errors| status::invalid(&errors))?;
    let random = random::<RANDOM_BYTES>().map_err(|error| status::credentials_away(&error))?;
    let request = request(
        caller,
        &wanted.request_id,
        "AuthService/CreateApiKey",
        asked,
    );
    let mut token = String::new();
    let (mut answer, is_new) = once(access, request, || {
        let owner = wanted.user_id.as_ref().unwrap_or(&caller.user_id);
        let user = access.store.user(owner);
        // Whether there is one is told to admins alone.
        let user = user.ok_or_else(|| match caller.role {
            Role::Admin => status::user_not_found(),
            _ => status::not_yours("only an admin makes keys of other users"),
        })?;
        check_right(caller, &user, &wanted)?;
        if access.store.keys().len() >= KEYS {
            return Err(status::too_many("keys", KEYS));
        }
        let role = wanted.role.unwrap_or(user.role);
        let grants = match &wanted.accounts {
            Some(accounts) => Grants::Only(accounts.clone()),
            // Later grants are its too.
            None => Grants::All,
        };
        let new = new_key(&random, &user.user_id, role, grants, now);
        let record = ApiKey {
            name: wanted.name.clone(),
            scopes: wanted.scopes.clone(),
            networks: wanted.networks.clone(),
            expires_ns: wanted.expires_ns,
            ..new.record
        };
        token = new.token;
        Ok(Decision {
            answer: v1::CreateApiKeyResponse {
                key: Some(write_key(&record)),
                // Kept nowhere: not in the answer that is kept either.
                token: String::new(),
            },
            changes: vec![AccessChange::Key(Swap::insert(record))],
            is_general: true,
        })
    })
    .await?;
    if is_new {
        answer.token = token;
    }
    Ok(Response::new(answer))
}

fn is_over(key: &ApiKey, now_ns: i64) -> bool {
    key.revoked_ns.is_some() || key.expires_ns.is_some_and(|end| now_ns >= end)
}

pub(super) fn list(
    access: &Access,
    caller: &Caller,
    asked: &v1::ListApiKeysRequest,
) -> Answer<v1::ListApiKeysResponse> {
    let size = page::size(asked.page_size)?;
    let is_admin = caller.role == Role::Admin;
    if !is_admin && !asked.user_id.is_empty() && asked.user_id != caller.user_id {
        return Err(status::not_yours("only an admin sees keys of other users"));
    }
    let of = match (&asked.user_id, is_admin) {
        (user_id, true) if user_id.is_empty() => None,
        (_, true) => Some(&asked.user_id),
        _ => Some(&caller.user_id),
    };
    let now = access.store.now_ns();
    let keys = access.store.keys();
    let mut found = keys
        .iter()
        .filter(|key| of.is_none_or(|of| *of == key.user_id))
        .filter(|key| asked.all || !is_over(key, now))
        .filter(|key| key.key_id > asked.page_token);
    let page: Vec<&Arc<ApiKey>> = found.by_ref().take(size).collect();
    let next = found.next().and(page.last());
    Ok(Response::new(v1::ListApiKeysResponse {
        next_page_token: next.map(|key| key.key_id.clone()).unwrap_or_default(),
        keys: page.into_iter().map(|key| write_key(key)).collect(),
    }))
}

pub(super) async fn revoke(
    access: &Access,
    caller: &Caller,
    asked: &v1::RevokeApiKeyRequest,
) -> Answer<v1::ApiKey> {
    let mut fields = Fields::new();
    let key_id = given(&mut fields, "key_id", &asked.key_id);
    let request_id = text::request_id(&mut fields, &asked.request_id);
    let (key_id, request_id) = fields
        .finish(key_id.zip(request_id))
        .map_err(|errors| status::invalid(&errors))?;
    let now = access.store.now_ns();
    let named = request_id.to_string();
    let request = request(caller, &named, "AuthService/RevokeApiKey", asked);
    let (answer, _) = once(access, request, || {
        let key = access.store.key(&key_id);
        let key = key.filter(|key| key.user_id == caller.user_id || caller.role == Role::Admin);
        let key = key.ok_or_else(status::key_not_found)?;
        let after = ApiKey {
            revoked_ns: key.revoked_ns.or(Some(now)),
            ..(*key).clone()
        };
        Ok(Decision {
            answer: write_key(&after),
            changes: vec![AccessChange::Key(Swap::replace((*key).clone(), after))],
            is_general: false,
        })
    })
    .await?;
    Ok(Response::new(answer))
}
