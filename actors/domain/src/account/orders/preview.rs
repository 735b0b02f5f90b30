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
    /// Each check that it would fail, by name; empty when it would be taken. The account's share
    /// of a limit over all accounts is not among them: more of it is asked for with the order.
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
        question.closable = self.closable(request, None, &[]);
        question.wide = self.wide(now, None, request, Quantity::ZERO, quantity);
        // What is missing of the platform's share is asked for when the order comes.
        question.wide = question.wide.map(|wide| wide.without_platform());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::*;
    use crate::instrument::InstrumentKind;
    use crate::market::Side;
    use crate::risk::ReasonCode;

    fn preview(world: &World, request: &SubmitOrder) -> Preview {
        let market = market(9_999, 10_001, world.now);
        let preview = world.account.preview(world.now, request, market, None);
        preview.unwrap()
    }

    #[test]
    fn a_limit_order_is_counted_at_its_limit_with_what_works_already() {
        let mut world = World::ready();
        world.working(limit("a", SPOT, Side::Buy, 1_000, 9_000));
        let before = world.account.clone();
        let one = instrument(SPOT);
        let seen = preview(&world, &limit("b", SPOT, Side::Buy, 2_000, 9_500));
        assert_eq!(
            (seen.quantity, seen.price),
            (Quantity(2_000), Some(Price(9_500)))
        );
        let worth = one.notional(Price(9_500), Quantity(2_000)).unwrap();
        assert_eq!(seen.notional, Some(worth));
        assert_eq!(seen.initial_margin, Some(worth));
        assert_eq!(seen.worst_position, 3_000);
        let fee = one
            .fee_of(Side::Buy, Price(9_500), Quantity(2_000), false)
            .unwrap();
        assert_eq!(seen.fee, Some(fee));
        assert_eq!(seen.failures, []);
        let sell = preview(&world, &limit("b", SPOT, Side::Sell, 2_000, 9_500));
        assert_eq!(sell.worst_position, -2_000);
        assert_eq!(world.account, before);
    }

    #[test]
    fn money_is_shown_as_what_it_buys() {
        let world = World::ready();
        let one = instrument(SPOT);
        let mut request = market_order("a", SPOT, Side::Buy, 0);
        let exact = one.notional(Price(10_001), Quantity(700)).unwrap();
        request.terms.notional = Some(exact);
        let seen = preview(&world, &request);
        assert_eq!(seen.quantity, Quantity(700));
        assert_eq!(seen.price, Some(Price(10_001)));
        assert_eq!(seen.notional, Some(exact));
    }

    #[test]
    fn the_notional_of_an_inverse_contract_is_divided_as_a_whole() {
        let mut world = World::ready();
        let mut inverse = instrument(PERP);
        (inverse.kind, inverse.quantity_decimals) = (InstrumentKind::Inverse, 0);
        inverse.instrument_id = id("INV.SIM");
        world.apply(crate::account::AccountInput::DefineInstrument(Box::new(
            inverse.clone(),
        )));
        let buys = |price, notional| {
            let mut request = limit("a", "INV.SIM", Side::Buy, 0, price);
            request.terms.notional = Some(money(notional));
            preview(&world, &request).quantity
        };
        // One contract is worth 0.0000152830 BTC, rounded 0.00001528.
        assert_eq!(buys(6_543_210, "1"), Quantity(65_432));
        assert_eq!(buys(6_543_210, "0.00001528"), Quantity(0));
        assert_eq!(buys(6_543_210, "0.00001529"), Quantity(1));
        assert_eq!(buys(10_000, "0.35"), Quantity(35));
    }

    #[test]
    fn without_a_market_amounts_are_not_guessed() {
        let world = World::ready();
        let request = market_order("a", SPOT, Side::Buy, 1_000);
        let seen = world
            .account
            .preview(world.now, &request, MarketRef::default(), None);
        let seen = seen.unwrap();
        assert_eq!(
            (seen.price, seen.notional, seen.fee, seen.worst_exposure),
            (None, None, None, None)
        );
        let codes = seen.failures.iter().map(|(_, denial)| denial.reason_code);
        assert!(codes.clone().count() > 0);
        assert!(
            codes
                .clone()
                .all(|code| code == ReasonCode::NoReferencePrice)
        );
    }

    #[test]
    fn an_instrument_that_is_new_is_measured_by_its_definition() {
        let world = World::ready();
        let mut inverse = instrument(PERP);
        inverse.instrument_id = id("BTCUSD-INV.SIM");
        inverse.kind = InstrumentKind::Inverse;
        let request = limit("a", "BTCUSD-INV.SIM", Side::Buy, 1_000, 10_000);
        let market = market(9_999, 10_001, world.now);
        let unknown = world.account.preview(world.now, &request, market, None);
        assert!(matches!(unknown, Err(Refusal::UnknownInstrument(_))));
        let other = instrument(SPOT);
        let wrong = world
            .account
            .preview(world.now, &request, market, Some(&other));
        assert!(matches!(wrong, Err(Refusal::UnknownInstrument(_))));
        let seen = world
            .account
            .preview(world.now, &request, market, Some(&inverse))
            .unwrap();
        // In the base currency.
        let worth = inverse.notional(Price(10_000), Quantity(1_000)).unwrap();
        assert_eq!(seen.notional, Some(worth));
        let fee = seen.fee.unwrap();
        assert_eq!(fee.currency, inverse.base_currency);
    }

    #[test]
    fn what_a_submit_would_refuse_is_refused() {
        let world = World::ready();
        let mut request = limit("a", SPOT, Side::Buy, 1_000, 9_000);
        request.terms.stop_price = Some(Price(1));
        let market = market(9_999, 10_001, world.now);
        let refused = world.account.preview(world.now, &request, market, None);
        assert!(matches!(
            refused,
            Err(Refusal::Invalid {
                field: "stop_price",
                ..
            })
        ));
    }
}
