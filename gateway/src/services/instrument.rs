//! `InstrumentService`.

use crate::page;
use crate::shared::Shared;
use crate::status;
use apex_domain::InstrumentId;
use apex_proto::convert::instrument as wire;
use apex_proto::v1;
use apex_proto::v1::instrument_service_server::InstrumentService;
use tonic::{Request, Response, Status};

/// Instruments that this process knows.
#[derive(Clone, Debug)]
pub struct InstrumentServer {
    shared: Shared,
}

impl InstrumentServer {
    pub fn new(shared: Shared) -> InstrumentServer {
        InstrumentServer { shared }
    }
}

/// Reads the id of an instrument that has to be there.
pub(super) fn read_id(text: &str) -> Result<InstrumentId, Status> {
    InstrumentId::in_command(text).map_err(|error| status::invalid_field("instrument_id", error))
}

#[tonic::async_trait]
impl InstrumentService for InstrumentServer {
    async fn list_instruments(
        &self,
        request: Request<v1::ListInstrumentsRequest>,
    ) -> Result<Response<v1::ListInstrumentsResponse>, Status> {
        let list = request.get_ref();
        let size = page::size(list.page_size)?;
        // The token is the id at which the page begins.
        let from = match list.page_token.as_str() {
            "" => None,
            token => Some(InstrumentId::new(token).map_err(|_| {
                status::invalid_field("page_token", "is not one that a list answered")
            })?),
        };
        let mut views = self.shared.platform.market.views();
        views.retain(|view| {
            let id = &view.instrument.instrument_id;
            (list.venue.is_empty() || id.venue() == list.venue)
                && from.as_ref().is_none_or(|from| id >= from)
        });
        let next = views
            .get(size)
            .map(|view| view.instrument.instrument_id.to_string());
        let page = views.iter().take(size);
        Ok(Response::new(v1::ListInstrumentsResponse {
            instruments: page
                .map(|view| wire::instrument(&view.instrument, view.feed))
                .collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_instrument(
        &self,
        request: Request<v1::GetInstrumentRequest>,
    ) -> Result<Response<v1::Instrument>, Status> {
        let id = read_id(&request.get_ref().instrument_id)?;
        let view = self.shared.platform.market.view(&id);
        let view = view.ok_or_else(|| self.shared.instrument_not_found("instrument_id", &id))?;
        Ok(Response::new(wire::instrument(&view.instrument, view.feed)))
    }
}
