//! The audit of a node: opened at the start, closed at the end, and checked by `verify`.

mod gone;

use crate::NodeError;
use crate::marks::Marks;
use crate::origin::{self, Origin};
use crate::stores::{Looking, ServerSettings, Stores, bucket};
use apex_bus::audit::Audit;
use apex_bus::clock::Clock;
use apex_domain::audit::AuditRecord;
use apex_gateway::{Dependency, Readiness};
use apex_persistence::audit::{AuditStore, AuditWriter};
use apex_storage::audit::{AuditReport, Checkpoints, Link, check};
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

/// Opens the audit of a store, or begins it. `anew` accepts that one which ought to be there is not:
/// another is begun then, whose first record says so.
///
/// Errors: `AuditGone` where one ought to be there and is not, unless that is accepted; `Audit` when
/// it is damaged, in use, or its store does not answer; `Storage` of its checkpoints; `Usage` where
/// nothing is to be accepted; `Mark`.
pub fn start(
    stores: &Stores,
    servers: &ServerSettings,
    clock: &Clock,
    anew: bool,
) -> Result<AuditWriter, NodeError> {
    let known = noted(&stores.marks)?;
    let known_id = known.as_ref().map(|(id, _)| id.as_str());
    let bucket = bucket(servers)?;
    let store = AuditStore {
        journals: stores.journals.clone(),
        objects: bucket.clone().unwrap_or_else(|| stores.objects.clone()),
        clock: clock.clone(),
        audit_id: known_id.filter(|_| !anew).map(str::to_owned),
    };
    let version = env!("CARGO_PKG_VERSION");
    let process = std::process::id();
    let detail = format!("version {version}, process {process}");
    let mut begin = vec![note(clock, "Node/Started", detail)];
    let taken_over = stores.lacking.iter().map(|holder| {
        let action = "Node/TookOverWithoutReserve";
        note(clock, action, holder.to_string())
    });
    begin.extend(taken_over);
    let unnoted = stores.unnoted.iter();
    begin.extend(unnoted.map(|owner| note(clock, "Node/ReserveNotNoted", owner.to_string())));
    let (writer, id) = AuditWriter::start_checked(store, |found| {
        let missing = missing(stores, bucket.as_deref(), known_id, found)?;
        match (missing, anew) {
            (None, false) => Ok(begin),
            (Some(reason), true) => {
                begin.insert(0, note(clock, "Node/AuditBegunAnew", reason));
                Ok(begin)
            }
            (Some(reason), false) => Err(NodeError::AuditGone(reason)),
            (None, true) => Err(NodeError::Usage(
                "no audit is missing here: leave --new-audit out".to_owned(),
            )),
        }
    })
    .map_err(|error| match error {
        NodeError::Storage(source) => NodeError::Audit(source),
        other => other,
    })?;
    // Where its own reserve is, says the record.
    stores.forget_lacking(AUDIT_JOURNAL)?;
    let mark = format!("{id} {}", place(servers));
    if known.is_none_or(|(id, place)| format!("{id} {place}") != mark) {
        stores.marks.set(MARK, &mark)?;
    }
    gone::note_kept(&*stores.records, &id)?;
    Ok(writer)
}

/// Returns why what was found cannot be the audit of this store; `None` where it can, or where none
/// was ever begun.
fn missing(
    stores: &Stores,
    bucket: Option<&dyn Objects>,
    known: Option<&str>,
    found: Option<&str>,
) -> Result<Option<String>, NodeError> {
    Ok(match (known, found) {
        (Some(known), Some(found)) if known != found => Some(format!(
            "audit {found} stands where audit {known} was begun"
        )),
        (_, Some(_)) => None,
        (Some(known), None) => Some(format!("audit {known} was begun here and is gone")),
        (None, None) => {
            let (kept, own) = (gone::kept(&*stores.records)?, Some(&*stores.objects));
            gone::traces(&stores.marks, kept.as_deref(), own, bucket)?.map(|gone| gone.reason)
        }
    })
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
    let (objects, not_compared) = checkpoints_of(&marks, servers, noted.as_ref())?;
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
        let kept = match database {
            Some(database) => gone::kept(&database.records)?,
            None => gone::kept_in(&marks)?,
        };
        let (own, bucket) = (objects_if_any(root), bucket(servers)?);
        let found = gone::traces(&marks, kept.as_deref(), own.as_deref(), bucket.as_deref())?;
        return Ok(found.map(of_gone));
    }
    Ok(Some(verification(report, not_compared)))
}

/// Where checkpoints are, or why they are not looked at.
type Found = (Option<Arc<dyn Objects>>, Option<String>);

fn checkpoints_of(
    marks: &Marks,
    servers: &ServerSettings,
    noted: Option<&(String, String)>,
) -> Result<Found, NodeError> {
    let is_on_s3 = noted.is_some_and(|(_, place)| place == ON_S3);
    if is_on_s3 && servers.s3.is_none() {
        let why = "its checkpoints are on S3, and APEX_S3_ENDPOINT is not set".to_owned();
        return Ok((None, Some(why)));
    }
    // Without its note they may be in either: where they are written now.
    let is_replay = || Ok::<_, NodeError>(origin::of(marks)? == Some(Origin::Replay));
    if is_on_s3 || (noted.is_none() && servers.s3.is_some() && !is_replay()?) {
        return Ok((bucket(servers)?, None));
    }
    Ok((objects_if_any(marks.root()), None))
}

fn of_gone(gone: gone::Gone) -> AuditVerification {
    AuditVerification {
        audit_id: gone.audit_id,
        records: 0,
        link: Link::NONE.to_string(),
        checkpoints: gone.checkpoints,
        last_checkpoint: gone.last_checkpoint,
        unseen: 0,
        torn_tail_bytes: 0,
        first_bad: Some(BadAuditRecord {
            sequence: 1,
            segment: String::new(),
            offset: 0,
            reason: gone.reason,
        }),
        not_compared: None,
    }
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
