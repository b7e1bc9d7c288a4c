//! How well claims about the documents are checked: which true ones are doubted, and which others are not.
//!
//! A claim is checked as a sentence of an answer that cites what the question is answered with: of the passages that are found those
//! that hold a marked answer, or all where none is marked. Of a true claim that is not doubted each number is then altered to one that
//! those passages do not have, which has to be doubted.

use serde::Deserialize;

use crate::answer::{Decided, Doubt};

/// A claim that a set knows to be true or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledClaim {
    /// What is claimed.
    pub text: String,
    /// Whether the documents say so.
    pub supported: bool,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClaimScore {
    /// What was claimed.
    pub text: String,
    /// Whether the documents say so.
    pub supported: bool,
    /// What is doubtful of it, as an answer would show it; `None`: nothing was found that it could rest on.
    pub doubts: Option<Vec<Doubt>>,
    /// Whether it is doubted by the passages' bytes alone, where a decision model has a say in `doubts`.
    pub doubted_unsharpened: Option<bool>,
    /// Numbers that were altered, one at a time, and how many of them were doubted; by the bytes alone.
    pub altered: (usize, usize),
    /// What the decision took.
    pub decided: Option<Decided>,
}

impl ClaimScore {
    /// Whether it is doubted by the passages' bytes alone.
    pub fn is_doubted_by_bytes(&self) -> bool {
        let shown = self.doubts.as_ref().is_some_and(|doubts| !doubts.is_empty());
        self.doubted_unsharpened.unwrap_or(shown)
    }
}

/// The figures of all claims.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimScores {
    /// As an answer would show them.
    pub shown: Told,
    /// By the passages' bytes alone, where a decision model has a say.
    pub without_model: Option<Told>,
    /// Numbers of true claims that were altered.
    pub altered: usize,
    /// Those of them that were doubted.
    pub altered_caught: usize,
    /// Claims of whose question nothing was found that they could rest on; they are in no other figure.
    pub unfound: usize,
    /// What the decision model took, where one has a say.
    pub decided: Option<Decided>,
}

/// How true claims are told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Claims that the documents support.
    pub supported: usize,
    /// Those of them that were doubted: false alarms.
    pub doubted: usize,
    /// Claims that the documents do not support.
    pub unsupported: usize,
    /// Those of them that were doubted.
    pub caught: usize,
}

impl Told {
    /// The share of the supported claims that were doubted; `None` where there are none.
    pub fn false_alarms(&self) -> Option<f64> {
        share(self.doubted, self.supported)
    }

    /// Of what was doubted, the share that is not supported: the precision of a doubt.
    pub fn precision(&self) -> Option<f64> {
        share(self.caught, self.caught + self.doubted)
    }

    /// The share of the unsupported claims that were doubted: the recall of doubts.
    pub fn recall(&self) -> Option<f64> {
        share(self.caught, self.unsupported)
    }

    fn count(&mut self, supported: bool, doubted: bool) {
        let (all, of_them) =
            if supported { (&mut self.supported, &mut self.doubted) } else { (&mut self.unsupported, &mut self.caught) };
        *all += 1;
        *of_them += usize::from(doubted);
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

impl ClaimScores {
    /// `None` where nothing is claimed.
    pub fn of(claims: &[ClaimScore]) -> Option<Self> {
        if claims.is_empty() {
            return None;
        }
        let sharpened = claims.iter().any(|claim| claim.doubted_unsharpened.is_some());
        let (mut shown, mut without) = (Told::default(), Told::default());
        let (mut altered, mut altered_caught, mut unfound) = (0, 0, 0);
        let mut decided: Option<Decided> = None;
        for claim in claims {
            let Some(doubts) = &claim.doubts else {
                unfound += 1;
                continue;
            };
            shown.count(claim.supported, !doubts.is_empty());
            without.count(claim.supported, claim.is_doubted_by_bytes());
            altered += claim.altered.0;
            altered_caught += claim.altered.1;
            if let Some(more) = &claim.decided {
                decided = Some(decided.map_or_else(|| more.clone(), |sum| sum.and(more)));
            }
        }
        let without_model = sharpened.then_some(without);
        Some(Self { shown, without_model, altered, altered_caught, unfound, decided })
    }
}

/// The claim with each of its numbers in digits altered in turn, to one of as many digits that neither the claim nor a passage has.
/// Digits within a word (`sha256`) are its name's and stay.
pub(super) fn altered(claim: &str, passages: &[&str]) -> Vec<String> {
    numbers(claim)
        .into_iter()
        .filter_map(|(at, number)| {
            let other = other_than(number, claim, passages)?;
            let (before, rest) = claim.split_at_checked(at)?;
            Some(format!("{before}{other}{}", rest.get(number.len()..)?))
        })
        .collect()
}

/// Runs of digits with no letter of the Latin script beside them, and where they begin.
fn numbers(text: &str) -> Vec<(usize, &str)> {
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(begin) = text.get(from..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit())).map(|at| from + at) {
        let rest = text.get(begin..).unwrap_or_default();
        let digits = rest.get(..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())).unwrap_or_default();
        from = begin + digits.len();
        let (before, after) = (text.get(..begin).unwrap_or_default().chars().next_back(), rest.get(digits.len()..));
        if !latin(before) && !latin(after.unwrap_or_default().chars().next()) {
            found.push((begin, digits));
        }
    }
    found
}

