//! What a reading means for a rule.

use super::baseline::Baseline;
use super::rule::{Direction, FeedScope, PnlMeasure, PriceSide, PriceWhen, Rule, Watch};
use crate::id::{AccountId, InstrumentId};
use crate::money::{Money, Rate};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};
use rust_decimal::Decimal;

/// Something that was measured just now. What is not known is left out, not guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The newest bid and ask.
    Quote {
        instrument_id: InstrumentId,
        bid: Option<Rate>,
        ask: Option<Rate>,
    },
    /// A trade at the market.
    Trade {
        instrument_id: InstrumentId,
        price: Rate,
    },
    /// What an account is worth, all of which is known; money in its base currency.
    Account {
        account_id: AccountId,
        equity: Money,
        /// `None` while a rate for it is missing.
        realized: Option<Money>,
        unrealized: Money,
        baseline: Baseline,
    },
    /// One order was denied by us or rejected by the venue.
    Rejected {
        account_id: AccountId,
    },
    /// When the feed last said anything of an instrument, by its own clock: only that this changes
    /// counts. `closed` of one that no feed of this run carries.
    Heard {
        instrument_id: InstrumentId,
        mark: UnixNanos,
        closed: bool,
    },
    /// How a part of the platform is.
    Component {
        name: String,
        ok: bool,
        detail: String,
    },
    Disk {
        path: String,
        free_bytes: u64,
        total_bytes: u64,
    },
    Certificate {
        file: String,
        ends: UnixNanos,
    },
}

/// How a value stands to its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It is an alert, or would be.
    Holds,
    /// Neither: what is an alert stays one, what is none stays none.
    Between,
    /// It is over.
    Clear,
}

/// What a reading says, before it is held against what was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Is(Level),
    /// A price that may have crossed: whether it is above the level, and far enough from it.
    Side {
        above: Option<bool>,
        far: bool,
    },
    /// One more within a window.
    OneMore {
        count: u32,
        window_ns: i64,
    },
    /// The newest mark of a feed.
    Mark {
        mark: UnixNanos,
        after_ns: i64,
    },
}

/// A reading as a rule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub subject: String,
    pub account_id: Option<AccountId>,
    pub meaning: Meaning,
    pub value: String,
    pub text: String,
}

/// Returns what the reading says to the rule; `None` where it is about something else, or is not
/// known.
pub(super) fn measure(now: UnixNanos, rule: &Rule, reading: &Reading) -> Option<Measured> {
    match (&rule.watch, reading) {
        (Watch::Price { .. }, Reading::Quote { .. } | Reading::Trade { .. }) => {
            price(&rule.watch, reading)
        }
        (
            Watch::Pnl { account_id, .. } | Watch::Drawdown { account_id, .. },
            Reading::Account { account_id: of, .. },
        ) if is_of(account_id.as_ref(), of) => worth(&rule.watch, reading),
        (
            Watch::Rejects {
                account_id,
                count,
                window_ns,
            },
            Reading::Rejected { account_id: of },
        ) if is_of(account_id.as_ref(), of) => Some(Measured {
            subject: of.to_string(),
            account_id: Some(of.clone()),
            meaning: Meaning::OneMore {
                count: *count,
                window_ns: *window_ns,
            },
            value: count.to_string(),
            text: format!(
                "account {of}: {count} orders were denied or rejected within {}",
                span(*window_ns)
            ),
        }),
        (Watch::Stale { scope, after_ns }, Reading::Heard { .. }) => {
            silent(scope, *after_ns, reading)
        }
        (Watch::Component { name }, Reading::Component { .. }) => component(name, reading),
        (Watch::Disk { path, .. }, Reading::Disk { path: of, .. })
            if path.is_empty() || path == of =>
        {
            disk(&rule.watch, reading)
        }
        (Watch::Certificate { days }, Reading::Certificate { file, ends }) => {
            let left = ends.since(now);
            let soon = left <= i64::from(*days).saturating_mul(NANOS_PER_DAY);
            let text = match left {
                ..=0 => format!("certificate {file} has ended"),
                left => format!("certificate {file} ends in {} days", left / NANOS_PER_DAY),
            };
            Some(Measured {
                subject: file.clone(),
                account_id: None,
                meaning: Meaning::Is(if soon { Level::Holds } else { Level::Clear }),
                value: (left / NANOS_PER_DAY).to_string(),
                text,
            })
        }
        _ => None,
    }
}

