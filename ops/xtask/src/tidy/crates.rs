//! Rules between crates: dependencies point down, and few know a wire or a database.

use super::Finding;

/// For each crate, the crates of the house that it may use. What is not here is not allowed: the
/// actor crates meet in `apex-bus` and do not know each other.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("apex-domain", &[]),
    ("apex-bus", &["apex-domain"]),
    ("apex-venues", &["apex-domain"]),
    ("apex-storage", &["apex-domain"]),
    ("apex-proto", &["apex-domain"]),
    ("apex-ops", &[]),
    (
        "apex-market-data",
        &["apex-domain", "apex-bus", "apex-venues", "apex-ops"],
    ),
    (
        "apex-broker",
        &["apex-domain", "apex-bus", "apex-venues", "apex-ops"],
    ),
    // It reads no file itself; its golden tests load market data through `apex-venues`.
    (
        "apex-strategy",
        &["apex-domain", "apex-bus", "apex-venues", "apex-ops"],
    ),
    (
        "apex-scheduler",
        &["apex-domain", "apex-bus", "apex-storage", "apex-ops"],
    ),
    (
        "apex-persistence",
        &["apex-domain", "apex-bus", "apex-storage", "apex-ops"],
    ),
    // The strategy host runs the very strategies of `apex-strategy`, which knows nothing of it.
    (
        "apex-remote",
        &[
            "apex-domain",
            "apex-bus",
            "apex-proto",
            "apex-strategy",
            "apex-ops",
        ],
    ),
    (
        "apex-gateway",
        &["apex-domain", "apex-bus", "apex-proto", "apex-ops"],
    ),
    ("apex-sim", &["apex-domain", "apex-bus"]),
    (
        "apex-node",
        &[
            "apex-domain",
            "apex-bus",
            "apex-venues",
            "apex-storage",
            "apex-proto",
            "apex-ops",
            "apex-market-data",
            "apex-broker",
            "apex-strategy",
            "apex-scheduler",
            "apex-persistence",
            "apex-remote",
            "apex-gateway",
        ],
    ),
    // The binary stands on top and may use whatever is below.
    ("apextrade", &["*"]),
    ("xtask", &[]),
];

/// Crates from outside that only some may use.
struct Restricted {
    names: &'static [&'static str],
    users: &'static [&'static str],
    why: &'static str,
}

const RESTRICTED: [Restricted; 3] = [
    Restricted {
        names: &[
            "prost",
            "prost-types",
            "tonic",
            "tonic-prost",
            "tonic-web",
            "tonic-health",
        ],
        // `apextrade` is itself a gRPC client in its operator commands (tonic's channel).
        users: &["apex-proto", "apex-gateway", "apex-remote", "apextrade"],
        why: "the wire is known to proto, gateway and remote alone, so that it can change; use \
              the conversions of apex-proto or the handles of apex-bus",
    },
    Restricted {
        names: &[
            "tokio-postgres",
            "deadpool-postgres",
            "refinery",
            "fred",
            "rusoto_s3",
            "redb",
            "fjall",
        ],
        users: &["apex-storage", "apex-persistence", "apex-scheduler"],
        why: "a database is known to storage, persistence and scheduler alone, so that a backend \
              can be swapped; use a port of apex-storage",
    },
    Restricted {
        names: &["anyhow"],
        users: &["apextrade", "xtask"],
        why: "a caller must be able to tell errors apart; use a `thiserror` enum of the crate",
    },
];

/// What a pure crate has no use for: runtimes, clocks, randomness, sockets, files, logs.
const NOT_PURE: [&str; 17] = [
    "ractor",
    "tokio",
    "tokio-stream",
    "futures",
    "async-trait",
    "rand",
    "rand_chacha",
    "getrandom",
    "uuid",
    "chrono",
    "time",
    "tracing",
    "log",
    "libc",
    "rustix",
    "hyper",
    "axum",
];

/// One line of a dependency table.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    line: usize,
    /// From `[dev-dependencies]`: tests only.
    dev: bool,
}

pub fn check(manifests: &[(String, String)], findings: &mut Vec<Finding>) {
    for (path, text) in manifests {
        let Some(package) = package_name(text) else {
            continue; // The workspace's own manifest has no package.
        };
        for dependency in dependencies(text) {
            if let Some(message) = refuse(&package, &dependency) {
                let line = dependency.line;
                findings.push(Finding {
                    path: path.clone(),
                    line,
                    message,
                });
            }
        }
    }
}

