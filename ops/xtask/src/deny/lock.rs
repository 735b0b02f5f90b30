//! Reads `Cargo.lock`, which cargo writes in one fixed shape.

/// One `[[package]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub name: String,
    pub version: String,
    /// Where it comes from; `None` for the workspace's own crates.
    pub source: Option<String>,
}

/// Returns the packages in the order of the file.
pub fn parse(text: &str) -> Vec<Locked> {
    text.split("[[package]]")
        .skip(1)
        .filter_map(|package| {
            let field = |name: &str| {
                package.lines().find_map(|line| {
                    let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
                    value.strip_suffix('"').map(str::to_owned)
                })
            };
            Some(Locked {
                name: field("name")?,
                version: field("version")?,
                source: field("source"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_and_without_a_source() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\
                    source = \"registry+x\"\nchecksum = \"0\"\n\n[[package]]\nname = \"b\"\n\
                    version = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n";
        let packages = parse(text);
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].source.as_deref(), Some("registry+x"));
        assert_eq!(
            (packages[1].name.as_str(), &packages[1].source),
            ("b", &None)
        );
    }
}
