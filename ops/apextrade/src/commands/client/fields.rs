//! Messages as JSON: every field under its name in the .proto, decimals as strings, enums by
//! name, counts and times as numbers. Words and times for tables.

mod worth;

use apex_proto::v1;
use serde_json::{Value, json};

/// Returns the name of an enum value as in the .proto; a value newer than this build by number.
macro_rules! name {
    ($kind:ident, $value:expr) => {
        match v1::$kind::try_from($value) {
            Ok(known) => known.as_str_name().to_owned(),
            Err(_) => $value.to_string(),
        }
    };
}

pub fn side(value: i32) -> String {
    name!(Side, value)
}

pub fn status(value: i32) -> String {
    name!(OrderStatus, value)
}

pub fn order_type(value: i32) -> String {
    name!(OrderType, value)
}

pub fn event_kind(value: i32) -> String {
    name!(OrderEventKind, value)
}

pub fn trading_state(value: i32) -> String {
    name!(TradingState, value)
}

pub fn mode(value: i32) -> String {
    name!(AccountMode, value)
}

pub fn position_mode(value: i32) -> String {
    name!(PositionMode, value)
}

pub fn instrument_kind(value: i32) -> String {
    name!(InstrumentKind, value)
}

pub fn feed_status(value: i32) -> String {
    name!(FeedStatus, value)
}

pub fn time_in_force(value: i32) -> String {
    name!(TimeInForce, value)
}

pub fn trigger_type(value: i32) -> String {
    name!(TriggerType, value)
}

pub fn position_side(value: i32) -> String {
    name!(PositionSide, value)
}

pub fn self_trade_prevention(value: i32) -> String {
    name!(SelfTradePrevention, value)
}

/// Returns what an order that is held waits for, for a person; `None` when it is not held.
pub fn waits_for(held_for: i32) -> Option<&'static str> {
    match v1::Hold::try_from(held_for) {
        Ok(v1::Hold::Unspecified) => None,
        Ok(v1::Hold::Emulated) => Some("its price"),
        Ok(v1::Hold::Parent) => Some("its parent"),
        Ok(v1::Hold::Session) => Some("its session"),
        Err(_) => Some("something newer than this build"),
    }
}

/// Returns an enum's name as a table shows it: without its prefix, in lower case.
pub fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
}

