//! What a new order would be and do, without taking it.

use super::super::machine::Account;
use super::super::types::Refusal;
use super::{terms, well_formed};
use crate::instrument::{Fee, Instrument};
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::SubmitOrder;
use crate::risk::MarketRef;
use crate::risk::checks::{self, Denial};
use crate::time::UnixNanos;

/// A new order as it would be taken now. Amounts are in [`Instrument::profit_currency`], at
/// `price`; `None` where there is no price, or no number of ours holds the amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The total quantity: the one asked for, or what its notional buys.
    pub quantity: Quantity,
    /// The price at which it is counted: its limit, or the dearer one of stop price and market.
    pub price: Option<Price>,
    /// What the order is worth, not negative; see [`Instrument::notional`].
    pub notional: Option<Money>,
    /// The fee if all of it took liquidity, in the currency that it is charged in.
    pub fee: Option<Fee>,
    /// What must be held for it while its position is open: the notional times the initial
    /// margin of the instrument.
    pub initial_margin: Option<Money>,
    /// The position of all strategies together if this order and every working one of its side
    /// filled, a mantissa at the instrument's quantity decimals; negative is short.
    pub worst_position: i128,
    /// `worst_position` as notional, not negative.
    pub worst_exposure: Option<Money>,
    /// Each check that it would fail, by name; empty when it would be taken.
    pub failures: Vec<(&'static str, Denial)>,
}

impl Account {
    /// Returns what a new order would be and do if it came now. Decides nothing. `definition` is
    /// looked at when the account does not know the instrument yet.
    ///
    /// Errors: what `Submit` refuses without an event.
    pub fn preview(
        &self,
        now: UnixNanos,
        request: &SubmitOrder,
        market: MarketRef,
        definition: Option<&Instrument>,
    ) -> Result<Preview, Refusal> {
        let id = &request.instrument_id;
        let definition = definition.filter(|definition| definition.instrument_id == *id);
        let instrument = self
            .instruments
            .get(id)
            .or(definition)
            .ok_or_else(|| Refusal::UnknownInstrument(id.clone()))?;
        well_formed(now, request)?;
        let funds = self.funds(instrument);
        let quantity = terms::quantity(instrument, request, &market);
        let mut question = self.question(now, request, market, &funds);
        question.quantity = quantity;
        question.open = quantity;
        question.wide = self.wide(now, None, request, Quantity::ZERO, quantity);
        let price = question.price().ok();
        let notional_of = |quantity| {
            let notional = instrument.notional(price?, quantity).ok()?;
            Some(Money(notional.0.abs()))
        };
        let notional = notional_of(quantity);
        let worst = question.worst_position();
        let worst_size = i64::try_from(worst.unsigned_abs()).ok().map(Quantity);
        Ok(Preview {
            quantity,
            price,
            notional,
            fee: price.and_then(|price| {
                let fee = instrument.fee_of(request.side, price, quantity, false);
                fee.ok()
            }),
            initial_margin: notional
                .and_then(|notional| notional.0.checked_mul(instrument.initial_margin.0))
                .map(Money),
            worst_position: worst,
            worst_exposure: worst_size.and_then(notional_of),
            failures: checks::failures(&question),
        })
    }
}
