//! The terms of a new order, and which of them go together.

use super::submit::{canonical, cut_price};
use crate::convert::{enums, text};
use crate::field::Fields;
use crate::v1;
use apex_domain::order::{Misfit, OrderTerms, OrderType, TimeInForce, TrailingOffset};
use apex_domain::{Instrument, Price, Quantity, UnixNanos};

/// Basis points of a trailing offset; at 10,000 the stop would be at zero.
const BPS: std::ops::RangeInclusive<u32> = 1..=9_999;

/// What decides which terms an order may have. `None` is refused already, and then nothing is
/// said about what goes with it.
pub(super) struct Combination<'a> {
    pub order_type: Option<OrderType>,
    pub time_in_force: Option<TimeInForce>,
    pub instrument: Option<&'a Instrument>,
}

/// A number that may be absent, and whether it fits.
type Cut<T> = (Option<T>, Option<Misfit>);

/// Reads all terms but the notional, with the first number of them that fits no increment.
pub(super) fn read(
    f: &mut Fields,
    request: &v1::SubmitOrderRequest,
    with: &Combination<'_>,
) -> Option<(OrderTerms, Option<Misfit>)> {
    let stop = with.stop_price(f, request);
    let trailing = with.trailing(f, request);
    let activation = with.activation_price(f, request);
    let trigger = with.trigger(f, request);
    let expire_at = with.expire_at(f, request);
    let display = with.display_quantity(f, request);
    let position_side = enums::read_position_side(f, request.position_side);
    let prevention = enums::read_self_trade_prevention(f, request.self_trade_prevention);
    let (stop_price, stop_misfit) = stop?;
    let (trailing, trailing_misfit) = trailing?;
    let (activation_price, activation_misfit) = activation?;
    let (display_quantity, display_misfit) = display?;
    let terms = OrderTerms {
        notional: None,
        stop_price,
        trailing,
        activation_price,
        trigger: trigger?,
        expire_at: expire_at?,
        display_quantity,
        position_side: position_side?,
        self_trade_prevention: prevention?,
        extended_hours: request.extended_hours,
    };
    let misfit = stop_misfit
        .or(trailing_misfit)
        .or(activation_misfit)
        .or(display_misfit);
    Some((terms, misfit))
}

/// Refuses an auction order of a kind that no auction takes.
pub(super) fn check_times(
    f: &mut Fields,
    order_type: Option<OrderType>,
    time_in_force: Option<TimeInForce>,
) {
    let is_auction = matches!(
        time_in_force,
        Some(TimeInForce::AtOpen | TimeInForce::AtClose)
    );
    let fits = matches!(
        order_type,
        None | Some(OrderType::Market | OrderType::Limit)
    );
    if is_auction && !fits {
        f.refuse(
            "time_in_force",
            "AT_OPEN and AT_CLOSE are for market and limit orders only",
        );
    }
}

