//! One run from its first event to its report.

mod happenings;
mod remarks;
mod venue;

use super::BacktestError;
use super::equity::EquityCurve;
use super::options::{BacktestOptions, Fill, Margin};
use super::report::{BacktestReport, FillRow, PositionRow};
use super::statistics::RoundTrips;
use crate::account_view::AccountView;
use crate::lock_step::{Due, LockStep};
use crate::strategy::Strategy;
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::{AccountMode, Event, Hold, PositionMode};
use apex_domain::hash;
use apex_domain::instrument::{FeeSchedule, Instrument};
use apex_domain::market::{MarketEvent, Side};
use apex_domain::matching::ModelChoices;
use apex_domain::number::Decimal;
use apex_domain::risk::{Limits, ReasonCode};
use apex_domain::venue::Execution;
use apex_domain::{AccountId, Currency, InstrumentId, Money, StrategyId, UnixNanos};
use happenings::Happenings;
use std::collections::BTreeMap;
use std::time::Instant;

pub(super) struct Session {
    options: BacktestOptions,
    fill: Fill,
    /// Those that were chosen and go with the fill.
    models: ModelChoices,
    instruments: BTreeMap<InstrumentId, Instrument>,
    account: Account,
    step: LockStep,
    effects: Effects,
    curve: EquityCurve,
    trips: RoundTrips,
    fills: Vec<FillRow>,
    orders: u64,
    /// Orders that were refused, by reason.
    refused: BTreeMap<&'static str, u64>,
    /// The account held an order for a venue that lacks its type.
    held: bool,
    /// The account held an order for an opening or a close that its venue lacks.
    timed: bool,
    events: u64,
    bars: u64,
    quotes: u64,
    happenings: Happenings,
    begun: Instant,
}

impl Session {
    pub fn open(
        options: &BacktestOptions,
        strategy: Box<dyn Strategy>,
        mut instruments: Vec<Instrument>,
        first: &MarketEvent,
    ) -> Result<Session, BacktestError> {
        let currency = one_currency(&instruments)?;
        if let Some(fee) = options.fee()? {
            for instrument in &mut instruments {
                instrument.fees = FeeSchedule {
                    maker: fee,
                    taker: fee,
                    decimals: instrument.fees.decimals,
                    ..FeeSchedule::default()
                };
            }
        }
        let fill = options.fill.unwrap_or_else(|| Fill::fitting(first));
        let models = options.models_of(fill)?;
        for instrument in &mut instruments {
            models.define(instrument);
        }
        // Constant texts within the alphabet of ids.
        let account_id = AccountId::new("backtest").expect("a constant id");
        let strategy_id = StrategyId::new(if options.strategy.is_empty() {
            "strategy"
        } else {
            &options.strategy
        })
        .unwrap_or_else(|_| StrategyId::manual());
        let venue = venue::of(fill, options, &models, &instruments)?;
        let mut step = LockStep::new(account_id.clone(), venue, instruments.iter().cloned());
        step.add_strategy(strategy_id, strategy)?;
        let mut session = Session {
            options: options.clone(),
            fill,
            models,
            account: Account::new(),
            step,
            effects: Effects::default(),
            curve: EquityCurve::new(options.start_cash.0, &instruments),
            trips: RoundTrips::default(),
            fills: Vec::new(),
            orders: 0,
            refused: BTreeMap::new(),
            held: false,
            timed: false,
            events: 0,
            bars: 0,
            quotes: 0,
            happenings: Happenings::of(options, first.ts_init()),
            begun: Instant::now(),
            instruments: instruments
                .into_iter()
                .map(|instrument| (instrument.instrument_id.clone(), instrument))
                .collect(),
        };
        let now = first.ts_init();
        session.set_up(now, account_id, currency)?;
        session.tell_account(now);
        session.step.start(now);
        session.settle()?;
        Ok(session)
    }

