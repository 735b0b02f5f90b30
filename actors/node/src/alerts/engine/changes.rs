//! Changes that people ask for: each is durable with the answer to its request, or not made.

use super::Engine;
use apex_bus::alerts::{AlertCommand, AlertError, AlertReply, AlertRequest, Mute};
use apex_domain::UnixNanos;
use apex_domain::alert::{Alert, MAX_RULES, Rule};
use apex_storage::records::requests::{self, Asked, Known};
use apex_storage::records::{AlertMute, change_alerts, dropping, putting};
use apex_storage::{Change, StorageError};
use std::sync::Arc;

/// What a change does once it is durable.
enum Then {
    Acknowledged(Alert),
    Set(Rule),
    Removed(Rule),
    Muted(Mute),
}

impl Engine {
    /// Makes a change, or finds that the same request has made it.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn change(
        &mut self,
        now: UnixNanos,
        request: AlertRequest,
    ) -> Result<AlertReply, AlertError> {
        if let Err(error) = self.settle() {
            return Err(self.unavailable(&error));
        }
        // What is shown and what is stored are one before anybody decides about it.
        if !self.flush() {
            let why = self.failing.clone().unwrap_or_default();
            return Err(AlertError::Unavailable(why));
        }
        let asked = Asked {
            user_id: &request.user_id,
            request_id: request.request_id.as_str(),
            method: request.method,
            content: &request.content,
        };
        let known = requests::look(&*self.records, &asked, now.0);
        let slot = match known.map_err(|error| self.unavailable(&error))? {
            Known::New(slot) => slot,
            Known::Other => return Err(AlertError::RequestTaken(request.request_id)),
            Known::Answered(bytes) => {
                return serde_json::from_slice(&bytes).map_err(|error| {
                    AlertError::Unavailable(format!("its answer cannot be read: {error}"))
                });
            }
        };
        let (reply, then) = self.decide(now, &request)?;
        let bytes = serde_json::to_vec(&reply)
            .map_err(|error| AlertError::Unavailable(error.to_string()))?;
        let stored = change_of(&then, now).and_then(|change| {
            let changes = vec![change, slot.answered(&bytes, now.0)?];
            let mut next = self.head.value.clone();
            if let Then::Acknowledged(alert) = &then {
                next.sequence = alert.sequence;
            }
            change_alerts(&*self.records, &self.head, &next, changes)
        });
        self.head = stored.map_err(|error| self.unavailable(&error))?;
        self.carry_out(now, then);
        Ok(reply)
    }

    fn unavailable(&mut self, error: &StorageError) -> AlertError {
        self.fail(error);
        AlertError::Unavailable(error.to_string())
    }

    fn decide(
        &self,
        now: UnixNanos,
        request: &AlertRequest,
    ) -> Result<(AlertReply, Then), AlertError> {
        match &request.command {
            AlertCommand::Acknowledge { number, note } => {
                let known = self.book.get(number).ok_or(AlertError::AlertNotFound)?;
                if !known.is_open() {
                    return Err(AlertError::AlertOver);
                }
                let mut alert = Alert::clone(known);
                alert.acknowledge(now, &request.user_id, note);
                alert.sequence = self.head.value.sequence + 1;
                let reply = AlertReply::Alert(Box::new(alert.clone()));
                Ok((reply, Then::Acknowledged(alert)))
            }
            AlertCommand::SetRule { rule, expected } => {
                let mut rule = Rule::clone(rule);
                let known = self.machine.rules().get(&rule.rule_id);
                let actual = check_version(known, *expected)?;
                if actual == 0 && self.machine.rules().len() >= MAX_RULES {
                    return Err(AlertError::TooManyRules { limit: MAX_RULES });
                }
                rule.version = actual + 1;
                rule.updated = now;
                let reply = AlertReply::Rule(Box::new(rule.clone()));
                Ok((reply, Then::Set(rule)))
            }
            AlertCommand::RemoveRule { rule_id, expected } => {
                let known = self.machine.rules().get(rule_id);
                let rule = known.ok_or_else(|| AlertError::RuleNotFound(rule_id.clone()))?;
                check_version(known, *expected)?;
                Ok((AlertReply::Removed, Then::Removed(rule.clone())))
            }
            AlertCommand::Mute(mute) => {
                Ok((AlertReply::Muted(mute.clone()), Then::Muted(mute.clone())))
            }
        }
    }

    fn carry_out(&mut self, now: UnixNanos, then: Then) {
        match then {
            Then::Acknowledged(alert) => {
                let alert = Arc::new(alert);
                self.book.insert(alert.number, alert.clone());
                self.durable.insert(alert.number, alert);
            }
            Then::Set(rule) => self.machine.set_rule(rule),
            Then::Removed(rule) => self.machine.remove_rule(&rule.rule_id),
            Then::Muted(mute) if mute.until > now => {
                self.mutes.insert(mute.rule_id.clone(), mute);
            }
            Then::Muted(mute) => {
                self.mutes.remove(&mute.rule_id);
            }
        }
        // What a rule of before left open is over before another may have its name.
        let mut effects = Vec::new();
        self.machine.tick(now, &mut effects);
        self.take(now, effects);
        self.flush();
        self.show();
    }
}

/// Returns the version that a rule has, 0 where there is none.
fn check_version(known: Option<&Rule>, expected: u64) -> Result<u64, AlertError> {
    let actual = known.map_or(0, |rule| rule.version);
    if actual == expected {
        return Ok(actual);
    }
    Err(AlertError::StaleVersion { expected, actual })
}

fn change_of(then: &Then, now: UnixNanos) -> Result<Change, StorageError> {
    match then {
        Then::Acknowledged(alert) => putting(alert),
        Then::Set(rule) => putting(rule),
        Then::Removed(rule) => Ok(dropping(rule)),
        Then::Muted(mute) => {
            let record = AlertMute {
                rule_id: mute.rule_id.clone(),
                until_ns: mute.until.0,
                by: mute.by.clone(),
                reason: mute.reason.clone(),
                set_ns: now.0,
            };
            if mute.until > now {
                putting(&record)
            } else {
                Ok(dropping(&record))
            }
        }
    }
}
