//! Which lines of a passage a person is shown.

use std::collections::HashSet;

/// Words of a question that are looked for.
const MAX_WORDS: usize = 64;

/// `most` lines one after another: those with the most words of the query, each counted once; of several the first. Without any, the
/// first ones. Blank lines count for none. The other two say whether lines stand before them and after.
pub(super) fn excerpt<'t>(text: &'t str, query: &str, most: usize) -> (Vec<&'t str>, bool, bool) {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.trim_start().is_empty()).collect();
    let sought = words(query);
    let of_line = |line: &&str| -> Vec<usize> {
        let own = words(line);
        let lower = line.to_lowercase();
        // Scripts without blanks have no words that could be compared.
        let is_in = |word: &String| own.contains(word) || (!word.is_ascii() && lower.contains(word.as_str()));
        sought.iter().enumerate().filter(|(_, word)| is_in(word)).map(|(nth, _)| nth).collect()
    };
    let found: Vec<Vec<usize>> = if lines.len() > most { lines.iter().map(of_line).collect() } else { Vec::new() };
    let mut best = (0, 0);
    for (start, window) in found.windows(most.max(1)).enumerate() {
        let distinct: HashSet<usize> = window.iter().flatten().copied().collect();
        if distinct.len() > best.0 {
            best = (distinct.len(), start);
        }
    }
    // The first line that has one is shown with the line above it, where that costs none at the end.
    let (_, mut start) = best;
    let is_needed = |at: usize| found.get(at).is_some_and(|words| !words.is_empty());
    let mut last = start + most.saturating_sub(1);
    while start < last && !is_needed(start) && last + 1 < lines.len() {
        start += 1;
        last += 1;
    }
    let start = match best.0 {
        0 => 0,
        _ if is_needed(last) => start,
        _ => start.saturating_sub(1),
    };
    let shown = lines.iter().skip(start).take(most).copied().collect();
    (shown, start > 0, start + most < lines.len())
}

/// Words in small letters; what holds a word together (`T-150`, `a.b`) parts none.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if !word.is_empty() && out.len() < MAX_WORDS && !out.contains(&word) {
            out.push(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> String {
        (100..160).map(|n| format!("| T-{n} | Schraube | {n} |")).collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn the_lines_that_fit_are_shown() {
        let table = table();
        let (lines, before, after) = excerpt(&table, "T-150?", 6);
        assert!(lines.iter().any(|line| line.contains("T-150")) && lines.len() == 6 && before && after, "{lines:?}");
        let (lines, before, after) = excerpt(&table, "t-159", 6);
        assert_eq!((lines.last().copied(), before, after), (Some("| T-159 | Schraube | 159 |"), true, false));
        let (lines, before, after) = excerpt(&table, "nothing of it", 6);
        assert_eq!((lines.first().copied(), before, after), (Some("| T-100 | Schraube | 100 |"), false, true));
        assert_eq!(excerpt("a\n\nb", "b", 6), (vec!["a", "b"], false, false));
        let chinese = format!("{}\n泵的维护周期是两年。\n{}", "第一行\n".repeat(9), "最后一行\n".repeat(9));
        assert!(excerpt(&chinese, "维护周期", 6).0.contains(&"泵的维护周期是两年。"));
    }

    proptest! {
        /// As many lines as there is room for, in their order; and one with a word of the query, if any has one.
        #[test]
        fn never_fewer_lines_than_before(lines in prop::collection::vec("[a-c]{1,2}", 0..20), query in "[a-c]{1,2}", most in 1..7_usize) {
            let text = lines.join("\n");
            let (shown, before, after) = excerpt(&text, &query, most);
            prop_assert_eq!(shown.len(), lines.len().min(most));
            prop_assert!(text.contains(&shown.join("\n")));
            prop_assert_eq!(before || after, lines.len() > most);
            prop_assert!(!lines.contains(&query) || shown.contains(&query.as_str()));
        }
    }
}
