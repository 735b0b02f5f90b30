//! `apextrade risk limits`.

use super::{Gateway, fields, platform_limits, print_json, request_id};
use crate::cli::{AccountArgs, ClientArgs, LimitsAction, LossActionArg, SetLimitsArgs};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result, anyhow, bail};
use apex_domain::InstrumentId;
use apex_domain::id::IdError;
use apex_proto::v1;
use std::collections::BTreeMap;
use tonic::{Response, Status};
use tonic_types::StatusExt;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Takes a limit away.
pub const NONE: &str = "none";

/// Shows the limits, or changes some of them.
///
/// Errors: a flag that is no number, a gateway that does not answer, and a refusal.
pub fn run(action: LimitsAction, settings: &Settings) -> Result<()> {
    match action {
        LimitsAction::Get(args) => {
            let limits = block_on(async {
                let gateway = Gateway::open(&args.client, settings).await?;
                read(&gateway, &args).await
            })?;
            print(&args.client, &limits);
        }
        LimitsAction::Set(args) => {
            if !names_a_limit(&args) {
                bail!(
                    "no limit is named, so nothing would change: name one, such as \
                     --max-open-orders 50; `apextrade risk limits set --help` lists them"
                );
            }
            let limits = block_on(set(&args, settings))?;
            print(&args.account.client, &limits);
        }
        LimitsAction::Platform(args) => platform_limits::run(args.action, settings)?,
    }
    Ok(())
}

fn names_a_limit(args: &SetLimitsArgs) -> bool {
    let texts = [
        &args.max_order_notional,
        &args.max_position_notional,
        &args.max_open_orders,
        &args.max_orders_per_second,
        &args.price_collar,
        &args.max_reference_age_ms,
        &args.max_strategy_exposure,
        &args.max_account_exposure,
        &args.max_concentration,
        &args.max_daily_loss,
        &args.max_drawdown,
        &args.max_rate_age_ms,
    ];
    let switches = [
        args.check_buying_power,
        args.allow_short_spot,
        args.prevent_self_trade,
    ];
    let bounds = [&args.instrument_exposure, &args.strategy_exposure];
    texts.into_iter().any(Option::is_some)
        || switches.into_iter().any(|switch| switch.is_some())
        || bounds.into_iter().any(|bounds| !bounds.is_empty())
        || args.loss_action.is_some()
}

async fn read(gateway: &Gateway, args: &AccountArgs) -> Result<v1::Limits> {
    let request = v1::GetLimitsRequest {
        account_id: args.account.clone(),
    };
    gateway.answer(gateway.risk().get_limits(request)).await
}

/// All limits are replaced by one call, so those that are not named are read first; a change by
/// another caller in between is refused.
async fn set(args: &SetLimitsArgs, settings: &Settings) -> Result<v1::Limits> {
    let gateway = Gateway::open(&args.account.client, settings).await?;
    let before = read(&gateway, &args.account).await?;
    let request = v1::SetLimitsRequest {
        account_id: args.account.account.clone(),
        request_id: request_id(args.request.clone())?,
        expected_sequence: before.sequence,
        limits: Some(changed(args, before)?),
    };
    let limits = gateway.answer(gateway.risk().set_limits(request)).await?;
    for pair in &args.strategy_exposure {
        // Checked when the limits were made.
        if let Some((strategy_id, bound)) = pair.rsplit_once('=')
            && bound != NONE
        {
            say_if_unknown(&gateway, &args.account.account, strategy_id).await?;
        }
    }
    Ok(limits)
}

/// A bound may be set before its strategy runs for the first time, so an unknown name is no error;
/// a mistyped one would bound nothing, so it is told.
async fn say_if_unknown(gateway: &Gateway, account: &str, strategy_id: &str) -> Result<()> {
    let request = v1::ListOrdersRequest {
        account_id: account.to_owned(),
        strategy_id: strategy_id.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let mut orders = gateway.orders();
    let listed = async {
        match orders.list_orders(request).await {
            Err(status) if is_unknown_strategy(&status) => {
                Ok(Response::new(v1::ListOrdersResponse::default()))
            }
            answer => answer,
        }
    };
    let own: v1::ListOrdersResponse = gateway.answer(listed).await?;
    if own.orders.is_empty() {
        crate::tell!(
            "strategy \"{strategy_id}\" has no order in account \"{account}\" yet: the bound \
             holds from its first one; where the name is mistyped, take it away with \
             --strategy-exposure {strategy_id}={NONE}"
        );
    }
    Ok(())
}

/// A gateway says so of a strategy that it has not heard of.
fn is_unknown_strategy(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.reason == "STRATEGY_NOT_FOUND")
}

