//! How fast one key may call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Keys that are counted at a time. More are only possible with that many users; the full ones
/// are then forgotten, which gives nobody more than a full bucket.
const KEYS: usize = 4_096;

/// A bucket that fills with `per_second` calls a second, up to one second's worth.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    calls: f64,
    at: Instant,
}

/// Counts calls by key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rate {
    per_second: u32,
    // Only looked up, never iterated where the order could be seen.
    buckets: Arc<Mutex<HashMap<String, Bucket>>>,
}

impl Rate {
    pub fn new(per_second: u32) -> Rate {
        Rate {
            per_second: per_second.max(1),
            buckets: Arc::default(),
        }
    }

    /// Counts a call at `now`.
    ///
    /// Errors: the time after which the next call is in order; this one is too early.
    pub fn take(&self, key_id: &str, now: Instant) -> Result<(), Duration> {
        let full = f64::from(self.per_second);
        // A panic cannot leave a bucket half changed: each change is one assignment.
        let mut buckets = self
            .buckets
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if !buckets.contains_key(key_id) {
            if buckets.len() >= KEYS {
                buckets.retain(|_, bucket| bucket.calls_at(now, full) < full);
            }
            buckets.insert(
                key_id.to_owned(),
                Bucket {
                    calls: full,
                    at: now,
                },
            );
        }
        let Some(bucket) = buckets.get_mut(key_id) else {
            return Ok(());
        };
        let calls = bucket.calls_at(now, full);
        if calls < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - calls) / full));
        }
        *bucket = Bucket {
            calls: calls - 1.0,
            at: now,
        };
        Ok(())
    }
}

impl Bucket {
    fn calls_at(self, now: Instant, per_second: f64) -> f64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.calls + elapsed * per_second).min(per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_calls_of_a_second_and_no_more() {
        let rate = Rate::new(10);
        let begin = Instant::now();
        for _ in 0..10 {
            assert_eq!(rate.take("a", begin), Ok(()));
        }
        let wait = rate.take("a", begin).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(rate.take("b", begin), Ok(()), "another key has its own");
        assert_eq!(rate.take("a", begin + wait), Ok(()));
        assert!(rate.take("a", begin + wait).is_err());
        let later = begin + Duration::from_secs(60);
        assert_eq!(
            (0..20).filter(|_| rate.take("a", later).is_ok()).count(),
            10
        );
    }

    #[test]
    fn keys_that_rest_are_forgotten() {
        let rate = Rate::new(10);
        let begin = Instant::now();
        for number in 0..KEYS {
            rate.take(&number.to_string(), begin).unwrap();
        }
        let later = begin + Duration::from_secs(1);
        rate.take("new", later).unwrap();
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
