//! The methods of `SystemService` about alerts.

use crate::auth::{Caller, Grants, Role};
use crate::shared::{Shared, wall_clock};
use crate::{page, status};
use apex_bus::alerts::{
    AlertCommand, AlertDesk, AlertError, AlertReply, AlertRequest, AlertsView, Mute,
};
use apex_domain::alert::{Alert, AlertState, Rule, Severity, Watch};
use apex_domain::time::NANOS_PER_DAY;
use apex_domain::{AccountId, RequestId, UnixNanos};
use apex_proto::convert::alert as wire;
use apex_proto::convert::text;
use apex_proto::field::Fields;
use apex_proto::v1;
use prost::Message;
use std::sync::Arc;
use tonic::Status;

/// The longest mute: who wants more disables the rule.
const LONGEST_MUTE_NS: i64 = 366 * NANOS_PER_DAY;

/// Errors: a run that has no alerts, as a replay.
pub(super) fn desk(shared: &Shared) -> Result<&Arc<dyn AlertDesk>, Status> {
    let desk = shared.alerts.as_ref();
    desk.ok_or_else(|| status::not_here("alerts (a replay raises none)"))
}

/// Errors: as [`desk`].
pub(crate) fn view(shared: &Shared) -> Result<Arc<AlertsView>, Status> {
    Ok(desk(shared)?.view().borrow().clone())
}

/// Returns true when the caller may see what is about an account, or about none.
pub(super) fn may_see(caller: &Caller, account_id: Option<&AccountId>) -> bool {
    account_id.is_none_or(|account_id| caller.may(account_id))
}

/// Which alerts a list is of.
struct Filter {
    state: Option<AlertState>,
    open_only: bool,
    rule_id: String,
    account_id: Option<AccountId>,
    min_severity: Severity,
    from: UnixNanos,
    to: UnixNanos,
}

impl Filter {
    fn read(request: &v1::ListAlertsRequest) -> Result<Filter, Status> {
        let mut fields = Fields::new();
        let f = &mut fields;
        let state = wire::read_state(f, "state", request.state);
        let severity = wire::read_severity(f, "min_severity", request.min_severity);
        let account_id = match request.account_id.as_str() {
            "" => Some(None),
            id => f.take("account_id", AccountId::new(id)).map(Some),
        };
        if request.to_ns != 0 && request.to_ns <= request.from_ns {
            f.refuse("to_ns", "must be after from_ns, or 0");
        }
        let filter = state.zip(severity).zip(account_id);
        let filter = filter.map(|((state, severity), account_id)| Filter {
            state,
            open_only: request.open_only,
            rule_id: request.rule_id.clone(),
            account_id,
            min_severity: severity.unwrap_or(Severity::Info),
            from: UnixNanos(request.from_ns),
            to: UnixNanos(match request.to_ns {
                0 => i64::MAX,
                to => to,
            }),
        });
        fields
            .finish(filter)
            .map_err(|errors| status::invalid(&errors))
    }

    fn takes(&self, alert: &Alert) -> bool {
        self.state.is_none_or(|state| state == alert.state)
            && (!self.open_only || alert.is_open())
            && (self.rule_id.is_empty() || self.rule_id == alert.rule_id)
            && (self.account_id.is_none() || self.account_id == alert.account_id)
            && alert.severity >= self.min_severity
            && (self.from..self.to).contains(&alert.ts_fired)
    }
}

/// Errors: a field that cannot be taken, an account that is not granted.
pub(super) fn list(
    shared: &Shared,
    caller: &Caller,
    request: &v1::ListAlertsRequest,
) -> Result<v1::ListAlertsResponse, Status> {
    let size = page::size(request.page_size)?;
    let filter = Filter::read(request)?;
    if !may_see(caller, filter.account_id.as_ref()) {
        return Err(status::account_not_granted());
    }
    let before = match request.page_token.as_str() {
        "" => u64::MAX,
        token => token
            .parse()
            .map_err(|_| status::invalid_field("page_token", "is not one that a list answered"))?,
    };
    let view = view(shared)?;
    let mut found = view
        .alerts
        .range(..before)
        .rev()
        .map(|(_, alert)| alert)
        .filter(|alert| may_see(caller, alert.account_id.as_ref()) && filter.takes(alert));
    let shown: Vec<&Arc<Alert>> = found.by_ref().take(size).collect();
    let more = found.next().is_some();
    let last = shown.last().filter(|_| more);
    Ok(v1::ListAlertsResponse {
        next_page_token: last.map(|it| it.number.to_string()).unwrap_or_default(),
        alerts: shown
            .iter()
            .map(|it| wire::alert(&view.origin, it))
            .collect(),
    })
}

