//! An incoming order against the opposite side of a book.

use super::{NIL, Orders};
use crate::book::L3Change;
use crate::market::Side;
use crate::matching::order_book::{
    BookChanges, BookOrderId, BookTrade, PlaceOrder, PlaceTerms, Prevented, RestingOrder, reaches,
};
use crate::number::Quantity;
use crate::order::SelfTradePrevention;

/// What became of an incoming order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::matching::order_book) struct Swept {
    pub traded: Quantity,
    /// What prevented self-trades took off its quantity.
    pub cut: Quantity,
    /// It met its own group and goes no further.
    pub ended: bool,
}

impl PlaceTerms {
    /// Returns what an incoming order with these terms does where it meets `maker`; `None` when
    /// they trade.
    pub(super) fn against(&self, maker: &RestingOrder) -> Option<SelfTradePrevention> {
        let same = self.group != 0 && self.group == maker.terms.group;
        self.self_trade.filter(|_| same)
    }
}

/// What to do with the order at the head of a queue.
enum Head {
    Stays,
    /// It is filled or ended.
    Leaves,
    /// Its shown part is used up: the next one goes to the back.
    Again,
}

impl Orders {
    /// Trades an incoming order against the opposite side, best price and oldest order first.
    pub(in crate::matching::order_book) fn sweep(
        &mut self,
        taker: BookOrderId,
        order: &PlaceOrder,
        terms: &PlaceTerms,
        changes: &mut BookChanges,
    ) -> Swept {
        let opposite = order.side.opposite();
        let mut swept = Swept::default();
        let wanted = order.quantity.0 - order.filled.0;
        while !swept.ended && swept.traded.0 + swept.cut.0 < wanted {
            let best = match opposite {
                Side::Buy => self.bids.last_entry(),
                Side::Sell => self.asks.first_entry(),
            };
            let Some(mut level) = best else { break };
            let price = *level.key();
            if !reaches(order.side, order.limit_price, price) {
                break;
            }
            let queue = level.get_mut();
            while !swept.ended && queue.head != NIL {
                let leaves = wanted - swept.traded.0 - swept.cut.0;
                if leaves == 0 {
                    break;
                }
                let slot = queue.head as usize;
                let maker = &mut self.nodes[slot].order;
                let before = maker.shown.0;
                let head = match terms.against(maker) {
                    Some(mode) => prevent(mode, maker, order, leaves, &mut swept, changes),
                    None => trade(maker, taker, order, leaves, &mut swept, changes),
                };
                let (id, shown) = (maker.id, maker.shown.0);
                queue.leaves += i128::from(shown) - i128::from(before);
                match head {
                    Head::Stays => {}
                    Head::Leaves => {
                        queue.leaves -= i128::from(shown);
                        queue.head = self.nodes[slot].next;
                        if queue.head == NIL {
                            queue.tail = NIL;
                        } else {
                            self.nodes[queue.head as usize].previous = NIL;
                        }
                        self.slots.remove(&id);
                        self.free.push(slot as u32);
                    }
                    Head::Again if queue.tail == slot as u32 => {
                        self.arrivals += 1;
                        self.nodes[slot].order.arrival = self.arrivals;
                    }
                    Head::Again => {
                        self.arrivals += 1;
                        self.nodes[slot].order.arrival = self.arrivals;
                        let next = self.nodes[slot].next;
                        self.nodes[next as usize].previous = NIL;
                        self.nodes[queue.tail as usize].next = slot as u32;
                        self.nodes[slot].previous = queue.tail;
                        self.nodes[slot].next = NIL;
                        queue.head = next;
                        queue.tail = slot as u32;
                    }
                }
            }
            changes.touched.push((opposite, price));
            if queue.head == NIL {
                level.remove();
            }
        }
        swept
    }
}

fn trade(
    maker: &mut RestingOrder,
    taker: BookOrderId,
    order: &PlaceOrder,
    leaves: i64,
    swept: &mut Swept,
    changes: &mut BookChanges,
) -> Head {
    let traded = leaves.min(maker.shown.0);
    swept.traded.0 += traded;
    maker.filled.0 += traded;
    maker.shown.0 -= traded;
    changes.trades.push(BookTrade {
        price: maker.price,
        quantity: Quantity(traded),
        aggressor: order.side,
        taker,
        taker_owner: order.owner,
        maker: maker.id,
        maker_owner: maker.owner,
        maker_leaves: maker.leaves(),
    });
    changes.record(L3Change::Execute {
        order_id: maker.id,
        quantity: Quantity(traded),
    });
    if maker.leaves().is_zero() {
        return Head::Leaves;
    }
    if !maker.shown.is_zero() {
        return Head::Stays;
    }
    maker.shown = maker.next_shown();
    changes.record(maker.as_shown());
    Head::Again
}

fn prevent(
    mode: SelfTradePrevention,
    maker: &mut RestingOrder,
    order: &PlaceOrder,
    leaves: i64,
    swept: &mut Swept,
    changes: &mut BookChanges,
) -> Head {
    let mut prevented = Prevented {
        maker_owner: maker.owner,
        taker_owner: order.owner,
        cut: Quantity::ZERO,
        maker_ended: true,
    };
    match mode {
        SelfTradePrevention::ExpireTaker => {
            swept.ended = true;
            prevented.maker_ended = false;
        }
        SelfTradePrevention::ExpireBoth => swept.ended = true,
        SelfTradePrevention::ExpireMaker => {}
        SelfTradePrevention::Decrement => {
            let cut = leaves.min(maker.leaves().0);
            swept.cut.0 += cut;
            maker.quantity.0 -= cut;
            maker.shown = maker.shown.min(maker.leaves());
            prevented.cut = Quantity(cut);
            prevented.maker_ended = maker.leaves().is_zero();
        }
    }
    changes.prevented.push(prevented);
    if prevented.maker_ended {
        changes.record(L3Change::Cancel { order_id: maker.id });
        Head::Leaves
    } else {
        changes.record(L3Change::Modify {
            order_id: maker.id,
            price: maker.price,
            quantity: maker.shown,
        });
        Head::Stays
    }
}
