//! A whole simulated exchange: simulated traders and the orders of accounts in the same books.
//!
//! It is a machine: the same seed and the same inputs with the same times give the same events.
//! It holds positions and money only with [`SimOptions::margin`]; accounts check theirs before an
//! order comes here.

mod auctions;
mod changes;
mod conditions;
mod controls;
mod fills;
mod funding;
mod liquidation;
mod market;
mod orders;
mod reducing;
mod restore;
mod single_orders;
mod snapshot;
mod wallets;

use super::agents::{Agents, Climate, ClimateParameters, ParameterError, Regime};
use super::costs::FeeModel;
use super::ledger::{Change, Ledger, Numbering};
use super::margin::{MarginBook, MarginOptions, MarginState};
use super::random::Random;
use super::sim_instrument::SimInstrument;
use crate::Currency;
use crate::book::L3Update;
use crate::id::{AccountId, IdError, InstrumentId};
use crate::instrument::{Instrument, InstrumentError};
use crate::market::MarketEvent;
use crate::money::Money;
use crate::number::Price;
use crate::order::trigger::Watch;
use crate::time::{NANOS_PER_MILLI, UnixNanos};
use crate::venue::{NewOrder, VenueCommand, VenueControl, VenueReport};
use crate::{ClientOrderId, VenueOrderId};
use funding::Funding;
use market::{SimMarket, Stamp};
use orders::LiveOrder;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use thiserror::Error;
use wallets::Wallets;

#[cfg(test)]
mod tests;

/// How often the simulated traders get a turn.
pub const TURN_NS: i64 = 10 * NANOS_PER_MILLI;

/// The most turns of one step: what a halted process missed beyond a second does not happen,
/// so that waking up is no burst.
const TURNS_PER_STEP: i64 = 100;

/// The stream of the seed that is the climate's; instruments have those from 0.
const CLIMATE_STREAM: u64 = u64::MAX;

/// How an exchange is made.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Begins each order and execution id that the exchange gives.
    pub venue: String,
    pub seed: u64,
    /// Where the counters of ids begin: 1 for an exchange without a past, above all earlier ones
    /// after a restart.
    pub first_number: u64,
    pub instruments: Vec<SimInstrument>,
    /// What the instruments share.
    pub climate: ClimateParameters,
    pub fees: FeeModel,
    /// Lets the exchange hold each account's cash and positions, and liquidate.
    pub margin: Option<MarginOptions>,
    /// What each account begins with, for an exchange that keeps balances and tells them in a
    /// snapshot. `None` keeps none.
    pub cash: Option<BTreeMap<Currency, Money>>,
}

impl SimOptions {
    /// Returns the default market with this seed, named SIM.
    pub fn new(seed: u64) -> SimOptions {
        SimOptions {
            venue: "SIM".to_owned(),
            seed,
            first_number: 1,
            instruments: SimInstrument::defaults(),
            climate: ClimateParameters::default(),
            fees: FeeModel::Instrument,
            margin: None,
            cash: None,
        }
    }
}

/// Why an exchange cannot be made. The options have to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimError {
    #[error("venue name of the simulated exchange: {0}")]
    Venue(#[from] IdError),
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    #[error("climate of the simulated exchange: {0}")]
    Climate(#[source] ParameterError),
    #[error("simulated traders of {instrument_id}: {source}")]
    Parameters {
        instrument_id: InstrumentId,
        source: ParameterError,
    },
    #[error("instrument {0} is listed twice")]
    Repeated(InstrumentId),
}

/// Something that the exchange decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeInput {
    /// The simulated traders act for the time since the last step.
    Step,
    /// An account's command. Commands of one account are worked off in the order in which they
    /// are given here.
    Command {
        account_id: AccountId,
        command: VenueCommand,
    },
    /// Refuses a new order whatever it says; for a venue that is told to misbehave.
    Refuse {
        account_id: AccountId,
        order: NewOrder,
        text: String,
    },
    /// What the venue itself decides.
    Control(VenueControl),
}

