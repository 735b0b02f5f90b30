//! What holds for any fills.

use super::*;
use proptest::prelude::*;

/// Side, quantity and price as mantissas, and whose position of six it moves.
type Fill = (bool, i64, i64, usize);

fn fills() -> impl Strategy<Value = Vec<Fill>> {
    let fill = (
        any::<bool>(),
        1_i64..5_000_000,
        1_i64..90_000_000,
        0_usize..6,
    );
    prop::collection::vec(fill, 1..40)
}

fn holders() -> Vec<Holder> {
    let sides = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
    let of = |strategy_id: StrategyId| {
        let holder = move |side| Holder {
            strategy_id: strategy_id.clone(),
            side,
        };
        sides.map(holder)
    };
    [of(StrategyId::manual()), of(StrategyId::external())].concat()
}

fn execution(book: &mut Book, &(buy, quantity, price, _): &Fill) -> Execution {
    let side = if buy { Side::Buy } else { Side::Sell };
    let mut execution = book.execution(side, "1", "1", "0", "USD");
    execution.last_quantity = Quantity(quantity);
    execution.last_price = Price(price);
    let fee = book
        .instrument
        .fee_of(side, Price(price), Quantity(quantity), false);
    let fee = fee.unwrap();
    (execution.fee, execution.fee_currency) = (fee.amount, fee.currency);
    execution
}

fn booked(kind: InstrumentKind, fills: &[Fill], holder: impl Fn(usize) -> Holder) -> Book {
    let mut book = Book::new(kind);
    book.instrument.fees.taker = Rate::parse("0.001").unwrap();
    for fill in fills {
        let execution = execution(&mut book, fill);
        book.book(&holder(fill.3), &execution);
    }
    book
}

fn signed_sum(book: &Book, fills: &[Fill]) -> Money {
    let notionals = fills.iter().map(|&(buy, quantity, price, _)| {
        let signed = Quantity(if buy { quantity } else { -quantity });
        book.instrument.notional(Price(price), signed).unwrap()
    });
    Money(notionals.map(|notional| notional.0).sum())
}

const KINDS: [InstrumentKind; 3] = [
    InstrumentKind::Spot,
    InstrumentKind::Linear,
    InstrumentKind::Inverse,
];

