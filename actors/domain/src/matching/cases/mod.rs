//! Cases of the trade, the same for each fill model where it makes sense.
//!
//! A case is a table of steps, each with the reports that account `a` gets by it. Its number,
//! such as TC-M01, is stated in the guide of the simulated venue.

mod auctions;
mod balances;
mod data;
mod ended;
mod extended;
mod facts;
mod fees;
mod funding;
mod kinds;
mod margin;
mod properties;
mod restart;
mod terms;
mod uncrossing;

use crate::instrument::Instrument;
use crate::market::{BookSnapshot, Level, MarketEvent, Quote, Side, Trade};
use crate::matching::MarketParameters;
use crate::matching::sim_instrument::SimInstrument;
use crate::matching::{
    BarFill, BarFillOptions, BookFill, BookFillOptions, ExchangeEvent, ExchangeInput, FillModel,
    SimExchange, SimOptions, tests,
};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::{
    NewOrder, SessionEdge, VenueCommand, VenueControl, VenueEnd, VenueModel, VenueReport,
};
use crate::{AccountId, ClientOrderId, ExecId, InstrumentId, Price, Quantity, UnixNanos};

const ID: &str = "BTCUSDT.SIM";

/// Far enough for every case.
const LATER: UnixNanos = UnixNanos(1_000_000);

fn instrument() -> Instrument {
    tests::instrument(ID)
}

fn id() -> InstrumentId {
    InstrumentId::new(ID).unwrap()
}

