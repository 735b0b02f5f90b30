//! Enums, both ways. Zero, `*_UNSPECIFIED`, is refused in a request unless a default is stated.

use crate::field::Fields;
use crate::v1;
use apex_domain::event::AccountMode;
use apex_domain::instrument::{AssetClass, InstrumentKind};
use apex_domain::market::{FeedStatus, Side};
use apex_domain::order::{
    Contingency, OrderStatus, OrderType, PositionSide, ReleaseRule, SelfTradePrevention,
    TimeInForce, TriggerType,
};
use apex_domain::risk::{LossAction, ReasonCode, TradingState};

pub(super) fn unknown(fields: &mut Fields, field: &str, value: i32) {
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

/// Reads an order type that must be there.
pub fn read_order_type(fields: &mut Fields, value: i32) -> Option<OrderType> {
    let found = find_order_type(value);
    if found.is_none() {
        unknown(fields, "order_type", value);
    }
    found
}

/// Returns the order type of a number, `None` for zero and for what no version had.
pub fn find_order_type(value: i32) -> Option<OrderType> {
    OrderType::ALL
        .into_iter()
        .find(|kind| order_type(*kind) as i32 == value)
}

/// Reads a time in force; zero is IOC for a market order and GTC for every other.
pub fn read_time_in_force(
    fields: &mut Fields,
    value: i32,
    order_type: Option<OrderType>,
) -> Option<TimeInForce> {
    if value == 0 {
        return Some(match order_type {
            Some(OrderType::Market) => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        });
    }
    let found = find_time_in_force(value);
    if found.is_none() {
        unknown(fields, "time_in_force", value);
    }
    found
}

/// Returns the time in force of a number, `None` for zero and for what no version had.
pub fn find_time_in_force(value: i32) -> Option<TimeInForce> {
    TimeInForce::ALL
        .into_iter()
        .find(|time| time_in_force(*time) as i32 == value)
}

/// Reads which price triggers; zero is the last trade.
pub fn read_trigger_type(fields: &mut Fields, value: i32) -> Option<TriggerType> {
    match v1::TriggerType::try_from(value) {
        Ok(v1::TriggerType::Unspecified | v1::TriggerType::Last) => Some(TriggerType::Last),
        Ok(v1::TriggerType::BidAsk) => Some(TriggerType::BidAsk),
        Ok(v1::TriggerType::Mark) => Some(TriggerType::Mark),
        Err(_) => {
            unknown(fields, "trigger_type", value);
            None
        }
    }
}

/// Reads what a trailing offset counts; it must be there.
pub fn read_trailing_offset_type(
    fields: &mut Fields,
    value: i32,
) -> Option<v1::TrailingOffsetType> {
    match v1::TrailingOffsetType::try_from(value) {
        Ok(v1::TrailingOffsetType::Unspecified) | Err(_) => {
            unknown(fields, "trailing_offset_type", value);
            None
        }
        Ok(found) => Some(found),
    }
}

/// Reads which position is meant; zero is the one of a netting account.
pub fn read_position_side(fields: &mut Fields, value: i32) -> Option<PositionSide> {
    match v1::PositionSide::try_from(value) {
        Ok(v1::PositionSide::Unspecified | v1::PositionSide::Net) => Some(PositionSide::Net),
        Ok(v1::PositionSide::Long) => Some(PositionSide::Long),
        Ok(v1::PositionSide::Short) => Some(PositionSide::Short),
        Err(_) => {
            unknown(fields, "position_side", value);
            None
        }
    }
}

/// Reads a rule against trades with oneself; zero leaves it to the venue. The outer `None` is an
/// error.
pub fn read_self_trade_prevention(
    fields: &mut Fields,
    value: i32,
) -> Option<Option<SelfTradePrevention>> {
    use v1::SelfTradePrevention as Wire;
    Some(match Wire::try_from(value) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::CancelNewest) => Some(SelfTradePrevention::ExpireTaker),
        Ok(Wire::CancelOldest) => Some(SelfTradePrevention::ExpireMaker),
        Ok(Wire::CancelBoth) => Some(SelfTradePrevention::ExpireBoth),
        Ok(Wire::Decrement) => Some(SelfTradePrevention::Decrement),
        Err(_) => {
            unknown(fields, "self_trade_prevention", value);
            return None;
        }
    })
}

/// Reads how orders depend on each other; zero is not at all.
pub fn read_contingency(fields: &mut Fields, value: i32) -> Option<Contingency> {
    use v1::Contingency as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::None) => Some(Contingency::None),
        Ok(Wire::Oco) => Some(Contingency::Oco),
        Ok(Wire::Oto) => Some(Contingency::Oto),
        Ok(Wire::Ouo) => Some(Contingency::Ouo),
        Ok(Wire::Bracket) => Some(Contingency::Bracket),
        Err(_) => {
            unknown(fields, "contingency", value);
            None
        }
    }
}

