//! `apextrade book`: the order book of an instrument as it stands.

use super::{Gateway, print_json};
use crate::cli::BookArgs;
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Shows the best levels of both sides, or the orders at them.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn show(args: BookArgs, settings: &Settings) -> Result<ExitCode> {
    if args.orders {
        return show_orders(args, settings);
    }
    let book = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let request = v1::GetBookRequest {
            instrument_id: args.instrument.clone(),
            depth: args.depth,
        };
        gateway
            .answer(gateway.market_data().get_book(request))
            .await
    })?;
    if args.client.json {
        print_json(&fields(&book));
    } else {
        print(&book);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_orders(args: BookArgs, settings: &Settings) -> Result<ExitCode> {
    let book = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let request = v1::GetOrderBookRequest {
            instrument_id: args.instrument.clone(),
            depth: args.depth,
        };
        gateway
            .answer(gateway.market_data().get_order_book(request))
            .await
    })?;
    if args.client.json {
        print_json(&order_fields(&book));
    } else {
        print_orders(&book);
    }
    Ok(ExitCode::SUCCESS)
}

fn order_fields(book: &v1::OrderBook) -> Value {
    let side = |orders: &[v1::DecimalOrder]| -> Vec<Value> {
        let order = |order: &v1::DecimalOrder| {
            json!({
                "order_id": order.order_id,
                "price": order.price,
                "quantity": order.quantity,
            })
        };
        orders.iter().map(order).collect()
    };
    json!({
        "instrument_id": book.instrument_id,
        "update_id": book.update_id,
        "bids": side(&book.bids),
        "asks": side(&book.asks),
        "ts_event_ns": book.ts_event_ns,
        "ts_init_ns": book.ts_init_ns,
    })
}

/// A line for each order, the first to be filled first.
fn print_orders(book: &v1::OrderBook) {
    let cells = |order: Option<&v1::DecimalOrder>| -> [String; 3] {
        order.map_or_else(Default::default, |order| {
            let number = order.order_id.to_string();
            [number, order.quantity.clone(), order.price.clone()]
        })
    };
    let count = book.bids.len().max(book.asks.len());
    let rows: Vec<Vec<String>> = (0..count)
        .map(|at| {
            let (bid, mut ask) = (cells(book.bids.get(at)), cells(book.asks.get(at)));
            ask.reverse();
            bid.into_iter().chain(ask).collect()
        })
        .collect();
    let headings = [
        "BID ORDER",
        "BID QUANTITY",
        "BID",
        "ASK",
        "ASK QUANTITY",
        "ASK ORDER",
    ];
    table(&headings, &rows);
}

fn fields(book: &v1::Book) -> Value {
    let side = |levels: &[v1::DecimalLevel]| -> Vec<Value> {
        let level =
            |level: &v1::DecimalLevel| json!({ "price": level.price, "quantity": level.quantity });
        levels.iter().map(level).collect()
    };
    json!({
        "instrument_id": book.instrument_id,
        "update_id": book.update_id,
        "bids": side(&book.bids),
        "asks": side(&book.asks),
        "stale": book.stale,
        "ts_event_ns": book.ts_event_ns,
        "ts_init_ns": book.ts_init_ns,
    })
}

/// A line for each level, the best first; a side that has fewer is empty there.
fn print(book: &v1::Book) {
    let cell = |level: Option<&v1::DecimalLevel>, part: fn(&v1::DecimalLevel) -> &str| {
        level.map_or("", part).to_owned()
    };
    let levels = book.bids.len().max(book.asks.len());
    let rows: Vec<Vec<String>> = (0..levels)
        .map(|at| {
            let (bid, ask) = (book.bids.get(at), book.asks.get(at));
            vec![
                cell(bid, |level| &level.quantity),
                cell(bid, |level| &level.price),
                cell(ask, |level| &level.price),
                cell(ask, |level| &level.quantity),
            ]
        })
        .collect();
    table(&["BID QUANTITY", "BID", "ASK", "ASK QUANTITY"], &rows);
    if book.stale {
        crate::tell!("stale: the feed is not connected, this is how the book stood last");
    }
}
