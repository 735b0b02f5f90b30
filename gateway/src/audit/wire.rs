//! Messages and statuses on their way through the layer.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Bytes before the message of a gRPC call: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Text of a status that is kept.
const TEXT_BYTES: usize = 1_000;

/// What came of a call.
#[derive(Debug)]
pub(super) struct Outcome {
    pub code: Code,
    pub reason: String,
    pub text: String,
    /// The answer's message.
    pub message: Vec<u8>,
}

impl Outcome {
    pub fn of_status(status: &Status) -> Outcome {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        Outcome {
            code: status.code(),
            reason: reason.unwrap_or_default(),
            text: status.message().chars().take(TEXT_BYTES).collect(),
            message: Vec::new(),
        }
    }

    /// Reads the status in the headers; a call that was answered has none there.
    pub fn of_headers(headers: &HeaderMap) -> Outcome {
        match Status::from_header_map(headers) {
            Some(status) => Outcome::of_status(&status),
            None => Outcome {
                code: Code::Ok,
                reason: String::new(),
                text: String::new(),
                message: Vec::new(),
            },
        }
    }

    /// What is known of a call whose caller went away, or whose time was over.
    pub fn left() -> Outcome {
        Outcome {
            code: Code::Cancelled,
            reason: String::new(),
            text:
                "the caller did not wait for the answer: what came of it stands in the account's \
                   journal"
                    .to_owned(),
            message: Vec::new(),
        }
    }
}

/// Takes the message out of the one frame of a call; empty when it is none.
fn message_of(body: &[u8]) -> &[u8] {
    let Some(([is_compressed, length @ ..], message)) = body.split_first_chunk::<PREFIX>() else {
        return &[];
    };
    let length = u32::from_be_bytes(*length) as usize;
    match message.get(..length) {
        Some(message) if *is_compressed == 0 => message,
        _ => &[],
    }
}

/// Reads a request's message, and gives the request back as it was. Of one that is too large the
/// beginning is given back, which says so to whoever decodes it.
pub(super) async fn read(request: Request, limit: usize) -> (Request, Vec<u8>) {
    let (parts, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while bytes.len() <= limit + PREFIX {
        // A body that breaks off is one whose message does not decode.
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    let message = message_of(&bytes).to_vec();
    (Request::from_parts(parts, Body::from(bytes)), message)
}

/// Reads what came of a call, and gives the response back as it was.
pub(super) async fn outcome(response: Response) -> (Response, Outcome) {
    let mut outcome = Outcome::of_headers(response.headers());
    let (parts, body) = response.into_parts();
    let (bytes, trailers) = match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            (collected.to_bytes(), trailers)
        }
        // No service of ours ends so; the client sees a call without a status.
        Err(_) => (Bytes::new(), None),
    };
    if let Some(status) = trailers.as_ref().and_then(Status::from_header_map)
        && status.code() != Code::Ok
    {
        outcome = Outcome::of_status(&status);
    }
    if outcome.code == Code::Ok {
        outcome.message = message_of(&bytes).to_vec();
    }
    let body = match trailers {
        Some(trailers) => Body::new(Full::new(bytes).with_trailers(async { Some(Ok(trailers)) })),
        // A refusal is its headers alone: the stream has to end with them.
        None => Body::from(bytes),
    };
    (Response::from_parts(parts, body), outcome)
}
