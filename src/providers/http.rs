//! The one HTTP layer that every provider goes through: it owns timeouts, limits, retries, sizes and redaction. A provider's
//! file only says what to send and reads what comes back.

mod apart;
mod connection;
mod hedge;
mod request;
mod response;

pub use connection::{Cost, Http};

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use self::apart::Pauses;
use self::hedge::hedged;
use self::request::Call;
use crate::limits::{self, Limiter, LimitsCache, NotKept, Permit, Reservation, Sent, SharedLimits, Waiting, tell, unheard};
use crate::providers::accounts::Accounts;
use crate::providers::peer::Peer;
use crate::providers::retry::{FailedAttempt, Tries};
use crate::providers::site::Site;
use crate::providers::{ErrorKind, ProviderError, ProviderPlan};
use crate::telemetry;

/// Attempts for an answer that makes no sense, at most. A glitch is hardly met twice, and each answer is paid for.
const READ_ATTEMPTS: u32 = 3;

/// The bytes of an answer as they come, cut anywhere.
pub type Body = BoxStream<'static, Result<Bytes, ProviderError>>;

/// A complete 2xx answer.
#[derive(Debug)]
pub struct Response {
    /// The whole body, decompressed.
    pub body: Bytes,
    /// The headers.
    pub headers: HeaderMap,
    /// The tokens that were reserved for it: [`Reservation::settle`] corrects them by the `usage` that came back.
    pub reservation: Reservation,
}

/// A 2xx answer whose body is still coming.
pub struct StreamingResponse {
    /// The body as it comes, cut anywhere. Each next piece comes within the provider's `timeout`, or is an error. After an
    /// error it ends. Dropping it cancels the request upstream and frees its place among the requests in flight.
    pub body: Body,
    /// The headers (`content-type` tells SSE from a plain JSON answer).
    pub headers: HeaderMap,
    /// The tokens that were reserved for it, as in [`Response::reservation`].
    pub reservation: Reservation,
}

impl Http {
    /// A connection as planned, to a vendor at `site`, whose server is known by `identity`. Fails with [`ErrorKind::Auth`] when
    /// a vendor that needs a key has none, and with [`ErrorKind::Network`] when TLS cannot be set up.
    pub(super) fn new(plan: &ProviderPlan, site: &'static Site, identity: Option<String>) -> Result<Self, ProviderError> {
        let peer = Peer::new(plan, site);
        peer.check_key()?;
        let client = request::client(plan, &peer)?;
        let headers = request::headers(plan, site.auth, &peer)?;
        Ok(Self {
            client,
            base_url: plan.base_url.clone(),
            identity,
            headers,
            timeout: plan.timeout,
            retry: plan.retry,
            limiter: Limiter::new(plan.limits),
            peer: Arc::new(peer),
            told: telemetry::Provider {
                name: plan.kind.conventional_name(),
                address: plan.base_url.host_str().unwrap_or_default().to_owned(),
                port: plan.base_url.port_or_known_default().unwrap_or_default(),
            },
            answered: AtomicBool::new(false),
            works_on: AtomicBool::new(false),
            cache: None,
            pauses: Pauses::default(),
        })
    }

    /// Begins with what earlier runs have learned of the limits, and keeps what this one learns.
    pub(super) fn remembering(mut self, folder: &Path, key: &str) -> Self {
        let cache = LimitsCache::new(folder, self.provider(), self.base_url.as_str(), key);
        let learned = cache.load();
        self.limiter = Limiter::with_learned(self.limiter.declared(), learned);
        self.cache = Some((cache, Mutex::new(learned)));
        self
    }

    /// Shares its quota with other workers, where nobody has found out more than an earlier run here.
    pub(super) fn sharing(mut self, shared: &dyn SharedLimits, key: &str) -> Self {
        let name = self.provider();
        let quota = shared.quota(name, &limits::fingerprint(name, self.base_url.as_str(), key));
        let learned = self.cache.as_ref().map(|(_, kept)| *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let learned = learned.unwrap_or_default();
        self.limiter = Limiter::sharing(self.limiter.declared(), learned, quota);
        self
    }

    /// Shares the quota of its account with others in this process.
    pub(super) fn of_account(mut self, accounts: &Accounts, key: &str) -> Self {
        self.limiter = accounts.limiter(self.base_url.as_str(), key, &self.limiter);
        self
    }

    /// POSTs JSON and returns the whole body (of at most 128 MiB) of a 2xx answer.
    ///
    /// `path` is put after the base URL's own and may carry a query; names in `headers` are lower case. Waits for the
    /// provider's limits, keeps to its timeout, and tries again as planned; an `error` object behind HTTP 200 is the error that
    /// it says.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
    ) -> Result<Response, ProviderError> {
        self.post_and_read(path, headers, body, cost, |answer| std::future::ready(Ok(answer))).await
    }

