//! A tonic server that answers each order with the same answer, and does nothing else.

use apex_proto::v1;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Clone)]
struct Echo(Arc<v1::Order>);

impl NamedService for Echo {
    const NAME: &'static str = "apextrade.v1.OrderService";
}

impl UnaryService<v1::SubmitOrderRequest> for Echo {
    type Response = v1::Order;
    type Future = Ready<Result<Response<v1::Order>, Status>>;

    fn call(&mut self, request: Request<v1::SubmitOrderRequest>) -> Self::Future {
        let mut order = (*self.0).clone();
        order.client_order_id = request.into_inner().client_order_id;
        ready(Ok(Response::new(order)))
    }
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<v1::Order, v1::SubmitOrderRequest>::default();
            Ok(Grpc::new(codec).unary(echo, request).await)
        })
    }
}

/// Serves on a free port.
pub async fn serve(answer: v1::Order) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let echo = Echo(Arc::new(answer));
    let server = Server::builder().tcp_nodelay(true).add_service(echo);
    let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(async move { serving.await.expect("it serves") });
    address
}
