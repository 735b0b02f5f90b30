//! What a window of inputs is folded into.

use super::window::Fold;

/// A sum with the error of its roundings, so that it is the float nearest to the true sum in
/// nearly every case, however the inputs were grouped. Two averages over the same inputs agree
/// although one began earlier.
///
/// Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (exact error of a sum).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    pub fn value(self) -> f64 {
        self.high + self.low
    }
}

impl Fold for Sum {
    type Input = f64;

    fn of(input: f64) -> Sum {
        Sum {
            high: input,
            low: 0.0,
        }
    }

    fn then(self, later: Sum) -> Sum {
        let high = self.high + later.high;
        let part = high - self.high;
        let error = (self.high - (high - part)) + (later.high - part);
        Sum {
            high,
            low: self.low + later.low + error,
        }
    }
}

/// The sum weighted by place: the oldest input counts once, the next twice, and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weighted {
    count: f64,
    sum: f64,
    pub weighted: f64,
}

impl Fold for Weighted {
    type Input = f64;

    fn of(input: f64) -> Weighted {
        Weighted {
            count: 1.0,
            sum: input,
            weighted: input,
        }
    }

    fn then(self, later: Weighted) -> Weighted {
        Weighted {
            count: self.count + later.count,
            sum: self.sum + later.sum,
            weighted: self.weighted + later.weighted + self.count * later.sum,
        }
    }
}

/// Mean and squared distances from it. Joined by the difference of the means, since the textbook
/// `sum of squares - square of sum` loses all digits where the spread is small beside the mean.
///
/// Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
/// Sample Variances", 1979.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    count: f64,
    pub mean: f64,
    squares: f64,
}

impl Spread {
    /// Returns the variance of the inputs as a whole population (divided by their number).
    pub fn variance(self) -> f64 {
        self.squares / self.count
    }
}

impl Fold for Spread {
    type Input = f64;

    fn of(input: f64) -> Spread {
        Spread {
            count: 1.0,
            mean: input,
            squares: 0.0,
        }
    }

    fn then(self, later: Spread) -> Spread {
        let count = self.count + later.count;
        let apart = later.mean - self.mean;
        Spread {
            count,
            mean: self.mean + apart * (later.count / count),
            squares: self.squares
                + later.squares
                + apart * apart * (self.count * later.count / count),
        }
    }
}

/// Mean, and the products of distances of place and input from their means: what the slope of the
/// least-squares line is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    count: f64,
    mean: f64,
    products: f64,
}

impl Trend {
    /// Returns the slope per input; zero for a single input.
    pub fn slope(self) -> f64 {
        // The squared distances of 1..n from their mean.
        let squares = self.count * (self.count * self.count - 1.0) / 12.0;
        if squares == 0.0 {
            0.0
        } else {
            self.products / squares
        }
    }
}

impl Fold for Trend {
    type Input = f64;

    fn of(input: f64) -> Trend {
        Trend {
            count: 1.0,
            mean: input,
            products: 0.0,
        }
    }

    fn then(self, later: Trend) -> Trend {
        let count = self.count + later.count;
        let apart = later.mean - self.mean;
        // The middles of two runs that follow each other are half of both lengths apart.
        let places = count / 2.0;
        Trend {
            count,
            mean: self.mean + apart * (later.count / count),
            products: self.products
                + later.products
                + places * apart * (self.count * later.count / count),
        }
    }
}

/// The highest high and the lowest low, and how long ago each was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    count: u32,
    pub high: f64,
    /// Inputs since the high, 0 for the newest; of equal highs the newest counts.
    pub since_high: u32,
    pub low: f64,
    pub since_low: u32,
}

impl Range {
    /// Returns where `price` is between low and high, in percent from the low; 50 when there is
    /// nothing between them.
    pub fn position(self, price: f64) -> f64 {
        let extent = self.high - self.low;
        if extent > 0.0 {
            100.0 * ((price - self.low) / extent)
        } else {
            50.0
        }
    }
}

impl Fold for Range {
    /// High and low.
    type Input = (f64, f64);

    fn of((high, low): (f64, f64)) -> Range {
        Range {
            count: 1,
            high,
            since_high: 0,
            low,
            since_low: 0,
        }
    }

    fn then(self, later: Range) -> Range {
        let (high, since_high) = if later.high >= self.high {
            (later.high, later.since_high)
        } else {
            (self.high, self.since_high + later.count)
        };
        let (low, since_low) = if later.low <= self.low {
            (later.low, later.since_low)
        } else {
            (self.low, self.since_low + later.count)
        };
        Range {
            count: self.count + later.count,
            high,
            since_high,
            low,
            since_low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold<F: Fold>(inputs: &[F::Input]) -> F {
        let mut folds = inputs.iter().map(|input| F::of(*input));
        let first = folds.next().unwrap();
        folds.fold(first, F::then)
    }

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        let sum: Sum = fold(&[1e16, 1.0, 1.0, -1e16]);
        assert_eq!(sum.value(), 2.0);
        let tenths: Sum = fold(&[0.1; 10]);
        assert_eq!(tenths.value(), 1.0);
    }

    #[test]
    fn a_small_spread_round_a_large_mean_keeps_its_digits() {
        let spread: Spread = fold(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert_eq!((spread.mean, spread.variance()), (1e9 + 10.0, 22.5));
    }

    #[test]
    fn the_slope_of_a_line_is_its_rise() {
        let inputs: Vec<f64> = (0..20).map(|place| 7.0 - 3.0 * f64::from(place)).collect();
        let trend: Trend = fold(&inputs);
        assert!((trend.slope() + 3.0).abs() < 1e-13, "{}", trend.slope());
        assert_eq!(fold::<Trend>(&[5.0]).slope(), 0.0);
    }

    #[test]
    fn joins_in_any_grouping_give_the_same() {
        let inputs = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        let (head, tail) = inputs.split_at(3);
        assert_eq!(
            fold::<Weighted>(head).then(fold(tail)),
            fold::<Weighted>(&inputs)
        );
        let (whole, joined) = (
            fold::<Trend>(&inputs).slope(),
            fold::<Trend>(head).then(fold(tail)).slope(),
        );
        assert!((whole - joined).abs() < 1e-14);
    }

    #[test]
    fn of_equal_extremes_the_newest_counts() {
        let range: Range = fold(&[(5.0, 1.0), (7.0, 2.0), (7.0, 1.0), (6.0, 3.0)]);
        assert_eq!((range.high, range.since_high), (7.0, 1));
        assert_eq!((range.low, range.since_low), (1.0, 1));
    }
}
