//! The repository's own rules, which no linter knows. Each finding says what, why, and how to
//! mend it. A rule holds for every file; there is no list of old offenders.

mod code;
mod crates;
mod lexer;
mod text;

use std::path::Path;

use anyhow::{Context, Result};

use crate::{Done, run};

/// Folders that hold what tools made or what one machine keeps for itself.
const SKIPPED_FOLDERS: [&str; 6] = [
    "target",
    ".git",
    ".venv",
    "node_modules",
    "__pycache__",
    "dist",
];

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Relative to the root, with `/`.
    pub path: String,
    /// From 1; 0 when it is about the whole file.
    pub line: usize,
    /// What, why, and how to mend it.
    pub message: String,
}

/// A text file of the repository.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Relative to the root, with `/`.
    pub path: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            path: self.path.to_owned(),
            line,
            message: message.into(),
        }
    }

    fn is(&self, extension: &str) -> bool {
        Path::new(self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// Checks the tree and prints the findings.
pub fn command() -> Result<Done> {
    let (files, findings) = check(&run::root())?;
    for finding in &findings {
        eprintln!("{}:{}: {}", finding.path, finding.line, finding.message);
    }
    println!("tidy: {files} files, {} findings", findings.len());
    Ok(Done::when(findings.is_empty()))
}

/// Reads every file below `root`. Returns how many there were, and the findings by path.
fn check(root: &Path) -> Result<(usize, Vec<Finding>)> {
    let mut paths = Vec::new();
    list(root, root, &mut paths)?;
    paths.sort();
    let mut findings = Vec::new();
    let mut manifests = Vec::new();
    for path in &paths {
        let bytes =
            std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        findings.extend(text::recorded_data(path, bytes.len()));
        let Ok(text) = String::from_utf8(bytes) else {
            continue; // Not text: nothing else is asked of it.
        };
        let source = Source { path, text: &text };
        text::check(&source, &mut findings);
        if source.is("rs") {
            code::check(&source, &mut findings);
        }
        if path == "Cargo.toml" || path.ends_with("/Cargo.toml") {
            manifests.push((path.clone(), text));
        }
    }
    crates::check(&manifests, &mut findings);
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok((paths.len(), findings))
}

fn list(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() || SKIPPED_FOLDERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            // `data` at the root is what a run of the platform keeps.
            if !(folder == root && name == "data") {
                list(root, &path, paths)?;
            }
            continue;
        }
        if let Ok(relative) = path.strip_prefix(root) {
            paths.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

/// What one rule file says about a made-up source.
#[cfg(test)]
fn messages_of(check: fn(&Source<'_>, &mut Vec<Finding>), source: &Source<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    check(source, &mut findings);
    findings
        .into_iter()
        .map(|finding| finding.message)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let (files, findings) = check(&run::root()).unwrap();
        assert!(
            files > 30,
            "only {files} files were found: the root is wrong"
        );
        let shown: Vec<String> = findings
            .iter()
            .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.message))
            .collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    }
}
