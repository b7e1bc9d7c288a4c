//! The writer before models that go wrong in every way.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use futures_util::stream;

use super::*;
use crate::cache::Key;
use crate::providers::{ChatStream, Message, Price, Shared};

/// What a model does when it is asked.
#[derive(Debug, Clone)]
enum Does {
    Says(&'static str, StopReason),
    /// Some of it, and then the connection breaks.
    Breaks,
    Fails(ErrorKind),
    Hangs,
}

/// Does one thing after the other, and the last one for ever.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Does>>);

impl Scripted {
    fn new(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(script.into_iter().collect())))
    }
}

#[async_trait]
impl ChatModel for Scripted {
    fn model(&self) -> &'static str {
        "test/scripted"
    }

    fn price(&self) -> Option<Price> {
        Some(Price::chat(1.0, 2.0))
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, ProviderError> {
        let does = {
            let mut script = self.0.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        let broken = |kind| ProviderError::new("test", kind, "broken");
        let events = match does.unwrap() {
            Does::Says(text, stop) => {
                let usage = Usage::new(Some(100), Some(10));
                vec![
                    Ok(ChatEvent::Reasoning("hm".into())),
                    Ok(ChatEvent::Text(text.into())),
                    Ok(ChatEvent::Done { stop, usage }),
                ]
            }
            Does::Breaks => vec![Ok(ChatEvent::Text("Of".into())), Err(broken(ErrorKind::Network))],
            Does::Fails(kind) => return Err(broken(kind)),
            Does::Hangs => {
                crate::limits::tell(Waiting::Wire);
                return Ok(stream::pending().boxed());
            }
        };
        Ok(stream::iter(events).boxed())
    }
}

fn asked(chunk: &str) -> Asked {
    let request = ChatRequest::new(vec![Message::user(chunk)]);
    Asked { key: Key::of_text("context", "test/scripted", &[chunk]), request, read: 90, prefix: None }
}

fn writer(models: Vec<Arc<dyn ChatModel>>) -> Writer {
    let situating = Situating::new(models, 100);
    Writer::new(&situating, TextCache::open(None), Arc::default(), CancellationToken::new(), Span::none())
}

fn by(script: impl IntoIterator<Item = Does>) -> Writer {
    writer(vec![Scripted::new(script)])
}

const GOOD: Does = Does::Says("On keys.", StopReason::End);
const EMPTY: Does = Does::Says(" \n", StopReason::End);

#[tokio::test(start_paused = true)]
async fn what_is_written_is_counted_and_kept() {
    let writer = by([GOOD]);
    let both = join_all(["a", "a", "b"].map(|text| writer.write(asked(text)).boxed())).await;
    assert!(both.iter().all(|text| &**text.as_ref().unwrap() == "On keys."));
    let told = writer.report.contexts.told();
    assert_eq!((told.written, told.cache_hits, told.requests), (2, 1, 2));
    assert_eq!((told.input_tokens, told.output_tokens), (200, 20));
    assert!((told.cost_usd.unwrap() - 240e-6).abs() < 1e-12, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_asked_for_again_and_not_for_ever() {
    let writer = by([Does::Breaks, Does::Breaks, GOOD]);
    assert_eq!(&*writer.write(asked("a")).await.unwrap(), "On keys.");
    assert_eq!(writer.report.contexts.told().requests, 3);
    let writer = by([GOOD, Does::Breaks]);
    writer.write(asked("a")).await.unwrap();
    let error = writer.write(asked("b")).await.unwrap_err();
    assert!(
        matches!(&*error, ContextError::Run(error) if error.kind == ErrorKind::Network),
        "nothing else is answered: {error:?}"
    );
    assert_eq!(writer.report.contexts.told().requests, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_or_empty_is_of_its_chunk_alone() {
    let refused = Does::Says("Of", StopReason::Refused);
    let thought = Does::Says("", StopReason::Length);
    let writer = by([GOOD, EMPTY, EMPTY, EMPTY, refused, thought, Does::Fails(ErrorKind::InvalidInput), GOOD]);
    writer.write(asked("good")).await.unwrap();
    for chunk in ["empty", "refused", "thought", "invalid"] {
        let error = writer.write(asked(chunk)).await.unwrap_err();
        assert!(matches!(&*error, ContextError::Chunk(error) if error.kind == ErrorKind::InvalidInput), "{error:?}");
    }
    assert_eq!(&*writer.write(asked("empty")).await.unwrap(), "On keys.", "errors are not kept");
    assert_eq!(writer.report.contexts.told().requests, 1 + 3 + 1 + 1 + 1 + 1, "only what was empty is asked for again");
    assert!(!writer.stop.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_asked_for_again() {
    for empty in ["", " \n", "　"] {
        let empty = Does::Says(empty, StopReason::End);
        let writer = by([empty.clone(), empty, Does::Says("本段讲密钥。", StopReason::End)]);
        assert_eq!(&*writer.write(asked("a")).await.unwrap(), "本段讲密钥。");
        assert_eq!(writer.report.contexts.told().requests, 3);
    }
    let writer = by([GOOD, EMPTY]);
    writer.write(asked("a")).await.unwrap();
    let error = writer.write(asked("b")).await.unwrap_err();
    assert!(error.to_string().contains("gave up after 3 attempts"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_never_says_anything_is_not_asked_for_ever_and_who_did_is() {
    let mute = by([EMPTY]);
    let mut chunks = 0;
    let error = loop {
        chunks += 1;
        let error = mute.write(asked(&chunks.to_string())).await.unwrap_err();
        if matches!(&*error, ContextError::Run(_)) {
            break error;
        }
    };
    // Three answers for each, until that many were paid for.
    assert_eq!(mute.report.contexts.told().requests, u64::from(USELESS));
    assert!(chunks == USELESS.div_ceil(ATTEMPTS) && mute.stop.is_cancelled() && error.stops_all(), "{chunks}");
    let odd = by(std::iter::once(GOOD).chain(std::iter::repeat_n(EMPTY, 40)));
    odd.write(asked("good")).await.unwrap();
    for chunk in 0..40 {
        assert!(matches!(&*odd.write(asked(&chunk.to_string())).await.unwrap_err(), ContextError::Chunk(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_model_takes_over_whatever_the_first_one_does() {
    for does in [EMPTY, Does::Fails(ErrorKind::Auth), Does::Fails(ErrorKind::Unavailable), Does::Breaks] {
        let writer = writer(vec![Scripted::new([does.clone()]), Scripted::new([GOOD])]);
        assert_eq!(&*writer.write(asked("a")).await.unwrap(), "On keys.", "{does:?}");
        assert!(!writer.stop.is_cancelled());
    }
    let neither = writer(vec![Scripted::new([EMPTY]), Scripted::new([Does::Fails(ErrorKind::Auth)])]);
    assert!(matches!(&*neither.write(asked("a")).await.unwrap_err(), ContextError::Run(_)));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_does_not_hold_a_stopped_run_up() {
    /// Waits for its turn.
    #[derive(Debug)]
    struct InLine;
    #[async_trait]
    impl ChatModel for InLine {
        fn model(&self) -> &'static str {
            "test/in-line"
        }
        async fn chat(&self, _: ChatRequest) -> Result<ChatStream, ProviderError> {
            crate::limits::tell(Waiting::Quota);
            std::future::pending().await
        }
    }
    let waiting = writer(vec![Arc::new(InLine)]);
    let (stop, patience) = (waiting.stop.clone(), Duration::from_secs(5));
    let asked_of = tokio::time::timeout(patience, waiting.write(asked("a")));
    let stops = async |stop: CancellationToken| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let (answer, ()) = tokio::join!(asked_of, stops(stop));
    assert!(matches!(&*answer.unwrap().unwrap_err(), ContextError::Stopped));
    let sent = by([Does::Hangs]);
    let (answer, ()) = tokio::join!(tokio::time::timeout(patience, sent.write(asked("a"))), stops(sent.stop.clone()));
    assert!(answer.is_err(), "what is on the wire is paid for");
    let late = by([GOOD]);
    late.stop.cancel();
    assert!(matches!(&*late.write(asked("a")).await.unwrap_err(), ContextError::Stopped));
    assert_eq!(late.report.contexts.told().requests, 0, "who is stopped sends nothing");
}

/// Answers after a second, and keeps what requests share; notes when each was asked, and when its answer was let go.
#[derive(Debug)]
struct Keeping {
    keeps: bool,
    folder: Option<std::path::PathBuf>,
    asked: Mutex<Vec<u64>>,
    /// Whether the text was kept by then.
    let_go: Arc<Mutex<Vec<bool>>>,
    began: Instant,
}

impl Keeping {
    fn new(keeps: bool, folder: Option<&std::path::Path>) -> Arc<Self> {
        let folder = folder.map(Into::into);
        Arc::new(Self { keeps, folder, asked: Mutex::default(), let_go: Arc::default(), began: Instant::now() })
    }
}

#[async_trait]
impl ChatModel for Keeping {
    fn model(&self) -> &'static str {
        "test/scripted"
    }

    fn keeps(&self, _: Shared) -> bool {
        self.keeps
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        crate::limits::tell(Waiting::Wire);
        self.asked.lock().unwrap().push(self.began.elapsed().as_secs());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let key = asked(&request.messages[0].text).key;
        let place = LetGo { folder: self.folder.clone(), key, noted: Arc::clone(&self.let_go) };
        let end = Ok(ChatEvent::Done { stop: StopReason::End, usage: Usage::new(Some(1), Some(1)) });
        let events = stream::iter([Ok(ChatEvent::Text("On keys.".into())), end]);
        let events = events.map(move |event| {
            let _place = &place;
            event
        });
        Ok(events.boxed())
    }
}

/// Looks, when it is dropped, whether the text is kept.
struct LetGo {
    folder: Option<std::path::PathBuf>,
    key: Key,
    noted: Arc<Mutex<Vec<bool>>>,
}

impl Drop for LetGo {
    fn drop(&mut self) {
        let kept = self.folder.as_ref().is_none_or(|folder| crate::cache::texts(folder, &[self.key]) != [None]);
        self.noted.lock().unwrap().push(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_stretch_goes_ahead_where_that_makes_the_others_cheaper() {
    let shared = Some(Shared { bytes: 1, tokens: 2000 });
    let of_one_stretch = |prefix: &Prefix| {
        ["a1", "a2", "a3"].map(|chunk| {
            let asked = asked(chunk);
            Asked { request: ChatRequest { shared, ..asked.request.clone() }, prefix: Some(prefix.clone()), ..asked }
        })
    };
    for (keeps, wanted) in [(true, [0, 0, 1, 1, 1, 1]), (false, [0; 6])] {
        let model = Keeping::new(keeps, None);
        let writer = writer(vec![Arc::clone(&model) as _]);
        let stretches = [Prefix::default(), Prefix::default()];
        let chunks = stretches.iter().flat_map(of_one_stretch).enumerate();
        // No two are the same.
        let chunks = chunks.map(|(n, asked)| Asked { key: Key::of_text("context", &n.to_string(), &[]), ..asked });
        let answers = join_all(chunks.map(|asked| writer.write(asked).boxed())).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(*model.asked.lock().unwrap(), wanted, "{keeps}");
        assert_eq!(writer.report.contexts.told().requests, 6);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_first_is_not_counted_and_leaves_when_the_run_stops() {
    let model = Keeping::new(true, None);
    let (writer, prefix) = (writer(vec![Arc::clone(&model) as _]), Prefix::default());
    let shared = Some(Shared { bytes: 1, tokens: 2000 });
    let write = |chunk| {
        let asked = asked(chunk);
        let request = ChatRequest { shared, ..asked.request.clone() };
        writer.write(Asked { request, prefix: Some(prefix.clone()), ..asked }).boxed()
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        writer.stop.cancel();
    };
    let (answers, ()) = tokio::join!(join_all(["a", "b", "c"].map(write)), stop);
    assert!(answers[0].is_ok(), "it was on the wire");
    assert!(answers[1..].iter().all(|answer| matches!(&**answer.as_ref().unwrap_err(), ContextError::Stopped)));
    assert_eq!((model.asked.lock().unwrap().len(), writer.report.contexts.told().requests), (1, 1));
}

#[tokio::test]
async fn a_place_in_flight_is_held_until_the_text_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let model = Keeping::new(false, Some(folder.path()));
    let situating = Situating::new(vec![Arc::clone(&model) as _], 100);
    let cache = TextCache::open(Some(folder.path()));
    let writer = Writer::new(&situating, cache, Arc::default(), CancellationToken::new(), Span::none());
    let answers = join_all(["a", "b", "c"].map(|chunk| writer.write(asked(chunk)).boxed())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(*model.let_go.lock().unwrap(), [true; 3], "a kill in between would have lost it, and more were on their way");
}
