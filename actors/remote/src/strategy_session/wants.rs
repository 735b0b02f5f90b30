//! What a session is to be shown.

use apex_domain::InstrumentId;
use apex_domain::market::{BarSpec, MarketEvent};
use apex_domain::time::NANOS_PER_SECOND;
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
    /// `None`: as the feed has them.
    Bars(Option<i64>),
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
            for kind in subscription.kinds() {
                let Some(what) = what(&mut fields, kind, subscription.bar_interval_ns) else {
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
                let of_length = match bar.spec {
                    BarSpec::Time { interval_ns } => self.has(event, What::Bars(Some(interval_ns))),
                    BarSpec::External => false,
                };
                of_length || self.has(event, What::Bars(None))
            }
        }
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

fn what(fields: &mut Fields, kind: Kind, bar_interval_ns: i64) -> Option<What> {
    match kind {
        Kind::Trades => Some(What::Trades),
        Kind::Quotes => Some(What::Quotes),
        Kind::Book => Some(What::Book),
        Kind::FeedState => Some(What::FeedState),
        Kind::Bars if bar_interval_ns == 0 => Some(What::Bars(None)),
        Kind::Bars if BAR_INTERVALS.contains(&bar_interval_ns) => {
            Some(What::Bars(Some(bar_interval_ns)))
        }
        Kind::Bars => {
            fields.refuse(
                "subscriptions.bar_interval_ns",
                format!("{bar_interval_ns} is none of {BAR_INTERVALS:?}, which feeds publish"),
            );
            None
        }
        Kind::Unspecified => {
            fields.refuse("subscriptions.kinds", "holds no known kind");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::UnixNanos;
    use apex_domain::market::Quote;

    fn subscription(id: &str, kinds: &[Kind], bar_interval_ns: i64) -> v1::StrategySubscription {
        v1::StrategySubscription {
            instrument_id: id.into(),
            kinds: kinds.iter().map(|kind| *kind as i32).collect(),
            bar_interval_ns,
            warmup: 0,
        }
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
}
