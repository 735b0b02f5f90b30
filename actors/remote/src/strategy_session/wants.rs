//! What a session is to be shown.

use apex_domain::InstrumentId;
use apex_domain::bar::check_spec;
use apex_domain::market::{BarSpec, MarketEvent};
use apex_domain::time::NANOS_PER_SECOND;
use apex_proto::convert;
use apex_proto::v1::{self, MarketDataKind as Kind};
use apex_proto::{FieldErrors, field::Fields};
use std::collections::BTreeSet;

/// Bars that feeds publish. Others would never come, so they are refused instead.
const BAR_INTERVALS: [i64; 2] = [NANOS_PER_SECOND, 60 * NANOS_PER_SECOND];

/// Subscriptions of one session: one of each bar length of a thousand instruments.
const LIMIT: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Trades,
    Quotes,
    Book,
    /// `None`: bars of time as the feed has them.
    Bars(Option<BarSpec>),
    FeedState,
}

/// The checked subscriptions of a hello.
#[derive(Debug, Default)]
pub struct Wants {
    of_all: BTreeSet<What>,
    of_one: BTreeSet<(InstrumentId, What)>,
}

impl Wants {
    /// Reads subscriptions.
    ///
    /// Errors: fields that name no instrument, kind or bar that a feed has.
    pub fn read(subscriptions: &[v1::StrategySubscription]) -> Result<Wants, FieldErrors> {
        let mut fields = Fields::new();
        let mut wants = Wants::default();
        if subscriptions.len() > LIMIT {
            fields.refuse("subscriptions", format!("are more than {LIMIT}"));
            return fields.finish(None);
        }
        for subscription in subscriptions {
            let id = match subscription.instrument_id.as_str() {
                "" => None,
                text => {
                    let id = InstrumentId::in_command(text);
                    match fields.take("subscriptions.instrument_id", id) {
                        Some(id) => Some(id),
                        None => continue,
                    }
                }
            };
            if subscription.kinds.is_empty() {
                let what = "is empty: name at least one kind, such as MARKET_DATA_KIND_QUOTES";
                fields.refuse("subscriptions.kinds", what);
            }
            for kind in subscription.kinds() {
                let Some(what) = what(&mut fields, kind, subscription) else {
                    continue;
                };
                match &id {
                    None => wants.of_all.insert(what),
                    Some(id) => wants.of_one.insert((id.clone(), what)),
                };
            }
        }
        fields.finish(Some(wants))
    }

    pub fn takes(&self, event: &MarketEvent) -> bool {
        match event {
            MarketEvent::Trade(_) => self.has(event, What::Trades),
            MarketEvent::Quote(_) => self.has(event, What::Quotes),
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) => self.has(event, What::Book),
            MarketEvent::FeedState(_) => self.has(event, What::FeedState),
            MarketEvent::Bar(bar) => {
                // What one strategy asked to be made is not for all.
                let is_common = matches!(bar.spec, BarSpec::Time { .. } | BarSpec::External);
                self.has(event, What::Bars(Some(bar.spec)))
                    || (is_common && self.has(event, What::Bars(None)))
            }
        }
    }

    /// Returns the bars that feeds make only when they are asked to, `None` for every instrument.
    pub fn bars_to_ask(&self) -> impl Iterator<Item = (Option<InstrumentId>, BarSpec)> + '_ {
        let of_all = self.of_all.iter().map(|what| (None, *what));
        let of_one = self
            .of_one
            .iter()
            .map(|(id, what)| (Some(id.clone()), *what));
        of_all.chain(of_one).filter_map(|(id, what)| match what {
            What::Bars(Some(BarSpec::Time { .. })) => None,
            What::Bars(Some(spec)) => Some((id, spec)),
            _ => None,
        })
    }

    fn has(&self, event: &MarketEvent, what: What) -> bool {
        self.of_all.contains(&what) || self.of_one.contains(&(event.instrument_id().clone(), what))
    }

    /// Returns true when any instrument's data of the kind is wanted.
    pub fn any(&self, kind: Kind) -> bool {
        let is = |what: &What| {
            matches!(
                (what, kind),
                (What::Trades, Kind::Trades)
                    | (What::Quotes, Kind::Quotes)
                    | (What::Book, Kind::Book)
                    | (What::Bars(_), Kind::Bars)
                    | (What::FeedState, Kind::FeedState)
            )
        };
        self.of_all.iter().any(is) || self.of_one.iter().any(|(_, what)| is(what))
    }
}

fn what(fields: &mut Fields, kind: Kind, wire: &v1::StrategySubscription) -> Option<What> {
    match kind {
        Kind::Trades => Some(What::Trades),
        Kind::Quotes => Some(What::Quotes),
        Kind::Book => Some(What::Book),
        Kind::FeedState => Some(What::FeedState),
        Kind::Bars => bars(fields, wire),
        Kind::Unspecified => {
            fields.refuse("subscriptions.kinds", "holds no known kind");
            None
        }
    }
}

