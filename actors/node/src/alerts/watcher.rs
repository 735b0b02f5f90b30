//! What the engine sees: prices a few times a second, accounts and parts of the platform once a
//! second, disks and certificates now and then.
//!
//! Nothing waits for the engine: it looks at what is there anyway, and a trade or event that it was too
//! slow for is one that it did not see.

use apex_bus::handle::{AccountHandle, Platform};
use apex_bus::message::{AccountEvent, AccountSummary};
use apex_bus::topic::{AsyncSubscription, Item};
use apex_domain::alert::Reading;
use apex_domain::event::Event;
use apex_domain::market::{FeedStatus, Trade};
use apex_domain::number::decimal_of;
use apex_domain::{AccountId, Instrument, InstrumentId, Money, Price, Rate, UnixNanos};
use apex_gateway::{Dependency, Readiness, readiness};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often accounts and parts are asked: losses are measured as often.
const SLOW: Duration = Duration::from_secs(1);

/// How long an account may take to say what it is worth; one that stands still is not known then.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often disks and certificates are looked at.
const RARE: Duration = Duration::from_secs(10);

/// Trades and events that are taken at a time: what their topics hold.
const BATCH: usize = 1 << 16;

/// An account that is worth something known.
#[derive(Clone, Debug)]
pub struct AccountSeen {
    pub account_id: AccountId,
    pub equity: Money,
    pub realized: Option<Money>,
    pub unrealized: Money,
    /// Money was paid in or out since it was seen before.
    pub paid: bool,
}

/// The subjects that there are.
#[derive(Clone, Debug, Default)]
pub struct Present {
    pub components: BTreeSet<String>,
    pub disks: BTreeSet<String>,
    pub certificates: BTreeSet<String>,
}

/// What was seen since the look before.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub readings: Vec<Reading>,
    pub accounts: Vec<AccountSeen>,
    /// After a look at everything.
    pub present: Option<Present>,
}

/// What the slow look found last.
#[derive(Debug, Default)]
struct Slow {
    summaries: BTreeMap<AccountId, AccountSummary>,
    parts: Option<Vec<Dependency>>,
}

/// See the module.
pub struct Watcher {
    platform: Platform,
    trades: AsyncSubscription<Trade>,
    events: AsyncSubscription<AccountEvent>,
    slow: Arc<Mutex<Slow>>,
    disks: Vec<PathBuf>,
    certificates: Vec<PathBuf>,
    /// Up to which sequence money was paid that no summary had yet.
    paid: BTreeMap<AccountId, u64>,
    known: BTreeMap<InstrumentId, Instrument>,
    next_slow: Instant,
    next_rare: Instant,
}

/// What is watched besides the platform.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub disks: Vec<PathBuf>,
    pub certificates: Vec<PathBuf>,
}

impl Watcher {
    /// Begins to listen; the second part is to be run beside it, and ends with it.
    ///
    /// Errors: a topic that has no seat, in words.
    pub fn new(
        platform: &Platform,
        places: Places,
        readiness: Vec<Arc<dyn Readiness>>,
    ) -> Result<(Watcher, impl Future<Output = ()> + Send + 'static), String> {
        const NAME: &str = "alerts";
        let seat = |error| format!("alerts cannot listen: {error}");
        let slow = Arc::new(Mutex::new(Slow::default()));
        let watcher = Watcher {
            trades: platform.market.trades.subscribe_async(NAME).map_err(seat)?,
            events: platform
                .account_events
                .subscribe_async(NAME)
                .map_err(seat)?,
            platform: platform.clone(),
            slow: slow.clone(),
            disks: places.disks,
            certificates: places.certificates,
            paid: BTreeMap::new(),
            known: BTreeMap::new(),
            next_slow: Instant::now(),
            next_rare: Instant::now(),
        };
        Ok((watcher, ask(platform.clone(), readiness, slow)))
    }

