//! An answer as HTML while it is written: a finished piece once, the one that is being written again and again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::blocks::Blocks;
use super::markdown::{citation, html, unmarked};
use crate::answer::AnswerEvent;

/// The least time between two renderings of the piece that is being written.
const PACE: Duration = Duration::from_millis(50);
/// One of so many bytes is rendered half as often: what is sent in a second has a bound, however long a piece is.
const LONG: usize = 4 << 10;
/// A piece of more bytes is not rendered on a worker of the runtime.
const HEAVY: usize = 16 << 10;

/// A piece of an answer as HTML.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "html")]
pub(super) struct Piece {
    /// The pieces are numbered from 0; one that comes again takes its own place.
    block: usize,
    pub(super) html: String,
    /// It will come again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    open: bool,
}

/// An answer that is being written.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    blocks: Blocks,
    /// The number of the piece that is being written.
    block: usize,
    /// No model writes it: what comes are the passages themselves.
    passages: bool,
    /// When the piece that is being written may be sent again; `None` when nothing has come since.
    due: Option<Instant>,
    sent: Option<Instant>,
}

impl Rendering {
    /// Takes a piece of the answer in; what has been finished by it comes back.
    pub(super) async fn event(&mut self, event: &AnswerEvent) -> Vec<Piece> {
        let mut finished = Vec::new();
        match event {
            AnswerEvent::Sources { model, .. } => self.passages = model.is_none(),
            AnswerEvent::Fallback { interrupted: true, .. } => *self = Self::default(),
            AnswerEvent::Token(text) if !self.passages => self.blocks.push(&unmarked(text), &mut finished),
            AnswerEvent::Citation { sources, unknown, doubts, .. } if !self.passages => {
                self.blocks.push(&citation(sources, unknown, !doubts.is_empty()), &mut finished);
            }
            AnswerEvent::Done(_) => return self.end().await,
            _ => return Vec::new(),
        }
        let all = self.number(finished).await;
        self.due = (self.blocks.open_len() > 0).then(|| self.sent.map_or_else(Instant::now, |sent| sent + self.pace()));
        all
    }

    /// The answer ends, complete or not.
    pub(super) async fn end(&mut self) -> Vec<Piece> {
        let mut finished = Vec::new();
        self.blocks.finish(&mut finished);
        self.due = None;
        self.number(finished).await
    }

    /// Returns when it is time to send [`Self::open`]; never while nothing has come.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// The piece that is being written.
    pub(super) async fn open(&mut self) -> Piece {
        let html = rendered(self.blocks.open()).await;
        (self.due, self.sent) = (None, Some(Instant::now()));
        Piece { block: self.block, html, open: true }
    }

    fn pace(&self) -> Duration {
        PACE * u32::try_from(1 + self.blocks.open_len() / LONG).unwrap_or(u32::MAX)
    }

    async fn number(&mut self, finished: Vec<String>) -> Vec<Piece> {
        let mut all = Vec::with_capacity(finished.len());
        for piece in finished {
            all.push(Piece { block: self.block, html: rendered(piece).await, open: false });
            self.block += 1;
        }
        all
    }
}

async fn rendered(markdown: String) -> String {
    if markdown.len() < HEAVY {
        return html(&markdown);
    }
    tokio::task::spawn_blocking(move || html(&markdown)).await.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn sources(model: Option<&str>) -> AnswerEvent {
        AnswerEvent::Sources { sources: Vec::new(), model: model.map(str::to_owned) }
    }

    fn token(text: &str) -> AnswerEvent {
        AnswerEvent::Token(text.to_owned())
    }

    /// What is sent of these events, each so long after the one before.
    async fn sent(events: impl IntoIterator<Item = (Duration, AnswerEvent)>) -> Vec<Piece> {
        let (mut rendering, mut all) = (Rendering::default(), Vec::new());
        for (gap, event) in events {
            let next = Instant::now() + gap;
            loop {
                tokio::select! {
                    biased;
                    () = rendering.due() => all.push(rendering.open().await),
                    () = tokio::time::sleep_until(next) => break,
                }
            }
            all.extend(rendering.event(&event).await);
        }
        all.extend(rendering.end().await);
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_finished_piece_is_sent_once_and_the_last_again_and_again() {
        let words = (0..200).map(|n| token(if n % 50 == 49 { "end.\n\n" } else { "word " }));
        let gap = Duration::from_millis(5);
        let all = sent([sources(Some("m"))].into_iter().chain(words).map(|event| (gap, event))).await;
        let finished: Vec<&Piece> = all.iter().filter(|piece| !piece.open).collect();
        assert_eq!(finished.iter().map(|piece| piece.block).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(finished.iter().all(|piece| piece.html == format!("<p>{}end.</p>\n", "word ".repeat(49))));
        let open = all.len() - finished.len();
        assert!((10..=25).contains(&open), "{open} in a second");
        assert!(all.iter().rposition(|piece| piece.open) < all.iter().rposition(|piece| !piece.open));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_in_a_second_has_a_bound_however_long_a_piece_is() {
        let line = token(&format!("{}\n", "x".repeat(63)));
        let events = [sources(Some("m")), token("```\n")].into_iter().chain(std::iter::repeat_n(line, 1500));
        let since = Instant::now();
        let all = sent(events.map(|event| (Duration::from_millis(4), event))).await;
        let bytes: usize = all.iter().map(|piece| piece.html.len()).sum();
        let seconds = since.elapsed().as_secs_f64();
        assert!(all.last().unwrap().html.len() > 90_000);
        assert!((bytes as f64) < 100_000.0 + 90_000.0 * seconds, "{bytes} bytes in {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn another_model_begins_anew_and_passages_are_not_rendered() {
        let fallback = AnswerEvent::Fallback {
            from: "a".into(),
            to: "b".into(),
            kind: crate::providers::ErrorKind::Timeout,
            reason: String::new(),
            interrupted: true,
        };
        let events = [sources(Some("a")), token("one\n\ntwo\n\nth"), fallback, token("other")];
        let all = sent(events.map(|event| (Duration::ZERO, event))).await;
        assert_eq!(all.last().unwrap(), &Piece { block: 0, html: "<p>other</p>\n".into(), open: false });
        let events = [sources(None), token("a passage\n\n"), token("another")];
        assert!(sent(events.map(|event| (Duration::from_millis(60), event))).await.is_empty());
    }
}
