//! `apextrade verify`.

use crate::cli::VerifyArgs;
use crate::config::Settings;
use anyhow::{Context, Result};
use apex_node::verify::{Verification, verify};
use apex_storage::AUDIT_JOURNAL;
use std::process::ExitCode;

/// Checks every journal of the data folder. Exit status 1 when something is damaged.
pub fn run(args: &VerifyArgs, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let found = verify(data_dir, &settings.servers)
        .with_context(|| format!("cannot verify data folder \"{}\"", data_dir.display()))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&found)?);
    } else {
        print(&found);
    }
    Ok(if found.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(found: &Verification) {
    for account in &found.accounts {
        crate::say!(
            "account {}: {} records, chain {}",
            account.account_id,
            account.records,
            account.chain
        );
    }
    if let Some(audit) = &found.audit {
        crate::say!(
            "audit: {} records, {} checkpoints, the last at record {}; {} behind it could be cut off \
             unseen",
            audit.records,
            audit.checkpoints,
            audit.last_checkpoint,
            audit.unseen
        );
        if let Some(why) = &audit.not_compared {
            crate::say!("audit: not compared with its checkpoints: {why}");
        }
        if let Some(bad) = &audit.first_bad {
            crate::say!(
                "damaged: audit (journal \"{AUDIT_JOURNAL}\"), record {}: {}; put the audit of a backup \
                 back, the journals of the accounts are not at fault",
                bad.sequence,
                bad.reason
            );
        }
    }
    if found.torn_tail_bytes > 0 {
        crate::say!(
            "unfinished last write: {} bytes, no damage",
            found.torn_tail_bytes
        );
    }
    match &found.first_bad {
        None => crate::say!(
            "ok: {} records, state hash {}",
            found.records,
            found.state_hash
        ),
        // It was named above.
        Some(bad) if bad.account_id == AUDIT_JOURNAL => {}
        Some(bad) => {
            // A record that is missing, or does not decode, has no place of its own.
            let place = match bad.segment.as_str() {
                "" => String::new(),
                segment => format!("segment {segment}, byte {}, ", bad.offset),
            };
            crate::say!(
                "damaged: account {}, {place}sequence {}: {}; restore from a backup",
                bad.account_id,
                bad.sequence,
                bad.reason
            );
        }
    }
}