    /// Returns what there is to see now; `priced` are the instruments whose prices matter.
    pub fn look(&mut self, priced: &BTreeSet<InstrumentId>) -> Seen {
        let mut seen = Seen::default();
        self.prices(priced, &mut seen.readings);
        self.happened(&mut seen.readings);
        self.accounts(&mut seen.accounts);
        let now = Instant::now();
        if now >= self.next_slow {
            self.next_slow = now + SLOW;
            self.feeds(&mut seen.readings);
            let parts = self.slow().parts.take();
            if let Some(parts) = parts {
                let mut present = Present::default();
                for part in parts {
                    present.components.insert(part.name.clone());
                    seen.readings.push(Reading::Component {
                        ok: part.ok && !part.degraded,
                        name: part.name,
                        detail: part.detail,
                    });
                }
                present.disks = self
                    .disks
                    .iter()
                    .map(|it| it.display().to_string())
                    .collect();
                let files = self.certificates.iter();
                present.certificates = files.map(|it| it.display().to_string()).collect();
                seen.present = Some(present);
            }
        }
        if now >= self.next_rare {
            self.next_rare = now + RARE;
            seen.readings.extend(self.disks.iter().filter_map(disk));
            seen.readings
                .extend(self.certificates.iter().filter_map(certificate));
        }
        seen
    }

    fn slow(&self) -> std::sync::MutexGuard<'_, Slow> {
        // Each change of it is one assignment, so a panic leaves it whole.
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn definition(&mut self, id: &InstrumentId) -> Option<Instrument> {
        if !self.known.contains_key(id) {
            let found = self.platform.market.instrument(id)?;
            self.known.insert(id.clone(), found);
        }
        self.known.get(id).cloned()
    }

    fn prices(&mut self, priced: &BTreeSet<InstrumentId>, readings: &mut Vec<Reading>) {
        let mut trades = Vec::new();
        self.trades.try_next_batch(&mut trades, BATCH);
        for item in trades {
            let Item::Value { value, .. } = item else {
                continue;
            };
            if !priced.contains(&value.instrument_id) {
                continue;
            }
            let id = value.instrument_id;
            let price = self.definition(&id).and_then(|it| rate(&it, value.price));
            readings.extend(price.map(|price| Reading::Trade {
                instrument_id: id,
                price,
            }));
        }
        for id in priced {
            let (Some(definition), Some(watched)) =
                (self.definition(id), self.platform.market.watched(id))
            else {
                continue;
            };
            let in_decimals = |price: Option<Price>| rate(&definition, price?);
            readings.push(Reading::Quote {
                instrument_id: id.clone(),
                bid: in_decimals(watched.bid),
                ask: in_decimals(watched.ask),
            });
            // The newest, for a rule that is younger than it.
            readings.extend(in_decimals(watched.last).map(|price| Reading::Trade {
                instrument_id: id.clone(),
                price,
            }));
        }
    }

    fn happened(&mut self, readings: &mut Vec<Reading>) {
        let mut events = Vec::new();
        self.events.try_next_batch(&mut events, BATCH);
        for item in events {
            let Item::Value { value, .. } = item else {
                continue;
            };
            match &value.recorded.event {
                Event::OrderDenied { .. } | Event::OrderRejected { .. } => {
                    readings.push(Reading::Rejected {
                        account_id: value.account_id,
                    });
                }
                Event::CashAdjusted { .. } => {
                    self.paid.insert(value.account_id, value.recorded.sequence);
                }
                _ => {}
            }
        }
    }

    fn accounts(&mut self, accounts: &mut Vec<AccountSeen>) {
        let summaries = std::mem::take(&mut self.slow().summaries);
        for (account_id, summary) in summaries {
            if summary.partial {
                // A part of it is not known: it is neither more nor less.
                continue;
            }
            let is_in = |paid: &u64| *paid <= summary.sequence;
            let paid = self.paid.get(&account_id).is_some_and(is_in);
            if paid {
                self.paid.remove(&account_id);
            }
            accounts.push(AccountSeen {
                realized: realized(&summary),
                equity: summary.equity,
                unrealized: summary.unrealized_pnl,
                account_id,
                paid,
            });
        }
    }