fn definition(instrument: Instrument) -> SimInstrument {
    SimInstrument {
        instrument,
        start_price: Price(100),
        half_spread_ticks: 1,
        level_ticks: 1,
        walk_milliticks: 1,
        lot: Quantity(1),
        funding_rate: None,
        parameters: MarketParameters::default(),
    }
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn client_id(text: &str) -> ClientOrderId {
    ClientOrderId::new(text).unwrap()
}

/// A fill model, and a clock that moves with each step.
enum Model {
    Exchange(Box<SimExchange>),
    Book(BookFill),
    Bars(BarFill),
}

const MODELS: [&str; 3] = ["exchange", "book", "bars"];

struct Desk {
    model: Model,
    now: i64,
    others: u32,
}

impl Desk {
    fn of(model: &str, instrument: Instrument) -> Desk {
        let model = match model {
            "exchange" => {
                let options = SimOptions {
                    instruments: vec![definition(instrument)],
                    ..SimOptions::new(1)
                };
                Model::Exchange(Box::new(SimExchange::without_traders(options)))
            }
            "book" => {
                let options = BookFillOptions::default();
                let mut venue = BookFill::with_options("SIM", 1, options).unwrap();
                venue.define(instrument);
                Model::Book(venue)
            }
            _ => Model::Bars(BarFill::new(
                BarFillOptions::new(FillModel::Touch),
                [instrument],
            )),
        };
        Desk::with(model)
    }

    fn new(model: &str) -> Desk {
        Desk::of(model, instrument())
    }

    fn with(model: Model) -> Desk {
        Desk {
            model,
            now: 100,
            others: 0,
        }
    }

    fn exchange(&mut self, name: &str, input: ExchangeInput) -> Vec<ExchangeEvent> {
        let Model::Exchange(exchange) = &mut self.model else {
            panic!("{name} trades at the exchange only");
        };
        let mut out = Vec::new();
        exchange.apply(UnixNanos(self.now), input, &mut out);
        out
    }

    /// Lets an account send a command; the reports are those of account `a`.
    fn send(&mut self, name: &str, command: VenueCommand) -> Vec<VenueReport> {
        self.now += 1;
        let mut out = Vec::new();
        match &mut self.model {
            Model::Exchange(_) => {
                let input = ExchangeInput::Command {
                    account_id: account(name),
                    command,
                };
                out = reports_of(&self.exchange(name, input), "a");
            }
            Model::Book(venue) => venue.on_command(UnixNanos(self.now), &command, &mut out),
            Model::Bars(venue) => venue.on_command(UnixNanos(self.now), &command, &mut out),
        }
        out
    }

    fn submit(&mut self, order: NewOrder) -> String {
        let reports = self.send("a", VenueCommand::New(order));
        show(&reports)
    }

    fn cancel(&mut self, order_id: &str) -> String {
        let command = VenueCommand::Cancel {
            client_order_id: client_id(order_id),
            instrument_id: id(),
        };
        show(&self.send("a", command))
    }

    /// Amends to a quantity, and to prices where they are stated.
    fn amend(
        &mut self,
        order_id: &str,
        quantity: i64,
        limit_price: Option<i64>,
        stop_price: Option<i64>,
    ) -> String {
        let command = VenueCommand::Amend {
            client_order_id: client_id(order_id),
            instrument_id: id(),
            quantity: Quantity(quantity),
            limit_price: limit_price.map(Price),
            stop_price: stop_price.map(Price),
        };
        show(&self.send("a", command))
    }

    fn control(&mut self, control: VenueControl) -> String {
        self.now += 1;
        let mut out = Vec::new();
        match &mut self.model {
            Model::Exchange(_) => {
                out = reports_of(&self.exchange("", ExchangeInput::Control(control)), "a");
            }
            Model::Book(venue) => venue.on_control(UnixNanos(self.now), &control, &mut out),
            Model::Bars(venue) => venue.on_control(UnixNanos(self.now), &control, &mut out),
        }
        show(&out)
    }

    fn session(&mut self, edge: SessionEdge) -> String {
        let instrument_id = id();
        self.control(VenueControl::Session {
            instrument_id,
            edge,
        })
    }

    /// Moves the market to a bid and an ask, each of `quantity`; at the exchange, each of an
    /// account of its own.
    fn quote(&mut self, bid: i64, ask: i64, quantity: i64) -> String {
        if matches!(self.model, Model::Exchange(_)) {
            let mut reports = Vec::new();
            for n in self.others.saturating_sub(1)..=self.others {
                let command = VenueCommand::Cancel {
                    client_order_id: client_id(&format!("m{n}")),
                    instrument_id: id(),
                };
                reports.extend(self.send(&format!("m{n}"), command));
            }
            for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
                self.others += 1;
                let name = format!("m{}", self.others);
                let order = limit(&name, side, price, quantity);
                reports.extend(self.send(&name, VenueCommand::New(order)));
            }
            return show(&reports);
        }
        self.now += 1;
        let ts = UnixNanos(self.now);
        let level = |price| Level {
            price: Price(price),
            quantity: Quantity(quantity),
        };
        let event = match &self.model {
            Model::Bars(_) => MarketEvent::Quote(Quote {
                instrument_id: id(),
                bid: Some(level(bid)),
                ask: Some(level(ask)),
                ts_event: ts,
                ts_init: ts,
            }),
            _ => MarketEvent::Snapshot(BookSnapshot {
                instrument_id: id(),
                update_id: ts.0 as u64,
                bids: vec![level(bid)],
                asks: vec![level(ask)],
                stale: false,
                ts_event: ts,
                ts_init: ts,
            }),
        };
        self.market(&event)
    }

    /// Lets others trade at a price; the exchange needs room for it within the spread.
    fn trade(&mut self, aggressor: Side, price: i64, quantity: i64) -> String {
        if matches!(self.model, Model::Exchange(_)) {
            let mut reports = Vec::new();
            for (name, side) in [("p", aggressor.opposite()), ("q", aggressor)] {
                self.others += 2;
                let order = NewOrder {
                    time_in_force: match name {
                        "q" => TimeInForce::Ioc,
                        _ => TimeInForce::Gtc,
                    },
                    ..limit(&format!("{name}{}", self.others), side, price, quantity)
                };
                reports.extend(self.send(name, VenueCommand::New(order)));
            }
            return show(&reports);
        }
        self.now += 1;
        let ts = UnixNanos(self.now);
        self.market(&MarketEvent::Trade(Trade {
            instrument_id: id(),
            price: Price(price),
            quantity: Quantity(quantity),
            aggressor: Some(aggressor),
            trade_id: ts.0 as u64,
            ts_event: ts,
            ts_init: ts,
        }))
    }

    fn market(&mut self, event: &MarketEvent) -> String {
        let mut out = Vec::new();
        match &mut self.model {
            Model::Exchange(_) => panic!("the exchange makes its own market"),
            Model::Book(venue) => venue.on_market(event, &mut out),
            Model::Bars(venue) => venue.on_market(event, &mut out),
        }
        show(&out)
    }
}

