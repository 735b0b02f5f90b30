//! An iceberg at a venue that has none: the parts of it that the venue gets, one after the other.

use super::OrderEntry;
use crate::id::ClientOrderId;
use crate::instrument::Instrument;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use crate::venue::Execution;
use serde::{Deserialize, Serialize};

/// What begins the id of a slice at the venue.
const PREFIX: &str = "ICE";

/// The slice that is at the venue, or was there last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// From 1 within its order; numbers only grow.
    pub number: u32,
    /// The total quantity of the venue's order.
    pub quantity: Quantity,
    /// What is filled of it, without what was taken back.
    pub filled: Quantity,
    /// What was filled of it and taken back.
    pub busted: Quantity,
    /// It was filled whole: the venue has ended it, and what is taken back of it later does not
    /// work again there.
    pub done: bool,
    /// What was taken back of slices that were filled whole. A venue may trade it again there, so
    /// it is shown in no other one.
    pub spent: Quantity,
}

/// Returns the id that a slice has at the venue. `created` is the sequence of its order's first
/// event.
pub(crate) fn slice_id(created: u64, number: u32) -> ClientOrderId {
    // A sequence and a number have at most 20 and 10 digits.
    ClientOrderId::new(&format!("{PREFIX}{created}-{number}")).expect("slice id is well formed")
}

/// Returns the sequence and the number of which [`slice_id`] makes this id, if there are any.
pub(crate) fn slice_of(id: &ClientOrderId) -> Option<(u64, u32)> {
    let (created, number) = id.as_str().strip_prefix(PREFIX)?.split_once('-')?;
    let (created, number) = (created.parse().ok()?, number.parse().ok()?);
    // No sign and no zeros in front.
    (slice_id(created, number) == *id).then_some((created, number))
}

/// Returns the smallest quantity that the venue takes as an order at `price`.
fn smallest(instrument: &Instrument, price: Option<Price>) -> Quantity {
    let smallest = price.map(|price| instrument.smallest_orderable(price));
    smallest
        .and_then(Result::ok)
        .unwrap_or(instrument.min_quantity)
}

/// Returns `wanted` of `open`, or all of it where the rest would be too small for an order.
fn part(open: Quantity, wanted: Quantity, smallest: Quantity) -> Quantity {
    if open.saturating_sub(wanted) < smallest {
        open
    } else {
        wanted
    }
}

impl OrderEntry {
    /// Returns the id that the venue knows the order by.
    pub fn wire_id(&self) -> ClientOrderId {
        match &self.slice {
            Some(slice) => slice_id(self.created, slice.number),
            None => self.order.request.client_order_id.clone(),
        }
    }

    /// Returns true when everything that the venue was shown of the order is filled and something
    /// is left: nothing of it is at the venue.
    pub fn is_between_slices(&self) -> bool {
        self.is_working() && self.slice.is_some_and(|slice| slice.done)
    }

    /// Returns true when the next slice is due, or the one at the venue is larger than what is
    /// open: an earlier one was filled beyond its end.
    pub fn needs_slicing(&self) -> bool {
        self.is_working()
            && self
                .slice
                .is_some_and(|slice| slice.done || self.is_wide(slice))
    }

    fn is_wide(&self, slice: Slice) -> bool {
        slice.quantity.saturating_sub(slice.filled) > self.showable()
    }

    /// Returns how much of the order the venue may be shown, what it shows now included.
    pub fn showable(&self) -> Quantity {
        let spent = self.slice.map_or(Quantity::ZERO, |slice| slice.spent);
        self.order.leaves_quantity.saturating_sub(spent)
    }

    /// Returns true for a slice behind the first that the venue has not shown to have. The first
    /// one is the order's own state.
    pub fn is_slice_unanswered(&self) -> bool {
        let later = self.slice.filter(|slice| slice.number > 1);
        later.is_some_and(|slice| {
            let untouched = slice.filled.is_zero() && slice.busted.is_zero();
            self.order.venue_order_id.is_none() && untouched
        })
    }

    /// Returns what slices before the one at the venue have filled, so that its own figures and
    /// this are the order's. Zero of any other order.
    pub fn filled_before(&self) -> Quantity {
        let slice = self
            .slice
            .map_or(self.order.filled_quantity, |it| it.filled);
        self.order.filled_quantity.saturating_sub(slice)
    }

    /// Returns what was filled and taken back of the venue's present order.
    pub fn busted_at_venue(&self) -> Quantity {
        self.slice.map_or(self.busted, |slice| slice.busted)
    }

    /// Returns how much the next slice shows.
    pub fn next_slice(&self, instrument: &Instrument) -> Quantity {
        let open = self.showable();
        let smallest = smallest(instrument, self.order.limit_price);
        // An amend of the price may have made the displayed quantity too small for an order.
        let wanted = self.order.request.terms.display_quantity.unwrap_or(open);
        part(open, wanted.max(smallest), smallest)
    }

