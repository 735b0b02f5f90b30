//! `apextrade token`.

use super::users::{accounts_text, role, role_text};
use super::{Gateway, fields, pages, print_json, request_id, say_cut};
use crate::cli::{
    CreateTokenArgs, ListTokensArgs, RevokeTokenArgs, ScopeArg, TokenAction, TokenArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result, bail};
use apex_proto::v1;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

/// Makes, lists and revokes API keys.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: TokenArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        TokenAction::Create(args) => create(args, settings),
        TokenAction::List(args) => list(&args, settings),
        TokenAction::Revoke(args) => revoke(args, settings),
    }
}

fn scope(scope: ScopeArg) -> v1::Scope {
    match scope {
        ScopeArg::Read => v1::Scope::Read,
        ScopeArg::Trade => v1::Scope::Trade,
        ScopeArg::Cancel => v1::Scope::Cancel,
        ScopeArg::Resolve => v1::Scope::Resolve,
        ScopeArg::Risk => v1::Scope::Risk,
        ScopeArg::Ops => v1::Scope::Ops,
        ScopeArg::Audit => v1::Scope::Audit,
        ScopeArg::Admin => v1::Scope::Admin,
    }
}

fn scope_text(scope: v1::Scope) -> String {
    let name = scope.as_str_name();
    name.strip_prefix("SCOPE_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

/// A new file that only its owner can read; made before the key is, so that no token is made that cannot
/// be kept.
fn private(path: &Path) -> Result<std::fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!(
                "cannot make {}: name a file that is not there yet",
                path.display()
            )
        })
}

fn create(args: CreateTokenArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::CreateApiKeyRequest {
        request_id: request_id(args.request)?,
        user_id: args.user.unwrap_or_default(),
        name: args.name,
        role: args.role.map_or(v1::Role::Unspecified, role).into(),
        scopes: args.scopes.iter().map(|it| scope(*it).into()).collect(),
        account_ids: args.accounts,
        networks: args.networks,
        expires_ns: args.expires.map_or(0, |it| it.0),
    };
    let file = args.out.as_deref().map(private).transpose()?;
    let made = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway.answer(gateway.auth().create_api_key(request)).await
    });
    let made = match (made, &args.out) {
        (Ok(made), _) => made,
        (Err(error), out) => {
            if let Some(path) = out {
                // Empty, and of no use to anybody.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    };
    let key = made.key.unwrap_or_default();
    if made.token.is_empty() {
        bail!(
            "this request made key {} before, and its token was shown then: revoke it and make another",
            key.key_id
        );
    }
    if let (Some(mut file), Some(path)) = (file, &args.out) {
        let written = file
            .write_all(format!("{}\n", made.token).as_bytes())
            .and_then(|()| file.sync_all());
        written.with_context(|| {
            let shown = path.display();
            format!(
                "cannot write {shown}: revoke key {} and make another",
                key.key_id
            )
        })?;
    }
    let is_kept = args.out.is_some();
    if args.client.json {
        let mut shown = json_of(&key);
        if !is_kept {
            shown["token"] = Value::from(made.token);
        }
        print_json(&shown);
    } else if is_kept {
        print(&[key]);
    } else {
        print(&[key]);
        crate::say!("token, shown this once: {}", made.token);
    }
    Ok(ExitCode::SUCCESS)
}

fn json_of(key: &v1::ApiKey) -> Value {
    let scopes: Vec<String> = key.scopes().map(scope_text).collect();
    json!({
        "key_id": key.key_id,
        "user_id": key.user_id,
        "name": key.name,
        "role": role_text(key.role()),
        "scopes": scopes,
        "all_accounts": key.all_accounts,
        "account_ids": key.account_ids,
        "networks": key.networks,
        "ts_created_ns": key.ts_created_ns,
        "expires_ns": key.expires_ns,
        "ts_revoked_ns": key.ts_revoked_ns,
    })
}

fn time(ns: i64) -> String {
    if ns == 0 {
        String::new()
    } else {
        fields::time(ns)
    }
}

fn print(keys: &[v1::ApiKey]) {
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            let scopes: Vec<String> = key.scopes().map(scope_text).collect();
            vec![
                key.key_id.clone(),
                key.user_id.clone(),
                key.name.clone(),
                role_text(key.role()),
                scopes.join(" "),
                accounts_text(key.all_accounts, &key.account_ids),
                key.networks.join(" "),
                time(key.expires_ns),
                time(key.ts_revoked_ns),
            ]
        })
        .collect();
    let headings = [
        "KEY", "USER", "NAME", "ROLE", "SCOPES", "ACCOUNTS", "NETWORKS", "EXPIRES", "REVOKED",
    ];
    table(&headings, &rows);
}

fn list(args: &ListTokensArgs, settings: &Settings) -> Result<ExitCode> {
    let (keys, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListApiKeysRequest {
                user_id: args.user.clone().unwrap_or_default(),
                all: args.all,
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.auth().list_api_keys(request))
                    .await?;
                Ok((answer.keys, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let keys: Vec<Value> = keys.iter().map(json_of).collect();
        print_json(&json!({ "keys": keys }));
    } else {
        print(&keys);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: RevokeTokenArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::RevokeApiKeyRequest {
        key_id: args.key_id,
        request_id: request_id(args.request)?,
    };
    let key = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway.answer(gateway.auth().revoke_api_key(request)).await
    })?;
    if args.client.json {
        print_json(&json_of(&key));
    } else {
        print(&[key]);
    }
    Ok(ExitCode::SUCCESS)
}