    /// The same as [`Self::post`], and `read` makes something of the answer. One that it finds wrong, and says how, is asked
    /// for again, a few times at most, and is then an [`ErrorKind::BadAnswer`].
    pub async fn post_and_read<T, F: Future<Output = Result<T, String>>>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
        read: impl Fn(Response) -> F,
    ) -> Result<T, ProviderError> {
        self.post_and_read_within(self.retry.attempts, path, headers, body, cost, read).await
    }

    /// The same in so many attempts at most; a refusal that asks to slow down is obeyed as often as planned.
    pub(in crate::providers) async fn post_and_read_within<T, F: Future<Output = Result<T, String>>>(
        &self,
        attempts: u32,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
        read: impl Fn(Response) -> F,
    ) -> Result<T, ProviderError> {
        let call = self.call(path, headers, body)?;
        let (call, read) = (&call, &read);
        let attempt = |permit: Permit| async move {
            self.read_once(call, permit, cost, read).await.map_err(|failure| failure.at_most(attempts))
        };
        self.retried(call, cost, attempt).await
    }

    /// The same as [`Self::post`] for what must not be in the way of others: a refusal, and the pause that it asks for, concern this
    /// endpoint alone.
    pub(in crate::providers) async fn post_apart(
        &self,
        path: &str,
        body: &Value,
        cost: Cost,
    ) -> Result<Response, ProviderError> {
        let call = Call { apart: true, ..self.call(path, &[], body)? };
        let (call, read) = (&call, &|answer| std::future::ready(Ok(answer)));
        self.retried(call, cost, |permit| self.read_once(call, permit, cost, read)).await
    }

    /// One attempt, and what `read` makes of its answer.
    async fn read_once<T, F: Future<Output = Result<T, String>>>(
        &self,
        call: &Call<'_>,
        permit: Permit,
        cost: Cost,
        read: &impl Fn(Response) -> F,
    ) -> Result<T, FailedAttempt> {
        let left = permit.sent.left;
        let whole = self.hedged(permit, cost, |permit| self.whole(call, permit, cost));
        let whole = timeout(self.timeout, whole).await;
        let answer = whole.unwrap_or_else(|_| {
            self.limiter.overloaded(left);
            Err(self.too_late(self.timeout))
        })?;
        tell(Waiting::Nothing);
        read(answer).await.map_err(|wrong| {
            self.limiter.count_wasted(cost.tokens);
            let error = self.error(ErrorKind::BadAnswer, wrong);
            FailedAttempt { error, should_retry: Some(true), at_most: Some(READ_ATTEMPTS) }
        })
    }

    /// POSTs JSON and returns what `begin` makes of the 2xx answer. Tries again as [`Self::post`] does while there is none, or
    /// while `begin` fails: what it has shown to nobody may still be had from another attempt.
    pub async fn post_stream<T, F>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
        begin: impl Fn(StreamingResponse) -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        self.post_stream_as_known(path, headers, || body.clone(), cost, begin).await
    }

    /// The same with a body that is as known when it leaves: what was learned while it waited for its turn is in it.
    pub(in crate::providers) async fn post_stream_as_known<T, F>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Fn() -> Value,
        cost: Cost,
        begin: impl Fn(StreamingResponse) -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let queued = body();
        let call = self.call(path, headers, &queued)?;
        let (queued, call, body, begin) = (&queued, &call, &body, &begin);
        let attempt = |permit: Permit| async move {
            let (sent, known) = (permit.sent, body());
            let renewed = if known == *queued { None } else { Some(self.call(path, headers, &known)?) };
            let call = renewed.as_ref().unwrap_or(call);
            self.begun(call, permit, begin).await.inspect_err(|failure| self.note(call, sent, failure))
        };
        self.retried(call, cost, attempt).await
    }

    /// Attempts until one succeeds or it is time to give up, each with leave of the limits. All keep one place in the queue.
    async fn retried<T, F: Future<Output = Result<T, FailedAttempt>>>(
        &self,
        call: &Call<'_>,
        cost: Cost,
        attempt: impl Fn(Permit) -> F,
    ) -> Result<T, ProviderError> {
        let ticket = self.limiter.ticket();
        let mut tries = Tries::new(self.retry);
        let (mut again, mut waited) = (false, Duration::ZERO);
        loop {
            let asked = Instant::now();
            if call.apart {
                self.pauses.over(call.url.path()).await;
            }
            let permit = if again {
                unheard(self.limiter.admitted(ticket, cost.tokens)).await
            } else {
                self.limiter.admitted(ticket, cost.tokens).await
            };
            let permit = permit.map_err(|error| self.unreachable(error))?;
            waited += asked.elapsed();
            telemetry::sent(waited, tries.attempts());
            tries.attempt();
            tell(if again { Waiting::Retry } else { Waiting::Wire });
            match attempt(permit).await {
                Ok(done) => return Ok(done),
                Err(failure) => {
                    tell(Waiting::Pause);
                    self.wait_or_give_up(call, &tries, failure).await?;
                }
            }
            again = true;
        }
    }

    /// The error of a quota that other workers share and that cannot be had: nothing else can be sent to this provider either.
    fn unreachable(&self, error: NotKept) -> ProviderError {
        let hint = error.source.hint();
        let told = self.error(ErrorKind::QuotaUnreachable, error.to_string()).caused_by(error.source);
        match hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    }

    async fn begun<T, F>(
        &self,
        call: &Call<'_>,
        permit: Permit,
        begin: &impl Fn(StreamingResponse) -> F,
    ) -> Result<T, FailedAttempt>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let Permit { sent, reservation, in_flight } = permit;
        let begun = async {
            let mut response = self.head(call).await?;
            let first = self.beginning(&mut response).await?;
            Ok((first, response))
        };
        let begun = timeout(self.timeout, begun).await;
        let (first, response) = match begun.unwrap_or_else(|_| Err(self.silent())) {
            Ok(begun) => begun,
            Err(failure) => return Err(failure.bill(reservation)),
        };
        self.limiter.answered(sent, None);
        let headers = response.headers().clone();
        let body = response::pieces(first, response, in_flight, self.peer.clone(), self.timeout);
        Ok(begin(StreamingResponse { body, headers, reservation }).await?)
    }

    /// GETs once, with no retries and outside of the limits. A short `within` answers "is it running?".
    pub async fn get(&self, path: &str, within: Duration) -> Result<Bytes, ProviderError> {
        let url = self.url(path);
        let whole = async {
            let request = self.client.get(url).headers(self.headers.clone());
            let response = self.accepted(request.send().await, None).await?;
            self.read(response).await
        };
        timeout(within, whole).await.unwrap_or_else(|_| Err(self.too_late(within))).map_err(|failure| failure.error)
    }

    async fn whole(&self, call: &Call<'_>, permit: Permit, cost: Cost) -> Result<Response, FailedAttempt> {
        let Permit { sent, reservation, in_flight } = permit;
        let response = match self.head(call).await {
            Ok(response) => response,
            Err(failure) => {
                self.note(call, sent, &failure);
                return Err(failure.bill(reservation));
            }
        };
        let headers = response.headers().clone();
        let body = self.read(response).await?;
        drop(in_flight);
        let refused = response::hidden_refusal(&body).map(|refusal| self.peer.refusal(Some(200), &refusal, call.model));
        if let Some(error) = refused {
            let failure = FailedAttempt::from(error);
            self.note(call, sent, &failure);
            return Err(failure.bill(reservation));
        }
        self.limiter.answered(sent, Some((sent.left.elapsed(), cost.tokens)));
        Ok(Response { body, headers, reservation })
    }

    /// Tells the limits what a failure says about them.
    fn note(&self, call: &Call<'_>, sent: Sent, failure: &FailedAttempt) {
        match (failure.error.kind, failure.error.status) {
            (ErrorKind::RateLimited, _) if call.apart => {
                self.limiter.refused_apart(sent);
                if let Some(until) = failure.error.retry_after.and_then(|asked| Instant::now().checked_add(asked)) {
                    self.pauses.pause(call.url.path(), until);
                }
            }
            _ if call.apart => {}
            (ErrorKind::RateLimited, _) => {
                let learned = self.limiter.throttled(sent, failure.error.retry_after);
                if learned {
                    self.keep_learned();
                }
            }
            (ErrorKind::Unavailable, Some(503 | 529)) => self.limiter.overloaded(sent.left),
            _ => {}
        }
    }

    /// Attempts, and sends a second copy when the first is most likely lost; not to a server that would work on both.
    async fn hedged<F: Future<Output = Result<Response, FailedAttempt>>>(
        &self,
        permit: Permit,
        cost: Cost,
        attempt: impl Fn(Permit) -> F,
    ) -> Result<Response, FailedAttempt> {
        if self.works_on.load(Ordering::Relaxed) {
            attempt(permit).await
        } else {
            hedged(&self.limiter, permit, cost, attempt).await
        }
    }

    /// Of an answer that is streamed, nothing has come.
    fn silent(&self) -> FailedAttempt {
        let late = self.too_late(self.timeout);
        let hint =
            format!("raise `timeout` of the provider `{}`: some models think for longer before they begin", self.peer.name);
        let message = format!("no answer has begun within {} s", self.timeout.as_secs_f64());
        FailedAttempt { error: ProviderError { message, ..late.error.with_hint(hint) }, ..late }
    }

    fn too_late(&self, within: Duration) -> FailedAttempt {
        let mut error = self.error(ErrorKind::Timeout, format!("no complete answer within {} s", within.as_secs_f64()));
        // What would be sent at once would wait behind what is given up, and be given up, too.
        error.retry_after = self.works_on.load(Ordering::Relaxed).then_some(within);
        error.into()
    }

    /// Waits until the request may be sent again, or returns the error to give up with.
    async fn wait_or_give_up(&self, call: &Call<'_>, tries: &Tries, failure: FailedAttempt) -> Result<(), ProviderError> {
        let kind = failure.error.kind;
        let asked = failure.error.retry_after.is_some();
        tracing::debug!(provider = %self.peer.name, kind = ?kind, status = failure.error.status, message = %failure.error.message, "attempt failed");
        let wait = tries.next(failure)?;
        self.limiter.count_retry();
        match Instant::now().checked_add(wait) {
            Some(until) if asked || kind == ErrorKind::RateLimited => {
                if call.apart {
                    self.pauses.pause(call.url.path(), until);
                } else {
                    // It concerns all who talk to this provider, and the queue waits for it.
                    self.limiter.pause_until(until);
                }
            }
            _ => tokio::time::sleep(wait).await,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::providers::ProviderKind;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_works_on_for_who_has_left_is_sent_no_second_copy() {
        for (works_on, copies) in [(false, 2), (true, 1)] {
            let plan =
                ProviderPlan { base_url: "http://localhost:1".parse().unwrap(), ..ProviderPlan::new(ProviderKind::OpenAi) };
            let http = Http::connect(&plan).unwrap();
            http.works_on.store(works_on, Ordering::Relaxed);
            let sent = AtomicUsize::new(0);
            let (http, sent) = (&http, &sent);
            let ask = async |latency| {
                let permit = http.limiter.admit(http.limiter.ticket(), 1).await;
                let attempt = |permit: Permit| async move {
                    sent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(latency).await;
                    http.limiter.answered(permit.sent, Some((permit.sent.left.elapsed(), 1)));
                    let Permit { reservation, .. } = permit;
                    Ok(Response { body: Bytes::new(), headers: HeaderMap::new(), reservation })
                };
                http.hedged(permit, Cost { tokens: 1 }, attempt).await.unwrap();
            };
            for _ in 0..60 {
                ask(Duration::from_millis(100)).await;
            }
            let before = sent.load(Ordering::Relaxed);
            ask(Duration::from_secs(50)).await;
            assert_eq!(sent.load(Ordering::Relaxed) - before, copies);
        }
    }
}
