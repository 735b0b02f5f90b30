//! The records of an order session: one for each message of commands, and one for what came of it.

use super::{Auditor, KEPT_BYTES, SHORT_PATIENCE, answer, wire};
use apex_bus::audit::{AuditError, Ticket};
use apex_domain::audit::{AuditOrigin, AuditRecord};
use apex_proto::v1;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::time::Duration;
use tonic::{Code, Status};

/// The action of what is commanded in an order session.
const ACTION: &str = "OrderService/OrderSession";

/// `OrderSessionResponse.answers`.
const ANSWERS: u32 = 2;
/// `OrderSessionAnswers.answers`.
const ANSWER: u32 = 1;

/// How long answers wait that must not be held up, see [`super::SHORT_PATIENCE`].
pub(crate) const SHORT_WAIT: Duration = SHORT_PATIENCE;

impl Auditor {
    /// Records a message of a session; `essential` ones whatever the audit says.
    ///
    /// Errors: the audit does not work. Nothing of the message may be carried out, but for what is
    /// essential.
    pub(crate) fn session_message(
        &self,
        origin: &AuditOrigin,
        message: &v1::OrderSessionRequest,
        essential: bool,
    ) -> Result<(Message, Ticket), AuditError> {
        let ready = if essential {
            Ok(())
        } else {
            self.audit.ready()
        };
        let request = self.request(ACTION, origin.clone(), &message.encode_to_vec());
        let call = request.call;
        let taken = ready.and_then(|()| self.audit.append(AuditRecord::Requested(request)));
        let ticket = taken.inspect_err(|_| {
            if essential {
                self.audit.lost();
            }
        })?;
        let auditor = self.clone();
        let message = Message {
            auditor,
            call,
            answers: Vec::new(),
            commands: 0,
            refused: 0,
            first: None,
        };
        Ok((message, ticket))
    }

    /// Returns the bytes that one record keeps of a message.
    pub(crate) const fn kept_bytes() -> usize {
        KEPT_BYTES
    }
}

/// A recorded message whose commands are being answered. Dropped, what came of it is recorded as
/// far as it is known.
#[derive(Debug)]
pub(crate) struct Message {
    auditor: Auditor,
    call: u64,
    /// Encoded as they left.
    answers: Vec<u8>,
    commands: usize,
    refused: usize,
    first: Option<(i32, String, String)>,
}

impl Message {
    /// Notes what a command came to.
    pub fn answered(&mut self, answer: &v1::OrderSessionAnswer) {
        self.commands += 1;
        if let Some(v1::order_session_answer::Answer::Error(error)) = &answer.answer {
            self.refused += 1;
            let told = || (error.code, error.reason.clone(), error.message.clone());
            self.first.get_or_insert_with(told);
        }
        if self.answers.len() <= KEPT_BYTES {
            prost::encoding::message::encode(ANSWER, answer, &mut self.answers);
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let mut message = Vec::with_capacity(self.answers.len() + 8);
        encode_key(ANSWERS, WireType::LengthDelimited, &mut message);
        encode_varint(self.answers.len() as u64, &mut message);
        message.append(&mut self.answers);
        let outcome = match self.first.take() {
            None => wire::Outcome {
                message,
                ..wire::Outcome::of_status(&Status::new(Code::Ok, ""))
            },
            Some((code, reason, text)) => wire::Outcome {
                code: Code::from_i32(code),
                reason,
                text: format!("{} of {} refused: {text}", self.refused, self.commands),
                message,
            },
        };
        let record = AuditRecord::Answered(answer(self.call, outcome, Vec::new()));
        if self.auditor.audit.append(record).is_err() {
            // The request is there, and what came of it stands in the account's journal.
            self.auditor.audit.lost();
        }
    }
}
