//! What an answer's events come to for a client that knows of texts, citations and an end.

use std::collections::BTreeSet;

use super::citations::{Citation, Linked, Links, list};
use crate::answer::{AnswerEvent, AnswerOutcome, AnswerSummary, Estimate, Note, doubted};
use crate::language::Language;
use crate::providers::{StopReason, Usage};

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The model thinks aloud.
    Thought(String),
    /// A piece of the answer.
    Text {
        text: String,
        /// What it cites.
        citations: Vec<Citation>,
        /// Of that, what is cited for the first time.
        new: Vec<usize>,
    },
    /// What was said so far is void.
    Void,
    /// The answer is complete.
    End(End),
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) stop: StopReason,
    /// Tokens read and written; `None` where the provider does not say.
    pub(super) usage: Option<(u64, u64)>,
    /// Of those read, the tokens that came from the provider's cache.
    pub(super) cached: u64,
}

/// Whether the client can be told that something is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What is said is said.
    Streamed,
    /// It hears the end of it.
    Whole,
}

/// Tells one answer.
#[derive(Debug)]
pub(super) struct Teller {
    links: Links,
    mode: Mode,
    /// The sources are listed at the end.
    lists_sources: bool,
    /// Whether our own words are Chinese.
    chinese: bool,
    /// Best first, as soon as they are known.
    pub(super) sources: Vec<Linked>,
    cited: Vec<usize>,
    shown: BTreeSet<usize>,
    /// Characters so far.
    written: usize,
    /// Some of them are the answer's.
    answers: bool,
    /// What it would take to read all documents, where the question is about all and they are not read.
    unread: Option<Estimate>,
}

impl Teller {
    /// One for the answer to this question.
    pub(super) fn new(question: &str, links: Links, mode: Mode, lists_sources: bool) -> Self {
        let chinese = Language::of(question) == Some(Language::CHINESE);
        let (sources, cited, shown) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { links, mode, lists_sources, chinese, sources, cited, shown, written: 0, answers: false, unread: None }
    }

    /// What an event says.
    pub(super) fn tell(&mut self, event: AnswerEvent) -> Vec<Said> {
        match event {
            AnswerEvent::Estimate(estimate) => {
                self.unread = Some(estimate).filter(|estimate| !estimate.reads);
                Vec::new()
            }
            AnswerEvent::Question { .. }
            | AnswerEvent::Reading { .. }
            | AnswerEvent::Note(_)
            | AnswerEvent::Fallback { interrupted: false, .. } => Vec::new(),
            // Such a client shows the text and nothing else, and some passages must not pass for all.
            AnswerEvent::Incomplete(text) => {
                let text = self.unread.take().map_or(text, |estimate| unread(&estimate, self.chinese));
                vec![self.text(format!("*{text}*\n\n"), &[])]
            }
            AnswerEvent::LeftOut(text) => {
                let begins = if self.chinese { "并非所有索引都查过：" } else { "" };
                vec![self.text(format!("*{begins}{text}*\n\n"), &[])]
            }
            AnswerEvent::Sources { sources, .. } => {
                self.sources = sources.iter().map(|source| Linked::new(source, &self.links)).collect();
                Vec::new()
            }
            AnswerEvent::Reasoning(text) => vec![Said::Thought(text)],
            AnswerEvent::Token(text) => {
                self.answers |= !text.trim().is_empty();
                vec![self.text(text, &[])]
            }
            AnswerEvent::Citation { text, sources, unknown, doubts } => {
                self.answers = true;
                // A program's own task is given no sources: what looks like a citation is none.
                let unknown = if self.sources.is_empty() { Vec::new() } else { unknown };
                // Such a client shows the text and nothing else.
                vec![self.text(doubted::shown(&text, &sources, &unknown, &doubts), &sources)]
            }
            AnswerEvent::Fallback { from, to, .. } => vec![self.begin_anew(&from, &to)],
            AnswerEvent::Done(summary) => self.end(&summary),
        }
    }

    fn text(&mut self, text: String, sources: &[usize]) -> Said {
        let start = self.written;
        self.written += text.chars().count();
        let citations = sources.iter().map(|n| Citation { n: *n, start, end: self.written }).collect();
        let new = sources.iter().copied().filter(|n| self.shown.insert(*n)).collect();
        for n in sources {
            if !self.cited.contains(n) {
                self.cited.push(*n);
            }
        }
        Said::Text { text, citations, new }
    }

    /// Two models' words are never spliced: where what was said cannot be taken back, a line says what follows it.
    fn begin_anew(&mut self, from: &str, to: &str) -> Said {
        self.cited.clear();
        self.answers = false;
        if self.mode == Mode::Whole {
            self.shown.clear();
            self.written = 0;
            return Said::Void;
        }
        let line = match (from == to, self.chinese) {
            // Those were its thoughts.
            (true, _) => "\n\n---\n\n".to_owned(),
            (false, false) => format!("\n\n*{from} broke off; {to} answers from the beginning:*\n\n"),
            (false, true) => format!("\n\n*{from} 中断了，由 {to} 从头回答：*\n\n"),
        };
        self.text(line, &[])
    }

