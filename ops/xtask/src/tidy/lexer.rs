//! Just enough of Rust's lexical rules to tell code from comments and strings.

/// Returns the source with comments and the contents of strings and character literals replaced
/// by spaces. Lines and columns stay where they are, so that findings can name them.
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !follows_word(bytes, at) && raw_hashes(bytes, at + 1).is_some() => {
                raw_string_end(bytes, at)
            }
            b'b' if !follows_word(bytes, at)
                && bytes.get(at + 1) == Some(&b'r')
                && raw_hashes(bytes, at + 2).is_some() =>
            {
                raw_string_end(bytes, at + 1)
            }
            b'\'' => char_literal_end(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // Whole literals and comments were blanked, byte by byte, so what is left is valid UTF-8.
    String::from_utf8_lossy(&code).into_owned()
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| from + length)
}

/// Block comments nest in Rust.
fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The number of `#` between the `r` and the quote of a raw string; `None` if it is none.
fn raw_hashes(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes
        .get(from..)?
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    (bytes.get(from + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_string_end(bytes: &[u8], r_at: usize) -> usize {
    let hashes = raw_hashes(bytes, r_at + 1).unwrap_or(0);
    let mut at = r_at + hashes + 2;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            let after = &bytes[at + 1..];
            if after.len() >= hashes && after[..hashes].iter().all(|byte| *byte == b'#') {
                return at + 1 + hashes;
            }
        }
        at += 1;
    }
    bytes.len()
}

/// Where a character literal ends, or the next byte when the quote begins a lifetime.
fn char_literal_end(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from + 1..];
    if rest.first() == Some(&b'\\') {
        let close = rest.iter().skip(2).position(|byte| *byte == b'\'');
        return close.map_or(bytes.len(), |length| from + 1 + 2 + length + 1);
    }
    // One character, of up to four bytes, and then the closing quote; a lifetime has none.
    let width = rest.first().map_or(1, |first| match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    });
    if rest.get(width) == Some(&b'\'') {
        from + 1 + width + 1
    } else {
        from + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares what is left beside spaces, and that every column stayed where it was.
    fn check(source: &str, expected: &str) {
        let code = code_only(source);
        assert_eq!(code.len(), source.len(), "{source}");
        assert_eq!(code.replace(' ', ""), expected, "{source}");
    }

    #[test]
    fn comments_become_spaces() {
        check("a // b { c\nd", "a\nd");
        check("a /* { /* } */ { */ b", "ab");
    }

    #[test]
    fn strings_of_every_kind_become_spaces() {
        check(r#"f("{ \" }") {"#, "f(){");
        check("r#\"{ \" }\"# b", "b");
        check("br\"{\" b", "b");
        check("for \"x\"", "for");
    }

    #[test]
    fn character_literals_become_spaces_and_lifetimes_stay() {
        check("'{' b 'ü' c", "bc");
        check(r"'\'' '\u{7d}' b", "b");
        check("fn a<'b>(c: &'b str) {", "fna<b>(c:&bstr){");
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        check("\"{", "");
        check("/* {", "");
        check("r#\"{", "");
    }
}