    /// Returns the quantity of the slice at the venue once the order's total is `total` and its
    /// price `price`: smaller where less is open than it shows, and larger only by a rest that is
    /// too small for an order of its own. Any other order has all of it at the venue.
    pub fn wire_quantity(
        &self,
        total: Quantity,
        price: Option<Price>,
        instrument: &Instrument,
    ) -> Quantity {
        let Some(slice) = self.slice else {
            return total;
        };
        let room = total.saturating_sub(self.filled_before());
        let room = room.saturating_sub(slice.spent);
        part(room, slice.quantity, smallest(instrument, price))
    }

    /// Returns the order's total where the venue tells `quantity` and these prices of the slice:
    /// that of the amend which they answer, or else as much more or less as the slice is.
    pub fn total_of(
        &self,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
        instrument: &Instrument,
    ) -> Quantity {
        let Some(slice) = self.slice else {
            return quantity;
        };
        let answers = self.amend.as_ref().filter(|amend| {
            let told = (
                limit_price.or(self.order.limit_price),
                stop_price.or(self.order.stop_price),
            );
            let wanted = self.wire_quantity(amend.quantity, amend.limit_price, instrument);
            quantity == wanted && told == (amend.limit_price, amend.stop_price)
        });
        match answers {
            Some(amend) => amend.quantity,
            None => {
                let total = i128::from(self.order.quantity.0) + i128::from(quantity.0);
                let total = total - i128::from(slice.quantity.0);
                Quantity(total.clamp(0, i128::from(i64::MAX)) as i64)
            }
        }
    }

    /// Returns true for an execution beyond what the slice at the venue is, as far as that is
    /// known: an amend under way may have changed it.
    pub fn overfills_slice(&self, execution: &Execution) -> bool {
        self.amend.is_none()
            && self.is_of_slice(execution)
            && self.slice.is_some_and(|slice| {
                slice.filled.saturating_add(execution.last_quantity) > slice.quantity
            })
    }

    fn is_of_slice(&self, execution: &Execution) -> bool {
        self.slice.is_some() && execution.client_order_id == self.wire_id()
    }

    /// Folds `OrderSliced`: the next slice, the same one again, or another quantity of it.
    pub(super) fn take_slice(&mut self, number: u32, quantity: Quantity, ts: UnixNanos) {
        self.sent = true;
        match &mut self.slice {
            Some(slice) if slice.number == number => {
                slice.quantity = quantity;
                slice.done = slice.filled >= quantity;
            }
            last => {
                let spent = last.as_ref().map_or(Quantity::ZERO, |slice| slice.spent);
                self.order.venue_order_id = None;
                self.slice = Some(Slice {
                    number,
                    quantity,
                    filled: Quantity::ZERO,
                    busted: Quantity::ZERO,
                    done: false,
                    spent,
                });
            }
        }
        if !self.is_acknowledged() {
            self.submitted_at = ts;
        }
    }

    pub(super) fn fill_slice(&mut self, execution: &Execution) {
        let is_of = self.is_of_slice(execution);
        let Some(slice) = &mut self.slice else {
            return;
        };
        if !is_of || slice.done {
            slice.spent = slice.spent.saturating_sub(execution.last_quantity);
        }
        if is_of {
            slice.filled = slice.filled.saturating_add(execution.last_quantity);
            slice.done |= slice.filled >= slice.quantity;
        }
    }

    pub(super) fn bust_slice(&mut self, execution: &Execution, booked: bool) {
        let is_of = self.is_of_slice(execution);
        let Some(slice) = &mut self.slice else {
            return;
        };
        if booked && (!is_of || slice.done) {
            slice.spent = slice.spent.saturating_add(execution.last_quantity);
        }
        if is_of {
            slice.busted = slice.busted.saturating_add(execution.last_quantity);
            if booked {
                slice.filled = slice.filled.saturating_sub(execution.last_quantity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_slices_have_are_read_as_such() {
        let read = |text| slice_of(&ClientOrderId::new(text).unwrap());
        assert_eq!(slice_id(12, 3).as_str(), "ICE12-3");
        assert_eq!(read("ICE12-3"), Some((12, 3)));
        let largest = slice_id(u64::MAX, u32::MAX);
        assert_eq!(slice_of(&largest), Some((u64::MAX, u32::MAX)));
        for text in [
            "ICE12", "ICE-3", "ICE012-3", "ICE12-03", "ICE1-2-3", "C12-3", "ice12-3",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_rest_that_is_too_small_for_an_order_is_joined_to_the_part_before_it() {
        for (open, wanted, smallest, expected) in [
            (100, 30, 1, 30),
            (40, 30, 10, 30),
            (39, 30, 10, 39),
            (30, 30, 10, 30),
            (20, 30, 10, 20),
            (5, 30, 10, 5),
        ] {
            let found = part(Quantity(open), Quantity(wanted), Quantity(smallest));
            assert_eq!(found, Quantity(expected), "{open} {wanted} {smallest}");
        }
    }
}