impl Combination<'_> {
    pub fn limit_price(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<Cut<Price>> {
        let wanted = self.order_type.map(OrderType::has_limit);
        let kinds = "is for LIMIT, STOP_LIMIT and LIMIT_IF_TOUCHED orders only";
        self.price(
            f,
            ("limit_price", &request.limit_price),
            (wanted, kinds),
            Misfit::Price,
        )
    }

    fn stop_price(&self, f: &mut Fields, request: &v1::SubmitOrderRequest) -> Option<Cut<Price>> {
        let wanted = self
            .order_type
            .map(|kind| kind.is_conditional() && kind != OrderType::TrailingStop);
        let kinds = "is for STOP, STOP_LIMIT, MARKET_IF_TOUCHED and LIMIT_IF_TOUCHED orders only";
        self.price(
            f,
            ("stop_price", &request.stop_price),
            (wanted, kinds),
            Misfit::StopPrice,
        )
    }

    fn activation_price(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<Cut<Price>> {
        let text = request.activation_price.as_str();
        if text.is_empty() {
            return Some((None, None));
        }
        let wanted = self.order_type.map(|kind| kind == OrderType::TrailingStop);
        let kinds = "is for TRAILING_STOP orders only";
        self.price(
            f,
            ("activation_price", text),
            (wanted, kinds),
            Misfit::ActivationPrice,
        )
    }

    /// Reads a price that is there exactly where it is wanted; `None` when that is not known.
    fn price(
        &self,
        f: &mut Fields,
        (field, text): (&str, &str),
        (wanted, kinds): (Option<bool>, &str),
        misfit: impl FnOnce(String) -> Misfit,
    ) -> Option<Cut<Price>> {
        let number = match (wanted, text.is_empty()) {
            (Some(false) | None, true) => return Some((None, None)),
            (Some(false), false) => {
                f.refuse(field, kinds);
                return None;
            }
            // The type is refused already; a price that is no number is told as well.
            (Some(true), _) | (None, false) => text::positive(f, field, text)?,
        };
        let (price, misfit) = cut_price(f, field, number, self.instrument?, misfit)?;
        Some((Some(price), misfit))
    }

    fn trailing(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<Cut<TrailingOffset>> {
        let trails = match self.order_type {
            Some(order_type) => order_type == OrderType::TrailingStop,
            None => !request.trailing_offset.is_empty(),
        };
        if !trails {
            let is_set = [
                ("trailing_offset", !request.trailing_offset.is_empty()),
                ("trailing_offset_type", request.trailing_offset_type != 0),
            ];
            let mut refused = false;
            for (field, _) in is_set.into_iter().filter(|(_, is_set)| *is_set) {
                f.refuse(field, "is for TRAILING_STOP orders only");
                refused = true;
            }
            return (!refused).then_some((None, None));
        }
        let number = text::positive(f, "trailing_offset", &request.trailing_offset);
        let kind = enums::read_trailing_offset_type(f, request.trailing_offset_type);
        let (number, kind) = (number?, kind?);
        if kind == v1::TrailingOffsetType::Bps {
            let bps = number.at(0).ok().and_then(|bps| u32::try_from(bps).ok());
            let bps = bps.filter(|bps| BPS.contains(bps));
            if bps.is_none() {
                f.refuse("trailing_offset", "must be whole basis points, 1 to 9999");
            }
            return Some((Some(TrailingOffset::Bps(bps?)), None));
        }
        let instrument = self.instrument?;
        let misfit = Misfit::TrailingOffset;
        let (offset, misfit) = cut_price(f, "trailing_offset", number, instrument, misfit)?;
        Some((Some(TrailingOffset::Price(offset)), misfit))
    }

    fn trigger(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<apex_domain::order::TriggerType> {
        let is_conditional = self.order_type.is_none_or(OrderType::is_conditional);
        if request.trigger_type != 0 && !is_conditional {
            f.refuse("trigger_type", "is for conditional orders only");
            return None;
        }
        enums::read_trigger_type(f, request.trigger_type)
    }

    fn expire_at(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<Option<UnixNanos>> {
        let at = request.expire_at_ns;
        let problem = match self.time_in_force {
            Some(TimeInForce::Gtd) if at == 0 => Some("is required for GTD"),
            Some(TimeInForce::Gtd) | None if at < 0 => Some("must be above zero"),
            Some(TimeInForce::Gtd) | None => None,
            Some(_) if at != 0 => Some("is for GTD only"),
            Some(_) => None,
        };
        match problem {
            Some(problem) => {
                f.refuse("expire_at_ns", problem);
                None
            }
            None => Some((at != 0).then_some(UnixNanos(at))),
        }
    }

    fn display_quantity(
        &self,
        f: &mut Fields,
        request: &v1::SubmitOrderRequest,
    ) -> Option<Cut<Quantity>> {
        let field = "display_quantity";
        if request.display_quantity.is_empty() {
            return Some((None, None));
        }
        if let Some(problem) = self.not_resting() {
            f.refuse(field, problem);
            return None;
        }
        if !request.notional.is_empty() {
            f.refuse(field, "needs a quantity, not a notional");
            return None;
        }
        let number = text::positive(f, field, &request.display_quantity)?;
        let decimals = self.instrument?.quantity_decimals;
        let (shown, fits) = f.take(field, text::cut(number, decimals))?;
        // Where the quantity cannot be read that is told there.
        let whole = apex_domain::number::DecimalText::parse(request.quantity.as_bytes()).ok();
        let whole = whole.and_then(|whole| text::cut(whole, decimals).ok());
        if whole.is_some_and(|(whole, _)| shown > whole) {
            f.refuse(field, "must not be above quantity");
            return None;
        }
        let misfit = (!fits).then(|| Misfit::DisplayQuantity(canonical(number)));
        Some((Some(Quantity(shown)), misfit))
    }

    pub fn check_post_only(&self, f: &mut Fields, request: &v1::SubmitOrderRequest) {
        if request.post_only
            && let Some(problem) = self.not_resting()
        {
            f.refuse("post_only", problem);
        }
    }

    /// Returns why an order cannot rest at a price of its own, `None` where it can or where that
    /// is not known.
    fn not_resting(&self) -> Option<&'static str> {
        if self.order_type.is_some_and(|kind| !kind.has_limit()) {
            return Some("is for orders with a limit price only");
        }
        let rests = matches!(
            self.time_in_force,
            None | Some(TimeInForce::Gtc | TimeInForce::Day | TimeInForce::Gtd)
        );
        (!rests).then_some("is for orders that may rest only: use GTC, DAY or GTD")
    }
}
