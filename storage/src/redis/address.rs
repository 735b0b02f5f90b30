//! What `APEX_REDIS_URL` may say.

use super::VARIABLE;
use crate::StorageError;
use crate::tls;
use fred::types::config::Config;

const SCHEME: &str = "redis://";
const TLS_SCHEME: &str = "rediss://";

/// Reads the URL of one server. With `rediss` its certificate must be trusted, and of that host.
///
/// Errors: `Setting`, which never repeats any of the URL, since it may hold a password.
pub(super) fn parse(url: &str) -> Result<Config, StorageError> {
    let over_tls = url.strip_prefix(TLS_SCHEME);
    let Some(place) = over_tls.or_else(|| url.strip_prefix(SCHEME)) else {
        return Err(setting(
            "is no Redis URL of one server: give redis://:password@host:port/0, or rediss:// for TLS",
        ));
    };
    if url.contains('?') {
        return Err(setting(
            "has something behind a '?', which would not be used: leave it out (within a password \
             write %3F)",
        ));
    }
    // The library's own reading of `rediss` takes whatever cryptography the process has.
    let mut config = Config::from_url(&format!("{SCHEME}{place}")).map_err(|error| {
        setting(&format!(
            "is no Redis URL ({}): give redis://:password@host:port/0",
            error.details()
        ))
    })?;
    if over_tls.is_some() {
        let trusting =
            tls::trusting().map_err(|error| setting(&format!("asks for TLS, and {error}")))?;
        config.tls = Some(trusting.into());
    }
    Ok(config)
}

fn setting(detail: &str) -> StorageError {
    StorageError::Setting {
        variable: VARIABLE,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_as_it_is_names_its_variable_and_no_secret() {
        for (url, expected) in [
            ("", "is no Redis URL"),
            ("localhost:6379", "is no Redis URL"),
            ("http://:secret@localhost:6379", "is no Redis URL"),
            ("redis-cluster://:secret@localhost:6379", "of one server"),
            ("valkeys://:secret@localhost:6379/0", "is no Redis URL"),
            ("rediss://:secret@localhost:6379/name", "is no Redis URL"),
            ("rediss://:secret@localhost:6379/0?node=other:1", "'?'"),
            ("redis://:secret@localhost:6379/0?node=other:1", "'?'"),
            ("redis://:secret?more@localhost:6379/0", "%3F"),
            ("redis://:secret@localhost:99999/0", "is no Redis URL"),
            ("redis://:secret@localhost:port/0", "is no Redis URL"),
            ("redis://:secret@localhost:6379/name", "is no Redis URL"),
            ("redis://:secret@localhost:6379/300", "is no Redis URL"),
            ("redis://:sec#ret@localhost:6379/0", "is no Redis URL"),
            ("redis://", "is no Redis URL"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.starts_with("APEX_REDIS_URL "), "{url}: {error}");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("sec"), "{url}: {error}");
        }
    }

    #[test]
    fn user_password_and_database_are_taken_as_they_are_written() {
        let config = parse("redis://ann:p%3Fss%2Fw@db.example:7000/3").expect("it is one");
        assert_eq!(config.username.as_deref(), Some("ann"));
        assert_eq!(config.password.as_deref(), Some("p?ss/w"));
        assert_eq!(config.database, Some(3));
        assert_eq!(config.server.hosts()[0].to_string(), "db.example:7000");
        assert!(config.tls.is_none());
        let config = parse("rediss://ann:p%3Fss%2Fw@db.example:7000/3").expect("it is one");
        assert_eq!(config.password.as_deref(), Some("p?ss/w"));
        assert!(config.tls.is_some());
    }
}
