//! How what is doubtful in an answer is shown to who reads its text alone.

use super::mark::queried;
use super::proof::Doubt;

/// What stands above doubts in plain words.
pub(crate) const ABOVE: &str = "Not in the sources that are cited for it";

/// A citation with a `?` after each number that is doubtful, or that no source has: `[1?, 7?]`.
pub(crate) fn shown(text: &str, sources: &[usize], unknown: &[usize], doubts: &[Doubt]) -> String {
    let doubtful = if doubts.is_empty() { &[] } else { sources };
    let numbers = [doubtful, unknown].concat();
    if numbers.is_empty() { text.to_owned() } else { queried(text, &numbers) }
}

/// The mark of a doubt, and what it is about: `[1?, 2?]` and `number: 90 days`.
pub(crate) fn told(doubt: &Doubt) -> (String, String) {
    let n: Vec<String> = doubt.n.iter().map(|n| format!("{n}?")).collect();
    (format!("[{}]", n.join(", ")), format!("{}: {}", doubt.kind, doubt.said))
}

/// `[7?] [9?]: no source has this number`; `None` where there is none.
pub(crate) fn unknown(numbers: &[usize]) -> Option<String> {
    let marks: Vec<String> = numbers.iter().map(|n| format!("[{n}?]")).collect();
    (!numbers.is_empty()).then(|| format!("{}: no source has this number", marks.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::super::proof::DoubtKind;
    use super::*;

    #[test]
    fn what_is_doubtful_is_marked_and_what_is_not_is_left_as_it_is() {
        let doubt = Doubt { kind: DoubtKind::Number, said: "13.5 kg".into(), n: vec![1, 2] };
        assert_eq!(shown("[1, 2]", &[1, 2], &[], &[]), "[1, 2]");
        assert_eq!(shown("[1, 9]", &[1], &[9], &[]), "[1, 9?]");
        assert_eq!(shown("[1, 9]", &[1], &[9], std::slice::from_ref(&doubt)), "[1?, 9?]");
        assert_eq!(told(&doubt), ("[1?, 2?]".to_owned(), "number: 13.5 kg".to_owned()));
        assert_eq!(unknown(&[7, 9]).as_deref(), Some("[7?] [9?]: no source has this number"));
        assert_eq!(unknown(&[]), None);
    }
}
