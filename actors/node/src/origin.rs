//! Where the orders of a data folder are: at the market inside, at a venue of its own, or in a
//! replay. An account that went on at another place would ask there for orders that nobody knows,
//! and would be told of executions that it never ordered.

use crate::NodeError;
use crate::marks::Marks;
use std::fmt;

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

/// Returns whose accounts they are; `None` when there are none yet, and for a mark that does not
/// tell.
///
/// Errors: `Storage`.
pub fn of(marks: &Marks) -> Result<Option<Origin>, NodeError> {
    if marks.get(crate::replay::archive::MARK)?.is_some() {
        return Ok(Some(Origin::Replay));
    }
    let mark = marks.get(MARK)?;
    Ok([Origin::Inside, Origin::Venue]
        .into_iter()
        .find(|origin| mark.as_deref() == Some(origin.word())))
}

/// Refuses accounts that belong to something else. The caller holds their lock.
///
/// Errors: `Usage`, which says what they are, what was asked and what to do; `Storage`.
pub fn check(marks: &Marks, asked: Origin) -> Result<(), NodeError> {
    match of(marks)? {
        Some(found) if found != asked => Err(NodeError::Usage(format!(
            "data folder \"{}\" holds {found}, and {asked} was asked for: open it with {}, or \
             pass another --data-dir",
            marks.root().display(),
            found.command()
        ))),
        _ => Ok(()),
    }
}

/// Notes whose accounts they are from now on, after [`check`].
///
/// Errors: `Archive`, `Storage`.
pub fn claim(marks: &Marks, origin: Origin) -> Result<(), NodeError> {
    if of(marks)? == Some(origin) {
        return Ok(());
    }
    marks.set(MARK, origin.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_opened_only_as_what_it_is() {
        let all = [Origin::Inside, Origin::Venue];
        for made in all {
            let folder = tempfile::tempdir().unwrap();
            let root = &Marks::in_folder(folder.path());
            for asked in all {
                check(root, asked).unwrap();
            }
            claim(root, made).unwrap();
            claim(root, made).unwrap();
            assert_eq!(of(root).unwrap(), Some(made));
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
