//! `OrderService`.

use super::past::Past;
use super::{closing, order_command, order_session, order_stream, strategy_names};
use crate::auth::Caller;
use crate::page::{self, Place};
use crate::shared::{Shared, caller};
use crate::{status, stream};
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, CommandError, OrderFilter, Page};
use apex_domain::account::{Refusal, Reply};
use apex_domain::order::{Order, OrderKey};
use apex_domain::{AccountId, InstrumentId, StrategyId};
use apex_proto::convert::order::{self as wire, OrderRef};
use apex_proto::field::Fields;
use apex_proto::v1::order_service_server::OrderService;
use apex_proto::{convert::text, v1};
use tonic::{Request, Response, Status, Streaming};

/// Orders of the accounts of this node.
#[derive(Clone, Debug)]
pub struct OrderServer {
    pub(super) shared: Shared,
}

impl OrderServer {
    pub fn new(shared: Shared) -> OrderServer {
        OrderServer { shared }
    }

    fn write(&self, order: &Order) -> Result<Response<v1::Order>, Status> {
        let mut definitions = self.shared.definitions();
        let instrument = definitions.get(&order.request.instrument_id)?;
        Ok(Response::new(wire::order(order, instrument)))
    }

    /// Hands over a command about an instrument, which is made known to the account first where
    /// it does not know it.
    pub(super) async fn knowing(
        &self,
        account: &AccountHandle,
        instrument_id: &InstrumentId,
        command: AccountCommand,
    ) -> Result<Reply, CommandError> {
        match account.command(command.clone()).await {
            Err(CommandError::Refused(Refusal::UnknownInstrument(id))) => {
                let Some(instrument) = self.shared.platform.market.instrument(instrument_id) else {
                    return Err(CommandError::Refused(Refusal::UnknownInstrument(id)));
                };
                account
                    .command(AccountCommand::DefineInstrument(Box::new(instrument)))
                    .await?;
                account.command(command).await
            }
            answer => answer,
        }
    }

    /// Returns the account that has the order, and the order.
    pub(super) async fn find(
        &self,
        caller: &Caller,
        order: &OrderRef,
    ) -> Result<(AccountHandle, Order), Status> {
        if let Some(account_id) = &order.account_id {
            let account = self.shared.account(caller, account_id)?;
            let found = account
                .order(order.key.clone())
                .await
                .map_err(|e| status::command(&e))?;
            return found
                .map(|order| (account, order))
                .ok_or_else(status::order_not_found);
        }
        for account in self.candidates(caller, &order.key) {
            let found = account
                .order(order.key.clone())
                .await
                .map_err(|e| status::command(&e))?;
            if let Some(order) = found {
                return Ok((account, order));
            }
        }
        Err(status::order_not_found())
    }

    /// Returns an order as it was.
    async fn find_then(
        &self,
        caller: &Caller,
        order: &OrderRef,
        past: &Past<'_>,
    ) -> Result<Response<v1::Order>, Status> {
        let accounts = match &order.account_id {
            Some(account_id) => vec![self.shared.account(caller, account_id)?],
            None => self.candidates(caller, &order.key),
        };
        for account in accounts {
            let found = past.order(account.account_id(), order.key.clone()).await?;
            if let Some(order) = found {
                return Ok(Response::new(order));
            }
        }
        Err(status::order_not_found())
    }

    /// Returns the accounts to ask for an order, the one that its id names first: an order id is
    /// the account's id and a number.
    fn candidates(&self, caller: &Caller, key: &OrderKey) -> Vec<AccountHandle> {
        let named = match key {
            OrderKey::OrderId(id) => id.as_str().rsplit_once('-').map(|(account, _)| account),
            OrderKey::ClientOrderId(_) => None,
        };
        let mut accounts = self.shared.accounts(caller);
        accounts.sort_by_key(|account| Some(account.account_id().as_str()) != named);
        accounts
    }
}

#[tonic::async_trait]
impl OrderService for OrderServer {
    async fn submit_order(
        &self,
        request: Request<v1::SubmitOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = caller(&request)?;
        let (account, order) = self.read_submit(&caller, request.get_ref())?;
        let instrument_id = order.instrument_id.clone();
        let command = AccountCommand::Submit(order);
        let answer = self.knowing(&account, &instrument_id, command).await;
        order_command::submitted(&mut self.shared.definitions(), answer).map(Response::new)
    }

    async fn amend_order(
        &self,
        request: Request<v1::AmendOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = caller(&request)?;
        let draft = order_command::read_amend(request.get_ref())?;
        let (account, order) = self.find(&caller, &draft.order).await?;
        let mut definitions = self.shared.definitions();
        let instrument = definitions.get(&order.request.instrument_id)?;
        let amend = order_command::amend_at(&draft, instrument)?;
        let answer = account.command(AccountCommand::Amend(amend)).await;
        order_command::changed(&mut definitions, answer).map(Response::new)
    }

