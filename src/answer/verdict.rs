//! What a judge has written, read: which of the answers it picks, and why.
//!
//! It is asked for a number alone on the first line. Where it writes a sentence instead, the choice is the answer that a clause calls
//! the better one, or the only one that is named; a number of answers, a citation or a figure is none. Where that leaves more than one
//! the judge has not picked: a wrong choice is worse than the next judge.

use std::ops::Range;

/// A piece of a sentence: a word, a Chinese character, a number or a mark.
#[derive(Debug)]
struct Token {
    /// In lower case.
    text: String,
    number: Option<usize>,
    at: Range<usize>,
}

/// An answer that is named.
#[derive(Debug, Clone, PartialEq)]
struct Mention {
    n: usize,
    /// It is called an answer, so that its number means nothing else.
    labelled: bool,
    /// Its bytes, with the word for it.
    at: Range<usize>,
    /// Its tokens.
    tokens: Range<usize>,
}

/// What an answer may be called.
const NOUNS: &[&str] = &["answer", "response", "option", "candidate", "reply"];
const PLURALS: &[&str] = &["answers", "responses", "options", "candidates", "replies"];
const CHINESE_NOUNS: &[&str] = &["回答", "答案", "答复", "回复", "选项", "答"];
const MEASURES: &[&str] = &["个", "個", "份", "条", "條", "种", "種", "篇", "则", "號", "号"];
const ORDINALS: &[&str] = &["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const CARDINALS: &[&str] = &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const CHINESE_DIGITS: &str = "一二三四五六七八九十";
/// What a bare number is followed by that stands for an answer.
const VERBS: &[&str] = &[
    "is", "was", "has", "wins", "beats", "cites", "gives", "because", "since", "as", "for", "over", "than", "and", "or",
    "seems", "looks", "more", "better", "best", "更", "最", "是", "比", "好", "优", "優", "胜", "勝", "因", "和", "与", "與",
    "不", "没", "沒", "的",
];
/// What says that the answer in its clause is the better one, and what that another is.
const BETTER: &[&str] = &[
    "best",
    "better",
    "prefer",
    "preferred",
    "preferable",
    "pick",
    "picked",
    "picking",
    "choose",
    "chose",
    "choosing",
    "choice",
    "select",
    "selected",
    "take",
    "recommend",
    "winner",
    "wins",
    "win",
    "beats",
    "outperforms",
    "superior",
    "stronger",
    "strongest",
    "favor",
    "favour",
    "vote",
    "go",
    "verdict",
    "选",
    "選",
    "最",
    "更",
    "优",
    "優",
    "胜",
    "勝",
    "推荐",
    "推薦",
    "较好",
    "較好",
    "赢",
    "贏",
    "好于",
    "好於",
];
const WORSE: &[&str] = &[
    "worse", "worst", "weaker", "weakest", "poorer", "inferior", "less", "least", "lacks", "misses", "loses", "lost", "not",
    "never", "wrong", "neither", "none", "cannot", "no", "差", "劣", "不如", "不及", "逊", "遜", "输", "輸", "不", "没", "沒",
    "缺", "错", "錯",
];
/// Before the one that is worse, or the better one where it is said of the other.
const THAN: &[&str] = &[
    "than",
    "over",
    "beats",
    "outperforms",
    "above",
    "against",
    "优于",
    "優於",
    "胜过",
    "勝過",
    "好于",
    "好於",
    "不如",
    "不及",
    "差于",
    "逊于",
];
/// Where a clause ends.
const ENDS: &[&str] = &[
    ",", ".", ";", "!", "?", "，", "。", "；", "！", "？", "—", "–", "(", ")", "（", "）", "but", "while", "whereas",
    "because", "since", "although", "though", "因为", "因為", "而", "但", "虽", "雖",
];

/// The answer of 1 to `count` that is picked, and the reason: what follows, or that line itself.
pub(super) fn read(reply: &str, count: usize) -> Option<(usize, &str)> {
    let mut rest = reply.trim();
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let (line, after) = (line.trim(), after.trim());
        if let Some(n) = choice(line, count) {
            return Some((n, if after.is_empty() { line } else { after }));
        }
        rest = after;
    }
    None
}

