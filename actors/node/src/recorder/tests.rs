//! What a recorder says of itself.

use super::*;

fn away() -> StorageError {
    StorageError::Unavailable {
        server: "PostgreSQL at db:5432/apex".to_owned(),
        detail: "connection refused".to_owned(),
        variable: "APEX_TIMESCALE_URL",
    }
}

fn one(watch: &RecorderWatch) -> Dependency {
    let mut all = watch.dependencies();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_recorder_that_cannot_write_degrades_a_node_and_says_what_to_do() {
    let watch = RecorderWatch::default();
    let well = one(&watch);
    assert_eq!((well.ok, well.degraded), (true, false));
    let figures = RecorderFigures {
        held: 77,
        ..RecorderFigures::default()
    };
    let full = StorageError::Full {
        what: "time series".to_owned(),
    };
    for (error, what_to_do) in [
        (away(), "(set by APEX_TIMESCALE_URL): start that server"),
        (full, "free space there"),
    ] {
        watch.tell(figures, Some(&error));
        let failing = one(&watch);
        assert_eq!(failing.name, "recorder");
        // An order is answered without it.
        assert_eq!((failing.ok, failing.degraded), (true, true));
        let detail = failing.detail;
        assert!(detail.contains("not recorded, 77 rows wait"), "{detail}");
        assert!(detail.contains(what_to_do), "{detail}");
    }
    watch.tell(RecorderFigures::default(), None);
    assert_eq!(one(&watch), well);
}
