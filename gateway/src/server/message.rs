//! The size of a client's messages, by the policy of the method. A message is refused by its length,
//! which stands before it, and not read.

use crate::{auth, status};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as _, Frame};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;

/// Of methods that have no .proto file of ours: health and reflection.
const MESSAGE_BYTES: u32 = 64 * 1_024;

/// What stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Refuses a message that is larger than its method takes.
pub(super) async fn size(request: Request, next: Next) -> Response {
    let method = auth::method(request.uri().path());
    let limit = method.map_or(MESSAGE_BYTES, |method| method.message_bytes);
    let (parts, body) = request.into_parts();
    let mut body = Bounded::new(body, limit);
    // Of a session the first message may come after the answer has begun.
    if !method.is_some_and(|method| method.takes_stream)
        && let Err(status) = body.first_prefix().await
    {
        return status.into_http();
    }
    next.run(Request::from_parts(parts, Body::new(body))).await
}

/// A body whose messages have a bound.
struct Bounded {
    body: Body,
    lengths: Lengths,
    /// Read to see the first length, and not passed on yet: at most that prefix and what came with
    /// it.
    ahead: VecDeque<Frame<Bytes>>,
}

impl Bounded {
    fn new(body: Body, limit: u32) -> Bounded {
        Bounded {
            body,
            lengths: Lengths {
                limit,
                prefix: [0; PREFIX],
                filled: 0,
                rest: 0,
                seen: 0,
            },
            ahead: VecDeque::new(),
        }
    }

    /// Reads until the length of the first message is known, or there is none.
    ///
    /// Errors: it is too large.
    async fn first_prefix(&mut self) -> Result<(), Status> {
        while self.lengths.seen == 0 {
            match poll_fn(|context| self.poll_body(context)).await {
                Some(Ok(frame)) => self.ahead.push_back(frame),
                Some(Err(Refused::TooLarge(limit))) => {
                    return Err(status::message_too_large(limit));
                }
                // Who decodes the body finds that it is cut off.
                Some(Err(Refused::Body(_))) | None => return Ok(()),
            }
        }
        Ok(())
    }

    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refused>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Refused::Body).and_then(|frame| {
            let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
            self.lengths.pass(data).map_err(Refused::TooLarge)?;
            Ok(frame)
        });
        Poll::Ready(Some(frame))
    }
}

enum Refused {
    TooLarge(u32),
    Body(axum::Error),
}

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let frame = ready!(self.poll_body(context));
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|refused| match refused {
                // Whoever decodes the body finds the status in it.
                Refused::TooLarge(limit) => axum::Error::new(status::message_too_large(limit)),
                Refused::Body(error) => error,
            })
        }))
    }
}

/// Follows the lengths of messages in a body, which comes in pieces of any size.
struct Lengths {
    limit: u32,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that came.
    filled: usize,
    /// Bytes of the message that did not.
    rest: u64,
    /// Messages whose length is known.
    seen: u64,
}

impl Lengths {
    /// Errors: the limit, which a message passes.
    fn pass(&mut self, mut data: &[u8]) -> Result<(), u32> {
        while !data.is_empty() {
            if self.rest > 0 {
                let part = self.rest.min(data.len() as u64);
                self.rest -= part;
                data = &data[part as usize..];
                continue;
            }
            let part = (PREFIX - self.filled).min(data.len());
            self.prefix[self.filled..self.filled + part].copy_from_slice(&data[..part]);
            self.filled += part;
            data = &data[part..];
            if self.filled == PREFIX {
                self.filled = 0;
                let [_, length @ ..] = self.prefix;
                let length = u32::from_be_bytes(length);
                if length > self.limit {
                    return Err(self.limit);
                }
                self.rest = length.into();
                self.seen += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![0xff; length as usize]);
        bytes
    }

    proptest! {
        #[test]
        fn lengths_are_found_however_a_body_is_cut(
            lengths in proptest::collection::vec(0u32..40, 1..20),
            cuts in proptest::collection::vec(1usize..30, 1..200),
        ) {
            let limit = 32;
            let body: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let mut found = Bounded::new(Body::empty(), limit).lengths;
            let mut rest = &body[..];
            let mut result = Ok(());
            for cut in cuts.iter().cycle() {
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                result = result.and_then(|()| found.pass(part));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            let good = lengths.iter().take_while(|length| **length <= limit).count();
            prop_assert_eq!(result.is_ok(), good == lengths.len());
            prop_assert_eq!(found.seen, good as u64);
        }
    }
}
