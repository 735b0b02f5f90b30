//! Facts of the trade, numbered: positions, profit, fees and cash, to the last digit.

use super::*;

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

/// Contracts of 1 USD, in whole ones.
fn contracts() -> Book {
    let mut book = Book::new(InstrumentKind::Inverse);
    book.instrument.price_decimals = 2;
    book.instrument.quantity_decimals = 0;
    book.instrument.fees.taker = Rate::parse("0.00075").unwrap();
    book.instrument.fees.decimals = Some(8);
    book
}

#[test]
fn tc_p02_inverse_contracts_of_one_dollar() {
    let mut short = contracts();
    short.trade(Side::Sell, "100000", "10000");
    assert_eq!(short.unrealized("11000"), money("-0.90909091"));
    let mark = short.instrument.price("11000").unwrap();
    let value = short.position().value(&short.instrument, mark).unwrap();
    assert_eq!(value, money("-9.09090909"));
    assert_eq!(short.average(16), "10000");

    let mut long = contracts();
    let price = long.instrument.price("10500").unwrap();
    let fee = long
        .instrument
        .fee(price, Quantity(100_000), false)
        .unwrap();
    assert_eq!(fee, money("0.00714286"));
    long.trade_with_fee(Side::Buy, "100000", "10500", "0.00714286", "BTC");
    assert_eq!(long.unrealized("11505.60"), money("0.83238969"));
    // The average is of the rounded base amount: 100,000 / 9.52380952.
    assert_eq!(long.average(6), "10500.000004");
    long.trade(Side::Sell, "100000", "11505.60");
    assert_eq!(long.position().realized_pnl, money("0.83238969"));
    assert_eq!(long.cash("BTC").to_string(), "0.82524683");
    assert_eq!(long.cash("USD"), Decimal::ZERO);
}

#[test]
fn tc_p02_an_inverse_fill_through_zero_is_rounded_once() {
    let mut book = contracts();
    book.trade(Side::Buy, "1", "3");
    book.trade(Side::Sell, "2", "7");
    // 0.33333333 released; of 0.28571429 the closing half is 0.14285714.
    assert_eq!(book.position().realized_pnl, money("0.19047619"));
    assert_eq!(book.position().open_cost, money("-0.14285715"));
    book.trade(Side::Buy, "1", "7");
    assert_eq!(book.position().realized_pnl, money("0.19047618"));
    assert_eq!(book.position().open_cost, Money::ZERO);
}

