//! Fills decided from bars, quotes or prints, without a book.
//!
//! One order book's worth of detail is not in such data, so the rules are few and stated:
//!
//! - A **market** order fills whole, at one price that [`FillModel`] names, made worse by the
//!   slippage.
//! - A **limit** order fills whole and never worse than its limit. A bar that opens at or beyond
//!   the limit gives the open; a bar whose range only reaches it gives the limit. On quotes and
//!   prints a resting order gives its limit once the other side reaches it.
//! - Size offered is not looked at, and the price standing exactly at the limit counts as reached.
//! - Nothing fills on data older than the order: what is on the market when an order arrives is
//!   the last price alone, never the range of the bar that led to it.
//!
//! Where one instrument comes in several kinds, bars are followed rather than quotes, and quotes
//! rather than prints.

use crate::id::{ClientOrderId, ExecId, InstrumentId, VenueOrderId};
use crate::instrument::Instrument;
use crate::market::MarketEvent;
use crate::money::Rate;
use crate::number::{Price, Quantity};
use crate::order::OrderType;
use crate::time::UnixNanos;
use crate::venue::{
    EndReason, Execution, NewOrder, RejectReason, VenueCommand, VenueEnd, VenueModel, VenueReport,
    VenueStatus,
};
use rules::{Outcome, Reach, Source, is_reached, slipped};
use std::collections::BTreeMap;

mod rules;
#[cfg(test)]
mod tests;

/// Which price a market order gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FillModel {
    /// The open of the next bar, at that bar's start. On quotes: the touch of the next quote.
    NextOpen,
    /// The close of the bar that the decision was made on. On quotes: as `Touch`.
    BarClose,
    /// The quote that the decision was made on: a buy at the ask, a sell at the bid. On bars: the
    /// close.
    Touch,
}

/// How [`BarFill`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarFillOptions {
    pub fill: FillModel,
    /// Share of the price by which a market order fills worse, rounded up to the next price
    /// increment; zero for none.
    pub slippage: Rate,
}

/// A simulated venue over bars, quotes or prints. See the module for its rules.
#[derive(Debug)]
pub struct BarFill {
    options: BarFillOptions,
    listings: BTreeMap<InstrumentId, Listing>,
    /// Every order that was ever accepted, in that order.
    orders: Vec<Placed>,
    by_client: BTreeMap<ClientOrderId, usize>,
    last_execution: u64,
}

#[derive(Debug)]
struct Listing {
    instrument: Instrument,
    source: Option<Source>,
    /// The market as it stands: what an order that arrives now can trade with.
    last: Option<Reach>,
    /// Places in `BarFill::orders`, oldest first.
    working: Vec<usize>,
    /// What all fills here add up to; positive is long. Reduce-only orders are held to it.
    position: i64,
}

/// An order as this venue keeps it, for ever: it has to answer queries and know a repeated id.
#[derive(Debug)]
struct Placed {
    order: NewOrder,
    venue_order_id: VenueOrderId,
    status: VenueStatus,
    /// No data came since it arrived: its first chance takes liquidity.
    fresh: bool,
    execution: Option<Execution>,
}

impl Placed {
    fn filled(&self) -> Quantity {
        self.execution
            .as_ref()
            .map_or(Quantity::ZERO, |execution| execution.last_quantity)
    }
}

/// Returns true when the post-only order, moved to `limit_price`, meets the market as it stands.
fn would_trade(placed: &Placed, listing: &Listing, limit_price: Option<Price>) -> bool {
    let side = placed.order.side;
    let touch = listing.last.and_then(|last| last.start(side));
    placed.order.post_only
        && matches!((limit_price, touch), (Some(limit), Some(price)) if is_reached(side, limit, price))
}

