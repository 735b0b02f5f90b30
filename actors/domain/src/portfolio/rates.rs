//! Conversion between currencies, by the prices of named instruments.

use super::position::COST_DECIMALS;
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{Decimal, Price};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The age of a conversion rate that still counts where no limit says otherwise: a quiet pair
/// quotes once a minute, and one that is older may hide a move.
pub const DEFAULT_MAX_RATE_AGE_NS: i64 = 60 * NANOS_PER_SECOND;

/// How old a price may be to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    pub now: UnixNanos,
    /// Inclusive; `None` takes any age.
    pub max_age_ns: Option<i64>,
}

impl Freshness {
    /// Takes any age.
    pub const ANY: Freshness = Freshness {
        now: UnixNanos::MIN,
        max_age_ns: None,
    };

    /// Returns true for a price that is young enough. One of the future is: clocks differ.
    pub fn allows(self, ts: UnixNanos) -> bool {
        self.max_age_ns.is_none_or(|max| self.now.since(ts) <= max)
    }
}

/// The newest price of each instrument that converts, with its time.
///
/// Conversion takes the first way that has only fresh rates: directly, by the inverse of the
/// opposite pair, or across one common currency. Where several instruments stand for the same
/// pair, the first by instrument id that is fresh counts; where several currencies are common,
/// the first by name. A replay of the same prices therefore converts alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    named: BTreeMap<InstrumentId, Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    base: Currency,
    quote: Currency,
    decimals: u8,
    latest: Option<(Price, UnixNanos)>,
}

/// One step of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leg {
    Times(Decimal),
    Over(Decimal),
}

/// A way from one currency to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionRate {
    first: Option<Leg>,
    second: Option<Leg>,
    /// When the older of its prices was made; `None` for one currency with itself.
    pub ts: Option<UnixNanos>,
}

impl ConversionRate {
    const ONE: ConversionRate = ConversionRate {
        first: None,
        second: None,
        ts: None,
    };

    /// Returns `amount` in the other currency, to 16 decimals, half to even; `None` beyond what
    /// a decimal holds.
    pub fn apply(&self, amount: Money) -> Option<Money> {
        let mut value = amount.0;
        for leg in [self.first, self.second].into_iter().flatten() {
            value = match leg {
                Leg::Times(price) => value.checked_mul(price)?,
                Leg::Over(price) => value.checked_div(price)?,
            };
        }
        Some(Money(value.round_dp(COST_DECIMALS)))
    }
}

impl Rates {
    /// Names the instruments that convert: the spot ones, whose price is what one currency costs
    /// in another. Others are left out.
    pub fn new<'a>(instruments: impl IntoIterator<Item = &'a Instrument>) -> Rates {
        let mut rates = Rates::default();
        for instrument in instruments {
            rates.name(instrument);
        }
        rates
    }

    /// Names one more instrument; returns false for one that is not spot. A definition that
    /// counts prices in other units forgets the price.
    pub fn name(&mut self, instrument: &Instrument) -> bool {
        if instrument.kind != InstrumentKind::Spot {
            return false;
        }
        let mut named = Named {
            base: instrument.base_currency.clone(),
            quote: instrument.quote_currency.clone(),
            decimals: instrument.price_decimals,
            latest: None,
        };
        if let Some(known) = self.named.get(&instrument.instrument_id)
            && known.decimals == named.decimals
            && known.base == named.base
            && known.quote == named.quote
        {
            named.latest = known.latest;
        }
        self.named.insert(instrument.instrument_id.clone(), named);
        true
    }

    /// Takes a price. Returns false when it changes nothing: the instrument does not convert, a
    /// newer price is known, or the price is not above zero.
    pub fn observe(&mut self, instrument_id: &InstrumentId, price: Price, ts: UnixNanos) -> bool {
        let Some(named) = self.named.get_mut(instrument_id) else {
            return false;
        };
        let is_older = named.latest.is_some_and(|(_, newest)| ts < newest);
        if is_older || price.0 <= 0 {
            return false;
        }
        named.latest = Some((price, ts));
        true
    }

    /// Returns the way from one currency to another; `None` where a rate is missing or too old.
    pub fn rate(
        &self,
        from: &Currency,
        to: &Currency,
        freshness: Freshness,
    ) -> Option<ConversionRate> {
        if from == to {
            return Some(ConversionRate::ONE);
        }
        if let Some((leg, ts)) = self.leg(from, to, freshness) {
            return Some(ConversionRate {
                first: Some(leg),
                second: None,
                ts: Some(ts),
            });
        }
        self.common(from).into_iter().find_map(|common| {
            let (first, first_ts) = self.leg(from, common, freshness)?;
            let (second, second_ts) = self.leg(common, to, freshness)?;
            Some(ConversionRate {
                first: Some(first),
                second: Some(second),
                ts: Some(first_ts.min(second_ts)),
            })
        })
    }

    /// Returns `amount` of one currency in another, to 16 decimals, half to even. Nothing needs
    /// no rate.
    pub fn convert(
        &self,
        amount: Money,
        from: &Currency,
        to: &Currency,
        freshness: Freshness,
    ) -> Option<Money> {
        if amount.is_zero() || from == to {
            return Some(amount);
        }
        self.rate(from, to, freshness)?.apply(amount)
    }

    /// Returns the currencies that share an instrument with this one.
    fn common(&self, currency: &Currency) -> BTreeSet<&Currency> {
        let others = self.named.values().filter_map(|named| {
            if named.base == *currency {
                Some(&named.quote)
            } else if named.quote == *currency {
                Some(&named.base)
            } else {
                None
            }
        });
        others.collect()
    }

    fn leg(
        &self,
        from: &Currency,
        to: &Currency,
        freshness: Freshness,
    ) -> Option<(Leg, UnixNanos)> {
        let price = |base: &Currency, quote: &Currency| {
            let pairs = self.named.values();
            let mut pairs = pairs.filter(|named| named.base == *base && named.quote == *quote);
            pairs.find_map(|named| {
                let (price, ts) = named.latest.filter(|(_, ts)| freshness.allows(*ts))?;
                Some((Decimal::new(price.0, u32::from(named.decimals)), ts))
            })
        };
        if let Some((price, ts)) = price(from, to) {
            return Some((Leg::Times(price), ts));
        }
        price(to, from).map(|(price, ts)| (Leg::Over(price), ts))
    }
}
