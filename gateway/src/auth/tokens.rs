//! Access tokens: JWTs of a few minutes that name a user and a session, and nothing that the user may.

use super::secret::TOKEN_LIMIT;
use super::signing::{decoding_key, encoding_key, install};
use apex_domain::access::SigningKey;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const ISSUER: &str = "apextrade";
const AUDIENCE: &str = "apextrade-api";

/// How long an access token holds, in seconds. Its session and user are looked up at each call all the
/// same; this bounds what is signed by a key that leaked.
pub(super) const LIFETIME_S: i64 = 300;

/// Clocks of gateways may differ by so much.
const SKEW_S: i64 = 5;

/// A new signing key is used once every gateway must have seen it.
const SETTLED_NS: i64 = 10_000_000_000;

/// Tokens whose signature was checked and need not be again, some 200 bytes each. Full: all are checked
/// once more.
const CHECKED: usize = 4_096;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The user.
    pub sub: String,
    /// The session.
    pub sid: String,
    iat: i64,
    nbf: i64,
    pub exp: i64,
}

/// Makes and checks access tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    // Only looked up, never iterated where the order could be seen.
    checked: Mutex<HashMap<[u8; 32], Claims>>,
}

impl Tokens {
    pub fn new() -> Tokens {
        install();
        Tokens::default()
    }

    /// Signs a token of a session; also returns when it ends, in nanoseconds since 1970. `None` without
    /// a key that works.
    pub fn issue(
        &self,
        keys: &[SigningKey],
        user_id: &str,
        session_id: &str,
        now_ns: i64,
    ) -> Option<(String, i64)> {
        let is_settled = |key: &&SigningKey| now_ns.saturating_sub(key.created_ns) >= SETTLED_NS;
        let key = keys.iter().rev().find(is_settled).or(keys.first())?;
        let now = now_ns / 1_000_000_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id.to_owned(),
            sid: session_id.to_owned(),
            iat: now,
            nbf: now,
            exp: now + LIFETIME_S,
        };
        let header = Header {
            kid: Some(key.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = encode(&header, &claims, &encoding_key(key)?).ok()?;
        Some((token, claims.exp * 1_000_000_000))
    }

    /// Returns what a token says, `None` when it is none of ours or its time is not now.
    pub fn verify(
        &self,
        token: &str,
        keys: impl FnOnce() -> std::sync::Arc<[SigningKey]>,
        now_ns: i64,
    ) -> Option<Claims> {
        if token.len() > TOKEN_LIMIT {
            return None;
        }
        let id: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.lock().get(&id).cloned();
        let claims = match known {
            Some(claims) => claims,
            None => {
                let claims = check(token, &keys())?;
                self.keep(id, claims.clone(), now_ns);
                claims
            }
        };
        let now = now_ns / 1_000_000_000;
        let is_now = now < claims.exp && claims.nbf <= now + SKEW_S;
        is_now.then_some(claims)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Claims>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, id: [u8; 32], claims: Claims, now_ns: i64) {
        let mut checked = self.lock();
        if checked.len() >= CHECKED {
            checked.retain(|_, claims| now_ns / 1_000_000_000 < claims.exp);
        }
        if checked.len() >= CHECKED {
            checked.clear();
        }
        checked.insert(id, claims);
    }
}

fn check(token: &str, keys: &[SigningKey]) -> Option<Claims> {
    let header = decode_header(token).ok()?;
    // Which key and which algorithm is ours to say: the header only names one of ours.
    let kid = header.kid.filter(|_| header.alg == Algorithm::EdDSA)?;
    let key = keys.iter().find(|key| key.kid == kid)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    // By the clock of the platform, and at each call.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let found = decode::<Claims>(token, &decoding_key(key)?, &validation).ok()?;
    Some(found.claims)
}

#[cfg(test)]
mod tests {
    use super::super::new_signing_key;
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::sync::Arc;

    const SECOND: i64 = 1_000_000_000;
    const NOW: i64 = 1_800_000_000 * SECOND;

    fn keys() -> Arc<[SigningKey]> {
        Arc::new([new_signing_key(NOW - 60 * SECOND).unwrap()])
    }

    fn says(tokens: &Tokens, token: &str, keys: &Arc<[SigningKey]>, now: i64) -> Option<String> {
        let claims = tokens.verify(token, || keys.clone(), now)?;
        Some(claims.sid)
    }

