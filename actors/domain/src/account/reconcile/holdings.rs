//! Positions and balances that differ from the venue's: judged, and brought in line.

use super::{Account, BUSTS_WITHIN_NS, Step};
use crate::event::Event;
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::money::Money;
use crate::number::Price;
use crate::order::PositionSide;
use crate::order::store::OrderIndex;
use crate::portfolio::Holder;
use crate::reconcile::{
    self, Difference, DifferenceState, Part, Reconciler, Resolution, VenueBalance, VenuePosition,
    VenueSnapshot,
};
use crate::time::UnixNanos;
use crate::venue::Execution;

/// What one snapshot showed about positions and balances, before anything of it was done.
#[derive(Default)]
struct Confirmed {
    positions: Vec<Difference>,
    balances: Vec<Difference>,
}

impl Account {
    /// Positions first, since what is booked for them moves cash; then balances by what is left.
    pub(super) fn take_holdings(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        snapshot: &VenueSnapshot,
    ) {
        let mut confirmed = Confirmed::default();
        if let Some(part) = &snapshot.positions {
            for difference in reconcile::positions(self, part, snapshot.positions_by_side) {
                if self.is_to_book(step, machine, &difference, (part.ts, snapshot)) {
                    confirmed.positions.push(difference);
                }
            }
        }
        if let Some(part) = &snapshot.balances {
            let tolerance = machine.settings().balance_tolerance.clone();
            self.count_averages();
            for difference in reconcile::balances(self, part, &tolerance) {
                if self.is_to_book(step, machine, &difference, (part.ts, snapshot)) {
                    confirmed.balances.push(difference);
                }
            }
        }
        if let Some(part) = &snapshot.positions {
            self.book_positions(step, machine, &confirmed.positions, part);
        }
        if let Some(part) = &snapshot.balances {
            self.adjust_balances(step, machine, &confirmed.balances, part);
        }
    }

    /// Notes a difference of a position or balance, by a part of `ts`. True when it is confirmed
    /// and nothing that is under way can explain it.
    fn is_to_book(
        &self,
        step: &Step<'_>,
        machine: &mut Reconciler,
        difference: &Difference,
        (ts, snapshot): (UnixNanos, &VenueSnapshot),
    ) -> bool {
        let Some(judged) = machine.observe(step.now, self.sequence, difference.clone()) else {
            return false;
        };
        let instrument_id = match difference {
            Difference::Position { instrument_id, .. } => Some(instrument_id),
            _ => None,
        };
        let executions = snapshot.executions.as_ref();
        let awaits_busts = executions
            .is_some_and(|part| reconcile::awaits_busts(self, part, difference))
            && judged.age_ns < BUSTS_WITHIN_NS;
        let open_orders = snapshot.open_orders.as_ref().zip(instrument_id);
        let is_unsure =
            open_orders.is_some_and(|(part, id)| reconcile::has_unlisted_order(self, part, id));
        judged.state == DifferenceState::Confirmed
            && !awaits_busts
            && !is_unsure
            && !self.is_under_way(judged.first_sequence, instrument_id)
            && !machine.has_open_orders(instrument_id)
            && !reconcile::younger_than(self, ts, instrument_id)
    }

    /// Returns true while the outcome of an order is open that was there when the difference was
    /// first seen: it may be what the venue has and we have not. A later one is not, or the
    /// difference would have moved.
    fn is_under_way(&self, first_sequence: u64, instrument_id: Option<&InstrumentId>) -> bool {
        self.orders.unsettled().iter().any(|index: &OrderIndex| {
            let entry = self.orders.get(*index);
            let concerns = instrument_id.is_none_or(|id| *id == entry.order.request.instrument_id);
            concerns && entry.created <= first_sequence
        })
    }

    fn book_positions(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        differences: &[Difference],
        part: &Part<VenuePosition>,
    ) {
        for difference in differences {
            let booked = self.book_position(step, difference, part.ts);
            let resolution = if booked.is_some() {
                Resolution::Booked
            } else {
                Resolution::Alarmed
            };
            machine.resolve(difference, resolution);
        }
    }

    /// Books the executions that bring a position in line. `None` when they cannot be booked: no
    /// such instrument, no price to book at, or no number holds the result.
    fn book_position(
        &mut self,
        step: &mut Step<'_>,
        difference: &Difference,
        ts_event: UnixNanos,
    ) -> Option<()> {
        let Difference::Position {
            instrument_id,
            side: position_side,
            ours,
            venue,
            price,
        } = difference
        else {
            return None;
        };
        let instrument = self.instruments.get(instrument_id)?;
        let fee_currency = instrument.quote_currency.clone();
        let last_price = price.or_else(|| self.last_price(instrument_id))?;
        let legs = reconcile::legs(*ours, *venue).ok()?;
        let owner = Holder {
            side: position_side.unwrap_or(PositionSide::Net),
            ..Holder::external()
        };
        for (number, (side, last_quantity)) in legs.into_iter().enumerate() {
            // By the venue's time: the same snapshot gives the same id, which counts once.
            let of_side = match owner.side {
                PositionSide::Net => "",
                PositionSide::Long => "L",
                PositionSide::Short => "S",
            };
            let id = format!("{}{}-{of_side}{number}", reconcile::SYNTHETIC, ts_event.0);
            let execution = Execution {
                exec_id: ExecId::new(&id).ok()?,
                client_order_id: ClientOrderId::new(&id).ok()?,
                instrument_id: instrument_id.clone(),
                side,
                last_quantity,
                last_price,
                fee: Money::ZERO,
                fee_currency: fee_currency.clone(),
                maker: false,
                ts_event,
            };
            if self.has_seen(&execution) {
                continue;
            }
            let instrument = self.instruments.get(instrument_id)?;
            self.portfolio.plan(instrument, &owner, &execution).ok()?;
            let execution = Box::new(execution);
            let position_side = owner.side;
            let event = match position_side {
                PositionSide::Net => Event::PositionReconciled { execution },
                _ => Event::SideReconciled {
                    position_side,
                    execution,
                },
            };
            self.record(step, event);
        }
        Some(())
    }

    /// Returns the price of the newest execution of an instrument.
    fn last_price(&self, instrument_id: &InstrumentId) -> Option<Price> {
        let mut newest = self.executions.iter().rev();
        let record = newest.find(|record| record.execution.instrument_id == *instrument_id)?;
        Some(record.execution.last_price)
    }

    /// Brings balances in line that were to be, by what differs now that positions are.
    fn adjust_balances(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        confirmed: &[Difference],
        part: &Part<VenueBalance>,
    ) {
        let tolerance = machine.settings().balance_tolerance.clone();
        self.count_averages();
        let left = reconcile::balances(self, part, &tolerance);
        for difference in confirmed {
            let key = difference.subject();
            let now = left.iter().find(|left| left.subject() == key);
            let resolution = match now {
                Some(Difference::Balance {
                    currency,
                    ours,
                    venue,
                }) => match venue.checked_sub(*ours) {
                    Ok(amount) if self.portfolio.cash_after(currency, amount).is_ok() => {
                        let currency = currency.clone();
                        self.record(step, Event::BalanceReconciled { currency, amount });
                        self.shift_baseline(step);
                        Resolution::Adjusted
                    }
                    _ => Resolution::Alarmed,
                },
                // What was booked for a position explains it.
                _ => Resolution::Adjusted,
            };
            machine.resolve(difference, resolution);
        }
    }
}