/// What follows from an input, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeEvent {
    Market(MarketEvent),
    /// The single orders behind the delta before it, where [`SimExchange::tell_orders`] asked for
    /// them.
    Orders(L3Update),
    Report {
        account_id: AccountId,
        report: VenueReport,
    },
    /// A trailing stop with an activation price was taken: which way it waits depends on the
    /// market at that moment, so it has to be kept.
    Watching {
        account_id: AccountId,
        client_order_id: ClientOrderId,
        watch: Watch,
    },
    /// An account's equity fell below its maintenance margin.
    MarginCall {
        account_id: AccountId,
        state: MarginState,
    },
    /// A contract has ended, and what accounts hold of it was settled in cash at this mark. It has
    /// to be kept: after a restart the mark is another one.
    Settled {
        instrument_id: InstrumentId,
        mark: Price,
    },
    /// The exchange sends an order of its own for an account, whose fills follow as reports.
    Liquidation {
        account_id: AccountId,
        venue_order_id: VenueOrderId,
        order: NewOrder,
    },
}

/// The exchange.
#[derive(Clone, Debug)]
pub struct SimExchange {
    numbering: Numbering,
    climate: Climate,
    markets: BTreeMap<InstrumentId, SimMarket>,
    ledgers: BTreeMap<AccountId, Ledger>,
    /// Working orders of accounts, by the number that is their owner tag in a book.
    live: BTreeMap<u64, LiveOrder>,
    /// When which order ends.
    ends: BTreeSet<(UnixNanos, u64)>,
    /// When which contract ends that was not settled yet.
    contract_ends: BTreeSet<(UnixNanos, InstrumentId)>,
    /// Orders whose condition was met and that were not worked off yet.
    triggered: VecDeque<u64>,
    /// The number of each account, which keeps its orders apart from its own.
    groups: BTreeMap<AccountId, u64>,
    margin: Option<MarginBook>,
    wallets: Option<Wallets>,
    funding: Funding,
    started: bool,
    /// When the next session of any instrument opens or closes; `None` when none ever does.
    next_edge: Option<UnixNanos>,
    /// Up to where the simulated traders have acted.
    acted_until: UnixNanos,
    /// The exchange's own time, which never goes back.
    clock: UnixNanos,
}

impl SimExchange {
    /// Makes an exchange with empty books. They are filled by the first input.
    ///
    /// Errors: [`SimError`].
    pub fn new(options: SimOptions) -> Result<SimExchange, SimError> {
        // Numbers begin at 1, since 0 marks the simulated traders.
        let numbering = Numbering::new(&options.venue, options.first_number.max(1))?;
        options.climate.validate().map_err(SimError::Climate)?;
        let climate = Climate::new(
            Random::stream(options.seed, CLIMATE_STREAM),
            options.climate,
        );
        let mut markets = BTreeMap::new();
        for (n, mut definition) in options.instruments.into_iter().enumerate() {
            definition.validate()?;
            definition.instrument = options.fees.applied(definition.instrument);
            let id = definition.instrument.instrument_id.clone();
            let parameters = definition.parameters.validate();
            parameters.map_err(|source| SimError::Parameters {
                instrument_id: id.clone(),
                source,
            })?;
            let agents = Agents::new(Random::stream(options.seed, n as u64), &definition);
            let market = SimMarket::new(definition, agents);
            if markets.insert(id.clone(), market).is_some() {
                return Err(SimError::Repeated(id));
            }
        }
        // The sessions begin with the first input.
        let sessions = markets.values().any(|market| market.sessions.is_some());
        let end = |(id, market): (&InstrumentId, &SimMarket)| {
            let end = market.definition.instrument.rules.expires_at?;
            Some((end, id.clone()))
        };
        let contract_ends = markets.iter().filter_map(end).collect();
        Ok(SimExchange {
            numbering,
            climate,
            next_edge: sessions.then_some(UnixNanos::MIN),
            markets,
            ledgers: BTreeMap::new(),
            live: BTreeMap::new(),
            ends: BTreeSet::new(),
            contract_ends,
            triggered: VecDeque::new(),
            groups: BTreeMap::new(),
            margin: options.margin.map(MarginBook::new),
            wallets: options.cash.map(Wallets::new),
            funding: Funding::default(),
            started: false,
            acted_until: UnixNanos::MIN,
            clock: UnixNanos::MIN,
        })
    }

    /// Makes an exchange whose books stay empty until an account places an order: no simulated
    /// trader acts before the first step.
    #[cfg(test)]
    pub(in crate::matching) fn without_traders(options: SimOptions) -> SimExchange {
        let mut exchange = SimExchange::new(options).unwrap();
        exchange.started = true;
        exchange
    }

