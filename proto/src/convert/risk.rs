//! Limits.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::id::IdError;
use apex_domain::risk::{Limits, WideLimits};
use apex_domain::{AccountId, Decimal, InstrumentId, Money, Rate, RequestId, StrategyId};
use std::collections::BTreeMap;

/// Bounds of single instruments or strategies. They are part of each record of the limits in the
/// journal, so there are not endlessly many.
const MAX_BOUNDS: usize = 1_000;

/// A change of limits, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLimits {
    pub account_id: AccountId,
    pub request_id: RequestId,
    pub limits: Limits,
    pub expected_sequence: Option<u64>,
}

/// Reads new limits.
///
/// Errors: every field that cannot be read; a negative limit.
pub fn read_set_limits(request: &v1::SetLimitsRequest) -> Result<SetLimits, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let limits = match &request.limits {
        Some(limits) => read_limits(f, limits),
        None => {
            f.refuse("limits", "is required");
            None
        }
    };
    let value = (|| {
        Some(SetLimits {
            account_id: account_id?,
            request_id: request_id?,
            limits: limits?,
            expected_sequence: (request.expected_sequence != 0)
                .then_some(request.expected_sequence),
        })
    })();
    fields.finish(value)
}

fn read_limits(f: &mut Fields, wire: &v1::Limits) -> Option<Limits> {
    let max_order_notional = bound(f, "limits.max_order_notional", &wire.max_order_notional);
    let max_position_notional = bound(
        f,
        "limits.max_position_notional",
        &wire.max_position_notional,
    );
    let price_collar = bound(f, "limits.price_collar", &wire.price_collar);
    if wire.max_reference_age_ns.is_some_and(|age| age < 0) {
        f.refuse("limits.max_reference_age_ns", "must not be negative");
    }
    let wide = read_wide(f, wire);
    Some(Limits {
        max_order_notional: max_order_notional?.map(Money),
        max_position_notional: max_position_notional?.map(Money),
        max_open_orders: wire.max_open_orders,
        max_orders_per_second: wire.max_orders_per_second,
        price_collar: price_collar?.map(Rate),
        check_buying_power: wire.check_buying_power,
        allow_short_spot: wire.allow_short_spot,
        max_reference_age_ns: wire.max_reference_age_ns,
        wide: wide?,
    })
}

fn read_wide(f: &mut Fields, wire: &v1::Limits) -> Option<WideLimits> {
    let strategy = bound(
        f,
        "limits.max_strategy_exposure",
        &wire.max_strategy_exposure,
    );
    let account = bound(f, "limits.max_account_exposure", &wire.max_account_exposure);
    let concentration = bound(f, "limits.max_concentration", &wire.max_concentration);
    let by_instrument = bounds_of(
        f,
        "limits.instrument_exposure",
        &wire.instrument_exposure,
        InstrumentId::in_command,
    );
    let by_strategy = bounds_of(
        f,
        "limits.strategy_exposure",
        &wire.strategy_exposure,
        StrategyId::new,
    );
    let daily_loss = bound(f, "limits.max_daily_loss", &wire.max_daily_loss);
    let drawdown = bound(f, "limits.max_drawdown", &wire.max_drawdown);
    if drawdown.flatten().is_some_and(|share| share > Decimal::ONE) {
        let hint = "is a share of the highest equity: must be at most 1, such as 0.2";
        f.refuse("limits.max_drawdown", hint);
    }
    let loss_action = enums::read_loss_action(f, "limits.loss_action", wire.loss_action);
    if wire.max_rate_age_ns.is_some_and(|age| age < 0) {
        f.refuse("limits.max_rate_age_ns", "must not be negative");
    }
    Some(WideLimits {
        max_strategy_exposure: strategy?.map(Money),
        max_account_exposure: account?.map(Money),
        max_concentration: concentration?.map(Rate),
        instrument_exposure: by_instrument?,
        strategy_exposure: by_strategy?,
        max_daily_loss: daily_loss?.map(Money),
        max_drawdown: drawdown?.map(Rate),
        loss_action: loss_action?,
        prevent_self_trade: wire.prevent_self_trade,
        max_rate_age_ns: wire.max_rate_age_ns,
    })
}

