//! Users, keys and what they may do.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::AccountId;
use apex_domain::access::{ApiKey, Grants, Role, Scope, User};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Accounts that one request names.
const ACCOUNTS: usize = 1_000;

/// Networks of one key.
const NETWORKS: usize = 32;

/// Characters of a password. Shorter ones are guessed; longer ones only cost time.
const PASSWORD: std::ops::RangeInclusive<usize> = 12..=128;

/// Characters of the name of a key.
const NAME: usize = 64;

pub fn write_role(role: Role) -> v1::Role {
    match role {
        Role::Viewer => v1::Role::Viewer,
        Role::Trader => v1::Role::Trader,
        Role::Risk => v1::Role::Risk,
        Role::Ops => v1::Role::Ops,
        Role::Admin => v1::Role::Admin,
    }
}

/// Reads a role where zero is none. The outer `None` is an error.
fn role_or_none(fields: &mut Fields, value: i32) -> Option<Option<Role>> {
    match v1::Role::try_from(value) {
        Ok(v1::Role::Unspecified) => Some(None),
        Ok(v1::Role::Viewer) => Some(Some(Role::Viewer)),
        Ok(v1::Role::Trader) => Some(Some(Role::Trader)),
        Ok(v1::Role::Risk) => Some(Some(Role::Risk)),
        Ok(v1::Role::Ops) => Some(Some(Role::Ops)),
        Ok(v1::Role::Admin) => Some(Some(Role::Admin)),
        Err(_) => {
            enums::unknown(fields, "role", value);
            None
        }
    }
}

fn role(fields: &mut Fields, value: i32) -> Option<Role> {
    let role = role_or_none(fields, value)?;
    if role.is_none() {
        enums::unknown(fields, "role", value);
    }
    role
}

fn write_scope(scope: Scope) -> v1::Scope {
    match scope {
        Scope::Read => v1::Scope::Read,
        Scope::Trade => v1::Scope::Trade,
        Scope::Cancel => v1::Scope::Cancel,
        Scope::Resolve => v1::Scope::Resolve,
        Scope::Risk => v1::Scope::Risk,
        Scope::Ops => v1::Scope::Ops,
        Scope::Audit => v1::Scope::Audit,
        Scope::Admin => v1::Scope::Admin,
    }
}

fn scopes(fields: &mut Fields, values: &[i32]) -> BTreeSet<Scope> {
    let mut found = BTreeSet::new();
    for (place, value) in values.iter().enumerate() {
        let known = Scope::ALL
            .into_iter()
            .find(|scope| write_scope(*scope) as i32 == *value);
        match known {
            Some(scope) => drop(found.insert(scope)),
            None => enums::unknown(fields, &format!("scopes[{place}]"), *value),
        }
    }
    found
}

fn accounts(fields: &mut Fields, ids: &[String]) -> BTreeSet<AccountId> {
    if ids.len() > ACCOUNTS {
        fields.refuse("account_ids", format!("at most {ACCOUNTS} in one request"));
        return BTreeSet::new();
    }
    let mut found = BTreeSet::new();
    for (place, id) in ids.iter().enumerate() {
        let field = format!("account_ids[{place}]");
        found.extend(text::required(fields, &field, id, AccountId::new));
    }
    found
}

fn networks(fields: &mut Fields, texts: &[String]) -> Vec<IpNet> {
    if texts.len() > NETWORKS {
        fields.refuse("networks", format!("at most {NETWORKS}"));
        return Vec::new();
    }
    let mut found = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let network = text
            .parse::<IpNet>()
            .map(|network| network.trunc())
            .or_else(|_| {
                text.parse::<IpAddr>()
                    .map(|it| IpNet::from(it.to_canonical()))
            });
        match network {
            Ok(network) => found.push(network),
            Err(_) => fields.refuse(
                &format!("networks[{place}]"),
                "must be an address or a network, such as 192.0.2.7 or 10.0.0.0/8",
            ),
        }
    }
    found
}

/// Reads the id of a user that must be there.
pub fn user_id(fields: &mut Fields, text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let problem = match text.len() {
        0 => "is required",
        1..=64 if text.chars().all(is_part) => return Some(text.to_owned()),
        _ => "must be 1 to 64 letters, digits, points, underscores and dashes",
    };
    fields.refuse("user_id", problem);
    None
}

/// Reads a new password.
pub fn new_password(fields: &mut Fields, field: &str, password: &str) -> Option<String> {
    if PASSWORD.contains(&password.chars().count()) {
        return Some(password.to_owned());
    }
    let (least, most) = (PASSWORD.start(), PASSWORD.end());
    fields.refuse(field, format!("must have {least} to {most} characters"));
    None
}

/// Reads a password, code or token that is to be compared with one that is kept.
pub fn given(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    let problem = match text.len() {
        0 => "is required",
        // Four bytes of each character.
        1..=512 => return Some(text.to_owned()),
        _ => "is longer than any that there is",
    };
    fields.refuse(field, problem);
    None
}