#[test]
fn tc_p03_folding() {
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
fn tc_p04_spot_with_the_fee_in_the_base_asset() {
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
fn tc_p05_through_zero() {
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
fn tc_p05_a_split_in_mid_trade_leaves_the_profit_unchanged() {
    for kind in [InstrumentKind::Spot, InstrumentKind::Linear] {
        let mut book = Book::new(kind);
        book.trade(Side::Buy, "100", "50");
        book.trade(Side::Sell, "40", "55");
        assert_eq!(book.unrealized("60"), money("600"));
        book.split(2, 1);
        assert_eq!(
            (book.quantity(), book.average(16)),
            ("120".into(), "25".into())
        );
        assert_eq!(book.unrealized("30"), money("600"));
        assert_eq!(book.position().realized_pnl, money("200"));
        book.trade(Side::Sell, "120", "30");
        assert_eq!(book.position().realized_pnl, money("800"));
        assert_eq!(book.cash("USD"), Decimal::from(800));
        assert!(book.portfolio.net(&book.instrument.instrument_id).quantity == 0);
    }
}

#[test]
fn a_split_cuts_off_what_is_smaller_than_a_unit() {
    let mut book = Book::new(InstrumentKind::Spot);
    book.instrument.quantity_decimals = 0;
    book.trade(Side::Buy, "15", "10");
    book.split(1, 10);
    assert_eq!(
        (book.quantity(), book.average(16)),
        ("1".into(), "150".into())
    );
    // Less than one unit is left: the position ends, and its cost is a loss until cash comes.
    book.split(1, 10);
    assert!(book.position().is_flat());
    assert_eq!(book.position().open_cost, Money::ZERO);
    assert_eq!(book.position().realized_pnl, money("-150"));
    let realized = book.portfolio.realized_pnl()[&currency("USD")];
    assert_eq!(realized, money("-150"));
    assert_eq!(book.cash("USD"), Decimal::from(-150));
}

#[test]
fn a_hedging_strategy_holds_two_positions_that_do_not_touch() {
    let mut book = Book::new(InstrumentKind::Linear);
    let holder = |side| Holder {
        strategy_id: StrategyId::manual(),
        side,
    };
    for (side, position, quantity, price) in [
        (Side::Buy, PositionSide::Long, "10", "100"),
        (Side::Sell, PositionSide::Short, "4", "110"),
        (Side::Sell, PositionSide::Long, "3", "120"),
        (Side::Buy, PositionSide::Short, "1", "90"),
    ] {
        let execution = book.execution(side, quantity, price, "0.5", "USD");
        book.book(&holder(position), &execution);
    }
    let id = book.instrument.instrument_id.clone();
    let of = |side| {
        let position = book.portfolio.position_of(&holder(side), &id).unwrap();
        (position.quantity, position.open_cost, position.realized_pnl)
    };
    assert_eq!(
        of(PositionSide::Long),
        (7_000_000, money("700"), money("60"))
    );
    assert_eq!(
        of(PositionSide::Short),
        (-3_000_000, money("-330"), money("20"))
    );
    assert!(
        book.portfolio
            .position(&StrategyId::manual(), &id)
            .is_none()
    );
    let net = book.portfolio.net(&id);
    assert_eq!((net.quantity, net.open_cost), (4_000_000, money("370")));
    let long = book.portfolio.net_of_side(&id, PositionSide::Long).unwrap();
    assert_eq!((long.quantity, long.open_cost), (7_000_000, money("700")));
    let charges = book.portfolio.charges_of(&StrategyId::manual(), &id);
    assert_eq!(charges.unwrap().fees[&currency("USD")], money("2"));
    assert_eq!(book.cash("USD"), Decimal::from(78));
}

#[test]
fn funding_is_shared_by_what_each_strategy_holds() {
    let strategy = |text| StrategyId::new(text).unwrap();
    let mut book = Book::new(InstrumentKind::Linear);
    let id = book.instrument.instrument_id.clone();
    let everything = vec![(StrategyId::external(), money("-9"))];
    let shares = |book: &Book, amount| book.portfolio.funding_shares(&id, money(amount));
    assert_eq!(shares(&book, "-9"), Ok(everything.clone()));
    for (owner, side, quantity) in [
        ("a", Side::Buy, "1"),
        ("b", Side::Buy, "2"),
        ("c", Side::Sell, "6"),
    ] {
        let execution = book.execution(side, quantity, "100", "0", "USD");
        book.book(&Holder::netting(strategy(owner)), &execution);
    }
    // The account is short 3 and is paid; the two that are long pay.
    let expected = [("a", "-3"), ("b", "-6"), ("c", "18")];
    let expected = expected.map(|(id, share)| (strategy(id), money(share)));
    assert_eq!(shares(&book, "9"), Ok(expected.to_vec()));
    // A seventh does not end: what rounding leaves is the largest holder's.
    let execution = book.execution(Side::Buy, "10", "100", "0", "USD");
    book.book(&Holder::netting(strategy("a")), &execution);
    let expected = [
        ("a", "1.5714285714285714"),
        ("b", "0.2857142857142857"),
        ("c", "-0.8571428571428571"),
    ];
    let expected = expected.map(|(id, share)| (strategy(id), money(share)));
    assert_eq!(shares(&book, "1"), Ok(expected.to_vec()));
    // Flat together: nobody's part can be told.
    let execution = book.execution(Side::Sell, "7", "100", "0", "USD");
    book.book(&Holder::netting(strategy("a")), &execution);
    assert_eq!(shares(&book, "-9"), Ok(everything));
}

#[test]
fn what_rounding_leaves_of_funding_is_the_largest_holders() {
    let mut book = Book::new(InstrumentKind::Linear);
    let id = book.instrument.instrument_id.clone();
    for (owner, quantity) in [("a", "1"), ("b", "1"), ("c", "1")] {
        let execution = book.execution(Side::Buy, quantity, "100", "0", "USD");
        let owner = StrategyId::new(owner).unwrap();
        book.book(&Holder::netting(owner), &execution);
    }
    // Thirds; of equals the first by name is the largest.
    let shares = book.portfolio.funding_shares(&id, money("1")).unwrap();
    let shares: Vec<_> = shares.iter().map(|(_, share)| share.to_string()).collect();
    let third = "0.3333333333333333";
    assert_eq!(shares, ["0.3333333333333334", third, third]);
}

#[test]
fn tc_p06_spot_moves_cash_by_notional_and_fee() {
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
    let planned = before.plan(
        &book.instrument,
        &Holder::netting(StrategyId::manual()),
        &execution,
    );
    assert_eq!(planned, Err(NumberError::OutOfRange));
    assert_eq!(book.portfolio, before);
}