    fn part(value: &serde_json::Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn a_token_holds_for_its_minutes() {
        let (tokens, keys) = (Tokens::new(), keys());
        let (token, end) = tokens.issue(&keys, "ann", "s1", NOW).unwrap();
        assert_eq!(end, NOW + LIFETIME_S * SECOND);
        for now in [NOW, end - 1, NOW - SKEW_S * SECOND] {
            assert_eq!(says(&tokens, &token, &keys, now).as_deref(), Some("s1"));
        }
        for now in [end, end + SECOND, NOW - (SKEW_S + 1) * SECOND] {
            assert_eq!(says(&tokens, &token, &keys, now), None, "{now}");
            assert_eq!(says(&Tokens::new(), &token, &keys, now), None, "{now}");
        }
    }

    #[test]
    fn a_token_that_we_did_not_sign_so_is_none() {
        let (tokens, keys) = (Tokens::new(), keys());
        let (token, _) = tokens.issue(&keys, "ann", "s1", NOW).unwrap();
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}");
        };
        let kid = keys[0].kid.as_str();
        let claims_of = |name: &str, value: serde_json::Value| {
            let bytes = URL_SAFE_NO_PAD.decode(claims).unwrap();
            let mut all: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            all[name] = value;
            part(&all)
        };
        let none = part(&serde_json::json!({"alg": "none", "kid": kid}));
        let none_odd = part(&serde_json::json!({"alg": "nOnE", "kid": kid}));
        let hs256 = part(&serde_json::json!({"alg": "HS256", "kid": kid}));
        let strange = part(&serde_json::json!({"alg": "EdDSA", "kid": "../../etc/passwd"}));
        let no_kid = part(&serde_json::json!({"alg": "EdDSA"}));
        // HS256 with the public key as its secret, as libraries once took it.
        let public = decoding_key(&keys[0]).unwrap();
        let mac_key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.try_get_as_bytes().unwrap());
        let mac = ring::hmac::sign(&mac_key, format!("{hs256}.{claims}").as_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac.as_ref());
        let other = new_signing_key(NOW).unwrap();
        let with_other = Arc::new([SigningKey {
            kid: kid.to_owned(),
            ..other
        }]);
        let (forged, _) = tokens.issue(&*with_other, "ann", "s1", NOW).unwrap();
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        flipped[0] ^= 1;
        let flipped = URL_SAFE_NO_PAD.encode(flipped);
        let bad = [
            format!("{none}.{claims}."),
            format!("{none_odd}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{hs256}.{claims}.{mac}"),
            format!("{strange}.{claims}.{signature}"),
            format!("{no_kid}.{claims}.{signature}"),
            format!("{header}.{}.{signature}", claims_of("sub", "admin".into())),
            format!("{header}.{claims}.{flipped}"),
            format!("{header}.{claims}.{}", &signature[..40]),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{token}."),
            format!("{token}{}", "x".repeat(TOKEN_LIMIT)),
            String::new(),
            "..".to_owned(),
            forged,
        ];
        for token in bad {
            assert_eq!(says(&tokens, &token, &keys, NOW), None, "{token:.200}");
        }
        assert!(says(&tokens, &token, &keys, NOW).is_some());
    }

    #[test]
    fn a_token_of_ours_for_somebody_else_is_none() {
        let keys = keys();
        let sign = |change: &dyn Fn(&mut Claims)| {
            let mut claims = Claims {
                iss: ISSUER.to_owned(),
                aud: AUDIENCE.to_owned(),
                sub: "ann".to_owned(),
                sid: "s1".to_owned(),
                iat: NOW / SECOND,
                nbf: NOW / SECOND,
                exp: NOW / SECOND + 60,
            };
            change(&mut claims);
            let header = Header {
                kid: Some(keys[0].kid.clone()),
                ..Header::new(Algorithm::EdDSA)
            };
            install();
            encode(&header, &claims, &encoding_key(&keys[0]).unwrap()).unwrap()
        };
        let ok = |token: &str| says(&Tokens::new(), token, &keys, NOW).is_some();
        assert!(ok(&sign(&|_| ())));
        assert!(!ok(&sign(&|it| it.aud = "another-api".to_owned())));
        assert!(!ok(&sign(&|it| it.iss = "another".to_owned())));
        assert!(!ok(&sign(&|it| it.exp = NOW / SECOND)));
        assert!(!ok(&sign(&|it| it.nbf = NOW / SECOND + 60)));
    }

    #[test]
    fn a_new_key_signs_once_everybody_has_seen_it() {
        let (tokens, old) = (Tokens::new(), keys());
        let new = new_signing_key(NOW).unwrap();
        let both: Arc<[SigningKey]> = Arc::new([old[0].clone(), new.clone()]);
        let signed_at = |now| {
            let (token, _) = tokens.issue(&both, "ann", "s1", now).unwrap();
            decode_header(&token).unwrap().kid.unwrap()
        };
        assert_eq!(signed_at(NOW + SETTLED_NS - 1), old[0].kid);
        assert_eq!(signed_at(NOW + SETTLED_NS), new.kid);
        // The first key of all has nobody to wait for.
        let (token, _) = tokens
            .issue(std::slice::from_ref(&new), "ann", "s1", NOW)
            .unwrap();
        assert_eq!(decode_header(&token).unwrap().kid.unwrap(), new.kid);
    }
}
