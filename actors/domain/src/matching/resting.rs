//! Our resting orders of one side of one instrument, and where they stand in the venue's queue.

use super::book_fill::QueueModel;
use super::order_book::reaches;
use crate::id::ClientOrderId;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resting {
    pub(super) client_order_id: ClientOrderId,
    pub(super) price: Price,
    pub(super) leaves: Quantity,
    /// The most that it shows at once; `None` shows all.
    pub(super) display: Option<Quantity>,
    /// What others have before us at our price; `None` while the venue does not show the price.
    pub(super) ahead: Option<i64>,
    /// Events older than this cannot fill it.
    pub(super) since: UnixNanos,
    /// It trades outside of the regular session too.
    pub(super) extended_hours: bool,
    /// What it shows now.
    slice: i64,
    /// What others have at our price, as it was stated last.
    level: i64,
    /// What traded at our price since.
    printed: i64,
}

/// An order that begins to rest.
#[derive(Clone, Debug)]
pub(super) struct NewResting {
    pub(super) client_order_id: ClientOrderId,
    pub(super) price: Price,
    pub(super) leaves: Quantity,
    pub(super) display: Option<Quantity>,
    /// What the venue shows at its price.
    pub(super) shown: Option<i64>,
    pub(super) since: UnixNanos,
    pub(super) extended_hours: bool,
}

impl Resting {
    fn new(new: NewResting, queue: QueueModel) -> Resting {
        let mut resting = Resting {
            client_order_id: new.client_order_id,
            price: new.price,
            leaves: new.leaves,
            display: new.display,
            ahead: match queue {
                QueueModel::Front => Some(0),
                QueueModel::Back | QueueModel::Proportional => new.shown,
            },
            since: new.since,
            extended_hours: new.extended_hours,
            slice: 0,
            level: new.shown.unwrap_or(0),
            printed: 0,
        };
        resting.show_next();
        resting
    }

    /// Shows the next part.
    pub(super) fn show_next(&mut self) {
        let display = self.display.unwrap_or(Quantity(i64::MAX));
        self.slice = self.leaves.0.min(display.0);
    }

    /// Takes what the venue states of our price. No more can be ahead of us than rests there at
    /// all. At a price that was not shown before, all that is there came before us.
    fn see(&mut self, shown: i64, queue: QueueModel) {
        let ahead = match (queue, self.ahead) {
            (QueueModel::Front, _) => 0,
            (_, None) => shown,
            (QueueModel::Back, Some(ahead)) => ahead,
            (QueueModel::Proportional, Some(ahead)) => {
                // What neither traded nor is there any more was canceled, evenly over the queue.
                let before = self.level.saturating_sub(self.printed).max(0);
                let lost = i128::from(before.saturating_sub(shown).max(0));
                let share = match before {
                    0 => 0,
                    _ => lost * i128::from(ahead.min(before)) / i128::from(before),
                };
                ahead.saturating_sub(i64::try_from(share).unwrap_or(ahead))
            }
        };
        self.ahead = Some(ahead.min(shown));
        self.level = shown;
        self.printed = 0;
    }

    /// Lets a print of `quantity` at our price work, of which our other orders have taken
    /// `spent`. Returns what it fills of this one.
    ///
    /// What is ahead trades first. A shown part that is used up is followed by the next one,
    /// behind all others that are left at the price.
    fn print_at(&mut self, quantity: i64, spent: i64) -> Quantity {
        let Some(mut ahead) = self.ahead else {
            return Quantity::ZERO;
        };
        self.printed = self.printed.saturating_add(quantity);
        let mut behind = self.level.saturating_sub(ahead).max(0);
        let mut left = quantity.saturating_sub(spent);
        let mut passed = quantity;
        let mut filled = 0;
        while self.leaves.0 > 0 && left > ahead {
            let part = (left - ahead).min(self.slice);
            left -= ahead + part;
            passed = left;
            ahead = 0;
            filled += part;
            self.slice -= part;
            self.leaves.0 -= part;
            if self.slice == 0 && self.leaves.0 > 0 {
                self.show_next();
                ahead = std::mem::take(&mut behind);
            }
        }
        self.ahead = Some(ahead.saturating_sub(passed).max(0));
        Quantity(filled)
    }

