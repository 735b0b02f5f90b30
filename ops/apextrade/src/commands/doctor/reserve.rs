//! What was acknowledged while the database was away, and is not in it yet: here or elsewhere.

use super::Check;
use apex_node::NodeError;
use apex_node::stores::{self, DATABASE_URL, OtherReserves, ServerSettings};
use apex_storage::StorageError;
use std::path::Path;

const NAME: &str = "reserve";

const HERE: &str = "start the database server, and `apextrade up` where it does not run: nothing else is to \
                    be done";

const ELSEWHERE: &str = "a start here is refused: start there, which brings it to the database, or put back \
                         what was moved away; if it is lost, and its process has ended, `apextrade up \
                         --take-over-without-reserve` starts here with these accounts halted";

const UNNOTED: &str = "look at `apextrade doctor` on that folder before these accounts trade here";

pub(super) fn check(data_dir: &Path, servers: &ServerSettings) -> Check {
    match stores::waiting(data_dir) {
        Ok(here) => told(here, stores::other_reserves(data_dir, servers)),
        Err(error) => Check::failed(NAME, &error),
    }
}

fn told(here: Option<String>, others: Result<OtherReserves, NodeError>) -> Check {
    let mut check = Check::good(NAME, String::new());
    let (mut details, mut fixes) = (Vec::new(), Vec::new());
    if let Some(waiting) = here {
        let detail = format!("{waiting} are in the data folder alone and wait for the database");
        details.push(detail);
        fixes.push(HERE.to_owned());
        check.ok = false;
    }
    match others {
        Ok(others) => {
            if let Some(elsewhere) = others.elsewhere {
                details.push(elsewhere);
                fixes.push(ELSEWHERE.to_owned());
                check.ok = false;
            }
            if let Some(unnoted) = others.unnoted {
                details.push(unnoted);
                fixes.push(UNNOTED.to_owned());
            }
        }
        // It has a line of its own.
        Err(error) if is_of_database(&error) => {
            details.push("other folders are not known: see database".to_owned());
        }
        Err(error) => {
            let failed = Check::failed(NAME, &error);
            details.push(failed.detail);
            fixes.push(failed.fix);
            check.ok = false;
        }
    }
    if details.is_empty() {
        details.push("nothing waits for a database".to_owned());
    }
    (check.detail, check.fix) = (details.join("; "), fixes.join("; "));
    check
}

fn is_of_database(error: &NodeError) -> bool {
    let NodeError::Storage(source) = error else {
        return false;
    };
    match source {
        StorageError::Unavailable { variable, .. } | StorageError::Setting { variable, .. } => {
            *variable == DATABASE_URL
        }
        StorageError::NewerVersion { .. } | StorageError::UnfinishedDatabase { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(elsewhere: Option<&str>, unnoted: Option<&str>) -> Result<OtherReserves, NodeError> {
        Ok(OtherReserves {
            elsewhere: elsewhere.map(str::to_owned),
            unnoted: unnoted.map(str::to_owned),
        })
    }

    #[test]
    fn what_a_start_here_lacks_is_told_with_what_to_do() {
        let none = told(None, others(None, None));
        assert_eq!((none.ok, none.fix.as_str()), (true, ""));
        let here = told(Some("records 2 to 5".to_owned()), others(None, None));
        assert!(!here.ok && here.detail.contains("records 2 to 5"));
        let elsewhere = told(None, others(Some("\"there\" may"), None));
        assert_eq!(
            (elsewhere.ok, elsewhere.detail.as_str()),
            (false, "\"there\" may")
        );
        assert!(elsewhere.fix.contains("--take-over-without-reserve"));
        // It refuses no start, and is no reason to fail.
        let unnoted = told(None, others(None, Some("an older build")));
        assert!(unnoted.ok && unnoted.fix.contains("doctor"), "{unnoted:?}");
        let both = told(
            Some("records 2 to 5".to_owned()),
            others(Some("there"), None),
        );
        assert!(both.detail.contains("; there") && both.fix.starts_with(HERE));
    }

    #[test]
    fn a_database_that_does_not_answer_is_told_on_its_own_line() {
        let away = |variable| {
            NodeError::from(StorageError::Unavailable {
                server: "PostgreSQL at here".to_owned(),
                detail: "refused".to_owned(),
                variable,
            })
        };
        let here = told(None, Err(away(DATABASE_URL)));
        assert!(here.ok && here.detail.contains("see database"), "{here:?}");
        assert!(!told(None, Err(away("APEX_S3_ENDPOINT"))).ok);
    }
}