fn changed(args: &SetLimitsArgs, mut limits: v1::Limits) -> Result<v1::Limits> {
    for (asked, limit) in [
        (&args.max_order_notional, &mut limits.max_order_notional),
        (
            &args.max_position_notional,
            &mut limits.max_position_notional,
        ),
        (&args.price_collar, &mut limits.price_collar),
        (
            &args.max_strategy_exposure,
            &mut limits.max_strategy_exposure,
        ),
        (&args.max_account_exposure, &mut limits.max_account_exposure),
        (&args.max_concentration, &mut limits.max_concentration),
        (&args.max_daily_loss, &mut limits.max_daily_loss),
        (&args.max_drawdown, &mut limits.max_drawdown),
    ] {
        if let Some(asked) = asked {
            *limit = decimal(asked).to_owned();
        }
    }
    for (flag, asked, limit) in [
        (
            "--max-open-orders",
            &args.max_open_orders,
            &mut limits.max_open_orders,
        ),
        (
            "--max-orders-per-second",
            &args.max_orders_per_second,
            &mut limits.max_orders_per_second,
        ),
    ] {
        if let Some(asked) = asked {
            *limit = number(flag, asked)?;
        }
    }
    for (flag, asked, limit) in [
        (
            "--max-reference-age-ms",
            &args.max_reference_age_ms,
            &mut limits.max_reference_age_ns,
        ),
        (
            "--max-rate-age-ms",
            &args.max_rate_age_ms,
            &mut limits.max_rate_age_ns,
        ),
    ] {
        if let Some(asked) = asked {
            let milliseconds: Option<i64> = number(flag, asked)?;
            let nanoseconds = milliseconds.map(|ms| ms.checked_mul(NANOS_PER_MILLI));
            *limit = match nanoseconds {
                Some(None) => return Err(anyhow!("{flag} \"{asked}\" is too large")),
                other => other.flatten(),
            };
        }
    }
    for (asked, limit) in [
        (args.check_buying_power, &mut limits.check_buying_power),
        (args.allow_short_spot, &mut limits.allow_short_spot),
        (args.prevent_self_trade, &mut limits.prevent_self_trade),
    ] {
        *limit = asked.unwrap_or(*limit);
    }
    if let Some(action) = args.loss_action {
        limits.loss_action = match action {
            LossActionArg::Halt => v1::LossAction::Halt.into(),
            LossActionArg::Reduce => v1::LossAction::Reduce.into(),
        };
    }
    // As everywhere, a bare symbol means the one at `SIM`.
    let instrument = |id: &str| InstrumentId::in_command(id).map(|id| id.to_string());
    let asked = &args.instrument_exposure;
    bounds(asked, &mut limits.instrument_exposure, instrument)?;
    let strategy = |id: &str| Ok(id.to_owned());
    let asked = &args.strategy_exposure;
    bounds(asked, &mut limits.strategy_exposure, strategy)?;
    Ok(limits)
}

/// On the wire a limit that is empty is none.
fn decimal(text: &str) -> &str {
    if text == NONE { "" } else { text }
}

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    if text == NONE {
        return Ok(None);
    }
    let read = text.parse().map(Some);
    read.with_context(|| format!("{flag} \"{}\" is no whole number", text.escape_debug()))
}

/// Sets or removes bounds by id. `named` gives the id that a text means.
fn bounds(
    asked: &[String],
    bounds: &mut BTreeMap<String, String>,
    named: impl Fn(&str) -> Result<String, IdError>,
) -> Result<()> {
    for pair in asked {
        let (id, bound) = pair
            .rsplit_once('=')
            .ok_or_else(|| anyhow!("\"{}\" is not ID=D", pair.escape_debug()))?;
        let id = named(id).with_context(|| format!("\"{}\"", pair.escape_debug()))?;
        if bound != NONE {
            bounds.insert(id, bound.to_owned());
        } else if bounds.remove(&id).is_none() {
            return Err(anyhow!("there is no exposure limit of {id} to take away"));
        }
    }
    Ok(())
}

fn print(client: &ClientArgs, limits: &v1::Limits) {
    if client.json {
        print_json(&fields::limits(limits));
    } else {
        print_limits(limits);
    }
}

