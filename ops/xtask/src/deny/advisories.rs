//! Known advisories against crates that are near ours in the dependency graph, pinned so that the
//! gate holds offline. `cargo deny` with its own database knows more and newer ones.

/// Versions from the first to before the second, as `(major, minor, patch)`.
type Range = ((u64, u64, u64), (u64, u64, u64));

const EVER: (u64, u64, u64) = (u64::MAX, 0, 0);
const ALL: &[Range] = &[((0, 0, 0), EVER)];

/// One advisory of the RustSec database.
#[derive(Debug)]
pub struct Advisory {
    pub id: &'static str,
    pub name: &'static str,
    affected: &'static [Range],
    pub why: &'static str,
    pub mend: &'static str,
}

const fn advisory(
    id: &'static str,
    name: &'static str,
    affected: &'static [Range],
    why: &'static str,
    mend: &'static str,
) -> Advisory {
    Advisory {
        id,
        name,
        affected,
        why,
        mend,
    }
}

#[rustfmt::skip] // A table is read by its columns.
const PINNED: [Advisory; 24] = [
    advisory("RUSTSEC-2020-0071", "time", &[((0, 1, 0), (0, 2, 0)), ((0, 2, 7), (0, 2, 23))], "reads the environment while others write it", "0.2.23 or newer"),
    advisory("RUSTSEC-2020-0159", "chrono", &[((0, 0, 0), (0, 4, 20))], "reads the environment while others write it", "0.4.20 or newer"),
    advisory("RUSTSEC-2021-0003", "smallvec", &[((0, 6, 3), (0, 6, 14)), ((1, 0, 0), (1, 6, 1))], "buffer overflow in insert_many", "1.6.1 or newer"),
    advisory("RUSTSEC-2021-0139", "ansi_term", ALL, "unmaintained", "anstyle"),
    advisory("RUSTSEC-2021-0145", "atty", ALL, "unaligned read, unmaintained", "std::io::IsTerminal"),
    advisory("RUSTSEC-2022-0013", "regex", &[((0, 0, 0), (1, 5, 5))], "a small pattern takes for ever", "1.5.5 or newer"),
    advisory("RUSTSEC-2023-0018", "remove_dir_all", &[((0, 0, 0), (0, 8, 0))], "follows a link swapped in under it", "0.8 or newer"),
    advisory("RUSTSEC-2023-0052", "webpki", &[((0, 0, 0), (0, 22, 2))], "certificate chains that take for ever", "rustls-webpki"),
    advisory("RUSTSEC-2023-0065", "tungstenite", &[((0, 0, 0), (0, 20, 1))], "a long header takes for ever", "0.20.1 or newer"),
    advisory("RUSTSEC-2023-0071", "rsa", ALL, "leaks keys by its timing; no fixed release", "aws-lc-rs"),
    advisory("RUSTSEC-2024-0019", "mio", &[((0, 7, 2), (0, 8, 11))], "use after free with named pipes", "0.8.11 or newer"),
    advisory("RUSTSEC-2024-0320", "yaml-rust", ALL, "unmaintained", "another format"),
    advisory("RUSTSEC-2024-0332", "h2", &[((0, 0, 0), (0, 3, 26)), ((0, 4, 0), (0, 4, 4))], "flood of CONTINUATION frames", "0.4.4 or newer"),
    advisory("RUSTSEC-2024-0336", "rustls", &[((0, 0, 0), (0, 20, 11)), ((0, 21, 0), (0, 21, 11)), ((0, 22, 0), (0, 22, 4)), ((0, 23, 0), (0, 23, 5))], "complete_io can spin for ever", "0.23.5 or newer"),
    advisory("RUSTSEC-2024-0344", "curve25519-dalek", &[((0, 0, 0), (4, 1, 3))], "leaks keys by its timing", "4.1.3 or newer"),
    advisory("RUSTSEC-2024-0376", "tonic", &[((0, 0, 0), (0, 12, 3))], "a failed accept ends the server", "0.12.3 or newer"),
    advisory("RUSTSEC-2024-0384", "instant", ALL, "unmaintained", "web-time"),
    advisory("RUSTSEC-2024-0399", "rustls", &[((0, 23, 13), (0, 23, 18))], "a fragmented hello panics the acceptor", "0.23.18 or newer"),
    advisory("RUSTSEC-2024-0421", "idna", &[((0, 0, 0), (1, 0, 0))], "two names look like one", "1.0 or newer"),
    advisory("RUSTSEC-2024-0437", "protobuf", &[((0, 0, 0), (3, 7, 2))], "nested input overflows the stack", "prost"),
    advisory("RUSTSEC-2025-0009", "ring", &[((0, 0, 0), (0, 17, 12))], "overflow checks can panic in AES", "0.17.12 or newer"),
    advisory("RUSTSEC-2025-0023", "tokio", &[((0, 2, 5), (1, 38, 2)), ((1, 39, 0), (1, 42, 1)), ((1, 43, 0), (1, 43, 1)), ((1, 44, 0), (1, 44, 2))], "broadcast clones without Sync", "1.44.2 or newer"),
    advisory("RUSTSEC-2025-0047", "slab", &[((0, 4, 10), (0, 4, 11))], "get_disjoint_mut reads out of bounds", "0.4.11 or newer"),
    advisory("RUSTSEC-2025-0055", "tracing-subscriber", &[((0, 0, 0), (0, 3, 20))], "input writes escape codes to the terminal", "0.3.20 or newer"),
];

/// The pinned advisories that this version falls under. A version that cannot be read falls
/// under all of its crate.
pub fn against(name: &str, version: &str) -> Vec<&'static Advisory> {
    let version = parse(version);
    PINNED
        .iter()
        .filter(|advisory| advisory.name == name)
        .filter(|advisory| match version {
            Some(version) => advisory
                .affected
                .iter()
                .any(|(from, before)| *from <= version && version < *before),
            None => true,
        })
        .collect()
}

fn parse(version: &str) -> Option<(u64, u64, u64)> {
    let core = version.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(str::parse);
    Some((
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(name: &str, version: &str) -> Vec<&'static str> {
        against(name, version)
            .into_iter()
            .map(|advisory| advisory.id)
            .collect()
    }

    #[test]
    fn only_affected_versions_are_refused() {
        assert_eq!(ids("time", "0.1.45"), ["RUSTSEC-2020-0071"]);
        assert_eq!(ids("time", "0.2.3"), [""; 0]);
        assert_eq!(ids("time", "0.2.22"), ["RUSTSEC-2020-0071"]);
        assert_eq!(ids("time", "0.3.47"), [""; 0]);
        assert_eq!(ids("tokio", "1.43.1"), [""; 0]);
        assert_eq!(ids("tokio", "1.44.1"), ["RUSTSEC-2025-0023"]);
    }

    #[test]
    fn a_crate_without_a_fixed_release_is_refused_in_every_version() {
        assert_eq!(ids("rsa", "0.9.6"), ["RUSTSEC-2023-0071"]);
        assert_eq!(ids("rsa", "1.0.0"), ["RUSTSEC-2023-0071"]);
        assert_eq!(ids("rsa", "what"), ["RUSTSEC-2023-0071"]);
        assert_eq!(ids("serde", "1.0.0"), [""; 0]);
    }

    #[test]
    fn build_metadata_is_no_part_of_the_order() {
        assert_eq!(parse("0.8.11+spec-1.1.0"), Some((0, 8, 11)));
        assert_eq!(parse("1.0.0-rc.1"), Some((1, 0, 0)));
        assert_eq!(parse("1"), None);
    }
}
