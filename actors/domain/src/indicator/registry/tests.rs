use super::*;
use crate::indicator::BarInput;
use crate::time::UnixNanos;

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// Bars of a walk by a fixed generator, one a minute.
struct Walk {
    state: u64,
    price: f64,
    minute: i64,
}

impl Walk {
    fn new() -> Walk {
        Walk {
            state: 1,
            price: 100.0,
            minute: 0,
        }
    }

    fn unit(&mut self) -> f64 {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Iterator for Walk {
    type Item = BarInput;

    fn next(&mut self) -> Option<BarInput> {
        let last = self.price;
        // Pulled back to 100, so that a long walk neither leaves nor turns negative.
        self.price += (self.unit() - 0.5) * 2.0 + (100.0 - self.price) * 0.01;
        self.minute += 1;
        Some(BarInput {
            ts: UnixNanos(self.minute * NANOS_PER_MINUTE),
            high: self.price.max(last) + self.unit(),
            low: self.price.min(last) - self.unit(),
            close: self.price,
            volume: self.unit() * 1e4,
        })
    }
}

fn build(name: &str, pairs: &[(&str, &str)]) -> Result<Box<dyn Indicator>, IndicatorError> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    find(name)?.build(&pairs)
}

fn same(left: f64, right: f64, tolerance: f64) -> bool {
    (left - right).abs() <= tolerance * right.abs().max(1.0)
}

#[test]
fn the_names_are_in_order_and_defaults_within_bounds() {
    assert!(INDICATORS.is_sorted_by(|one, next| one.name < next.name));
    for indicator in INDICATORS {
        for parameter in indicator.parameters {
            let range = parameter.min..=parameter.max;
            assert!(range.contains(&parameter.default), "{}", parameter.name);
        }
    }
}

#[test]
fn each_begins_exactly_after_its_warm_up_with_all_its_outputs() {
    for indicator in INDICATORS {
        let mut object = indicator.build(&[]).unwrap();
        assert_eq!(object.inputs(), indicator.inputs, "{}", indicator.name);
        for (place, bar) in Walk::new().take(object.warm_up() + 50).enumerate() {
            let out = object.update(&bar).unwrap();
            let count = out.as_deref().map_or(0, <[f64]>::len);
            let is_ready = place + 1 >= object.warm_up();
            let wanted = if is_ready { indicator.outputs.len() } else { 0 };
            assert_eq!(count, wanted, "{} at {place}", indicator.name);
        }
    }
}

#[test]
fn a_refused_bar_changes_nothing_and_a_reset_forgets_everything() {
    for indicator in INDICATORS {
        let mut plain = indicator.build(&[]).unwrap();
        let mut disturbed = indicator.build(&[]).unwrap();
        for bar in Walk::new().skip(7).take(90) {
            disturbed.update(&bar).unwrap();
        }
        disturbed.reset();
        for bar in Walk::new().take(200) {
            let close = f64::NAN;
            let error = disturbed.update(&BarInput { close, ..bar }).unwrap_err();
            assert!(error.to_string().contains("\"close\" is NaN"), "{error}");
            let wanted = plain.update(&bar).unwrap();
            assert_eq!(
                disturbed.update(&bar).unwrap(),
                wanted,
                "{}",
                indicator.name
            );
        }
    }
}

#[test]
fn outputs_are_finite_on_the_most_extreme_bars() {
    let extremes = [1e100, -1e100, 0.0, 5e-324, 1.0, 1e-300, 1e100, 1e100];
    for indicator in INDICATORS {
        let mut object = indicator.build(&[]).unwrap();
        for place in 0..500_usize {
            let price = extremes[place * 5 % 8];
            let bar = BarInput {
                high: extremes[place * 3 % 8],
                low: extremes[place * 7 % 8],
                volume: extremes[place % 8].abs(),
                ..BarInput::at_price(UnixNanos(place as i64), price)
            };
            if let Some(out) = object.update(&bar).unwrap() {
                let is_finite = out.iter().all(|value| value.is_finite());
                assert!(is_finite, "{} at {place}: {out:?}", indicator.name);
            }
        }
    }
}

#[test]
fn each_refusal_of_parameters_names_the_field() {
    let text = |name, pairs: &[(&str, &str)]| build(name, pairs).unwrap_err().to_string();
    assert!(text("smaa", &[]).starts_with("unknown indicator \"smaa\", there are: adx, "));
    assert_eq!(
        text("sma", &[("length", "3")]),
        "unknown parameter \"length\" of sma, there are: period"
    );
    assert_eq!(
        text("obv", &[("period", "3")]),
        "obv takes no parameter, but was given \"period\""
    );
    assert_eq!(
        text("sma", &[("period", "3"), ("period", "3")]),
        "parameter \"period\" is given twice"
    );
    for value in ["", "x", "2.5", "NaN", "inf", "1e3"] {
        let wanted = format!("parameter \"period\" is \"{value}\", expected a whole number");
        assert_eq!(text("rsi", &[("period", value)]), wanted);
    }
    for (value, wanted) in [("0", "smallest is 1"), ("100001", "largest is 100000")] {
        let error = text("rsi", &[("period", value)]);
        assert_eq!(
            error,
            format!("parameter \"period\" is {value}, the {wanted}")
        );
    }
    let error = text("macd", &[("fast", "26")]);
    assert!(
        error.contains("\"fast\" is 26, it must be below \"slow\""),
        "{error}"
    );
}

/// Those without memory beyond their warm-up: one that begins anew on the last bars has to agree
/// with one that ran over all.
const WINDOWED: [&str; 17] = [
    "aroon",
    "bollinger",
    "cci",
    "donchian",
    "hma",
    "linear_regression_slope",
    "mfi",
    "momentum",
    "roc",
    "sma",
    "standard_deviation",
    "stochastic_fast",
    "stochastic_slow",
    "true_range",
    "vwma",
    "williams_r",
    "wma",
];

#[test]
fn a_million_bars_do_not_let_any_window_drift() {
    // Relative above one, absolute below.
    const TOLERANCE: f64 = 1e-11;
    for name in WINDOWED {
        let mut streaming = build(name, &[]).unwrap();
        let mut tail: Vec<BarInput> = Vec::new();
        for (place, bar) in Walk::new().take(1_000_000).enumerate() {
            let out = streaming.update(&bar).unwrap();
            // The last bars before each point, five points in all.
            if place % 200_000 < 200_000 - streaming.warm_up() {
                continue;
            }
            tail.push(bar);
            if place % 200_000 < 200_000 - 1 {
                continue;
            }
            let mut fresh = build(name, &[]).unwrap();
            let mut wanted = None;
            for bar in tail.drain(..) {
                wanted = fresh.update(&bar).unwrap();
            }
            for (value, wanted) in out.unwrap().iter().zip(wanted.unwrap().iter()) {
                assert!(same(*value, *wanted, TOLERANCE), "{name}: {value} {wanted}");
            }
        }
    }
}

#[test]
fn after_a_million_closes_sums_agree_with_the_formula_worked_out_directly() {
    const PERIOD: usize = 20;
    const TOLERANCE: f64 = 1e-11;
    let names = [
        "sma",
        "wma",
        "standard_deviation",
        "linear_regression_slope",
    ];
    let period = PERIOD.to_string();
    let mut objects = names.map(|name| build(name, &[("period", &period)]).unwrap());
    let closes: Vec<BarInput> = Walk::new().take(1_000_000).collect();
    for (place, bar) in closes.iter().enumerate() {
        let out = objects.each_mut().map(|object| object.update(bar).unwrap());
        if place % 99_999 != 0 || place == 0 {
            continue;
        }
        let last: Vec<f64> = closes[place + 1 - PERIOD..=place]
            .iter()
            .map(|bar| bar.close)
            .collect();
        let wanted = directly(&last);
        for ((name, out), wanted) in names.iter().zip(out).zip(wanted) {
            let value = out.unwrap()[0];
            assert!(same(value, wanted, TOLERANCE), "{name}: {value} {wanted}");
        }
    }
}

/// Mean, weighted mean, deviation and slope by their definitions.
fn directly(inputs: &[f64]) -> [f64; 4] {
    let count = inputs.len() as f64;
    let mean = inputs.iter().sum::<f64>() / count;
    let (mut weighted, mut squares, mut products, mut places) = (0.0, 0.0, 0.0, 0.0);
    for (place, input) in inputs.iter().enumerate() {
        let weight = place as f64 + 1.0;
        let from_middle = weight - (count + 1.0) / 2.0;
        weighted += weight * input;
        squares += (input - mean) * (input - mean);
        products += from_middle * (input - mean);
        places += from_middle * from_middle;
    }
    [
        mean,
        weighted / (count * (count + 1.0) / 2.0),
        (squares / count).sqrt(),
        products / places,
    ]
}
