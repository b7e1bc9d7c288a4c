//! The history of a conversation, within a budget.

use serde::{Deserialize, Serialize};

use crate::answer::cite;
use crate::providers::{Message, Role};

/// The part of the prompt's budget that may go to what was said before, as one in so many.
pub(super) const PART: usize = 4;
/// Exchanges that are looked at for it.
pub(super) const EXCHANGES: usize = 50;

/// The longest that an answer is, as a part of the budget: the newest turn is never left out for its length alone.
const MOST_OF_BUDGET: (usize, usize) = (3, 4);

/// A question that was asked before, and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The question.
    pub question: String,
    /// The answer, as the model wrote it: its citations are left out when it is shown to the model again.
    pub answer: String,
}

/// The newest exchanges (of those that come oldest first) that fit into so many tokens. Answers lose their citations, whose numbers
/// mean other sources now; exchanges without an answer are left out. CPU work.
pub fn fit(exchanges: &[Exchange], budget: usize, count: &dyn Fn(&str) -> usize) -> Vec<Message> {
    within(exchanges, budget, count, false)
}

/// The same with the questions that have no answer: what a follow-up refers to is in them as well.
pub(super) fn asked(exchanges: &[Exchange], budget: usize, count: &dyn Fn(&str) -> usize) -> Vec<Message> {
    within(exchanges, budget, count, true)
}

fn within(exchanges: &[Exchange], budget: usize, count: &dyn Fn(&str) -> usize, unanswered: bool) -> Vec<Message> {
    let (part, of) = MOST_OF_BUDGET;
    let mut left = budget;
    let mut kept = Vec::new();
    for Exchange { question, answer } in exchanges.iter().rev() {
        let answer = cut(cite::without(answer), budget * part / of, count);
        let answered = !answer.trim().is_empty();
        if !answered && (!unanswered || question.trim().is_empty()) {
            continue;
        }
        let Some(rest) = left.checked_sub(count(question) + count(&answer)) else { break };
        left = rest;
        if answered {
            kept.push(Message { role: Role::Assistant, text: answer });
        }
        kept.push(Message { role: Role::User, text: question.clone() });
    }
    kept.reverse();
    kept
}

/// A text's beginning within so many tokens.
fn cut(text: String, budget: usize, count: &dyn Fn(&str) -> usize) -> String {
    if count(&text) <= budget {
        return text;
    }
    let mut kept = text.as_str();
    while !kept.is_empty() {
        kept = kept.get(..kept.floor_char_boundary(kept.len() / 4 * 3)).unwrap_or_default();
        let shown = format!("{}…", kept.trim_end());
        if count(&shown) <= budget {
            return shown;
        }
    }
    String::new()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn turn(question: &str, answer: &str) -> Exchange {
        Exchange { question: question.into(), answer: answer.into() }
    }

    #[test]
    fn the_oldest_goes_first_and_citations_go_all() {
        let turns = [turn("a b", "c [1] d"), turn("e", ""), turn("f", "g【2】 h")];
        let texts = |budget| fit(&turns, budget, &words).into_iter().map(|m| (m.role, m.text)).collect::<Vec<_>>();
        let last = [(Role::User, "f".to_owned()), (Role::Assistant, "g h".to_owned())];
        assert_eq!(texts(6), last, "four words do not fit beside three");
        assert_eq!(texts(7)[..2], [(Role::User, "a b".to_owned()), (Role::Assistant, "c  d".to_owned())]);
        assert_eq!(texts(7)[2..], last);
        let asked: Vec<String> = asked(&turns, 8, &words).into_iter().map(|message| message.text).collect();
        assert_eq!(asked, ["a b", "c  d", "e", "f", "g h"], "what was asked in vain was asked");
    }

    proptest! {
        #[test]
        fn never_over_budget(turns in prop::collection::vec(("[a-c ]{0,20}", "[a-c密 \\[1\\]]{0,90}"), 0..8), budget in 0_usize..60) {
            let count = |text: &str| text.chars().count();
            let turns: Vec<_> = turns.iter().map(|(question, answer)| turn(question, answer)).collect();
            let kept = fit(&turns, budget, &count);
            prop_assert!(kept.iter().map(|message| count(&message.text)).sum::<usize>() <= budget);
            prop_assert!(kept.chunks(2).all(|pair| pair[0].role == Role::User && pair[1].role == Role::Assistant));
        }
    }
}