/// A key that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKey {
    pub request_id: String,
    /// `None` for the caller itself.
    pub user_id: Option<String>,
    pub name: String,
    pub role: Option<Role>,
    pub scopes: BTreeSet<Scope>,
    /// `None` for those of its user.
    pub accounts: Option<BTreeSet<AccountId>>,
    pub networks: Vec<IpNet>,
    pub expires_ns: Option<i64>,
}

/// Reads it, at `now_ns`.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_create_key(
    request: &v1::CreateApiKeyRequest,
    now_ns: i64,
) -> Result<CreateKey, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let request_id = text::request_id(f, &request.request_id);
    let user = if request.user_id.is_empty() {
        Some(None)
    } else {
        user_id(f, &request.user_id).map(Some)
    };
    let name = text::free(f, "name", &request.name);
    if request.name.chars().count() > NAME {
        f.refuse("name", format!("at most {NAME} characters"));
    }
    let role = role_or_none(f, request.role);
    let scopes = scopes(f, &request.scopes);
    let accounts = accounts(f, &request.account_ids);
    let networks = networks(f, &request.networks);
    let expires_ns = match request.expires_ns {
        0 => None,
        at if at <= now_ns => {
            f.refuse("expires_ns", "must be in the future, or 0 for never");
            None
        }
        at => Some(at),
    };
    let key = request_id.zip(user).zip(name).zip(role);
    let key = key.map(|(((request_id, user_id), name), role)| CreateKey {
        request_id: request_id.to_string(),
        user_id,
        name,
        role,
        scopes,
        accounts: (!request.account_ids.is_empty()).then_some(accounts),
        networks,
        expires_ns,
    });
    fields.finish(key)
}

/// A user that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUser {
    pub request_id: String,
    pub user_id: String,
    pub role: Role,
    pub password: Option<String>,
    pub grants: Grants,
}

/// Reads it.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_create_user(request: &v1::CreateUserRequest) -> Result<CreateUser, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let request_id = text::request_id(f, &request.request_id);
    let user_id = user_id(f, &request.user_id);
    let role = role(f, request.role);
    let password = if request.password.is_empty() {
        Some(None)
    } else {
        new_password(f, "password", &request.password).map(Some)
    };
    let accounts = accounts(f, &request.account_ids);
    if request.all_accounts && !request.account_ids.is_empty() {
        f.refuse("account_ids", "must be empty with all_accounts");
    }
    let user = request_id.zip(user_id).zip(role).zip(password);
    let user = user.map(|(((request_id, user_id), role), password)| CreateUser {
        request_id: request_id.to_string(),
        user_id,
        role,
        password,
        grants: if request.all_accounts {
            Grants::All
        } else {
            Grants::Only(accounts)
        },
    });
    fields.finish(user)
}

/// Whom a change of a user is about, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfUser {
    pub user_id: String,
    pub request_id: String,
    /// The version that was seen.
    pub expected: Option<u64>,
}

fn of_user(f: &mut Fields, user: &str, request: &str, expected: u64) -> Option<OfUser> {
    let user_id = user_id(f, user);
    let request_id = text::request_id(f, request);
    let both = user_id.zip(request_id);
    both.map(|(user_id, request_id)| OfUser {
        user_id,
        request_id: request_id.to_string(),
        expected: (expected != 0).then_some(expected),
    })
}

/// Reads a change of a role.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_set_role(request: &v1::SetUserRoleRequest) -> Result<(OfUser, Role), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let of = of_user(
        f,
        &request.user_id,
        &request.request_id,
        request.expected_version,
    );
    let role = role(f, request.role);
    fields.finish(of.zip(role))
}

/// What is granted, or no longer granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granting {
    All,
    None,
    Add(BTreeSet<AccountId>),
    Remove(BTreeSet<AccountId>),
}

/// Reads a change of grants.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_grant(request: &v1::GrantAccountRequest) -> Result<(OfUser, Granting), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let of = of_user(
        f,
        &request.user_id,
        &request.request_id,
        request.expected_version,
    );
    let accounts = accounts(f, &request.account_ids);
    if request.all_accounts != request.account_ids.is_empty() {
        f.refuse(
            "account_ids",
            "name some, or set all_accounts, and not both",
        );
    }
    let granting = match (request.all_accounts, request.revoke) {
        (true, false) => Granting::All,
        (true, true) => Granting::None,
        (false, false) => Granting::Add(accounts),
        (false, true) => Granting::Remove(accounts),
    };
    fields.finish(of.map(|of| (of, granting)))
}

/// Reads whom to disable or let in again.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_disable(request: &v1::DisableUserRequest) -> Result<OfUser, FieldErrors> {
    let mut fields = Fields::new();
    let expected = request.expected_version;
    let of = of_user(&mut fields, &request.user_id, &request.request_id, expected);
    fields.finish(of)
}

/// Reads whose password is set to what.
///
/// # Errors
/// Every field that cannot be taken.
pub fn read_reset(request: &v1::ResetPasswordRequest) -> Result<(OfUser, String), FieldErrors> {
    let mut fields = Fields::new();
    let of = of_user(&mut fields, &request.user_id, &request.request_id, 0);
    let password = new_password(&mut fields, "password", &request.password);
    fields.finish(of.zip(password))
}

