//! `apextrade orders watch`.

use super::{Gateway, fields};
use crate::cli::{ClientArgs, WatchArgs};
use crate::commands::block_on;
use crate::config::Settings;
use anyhow::{Context, Result, anyhow};
use apex_proto::v1;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

/// A stream says something at least every 15 s; three missed signs of life are a dead link.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// How long a lost stream is tried again: a restart of the gateway with its recovery.
const RECONNECT_LIMIT: Duration = Duration::from_secs(60);

/// Often enough that a restart is hardly noticed, rarely enough to be no load.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Prints each event as it becomes durable, until Ctrl-C or until nobody reads any more. A lost
/// stream is taken up again behind the last event seen, so that nothing is missed or repeated.
///
/// Errors: a refusal, and a gateway that does not come back.
pub fn run(args: &WatchArgs, settings: &Settings) -> Result<ExitCode> {
    block_on(async {
        tokio::select! {
            biased;
            stopped = tokio::signal::ctrl_c() => stopped.context("cannot wait for Ctrl-C")?,
            ended = watch(args, settings) => ended?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Why a stream ended.
pub(super) enum End {
    /// Whoever read the output is gone.
    NoReader,
    /// The link or the gateway went away; it may come back.
    Lost(anyhow::Error),
}

async fn watch(args: &WatchArgs, settings: &Settings) -> Result<()> {
    let mut resume_token = String::new();
    let mut gateway = Gateway::open(&args.client, settings).await?;
    loop {
        let lost = match follow(args, &gateway, &mut resume_token).await? {
            End::NoReader => return Ok(()),
            End::Lost(lost) => lost,
        };
        if resume_token.is_empty() {
            // Nothing was seen yet: taking it up again could leave a hole.
            return Err(lost);
        }
        crate::tell!("the stream was lost ({lost:#}), connecting again");
        gateway = reopen(&args.client, settings).await.context(lost)?;
    }
}

pub(super) async fn reopen(client: &ClientArgs, settings: &Settings) -> Result<Gateway> {
    let end = Instant::now() + RECONNECT_LIMIT;
    loop {
        sleep(RECONNECT_PAUSE).await;
        match Gateway::open(client, settings).await {
            Err(_) if Instant::now() < end => {}
            opened => return opened,
        }
    }
}

/// Errors: a refusal, which trying again does not mend.
async fn follow(args: &WatchArgs, gateway: &Gateway, resume_token: &mut String) -> Result<End> {
    let request = v1::StreamOrdersRequest {
        account_id: args.account.clone(),
        // On the wire it is the first event wanted, here the last one known.
        from_sequence: args
            .from_sequence
            .map_or(0, |known| known.saturating_add(1)),
        resume_token: resume_token.clone(),
        ..Default::default()
    };
    let mut stream = match gateway.orders().stream_orders(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return ended(gateway, &status),
    };
    loop {
        let message = match timeout(SILENCE_LIMIT, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Ok(End::Lost(anyhow!("gateway {} ended it", gateway.url))),
            Ok(Err(status)) => return ended(gateway, &status),
            Err(_) => return Ok(End::Lost(anyhow!("no sign of life for {SILENCE_LIMIT:?}"))),
        };
        if let Some(v1::stream_orders_response::Item::Event(event)) = &message.item
            && !write_line(&line(args.client.json, event))?
        {
            return Ok(End::NoReader);
        }
        if !message.resume_token.is_empty() {
            *resume_token = message.resume_token;
        }
    }
}

pub(super) fn ended(gateway: &Gateway, status: &tonic::Status) -> Result<End> {
    let error = gateway.refusal(status);
    match status.code() {
        // A connection that breaks is told as UNKNOWN or CANCELLED by the transport.
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
            Ok(End::Lost(error))
        }
        _ => Err(error),
    }
}

fn line(json: bool, event: &v1::OrderEvent) -> String {
    if json {
        return fields::order_event(event).to_string();
    }
    let order = event.order.clone().unwrap_or_default();
    let mut words = vec![
        fields::time(event.ts_ns),
        event.sequence.to_string(),
        order.client_order_id,
        fields::word(&fields::event_kind(event.kind), "ORDER_EVENT_KIND_"),
        fields::word(&fields::side(order.side), "SIDE_"),
        order.quantity,
        order.instrument_id,
    ];
    if !order.limit_price.is_empty() {
        words.push(format!("at {}", order.limit_price));
    }
    if !order.stop_price.is_empty() {
        words.push(format!("stop {}", order.stop_price));
    }
    if let Some(what) = fields::waits_for(order.held_for) {
        words.push(format!("waits for {what}"));
    }
    if let Some(fill) = &event.execution {
        let what = if fill.busted { "busted" } else { "filled" };
        words.push(format!(
            "{what} {} at {}",
            fill.last_quantity, fill.last_price
        ));
    }
    let asked = [
        ("", &event.asked_quantity),
        ("at ", &event.asked_limit_price),
        ("stop ", &event.asked_stop_price),
    ];
    let asked: Vec<String> = asked
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}{value}"))
        .collect();
    if !asked.is_empty() {
        words.push(format!("asked for {}", asked.join(" ")));
    }
    if !event.reason.is_empty() {
        words.push(event.reason.clone());
    }
    if !order.reason_code.is_empty() {
        words.push(order.reason_code);
    }
    words.join("  ")
}

/// Writes a line at once. Returns whether anybody still reads.
pub(super) fn write_line(line: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> v1::OrderEvent {
        v1::OrderEvent {
            account_id: "paper".into(),
            sequence: 7,
            ts_ns: 1_000_000_000,
            kind: v1::OrderEventKind::Filled.into(),
            order: Some(v1::Order {
                client_order_id: "c-1".into(),
                instrument_id: "BTC.SIM".into(),
                side: v1::Side::Buy.into(),
                quantity: "2".into(),
                limit_price: "10.5".into(),
                ..Default::default()
            }),
            execution: Some(v1::Execution {
                last_quantity: "1".into(),
                last_price: "10.4".into(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(
            line(false, &event()),
            "1970-01-01T00:00:01.000Z  7  c-1  filled  buy  2  BTC.SIM  at 10.5  filled 1 at 10.4"
        );
    }

    #[test]
    fn an_order_that_is_held_says_for_what() {
        let mut held = event();
        held.kind = v1::OrderEventKind::Held.into();
        held.execution = None;
        if let Some(order) = &mut held.order {
            order.held_for = v1::Hold::Parent.into();
        }
        let text = line(false, &held);
        assert!(text.ends_with("at 10.5  waits for its parent"), "{text}");
    }

    #[test]
    fn a_bust_says_what_was_taken_back() {
        let mut bust = event();
        bust.kind = v1::OrderEventKind::ExecutionBusted.into();
        if let Some(execution) = &mut bust.execution {
            execution.busted = true;
        }
        let text = line(false, &bust);
        assert!(text.contains("execution_busted"), "{text}");
        assert!(text.ends_with("busted 1 at 10.4"), "{text}");
    }

    #[test]
    fn an_event_as_json_is_one_object_on_one_line() {
        let text = line(true, &event());
        assert!(!text.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["execution"]["last_price"], "10.4");
        assert_eq!(read["kind"], "ORDER_EVENT_KIND_FILLED");
    }
}
