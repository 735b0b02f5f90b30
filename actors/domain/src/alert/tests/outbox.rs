//! What is sent when.

use super::*;

fn parcel(number: u64) -> Parcel {
    Parcel {
        number,
        notice: Notice::Fired,
    }
}

fn outbox(per_minute: u32) -> Outbox {
    Outbox::new(ChannelLimits {
        per_minute,
        waiting: 3,
    })
}

#[test]
fn one_message_is_under_way_at_a_time() {
    let (mut outbox, mut outcomes) = (outbox(10), Vec::new());
    for number in 1..=3 {
        assert_eq!(outbox.offer(parcel(number), at(0)), Delivery::Pending);
    }
    assert_eq!(outbox.offer(parcel(4), at(0)), Delivery::Dropped);
    assert_eq!(outbox.next(at(0), &mut outcomes), Some(Job::One(parcel(1))));
    assert_eq!(outbox.next(at(0), &mut outcomes), None);
    assert_eq!(
        outbox.done(at(0), Tried::Taken, 0),
        [(parcel(1), Delivery::Sent)]
    );
    assert_eq!(outbox.next(at(0), &mut outcomes), Some(Job::One(parcel(2))));
    assert_eq!(
        outbox.done(at(0), Tried::Refused, 0),
        [(parcel(2), Delivery::Failed)]
    );
    assert_eq!((outbox.waiting(), outcomes.len()), (1, 0));
}

#[test]
fn what_fails_is_tried_again_after_growing_pauses_and_given_up_after_a_day() {
    let (mut outbox, mut outcomes) = (outbox(1), Vec::new());
    outbox.offer(parcel(1), at(0));
    let (mut now, mut pauses) = (at(0), Vec::new());
    for attempt in 0..9 {
        assert_eq!(
            outbox.next(now, &mut outcomes),
            Some(Job::One(parcel(1))),
            "{attempt}"
        );
        assert_eq!(outbox.done(now, Tried::Failed, 500), []);
        let before = now;
        while outbox.clone().next(now, &mut outcomes).is_none() {
            now = now.plus(NANOS_PER_SECOND);
        }
        pauses.push(now.since(before) / NANOS_PER_SECOND);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let late = at(86_400);
    assert_eq!(outbox.next(late, &mut outcomes), Some(Job::One(parcel(1))));
    assert_eq!(
        outbox.done(late, Tried::Failed, 500),
        [(parcel(1), Delivery::Failed)]
    );
    assert_eq!(outcomes, []);
}

#[test]
fn jitter_is_a_fifth_each_way() {
    for (jitter, expected) in [(0, 800), (500, 1_000), (1_000, 1_200), (u16::MAX, 1_200)] {
        let mut outbox = outbox(1);
        outbox.offer(parcel(1), at(0));
        outbox.next(at(0), &mut Vec::new());
        outbox.done(at(0), Tried::Failed, jitter);
        let due = |millis: i64| {
            let now = UnixNanos(at(0).0 + millis * 1_000_000);
            outbox.clone().next(now, &mut Vec::new()).is_some()
        };
        assert!(!due(expected - 1) && due(expected), "{jitter}");
    }
}

#[test]
fn what_is_above_the_rate_is_told_in_one_summary() {
    let (mut outbox, mut outcomes) = (outbox(1), Vec::new());
    for number in 1..=3 {
        outbox.offer(parcel(number), at(0));
    }
    outbox.next(at(0), &mut outcomes);
    outbox.done(at(0), Tried::Taken, 0);
    assert_eq!(outbox.next(at(1), &mut outcomes), None);
    let held = [
        (parcel(2), Delivery::HeldBack),
        (parcel(3), Delivery::HeldBack),
    ];
    assert_eq!((outcomes.as_slice(), outbox.held()), (held.as_slice(), 2));
    assert_eq!(outbox.next(at(59), &mut outcomes), None);
    assert_eq!(outbox.next(at(60), &mut outcomes), Some(Job::Summary(2)));
    // One that comes up meanwhile is not in it.
    outbox.offer(parcel(4), at(60));
    let told = [
        (parcel(2), Delivery::Summarized),
        (parcel(3), Delivery::Summarized),
    ];
    assert_eq!(outbox.done(at(60), Tried::Taken, 0), told);
    assert_eq!((outbox.held(), outbox.waiting()), (0, 1));
}
