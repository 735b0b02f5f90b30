//! The cases of the hot port.

use super::HotBackend;
use crate::port::hot::{Hot, HotHealth, MAX_BEHIND, MAX_WAKES, Signal, Signals, Wakes};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

type Case = (&'static str, fn(&dyn Hot));

const CASES: &[Case] = &[
    ("TC-H01 what was never set is not there", empty),
    ("TC-H02 the newest value of a key wins", newest),
    ("TC-H03 a value is gone when its time is over", expires),
    (
        "TC-H04 each wake-up goes to one of those who wait, once",
        wakes_once,
    ),
    ("TC-H05 a wake-up waits for somebody who is away", waits),
    (
        "TC-H06 every listener gets every message in order",
        messages,
    ),
    ("TC-H07 one who is too far behind is told of a gap", gap),
    ("TC-H08 any bytes are a value and a message", bytes),
    (
        "TC-H09 a stream keeps a bounded number of wake-ups, the newest",
        bounded,
    ),
    (
        "TC-H10 who comes to wait goes on where those before it ended",
        resumes,
    ),
    ("TC-H11 an id that is woken twice comes twice", twice),
];

/// Longer than any answer of a server under load; no case that passes waits so long.
const SOON: Duration = Duration::from_secs(20);

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn hot_suite<B: HotBackend>(make: impl Fn() -> B) {
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let backend = make();
            let hot = backend.open().expect("it opens");
            case(&*hot);
            assert_eq!(hot.health(), HotHealth::Ready);
        }));
        assert!(outcome.is_ok(), "{name}");
    }
}

const LONG: Duration = Duration::from_secs(600);

/// Asks until the value is the expected one: setting does not wait for it to arrive.
pub(crate) fn until(hot: &dyn Hot, key: &str, expected: Option<&[u8]>) {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < SOON {
        if let Ok(values) = hot.get(&[key]) {
            if values[0].as_deref() == expected {
                return;
            }
            last = values[0].clone();
        }
    }
    panic!("{key} is {last:?}, not {expected:?}");
}

fn next(wakes: &mut dyn Wakes) -> Vec<String> {
    wakes.next(SOON)
}

fn message(signals: &mut dyn Signals) -> Signal {
    signals.next(SOON).expect("a message comes")
}

fn empty(hot: &dyn Hot) {
    let values = hot.get(&["a", "b"]).expect("it answers");
    assert_eq!(values, [None, None]);
    let mut wakes = hot.wakes("jobs").expect("it joins");
    assert_eq!(wakes.next(Duration::from_millis(1)), [""; 0]);
    let mut signals = hot.subscribe("users").expect("it listens");
    assert_eq!(signals.next(Duration::from_millis(1)), None);
}

fn newest(hot: &dyn Hot) {
    for number in 0..1_000_u32 {
        hot.set("quote", &number.to_le_bytes(), LONG);
        hot.set(&format!("other-{}", number % 10), b"x", LONG);
    }
    until(hot, "quote", Some(&999_u32.to_le_bytes()));
    let values = hot
        .get(&["other-3", "nothing", "quote"])
        .expect("it answers");
    assert_eq!(values[0].as_deref(), Some(&b"x"[..]));
    assert_eq!(values[1], None);
    assert_eq!(values[2].as_deref(), Some(&999_u32.to_le_bytes()[..]));
}

fn expires(hot: &dyn Hot) {
    hot.set("kept", b"1", LONG);
    hot.set("short", b"1", Duration::from_millis(50));
    until(hot, "kept", Some(b"1"));
    until(hot, "short", None);
}

fn wakes_once(hot: &dyn Hot) {
    let mut first = hot.wakes("jobs").expect("it joins");
    let mut second = hot.wakes("jobs").expect("it joins");
    for number in 0..20 {
        hot.wake("jobs", &format!("job-{number}"));
        hot.wake("others", "no job of ours");
    }
    let mut seen = Vec::new();
    let begun = Instant::now();
    while seen.len() < 20 && begun.elapsed() < SOON {
        seen.extend(first.next(Duration::from_millis(20)));
        seen.extend(second.next(Duration::from_millis(20)));
    }
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), unique.len()), (20, 20), "{seen:?}");
    assert!(seen.iter().all(|id| id.starts_with("job-")));
}

fn waits(hot: &dyn Hot) {
    // Somebody was there once, and the stream is known.
    drop(hot.wakes("jobs").expect("it joins"));
    hot.wake("jobs", "job-1");
    let mut wakes = hot.wakes("jobs").expect("it joins");
    assert_eq!(next(&mut *wakes), ["job-1"]);
}

