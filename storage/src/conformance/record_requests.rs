//! The cases of answers that are given again.

use super::RecordsBackend;
use super::record_changes::in_threads;
use super::records::{Case, open};
use crate::StorageError;
use crate::port::records::{Change, Records};
use crate::records;
use crate::records::requests::{self, ANSWER_KEPT_NS, Asked, Known};

pub(super) const CASES: &[Case] = &[
    (
        "TC-R31 a request that was answered is answered the same for seven days",
        answered_again,
    ),
    (
        "TC-R32 of callers with one request one carries it out",
        carried_out_once,
    ),
];

fn asked<'a>(user_id: &'a str, method: &'a str, content: &'a [u8]) -> Asked<'a> {
    Asked {
        user_id,
        request_id: "r:1",
        method,
        content,
    }
}

/// Carries a request out: its effect is one key more.
fn carry_out(records: &dyn Records, asked: &Asked<'_>, now_ns: i64) -> Result<Known, StorageError> {
    let known = requests::look(records, asked, now_ns)?;
    let Known::New(slot) = known else {
        return Ok(known);
    };
    let effect = Change::insert(
        "others",
        &format!("{}-{now_ns}", asked.user_id),
        b"x".to_vec(),
    );
    records.change(&[effect, slot.answered(asked.content, now_ns)?])?;
    requests::look(records, asked, now_ns)
}

fn answered_again(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let effects = || records.list("others").expect("it can be read").len();
    let told = |asked: &Asked<'_>, now| carry_out(&*records, asked, now).expect("it is in order");
    let first = asked("ann", "Service/Make", b"one");
    for now in [0, 1, ANSWER_KEPT_NS - 1] {
        let known = told(&first, now);
        assert!(
            matches!(&known, Known::Answered(answer) if answer == b"one"),
            "{known:?}"
        );
    }
    assert_eq!(effects(), 1);
    for other in [
        asked("ann", "Service/Make", b"two"),
        asked("ann", "Service/Take", b"one"),
    ] {
        assert!(matches!(told(&other, 1), Known::Other), "{other:?}");
    }
    told(&asked("bob", "Service/Make", b"two"), 1);
    assert_eq!(effects(), 2, "another user's id is another's");

    told(&asked("ann", "Service/Take", b"two"), ANSWER_KEPT_NS);
    assert_eq!(effects(), 3, "the id is free again");
    let removed = records::prune_answers(&*records, ANSWER_KEPT_NS + 1).expect("it works");
    assert_eq!(removed, 1, "bob's alone is over");
    assert!(matches!(
        told(&asked("ann", "Service/Take", b"two"), ANSWER_KEPT_NS + 1),
        Known::Answered(_)
    ));
    let bad = Asked {
        request_id: "a/b",
        ..first
    };
    let refused = requests::look(&*records, &bad, 0);
    assert!(matches!(refused, Err(StorageError::BadName { .. })));
}

fn carried_out_once(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let outcomes = in_threads(&*records, |records, number| {
        // Each has an effect of its own, so that only the request's own key can keep them apart.
        let asked = asked("ann", "Service/Make", b"one");
        carry_out(records, &asked, number as i64 + 1)
    });
    let done = outcomes.iter().filter(|outcome| {
        !matches!(
            outcome,
            Err(StorageError::Conflict { .. }) | Ok(Known::Answered(_))
        )
    });
    assert_eq!(done.count(), 0, "{outcomes:?}");
    assert_eq!(records.list("others").expect("it can be read").len(), 1);
}