pub fn print_limits(limits: &v1::Limits) {
    let value = fields::limits(limits);
    let names = value.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = names
        .filter(|(name, _)| !matches!(name.as_str(), "account_id" | "sequence"))
        .map(|(name, value)| vec![name.clone(), shown(value)])
        .collect();
    table(&["LIMIT", "VALUE"], &rows);
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => NONE.to_owned(),
        serde_json::Value::String(text) if text.is_empty() => NONE.to_owned(),
        serde_json::Value::String(text) => fields::word(text, "LOSS_ACTION_"),
        serde_json::Value::Object(bounds) if bounds.is_empty() => NONE.to_owned(),
        serde_json::Value::Object(bounds) => {
            let words: Vec<String> = bounds
                .iter()
                .map(|(id, bound)| format!("{id}={}", bound.as_str().unwrap_or_default()))
                .collect();
            words.join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, RiskAction};
    use clap::Parser;

    fn parse(words: &[&str]) -> SetLimitsArgs {
        let words = ["apextrade", "risk", "limits", "set"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Risk(args) => match args.action {
                RiskAction::Limits(limits) => match limits.action {
                    LimitsAction::Set(args) => *args,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn before() -> v1::Limits {
        v1::Limits {
            account_id: "paper".into(),
            max_order_notional: "5".into(),
            max_open_orders: Some(7),
            check_buying_power: true,
            max_reference_age_ns: Some(60_000_000_000),
            instrument_exposure: BTreeMap::from([("A.SIM".to_owned(), "1".to_owned())]),
            sequence: 9,
            ..Default::default()
        }
    }

    #[test]
    fn a_change_names_a_limit() {
        assert!(!names_a_limit(&parse(&["--request-id", "r"])));
        for words in [
            &["--max-open-orders", "5"][..],
            &["--check-buying-power", "false"],
            &["--strategy-exposure", "s=5"],
            &["--loss-action", "halt"],
            &["--max-rate-age-ms", "none"],
        ] {
            assert!(names_a_limit(&parse(words)), "{words:?}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(changed(&parse(&[]), before()).unwrap(), before());
    }

    #[test]
    fn each_flag_changes_its_limit_and_none_takes_it_away() {
        let args = parse(&[
            "--max-order-notional",
            NONE,
            "--max-open-orders",
            NONE,
            "--max-orders-per-second",
            "8",
            "--price-collar",
            "0.05",
            "--check-buying-power",
            "false",
            "--max-reference-age-ms",
            "1500",
            "--instrument-exposure",
            "A.SIM=none",
            "--instrument-exposure",
            "B.SIM=2",
            "--strategy-exposure",
            "s=3",
            "--max-drawdown",
            "0.2",
            "--loss-action",
            "reduce",
            "--prevent-self-trade",
            "true",
        ]);
        let expected = v1::Limits {
            max_order_notional: String::new(),
            max_open_orders: None,
            max_orders_per_second: Some(8),
            price_collar: "0.05".into(),
            check_buying_power: false,
            max_reference_age_ns: Some(1_500_000_000),
            instrument_exposure: BTreeMap::from([("B.SIM".to_owned(), "2".to_owned())]),
            strategy_exposure: BTreeMap::from([("s".to_owned(), "3".to_owned())]),
            max_drawdown: "0.2".into(),
            loss_action: v1::LossAction::Reduce.into(),
            prevent_self_trade: true,
            ..before()
        };
        assert_eq!(changed(&args, before()).unwrap(), expected);
    }

    #[test]
    fn a_bare_symbol_means_the_instrument_at_sim() {
        let with = |pair| changed(&parse(&["--instrument-exposure", pair]), before());
        let limits = with("A=2").unwrap().instrument_exposure;
        assert_eq!(
            limits,
            BTreeMap::from([("A.SIM".to_owned(), "2".to_owned())])
        );
        assert!(with("A=none").unwrap().instrument_exposure.is_empty());
        let error = with("B=none").unwrap_err();
        assert!(error.to_string().contains("B.SIM"), "{error}");
    }

    #[test]
    fn a_flag_that_is_no_number_is_named() {
        for (flag, value, told) in [
            ("--max-open-orders", "many", "--max-open-orders"),
            ("--max-rate-age-ms", "9223372036854775807", "too large"),
            ("--strategy-exposure", "s", "ID=D"),
        ] {
            let error = changed(&parse(&[flag, value]), before()).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_limit_is_shown_as_it_is_set() {
        assert_eq!(shown(&serde_json::json!("")), NONE);
        assert_eq!(shown(&serde_json::json!(null)), NONE);
        assert_eq!(shown(&serde_json::json!({"A.SIM": "1"})), "A.SIM=1");
        assert_eq!(shown(&serde_json::json!("LOSS_ACTION_HALT")), "halt");
        assert_eq!(shown(&serde_json::json!(true)), "true");
    }
}
