use super::*;
use apex_domain::market::Side;
use apex_domain::number::NumberError;
use apex_domain::{Price, Quantity, UnixNanos};
use proptest::prelude::*;

const DEPTH: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"],["61844.30000000","0.40163000"]]}}"#;
const DEPTH_USDM: &str = r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"]],"a":[]}}"#;
const TICKER: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"0.00000000"}}"#;
const TICKER_USDM: &str = r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}"#;
const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
const TRADE_USDM: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#;
const SNAPSHOT: &str = r#"{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"],["61837.62000000","0.61700000"]],"asks":[["61837.64000000","1.5"]]}"#;
const FRAMES: [&str; 7] = [
    DEPTH,
    DEPTH_USDM,
    TICKER,
    TICKER_USDM,
    TRADE,
    TRADE_USDM,
    SNAPSHOT,
];

fn error(frame: &str) -> WireErrorKind {
    Codec::new().parse(frame.as_bytes()).unwrap_err().kind
}

fn btcusdt() -> apex_domain::Instrument {
    let id = instrument_id("BTCUSDT", Market::Spot).unwrap();
    instrument(id, Market::Spot, 2, 5)
}

#[test]
fn a_depth_frame_gives_its_levels_in_the_order_of_the_wire() {
    let mut codec = Codec::new();
    let Message::Depth(depth) = codec.parse(DEPTH.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(
        (depth.first_update_id, depth.last_update_id),
        (50093239203, 50093239207)
    );
    assert_eq!(depth.previous_update_id, None);
    let delta = depth.delta(&btcusdt(), UnixNanos(7)).unwrap();
    assert_eq!(delta.instrument_id.as_str(), "BTCUSDT.BINANCE");
    assert_eq!(delta.ts_event, UnixNanos(1_723_161_255_308_000_000));
    assert_eq!(delta.bids[0].price, Price(5_565_387));
    assert_eq!(delta.bids[0].quantity, Quantity::ZERO);
    assert_eq!(delta.asks[1].quantity, Quantity(40_163));
    let Message::Depth(depth) = codec.parse(DEPTH_USDM.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(depth.previous_update_id, Some(5123107831937));
    assert!(depth.asks.is_empty());
}

#[test]
fn a_book_ticker_without_a_time_happened_when_we_saw_it() {
    let mut codec = Codec::new();
    let Message::BookTicker(ticker) = codec.parse(TICKER.as_bytes()).unwrap() else {
        panic!()
    };
    let quote = ticker.quote(&btcusdt(), UnixNanos(7)).unwrap();
    assert_eq!(
        (quote.ts_event, quote.ts_init),
        (UnixNanos(7), UnixNanos(7))
    );
    assert_eq!(quote.bid.unwrap().price, Price(6_183_763));
    assert_eq!(quote.ask, None, "a quantity of zero is no offer");
    let Message::BookTicker(ticker) = codec.parse(TICKER_USDM.as_bytes()).unwrap() else {
        panic!()
    };
    let id = instrument_id("BTCUSDT", Market::UsdM).unwrap();
    assert_eq!(id.as_str(), "BTCUSDT-PERP.BINANCE");
    let quote = ticker
        .quote(&instrument(id, Market::UsdM, 1, 3), UnixNanos(7))
        .unwrap();
    assert_eq!(quote.ts_event, UnixNanos(1_723_161_256_313_000_000));
}

#[test]
fn a_trade_whose_buyer_rested_was_a_sale() {
    let mut codec = Codec::new();
    let Message::Trade(print) = codec.parse(TRADE.as_bytes()).unwrap() else {
        panic!()
    };
    let trade = print.trade(&btcusdt(), UnixNanos(7)).unwrap();
    assert_eq!(trade.aggressor, Some(Side::Sell));
    assert_eq!(
        (trade.price, trade.quantity),
        (Price(6_183_763), Quantity(2_000))
    );
    assert_eq!(trade.ts_event, UnixNanos(1_723_161_255_342_000_000));
    let Message::Trade(print) = codec.parse(TRADE_USDM.as_bytes()).unwrap() else {
        panic!()
    };
    assert!(!print.buyer_is_maker);
}

#[test]
fn snapshot_shutdown_and_answers_are_told_apart() {
    let mut codec = Codec::new();
    let Message::Snapshot(snapshot) = codec.parse(SNAPSHOT.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(
        (snapshot.last_update_id, snapshot.bids.len()),
        (50093239218, 2)
    );
    for frame in [
        r#"{"e":"serverShutdown","E":1723161255342}"#,
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1723161255342}}"#,
    ] {
        let event_time_ns = 1_723_161_255_342_000_000;
        let expected = Message::ServerShutdown { event_time_ns };
        assert_eq!(codec.parse(frame.as_bytes()).unwrap(), expected);
    }
    let answer = |id, error_code, error_text| {
        Message::Control(ControlAnswer {
            id,
            error_code,
            error_text,
        })
    };
    let ok = codec.parse(br#"{"result":null,"id":1}"#).unwrap();
    assert_eq!(ok, answer("1", None, None));
    let refused = codec
        .parse(br#"{"error":{"code":2,"msg":"Invalid request"},"id":"x"}"#)
        .unwrap();
    assert_eq!(refused, answer("\"x\"", Some(2), Some("Invalid request")));
    let kline = codec
        .parse(br#"{"stream":"a@kline_1s","data":{"e":"kline","k":{"o":"1"}}}"#)
        .unwrap();
    assert_eq!(kline, Message::Other { event: "kline" });
    let partial = br#"{"stream":"a@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}}"#;
    assert_eq!(
        codec.parse(partial).unwrap(),
        Message::Other { event: "a@depth5" }
    );
}

#[test]
fn members_may_stand_in_any_order_with_blanks_and_unknown_ones() {
    let frame = r#" { "data" : { "M":{"x":[1,-2.5e3,"\"",null,true]}, "m":false, "T":1723161255342123,
        "q":"1", "p":"2.5", "t":9, "s":"BTCUSDT", "E":1723161255342, "e":"trade" },
        "stream" : "btcusdt@trade" } "#;
    let mut codec = Codec::new();
    let Message::Trade(print) = codec.parse(frame.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(print.trade_time_ns, 1_723_161_255_342_123_000);
    assert_eq!(print.trade_id, 9);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    use WireErrorKind as Kind;
    assert_eq!(error(""), Kind::Unfinished);
    assert_eq!(error("[]"), Kind::Expected("'{'"));
    assert_eq!(error("{}"), Kind::Missing("e"));
    assert_eq!(error(&TRADE[..TRADE.len() - 1]), Kind::Unfinished);
    assert_eq!(error(&format!("{TRADE}x")), Kind::Trailing);
    let number = |field, reason| Kind::Number { field, reason };
    for (from, to, expected) in [
        ("\"t\":3735683259,", "", Kind::Missing("t")),
        ("\"s\":\"BTCUSDT\"", "\"s\":\"BTCUSDU\"", Kind::Stream),
        ("61837.63000000", "NaN", number("p", NumberError::Syntax)),
        ("61837.63000000", "1e5", number("p", NumberError::Syntax)),
        ("61837.63000000", "", number("p", NumberError::Syntax)),
        (
            "3735683259",
            "99999999999999999999",
            number("t", NumberError::OutOfRange),
        ),
        ("3735683259", "1.5", number("t", NumberError::Syntax)),
        ("3735683259", "-1", Kind::Missing("t")),
        ("1723161255342", "\"1723161255342\"", Kind::Missing("T")),
        ("1723161255342", "18446744073709551615", Kind::Time("T")),
        (
            "true,\"M\"",
            "tru,\"M\"",
            Kind::Expected("true, false or null"),
        ),
    ] {
        assert_eq!(error(&TRADE.replacen(from, to, 1)), expected, "{to}");
    }
    assert_eq!(
        error(&DEPTH.replace("50093239203", "50093239208")),
        Kind::Ids
    );
    assert_eq!(
        error(&DEPTH.replace("\"0.32332000\"]", "\"0.32332000\"")),
        Kind::Expected("',' or ']'")
    );
    assert_eq!(
        error(&format!("{}{}", "{\"x\":".repeat(1000), "1")),
        Kind::TooDeep
    );
    let shown = Codec::new()
        .parse(&DEPTH.as_bytes()[..50])
        .unwrap_err()
        .to_string();
    assert_eq!(shown, "the text ends inside a value at byte 50");
}

#[test]
fn a_number_off_the_instrument_is_a_misfit() {
    let mut codec = Codec::new();
    let frame = TRADE.replace("61837.63000000", "61837.63500000");
    let Message::Trade(print) = codec.parse(frame.as_bytes()).unwrap() else {
        panic!()
    };
    let misfit = print.trade(&btcusdt(), UnixNanos(7)).unwrap_err();
    assert_eq!(misfit.to_string(), "price has more than 2 decimals");
    let frame = TRADE.replace("0.02000000", "-0.02000000");
    let Message::Trade(print) = codec.parse(frame.as_bytes()).unwrap() else {
        panic!()
    };
    let misfit = print.trade(&btcusdt(), UnixNanos(7)).unwrap_err();
    assert_eq!(misfit.reason, NumberError::Negative);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Codec::new().parse(&bytes);
    }

    #[test]
    fn no_mutation_of_a_real_frame_makes_it_panic(
        which in 0..FRAMES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut frame = FRAMES[which].as_bytes().to_vec();
        for (index, byte, kind) in edits {
            if frame.is_empty() {
                break;
            }
            let at = index.index(frame.len());
            match kind {
                0 => frame[at] = byte,
                1 => frame.insert(at, byte),
                2 => drop(frame.remove(at)),
                _ => frame.truncate(at),
            }
        }
        let mut codec = Codec::new();
        if let Ok(message) = codec.parse(&frame) {
            // What passes must also convert or be refused without a panic.
            let (instrument, ts) = (btcusdt(), UnixNanos(1));
            let _ = match message {
                Message::Depth(depth) => depth.delta(&instrument, ts).map(drop),
                Message::BookTicker(ticker) => ticker.quote(&instrument, ts).map(drop),
                Message::Trade(print) => print.trade(&instrument, ts).map(drop),
                Message::Snapshot(snapshot) => snapshot.snapshot(&instrument, ts).map(drop),
                _ => Ok(()),
            };
        }
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_refused(which in 0..FRAMES.len(), at in any::<prop::sample::Index>()) {
        let frame = FRAMES[which].as_bytes();
        prop_assert!(Codec::new().parse(&frame[..at.index(frame.len())]).is_err());
    }
}
