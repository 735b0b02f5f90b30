//! One folder, many replays: a finished one is moved aside before the next begins.
//!
//! A replay starts from an empty account, so that it ends in the same state each time. A replay
//! that did not finish is continued instead: its journal may hold orders of clients, and what was
//! acknowledged is never lost. Nothing is ever deleted.

use crate::NodeError;
use crate::marks::Marks;
use crate::origin::{self, Origin};
use apex_domain::matching::ModelChoices;
use apex_persistence::starts;
use apex_storage::Records;
use std::path::{Path, PathBuf};

/// Says that the journal here is a replay's, with what became of it.
pub(crate) const MARK: &str = "replay";
const RUNNING: &str = "running";
const FINISHED: &str = "finished";

/// The venue's models of a run, as its mark notes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// One a line; empty when all are the default ones, as in the marks of earlier builds.
    lines: String,
    statements: Vec<String>,
}

impl Choice {
    pub fn of(models: &ModelChoices, seed: u64) -> Choice {
        let chosen = models.chosen().into_iter();
        let mut lines: String = chosen
            .map(|(model, text)| format!("{model} {text}\n"))
            .collect();
        let mut statements = models.statements();
        if models.is_random() {
            lines.push_str(&format!("seed {seed}\n"));
            statements.push(format!(
                "seed {seed}: what is random in this run is drawn from it"
            ));
        }
        Choice { lines, statements }
    }

    /// Returns what was chosen, for the summary.
    pub fn statements(&self) -> Vec<String> {
        self.statements.clone()
    }

    fn flags(lines: &str) -> String {
        if lines.is_empty() {
            return "no models chosen".to_owned();
        }
        let flags: Vec<String> = lines.lines().map(|line| format!("--{line}")).collect();
        flags.join(" ")
    }
}

/// Folders that belong to a run.
const OF_A_RUN: [&str; 2] = ["journal", "snapshots"];

/// Returns whether a replay ran to the end of its recording here.
///
/// Errors: `Storage`.
pub fn is_finished(marks: &Marks) -> Result<bool, NodeError> {
    Ok(marks.get(MARK)?.as_deref() == Some(FINISHED))
}

/// Makes the stores ready for a replay. The caller holds their lock; what was finished in a
/// database is aside already when they are opened.
///
/// Errors: `Usage` when the folder holds an account that is no replay's, or a replay to be continued
/// whose venue had other models; `Archive`; `Storage`.
pub fn make_room(marks: &Marks, records: &dyn Records, choice: &Choice) -> Result<(), NodeError> {
    let root = marks.root();
    match marks.get(MARK)?.as_deref() {
        Some(FINISHED) => {
            // First, since the next run's journal begins anew even if the move is cut short.
            for account_id in apex_storage::accounts(root)? {
                starts::forget(records, &account_id)?;
            }
            move_aside(root)?;
        }
        Some(mark) if !marks.is_folder() || root.join("journal").exists() => {
            let had = mark.strip_prefix(RUNNING).unwrap_or_default().trim_start();
            if had != choice.lines.trim_end() {
                return Err(NodeError::Usage(format!(
                    "data folder \"{}\" holds an unfinished replay with {}, and it was to go on \
                     with {}: pass the same models, or another --data-dir",
                    root.display(),
                    Choice::flags(had),
                    Choice::flags(&choice.lines)
                )));
            }
            tracing::warn!(
                "an unfinished replay is continued on its journal, so it ends in another state \
                 than a fresh one; for a fresh one pass an empty --data-dir"
            );
        }
        // Nothing was decided yet.
        Some(_) => {}
        None if marks.is_folder() && root.join("journal").exists() => {
            origin::check(marks, Origin::Replay)?;
            return Err(NodeError::Usage(format!(
                "data folder \"{}\" holds an account that is no replay's, and a replay was asked \
                 for: pass another --data-dir",
                root.display()
            )));
        }
        None => {}
    }
    marks.set(MARK, &format!("{RUNNING}\n{}", choice.lines))
}

/// Notes that the replay ran to the end of its recording.
///
/// Errors: `Archive`, `Storage`.
pub fn mark_finished(marks: &Marks) -> Result<(), NodeError> {
    marks.set(MARK, FINISHED)
}