    fn set_up(
        &mut self,
        now: UnixNanos,
        account_id: AccountId,
        currency: Currency,
    ) -> Result<(), BacktestError> {
        let margin = self.options.margin == Margin::Account;
        let mut inputs = vec![
            AccountInput::Open {
                account_id,
                base_currency: currency.clone(),
                mode: AccountMode::Backtest,
            },
            AccountInput::SetLimits {
                request_id: None,
                limits: Box::new(Limits {
                    check_buying_power: margin,
                    allow_short_spot: !margin,
                    ..Limits::default()
                }),
                expected_sequence: None,
            },
        ];
        if self.options.position_mode == PositionMode::Hedging {
            // Netting is what an account has without a word, and its journal stays as it was.
            inputs.push(AccountInput::SetPositionMode {
                request_id: None,
                mode: self.options.position_mode,
                by: "backtest".to_owned(),
            });
        }
        if !self.options.start_cash.is_zero() {
            inputs.push(AccountInput::AdjustCash {
                request_id: None,
                currency,
                amount: self.options.start_cash,
                reason: "start cash".to_owned(),
            });
        }
        for instrument in self.instruments.values() {
            inputs.push(AccountInput::DefineInstrument(Box::new(instrument.clone())));
        }
        for input in inputs {
            self.effects.clear();
            self.account.apply(now, input, &mut self.effects);
            if let Some(Reply::Refused(refusal)) = self.effects.reply.take() {
                return Err(BacktestError::Account(refusal));
            }
        }
        Ok(())
    }

    /// Takes the next market event with everything that follows from it.
    pub fn take(&mut self, event: MarketEvent) -> Result<(), BacktestError> {
        self.happen_until(event.ts_init())?;
        self.events += 1;
        match &event {
            MarketEvent::Bar(_) => self.bars += 1,
            MarketEvent::Quote(_) => self.quotes += 1,
            _ => {}
        }
        let id = event.instrument_id().clone();
        self.step.push_market(event);
        self.settle()?;
        let mark = self.step.mark(&id);
        self.curve.mark(self.step.now(), &id, |position| {
            mark.and_then(|mark| mark.closing_price(position))
        })
    }

    fn settle(&mut self) -> Result<(), BacktestError> {
        while let Some(due) = self.step.poll() {
            match due {
                Due::Input(now, input) => {
                    self.account.apply(now, input, &mut self.effects);
                    self.step.on_effects(&self.effects);
                    self.note_events()?;
                }
                Due::Account(now) => self.tell_account(now),
            }
        }
        Ok(())
    }

    fn tell_account(&mut self, now: UnixNanos) {
        if self.step.wants_account()
            && let Some(view) = AccountView::of(&self.account, now, self.step.markets())
        {
            self.step.set_account(&view);
        }
    }