fn messages(hot: &dyn Hot) {
    let mut listeners = [
        hot.subscribe("users").expect("it listens"),
        hot.subscribe("users").expect("it listens"),
    ];
    let mut other = hot.subscribe("limits").expect("it listens");
    for number in 0..100_u8 {
        hot.publish("users", &[number]);
    }
    hot.publish("limits", b"x");
    for listener in &mut listeners {
        for number in 0..100_u8 {
            assert_eq!(message(&mut **listener), Signal::Message(vec![number]));
        }
    }
    assert_eq!(message(&mut *other), Signal::Message(b"x".to_vec()));
}

fn gap(hot: &dyn Hot) {
    let mut slow = hot.subscribe("users").expect("it listens");
    let mut quick = hot.subscribe("users").expect("it listens");
    // In step with a listener who keeps up, so that all of it has passed the slow one.
    for number in 0..3 * MAX_BEHIND {
        hot.publish("users", &number.to_le_bytes());
        assert_eq!(
            message(&mut *quick),
            Signal::Message(number.to_le_bytes().to_vec())
        );
    }
    let mut gaps = 0;
    let mut last = None;
    while last != Some(b"end".to_vec()) {
        // The next message is where a gap before it is told.
        hot.publish("users", b"end");
        while let Some(signal) = slow.next(Duration::from_millis(50)) {
            match signal {
                Signal::Gap => gaps += 1,
                Signal::Message(bytes) => last = Some(bytes),
            }
        }
    }
    assert!(gaps >= 1);
}

fn bytes(hot: &dyn Hot) {
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    hot.set("all", &all, LONG);
    until(hot, "all", Some(&all));
    let mut signals = hot.subscribe("users").expect("it listens");
    hot.publish("users", &all);
    hot.publish("users", b"");
    assert_eq!(message(&mut *signals), Signal::Message(all));
    assert_eq!(message(&mut *signals), Signal::Message(Vec::new()));
}

/// Entries beyond the bound that a stream may hold: Redis cuts whole nodes of a hundred.
const SLACK: usize = 100;

/// Waits until everything before it has been sent.
fn fence(hot: &dyn Hot, wakes: &mut dyn Wakes, number: usize) {
    hot.wake("fence", &number.to_string());
    assert_eq!(next(wakes), [number.to_string()]);
}

fn bounded(hot: &dyn Hot) {
    let mut fences = hot.wakes("fence").expect("it joins");
    let total = MAX_WAKES + 10 * SLACK;
    for number in 0..total {
        hot.wake("jobs", &number.to_string());
        if number % 1_000 == 999 {
            fence(hot, &mut *fences, number);
        }
    }
    fence(hot, &mut *fences, total);
    let mut wakes = hot.wakes("jobs").expect("it joins");
    let kept = until_the_last(&mut *wakes, total - 1);
    assert!(kept.len() >= MAX_WAKES, "{}", kept.len());
    assert!(kept.len() <= MAX_WAKES + SLACK, "{}", kept.len());
    let newest: Vec<usize> = (total - kept.len()..total).collect();
    assert_eq!(kept, newest, "in order, and the oldest are gone");
}

/// Takes what waits up to a number.
fn until_the_last(wakes: &mut dyn Wakes, last: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    let begun = Instant::now();
    while taken.last() != Some(&last) {
        assert!(begun.elapsed() < SOON, "{last} does not come");
        let ids = wakes.next(Duration::from_millis(50));
        taken.extend(ids.iter().map(|id| id.parse::<usize>().expect("a number")));
    }
    taken
}

fn resumes(hot: &dyn Hot) {
    let mut seen = Vec::new();
    for round in 0..5_usize {
        for number in 0..200 {
            hot.wake("jobs", &(200 * round + number).to_string());
        }
        let mut wakes = hot.wakes("jobs").expect("it joins");
        // It leaves in the middle of what there is, and the next one comes.
        let wanted = 200 * round + 100;
        while seen.len() < wanted {
            let ids = next(&mut *wakes);
            seen.extend(ids.iter().map(|id| id.parse::<usize>().expect("a number")));
        }
    }
    let mut wakes = hot.wakes("jobs").expect("it joins");
    if seen.len() < 1_000 {
        seen.extend(until_the_last(&mut *wakes, 999));
    }
    assert_eq!(
        seen,
        (0..1_000).collect::<Vec<_>>(),
        "none lost, none twice"
    );
}

fn twice(hot: &dyn Hot) {
    let mut wakes = hot.wakes("jobs").expect("it joins");
    for id in ["job-1", "job-1", "job-2", "job-1"] {
        hot.wake("jobs", id);
    }
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.extend(next(&mut *wakes));
    }
    assert_eq!(seen, ["job-1", "job-1", "job-2", "job-1"]);
}
