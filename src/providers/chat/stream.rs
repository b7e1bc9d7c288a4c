//! The life of a streamed answer: what breaks before its first piece is asked for again, silence ends it, and its end settles
//! what was reserved for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_stream::try_stream;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;
use tokio::time::timeout;

use super::model::{ChatEvent, ChatStream, Usage, estimated};
use super::thoughts::apart;
use super::wire::ChatWire;
use crate::limits::Reservation;
use crate::providers::http::{Cost, Http, StreamingResponse};
use crate::providers::{ErrorKind, ProviderError};

/// What a request is expected to come to.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    /// With the longest answer.
    pub(super) cost: Cost,
    /// Tokens of the request alone.
    pub(super) input: u64,
}

/// Asks, and returns the answer once its first piece is there. Until then what breaks is tried again, like a request that was
/// refused: servers fail under a status of 200, too. After it nothing is, as pieces that were shown cannot be taken back. `request` is
/// asked for each time that one leaves.
pub(super) async fn begin(
    http: &Arc<Http>,
    wire: &'static dyn ChatWire,
    path: &str,
    request: impl Fn() -> Value,
    expected: Expected,
    untagged: &Arc<AtomicBool>,
) -> Result<ChatStream, ProviderError> {
    let begin = |streaming: StreamingResponse| {
        let answer = settled(wire, wire.decode(http, streaming.body), expected.input, streaming.reservation);
        let answer = awaited(http, answer);
        let mut answer = apart(answer, Arc::clone(untagged));
        async move {
            let first = answer.next().await.transpose()?;
            Ok(Box::pin(stream::iter(first.map(Ok)).chain(answer)) as ChatStream)
        }
    };
    http.post_stream_as_known(path, wire.headers(), request, expected.cost, begin).await
}

/// The number of times that the provider's `timeout` may pass without a piece while comments and pings keep the connection
/// alive: a local model reads a long prompt, another thinks in silence. Without any byte, one timeout is the end of it (see
/// `http.rs`).
const SILENT_TIMEOUTS: u32 = 10;

/// An answer that is an error where it goes silent behind its pings.
fn awaited(http: &Arc<Http>, mut answer: ChatStream) -> ChatStream {
    let http = http.clone();
    let patience = http.timeout().saturating_mul(SILENT_TIMEOUTS);
    Box::pin(try_stream! {
        while let Some(event) = timeout(patience, answer.next()).await.map_err(|_| {
            http.error(ErrorKind::Timeout, format!("the server is there, but gave no word for {} s", patience.as_secs_f64()))
        })? {
            yield event?;
        }
    })
}

/// An answer, at whose end what was reserved for it is corrected by what the provider counted. Of one that is left or breaks
/// off, what was asked and what came so far is what is billed, about, and not the longest answer.
fn settled(wire: &'static dyn ChatWire, answer: ChatStream, input: u64, mut reservation: Reservation) -> ChatStream {
    reservation.bills(input);
    let mut reservation = Some(reservation);
    let mut written = 0;
    Box::pin(answer.inspect(move |event| match event {
        Ok(ChatEvent::Text(text) | ChatEvent::Reasoning(text)) => {
            written += text.len();
            if let Some(reservation) = &mut reservation {
                reservation.bills(input.saturating_add(estimated(written)));
            }
        }
        Ok(ChatEvent::Done {
            usage: Usage { input_tokens: Some(input), output_tokens: Some(output), prompt_cache }, ..
        }) => {
            if let Some(mut reservation) = reservation.take() {
                let free = if wire.quota_counts_cached() { 0 } else { prompt_cache.read_tokens };
                reservation.bills(input.saturating_add(*output));
                reservation.settle_quota(input.saturating_sub(free).saturating_add(*output));
            }
        }
        _ => {}
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::super::model::{PromptCache, StopReason};
    use super::*;
    use crate::limits::{Limiter, Limits};
    use crate::providers::vendors::Vendor;
    use crate::providers::{ProviderKind, ProviderPlan};

    #[tokio::test]
    async fn what_came_from_a_cache_is_of_the_quota_where_the_vendor_counts_it_and_billed_everywhere() {
        let used = async |kind: ProviderKind| {
            let limits = Limits { tpm: Some(6000), ..Limits::default() };
            let limiter = Limiter::new(limits);
            let reservation = limiter.admit(limiter.ticket(), 5000).await.reservation;
            let prompt_cache = PromptCache { read_tokens: 900, written_tokens: 0 };
            let usage = Usage { prompt_cache, ..Usage::new(Some(1000), Some(50)) };
            let answer = stream::iter([Ok(ChatEvent::Done { stop: StopReason::End, usage })]).boxed();
            let wire = Vendor::of(kind).chat.as_ref().unwrap().wire;
            assert_eq!(settled(wire, answer, 1100, reservation).count().await, 1);
            assert_eq!(limiter.stats().tokens, 1050, "{kind:?} bills all");
            // The next one need not wait for a minute where the quota has room for it.
            let asked = tokio::time::Instant::now();
            limiter.admit(limiter.ticket(), 5800).await;
            asked.elapsed() < Duration::from_secs(5)
        };
        tokio::time::pause();
        assert!(used(ProviderKind::Anthropic).await);
        for kind in [ProviderKind::OpenAi, ProviderKind::Gemini, ProviderKind::Mistral] {
            assert!(!used(kind).await, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_left_or_breaks_off_is_billed_as_far_as_it_came() {
        let text = |words: &str| Ok(ChatEvent::Text(words.to_owned()));
        let broken = || Err(ProviderError::new("x", ErrorKind::Network, "cut"));
        for (read, billed) in [(0, 100), (1, 102), (2, 105), (3, 105)] {
            let limiter = Limiter::new(Limits::default());
            let permit = limiter.admit(limiter.ticket(), 200_000).await;
            let wire = Vendor::of(ProviderKind::OpenAi).chat.as_ref().unwrap().wire;
            let all = [Ok(ChatEvent::Reasoning("thinks".to_owned())), text("nine byte"), broken()];
            let answer = settled(wire, stream::iter(all).boxed(), 100, permit.reservation);
            answer.take(read).count().await;
            assert_eq!(limiter.stats().tokens, billed, "{read} events were read");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pings_keep_an_answer_alive_but_not_for_ever() {
        let plan = ProviderPlan { base_url: "http://localhost:1".parse().unwrap(), ..ProviderPlan::new(ProviderKind::OpenAi) };
        let http = Arc::new(Http::connect(&plan).unwrap());
        // A word after nine minutes of pings, then pings for ever.
        let body = stream::unfold(0, |seconds| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let line = if seconds == 540 { "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" } else { ":\n\n" };
            Some((Ok(bytes::Bytes::from(line)), seconds + 1))
        });
        let mut answer = awaited(&http, super::super::decode_chat(ProviderKind::OpenAi, &http, body.boxed()).unwrap());
        assert_eq!(answer.next().await.unwrap().unwrap(), ChatEvent::Text("a".to_owned()));
        let error = answer.next().await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Timeout, "the server is there, but gave no word for 600 s")
        );
        assert!(answer.next().await.is_none());
    }
}
