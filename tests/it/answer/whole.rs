//! A pass over all documents: an index that is replaced meanwhile, and that it never costs more than was told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use ragstream::answer::{
    AnswerEvent, AnswerOutcome, Answerer, Estimate, Models, OpenRetriever, Question, RetrieveMode, WholePlan,
};
use ragstream::document::Hit;
use ragstream::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, Price, ProviderError, StopReason, Usage};

use super::doubles::{Store, hit, plan, retriever};

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// What a model does with what it is to read.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Notes a line.
    Notes,
    /// Writes as much as it may, whatever it reads.
    Endless,
    /// Refuses more words than these, and writes as much as it may of fewer.
    Small(usize),
}

/// Counts what it is paid.
#[derive(Debug)]
struct Reader {
    way: Way,
    asked: Mutex<Vec<ChatRequest>>,
    output: AtomicU64,
}

impl Reader {
    fn new(way: Way) -> Arc<Self> {
        Arc::new(Self { way, asked: Mutex::default(), output: AtomicU64::new(0) })
    }
}

#[async_trait]
impl ChatModel for Reader {
    fn model(&self) -> &'static str {
        "double/reader"
    }
    fn price(&self) -> Option<Price> {
        Some(Price::chat(1.0, 4.0))
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let user = &request.messages[0].text;
        let (read, most) = (words(&request.system) + words(user), u64::from(request.max_tokens));
        let answers =
            request.system.contains("The question is about all of the documents.") && !request.system.contains("Put their");
        if let Way::Small(most) = self.way
            && !answers
            && words(user) > most
        {
            return Err(ProviderError::new("double", ErrorKind::InvalidInput, "too long"));
        }
        let notes = matches!(self.way, Way::Notes) || answers;
        let (text, wrote, stop) = if notes {
            ("- a finding [1]\n".to_owned(), 4, StopReason::End)
        } else {
            // As many lines as it has tokens for, a word or two each.
            ((0..most / 3).map(|n| format!("- f{n} [1]\n")).collect::<Vec<_>>().concat(), most, StopReason::Length)
        };
        self.output.fetch_add(wrote, Ordering::SeqCst);
        self.asked.lock().unwrap().push(request);
        let end = ChatEvent::Done { stop, usage: Usage::new(Some(read as u64), Some(wrote)) };
        Ok(stream::iter([Ok(ChatEvent::Text(text)), Ok(end)]).boxed())
    }
}

/// Documents of so many passages, of so many words each.
fn documents(count: usize, passages: usize, length: usize) -> Vec<Hit> {
    let text = |n: usize, part: usize| format!("文档{n}-{part} {}", "word ".repeat(length));
    let passage = |n: usize, part: usize| {
        let text = text(n, part);
        hit(&format!("{n:03}.md"), (part * 10_000) as u64, (1, 1), 1.0, &text)
    };
    (0..count).flat_map(|n| (0..passages).map(move |part| passage(n, part))).collect()
}

fn reading(answerer: Answerer, model: &Arc<Reader>) -> (Answerer, Question) {
    let models = Models::own(Arc::clone(model) as _, Vec::new());
    let answerer = answerer.with_models(models).counting_tokens_with(Arc::new(words));
    (answerer, Question { all: Some(true), ..Question::from("List all findings") })
}

fn planned(part_tokens: usize) -> ragstream::answer::QueryPlan {
    let whole = WholePlan { part_tokens: Some(part_tokens), ..WholePlan::default() };
    ragstream::answer::QueryPlan { whole, ..plan(RetrieveMode::Sparse) }
}

#[tokio::test(start_paused = true)]
async fn all_are_read_from_the_index_that_takes_the_place_of_one_meanwhile() {
    let old = Store { hits: documents(12, 2, 20), ..Store::default() }.gone_after(12 + 7);
    let (first, gone) = retriever(old, None);
    let open: OpenRetriever = Arc::new(|| {
        Box::pin(async {
            let (next, _) = retriever(Store { hits: documents(13, 2, 20), ..Store::default() }, None);
            Ok(next)
        })
    });
    let model = Reader::new(Way::Notes);
    let (answerer, question) = reading(Answerer::kept_open(first, open, planned(120)), &model);
    let events: Vec<AnswerEvent> = answerer.ask(question).map(Result::unwrap).collect().await;
    assert!(gone.is_gone(), "the old one was read as far as it went");
    let documents: Vec<u64> = events
        .iter()
        .filter_map(|event| if let AnswerEvent::Estimate(estimate) = event { Some(estimate.documents) } else { None })
        .collect();
    assert_eq!(documents, [12, 13]);
    let Some(AnswerEvent::Done(done)) = events.last() else { panic!("{events:?}") };
    let whole = done.whole.unwrap();
    assert_eq!((whole.documents, whole.passages, whole.failed), (13, 26, 0));
    assert!(matches!(done.outcome, AnswerOutcome::Answered(_)));
}

#[tokio::test(start_paused = true)]
async fn it_never_costs_more_than_at_most() {
    let shapes = [(40, 4, 50, 1000), (60, 1, 40, 256), (3, 40, 100, 2500), (20, 9, 200, 8000), (2, 1, 300, 350)];
    for (count, passages, length, part_tokens) in shapes {
        let mut costs = Vec::new();
        for way in [Way::Notes, Way::Endless, Way::Small(part_tokens / 3)] {
            let (retriever, _) = retriever(Store { hits: documents(count, passages, length), ..Store::default() }, None);
            let model = Reader::new(way);
            let (answerer, question) = reading(Answerer::new(retriever, planned(part_tokens)), &model);
            let events: Vec<_> = answerer.ask(question).collect().await;
            let what = format!("{count} of {passages} × {length} in {part_tokens}: {way:?}");
            let estimate: &Estimate = events
                .iter()
                .find_map(|event| if let Ok(AnswerEvent::Estimate(estimate)) = event { Some(estimate) } else { None })
                .unwrap();
            let input: usize = model
                .asked
                .lock()
                .unwrap()
                .iter()
                .map(|request| words(&request.system) + words(&request.messages[0].text))
                .sum();
            let output = model.output.load(Ordering::SeqCst);
            let cost = (input as f64 + 4.0 * output as f64) / 1e6;
            let most = estimate.at_most_usd.unwrap();
            assert!(cost <= most, "{what}: ${cost}, and at most ${most} was told");
            costs.push((cost, most));
            if let Way::Notes = way {
                assert!(matches!(events.last(), Some(Ok(AnswerEvent::Done(_)))), "{what}");
            }
        }
        // Nor is it told far too high: a model that writes as much as it may comes near to it.
        let (worst, most) = costs[1];
        assert!(worst * 4.0 > most, "{count} of {passages} × {length} in {part_tokens}: ${worst} of ${most}");
    }
}