/// Reads bounds by id. Each must be there: an empty one would read as none and mean zero.
fn bounds_of<K: Ord>(
    f: &mut Fields,
    field: &str,
    wire: &BTreeMap<String, String>,
    read: impl Fn(&str) -> Result<K, IdError>,
) -> Option<BTreeMap<K, Money>> {
    if wire.len() > MAX_BOUNDS {
        let count = wire.len();
        f.refuse(
            field,
            format!("has {count} entries, at most {MAX_BOUNDS} are allowed"),
        );
        return None;
    }
    let mut bounds = BTreeMap::new();
    for (id, text) in wire {
        let id = f.take(field, read(id))?;
        let money = text::money(f, field, text)?;
        if money < Money::ZERO {
            f.refuse(field, "must not be negative");
            return None;
        }
        if bounds.insert(id, money).is_some() {
            f.refuse(field, "names one thing twice");
            return None;
        }
    }
    Some(bounds)
}

/// Reads a bound: empty is none, and none is below zero.
fn bound(fields: &mut Fields, field: &str, text: &str) -> Option<Option<Decimal>> {
    if text.is_empty() {
        return Some(None);
    }
    let value = fields.take(field, apex_domain::number::parse_decimal(text))?;
    if value < Decimal::ZERO {
        fields.refuse(field, "must not be negative");
        return None;
    }
    Some(Some(value))
}

/// Writes the limits of an account as they stand at `sequence`.
pub fn limits(account_id: &AccountId, limits: &Limits, sequence: u64) -> v1::Limits {
    let text = |money: Option<Money>| money.map(|m| m.to_string()).unwrap_or_default();
    let rate = |rate: Option<Rate>| rate.map(|r| r.to_string()).unwrap_or_default();
    let wide = &limits.wide;
    v1::Limits {
        account_id: account_id.to_string(),
        max_order_notional: text(limits.max_order_notional),
        max_position_notional: text(limits.max_position_notional),
        max_open_orders: limits.max_open_orders,
        max_orders_per_second: limits.max_orders_per_second,
        price_collar: rate(limits.price_collar),
        check_buying_power: limits.check_buying_power,
        allow_short_spot: limits.allow_short_spot,
        max_reference_age_ns: limits.max_reference_age_ns,
        sequence,
        max_strategy_exposure: text(wide.max_strategy_exposure),
        max_account_exposure: text(wide.max_account_exposure),
        max_concentration: rate(wide.max_concentration),
        instrument_exposure: by_id(&wide.instrument_exposure),
        strategy_exposure: by_id(&wide.strategy_exposure),
        max_daily_loss: text(wide.max_daily_loss),
        max_drawdown: rate(wide.max_drawdown),
        loss_action: enums::loss_action(wide.loss_action).into(),
        prevent_self_trade: wide.prevent_self_trade,
        max_rate_age_ns: wide.max_rate_age_ns,
    }
}