fn bars(fields: &mut Fields, wire: &v1::StrategySubscription) -> Option<What> {
    let interval_ns = wire.bar_interval_ns;
    if wire.bar_spec.is_none() {
        return match interval_ns {
            0 => Some(What::Bars(None)),
            _ if BAR_INTERVALS.contains(&interval_ns) => {
                Some(What::Bars(Some(BarSpec::Time { interval_ns })))
            }
            _ => {
                fields.refuse(
                    "subscriptions.bar_interval_ns",
                    format!("{interval_ns} is none of {BAR_INTERVALS:?}, which feeds publish"),
                );
                None
            }
        };
    }
    if interval_ns != 0 {
        fields.refuse("subscriptions.bar_interval_ns", "is set beside bar_spec");
        return None;
    }
    let Some(spec) = convert::market::read_bar_spec(0, wire.bar_spec.as_ref()) else {
        fields.refuse("subscriptions.bar_spec", "holds no known kind of bar");
        return None;
    };
    let checked = check_spec(spec).map_err(|error| error.to_string());
    match checked {
        Ok(spec) => Some(What::Bars(Some(spec))),
        Err(reason) => {
            fields.refuse("subscriptions.bar_spec", reason);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::market::{Bar, Quote};
    use apex_domain::{Price, UnixNanos};

    fn subscription(id: &str, kinds: &[Kind], bar_interval_ns: i64) -> v1::StrategySubscription {
        v1::StrategySubscription {
            instrument_id: id.into(),
            kinds: kinds.iter().map(|kind| *kind as i32).collect(),
            bar_interval_ns,
            warmup: 0,
            bar_spec: None,
        }
    }

    fn bar(spec: BarSpec) -> MarketEvent {
        MarketEvent::Bar(Bar {
            instrument_id: InstrumentId::new("A.SIM").unwrap(),
            spec,
            open: Price(1),
            high: Price(1),
            low: Price(1),
            close: Price(1),
            volume: 1,
            trade_count: 1,
            ts_open: UnixNanos(0),
            ts_init: UnixNanos(0),
        })
    }

    fn quote(id: &str) -> MarketEvent {
        MarketEvent::Quote(Quote {
            instrument_id: InstrumentId::new(id).unwrap(),
            bid: None,
            ask: None,
            ts_event: UnixNanos(0),
            ts_init: UnixNanos(0),
        })
    }

    #[test]
    fn an_instrument_or_all_of_them_can_be_asked_for() {
        let one = Wants::read(&[subscription("A.SIM", &[Kind::Quotes], 0)]).unwrap();
        assert!(one.takes(&quote("A.SIM")) && !one.takes(&quote("B.SIM")));
        assert!(one.any(Kind::Quotes) && !one.any(Kind::Trades));
        let all = Wants::read(&[subscription("", &[Kind::Quotes, Kind::Bars], 0)]).unwrap();
        assert!(all.takes(&quote("B.SIM")) && all.any(Kind::Bars));
        let nothing = Wants::read(&[]).unwrap();
        assert!(!nothing.takes(&quote("A.SIM")));
    }

    #[test]
    fn bars_that_no_feed_has_are_refused() {
        let error = Wants::read(&[subscription("A.SIM", &[Kind::Bars], 7)]).unwrap_err();
        assert_eq!(error.errors()[0].field, "subscriptions.bar_interval_ns");
        assert!(Wants::read(&[subscription("A.SIM", &[Kind::Bars], NANOS_PER_SECOND)]).is_ok());
        let error = Wants::read(&[subscription("a b", &[Kind::Unspecified], 0)]).unwrap_err();
        assert_eq!(error.errors()[0].field, "subscriptions.instrument_id");
    }

    #[test]
    fn bars_that_do_not_count_time_are_asked_for_and_reach_only_who_asked() {
        let ticks = BarSpec::Tick { count: 5 };
        let asked = v1::StrategySubscription {
            bar_spec: convert::market::bar_spec(ticks),
            ..subscription("A.SIM", &[Kind::Bars], 0)
        };
        let wants = Wants::read(std::slice::from_ref(&asked)).unwrap();
        let id = InstrumentId::new("A.SIM").unwrap();
        assert_eq!(wants.bars_to_ask().collect::<Vec<_>>(), [(Some(id), ticks)]);
        assert!(wants.takes(&bar(ticks)));
        assert!(!wants.takes(&bar(BarSpec::Tick { count: 6 })));
        assert!(!wants.takes(&bar(BarSpec::External)));
        let common = Wants::read(&[subscription("", &[Kind::Bars], 0)]).unwrap();
        assert!(common.takes(&bar(BarSpec::External)) && !common.takes(&bar(ticks)));
        assert_eq!(common.bars_to_ask().count(), 0);
        for (spec, field) in [
            (
                Some(v1::bar_spec::Spec::TickCount(0)),
                "subscriptions.bar_spec",
            ),
            (None, "subscriptions.bar_spec"),
        ] {
            let refused = v1::StrategySubscription {
                bar_spec: Some(v1::BarSpec { spec }),
                ..asked.clone()
            };
            let error = Wants::read(&[refused]).unwrap_err();
            assert_eq!(error.errors()[0].field, field);
        }
        let both = v1::StrategySubscription {
            bar_interval_ns: NANOS_PER_SECOND,
            ..asked
        };
        let error = Wants::read(&[both]).unwrap_err();
        assert_eq!(error.errors()[0].field, "subscriptions.bar_interval_ns");
    }
}
