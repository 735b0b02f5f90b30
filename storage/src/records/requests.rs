//! Answers that were given, so that the same request again gets the same one.

use super::{Kept, check_name, decode, encode, key_of};
use crate::StorageError;
use crate::port::records::{Change, Records};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long an answer is kept: seven days, in nanoseconds.
pub const ANSWER_KEPT_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Who asked; the ids of one user are no matter of another's.
    pub user_id: String,
    /// What the request calls itself.
    pub request_id: String,
    /// `Service/Method`.
    pub method: String,
    /// SHA-256 of what was asked, in hexadecimal digits.
    pub asked: String,
    /// What was answered, in base64.
    pub answer: String,
    /// When.
    pub at_ns: i64,
}

impl Kept for Answer {
    const TABLE: &'static str = "requests";
    const PREFIX: &'static str = "answer/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        format!("{}/{}", self.user_id, self.request_id)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("user", &self.user_id)?;
        check_name("request", &self.request_id)
    }
}

/// A request that names itself.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub user_id: &'a str,
    /// What it calls itself.
    pub request_id: &'a str,
    /// `Service/Method`.
    pub method: &'a str,
    /// What is asked, without secrets: a hash of it is kept, and a password can be guessed from its
    /// hash.
    pub content: &'a [u8],
}

/// What is known of a request.
#[derive(Debug)]
pub enum Known {
    /// It was not answered within [`ANSWER_KEPT_NS`]: carry it out, and store the answer in the same
    /// change as its effect.
    New(Slot),
    /// It was answered so.
    Answered(Vec<u8>),
    /// The same user asked for something else under this id.
    Other,
}

/// Where the answer to a new request goes.
#[derive(Debug)]
pub struct Slot {
    answer: Answer,
    old: Option<Vec<u8>>,
}

/// Looks a request up at `now_ns`.
///
/// # Errors
/// `BadName`, `NewerVersion`, `Damaged`; those of [`Records::get`].
pub fn look(records: &dyn Records, asked: &Asked<'_>, now_ns: i64) -> Result<Known, StorageError> {
    let answer = Answer {
        user_id: asked.user_id.to_owned(),
        request_id: asked.request_id.to_owned(),
        method: asked.method.to_owned(),
        asked: hex(&Sha256::digest(asked.content)),
        answer: String::new(),
        at_ns: 0,
    };
    answer.check()?;
    let key = key_of::<Answer>(&answer.key());
    let Some(old) = records.get(Answer::TABLE, &key)? else {
        return Ok(Known::New(Slot { answer, old: None }));
    };
    let found = decode::<Answer>(&key, old.clone())?.value;
    if found.is_over(now_ns) {
        let old = Some(old);
        return Ok(Known::New(Slot { answer, old }));
    }
    if (&found.method, &found.asked) != (&answer.method, &answer.asked) {
        return Ok(Known::Other);
    }
    let bytes = STANDARD.decode(&found.answer);
    let bytes = bytes.map_err(|_| super::damaged(Answer::TABLE, &key))?;
    Ok(Known::Answered(bytes))
}

impl Answer {
    /// Returns true when it need not be kept any longer.
    pub fn is_over(&self, now_ns: i64) -> bool {
        now_ns.saturating_sub(self.at_ns) >= ANSWER_KEPT_NS
    }
}

impl Slot {
    /// Returns the change that stores the answer. It conflicts when another caller answered the same
    /// request meanwhile: look it up again then.
    ///
    /// # Errors
    /// `BadName`.
    pub fn answered(self, answer: &[u8], now_ns: i64) -> Result<Change, StorageError> {
        let answer = Answer {
            answer: STANDARD.encode(answer),
            at_ns: now_ns,
            ..self.answer
        };
        let (key, bytes) = (key_of::<Answer>(&answer.key()), encode(&answer)?);
        Ok(match self.old {
            None => Change::insert(Answer::TABLE, &key, bytes),
            Some(old) => Change::replace(Answer::TABLE, &key, old, bytes),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