fn move_aside(root: &Path) -> Result<(), NodeError> {
    let target = free_name(root);
    let failed = |source| NodeError::Archive {
        path: target.clone(),
        source,
    };
    std::fs::create_dir_all(&target).map_err(failed)?;
    for folder in OF_A_RUN {
        if root.join(folder).exists() {
            std::fs::rename(root.join(folder), target.join(folder)).map_err(failed)?;
        }
    }
    tracing::info!(to = %target.display(), "the finished replay was moved aside");
    Ok(())
}

fn free_name(root: &Path) -> PathBuf {
    let mut number = 1_u64;
    loop {
        let name = root.join("archive").join(format!("replay-{number}"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::matching::Model;
    use apex_storage::MemoryRecords;

    fn journal(root: &Path, text: &str) {
        std::fs::create_dir_all(root.join("journal")).unwrap();
        std::fs::write(root.join("journal/a"), text).unwrap();
    }

    #[test]
    fn a_finished_replay_is_moved_aside_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let records = MemoryRecords::new();
        for n in 1..=2 {
            make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
            assert!(!root.join("journal").exists());
            journal(root, &n.to_string());
            mark_finished(&Marks::in_folder(root)).unwrap();
        }
        make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
        for n in 1..=2 {
            let kept = root.join(format!("archive/replay-{n}/journal/a"));
            assert_eq!(std::fs::read_to_string(kept).unwrap(), n.to_string());
        }
    }

    #[test]
    fn an_unfinished_replay_keeps_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let records = MemoryRecords::new();
        make_room(
            &Marks::in_folder(folder.path()),
            &records,
            &Choice::default(),
        )
        .unwrap();
        journal(folder.path(), "orders");
        make_room(
            &Marks::in_folder(folder.path()),
            &records,
            &Choice::default(),
        )
        .unwrap();
        assert!(folder.path().join("journal/a").exists());
    }

    #[test]
    fn an_unfinished_replay_goes_on_with_its_own_models_only() {
        let folder = tempfile::tempdir().unwrap();
        let (root, records) = (folder.path(), MemoryRecords::new());
        let choice = |latency: &str| {
            let mut models = ModelChoices::default();
            models.choose(Model::Latency, latency).unwrap();
            Choice::of(&models, 3)
        };
        let (tail, none) = (choice("tail:1ms:2ms"), Choice::default());
        make_room(&Marks::in_folder(root), &records, &none).unwrap();
        // No order was taken yet.
        make_room(&Marks::in_folder(root), &records, &tail).unwrap();
        journal(root, "orders");
        make_room(&Marks::in_folder(root), &records, &tail).unwrap();
        for other in [none, choice("5ms")] {
            let line = make_room(&Marks::in_folder(root), &records, &other)
                .unwrap_err()
                .to_string();
            let had = "with --latency tail:1ms:2ms --seed 3, and";
            assert!(line.contains(had), "{line}");
            assert!(line.contains(&Choice::flags(&other.lines)), "{line}");
        }
        mark_finished(&Marks::in_folder(root)).unwrap();
        make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
    }

    #[test]
    fn an_account_that_is_no_replay_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        journal(folder.path(), "orders");
        assert!(matches!(
            make_room(
                &Marks::in_folder(folder.path()),
                &MemoryRecords::new(),
                &Choice::default()
            ),
            Err(NodeError::Usage(_))
        ));
        assert!(folder.path().join("journal/a").exists());
    }

    #[test]
    fn what_was_durable_of_a_replay_is_forgotten_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (root, records) = (folder.path(), MemoryRecords::new());
        make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
        std::fs::create_dir_all(root.join("journal/replay")).unwrap();
        starts::note_durable(&records, "replay", 9).unwrap();
        make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
        assert_eq!(
            starts::durable(&records, "replay").unwrap(),
            9,
            "it goes on"
        );
        mark_finished(&Marks::in_folder(root)).unwrap();
        make_room(&Marks::in_folder(root), &records, &Choice::default()).unwrap();
        assert_eq!(starts::durable(&records, "replay").unwrap(), 0);
    }
}
