//! The case of what was deployed.

use super::RecordsBackend;
use super::records::open;
use crate::StorageError;
use crate::records::{self, Strategy, StrategyContent, StrategyVersion};
use apex_domain::deployment::{Desired, RestartPolicy};

pub(super) fn versions(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let strategy = Strategy {
        account_id: "paper".to_owned(),
        strategy_id: "ema".to_owned(),
        strategy_type: "ema-cross".to_owned(),
        version: 0,
        desired: Desired::Deployed,
        restart: RestartPolicy::Always,
        reason: String::new(),
        by: "ann".to_owned(),
        created_ns: 5,
        changed_ns: 5,
        winding: None,
    };
    let first = records::insert(&*records, &strategy).expect("it is new");
    let version = |version, fast: &str| {
        let content = StrategyContent {
            strategy_type: "ema-cross".to_owned(),
            code_version: "1.2.3".to_owned(),
            instruments: vec!["BTCUSDT.SIM".to_owned()],
            parameters: [("fast".to_owned(), fast.to_owned())].into(),
        };
        StrategyVersion {
            account_id: "paper".to_owned(),
            strategy_id: "ema".to_owned(),
            version,
            content_hash: content.hash(),
            content,
            by: "ann".to_owned(),
            created_ns: 5,
        }
    };
    let second = records::add_version(&*records, &first, &version(1, "a")).expect("the next");
    assert_eq!(second.value.version, 1);
    let stale = records::add_version(&*records, &first, &version(1, "b"));
    assert!(
        matches!(stale, Err(StorageError::Conflict { .. })),
        "{stale:?}"
    );
    let other_hash = StrategyVersion {
        content_hash: "a".repeat(64),
        ..version(2, "b")
    };
    let other_account = StrategyVersion {
        account_id: "other".to_owned(),
        ..version(2, "b")
    };
    for wrong in [version(1, "b"), version(3, "b"), other_hash, other_account] {
        let outcome = records::add_version(&*records, &second, &wrong);
        assert!(
            matches!(outcome, Err(StorageError::BadName { .. })),
            "{outcome:?}"
        );
    }
    records::add_version(&*records, &second, &version(2, "c")).expect("the next");
    let list = |account, after, limit| {
        records::versions(&*records, (account, "ema"), after, limit).expect("it can be read")
    };
    assert_eq!(list("paper", 0, 9), [version(1, "a"), version(2, "c")]);
    assert_eq!(list("paper", 1, 9), [version(2, "c")]);
    assert_eq!(list("paper", 0, 1), [version(1, "a")]);
    assert_eq!(list("pape", 0, 9), []);
    let again = records::insert(&*records, &version(1, "d"));
    assert!(
        matches!(again, Err(StorageError::Conflict { .. })),
        "{again:?}"
    );
}