/// Errors: a field that cannot be taken.
pub(super) fn rules(
    shared: &Shared,
    caller: &Caller,
    request: &v1::ListAlertRulesRequest,
) -> Result<v1::ListAlertRulesResponse, Status> {
    let size = page::size(request.page_size)?;
    let view = view(shared)?;
    let after = request.page_token.as_str();
    let mut found = view
        .rules
        .values()
        .filter(|rule| rule.rule_id.as_str() > after && may_see(caller, rule.account_id()));
    let shown: Vec<&Arc<Rule>> = found.by_ref().take(size).collect();
    let more = found.next().is_some();
    let last = shown.last().filter(|_| more);
    let next_page_token = last.map(|it| it.rule_id.clone()).unwrap_or_default();
    let mut answer = v1::ListAlertRulesResponse {
        rules: shown.iter().map(|rule| wire::rule(rule)).collect(),
        next_page_token,
        ..Default::default()
    };
    if after.is_empty() {
        let now = wall_clock();
        let lasting = view.mutes.iter().filter(|mute| mute.until > now);
        answer.mutes = lasting.map(mute).collect();
        answer.channels = channels(&view);
    }
    Ok(answer)
}

fn mute(mute: &Mute) -> v1::AlertMute {
    v1::AlertMute {
        rule_id: mute.rule_id.clone().unwrap_or_default(),
        until_ns: mute.until.0,
        by: mute.by.clone(),
        reason: mute.reason.clone(),
    }
}

fn channels(view: &AlertsView) -> Vec<v1::AlertChannel> {
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let channels = view.channels.iter().map(|channel| v1::AlertChannel {
        name: channel.name.clone(),
        kind: channel.kind.to_owned(),
        waiting: small(channel.waiting),
        held_back: small(channel.held_back),
        sent: channel.sent,
        failed: channel.failed,
        dropped: channel.dropped,
        summarized: channel.summarized,
        failures: channel.failures,
        last_error: channel.last_error.clone(),
        ts_sent_ns: channel.last_sent.map_or(0, |ts| ts.0),
    });
    channels.collect()
}

/// A change as it is handed over.
struct Asked {
    request_id: RequestId,
    method: &'static str,
    content: Vec<u8>,
}

async fn change(
    shared: &Shared,
    caller: &Caller,
    asked: Asked,
    command: AlertCommand,
) -> Result<AlertReply, Status> {
    let request = AlertRequest {
        user_id: caller.user_id.clone(),
        request_id: asked.request_id,
        method: asked.method,
        content: asked.content,
        command,
    };
    let changed = desk(shared)?.change(request).await;
    changed.map_err(|error| status::alert(&error))
}

/// What answers another kind of request; the log of requests tells them apart by their method.
fn mixed_up() -> Status {
    let why = "the answer that was kept is of another request".to_owned();
    status::alert(&AlertError::Unavailable(why))
}

/// Errors: a field that cannot be taken, an alert that is not there or over.
pub(super) async fn acknowledge(
    shared: &Shared,
    caller: &Caller,
    request: v1::AckAlertRequest,
) -> Result<v1::Alert, Status> {
    let content = request.encode_to_vec();
    let mut fields = Fields::new();
    let request_id = text::request_id(&mut fields, &request.request_id);
    let note = wire::words(&mut fields, "note", &request.note);
    let read = fields.finish(request_id.zip(note));
    let (request_id, note) = read.map_err(|errors| status::invalid(&errors))?;
    let view = view(shared)?;
    let number = wire::read_alert_id(&view.origin, &request.alert_id);
    let found = number.and_then(|number| view.alerts.get(&number));
    // Whether there is one of an account that is not granted is not told.
    let found = found.filter(|alert| may_see(caller, alert.account_id.as_ref()));
    let number = match found {
        Some(alert) => alert.number,
        None => return Err(status::alert(&AlertError::AlertNotFound)),
    };
    let asked = Asked {
        request_id,
        method: "SystemService/AckAlert",
        content,
    };
    let command = AlertCommand::Acknowledge { number, note };
    match change(shared, caller, asked, command).await? {
        AlertReply::Alert(alert) => Ok(wire::alert(&view.origin, &alert)),
        _ => Err(mixed_up()),
    }
}

/// Refuses a rule over accounts that are not all granted.
fn check_scope(shared: &Shared, caller: &Caller, rule: &Rule) -> Result<(), Status> {
    match rule.account_id() {
        Some(account_id) => shared.account(caller, account_id).map(drop),
        None if rule.is_of_accounts() => check_all(caller),
        None => Ok(()),
    }
}

fn check_all(caller: &Caller) -> Result<(), Status> {
    if caller.role == Role::Admin || caller.grants == Grants::All {
        return Ok(());
    }
    Err(status::account_not_granted())
}

/// As [`check_scope`] of a rule that is there, whose account may have gone.
fn check_known(view: &AlertsView, caller: &Caller, rule_id: &str) -> Result<(), Status> {
    match view.rules.get(rule_id) {
        Some(rule) if !may_see(caller, rule.account_id()) => Err(status::account_not_granted()),
        Some(rule) if rule.is_of_accounts() && rule.account_id().is_none() => check_all(caller),
        _ => Ok(()),
    }
}

