//! What a person is shown is what has always been shown.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};

use futures_util::stream;

use super::{Ended, Screen, listed, render};
use crate::answer::wire::SourceLine;
use crate::answer::{AnswerEvent, AnswerOutcome, AnswerSummary, EnsembleEvent, EnsembleMode, Note, Source, samples};
use crate::cli::ensemble::EnsembleView;
use crate::cli::style::Style;
use crate::error::Error;
use crate::providers::{ErrorKind, ProviderError, StopReason};

fn fancy() -> Style {
    let base = Some("/kb".into());
    Style { color: true, emphasis: true, markdown: true, width: 60, hyperlinks: true, base, ..Style::default() }
}

async fn one(events: impl IntoIterator<Item = Result<AnswerEvent, Error>>, style: &Style) -> (Ended, String) {
    let mut out = Vec::new();
    let ended = render(Screen::new(&mut out, style), stream::iter(events)).await.unwrap();
    (ended, String::from_utf8(out).unwrap())
}

async fn several(mode: EnsembleMode, events: Vec<EnsembleEvent>, style: &Style) -> (Ended, String) {
    let (mut out, told) = (Vec::new(), RefCell::new(String::new()));
    let tell = |text: &str| writeln!(told.borrow_mut(), "told: {text}").unwrap();
    let view = EnsembleView::new(Screen::new(&mut out, style), mode, tell);
    let ended = render(view, stream::iter(events.into_iter().map(Ok))).await.unwrap();
    (ended, String::from_utf8(out).unwrap() + &told.into_inner())
}

#[tokio::test]
async fn all_is_shown_as_it_has_always_been() {
    let mut shown = String::new();
    let mut add = |what: &str, (ended, text): (Ended, String)| {
        let text = text.replace('\x1b', "␛");
        writeln!(shown, "#### {what}: exit code {}\n{text}", ended.exit_code()).unwrap();
    };
    for (look, style) in [("plain", Style::default()), ("fancy", fancy())] {
        add(&format!("an answer, {look}"), one(samples::answer().into_iter().map(Ok), &style).await);
        for mode in [EnsembleMode::All, EnsembleMode::First, EnsembleMode::Vote, EnsembleMode::Best, EnsembleMode::Merge] {
            add(&format!("{mode:?}, {look}"), several(mode, samples::ensemble(mode), &style).await);
        }
    }
    for events in samples::ends() {
        let Some(AnswerEvent::Done(summary)) = events.last() else { panic!("{events:?}") };
        let outcome = format!("{:?}", summary.outcome);
        add(&outcome, one(events.into_iter().map(Ok), &Style::default()).await);
    }
    let nothing = samples::nothing_for_an_ensemble();
    add("nothing for several", several(EnsembleMode::All, nothing, &Style::default()).await);
    let golden = include_str!("golden.txt");
    if shown != golden {
        let parts = shown.split("#### ").zip(golden.split("#### "));
        for (shown, golden) in parts {
            assert_eq!(shown, golden);
        }
        panic!("{} bytes are shown, not {}", shown.len(), golden.len());
    }
}

fn found(n: usize, uri: &str, lines: (u32, u32)) -> Source {
    Source { uri: uri.into(), lines, headings: vec!["Keys".into(), "Rotate".into()], ..samples::source(n, 0.5) }
}

fn citation(text: &str, sources: &[usize], unknown: &[usize]) -> AnswerEvent {
    AnswerEvent::Citation { text: text.into(), sources: sources.to_vec(), unknown: unknown.to_vec(), doubts: Vec::new() }
}

