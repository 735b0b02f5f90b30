//! Rules for Rust files: size, finished work, documentation, and what the domain must not hold.

use super::lexer::code_only;
use super::{Finding, Source};

/// A file past this holds two ideas.
const FILE_LINES: usize = 500;

/// A function past this no longer fits a screen, with room for a long table.
const FUNCTION_LINES: usize = 100;

/// Where floats belong: indicators and statistics, which are no money.
const FLOAT_FOLDERS: [&str; 4] = [
    "/indicator/",
    "/indicator.rs",
    "/statistics/",
    "/statistics.rs",
];

pub fn check(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let code = code_only(source.text);
    file_length(source, findings);
    function_length(source, &code, findings);
    unfinished(source, &code, findings);
    crate_documentation(source, findings);
    if source.path.starts_with("actors/domain/src/") {
        pure_domain(source, &code, findings);
    }
}

fn file_length(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        findings.push(source.finding(
            0,
            format!(
                "{lines} lines, more than {FILE_LINES}: a file holds one idea, so that its name \
                 says what is in it; lift the second idea out into a file of its own"
            ),
        ));
    }
}

/// Counts from the line with `fn` to the line of the closing brace.
fn function_length(source: &Source<'_>, code: &str, findings: &mut Vec<Finding>) {
    let mut depth = 0_usize;
    // Functions whose body has begun: (line of `fn`, depth outside its body).
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut declared: Option<usize> = None;
    for (index, line) in code.lines().enumerate() {
        if is_function(line) {
            declared = Some(index);
        }
        for letter in line.chars() {
            match letter {
                '{' => {
                    if let Some(begin) = declared.take() {
                        open.push((begin, depth));
                    }
                    depth += 1;
                }
                '}' => {
                    depth = depth.saturating_sub(1);
                    if open.last().is_some_and(|(_, outside)| *outside == depth)
                        && let Some((begin, _)) = open.pop()
                    {
                        report_long(source, begin, index, findings);
                    }
                }
                // `fn name();` in a trait has no body. `[u8; 4]` in a signature also has a
                // semicolon, and then a long body goes unseen: rare, and only in our favour.
                ';' if depth == open.last().map_or(depth, |(_, outside)| outside + 1) => {
                    declared = None;
                }
                _ => {}
            }
        }
    }
}

fn is_function(line: &str) -> bool {
    line.match_indices("fn ").any(|(at, _)| {
        line[..at]
            .chars()
            .next_back()
            .is_none_or(|before| before == ' ' || before == '(')
            && line[at + 3..].starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
    })
}

fn report_long(source: &Source<'_>, begin: usize, end: usize, findings: &mut Vec<Finding>) {
    let lines = end - begin + 1;
    if lines > FUNCTION_LINES {
        findings.push(source.finding(
            begin + 1,
            format!(
                "a function of {lines} lines, more than {FUNCTION_LINES}: it cannot be read at \
                 once; lift out the part that only computes"
            ),
        ));
    }
}

