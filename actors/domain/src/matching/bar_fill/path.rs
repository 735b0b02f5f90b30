//! The way of the price through a bar.

use crate::instrument::Instrument;
use crate::market::Bar;
use crate::number::Price;

/// In which order a bar's prices come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarPath {
    /// Open, high, low, close.
    HighFirst,
    /// Open, low, high, close.
    LowFirst,
    /// The extreme nearer to the open first; the high where both are as near.
    #[default]
    Adaptive,
}

/// How much a bar fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarVolume {
    /// Everything that its prices reach.
    #[default]
    Unlimited,
    /// A quarter of its volume at the open and on the way to each further price, cut to the
    /// increment; what the cuts leave is there on the way to the close. All orders share it. A bar
    /// without a volume fills nothing.
    Quarters,
}

impl BarPath {
    /// Returns the four prices in their order.
    pub(super) fn prices(self, bar: &Bar) -> [Price; 4] {
        let high_first = match self {
            BarPath::HighFirst => true,
            BarPath::LowFirst => false,
            BarPath::Adaptive => {
                let up = i128::from(bar.high.0) - i128::from(bar.open.0);
                let down = i128::from(bar.open.0) - i128::from(bar.low.0);
                up <= down
            }
        };
        if high_first {
            [bar.open, bar.high, bar.low, bar.close]
        } else {
            [bar.open, bar.low, bar.high, bar.close]
        }
    }
}

impl BarVolume {
    /// Returns what is there at each of the four prices; `None` is without end.
    pub(super) fn shares(self, bar: &Bar, instrument: &Instrument) -> [Option<i64>; 4] {
        if self == BarVolume::Unlimited {
            return [None; 4];
        }
        let step = i128::from(instrument.quantity_increment.0);
        let volume = bar.volume.max(0);
        let quarter = volume / 4 / step * step;
        let rest = volume - 3 * quarter;
        let share = |part: i128| Some(i64::try_from(part).unwrap_or(i64::MAX));
        [share(quarter), share(quarter), share(quarter), share(rest)]
    }
}
