//! `StrategyService.Deploy`, `Start`, `Pause`, `Stop` and `UpdateParameters`.

use super::strategy::Deployed;
use super::strategy_wire as wire;
use crate::auth::Caller;
use crate::status;
use apex_bus::strategies::{
    Asked, NewStrategy, ParameterChange, StrategyDeskError, StrategyKey, WindDown,
};
use apex_domain::deployment::RestartPolicy;
use apex_domain::{InstrumentId, RequestId, StrategyId};
use apex_proto::FieldErrors;
use apex_proto::convert::order::unknown_instrument;
use apex_proto::convert::text;
use apex_proto::field::Fields;
use apex_proto::v1;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Status;

/// Parameters that one call may name: far more than a type has.
const MAX_PARAMETERS: usize = 256;

/// Bytes of the name or the value of a parameter.
const MAX_TEXT: usize = 256;

/// Instruments that one strategy may be deployed for.
const MAX_INSTRUMENTS: usize = 1_000;

impl Deployed<'_> {
    /// Errors: fields that cannot be taken, an account that is not granted, an id that is taken, a mode
    /// that is not here.
    pub async fn deploy(
        self,
        caller: &Caller,
        request: &v1::DeployRequest,
    ) -> Result<v1::Strategy, Status> {
        let read = self.shared.read(|find| {
            let mut fields = Fields::new();
            let named = named(&mut fields, &request.account_id, &request.strategy_id);
            let request_id = text::request_id(&mut fields, &request.request_id);
            if request.strategy_type.is_empty() {
                fields.refuse("strategy_type", "is required: see ListStrategyTypes");
            }
            check_parameters(&mut fields, &request.parameters);
            let instruments = read_instruments(&mut fields, &request.instrument_ids, find);
            let mode = read_mode(&mut fields, request);
            let restart = read_restart(&mut fields, request);
            let taken = named
                .zip(request_id)
                .zip(instruments)
                .zip(mode)
                .zip(restart);
            fields.finish(taken)
        });
        let ((((key, request_id), instruments), mode), restart) = read?;
        self.shared.account(caller, &key.0)?;
        if mode != v1::StrategyMode::Paper {
            return Err(status::mode_not_available(mode.as_str_name()));
        }
        let new = NewStrategy {
            key,
            strategy_type: request.strategy_type.clone(),
            instruments,
            parameters: request.parameters.clone(),
            restart,
        };
        let asked = asked(caller, request_id, "StrategyService/Deploy", request);
        let key = new.key.clone();
        let deployed = self.desk.deploy(asked, new).await;
        deployed
            .map(wire::strategy)
            .map_err(|error| self.refused(&key, &error))
    }

    /// Errors: fields that cannot be taken, an account that is not granted or is halted, a strategy
    /// that is not there.
    pub async fn start(
        self,
        caller: &Caller,
        request: &v1::StartRequest,
    ) -> Result<v1::Strategy, Status> {
        let (key, request_id) = read_named(
            (&request.account_id, &request.strategy_id),
            &request.request_id,
        )?;
        self.shared.account(caller, &key.0)?;
        let asked = asked(caller, request_id, "StrategyService/Start", request);
        let started = self.desk.start(asked, key.clone()).await;
        started
            .map(wire::strategy)
            .map_err(|error| self.refused(&key, &error))
    }

    /// Errors: fields that cannot be taken, an account that is not granted, a strategy that is not
    /// there or does not run.
    pub async fn pause(
        self,
        caller: &Caller,
        request: &v1::PauseRequest,
    ) -> Result<v1::PauseResponse, Status> {
        let mut fields = Fields::new();
        let key = named(&mut fields, &request.account_id, &request.strategy_id);
        let request_id = text::request_id(&mut fields, &request.request_id);
        let cancel = read_orders(&mut fields, request.working_orders);
        let taken = fields.finish(key.zip(request_id).zip(cancel));
        let ((key, request_id), cancel) = taken.map_err(|errors| status::invalid(&errors))?;
        self.shared.account(caller, &key.0)?;
        let asked = asked(caller, request_id, "StrategyService/Pause", request);
        let paused = self.desk.pause(asked, key.clone(), cancel).await;
        let paused = paused.map_err(|error| self.refused(&key, &error))?;
        Ok(v1::PauseResponse {
            strategy: Some(wire::strategy(paused.strategy)),
            canceled_orders: paused.canceled.iter().map(wire::canceled).collect(),
        })
    }

    /// Errors: as [`Deployed::pause`].
    pub async fn stop(
        self,
        caller: &Caller,
        request: &v1::StopRequest,
    ) -> Result<v1::StopResponse, Status> {
        let mut fields = Fields::new();
        let key = named(&mut fields, &request.account_id, &request.strategy_id);
        let request_id = text::request_id(&mut fields, &request.request_id);
        let cancel = read_orders(&mut fields, request.working_orders);
        if request.close_positions && cancel == Some(false) {
            fields.refuse(
                "working_orders",
                "must be WORKING_ORDERS_CANCEL where positions are closed: what works could open them \
                 again",
            );
        }
        let taken = fields.finish(key.zip(request_id).zip(cancel));
        let ((key, request_id), cancel) = taken.map_err(|errors| status::invalid(&errors))?;
        self.shared.account(caller, &key.0)?;
        let asked = asked(caller, request_id, "StrategyService/Stop", request);
        let wind = WindDown {
            cancel,
            close: request.close_positions,
        };
        let stopped = self.desk.stop(asked, key.clone(), wind).await;
        let stopped = stopped.map_err(|error| self.refused(&key, &error))?;
        Ok(v1::StopResponse {
            strategy: Some(wire::strategy(stopped.strategy)),
            canceled_orders: stopped.canceled.iter().map(wire::canceled).collect(),
            closing: stopped.closing,
        })
    }

    /// Errors: fields that cannot be taken, an account that is not granted, a strategy that is not
    /// there, another version, a restart that is not allowed.
    pub async fn update(
        self,
        caller: &Caller,
        request: &v1::UpdateParametersRequest,
    ) -> Result<v1::UpdateParametersResponse, Status> {
        let mut fields = Fields::new();
        let key = named(&mut fields, &request.account_id, &request.strategy_id);
        let request_id = text::request_id(&mut fields, &request.request_id);
        if request.expected_version == 0 {
            fields.refuse(
                "expected_version",
                "is required: the version that you have seen",
            );
        }
        check_parameters(&mut fields, &request.parameters);
        check_reset(&mut fields, request);
        let taken = fields.finish(key.zip(request_id));
        let (key, request_id) = taken.map_err(|errors| status::invalid(&errors))?;
        self.shared.account(caller, &key.0)?;
        let asked = asked(
            caller,
            request_id,
            "StrategyService/UpdateParameters",
            request,
        );
        let change = ParameterChange {
            key: key.clone(),
            expected_version: request.expected_version,
            set: request.parameters.clone(),
            reset: request.reset.clone(),
            allow_restart: request.allow_restart,
        };
        let updated = self.desk.update(asked, change).await;
        let (strategy, applied) = updated.map_err(|error| self.refused(&key, &error))?;
        Ok(v1::UpdateParametersResponse {
            strategy: Some(wire::strategy(strategy)),
            applied: wire::applied(applied).into(),
        })
    }

    /// Returns the strategies of an account, one of which may have been meant.
    pub(super) fn known(&self, key: &StrategyKey) -> Vec<StrategyId> {
        let all = self.desk.list().into_iter();
        let own = all.filter(|strategy| strategy.key.0 == key.0);
        own.map(|strategy| strategy.key.1).collect()
    }

    pub(super) fn refused(&self, key: &StrategyKey, error: &StrategyDeskError) -> Status {
        let known = match error {
            StrategyDeskError::NotFound { .. } => self.known(key),
            _ => Vec::new(),
        };
        status::strategy_desk(error, &known)
    }
}

