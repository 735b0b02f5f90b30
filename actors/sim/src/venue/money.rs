//! What the venue counts of an account's money, by its own log alone.

use super::Ledger;
use super::ledger::units;
use apex_domain::account::FundingPayment;
use apex_domain::instrument::InstrumentKind;
use apex_domain::market::Side;
use apex_domain::number::Decimal;
use apex_domain::order::PositionSide;
use apex_domain::venue::VenueReport;
use apex_domain::{Currency, ExecId, Money, Price, Rate, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

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