fn reports_of(events: &[ExchangeEvent], name: &str) -> Vec<VenueReport> {
    let of = |event: &ExchangeEvent| match event {
        ExchangeEvent::Report { account_id, report } if account_id.as_str() == name => {
            Some(report.clone())
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn order(id: &str, side: Side, order_type: OrderType, quantity: i64) -> NewOrder {
    NewOrder {
        client_order_id: client_id(id),
        instrument_id: self::id(),
        side,
        order_type,
        quantity: Quantity(quantity),
        limit_price: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    }
}

fn limit(id: &str, side: Side, price: i64, quantity: i64) -> NewOrder {
    NewOrder {
        limit_price: Some(Price(price)),
        ..order(id, side, OrderType::Limit, quantity)
    }
}

fn stop(id: &str, side: Side, order_type: OrderType, price: i64, quantity: i64) -> NewOrder {
    let mut order = order(id, side, order_type, quantity);
    order.terms.stop_price = Some(Price(price));
    order
}

fn show(reports: &[VenueReport]) -> String {
    let several: std::collections::BTreeSet<_> = reports
        .iter()
        .filter_map(|report| report.client_order_id())
        .collect();
    let one = |report: &VenueReport| {
        let text = show_one(report);
        match report.client_order_id() {
            Some(id) if several.len() > 1 => format!("{id} {text}"),
            _ => text,
        }
    };
    reports.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn show_one(report: &VenueReport) -> String {
    let price = |price: &Option<Price>| price.map_or("-".to_owned(), |price| price.0.to_string());
    match report {
        VenueReport::Accepted { .. } => "accepted".to_owned(),
        VenueReport::Rejected { reason, .. } => format!("rejected {reason:?}"),
        VenueReport::Filled(e) => format!(
            "{}@{}{}",
            e.last_quantity.0,
            e.last_price.0,
            if e.maker { " maker" } else { "" }
        ),
        VenueReport::Ended {
            end,
            reason,
            cumulative_quantity,
            ..
        } => format!(
            "{} {reason:?} {}",
            match end {
                VenueEnd::Canceled => "canceled",
                VenueEnd::Expired => "expired",
            },
            cumulative_quantity.0
        ),
        VenueReport::Amended {
            quantity,
            limit_price,
            stop_price,
            ..
        } => format!(
            "amended {} limit {} stop {}",
            quantity.0,
            price(limit_price),
            price(stop_price)
        ),
        VenueReport::AmendRejected { text, .. } => format!("amend rejected: {text}"),
        VenueReport::CancelRejected { text, .. } => format!("cancel rejected: {text}"),
        VenueReport::Status {
            status, executions, ..
        } => format!("{status:?} {}", executions.len()),
        VenueReport::Triggered { .. } => "triggered".to_owned(),
        VenueReport::Busted { exec_id, .. } => format!("busted {exec_id}"),
        VenueReport::NotFound { proof, .. } => format!("not found, proof {proof}"),
        VenueReport::Funding { payment, .. } => format!("funding {}", payment.amount),
    }
}