    /// Lets a print through our price work: everything at our price was gone before.
    fn print_through(&mut self, quantity: i64, spent: i64) -> Quantity {
        self.ahead = Some(0);
        let filled = quantity.saturating_sub(spent).clamp(0, self.leaves.0);
        self.leaves.0 -= filled;
        self.show_next();
        Quantity(filled)
    }
}

/// Resting orders, best price first, oldest first within a price.
#[derive(Clone, Debug)]
pub(super) struct RestingSide {
    side: Side,
    queue: QueueModel,
    orders: Vec<Resting>,
}

/// Something that others traded, as our resting orders see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) ts: UnixNanos,
    /// It was made outside of the regular session.
    pub(super) extended: bool,
}

impl RestingSide {
    pub(super) fn new(side: Side, queue: QueueModel) -> RestingSide {
        RestingSide {
            side,
            queue,
            orders: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Returns the orders in the order in which they are filled.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Resting> {
        self.orders.iter_mut()
    }

    /// Puts an order behind all others of its price.
    pub(super) fn insert(&mut self, order: NewResting) {
        let order = Resting::new(order, self.queue);
        let side = self.side;
        let at = self
            .orders
            .partition_point(|other| !is_better(side, order.price, other.price));
        self.orders.insert(at, order);
    }

    pub(super) fn remove(&mut self, id: &ClientOrderId) -> Option<Resting> {
        let at = self.orders.iter().position(|o| o.client_order_id == *id)?;
        Some(self.orders.remove(at))
    }

    /// Lowers what is left of an order, which keeps its place.
    pub(super) fn reduce(&mut self, id: &ClientOrderId, leaves: Quantity) {
        if let Some(order) = self.orders.iter_mut().find(|o| o.client_order_id == *id) {
            order.leaves = leaves;
            order.slice = order.slice.min(leaves.0);
        }
    }

    /// Forgets the orders that have nothing left.
    pub(super) fn sweep(&mut self) {
        self.orders.retain(|order| !order.leaves.is_zero());
    }

    /// Corrects the place in the queue of all orders by what the venue shows now, from the best
    /// price down to where it shows nothing.
    pub(super) fn see_all(&mut self, shown_at: impl Fn(Price) -> Option<i64>) {
        for order in &mut self.orders {
            let Some(shown) = shown_at(order.price) else {
                break;
            };
            order.see(shown, self.queue);
        }
    }

    /// Corrects the place in the queue of the orders at one price.
    pub(super) fn see_level(&mut self, price: Price, shown: i64) {
        let side = self.side;
        let first = self
            .orders
            .partition_point(|order| is_better(side, order.price, price));
        for order in &mut self.orders[first..] {
            if order.price != price {
                break;
            }
            order.see(shown, self.queue);
        }
    }

    /// Lets a print that hit this side work on the orders; calls `fill` for each that trades.
    /// `fill` returns how much of it was traded; the order has ended where that is less.
    ///
    /// A print through an order's price means that everything at that price was gone before. A
    /// print at its price uses up what is ahead of it first. The print's quantity is shared:
    /// what one order got, the next cannot get.
    pub(super) fn print(
        &mut self,
        print: Print,
        mut fill: impl FnMut(&Resting, Quantity) -> Quantity,
    ) {
        let mut spent = 0_i64;
        for order in &mut self.orders {
            if !reaches(self.side, Some(order.price), print.price) {
                break;
            }
            if order.since > print.ts || (print.extended && !order.extended_hours) {
                continue;
            }
            let filled = if order.price == print.price {
                order.print_at(print.quantity.0, spent)
            } else {
                order.print_through(print.quantity.0, spent)
            };
            if filled.0 > 0 {
                let traded = fill(order, filled);
                spent += traded.0;
                if traded < filled {
                    order.leaves = Quantity::ZERO;
                }
            }
        }
        self.sweep();
    }
}

/// Returns true when an order of `side` at `a` is filled before one at `b`.
fn is_better(side: Side, a: Price, b: Price) -> bool {
    match side {
        Side::Buy => a > b,
        Side::Sell => a < b,
    }
}
