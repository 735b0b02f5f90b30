//! `apextrade positions`, `accounts` and `instruments`.

use super::{Gateway, fields, pages, print_json, request_id, say_cut};
use crate::cli::{InstrumentsArgs, ListArgs, PositionModeArg, PositionModeArgs};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Lists positions that are not flat.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn positions(args: ListArgs, settings: &Settings) -> Result<ExitCode> {
    let (positions, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListPositionsRequest {
                account_id: args.account.clone().unwrap_or_default(),
                page_size,
                page_token,
                as_of_ns: args.past.wire(),
                ..Default::default()
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.accounts().list_positions(request))
                    .await?;
                Ok((answer.positions, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let positions: Vec<_> = positions.iter().map(fields::position).collect();
        print_json(&json!({ "positions": positions }));
    } else {
        print_positions(&positions);
        say_as_of(&args);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn print_positions(positions: &[v1::Position]) {
    let rows: Vec<Vec<String>> = positions
        .iter()
        .map(|position| {
            vec![
                position.account_id.clone(),
                position.instrument_id.clone(),
                position.strategy_id.clone(),
                position.quantity.clone(),
                position.average_price.clone(),
                position.realized_pnl.clone(),
                position.unrealized_pnl.clone(),
                position.currency.clone(),
            ]
        })
        .collect();
    let headings = [
        "ACCOUNT",
        "INSTRUMENT",
        "STRATEGY",
        "QUANTITY",
        "AVERAGE PRICE",
        "REALIZED",
        "UNREALIZED",
        "CURRENCY",
    ];
    table(&headings, &rows);
}

/// Says under a table of the past what its sums are made of.
fn say_as_of(args: &ListArgs) {
    if let Some(as_of) = args.past.as_of {
        crate::say!(
            "as of {}, valued by the newest price of each instrument in the account's journal",
            fields::time(as_of.0)
        );
    }
}

/// Lists accounts, or shows the one that was asked for.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn accounts(args: ListArgs, wide: bool, settings: &Settings) -> Result<ExitCode> {
    let (accounts, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        if let Some(account_id) = args.account.clone() {
            let request = v1::GetAccountRequest {
                account_id,
                as_of_ns: args.past.wire(),
            };
            let account = gateway
                .answer(gateway.accounts().get_account(request))
                .await?;
            return Ok((vec![account], false));
        }
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListAccountsRequest {
                page_size,
                page_token,
                as_of_ns: args.past.wire(),
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.accounts().list_accounts(request))
                    .await?;
                Ok((answer.accounts, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let accounts: Vec<_> = accounts.iter().map(fields::account).collect();
        print_json(&json!({ "accounts": accounts }));
    } else {
        print_accounts(&accounts);
        if wide {
            print_margins(&accounts);
        }
        say_as_of(&args);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

/// Writes a position mode of the command line.
pub(super) fn mode_of(mode: PositionModeArg) -> v1::PositionMode {
    match mode {
        PositionModeArg::Netting => v1::PositionMode::Netting,
        PositionModeArg::Hedging => v1::PositionMode::Hedging,
    }
}

/// Sets whether an account nets or hedges, and shows it.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn position_mode(args: PositionModeArgs, settings: &Settings) -> Result<ExitCode> {
    let client = args.account.client;
    let mode = mode_of(args.mode);
    let request = v1::SetPositionModeRequest {
        account_id: args.account.account,
        request_id: request_id(args.request)?,
        position_mode: mode.into(),
    };
    let account = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.set_position_mode(request)).await
    })?;
    if client.json {
        print_json(&fields::account(&account));
    } else {
        print_accounts(&[account]);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn print_accounts(accounts: &[v1::Account]) {
    let rows: Vec<Vec<String>> = accounts
        .iter()
        .map(|account| {
            let partial = if account.partial { " (partial)" } else { "" };
            vec![
                account.account_id.clone(),
                fields::word(&fields::mode(account.mode), "ACCOUNT_MODE_"),
                fields::word(
                    &fields::position_mode(account.position_mode),
                    "POSITION_MODE_",
                ),
                fields::word(
                    &fields::trading_state(account.trading_state),
                    "TRADING_STATE_",
                ),
                format!("{} {}{partial}", account.equity, account.base_currency),
                account.unrealized_pnl.clone(),
                account
                    .margin
                    .as_ref()
                    .map(|m| m.free.clone())
                    .unwrap_or_default(),
                amounts(&account.cash),
                account.working_orders.to_string(),
                account.executions.to_string(),
            ]
        })
        .collect();
    let headings = [
        "ACCOUNT",
        "MODE",
        "POSITIONS",
        "STATE",
        "EQUITY",
        "UNREALIZED",
        "FREE MARGIN",
        "CASH",
        "WORKING",
        "EXECUTIONS",
    ];
    table(&headings, &rows);
}

/// One row for each instrument that holds a part of an account's margin.
fn print_margins(accounts: &[v1::Account]) {
    let mut rows = Vec::new();
    for account in accounts {
        let margin = account.margin.iter();
        let parts: BTreeMap<_, _> = margin.flat_map(|m| &m.by_instrument).collect();
        rows.extend(parts.into_iter().map(|(instrument_id, part)| {
            vec![
                account.account_id.clone(),
                instrument_id.clone(),
                format!("{} {}", part.initial, account.base_currency),
                part.maintenance.clone(),
                part.reserved.clone(),
            ]
        }));
    }
    let headings = [
        "ACCOUNT",
        "INSTRUMENT",
        "INITIAL MARGIN",
        "MAINTENANCE",
        "RESERVED",
    ];
    table(&headings, &rows);
}

fn amounts(amounts: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = amounts
        .iter()
        .map(|(currency, amount)| format!("{amount} {currency}"))
        .collect();
    words.join(", ")
}

/// Lists instruments.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn instruments(args: InstrumentsArgs, settings: &Settings) -> Result<ExitCode> {
    let (instruments, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListInstrumentsRequest {
                venue: args.venue.clone().unwrap_or_default(),
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.instruments().list_instruments(request))
                    .await?;
                Ok((answer.instruments, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let instruments: Vec<_> = instruments.iter().map(fields::instrument).collect();
        print_json(&json!({ "instruments": instruments }));
    } else {
        print_instruments(&instruments);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn print_instruments(instruments: &[v1::Instrument]) {
    let rows: Vec<Vec<String>> = instruments
        .iter()
        .map(|instrument| {
            vec![
                instrument.instrument_id.clone(),
                fields::word(
                    &fields::instrument_kind(instrument.kind),
                    "INSTRUMENT_KIND_",
                ),
                instrument.quote_currency.clone(),
                instrument.price_increment.clone(),
                instrument.quantity_increment.clone(),
                instrument.min_quantity.clone(),
                instrument.min_notional.clone(),
                fields::word(&fields::feed_status(instrument.feed_status), "FEED_STATUS_"),
            ]
        })
        .collect();
    let headings = [
        "INSTRUMENT",
        "KIND",
        "QUOTE",
        "PRICE STEP",
        "QUANTITY STEP",
        "MIN QUANTITY",
        "MIN NOTIONAL",
        "FEED",
    ];
    table(&headings, &rows);
}