/// The reason with the models' names in place of the numbers, which the reader has never seen.
pub(super) fn named(why: &str, names: &[&str]) -> String {
    let (mut shown, mut end) = (String::new(), 0);
    for Mention { n, at, .. } in mentions(why, &tokens(why), names.len()).into_iter().filter(|mention| mention.labelled) {
        if let (Some(before), Some(name)) = (why.get(end..at.start), n.checked_sub(1).and_then(|n| names.get(n))) {
            shown.push_str(before);
            shown.push_str(name);
            end = at.end;
        }
    }
    shown + why.get(end..).unwrap_or_default()
}

/// The answer that a line picks.
fn choice(line: &str, count: usize) -> Option<usize> {
    let tokens = tokens(line);
    let all = mentions(line, &tokens, count);
    if let Some(n) = alone(&tokens, &all, count) {
        return Some(n);
    }
    let clauses: Vec<Range<usize>> = clauses(&tokens, &all);
    let preferred: Vec<usize> = clauses.iter().filter_map(|clause| preferred(&tokens, clause, &all)).collect();
    if let Some(n) = agreed(preferred) {
        return Some(n);
    }
    let led = tokens.first().and_then(|token| token.number).filter(|n| (1..=count).contains(n));
    let ended = tokens
        .get(1)
        .is_some_and(|next| matches!(next.text.as_str(), "." | ":" | "," | ")" | "-" | "—" | "–" | "：" | "、" | "，" | "。"));
    if let Some(n) = led.filter(|_| ended) {
        return Some(n);
    }
    // One that is named alone is meant, unless it is found fault with.
    let fault = |clause: &Range<usize>| {
        finds_fault(&tokens, clause, &all) && all.iter().any(|mention| clause.contains(&mention.tokens.start))
    };
    if clauses.iter().any(fault) { None } else { agreed(all.iter().map(|mention| mention.n).collect()) }
}

/// Of a line that is nothing but a number, with or without its noun and its marks.
fn alone(tokens: &[Token], all: &[Mention], count: usize) -> Option<usize> {
    let mut words = tokens.iter().filter(|token| token.number.is_some() || token.text.chars().any(char::is_alphanumeric));
    match all {
        [only] => {
            let outside =
                |(n, token): (usize, &Token)| !only.tokens.contains(&n) && token.text.chars().any(char::is_alphanumeric);
            (!tokens.iter().enumerate().any(outside)).then_some(only.n)
        }
        [] => {
            let n = words.next()?.number.filter(|n| (1..=count).contains(n))?;
            words.next().is_none().then_some(n)
        }
        _ => None,
    }
}

/// The one that all are; `None`: there are several, or none.
fn agreed(all: Vec<usize>) -> Option<usize> {
    let mut all = all.into_iter();
    let first = all.next()?;
    all.all(|n| n == first).then_some(first)
}

/// The answer that a clause calls the better one.
fn preferred(tokens: &[Token], clause: &Range<usize>, all: &[Mention]) -> Option<usize> {
    let inside: Vec<&Mention> = all.iter().filter(|mention| clause.contains(&mention.tokens.start)).collect();
    let (better, worse) = (says(tokens, clause, BETTER), finds_fault(tokens, clause, all));
    let between = |range: Range<usize>, words| says(tokens, &range, words);
    match inside.as_slice() {
        [only] => {
            // "Better than answer 1" is said of another one.
            let compared =
                between(clause.start..only.tokens.start, THAN) || between(clause.start..only.tokens.start, &["比", "较", "較"]);
            (better && !worse && !compared).then_some(only.n)
        }
        [a, b] if a.n != b.n => {
            let middle = a.tokens.end..b.tokens.start;
            let compared = between(middle.clone(), THAN)
                || between(middle.clone(), &["比"])
                || between(clause.start..a.tokens.start, &["than"]);
            if between(middle, &["and", "or", "和", "与", "與", "或"]) || !compared {
                None
            } else if worse {
                Some(b.n)
            } else {
                better_of(tokens, clause, better).then_some(a.n)
            }
        }
        _ => None,
    }
}

/// Whether a comparison is one for the better.
fn better_of(tokens: &[Token], clause: &Range<usize>, better: bool) -> bool {
    better || says(tokens, clause, &["over", "more"])
}

