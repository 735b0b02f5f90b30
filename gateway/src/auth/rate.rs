//! How fast one key may call: over all methods, and each method that says so in its policy.

use apex_proto::MethodPolicy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Buckets at a time: of each key one for all methods, and one for each method with a bound that it
/// calls. More are only possible with that many users; the full ones are then forgotten, which gives
/// nobody more than a full bucket.
const BUCKETS: usize = 16_384;

/// A bucket that fills with so many calls a second, up to one second's worth.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    calls: f64,
    per_second: f64,
    at: Instant,
}

/// A key, and the path of the method; empty for all methods.
type Name = (Arc<str>, &'static str);

/// Counts calls by key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rate {
    per_second: u32,
    // Only looked up, never iterated where the order could be seen.
    buckets: Arc<Mutex<HashMap<Name, Bucket>>>,
}

impl Rate {
    /// `per_second` is over all methods.
    pub fn new(per_second: u32) -> Rate {
        Rate {
            per_second: per_second.max(1),
            buckets: Arc::default(),
        }
    }

    /// Counts a call at `now`, of a method with a bound of its own or of another. A call that is too
    /// early counts nowhere.
    ///
    /// Errors: the time after which the next call is in order; this one is too early.
    pub fn take(
        &self,
        key_id: &str,
        method: Option<&MethodPolicy>,
        now: Instant,
    ) -> Result<(), Duration> {
        let key: Arc<str> = key_id.into();
        // A panic cannot leave a bucket half changed: each change is one assignment.
        let mut buckets = self
            .buckets
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let all = ((key.clone(), ""), self.per_second);
        let own = method.map(|method| ((key, method.path), method.calls_per_second.max(1)));
        let mut filled = Vec::with_capacity(2);
        for (name, per_second) in own.into_iter().chain([all]) {
            let full = f64::from(per_second);
            let bucket = buckets.get(&name);
            let calls = bucket.map_or(full, |bucket| bucket.calls_at(now));
            if calls < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - calls) / full));
            }
            let bucket = Bucket {
                calls: calls - 1.0,
                per_second: full,
                at: now,
            };
            filled.push((name, bucket));
        }
        if buckets.len() + filled.len() > BUCKETS {
            buckets.retain(|_, bucket| bucket.calls_at(now) < bucket.per_second);
        }
        buckets.extend(filled);
        Ok(())
    }
}

impl Bucket {
    fn calls_at(self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.calls + elapsed * self.per_second).min(self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_proto::v1;

    const SLOW: MethodPolicy = MethodPolicy {
        path: "/a.B/C",
        access: v1::Access::Read,
        recording: v1::Recording::Unspecified,
        calls_per_second: 2,
        message_bytes: 1,
        takes_stream: false,
    };

    #[test]
    fn a_key_has_its_calls_of_a_second_and_no_more() {
        let rate = Rate::new(10);
        let begin = Instant::now();
        for _ in 0..10 {
            assert_eq!(rate.take("a", None, begin), Ok(()));
        }
        let wait = rate.take("a", None, begin).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(
            rate.take("b", None, begin),
            Ok(()),
            "another key has its own"
        );
        assert_eq!(rate.take("a", None, begin + wait), Ok(()));
        assert!(rate.take("a", None, begin + wait).is_err());
        let later = begin + Duration::from_secs(60);
        let taken = (0..20).filter(|_| rate.take("a", None, later).is_ok());
        assert_eq!(taken.count(), 10);
    }

    #[test]
    fn a_method_has_a_bound_of_its_own_and_counts_for_all() {
        let rate = Rate::new(5);
        let begin = Instant::now();
        for _ in 0..2 {
            assert_eq!(rate.take("a", Some(&SLOW), begin), Ok(()));
        }
        // What is refused is not counted for the others.
        for _ in 0..9 {
            let wait = rate.take("a", Some(&SLOW), begin).unwrap_err();
            assert!(wait <= Duration::from_millis(500), "{wait:?}");
        }
        assert_eq!(rate.take("b", Some(&SLOW), begin), Ok(()));
        let taken = (0..9).filter(|_| rate.take("a", None, begin).is_ok());
        assert_eq!(taken.count(), 3);
        let later = begin + Duration::from_millis(500);
        assert_eq!(rate.take("a", Some(&SLOW), later), Ok(()));
    }

    #[test]
    fn keys_that_rest_are_forgotten() {
        let rate = Rate::new(10);
        let begin = Instant::now();
        for number in 0..BUCKETS {
            rate.take(&number.to_string(), None, begin).unwrap();
        }
        let later = begin + Duration::from_secs(1);
        rate.take("new", None, later).unwrap();
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
