//! What a command came to, as its client reads it.

use crate::services::order::OrderServer;
use crate::services::order_command;
use crate::shared::Definitions;
use apex_bus::handle::UnderWay;
use apex_bus::message::CommandError;
use apex_domain::account::Reply;
use apex_proto::v1;
use tonic::Status;
use tonic_types::StatusExt;
use v1::order_session_answer::Answer;

/// What an answer of the account is written as.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Submitted,
    Changed,
    /// With the id that the client gave the list.
    Listed(String),
    AllCanceled,
}

/// A command on its way: handed to the account, or refused before.
pub(super) type Way = Result<(Shape, UnderWay), Status>;

/// What came back.
pub(super) type Come = Result<(Shape, Result<Reply, CommandError>), Status>;

pub(super) async fn come(way: Way) -> Come {
    let (shape, under_way) = way?;
    Ok((shape, under_way.answer().await))
}

/// Writes an answer.
pub(super) fn write(
    server: &OrderServer,
    definitions: &mut Definitions,
    command_id: u64,
    come: Come,
) -> v1::OrderSessionAnswer {
    let written = come.and_then(|(shape, answer)| match shape {
        Shape::Submitted => order_command::submitted(definitions, answer).map(Answer::Order),
        Shape::Changed => order_command::changed(definitions, answer).map(Answer::Order),
        Shape::Listed(id) => order_command::listed(definitions, id, answer).map(Answer::OrderList),
        Shape::AllCanceled => order_command::all_canceled(server, answer).map(Answer::Canceled),
    });
    v1::OrderSessionAnswer {
        command_id,
        answer: Some(written.unwrap_or_else(|status| Answer::Error(error(&status)))),
    }
}

/// Writes the status that the unary method would have had.
pub(super) fn error(status: &Status) -> v1::OrderSessionError {
    let details = status.get_error_details();
    let (reason, metadata) = match details.error_info() {
        Some(info) => (info.reason.clone(), info.metadata.clone()),
        None => Default::default(),
    };
    let violations = details.bad_request().map(|it| &it.field_violations[..]);
    let violations = violations.unwrap_or_default().iter();
    let delay = details.retry_info().and_then(|it| it.retry_delay);
    v1::OrderSessionError {
        code: status.code() as i32,
        message: status.message().to_owned(),
        reason,
        metadata: metadata.into_iter().collect(),
        field_violations: violations
            .map(|it| v1::OrderSessionFieldViolation {
                field: it.field.clone(),
                description: it.description.clone(),
            })
            .collect(),
        retry_delay_ns: delay.map_or(0, |delay| {
            i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)
        }),
    }
}
