//! `AccountService`.

use super::order::{enter, unexpected};
use super::past::{Past, PastPositions};
use super::{account_desk, account_stream, reconcile};
use crate::page::{self, Place};
use crate::shared::{Definitions, Shared, caller};
use crate::{status, stream};
use apex_bus::handle::{AccountHandle, RunMode};
use apex_bus::message::{AccountCommand, AccountSummary, JournalHealth};
use apex_domain::account::Reply;
use apex_domain::portfolio::{Margin, MarginPart, Pnl, PnlKey, Position};
use apex_domain::{AccountId, Currency, Instrument, Price};
use apex_proto::convert::{account as wire, enums};
use apex_proto::v1;
use apex_proto::v1::account_service_server::AccountService;
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};

/// Accounts of this node.
#[derive(Clone, Debug)]
pub struct AccountServer {
    shared: Shared,
}

impl AccountServer {
    pub fn new(shared: Shared) -> AccountServer {
        AccountServer { shared }
    }

    /// Refuses a currency that nothing here is traded in and that the account does not have: most
    /// likely it is misspelt, and cash in it would be of no use.
    async fn check_currency(
        &self,
        handle: &AccountHandle,
        currency: &Currency,
    ) -> Result<(), Status> {
        let summary = handle
            .summary()
            .await
            .map_err(|error| status::command(&error))?;
        let instruments = self.shared.platform.market.instruments();
        let mut known: BTreeSet<&Currency> = instruments
            .iter()
            .flat_map(|it| [&it.base_currency, &it.quote_currency])
            .collect();
        known.extend(summary.cash.keys());
        known.insert(&summary.base_currency);
        if known.contains(currency) {
            return Ok(());
        }
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let detail = format!(
            "names {currency}, which no instrument here is traded in and the account does not have: \
             use one of {}",
            known.join(", ")
        );
        Err(status::invalid_field("currency", detail))
    }
}

