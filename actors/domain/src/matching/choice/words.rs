//! The words of each model, there and back.

use super::LatencyChoice;
use crate::instrument::FeeSchedule;
use crate::matching::{BarPath, BarVolume, LatencyModel, QueueModel, Slippage};
use crate::money::{Money, Rate};
use crate::number::{self, Decimal};

/// Longer than a way over any wire; enough for studies on daily bars.
const LONGEST_NS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// What fits a command line.
const MOST_SAMPLES: usize = 1_000;

/// The longest first.
const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a whole number with its unit.
fn time(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, nanos) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let nanos = number.parse::<i64>().ok()?.checked_mul(nanos)?;
    (nanos <= LONGEST_NS).then_some(nanos)
}

fn time_text(nanos: i64) -> String {
    let fits = |(_, unit): &(&str, i64)| nanos % unit == 0;
    // Each time is a whole number of the last.
    let (name, unit) = UNITS.into_iter().find(fits).unwrap_or(("ns", 1));
    format!("{}{name}", nanos / unit)
}

pub(super) fn latency(text: &str) -> Option<LatencyChoice> {
    let (there, back) = text.split_once('/').unwrap_or((text, text));
    Some(LatencyChoice {
        to_venue: way(there)?,
        to_account: way(back)?,
    })
}

fn way(text: &str) -> Option<LatencyModel> {
    if text == "none" {
        return Some(LatencyModel::Fixed(0));
    }
    if text == "data" {
        return Some(LatencyModel::Recorded);
    }
    if let Some(tail) = text.strip_prefix("tail:") {
        let (base, mean) = tail.split_once(':')?;
        return Some(LatencyModel::Tail {
            base_ns: time(base)?,
            mean_ns: time(mean)?,
        });
    }
    if let Some(samples) = text.strip_prefix("samples:") {
        let samples: Option<Vec<i64>> = samples.split(',').map(time).collect();
        return samples
            .filter(|samples| samples.len() <= MOST_SAMPLES)
            .map(LatencyModel::Samples);
    }
    time(text).map(LatencyModel::Fixed)
}

pub(super) fn latency_text(latency: &LatencyChoice) -> String {
    let (there, back) = (way_text(&latency.to_venue), way_text(&latency.to_account));
    if there == back {
        there
    } else {
        format!("{there}/{back}")
    }
}

fn way_text(way: &LatencyModel) -> String {
    match way {
        LatencyModel::Fixed(0) => "none".to_owned(),
        LatencyModel::Recorded => "data".to_owned(),
        LatencyModel::Fixed(nanos) => time_text(*nanos),
        LatencyModel::Tail { base_ns, mean_ns } => {
            format!("tail:{}:{}", time_text(*base_ns), time_text(*mean_ns))
        }
        LatencyModel::Samples(samples) => {
            let samples: Vec<String> = samples.iter().map(|nanos| time_text(*nanos)).collect();
            format!("samples:{}", samples.join(","))
        }
    }
}

pub(super) fn queue(text: &str) -> Option<QueueModel> {
    [
        QueueModel::Back,
        QueueModel::Proportional,
        QueueModel::Front,
    ]
    .into_iter()
    .find(|queue| queue_text(*queue) == text)
}

pub(super) fn queue_text(queue: QueueModel) -> &'static str {
    match queue {
        QueueModel::Back => "back",
        QueueModel::Proportional => "proportional",
        QueueModel::Front => "front",
    }
}

pub(super) fn bar_path(text: &str) -> Option<BarPath> {
    [BarPath::Adaptive, BarPath::HighFirst, BarPath::LowFirst]
        .into_iter()
        .find(|path| bar_path_text(*path) == text)
}

pub(super) fn bar_path_text(path: BarPath) -> &'static str {
    match path {
        BarPath::Adaptive => "adaptive",
        BarPath::HighFirst => "high-first",
        BarPath::LowFirst => "low-first",
    }
}

