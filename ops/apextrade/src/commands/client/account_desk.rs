//! `apextrade accounts create` and `accounts reset`.

use super::{Gateway, fields, lists, print_json, request_id};
use crate::cli::{CreateAccountArgs, ResetAccountArgs};
use crate::commands::block_on;
use crate::config::Settings;
use anyhow::{Context, Result, bail};
use apex_proto::v1;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Makes an account.
///
/// Errors: cash that cannot be read, a gateway that does not answer, and a refusal.
pub fn create(args: CreateAccountArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::CreateAccountRequest {
        request_id: request_id(args.request)?,
        account_id: args.account,
        base_currency: args.base_currency.unwrap_or_default(),
        cash: cash(&args.cash)?,
        position_mode: lists::mode_of(args.position_mode).into(),
    };
    let client = args.client;
    let account = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.create_account(request)).await
    })?;
    show(account, client.json);
    Ok(ExitCode::SUCCESS)
}

/// Starts a paper account over.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn reset(args: ResetAccountArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::ResetPaperRequest {
        account_id: args.account,
        request_id: request_id(args.request)?,
    };
    let client = args.client;
    let account = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.reset_paper(request)).await
    })?;
    show(account, client.json);
    Ok(ExitCode::SUCCESS)
}

fn show(account: v1::Account, json: bool) {
    if json {
        print_json(&fields::account(&account));
    } else {
        lists::print_accounts(&[account]);
    }
}

fn cash(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let mut cash = BTreeMap::new();
    for text in texts {
        let pair = text.split_once('=');
        let (currency, amount) =
            pair.with_context(|| format!("--cash \"{text}\" has no '=': write it as USDT=100000"))?;
        if cash
            .insert(currency.to_owned(), amount.to_owned())
            .is_some()
        {
            bail!("--cash names {currency} twice: give each currency once");
        }
    }
    Ok(cash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cash_is_read_by_currency() {
        let read = cash(&["USDT=100".to_owned(), "USD=2.5".to_owned()]).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            read,
            BTreeMap::from([pair("USDT", "100"), pair("USD", "2.5")])
        );
        for (texts, expected) in [
            (vec!["USDT"], "has no '='"),
            (vec!["USDT=1", "USDT=2"], "names USDT twice"),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let error = cash(&texts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
