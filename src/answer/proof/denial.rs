//! Words by which a text denies, forbids or allows something.

use std::ops::Range;

use super::function::is_function;
use super::lex::Kind;
use super::reading::Reading;

/// A word or characters that are denied, and the steps that say so.
pub(super) struct Denied {
    pub(super) steps: Range<usize>,
    /// The first that is denied: a word, or two Chinese characters.
    pub(super) words: Range<usize>,
}

/// What a text says of whether something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Forbids,
    /// It is allowed, or a duty.
    Allows,
}

pub(super) fn key(reading: &Reading, step: usize) -> Option<(&str, Kind)> {
    let token = reading.tokens.get(reading.steps.get(step)?.token)?;
    Some((&token.key, token.kind))
}

fn word(reading: &Reading, step: usize) -> &str {
    key(reading, step).map(|(key, _)| key).unwrap_or_default()
}

fn word_before(reading: &Reading, step: usize) -> &str {
    step.checked_sub(1).map(|step| word(reading, step)).unwrap_or_default()
}

/// What is denied in some steps, in their order.
pub(super) fn denials(reading: &Reading, steps: &Range<usize>) -> Vec<Denied> {
    let mut denials = Vec::new();
    let mut at = steps.start;
    while at < steps.end {
        let Some((word, kind)) = key(reading, at) else { break };
        let next = self::word(reading, at + 1);
        let found = match kind {
            Kind::Word
                if is_negator(word) && !is_idiom(next) && !(word == "no" && next.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                let mut first = at + 1;
                while first < steps.end && key(reading, first).is_some_and(|(key, _)| is_function(key)) {
                    first += 1;
                }
                Some(first..(first + 1).min(steps.end))
            }
            Kind::Han if is_han_negator(word) && !is_han_idiom(reading, at, next) || is_ban(reading, at) => {
                let mut first = at + 1 + usize::from(word == "禁" && next == "止");
                while first < steps.end
                    && key(reading, first).is_some_and(|(key, _)| "有能会可曾是要应该得再被需必想准许允".contains(key))
                {
                    first += 1;
                }
                Some(first..(first + 2).min(steps.end))
            }
            _ => None,
        };
        if let Some(words) = found {
            denials.push(Denied { steps: at..words.start, words });
        }
        at += 1;
    }
    denials
}

/// Whether what is denied need not be done, which does not forbid it.
pub(super) fn is_waived(reading: &Reading, denied: &Denied) -> bool {
    let said = |wanted: &[&str]| denied.steps.clone().any(|step| wanted.contains(&word(reading, step)));
    said(&["必", "需", "须", "用"]) || said(&["have", "need"]) || matches!(word_before(reading, denied.steps.start), "need")
}

/// Whether one of several denials is of what the other is denied without: `may not enter without a badge` allows those who have one.
pub(super) fn cancel(reading: &Reading, denials: &[Denied]) -> bool {
    let lacks = |denied: &Denied| matches!(word(reading, denied.steps.start), "without" | "没" | "无" | "未");
    denials.len() > 1 && denials.iter().any(lacks)
}

/// `禁止`, `严禁`.
fn is_ban(reading: &Reading, at: usize) -> bool {
    word(reading, at) == "禁" && (word(reading, at + 1) == "止" || word_before(reading, at) == "严")
}

fn is_negator(key: &str) -> bool {
    matches!(key, "not" | "never" | "no" | "cannot" | "none" | "neither" | "nobody" | "nothing" | "without" | "nor")
        || key.ends_with("n't")
}

/// After a `not` or `no`, it denies nothing.
fn is_idiom(next: &str) -> bool {
    matches!(
        next,
        "only"
            | "just"
            | "merely"
            | "simply"
            | "necessarily"
            | "more"
            | "less"
            | "fewer"
            | "later"
            | "earlier"
            | "doubt"
            | "matter"
            | "least"
            | "until"
            | "longer"
            | "one"
            | "yet"
            | "all"
            | "always"
            | "every"
            | "everyone"
    )
}

fn is_han_negator(key: &str) -> bool {
    matches!(key, "不" | "没" | "无" | "未" | "勿" | "沒" | "無")
}

fn is_han_idiom(reading: &Reading, at: usize, next: &str) -> bool {
    let before = word_before(reading, at);
    if (word(reading, at), next) == ("不", "得") {
        // `不得不`, `不得已`, `舍不得`; else it forbids.
        let after = word(reading, at + 2);
        return "不了已而其志人要".contains(after) || !before.is_empty() && "怪恨舍巴要顾记来见了免少由容动认".contains(before);
    }
    if (word(reading, at), next) == ("不", "法") {
        return true;
    }
    "仅但过同断少久论管足如线数来常免禁料几知妨光止等安满良幸限穷辜疑形".contains(next) && !next.is_empty()
        || "除毫绝得好对差".contains(before) && !before.is_empty()
        // `可不可以`, `要不然`; what may be left undone (`可不经同意`) is denied.
        || matches!(before, "可" | "能" | "要" | "是") && (next == before || before == "要" && next == "然")
}