/// Returns a time in UTC with milliseconds, for example `2024-08-09T00:05:04.535Z`.
pub fn time(ts_ns: i64) -> String {
    let millis = ts_ns.div_euclid(1_000_000);
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns year, month and day of a day since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub fn order(order: &v1::Order) -> Value {
    json!({
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
        "account_id": order.account_id,
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
        "side": side(order.side),
        "order_type": order_type(order.order_type),
        "status": status(order.status),
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "leaves_quantity": order.leaves_quantity,
        "average_price": order.average_price,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "reason_code": order.reason_code,
        "reason": order.reason,
        "ts_created_ns": order.ts_created_ns,
        "ts_updated_ns": order.ts_updated_ns,
        "sequence": order.sequence,
        "time_in_force": name!(TimeInForce, order.time_in_force),
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "canceled_quantity": order.canceled_quantity,
        "tags": order.tags,
        "notional": order.notional,
        "trailing_offset": order.trailing_offset,
        "trailing_offset_type": name!(TrailingOffsetType, order.trailing_offset_type),
        "activation_price": order.activation_price,
        "trigger_type": name!(TriggerType, order.trigger_type),
        "expire_at_ns": order.expire_at_ns,
        "ts_expires_ns": order.ts_expires_ns,
        "display_quantity": order.display_quantity,
        "position_side": name!(PositionSide, order.position_side),
        "self_trade_prevention": name!(SelfTradePrevention, order.self_trade_prevention),
        "extended_hours": order.extended_hours,
        "order_list_id": order.order_list_id,
        "held_for": name!(Hold, order.held_for),
    })
}

pub fn execution(execution: &v1::Execution) -> Value {
    json!({
        "exec_id": execution.exec_id,
        "account_id": execution.account_id,
        "client_order_id": execution.client_order_id,
        "instrument_id": execution.instrument_id,
        "side": side(execution.side),
        "last_quantity": execution.last_quantity,
        "last_price": execution.last_price,
        "fee": execution.fee,
        "fee_currency": execution.fee_currency,
        "maker": execution.maker,
        "ts_event_ns": execution.ts_event_ns,
        "sequence": execution.sequence,
        "order_id": execution.order_id,
        "strategy_id": execution.strategy_id,
        "late": execution.late,
        "busted": execution.busted,
        "position_side": name!(PositionSide, execution.position_side),
    })
}

pub fn order_event(event: &v1::OrderEvent) -> Value {
    json!({
        "account_id": event.account_id,
        "sequence": event.sequence,
        "ts_ns": event.ts_ns,
        "kind": event_kind(event.kind),
        "order": event.order.as_ref().map(order),
        "execution": event.execution.as_ref().map(execution),
        "hold": name!(Hold, event.hold),
        "best_price": event.best_price,
        "release_at_ns": event.release_at_ns,
        "busted_exec_id": event.busted_exec_id,
        "busted_was_booked": event.busted_was_booked,
        "reason": event.reason,
        "asked_quantity": event.asked_quantity,
        "asked_limit_price": event.asked_limit_price,
        "asked_stop_price": event.asked_stop_price,
    })
}

pub fn outcome(outcome: &v1::OrderOutcome) -> Value {
    json!({
        "client_order_id": outcome.client_order_id,
        "order_id": outcome.order_id,
        "order": outcome.order.as_ref().map(order),
        "error": outcome.error.as_ref().map(outcome_error),
    })
}

fn outcome_error(error: &v1::OutcomeError) -> Value {
    json!({
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
    })
}

pub fn preview(preview: &v1::PreviewOrderResponse) -> Value {
    json!({
        "account_id": preview.account_id,
        "client_order_id": preview.client_order_id,
        "instrument_id": preview.instrument_id,
        "quantity": preview.quantity,
        "estimated_price": preview.estimated_price,
        "notional": preview.notional,
        "fee": preview.fee,
        "initial_margin": preview.initial_margin,
        "worst_position": preview.worst_position,
        "worst_exposure": preview.worst_exposure,
        "failed_checks": preview.failed_checks.iter().map(failed_check).collect::<Vec<_>>(),
        "currency": preview.currency,
        "fee_currency": preview.fee_currency,
    })
}

fn failed_check(failed: &v1::FailedCheck) -> Value {
    json!({
        "check": failed.check,
        "reason_code": failed.reason_code,
        "reason": failed.reason,
    })
}

pub fn trading_state_change(change: &v1::TradingStateChange) -> Value {
    json!({
        "account_id": change.account_id,
        "sequence": change.sequence,
        "ts_ns": change.ts_ns,
        "trading_state": trading_state(change.trading_state),
        "by": change.by,
        "reason": change.reason,
    })
}

pub fn account(account: &v1::Account) -> Value {
    json!({
        "account_id": account.account_id,
        "base_currency": account.base_currency,
        "mode": mode(account.mode),
        "position_mode": position_mode(account.position_mode),
        "trading_state": trading_state(account.trading_state),
        "equity": account.equity,
        "unrealized_pnl": account.unrealized_pnl,
        "partial": account.partial,
        "cash": account.cash,
        "realized_pnl": account.realized_pnl,
        "fees": account.fees,
        "working_orders": account.working_orders,
        "orders": account.orders,
        "executions": account.executions,
        "sequence": account.sequence,
        "state_hash": account.state_hash,
        "journal": name!(JournalHealth, account.journal),
        "venue_connected": account.venue_connected,
        "as_of_ns": account.as_of_ns,
        "valuation": name!(Valuation, account.valuation),
        "funding": account.funding,
        "margin": account.margin.as_ref().map(worth::margin),
        "attribution": account.attribution.iter().map(worth::attribution).collect::<Vec<_>>(),
        "attribution_partial": account.attribution_partial,
    })
}

pub fn position(position: &v1::Position) -> Value {
    json!({
        "account_id": position.account_id,
        "instrument_id": position.instrument_id,
        "strategy_id": position.strategy_id,
        "quantity": position.quantity,
        "average_price": position.average_price,
        "realized_pnl": position.realized_pnl,
        "unrealized_pnl": position.unrealized_pnl,
        "currency": position.currency,
        "position_side": name!(PositionSide, position.position_side),
    })
}

pub fn instrument(instrument: &v1::Instrument) -> Value {
    json!({
        "instrument_id": instrument.instrument_id,
        "symbol": instrument.symbol,
        "venue": instrument.venue,
        "kind": instrument_kind(instrument.kind),
        "base_currency": instrument.base_currency,
        "quote_currency": instrument.quote_currency,
        "price_increment": instrument.price_increment,
        "quantity_increment": instrument.quantity_increment,
        "min_quantity": instrument.min_quantity,
        "max_quantity": instrument.max_quantity,
        "min_notional": instrument.min_notional,
        "multiplier": instrument.multiplier,
        "initial_margin": instrument.initial_margin,
        "maker_fee": instrument.maker_fee,
        "taker_fee": instrument.taker_fee,
        "price_decimals": instrument.price_decimals,
        "quantity_decimals": instrument.quantity_decimals,
        "synthetic": instrument.synthetic,
        "feed_status": feed_status(instrument.feed_status),
        "asset_class": name!(AssetClass, instrument.asset_class),
        "price_bands": instrument.price_bands.iter().map(price_band).collect::<Vec<_>>(),
        "max_notional": instrument.max_notional,
        "maintenance_margin": instrument.maintenance_margin,
        "funding_interval_ns": instrument.funding_interval_ns,
        "ts_expires_ns": instrument.ts_expires_ns,
        "calendar": instrument.calendar,
        "price_collar": instrument.price_collar,
        "fee_per_unit": instrument.fee_per_unit,
        "minimum_fee": instrument.minimum_fee,
        "fee_in_base": instrument.fee_in_base,
        "fee_decimals": instrument.fee_decimals,
        "lacks": instrument.lacks.as_ref().map(lacks),
    })
}

fn price_band(band: &v1::PriceBand) -> Value {
    json!({
        "from_price": band.from_price,
        "price_increment": band.price_increment,
    })
}

fn lacks(lacks: &v1::InstrumentLacks) -> Value {
    let order_types = lacks.order_types.iter().map(|kind| order_type(*kind));
    let times_in_force = lacks.times_in_force.iter();
    let times_in_force = times_in_force.map(|time| name!(TimeInForce, *time));
    json!({
        "order_types": order_types.collect::<Vec<_>>(),
        "times_in_force": times_in_force.collect::<Vec<_>>(),
        "iceberg": lacks.iceberg,
        "post_only": lacks.post_only,
        "reduce_only": lacks.reduce_only,
        "linked_orders": lacks.linked_orders,
    })
}

pub fn limits(limits: &v1::Limits) -> Value {
    json!({
        "account_id": limits.account_id,
        "max_order_notional": limits.max_order_notional,
        "max_position_notional": limits.max_position_notional,
        "max_open_orders": limits.max_open_orders,
        "max_orders_per_second": limits.max_orders_per_second,
        "price_collar": limits.price_collar,
        "check_buying_power": limits.check_buying_power,
        "allow_short_spot": limits.allow_short_spot,
        "max_reference_age_ns": limits.max_reference_age_ns,
        "sequence": limits.sequence,
        "max_strategy_exposure": limits.max_strategy_exposure,
        "max_account_exposure": limits.max_account_exposure,
        "max_concentration": limits.max_concentration,
        "instrument_exposure": limits.instrument_exposure,
        "strategy_exposure": limits.strategy_exposure,
        "max_daily_loss": limits.max_daily_loss,
        "max_drawdown": limits.max_drawdown,
        "loss_action": name!(LossAction, limits.loss_action),
        "prevent_self_trade": limits.prevent_self_trade,
        "max_rate_age_ns": limits.max_rate_age_ns,
    })
}

pub fn platform_limits(limits: &v1::PlatformLimits) -> Value {
    let account = |account: &v1::PlatformShare| {
        json!({
            "account_id": account.account_id,
            "share": account.share,
            "exposure": account.exposure,
            "away": account.away,
        })
    };
    let accounts: Vec<Value> = limits.accounts.iter().map(account).collect();
    json!({
        "max_exposure": limits.max_exposure,
        "currency": limits.currency,
        "sequence": limits.sequence,
        "handed_out": limits.handed_out,
        "in_force": limits.in_force,
        "accounts": accounts,
    })
}

pub fn account_trading_state(state: &v1::AccountTradingState) -> Value {
    json!({
        "account_id": state.account_id,
        "trading_state": trading_state(state.trading_state),
        "sequence": state.sequence,
        "cancels_requested": state.cancels_requested,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// Names of the fields of a message, from the compiled .proto files.
    fn names_of(message: &str) -> Vec<String> {
        let set = prost_types::FileDescriptorSet::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
        let found = set.file.iter().flat_map(|file| &file.message_type);
        let found = found
            .filter(|one| one.name() == message)
            .collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{message}");
        let mut names: Vec<String> = found[0]
            .field
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        names.sort();
        names
    }

    fn keys_of(value: &Value) -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    #[test]
    fn every_field_of_every_message_is_printed() {
        for (message, value) in [
            ("Order", order(&v1::Order::default())),
            ("Execution", execution(&v1::Execution::default())),
            ("OrderEvent", order_event(&v1::OrderEvent::default())),
            ("Account", account(&v1::Account::default())),
            ("Position", position(&v1::Position::default())),
            ("Instrument", instrument(&v1::Instrument::default())),
            ("OrderOutcome", outcome(&v1::OrderOutcome::default())),
            ("OutcomeError", outcome_error(&v1::OutcomeError::default())),
            (
                "PreviewOrderResponse",
                preview(&v1::PreviewOrderResponse::default()),
            ),
            ("FailedCheck", failed_check(&v1::FailedCheck::default())),
            (
                "TradingStateChange",
                trading_state_change(&v1::TradingStateChange::default()),
            ),
            ("PriceBand", price_band(&v1::PriceBand::default())),
            ("InstrumentLacks", lacks(&v1::InstrumentLacks::default())),
            ("Limits", limits(&v1::Limits::default())),
            (
                "AccountTradingState",
                account_trading_state(&v1::AccountTradingState::default()),
            ),
        ] {
            assert_eq!(keys_of(&value), names_of(message), "{message}");
        }
    }

    #[test]
    fn enums_go_by_name_and_newer_ones_by_number() {
        assert_eq!(side(1), "SIDE_BUY");
        assert_eq!(side(77), "77");
        assert_eq!(
            word("ORDER_STATUS_PARTIALLY_FILLED", "ORDER_STATUS_"),
            "partially_filled"
        );
    }

    #[test]
    fn decimals_are_strings_and_counts_are_numbers() {
        let order = order(&v1::Order {
            quantity: "0.10".into(),
            sequence: 1 << 60,
            ..Default::default()
        });
        assert_eq!(order["quantity"], "0.10");
        assert_eq!(order["sequence"], 1_152_921_504_606_846_976_u64);
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(1_723_161_904_535_092_233), "2024-08-09T00:05:04.535Z");
        assert_eq!(time(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
    }
}