    fn end(&mut self, summary: &AnswerSummary) -> Vec<Said> {
        let mut said = Vec::new();
        if summary.outcome == AnswerOutcome::NothingFound {
            let english = summary.note().map_or("", Note::text);
            said.push(self.text(if self.chinese { "没有找到与此问题有关的内容。" } else { english }.to_owned(), &[]));
        }
        // Where nothing is shown, nobody knows that it has ended, and why.
        if let AnswerOutcome::Answered(stop) = summary.outcome
            && !self.answers
        {
            said.push(self.text(format!("*{}*", silent(stop, self.chinese)), &[]));
        }
        if self.lists_sources {
            let list = list(&self.sources, &self.cited, self.chinese);
            if !list.is_empty() {
                said.push(self.text(list, &[]));
            }
        }
        let (stop, usage) = match summary.outcome {
            AnswerOutcome::Answered(stop) => (stop, summary.usage),
            // No model was asked.
            AnswerOutcome::Passages | AnswerOutcome::NothingFound | AnswerOutcome::Unanswerable => {
                (StopReason::End, Usage::new(Some(0), Some(0)))
            }
        };
        let cached = usage.prompt_cache.read_tokens;
        said.push(Said::End(End { stop, usage: usage.input_tokens.zip(usage.output_tokens), cached }));
        said
    }
}

/// What takes the place of an answer without a word.
fn silent(stop: StopReason, chinese: bool) -> &'static str {
    match (stop, chinese) {
        (StopReason::End, false) => Note::Empty.text(),
        (StopReason::Length, false) => Note::Cut.text(),
        (StopReason::Refused, false) => Note::Filtered.text(),
        (StopReason::End, true) => "模型没有写出任何回答。",
        (StopReason::Length, true) => "回答在写出第一个字之前就达到了 max_tokens。",
        (StopReason::Refused, true) => "回答被提供商的过滤器拦截了。",
    }
}

/// That not all is read that the question is about, and what has it read here.
fn unread(estimate: &Estimate, chinese: bool) -> String {
    if chinese {
        let Estimate { documents, requests, input_tokens, output_tokens, .. } = estimate;
        let cost = estimate.cost_usd.map_or("价格未知".to_owned(), |cost| format!("约 ${cost:.2}"));
        return format!(
            "这个问题似乎涉及全部文档，而下面只用到了找到的段落。要读完全部 {documents} 篇，请以“/all 问题”再问一次，\
             或在请求里写 \"all\": true（{requests} 次请求，约 {input_tokens} + {output_tokens} 个 token，{cost}）。"
        );
    }
    estimate.remark("ask it again as /all QUESTION, or send \"all\": true with the request")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]
mod tests {
    use std::time::Duration;

    use super::super::citations::tests::{links, source};
    use super::*;
    use crate::providers::ErrorKind;

    fn teller(question: &str, mode: Mode, lists_sources: bool) -> Teller {
        let mut teller = Teller::new(question, links(), mode, lists_sources);
        let sources = vec![source(1, "a.md", Some("A")), source(2, "b.md", None)];
        assert_eq!(teller.tell(AnswerEvent::Sources { sources, model: Some("p/m".into()) }), []);
        teller
    }

    fn cite(text: &str, sources: &[usize]) -> AnswerEvent {
        AnswerEvent::Citation { text: text.into(), sources: sources.to_vec(), unknown: Vec::new(), doubts: Vec::new() }
    }

    fn broken(from: &str, to: &str, interrupted: bool) -> AnswerEvent {
        let (kind, reason) = (ErrorKind::Network, "cut".to_owned());
        AnswerEvent::Fallback { from: from.into(), to: to.into(), kind, reason, interrupted }
    }

    fn done(outcome: AnswerOutcome, usage: Usage) -> AnswerEvent {
        AnswerEvent::Done(AnswerSummary { usage, ..AnswerSummary::without_model(outcome, Vec::new(), Duration::ZERO) })
    }

    fn plain(text: &str) -> Said {
        Said::Text { text: text.into(), citations: Vec::new(), new: Vec::new() }
    }

    #[test]
    fn a_citation_is_placed_in_characters_and_new_once() {
        let mut teller = teller("Keys?", Mode::Streamed, false);
        assert_eq!(teller.tell(AnswerEvent::Token("密钥é".into())), [plain("密钥é")]);
        let at = |n, start, end| Citation { n, start, end };
        let text = |text: &str, citations, new| vec![Said::Text { text: text.into(), citations, new }];
        assert_eq!(teller.tell(cite("[1, 2]", &[1, 2])), text("[1, 2]", vec![at(1, 3, 9), at(2, 3, 9)], vec![1, 2]));
        assert_eq!(teller.tell(cite("[2]", &[2])), text("[2]", vec![at(2, 9, 12)], vec![]));
        assert_eq!(teller.tell(AnswerEvent::Reasoning("hm".into())), [Said::Thought("hm".into())]);
        let mut usage = Usage::new(Some(7), Some(3));
        usage.prompt_cache.read_tokens = 2;
        let end = Said::End(End { stop: StopReason::Length, usage: Some((7, 3)), cached: 2 });
        assert_eq!(teller.tell(done(AnswerOutcome::Answered(StopReason::Length), usage)), [end]);
    }