    fn note_events(&mut self) -> Result<(), BacktestError> {
        for index in 0..self.effects.events.len() {
            match &self.effects.events[index].event {
                Event::OrderInitialized { .. } => self.orders += 1,
                Event::OrderHeld {
                    hold: Hold::Emulated,
                    ..
                } => self.held = true,
                Event::OrderHeldUntil { .. } => self.timed = true,
                Event::OrderDenied { reason_code, .. }
                | Event::OrderRejected { reason_code, .. } => {
                    *self.refused.entry(reason_code.as_str()).or_default() += 1;
                }
                Event::OrderCanceled {
                    reason_code: ReasonCode::NoLiquidity,
                    ..
                } => {
                    let reason = ReasonCode::NoLiquidity.as_str();
                    *self.refused.entry(reason).or_default() += 1;
                }
                Event::OrderFilled { execution, .. } => {
                    let execution = execution.clone();
                    self.note_fill(&execution)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_fill(&mut self, execution: &Execution) -> Result<(), BacktestError> {
        self.curve.fill(execution)?;
        let Some(instrument) = self.instruments.get(&execution.instrument_id) else {
            return Ok(());
        };
        self.trips.fill(instrument, execution)?;
        self.fills.push(FillRow {
            ts_ns: execution.ts_event.0,
            side: match execution.side {
                Side::Buy => "SIDE_BUY",
                Side::Sell => "SIDE_SELL",
            },
            quantity: instrument.format_quantity(execution.last_quantity),
            price: instrument.format_price(execution.last_price),
            fee: execution.fee.to_string(),
            instrument_id: (self.instruments.len() > 1)
                .then(|| execution.instrument_id.to_string()),
        });
        Ok(())
    }

    /// Stops the strategy and sums up.
    pub fn finish(mut self) -> Result<BacktestReport, BacktestError> {
        self.step.stop();
        self.settle()?;
        if self.fill == Fill::Book && self.bars == self.events {
            return Err(BacktestError::NoBook);
        }
        let wall_seconds = self.begun.elapsed().as_secs_f64();
        let equity = self.curve.equity();
        let mut positions: Vec<PositionRow> = self
            .instruments
            .values()
            .map(|instrument| PositionRow {
                instrument_id: instrument.instrument_id.to_string(),
                position: self.position(instrument),
            })
            .collect();
        let position = positions
            .first()
            .map(|row| row.position.clone())
            .unwrap_or_default();
        if positions.len() == 1 {
            positions.clear();
        }
        Ok(BacktestReport {
            events: self.events,
            wall_seconds,
            events_per_second: (self.events as f64 / wall_seconds.max(1e-9)).round(),
            orders: self.orders,
            final_equity: equity.normalize().to_string(),
            realized_pnl: self
                .in_quote(self.account.realized_pnl())
                .normalize()
                .to_string(),
            fees: self.in_quote(self.account.fees()).normalize().to_string(),
            funding: self.funding(),
            dividends: self.happenings.dividends(),
            max_drawdown: self.curve.max_drawdown().normalize().to_string(),
            position,
            positions,
            metrics: self.trips.metrics(
                self.options.start_cash.0,
                equity,
                &self.curve.daily_changes(),
            ),
            warnings: self.warnings(equity),
            assumptions: self.assumptions(),
            state_hash: self.state_hash(),
            fills: self.fills,
        })
    }

    /// Funding, without the dividends that were booked with it.
    fn funding(&self) -> String {
        let booked = self.in_quote(self.account.portfolio().funding());
        (booked + self.happenings.owed).normalize().to_string()
    }

    /// Returns a sum in the quote currency of the data: what is in another one is base currency of
    /// an instrument, and counts at its last price.
    fn in_quote(&self, money: &BTreeMap<Currency, Money>) -> Decimal {
        let price = |currency: &Currency| {
            let mut instruments = self.instruments.values();
            if instruments.any(|instrument| instrument.quote_currency == *currency) {
                return Decimal::ONE;
            }
            let of_base = self.instruments.values();
            let mut of_base = of_base.filter(|instrument| instrument.base_currency == *currency);
            let last = of_base.find_map(|instrument| {
                let last = self.step.mark(&instrument.instrument_id)?.last_price()?;
                Some(instrument.price_decimal(last))
            });
            // Nothing was ever traded without a price.
            last.unwrap_or_default()
        };
        let amounts = money.iter();
        amounts
            .map(|(currency, amount)| amount.0 * price(currency))
            .sum()
    }

    /// Returns the platform's hash over this one account, as a replay prints it.
    fn state_hash(&self) -> String {
        let account = self
            .account
            .account_id()
            .map(|id| (id, self.account.sequence(), self.account.state_hash()));
        format!("{:016x}", hash::state_hash(account.into_iter()))
    }

    fn position(&self, instrument: &Instrument) -> String {
        let position = self.curve.position(&instrument.instrument_id);
        let value = Decimal::new(position, u32::from(instrument.quantity_decimals));
        value.normalize().to_string()
    }
}

fn one_currency(instruments: &[Instrument]) -> Result<Currency, BacktestError> {
    let first = &instruments
        .first()
        .ok_or(BacktestError::NoInstruments)?
        .quote_currency;
    match instruments
        .iter()
        .find(|instrument| instrument.quote_currency != *first)
    {
        Some(other) => Err(BacktestError::Currencies {
            first: first.clone(),
            second: other.quote_currency.clone(),
        }),
        None => Ok(first.clone()),
    }
}