#[tonic::async_trait]
impl AccountService for AccountServer {
    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let caller = caller(&request)?;
        let list = request.get_ref();
        let past = Past::read(&self.shared, list.as_of_ns, "")?;
        let size = page::size(list.page_size)?;
        let mut place = Place::read(&list.page_token)?;
        let mut accounts = Vec::new();
        let mut next = None;
        for handle in self.shared.accounts(&caller) {
            if enter(&mut place, handle.account_id()).is_none() {
                continue;
            }
            if accounts.len() == size {
                next = Some(Place {
                    account_id: handle.account_id().clone(),
                    cursor: None,
                });
                break;
            }
            accounts.extend(match &past {
                Some(past) => past.account(handle.account_id()).await?,
                None => Some(now(&handle).await?),
            });
        }
        Ok(Response::new(v1::ListAccountsResponse {
            accounts,
            next_page_token: next.map(|place| place.write()).unwrap_or_default(),
        }))
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = caller(&request)?;
        let get = request.get_ref();
        let past = Past::read(&self.shared, get.as_of_ns, &get.account_id)?;
        let id = AccountId::new(&get.account_id)
            .map_err(|error| status::invalid_field("account_id", error))?;
        let handle = self.shared.account(&caller, &id)?;
        let account = match past {
            Some(past) => past.account(&id).await?,
            None => Some(now(&handle).await?),
        };
        account
            .map(Response::new)
            .ok_or_else(|| status::account_not_found(&id, []))
    }

    async fn list_positions(
        &self,
        request: Request<v1::ListPositionsRequest>,
    ) -> Result<Response<v1::ListPositionsResponse>, Status> {
        let caller = caller(&request)?;
        let list = request.get_ref();
        let past = Past::read(&self.shared, list.as_of_ns, &list.account_id)?;
        let filter = super::order::read_filter(&list.instrument_id, "", false)?.instrument_id;
        self.shared
            .check_instrument("instrument_id", filter.as_ref())?;
        let size = page::size(list.page_size)?;
        let mut place = Place::read(&list.page_token)?;
        let mut definitions = self.shared.definitions();
        let mut positions = Vec::new();
        let mut next = None;
        'accounts: for handle in self.shared.scope(&caller, &list.account_id)? {
            let Some(cursor) = enter(&mut place, handle.account_id()) else {
                continue;
            };
            let account_id = handle.account_id();
            let held = match &past {
                Some(past) => Held::Then(past.positions(account_id).await?),
                None => Held::Now(summary(&handle).await?.positions),
            };
            // The cursor counts positions: a position, once there, stays in its place.
            for (index, position) in (0_u64..).zip(held.positions()) {
                let is_wanted = (list.include_flat || !position.is_flat())
                    && filter
                        .as_ref()
                        .is_none_or(|id| *id == position.instrument_id);
                if index < cursor.unwrap_or(0) || !is_wanted {
                    continue;
                }
                if positions.len() == size {
                    next = Some(Place {
                        account_id: account_id.clone(),
                        cursor: Some(index),
                    });
                    break 'accounts;
                }
                positions.push(match &held {
                    Held::Then(then) => then.write(account_id, position)?,
                    Held::Now(_) => self.position(account_id, position, &mut definitions)?,
                });
            }
        }
        Ok(Response::new(v1::ListPositionsResponse {
            positions,
            next_page_token: next.map(|place| place.write()).unwrap_or_default(),
        }))
    }

    type StreamAccountStream = stream::Receiver<v1::StreamAccountResponse>;

    async fn stream_account(
        &self,
        request: Request<v1::StreamAccountRequest>,
    ) -> Result<Response<Self::StreamAccountStream>, Status> {
        let caller = caller(&request)?;
        account_stream::begin(&self.shared, caller, request.get_ref()).map(Response::new)
    }

    async fn adjust_cash(
        &self,
        request: Request<v1::AdjustCashRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = caller(&request)?;
        let adjust =
            wire::read_adjust_cash(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        let handle = self.shared.account(&caller, &adjust.account_id)?;
        self.check_currency(&handle, &adjust.currency).await?;
        let command = AccountCommand::AdjustCash {
            request_id: Some(adjust.request_id),
            currency: adjust.currency,
            amount: adjust.amount,
            reason: adjust.reason,
        };
        match handle.command(command).await {
            Ok(Reply::Done { .. }) => {}
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => return Err(status::command(&error)),
        }
        now(&handle).await.map(Response::new)
    }

    async fn create_account(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        account_desk::create(&self.shared, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn reset_paper(
        &self,
        request: Request<v1::ResetPaperRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = caller(&request)?;
        account_desk::reset(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn apply_split(
        &self,
        request: Request<v1::ApplySplitRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = caller(&request)?;
        let (account_id, split) =
            wire::read_apply_split(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        let handle = self.shared.account(&caller, &account_id)?;
        let instrument_id = Some(&split.instrument_id);
        self.shared
            .check_instrument("instrument_id", instrument_id)?;
        // Its venue goes on in old units, and the account would differ from it for good.
        if self.shared.platform.mode != RunMode::Paper {
            return Err(status::no_split(&split.instrument_id));
        }
        match handle.command(AccountCommand::Split(split)).await {
            Ok(Reply::Done { .. }) => {}
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => return Err(status::command(&error)),
        }
        now(&handle).await.map(Response::new)
    }

    async fn set_position_mode(
        &self,
        request: Request<v1::SetPositionModeRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = caller(&request)?;
        let set = wire::read_set_position_mode(request.get_ref())
            .map_err(|errors| status::invalid(&errors))?;
        let handle = self.shared.account(&caller, &set.account_id)?;
        let command = AccountCommand::SetPositionMode {
            request_id: Some(set.request_id),
            mode: set.mode,
            by: caller.user_id.clone(),
        };
        match handle.command(command).await {
            Ok(Reply::Done { .. }) => {}
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => return Err(status::command(&error)),
        }
        now(&handle).await.map(Response::new)
    }

    async fn get_reconciliation(
        &self,
        request: Request<v1::GetReconciliationRequest>,
    ) -> Result<Response<v1::Reconciliation>, Status> {
        let caller = caller(&request)?;
        reconcile::get(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn cancel_foreign_orders(
        &self,
        request: Request<v1::CancelForeignOrdersRequest>,
    ) -> Result<Response<v1::CancelForeignOrdersResponse>, Status> {
        let caller = caller(&request)?;
        reconcile::cancel_foreign(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }
}

/// What an account holds, now or at a time in the past.
enum Held {
    Now(Vec<Position>),
    Then(PastPositions),
}

impl Held {
    fn positions(&self) -> &[Position] {
        match self {
            Held::Now(positions) => positions,
            Held::Then(then) => &then.positions,
        }
    }
}

async fn summary(handle: &AccountHandle) -> Result<AccountSummary, Status> {
    let summary = handle.summary().await;
    summary.map_err(|error| status::command(&error))
}

pub(crate) async fn now(handle: &AccountHandle) -> Result<v1::Account, Status> {
    summary(handle).await.map(|summary| account(&summary))
}

impl AccountServer {
    fn position(
        &self,
        account_id: &AccountId,
        position: &Position,
        definitions: &mut Definitions,
    ) -> Result<v1::Position, Status> {
        let instrument = definitions.get(&position.instrument_id)?;
        let mark = self.shared.platform.market.mark(&position.instrument_id);
        Ok(write_position(account_id, position, instrument, mark))
    }
}

pub(super) fn write_position(
    account_id: &AccountId,
    position: &Position,
    instrument: &Instrument,
    mark: Option<Price>,
) -> v1::Position {
    let unrealized = mark.and_then(|mark| position.unrealized_pnl(instrument, mark).ok());
    let quantity = apex_domain::number::format_mantissa(
        i128::from(position.quantity),
        instrument.quantity_decimals,
    );
    v1::Position {
        account_id: account_id.to_string(),
        instrument_id: position.instrument_id.to_string(),
        strategy_id: position.strategy_id.to_string(),
        quantity,
        average_price: position
            .average_price(instrument)
            .map(|price| price.normalize().to_string())
            .unwrap_or_default(),
        realized_pnl: position.realized_pnl.to_string(),
        unrealized_pnl: unrealized.map(|pnl| pnl.to_string()).unwrap_or_default(),
        currency: instrument.profit_currency().to_string(),
        position_side: enums::position_side(position.side).into(),
    }
}

/// Writes an account as it stands.
pub(super) fn account(summary: &AccountSummary) -> v1::Account {
    let journal = match summary.journal {
        JournalHealth::Ready => v1::JournalHealth::Ready,
        JournalHealth::Reserve => v1::JournalHealth::Reserve,
        JournalHealth::Away => v1::JournalHealth::Away,
        JournalHealth::Full => v1::JournalHealth::Full,
    };
    v1::Account {
        account_id: summary.account_id.to_string(),
        base_currency: summary.base_currency.to_string(),
        mode: enums::account_mode(summary.mode).into(),
        trading_state: enums::trading_state(summary.trading_state).into(),
        equity: summary.equity.to_string(),
        unrealized_pnl: summary.unrealized_pnl.to_string(),
        partial: summary.partial,
        cash: wire::amounts(&summary.cash),
        realized_pnl: wire::amounts(&summary.realized_pnl),
        fees: wire::amounts(&summary.fees),
        working_orders: summary.working_orders as u64,
        orders: summary.orders as u64,
        executions: summary.executions as u64,
        sequence: summary.sequence,
        state_hash: format!("{:016x}", summary.state_hash),
        journal: journal.into(),
        venue_connected: summary.venue_connected,
        as_of_ns: 0,
        valuation: v1::Valuation::Market.into(),
        margin: summary.margin.as_ref().map(margin),
        attribution: summary.attribution.rows.iter().map(attribution).collect(),
        attribution_partial: summary.attribution.partial,
        funding: wire::amounts(&summary.funding),
        position_mode: wire::position_mode(summary.position_mode).into(),
    }
}

fn margin(margin: &Margin) -> v1::Margin {
    v1::Margin {
        collateral: margin.collateral.to_string(),
        initial: margin.initial.to_string(),
        maintenance: margin.maintenance.to_string(),
        reserved: margin.reserved.to_string(),
        free: margin.free.to_string(),
        ratio: margin
            .ratio
            .map(|ratio| ratio.to_string())
            .unwrap_or_default(),
        partial: margin.partial,
        by_instrument: margin
            .by_instrument
            .iter()
            .map(|(id, part)| (id.to_string(), margin_part(part)))
            .collect(),
    }
}

fn margin_part(part: &MarginPart) -> v1::InstrumentMargin {
    v1::InstrumentMargin {
        initial: part.initial.to_string(),
        maintenance: part.maintenance.to_string(),
        reserved: part.reserved.to_string(),
    }
}

fn attribution((key, pnl): (&PnlKey, &Pnl)) -> v1::Attribution {
    v1::Attribution {
        strategy_id: key.strategy_id.to_string(),
        instrument_id: key.instrument_id.to_string(),
        currency: key.currency.to_string(),
        realized_pnl: pnl.realized.to_string(),
        unrealized_pnl: pnl.unrealized.to_string(),
        fees: pnl.fees.to_string(),
        funding: pnl.funding.to_string(),
    }
}
