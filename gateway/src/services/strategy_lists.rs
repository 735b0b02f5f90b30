//! `StrategyService.ListStrategyTypes`, `ListStrategies`, `GetStrategy` and `ListStrategyVersions`.

use super::strategy::Deployed;
use super::strategy_changes::named;
use super::strategy_wire as wire;
use crate::auth::Caller;
use crate::page;
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountSummary, OrderFilter, PAGE_LIMIT, Page};
use apex_bus::strategies::{StrategyInfo, StrategyKey};
use apex_domain::portfolio::Pnl;
use apex_domain::{AccountId, StrategyId};
use apex_proto::convert::enums;
use apex_proto::field::Fields;
use apex_proto::v1;
use std::collections::BTreeSet;
use tonic::Status;

/// Pages of working orders that are counted: an account takes no more orders than that at a time.
const COUNTED_PAGES: usize = 100;

impl Deployed<'_> {
    /// Errors: a field that cannot be taken.
    pub fn types(
        self,
        request: &v1::ListStrategyTypesRequest,
    ) -> Result<v1::ListStrategyTypesResponse, Status> {
        let size = page::size(request.page_size)?;
        let all = self.desk.types().into_iter();
        let mut behind = all.filter(|info| info.name > request.page_token);
        let found: Vec<_> = behind
            .by_ref()
            .take(size)
            .map(wire::strategy_type)
            .collect();
        let last = found.last().map(|info| info.strategy_type.clone());
        Ok(v1::ListStrategyTypesResponse {
            next_page_token: next(last, behind.next().is_some()),
            strategy_types: found,
        })
    }

    /// Errors: a field that cannot be taken, an account that is not granted.
    pub fn list(
        self,
        caller: &Caller,
        request: &v1::ListStrategiesRequest,
    ) -> Result<v1::ListStrategiesResponse, Status> {
        let size = page::size(request.page_size)?;
        let place = read_place(&request.page_token)?;
        let states = read_states(&request.states)?;
        let accounts = self.shared.scope(caller, &request.account_id)?;
        let accounts: BTreeSet<&AccountId> = accounts.iter().map(|it| it.account_id()).collect();
        let wanted = |info: &StrategyInfo| {
            let strategy_type = &request.strategy_type;
            accounts.contains(&info.key.0)
                && (states.is_empty() || states.contains(&wire::state(info.state)))
                && (strategy_type.is_empty() || *strategy_type == info.strategy_type)
                && place.as_ref().is_none_or(|place| info.key > *place)
        };
        let mut found = self.desk.list().into_iter().filter(wanted);
        let page: Vec<StrategyInfo> = found.by_ref().take(size).collect();
        let last = page
            .last()
            .map(|info| format!("{}/{}", info.key.0, info.key.1));
        Ok(v1::ListStrategiesResponse {
            next_page_token: next(last, found.next().is_some()),
            strategies: page.into_iter().map(wire::strategy).collect(),
        })
    }

    /// Errors: a field that cannot be taken, an account that is not granted or does not answer, a
    /// strategy that is not there.
    pub async fn get(
        self,
        caller: &Caller,
        request: &v1::GetStrategyRequest,
    ) -> Result<v1::StrategyDetails, Status> {
        let mut fields = Fields::new();
        let key = named(&mut fields, &request.account_id, &request.strategy_id);
        let key = fields
            .finish(key)
            .map_err(|errors| status::invalid(&errors))?;
        let account = self.shared.account(caller, &key.0)?;
        let info = self.desk.get(&key);
        let info = info.ok_or_else(|| status::deployed_not_found(&key.1, &self.known(&key)))?;
        let summary = account.summary().await;
        let summary = summary.map_err(|error| status::command(&error))?;
        let working_orders = working_orders(&account, &key.1).await?;
        let usage = self.desk.usage(&key).await;
        let usage = usage.map_err(|error| self.refused(&key, &error))?;
        Ok(v1::StrategyDetails {
            strategy: Some(wire::strategy(info)),
            positions: self.positions(&summary, &key.1)?,
            working_orders,
            pnl: pnl(&summary, &key.1),
            pnl_partial: summary.attribution.partial,
            budget: usage.map(wire::budget),
            trading_state: enums::trading_state(summary.trading_state).into(),
        })
    }

    fn positions(
        self,
        summary: &AccountSummary,
        strategy_id: &StrategyId,
    ) -> Result<Vec<v1::StrategyHolding>, Status> {
        let mut definitions = self.shared.definitions();
        let own = summary.positions.iter();
        let own =
            own.filter(|position| position.strategy_id == *strategy_id && !position.is_flat());
        own.map(|position| {
            let instrument = definitions.get(&position.instrument_id)?;
            let average = position.average_price(instrument);
            Ok(v1::StrategyHolding {
                instrument_id: position.instrument_id.to_string(),
                quantity: apex_domain::number::format_mantissa(
                    i128::from(position.quantity),
                    instrument.quantity_decimals,
                ),
                average_price: average
                    .map(|price| price.normalize().to_string())
                    .unwrap_or_default(),
            })
        })
        .collect()
    }

    /// Errors: a field that cannot be taken, an account that is not granted, a strategy that is not
    /// there, versions that cannot be read.
    pub async fn versions(
        self,
        caller: &Caller,
        request: &v1::ListStrategyVersionsRequest,
    ) -> Result<v1::ListStrategyVersionsResponse, Status> {
        let size = page::size(request.page_size)?;
        let mut fields = Fields::new();
        let key = named(&mut fields, &request.account_id, &request.strategy_id);
        let before = match request.page_token.as_str() {
            "" => Some(0),
            token => match token.parse::<u32>() {
                Ok(before) if before > 0 => Some(before),
                _ => {
                    fields.refuse("page_token", "is not one that a list answered");
                    None
                }
            },
        };
        let taken = fields.finish(key.zip(before));
        let (key, before) = taken.map_err(|errors| status::invalid(&errors))?;
        self.shared.account(caller, &key.0)?;
        let found = self.desk.versions(&key, before, size).await;
        let found = found.map_err(|error| self.refused(&key, &error))?;
        let last = found.last().map_or(1, |version| version.version);
        Ok(v1::ListStrategyVersionsResponse {
            // The first version is 1: behind it there is none.
            next_page_token: next(Some(last.to_string()), last > 1),
            versions: found.into_iter().map(wire::version).collect(),
        })
    }
}