/// Reads which fill releases children; zero is the complete one.
pub fn read_release_rule(fields: &mut Fields, value: i32) -> Option<ReleaseRule> {
    match v1::ReleaseRule::try_from(value) {
        Ok(v1::ReleaseRule::Unspecified | v1::ReleaseRule::Full) => Some(ReleaseRule::Full),
        Ok(v1::ReleaseRule::Partial) => Some(ReleaseRule::Partial),
        Err(_) => {
            unknown(fields, "release", value);
            None
        }
    }
}

pub fn trigger_type(trigger: TriggerType) -> v1::TriggerType {
    match trigger {
        TriggerType::Last => v1::TriggerType::Last,
        TriggerType::BidAsk => v1::TriggerType::BidAsk,
        TriggerType::Mark => v1::TriggerType::Mark,
    }
}

pub fn position_side(side: PositionSide) -> v1::PositionSide {
    match side {
        PositionSide::Net => v1::PositionSide::Net,
        PositionSide::Long => v1::PositionSide::Long,
        PositionSide::Short => v1::PositionSide::Short,
    }
}

pub fn self_trade_prevention(rule: Option<SelfTradePrevention>) -> v1::SelfTradePrevention {
    match rule {
        None => v1::SelfTradePrevention::Unspecified,
        Some(SelfTradePrevention::ExpireTaker) => v1::SelfTradePrevention::CancelNewest,
        Some(SelfTradePrevention::ExpireMaker) => v1::SelfTradePrevention::CancelOldest,
        Some(SelfTradePrevention::ExpireBoth) => v1::SelfTradePrevention::CancelBoth,
        Some(SelfTradePrevention::Decrement) => v1::SelfTradePrevention::Decrement,
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

const REASON_CODES: [ReasonCode; 43] = {
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
        R::PositionTooSmall,
        R::PositionSideInNetting,
        R::PositionSideRequired,
        R::Resolved,
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

pub fn asset_class(class: AssetClass) -> v1::AssetClass {
    match class {
        AssetClass::Crypto => v1::AssetClass::Crypto,
        AssetClass::Equity => v1::AssetClass::Equity,
        AssetClass::Fx => v1::AssetClass::Fx,
        AssetClass::Future => v1::AssetClass::Future,
        AssetClass::Option => v1::AssetClass::Option,
        AssetClass::Index => v1::AssetClass::Index,
    }
}

/// Reads an asset class; zero is what definitions had before there were classes.
pub fn read_asset_class(fields: &mut Fields, value: i32) -> Option<AssetClass> {
    match v1::AssetClass::try_from(value) {
        Ok(v1::AssetClass::Unspecified) => Some(AssetClass::default()),
        Ok(v1::AssetClass::Crypto) => Some(AssetClass::Crypto),
        Ok(v1::AssetClass::Equity) => Some(AssetClass::Equity),
        Ok(v1::AssetClass::Fx) => Some(AssetClass::Fx),
        Ok(v1::AssetClass::Future) => Some(AssetClass::Future),
        Ok(v1::AssetClass::Option) => Some(AssetClass::Option),
        Ok(v1::AssetClass::Index) => Some(AssetClass::Index),
        Err(_) => {
            unknown(fields, "asset_class", value);
            None
        }
    }
}

pub fn loss_action(action: LossAction) -> v1::LossAction {
    match action {
        LossAction::Halt => v1::LossAction::Halt,
        LossAction::Reduce => v1::LossAction::Reduce,
    }
}

/// Reads what a loss limit does; zero halts.
pub fn read_loss_action(fields: &mut Fields, field: &str, value: i32) -> Option<LossAction> {
    match v1::LossAction::try_from(value) {
        Ok(v1::LossAction::Unspecified | v1::LossAction::Halt) => Some(LossAction::Halt),
        Ok(v1::LossAction::Reduce) => Some(LossAction::Reduce),
        Err(_) => {
            unknown(fields, field, value);
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

pub fn read_trading_state(state: v1::TradingState) -> Option<TradingState> {
    match state {
        v1::TradingState::Active => Some(TradingState::Active),
        v1::TradingState::Reducing => Some(TradingState::Reducing),
        v1::TradingState::Halted => Some(TradingState::Halted),
        v1::TradingState::Unspecified => None,
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
    fn every_order_type_and_time_in_force_comes_back() {
        let fields = &mut Fields::new();
        for kind in OrderType::ALL {
            assert_eq!(read_order_type(fields, order_type(kind) as i32), Some(kind));
        }
        for time in TimeInForce::ALL {
            let wire = time_in_force(time) as i32;
            assert_eq!(read_time_in_force(fields, wire, None), Some(time));
        }
    }

    #[test]
    fn a_number_of_a_later_version_is_refused_in_each_enum() {
        let mut fields = Fields::new();
        let f = &mut fields;
        assert_eq!(read_order_type(f, 99), None);
        assert_eq!(read_time_in_force(f, 99, None), None);
        assert_eq!(read_trigger_type(f, 99), None);
        assert_eq!(read_trailing_offset_type(f, 99), None);
        assert_eq!(read_position_side(f, 99), None);
        assert_eq!(read_self_trade_prevention(f, 99), None);
        let errors = fields.finish(Some(())).unwrap_err();
        assert_eq!(errors.errors().len(), 6);
        assert!(
            errors
                .errors()
                .iter()
                .all(|error| error.description == "99 is no known value")
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