/// Whether one of these words is said there. A Chinese one may have several characters.
fn says(tokens: &[Token], range: &Range<usize>, words: &[&str]) -> bool {
    let range = tokens.get(range.clone()).unwrap_or_default();
    words.iter().any(|word| (0..range.len()).any(|at| is_at(range, at, word)))
}

/// Whether a word stands there; a Chinese one is one token a character.
fn is_at(tokens: &[Token], at: usize, word: &str) -> bool {
    if word.is_ascii() {
        return tokens.get(at).is_some_and(|token| token.text == word);
    }
    word.chars().enumerate().all(|(n, c)| tokens.get(at + n).is_some_and(|token| token.text.chars().eq([c])))
}

/// Whether something is said to be bad. The "no" of "answer no. 2" is not.
fn finds_fault(tokens: &[Token], clause: &Range<usize>, all: &[Mention]) -> bool {
    clause.clone().any(|at| !is_named(all, at) && WORSE.iter().any(|word| is_at(tokens, at, word)))
}

fn is_named(all: &[Mention], at: usize) -> bool {
    all.iter().any(|mention| mention.tokens.contains(&at))
}

fn clauses(tokens: &[Token], all: &[Mention]) -> Vec<Range<usize>> {
    let ends = (0..tokens.len()).filter(|at| !is_named(all, *at) && ENDS.iter().any(|end| is_at(tokens, *at, end)));
    let mut start = 0;
    let mut all = Vec::new();
    for end in ends.chain([tokens.len()]) {
        if start < end {
            all.push(start..end);
        }
        start = end + 1;
    }
    all
}

fn tokens(text: &str) -> Vec<Token> {
    let mut all: Vec<Token> = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut end = start + c.len_utf8();
        let more = |next: char| {
            if digit(c).is_some() {
                digit(next).is_some()
            } else {
                c.is_ascii_alphabetic() && (next.is_ascii_alphabetic() || next == '\'')
            }
        };
        while let Some((at, next)) = chars.next_if(|(_, next)| more(*next)) {
            end = at + next.len_utf8();
        }
        let text = text.get(start..end).unwrap_or_default();
        let digits = text.chars().map(digit).try_fold(0_usize, |sum, digit| sum.checked_mul(10)?.checked_add(digit?));
        all.push(Token { text: text.to_lowercase(), number: digits, at: start..end });
    }
    all
}

/// Those of full width, too, which are written in Chinese.
fn digit(c: char) -> Option<usize> {
    let narrow = if ('０'..='９').contains(&c) { char::from_u32(u32::from(c) - 0xFEE0)? } else { c };
    narrow.to_digit(10).map(|digit| digit as usize)
}

/// The answers of 1 to `count` that are named.
fn mentions(text: &str, tokens: &[Token], count: usize) -> Vec<Mention> {
    let mut all: Vec<Mention> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let found = ordinal(tokens, at).or_else(|| chinese(tokens, at)).or_else(|| english(tokens, at)).or_else(|| {
            let listed = all.last().is_some_and(|last| last.labelled && is_listed(tokens, last.tokens.end, at));
            bare(text, tokens, at, listed)
        });
        let Some((n, labelled, range)) = found else {
            at += 1;
            continue;
        };
        let bytes = tokens.get(range.clone()).unwrap_or_default();
        if let (true, Some(first), Some(last)) = ((1..=count).contains(&n), bytes.first(), bytes.last()) {
            all.push(Mention { n, labelled, at: first.at.start..last.at.end, tokens: range.clone() });
        }
        at = range.end.max(at + 1);
    }
    all
}

type Named = (usize, bool, Range<usize>);

