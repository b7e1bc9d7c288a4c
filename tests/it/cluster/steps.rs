//! A worker that leads and ends before or after each of the statements that it sends, and one whose statement is done and answered by
//! nobody: another finishes the round, and the index is a single process's.

#![allow(clippy::print_stdout, reason = "which statement it was")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use ragstream::ingest::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Meeting;
use super::corpus::{Content, Corpus, text};
use crate::sql::servers;

/// What becomes of the statement that is counted down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The database never hears of it.
    Before,
    /// It is done, and nobody hears of it.
    After,
}

/// Tells which statement it was when a test ends badly.
struct At(usize, Cut);

impl Drop for At {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?} statement {}", self.1, self.0);
        }
    }
}

/// Between workers and their database: counts statements, and at one of them cuts all connections.
struct Wire {
    port: u16,
    shared: Arc<Shared>,
    _ends: tokio_util::sync::DropGuard,
}

struct Shared {
    left: AtomicUsize,
    cut: Cut,
    /// All connections of the time before it are cut.
    cutting: CancellationToken,
}

impl Wire {
    async fn new(statement: usize, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { left: AtomicUsize::new(statement), cut, cutting: CancellationToken::new() });
        let (of_all, ends) = (Arc::clone(&shared), CancellationToken::new());
        let ended = ends.clone();
        tokio::spawn(async move {
            while let Some(Ok((client, _))) = ended.run_until_cancelled(listener.accept()).await {
                let (shared, ended) = (Arc::clone(&of_all), ended.clone());
                tokio::spawn(async move { ended.run_until_cancelled(shared.relay(client)).await });
            }
        });
        Self { port, shared, _ends: ends.drop_guard() }
    }
}

impl Shared {
    async fn relay(&self, client: TcpStream) {
        let server = TcpStream::connect(("127.0.0.1", servers::postgres().port)).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        // Whoever comes after the cut is served as usual.
        let late = self.cutting.is_cancelled();
        let asks = async {
            let mut opened = false;
            loop {
                let mut message = if opened { vec![from_client.read_u8().await.ok()?] } else { Vec::new() };
                let length = from_client.read_u32().await.ok()?;
                message.extend(length.to_be_bytes());
                let at = message.len();
                message.resize(at + length as usize - 4, 0);
                from_client.read_exact(&mut message[at..]).await.ok()?;
                let counts = opened && matches!(message[0], b'P' | b'Q');
                opened = true;
                if !late
                    && counts
                    && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
                {
                    if self.cut == Cut::After {
                        to_server.write_all(&message).await.ok()?;
                        while message[0] != b'Q' && message[0] != b'S' {
                            message = vec![from_client.read_u8().await.ok()?];
                            let length = from_client.read_u32().await.ok()?;
                            message.extend(length.to_be_bytes());
                            message.resize(1 + length as usize, 0);
                            from_client.read_exact(&mut message[5..]).await.ok()?;
                            to_server.write_all(&message).await.ok()?;
                        }
                        // It is done when the server waits for the next.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    self.cutting.cancel();
                    return Some(());
                }
                to_server.write_all(&message).await.ok()?;
            }
        };
        let answers = async {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                let lost = !late && self.left.load(Ordering::SeqCst) == 0;
                if !lost && to_client.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        };
        let (asks, answers) = (pin!(asks), pin!(answers));
        let cut = async { if late { std::future::pending().await } else { self.cutting.cancelled().await } };
        tokio::select! {
            _ = asks => {}
            () = answers => {}
            () = cut => {}
        }
    }
}

/// Twelve documents, as a round has left them, and edits of every kind.
async fn edited() -> Meeting {
    let meeting = Meeting::new(Corpus::of(12));
    meeting.round(1).await;
    for n in 0..8 {
        match n % 4 {
            0 => meeting.corpus.write(n, &text(n, 1)),
            1 => meeting.corpus.remove(n),
            2 => meeting.corpus.set(n, Content::Empty),
            _ => {}
        }
    }
    meeting.corpus.write(77, &text(77, 0));
    meeting
}

/// A worker that ends there, and what another makes of it. `false`: it came to its end before.
async fn ends_at(statement: usize, cut: Cut) -> bool {
    let _at = At(statement, cut);
    let mut meeting = edited().await;
    let wire = Wire::new(statement, cut).await;
    let directly = std::mem::replace(&mut meeting.url, format!("postgres://postgres@127.0.0.1:{}/postgres", wire.port));
    let cutting = wire.shared.cutting.clone();
    let opening = async {
        let setup = meeting.setup(Arc::clone(&meeting.store)).await;
        Meeting::worker_of(setup, Options::default())
    };
    let opened = tokio::select! {
        worker = opening => Some(worker),
        // While it still opens.
        () = cutting.cancelled() => None,
    };
    if let Some(mut worker) = opened {
        tokio::select! {
            ended = &mut worker.task => drop(ended.unwrap().unwrap()),
            () = cutting.cancelled() => worker.kill().await,
        }
    }
    let got_there = cutting.is_cancelled();
    meeting.url = directly;
    let rest = tokio::time::timeout(Duration::from_secs(90), meeting.round(1)).await;
    let rest = rest.unwrap_or_else(|_| panic!("{statement} {cut:?}: the next never came to its end"));
    assert_eq!(rest[0].documents.failed, 0, "{statement} {cut:?}");
    meeting.is_as_alone().await;
    meeting.is_settled().await;
    got_there
}

/// A worker whose connections are all cut there. `false`: it came to its end before.
async fn goes_on_at(statement: usize, cut: Cut) -> bool {
    let _at = At(statement, cut);
    let mut meeting = edited().await;
    let wire = Wire::new(statement, cut).await;
    let directly = std::mem::replace(&mut meeting.url, format!("postgres://postgres@127.0.0.1:{}/postgres", wire.port));
    let ended = tokio::time::timeout(Duration::from_secs(90), meeting.round(1)).await;
    let ended = ended.unwrap_or_else(|_| panic!("{statement} {cut:?}: it never came to its end"));
    assert_eq!(ended[0].documents.failed, 0, "{statement} {cut:?}");
    meeting.url = directly;
    meeting.is_as_alone().await;
    meeting.is_settled().await;
    wire.shared.cutting.is_cancelled()
}

/// Of the statements, so many are left out between two; `STEPS_EVERY=1` leaves out none, which takes minutes.
const EVERY: usize = 13;

/// At statements from this one on, until it came to its end before.
async fn at_each<F: Future<Output = bool>>(first: usize, at: impl Fn(usize) -> F) {
    let every = std::env::var("STEPS_EVERY").ok().map_or(EVERY, |every| every.parse().expect("a number"));
    let mut all = pin!(stream::iter((first.min(every)..500).step_by(every)).map(at).buffered(8));
    let mut cuts = 0;
    while all.next().await.expect("a round has an end") {
        cuts += 1;
    }
    println!("{cuts} cuts, one in {every} statements");
    assert!(cuts * every > 30, "{cuts} cuts make no round");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_before_any_statement() {
    at_each(2, |statement| ends_at(statement, Cut::Before)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_after_any_statement() {
    at_each(5, |statement| ends_at(statement, Cut::After)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_statement_may_be_lost_with_its_connection() {
    at_each(8, |statement| goes_on_at(statement, Cut::Before)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_statement_may_come_twice() {
    at_each(11, |statement| goes_on_at(statement, Cut::After)).await;
}