proptest! {
    #[test]
    fn cash_moves_by_what_was_traded_less_what_is_open(fills in fills()) {
        for kind in KINDS {
            let book = booked(kind, &fills, |n| holders()[n].clone());
            let unit = book.instrument.profit_currency().clone();
            let net = book.portfolio.net(&book.instrument.instrument_id);
            let traded = signed_sum(&book, &fills);
            let fees = book.portfolio.fees().get(&unit).copied().unwrap_or_default();
            let profit = book.instrument.profit(traded, net.open_cost).unwrap();
            let realized = book.portfolio.realized_pnl().get(&unit).copied();
            prop_assert_eq!(realized.unwrap_or_default(), profit);
            let moved = if kind == InstrumentKind::Spot { Money(-traded.0) } else { profit };
            prop_assert_eq!(book.portfolio.cash_of(&unit), moved.0 - fees.0);
        }
    }

    #[test]
    fn an_inverse_contract_loses_at_most_half_a_satoshi_a_fill(fills in fills()) {
        let mut book = booked(InstrumentKind::Inverse, &fills, |_| {
            Holder::netting(StrategyId::manual())
        });
        let mut all = fills.clone();
        let open = book.position().quantity;
        if open != 0 {
            let fill = (open < 0, open.abs(), 4_000_000, 0);
            let execution = execution(&mut book, &fill);
            book.book(&Holder::netting(StrategyId::manual()), &execution);
            all.push(fill);
        }
        // Without any rounding: what was bought less what was sold, quotient by quotient.
        let exact: Decimal = all
            .iter()
            .map(|&(buy, quantity, price, _)| {
                let worth = Decimal::new(quantity, 6) / Decimal::new(price, 5);
                if buy { worth } else { -worth }
            })
            .sum();
        let bound = Decimal::new(5, 9) * Decimal::from(all.len());
        let realized = book.position().realized_pnl.0;
        prop_assert!((realized - exact).abs() <= bound, "{} {}", realized, exact);
    }

    #[test]
    fn funding_is_shared_without_a_rest(fills in fills(), amount in any::<i64>()) {
        let book = booked(InstrumentKind::Linear, &fills, |n| holders()[n].clone());
        let amount = Money(Decimal::new(amount, 8));
        let id = &book.instrument.instrument_id;
        let shares = book.portfolio.funding_shares(id, amount).unwrap();
        let sum: Decimal = shares.iter().map(|(_, share)| share.0).sum();
        // Beyond a trillion times its part, a share has fewer decimals than the amount.
        let is_held = shares.iter().all(|(_, share)| share.0.abs() < Decimal::from(1_000_000_000_000_i64));
        prop_assume!(is_held);
        prop_assert_eq!(sum, amount.0);
    }

    #[test]
    fn the_order_of_spot_fills_changes_neither_cash_nor_quantity(
        fills in fills(),
        seed in any::<prop::sample::Index>(),
    ) {
        let one = |_| Holder::netting(StrategyId::manual());
        let mut turned = fills.clone();
        turned.rotate_left(seed.index(fills.len()));
        turned.reverse();
        let (a, b) = (booked(InstrumentKind::Spot, &fills, one), booked(InstrumentKind::Spot, &turned, one));
        prop_assert_eq!(a.portfolio.cash(), b.portfolio.cash());
        prop_assert_eq!(a.position().quantity, b.position().quantity);
    }

    #[test]
    fn hedged_positions_sum_to_the_netting_one(fills in fills()) {
        for kind in KINDS {
            let hedged = booked(kind, &fills, |n| holders()[n].clone());
            let netting = booked(kind, &fills, |_| Holder::netting(StrategyId::manual()));
            let id = &hedged.instrument.instrument_id;
            let net = hedged.portfolio.net(id);
            prop_assert_eq!(net.quantity, netting.position().quantity);
            let sum: i64 = hedged.portfolio.positions().map(|p| p.quantity).sum();
            prop_assert_eq!(net.quantity, sum);
            // Whatever is closed against what: profit, open and realised, is the same.
            let mark = Price(123_456);
            let value = hedged.instrument.notional(mark, Quantity(net.quantity)).unwrap();
            let whole = |book: &Book| {
                let net = book.portfolio.net(id);
                let open = book.instrument.profit(net.open_cost, value).unwrap();
                let unit = book.instrument.profit_currency();
                let realized = book.portfolio.realized_pnl().get(unit).copied();
                open.0 + realized.unwrap_or_default().0
            };
            prop_assert_eq!(whole(&hedged), whole(&netting));
        }
    }

    #[test]
    fn a_round_trip_ends_flat_without_cost(fills in fills(), exit in 1_i64..90_000_000) {
        for kind in KINDS {
            let mut book = booked(kind, &fills, |_| Holder::netting(StrategyId::manual()));
            let open = book.position().quantity;
            if open != 0 {
                let fill = (open < 0, open.abs(), exit, 0);
                let execution = execution(&mut book, &fill);
                book.book(&Holder::netting(StrategyId::manual()), &execution);
            }
            prop_assert!(book.position().is_flat());
            prop_assert_eq!(book.position().open_cost, Money::ZERO);
        }
    }

    #[test]
    fn taking_an_execution_back_leaves_what_was_before(
        fills in fills(),
        pick in any::<prop::sample::Index>(),
        split_at in any::<prop::sample::Index>(),
        (numerator, denominator) in (1_u32..5, 1_u32..5),
    ) {
        for kind in [InstrumentKind::Spot, InstrumentKind::Linear] {
            let busted = pick.index(fills.len());
            let split_at = split_at.index(fills.len());
            let split = Split { sequence: 1, numerator, denominator };
            let mut whole = Book::new(kind);
            let mut without = Book::new(kind);
            let executions: Vec<_> = fills.iter().map(|fill| execution(&mut whole, fill)).collect();
            for (n, one) in executions.iter().enumerate() {
                let holder = &holders()[fills[n].3];
                if n == split_at {
                    whole.split(numerator, denominator);
                    without.split(numerator, denominator);
                }
                whole.book(holder, one);
                if n != busted {
                    without.book(holder, one);
                }
            }
            let holder = &holders()[fills[busted].3];
            let others = executions.iter().enumerate().flat_map(|(n, one)| {
                let own = n != busted && holders()[fills[n].3] == *holder;
                let split = (n == split_at).then_some(Past::Split(&split));
                let strategy_id = &holder.strategy_id;
                split.into_iter().chain(own.then_some(Past::Execution(strategy_id, one)))
            });
            let all = holders();
            let of_side = executions.iter().enumerate().flat_map(|(n, one)| {
                let strategy_id = &all[fills[n].3].strategy_id;
                let of_side = n != busted && holders()[fills[n].3].side == holder.side;
                let split = (n == split_at).then_some(Past::Split(&split));
                split.into_iter().chain(of_side.then_some(Past::Execution(strategy_id, one)))
            });
            let instrument = whole.instrument.clone();
            let busted = &executions[busted];
            let unbooking = whole.portfolio.plan_without(&instrument, holder, busted, others, of_side.collect());
            whole.portfolio.commit_without(unbooking.unwrap());
            let (a, b) = (&whole.portfolio, &without.portfolio);
            for position in b.positions() {
                prop_assert_eq!(a.position_of(&position.holder(), &position.instrument_id), Some(position));
            }
            prop_assert_eq!(a.net(&instrument.instrument_id), b.net(&instrument.instrument_id));
            let usd = currency("USD");
            prop_assert_eq!(a.cash_of(&usd), b.cash_of(&usd));
            let of = |p: &Portfolio| p.realized_pnl().get(&usd).copied().unwrap_or_default();
            prop_assert_eq!(of(a), of(b));
            let counted = |p: &Portfolio| {
                let cash = p.venue_cash(|_| Some(&instrument), |_| Ok(Whole::default()));
                cash.get(&usd).cloned().unwrap_or(Ok(Money::ZERO))
            };
            prop_assert_eq!(counted(a), counted(b));
        }
    }

    #[test]
    fn a_venue_counts_as_one_holder_of_each_side_would(fills in fills()) {
        for kind in KINDS {
            let strategies = booked(kind, &fills, |n| holders()[n].clone());
            let of_side = |n: usize| Holder {
                side: holders()[n].side,
                ..Holder::external()
            };
            let venue = booked(kind, &fills, of_side);
            let instrument = &strategies.instrument;
            let counted = strategies.portfolio.venue_cash(|_| Some(instrument), |_| Ok(Whole::default()));
            let told = venue.portfolio.cash().iter().map(|(unit, cash)| (unit.clone(), Ok(*cash)));
            let told: BTreeMap<_, _> = told.collect();
            // A currency that only one of them knows has nothing in it.
            let amount = |sums: &BTreeMap<Currency, Result<Money, NumberError>>, unit: &Currency| {
                sums.get(unit).cloned().unwrap_or(Ok(Money::ZERO))
            };
            for unit in counted.keys().chain(told.keys()) {
                prop_assert_eq!(amount(&counted, unit), amount(&told, unit), "{:?}", kind);
            }
        }
    }

    #[test]
    fn a_split_makes_a_venue_realise_nothing_and_flat_is_flat_after_it(
        fills in fills(),
        splits in prop::collection::vec((any::<prop::sample::Index>(), 1_u32..6, 1_u32..6), 1..4),
        exit in 1_i64..90_000_000,
    ) {
        for kind in [InstrumentKind::Linear, InstrumentKind::Inverse] {
            let mut book = Book::new(kind);
            let id = book.instrument.instrument_id.clone();
            let unit = book.instrument.profit_currency().clone();
            let told = |book: &Book| {
                let average = |_: &(InstrumentId, PositionSide)| Ok(Whole::default());
                let cash = book.portfolio.venue_cash(|_| Some(&book.instrument), average);
                cash.get(&unit).cloned().unwrap_or(Ok(Money::ZERO)).unwrap()
            };
            let sums = |book: &Book| {
                let sides = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
                sides.map(|side| book.portfolio.net_of_side(&id, side).unwrap().quantity)
            };
            for (n, fill) in fills.iter().enumerate() {
                for (at, numerator, denominator) in &splits {
                    if at.index(fills.len()) != n {
                        continue;
                    }
                    let (before, cash) = (sums(&book), told(&book));
                    book.split(*numerator, *denominator);
                    let after = sums(&book);
                    if before.map(i64::signum) == after.map(i64::signum) {
                        prop_assert_eq!(told(&book), cash, "{:?}", kind);
                    }
                }
                // Of some thousand units, so that fractions matter.
                let fill = (fill.0, fill.1 % 20 + 1, fill.2, fill.3);
                let execution = execution(&mut book, &fill);
                book.book(&holders()[fill.3], &execution);
                let wholes = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
                let wholes = wholes.map(|side| book.portfolio.whole_of(&id, side).quantity());
                prop_assert_eq!(wholes, sums(&book));
            }
            for (n, holder) in holders().iter().enumerate() {
                let open = book.portfolio.position_of(holder, &id).map_or(0, |p| p.quantity);
                if open != 0 {
                    let execution = execution(&mut book, &(open < 0, open.abs(), exit, n));
                    book.book(holder, &execution);
                }
            }
            prop_assert_eq!(told(&book).0, book.portfolio.cash_of(&unit), "{:?}", kind);
        }
    }
}
