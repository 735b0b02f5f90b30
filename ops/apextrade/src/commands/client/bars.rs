//! `apextrade bars`: what was recorded of an instrument.

use super::{Gateway, fields, pages, print_json, say_cut};
use crate::cli::ShowBarsArgs;
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Shows recorded bars, oldest first: from a time on, or the newest.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn show(args: ShowBarsArgs, settings: &Settings) -> Result<ExitCode> {
    let span = args.interval.saturating_mul(i64::from(args.limit));
    let from_ns = match args.from {
        Some(from) => from.0,
        None => now_ns().saturating_sub(span).max(0),
    };
    let (bars, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::GetBarsRequest {
                instrument_id: args.instrument.clone().unwrap_or_default(),
                interval_ns: args.interval,
                from_ns,
                page_size,
                page_token,
                ..Default::default()
            };
            let gateway = &gateway;
            async move {
                let mut data = gateway.market_data();
                let answer = gateway.answer(data.get_bars(request)).await?;
                Ok((answer.bars, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let bars: Vec<_> = bars.iter().map(one).collect();
        print_json(&json!({ "bars": bars }));
    } else {
        print(&bars);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

fn one(bar: &v1::RecordedBar) -> serde_json::Value {
    json!({
        "ts_open_ns": bar.ts_open_ns,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "trade_count": bar.trade_count,
        "ts_init_ns": bar.ts_init_ns,
    })
}

fn print(bars: &[v1::RecordedBar]) {
    let row = |bar: &v1::RecordedBar| {
        vec![
            fields::time(bar.ts_open_ns),
            bar.open.clone(),
            bar.high.clone(),
            bar.low.clone(),
            bar.close.clone(),
            bar.volume.clone(),
            bar.trade_count.to_string(),
        ]
    };
    let rows: Vec<_> = bars.iter().map(row).collect();
    let names = ["OPENS", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TRADES"];
    table(&names, &rows);
}
