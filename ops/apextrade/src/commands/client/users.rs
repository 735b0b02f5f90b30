//! `apextrade user`.

use super::{Gateway, Link, pages, print_json, request_id, say_cut};
use crate::cli::{
    AddUserArgs, ClientArgs, GrantArgs, ListUsersArgs, NamedUserArgs, RoleArg, UserAction,
    UserArgs, UserPasswordArgs, UserRoleArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result, bail};
use apex_proto::v1;
use apex_proto::v1::auth_service_client::AuthServiceClient;
use serde_json::{Value, json};
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use tonic::{Response, Status};

/// A password is at most 128 characters; a longer file is another one.
const PASSWORD_FILE: u64 = 4 << 10;

/// Lists and changes users.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: UserArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        UserAction::List(args) => list(&args, settings),
        UserAction::Add(args) => add(args, settings),
        UserAction::Role(args) => set_role(args, settings),
        UserAction::Grant(args) => grant(args, false, settings),
        UserAction::Revoke(args) => grant(args, true, settings),
        UserAction::Disable(args) => disable(args, false, settings),
        UserAction::Enable(args) => disable(args, true, settings),
        UserAction::Password(args) => password_of(args, settings),
        UserAction::TotpOff(args) => totp_off(args, settings),
    }
}

pub(super) fn role(role: RoleArg) -> v1::Role {
    match role {
        RoleArg::Viewer => v1::Role::Viewer,
        RoleArg::Trader => v1::Role::Trader,
        RoleArg::Risk => v1::Role::Risk,
        RoleArg::Ops => v1::Role::Ops,
        RoleArg::Admin => v1::Role::Admin,
    }
}

/// Returns a role as it is written on the command line.
pub(super) fn role_text(role: v1::Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix("ROLE_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

pub(super) fn accounts_text(all: bool, ids: &[String]) -> String {
    if all { "all".to_owned() } else { ids.join(" ") }
}

/// Reads a password without its line end; never from the command line, which every process can see.
fn password(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        let read = std::io::stdin().lock().take(PASSWORD_FILE);
        std::io::BufReader::new(read)
            .read_to_string(&mut text)
            .context("cannot read the password from standard input")?;
    } else {
        let shown = path.display();
        let file = std::fs::File::open(path).with_context(|| {
            format!("cannot read the password at {shown}: pass --password-file")
        })?;
        file.take(PASSWORD_FILE)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read the password at {shown}"))?;
    }
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("the password is empty: put it into the file that --password-file names");
    }
    Ok(password.to_owned())
}

fn json_of(user: &v1::User) -> Value {
    json!({
        "user_id": user.user_id,
        "role": role_text(user.role()),
        "disabled": user.disabled,
        "all_accounts": user.all_accounts,
        "account_ids": user.account_ids,
        "has_password": user.has_password,
        "must_change_password": user.must_change_password,
        "totp": user.totp,
        "ts_created_ns": user.ts_created_ns,
        "version": user.version,
        "sessions": user.sessions,
    })
}

fn print(users: &[v1::User]) {
    let rows: Vec<Vec<String>> = users
        .iter()
        .map(|user| {
            let state = match (user.disabled, user.must_change_password, user.has_password) {
                (true, _, _) => "disabled",
                (false, true, _) => "has to change its password",
                (false, false, true) => "logs in",
                (false, false, false) => "keys only",
            };
            vec![
                user.user_id.clone(),
                role_text(user.role()),
                accounts_text(user.all_accounts, &user.account_ids),
                state.to_owned(),
                if user.totp { "on" } else { "off" }.to_owned(),
                user.sessions.to_string(),
            ]
        })
        .collect();
    let headings = ["USER", "ROLE", "ACCOUNTS", "STATE", "TOTP", "SESSIONS"];
    table(&headings, &rows);
}

