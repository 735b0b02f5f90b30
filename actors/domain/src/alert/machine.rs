//! The machine: readings and time in, what fires and what is over out.

use super::measure::{Level, Meaning, Measured, Reading, measure};
use super::rule::{Rule, Watch};
use super::{Alert, AlertState};
use crate::id::InstrumentId;
use crate::time::UnixNanos;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Alerts that may be open: more are a flood that nobody reads. A further one does not fire, is
/// counted, and fires once there is room if it still holds.
pub const MAX_OPEN: usize = 2_000;

/// Pairs of rule and subject that are followed: every instrument of a large market under a few
/// rules. A further one is not followed, and counted.
pub const MAX_TRACKS: usize = 20_000;

/// A rule and what it is about.
type Key = (String, String);

/// Where one rule stands with one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Track {
    phase: Phase,
    last_fired: Option<UnixNanos>,
    /// The side of its level that a price was seen on.
    above: Option<bool>,
    /// When the newest ones of a count were; as many as are counted.
    window: VecDeque<UnixNanos>,
    /// The newest mark of a feed, and when it was new to us.
    heard: Option<(UnixNanos, UnixNanos)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Quiet,
    /// It is as the rule says, not long enough yet.
    Holding {
        since: UnixNanos,
        last: Box<Measured>,
    },
    /// The alert of this number, of a rule as it was in that version.
    Open { number: u64, version: u64 },
}

/// What the machine decided. It holds from then on; the shell makes it durable before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Fired(Box<Alert>),
    /// The alert of this number is over.
    Resolved {
        number: u64,
        why: String,
    },
}

/// Rules, and where each stands with each of its subjects.
#[derive(Clone, Debug, Default)]
pub struct AlertMachine {
    rules: BTreeMap<String, Rule>,
    tracks: BTreeMap<Key, Track>,
    open: usize,
    last_number: u64,
    /// Alerts and subjects that found no room.
    left_out: u64,
}