    fn feeds(&self, readings: &mut Vec<Reading>) {
        for view in self.platform.market.views() {
            readings.push(Reading::Heard {
                instrument_id: view.instrument.instrument_id,
                mark: view.ts_last,
                closed: view.feed == FeedStatus::Closed,
            });
        }
    }
}

fn rate(definition: &Instrument, price: Price) -> Option<Rate> {
    decimal_of(i128::from(price.0), definition.price_decimals)
        .ok()
        .map(Rate)
}

/// Returns what closed positions made, less fees, with funding; `None` while a part of that is in
/// another currency than the account's.
fn realized(summary: &AccountSummary) -> Option<Money> {
    let own = |amounts: &BTreeMap<apex_domain::Currency, Money>| {
        let other = |(currency, amount): (&apex_domain::Currency, &Money)| {
            *currency != summary.base_currency && !amount.is_zero()
        };
        if amounts.iter().any(other) {
            return None;
        }
        Some(
            amounts
                .get(&summary.base_currency)
                .copied()
                .unwrap_or(Money::ZERO),
        )
    };
    let made = own(&summary.realized_pnl)?
        .checked_sub(own(&summary.fees)?)
        .ok()?;
    made.checked_add(own(&summary.funding)?).ok()
}

fn disk(path: &PathBuf) -> Option<Reading> {
    let found = rustix::fs::statvfs(path);
    let found = found
        .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "no disk there"))
        .ok()?;
    Some(Reading::Disk {
        path: path.display().to_string(),
        // What is left for others than root.
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// Returns when the first of a file's certificates ends. A file that cannot be read has ended: nobody
/// could serve with it.
fn certificate(path: &PathBuf) -> Option<Reading> {
    let ends = std::fs::read(path).ok().and_then(|bytes| ends(&bytes));
    if ends.is_none() {
        tracing::warn!(path = %path.display(), "no certificate can be read there");
    }
    Some(Reading::Certificate {
        file: path.display().to_string(),
        ends: ends.unwrap_or(UnixNanos(0)),
    })
}

fn ends(bytes: &[u8]) -> Option<UnixNanos> {
    let parts = x509_parser::pem::Pem::iter_from_buffer(bytes);
    let mut first: Option<i64> = None;
    for part in parts {
        let part = part.ok()?;
        if part.label != "CERTIFICATE" {
            continue;
        }
        let seconds = part.parse_x509().ok()?.validity().not_after.timestamp();
        first = Some(first.map_or(seconds, |known| known.min(seconds)));
    }
    Some(UnixNanos(first?.saturating_mul(1_000_000_000)))
}

/// Asks accounts and parts, again and again, beside the looks: one that stands still holds up no price.
async fn ask(platform: Platform, readiness: Vec<Arc<dyn Readiness>>, slow: Arc<Mutex<Slow>>) {
    let mut timer = interval(SLOW);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let handles: Vec<AccountHandle> = platform.accounts.all().values().cloned().collect();
        let summaries = handles
            .iter()
            .map(|handle| timeout(PATIENCE, handle.summary()));
        let summaries = join_all(summaries).await.into_iter();
        let known = summaries.filter_map(|summary| summary.ok()?.ok());
        let known: BTreeMap<_, _> = known.map(|it| (it.account_id.clone(), it)).collect();
        let parts = readiness::dependencies(&platform, &readiness).await;
        let mut slow = slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.summaries = known;
        slow.parts = Some(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_has_none_that_lasts() {
        assert_eq!(ends(b""), None);
        assert_eq!(
            ends(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            None
        );
    }

    #[test]
    fn a_disk_tells_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let Some(Reading::Disk {
            free_bytes,
            total_bytes,
            ..
        }) = disk(&folder.path().to_owned())
        else {
            panic!("a folder is on a disk");
        };
        assert!(free_bytes <= total_bytes && total_bytes > 0);
        assert_eq!(disk(&folder.path().join("none")), None);
    }
}
