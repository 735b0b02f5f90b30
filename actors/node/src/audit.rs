//! The audit of a node: opened at the start, closed at the end, and checked by `verify`.

use crate::NodeError;
use crate::marks::Marks;
use crate::stores::{Looking, ServerSettings, Stores, bucket};
use apex_bus::audit::Audit;
use apex_bus::clock::Clock;
use apex_domain::audit::AuditRecord;
use apex_gateway::{Dependency, Readiness};
use apex_persistence::audit::{AuditStore, AuditWriter};
use apex_storage::audit::{AuditReport, Checkpoints, check};
use apex_storage::{AUDIT_JOURNAL, Journals, Objects, objects_if_any};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Says which audit a store has and where its checkpoints are: `<id> folder` or `<id> s3`.
const MARK: &str = "audit_id";

const IN_FOLDER: &str = "folder";
const ON_S3: &str = "s3";

fn place(servers: &ServerSettings) -> &'static str {
    match servers.s3 {
        Some(_) => ON_S3,
        None => IN_FOLDER,
    }
}

/// Returns the id of the audit and where its checkpoints are; `None` before it was begun.
fn noted(marks: &Marks) -> Result<Option<(String, String)>, NodeError> {
    let mark = marks.get(MARK)?;
    Ok(mark.and_then(|mark| {
        let (id, place) = mark.split_once(' ')?;
        Some((id.to_owned(), place.to_owned()))
    }))
}

/// Opens the audit of a store, or begins it.
///
/// Errors: `Storage` when it is damaged, in use, or its store or that of its checkpoints does not
/// answer; `Mark`.
pub fn start(
    stores: &Stores,
    servers: &ServerSettings,
    clock: &Clock,
) -> Result<AuditWriter, NodeError> {
    let known = noted(&stores.marks)?;
    let store = AuditStore {
        journals: stores.journals.clone(),
        objects: bucket(servers)?.unwrap_or_else(|| stores.objects.clone()),
        clock: clock.clone(),
        audit_id: known.as_ref().map(|(id, _)| id.clone()),
    };
    let version = env!("CARGO_PKG_VERSION");
    let process = std::process::id();
    let mut begin = vec![note(
        clock,
        "Node/Started",
        format!("version {version}, process {process}"),
    )];
    let taken_over = stores.lacking.iter().map(|holder| {
        let action = "Node/TookOverWithoutReserve";
        note(clock, action, holder.to_string())
    });
    begin.extend(taken_over);
    let (writer, id) = AuditWriter::start(store, &begin)?;
    // Where its own reserve is, says the record.
    stores.forget_lacking(AUDIT_JOURNAL)?;
    let place = place(servers);
    // An audit that stands in the place of another keeps the other's id, so that a check names it.
    let id = known.as_ref().map_or(id, |(id, _)| id.clone());
    if known != Some((id.clone(), place.to_owned())) {
        stores.marks.set(MARK, &format!("{id} {place}"))?;
    }
    Ok(writer)
}

/// Returns the record of what the process did by itself.
pub fn note(clock: &Clock, action: &str, detail: String) -> AuditRecord {
    AuditRecord::Noted {
        ts: clock.now(),
        action: action.to_owned(),
        detail,
    }
}

/// Makes everything durable and ends the audit.
pub async fn stop(writer: AuditWriter, clock: Clock) {
    let stopping = move || writer.stop(note(&clock, "Node/Stopped", String::new()));
    if tokio::task::spawn_blocking(stopping).await.is_err() {
        tracing::error!("the audit could not be ended");
    }
}

/// Orders need an audit that works.
#[derive(Debug)]
pub struct AuditReadiness(pub AuditWriter);

impl Readiness for AuditReadiness {
    fn dependencies(&self) -> Vec<Dependency> {
        let ready = self.0.ready();
        let detail = match &ready {
            Ok(()) => "records".to_owned(),
            Err(error) => error.to_string(),
        };
        vec![Dependency {
            name: "audit".to_owned(),
            degraded: false,
            ok: ready.is_ok(),
            detail,
        }]
    }
}

/// What `apextrade verify --json` says of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct AuditVerification {
    pub audit_id: String,
    /// Whole records, up to the first bad one.
    pub records: u64,
    /// Hash of the chain at the last of them.
    pub link: String,
    pub checkpoints: u64,
    /// Sequence of the last checkpoint.
    pub last_checkpoint: u64,
    /// Records behind it: the end of these could be cut off unseen.
    pub unseen: u64,
    pub torn_tail_bytes: u64,
    pub first_bad: Option<BadAuditRecord>,
    /// Why checkpoints were not looked at, where they were not.
    pub not_compared: Option<String>,
}

/// The first record that is not what was written.
#[derive(Clone, Debug, Serialize)]
pub struct BadAuditRecord {
    pub sequence: u64,
    pub segment: String,
    pub offset: u64,
    pub reason: String,
}

/// Checks the audit of a data folder, or of the database that it was used with, without changing
/// anything. `None` where none was ever begun.
///
/// Errors: `Storage`, `Mark`.
pub fn verify(
    root: &Path,
    servers: &ServerSettings,
    database: Option<&Looking>,
) -> Result<Option<AuditVerification>, NodeError> {
    let marks = match database {
        Some(database) => Marks::in_records(root, Arc::new(database.records.clone())),
        None => Marks::in_folder(root),
    };
    let noted = noted(&marks)?;
    let (objects, not_compared) = checkpoints_of(root, servers, noted.as_ref())?;
    let report = check(
        noted.as_ref().map(|(id, _)| id.as_str()),
        |each| match database {
            Some(database) => database.journals.verify(AUDIT_JOURNAL, each),
            None => apex_storage::verify::verify(root, AUDIT_JOURNAL, each),
        },
        |id| match &objects {
            Some(objects) => Checkpoints::of(&**objects, id),
            None => Ok(Checkpoints::default()),
        },
    )?;
    if noted.is_none() && report.records == 0 && report.first_bad.is_none() {
        return Ok(None);
    }
    Ok(Some(verification(report, not_compared)))
}

/// Where checkpoints are, or why they are not looked at.
type Found = (Option<Arc<dyn Objects>>, Option<String>);

fn checkpoints_of(
    root: &Path,
    servers: &ServerSettings,
    noted: Option<&(String, String)>,
) -> Result<Found, NodeError> {
    let is_on_s3 = noted.is_some_and(|(_, place)| place == ON_S3);
    if is_on_s3 && servers.s3.is_none() {
        let why = "its checkpoints are on S3, and APEX_S3_ENDPOINT is not set".to_owned();
        return Ok((None, Some(why)));
    }
    if !is_on_s3 {
        return Ok((objects_if_any(root), None));
    }
    Ok((bucket(servers)?, None))
}

fn verification(report: AuditReport, not_compared: Option<String>) -> AuditVerification {
    AuditVerification {
        unseen: report.unseen(),
        audit_id: report.audit_id,
        records: report.records,
        link: report.link.to_string(),
        checkpoints: report.checkpoints,
        last_checkpoint: report.last_checkpoint,
        torn_tail_bytes: report.torn_tail_bytes,
        first_bad: report.first_bad.map(|bad| BadAuditRecord {
            sequence: bad.sequence,
            segment: bad.segment,
            offset: bad.offset,
            reason: bad.reason,
        }),
        not_compared,
    }
}