fn asked(
    caller: &Caller,
    request_id: RequestId,
    method: &'static str,
    request: &impl Message,
) -> Asked {
    Asked {
        user_id: caller.user_id.clone(),
        request_id,
        method,
        // Maps are written in the order of their keys, so equal requests have equal bytes.
        content: request.encode_to_vec(),
    }
}

/// Reads which strategy of which account is meant.
pub(super) fn named(
    fields: &mut Fields,
    account_id: &str,
    strategy_id: &str,
) -> Option<StrategyKey> {
    let account_id = text::account_id(fields, account_id);
    let strategy_id = text::required(fields, "strategy_id", strategy_id, StrategyId::new);
    account_id.zip(strategy_id)
}

fn read_named(
    (account_id, strategy_id): (&str, &str),
    request_id: &str,
) -> Result<(StrategyKey, RequestId), Status> {
    let mut fields = Fields::new();
    let key = named(&mut fields, account_id, strategy_id);
    let request_id = text::request_id(&mut fields, request_id);
    let taken = fields.finish(key.zip(request_id));
    taken.map_err(|errors: FieldErrors| status::invalid(&errors))
}

fn check_parameters(fields: &mut Fields, parameters: &BTreeMap<String, String>) {
    if parameters.len() > MAX_PARAMETERS {
        fields.refuse("parameters", format!("are more than {MAX_PARAMETERS}"));
        return;
    }
    let is_long = |(name, value): &(&String, &String)| name.len().max(value.len()) > MAX_TEXT;
    if parameters.iter().any(|pair| is_long(&pair)) {
        let detail = format!("hold a name or a value of more than {MAX_TEXT} bytes");
        fields.refuse("parameters", detail);
    }
}

