//! `apextrade orders submit-list`: several orders from a JSON file.
//!
//! The file has the fields of `SubmitOrderListRequest` under their names; decimals are strings,
//! enums go by name, with or without their prefix.

use super::{Gateway, fields, print_json};
use crate::cli::SubmitListArgs;
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result, anyhow, bail};
use apex_proto::v1;
use serde::Deserialize;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// 100 orders of the longest fields are far below this.
const FILE_LIMIT: u64 = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListFile {
    order_list_id: String,
    account_id: String,
    contingency: String,
    release: String,
    cascade: Option<bool>,
    orders: Vec<OrderFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderFile {
    account_id: String,
    client_order_id: String,
    instrument_id: String,
    strategy_id: String,
    side: String,
    order_type: String,
    quantity: String,
    notional: String,
    limit_price: String,
    stop_price: String,
    trailing_offset: String,
    trailing_offset_type: String,
    activation_price: String,
    trigger_type: String,
    time_in_force: String,
    expire_at_ns: i64,
    post_only: bool,
    reduce_only: bool,
    display_quantity: String,
    position_side: String,
    self_trade_prevention: String,
    extended_hours: bool,
    tags: String,
}

/// Returns the number of an enum's name with or without its prefix; empty is zero.
macro_rules! number {
    ($kind:ident, $prefix:literal, $field:literal, $text:expr) => {
        number_of($field, $prefix, &$text, |name| {
            v1::$kind::from_str_name(name).map(i32::from)
        })
    };
}

fn number_of(
    field: &str,
    prefix: &str,
    text: &str,
    find: impl Fn(&str) -> Option<i32>,
) -> Result<i32> {
    if text.is_empty() {
        return Ok(0);
    }
    let name = text.to_ascii_uppercase();
    find(&name)
        .or_else(|| find(&format!("{prefix}{name}")))
        .ok_or_else(|| anyhow!("{field} \"{}\" is no known value", text.escape_debug()))
}

impl OrderFile {
    fn request(self) -> Result<v1::SubmitOrderRequest> {
        Ok(v1::SubmitOrderRequest {
            side: number!(Side, "SIDE_", "side", self.side)?,
            order_type: number!(OrderType, "ORDER_TYPE_", "order_type", self.order_type)?,
            trailing_offset_type: number!(
                TrailingOffsetType,
                "TRAILING_OFFSET_TYPE_",
                "trailing_offset_type",
                self.trailing_offset_type
            )?,
            trigger_type: number!(
                TriggerType,
                "TRIGGER_TYPE_",
                "trigger_type",
                self.trigger_type
            )?,
            time_in_force: number!(
                TimeInForce,
                "TIME_IN_FORCE_",
                "time_in_force",
                self.time_in_force
            )?,
            position_side: number!(
                PositionSide,
                "POSITION_SIDE_",
                "position_side",
                self.position_side
            )?,
            self_trade_prevention: number!(
                SelfTradePrevention,
                "SELF_TRADE_PREVENTION_",
                "self_trade_prevention",
                self.self_trade_prevention
            )?,
            account_id: self.account_id,
            client_order_id: self.client_order_id,
            instrument_id: self.instrument_id,
            strategy_id: self.strategy_id,
            quantity: self.quantity,
            notional: self.notional,
            limit_price: self.limit_price,
            stop_price: self.stop_price,
            trailing_offset: self.trailing_offset,
            activation_price: self.activation_price,
            expire_at_ns: self.expire_at_ns,
            post_only: self.post_only,
            reduce_only: self.reduce_only,
            display_quantity: self.display_quantity,
            extended_hours: self.extended_hours,
            tags: self.tags,
        })
    }
}

fn read(text: &str, account: &str) -> Result<v1::SubmitOrderListRequest> {
    let file: ListFile = serde_json::from_str(text)?;
    let mut orders = Vec::with_capacity(file.orders.len());
    for (place, order) in file.orders.into_iter().enumerate() {
        orders.push(
            order
                .request()
                .with_context(|| format!("orders[{place}]"))?,
        );
    }
    Ok(v1::SubmitOrderListRequest {
        order_list_id: file.order_list_id,
        account_id: match file.account_id.as_str() {
            "" => account.to_owned(),
            named => named.to_owned(),
        },
        contingency: number!(Contingency, "CONTINGENCY_", "contingency", file.contingency)?,
        release: number!(ReleaseRule, "RELEASE_RULE_", "release", file.release)?,
        cascade: file.cascade,
        orders,
    })
}

fn text_of(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(FILE_LIMIT).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 == FILE_LIMIT {
        bail!("{} is too large for a list of orders", path.display());
    }
    Ok(text)
}

/// Submits the list. Exits with 1 when an order of it was not taken, though the answer is printed.
///
/// Errors: a file that cannot be read, a gateway that does not answer, and a refusal.
pub fn submit(args: &SubmitListArgs, settings: &Settings) -> Result<ExitCode> {
    let text = text_of(&args.file)?;
    let request = read(&text, &args.account).with_context(|| {
        format!(
            "list of orders {}, whose form docs/guide/orders.md shows",
            args.file.display()
        )
    })?;
    let answer = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.submit_order_list(request)).await
    })?;
    if args.client.json {
        let outcomes: Vec<_> = answer.outcomes.iter().map(fields::outcome).collect();
        let list_id = answer.order_list_id;
        print_json(&json!({ "order_list_id": list_id, "outcomes": outcomes }));
    } else {
        print_outcomes(&answer.outcomes);
    }
    Ok(exit(&answer.outcomes))
}