fn unfinished(source: &Source<'_>, code: &str, findings: &mut Vec<Finding>) {
    for (index, line) in code.lines().enumerate() {
        for name in ["todo!", "unimplemented!"] {
            if line.contains(name) {
                findings.push(source.finding(
                    index + 1,
                    format!("`{name}` panics in the hands of a user: finish it or leave it out"),
                ));
            }
        }
        if line.contains("#[ignore") {
            findings.push(source.finding(
                index + 1,
                "a test that does not run guards nothing: make it run, or delete it; long forms \
                 run by a count from the environment (`cargo xtask soak`)",
            ));
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        for word in [
            concat!("FIX", "ME"),
            concat!("XX", "X"),
            concat!("TO", "DO"),
        ] {
            if has_word(line, word) {
                findings.push(source.finding(
                    index + 1,
                    format!("`{word}`: notes in code are forgotten; do it, or file it"),
                ));
            }
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        [before, after]
            .into_iter()
            .flatten()
            .all(|letter| !letter.is_alphanumeric() && letter != '_')
    })
}

fn crate_documentation(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let is_crate_root = ["src/lib.rs", "src/main.rs"]
        .iter()
        .any(|name| source.path.ends_with(name));
    if is_crate_root && !source.text.starts_with("//!") {
        findings.push(source.finding(
            1,
            "a crate opens with `//!`: what it is for, what it does not do, where to start \
             reading; a newcomer begins here",
        ));
    }
}

/// What clippy cannot ban inside the domain: floats (only some are wrong) and printing (tests may).
fn pure_domain(source: &Source<'_>, code: &str, findings: &mut Vec<Finding>) {
    let floats_allowed = FLOAT_FOLDERS
        .iter()
        .any(|folder| source.path.contains(folder));
    // By house custom the tests are the last thing in a file.
    let product = code.split("#[cfg(test)]").next().unwrap_or(code);
    for (index, line) in product.lines().enumerate() {
        if !floats_allowed && (has_word(line, "f64") || has_word(line, "f32")) {
            findings.push(source.finding(
                index + 1,
                "a float outside `indicator` and `statistics`: floats lose cents and differ by machine; use \
                 mantissas or `Decimal`",
            ));
        }
        if ["println!", "print!", "eprintln!", "eprint!"]
            .iter()
            .any(|name| has_word(line, name))
        {
            findings.push(source.finding(
                index + 1,
                "printing in the domain: it does no I/O; return a value or push an effect",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages_of;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        messages_of(check, &Source { path, text })
    }

    fn lines(count: usize) -> String {
        "    call();\n".repeat(count)
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        assert_eq!(
            messages("a/src/b.rs", &"// x\n".repeat(FILE_LINES)).len(),
            0
        );
        assert_eq!(
            messages("a/src/b.rs", &"// x\n".repeat(FILE_LINES + 1)).len(),
            1
        );
    }

    #[test]
    fn a_function_that_is_too_long_is_found_and_a_short_one_is_not() {
        let function = |body: usize| format!("pub fn a(b: u8) -> u8 {{\n{}}}\n", lines(body));
        assert_eq!(
            messages("a/src/b.rs", &function(FUNCTION_LINES - 2)).len(),
            0
        );
        assert_eq!(
            messages("a/src/b.rs", &function(FUNCTION_LINES - 1)).len(),
            1
        );
    }

    #[test]
    fn an_impl_or_module_that_is_long_is_no_long_function() {
        let short = format!("    fn a() {{\n{}    }}\n", lines(50));
        assert_eq!(
            messages("a/src/b.rs", &format!("impl A {{\n{short}{short}}}\n")).len(),
            0
        );
        let declared = format!("trait A {{\n    fn a();\n}}\nmod b {{\n{}}}\n", lines(150));
        assert_eq!(messages("a/src/b.rs", &declared).len(), 0);
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let text = format!(
            "fn a() {{\n    b(\"{{\");\n}}\nmod c {{\n{}}}\n",
            lines(150)
        );
        assert_eq!(messages("a/src/b.rs", &text).len(), 0);
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_comments() {
        let marker = concat!("FIX", "ME");
        assert_eq!(messages("a/src/b.rs", "fn a() { todo!() }\n").len(), 1);
        assert_eq!(messages("a/src/b.rs", "fn a() { b(\"todo!\") }\n").len(), 0);
        assert_eq!(
            messages("a/src/b.rs", &format!("// {marker}: later\n")).len(),
            1
        );
        assert_eq!(messages("a/src/b.rs", &format!("// a{marker}\n")).len(), 0);
        assert_eq!(messages("a/src/b.rs", "#[ignore = \"slow\"]\n").len(), 1);
    }

    #[test]
    fn a_crate_without_an_opening_is_found() {
        assert_eq!(messages("a/src/lib.rs", "pub mod b;\n").len(), 1);
        assert_eq!(
            messages("a/src/lib.rs", "//! For b.\npub mod b;\n").len(),
            0
        );
    }

    #[test]
    fn floats_and_printing_are_found_in_the_domain_only() {
        let float = "pub fn a(b: f64) {}\n";
        assert_eq!(messages("actors/domain/src/money.rs", float).len(), 1);
        assert_eq!(
            messages("actors/domain/src/indicator/ema.rs", float).len(),
            0
        );
        assert_eq!(messages("benches/src/a.rs", float).len(), 0);
        assert_eq!(messages("actors/domain/src/a.rs", "// an f64\n").len(), 0);
        assert_eq!(
            messages("actors/domain/src/a.rs", "fn a() { println!(\"b\"); }\n").len(),
            1
        );
        let test = "#[cfg(test)]\nmod tests { fn a() { eprintln!(\"SKIPPED: b\"); } }\n";
        assert_eq!(messages("actors/domain/src/a.rs", test).len(), 0);
    }
}
