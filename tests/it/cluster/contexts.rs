//! Workers that have a model say where chunks stand: each chunk is asked for once, what was kept before a kill is not asked for again by
//! who has the cache, and another machine asks again only for documents that were not done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use ragstream::ingest::Options;
use ragstream::ingest::Setup;
use ragstream::ingest::context::Situating;
use ragstream::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, ProviderError, StopReason, Usage};
use tokio::sync::Semaphore;

use super::corpus::{Corpus, text};
use super::{Meeting, Worker};

/// Requests that a worker may have in flight.
const IN_FLIGHT: usize = 4;

/// What a model was asked of each chunk, and how often: by all workers.
#[derive(Debug, Default)]
struct Asked(Mutex<BTreeMap<String, u64>>);

impl Asked {
    fn distinct(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Beyond the first time.
    fn twice(&self) -> u64 {
        self.0.lock().unwrap().values().map(|times| times - 1).sum()
    }

    /// How often chunks of each document were asked for.
    fn by_document(&self) -> BTreeMap<usize, u64> {
        let mut documents = BTreeMap::new();
        for (text, times) in &*self.0.lock().unwrap() {
            *documents.entry(number(text)).or_default() += times;
        }
        documents
    }
}

/// Of the document that is named first.
fn number(text: &str) -> usize {
    let (_, rest) = text.split_once("Document ").unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// A worker's own connection to the model.
#[derive(Debug)]
struct Says {
    asked: Arc<Asked>,
    places: Arc<Semaphore>,
}

#[async_trait]
impl ChatModel for Says {
    fn model(&self) -> &'static str {
        "own/says"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let place = Arc::clone(&self.places).acquire_owned().await.unwrap();
        let text = request.messages[0].text.clone();
        let said = format!("本段 {} of document {}.", blake3::hash(text.as_bytes()).to_hex().split_at(8).0, number(&text));
        *self.asked.0.lock().unwrap().entry(text).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(4)).await;
        let end = ChatEvent::Done { stop: StopReason::End, usage: Usage::new(Some(100), Some(10)) };
        let events = stream::iter([Ok(ChatEvent::Text(said)), Ok(end)]);
        let events = events.map(move |event| {
            let _place = &place;
            event
        });
        Ok(events.boxed())
    }
}

/// Has the model say where chunks stand, and keeps what it says in this folder.
fn situated(setup: &mut Setup, asked: &Arc<Asked>, cache: &Path) {
    let model = Says { asked: Arc::clone(asked), places: Arc::new(Semaphore::new(IN_FLIGHT)) };
    setup.context = Some(Situating::new(vec![Arc::new(model)], 3000));
    setup.cache = Some(cache.to_owned());
}

struct World {
    meeting: Meeting,
    asked: Arc<Asked>,
    /// A folder a machine.
    caches: tempfile::TempDir,
}

impl World {
    fn new(documents: usize) -> Self {
        let mut corpus = Corpus::of(documents);
        corpus.slow = Duration::from_millis(20);
        Self { meeting: Meeting::new(corpus), asked: Arc::default(), caches: tempfile::tempdir().unwrap() }
    }

    /// On this machine.
    async fn worker(&self, machine: usize) -> Worker {
        let mut setup = self.meeting.setup(Arc::clone(&self.meeting.store)).await;
        situated(&mut setup, &self.asked, &self.caches.path().join(machine.to_string()));
        Meeting::worker_of(setup, Options::default())
    }

    async fn round(&self, machines: impl IntoIterator<Item = usize>) {
        let mut workers = Vec::new();
        for machine in machines {
            workers.push(self.worker(machine).await);
        }
        for worker in workers {
            worker.task.await.unwrap().unwrap();
        }
    }

    async fn is_as_alone(&self) {
        let asked = Arc::<Asked>::default();
        let folder = tempfile::tempdir().unwrap();
        let wanted = self.meeting.alone_with(|setup| situated(setup, &asked, folder.path())).await;
        let found = self.meeting.contents().await;
        assert!(found.iter().all(|(_, passage)| passage.context.is_some()), "each has one");
        assert!(found == wanted, "not a single process's");
        assert_eq!(asked.twice(), 0);
        self.meeting.is_settled().await;
    }

    /// Documents that are done, by their numbers.
    fn done(&self) -> BTreeSet<usize> {
        let sql = "SELECT key FROM ragstream.documents WHERE corpus = $corpus AND hash IS NOT NULL";
        let number = |uri: &str| uri.trim_end_matches(".md").rsplit(' ').next()?.parse().ok();
        self.meeting.sql(sql).lines().map(|uri| number(uri).unwrap()).collect()
    }

    async fn until_done(&self, documents: usize) {
        let began = std::time::Instant::now();
        while self.done().len() < documents {
            assert!(began.elapsed() < Duration::from_mins(2), "{documents} documents were never done");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_chunk_is_asked_for_once_and_an_edit_for_what_is_new() {
    let world = World::new(60);
    world.round([0, 1, 2]).await;
    world.is_as_alone().await;
    assert_eq!(world.asked.twice(), 0);
    let before = world.asked.distinct();
    assert!((240..=world.meeting.contents().await.len()).contains(&before), "{before}");
    world.round([0, 1, 2]).await;
    assert_eq!((world.asked.distinct(), world.asked.twice()), (before, 0), "nothing is new");
    for n in [3, 30] {
        world.meeting.corpus.write(n, &text(n, 1));
    }
    world.round([2, 1]).await;
    let edited = world.asked.distinct() - before;
    assert!((2..before / 60 * 2).contains(&edited) && world.asked.twice() == 0, "{edited}");
    world.meeting.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_costs_what_was_in_flight_where_workers_have_one_cache() {
    let world = World::new(120);
    let mut workers = Vec::<Worker>::new();
    let kills = 4;
    for kill in 0..kills {
        while workers.len() < 3 {
            workers.push(world.worker(0).await);
        }
        world.until_done(15 * (kill + 1)).await;
        // The oldest leads, as a rule.
        workers.remove(kill % 2).kill().await;
    }
    workers.push(world.worker(0).await);
    for worker in workers {
        worker.task.await.unwrap().unwrap();
    }
    world.is_as_alone().await;
    assert!(world.asked.twice() <= (kills * IN_FLIGHT) as u64, "{} chunks were asked for again", world.asked.twice());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_costs_other_machines_no_document_that_was_done() {
    let world = World::new(120);
    let (dies, lives) = (world.worker(0).await, world.worker(1).await);
    world.until_done(40).await;
    dies.kill().await;
    // What is asked for from now on is of documents that are not done; what the other one has in hand may have been asked for.
    let (done, before) = (world.done(), world.asked.by_document());
    lives.task.await.unwrap().unwrap();
    world.is_as_alone().await;
    let after = world.asked.by_document();
    let again: Vec<_> = done.iter().filter(|n| before.get(n) != after.get(n)).collect();
    assert!(again.is_empty(), "{again:?} were done");
    assert_eq!(after.len(), 120);
}
