//! Users: made, listed, changed.

use super::Answer;
use super::write::{Decision, check_free, once, request};
use crate::auth::{Access, Caller, Grants};
use crate::page;
use crate::status;
use apex_bus::access::{AccessChange, Swap};
use apex_domain::access::User;
use apex_proto::convert::access::{
    Granting, OfUser, read_create_user, read_disable, read_grant, read_set_role, write_user,
};
use apex_proto::v1;
use prost::Message;
use std::sync::Arc;
use tonic::{Response, Status};

/// Users that are kept in memory, disabled ones too: some kilobytes each with their grants.
const USERS: usize = 10_000;

fn shown(access: &Access, user: &User) -> v1::User {
    let now = access.store.now_ns();
    let sessions = access.store.sessions(&user.user_id);
    let open = sessions.iter().filter(|it| it.is_live(user, now)).count();
    write_user(user, open)
}

pub(super) async fn create(
    access: &Access,
    caller: &Caller,
    asked: &v1::CreateUserRequest,
) -> Answer<v1::User> {
    check_free(caller)?;
    let wanted = read_create_user(asked).map_err(|errors| status::invalid(&errors))?;
    let password = match wanted.password {
        Some(password) => {
            let hashed = access.passwords.hash(password).await;
            Some(hashed.map_err(status::password)?)
        }
        None => None,
    };
    let content = v1::CreateUserRequest {
        password: String::new(),
        ..asked.clone()
    };
    let request = request(
        caller,
        &wanted.request_id,
        "AuthService/CreateUser",
        &content,
    );
    let now = access.store.now_ns();
    let (user, _) = once(access, request, || {
        let users = access.store.users();
        if users.len() >= USERS {
            return Err(status::too_many("users", USERS));
        }
        let name = &wanted.user_id;
        if users.iter().any(|it| it.user_id.eq_ignore_ascii_case(name)) {
            return Err(status::user_exists(name));
        }
        let mut user = User::new(name, wanted.role, wanted.grants.clone(), now);
        user.must_change = password.is_some();
        user.password = password.clone();
        Ok(Decision {
            answer: write_user(&user, 0),
            changes: vec![AccessChange::User(Swap::insert(user))],
            is_general: true,
        })
    })
    .await?;
    Ok(Response::new(user))
}

pub(super) fn list(access: &Access, asked: &v1::ListUsersRequest) -> Answer<v1::ListUsersResponse> {
    let size = page::size(asked.page_size)?;
    let users = access.store.users();
    let mut behind = users.iter().filter(|it| it.user_id > asked.page_token);
    let page: Vec<&Arc<User>> = behind.by_ref().take(size).collect();
    let next = behind.next().and(page.last());
    Ok(Response::new(v1::ListUsersResponse {
        next_page_token: next.map(|it| it.user_id.clone()).unwrap_or_default(),
        users: page.into_iter().map(|it| shown(access, it)).collect(),
    }))
}

/// Changes a user, once, and keeps an admin.
async fn change(
    access: &Access,
    caller: &Caller,
    of: &OfUser,
    method: &'static str,
    content: &impl Message,
    change: impl Fn(&mut User) -> Result<(), Status>,
) -> Answer<v1::User> {
    check_free(caller)?;
    let request = request(caller, &of.request_id, method, content);
    let (user, _) = once(access, request, || {
        let user = access
            .store
            .user(&of.user_id)
            .ok_or_else(status::user_not_found)?;
        if let Some(expected) = of.expected.filter(|it| *it != user.version) {
            return Err(status::stale_version(expected, user.version));
        }
        let mut outcome = Ok(());
        let after = user.changed(|user| outcome = change(user));
        outcome?;
        keep_an_admin(access, &user, &after)?;
        Ok(Decision {
            answer: shown(access, &after),
            changes: vec![AccessChange::User(Swap::replace((*user).clone(), after))],
            is_general: true,
        })
    })
    .await?;
    Ok(Response::new(user))
}

fn keep_an_admin(access: &Access, before: &User, after: &User) -> Result<(), Status> {
    if !before.is_admin() || after.is_admin() {
        return Ok(());
    }
    let users = access.store.users();
    let mut others = users.iter().filter(|it| it.user_id != before.user_id);
    if others.any(|it| it.is_admin()) {
        Ok(())
    } else {
        Err(status::last_admin())
    }
}

pub(super) async fn set_role(
    access: &Access,
    caller: &Caller,
    asked: &v1::SetUserRoleRequest,
) -> Answer<v1::User> {
    let (of, role) = read_set_role(asked).map_err(|errors| status::invalid(&errors))?;
    let method = "AuthService/SetUserRole";
    change(access, caller, &of, method, asked, |user| {
        user.role = role;
        Ok(())
    })
    .await
}

pub(super) async fn grant(
    access: &Access,
    caller: &Caller,
    asked: &v1::GrantAccountRequest,
) -> Answer<v1::User> {
    let (of, granting) = read_grant(asked).map_err(|errors| status::invalid(&errors))?;
    let method = "AuthService/GrantAccount";
    change(access, caller, &of, method, asked, |user| {
        let of = match (&granting, &user.grants) {
            (Granting::All, _) => Grants::All,
            (Granting::None, _) => Grants::Only([].into()),
            // Who has all of them has these.
            (Granting::Add(_), Grants::All) => Grants::All,
            // One of all cannot be taken away without naming the rest.
            (Granting::Remove(_), Grants::All) => return Err(status::has_all_accounts()),
            (Granting::Add(more), Grants::Only(known)) => {
                Grants::Only(known.union(more).cloned().collect())
            }
            (Granting::Remove(less), Grants::Only(known)) => {
                Grants::Only(known.difference(less).cloned().collect())
            }
        };
        user.grants = of;
        Ok(())
    })
    .await
}

pub(super) async fn disable(
    access: &Access,
    caller: &Caller,
    asked: &v1::DisableUserRequest,
) -> Answer<v1::User> {
    let of = read_disable(asked).map_err(|errors| status::invalid(&errors))?;
    let method = "AuthService/DisableUser";
    change(access, caller, &of, method, asked, |user| {
        user.disabled = !asked.enable;
        // Let in again, it logs in again.
        user.end_sessions();
        Ok(())
    })
    .await
}