impl BarFill {
    /// Makes a venue that lists `instruments`; orders for others are rejected.
    pub fn new(
        options: BarFillOptions,
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> BarFill {
        let listings = instruments
            .into_iter()
            .map(|instrument| {
                let listing = Listing {
                    instrument,
                    source: None,
                    last: None,
                    working: Vec::new(),
                    position: 0,
                };
                (listing.instrument.instrument_id.clone(), listing)
            })
            .collect();
        BarFill {
            options,
            listings,
            orders: Vec::new(),
            by_client: BTreeMap::new(),
            last_execution: 0,
        }
    }

    fn place(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>) {
        if let Err((reason, text)) = self.check(order) {
            out.push(VenueReport::Rejected {
                client_order_id: order.client_order_id.clone(),
                reason,
                text: text.to_owned(),
                ts_event: now,
            });
            return;
        }
        let index = self.orders.len();
        let venue_order_id = VenueOrderId::new(&format!("V{}", index + 1))
            // A letter and at most 20 digits are within its alphabet and length.
            .expect("a number is an id");
        out.push(VenueReport::Accepted {
            client_order_id: order.client_order_id.clone(),
            venue_order_id: venue_order_id.clone(),
            ts_event: now,
        });
        let placed = Placed {
            order: order.clone(),
            venue_order_id,
            status: VenueStatus::Working,
            fresh: true,
            execution: None,
        };
        self.orders.push(placed);
        self.by_client.insert(order.client_order_id.clone(), index);
        let last = self
            .listings
            .get(&order.instrument_id)
            .and_then(|listing| listing.last);
        let rests = match last {
            Some(last) if self.options.fill != FillModel::NextOpen => {
                self.confront(index, &last, out)
            }
            _ => true,
        };
        if let Some(listing) = self.listings.get_mut(&order.instrument_id)
            && rests
        {
            listing.working.push(index);
        }
    }

    fn check(&self, order: &NewOrder) -> Result<(), (RejectReason, &'static str)> {
        let Some(listing) = self.listings.get(&order.instrument_id) else {
            return Err((
                RejectReason::UnknownInstrument,
                "instrument is not listed here",
            ));
        };
        if self.by_client.contains_key(&order.client_order_id) {
            return Err((
                RejectReason::DuplicateClientOrderId,
                "client_order_id is already used",
            ));
        }
        if order.quantity.0 <= 0 {
            return Err((RejectReason::Other, "quantity must be above zero"));
        }
        if (order.order_type == OrderType::Limit) != order.limit_price.is_some() {
            return Err((
                RejectReason::Other,
                "limit orders have a limit_price, market orders none",
            ));
        }
        let touch = listing.last.and_then(|last| last.start(order.side));
        match order.limit_price {
            None if order.post_only => Err((
                RejectReason::PostOnlyWouldTrade,
                "a market order cannot be post-only",
            )),
            None if touch.is_none() && self.options.fill != FillModel::NextOpen => {
                Err((RejectReason::NoLiquidity, "no price on the other side"))
            }
            Some(limit)
                if order.post_only
                    && touch.is_some_and(|price| is_reached(order.side, limit, price)) =>
            {
                Err((
                    RejectReason::PostOnlyWouldTrade,
                    "post-only order would trade at once",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Shows one piece of data to a working order. Returns true when it still works after that.
    fn confront(&mut self, index: usize, reach: &Reach, out: &mut Vec<VenueReport>) -> bool {
        let placed = &mut self.orders[index];
        let outcome = rules::outcome(&placed.order, placed.fresh, reach);
        placed.fresh = false;
        let filled = match outcome {
            Outcome::Rests => return true,
            Outcome::Ends => None,
            Outcome::Fills { price, maker } => self.execute(index, price, maker, reach.ts, out),
        };
        let placed = &mut self.orders[index];
        let filled = filled.unwrap_or(Quantity::ZERO);
        if filled == placed.order.quantity {
            placed.status = VenueStatus::Filled;
            return false;
        }
        placed.status = VenueStatus::Canceled;
        out.push(VenueReport::Ended {
            client_order_id: placed.order.client_order_id.clone(),
            end: VenueEnd::Canceled,
            reason: match outcome {
                Outcome::Ends => EndReason::NoLiquidity,
                // Nothing left to reduce, or a number that does not fit.
                _ => EndReason::Other,
            },
            cumulative_quantity: filled,
            ts_event: reach.ts,
        });
        false
    }

    /// Books an execution. Returns its quantity, or `None` when nothing could be executed.
    fn execute(
        &mut self,
        index: usize,
        price: Price,
        maker: bool,
        ts_event: UnixNanos,
        out: &mut Vec<VenueReport>,
    ) -> Option<Quantity> {
        let placed = &mut self.orders[index];
        let order = &placed.order;
        let listing = self.listings.get_mut(&order.instrument_id)?;
        let quantity = if order.reduce_only {
            let reducible = (-order.side.sign()).saturating_mul(listing.position).max(0);
            Quantity(order.quantity.0.min(reducible))
        } else {
            order.quantity
        };
        if quantity.is_zero() {
            return None;
        }
        let price = match order.order_type {
            OrderType::Limit => price,
            _ => slipped(
                &listing.instrument,
                order.side,
                price,
                self.options.slippage,
            )?,
        };
        let fee = listing.instrument.fee(price, quantity, maker).ok()?;
        listing.position = listing
            .position
            .checked_add(order.side.sign() * quantity.0)?;
        self.last_execution += 1;
        let execution = Execution {
            exec_id: ExecId::new(&format!("X{}", self.last_execution))
                // A letter and at most 20 digits are within its alphabet and length.
                .expect("a number is an id"),
            client_order_id: order.client_order_id.clone(),
            instrument_id: order.instrument_id.clone(),
            side: order.side,
            last_quantity: quantity,
            last_price: price,
            fee,
            fee_currency: listing.instrument.quote_currency.clone(),
            maker,
            ts_event,
        };
        placed.execution = Some(execution.clone());
        out.push(VenueReport::Filled(execution));
        Some(quantity)
    }

    /// Returns a working order, its place and its listing, or why a change of it is refused.
    fn working(
        &mut self,
        id: &ClientOrderId,
    ) -> Result<(usize, &mut Placed, &mut Listing), &'static str> {
        let index = *self.by_client.get(id).ok_or("no such order")?;
        let placed = &mut self.orders[index];
        if placed.status != VenueStatus::Working {
            return Err("order is no longer working");
        }
        let listing = self
            .listings
            .get_mut(&placed.order.instrument_id)
            .ok_or("instrument is not listed here")?;
        Ok((index, placed, listing))
    }

    fn cancel(&mut self, now: UnixNanos, id: &ClientOrderId) -> VenueReport {
        match self.working(id) {
            Err(text) => VenueReport::CancelRejected {
                client_order_id: id.clone(),
                text: text.to_owned(),
                ts_event: now,
            },
            Ok((index, placed, listing)) => {
                placed.status = VenueStatus::Canceled;
                listing.working.retain(|other| *other != index);
                VenueReport::Ended {
                    client_order_id: id.clone(),
                    end: VenueEnd::Canceled,
                    reason: EndReason::Requested,
                    cumulative_quantity: placed.filled(),
                    ts_event: now,
                }
            }
        }
    }

    fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        out: &mut Vec<VenueReport>,
    ) {
        let refusal = match self.working(id) {
            Err(text) => text,
            Ok((_, placed, _)) if limit_price.is_some() != placed.order.limit_price.is_some() => {
                "limit_price does not fit the order type"
            }
            Ok(_) if quantity.0 <= 0 => "quantity must be above zero",
            Ok((_, placed, listing)) if would_trade(placed, listing, limit_price) => {
                "post-only order would trade at once"
            }
            Ok((index, placed, listing)) => {
                placed.order.quantity = quantity;
                placed.order.limit_price = limit_price;
                placed.fresh = true;
                let (last, instrument_id) = (listing.last, placed.order.instrument_id.clone());
                out.push(VenueReport::Amended {
                    client_order_id: id.clone(),
                    quantity,
                    limit_price,
                    stop_price: None,
                    ts_event: now,
                });
                // The new price may trade with what stands on the market.
                if let Some(last) = last
                    && self.options.fill != FillModel::NextOpen
                    && !self.confront(index, &last, out)
                    && let Some(listing) = self.listings.get_mut(&instrument_id)
                {
                    listing.working.retain(|other| *other != index);
                }
                return;
            }
        };
        out.push(VenueReport::AmendRejected {
            client_order_id: id.clone(),
            text: refusal.to_owned(),
            ts_event: now,
        });
    }

    fn status(&self, now: UnixNanos, id: &ClientOrderId) -> VenueReport {
        match self.by_client.get(id).map(|index| &self.orders[*index]) {
            // Commands arrive at once and in order here, so what is not known was never sent.
            None => VenueReport::NotFound {
                client_order_id: id.clone(),
                proof: true,
                ts_event: now,
            },
            Some(placed) => VenueReport::Status {
                client_order_id: id.clone(),
                venue_order_id: placed.venue_order_id.clone(),
                status: placed.status,
                quantity: placed.order.quantity,
                limit_price: placed.order.limit_price,
                executions: placed.execution.iter().cloned().collect(),
                ts_event: now,
                stop_price: None,
            },
        }
    }
}

impl VenueModel for BarFill {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let Some(reach) = Reach::of(event) else {
            return;
        };
        let Some(listing) = self.listings.get_mut(event.instrument_id()) else {
            return;
        };
        if listing.source.is_some_and(|source| source > reach.source) {
            return;
        }
        listing.source = Some(reach.source);
        listing.last = Some(match event {
            MarketEvent::Bar(bar) => Reach::at(bar.close, Source::Bars, bar.ts_open),
            _ => reach,
        });
        if listing.working.is_empty() {
            return;
        }
        let mut working = std::mem::take(&mut listing.working);
        working.retain(|index| self.confront(*index, &reach, out));
        if let Some(listing) = self.listings.get_mut(event.instrument_id()) {
            listing.working = working;
        }
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        match command {
            VenueCommand::New(order) => self.place(now, order, out),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                ..
            } => self.amend(now, client_order_id, *quantity, *limit_price, out),
            VenueCommand::Cancel {
                client_order_id, ..
            } => {
                let report = self.cancel(now, client_order_id);
                out.push(report);
            }
            VenueCommand::Query {
                client_order_id, ..
            } => out.push(self.status(now, client_order_id)),
        }
    }
}
