//! Roll-ups, and days that are made and forgotten, beside the writing.

use super::RecorderWatch;
use apex_bus::clock::Clock;
use apex_persistence::recorder::Upkeep;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How often roll-ups are brought up to date.
const ROLL_UP: Duration = Duration::from_secs(10);

/// What to do about upkeep that has ended.
const ENDED: &str = "roll-ups of market data have ended: restart the process to go on";

/// The rest behind a roll-up, as a multiple of the time that it took: in a busy minute, whose trades
/// are gone through each time, it takes a tenth of the server's time at most.
const REST: u32 = 9;

pub(super) struct Upkeeping {
    pub upkeep: Upkeep,
    pub clock: Clock,
    pub watch: RecorderWatch,
    pub stopped: watch::Receiver<bool>,
}

impl Upkeeping {
    pub async fn run(self) {
        let Upkeeping {
            mut upkeep,
            clock,
            watch,
            mut stopped,
        } = self;
        let mut due = Instant::now();
        loop {
            tokio::select! {
                biased;
                // A recorder that is gone has stopped, too.
                _ = stopped.changed() => return,
                () = sleep_until(due) => {}
            }
            let (now, begun) = (clock.now(), Instant::now());
            let work = move || {
                let done = upkeep.run(now);
                (upkeep, done)
            };
            let Ok((back, done)) = tokio::task::spawn_blocking(work).await else {
                tracing::error!("{ENDED}");
                watch.change(|state| state.upkeep_failing = Some(ENDED.to_owned()));
                return;
            };
            upkeep = back;
            watch.tell_upkeep(done.as_ref().err());
            due = Instant::now() + rest(begun.elapsed());
        }
    }
}

/// How long to rest behind what took so long.
fn rest(took: Duration) -> Duration {
    took.saturating_mul(REST).max(ROLL_UP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_roll_up_is_followed_by_a_long_rest() {
        assert_eq!(rest(Duration::from_millis(5)), ROLL_UP);
        assert_eq!(rest(Duration::from_secs(3)), Duration::from_secs(27));
    }
}
