//! `apextrade accounts split`.

use super::{Gateway, fields, print_json, request_id};
use crate::cli::SplitArgs;
use crate::commands::block_on;
use crate::config::Settings;
use anyhow::Result;
use apex_domain::InstrumentId;
use apex_proto::v1;
use std::process::ExitCode;

/// Splits an instrument in one account.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: SplitArgs, settings: &Settings) -> Result<ExitCode> {
    let client = args.account.client;
    let (numerator, denominator) = args.ratio;
    // As everywhere, a bare symbol means the one at `SIM`.
    let instrument_id = InstrumentId::in_command(&args.instrument)?.to_string();
    let request = v1::ApplySplitRequest {
        account_id: args.account.account,
        request_id: request_id(args.request)?,
        instrument_id,
        numerator,
        denominator,
    };
    let account = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.apply_split(request)).await
    })?;
    if client.json {
        print_json(&fields::account(&account));
    } else {
        crate::say!("{} is split {numerator}:{denominator}", args.instrument);
        crate::tell!("its working orders are being canceled: see `apextrade positions`");
    }
    Ok(ExitCode::SUCCESS)
}
