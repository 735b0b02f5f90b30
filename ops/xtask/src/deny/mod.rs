//! `cargo xtask deny`: `cargo deny` where it is installed, and always our offline stand-in.
//!
//! The stand-in knows the licence and ban lists of `deny.toml`, the sources in `Cargo.lock`, and
//! two pinned lists: crates that must have one version, and advisories to refuse. A pinned list
//! grows old: it holds the line between two runs of the real tool, it does not replace it.

mod advisories;
mod licence;
mod lock;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Done, run};
use lock::Locked;

/// Reading the lock file and asking cargo for licences takes seconds; fetching what a cold cache
/// lacks takes minutes.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Two versions of these compile twice and do not recognise each other's types.
const ONE_VERSION: [&str; 12] = [
    "axum",
    "http",
    "hyper",
    "prost",
    "ractor",
    "rust_decimal",
    "rustls",
    "serde",
    "tokio",
    "tonic",
    "tower-http",
    "tracing",
];

/// Older versions that come in beside the one: what rusoto's types are made of. Nothing of ours
/// touches them but the one file that translates (`storage/src/s3/dispatch.rs`).
const BESIDE: [(&str, &str); 2] = [("http", "0.2."), ("hyper", "0.14.")];

/// Crates that each bring a whole set of cryptography; the binary holds one at most.
const CRYPTO_PROVIDERS: [&str; 5] = ["aws-lc-rs", "ring", "openssl", "boring", "mbedtls"];

/// Runs the gate and prints what it refuses.
pub fn command() -> Result<Done> {
    let mut passed = true;
    if run::on_path("cargo-deny") {
        passed &= run::step(&mut run::cargo(["deny", "--locked", "check"]), LIMIT)?.ok;
    } else {
        println!("cargo-deny is not installed: checking with the pinned lists alone");
    }
    let root = run::root();
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let policy = read("deny.toml")?;
    let locked = lock::parse(&read("Cargo.lock")?);
    let mut refused = check_lock(&locked, &banned(&policy));
    let licences = licences()?;
    refused.extend(check_licences(&licences, &allowed_licences(&policy)));
    for line in &refused {
        eprintln!("deny: {line}");
    }
    println!(
        "deny: {} locked crates, {} licences read, {} refused",
        locked.len(),
        licences.len(),
        refused.len()
    );
    Ok(Done::when(passed && refused.is_empty()))
}

/// What `Cargo.lock` alone can tell, which covers every platform.
fn check_lock(locked: &[Locked], banned: &[String]) -> Vec<String> {
    let mut refused = Vec::new();
    for package in locked {
        let Locked {
            name,
            version,
            source,
        } = package;
        if banned.contains(name) {
            refused.push(format!("`{name}` is banned, deny.toml says why"));
        }
        if source
            .as_deref()
            .is_some_and(|source| !source.starts_with("registry+"))
        {
            refused.push(format!(
                "`{name} {version}` does not come from the public registry"
            ));
        }
        for advisory in advisories::against(name, version) {
            refused.push(format!(
                "`{name} {version}`: {} ({}); take {}",
                advisory.id, advisory.why, advisory.mend
            ));
        }
    }
    for name in ONE_VERSION {
        let is_beside = |version: &str| {
            let mut beside = BESIDE.iter();
            beside.any(|(known, prefix)| *known == name && version.starts_with(prefix))
        };
        let mut versions: Vec<&str> = versions_of(locked, name);
        versions.retain(|version| !is_beside(version));
        if versions.len() > 1 {
            refused.push(format!(
                "`{name}` is there in versions {}: one only, see `cargo tree -d`",
                versions.join(", ")
            ));
        }
    }
    let providers: Vec<&str> = CRYPTO_PROVIDERS
        .into_iter()
        .filter(|name| !versions_of(locked, name).is_empty())
        .collect();
    if providers.len() > 1 {
        refused.push(format!(
            "more than one crypto provider: {}",
            providers.join(", ")
        ));
    }
    refused
}

fn versions_of<'a>(locked: &'a [Locked], name: &str) -> Vec<&'a str> {
    locked
        .iter()
        .filter(|package| package.name == name)
        .map(|package| package.version.as_str())
        .collect()
}