pub(super) fn bar_volume(text: &str) -> Option<BarVolume> {
    [BarVolume::Unlimited, BarVolume::Quarters]
        .into_iter()
        .find(|volume| bar_volume_text(*volume) == text)
}

pub(super) fn bar_volume_text(volume: BarVolume) -> &'static str {
    match volume {
        BarVolume::Unlimited => "unlimited",
        BarVolume::Quarters => "quarters",
    }
}

/// Reads basis points as a share; within the whole, either way.
fn basis_points(text: &str) -> Option<Rate> {
    let bps = number::parse_decimal(text.strip_suffix("bps")?).ok()?;
    let whole = Decimal::from(10_000);
    // Exact: dividing by a power of ten only moves the point. One with more decimals than a share
    // can have is refused instead of rounded.
    let share = (bps.abs() <= whole && bps.scale() <= 18).then(|| bps / whole)?;
    Some(Rate(share.normalize()))
}

fn basis_points_text(share: Rate) -> String {
    format!("{}bps", (share.0 * Decimal::from(10_000)).normalize())
}

pub(super) fn slippage(text: &str) -> Option<Slippage> {
    if text == "none" {
        return Some(Slippage::None);
    }
    if let Some(ticks) = text.strip_suffix("ticks") {
        let is_number = ticks.bytes().all(|byte| byte.is_ascii_digit());
        return Some(Slippage::Ticks(is_number.then(|| ticks.parse().ok())??));
    }
    let share = basis_points(text).filter(|share| *share >= Rate::ZERO)?;
    Some(Slippage::Share(share))
}

pub(super) fn slippage_text(slippage: Slippage) -> String {
    match slippage {
        Slippage::None => "none".to_owned(),
        Slippage::Ticks(ticks) => format!("{ticks}ticks"),
        Slippage::Share(share) => basis_points_text(share),
    }
}

pub(super) fn fee(text: &str) -> Option<FeeSchedule> {
    if text == "none" {
        return Some(FeeSchedule::default());
    }
    if let Some(amounts) = text.strip_prefix("per-share:") {
        let (unit, minimum) = match amounts.split_once(":min:") {
            Some((unit, minimum)) => (money(unit)?, money(minimum)?),
            None => (money(amounts)?, Money::default()),
        };
        return Some(FeeSchedule {
            per_unit: unit,
            minimum,
            ..FeeSchedule::default()
        });
    }
    let (maker, taker) = text.split_once(':').unwrap_or((text, text));
    Some(FeeSchedule {
        maker: basis_points(maker)?,
        taker: basis_points(taker)?,
        ..FeeSchedule::default()
    })
}

fn money(text: &str) -> Option<Money> {
    let money = Money::parse(text).ok()?;
    (money.0 >= Decimal::ZERO).then_some(money)
}

pub(super) fn fee_text(fee: &FeeSchedule) -> String {
    if !fee.per_unit.0.is_zero() || !fee.minimum.0.is_zero() {
        let unit = fee.per_unit.0.normalize();
        return match fee.minimum.0.normalize() {
            minimum if minimum.is_zero() => format!("per-share:{unit}"),
            minimum => format!("per-share:{unit}:min:{minimum}"),
        };
    }
    match (fee.maker, fee.taker) {
        (maker, taker) if maker.is_zero() && taker.is_zero() => "none".to_owned(),
        (maker, taker) if maker == taker => basis_points_text(maker),
        (maker, taker) => {
            format!("{}:{}", basis_points_text(maker), basis_points_text(taker))
        }
    }
}

/// The outer `None` is a text that is none of these words.
#[allow(clippy::option_option)]
pub(super) fn collar(text: &str) -> Option<Option<Rate>> {
    if text == "none" {
        return Some(None);
    }
    let share = Rate::parse(text).ok()?;
    (share >= Rate::ZERO && share.0 <= Decimal::ONE).then_some(Some(share))
}

pub(super) fn collar_text(collar: Option<Rate>) -> String {
    collar.map_or_else(
        || "none".to_owned(),
        |share| share.0.normalize().to_string(),
    )
}