fn by_id<K: ToString>(bounds: &BTreeMap<K, Money>) -> BTreeMap<String, String> {
    let bounds = bounds.iter();
    bounds
        .map(|(id, money)| (id.to_string(), money.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_way_out_and_in() {
        let asked = v1::SetLimitsRequest {
            account_id: "paper".into(),
            request_id: "r-1".into(),
            limits: Some(v1::Limits {
                max_order_notional: "1000.5".into(),
                price_collar: "0.05".into(),
                max_open_orders: Some(0),
                check_buying_power: true,
                ..Default::default()
            }),
            expected_sequence: 0,
        };
        let read = read_set_limits(&asked).unwrap();
        assert_eq!(read.expected_sequence, None);
        assert_eq!(read.limits.max_open_orders, Some(0));
        assert_eq!(read.limits.max_position_notional, None);
        let written = limits(&read.account_id, &read.limits, 9);
        assert_eq!(
            (written.max_order_notional.as_str(), written.sequence),
            ("1000.5", 9)
        );
        assert_eq!(written.price_collar, "0.05");
    }

    #[test]
    fn every_wide_limit_survives_the_way_out_and_in() {
        let pair = |id: &str, money: &str| BTreeMap::from([(id.to_owned(), money.to_owned())]);
        let asked = v1::Limits {
            account_id: "paper".into(),
            max_order_notional: "1".into(),
            max_position_notional: "2".into(),
            max_open_orders: Some(3),
            max_orders_per_second: Some(4),
            price_collar: "0.05".into(),
            check_buying_power: true,
            allow_short_spot: true,
            max_reference_age_ns: Some(6),
            sequence: 9,
            max_strategy_exposure: "7".into(),
            max_account_exposure: "8".into(),
            max_concentration: "0.9".into(),
            instrument_exposure: pair("BTCUSDT.SIM", "10"),
            strategy_exposure: pair("ema", "11"),
            max_daily_loss: "12".into(),
            max_drawdown: "0.13".into(),
            loss_action: v1::LossAction::Reduce.into(),
            prevent_self_trade: true,
            max_rate_age_ns: Some(14),
        };
        let request = v1::SetLimitsRequest {
            account_id: "paper".into(),
            request_id: "r-1".into(),
            limits: Some(asked.clone()),
            expected_sequence: 0,
        };
        let read = read_set_limits(&request).unwrap();
        assert_eq!(limits(&read.account_id, &read.limits, 9), asked);
    }

    #[test]
    fn wrong_bounds_by_id_are_named() {
        let field = |change: fn(&mut v1::Limits)| {
            let mut limits = v1::Limits::default();
            change(&mut limits);
            let request = v1::SetLimitsRequest {
                account_id: "paper".into(),
                request_id: "r-1".into(),
                limits: Some(limits),
                expected_sequence: 0,
            };
            read_set_limits(&request).unwrap_err().errors()[0]
                .field
                .clone()
        };
        let instruments = "limits.instrument_exposure";
        for (id, money) in [("a b", "1"), ("BTC.SIM", ""), ("BTC.SIM", "-1")] {
            let mut limits = v1::Limits::default();
            limits.instrument_exposure.insert(id.into(), money.into());
            let fields = &mut Fields::new();
            assert!(read_limits(fields, &limits).is_none(), "{id} {money}");
        }
        // A bare symbol is of the simulated venue.
        let twice = |limits: &mut v1::Limits| {
            for id in ["BTC", "BTC.SIM"] {
                limits.instrument_exposure.insert(id.into(), "1".into());
            }
        };
        assert_eq!(field(twice), instruments);
        let many = |limits: &mut v1::Limits| {
            for number in 0..=MAX_BOUNDS {
                let id = format!("s{number}");
                limits.strategy_exposure.insert(id, "1".into());
            }
        };
        assert_eq!(field(many), "limits.strategy_exposure");
        assert_eq!(field(|limits| limits.loss_action = 9), "limits.loss_action");
        assert_eq!(
            field(|limits| limits.max_rate_age_ns = Some(-1)),
            "limits.max_rate_age_ns"
        );
    }

    #[test]
    fn every_wrong_limit_is_named() {
        let asked = v1::SetLimitsRequest {
            account_id: "a b".into(),
            limits: Some(v1::Limits {
                max_order_notional: "-1".into(),
                max_position_notional: "NaN".into(),
                max_reference_age_ns: Some(-1),
                ..Default::default()
            }),
            ..Default::default()
        };
        let errors = read_set_limits(&asked).unwrap_err();
        let named: Vec<&str> = errors.errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            named,
            [
                "account_id",
                "request_id",
                "limits.max_order_notional",
                "limits.max_position_notional",
                "limits.max_reference_age_ns"
            ]
        );
    }
}