/// The licence expression of each crate that is compiled on this platform.
fn licences() -> Result<Vec<(String, String)>> {
    let tree = || {
        let mut command = run::cargo(["tree", "--workspace", "--locked", "--offline", "--quiet"]);
        command.args([
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--no-dedupe",
        ]);
        command.args(["--format", "{p}|{l}"]);
        command
    };
    if let Some(text) = run::ask(&mut tree()) {
        return Ok(parse_licences(&text));
    }
    run::step(&mut run::cargo(["fetch", "--locked"]), LIMIT)?;
    let text = run::ask(&mut tree()).context("`cargo tree` cannot list the licences")?;
    Ok(parse_licences(&text))
}

fn parse_licences(tree: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = tree
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| {
            // `serde v1.0.0 (proc-macro)`: only the name and version name it.
            let words: Vec<&str> = package.split_whitespace().take(2).collect();
            (words.join(" "), licence.trim().to_owned())
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn check_licences(licences: &[(String, String)], allowed: &[String]) -> Vec<String> {
    licences
        .iter()
        .filter(|(_, licence)| !licence::is_allowed(licence, allowed))
        .map(|(package, licence)| {
            let licence = if licence.is_empty() {
                "none stated"
            } else {
                licence
            };
            format!("`{package}` has the licence `{licence}`, which deny.toml does not allow")
        })
        .collect()
}

/// The strings of `allow = [ ... ]` in `[licenses]`.
fn allowed_licences(policy: &str) -> Vec<String> {
    list(policy, "[licenses]", "allow = [")
        .filter_map(first_quoted)
        .collect()
}

/// The crates of `deny = [ ... ]` in `[bans]`.
fn banned(policy: &str) -> Vec<String> {
    list(policy, "[bans]", "deny = [")
        .filter_map(first_quoted)
        .collect()
}

fn list<'a>(policy: &'a str, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    policy
        .lines()
        .skip_while(move |line| *line != section)
        .skip_while(move |line| !line.starts_with(key))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
}

fn first_quoted(line: &str) -> Option<String> {
    line.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str, version: &str) -> Locked {
        let source = Some("registry+x".to_owned());
        Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            source,
        }
    }

    #[test]
    fn the_lists_are_read_from_the_policy() {
        let policy = std::fs::read_to_string(run::root().join("deny.toml")).unwrap();
        assert!(allowed_licences(&policy).contains(&"MIT".to_owned()));
        assert!(banned(&policy).contains(&"openssl".to_owned()));
        assert!(!banned(&policy).contains(&"MIT".to_owned()));
    }

    #[test]
    fn banned_crates_and_foreign_sources_are_refused() {
        let banned = vec!["openssl".to_owned()];
        assert_eq!(check_lock(&[locked("serde", "1.0.0")], &banned).len(), 0);
        assert_eq!(check_lock(&[locked("openssl", "0.10.0")], &banned).len(), 1);
        let mut forked = locked("serde", "1.0.0");
        forked.source = Some("git+https://example.com/serde".to_owned());
        assert_eq!(check_lock(&[forked], &[]).len(), 1);
    }

    #[test]
    fn two_versions_and_two_crypto_providers_are_refused() {
        assert_eq!(
            check_lock(&[locked("tokio", "1.54.0"), locked("tokio", "2.0.0")], &[]).len(),
            1
        );
        assert_eq!(
            check_lock(&[locked("syn", "2.0.0"), locked("syn", "3.0.0")], &[]).len(),
            0
        );
        let providers = [locked("ring", "0.17.14"), locked("aws-lc-rs", "1.0.0")];
        assert_eq!(check_lock(&providers, &[]).len(), 1);
        assert_eq!(check_lock(&providers[..1], &[]).len(), 0);
    }

    #[test]
    fn licences_are_read_from_the_tree_once_each() {
        let tree = "a v1.0.0 (proc-macro)|MIT\nb v2.0.0|GPL-3.0\na v1.0.0|MIT\n\nc v1.0.0|\n";
        let licences = parse_licences(tree);
        assert_eq!(licences.len(), 3);
        let refused = check_licences(&licences, &["MIT".to_owned()]);
        assert_eq!(refused.len(), 2);
        assert!(refused[0].contains("b v2.0.0"), "{refused:?}");
        assert!(refused[1].contains("none stated"), "{refused:?}");
    }
}