    #[test]
    fn what_is_void_is_taken_back_where_it_can_be() {
        let mut whole = teller("Keys?", Mode::Whole, true);
        whole.tell(cite("[1]", &[1]));
        assert_eq!(whole.tell(broken("p/a", "p/b", false)), [], "nothing was said yet");
        assert_eq!(whole.tell(broken("p/a", "p/b", true)), [Said::Void]);
        let expected = Said::Text { text: "[2]".into(), citations: vec![Citation { n: 2, start: 0, end: 3 }], new: vec![2] };
        assert_eq!(whole.tell(cite("[2]", &[2])), [expected]);
        let said = whole.tell(done(AnswerOutcome::Answered(StopReason::End), Usage::default()));
        assert!(matches!(&said[..], [Said::Text { text, .. }, Said::End(End { usage: None, .. })]
            if text.contains("- [2] b.md") && !text.contains("- [1]")));

        let mut streamed = teller("如何轮换密钥？", Mode::Streamed, false);
        streamed.tell(cite("[1]", &[1]));
        let said = streamed.tell(broken("p/a", "p/b", true));
        assert_eq!(said, [plain("\n\n*p/a 中断了，由 p/b 从头回答：*\n\n")]);
        assert_eq!(streamed.tell(broken("p/b", "p/b", true)), [plain("\n\n---\n\n")]);
        assert!(matches!(&streamed.tell(cite("[1]", &[1]))[..], [Said::Text { new, .. }] if new.is_empty()), "shown already");
    }

    #[test]
    fn nothing_found_is_said_in_words_and_costs_nothing() {
        for (question, said) in [("Keys?", "Nothing was found on this question."), ("密钥？", "没有找到与此问题有关的内容。")]
        {
            let mut teller = Teller::new(question, links(), Mode::Streamed, true);
            let end = Said::End(End { stop: StopReason::End, usage: Some((0, 0)), cached: 0 });
            assert_eq!(teller.tell(done(AnswerOutcome::NothingFound, Usage::default())), [plain(said), end]);
        }
    }

    fn estimate() -> Estimate {
        let told = serde_json::json!({"reads": false, "documents": 21, "passages": 40, "parts": 4, "requests": 5, "kept": 0,
            "input_tokens": 800, "output_tokens": 90, "cost_usd": 0.5, "at_most_usd": 0.75, "minutes": null, "exact": true});
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn how_to_have_all_read_is_said_in_words_that_work_here_and_in_the_language_of_the_question() {
        for (question, expected) in [
            ("List all keys", ["all 21 documents", "/all QUESTION", "\"all\": true", "$0.50"]),
            ("列出所有密钥", ["全部 21 篇", "/all 问题", "\"all\": true", "$0.50"]),
        ] {
            let mut teller = teller(question, Mode::Streamed, false);
            assert_eq!(teller.tell(AnswerEvent::Estimate(estimate())), []);
            let said = teller.tell(AnswerEvent::Incomplete("--all, /all in a chat".into()));
            let [Said::Text { text, .. }] = &said[..] else { panic!("{said:?}") };
            assert!(expected.iter().all(|part| text.contains(part)) && !text.contains("--all"), "{text}");
            let other = teller.tell(AnswerEvent::Incomplete("A part failed.".into()));
            assert!(matches!(&other[..], [Said::Text { text, .. }] if text == "*A part failed.*\n\n"), "said as it is");
        }
    }

    #[test]
    fn an_index_that_is_left_out_is_said_in_the_text() {
        let note = || AnswerEvent::LeftOut("The pipeline b is left out: there is no index.".into());
        assert_eq!(
            teller("Keys?", Mode::Whole, false).tell(note()),
            [plain("*The pipeline b is left out: there is no index.*\n\n")]
        );
        let said = teller("密钥？", Mode::Streamed, false).tell(note());
        assert_eq!(said, [plain("*并非所有索引都查过：The pipeline b is left out: there is no index.*\n\n")]);
    }

    #[test]
    fn an_answer_without_a_word_says_why() {
        for (question, stop, expected) in [
            ("Keys?", StopReason::End, "*The model answered with nothing.*"),
            ("Keys?", StopReason::Length, "*The answer was cut at max_tokens.*"),
            ("密钥？", StopReason::End, "*模型没有写出任何回答。*"),
        ] {
            let mut teller = teller(question, Mode::Streamed, true);
            teller.tell(AnswerEvent::Token("\n".into()));
            let end = Said::End(End { stop, usage: None, cached: 0 });
            assert_eq!(teller.tell(done(AnswerOutcome::Answered(stop), Usage::default())), [plain(expected), end]);
        }
    }
}
