//! What a command prints.

use anyhow::Error;
use std::fmt::Arguments;
use std::io::Write;

/// Prints a line on standard output. A reader who has gone, such as `head`, is no error.
pub fn line(text: Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints bytes as they are, as [`line`] does.
pub fn bytes(content: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(content).and_then(|()| out.flush());
}

/// [`line`] with the arguments of `format!`.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Prints a line on standard error. That it cannot be written, to a full disk perhaps, is no
/// reason to end.
pub fn error_line(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// [`error_line`] with the arguments of `format!`.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => { $crate::output::error_line(format_args!($($text)*)) };
}

/// Flags that contradict each other, which the command line's reader cannot know: exit status 2.
#[derive(Debug)]
pub struct WrongUsage(pub String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Returns an error and its causes on one line. A cause that its effect already tells is left out.
pub fn one_line(error: &Error) -> String {
    causes(error.as_ref())
}

/// As [`one_line`], of an error that has its type still.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string().replace('\n', " ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

/// Prints rows under headings, each column as wide as its widest cell.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let row_line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        crate::say!("{}", padded.join("  ").trim_end());
    };
    row_line(
        &headings
            .iter()
            .map(|heading| (*heading).to_owned())
            .collect::<Vec<_>>(),
    );
    for row in rows {
        row_line(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let cause: Result<(), _> = Err(anyhow::anyhow!("permission denied"));
        let error = cause.context("cannot open \"x\"").unwrap_err();
        assert_eq!(one_line(&error), "cannot open \"x\": permission denied");
    }
}
