//! What the venue counts of an account's money, by its own log alone.

use super::Ledger;
use super::ledger::units;
use apex_domain::account::FundingPayment;
use apex_domain::instrument::InstrumentKind;
use apex_domain::market::Side;
use apex_domain::number::Decimal;
use apex_domain::order::PositionSide;
use apex_domain::portfolio::COST_DECIMALS;
use apex_domain::venue::{Execution, VenueReport};
use apex_domain::{Currency, ExecId, Instrument, Money, Price, Quantity, Rate, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// One side of a contract by its average cost, counted apart from what is under test.
#[derive(Default)]
struct Average {
    quantity: i64,
    cost: Decimal,
}

impl Average {
    /// Returns what a trade realises.
    fn trade(&mut self, instrument: &Instrument, execution: &Execution) -> Decimal {
        let delta = execution.last_quantity.0 * execution.side.sign();
        let price = execution.last_price;
        let worth = |units: i64| {
            let worth = instrument.notional(price, Quantity(units));
            worth.expect("small numbers have a worth").0
        };
        let closing = match self.quantity.signum() == -delta.signum() {
            true => delta.signum() * delta.abs().min(self.quantity.abs()),
            false => 0,
        };
        let mut realized = Decimal::ZERO;
        let closed_worth = worth(closing);
        if closing != 0 {
            let released = match -closing == self.quantity {
                true => self.cost,
                false => (self.cost * Decimal::from(-closing) / Decimal::from(self.quantity))
                    .round_dp(COST_DECIMALS),
            };
            self.cost -= released;
            realized = match instrument.kind {
                InstrumentKind::Inverse => released + closed_worth,
                _ => -closed_worth - released,
            };
        }
        self.cost += worth(delta) - closed_worth;
        self.quantity += delta;
        realized
    }
}

impl Ledger {
    /// Pays or takes funding for a contract that has a position.
    pub(super) fn pay_funding(&mut self, ts_event: UnixNanos, rng: &mut ChaCha8Rng) {
        let mut held = self.positions();
        held.retain(|_, quantity| *quantity != 0);
        let ids: Vec<_> = held
            .into_keys()
            .map(|(id, _): (_, PositionSide)| id)
            .collect();
        if ids.is_empty() {
            return;
        }
        let instrument_id = ids[rng.random_range(0..ids.len())].clone();
        let instrument = &self.instruments[&instrument_id];
        let currency = instrument.profit_currency().clone();
        // Numbered by the account: another account's payment of the same number is another one.
        let funding_id = ExecId::new(&format!("f{}", self.funding.len()));
        let payment = FundingPayment {
            funding_id: funding_id.expect("funding id is well formed"),
            instrument_id,
            currency,
            amount: Money(Decimal::new(rng.random_range(-50_000_000..50_000_000), 8)),
            ts_event,
        };
        // Some come as a report in the stream besides: whichever is first, the other is a repeat.
        if self.funding.len().is_multiple_of(2) {
            self.log.push(VenueReport::Funding {
                payment: payment.clone(),
                rate: Rate(Decimal::new(1, 4)),
                mark: Price(10_000),
            });
        }
        self.funding.push(payment);
    }

    /// Returns what each currency holds where only spot instruments trade: all that was paid,
    /// bought, sold and charged. An asset is a currency like any other.
    pub fn spot_balances(&self) -> BTreeMap<Currency, Decimal> {
        let paid = self.paid.iter();
        let mut sums: BTreeMap<Currency, Decimal> =
            paid.map(|(unit, sum)| (unit.clone(), sum.0)).collect();
        for execution in self.executions() {
            let instrument = &self.instruments[&execution.instrument_id];
            if instrument.kind != InstrumentKind::Spot {
                continue;
            }
            let units = units(&self.instruments, execution);
            let cost = units * instrument.price_decimal(execution.last_price);
            *sums.entry(instrument.base_currency.clone()).or_default() += units;
            *sums.entry(instrument.quote_currency.clone()).or_default() -= cost;
            *sums.entry(execution.fee_currency.clone()).or_default() -= execution.fee.0;
        }
        sums
    }

    /// Returns what each currency holds: that of spot instruments, and what contracts realised,
    /// were charged and paid in funding.
    pub(super) fn balances(&self) -> BTreeMap<Currency, Decimal> {
        let mut sums = self.spot_balances();
        let mut averages = BTreeMap::<_, Average>::new();
        for (position_side, execution) in self.contracts_traded() {
            let instrument = &self.instruments[&execution.instrument_id];
            let key = (&execution.instrument_id, position_side);
            let realized = averages
                .entry(key)
                .or_default()
                .trade(instrument, execution);
            *sums
                .entry(instrument.profit_currency().clone())
                .or_default() += realized;
            *sums.entry(execution.fee_currency.clone()).or_default() -= execution.fee.0;
        }
        for payment in &self.funding {
            *sums.entry(payment.currency.clone()).or_default() += payment.amount.0;
        }
        sums
    }

    /// Returns the executions of contracts that stand, in the order in which they happened.
    fn contracts_traded(&self) -> impl Iterator<Item = (PositionSide, &Execution)> {
        let numbered = self.log.iter().enumerate();
        let happened: BTreeMap<_, usize> = numbered
            .filter_map(|(number, report)| match report {
                VenueReport::Filled(execution) => {
                    Some(((&execution.exec_id, &execution.instrument_id), number))
                }
                _ => None,
            })
            .collect();
        let orders = self.orders.values().chain(self.foreign_orders.values());
        let mut traded: Vec<_> = orders
            .filter(|order| self.instruments[&order.new.instrument_id].settles_profit())
            .flat_map(|order| {
                let side = order.new.terms.position_side;
                order.executions.iter().map(move |one| (side, one))
            })
            .collect();
        traded.sort_by_key(|(_, one)| {
            let number = happened.get(&(&one.exec_id, &one.instrument_id));
            (one.ts_event, number)
        });
        traded.into_iter()
    }

    /// Returns what each currency could fall to with all working orders of one direction filled,
    /// buys for the currency that they pay and sells for the asset that they deliver.
    pub fn worst_balances(&self) -> BTreeMap<Currency, Decimal> {
        let mut sums = self.spot_balances();
        for order in self.orders.values().filter(|order| order.is_working()) {
            let instrument = &self.instruments[&order.new.instrument_id];
            let open = apex_domain::Quantity(order.leaves());
            let quantity = instrument.quantity_decimal(open);
            match order.new.side {
                Side::Sell => {
                    *sums.entry(instrument.base_currency.clone()).or_default() -= quantity;
                }
                Side::Buy => {
                    let price = order
                        .limit_price
                        .unwrap_or(crate::instruments::LOWEST_PRICE);
                    let fee = instrument.fee_of(Side::Buy, price, open, false);
                    let fee = fee.expect("small numbers have a fee");
                    let quote = &instrument.quote_currency;
                    let sum = sums.entry(quote.clone()).or_default();
                    *sum -= quantity * instrument.price_decimal(price);
                    if fee.currency == *quote {
                        *sum -= fee.amount.0;
                    }
                }
            }
        }
        sums
    }
}
