//! Second factors: codes by time (RFC 6238, SHA-1, six digits, 30 s), and recovery codes.

use super::secret::{hash, hex, random};
use apex_domain::access::{SecretHash, Totp};
use totp_rs::{Algorithm, Builder, Secret};

/// Bytes of a secret: what RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// Recovery codes of one factor.
const RECOVERY: usize = 10;

fn factor(secret: &[u8]) -> Option<totp_rs::Totp> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        // One step either way: clocks of devices drift, and people type.
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(Secret::from(secret.to_vec()))
        .build()
        .ok()
}

/// Returns a new secret.
///
/// Errors: what the system said when it has no randomness.
pub(crate) fn begin_totp() -> Result<Vec<u8>, String> {
    Ok(random::<SECRET_BYTES>()?.to_vec())
}

/// Returns a secret as devices take it: in base32, and as a URL.
pub(crate) fn totp_secret(user_id: &str, secret: &[u8]) -> (String, String) {
    let base32 = Secret::from(secret.to_vec()).to_base32();
    // User ids are letters, digits, points, dashes and underscores, which a URL takes as they are.
    let url = format!(
        "otpauth://totp/ApexTrade:{user_id}?secret={base32}&issuer=ApexTrade&algorithm=SHA1&digits=6&period=30"
    );
    (base32, url)
}

/// Returns the step of a code that is right at `now_ns`; whether it was used before is another question.
pub(crate) fn step_of(secret: &[u8], code: &str, now_ns: i64) -> Option<u64> {
    let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = u64::try_from(now_ns / 1_000_000_000).ok()?;
    if !is_code {
        return None;
    }
    factor(secret)?.check(code, seconds)
}

/// Returns the factor after a code of the device or a recovery code was taken; `None` when it is none or
/// was taken before.
pub(crate) fn check_totp(totp: &Totp, code: &str, now_ns: i64) -> Option<Totp> {
    match step_of(&totp.secret, code, now_ns) {
        Some(step) => totp.taken(step),
        None => totp.recovered(&hash(code.trim())),
    }
}

/// Returns recovery codes and the hashes that are kept of them.
///
/// Errors: what the system said when it has no randomness.
pub(crate) fn recovery_codes() -> Result<(Vec<String>, Vec<SecretHash>), String> {
    let codes: Result<Vec<String>, String> = (0..RECOVERY)
        // 128 bits each, so that a fast hash is enough.
        .map(|_| Ok(hex(&random::<16>()?)))
        .collect();
    let codes = codes?;
    let hashes = codes.iter().map(|code| hash(code)).collect();
    Ok((codes, hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";
    const SECOND: i64 = 1_000_000_000;

    /// Source: RFC 6238, appendix B, the last six of its eight digits.
    #[test]
    fn the_codes_of_the_standard_are_right() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000_i64 / 10, "279037"),
        ] {
            let step = step_of(SECRET, code, seconds * SECOND);
            assert_eq!(step, Some(seconds as u64 / 30), "{code}");
        }
    }

    #[test]
    fn a_code_is_right_for_a_minute_and_a_half_and_once() {
        let totp = Totp {
            secret: SECRET.to_vec(),
            last_step: 0,
            recovery: Vec::new(),
        };
        let at = |seconds: i64| check_totp(&totp, "081804", seconds * SECOND);
        let step = 1_111_111_109 / 30 * 30;
        assert!(at(step - 30).is_some() && at(step + 59).is_some());
        assert!(at(step - 31).is_none() && at(step + 60).is_none());
        let used = at(step).unwrap();
        assert!(check_totp(&used, "081804", (step + 1) * SECOND).is_none());
        for code in ["", "81804", "0818045", "08180a", "+81804"] {
            assert!(check_totp(&totp, code, step * SECOND).is_none(), "{code}");
        }
    }

    #[test]
    fn recovery_codes_work_once_each() {
        let (codes, recovery) = recovery_codes().unwrap();
        let totp = Totp {
            secret: SECRET.to_vec(),
            last_step: 0,
            recovery,
        };
        let used = check_totp(&totp, &codes[3], 0).unwrap();
        assert_eq!(used.recovery.len(), RECOVERY - 1);
        assert!(check_totp(&used, &codes[3], 0).is_none());
        assert!(check_totp(&used, &codes[4], 0).is_some());
    }

    #[test]
    fn a_device_gets_the_secret() {
        let (base32, url) = totp_secret("ann", SECRET);
        assert_eq!(base32, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(url.starts_with("otpauth://totp/ApexTrade:ann?secret=GEZD"));
    }
}