/// Words of the manner in which something is said to be so, or not to be: what is said of is not among them.
pub(super) fn is_manner(reading: &Reading, step: usize) -> bool {
    match key(reading, step) {
        Some((key, Kind::Word)) => {
            is_negator(key)
                || allows(key)
                || forbids(key)
                || matches!(
                    key,
                    "can"
                        | "may"
                        | "must"
                        | "shall"
                        | "should"
                        | "will"
                        | "fully"
                        | "completely"
                        | "entirely"
                        | "totally"
                        | "always"
                        | "strictly"
                )
        }
        Some((key, Kind::Han)) => is_han_negator(key) || "可以能必须应该会允许准得需要禁止严尚还已".contains(key),
        _ => false,
    }
}

fn allows(key: &str) -> bool {
    matches!(key, "allowed" | "permitted" | "allows" | "permits" | "allow" | "permit" | "permissible")
}

fn forbids(key: &str) -> bool {
    matches!(
        key,
        "prohibited" | "forbidden" | "banned" | "disallowed" | "prohibits" | "forbids" | "bans" | "prohibit" | "forbid" | "ban"
    )
}

/// What some steps say of whether something may be done, and the steps that do; `None` where they say it twice, or not at all.
pub(super) fn rule(reading: &Reading, steps: &Range<usize>) -> Option<(Rule, Range<usize>)> {
    let mut found = None;
    let mut at = steps.start;
    while at < steps.end {
        match rule_at(reading, at) {
            Some((rule, length)) => {
                if found.is_some() {
                    return None;
                }
                found = Some((rule, at..(at + length).min(steps.end)));
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

fn rule_at(reading: &Reading, at: usize) -> Option<(Rule, usize)> {
    let (first, kind) = key(reading, at)?;
    let (second, third) = (word(reading, at + 1), word(reading, at + 2));
    let denies = |key: &str| matches!(key, "not" | "never");
    Some(match kind {
        Kind::Word => match first {
            "not" | "never" if allows(second) => (Rule::Forbids, 2),
            "not" | "never" if second == "be" && allows(third) => (Rule::Forbids, 3),
            "must" | "may" | "shall" if denies(second) && third == "be" && allows(word(reading, at + 3)) => (Rule::Forbids, 4),
            "must" | "may" | "shall" | "can" if denies(second) => (Rule::Forbids, 2),
            "cannot" | "mustn't" | "can't" => (Rule::Forbids, 1),
            "must" | "may" | "shall" | "can" => (Rule::Allows, 1 + 2 * usize::from(second == "be" && allows(third))),
            _ if forbids(first) => (Rule::Forbids, 1),
            _ if allows(first) => (Rule::Allows, 1),
            _ => return None,
        },
        Kind::Han => match (first, second, third) {
            ("禁", "止", _) | ("严", "禁", _) | ("请" | "切", "勿", _) => (Rule::Forbids, 2),
            ("不", "允", "许") => (Rule::Forbids, 3),
            ("不", "得" | "可" | "能" | "准" | "许", _) if !is_han_idiom(reading, at, second) => (Rule::Forbids, 2),
            ("可", "以", _) | ("必", "须", _) | ("允" | "准", "许", _) => (Rule::Allows, 2),
            _ => return None,
        },
        Kind::Number | Kind::Mark => return None,
    })
}

/// Whether words that the other side (`told`) has not limit what is said, so that a missing `not` proves nothing.
pub(super) fn restricts(reading: &Reading, steps: &Range<usize>, told: &dyn Fn(usize) -> bool) -> bool {
    steps.clone().filter(|step| !told(*step)).filter_map(|step| key(reading, step)).any(|(key, kind)| match kind {
        Kind::Word => {
            forbids(key)
                || matches!(
                    key,
                    "only"
                        | "except"
                        | "unless"
                        | "until"
                        | "without"
                        | "rather"
                        | "instead"
                        | "unable"
                        | "hardly"
                        | "rarely"
                        | "barely"
                        | "few"
                        | "little"
                        | "but"
                        | "although"
                        | "however"
                        | "though"
                        | "impossible"
                        | "false"
                        | "incorrect"
                        | "over"
                        | "above"
                        | "under"
                        | "below"
                        | "before"
                        | "after"
                        | "outside"
                )
                || [
                    "fail", "lack", "refus", "den", "prohibit", "forb", "prevent", "avoid", "stop", "disabl", "reject",
                    "absen", "un", "in", "im", "non", "dis",
                ]
                .iter()
                .any(|begin| key.len() > begin.len() + 3 && key.starts_with(begin) && !is_only_like_a_denial(key))
        }
        Kind::Han => "只仅除禁拒防避缺失停止否反非别上下前后外满".contains(key),
        _ => false,
    })
}

/// Words that begin with what denies in others.
fn is_only_like_a_denial(key: &str) -> bool {
    [
        "under",
        "until",
        "into",
        "inside",
        "indoor",
        "includ",
        "incom",
        "increas",
        "individ",
        "indust",
        "inform",
        "instal",
        "instruct",
        "insur",
        "inten",
        "inter",
        "invest",
        "invit",
        "index",
        "initial",
        "inject",
        "input",
        "inspect",
        "integr",
        "introduc",
        "invent",
        "involv",
        "image",
        "immedi",
        "impact",
        "implement",
        "import",
        "impos",
        "improv",
        "union",
        "unit",
        "univers",
        "unif",
        "uniq",
        "discuss",
        "diseas",
        "display",
        "distanc",
        "distribut",
        "district",
        "discover",
    ]
    .iter()
    .any(|begin| key.starts_with(begin))
}
