//! Contracts as their venue counts them: it knows of no strategies.
//!
//! Profit of a contract becomes cash when it is realised, and what a trade realises depends on whose
//! average it closes. A strategy here has a position of its own; a venue has one for each side, of
//! all of them. So the cash of two strategies that trade one contract differs from what the venue
//! tells, by no fault of anybody, until both are flat. Before the two are compared the account's
//! cash is counted as the venue counts it.

use super::unbooking::replayed;
use super::{NetPosition, Past, Portfolio, Position};
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{Decimal, NumberError};
use crate::order::PositionSide;
use crate::portfolio::position::Holding;
use crate::time::UnixNanos;
use crate::venue::Execution;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

type Sums = BTreeMap<Currency, Result<Money, NumberError>>;

/// One side of a contract, averaged over all strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    held: NetPosition,
    /// The newest time that its executions have at the venue.
    last_ts: UnixNanos,
    /// An execution was booked behind a later one: the average is another one than the venue's,
    /// until nothing is held.
    is_disordered: bool,
}

impl Whole {
    fn holding(&self) -> Holding {
        Holding {
            quantity: self.held.quantity,
            open_cost: self.held.open_cost.0,
            realized: Decimal::ZERO,
        }
    }

    fn with(self, holding: &Holding) -> Whole {
        let held = NetPosition {
            quantity: holding.quantity,
            open_cost: Money(holding.open_cost),
        };
        Whole { held, ..self }
    }

    /// True when the average is another one than the venue's, since something came late.
    pub(crate) fn is_disordered(&self) -> bool {
        self.is_disordered
    }

    #[cfg(test)]
    pub(crate) fn quantity(&self) -> i64 {
        self.held.quantity
    }

    /// Returns it after a trade.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn traded(
        self,
        instrument: &Instrument,
        execution: &Execution,
    ) -> Result<Whole, NumberError> {
        let delta = execution.position_change(instrument)?;
        let price = execution.last_price;
        let after = self.holding().trade(delta, price, instrument)?;
        let is_late = execution.ts_event < self.last_ts;
        Ok(Whole {
            last_ts: self.last_ts.max(execution.ts_event),
            is_disordered: after.quantity != 0 && (self.is_disordered || is_late),
            ..self.with(&after)
        })
    }

    /// Returns what all of this makes of a side.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn made_by(
        instrument: &Instrument,
        side: PositionSide,
        past: Vec<Past<'_>>,
    ) -> Result<Whole, NumberError> {
        // What a split leaves depends on the position of each strategy.
        if past.iter().any(|step| matches!(step, Past::Split(_))) {
            let portfolio = replayed(instrument, side, past.into_iter())?;
            return Ok(portfolio.whole_of(&instrument.instrument_id, side));
        }
        let executions = past.into_iter().filter_map(|step| match step {
            Past::Execution(_, execution) => Some(execution),
            Past::Split(_) => None,
        });
        let mut executions = executions;
        executions.try_fold(Whole::default(), |whole, execution| {
            whole.traded(instrument, execution)
        })
    }

    /// Returns it after a split that left `ours` of the strategies together. Each of them loses its
    /// fraction, and nothing is known of the venue's: it holds as much as they do, at what it cost
    /// it before, since it has realised nothing.
    fn after_split(self, ours: NetPosition) -> Whole {
        let held = match ours.quantity.signum() {
            0 => NetPosition::default(),
            side if side == self.held.quantity.signum() => NetPosition {
                quantity: ours.quantity,
                ..self.held
            },
            // Fractions alone had made it long or short.
            _ => ours,
        };
        let is_disordered = self.is_disordered && held.quantity != 0;
        Whole {
            held,
            is_disordered,
            ..self
        }
    }
}

impl Portfolio {
    /// Returns what all strategies hold of one side of a contract, averaged as one position.
    pub(crate) fn whole_of(&self, id: &InstrumentId, side: PositionSide) -> Whole {
        let key = (id.clone(), side);
        self.whole.get(&key).copied().unwrap_or_default()
    }

    /// Returns the sides of a contract after a split that left these positions.
    ///
    /// Errors: `OutOfRange`.
    pub(super) fn whole_after_split(
        &self,
        id: &InstrumentId,
        positions: &[Position],
    ) -> Result<Vec<(PositionSide, Whole)>, NumberError> {
        let sides = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
        let held = sides.into_iter().filter_map(|side| {
            let whole = self.whole.get(&(id.clone(), side))?;
            Some((side, *whole))
        });
        held.map(|(side, whole)| {
            let of_side = positions.iter().filter(|position| position.side == side);
            Ok((side, whole.after_split(NetPosition::of(of_side)?)))
        })
        .collect()
    }

    /// Returns the sides of contracts whose average is not the venue's.
    pub(crate) fn disordered(&self) -> impl Iterator<Item = &(InstrumentId, PositionSide)> {
        let sides = self.whole.iter();
        sides
            .filter(|(_, whole)| whole.is_disordered)
            .map(|(key, _)| key)
    }

    /// Returns cash as a venue counts it that realises the profit of a contract by the average of
    /// all strategies together, in the order of its own time. Equal to [`Portfolio::cash`] where
    /// one strategy trades each contract and nothing came late. `average` counts a side in that
    /// order; it is asked where something came late.
    ///
    /// Errors, by currency: `OutOfRange`.
    pub(crate) fn venue_cash<'a>(
        &self,
        instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
        average: impl Fn(&(InstrumentId, PositionSide)) -> Result<Whole, NumberError>,
    ) -> Sums {
        let cash = self.cash.iter();
        let mut sums: Sums = cash
            .map(|(currency, amount)| (currency.clone(), Ok(*amount)))
            .collect();
        for (key, whole) in &self.whole {
            let (id, side) = key;
            let Some(instrument) = instrument(id) else {
                continue;
            };
            let whole = match whole.is_disordered {
                true => average(key),
                false => Ok(*whole),
            };
            let shift = whole.and_then(|whole| self.shift(instrument, *side, &whole));
            if shift != Ok(Money::ZERO) {
                let currency = instrument.profit_currency().clone();
                let sum = sums.entry(currency).or_insert(Ok(Money::ZERO));
                *sum = sum.clone().and_then(|sum| sum.checked_add(shift?));
            }
        }
        sums
    }

    /// Returns what the venue has realised of a side beyond what the strategies have. Cash and the
    /// cost of what is open are together the same on both sides.
    fn shift(
        &self,
        instrument: &Instrument,
        side: PositionSide,
        whole: &Whole,
    ) -> Result<Money, NumberError> {
        let ours = self.net_of_side(&instrument.instrument_id, side)?;
        // Where no number held one of them, nothing is known of the venue's average.
        if ours.quantity != whole.held.quantity {
            return Ok(Money::ZERO);
        }
        let (ours, venue) = (ours.open_cost, whole.held.open_cost);
        match instrument.kind {
            // The base amount of what is open is owed the other way round.
            InstrumentKind::Inverse => ours.checked_sub(venue),
            InstrumentKind::Linear | InstrumentKind::Spot => venue.checked_sub(ours),
        }
    }
}
