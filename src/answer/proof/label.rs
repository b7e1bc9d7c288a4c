//! Labels: the numbers that a writer gives to the parts of what is said, as in `Step 2:`, `(1)`, `步骤2：` and `第一，`.

use std::ops::Range;

use super::lex::{Gap, Kind, Token};
use super::reading::Reading;
use super::value::What;

/// The greatest number of a label.
const MOST: i128 = 50;

/// The labels of a claim, as its tokens. Where a source counts by the same word (`Step 3`) the number is one that it says.
pub(super) fn labels(claim: &Reading, sources: &[&Reading]) -> Vec<Range<usize>> {
    let small = claim.values.iter().filter(|value| match &value.what {
        What::Number(number) if number.unit.is_none() => {
            number.amounts.first().and_then(|amount| amount.whole()).is_some_and(|n| (0..=MOST).contains(&n))
        }
        _ => false,
    });
    let label = |number: &Range<usize>| {
        let named = || named(&claim.tokens, number).filter(|label| !are_counted(&claim.tokens, number, label, sources));
        let alone = item(&claim.tokens, number) || bracketed(&claim.tokens, number);
        if alone { Some(number.clone()) } else { ordinal(&claim.tokens, number, sources).or_else(named) }
    };
    let places = claim.values.iter().filter_map(|value| place(&claim.tokens, &value.tokens));
    small.filter_map(|value| label(&value.tokens)).chain(places).collect()
}

/// `(lines 1-3)`, `(p. 12)`, `（第1-3行）`: where in a source it stands.
fn place(tokens: &[Token], number: &Range<usize>) -> Option<Range<usize>> {
    let of_range = |at: usize| {
        tokens.get(at).is_some_and(|token| token.kind == Kind::Number || matches!(&*token.key, "-" | "," | "." | "and" | "to"))
    };
    let mut begin = number.start;
    while begin.checked_sub(1).is_some_and(of_range) {
        begin -= 1;
    }
    let mut end = number.end;
    while of_range(end) {
        end += 1;
    }
    let word = begin.checked_sub(1)?;
    let named = match key(tokens, Some(word)) {
        "line" | "lines" | "page" | "pages" | "p" | "pp" | "row" | "rows" => true,
        "第" => matches!(key(tokens, Some(end)), "行" | "页"),
        _ => false,
    };
    let open = word.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|open| open.is("(") || open.is(","));
    let close = [end, end + 1].iter().any(|at| tokens.get(*at).is_some_and(|close| close.is(")")));
    (named && open && close).then_some(begin..end)
}

fn key(tokens: &[Token], at: Option<usize>) -> &str {
    at.and_then(|at| tokens.get(at)).map(|token| &*token.key).unwrap_or_default()
}

/// Whether something begins at a token: the text, a line, a sentence, or (`inner`) what a comma parts from what is before.
fn begins(tokens: &[Token], at: usize, inner: bool) -> bool {
    let mut at = at;
    while let Some(token) = tokens.get(at).filter(|token| token.gap < Gap::Line) {
        let Some(before) = at.checked_sub(1) else { break };
        match key(tokens, Some(before)) {
            "." | "!" | "?" | "。" | "！" | "？" | ";" | "；" | ":" | "：" => return true,
            "," | "，" | "、" | "and" | "or" | "和" | "及" => return inner,
            // `**Step 2**`, `- (1)`
            "*" | "_" | "#" | ">" | "-" | "•" => at = before,
            _ => return token.gap == Gap::Paragraph,
        }
    }
    true
}

/// Whether a label ends at a token: a mark follows, and then what it is the label of.
fn ends(tokens: &[Token], end: usize) -> bool {
    let emphasis = |from: usize| {
        let tokens = tokens.get(from..).unwrap_or_default();
        from + tokens.iter().take_while(|token| token.is("*") || token.is("_")).count()
    };
    let at = emphasis(end);
    let goes_on = tokens.get(emphasis(at + 1)).is_some_and(|next| !next.is_glued());
    match key(tokens, Some(at)) {
        ":" | "：" | "、" | ")" => tokens.get(at + 1).is_some(),
        "." | "-" | "," | "，" => goes_on || at > end,
        _ => false,
    }
}