fn next(last: Option<String>, more: bool) -> String {
    last.filter(|_| more).unwrap_or_default()
}

fn read_place(page_token: &str) -> Result<Option<StrategyKey>, Status> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let bad = || status::invalid_field("page_token", "is not one that a list answered");
    let (account_id, strategy_id) = page_token.split_once('/').ok_or_else(bad)?;
    let account_id = AccountId::new(account_id).map_err(|_| bad())?;
    let strategy_id = StrategyId::new(strategy_id).map_err(|_| bad())?;
    Ok(Some((account_id, strategy_id)))
}

fn read_states(states: &[i32]) -> Result<Vec<v1::StrategyState>, Status> {
    let read = |(place, state): (usize, &i32)| match v1::StrategyState::try_from(*state) {
        Ok(state) if state != v1::StrategyState::Unspecified => Ok(state),
        _ => {
            let field = format!("states[{place}]");
            Err(status::invalid_field(&field, "is no state of a strategy"))
        }
    };
    states.iter().enumerate().map(read).collect()
}

async fn working_orders(account: &AccountHandle, strategy_id: &StrategyId) -> Result<u64, Status> {
    let filter = OrderFilter {
        strategy_id: Some(strategy_id.clone()),
        working_only: true,
        ..OrderFilter::default()
    };
    let (mut count, mut cursor) = (0, None);
    for _ in 0..COUNTED_PAGES {
        let page = Page {
            cursor,
            limit: PAGE_LIMIT,
        };
        let answer = account.orders(filter.clone(), page).await;
        let (orders, next) = answer.map_err(|error| status::command(&error))?;
        count += orders.len() as u64;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(count)
}

/// Returns the strategy's profit by currency. Sums that cannot be held are left out.
fn pnl(summary: &AccountSummary, strategy_id: &StrategyId) -> Vec<v1::StrategyPnl> {
    let sums = summary.attribution.by_strategy().unwrap_or_default();
    let own = sums.iter().filter(|((owner, _), _)| owner == strategy_id);
    own.map(
        |((_, currency), pnl): (&(StrategyId, _), &Pnl)| v1::StrategyPnl {
            currency: currency.to_string(),
            realized_pnl: pnl.realized.to_string(),
            unrealized_pnl: pnl.unrealized.to_string(),
            fees: pnl.fees.to_string(),
            funding: pnl.funding.to_string(),
            net_pnl: pnl.net().map(|net| net.to_string()).unwrap_or_default(),
        },
    )
    .collect()
}
