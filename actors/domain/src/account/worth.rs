//! What an account is worth, needs and risks at given prices.

use super::machine::Account;
use super::marks::Marks;
use crate::id::InstrumentId;
use crate::number::{NumberError, Price};
use crate::portfolio::{
    Attribution, DEFAULT_MAX_RATE_AGE_NS, Equity, Freshness, InstrumentMargin, Margin, Mark, Rates,
    Valuation,
};
use crate::risk::MarketView;
use crate::risk::measure::Measure;
use crate::time::UnixNanos;
use std::collections::BTreeMap;

/// An account by one valuation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    pub equity: Equity,
    pub margin: Margin,
    pub attribution: Attribution,
}

impl Account {
    /// Returns prices to value this account by: rates up to the age that its limits say, marks up
    /// to the age of a reference price. `None` before it was opened.
    pub fn valuation<'a>(
        &'a self,
        now: UnixNanos,
        marks: &'a BTreeMap<InstrumentId, Mark>,
        rates: &'a Rates,
    ) -> Option<Valuation<'a>> {
        let max_rate_age = self.limits.wide.max_rate_age_ns;
        Some(Valuation {
            base_currency: self.base_currency.as_ref()?,
            marks,
            mark_freshness: Freshness {
                now,
                max_age_ns: self.limits.max_reference_age_ns,
            },
            rates,
            rate_freshness: Freshness {
                now,
                max_age_ns: Some(max_rate_age.unwrap_or(DEFAULT_MAX_RATE_AGE_NS)),
            },
        })
    }

    /// Returns what the account is worth.
    pub fn equity_by(&self, valuation: &Valuation<'_>) -> Equity {
        self.portfolio.equity(&self.instruments, valuation)
    }

    /// Returns what the account is worth, needs and made in these markets, as its limits measure
    /// it: with rates and marks up to the age that they say. Spot instruments among the markets
    /// convert. The attribution is empty and partial where a sum cannot be held.
    pub fn worth_at(
        &self,
        now: UnixNanos,
        markets: impl IntoIterator<Item = (InstrumentId, MarketView)>,
    ) -> Worth {
        let mut shown = Marks::default();
        for (id, view) in markets {
            if let Some(instrument) = self.instruments.get(&id) {
                shown.show(instrument, view);
            }
        }
        let Some(valuation) = self.valuation(now, shown.marks(), shown.rates()) else {
            return Worth::default();
        };
        Worth {
            equity: self.equity_by(&valuation),
            margin: self.margin(&valuation),
            attribution: self.attribution(&valuation).unwrap_or(Attribution {
                partial: true,
                ..Attribution::default()
            }),
        }
    }

    /// Returns what the account is worth with each instrument at its mark, whatever the age of
    /// the marks: the spot instruments among them convert.
    pub fn equity(&self, marks: &BTreeMap<InstrumentId, Price>) -> Equity {
        let Some(base_currency) = self.base_currency.as_ref() else {
            return Equity::default();
        };
        let ts = UnixNanos::default();
        let known = marks.keys().filter_map(|id| self.instruments.get(id));
        let mut rates = Rates::new(known);
        for (id, price) in marks {
            rates.observe(id, *price, ts);
        }
        let mark = |(id, price): (&InstrumentId, &Price)| (id.clone(), Mark { price: *price, ts });
        let marks = marks.iter().map(mark).collect();
        self.equity_by(&Valuation {
            base_currency,
            marks: &marks,
            mark_freshness: Freshness::ANY,
            rates: &rates,
            rate_freshness: Freshness::ANY,
        })
    }

    /// Returns profit, fees and funding by strategy and instrument.
    ///
    /// Errors: a sum cannot be held.
    pub fn attribution(&self, valuation: &Valuation<'_>) -> Result<Attribution, NumberError> {
        self.portfolio.attribution(&self.instruments, valuation)
    }

    /// Returns what positions and working orders hold of the account, and what is left.
    pub fn margin(&self, valuation: &Valuation<'_>) -> Margin {
        self.portfolio
            .margin(&self.instruments, self.orders.exposures(), valuation)
    }

    /// Returns what one instrument holds, in the currency of its profit; `None` where it is not
    /// known, has a position without a fresh mark, or a number is out of range.
    pub fn instrument_margin(
        &self,
        instrument_id: &InstrumentId,
        valuation: &Valuation<'_>,
    ) -> Option<InstrumentMargin> {
        let instrument = self.instruments.get(instrument_id)?;
        let exposure = self.orders.exposures().of(instrument_id);
        let mark = valuation.mark(instrument_id);
        self.portfolio
            .instrument_margin(instrument, &exposure, mark)
            .ok()
    }

    /// Returns what the account risks, to be asked by instrument, strategy or as a whole.
    pub fn measure<'a>(&'a self, valuation: &'a Valuation<'a>) -> Measure<'a> {
        Measure {
            portfolio: &self.portfolio,
            instruments: &self.instruments,
            exposures: self.orders.exposures(),
            valuation,
            added: None,
        }
    }
}