/// `2.` and `2)` at the beginning of an item.
fn item(tokens: &[Token], number: &Range<usize>) -> bool {
    let Some(mark) = tokens.get(number.end).filter(|mark| mark.is_glued() && number.len() == 1) else { return false };
    let first = number.start == 0 && (mark.is(".") || mark.is(")") || mark.is("、"));
    let open = tokens.get(..number.start).unwrap_or_default().iter().rev().find(|token| token.is("(") || token.is(")"));
    let bracket = mark.is(")") && !open.is_some_and(|open| open.is("("));
    let pointed = mark.is(".") || mark.is("、");
    first || (bracket || pointed) && begins(tokens, number.start, bracket) && ends(tokens, number.end)
}

/// `(1)` where something begins.
fn bracketed(tokens: &[Token], number: &Range<usize>) -> bool {
    let open = number.start.checked_sub(1).filter(|at| tokens.get(*at).is_some_and(|open| open.is("(")));
    let closed = tokens.get(number.end).is_some_and(|close| close.is(")") && close.is_glued());
    closed && number.len() == 1 && tokens.get(number.end + 1).is_some() && open.is_some_and(|at| begins(tokens, at, true))
}

/// `第一，`, `第二步`: where the sources tell no such step.
fn ordinal(tokens: &[Token], number: &Range<usize>, sources: &[&Reading]) -> Option<Range<usize>> {
    let begin = number.start.checked_sub(1).filter(|at| key(tokens, Some(*at)) == "第" && begins(tokens, *at, true))?;
    let next = key(tokens, Some(number.end));
    if !matches!(next, "步" | "点" | "条") {
        return matches!(next, "," | "，" | "、" | ":" | "：").then_some(begin..number.end);
    }
    let label = begin..number.end + 1;
    let told = |source: &&Reading| {
        source.values.iter().any(|value| {
            key(&source.tokens, value.tokens.start.checked_sub(1)) == "第"
                && key(&source.tokens, Some(value.tokens.end)) == next
        })
    };
    (!sources.iter().any(told)).then_some(label)
}

/// `Step 2:`, `**Question 1** –`, `步骤2：`.
fn named(tokens: &[Token], number: &Range<usize>) -> Option<Range<usize>> {
    let last = number.start.checked_sub(1)?;
    let begin = match tokens.get(last)?.kind {
        Kind::Word
            if matches!(
                key(tokens, Some(last)),
                "step"
                    | "question"
                    | "q"
                    | "item"
                    | "option"
                    | "point"
                    | "example"
                    | "tip"
                    | "reason"
                    | "task"
                    | "phase"
                    | "stage"
                    | "method"
                    | "answer"
                    | "note"
                    | "problem"
                    | "exercise"
                    | "rule"
                    | "case"
                    | "scenario"
            ) =>
        {
            last
        }
        Kind::Han => {
            let begin = last.checked_sub(1)?;
            let word = [key(tokens, Some(begin)), key(tokens, Some(last))].concat();
            let words = [
                "步骤", "问题", "方法", "原因", "示例", "例子", "要点", "选项", "任务", "阶段", "建议", "注意", "案例", "方案",
                "情况",
            ];
            words.contains(&&*word).then_some(begin)?
        }
        _ => return None,
    };
    (begins(tokens, begin, false) && ends(tokens, number.end)).then_some(begin..number.end)
}

/// Whether a source numbers something by the word of a label.
fn are_counted(tokens: &[Token], number: &Range<usize>, label: &Range<usize>, sources: &[&Reading]) -> bool {
    let word: Vec<&str> = (label.start..number.start).map(|at| key(tokens, Some(at))).collect();
    sources.iter().any(|source| {
        source.values.iter().any(|value| {
            let begin = value.tokens.start.checked_sub(word.len());
            begin.is_some_and(|begin| {
                (begin..value.tokens.start).map(|at| key(&source.tokens, Some(at))).eq(word.iter().copied())
            })
        })
    })
}
