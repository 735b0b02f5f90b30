//! The last inputs, folded into one value without ever subtracting what left.

/// A summary of a run of inputs that can be joined with the summary of the run behind it.
///
/// `then` has to be associative up to rounding.
pub(super) trait Fold: Copy {
    type Input: Copy;

    /// Summarises a single input.
    fn of(input: Self::Input) -> Self;

    /// Summarises this run followed by a `later` one.
    fn then(self, later: Self) -> Self;
}

impl<A: Fold, B: Fold> Fold for (A, B) {
    type Input = (A::Input, B::Input);

    fn of(input: Self::Input) -> Self {
        (A::of(input.0), B::of(input.1))
    }

    fn then(self, later: Self) -> Self {
        (self.0.then(later.0), self.1.then(later.1))
    }
}

/// The fold of the last `period` inputs, in amortised constant time for each.
///
/// A running sum that subtracts what leaves drifts: each rounding stays for ever, and a large
/// input that left takes the small ones with it. Here inputs wait in `recent` with one fold over
/// all of them. Once per `period` inputs they move to `older`, folded from the newest back, so
/// that each entry is the fold from its own input to the end of that part, and dropping the oldest
/// input is dropping an entry. A value is thus made of `period` joins, whatever came before.
///
/// The longest single step is the move, `period` joins. Nothing is allocated after the start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window<F: Fold> {
    period: usize,
    /// The oldest input's fold last.
    older: Vec<F>,
    /// Oldest first.
    recent: Vec<F::Input>,
    /// Over all of `recent`; `None` when it is empty.
    newer: Option<F>,
}

impl<F: Fold> Window<F> {
    /// `period` has to be above zero.
    pub fn new(period: usize) -> Window<F> {
        Window {
            period,
            older: Vec::with_capacity(period),
            recent: Vec::with_capacity(period),
            newer: None,
        }
    }

    /// Takes the next input and returns the fold with it, or `None` before `period` inputs.
    pub fn push(&mut self, input: F::Input) -> Option<F> {
        if self.is_full() {
            if self.older.is_empty() {
                self.move_recent();
            }
            self.older.pop();
        }
        self.recent.push(input);
        let last = F::of(input);
        self.newer = Some(self.newer.map_or(last, |newer| newer.then(last)));
        self.value()
    }

    fn move_recent(&mut self) {
        let mut fold: Option<F> = None;
        for &input in self.recent.iter().rev() {
            let first = F::of(input);
            let joined = fold.map_or(first, |fold| first.then(fold));
            self.older.push(joined);
            fold = Some(joined);
        }
        self.recent.clear();
        self.newer = None;
    }

    /// Returns the fold of the last `period` inputs, or `None` before there were so many.
    pub fn value(&self) -> Option<F> {
        if !self.is_full() {
            return None;
        }
        match (self.older.last(), self.newer) {
            (Some(older), Some(newer)) => Some(older.then(newer)),
            (Some(older), None) => Some(*older),
            (None, newer) => newer,
        }
    }

    pub fn is_full(&self) -> bool {
        self.older.len() + self.recent.len() == self.period
    }

    pub fn clear(&mut self) {
        self.older.clear();
        self.recent.clear();
        self.newer = None;
    }
}

/// The input of `distance` inputs ago.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lag {
    /// A ring: the slot to write next holds the oldest input.
    inputs: Vec<f64>,
    distance: usize,
    next: usize,
}

impl Lag {
    /// `distance` has to be above zero.
    pub fn new(distance: usize) -> Lag {
        Lag {
            inputs: Vec::with_capacity(distance),
            distance,
            next: 0,
        }
    }

    /// Takes the next input and returns the one `distance` before it, or `None` when there is
    /// none.
    pub fn push(&mut self, input: f64) -> Option<f64> {
        if self.inputs.len() < self.distance {
            self.inputs.push(input);
            return None;
        }
        let before = std::mem::replace(&mut self.inputs[self.next], input);
        self.next = (self.next + 1) % self.distance;
        Some(before)
    }

    pub fn clear(&mut self) {
        self.inputs.clear();
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keeps the whole run, to see order and extent.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Run {
        first: u32,
        last: u32,
        count: u32,
    }

    impl Fold for Run {
        type Input = u32;

        fn of(input: u32) -> Run {
            Run {
                first: input,
                last: input,
                count: 1,
            }
        }

        fn then(self, later: Run) -> Run {
            assert_eq!(self.last + 1, later.first, "runs are joined in order");
            Run {
                last: later.last,
                count: self.count + later.count,
                ..self
            }
        }
    }

    proptest! {
        #[test]
        fn a_window_folds_exactly_the_last_inputs_in_order(period in 1_usize..9, inputs in 0_u32..60) {
            let mut window = Window::<Run>::new(period);
            for input in 0..inputs {
                let wanted = (input + 1 >= period as u32).then(|| Run {
                    first: input + 1 - period as u32,
                    last: input,
                    count: period as u32,
                });
                prop_assert_eq!(window.push(input), wanted);
                prop_assert_eq!(window.value(), wanted);
            }
            window.clear();
            prop_assert_eq!(window.push(7).is_some(), period == 1);
        }
    }

    #[test]
    fn a_lag_gives_back_what_was_put_in_so_many_inputs_before() {
        let mut lag = Lag::new(3);
        let out: Vec<_> = (0..7).map(|input| lag.push(f64::from(input))).collect();
        let wanted = [None, None, None, Some(0.0), Some(1.0), Some(2.0), Some(3.0)];
        assert_eq!(out, wanted);
        lag.clear();
        assert_eq!(lag.push(9.0), None);
    }
}