/// The next number of as many digits that stands nowhere.
fn other_than(number: &str, claim: &str, passages: &[&str]) -> Option<String> {
    /// Beyond this many digits it is no quantity.
    const DIGITS: usize = 12;
    /// Numbers that are tried.
    const TRIED: u64 = 200;
    let value: u64 = number.parse().ok().filter(|_| number.len() <= DIGITS)?;
    let (least, most) = (10_u64.pow(number.len() as u32 - 1), 10_u64.pow(number.len() as u32) - 1);
    let free = |other: &String| !claim.contains(other.as_str()) && !passages.iter().any(|text| text.contains(other.as_str()));
    (1..=TRIED)
        .map(|n| value + 3 * n)
        .map(|other| if other > most { least + other % (most - least + 1) } else { other })
        .map(|other| format!("{other:0width$}", width = number.len()))
        .find(free)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::DoubtKind;

    fn claim(supported: bool, doubted: bool) -> ClaimScore {
        let doubt = Doubt { kind: DoubtKind::Number, said: "7".into(), n: vec![1] };
        ClaimScore { supported, doubts: Some(if doubted { vec![doubt] } else { Vec::new() }), ..ClaimScore::default() }
    }

    #[test]
    fn doubts_are_counted_by_what_is_true() {
        let claims = [
            claim(true, false),
            ClaimScore { altered: (3, 2), ..claim(true, false) },
            claim(true, true),
            claim(false, true),
            claim(false, false),
            ClaimScore { doubts: None, ..claim(true, true) },
        ];
        let scores = ClaimScores::of(&claims).unwrap();
        assert_eq!(scores.shown, Told { supported: 3, doubted: 1, unsupported: 2, caught: 1 });
        assert_eq!((scores.shown.precision(), scores.shown.recall()), (Some(0.5), Some(0.5)));
        assert_eq!((scores.altered, scores.altered_caught, scores.unfound, scores.without_model), (3, 2, 1, None));
        assert_eq!(ClaimScores::of(&[]), None);
        assert_eq!(Told::default().precision(), None, "nothing was doubted");
    }

    #[test]
    fn what_a_model_changes_is_told_beside_what_is_without_it() {
        let decided = |cost| Some(Decided { model: "x/y".into(), asked: 1, input_tokens: Some(10), cost_usd: Some(cost) });
        let claims = [
            ClaimScore { doubted_unsharpened: Some(true), decided: decided(0.25), ..claim(true, false) },
            ClaimScore { doubted_unsharpened: Some(false), decided: decided(0.5), ..claim(false, true) },
        ];
        let scores = ClaimScores::of(&claims).unwrap();
        assert_eq!(scores.shown, Told { supported: 1, doubted: 0, unsupported: 1, caught: 1 });
        assert_eq!(scores.without_model, Some(Told { supported: 1, doubted: 1, unsupported: 1, caught: 0 }));
        assert_eq!(
            scores.decided,
            Some(Decided { model: "x/y".into(), asked: 2, input_tokens: Some(20), cost_usd: Some(0.75) })
        );
    }

    #[test]
    fn each_number_is_altered_to_one_that_is_nowhere() {
        let source = "Keys rotate every 90 days; 93 and 96 are other figures. sha256 is used.";
        assert_eq!(altered("Keys rotate every 90 days with sha256.", &[source]), ["Keys rotate every 99 days with sha256."]);
        assert_eq!(
            altered("备份保留30天，共5份。", &["备份保留30天，共5份。"]),
            ["备份保留33天，共5份。", "备份保留30天，共8份。"]
        );
        assert_eq!(altered("no number, sha256", &[]), Vec::<String>::new());
        assert_eq!(altered("9", &["0123456789"]), Vec::<String>::new(), "there is no other digit");
    }

    proptest! {
        #[test]
        fn an_altered_number_has_as_many_digits_and_all_else_stays(claim in "[a-z0-9年月 ,.]{0,40}", source in "[0-9 ]{0,30}") {
            let found = numbers(&claim);
            for other in altered(&claim, &[&source]) {
                prop_assert_eq!(other.len(), claim.len());
                let differ: Vec<usize> = claim.bytes().zip(other.bytes()).enumerate().filter(|(_, (a, b))| a != b).map(|(n, _)| n).collect();
                let within = |(at, number): &&(usize, &str)| differ.iter().all(|n| (*at..at + number.len()).contains(n));
                let (at, number) = found.iter().find(within).unwrap();
                let new = other.get(*at..at + number.len()).unwrap();
                prop_assert!(!source.contains(new) && !claim.contains(new) && new.bytes().all(|b| b.is_ascii_digit()));
            }
        }
    }
}
