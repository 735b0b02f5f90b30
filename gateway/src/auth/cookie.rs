//! The refresh token of a browser: in a cookie that scripts cannot read.

use http::HeaderMap;
use http::header::COOKIE;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

/// Its prefix lets browsers take it from a secure origin alone (loopback counts as one).
const NAME: &str = "__Secure-apex-refresh";

/// It is sent to these methods alone.
const PATH: &str = "/apextrade.v1.AuthService";

/// Returns the refresh token of a request's cookie. Two cookies of the name are nobody's.
pub(crate) fn cookie_of(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('='));
    let mut named = found.by_ref().filter(|(name, _)| *name == NAME);
    let (_, value) = named.next()?;
    named.next().is_none().then(|| value.to_owned())
}

/// Sets the cookie with an answer, for as long as the session lasts.
pub(crate) fn set_cookie(metadata: &mut MetadataMap, token: &str, seconds: i64) {
    put(metadata, token, seconds.max(0));
}

/// Takes it away.
pub(crate) fn clear_cookie(metadata: &mut MetadataMap) {
    put(metadata, "", 0);
}

fn put(metadata: &mut MetadataMap, token: &str, seconds: i64) {
    let text = format!(
        "{NAME}={token}; Max-Age={seconds}; Path={PATH}; HttpOnly; Secure; SameSite=Strict"
    );
    // Tokens are letters, digits and underscores.
    if let Ok(value) = AsciiMetadataValue::try_from(text) {
        metadata.insert("set-cookie", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        cookie_of(&headers)
    }

    #[test]
    fn the_one_cookie_of_the_name_is_it() {
        assert_eq!(
            of(&["a=b; __Secure-apex-refresh=t1; c=d"]).as_deref(),
            Some("t1")
        );
        assert_eq!(
            of(&["a=b", "__Secure-apex-refresh=t1"]).as_deref(),
            Some("t1")
        );
        let two = ["__Secure-apex-refresh=t1; __Secure-apex-refresh=t2"];
        assert_eq!(of(&two), None);
        assert_eq!(of(&["apex-refresh=t1", "x__Secure-apex-refresh=t1"]), None);
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_it() {
        let mut metadata = MetadataMap::new();
        set_cookie(&mut metadata, "apexr_1_2", 60);
        let text = metadata
            .get("set-cookie")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        for part in [
            "HttpOnly",
            "Secure",
            "SameSite=Strict",
            "Max-Age=60",
            "=apexr_1_2;",
        ] {
            assert!(text.contains(part), "{text}");
        }
        clear_cookie(&mut metadata);
        let text = metadata
            .get("set-cookie")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(text.contains("Max-Age=0"), "{text}");
    }
}
