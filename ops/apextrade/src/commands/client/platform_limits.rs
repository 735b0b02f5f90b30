//! `apextrade risk limits platform`.

use super::limits::NONE;
use super::{Gateway, fields, print_json, request_id};
use crate::cli::{ClientArgs, PlatformAction, SetPlatformArgs};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Result, bail};
use apex_proto::v1;

/// Shows the exposure limit over all accounts, or changes it.
///
/// Errors: a limit without a currency, a gateway that does not answer, and a refusal.
pub fn run(action: PlatformAction, settings: &Settings) -> Result<()> {
    match action {
        PlatformAction::Get(client) => {
            let limits = block_on(async {
                let gateway = Gateway::open(&client, settings).await?;
                read(&gateway).await
            })?;
            print(&client, &limits);
        }
        PlatformAction::Set(args) => {
            let limits = block_on(set(&args, settings))?;
            print(&args.client, &limits);
            if !limits.in_force {
                crate::tell!(
                    "apextrade: an account has not answered yet: the limit is in force once `risk \
                     limits platform get` says so"
                );
            }
        }
    }
    Ok(())
}

async fn read(gateway: &Gateway) -> Result<v1::PlatformLimits> {
    let request = v1::GetPlatformLimitsRequest {};
    gateway
        .answer(gateway.risk().get_platform_limits(request))
        .await
}

/// A change by another caller in between is refused.
async fn set(args: &SetPlatformArgs, settings: &Settings) -> Result<v1::PlatformLimits> {
    let gateway = Gateway::open(&args.client, settings).await?;
    let before = read(&gateway).await?;
    let (max_exposure, currency) = wanted(args, &before)?;
    let request = v1::SetPlatformLimitsRequest {
        request_id: request_id(args.request.clone())?,
        max_exposure,
        currency,
        expected_sequence: before.sequence,
    };
    gateway
        .answer(gateway.risk().set_platform_limits(request))
        .await
}

/// Returns limit and currency as the wire has them.
fn wanted(args: &SetPlatformArgs, before: &v1::PlatformLimits) -> Result<(String, String)> {
    if args.max_exposure == NONE {
        return Ok((String::new(), String::new()));
    }
    let currency = args.currency.as_ref().unwrap_or(&before.currency).clone();
    if currency.is_empty() {
        bail!("there is no limit yet whose currency could stay: pass --currency, for example USDT");
    }
    Ok((args.max_exposure.clone(), currency))
}

fn print(client: &ClientArgs, limits: &v1::PlatformLimits) {
    if client.json {
        return print_json(&fields::platform_limits(limits));
    }
    let amount = |text: &str, none: &str| match text {
        "" => none.to_owned(),
        text => format!("{text} {}", limits.currency),
    };
    let rows = [
        ("max_exposure", amount(&limits.max_exposure, NONE)),
        ("handed_out", amount(&limits.handed_out, NONE)),
        ("in_force", limits.in_force.to_string()),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value.trim_end().to_owned()])
        .collect();
    table(&["LIMIT", "VALUE"], &rows);
    if limits.accounts.is_empty() || limits.max_exposure.is_empty() {
        return;
    }
    crate::say!("");
    let rows: Vec<Vec<String>> = limits
        .accounts
        .iter()
        .map(|account| {
            vec![
                account.account_id.clone(),
                amount(&account.share, "not confirmed"),
                amount(&account.exposure, "not known"),
                if account.away { "not run" } else { "" }.to_owned(),
            ]
        })
        .collect();
    table(&["ACCOUNT", "SHARE", "EXPOSURE", "STATE"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, LimitsAction, RiskAction};
    use clap::Parser;

    fn parse(words: &[&str]) -> SetPlatformArgs {
        let begin = ["apextrade", "risk", "limits", "platform", "set"];
        let parsed = Cli::try_parse_from(begin.iter().chain(words)).unwrap();
        match parsed.command {
            Command::Risk(args) => match args.action {
                RiskAction::Limits(limits) => match limits.action {
                    LimitsAction::Platform(args) => match args.action {
                        PlatformAction::Set(args) => args,
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_keeps_the_currency_that_it_has_unless_another_one_is_named() {
        let before = |currency: &str| v1::PlatformLimits {
            currency: currency.into(),
            ..Default::default()
        };
        for (words, known, expected) in [
            (&["--max-exposure", "5"][..], "USD", Some(("5", "USD"))),
            (
                &["--max-exposure", "5", "--currency", "EUR"],
                "USD",
                Some(("5", "EUR")),
            ),
            (&["--max-exposure", NONE], "USD", Some(("", ""))),
            (&["--max-exposure", "5"], "", None),
        ] {
            let found = wanted(&parse(words), &before(known)).ok();
            let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(found, expected, "{words:?} {known}");
        }
    }
}