#[test]
fn a_page_of_the_web_is_listed_by_the_address_that_opens_the_passage() {
    let page = |anchor: Option<&str>| {
        let source = found(1, "https://e.org/keys.html", (10, 11));
        Source { anchor: anchor.map(str::to_owned), text: "Rotate them every month.".into(), ..source }
    };
    let shown = |anchor, hyperlinks| listed(&page(anchor), &Style { hyperlinks, ..Style::default() });
    assert_eq!(shown(Some("rotate"), false), "[1] https://e.org/keys.html#rotate  Keys > Rotate");
    let words = "https://e.org/keys.html#:~:text=Rotate%20them%20every%20month.";
    assert_eq!(shown(None, false), format!("[1] {words}  Keys > Rotate"));
    let linked = format!("[1] \x1b]8;;{words}\x1b\\https://e.org/keys.html\x1b]8;;\x1b\\  Keys > Rotate");
    assert_eq!(shown(None, true), linked);
    let line = serde_json::to_value(SourceLine::from(&page(Some("rotate")))).unwrap();
    let [anchor, link] = ["anchor", "link"].map(|key| line.get(key).and_then(serde_json::Value::as_str));
    assert_eq!((anchor, link), (Some("rotate"), Some("https://e.org/keys.html#rotate")));
    let file = serde_json::to_value(SourceLine::from(&found(1, "a.md", (1, 1)))).unwrap();
    assert!(file.get("anchor").is_none() && file.get("link").is_none());
}

#[tokio::test]
async fn a_person_sees_the_answer_then_its_sources() {
    let summary = samples::summary(Some("double/chat"), AnswerOutcome::Answered(StopReason::End), Some(2_000_000));
    let took = std::time::Duration::from_secs(2);
    let events = [
        AnswerEvent::Sources {
            sources: vec![found(1, "docs/keys.md", (10, 11)), found(2, "docs/密钥.md", (1, 1)), found(3, "c.md", (1, 2))],
            model: Some("double/chat".into()),
        },
        AnswerEvent::Token("Every month ".into()),
        citation("[2]", &[2], &[]),
        AnswerEvent::Token(".\n\nSee ".into()),
        citation("[1, 7]", &[1], &[7]),
        AnswerEvent::Done(AnswerSummary { citations: vec![2, 1], unknown_citations: vec![7], cost_usd: None, took, ..summary }),
    ];
    let (ended, text) = one(events.into_iter().map(Ok), &Style::default()).await;
    assert!(matches!(ended, Ended::Answered));
    let shown = "Every month [2].\n\nSee [1, 7?]\n\n[7?]: no source has this number.\n\n\
                 Sources\n[2] docs/密钥.md:1  Keys > Rotate\n[1] docs/keys.md:10-11  Keys > Rotate\n\n\
                 Found, not cited\n[3] c.md:1-2  Keys > Rotate\n\n\
                 double/chat · 120 + 9 tokens · price not known · 2.0 s, first token after 2.0 s\n";
    assert_eq!(text, shown);
}

#[tokio::test]
async fn passages_stand_in_for_an_answer_and_that_is_said_above_them() {
    let summary = samples::summary(None, AnswerOutcome::Passages, None);
    let events = [
        AnswerEvent::Sources { sources: vec![found(1, "a.md", (1, 1)), found(2, "d.md", (1, 1))], model: None },
        AnswerEvent::Token("*first*\n".into()),
        citation("[1]", &[1], &[]),
        AnswerEvent::Token("\n\n".into()),
        AnswerEvent::Done(AnswerSummary { citations: vec![1], ..summary }),
    ];
    let (_, text) = one(events.into_iter().map(Ok), &Style::default()).await;
    let shown = format!(
        "{}\n\n*first*\n[1]\n\n\nSources\n[1] a.md:1  Keys > Rotate\n\nFound, not cited\n[2] d.md:1  Keys > Rotate\n",
        Note::NoModel
    );
    assert_eq!(text, shown);
    assert!(text.starts_with("No model wrote this answer") && text.contains("--model PROVIDER/MODEL"), "{text}");
}

