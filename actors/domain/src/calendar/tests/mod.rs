mod data;
mod dst;
mod facts;
mod properties;
mod years;

use super::{Calendar, Date, parse_instant};
use crate::time::UnixNanos;
use std::sync::LazyLock;

// Building one takes a while in an unoptimised test, so each is built once for all cases.
static XNYS: LazyLock<Calendar> = LazyLock::new(|| Calendar::builtin("XNYS").unwrap());
static XLON: LazyLock<Calendar> = LazyLock::new(|| Calendar::builtin("XLON").unwrap());
static FX: LazyLock<Calendar> = LazyLock::new(|| Calendar::builtin("FX").unwrap());
static CRYPTO: LazyLock<Calendar> = LazyLock::new(|| Calendar::builtin("CRYPTO").unwrap());

fn all() -> [&'static Calendar; 4] {
    [&XNYS, &XLON, &FX, &CRYPTO]
}

fn at(text: &str) -> UnixNanos {
    parse_instant(text).unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}
