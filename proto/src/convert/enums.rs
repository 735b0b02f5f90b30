//! Enums, both ways. Zero, `*_UNSPECIFIED`, is refused in a request unless a default is stated.

use crate::field::Fields;
use crate::v1;
use apex_domain::event::AccountMode;
use apex_domain::instrument::InstrumentKind;
use apex_domain::market::{FeedStatus, Side};
use apex_domain::order::{OrderStatus, OrderType, TimeInForce};
use apex_domain::risk::{ReasonCode, TradingState};

fn unknown(fields: &mut Fields, field: &str, value: i32) {
    if value == 0 {
        fields.refuse(field, "is required");
    } else {
        fields.refuse(field, format!("{value} is no known value"));
    }
}

/// Reads a side that must be there.
pub fn read_side(fields: &mut Fields, field: &str, value: i32) -> Option<Side> {
    match v1::Side::try_from(value) {
        Ok(v1::Side::Buy) => Some(Side::Buy),
        Ok(v1::Side::Sell) => Some(Side::Sell),
        Ok(v1::Side::Unspecified) | Err(_) => {
            unknown(fields, field, value);
            None
        }
    }
}

/// Reads a side where zero is both. The outer `None` is an error.
pub fn read_side_filter(fields: &mut Fields, field: &str, value: i32) -> Option<Option<Side>> {
    if value == 0 {
        Some(None)
    } else {
        read_side(fields, field, value).map(Some)
    }
}

/// Reads an order type; those of the contract that are not taken yet are refused by name.
pub fn read_order_type(fields: &mut Fields, value: i32) -> Option<OrderType> {
    match v1::OrderType::try_from(value) {
        Ok(v1::OrderType::Market) => Some(OrderType::Market),
        Ok(v1::OrderType::Limit) => Some(OrderType::Limit),
        Ok(v1::OrderType::Unspecified) | Err(_) => {
            unknown(fields, "order_type", value);
            None
        }
        Ok(other) => {
            fields.refuse(
                "order_type",
                format!("{} is not supported yet", other.as_str_name()),
            );
            None
        }
    }
}

/// Reads a time in force; zero is GTC for a limit order and IOC for a market order. Those of the
/// contract that are not taken yet are refused by name.
pub fn read_time_in_force(
    fields: &mut Fields,
    value: i32,
    order_type: Option<OrderType>,
) -> Option<TimeInForce> {
    match v1::TimeInForce::try_from(value) {
        Ok(v1::TimeInForce::Unspecified) => Some(match order_type {
            Some(OrderType::Market) => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        }),
        Ok(v1::TimeInForce::Gtc) => Some(TimeInForce::Gtc),
        Ok(v1::TimeInForce::Ioc) => Some(TimeInForce::Ioc),
        Ok(v1::TimeInForce::Fok) => Some(TimeInForce::Fok),
        Ok(other) => {
            let name = other.as_str_name();
            fields.refuse("time_in_force", format!("{name} is not supported yet"));
            None
        }
        Err(_) => {
            unknown(fields, "time_in_force", value);
            None
        }
    }
}

pub fn side(side: Side) -> v1::Side {
    match side {
        Side::Buy => v1::Side::Buy,
        Side::Sell => v1::Side::Sell,
    }
}

pub fn order_type(order_type: OrderType) -> v1::OrderType {
    match order_type {
        OrderType::Market => v1::OrderType::Market,
        OrderType::Limit => v1::OrderType::Limit,
        OrderType::Stop => v1::OrderType::Stop,
        OrderType::StopLimit => v1::OrderType::StopLimit,
        OrderType::MarketIfTouched => v1::OrderType::MarketIfTouched,
        OrderType::LimitIfTouched => v1::OrderType::LimitIfTouched,
        OrderType::MarketToLimit => v1::OrderType::MarketToLimit,
        OrderType::TrailingStop => v1::OrderType::TrailingStop,
    }
}

