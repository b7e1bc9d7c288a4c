//! A server for tests: HTTP/1.1 as raw bytes, so that it can be as broken as real ones are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// A part of an answer.
pub(super) enum Piece {
    Bytes(Vec<u8>),
    Wait(Duration),
    /// The same, until the client leaves.
    Forever(Vec<u8>),
    Close,
}

/// A server that answers each request, as its head is, with some pieces.
pub(super) struct StandIn {
    pub(super) url: Url,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl StandIn {
    pub(super) async fn new(answer: impl Fn(&str) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), requests.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(talk(stream, answer.clone(), seen.clone()));
            }
        });
        Self { url, requests, _tasks: tasks }
    }

    /// One that has the same answer for all.
    pub(super) async fn same(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |_| vec![Piece::Bytes(answer.clone()), Piece::Close]).await
    }

    pub(super) fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    /// The heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> String {
        self.requests().pop().unwrap()
    }
}

async fn talk(mut stream: TcpStream, answer: Arc<impl Fn(&str) -> Vec<Piece>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut heard = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(0) | Err(_) => return,
                Ok(read) => heard.extend_from_slice(&more[..read]),
            }
        };
        let head = String::from_utf8_lossy(&heard.drain(..end).collect::<Vec<u8>>()).into_owned();
        seen.lock().unwrap().push(head.clone());
        for piece in answer(&head) {
            match piece {
                Piece::Bytes(bytes) => drop(stream.write_all(&bytes).await),
                Piece::Wait(time) => tokio::time::sleep(time).await,
                Piece::Forever(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                Piece::Close => return,
            }
        }
    }
}

/// An address that nobody listens at.
pub(super) fn closed() -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap()
}

/// An answer with its length.
pub(super) fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let lines: Vec<String> = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{}Content-Length: {}\r\n\r\n", lines.concat(), body.as_ref().len());
    [head.as_bytes(), body.as_ref()].concat()
}