fn list(args: &ListUsersArgs, settings: &Settings) -> Result<ExitCode> {
    let (users, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListUsersRequest {
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let answer = gateway.answer(gateway.auth().list_users(request)).await?;
                Ok((answer.users, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let users: Vec<Value> = users.iter().map(json_of).collect();
        print_json(&json!({ "users": users }));
    } else {
        print(&users);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

/// Changes a user and shows what it is now.
fn change<F>(
    client: &ClientArgs,
    settings: &Settings,
    call: impl FnOnce(AuthServiceClient<Link>) -> F,
) -> Result<ExitCode>
where
    F: Future<Output = Result<Response<v1::User>, Status>>,
{
    let user = block_on(async {
        let gateway = Gateway::open(client, settings).await?;
        gateway.answer(call(gateway.auth())).await
    })?;
    if client.json {
        print_json(&json_of(&user));
    } else {
        print(&[user]);
    }
    Ok(ExitCode::SUCCESS)
}

fn add(args: AddUserArgs, settings: &Settings) -> Result<ExitCode> {
    let password = args.password_file.as_deref().map(password).transpose()?;
    let request = v1::CreateUserRequest {
        request_id: request_id(args.request)?,
        user_id: args.user,
        role: role(args.role).into(),
        password: password.unwrap_or_default(),
        all_accounts: args.all_accounts,
        account_ids: args.accounts,
    };
    change(&args.client, settings, |mut auth| async move {
        auth.create_user(request).await
    })
}

fn set_role(args: UserRoleArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::SetUserRoleRequest {
        user_id: args.of.user,
        role: role(args.role).into(),
        request_id: request_id(args.of.request)?,
        expected_version: 0,
    };
    change(&args.of.client, settings, |mut auth| async move {
        auth.set_user_role(request).await
    })
}

fn grant(args: GrantArgs, revoke: bool, settings: &Settings) -> Result<ExitCode> {
    let request = v1::GrantAccountRequest {
        user_id: args.of.user,
        account_ids: args.accounts,
        revoke,
        all_accounts: args.all_accounts,
        request_id: request_id(args.of.request)?,
        expected_version: 0,
    };
    change(&args.of.client, settings, |mut auth| async move {
        auth.grant_account(request).await
    })
}

fn disable(args: NamedUserArgs, enable: bool, settings: &Settings) -> Result<ExitCode> {
    let request = v1::DisableUserRequest {
        user_id: args.user,
        enable,
        request_id: request_id(args.request)?,
        expected_version: 0,
    };
    change(&args.client, settings, |mut auth| async move {
        auth.disable_user(request).await
    })
}

fn password_of(args: UserPasswordArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::ResetPasswordRequest {
        user_id: args.of.user,
        password: password(&args.password_file)?,
        request_id: request_id(args.of.request)?,
    };
    change(&args.of.client, settings, |mut auth| async move {
        auth.reset_password(request).await
    })
}

fn totp_off(args: NamedUserArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::DisableTotpRequest {
        user_id: args.user.clone(),
        ..Default::default()
    };
    block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway.answer(gateway.auth().disable_totp(request)).await
    })?;
    if args.client.json {
        print_json(&json!({ "user_id": args.user, "totp": false }));
    } else {
        crate::say!("the second factor of {} is off", args.user);
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_without_its_line_end_and_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, " with spaces \r\n").unwrap();
        assert_eq!(password(&path).unwrap(), " with spaces ");
        std::fs::write(&path, "\n").unwrap();
        assert!(
            password(&path)
                .unwrap_err()
                .to_string()
                .contains("is empty")
        );
        let missing = password(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("--password-file"), "{missing}");
    }

    #[test]
    fn roles_are_written_as_they_are_read() {
        assert_eq!(role_text(role(RoleArg::Trader)), "trader");
        assert_eq!(accounts_text(true, &[]), "all");
        assert_eq!(
            accounts_text(false, &["a".to_owned(), "b".to_owned()]),
            "a b"
        );
    }
}
