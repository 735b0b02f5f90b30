//! Reads the closing lines of the test runners and adds them up.

use std::ops::AddAssign;

/// Counts of tests by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// A runner's closing line, and the counts in it.
pub type Closing = (String, Totals);

/// Finds nextest's `Summary [ 0.1s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped`.
pub fn nextest(lines: &[String]) -> Option<Closing> {
    let line = lines
        .iter()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, counts) = line.split_once(" run: ")?;
    Some((line.trim().to_owned(), count(counts, ',')))
}

/// Adds up libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, one line a crate.
pub fn libtest(lines: &[String]) -> Option<Closing> {
    let mut totals = Totals::default();
    let mut crates = 0;
    for line in lines {
        if let Some(counts) = line.strip_prefix("test result: ") {
            totals += count(
                counts.split_once(". ").map_or(counts, |(_, rest)| rest),
                ';',
            );
            crates += 1;
        }
    }
    (crates > 0).then(|| {
        let line = format!(
            "{crates} test results: {} passed; {} failed; {} ignored",
            totals.passed, totals.failed, totals.skipped
        );
        (line, totals)
    })
}

/// Finds pytest's `==== 1 failed, 2 passed, 1 skipped in 0.12s ====`.
pub fn pytest(lines: &[String]) -> Option<Closing> {
    let line = lines.iter().rev().find(|line| {
        let line = line.trim_matches(['=', ' ']);
        line.contains(" in ") && (line.starts_with("no tests ran") || starts_with_digit(line))
    })?;
    let line = line.trim_matches(['=', ' ']);
    let (counts, _) = line.split_once(" in ")?;
    Some((line.to_owned(), count(counts, ',')))
}

fn starts_with_digit(line: &str) -> bool {
    line.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Reads `10 passed (1 slow), 2 failed` and the like. What is neither passed nor skipped counts
/// as failed (errors, timed out, exec failed), except what was never meant to count.
fn count(text: &str, separator: char) -> Totals {
    let mut totals = Totals::default();
    for part in text.split(separator) {
        let mut words = part.split_whitespace();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            continue;
        };
        match words.next().unwrap_or_default() {
            "passed" => totals.passed += number,
            "skipped" | "ignored" | "xfailed" => totals.skipped += number,
            "filtered" | "measured" | "deselected" | "warning" | "warnings" | "rerun" => {}
            _ => totals.failed += number,
        }
    }
    totals
}

/// Names of the tests in a JUnit file that ended well but printed a line `SKIPPED: why`: a test
/// that found no recorded market data returns early, and the runner takes that for a pass.
pub fn skipped_by_their_own_word(junit: &str) -> Vec<String> {
    junit
        .split("<testcase ")
        .skip(1)
        .filter(|case| case.lines().any(line_says_skipped))
        .filter(|case| !case.contains("<failure") && !case.contains("<error"))
        .filter_map(|case| {
            let attribute = |name: &str| {
                let (_, rest) = case.split_once(&format!("{name}=\""))?;
                rest.split_once('"').map(|(value, _)| value.to_owned())
            };
            Some(format!(
                "{} {}",
                attribute("classname")?,
                attribute("name")?
            ))
        })
        .collect()
}

fn line_says_skipped(line: &str) -> bool {
    let text = line.rsplit('>').next().unwrap_or(line);
    text.trim_start().starts_with("SKIPPED:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn totals(passed: u64, failed: u64, skipped: u64) -> Totals {
        Totals {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn a_nextest_summary_is_read_with_every_kind_of_failure() {
        let text = "junk\n  Summary [   1.204s] 14 tests run: 10 passed (1 slow), 2 failed, \
                    1 timed out, 1 exec failed, 3 skipped\nFAIL x";
        assert_eq!(nextest(&lines(text)).unwrap().1, totals(10, 4, 3));
        assert_eq!(nextest(&lines("error: could not compile")), None);
    }

    #[test]
    fn libtest_results_of_several_crates_are_added() {
        let text = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out\n\
                    test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured";
        assert_eq!(libtest(&lines(text)).unwrap().1, totals(3, 3, 1));
        assert_eq!(libtest(&lines("nothing")), None);
    }

    #[test]
    fn a_pytest_closing_line_is_read_quiet_or_not() {
        let loud = "== 1 failed, 2 passed, 1 skipped, 4 deselected, 2 warnings in 0.12s ==";
        assert_eq!(pytest(&lines(loud)).unwrap().1, totals(2, 1, 1));
        assert_eq!(
            pytest(&lines("3 passed, 1 error in 9.01s")).unwrap().1,
            totals(3, 1, 0)
        );
        assert_eq!(
            pytest(&lines("no tests ran in 0.01s")).unwrap().1,
            totals(0, 0, 0)
        );
    }

    #[test]
    fn a_test_that_says_it_skipped_is_not_a_pass() {
        let junit = "<testcase name=\"a\" classname=\"k\"><system-err>SKIPPED: no data\n\
                     </system-err></testcase>\
                     <testcase name=\"b\" classname=\"k\"><system-err>was not SKIPPED: no\
                     </system-err></testcase>";
        assert_eq!(skipped_by_their_own_word(junit), ["k a"]);
    }
}
