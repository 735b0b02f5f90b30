//! What a client asks of `Subscribe`.

use super::log::{KINDS, Log};
use super::reader::Selection;
use crate::status;
use apex_bus::market::MarketHub;
use apex_domain::InstrumentId;
use apex_proto::field::Fields;
use apex_proto::v1::{self, MarketDataKind};
use std::collections::BTreeSet;
use tonic::Status;

/// Instruments that one request may name.
const INSTRUMENTS: usize = 1_024;

/// The longest interval between two batches. Beyond it a client polls.
const INTERVAL_MS: u32 = 60_000;

/// What is wanted. Streams that want the same share their batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// `None` is every instrument.
    pub(super) instruments: Option<BTreeSet<InstrumentId>>,
    pub(super) kinds: [bool; KINDS],
    pub(super) interval_ms: u32,
}

/// Where an earlier stream stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    pub(super) epoch: u64,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) instrument_id: InstrumentId,
    pub(super) kind: usize,
    pub(super) sequence: u64,
}

impl Wanted {
    fn instrument(&self, id: &InstrumentId) -> bool {
        let wanted = self.instruments.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(id))
    }

    /// Returns the same by ordinals. Those that are wanted by name have one.
    pub(super) fn selection(&self, log: &Log) -> Selection {
        let instruments = self.instruments.as_ref().map(|wanted| {
            let mut selected = vec![false; log.named.len()];
            for ordinal in wanted.iter().filter_map(|id| log.ordinal(id)) {
                selected[ordinal as usize] = true;
            }
            selected
        });
        Selection {
            instruments,
            kinds: self.kinds,
        }
    }
}

/// Reads a request.
///
/// Errors: `INVALID_ARGUMENT` with every field that cannot be taken.
pub(super) fn read(
    request: &v1::SubscribeRequest,
    market: &MarketHub,
) -> Result<(Wanted, Option<Resume>), Status> {
    let mut fields = Fields::new();
    let instruments = instruments(request, market, &mut fields);
    let kinds = kinds(request, &mut fields);
    if request.interval_ms > INTERVAL_MS {
        fields.refuse("interval_ms", format!("is more than {INTERVAL_MS}"));
    }
    let wanted = Wanted {
        instruments,
        kinds,
        interval_ms: request.interval_ms,
    };
    let resume = request
        .resume
        .as_ref()
        .map(|resume| read_resume(resume, &wanted, &mut fields));
    fields
        .finish(Some((wanted, resume)))
        .map_err(|errors| status::invalid(&errors))
}

fn instruments(
    request: &v1::SubscribeRequest,
    market: &MarketHub,
    fields: &mut Fields,
) -> Option<BTreeSet<InstrumentId>> {
    if request.instrument_ids.len() > INSTRUMENTS {
        fields.refuse(
            "instrument_ids",
            format!("names more than {INSTRUMENTS} instruments"),
        );
    }
    let mut instruments = BTreeSet::new();
    for text in request.instrument_ids.iter().take(INSTRUMENTS) {
        let Some(id) = fields.take("instrument_ids", InstrumentId::in_command(text)) else {
            continue;
        };
        if market.instrument(&id).is_none() {
            fields.refuse("instrument_ids", format!("unknown instrument \"{id}\""));
        }
        instruments.insert(id);
    }
    (!request.instrument_ids.is_empty()).then_some(instruments)
}

fn kinds(request: &v1::SubscribeRequest, fields: &mut Fields) -> [bool; KINDS] {
    let mut kinds = [request.kinds.is_empty(); KINDS];
    for number in &request.kinds {
        match kind(*number) {
            Some(kind) => kinds[kind] = true,
            None => fields.refuse("kinds", format!("{number} is no known value")),
        }
    }
    kinds
}

fn kind(number: i32) -> Option<usize> {
    match MarketDataKind::try_from(number) {
        Ok(MarketDataKind::Unspecified) | Err(_) => None,
        Ok(kind) => usize::try_from(kind as i32 - 1).ok(),
    }
}

fn read_resume(resume: &v1::MarketDataResume, wanted: &Wanted, fields: &mut Fields) -> Resume {
    const FIELD: &str = "resume.points";
    let mut points = Vec::new();
    if resume.points.len() > INSTRUMENTS * KINDS {
        let most = INSTRUMENTS * KINDS;
        fields.refuse(FIELD, format!("has more than {most} points"));
    }
    for point in resume.points.iter().take(INSTRUMENTS * KINDS) {
        let id = fields.take(FIELD, InstrumentId::in_command(&point.instrument_id));
        let kind = kind(point.kind);
        if kind.is_none() {
            fields.refuse(FIELD, format!("kind {} is no known value", point.kind));
        }
        let (Some(instrument_id), Some(kind)) = (id, kind) else {
            continue;
        };
        if !wanted.instrument(&instrument_id) || !wanted.kinds[kind] {
            fields.refuse(FIELD, format!("{instrument_id} of this kind is not wanted"));
        }
        points.push(Point {
            instrument_id,
            kind,
            sequence: point.sequence,
        });
    }
    Resume {
        epoch: resume.publisher_epoch,
        points,
    }
}