impl AlertMachine {
    /// Takes up where an earlier run was: its rules, every alert that is known, and the last number
    /// that was given.
    pub fn restore<'a>(
        rules: impl IntoIterator<Item = Rule>,
        alerts: impl IntoIterator<Item = &'a Alert>,
        last_number: u64,
    ) -> AlertMachine {
        let mut machine = AlertMachine {
            last_number,
            ..AlertMachine::default()
        };
        machine.rules = rules
            .into_iter()
            .map(|it| (it.rule_id.clone(), it))
            .collect();
        for alert in alerts {
            let key = (alert.rule_id.clone(), alert.subject.clone());
            let known = machine.rules.contains_key(&alert.rule_id);
            if !known && !alert.is_open() {
                continue;
            }
            let track = machine.tracks.entry(key).or_default();
            track.last_fired = track.last_fired.max(Some(alert.ts_fired));
            if alert.is_open() {
                machine.open += 1;
                track.phase = Phase::Open {
                    number: alert.number,
                    version: alert.rule_version,
                };
            }
        }
        machine
    }

    /// Returns the rules, by id.
    pub fn rules(&self) -> &BTreeMap<String, Rule> {
        &self.rules
    }

    /// Returns the alerts that are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Returns how often an alert or a subject found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the instruments whose prices are watched.
    pub fn priced(&self) -> BTreeSet<InstrumentId> {
        let of_rule = |rule: &Rule| match &rule.watch {
            Watch::Price { instrument_id, .. } => Some(instrument_id.clone()),
            _ => None,
        };
        self.enabled().filter_map(of_rule).collect()
    }

    /// Returns true when a rule that is enabled watches so.
    pub fn watches(&self, is_meant: impl Fn(&Watch) -> bool) -> bool {
        self.enabled().any(|rule| is_meant(&rule.watch))
    }

    fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().filter(|rule| rule.enabled)
    }

    /// Takes a rule over in place of the one with its id. What is open of the one before is over with
    /// the next [`AlertMachine::tick`].
    pub fn set_rule(&mut self, rule: Rule) {
        self.forget(&rule.rule_id);
        self.rules.insert(rule.rule_id.clone(), rule);
    }

    /// Forgets a rule. What is open of it is over with the next [`AlertMachine::tick`].
    pub fn remove_rule(&mut self, rule_id: &str) {
        self.forget(rule_id);
        self.rules.remove(rule_id);
    }

    /// Forgets what was seen for a rule; what is open stays.
    fn forget(&mut self, rule_id: &str) {
        self.tracks
            .retain(|(of, _), track| of != rule_id || matches!(track.phase, Phase::Open { .. }));
    }

    /// Takes a reading.
    pub fn apply(&mut self, now: UnixNanos, reading: &Reading, effects: &mut Vec<Effect>) {
        let measured: Vec<(String, Measured)> = self
            .enabled()
            .filter_map(|rule| Some((rule.rule_id.clone(), measure(now, rule, reading)?)))
            .collect();
        for (rule_id, measured) in measured {
            self.take(now, (rule_id, measured.subject.clone()), measured, effects);
        }
    }

    fn take(&mut self, now: UnixNanos, key: Key, measured: Measured, effects: &mut Vec<Effect>) {
        if !self.tracks.contains_key(&key) && self.tracks.len() >= MAX_TRACKS {
            self.left_out += 1;
            return;
        }
        let track = self.tracks.entry(key.clone()).or_default();
        let was_open = match track.phase {
            // Of a rule as it was before: a tick ends it.
            Phase::Open { version, .. }
                if version != self.rules.get(&key.0).map_or(0, |it| it.version) =>
            {
                return;
            }
            Phase::Open { .. } => true,
            _ => false,
        };
        let level = match measured.meaning {
            Meaning::Is(level) => level,
            Meaning::Side { above, far } => track.side(above, far),
            Meaning::OneMore { count, window_ns } => {
                track.window.push_back(now);
                while track.window.len() > count as usize {
                    track.window.pop_front();
                }
                track.counted(now, count, window_ns)
            }
            Meaning::Mark { mark, after_ns } => track.silence(now, mark, after_ns),
        };
        let side = match measured.meaning {
            Meaning::Side { above, .. } => above,
            _ => None,
        };
        self.settle(now, key.clone(), level, Some(measured), effects);
        if let Some(track) = self.tracks.get_mut(&key) {
            // Whatever it fired for, the next crossing counts from the side that it is on.
            if track.above.is_none() || was_open || matches!(track.phase, Phase::Open { .. }) {
                track.above = side.or(track.above);
            }
        }
    }

    fn is_stale(&self, rule_id: &str, version: u64) -> bool {
        let rule = self.rules.get(rule_id);
        !rule.is_some_and(|rule| rule.enabled && rule.version == version)
    }

    fn settle(
        &mut self,
        now: UnixNanos,
        key: Key,
        level: Level,
        measured: Option<Measured>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(track) = self.tracks.get_mut(&key) else {
            return;
        };
        match (&mut track.phase, level) {
            (Phase::Quiet, Level::Holds) => {
                let Some(last) = measured.map(Box::new) else {
                    return;
                };
                track.phase = Phase::Holding { since: now, last };
            }
            (Phase::Holding { last, .. }, Level::Holds) => {
                if let Some(measured) = measured {
                    **last = measured;
                }
            }
            (Phase::Holding { .. }, _) => track.phase = Phase::Quiet,
            (Phase::Open { number, .. }, Level::Clear) => {
                let number = *number;
                track.phase = Phase::Quiet;
                self.open = self.open.saturating_sub(1);
                let why = measured.map_or_else(|| "it is over".to_owned(), |it| it.value);
                effects.push(Effect::Resolved { number, why });
                return;
            }
            (Phase::Open { .. }, _) | (Phase::Quiet, _) => return,
        }
        self.fire_when_due(now, &key, effects);
    }

    /// Fires what has held long enough.
    fn fire_when_due(&mut self, now: UnixNanos, key: &Key, effects: &mut Vec<Effect>) {
        let (Some(rule), Some(track)) = (self.rules.get(&key.0), self.tracks.get_mut(key)) else {
            return;
        };
        let Phase::Holding { since, last } = &track.phase else {
            return;
        };
        let held = now.since(*since) >= rule.hold_ns;
        let rested = |fired: UnixNanos| now.since(fired) >= rule.cooldown_ns;
        if !held || !track.last_fired.is_none_or(rested) {
            return;
        }
        if self.open >= MAX_OPEN {
            self.left_out += 1;
            return;
        }
        self.last_number += 1;
        let alert = Alert {
            number: self.last_number,
            sequence: 0,
            rule_id: rule.rule_id.clone(),
            rule_version: rule.version,
            subject: key.1.clone(),
            account_id: last.account_id.clone(),
            severity: rule.severity,
            state: AlertState::Firing,
            text: match rule.title.as_str() {
                "" => last.text.clone(),
                title => format!("{title}: {}", last.text),
            },
            value: last.value.clone(),
            ts_fired: now,
            ts_acknowledged: None,
            acknowledged_by: String::new(),
            note: String::new(),
            ts_resolved: None,
            resolution: String::new(),
            deliveries: BTreeMap::new(),
        };
        track.phase = Phase::Open {
            number: alert.number,
            version: rule.version,
        };
        track.last_fired = Some(now);
        self.open += 1;
        effects.push(Effect::Fired(Box::new(alert)));
    }

    /// Lets time go on: what has held long enough fires, windows move, and what a rule of before left
    /// open is over.
    pub fn tick(&mut self, now: UnixNanos, effects: &mut Vec<Effect>) {
        let due = |(key, track): (&Key, &Track)| match &track.phase {
            Phase::Holding { .. } => Some(key.clone()),
            Phase::Open { version, .. } => {
                let ends = !track.window.is_empty() || self.is_stale(&key.0, *version);
                ends.then(|| key.clone())
            }
            Phase::Quiet => None,
        };
        let due: Vec<Key> = self.tracks.iter().filter_map(due).collect();
        for key in due {
            self.look(now, key, effects);
        }
    }

    fn look(&mut self, now: UnixNanos, key: Key, effects: &mut Vec<Effect>) {
        let Some(track) = self.tracks.get(&key) else {
            return;
        };
        if let Phase::Open { number, version } = track.phase
            && self.is_stale(&key.0, version)
        {
            let why = match self.rules.get(&key.0) {
                None => "its rule was removed",
                Some(rule) if !rule.enabled => "its rule was disabled",
                Some(_) => "its rule was changed",
            };
            return self.end(&key, number, why, effects);
        }
        match self.rules.get(&key.0).map(|rule| &rule.watch) {
            Some(Watch::Rejects {
                count, window_ns, ..
            }) => {
                let level = track.counted(now, *count, *window_ns);
                self.settle(now, key, level, None, effects);
            }
            _ => self.fire_when_due(now, &key, effects),
        }
    }

    fn end(&mut self, key: &Key, number: u64, why: &str, effects: &mut Vec<Effect>) {
        self.tracks.remove(key);
        self.open = self.open.saturating_sub(1);
        effects.push(Effect::Resolved {
            number,
            why: why.to_owned(),
        });
    }

    /// Ends what is open, and forgets what was seen, of subjects that are not there any more: of the
    /// rules that watch as `is_meant` says, all whose subject is not `present`.
    pub fn gone(
        &mut self,
        is_meant: impl Fn(&Watch) -> bool,
        present: &BTreeSet<String>,
        effects: &mut Vec<Effect>,
    ) {
        let is_gone = |key: &Key| {
            let rule = self.rules.get(&key.0);
            rule.is_some_and(|rule| is_meant(&rule.watch)) && !present.contains(&key.1)
        };
        let gone: Vec<Key> = self
            .tracks
            .keys()
            .filter(|key| is_gone(key))
            .cloned()
            .collect();
        for key in gone {
            match self.tracks.get(&key).map(|track| &track.phase) {
                Some(Phase::Open { number, .. }) => {
                    let number = *number;
                    self.end(&key, number, "it is not there any more", effects);
                }
                _ => drop(self.tracks.remove(&key)),
            }
        }
    }
}

