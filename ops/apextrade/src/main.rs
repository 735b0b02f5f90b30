//! The one binary: roles and commands of the platform.
//!
//! Each command is a file in `commands`; this file only reads the command line, sets up logging
//! and turns the outcome into an exit status: 0 done, 1 failed with one line that says what, why
//! and what to do, 2 wrong usage.

mod advice;
mod cli;
mod commands;
mod config;
mod output;

use apex_domain::matching::ChoiceError;
use clap::Parser;
use std::process::ExitCode;

/// As the command line's reader has it.
const WRONG_USAGE: u8 = 2;

/// Keeps freed memory in per-thread pools: the bus frees on another thread than it allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // One line: what, why and what to do, each cause behind the one before.
            let advice = error.chain().find_map(advice::of);
            let line = output::one_line(&error);
            match advice {
                Some(advice) => crate::tell!("apextrade: {line}: {advice}"),
                None => crate::tell!("apextrade: {line}"),
            }
            // A model's words may only be looked at once settings and data are known.
            let is_usage = error
                .chain()
                .any(|cause| cause.is::<ChoiceError>() || cause.is::<output::WrongUsage>());
            if is_usage {
                return ExitCode::from(WRONG_USAGE);
            }
            ExitCode::FAILURE
        }
    }
}
