//! What is done about a question that the documents do not answer.

use super::model::{Judgement, sigmoid};
use crate::answer::decide::Deciding;
use crate::answer::source::Source;
use crate::language::Language;

/// Below this probability a question is not put to a model, where nothing else is said.
///
/// A refusal that is wrong costs more than a model's own "the documents do not say": with this one, of the questions that documents
/// answer 1 % were refused (`XQuAD` in English; none of `SQuAD` 2, CMRC and MTRAG-UN), and of those whose document was left out 32 %
/// (`SQuAD` 2: 7 %, where the other half of the same article was there; MTRAG-UN and CMRC: none).
pub const THRESHOLD: f64 = 0.15;
/// Passages that are shown instead of an answer.
const SHOWN: usize = 3;
/// Characters of each.
const EXCERPT: usize = 160;

/// When a question is not put to a model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum AnswerabilityPlan {
    /// Below [`THRESHOLD`], and only where the corpus's own questions could be told apart.
    #[default]
    Trusted,
    /// Below this probability, wherever there is one.
    Below(f64),
    /// Never.
    Off,
}

/// That the passages hold the answer.
pub(in crate::answer) fn probability(judged: Option<Judgement>) -> Option<f64> {
    judged.map(|judged| judged.probability)
}

/// Whether a model is not to be asked.
pub(crate) fn refuses(plan: AnswerabilityPlan, judged: Option<Judgement>) -> bool {
    let Some(Judgement { probability, trusted, partial }) = judged else { return false };
    match plan {
        // Words miss what is put otherwise, which meaning may have found.
        AnswerabilityPlan::Trusted => trusted && !partial && probability < THRESHOLD,
        AnswerabilityPlan::Below(threshold) => probability < threshold,
        AnswerabilityPlan::Off => false,
    }
}

/// What is judged of the evidence and what a decision model says of the passages, joined: the mean of their log-odds, for they have
/// seen the same passages and are not two witnesses. Where there is one of them alone, that is it, and so it is where words alone were
/// judged of what was found by meaning as well; a decision model's word needs no calibration.
pub fn joint(own: Option<Judgement>, decided: Option<f64>) -> Option<Judgement> {
    let decided = decided.filter(|decided| (0.0..=1.0).contains(decided));
    match (own, decided) {
        (own, None) => own,
        (None | Some(Judgement { partial: true, .. }), Some(probability)) => {
            Some(Judgement { probability, trusted: true, partial: false })
        }
        (Some(own), Some(decided)) => {
            // A probability of 0 or 1 has no log-odds.
            let logit = |p: f64| (p.clamp(1e-6, 1.0 - 1e-6) / (1.0 - p.clamp(1e-6, 1.0 - 1e-6))).ln();
            let probability = sigmoid(logit(own.probability).midpoint(logit(decided)));
            Some(Judgement { probability, trusted: true, partial: false })
        }
    }
}

/// What is judged, joined with what a decision model says of the sources, where one is set and something hangs on it.
pub(in crate::answer) async fn sharpened(
    judged: Option<Judgement>,
    plan: AnswerabilityPlan,
    deciding: Option<&Deciding>,
    question: &str,
    sources: &[Source],
) -> Option<Judgement> {
    let Some(deciding) = deciding.filter(|_| plan != AnswerabilityPlan::Off) else { return judged };
    let passages: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    joint(judged, deciding.holds_answer(question, &passages).await)
}

