//! What a strategy sees and says while one of its handlers runs.

use crate::account_view::AccountView;
use crate::command::StrategyCommand;
use crate::ledger::Ledger;
use crate::list_request::{ListIds, ListRequest, OrderChange};
use crate::order_request::OrderRequest;
use apex_domain::account::CancelFilter;
use apex_domain::event::CloseScope;
use apex_domain::instrument::Instrument;
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, Order, OrderKey, SubmitList, SubmitOrder};
use apex_domain::risk::MarketRef;
use apex_domain::{ClientOrderId, InstrumentId, Price, Quantity, StrategyId, UnixNanos};

/// A strategy's view of its world at one moment, and the book in which its wishes are recorded.
///
/// Nothing here acts: commands are carried out, in their order, after the handler has returned.
///
/// Nothing here can show the future. Every value is folded from events that were delivered
/// before or with this call, whatever may already be waiting behind them, and delivering an event
/// whose `ts_init` is later than `now` is refused with
/// [`StrategyError::LookAhead`](crate::StrategyError::LookAhead).
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) now: UnixNanos,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) commands: &'a mut Vec<StrategyCommand>,
}

impl Context<'_> {
    /// Returns the time of the decision: when the newest delivered event was first seen. It
    /// never goes back.
    pub fn now(&self) -> UnixNanos {
        self.now
    }

    pub fn strategy_id(&self) -> &StrategyId {
        self.ledger.strategy_id()
    }

    /// Returns the definition of an instrument, or `None` when it is not known here.
    pub fn instrument(&self, id: &InstrumentId) -> Option<&Instrument> {
        self.ledger.instrument(id)
    }

    /// Returns all known instruments in order of id.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.ledger.instruments()
    }

    /// Returns the strategy's own position as a mantissa at the instrument's quantity decimals:
    /// positive is long, zero is flat.
    pub fn position(&self, id: &InstrumentId) -> i64 {
        self.ledger.position(id)
    }

    /// Returns the whole account: cash, equity and what is free. `None` where
    /// [`Subscriptions::account`](crate::Subscriptions::account) did not ask for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use apex_strategy::Context;
    /// use apex_domain::number::Decimal;
    ///
    /// /// A hundredth of the equity, in base currency.
    /// fn risk(ctx: &Context<'_>) -> Option<Decimal> {
    ///     // Equity that is known in part only is no ground for a size.
    ///     let account = ctx.account().filter(|account| !account.partial)?;
    ///     account.equity.0.checked_div(Decimal::ONE_HUNDRED)
    /// }
    /// ```
    pub fn account(&self) -> Option<&AccountView> {
        self.ledger.account()
    }

    /// Returns what the strategy's working orders may still add to its position, buys minus
    /// sells, orders of this very handler included. Units as [`Context::position`].
    ///
    /// An order that waits for its parent adds nothing yet. Of the legs of an OCO, OUO or bracket
    /// the larger one counts, since only one can trade. A conditional order counts from the
    /// beginning, as if its price had come.
    pub fn working(&self, id: &InstrumentId) -> i64 {
        self.ledger.working(id)
    }

    /// Returns an own order, working or lately ended.
    pub fn order(&self, client_order_id: &ClientOrderId) -> Option<&Order> {
        self.ledger.order(client_order_id)
    }

    /// Returns the own orders that have not ended.
    pub fn working_orders(&self) -> impl Iterator<Item = &Order> {
        self.ledger.working_orders()
    }

    /// Returns the last close, print or middle of a quote that was delivered.
    pub fn last_price(&self, id: &InstrumentId) -> Option<Price> {
        self.ledger.mark(id)?.last_price()
    }

    /// Returns the last bid and ask that were delivered; a bar's close on both where there are no
    /// quotes.
    pub fn market(&self, id: &InstrumentId) -> MarketRef {
        self.ledger
            .mark(id)
            .map_or_else(MarketRef::default, |mark| mark.reference())
    }

    /// Returns the bytes of the last [`Context::save_state`], also from before a restart.
    pub fn saved_state(&self) -> Option<&[u8]> {
        self.ledger.saved_state()
    }

    /// Asks for a position of `quantity` (units and sign as [`Context::position`]): a market
    /// order over the difference from the own position **plus the own working orders**. Where
    /// there is no difference nothing is ordered and `None` comes back, so it can be said again
    /// on every bar.
    ///
    /// Through zero it is one order: from +100 to -100 is one sell of 200. Resting limit orders
    /// and waiting stops count as if they were filled, as [`Context::working`] says; cancel first
    /// what should not.
    ///
    /// The order names no side of a position, so a hedging account denies it for a contract
    /// (`POSITION_SIDE_REQUIRED`): submit with [`OrderRequest::position_side`] there.
    ///
    /// ```
    /// # use apex_strategy::{Context, Strategy, Subscriptions, Selection};
    /// # use apex_domain::market::Bar;
    /// struct BuyOnce;
    /// impl Strategy for BuyOnce {
    ///     fn subscriptions(&self) -> Subscriptions {
    ///         Subscriptions { bars: Selection::All, ..Subscriptions::none() }
    ///     }
    ///     fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
    ///         // Orders on the first bar and then never again.
    ///         ctx.target(&bar.instrument_id, 100);
    ///     }
    /// }
    /// ```
    pub fn target(&mut self, id: &InstrumentId, quantity: i64) -> Option<ClientOrderId> {
        let expected = self.position(id).saturating_add(self.working(id));
        let difference = quantity.saturating_sub(expected);
        if difference == 0 {
            return None;
        }
        let side = if difference > 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let size = Quantity(difference.saturating_abs());
        Some(self.submit(OrderRequest::market(id.clone(), side, size)))
    }

    /// Asks for an order and returns the id that it will have. Whether it was taken comes with
    /// `on_order`, or `on_refused` when the account could not take it at all.
    pub fn submit(&mut self, order: OrderRequest) -> ClientOrderId {
        let request = self.with_ids(order);
        let client_order_id = request.client_order_id.clone();
        self.ledger.asked_for(&request);
        self.commands
            .push(StrategyCommand::Submit(Box::new(request)));
        client_order_id
    }

    fn with_ids(&mut self, order: OrderRequest) -> SubmitOrder {
        let client_order_id = self.ledger.next_order_id();
        order.with_ids(client_order_id, self.ledger.strategy_id().clone())
    }

    /// Asks for orders that belong together and returns the ids that they will have. What the
    /// account cannot take at all comes back with `on_refused`, once for each order of the list.
    pub fn submit_list(&mut self, list: ListRequest) -> ListIds {
        let list_id = self.ledger.next_list_id();
        let orders: Vec<SubmitOrder> = list
            .orders
            .into_iter()
            .map(|order| self.with_ids(order))
            .collect();
        let ids = ListIds {
            list_id: list_id.clone(),
            orders: orders
                .iter()
                .map(|order| order.client_order_id.clone())
                .collect(),
        };
        let request = SubmitList {
            list_id,
            contingency: list.contingency,
            release: list.release,
            cascade: list.cascade,
            orders,
        };
        self.ledger.asked_for_list(&request);
        self.commands
            .push(StrategyCommand::SubmitList(Box::new(request)));
        ids
    }

    /// Asks for an entry with its two exits; see [`ListRequest::bracket`].
    ///
    /// ```
    /// # use apex_domain::{Price, Quantity, market::{Bar, Side}};
    /// # use apex_strategy::{Context, OrderRequest};
    /// fn enter(ctx: &mut Context<'_>, bar: &Bar) {
    ///     let (id, quantity) = (&bar.instrument_id, Quantity(100));
    ///     let ids = ctx.bracket(
    ///         OrderRequest::market(id.clone(), Side::Buy, quantity),
    ///         OrderRequest::limit(id.clone(), Side::Sell, quantity, Price(bar.close.0 + 200)),
    ///         OrderRequest::stop(id.clone(), Side::Sell, quantity, Price(bar.close.0 - 100)),
    ///     );
    ///     assert_eq!(ids.orders.len(), 3);
    /// }
    /// ```
    pub fn bracket(
        &mut self,
        entry: OrderRequest,
        take_profit: OrderRequest,
        stop_loss: OrderRequest,
    ) -> ListIds {
        self.submit_list(ListRequest::bracket(entry, take_profit, stop_loss))
    }

    /// Asks for orders of which a fill of one cancels the others.
    pub fn oco(&mut self, orders: Vec<OrderRequest>) -> ListIds {
        self.submit_list(ListRequest::oco(orders))
    }

    /// Asks for orders of which a fill of one takes its quantity from the others.
    pub fn ouo(&mut self, orders: Vec<OrderRequest>) -> ListIds {
        self.submit_list(ListRequest::ouo(orders))
    }

    /// Asks for an order whose complete fill sends the others.
    pub fn oto(&mut self, parent: OrderRequest, children: Vec<OrderRequest>) -> ListIds {
        self.submit_list(ListRequest::oto(parent, children))
    }

    /// Asks for other values of a working order.
    pub fn amend(&mut self, client_order_id: &ClientOrderId, change: OrderChange) {
        let request_id = self.ledger.next_request_id();
        self.commands.push(StrategyCommand::Amend(AmendOrder {
            key: OrderKey::ClientOrderId(client_order_id.clone()),
            request_id,
            quantity: change.quantity,
            limit_price: change.limit_price,
            stop_price: change.stop_price,
            expected_sequence: None,
        }));
    }

    /// Asks for the end of the strategy's own position: its working orders in the instrument are
    /// canceled, and when none can trade any more market orders close what is left, again and
    /// again until nothing is. Returns the id that the first of them will have; where there is
    /// nothing to close none comes.
    pub fn close(&mut self, id: &InstrumentId) -> ClientOrderId {
        let client_order_id = self.ledger.next_order_id();
        let request_id = self.ledger.next_request_id();
        self.commands.push(StrategyCommand::Close {
            scope: CloseScope {
                instrument_id: Some(id.clone()),
                strategy_id: Some(self.ledger.strategy_id().clone()),
                client_order_id: Some(client_order_id.clone()),
            },
            request_id,
        });
        client_order_id
    }

    /// Asks for the end of one order.
    pub fn cancel(&mut self, client_order_id: &ClientOrderId) {
        self.commands
            .push(StrategyCommand::Cancel(client_order_id.clone()));
    }

    /// Asks for the end of all own working orders of one instrument, or of all.
    pub fn cancel_all(&mut self, instrument_id: Option<&InstrumentId>) {
        self.commands.push(StrategyCommand::CancelAll(CancelFilter {
            instrument_id: instrument_id.cloned(),
            strategy_id: Some(self.ledger.strategy_id().clone()),
            side: None,
        }));
    }

    /// Asks for a call of `on_timer` at `at`; a time that is not later than now becomes the next
    /// nanosecond. A timer fires before the market data of the same time.
    pub fn timer(&mut self, at: UnixNanos, tag: impl Into<String>) {
        self.commands.push(StrategyCommand::Timer {
            at: at.max(self.now.plus(1)),
            tag: tag.into(),
        });
    }

    /// Asks for these bytes to be kept over a restart; the last ones count.
    pub fn save_state(&mut self, bytes: Vec<u8>) {
        self.ledger.save_state(bytes.clone());
        self.commands.push(StrategyCommand::SaveState(bytes));
    }

    /// Says something to a person.
    pub fn log(&mut self, text: impl Into<String>) {
        self.commands.push(StrategyCommand::Log(text.into()));
    }
}
