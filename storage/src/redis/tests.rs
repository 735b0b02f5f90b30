//! What can happen to the server.

use super::*;
use crate::conformance::{HotBackend, hot_suite, until};
use crate::port::hot::Signal;
use crate::testkit::{Redis, here};

const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(30);

struct OnServer(Redis);

impl HotBackend for OnServer {
    fn open(&self) -> Result<Box<dyn Hot>, StorageError> {
        Ok(Box::new(RedisHot::connect(&self.0.url())?))
    }
}

fn degrades(hot: &RedisHot, with: &str) {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        hot.set("probe", b"x", LONG);
        if let HotHealth::Degraded(reason) = hot.health()
            && reason.contains(with)
        {
            return;
        }
    }
    panic!("{:?}, not degraded by {with}", hot.health());
}

fn recovers(hot: &RedisHot) {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        hot.set("probe", b"x", LONG);
        if hot.health() == HotHealth::Ready {
            return;
        }
    }
    panic!("{:?}", hot.health());
}

#[test]
fn redis_keeps_the_promises() {
    if here(Redis::start()).is_none() {
        return;
    }
    hot_suite(|| OnServer(Redis::start().expect("Redis starts")));
}

#[test]
fn a_server_that_is_killed_comes_back_by_itself_with_the_newest_values() {
    let Some(mut redis) = here(Redis::start()) else {
        return;
    };
    let hot = RedisHot::connect(&redis.url()).expect("it connects");
    let mut wakes = hot.wakes("jobs").expect("it joins");
    let mut signals = hot.subscribe("users").expect("it listens");
    hot.set("quote", b"1", LONG);
    until(&hot, "quote", Some(b"1"));
    redis.kill().expect("it is killed");
    degrades(&hot, "");
    hot.set("quote", b"2", LONG);
    redis.restart().expect("it starts again");
    until(&hot, "quote", Some(b"2"));
    recovers(&hot);
    assert_eq!(
        signals.next(SOON),
        Some(Signal::Gap),
        "what was said meanwhile is lost"
    );
    let begun = Instant::now();
    let mut woken = Vec::new();
    // The group went with the server; the first wait finds that out.
    while woken.is_empty() && begun.elapsed() < SOON {
        hot.wake("jobs", "job-1");
        woken = wakes.next(Duration::from_millis(100));
    }
    assert_eq!(woken.first().map(String::as_str), Some("job-1"));
    let heard = loop {
        hot.publish("users", b"ann");
        match signals.next(Duration::from_millis(100)) {
            Some(Signal::Message(message)) => break message,
            _ => assert!(begun.elapsed() < SOON, "it listens again"),
        }
    };
    assert_eq!(heard, b"ann");
}

#[test]
fn a_wiped_server_loses_nothing_that_is_set_again() {
    let Some(redis) = here(Redis::start()) else {
        return;
    };
    let hot = RedisHot::connect(&redis.url()).expect("it connects");
    hot.set("quote", b"1", LONG);
    until(&hot, "quote", Some(b"1"));
    let mut wakes = hot.wakes("jobs").expect("it joins");
    assert_eq!(redis.ask("FLUSHALL").expect("it answers"), "+OK");
    until(&hot, "quote", None);
    hot.set("quote", b"2", LONG);
    until(&hot, "quote", Some(b"2"));
    let begun = Instant::now();
    let mut woken = Vec::new();
    while woken.is_empty() && begun.elapsed() < SOON {
        hot.wake("jobs", "job-1");
        woken = wakes.next(Duration::from_millis(100));
    }
    assert!(!woken.is_empty());
    assert_eq!(hot.health(), HotHealth::Ready);
}

#[test]
fn a_full_or_read_only_server_is_seen_and_disturbs_nobody() {
    let Some(redis) = here(Redis::start()) else {
        return;
    };
    let hot = RedisHot::connect(&redis.url()).expect("it connects");
    for (spoil, mend, reason) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
    ] {
        assert_eq!(redis.ask(spoil).expect("it answers"), "+OK");
        degrades(&hot, reason);
        let begun = Instant::now();
        hot.set("quote", b"1", LONG);
        hot.wake("jobs", "job-1");
        hot.publish("users", b"ann");
        assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits");
        assert_eq!(redis.ask(mend).expect("it answers"), "+OK");
        recovers(&hot);
        until(&hot, "quote", Some(b"1"));
    }
}

#[test]
fn a_server_that_freezes_holds_nobody_up() {
    let Some(redis) = here(Redis::start()) else {
        return;
    };
    let hot = RedisHot::connect(&redis.url()).expect("it connects");
    redis.freeze().expect("it stops");
    let begun = Instant::now();
    for number in 0..100_000_u32 {
        hot.set(
            &format!("key-{}", number % 1_000),
            &number.to_le_bytes(),
            LONG,
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "nobody waits: {:?}",
        begun.elapsed()
    );
    let error = hot.get(&["key-1"]).expect_err("nobody answers");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    degrades(&hot, "");
    redis.thaw().expect("it goes on");
    until(&hot, "key-999", Some(&99_999_u32.to_le_bytes()));
    recovers(&hot);
}

#[test]
fn settings_that_cannot_work_name_their_variable_and_no_secret() {
    let Some(redis) = here(Redis::start()) else {
        return;
    };
    let wrong = redis.url().replace("a-secret", "wrong-secret");
    for (url, expected) in [
        ("nowhere", "is no Redis URL"),
        ("redis://:a-secret@127.0.0.1:1/0", "refused"),
        (wrong.as_str(), "WRONGPASS"),
    ] {
        let error = RedisHot::connect(url).expect_err(expected).to_string();
        assert!(error.contains("APEX_REDIS_URL"), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_server_that_says_nothing_at_the_start_is_an_error_in_time() {
    let Some(redis) = here(Redis::start()) else {
        return;
    };
    redis.freeze().expect("it stops");
    let begun = Instant::now();
    for error in [
        RedisHot::connect(&redis.url()).expect_err("nobody answers"),
        inspect(&redis.url()).expect_err("nobody answers"),
    ] {
        let error = error.to_string();
        assert!(error.contains("APEX_REDIS_URL"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    redis.thaw().expect("it goes on");
}