    /// Returns the definitions of all instruments, in the order of their ids.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.markets
            .values()
            .map(|market| market.definition.instrument.clone())
            .collect()
    }

    /// Returns the temper that the whole market is in, for who watches it; the traders know it,
    /// an account cannot.
    pub fn regime(&self) -> Regime {
        self.climate.regime()
    }

    /// Returns the book and the quote of each instrument as they are, for someone who begins to
    /// listen; deltas that come later continue at the snapshot's update id.
    pub fn snapshots(&self, now: UnixNanos) -> Vec<MarketEvent> {
        let stamp = Stamp::at(now);
        self.markets
            .values()
            .flat_map(|market| [market.snapshot(stamp), market.quote(stamp)])
            .collect()
    }

    /// Decides on one input and adds what follows to `out`.
    pub fn apply(&mut self, now: UnixNanos, input: ExchangeInput, out: &mut Vec<ExchangeEvent>) {
        if !self.started {
            self.open(now, out);
        }
        self.keep_sessions(now, out);
        self.keep_funding(now, out);
        match input {
            ExchangeInput::Step => self.step(now, out),
            ExchangeInput::Command {
                account_id,
                command,
            } => self.command(now, &account_id, &command, out),
            ExchangeInput::Refuse {
                account_id,
                order,
                text,
            } => {
                self.clock = self.clock.max(now);
                self.refuse(&account_id, &order, text, out);
            }
            ExchangeInput::Control(control) => {
                self.clock = self.clock.max(now);
                self.expire(self.clock, out);
                self.control(&control, out);
                self.work_off(out);
            }
        }
        self.watch_margin(out);
    }

    fn open(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        self.acted_until = now;
        self.clock = now;
        let stamp = Stamp::at(now);
        for id in self.instrument_ids() {
            if let Some(market) = self.markets.get_mut(&id) {
                market
                    .agents
                    .open(&market.definition, &mut market.book, &mut market.changes);
            }
            self.publish(&id, stamp, out);
            if let Some(market) = self.markets.get_mut(&id) {
                market.open(stamp, out);
            }
        }
        self.started = true;
        for id in self.instrument_ids() {
            self.see_all(&id, out);
        }
        self.work_off(out);
    }

    fn step(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        let behind = now.since(self.acted_until) / TURN_NS;
        if behind > TURNS_PER_STEP {
            self.acted_until = now.plus(-TURNS_PER_STEP * TURN_NS);
        }
        let ids = self.instrument_ids();
        for _ in 0..behind.min(TURNS_PER_STEP) {
            self.acted_until = self.acted_until.plus(TURN_NS);
            // A turn may lie before a command that was taken since the last step; what happens
            // after it is not dated before it.
            self.clock = self.clock.max(self.acted_until);
            let stamp = Stamp {
                event: self.clock,
                init: now,
            };
            let weather = self.climate.turn();
            self.expire(self.clock, out);
            for id in &ids {
                if let Some(market) = self.markets.get_mut(id)
                    && market.floor.is_trading()
                {
                    market.agents.turn(
                        self.acted_until,
                        &weather,
                        &market.definition,
                        &mut market.book,
                        &mut market.changes,
                    );
                }
                self.publish(id, stamp, out);
                self.work_off(out);
            }
        }
        self.expire(now, out);
    }

    fn instrument_ids(&self) -> Vec<InstrumentId> {
        self.markets.keys().cloned().collect()
    }

    fn command(
        &mut self,
        now: UnixNanos,
        account_id: &AccountId,
        command: &VenueCommand,
        out: &mut Vec<ExchangeEvent>,
    ) {
        self.clock = self.clock.max(now);
        self.expire(self.clock, out);
        match command {
            VenueCommand::New(order) => self.new_order(account_id, order, out),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                let change = Change {
                    quantity: *quantity,
                    limit_price: *limit_price,
                    stop_price: *stop_price,
                };
                self.amend_order(account_id, client_order_id, change, out);
            }
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.cancel_order(account_id, client_order_id, out),
            VenueCommand::CancelForeign { venue_order_id, .. } => {
                let ledger = self.ledgers.entry(account_id.clone()).or_default();
                if let Some(id) = ledger.find_venue_order(venue_order_id) {
                    self.cancel_order(account_id, &id, out);
                }
            }
            VenueCommand::Query {
                client_order_id, ..
            } => {
                let ledger = self.ledgers.entry(account_id.clone()).or_default();
                out.push(ExchangeEvent::Report {
                    account_id: account_id.clone(),
                    report: ledger.query(client_order_id, self.clock),
                });
            }
        }
        self.work_off(out);
    }
}