fn check_reset(fields: &mut Fields, request: &v1::UpdateParametersRequest) {
    if request.parameters.is_empty() && request.reset.is_empty() {
        fields.refuse("parameters", "is empty, and so is reset: name what changes");
    }
    if request.reset.len() > MAX_PARAMETERS {
        fields.refuse("reset", format!("names more than {MAX_PARAMETERS}"));
        return;
    }
    for (place, name) in request.reset.iter().enumerate() {
        if request.parameters.contains_key(name) {
            fields.refuse(&format!("reset[{place}]"), "is set by the same request");
        }
    }
}

fn read_instruments(
    fields: &mut Fields,
    ids: &[String],
    find: &dyn Fn(&InstrumentId) -> Option<apex_domain::Instrument>,
) -> Option<Vec<InstrumentId>> {
    if ids.len() > MAX_INSTRUMENTS {
        fields.refuse("instrument_ids", format!("are more than {MAX_INSTRUMENTS}"));
        return None;
    }
    let mut read = BTreeSet::new();
    for (place, text) in ids.iter().enumerate() {
        let field = format!("instrument_ids[{place}]");
        let Some(id) = fields.take(&field, InstrumentId::in_command(text)) else {
            continue;
        };
        if find(&id).is_none() {
            fields.refuse(&field, unknown_instrument(&id));
        } else if !read.insert(id) {
            fields.refuse(&field, "is named twice");
        }
    }
    Some(read.into_iter().collect())
}

fn read_mode(fields: &mut Fields, request: &v1::DeployRequest) -> Option<v1::StrategyMode> {
    match v1::StrategyMode::try_from(request.mode) {
        Ok(mode) if mode != v1::StrategyMode::Unspecified => Some(mode),
        _ => {
            fields.refuse("mode", "is required, such as STRATEGY_MODE_PAPER");
            None
        }
    }
}

fn read_restart(fields: &mut Fields, request: &v1::DeployRequest) -> Option<RestartPolicy> {
    match v1::RestartPolicy::try_from(request.restart_policy) {
        Ok(v1::RestartPolicy::Unspecified | v1::RestartPolicy::Always) => {
            Some(RestartPolicy::Always)
        }
        Ok(v1::RestartPolicy::OnFailure) => Some(RestartPolicy::OnFailure),
        Ok(v1::RestartPolicy::Never) => Some(RestartPolicy::Never),
        Err(_) => {
            fields.refuse("restart_policy", "is no known policy");
            None
        }
    }
}

/// Reads whether working orders are canceled.
fn read_orders(fields: &mut Fields, orders: i32) -> Option<bool> {
    match v1::WorkingOrders::try_from(orders) {
        Ok(v1::WorkingOrders::Keep) => Some(false),
        Ok(v1::WorkingOrders::Cancel) => Some(true),
        _ => {
            fields.refuse(
                "working_orders",
                "is required: WORKING_ORDERS_KEEP or WORKING_ORDERS_CANCEL",
            );
            None
        }
    }
}
