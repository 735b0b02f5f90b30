//! Names near to one that is not known, for a person who mistyped it.

use std::cmp::min;

/// Names that a refusal lists.
const LISTED: usize = 3;

/// Returns what to do about an unknown name: the nearest known ones, else some of all, else that
/// there is none.
pub fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|other| Some((distance(name, other)?, *other)))
        .collect();
    near.sort_unstable();
    near.truncate(LISTED);
    if !near.is_empty() {
        let near = near.into_iter().map(|(_, name)| name);
        return format!("did you mean {}?", quoted(near));
    }
    match known.len() {
        0 => "there is none yet".to_owned(),
        all if all <= LISTED => format!("there are {}", quoted(known)),
        all => format!(
            "there are {all}, such as {}",
            quoted(known.into_iter().take(LISTED))
        ),
    }
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    names.join(", ")
}

/// Returns how far two names lie apart, without regard to case: 0 where one begins or ends with
/// the other, else the number of edits; `None` beyond a third of the longer one.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    // A name of one or two letters begins too much.
    let begins = |long: &str, short: &str| {
        short.len() > 2 && (long.starts_with(short) || long.ends_with(short))
    };
    if begins(&a, &b) || begins(&b, &a) {
        return Some(0);
    }
    let edits = edits(a.as_bytes(), b.as_bytes());
    (edits * 3 <= a.len().max(b.len())).then_some(edits)
}

/// Returns how many insertions, deletions and substitutions lie between two texts. Names have at
/// most 64 bytes.
///
/// Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = min(replaced, min(row[j], diagonal) + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_told_else_some_of_all() {
        let known = [
            "BTCUSDT.SIM",
            "ETHUSDT.SIM",
            "BTCUSDT-PERP.SIM",
            "EURUSD.SIM",
        ];
        for (name, expected) in [
            (
                "BTCUSD.SIM",
                "did you mean \"BTCUSDT.SIM\", \"ETHUSDT.SIM\", \"EURUSD.SIM\"?",
            ),
            (
                "btcusdt",
                "did you mean \"BTCUSDT-PERP.SIM\", \"BTCUSDT.SIM\"?",
            ),
            (
                "GOLD.XNYS",
                "there are 4, such as \"BTCUSDT-PERP.SIM\", \"BTCUSDT.SIM\", \"ETHUSDT.SIM\"",
            ),
        ] {
            assert_eq!(advice(name, known), expected, "{name}");
        }
        assert_eq!(advice("x", ["paper"]), "there are \"paper\"");
        assert_eq!(advice("x", []), "there is none yet");
        assert_eq!(
            advice("papr", ["paper", "paper"]),
            "did you mean \"paper\"?"
        );
    }
}
