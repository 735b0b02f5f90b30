//! What operations did to a book.

use super::{BookTrade, Prevented};
use crate::book::L3Change;
use crate::market::Side;
use crate::number::Price;

/// What an operation did. Operations add to it; the caller clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookChanges {
    pub trades: Vec<BookTrade>,
    /// Levels whose quantity may have changed, in the order of change; may hold one twice.
    pub touched: Vec<(Side, Price)>,
    /// The changes of single orders, where somebody wants them: most callers tell levels only.
    orders: Option<Vec<L3Change>>,
    pub prevented: Vec<Prevented>,
}

impl BookChanges {
    /// No changes yet; those of single orders are kept as well. Applied in order to a
    /// [`crate::book::L3Book`] they make the same book.
    pub fn recording() -> BookChanges {
        BookChanges {
            orders: Some(Vec::new()),
            ..BookChanges::default()
        }
    }

    /// Returns the changes of single orders in the order in which they happened; none without
    /// [`BookChanges::recording`].
    pub fn orders(&self) -> &[L3Change] {
        self.orders.as_deref().unwrap_or_default()
    }

    /// Begins or ends to keep the changes of single orders; those kept so far are dropped when it
    /// ends.
    pub fn keep_orders(&mut self, is_kept: bool) {
        if is_kept != self.keeps_orders() {
            self.orders = is_kept.then(Vec::new);
        }
    }

    /// Returns true while the changes of single orders are kept.
    pub fn keeps_orders(&self) -> bool {
        self.orders.is_some()
    }

    /// Takes out the changes of single orders; further ones are kept as before.
    pub fn take_orders(&mut self) -> Vec<L3Change> {
        self.orders.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes everything out; what follows is kept as before.
    pub fn take(&mut self) -> BookChanges {
        let orders = self.orders.as_ref().map(|_| Vec::new());
        let next = BookChanges {
            orders,
            ..BookChanges::default()
        };
        std::mem::replace(self, next)
    }

    pub(super) fn record(&mut self, change: L3Change) {
        if let Some(orders) = &mut self.orders {
            orders.push(change);
        }
    }

    /// Returns true when nothing happened.
    pub fn is_empty(&self) -> bool {
        self.trades.is_empty()
            && self.prevented.is_empty()
            && self.touched.is_empty()
            && self.orders().is_empty()
    }

    pub fn clear(&mut self) {
        self.trades.clear();
        self.prevented.clear();
        self.touched.clear();
        if let Some(orders) = &mut self.orders {
            orders.clear();
        }
    }
}
