//! `MarketDataService`.

use super::instrument::read_id;
use super::{market_history, order_book};
use crate::shared::{Shared, caller};
use crate::{status, stream};
use apex_bus::market::BOOK_DEPTH;
use apex_proto::convert::market as wire;
use apex_proto::v1;
use apex_proto::v1::market_data_service_server::MarketDataService;
use tonic::{Request, Response, Status};

/// Market data of this process.
#[derive(Clone, Debug)]
pub struct MarketDataServer {
    shared: Shared,
}

impl MarketDataServer {
    pub fn new(shared: Shared) -> MarketDataServer {
        MarketDataServer { shared }
    }
}

#[tonic::async_trait]
impl MarketDataService for MarketDataServer {
    type SubscribeStream = futures::stream::Empty<Result<v1::MarketDataBatch, Status>>;
    type StreamOrderBookStream = stream::Receiver<v1::OrderBookBatch>;

    /// Never called: the route of this method is served by `crate::market`, with messages that are
    /// encoded once for all streams.
    async fn subscribe(
        &self,
        _: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(status::not_here("other way to Subscribe"))
    }

    async fn get_book(
        &self,
        request: Request<v1::GetBookRequest>,
    ) -> Result<Response<v1::Book>, Status> {
        let id = read_id(&request.get_ref().instrument_id)?;
        let depth = read_depth(request.get_ref().depth)?;
        let view = self.shared.platform.market.view(&id);
        let view = view.ok_or_else(|| self.shared.instrument_not_found("instrument_id", &id))?;
        let book = view.book.ok_or_else(|| status::no_book(&id))?;
        Ok(Response::new(wire::decimal_book(
            &book,
            &view.instrument,
            depth,
        )))
    }

    async fn get_order_book(
        &self,
        request: Request<v1::GetOrderBookRequest>,
    ) -> Result<Response<v1::OrderBook>, Status> {
        let id = read_id(&request.get_ref().instrument_id)?;
        let depth = read_depth(request.get_ref().depth)?;
        let book = order_book::get(&self.shared, &id, depth).await?;
        Ok(Response::new(book))
    }

    async fn stream_order_book(
        &self,
        request: Request<v1::StreamOrderBookRequest>,
    ) -> Result<Response<Self::StreamOrderBookStream>, Status> {
        let caller = caller(&request)?;
        let id = read_id(&request.get_ref().instrument_id)?;
        let stream = order_book::begin(&self.shared, caller, id).await?;
        Ok(Response::new(stream))
    }

    async fn get_trades(
        &self,
        request: Request<v1::GetTradesRequest>,
    ) -> Result<Response<v1::GetTradesResponse>, Status> {
        market_history::trades(&self.shared, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_quotes(
        &self,
        request: Request<v1::GetQuotesRequest>,
    ) -> Result<Response<v1::GetQuotesResponse>, Status> {
        market_history::quotes(&self.shared, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_bars(
        &self,
        request: Request<v1::GetBarsRequest>,
    ) -> Result<Response<v1::GetBarsResponse>, Status> {
        market_history::bars(&self.shared, request.into_inner())
            .await
            .map(Response::new)
    }
}

/// Reads a number of levels; none given is all that are published.
fn read_depth(depth: i32) -> Result<usize, Status> {
    match usize::try_from(depth) {
        Ok(0) => Ok(BOOK_DEPTH),
        Ok(depth) => Ok(depth.min(BOOK_DEPTH)),
        Err(_) => Err(status::invalid_field("depth", "must not be negative")),
    }
}
