//! The time that an account decides at.

use apex_bus::clock::Clock;
use apex_domain::account::AccountInput;
use apex_domain::{AccountId, UnixNanos};
use std::time::{Duration, Instant};

/// How far an account's time may be ahead of the clock before that is an error in the log: time
/// services set clocks back by less.
const WORTH_AN_ERROR_NS: i64 = 60_000_000_000;

/// The clock, as an account may see it: it never goes back behind the account's last event, and
/// it never stands still. Where the clock is behind, because an event was written while it was
/// wrong, time goes on from that event at half speed until the clock has caught up. So everything
/// that waits (for an answer of the venue, for room under the rate of orders, to ask again) still
/// ends, in at most twice its time.
#[derive(Debug)]
pub(crate) struct AccountClock {
    /// For the log.
    account_id: AccountId,
    clock: Clock,
    begun: Instant,
    creeping: Creeping,
}

impl AccountClock {
    /// A clock for an account whose last event is of `last`.
    pub fn new(account_id: AccountId, clock: Clock, last: UnixNanos) -> AccountClock {
        AccountClock {
            account_id,
            clock,
            begun: Instant::now(),
            creeping: Creeping {
                floor: last.0,
                since: 0,
                ahead: 0,
            },
        }
    }

    /// Reads the clock, and says it when the account's time parts from it or meets it again.
    pub fn now(&mut self) -> UnixNanos {
        let now = self.clock.now();
        // A replay has no other time than its own.
        if matches!(self.clock, Clock::Replay(_)) {
            return now;
        }
        let steady = i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let was_far = self.is_far_ahead();
        let time = self.creeping.read(now.0, steady);
        if self.is_far_ahead() != was_far {
            self.tell();
        }
        UnixNanos(time)
    }

    fn tell(&self) {
        let (account_id, ahead_seconds) = (&self.account_id, self.ahead().as_secs());
        if self.is_far_ahead() {
            tracing::error!(
                %account_id,
                ahead_seconds,
                "the account's last event is later than the clock: one of the two was or is wrong; \
                 look at the time service of this machine"
            );
        } else {
            tracing::warn!(%account_id, "the clock has caught up with the account's time");
        }
    }

    /// How far the account's time was ahead of the clock when it was last read.
    pub fn ahead(&self) -> Duration {
        Duration::from_nanos(self.creeping.ahead.unsigned_abs())
    }

    /// Returns an input as it is in the account's time. What the market tells has the time of the
    /// clock: next to a time that is ahead of it every price would seem old, and every print older
    /// than the order that waits for it.
    pub fn in_its_time(&self, mut input: AccountInput) -> AccountInput {
        let ahead = self.creeping.ahead;
        if ahead == 0 {
            return input;
        }
        match &mut input {
            AccountInput::Submit { market, .. } | AccountInput::Amend { market, .. } => {
                market.ts = market.ts.plus(ahead);
            }
            AccountInput::SubmitList { markets, .. } => {
                for market in markets.values_mut() {
                    market.ts = market.ts.plus(ahead);
                }
            }
            AccountInput::Market { view, .. } => {
                (view.ts, view.last_ts) = (view.ts.plus(ahead), view.last_ts.plus(ahead));
            }
            _ => {}
        }
        input
    }

    /// Returns a time of the account in the time of the market.
    pub fn of_market(&self, now: UnixNanos) -> UnixNanos {
        now.plus(self.creeping.ahead.saturating_neg())
    }

    fn is_far_ahead(&self) -> bool {
        self.creeping.ahead > WORTH_AN_ERROR_NS
    }
}

#[derive(Debug)]
struct Creeping {
    /// The latest time at which the clock was not behind, and the steady time then.
    floor: i64,
    since: i64,
    ahead: i64,
}

impl Creeping {
    /// Takes both clocks, nanoseconds each.
    fn read(&mut self, wall: i64, steady: i64) -> i64 {
        let crept = self
            .floor
            .saturating_add(steady.saturating_sub(self.since) / 2);
        self.ahead = crept.saturating_sub(wall).max(0);
        if self.ahead > 0 {
            return crept;
        }
        (self.floor, self.since) = (wall, steady);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::InstrumentId;
    use apex_domain::risk::MarketView;

    /// Readings of the wall clock and the steady one, and the account's time then.
    fn check(floor: i64, readings: &[(i64, i64, i64)]) {
        let mut creeping = Creeping {
            floor,
            since: 0,
            ahead: 0,
        };
        for (wall, steady, time) in readings {
            assert_eq!(creeping.read(*wall, *steady), *time, "{wall} at {steady}");
            assert_eq!(creeping.ahead, time - wall);
        }
    }

    /// The time that an account is told of its market, with its own so far ahead of the clock.
    fn told(ahead: i64) -> (UnixNanos, UnixNanos) {
        let mut clock = AccountClock::new(
            AccountId::new("paper").unwrap(),
            Clock::replay(),
            UnixNanos(0),
        );
        clock.creeping.ahead = ahead;
        let view = MarketView {
            ts: UnixNanos(90),
            last_ts: UnixNanos(80),
            ..MarketView::default()
        };
        let input = clock.in_its_time(AccountInput::Market {
            instrument_id: InstrumentId::new("A.SIM").unwrap(),
            view,
        });
        let AccountInput::Market { view, .. } = input else {
            panic!("{input:?}");
        };
        let now = UnixNanos(100).plus(ahead);
        assert_eq!(clock.of_market(now), UnixNanos(100));
        assert_eq!(now.since(view.ts), 10);
        (view.last_ts, view.ts)
    }

    #[test]
    fn a_price_is_as_old_in_the_accounts_time_as_by_the_clock() {
        assert_eq!(told(0), (UnixNanos(80), UnixNanos(90)));
        assert_eq!(told(600), (UnixNanos(680), UnixNanos(690)));
    }

    #[test]
    fn a_clock_that_is_right_is_followed() {
        check(100, &[(100, 0, 100), (110, 10, 110), (500, 20, 500)]);
    }

    #[test]
    fn behind_the_last_event_time_goes_on_at_half_speed_until_the_clock_is_there() {
        let readings = [
            (40, 0, 100),
            (60, 20, 110),
            (100, 60, 130),
            (158, 118, 159),
            (160, 120, 160),
            (170, 130, 170),
        ];
        check(100, &readings);
    }

    #[test]
    fn a_clock_that_is_set_back_while_it_runs_stops_nothing() {
        let readings = [(100, 0, 100), (70, 10, 105), (90, 30, 115), (125, 65, 132)];
        check(0, &readings);
    }

    #[test]
    fn an_event_of_years_ahead_leaves_a_time_that_moves() {
        let mut creeping = Creeping {
            floor: i64::MAX - 10,
            since: 0,
            ahead: 0,
        };
        assert_eq!(creeping.read(5, 10), i64::MAX - 5);
        assert_eq!(creeping.read(5, 1_000), i64::MAX);
    }
}