fn refuse(package: &str, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    let is_ours = MAY_USE.iter().any(|(known, _)| *known == name) || name.starts_with("apex-");
    if is_ours {
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == package) else {
            return Some(format!(
                "the crate `{package}` is new: say in ops/xtask/src/tidy/crates.rs what it may use"
            ));
        };
        return (!allowed.contains(&name) && !allowed.contains(&"*")).then(|| {
            format!(
                "`{package}` may not use `{name}`: dependencies point down and actor crates meet \
                 in apex-bus, so that each can be read and tested alone; send a message, or move \
                 what both need into apex-domain"
            )
        });
    }
    if dependency.dev {
        return None; // Tests may use what they like from outside.
    }
    if package == "apex-domain" && NOT_PURE.contains(&name) {
        return Some(format!(
            "`apex-domain` may not use `{name}`: machines are pure, which makes replay and \
             simulation exact; take what it gives as an argument"
        ));
    }
    RESTRICTED
        .iter()
        .find(|rule| rule.names.contains(&name) && !rule.users.contains(&package))
        .map(|rule| format!("`{package}` may not use `{name}`: {}", rule.why))
}

fn package_name(manifest: &str) -> Option<String> {
    let (_, package) = manifest.split_once("[package]")?;
    let line = package
        .lines()
        .find(|line| line.trim_start().starts_with("name"))?;
    quoted(line)
}

/// Reads the dependency tables, in the shapes that are in use: `a = "1"`, `a.workspace = true`,
/// `a = { package = "b" }`, and `[dependencies.a]`, each also for tests, builds and one target.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table: Option<bool> = None;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let dev = header.contains("dev-dependencies");
            table = header.ends_with("dependencies").then_some(dev);
            if header.starts_with("workspace") {
                table = None;
            } else if let Some((before, name)) = header.rsplit_once('.')
                && before.ends_with("dependencies")
            {
                found.push(Dependency {
                    name: name.to_owned(),
                    line: index + 1,
                    dev,
                });
            }
            continue;
        }
        let (Some(dev), Some((key, value))) = (table, line.split_once('=')) else {
            continue;
        };
        if line.starts_with('#') {
            continue;
        }
        let key = key.trim();
        let renamed = value
            .split_once("package")
            .and_then(|(_, rest)| quoted(rest));
        let name = renamed.unwrap_or_else(|| {
            key.split('.')
                .next()
                .unwrap_or(key)
                .trim_matches('"')
                .to_owned()
        });
        found.push(Dependency {
            name,
            line: index + 1,
            dev,
        });
    }
    found
}

fn quoted(text: &str) -> Option<String> {
    let mut parts = text.split('"');
    parts.next()?;
    parts.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(package: &str, tables: &str) -> usize {
        let manifest = format!("[package]\nname = \"{package}\"\n{tables}");
        let mut findings = Vec::new();
        check(&[("a/Cargo.toml".to_owned(), manifest)], &mut findings);
        findings.len()
    }

    fn uses(package: &str, name: &str) -> usize {
        refused(
            package,
            &format!("[dependencies]\n{name}.workspace = true\n"),
        )
    }

    #[test]
    fn every_shape_of_dependency_is_read() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nb = \"1\"\nc.workspace = true\n\
                        d = { package = \"e\", version = \"1\" }\n# f = \"1\"\n\
                        [dependencies.g]\nversion = \"1\"\n[dev-dependencies]\nh = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\ni = \"1\"\n[features]\nj = []\n";
        let names: Vec<(String, bool)> = dependencies(manifest)
            .into_iter()
            .map(|found| (found.name, found.dev))
            .collect();
        let expected = [
            ("b", false),
            ("c", false),
            ("e", false),
            ("g", false),
            ("h", true),
            ("i", false),
        ];
        assert_eq!(names, expected.map(|(name, dev)| (name.to_owned(), dev)));
    }

    #[test]
    fn actor_crates_do_not_know_each_other() {
        assert_eq!(uses("apex-broker", "apex-bus"), 0);
        assert_eq!(uses("apex-broker", "apex-persistence"), 1);
        assert_eq!(uses("apex-strategy", "apex-market-data"), 1);
        assert_eq!(uses("apex-market-data", "apex-venues"), 0);
        assert_eq!(
            refused("apex-broker", "[dev-dependencies]\napex-strategy = \"1\"\n"),
            1
        );
    }

    #[test]
    fn dependencies_point_down() {
        assert_eq!(uses("apex-domain", "apex-bus"), 1);
        assert_eq!(uses("apex-gateway", "apex-node"), 1);
        assert_eq!(uses("apextrade", "apex-node"), 0);
        assert_eq!(uses("apex-gateway", "apex-storage"), 1);
        assert_eq!(uses("apex-new", "apex-domain"), 1);
    }

    #[test]
    fn few_know_the_wire_and_the_database() {
        assert_eq!(uses("apex-gateway", "tonic"), 0);
        assert_eq!(uses("apex-broker", "prost"), 1);
        assert_eq!(uses("apex-node", "tokio-postgres"), 1);
        assert_eq!(uses("apex-storage", "tokio-postgres"), 0);
        assert_eq!(uses("apex-broker", "anyhow"), 1);
    }

    #[test]
    fn the_domain_is_pure_but_its_tests_may_use_anything() {
        assert_eq!(uses("apex-domain", "tokio"), 1);
        assert_eq!(uses("apex-domain", "rust_decimal"), 0);
        assert_eq!(
            refused("apex-domain", "[dev-dependencies]\nrand = \"1\"\n"),
            0
        );
    }
}