fn write_grants(grants: &Grants) -> (bool, Vec<String>) {
    match grants {
        Grants::All => (true, Vec::new()),
        Grants::Only(accounts) => (false, accounts.iter().map(ToString::to_string).collect()),
    }
}

pub fn write_user(user: &User, sessions: usize) -> v1::User {
    let (all_accounts, account_ids) = write_grants(&user.grants);
    v1::User {
        user_id: user.user_id.clone(),
        role: write_role(user.role).into(),
        disabled: user.disabled,
        all_accounts,
        account_ids,
        has_password: user.password.is_some(),
        must_change_password: user.must_change,
        totp: user.totp.is_some(),
        ts_created_ns: user.created_ns,
        version: user.version,
        sessions: i32::try_from(sessions).unwrap_or(i32::MAX),
    }
}

pub fn write_key(key: &ApiKey) -> v1::ApiKey {
    let (all_accounts, account_ids) = write_grants(&key.grants);
    v1::ApiKey {
        key_id: key.key_id.clone(),
        user_id: key.user_id.clone(),
        name: key.name.clone(),
        role: write_role(key.role).into(),
        scopes: key
            .scopes
            .iter()
            .map(|it| write_scope(*it) as i32)
            .collect(),
        all_accounts,
        account_ids,
        networks: key.networks.iter().map(ToString::to_string).collect(),
        ts_created_ns: key.created_ns,
        expires_ns: key.expires_ns.unwrap_or(0),
        ts_revoked_ns: key.revoked_ns.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_a_key_is_named() {
        let request = v1::CreateApiKeyRequest {
            request_id: "a b".to_owned(),
            user_id: "ann!".to_owned(),
            name: "x".repeat(65),
            role: 77,
            scopes: vec![1, 0, 99],
            account_ids: vec!["paper".to_owned(), "a b".to_owned()],
            networks: vec!["10.0.0.0/8".to_owned(), "10.0.0.0/33".to_owned()],
            expires_ns: 5,
        };
        let errors = read_create_key(&request, 5).unwrap_err();
        let fields: Vec<&str> = errors.errors().iter().map(|it| it.field.as_str()).collect();
        let expected = [
            "request_id",
            "user_id",
            "name",
            "role",
            "scopes[1]",
            "scopes[2]",
            "account_ids[1]",
            "networks[1]",
            "expires_ns",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_network_is_an_address_or_a_range() {
        let request = v1::CreateApiKeyRequest {
            request_id: "r".to_owned(),
            networks: vec![
                "10.1.2.3/8".to_owned(),
                "192.0.2.7".to_owned(),
                "::1".to_owned(),
            ],
            ..Default::default()
        };
        let key = read_create_key(&request, 0).unwrap();
        let texts: Vec<String> = key.networks.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.0/8", "192.0.2.7/32", "::1/128"]);
        assert_eq!((key.role, key.accounts, key.expires_ns), (None, None, None));
    }

    #[test]
    fn a_user_has_a_name_a_role_and_a_long_password() {
        let request = |user_id: &str, password: &str| v1::CreateUserRequest {
            request_id: "r".to_owned(),
            user_id: user_id.to_owned(),
            role: v1::Role::Trader.into(),
            password: password.to_owned(),
            ..Default::default()
        };
        assert!(
            read_create_user(&request("ann", ""))
                .unwrap()
                .password
                .is_none()
        );
        assert!(read_create_user(&request("ann", "twelve chars")).is_ok());
        assert!(read_create_user(&request("ann", "eleven char")).is_err());
        assert!(read_create_user(&request("ann", &"ä".repeat(128))).is_ok());
        assert!(read_create_user(&request("ann", &"ä".repeat(129))).is_err());
        for name in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
            assert!(read_create_user(&request(name, "")).is_err(), "{name}");
        }
    }

    #[test]
    fn grants_are_all_or_named() {
        let request = |ids: &[&str], all_accounts, revoke| v1::GrantAccountRequest {
            user_id: "ann".to_owned(),
            request_id: "r".to_owned(),
            account_ids: ids.iter().map(ToString::to_string).collect(),
            all_accounts,
            revoke,
            expected_version: 0,
        };
        let read = |ids: &[&str], all, revoke| read_grant(&request(ids, all, revoke));
        assert!(read(&[], false, false).is_err());
        assert!(read(&["a"], true, false).is_err());
        assert_eq!(read(&[], true, false).unwrap().1, Granting::All);
        assert_eq!(read(&[], true, true).unwrap().1, Granting::None);
        let one: BTreeSet<AccountId> = [AccountId::new("a").unwrap()].into();
        assert_eq!(
            read(&["a"], false, false).unwrap().1,
            Granting::Add(one.clone())
        );
        assert_eq!(read(&["a"], false, true).unwrap().1, Granting::Remove(one));
    }
}
