//! Where the orders of a data folder are: at the market inside, at a venue of its own, or in a
//! replay. An account that went on at another place would ask there for orders that nobody knows,
//! and would be told of executions that it never ordered.

use crate::NodeError;
use std::fmt;
use std::path::Path;

/// Says where the orders of the account here are. A folder of an earlier build has none, and
/// becomes what it is opened as next.
const MARK: &str = "origin";

/// Where an account trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The simulated market inside the process.
    Inside,
    /// An `apextrade venue-sim`, at whatever address.
    Venue,
    Replay,
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Origin::Inside => "inside",
            Origin::Venue => "venue-sim",
            Origin::Replay => "replay",
        }
    }

    /// Returns the command line that opens a folder of this origin.
    fn command(self) -> &'static str {
        match self {
            Origin::Inside => "`apextrade up` without --venue",
            Origin::Venue => "`apextrade up --venue ADDRESS`",
            Origin::Replay => "`apextrade replay FILE`",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Inside => "an account of the market inside",
            Origin::Venue => "an account at a venue-sim",
            Origin::Replay => "a replay",
        })
    }
}

/// Returns whose folder it is; `None` for an empty one, and for one whose mark does not tell.
pub fn of(root: &Path) -> Option<Origin> {
    if root.join(crate::replay::archive::MARK).exists() {
        return Some(Origin::Replay);
    }
    let mark = std::fs::read_to_string(root.join(MARK)).ok()?;
    [Origin::Inside, Origin::Venue]
        .into_iter()
        .find(|origin| mark.trim() == origin.word())
}

/// Refuses a folder that belongs to something else. The caller holds its lock.
///
/// Errors: `Usage`, which says what is in it, what was asked and what to do.
pub fn check(root: &Path, asked: Origin) -> Result<(), NodeError> {
    match of(root) {
        Some(found) if found != asked => Err(NodeError::Usage(format!(
            "data folder \"{}\" holds {found}, and {asked} was asked for: open it with {}, or \
             pass another --data-dir",
            root.display(),
            found.command()
        ))),
        _ => Ok(()),
    }
}

/// Notes whose folder it is from now on, after [`check`].
///
/// Errors: `Archive`.
pub fn claim(root: &Path, origin: Origin) -> Result<(), NodeError> {
    if of(root) == Some(origin) {
        return Ok(());
    }
    let failed = |source| NodeError::Archive {
        path: root.join(MARK),
        source,
    };
    let temporary = root.join("origin.new");
    std::fs::write(&temporary, format!("{}\n", origin.word())).map_err(failed)?;
    std::fs::rename(&temporary, root.join(MARK)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_opened_only_as_what_it_is() {
        let all = [Origin::Inside, Origin::Venue];
        for made in all {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            for asked in all {
                check(root, asked).unwrap();
            }
            claim(root, made).unwrap();
            claim(root, made).unwrap();
            assert_eq!(of(root), Some(made));
            for asked in [Origin::Inside, Origin::Venue, Origin::Replay] {
                let refused = check(root, asked).map_err(|error| error.to_string());
                if asked == made {
                    refused.unwrap();
                    continue;
                }
                let line = refused.unwrap_err();
                for word in [made.to_string(), asked.to_string(), made.command().into()] {
                    assert!(line.contains(&word), "{line}");
                }
                assert!(!line.contains('\n'), "{line}");
            }
        }
    }
}
