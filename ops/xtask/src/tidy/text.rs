//! Rules for every text file: white space, names of machines, copied market data.

use super::{Finding, Source};

/// Recorded market data is tens of kilobytes and more; a test's own small payload is not.
const LARGEST_PACKED_BYTES: usize = 64 * 1024;

/// Extensions under which market data is kept.
const PACKED: [&str; 5] = ["gz", "zst", "xz", "zip", "parquet"];

/// Written by tools, word by word as they please.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub fn check(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let name = source.path.rsplit('/').next().unwrap_or(source.path);
    if LOCK_FILES.contains(&name) {
        return;
    }
    for (index, line) in source.text.lines().enumerate() {
        let number = index + 1;
        // A Markdown line may end in two spaces, which is a line break there.
        if line.ends_with([' ', '\t']) && !(source.is("md") && line.ends_with("  ")) {
            findings.push(source.finding(
                number,
                "white space at the end of the line: it makes noise in diffs; delete it",
            ));
        }
        if source.is("rs") && line.contains('\t') {
            findings.push(source.finding(
                number,
                "a tab: rustfmt indents by spaces; run `cargo xtask fmt`",
            ));
        }
        if let Some(path) = machine_paths().iter().find(|path| names_path(line, path)) {
            findings.push(source.finding(
                number,
                format!(
                    "`{path}` is a path of one machine and is missing on all others: \
                     build it from CARGO_MANIFEST_DIR, a flag or an environment variable"
                ),
            ));
        }
        if let Some(host) = registry_hosts()
            .iter()
            .find(|host| line.contains(host.as_str()))
        {
            findings.push(source.finding(
                number,
                format!(
                    "`{host}` is a package registry: which one is used is the business of each \
                     machine's cargo, pip and apt settings; name the package only"
                ),
            ));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = source.text.lines().count();
        findings.push(source.finding(
            last,
            "no line end at the end of the file: tools append to it; add one",
        ));
    }
}

/// Finds copies of recorded market data.
pub fn recorded_data(path: &str, size_bytes: usize) -> Option<Finding> {
    let extension = path.rsplit('.').next().unwrap_or_default();
    (PACKED.contains(&extension) && size_bytes > LARGEST_PACKED_BYTES).then(|| Finding {
        path: path.to_owned(),
        line: 0,
        message: format!(
            "{size_bytes} bytes of packed data: recordings are not ours to copy and stay in git \
             for ever; read them from APEX_TEST_DATA, and keep small payloads of our own making \
             in testdata/"
        ),
    })
}

// Put together here so that this file does not break its own rules.
fn machine_paths() -> [String; 2] {
    ["work", "root"].map(|folder| format!("/{folder}/"))
}

fn registry_hosts() -> [String; 5] {
    [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("deb.debian", "org"),
    ]
    .map(|(name, domain)| format!("{name}.{domain}"))
}

/// Whether the path stands in the line by itself, not as the tail of a longer one (`a/work/b`).
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|before| {
            !before.is_alphanumeric() && !['.', '_', '-', '~', '}', ')', '*'].contains(&before)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::messages_of;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        messages_of(check, &Source { path, text })
    }

    #[test]
    fn white_space_at_the_end_is_found_but_not_a_line_break_in_markdown() {
        assert_eq!(messages("a.toml", "a \n").len(), 1);
        assert_eq!(messages("a.md", "a  \n").len(), 0);
        assert_eq!(messages("a.rs", "\ta\n").len(), 1);
        assert_eq!(messages("a.rs", "a").len(), 1);
        assert_eq!(messages("a.rs", "a\n").len(), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let path = &machine_paths()[0];
        assert_eq!(messages("a.rs", &format!("open(\"{path}x\")\n")).len(), 1);
        assert_eq!(
            messages("a.rs", &format!("open(\"actors{path}x\")\n")).len(),
            0
        );
    }

    #[test]
    fn registry_hosts_are_found_except_in_lock_files() {
        let line = format!("https://{}/x\n", registry_hosts()[1]);
        assert_eq!(messages("README.md", &line).len(), 1);
        assert_eq!(messages("Cargo.lock", &line).len(), 0);
        assert_eq!(messages("Cargo.toml", "[patch.crates-io]\n").len(), 0);
    }

    #[test]
    fn packed_market_data_is_found_by_its_size() {
        assert!(recorded_data("a/testdata/x.gz", LARGEST_PACKED_BYTES + 1).is_some());
        assert!(recorded_data("a/testdata/x.gz", LARGEST_PACKED_BYTES).is_none());
        assert!(recorded_data("a/x.rs", LARGEST_PACKED_BYTES + 1).is_none());
    }
}
