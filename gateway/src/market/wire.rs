//! `Subscribe` on the wire. Its messages come encoded, so that a batch is encoded once for all
//! streams that get it; the generated server would do that for each.

use super::member::{MemberStream, Numbered, begin};
use crate::shared::{Shared, caller};
use apex_proto::v1;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::BufMut;
use futures::future::BoxFuture;
use std::convert::Infallible;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// The route of the method, which goes before that of its service.
pub(crate) fn subscribe_route(router: Router, shared: Shared) -> Router {
    router.route(
        "/apextrade.v1.MarketDataService/Subscribe",
        axum::routing::any(serve).with_state(shared),
    )
}

async fn serve(State(shared): State<Shared>, request: Request) -> Result<Response, Infallible> {
    let bytes = shared.limits.message_bytes;
    let mut grpc =
        tonic::server::Grpc::new(BatchCodec).apply_max_message_size_config(Some(bytes), None);
    let answer = grpc.server_streaming(Subscribe(shared), request).await;
    Ok(answer.map(axum::body::Body::new))
}

struct Subscribe(Shared);

impl tonic::server::ServerStreamingService<v1::SubscribeRequest> for Subscribe {
    type Response = Numbered;
    type ResponseStream = MemberStream;
    type Future = BoxFuture<'static, Result<tonic::Response<MemberStream>, Status>>;

    fn call(&mut self, request: tonic::Request<v1::SubscribeRequest>) -> Self::Future {
        let opened = caller(&request).and_then(|caller| begin(&self.0, caller, request.get_ref()));
        Box::pin(std::future::ready(opened.map(tonic::Response::new)))
    }
}

/// Reads requests as any other; writes messages that are encoded already.
struct BatchCodec;

impl Codec for BatchCodec {
    type Encode = Numbered;
    type Decode = v1::SubscribeRequest;
    type Encoder = BatchEncoder;
    type Decoder = ProstDecoder<v1::SubscribeRequest>;

    fn encoder(&mut self) -> BatchEncoder {
        BatchEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<v1::MarketDataBatch, v1::SubscribeRequest>::default().decoder()
    }
}

pub(super) struct BatchEncoder;

/// Field 1, a varint.
const BATCH_SEQUENCE: u8 = 1 << 3;

impl Encoder for BatchEncoder {
    type Item = Numbered;
    type Error = Status;

    fn encode(&mut self, item: Numbered, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        write(&item, buffer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // A full batch is some 20 kB, which goes out at once.
        BufferSettings::new(8 * 1_024, 16 * 1_024)
    }
}

/// Writes the message: fields in order of their numbers, as any encoder does.
pub(super) fn write(item: &Numbered, buffer: &mut impl BufMut) {
    buffer.put_u8(BATCH_SEQUENCE);
    prost::encoding::encode_varint(item.batch_sequence, buffer);
    buffer.put_slice(&item.body);
}