pub fn time_in_force(time_in_force: TimeInForce) -> v1::TimeInForce {
    match time_in_force {
        TimeInForce::Gtc => v1::TimeInForce::Gtc,
        TimeInForce::Ioc => v1::TimeInForce::Ioc,
        TimeInForce::Fok => v1::TimeInForce::Fok,
        TimeInForce::Day => v1::TimeInForce::Day,
        TimeInForce::Gtd => v1::TimeInForce::Gtd,
        TimeInForce::AtOpen => v1::TimeInForce::AtOpen,
        TimeInForce::AtClose => v1::TimeInForce::AtClose,
    }
}

pub fn order_status(status: OrderStatus) -> v1::OrderStatus {
    match status {
        OrderStatus::PendingNew => v1::OrderStatus::PendingNew,
        OrderStatus::Denied => v1::OrderStatus::Denied,
        OrderStatus::Submitted => v1::OrderStatus::Submitted,
        OrderStatus::Unknown => v1::OrderStatus::Unknown,
        OrderStatus::Accepted => v1::OrderStatus::Accepted,
        OrderStatus::Rejected => v1::OrderStatus::Rejected,
        OrderStatus::Triggered => v1::OrderStatus::Triggered,
        OrderStatus::PartiallyFilled => v1::OrderStatus::PartiallyFilled,
        OrderStatus::Filled => v1::OrderStatus::Filled,
        OrderStatus::PendingAmend => v1::OrderStatus::PendingAmend,
        OrderStatus::PendingCancel => v1::OrderStatus::PendingCancel,
        OrderStatus::Canceled => v1::OrderStatus::Canceled,
        OrderStatus::Expired => v1::OrderStatus::Expired,
    }
}

/// Reads a status that must be there.
pub fn read_order_status(fields: &mut Fields, value: i32) -> Option<OrderStatus> {
    let found = OrderStatus::ALL
        .into_iter()
        .find(|status| order_status(*status) as i32 == value);
    if found.is_none() {
        unknown(fields, "status", value);
    }
    found
}

const REASON_CODES: [ReasonCode; 39] = {
    use ReasonCode as R;
    [
        R::PriceIncrement,
        R::QuantityIncrement,
        R::MinQuantity,
        R::MaxQuantity,
        R::MinNotional,
        R::MaxNotional,
        R::PriceCollar,
        R::NoReferencePrice,
        R::InsufficientBuyingPower,
        R::PositionLimit,
        R::ExposureLimit,
        R::OpenOrderLimit,
        R::OrderRate,
        R::ReduceOnly,
        R::TradingHalted,
        R::TradingReducing,
        R::SelfTrade,
        R::NumericRange,
        R::VenueRejected,
        R::PostOnlyWouldTrade,
        R::NoLiquidity,
        R::CanceledByUser,
        R::CanceledByRisk,
        R::NotAtVenue,
        R::NoAnswer,
        R::Restarted,
        R::Reconciled,
        R::VenueCanceled,
        R::TimeOver,
        R::Contingency,
        R::ListDenied,
        R::ExecutionBusted,
        R::Unsupported,
        R::NoConversionRate,
        R::Concentration,
        R::LossLimit,
        R::DrawdownLimit,
        R::MarketClosed,
        R::Liquidation,
    ]
};

/// Reads a reason code; `None` where there is none, or one of a later version.
pub fn read_reason_code(text: &str) -> Option<ReasonCode> {
    REASON_CODES.into_iter().find(|code| code.as_str() == text)
}

/// Reads the kind of an instrument that must be there.
pub fn read_instrument_kind(fields: &mut Fields, value: i32) -> Option<InstrumentKind> {
    match v1::InstrumentKind::try_from(value) {
        Ok(v1::InstrumentKind::Spot) => Some(InstrumentKind::Spot),
        Ok(v1::InstrumentKind::Linear) => Some(InstrumentKind::Linear),
        Ok(v1::InstrumentKind::Inverse) => Some(InstrumentKind::Inverse),
        Ok(v1::InstrumentKind::Unspecified) | Err(_) => {
            unknown(fields, "kind", value);
            None
        }
    }
}

