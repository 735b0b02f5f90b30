//! Limits.

use super::text;
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::risk::{Limits, WideLimits};
use apex_domain::{AccountId, Decimal, Money, Rate, RequestId};

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
    Some(Limits {
        max_order_notional: max_order_notional?.map(Money),
        max_position_notional: max_position_notional?.map(Money),
        max_open_orders: wire.max_open_orders,
        max_orders_per_second: wire.max_orders_per_second,
        price_collar: price_collar?.map(Rate),
        check_buying_power: wire.check_buying_power,
        allow_short_spot: wire.allow_short_spot,
        max_reference_age_ns: wire.max_reference_age_ns,
        wide: WideLimits::default(),
    })
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
    v1::Limits {
        account_id: account_id.to_string(),
        max_order_notional: text(limits.max_order_notional),
        max_position_notional: text(limits.max_position_notional),
        max_open_orders: limits.max_open_orders,
        max_orders_per_second: limits.max_orders_per_second,
        price_collar: limits
            .price_collar
            .map(|rate| rate.to_string())
            .unwrap_or_default(),
        check_buying_power: limits.check_buying_power,
        allow_short_spot: limits.allow_short_spot,
        max_reference_age_ns: limits.max_reference_age_ns,
        sequence,
    }
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