/// Errors: fields that cannot be taken, an account that is not granted, a version that is not the
/// one now.
pub(super) async fn set_rule(
    shared: &Shared,
    caller: &Caller,
    request: v1::SetAlertRuleRequest,
) -> Result<v1::SetAlertRuleResponse, Status> {
    let content = request.encode_to_vec();
    let mut fields = Fields::new();
    let request_id = text::request_id(&mut fields, &request.request_id);
    let rule = request.rule.unwrap_or_default();
    let view = view(shared)?;
    let expected = request.expected_version;
    let command = if request.delete {
        let rule_id = rule.rule_id;
        if rule_id.is_empty() {
            fields.refuse("rule.rule_id", "is required");
        }
        AlertCommand::RemoveRule { rule_id, expected }
    } else {
        let read = wire::read_rule(&rule, wall_clock(), &caller.user_id);
        let rule = match read {
            Ok(rule) => rule,
            Err(errors) => {
                for error in errors.errors() {
                    fields.refuse(&error.field, &error.description);
                }
                let nothing = fields.finish(None::<()>);
                return Err(match nothing {
                    Err(errors) => status::invalid(&errors),
                    Ok(()) => mixed_up(),
                });
            }
        };
        check_channels(&mut fields, &view, &rule);
        let rule = Box::new(rule);
        AlertCommand::SetRule { rule, expected }
    };
    let request_id = fields.finish(request_id);
    let request_id = request_id.map_err(|errors| status::invalid(&errors))?;
    match &command {
        AlertCommand::SetRule { rule, .. } => {
            check_known(&view, caller, &rule.rule_id)?;
            check_scope(shared, caller, rule)?;
            if let Watch::Price { instrument_id, .. } = &rule.watch {
                shared.check_instrument("rule.price.instrument_id", Some(instrument_id))?;
            }
        }
        AlertCommand::RemoveRule { rule_id, .. } => check_known(&view, caller, rule_id)?,
        _ => {}
    }
    let asked = Asked {
        request_id,
        method: "SystemService/SetAlertRule",
        content,
    };
    match change(shared, caller, asked, command).await? {
        AlertReply::Rule(rule) => Ok(v1::SetAlertRuleResponse {
            rule: Some(wire::rule(&rule)),
        }),
        AlertReply::Removed => Ok(v1::SetAlertRuleResponse { rule: None }),
        _ => Err(mixed_up()),
    }
}

fn check_channels(fields: &mut Fields, view: &AlertsView, rule: &Rule) {
    let is_known = |name: &String| view.channels.iter().any(|channel| channel.name == *name);
    if !rule.channels.iter().all(is_known) {
        let known: Vec<&str> = view.channels.iter().map(|it| it.name.as_str()).collect();
        let known = match known.as_slice() {
            [] => "there is none, name channels in the settings of the node".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        fields.refuse(
            "rule.channels",
            format!("names one that is not there: {known}"),
        );
    }
}

/// Errors: fields that cannot be taken, a rule that is not there or not granted.
pub(super) async fn mute_alerts(
    shared: &Shared,
    caller: &Caller,
    request: v1::MuteAlertsRequest,
) -> Result<v1::AlertMute, Status> {
    let content = request.encode_to_vec();
    let now = wall_clock();
    let mut fields = Fields::new();
    let request_id = text::request_id(&mut fields, &request.request_id);
    let reason = wire::words(&mut fields, "reason", &request.reason);
    if request.until_ns.saturating_sub(now.0) > LONGEST_MUTE_NS {
        fields.refuse(
            "until_ns",
            "must be within a year: disable the rule instead",
        );
    }
    let read = fields.finish(request_id.zip(reason));
    let (request_id, reason) = read.map_err(|errors| status::invalid(&errors))?;
    let view = view(shared)?;
    let rule_id = (!request.rule_id.is_empty()).then(|| request.rule_id.clone());
    match &rule_id {
        Some(rule_id) if view.rules.contains_key(rule_id) => check_known(&view, caller, rule_id)?,
        Some(rule_id) => return Err(status::alert(&AlertError::RuleNotFound(rule_id.clone()))),
        None => check_all(caller)?,
    }
    let asked = Asked {
        request_id,
        method: "SystemService/MuteAlerts",
        content,
    };
    let command = AlertCommand::Mute(Mute {
        rule_id,
        until: UnixNanos(request.until_ns),
        by: caller.user_id.clone(),
        reason,
    });
    match change(shared, caller, asked, command).await? {
        AlertReply::Muted(it) => Ok(mute(&it)),
        _ => Err(mixed_up()),
    }
}

/// Errors: fields that cannot be taken, a channel that is not there.
pub(super) async fn test_channel(
    shared: &Shared,
    caller: &Caller,
    request: &v1::TestAlertChannelRequest,
) -> Result<v1::TestAlertChannelResponse, Status> {
    let mut fields = Fields::new();
    let request_id = text::request_id(&mut fields, &request.request_id);
    let request_id = fields.finish(request_id);
    request_id.map_err(|errors| status::invalid(&errors))?;
    let by = caller.user_id.clone();
    let tested = desk(shared)?.test(request.channel.clone(), by).await;
    let tested = tested.map_err(|error| status::alert(&error))?;
    Ok(v1::TestAlertChannelResponse {
        delivered: tested.error.is_none(),
        error: tested.error.unwrap_or_default(),
        took_ns: tested.took_ns,
    })
}