pub fn trading_state(state: TradingState) -> v1::TradingState {
    match state {
        TradingState::Active => v1::TradingState::Active,
        TradingState::Reducing => v1::TradingState::Reducing,
        TradingState::Halted => v1::TradingState::Halted,
    }
}

pub fn feed_status(status: FeedStatus) -> v1::FeedStatus {
    match status {
        FeedStatus::Live => v1::FeedStatus::Live,
        FeedStatus::Stale => v1::FeedStatus::Stale,
        FeedStatus::Gapped => v1::FeedStatus::Gapped,
        FeedStatus::Recovering => v1::FeedStatus::Recovering,
        FeedStatus::Replaying => v1::FeedStatus::Replaying,
        FeedStatus::Closed => v1::FeedStatus::Closed,
    }
}

/// Reads a feed status, `None` where it is not a known one.
pub fn read_feed_status(value: i32) -> Option<FeedStatus> {
    match v1::FeedStatus::try_from(value) {
        Ok(v1::FeedStatus::Live) => Some(FeedStatus::Live),
        Ok(v1::FeedStatus::Stale) => Some(FeedStatus::Stale),
        Ok(v1::FeedStatus::Gapped) => Some(FeedStatus::Gapped),
        Ok(v1::FeedStatus::Recovering) => Some(FeedStatus::Recovering),
        Ok(v1::FeedStatus::Replaying) => Some(FeedStatus::Replaying),
        Ok(v1::FeedStatus::Closed) => Some(FeedStatus::Closed),
        Ok(v1::FeedStatus::Unspecified) | Err(_) => None,
    }
}

pub fn instrument_kind(kind: InstrumentKind) -> v1::InstrumentKind {
    match kind {
        InstrumentKind::Spot => v1::InstrumentKind::Spot,
        InstrumentKind::Linear => v1::InstrumentKind::Linear,
        InstrumentKind::Inverse => v1::InstrumentKind::Inverse,
    }
}

pub fn account_mode(mode: AccountMode) -> v1::AccountMode {
    match mode {
        AccountMode::Paper => v1::AccountMode::Paper,
        AccountMode::Backtest => v1::AccountMode::Backtest,
        AccountMode::Live => v1::AccountMode::Live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_status_has_its_own_name_on_the_wire() {
        let mut names: Vec<&str> = OrderStatus::ALL
            .iter()
            .map(|status| order_status(*status).as_str_name())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OrderStatus::ALL.len());
        assert!(names.iter().all(|name| name.starts_with("ORDER_STATUS_")));
    }

    #[test]
    fn an_order_type_of_a_later_version_is_refused_by_name() {
        let mut fields = Fields::new();
        assert_eq!(
            read_order_type(&mut fields, v1::OrderType::TrailingStop as i32),
            None
        );
        let errors = fields.finish(Some(())).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "order_type: ORDER_TYPE_TRAILING_STOP is not supported yet"
        );
    }

    #[test]
    fn a_value_that_no_enum_has_is_refused() {
        let mut fields = Fields::new();
        assert_eq!(read_side(&mut fields, "side", 77), None);
        assert_eq!(read_side(&mut fields, "side", 0), None);
        let errors = fields.finish(Some(())).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "side: 77 is no known value; side: is required"
        );
    }

    #[test]
    fn the_default_time_in_force_follows_the_order_type() {
        let read = |order_type| read_time_in_force(&mut Fields::new(), 0, Some(order_type));
        assert_eq!(read(OrderType::Market), Some(TimeInForce::Ioc));
        assert_eq!(read(OrderType::Limit), Some(TimeInForce::Gtc));
    }
}