/// What is said instead of an answer, in the question's language: a sentence; the nearest passages, each a piece of text with the
/// source that it shows; and how to have it answered all the same.
pub(in crate::answer) fn refusal(question: &str, sources: &[Source]) -> (String, Vec<(String, usize)>, &'static str) {
    let chinese = Language::of(question) == Some(Language::CHINESE);
    let (sentence, how) = if chinese {
        (
            "文档中似乎没有这个问题的答案，因此没有询问模型。最接近的段落：\n",
            "\n\n仍要模型回答：`--anyway`，聊天中用 `/anyway`，HTTP 请求中用 `\"anyway\": true`。\n",
        )
    } else {
        (
            "The documents do not seem to hold the answer to this, so no model was asked. The nearest passages:\n",
            "\n\nTo have a model answer all the same: `--anyway`, in a chat `/anyway`, over HTTP `\"anyway\": true`.\n",
        )
    };
    let shown = sources.iter().take(SHOWN).map(|source| (format!("\n- {} ", excerpt(&source.text)), source.n)).collect();
    (sentence.to_owned(), shown, how)
}

/// The beginning of a passage, on one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::answer::samples;

    fn judged(probability: f64, trusted: bool) -> Judgement {
        Judgement { probability, trusted, partial: false }
    }

    #[test]
    fn of_itself_only_what_is_certain_is_refused() {
        let trusted = AnswerabilityPlan::Trusted;
        assert!(refuses(trusted, Some(judged(0.14, true))));
        for (probability, known) in [(0.14, false), (0.15, true), (0.5, true)] {
            assert!(!refuses(trusted, Some(judged(probability, known))), "{probability} {known}");
        }
        assert!(refuses(AnswerabilityPlan::Below(0.5), Some(judged(0.49, false))), "whoever sets it has looked");
        assert!(!refuses(AnswerabilityPlan::Below(0.5), Some(judged(0.5, true))));
        assert!(!refuses(AnswerabilityPlan::Below(1.0), None), "nothing is known");
        assert!(!refuses(AnswerabilityPlan::Off, Some(judged(0.0, true))));
    }

    #[test]
    fn words_alone_of_what_meaning_found_refuse_where_a_threshold_is_set() {
        let words = Judgement { partial: true, ..judged(0.02, true) };
        assert!(!refuses(AnswerabilityPlan::Trusted, Some(words)));
        assert!(refuses(AnswerabilityPlan::Below(0.05), Some(words)) && !refuses(AnswerabilityPlan::Below(0.02), Some(words)));
        assert_eq!(joint(Some(words), Some(0.4)), Some(judged(0.4, true)), "a model has read the passages");
        assert_eq!(joint(Some(words), None), Some(words));
    }

    #[test]
    fn a_decision_model_has_its_say() {
        assert_eq!(joint(Some(judged(0.3, false)), None), Some(judged(0.3, false)));
        assert_eq!(joint(None, Some(0.2)), Some(judged(0.2, true)));
        let both = joint(Some(judged(0.3, false)), Some(0.9)).unwrap();
        assert!((0.6..0.7).contains(&both.probability) && both.trusted, "{both:?}");
        let never = joint(Some(judged(0.5, true)), Some(0.0)).unwrap();
        assert!(never.probability > 0.0 && never.probability < 0.01, "{never:?}");
        assert_eq!(joint(Some(judged(0.3, true)), Some(f64::NAN)), Some(judged(0.3, true)), "a model that says nothing");
    }

    #[test]
    fn a_refusal_speaks_the_questions_language() {
        let sources = [samples::source(1, 0.5), samples::source(2, 0.4), samples::source(3, 0.3), samples::source(4, 0.2)];
        let (sentence, shown, how) = refusal("Who won the match last night?", &sources);
        assert!(sentence.starts_with("The documents do not seem"), "{sentence}");
        assert!(how.contains("a model answer all the same: `--anyway`"), "{how}");
        assert_eq!(shown.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(shown.iter().all(|(text, _)| text.starts_with("\n- ") && text.trim().len() > 2), "{shown:?}");
        let (sentence, _, how) = refusal("昨晚的比赛谁赢了？", &sources);
        assert!(sentence.starts_with("文档中似乎没有") && how.contains("仍要模型回答"), "{sentence} {how}");
        assert_eq!(excerpt(&"密 ".repeat(500)).chars().count(), EXCERPT, "the blank at its end is cut");
        assert_eq!(excerpt("a\n\n b"), "a b");
    }
}