/// Returns success when everything that was asked was done.
pub fn exit(outcomes: &[v1::OrderOutcome]) -> ExitCode {
    let failed = outcomes.iter().any(|outcome| outcome.error.is_some());
    ExitCode::from(u8::from(failed))
}

pub fn print_outcomes(outcomes: &[v1::OrderOutcome]) {
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let order = outcome.order.as_ref();
            let status = order.map(|order| fields::status(order.status));
            let error = outcome.error.clone().unwrap_or_default();
            vec![
                outcome.client_order_id.clone(),
                outcome.order_id.clone(),
                fields::word(&status.unwrap_or_default(), "ORDER_STATUS_"),
                error.reason,
                error.message,
            ]
        })
        .collect();
    let headings = ["CLIENT ORDER ID", "ORDER ID", "STATUS", "REASON", "MESSAGE"];
    table(&headings, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRACKET: &str = r#"{
        "order_list_id": "l-1", "contingency": "BRACKET", "release": "partial", "cascade": false,
        "orders": [
            {"client_order_id": "e", "instrument_id": "BTC", "side": "BUY",
             "order_type": "ORDER_TYPE_MARKET", "quantity": "0.5"},
            {"client_order_id": "s", "instrument_id": "BTC", "side": "SIDE_SELL",
             "order_type": "trailing_stop", "quantity": "0.5", "trailing_offset": "25",
             "trailing_offset_type": "BPS", "time_in_force": "GTD", "expire_at_ns": 7}
        ]
    }"#;

    #[test]
    fn a_list_is_read_with_names_in_every_form() {
        let list = read(BRACKET, "paper").unwrap();
        assert_eq!(list.account_id, "paper");
        assert_eq!(list.contingency(), v1::Contingency::Bracket);
        assert_eq!(list.release(), v1::ReleaseRule::Partial);
        assert_eq!(list.cascade, Some(false));
        assert_eq!(list.orders[0].order_type(), v1::OrderType::Market);
        let stop = &list.orders[1];
        assert_eq!(stop.side(), v1::Side::Sell);
        assert_eq!(stop.order_type(), v1::OrderType::TrailingStop);
        assert_eq!(stop.trailing_offset_type(), v1::TrailingOffsetType::Bps);
        assert_eq!(
            (stop.time_in_force(), stop.expire_at_ns),
            (v1::TimeInForce::Gtd, 7)
        );
    }

    #[test]
    fn a_list_that_is_none_says_where() {
        let told = |text: &str| format!("{:#}", read(text, "paper").unwrap_err());
        assert!(told(r#"{"orderz": []}"#).contains("orderz"));
        assert!(told(r#"{"contingency": "OTOCO"}"#).contains("OTOCO"));
        let order = r#"{"orders": [{}, {"side": "LONG"}]}"#;
        assert_eq!(told(order), "orders[1]: side \"LONG\" is no known value");
        // A number that is no string has lost its digits already.
        assert!(told(r#"{"orders": [{"quantity": 0.1}]}"#).contains("string"));
        assert!(told("no json").contains("line 1"));
    }

    #[test]
    fn every_field_of_an_order_can_be_said() {
        use prost::Message;
        let set = prost_types::FileDescriptorSet::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
        for message in ["SubmitOrderRequest", "SubmitOrderListRequest"] {
            let mut found = set.file.iter().flat_map(|file| &file.message_type);
            let found = found.find(|one| one.name() == message).unwrap();
            for field in &found.field {
                let name = field.name();
                let is_known = |value: &str| {
                    let text = match message {
                        "SubmitOrderRequest" => format!("{{\"orders\":[{{\"{name}\":{value}}}]}}"),
                        _ => format!("{{\"{name}\":{value}}}"),
                    };
                    serde_json::from_str::<ListFile>(&text).is_ok()
                };
                assert!(
                    ["\"\"", "0", "true", "[]"].into_iter().any(is_known),
                    "{message}.{name}"
                );
            }
        }
    }
}
