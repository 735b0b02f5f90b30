//! A small world for scripts: one spot and one linear instrument, and short ways to say things.

use crate::account::{Account, AccountInput, Effects, Refusal, Reply};
use crate::event::{AccountMode, Event, PositionMode, Recorded};
use crate::id::{
    AccountId, ClientOrderId, Currency, ExecId, InstrumentId, RequestId, StrategyId, VenueOrderId,
};
use crate::instrument::{FeeSchedule, Instrument, InstrumentKind, InstrumentRules};
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::{Price, Quantity};
use crate::order::{
    AmendOrder, Order, OrderKey, OrderStatus, OrderTerms, OrderType, PositionSide, SubmitOrder,
    TimeInForce,
};
use crate::risk::{Limits, MarketRef, ReasonCode};
use crate::time::{NANOS_PER_MILLI, UnixNanos};
use crate::venue::{EndReason, Execution, VenueCommand, VenueEnd, VenueReport, VenueStatus};

pub const SPOT: &str = "BTCUSDT.SIM";
pub const PERP: &str = "BTCUSDT-PERP.SIM";

pub fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

pub fn currency(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

pub fn id(text: &str) -> InstrumentId {
    InstrumentId::new(text).unwrap()
}

pub fn cid(text: &str) -> ClientOrderId {
    ClientOrderId::new(text).unwrap()
}

pub fn key(text: &str) -> OrderKey {
    OrderKey::ClientOrderId(cid(text))
}

pub fn request_id(text: &str) -> RequestId {
    RequestId::new(text).unwrap()
}

/// Prices have two decimals, quantities three.
pub fn instrument(text: &str) -> Instrument {
    let spot = text == SPOT;
    Instrument {
        instrument_id: id(text),
        kind: if spot {
            InstrumentKind::Spot
        } else {
            InstrumentKind::Linear
        },
        base_currency: currency("BTC"),
        quote_currency: currency("USDT"),
        price_decimals: 2,
        quantity_decimals: 3,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: money("1"),
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse(if spot { "1" } else { "0.1" }).unwrap(),
        fees: FeeSchedule {
            maker: Rate::parse("0.0002").unwrap(),
            taker: Rate::parse("0.001").unwrap(),
            decimals: None,
            ..FeeSchedule::default()
        },
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

pub fn market(bid: i64, ask: i64, ts: UnixNanos) -> MarketRef {
    MarketRef {
        bid: Some(Price(bid)),
        ask: Some(Price(ask)),
        ts,
    }
}

/// A limit order of the manual strategy.
pub fn limit(client: &str, instrument: &str, side: Side, quantity: i64, price: i64) -> SubmitOrder {
    SubmitOrder {
        client_order_id: cid(client),
        strategy_id: StrategyId::manual(),
        instrument_id: id(instrument),
        side,
        order_type: OrderType::Limit,
        quantity: Quantity(quantity),
        limit_price: Some(Price(price)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }
}

pub fn market_order(client: &str, instrument: &str, side: Side, quantity: i64) -> SubmitOrder {
    SubmitOrder {
        order_type: OrderType::Market,
        limit_price: None,
        time_in_force: TimeInForce::Ioc,
        ..limit(client, instrument, side, quantity, 0)
    }
}

/// An account with its journal and what it said, and a clock that moves a millisecond an input.
pub struct World {
    pub account: Account,
    pub journal: Vec<Recorded>,
    pub effects: Effects,
    pub now: UnixNanos,
}

impl World {
    /// An account without instruments and cash.
    pub fn opened() -> World {
        let mut world = World {
            account: Account::new(),
            journal: Vec::new(),
            effects: Effects::default(),
            now: UnixNanos(1_700_000_000 * crate::time::NANOS_PER_SECOND),
        };
        world.apply(AccountInput::Open {
            account_id: AccountId::new("paper").unwrap(),
            base_currency: currency("USDT"),
            mode: AccountMode::Paper,
        });
        world
    }

    /// Sets the mode in which orders name a side.
    pub fn hedging(&mut self) {
        self.apply(AccountInput::SetPositionMode {
            request_id: None,
            mode: PositionMode::Hedging,
            by: "operator".to_owned(),
        });
    }

    /// Both instruments, 10,000 USDT, buying power checked.
    pub fn ready() -> World {
        let mut world = World::opened();
        world.cash("USDT", "10000");
        world.limits(Limits {
            check_buying_power: true,
            ..Limits::default()
        });
        for text in [SPOT, PERP] {
            world.apply(AccountInput::DefineInstrument(Box::new(instrument(text))));
        }
        world
    }

    /// As [`World::ready`], where orders may be as small as a thousandth.
    pub fn small() -> World {
        let mut world = World::ready();
        for text in [SPOT, PERP] {
            let definition = Instrument {
                min_notional: money("0"),
                ..instrument(text)
            };
            world.apply(AccountInput::DefineInstrument(Box::new(definition)));
        }
        world
    }

    /// A hedging account that is long and short so many of the contract, by orders of those names.
    pub fn hedged(long: i64, short: i64) -> World {
        let mut world = World::small();
        world.hedging();
        for (client, side, position_side, quantity) in [
            ("long", Side::Buy, PositionSide::Long, long),
            ("short", Side::Sell, PositionSide::Short, short),
        ] {
            let mut order = limit(client, PERP, side, quantity, 10_000);
            order.terms.position_side = position_side;
            world.working(order);
            world.fill(client, &format!("x-{client}"), quantity, 10_000);
        }
        world
    }

    pub fn apply(&mut self, input: AccountInput) -> &Effects {
        self.now = self.now.plus(NANOS_PER_MILLI);
        self.account.apply(self.now, input, &mut self.effects);
        self.journal.extend(self.effects.events.iter().cloned());
        &self.effects
    }

    pub fn cash(&mut self, unit: &str, amount: &str) {
        self.apply(AccountInput::AdjustCash {
            request_id: None,
            currency: currency(unit),
            amount: money(amount),
            reason: "test".to_owned(),
        });
    }

    pub fn limits(&mut self, limits: Limits) {
        self.apply(AccountInput::SetLimits {
            request_id: None,
            limits: Box::new(limits),
            expected_sequence: None,
        });
    }

    /// Submits at a market of 99.99 to 100.01.
    pub fn submit(&mut self, request: SubmitOrder) -> &Effects {
        let market = market(9_999, 10_001, self.now);
        self.apply(AccountInput::Submit {
            request: Box::new(request),
            market,
        })
    }

    /// Submits and has the venue accept it.
    pub fn working(&mut self, request: SubmitOrder) {
        let client = request.client_order_id.as_str().to_owned();
        self.submit(request);
        self.accept(&client);
    }

    pub fn amend(&mut self, client: &str, quantity: Option<i64>, price: Option<i64>) -> &Effects {
        let market = market(9_999, 10_001, self.now);
        let request_id = request_id(&format!("amend-{}", self.now.0));
        self.apply(AccountInput::Amend {
            request: AmendOrder {
                key: key(client),
                request_id,
                quantity: quantity.map(Quantity),
                limit_price: price.map(Price),
                expected_sequence: None,
                stop_price: None,
            },
            market,
        })
    }

    pub fn cancel(&mut self, client: &str) -> &Effects {
        self.apply(AccountInput::Cancel {
            key: key(client),
            request_id: None,
            reason_code: ReasonCode::CanceledByUser,
        })
    }

    pub fn report(&mut self, report: VenueReport) -> &Effects {
        self.apply(AccountInput::Report {
            venue_sequence: 0,
            report,
        })
    }

    pub fn accept(&mut self, client: &str) -> &Effects {
        let report = accepted(client, self.now);
        self.report(report)
    }

    pub fn fill(&mut self, client: &str, exec: &str, quantity: i64, price: i64) -> &Effects {
        let order = self.order(client);
        let (instrument_id, side) = (order.request.instrument_id, order.request.side);
        let execution = execution(client, exec, instrument_id.as_str(), side, quantity, price);
        self.report(VenueReport::Filled(execution))
    }

    pub fn ended(&mut self, client: &str, cumulative: i64) -> &Effects {
        let report = ended(client, cumulative, self.now);
        self.report(report)
    }

    pub fn status(
        &mut self,
        client: &str,
        status: VenueStatus,
        executions: Vec<Execution>,
    ) -> &Effects {
        let order = self.order(client);
        let report = VenueReport::Status {
            client_order_id: cid(client),
            venue_order_id: VenueOrderId::new(&format!("v-{client}")).unwrap(),
            status,
            quantity: order.quantity,
            limit_price: order.limit_price,
            executions,
            ts_event: self.now,
            stop_price: None,
        };
        self.report(report)
    }

    /// A venue's "no such order", made now.
    pub fn not_found(&mut self, client: &str, proof: bool) -> &Effects {
        let report = VenueReport::NotFound {
            client_order_id: cid(client),
            proof,
            ts_event: self.now.plus(1),
        };
        self.report(report)
    }

    pub fn order(&self, client: &str) -> Order {
        self.account.order(&key(client)).unwrap().clone()
    }

    pub fn state(&self, client: &str) -> OrderStatus {
        self.order(client).status
    }

    pub fn cash_of(&self, unit: &str) -> Money {
        let cash = self.account.cash().get(&currency(unit));
        cash.copied().unwrap_or_default()
    }

    /// Names of the last input's events.
    pub fn events(&self) -> Vec<String> {
        let events = self.effects.events.iter();
        events.map(|recorded| name(&recorded.event)).collect()
    }

    pub fn refusal(&self) -> &Refusal {
        match &self.effects.reply {
            Some(Reply::Refused(refusal)) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    pub fn replied_order(&self) -> &Order {
        match &self.effects.reply {
            Some(Reply::Order(order)) => order,
            other => panic!("expected an order, got {other:?}"),
        }
    }

    pub fn commands(&self) -> &[VenueCommand] {
        &self.effects.commands
    }

    /// Folds the journal into a new account and compares it.
    pub fn assert_recovers(&self) {
        let mut recovered = Account::new();
        for recorded in &self.journal {
            recovered.fold(recorded).unwrap();
        }
        assert_eq!(recovered, self.account);
        assert_eq!(recovered.state_hash(), self.account.state_hash());
    }
}

/// The variant's name, for example `OrderFilled`.
pub fn name(event: &Event) -> String {
    let text = format!("{event:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

pub fn accepted(client: &str, ts_event: UnixNanos) -> VenueReport {
    VenueReport::Accepted {
        client_order_id: cid(client),
        venue_order_id: VenueOrderId::new(&format!("v-{client}")).unwrap(),
        ts_event,
    }
}

pub fn ended(client: &str, cumulative: i64, ts_event: UnixNanos) -> VenueReport {
    VenueReport::Ended {
        client_order_id: cid(client),
        end: VenueEnd::Canceled,
        reason: EndReason::Requested,
        cumulative_quantity: Quantity(cumulative),
        ts_event,
    }
}

/// An execution with a fee of 0.1 % in the quote currency.
pub fn execution(
    client: &str,
    exec: &str,
    instrument_id: &str,
    side: Side,
    quantity: i64,
    price: i64,
) -> Execution {
    let instrument = instrument(instrument_id);
    let (quantity, price) = (Quantity(quantity), Price(price));
    Execution {
        exec_id: ExecId::new(exec).unwrap(),
        client_order_id: cid(client),
        instrument_id: id(instrument_id),
        side,
        last_quantity: quantity,
        last_price: price,
        fee: instrument.fee(price, quantity, false).unwrap(),
        fee_currency: currency("USDT"),
        maker: false,
        ts_event: UnixNanos(1),
    }
}
