//! The built-in calendars, each made once: its table has some ten thousand sessions.

use super::{Calendar, NAMES};
use std::sync::LazyLock;

static CALENDARS: [LazyLock<Option<Calendar>>; 4] = [
    LazyLock::new(|| Calendar::builtin(NAMES[0]).ok()),
    LazyLock::new(|| Calendar::builtin(NAMES[1]).ok()),
    LazyLock::new(|| Calendar::builtin(NAMES[2]).ok()),
    LazyLock::new(|| Calendar::builtin(NAMES[3]).ok()),
];

impl Calendar {
    /// Returns the built-in calendar of this name, as everybody shares it; `None` where there is
    /// none of this name. The first call for a name makes it.
    pub fn shared(name: &str) -> Option<&'static Calendar> {
        let at = NAMES.iter().position(|known| *known == name)?;
        CALENDARS[at].as_ref()
    }
}
