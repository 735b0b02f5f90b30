//! Facts of the trade, numbered: positions, profit, fees and cash, to the last digit.

use super::*;
use crate::account::AccountInput;
use crate::event::Event;
use crate::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use crate::market::Side;
use crate::money::Rate;
use crate::number::{Price, Quantity};
use crate::{ClientOrderId, ExecId, UnixNanos};

fn currency(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// Prices with five decimals, quantities with six.
fn instrument(kind: InstrumentKind) -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("BTCUSD.SIM").unwrap(),
        kind,
        base_currency: currency("BTC"),
        quote_currency: currency("USD"),
        price_decimals: 5,
        quantity_decimals: 6,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(i64::MAX),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

struct Book {
    instrument: Instrument,
    portfolio: Portfolio,
    executions: u32,
}

impl Book {
    fn new(kind: InstrumentKind) -> Book {
        Book {
            instrument: instrument(kind),
            portfolio: Portfolio::default(),
            executions: 0,
        }
    }

    fn trade(&mut self, side: Side, quantity: &str, price: &str) {
        self.trade_with_fee(side, quantity, price, "0", "USD");
    }

    fn trade_with_fee(&mut self, side: Side, quantity: &str, price: &str, fee: &str, unit: &str) {
        self.executions += 1;
        let execution = Execution {
            exec_id: ExecId::new(&format!("x{}", self.executions)).unwrap(),
            client_order_id: ClientOrderId::new("a").unwrap(),
            instrument_id: self.instrument.instrument_id.clone(),
            side,
            last_quantity: self.instrument.quantity(quantity).unwrap(),
            last_price: self.instrument.price(price).unwrap(),
            fee: money(fee),
            fee_currency: currency(unit),
            maker: false,
            ts_event: UnixNanos(0),
        };
        let booking = self
            .portfolio
            .plan(&self.instrument, &StrategyId::manual(), &execution)
            .unwrap();
        self.portfolio.commit(booking);
    }

    fn position(&self) -> &Position {
        self.portfolio.positions().next().unwrap()
    }

    fn quantity(&self) -> String {
        let mantissa = i128::from(self.position().quantity);
        let text = crate::number::format_mantissa(mantissa, self.instrument.quantity_decimals);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn average(&self, decimals: u32) -> String {
        let average = self.position().average_price(&self.instrument).unwrap();
        average.round_dp(decimals).normalize().to_string()
    }

    /// Realised profit less fees.
    fn realized(&self) -> Decimal {
        let fees = self.portfolio.fees().get(&currency("USD"));
        self.position().realized_pnl.0 - fees.map_or(Decimal::ZERO, |fees| fees.0)
    }

    fn cash(&self, unit: &str) -> Decimal {
        self.portfolio.cash_of(&currency(unit)).normalize()
    }
}

#[test]
fn tc_p01_linear_with_a_fee_of_one_basis_point() {
    let mut book = Book::new(InstrumentKind::Linear);
    for (side, quantity, price, fee, left, average, realized) in [
        (Side::Buy, "12", "100", "0.12", "12", "100", "-0.12"),
        (
            Side::Buy,
            "17",
            "99",
            "0.1683",
            "29",
            "99.413793103448",
            "-0.2883",
        ),
        (
            Side::Sell,
            "9",
            "101",
            "0.0909",
            "20",
            "99.413793103448",
            "13.89666207",
        ),
        (
            Side::Sell,
            "4",
            "105",
            "0.042",
            "16",
            "99.413793103448",
            "36.19948966",
        ),
        (
            Side::Buy,
            "3",
            "103",
            "0.0309",
            "19",
            "99.980036297641",
            "36.16858966",
        ),
    ] {
        book.trade_with_fee(side, quantity, price, fee, "USD");
        assert_eq!(book.quantity(), left);
        assert_eq!(book.average(12), average);
        assert_eq!(
            book.realized().round_dp(8).normalize().to_string(),
            realized
        );
    }
    // A contract moves cash by profit and fees only.
    assert_eq!(book.cash("USD"), book.realized().normalize());
    // To the sixteenth decimal: 894.7241379310344828 and 397.6551724137931034 were released.
    assert_eq!(book.position().realized_pnl, money("36.6206896551724138"));
}

#[test]
fn tc_p02_folding() {
    type Trades = &'static [(Side, &'static str, &'static str)];
    let cases: [(Trades, &str, &str); 3] = [
        (
            &[
                (Side::Buy, "100", "1"),
                (Side::Sell, "50", "2"),
                (Side::Sell, "100", "3"),
            ],
            "-50",
            "3",
        ),
        (
            &[(Side::Buy, "300", "0.8"), (Side::Sell, "100", "1")],
            "200",
            "0.8",
        ),
        (
            &[(Side::Buy, "100", "1"), (Side::Buy, "200", "0.5")],
            "300",
            "0.6666666666666667",
        ),
    ];
    for (trades, quantity, average) in cases {
        let mut book = Book::new(InstrumentKind::Linear);
        for (side, traded, price) in trades {
            book.trade(*side, traded, price);
        }
        assert_eq!(book.quantity(), quantity);
        assert_eq!(book.average(16), average);
    }
}

#[test]
fn tc_p03_spot_with_the_fee_in_the_base_asset() {
    let mut book = Book::new(InstrumentKind::Spot);
    book.trade_with_fee(Side::Buy, "1.0", "100", "0.001", "BTC");
    assert_eq!(book.quantity(), "0.999");
    assert_eq!(book.average(16), "100");
    book.trade_with_fee(Side::Sell, "0.999", "110", "0.000999", "BTC");
    assert_eq!(book.quantity(), "-0.000999");
    assert_eq!(book.portfolio.fees()[&currency("BTC")], money("0.001999"));
    // 0.999 * 10; the fees are not in it.
    assert_eq!(book.position().realized_pnl, money("9.99"));
    assert_eq!(book.cash("USD").to_string(), "9.89");
    assert_eq!(book.cash("BTC"), Decimal::ZERO);
}

#[test]
fn tc_p04_through_zero() {
    let mut book = Book::new(InstrumentKind::Linear);
    book.trade(Side::Buy, "1000", "1.07");
    book.trade(Side::Sell, "2000", "1.08");
    assert_eq!(book.position().realized_pnl, money("10"));
    assert_eq!(
        (book.quantity(), book.average(16)),
        ("-1000".into(), "1.08".into())
    );
    book.trade(Side::Buy, "1000", "1.09");
    assert_eq!(book.position().realized_pnl, money("0"));
    assert!(book.position().is_flat());
    assert_eq!(book.position().open_cost, Money::ZERO);
    assert_eq!(book.position().average_price(&book.instrument), None);
}

#[test]
fn tc_p05_spot_moves_cash_by_notional_and_fee() {
    let mut book = Book::new(InstrumentKind::Spot);
    book.trade_with_fee(Side::Buy, "2", "100", "0.2", "USD");
    assert_eq!(book.cash("USD").to_string(), "-200.2");
    book.trade_with_fee(Side::Sell, "2", "110", "0.22", "USD");
    assert_eq!(book.cash("USD").to_string(), "19.58");
    assert_eq!(book.realized().to_string(), "19.58");
    book.trade_with_fee(Side::Buy, "1", "100", "0.5", "BNB");
    assert_eq!(book.cash("BNB").to_string(), "-0.5");
}

#[test]
fn a_base_fee_finer_than_the_quantity_is_paid_from_base_cash() {
    let mut book = Book::new(InstrumentKind::Spot);
    book.trade_with_fee(Side::Buy, "1", "100", "0.0010005", "BTC");
    assert_eq!(book.quantity(), "0.999");
    assert_eq!(book.cash("BTC").to_string(), "-0.0000005");
    assert_eq!(book.portfolio.fees()[&currency("BTC")], money("0.0010005"));
}

#[test]
fn a_maker_rebate_in_the_base_asset_adds_to_the_position() {
    let mut book = Book::new(InstrumentKind::Spot);
    book.trade_with_fee(Side::Buy, "1", "100", "-0.001", "BTC");
    assert_eq!(book.quantity(), "1.001");
    assert_eq!(book.average(16), "100");
}

#[test]
fn a_booking_that_cannot_be_held_changes_nothing() {
    let mut book = Book::new(InstrumentKind::Linear);
    book.trade(Side::Buy, "9000000000000", "1");
    let before = book.portfolio.clone();
    let execution = Execution {
        exec_id: ExecId::new("x").unwrap(),
        client_order_id: ClientOrderId::new("a").unwrap(),
        instrument_id: book.instrument.instrument_id.clone(),
        side: Side::Buy,
        last_quantity: Quantity(i64::MAX),
        last_price: Price(1),
        fee: Money::ZERO,
        fee_currency: currency("USD"),
        maker: false,
        ts_event: UnixNanos(0),
    };
    let planned = before.plan(&book.instrument, &StrategyId::manual(), &execution);
    assert_eq!(planned, Err(NumberError::OutOfRange));
    assert_eq!(book.portfolio, before);
}

#[test]
fn equity_is_cash_and_positions_at_their_marks_in_the_base_currency() {
    let mut account = crate::Account::new();
    let mut effects = crate::account::Effects::default();
    let perp = Instrument {
        instrument_id: InstrumentId::new("BTCUSD-PERP.SIM").unwrap(),
        ..instrument(InstrumentKind::Linear)
    };
    let spot = instrument(InstrumentKind::Spot);
    let inputs = [
        AccountInput::Open {
            account_id: crate::AccountId::new("a").unwrap(),
            base_currency: currency("USD"),
            mode: crate::event::AccountMode::Backtest,
        },
        AccountInput::AdjustCash {
            request_id: None,
            currency: currency("USD"),
            amount: money("1000"),
            reason: String::new(),
        },
        AccountInput::AdjustCash {
            request_id: None,
            currency: currency("BTC"),
            amount: money("2"),
            reason: String::new(),
        },
        AccountInput::DefineInstrument(Box::new(spot.clone())),
        AccountInput::DefineInstrument(Box::new(perp.clone())),
    ];
    for input in inputs {
        account.apply(UnixNanos(0), input, &mut effects);
    }
    for (number, instrument, side) in [(1, &spot, Side::Buy), (2, &perp, Side::Sell)] {
        let execution = Box::new(Execution {
            exec_id: ExecId::new(&format!("x{number}")).unwrap(),
            client_order_id: ClientOrderId::new("a").unwrap(),
            instrument_id: instrument.instrument_id.clone(),
            side,
            last_quantity: instrument.quantity("1").unwrap(),
            last_price: instrument.price("100").unwrap(),
            fee: Money::ZERO,
            fee_currency: currency("USD"),
            maker: false,
            ts_event: UnixNanos(0),
        });
        let recorded = crate::event::Recorded {
            sequence: account.sequence() + 1,
            ts: UnixNanos(0),
            venue_sequence: 0,
            event: Event::ExternalFilled { execution },
        };
        account.fold(&recorded).unwrap();
    }
    let mut marks = BTreeMap::from([(spot.instrument_id.clone(), spot.price("110").unwrap())]);
    let equity = account.equity(&marks);
    // 900 cash, 2 BTC paid in and 1 bought at 110; the contract has no mark yet.
    assert_eq!(
        (equity.equity, equity.unrealized_pnl),
        (money("1230"), money("10"))
    );
    assert!(equity.partial);
    marks.insert(perp.instrument_id.clone(), perp.price("105").unwrap());
    let equity = account.equity(&marks);
    assert_eq!(
        (equity.equity, equity.unrealized_pnl),
        (money("1225"), money("5"))
    );
    assert!(!equity.partial);
}
