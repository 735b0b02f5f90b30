//! What `APEX_S3_ENDPOINT` may say.

use super::VARIABLE;
use crate::StorageError;

/// Reads the URL of a server and returns it without a slash at its end.
///
/// Errors: `Setting`, which never repeats any of the URL, since somebody may have put keys into it.
pub(super) fn parse(endpoint: &str) -> Result<&str, StorageError> {
    let endpoint = endpoint.trim_end_matches('/');
    let place = ["http://", "https://"]
        .iter()
        .find_map(|scheme| endpoint.strip_prefix(scheme));
    let Some(place) = place else {
        return Err(setting("is no URL: give http://host:port or https://host"));
    };
    if place.contains('@') {
        return Err(setting(
            "has a user or password in it, which would not be used: give http://host:port, and the \
             keys in APEX_S3_ACCESS_KEY and APEX_S3_SECRET_KEY",
        ));
    }
    if place.contains(['?', '#']) {
        return Err(setting(
            "has something behind a '?' or '#', which would not be used: give http://host:port or \
             https://host",
        ));
    }
    // What stands behind the last ':' of a host, and not within the brackets of an address, is a port.
    let is_port = |uri: &http::Uri| {
        let host = uri.host().unwrap_or_default();
        let all = uri.authority().map_or("", |all| all.as_str());
        !host.is_empty() && (all == host || uri.port_u16().is_some())
    };
    let uri: Result<http::Uri, _> = endpoint.parse();
    let is_whole = uri.as_ref().is_ok_and(is_port);
    if !is_whole {
        return Err(setting("is no URL: give http://host:port or https://host"));
    }
    Ok(endpoint)
}

/// Returns an endpoint as it may be shown: without a user, a password and what is behind a '?'.
pub(super) fn shown(endpoint: &str) -> String {
    let endpoint = endpoint.split(['?', '#']).next().unwrap_or_default();
    match (endpoint.split_once("://"), endpoint.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        (None, Some((_, place))) => place.to_owned(),
        _ => endpoint.to_owned(),
    }
}

pub(super) fn setting(detail: &str) -> StorageError {
    StorageError::Setting {
        variable: VARIABLE,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_cannot_be_used_as_it_is_names_its_variable_and_no_secret() {
        for (endpoint, expected) in [
            ("", "is no URL"),
            ("localhost:9000", "is no URL"),
            ("http://", "is no URL"),
            ("http://host:port", "is no URL"),
            ("http://host:99999", "is no URL"),
            ("ann:secret@host:9000", "is no URL"),
            ("http://ann:secret@host:9000", "APEX_S3_ACCESS_KEY"),
            ("https://secret@host/", "APEX_S3_ACCESS_KEY"),
            ("https://ann:sec/ret@host", "APEX_S3_ACCESS_KEY"),
            ("https://host?token=secret", "'?'"),
        ] {
            let error = parse(endpoint).expect_err(endpoint).to_string();
            assert!(
                error.starts_with("APEX_S3_ENDPOINT "),
                "{endpoint}: {error}"
            );
            assert!(error.contains(expected), "{endpoint}: {error}");
            assert!(!error.contains("ann:"), "{endpoint}: {error}");
            assert!(!error.contains("secret@"), "{endpoint}: {error}");
            let shown = shown(endpoint);
            assert!(
                !shown.contains("ann") && !shown.contains("secret"),
                "{shown}"
            );
        }
        for endpoint in [
            "http://127.0.0.1:9000",
            "https://s3.example",
            "http://[::1]:9",
        ] {
            assert_eq!(parse(&format!("{endpoint}/")).expect(endpoint), endpoint);
            assert_eq!(shown(endpoint), endpoint);
        }
    }
}