    async fn cancel_order(
        &self,
        request: Request<v1::CancelOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = caller(&request)?;
        let (order, request_id) =
            wire::read_cancel(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        let account = match &order.account_id {
            // Whether it has the order is its own word.
            Some(account_id) => self.shared.account(&caller, account_id)?,
            None => self.find(&caller, &order).await?.0,
        };
        let command = order_command::cancel(order.key, request_id);
        let answer = account.command(command).await;
        order_command::changed(&mut self.shared.definitions(), answer).map(Response::new)
    }

    async fn resolve_order(
        &self,
        request: Request<v1::ResolveOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = caller(&request)?;
        let (order, mut resolve) =
            wire::read_resolve(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        let (account, _) = self.find(&caller, &order).await?;
        resolve.by = caller.user_id.clone();
        match account.command(AccountCommand::ResolveOrder(resolve)).await {
            Ok(Reply::Order(order)) => self.write(&order),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(status::command(&error)),
        }
    }

    async fn submit_order_list(
        &self,
        request: Request<v1::SubmitOrderListRequest>,
    ) -> Result<Response<v1::SubmitOrderListResponse>, Status> {
        let caller = caller(&request)?;
        let answer = self.submit_list(&caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn cancel_orders(
        &self,
        request: Request<v1::CancelOrdersRequest>,
    ) -> Result<Response<v1::CancelOrdersResponse>, Status> {
        let caller = caller(&request)?;
        let answer = self.cancel_several(&caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn cancel_all_orders(
        &self,
        request: Request<v1::CancelAllOrdersRequest>,
    ) -> Result<Response<v1::CancelAllOrdersResponse>, Status> {
        let caller = caller(&request)?;
        let answer = self.cancel_all(&caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn close_position(
        &self,
        request: Request<v1::ClosePositionRequest>,
    ) -> Result<Response<v1::CloseResponse>, Status> {
        let caller = caller(&request)?;
        let close =
            wire::read_close(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        self.close(&caller, close).await.map(Response::new)
    }

    async fn flatten_account(
        &self,
        request: Request<v1::FlattenAccountRequest>,
    ) -> Result<Response<v1::CloseResponse>, Status> {
        let caller = caller(&request)?;
        let close =
            wire::read_flatten(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        self.close(&caller, close).await.map(Response::new)
    }

    async fn get_closing(
        &self,
        request: Request<v1::GetClosingRequest>,
    ) -> Result<Response<v1::Closing>, Status> {
        let caller = caller(&request)?;
        closing::get(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn preview_order(
        &self,
        request: Request<v1::SubmitOrderRequest>,
    ) -> Result<Response<v1::PreviewOrderResponse>, Status> {
        let caller = caller(&request)?;
        let answer = self.preview(&caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn get_order(
        &self,
        request: Request<v1::GetOrderRequest>,
    ) -> Result<Response<v1::Order>, Status> {
        let caller = caller(&request)?;
        let get = request.get_ref();
        let order = wire::read_order_ref(&get.account_id, &get.order_id, &get.client_order_id)
            .map_err(|errors| status::invalid(&errors))?;
        match Past::read(&self.shared, get.as_of_ns, &get.account_id)? {
            Some(past) => self.find_then(&caller, &order, &past).await,
            None => self.write(&self.find(&caller, &order).await?.1),
        }
    }

    async fn list_orders(
        &self,
        request: Request<v1::ListOrdersRequest>,
    ) -> Result<Response<v1::ListOrdersResponse>, Status> {
        let caller = caller(&request)?;
        let list = request.get_ref();
        let past = Past::read(&self.shared, list.as_of_ns, &list.account_id)?;
        let filter = read_filter(&list.instrument_id, &list.strategy_id, list.working_only)?;
        let instrument_id = filter.instrument_id.as_ref();
        self.shared
            .check_instrument("instrument_id", instrument_id)?;
        let accounts = self.shared.scope(&caller, &list.account_id)?;
        let size = page::size(list.page_size)?;
        let mut place = Place::read(&list.page_token)?;
        if place.is_none() {
            // The pages behind the first have its filters.
            strategy_names::check_filter(&self.shared, &accounts, &filter).await?;
        }
        let mut found: Vec<v1::Order> = Vec::new();
        let mut next = None;
        for account in accounts {
            let Some(cursor) = enter(&mut place, account.account_id()) else {
                continue;
            };
            if found.len() == size {
                next = Some(Place {
                    account_id: account.account_id().clone(),
                    cursor,
                });
                break;
            }
            let page = Page {
                cursor,
                limit: size - found.len(),
            };
            let (orders, cursor) = match &past {
                Some(past) => {
                    let id = account.account_id();
                    past.orders(id, filter.clone(), page).await?
                }
                None => {
                    let answer = account.orders(filter.clone(), page).await;
                    let (orders, cursor) = answer.map_err(|e| status::command(&e))?;
                    (write_all(&self.shared, &orders)?, cursor)
                }
            };
            found.extend(orders);
            if cursor.is_some() {
                next = Some(Place {
                    account_id: account.account_id().clone(),
                    cursor,
                });
                break;
            }
        }
        Ok(Response::new(v1::ListOrdersResponse {
            orders: found,
            next_page_token: next.map(|place| place.write()).unwrap_or_default(),
        }))
    }

    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let caller = caller(&request)?;
        let list = request.get_ref();
        let past = Past::read(&self.shared, list.as_of_ns, &list.account_id)?;
        let size = page::size(list.page_size)?;
        let mut place = Place::read(&list.page_token)?;
        let mut definitions = self.shared.definitions();
        let mut found = Vec::new();
        let mut next = None;
        for account in self.shared.scope(&caller, &list.account_id)? {
            let account_id = account.account_id();
            let Some(cursor) = enter(&mut place, account_id) else {
                continue;
            };
            if found.len() == size {
                next = Some(Place {
                    account_id: account_id.clone(),
                    cursor,
                });
                break;
            }
            let page = Page {
                cursor,
                limit: size - found.len(),
            };
            let (executions, cursor) = match &past {
                Some(past) => past.executions(account_id, page).await?,
                None => {
                    let answer = account.executions(page).await;
                    let (records, cursor) = answer.map_err(|e| status::command(&e))?;
                    let written = records.iter().map(|record| {
                        let instrument = definitions.get(&record.execution.instrument_id)?;
                        Ok(wire::execution(account_id, record, instrument))
                    });
                    (written.collect::<Result<_, Status>>()?, cursor)
                }
            };
            found.extend(executions);
            if cursor.is_some() {
                next = Some(Place {
                    account_id: account_id.clone(),
                    cursor,
                });
                break;
            }
        }
        Ok(Response::new(v1::ListExecutionsResponse {
            executions: found,
            next_page_token: next.map(|place| place.write()).unwrap_or_default(),
        }))
    }

    type OrderSessionStream = stream::Receiver<v1::OrderSessionResponse>;

    async fn order_session(
        &self,
        request: Request<Streaming<v1::OrderSessionRequest>>,
    ) -> Result<Response<Self::OrderSessionStream>, Status> {
        order_session::begin(self, request).map(Response::new)
    }

    type StreamOrdersStream = stream::Receiver<v1::StreamOrdersResponse>;

    async fn stream_orders(
        &self,
        request: Request<v1::StreamOrdersRequest>,
    ) -> Result<Response<Self::StreamOrdersStream>, Status> {
        let caller = caller(&request)?;
        order_stream::begin(&self.shared, caller, request.into_inner())
            .await
            .map(Response::new)
    }
}

pub(super) fn write_all(shared: &Shared, orders: &[Order]) -> Result<Vec<v1::Order>, Status> {
    let mut definitions = shared.definitions();
    orders
        .iter()
        .map(|order| {
            Ok(wire::order(
                order,
                definitions.get(&order.request.instrument_id)?,
            ))
        })
        .collect()
}

/// Reads which orders a list wants.
pub(super) fn read_filter(
    instrument_id: &str,
    strategy_id: &str,
    working_only: bool,
) -> Result<OrderFilter, Status> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let instrument_id = text::optional(f, "instrument_id", instrument_id, InstrumentId::in_command);
    let strategy_id = text::optional(f, "strategy_id", strategy_id, StrategyId::new);
    let filter = instrument_id.zip(strategy_id);
    let filter = filter.map(|(instrument_id, strategy_id)| OrderFilter {
        instrument_id,
        strategy_id,
        working_only,
    });
    fields
        .finish(filter)
        .map_err(|errors| status::invalid(&errors))
}

/// Returns where to begin in this account, or `None` when the page begins behind it. Accounts
/// come in order of id; the place counts for the first one that is not before it.
pub(super) fn enter(place: &mut Option<Place>, account_id: &AccountId) -> Option<Option<u64>> {
    match place {
        Some(wanted) if *account_id < wanted.account_id => None,
        Some(wanted) if *account_id == wanted.account_id => {
            let cursor = wanted.cursor;
            *place = None;
            Some(cursor)
        }
        _ => Some(None),
    }
}

/// An account answered with something that its contract does not have for this command. That is
/// a fault of ours, and the outcome has to be asked for.
pub(super) fn unexpected(reply: &Reply) -> Status {
    tracing::error!(?reply, "an account gave an answer of the wrong kind");
    status::command(&CommandError::Stopped)
}