impl Track {
    /// Returns how a price stands that may have crossed its level.
    fn side(&self, above: Option<bool>, far: bool) -> Level {
        if matches!(self.phase, Phase::Open { .. }) {
            return if far { Level::Clear } else { Level::Between };
        }
        let crossed = above.is_some() && self.above.is_some() && above != self.above;
        if crossed { Level::Holds } else { Level::Clear }
    }

    /// Returns whether as many as count are within the window, its ends included. It is over once there
    /// is none: at a rate just at the level it would end and fire with each one.
    fn counted(&self, now: UnixNanos, count: u32, window_ns: i64) -> Level {
        let within = |at: &&UnixNanos| now.since(**at) <= window_ns;
        match self.window.iter().filter(within).count() {
            0 => Level::Clear,
            found if found >= count as usize => Level::Holds,
            _ => Level::Between,
        }
    }

    /// Takes the newest mark of a feed, and returns whether it has been silent for too long. What was
    /// before the first look is not known, and does not count.
    fn silence(&mut self, now: UnixNanos, mark: UnixNanos, after_ns: i64) -> Level {
        let (_, since) = match self.heard {
            Some((known, since)) if mark <= known => *self.heard.insert((known, since)),
            _ => *self.heard.insert((mark, now)),
        };
        if now.since(since) >= after_ns {
            Level::Holds
        } else {
            Level::Clear
        }
    }
}
