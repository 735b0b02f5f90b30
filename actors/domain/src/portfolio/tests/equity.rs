//! What an account is worth.

use super::*;
use crate::account::AccountInput;
use crate::event::Event;

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
