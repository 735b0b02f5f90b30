//! From batches of the wire to handler calls, and back.

use super::account;
use super::commands::Commands;
use super::error::HostError;
use apex_domain::account::Refusal;
use apex_domain::event::Recorded;
use apex_domain::market::MarketEvent;
use apex_domain::number::DecimalText;
use apex_domain::{AccountId, ClientOrderId, Instrument, InstrumentId, StrategyId, UnixNanos};
use apex_proto::FieldErrors;
use apex_proto::convert::{event, instrument, market, order};
use apex_proto::v1::{self, strategy_event::Event};
use apex_strategy::{Runner, RunnerStatus, Strategy, StrategyCommand};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One strategy with its ledger behind the wire.
#[derive(Debug)]
pub struct Driver {
    runner: Runner,
    commands: Commands,
    /// Ticks name instruments by an index that holds within the session.
    names: BTreeMap<u32, InstrumentId>,
    now: UnixNanos,
}

impl Driver {
    /// Builds the strategy's world as the welcome describes it.
    ///
    /// Errors: `Wire`.
    pub fn new(strategy: Box<dyn Strategy>, welcome: &v1::Welcome) -> Result<Driver, HostError> {
        let wire = |source| HostError::Wire {
            what: "welcome",
            source,
        };
        let account_id = AccountId::new(&welcome.account_id)
            .map_err(|error| wire(FieldErrors::one("account_id", error)))?;
        let strategy_id = StrategyId::new(&welcome.strategy_id)
            .map_err(|error| wire(FieldErrors::one("strategy_id", error)))?;
        let instruments: Vec<Arc<Instrument>> = welcome
            .instruments
            .iter()
            .map(|one| instrument::read_instrument(one).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(wire)?;
        let mut driver = Driver {
            runner: Runner::new(account_id, strategy_id, strategy, &instruments),
            commands: Commands::default(),
            names: BTreeMap::new(),
            now: UnixNanos(welcome.ts_now_ns),
        };
        driver.restore(welcome).map_err(wire)?;
        Ok(driver)
    }

    fn restore(&mut self, welcome: &v1::Welcome) -> Result<(), FieldErrors> {
        for scale in &welcome.scales {
            self.name(scale)?;
        }
        let ledger = self.runner.ledger_mut();
        for position in &welcome.positions {
            let (id, quantity) = read_position(position, |id| ledger.instrument(id))?;
            ledger.restore_position(&id, quantity);
        }
        for wire in &welcome.working_orders {
            let read = match InstrumentId::new(&wire.instrument_id) {
                Ok(id) => ledger
                    .instrument(&id)
                    .map(|instrument| order::read_order(wire, instrument)),
                Err(_) => None,
            };
            let unknown = || FieldErrors::one("working_orders.instrument_id", "is not defined");
            ledger.adopt(read.ok_or_else(unknown)??);
        }
        ledger.resume_counter(welcome.last_order_number);
        if let Some(told) = &welcome.account {
            ledger.set_account(account::read(told)?);
        }
        if !welcome.state.is_empty() {
            ledger.save_state(welcome.state.clone());
        }
        Ok(())
    }

    fn name(&mut self, scale: &v1::InstrumentScale) -> Result<(), FieldErrors> {
        let id = InstrumentId::new(&scale.instrument_id)
            .map_err(|error| FieldErrors::one("scale.instrument_id", error))?;
        self.names.insert(scale.instrument, id);
        Ok(())
    }

    /// Starts the strategy and returns what it asks for.
    pub fn start(&mut self) -> Vec<v1::StrategyCommand> {
        self.runner.start(self.now);
        self.written(false)
    }

    /// Stops the strategy and returns what it asks for.
    pub fn stop(&mut self) -> Vec<v1::StrategyCommand> {
        self.runner.stop(self.now);
        self.written(false)
    }

    /// Delivers a batch, event by event, and returns what the strategy asks for.
    ///
    /// Errors: `Wire`, `Strategy`.
    pub fn batch(&mut self, batch: &v1::EventBatch) -> Result<Vec<v1::StrategyCommand>, HostError> {
        let mut commands = Vec::new();
        for event in &batch.events {
            // Time never goes back, whatever the sender says.
            self.now = self.now.max(UnixNanos(event.ts_ns));
            if let Some(what) = &event.event {
                self.event(what)?;
            }
            commands.append(&mut self.written(event.warmup));
        }
        Ok(commands)
    }

    fn event(&mut self, what: &Event) -> Result<(), HostError> {
        let wire = |source| HostError::Wire {
            what: "event",
            source,
        };
        let market = match what {
            Event::Quote(tick) => {
                MarketEvent::Quote(market::read_quote(self.named(tick.instrument)?, tick))
            }
            Event::Trade(tick) => {
                MarketEvent::Trade(market::read_trade(self.named(tick.instrument)?, tick))
            }
            Event::Book(top) => {
                MarketEvent::Snapshot(market::read_book(self.named(top.instrument)?, top))
            }
            Event::Bar(tick) => {
                MarketEvent::Bar(market::read_bar(self.named(tick.instrument)?, tick))
            }
            Event::FeedState(tick) => {
                MarketEvent::FeedState(market::read_feed_state(self.named(tick.instrument)?, tick))
            }
            Event::Order(event) => return self.order(event).map_err(wire),
            Event::Timer(timer) => {
                if let Some(tag) = self.commands.fired(&timer.name) {
                    self.runner.timer(self.now, &tag);
                }
                return Ok(());
            }
            Event::Scale(scale) => return self.name(scale).map_err(wire),
            Event::Instrument(definition) => {
                let definition = instrument::read_instrument(definition).map_err(wire)?;
                self.runner.ledger_mut().define(&Arc::new(definition));
                return Ok(());
            }
            Event::Account(told) => {
                let view = account::read(told).map_err(wire)?;
                self.runner.ledger_mut().set_account(view);
                return Ok(());
            }
            Event::Parameters(changed) => {
                let pairs = changed.parameters.clone().into_iter().collect::<Vec<_>>();
                self.runner.parameters(self.now, &pairs);
                return Ok(());
            }
            // The counts of what was missed are the server's to report.
            Event::Gap(_) => return Ok(()),
        };
        self.runner.market(self.now, &market)?;
        Ok(())
    }

    fn named(&self, index: u32) -> Result<&InstrumentId, HostError> {
        self.names.get(&index).ok_or_else(|| {
            HostError::Protocol(format!("a tick names instrument {index} before its scale"))
        })
    }

    fn order(&mut self, wire: &v1::OrderEvent) -> Result<(), FieldErrors> {
        let id = wire.order.as_ref().map_or("", |order| &order.instrument_id);
        let id = InstrumentId::new(id)
            .map_err(|error| FieldErrors::one("order.instrument_id", error))?;
        let definition = self
            .runner
            .ledger()
            .instrument(&id)
            .ok_or_else(|| FieldErrors::one("order.instrument_id", "is not defined"))?;
        if let Some(recorded) = event::read_order_event(wire, definition)? {
            self.know_iceberg(wire, &recorded);
            self.runner.recorded(self.now, &recorded);
        }
        Ok(())
    }

    /// An execution of a part of an iceberg does not tell by its id that the order is an own one;
    /// the order beside it does.
    fn know_iceberg(&mut self, wire: &v1::OrderEvent, recorded: &Recorded) {
        let ledger = self.runner.ledger_mut();
        let (Some(order), Some(_)) = (&wire.order, &wire.execution) else {
            return;
        };
        let own = order.strategy_id == ledger.strategy_id().as_str();
        if own
            && !order.display_quantity.is_empty()
            && let Some(order_id) = recorded.event.order_id()
        {
            ledger.know_iceberg(order_id.clone());
        }
    }

    /// Tells the strategy what became of a command, and returns what it asks for then.
    pub fn outcome(&mut self, outcome: &v1::CommandOutcome) -> Vec<v1::StrategyCommand> {
        for (id, refusal) in self.commands.refused(outcome) {
            self.runner.refused(self.now, &id, &refusal);
        }
        self.written(false)
    }

    /// Returns why the strategy must not go on, once that is so.
    pub fn failure(&self) -> Option<&str> {
        match self.runner.status() {
            RunnerStatus::Quarantined { reason } => Some(reason),
            _ => None,
        }
    }

    /// Writes what was asked for. A command that cannot be written is told to the strategy, which
    /// may ask again: as often as an honest one could, no more.
    fn written(&mut self, warmup: bool) -> Vec<v1::StrategyCommand> {
        const ROUNDS: usize = 8;
        let mut written = Vec::new();
        for _ in 0..ROUNDS {
            if !self.runner.has_commands() {
                break;
            }
            let mut refused = Vec::new();
            for command in self.runner.take_commands() {
                let makes = orders(&command);
                if warmup && !makes.is_empty() {
                    let detail = "data of the past moves no orders".to_owned();
                    let field = "command";
                    refused.push((makes, Refusal::Invalid { field, detail }));
                    continue;
                }
                let ledger = self.runner.ledger();
                let find = |id: &InstrumentId| ledger.instrument(id);
                let find_of = |id: &ClientOrderId| {
                    let order = ledger.order(id)?;
                    ledger.instrument(&order.request.instrument_id)
                };
                match self.commands.write(command, find, find_of) {
                    Ok(command) => written.push(command),
                    Err(pair) => refused.push(pair),
                }
            }
            for (ids, refusal) in refused {
                for id in ids {
                    self.runner.refused(self.now, &id, &refusal);
                }
            }
        }
        written
    }
}

/// The orders that a command would make.
fn orders(command: &StrategyCommand) -> Vec<ClientOrderId> {
    match command {
        StrategyCommand::Close { scope, .. } => scope.client_order_id.iter().cloned().collect(),
        other => {
            let orders = other.new_orders().iter();
            orders.map(|order| order.client_order_id.clone()).collect()
        }
    }
}

fn read_position<'a>(
    position: &v1::StrategyPosition,
    find: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
) -> Result<(InstrumentId, i64), FieldErrors> {
    let field = "positions.instrument_id";
    let id = InstrumentId::new(&position.instrument_id)
        .map_err(|error| FieldErrors::one(field, error))?;
    let instrument = find(&id).ok_or_else(|| FieldErrors::one(field, "is not defined"))?;
    // Signed, so it is no `Quantity`.
    let quantity = DecimalText::parse(position.quantity.as_bytes())
        .and_then(|number| number.at(instrument.quantity_decimals))
        .map_err(|error| FieldErrors::one("positions.quantity", error))?;
    Ok((id, quantity))
}
