//! What a strategy declares, on the wire.

use apex_domain::InstrumentId;
use apex_domain::market::BarSpec;
use apex_proto::convert;
use apex_proto::v1::{self, MarketDataKind as Kind};
use apex_strategy::{Selection, Subscriptions};

/// Writes a strategy's declaration. The runner filters again by the declaration itself, so that
/// a server may send more than was asked for.
pub fn write(subscriptions: &Subscriptions) -> Vec<v1::StrategySubscription> {
    let ids: Vec<String> = match &subscriptions.instruments {
        Selection::All => vec![String::new()],
        Selection::Only(ids) => ids.iter().map(InstrumentId::to_string).collect(),
    };
    let warmup = u32::try_from(subscriptions.warmup).unwrap_or(u32::MAX);
    let mut kinds = Vec::new();
    for (wanted, kind) in [
        (subscriptions.quotes, Kind::Quotes),
        (subscriptions.trades, Kind::Trades),
        (subscriptions.book, Kind::Book),
        (subscriptions.feed_state, Kind::FeedState),
    ] {
        if wanted {
            kinds.push(kind.into());
        }
    }
    // An external bar is asked for as the feed has it.
    let bars: Vec<BarSpec> = match &subscriptions.bars {
        Selection::All => vec![BarSpec::External],
        Selection::Only(specs) => specs.iter().copied().collect(),
    };
    let mut written = Vec::new();
    for instrument_id in ids {
        let subscription = |kinds: Vec<i32>, spec| v1::StrategySubscription {
            instrument_id: instrument_id.clone(),
            kinds,
            bar_interval_ns: interval(spec),
            warmup,
            bar_spec: convert::market::bar_spec(spec),
        };
        if !kinds.is_empty() {
            written.push(subscription(kinds.clone(), BarSpec::External));
        }
        for spec in &bars {
            written.push(subscription(vec![Kind::Bars.into()], *spec));
        }
    }
    written
}

fn interval(spec: BarSpec) -> i64 {
    match spec {
        BarSpec::Time { interval_ns } => interval_ns,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn bars_of_each_length_are_asked_for_by_instrument() {
        let subscriptions = Subscriptions {
            instruments: Selection::Only(BTreeSet::from([
                InstrumentId::new("A.SIM").unwrap(),
                InstrumentId::new("B.SIM").unwrap(),
            ])),
            bars: Selection::Only(BTreeSet::from([
                BarSpec::Time { interval_ns: 5 },
                BarSpec::Time { interval_ns: 7 },
            ])),
            quotes: true,
            warmup: 3,
            ..Subscriptions::none()
        };
        let written: Vec<_> = write(&subscriptions)
            .into_iter()
            .map(|s| (s.instrument_id, s.kinds, s.bar_interval_ns, s.warmup))
            .collect();
        let (quotes, bars) = (Kind::Quotes as i32, Kind::Bars as i32);
        let expected = ["A.SIM", "B.SIM"].into_iter().flat_map(|id| {
            [(quotes, 0), (bars, 5), (bars, 7)].map(|(kind, ns)| (id.to_owned(), vec![kind], ns, 3))
        });
        assert_eq!(written, expected.collect::<Vec<_>>());
        assert!(write(&Subscriptions::none()).is_empty());
        let ticks = BarSpec::Tick { count: 5 };
        let written = write(&Subscriptions {
            bars: Selection::Only(BTreeSet::from([ticks])),
            ..Subscriptions::none()
        });
        let read = convert::market::read_bar_spec(0, written[0].bar_spec.as_ref());
        assert_eq!((read, written[0].bar_interval_ns), (Some(ticks), 0));
    }
}