fn word(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// "Answer 2", "answer no. 2", "**Answer #2**", "answers 1" of "answers 1 and 2", "answer two".
fn english(tokens: &[Token], at: usize) -> Option<Named> {
    let noun = word(tokens, at);
    if !NOUNS.contains(&noun) && !PLURALS.contains(&noun) {
        return None;
    }
    let mut next = at + 1;
    while matches!(word(tokens, next), "#" | "*" | "no" | "number" | "nr" | ":" | "-" | "_" | "(" | "\"")
        || word(tokens, next) == "." && matches!(word(tokens, next - 1), "no" | "nr")
    {
        next += 1;
    }
    let n = number(tokens, next).or_else(|| position(CARDINALS, word(tokens, next)))?;
    Some((n, true, at..next + 1))
}

/// "The second answer", "the second one".
fn ordinal(tokens: &[Token], at: usize) -> Option<Named> {
    let the = usize::from(word(tokens, at) == "the");
    let n = position(ORDINALS, word(tokens, at + the))?;
    let noun = word(tokens, at + the + 1);
    (NOUNS.contains(&noun) || noun == "one").then_some((n, true, at..at + the + 2))
}

/// "回答2", "答案二", "第2个回答", "第二份", "回答（2）" without what encloses it.
fn chinese(tokens: &[Token], at: usize) -> Option<Named> {
    let numeral = |at| {
        number(tokens, at).or_else(|| CHINESE_DIGITS.chars().position(|c| word(tokens, at).chars().eq([c])).map(|n| n + 1))
    };
    let noun = |at| CHINESE_NOUNS.iter().find(|noun| is_at(tokens, at, noun)).map_or(0, |noun| noun.chars().count());
    if word(tokens, at) == "第" {
        let n = numeral(at + 1)?;
        let measure = usize::from(MEASURES.contains(&word(tokens, at + 2)));
        let end = at + 2 + measure;
        let end = end + noun(end);
        return (end > at + 2).then_some((n, true, at..end));
    }
    let length = noun(at);
    let after = at + length;
    let gap = usize::from(matches!(word(tokens, after), "#" | "：" | ":" | "第"));
    let n = numeral(after + gap).filter(|_| length > 0)?;
    let end = after + gap + 1;
    // "回答2个问题" is no answer.
    let measured = MEASURES.contains(&word(tokens, end));
    match word(tokens, end) {
        "号" | "號" => Some((n, true, at..end + 1)),
        _ => (!measured).then_some((n, true, at..end)),
    }
}

/// A number by itself that stands for an answer.
fn bare(text: &str, tokens: &[Token], at: usize, listed: bool) -> Option<Named> {
    let n = number(tokens, at)?;
    let (before, after) = (at.checked_sub(1).map_or("", |before| word(tokens, before)), word(tokens, at + 1));
    if listed {
        return Some((n, true, at..at + 1));
    }
    let bytes = &tokens.get(at)?.at;
    let joined =
        text.get(..bytes.start).and_then(|before| before.chars().next_back()).is_some_and(|c| c.is_ascii_alphanumeric());
    let counted = matches!(before, "the" | "all" | "both" | "these" | "those" | "[" | "," | "$" | "两" | "这" | "這");
    let follows = after.is_empty()
        || VERBS.contains(&after)
        || !after.chars().any(char::is_alphanumeric) && !matches!(after, "]" | "%" | "-" | "/");
    (follows && !joined && !counted).then_some((n, false, at..at + 1))
}

/// Whether nothing but a conjunction stands between.
fn is_listed(tokens: &[Token], from: usize, to: usize) -> bool {
    let between = tokens.get(from..to).unwrap_or_default();
    !between.is_empty()
        && between
            .iter()
            .all(|token| matches!(token.text.as_str(), "and" | "or" | "," | "&" | "、" | "和" | "与" | "與" | "或" | "及"))
}

/// The number there, unless it is a part of one: 1.5, 3,000.
fn number(tokens: &[Token], at: usize) -> Option<usize> {
    let n = tokens.get(at)?.number?;
    let part = |mark: usize, other: usize| {
        let touches = |a: usize, b: usize| tokens.get(a).zip(tokens.get(b)).is_some_and(|(a, b)| a.at.end == b.at.start);
        matches!(word(tokens, mark), "." | ",")
            && tokens.get(other).is_some_and(|token| token.number.is_some())
            && touches(mark.min(other), mark.max(other))
    };
    let behind = part(at + 1, at + 2);
    let before =
        at >= 2 && part(at - 1, at - 2) && tokens.get(at - 1).zip(tokens.get(at)).is_some_and(|(a, b)| a.at.end == b.at.start);
    (!behind && !before).then_some(n)
}

fn position(words: &[&str], word: &str) -> Option<usize> {
    words.iter().position(|other| *other == word).map(|n| n + 1)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failed test panics")]
mod tests;