#[tokio::test]
async fn a_cut_answer_says_so() {
    let summary = samples::summary(Some("p/a"), AnswerOutcome::Answered(StopReason::Length), Some(1));
    let sources = AnswerEvent::Sources { sources: vec![samples::source(1, 0.5)], model: Some("p/a".into()) };
    let events = [sources, AnswerEvent::Token("Every mon".into()), AnswerEvent::Done(summary)];
    let (_, text) = one(events.into_iter().map(Ok), &Style::default()).await;
    assert!(text.starts_with("Every mon\n\nThe answer was cut at max_tokens.\n"), "{text}");
}

#[tokio::test]
async fn json_is_the_lines_of_the_wire_and_nothing_else() {
    let style = Style { json: true, ..Style::default() };
    let (ended, text) = one(samples::answer().into_iter().map(Ok), &style).await;
    let lines: Vec<String> = samples::answer()
        .iter()
        .filter_map(AnswerEvent::line)
        .map(|line| serde_json::to_string(&line).unwrap() + "\n")
        .collect();
    assert_eq!((ended.exit_code(), text), (0, lines.concat()));
}

#[tokio::test]
async fn links_and_colours_but_nothing_that_steers_the_terminal() {
    let events = [
        AnswerEvent::Sources { sources: vec![samples::source(1, 0.5)], model: Some("p/a".into()) },
        AnswerEvent::Token("Monthly ".into()),
        AnswerEvent::Citation { text: "[1]".into(), sources: vec![1], unknown: Vec::new(), doubts: Vec::new() },
        AnswerEvent::Token("\x1b[2J".into()),
        samples::answer().pop().unwrap(),
    ];
    let style = Style { color: true, hyperlinks: true, quiet: true, base: Some("/kb".into()), ..Style::default() };
    let (_, text) = one(events.into_iter().map(Ok), &style).await;
    let shown = "Monthly \x1b[36m[1]\x1b[0m[2J\n\n\x1b[1mSources\x1b[0m\n\x1b[36m[1]\x1b[0m \
                 \x1b]8;;file:///kb/docs/%E5%AF%86%E9%92%A5.md\x1b\\docs/密钥.md:10-11\x1b]8;;\x1b\\  \x1b[2mKeys > Rotate \"now\"\x1b[0m\n";
    assert_eq!(text, shown, "quiet: no bill, no others; and nothing steers the terminal");
}

#[tokio::test]
async fn what_breaks_off_is_shown_as_far_as_it_came() {
    let broken = || {
        let reset = ProviderError::new("p", ErrorKind::Network, "connection reset");
        let pieces = samples::answer().into_iter().take(3).map(Ok);
        pieces.chain([Err(reset.into()), Ok(AnswerEvent::Token("never seen".into()))])
    };
    let (ended, text) = one(broken(), &Style::default()).await;
    assert!(matches!(ended, Ended::Failed(_)) && ended.exit_code() == 2, "{ended:?}");
    assert_eq!(text, "Every \"month\" \n", "the caller reports the error on a line of its own");
    let (_, text) = one(broken(), &Style { json: true, ..Style::default() }).await;
    let last = text.lines().last().unwrap();
    assert_eq!(last, r#"{"type":"error","message":"p: connection reset","kind":"network"}"#);

    let (ended, text) = one(samples::answer().into_iter().take(3).map(Ok), &Style::default()).await;
    assert!(matches!(ended, Ended::Stopped) && ended.exit_code() == 130, "a stream that ends early was stopped: {ended:?}");
    assert_eq!(text, "Every \"month\" \n");
}

/// A pipe whose reader goes away after so many writes.
struct Pipe(usize);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        self.0 = left;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly() {
    for style in [Style::default(), Style { json: true, ..Style::default() }] {
        let mut pipe = Pipe(2);
        let events = stream::iter(samples::answer().into_iter().map(Ok));
        let ended = render(Screen::new(&mut pipe, &style), events).await.unwrap();
        assert!(matches!(ended, Ended::ReaderLeft) && ended.exit_code() == 0, "{ended:?}");
    }
}