fn is_of(wanted: Option<&AccountId>, of: &AccountId) -> bool {
    wanted.is_none_or(|wanted| wanted == of)
}

/// Writes a time for a person.
pub(super) fn span(ns: i64) -> String {
    if ns % NANOS_PER_SECOND != 0 {
        return format!("{} ms", ns / 1_000_000);
    }
    match ns / NANOS_PER_SECOND {
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Returns how a value stands to a level that it meets going `direction`.
fn level(direction: Direction, value: Decimal, level: Decimal, rearm: Decimal) -> Level {
    let (holds, clear) = match direction {
        // A re-arm distance that leaves the range of numbers is never gone back to.
        Direction::Above => (
            value >= level,
            level.checked_sub(rearm).is_some_and(|end| value < end),
        ),
        Direction::Below => (
            value <= level,
            level.checked_add(rearm).is_some_and(|end| value > end),
        ),
    };
    match (holds, clear) {
        (true, _) => Level::Holds,
        (_, true) => Level::Clear,
        _ => Level::Between,
    }
}

fn price(watch: &Watch, reading: &Reading) -> Option<Measured> {
    let Watch::Price {
        instrument_id,
        side,
        when,
        level: at,
        rearm,
    } = watch
    else {
        return None;
    };
    let (of, price) = match (side, reading) {
        (
            PriceSide::Bid,
            Reading::Quote {
                instrument_id, bid, ..
            },
        ) => (instrument_id, (*bid)?),
        (
            PriceSide::Ask,
            Reading::Quote {
                instrument_id, ask, ..
            },
        ) => (instrument_id, (*ask)?),
        (
            PriceSide::Mid,
            Reading::Quote {
                instrument_id,
                bid,
                ask,
            },
        ) => {
            let sum = bid.as_ref()?.0.checked_add(ask.as_ref()?.0)?;
            (instrument_id, Rate(sum.checked_div(Decimal::TWO)?))
        }
        (
            PriceSide::Last,
            Reading::Trade {
                instrument_id,
                price,
            },
        ) => (instrument_id, *price),
        _ => return None,
    };
    if of != instrument_id {
        return None;
    }
    let (meaning, how) = match when {
        PriceWhen::Above => (
            Meaning::Is(level(Direction::Above, price.0, at.0, rearm.0)),
            "is at or above",
        ),
        PriceWhen::Below => (
            Meaning::Is(level(Direction::Below, price.0, at.0, rearm.0)),
            "is at or below",
        ),
        PriceWhen::Crosses => {
            let distance = price.0.checked_sub(at.0)?.abs();
            let above = (price != *at).then_some(price > *at);
            let far = above.is_some() && distance >= rearm.0;
            (Meaning::Side { above, far }, "crossed")
        }
    };
    let side = side.as_str();
    Some(Measured {
        subject: instrument_id.to_string(),
        account_id: None,
        meaning,
        value: price.to_string(),
        text: format!("{instrument_id}: {side} {price} {how} {at}"),
    })
}

fn worth(watch: &Watch, reading: &Reading) -> Option<Measured> {
    let Reading::Account {
        account_id,
        equity,
        realized,
        unrealized,
        baseline,
    } = reading
    else {
        return None;
    };
    let (meaning, value, text) = match watch {
        Watch::Pnl {
            measure,
            direction,
            level: at,
            rearm,
            ..
        } => {
            let value = match measure {
                PnlMeasure::Realized => (*realized)?,
                PnlMeasure::Unrealized => *unrealized,
                PnlMeasure::Day => equity.checked_sub(baseline.day_start).ok()?,
            };
            let how = match direction {
                Direction::Above => "at or above",
                Direction::Below => "at or below",
            };
            let what = measure.as_str();
            (
                level(*direction, value.0, at.0, rearm.0),
                value.to_string(),
                format!("account {account_id}: {what} {value} is {how} {at}"),
            )
        }
        Watch::Drawdown { share, rearm, .. } => {
            let fallen = baseline.highest.checked_sub(*equity).ok()?;
            if baseline.highest <= Money::ZERO {
                return None;
            }
            let part = |share: Decimal| baseline.highest.0.checked_mul(share);
            let holds = fallen > Money::ZERO && fallen.0 >= part(share.0)?;
            let ends = part(share.0.checked_sub(rearm.0)?)?;
            let stands = match (holds, fallen.0 < ends || fallen <= Money::ZERO) {
                (true, _) => Level::Holds,
                (_, true) => Level::Clear,
                _ => Level::Between,
            };
            let value = Rate(fallen.0.checked_div(baseline.highest.0)?.round_dp(6));
            let highest = baseline.highest;
            (
                stands,
                value.to_string(),
                format!(
                    "account {account_id}: equity {equity} fell by {value} of its highest {highest}, {share} is the level"
                ),
            )
        }
        _ => return None,
    };
    Some(Measured {
        subject: account_id.to_string(),
        account_id: Some(account_id.clone()),
        meaning: Meaning::Is(meaning),
        value,
        text,
    })
}

fn silent(scope: &FeedScope, after_ns: i64, reading: &Reading) -> Option<Measured> {
    let Reading::Heard {
        instrument_id,
        mark,
        closed,
    } = reading
    else {
        return None;
    };
    let subject = match scope {
        FeedScope::Instrument(wanted) if wanted == instrument_id => instrument_id.to_string(),
        FeedScope::All if !closed => instrument_id.to_string(),
        FeedScope::Venue(venue) if !closed && venue == instrument_id.venue() => {
            format!("feed {venue}")
        }
        _ => return None,
    };
    let text = format!("{subject}: no market data for {}", span(after_ns));
    Some(Measured {
        subject,
        account_id: None,
        meaning: Meaning::Mark {
            mark: *mark,
            after_ns,
        },
        value: span(after_ns),
        text,
    })
}

fn component(wanted: &str, reading: &Reading) -> Option<Measured> {
    let Reading::Component { name, ok, detail } = reading else {
        return None;
    };
    // `account` is each `account …`.
    let is_one = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    let meant = wanted.is_empty() || name.strip_prefix(wanted).is_some_and(is_one);
    meant.then(|| Measured {
        subject: name.clone(),
        account_id: None,
        meaning: Meaning::Is(if *ok { Level::Clear } else { Level::Holds }),
        value: if *ok { "ok" } else { "not ok" }.to_owned(),
        text: format!("{name}: {detail}"),
    })
}

fn disk(watch: &Watch, reading: &Reading) -> Option<Measured> {
    let (
        Watch::Disk {
            free_bytes: least,
            free_share,
            ..
        },
        Reading::Disk {
            path,
            free_bytes,
            total_bytes,
        },
    ) = (watch, reading)
    else {
        return None;
    };
    let free = Decimal::from(*free_bytes);
    let of_share = match free_share {
        Some(share) => Some(Decimal::from(*total_bytes).checked_mul(share.0)?),
        None => None,
    };
    let limit = least.map(Decimal::from).into_iter().chain(of_share).max()?;
    // Over once it is 5 % above the level: files that come and go would ring each time.
    let rearm = limit.checked_div(Decimal::from(20))?;
    Some(Measured {
        subject: path.clone(),
        account_id: None,
        meaning: Meaning::Is(level(Direction::Below, free, limit, rearm)),
        value: free_bytes.to_string(),
        text: format!("disk {path}: {free_bytes} of {total_bytes} bytes are free"),
    })
}
