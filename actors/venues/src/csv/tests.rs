use super::*;
use apex_domain::market::{Level, Quote, Trade};
use apex_domain::{Price, Quantity};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

fn load(text: &str) -> Result<Loaded, CsvError> {
    load_one(text, None)
}

fn load_one(text: &str, instrument: Option<&str>) -> Result<Loaded, CsvError> {
    let options = CsvOptions {
        instrument: instrument.map(str::to_owned),
    };
    parse(Path::new("made-up.csv"), text.as_bytes(), false, &options)
}

fn quotes(loaded: &Loaded) -> Vec<&Quote> {
    loaded
        .events
        .iter()
        .map(|event| match event {
            MarketEvent::Quote(quote) => quote,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn bars_without_a_symbol_are_data_at_sim() {
    let text = "date,open,high,low,close,volume\n2021-01-04,10.50,11.00,10.25,10.75,1200\n";
    let loaded = load(text).unwrap();
    let instrument = &loaded.instruments[0];
    assert_eq!(instrument.instrument_id.as_str(), "DATA.SIM");
    assert_eq!(
        (instrument.price_decimals, instrument.quantity_decimals),
        (2, 0)
    );
    instrument.validate().unwrap();
    let MarketEvent::Bar(bar) = &loaded.events[0] else {
        panic!()
    };
    assert_eq!(
        (bar.open, bar.low, bar.volume),
        (Price(1050), Price(1025), 1200)
    );
    assert_eq!(bar.ts_open.0, 1_609_718_400_000_000_000);
    assert_eq!(bar.ts_init, bar.ts_open);
    assert!(loaded.inferred && loaded.warnings.is_empty());
}

#[test]
fn increments_come_from_the_selected_rows_without_trailing_zeros() {
    let text = "symbol,ts,open,high,low,close,volume\n\
                A,2021-01-04,1.5000,1.5,1.5,1.5,10.0\nB,2021-01-04,1.23456,2,1,2,0.125\n";
    let all = load(text).unwrap();
    let decimals: Vec<_> = all
        .instruments
        .iter()
        .map(|i| {
            (
                i.instrument_id.as_str(),
                i.price_decimals,
                i.quantity_decimals,
            )
        })
        .collect();
    assert_eq!(decimals, [("A.SIM", 1, 0), ("B.SIM", 5, 3)]);
    for name in ["A", "A.SIM"] {
        let one = load_one(text, Some(name)).unwrap();
        assert_eq!((one.instruments.len(), one.events.len()), (1, 1));
        assert_eq!(one.instruments[0].price_decimals, 1);
    }
}

#[test]
fn an_instrument_that_is_not_there_is_named_with_what_is() {
    let text = "symbol,date,open,high,low,close\nSPY,2021-01-04,1,1,1,1\nSPY,2021-01-05,x,1,1,1\n";
    let error = load_one(text, Some("QQQ")).unwrap_err();
    assert!(
        matches!(&error, CsvError::NotInFile { known, .. } if known == "SPY"),
        "{error}"
    );
    assert!(matches!(
        load_one(text, Some("Q Q")),
        Err(CsvError::Instrument { .. })
    ));
}

#[test]
fn a_wanted_instrument_names_data_without_a_symbol() {
    let loaded = load_one("ts,price,size\n1,2,3\n", Some("BTCUSDT")).unwrap();
    assert_eq!(loaded.instruments[0].instrument_id.as_str(), "BTCUSDT.SIM");
    assert_eq!(loaded.instruments[0].quote_currency.as_str(), "USDT");
    assert!(
        loaded
            .assumptions
            .iter()
            .any(|text| text.contains("BTCUSDT.SIM"))
    );
}

#[test]
fn a_quote_bar_becomes_the_quote_of_its_close() {
    let text = "ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,\
                ask_close,ask_size\n2021-01-04,1,1,1,1.5,7,2,2,2,2.25,\n";
    let loaded = load(text).unwrap();
    let quote = quotes(&loaded)[0];
    let level = |price, quantity| {
        Some(Level {
            price: Price(price),
            quantity: Quantity(quantity),
        })
    };
    assert_eq!((quote.bid, quote.ask), (level(150, 7), level(225, 0)));
    assert!(loaded.has_sizes);
}

#[test]
fn a_quote_may_have_one_side_only() {
    let loaded = load("ts,bid,ask\n1,,2.5\n2,3,2.5\n3,2.5,2.50\n").unwrap();
    assert_eq!(quotes(&loaded)[0].bid, None);
    assert_eq!(
        loaded.warnings,
        [
            "1 quotes are crossed (bid above ask)",
            "1 quotes are locked (bid equals ask)"
        ]
    );
    assert!(!loaded.has_sizes);
}

#[test]
fn a_tick_row_with_zeros_leaves_that_side_as_it_was() {
    let text = "ts_utc,kind,price_or_bid,size_or_bidsize,ask,asksize,exchange,cond,suspicious\n\
        2013-10-07T08:00:00.000Z,Q,0,0,14.02,500,Q,1,0\n\
        2013-10-07T08:00:00.000Z,Q,13.84,700,0,0,P,1,0\n\
        2013-10-07T08:00:00.100Z,T,13.9,100,,,P,1,1\n";
    let loaded = load(text).unwrap();
    let (MarketEvent::Quote(first), MarketEvent::Quote(second)) =
        (&loaded.events[0], &loaded.events[1])
    else {
        panic!()
    };
    assert_eq!((first.bid, first.ask.unwrap().price), (None, Price(1402)));
    assert_eq!(
        (second.bid.unwrap().price, second.ask),
        (Price(1384), first.ask)
    );
    let MarketEvent::Trade(Trade {
        price, quantity, ..
    }) = &loaded.events[2]
    else {
        panic!()
    };
    assert_eq!((*price, *quantity), (Price(1390), Quantity(100)));
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

#[test]
fn rows_come_in_order_of_time_and_ties_keep_the_order_of_the_file() {
    let text = "symbol,ts_ns,price,size,side,trade_id\nB,20,1,1,buy,1\nB,30,1,1,SELL,2\n\
                A,10,1,1,,3\nA,20,1,1,s,4\nA,15,1,1,b,5\n";
    let loaded = load(text).unwrap();
    let ids: Vec<_> = loaded
        .events
        .iter()
        .map(|event| match event {
            MarketEvent::Trade(trade) => trade.trade_id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [3, 5, 1, 4, 2]);
    assert!(
        loaded.warnings[0].starts_with("1 rows were older"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn rows_that_cannot_be_read_are_counted_with_line_and_reason() {
    let text = "symbol,date,open,high,low,close,volume\nA,2021-01-04,1,1,1,1,5\nA,2021-01-05,1,1,1\n\
        A,2021-02-30,1,1,1,1,5\nA,2021-01-07,NaN,1,1,1,5\nA,2021-01-08,1,1,1,1,-5\n\
        A A,2021-01-08,1,1,1,1,5\nA,2021-01-08,1,1,,1,5\n\
        A,2021-01-08,1,1,0.000000000000001,1,5\nA,2021-01-11,99999999999999999999,1,1,1,5\n\
        \nA,2021-01-12,2,1,1,2,5\r\n";
    let loaded = load(text).unwrap();
    let reasons: Vec<_> = loaded
        .bad_rows
        .first
        .iter()
        .map(|bad| format!("{} {}", bad.line, bad.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            "3 has 5 fields, the header has 7",
            "4 field 2 is no time",
            "5 field 3 not a decimal: expected digits with at most one '.', for example 12.50",
            "6 field 7 must not be negative",
            "7 field 1 is no symbol",
            "8 field 5 is empty",
            "9 field 5 has more than 14 decimals",
            "10 field 3 is out of range",
        ]
    );
    assert_eq!((loaded.bad_rows.count, loaded.events.len()), (8, 2));
    assert!(
        loaded
            .warnings
            .iter()
            .any(|text| text.contains("contradicts"))
    );
}

#[test]
fn only_the_first_bad_rows_are_kept_but_all_are_counted() {
    let text = format!("ts_ns,price,size\n1,1,1\n{}", "garbage\n".repeat(250));
    let loaded = load(&text).unwrap();
    assert_eq!(loaded.bad_rows.count, 250);
    assert_eq!(loaded.bad_rows.first.len(), BAD_ROWS_KEPT);
}

#[test]
fn a_wholly_wrong_file_is_refused() {
    assert!(matches!(load(""), Err(CsvError::Empty { .. })));
    assert!(matches!(load("{\"a\":1}\n"), Err(CsvError::Header { .. })));
    assert!(matches!(
        load("ts,price,size\n"),
        Err(CsvError::NoRows { .. })
    ));
    let error = load("ts,price,size\nx,1,1\n").unwrap_err();
    assert!(
        matches!(error, CsvError::NoValidRow { line: 2, .. }),
        "{error}"
    );
    let missing = CsvSource::open(Path::new("/nowhere/x.csv"), &CsvOptions::default());
    assert!(matches!(missing, Err(CsvError::Read { .. })));
}

#[test]
fn a_compressed_file_that_is_cut_keeps_its_whole_rows() {
    let mut text = String::from("ts_ns,price,size\n");
    for i in 0..5_000 {
        text.push_str(&format!("{i},{}.5,{}\n", i * 7919 % 1000, i * 31 % 77));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.csv");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let loaded = CsvSource::open(&path, &CsvOptions::default()).unwrap();
    assert!(loaded.events.len() > 1_000 && loaded.events.len() < 4_000);
    assert_eq!(loaded.bad_rows.count, 1);
    let bad = &loaded.bad_rows.first[0];
    assert_eq!(
        (bad.line, &bad.reason),
        (loaded.events.len() as u64 + 2, &RowError::CutOff)
    );
}

/// Walks over a text that is another one each time.
fn walked(texts: &[&str]) -> Result<(u64, Summary), CsvError> {
    let times = std::cell::Cell::new(0);
    let open = || -> io::Result<Box<dyn Read + '_>> {
        let text = texts[times.replace(times.get() + 1)];
        Ok(Box::new(text.as_bytes()))
    };
    let options = CsvOptions::default();
    let path = Path::new("made-up.csv");
    let file = CsvFile::look(path, Box::new(open), &options, &mut || ())?;
    let mut rows = file.read()?;
    let mut count = 0;
    for row in &mut rows {
        row?;
        count += 1;
    }
    rows.finish().map(|summary| (count, summary))
}

#[test]
fn a_file_that_changes_between_the_walks_is_refused() {
    let text = "ts_ns,price,size\n1,1.5,1\n2,2.5,1\n";
    let (count, summary) = walked(&[text, text]).unwrap();
    assert_eq!(count, 2);
    assert_eq!(summary.fingerprint.bytes, text.len() as u64);
    let changes = [
        "ts_ns,price,size\n1,1.5,1\n2,2.5,1\n3,1,1\n",
        "ts_ns,price,size\n1,1.5,1\n2,3.5,1\n",
        "ts_ns,price,size\n1,1.5,1\n",
        "ts_ns,size,price\n1,1.5,1\n2,2.5,1\n",
        "symbol,ts_ns,price,size\nA,1,1.5,1\n",
    ];
    for changed in changes {
        let error = walked(&[text, changed]).unwrap_err();
        assert!(matches!(error, CsvError::Changed { .. }), "{error}");
    }
}

#[test]
fn a_column_of_garbage_as_symbols_does_not_fill_the_memory() {
    let mut text = String::from("symbol,ts_ns,price,size\n");
    for at in 0..infer::MAX_INSTRUMENTS {
        text.push_str(&format!("S{at},1,1,1\n"));
    }
    assert_eq!(
        load(&text).unwrap().instruments.len(),
        infer::MAX_INSTRUMENTS
    );
    text.push_str("S7,2,1,1\nONE-MORE,2,1,1\n");
    let error = load(&text).unwrap_err();
    let line = infer::MAX_INSTRUMENTS as u64 + 3;
    assert!(
        matches!(error, CsvError::TooManyInstruments { line: at, .. } if at == line),
        "{error}"
    );
    let one = load_one(&text, Some("ONE-MORE")).unwrap();
    assert_eq!((one.instruments.len(), one.events.len()), (1, 1));
}

#[test]
fn two_symbols_of_one_instrument_are_one_instrument() {
    let text = "symbol,ts_ns,price,size\nA,1,1.5,1\nA.SIM,2,1.25,1\nA,3,2,1\n";
    let loaded = load(text).unwrap();
    assert_eq!(loaded.instruments.len(), 1);
    assert_eq!(loaded.instruments[0].price_decimals, 2);
    let price = |event: &MarketEvent| match event {
        MarketEvent::Trade(trade) => trade.price.0,
        other => panic!("{other:?}"),
    };
    let prices: Vec<_> = loaded.events.iter().map(price).collect();
    assert_eq!(prices, [150, 125, 200]);
    // Those that nobody wants do not keep the wanted one out of the table.
    let mut text = String::from("symbol,ts_ns,price,size\n");
    for at in 0..2 * infer::MAX_INSTRUMENTS {
        text.push_str(&format!("S{at},1,1,1\n"));
    }
    text.push_str("A,1,1,1\nB,1,1,1\nA,2,1,1\nB,1,1,1\nA,3,1,1\n");
    let one = load_one(&text, Some("A")).unwrap();
    assert_eq!((one.instruments.len(), one.events.len()), (1, 3));
}

#[test]
fn a_line_without_end_is_a_bad_row() {
    let long = "x".repeat(row::MAX_LINE_BYTES + 1);
    let loaded = load(&format!("ts_ns,price,size\n1,1,1\n{long}\n2,1,1\n")).unwrap();
    assert_eq!(loaded.events.len(), 2);
    let bad = &loaded.bad_rows.first[0];
    assert_eq!((bad.line, &bad.reason), (3, &RowError::TooLong));
    assert!(matches!(load(&long), Err(CsvError::Header { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(header in 0_usize..4, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = [
            "date,open,high,low,close\n", "ts,bid,ask\n", "symbol,ts_ns,price,size\n", "",
        ][header].as_bytes().to_vec();
        bytes.extend(body);
        let _ = parse(Path::new("x"), &bytes, false, &CsvOptions::default());
        let _ = parse(Path::new("x"), &bytes, true, &CsvOptions::default());
    }

    #[test]
    fn no_text_like_a_row_makes_it_panic(rows in "([0-9.,:TQ -]{0,40}\n){0,20}") {
        let text = format!("ts_utc,kind,price_or_bid,size_or_bidsize,ask,asksize\n{rows}");
        let _ = load(&text);
    }
}
