//! What robots.txt says of a host, by how it is answered (RFC 9309, 2.3.1): kept for a day, so that no run asks twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use url::Url;

use super::client::{Answer, Ask, Client, ClientError};
use super::robots::{self, Robots};

/// Redirects that are followed, across hosts as well.
const MAX_REDIRECTS: usize = 5;

/// A copy is used so long at most, and if the server says no less.
const MAX_AGE: Duration = Duration::from_hours(24);

/// A shorter time is not worth a request.
const MIN_AGE: Duration = Duration::from_mins(5);

/// What a host lets us fetch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Access {
    /// What these rules allow.
    Rules(Robots),
    /// All of it: there is no such file.
    Everything,
    /// None of it, for now, and nothing of it may be taken for gone.
    Nothing {
        /// In words that go after "because".
        why: String,
    },
}

impl Access {
    /// Whether a page may be fetched and given to a model.
    pub(super) fn may_be_read(&self, page: &Url) -> bool {
        let kept_from_ai = matches!(self, Self::Rules(robots) if robots.signal().ai_input == Some(false));
        self.allows(page) && !kept_from_ai
    }

    /// Whether a page may be fetched.
    pub(super) fn allows(&self, page: &Url) -> bool {
        match self {
            Self::Rules(robots) => robots.allows(page),
            Self::Everything => true,
            Self::Nothing { .. } => false,
        }
    }
}

/// How a host answered for its robots.txt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RobotsFile {
    answer: FileAnswer,
    /// Where it was in the end. The rules are those of the host that was asked first.
    pub(super) found_at: Url,
    /// Seconds since 1970.
    at: u64,
    /// Seconds for which it may be kept.
    keep: u64,
    /// The pause that was asked for.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum FileAnswer {
    /// Its text.
    Rules(String),
    Everything,
    Nothing(String),
}

impl RobotsFile {
    /// What it says to this product token.
    pub(super) fn access(&self, agent: &str) -> Access {
        match &self.answer {
            FileAnswer::Rules(text) => Access::Rules(Robots::of_text(text, agent)),
            FileAnswer::Everything => Access::Everything,
            FileAnswer::Nothing(why) => Access::Nothing { why: why.clone() },
        }
    }

    /// Whether the host said something: if not, an older copy of the same host still holds while it [`is fresh`](Self::is_fresh).
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.answer, FileAnswer::Nothing(_))
    }

    /// Whether it need not be asked for again.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let age = seconds_since_1970(now).checked_sub(self.at);
        // A copy from the future is of a clock that was wrong.
        self.is_known() && age.is_some_and(|age| age < self.keep)
    }

    /// Whether it is no older than a day, which is as long as it may stand in for a host that fails.
    pub(super) fn is_of_today(&self, now: SystemTime) -> bool {
        self.is_known() && seconds_since_1970(now).checked_sub(self.at).is_some_and(|age| age < MAX_AGE.as_secs())
    }
}

fn seconds_since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Where the file of a host is: scheme, host and port.
pub(super) fn place(page: &Url) -> Url {
    let mut url = page.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_path("/robots.txt");
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Asks the host of a page for its robots.txt.
pub(super) async fn fetch(client: &Client, page: &Url) -> RobotsFile {
    let mut url = place(page);
    let mut answered = ask(client, &url).await;
    for _ in 0..MAX_REDIRECTS {
        let Some(next) = answered.as_ref().ok().and_then(|answer| answer.location.clone()) else { break };
        url = next;
        answered = ask(client, &url).await;
    }
    let (answer, keep, retry_after) = match answered {
        Ok(answer) => {
            let keep = answer.max_age.unwrap_or(MAX_AGE).clamp(MIN_AGE, MAX_AGE);
            (read(&answer), keep, answer.retry_after)
        }
        // A redirect to nowhere is no file.
        Err(ClientError::Elsewhere(_)) => (FileAnswer::Everything, MAX_AGE, None),
        Err(error) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            (FileAnswer::Nothing(format!("its robots.txt cannot be fetched: {error}{hint}")), MIN_AGE, None)
        }
    };
    RobotsFile { answer, found_at: url, at: seconds_since_1970(SystemTime::now()), keep: keep.as_secs(), retry_after }
}

async fn ask(client: &Client, url: &Url) -> Result<Answer, ClientError> {
    let asked = Ask { accept: "text/plain, */*;q=0.5", enough: Some(robots::MAX_BYTES), ..Ask::default() };
    client.get(url, &asked).await
}

fn read(answer: &Answer) -> FileAnswer {
    match answer.status {
        200..300 => FileAnswer::Rules(robots::decoded(&answer.body)),
        // Google counts "come back later" among the server's failures; the RFC, among the files that are not there.
        429 => FileAnswer::Nothing("its robots.txt is refused for now (429, too many requests)".to_owned()),
        // 401 and 403 as well. And a redirect too many, or one that says not where to.
        300..500 => FileAnswer::Everything,
        status => FileAnswer::Nothing(format!("its robots.txt is answered with {status}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::super::address::Guard;
    use super::super::client::ClientPlan;
    use super::super::stand_in::{Piece, StandIn, answer, closed};
    use super::*;

    fn client() -> Client {
        let patience = Duration::from_secs(20);
        Client::new(ClientPlan {
            user_agent: "ragstream".to_owned(),
            headers: Vec::new(),
            origins: Vec::new(),
            guard: Guard::of(&["http://127.0.0.1/".parse().unwrap()]),
            max_bytes: 1000,
            timeout: patience,
            body_timeout: patience,
            logins: Vec::new(),
        })
        .unwrap()
    }

    async fn fetched(url: &Url) -> RobotsFile {
        fetch(&client(), url).await
    }

    fn nothing(access: Access) -> String {
        match access {
            Access::Nothing { why } => why,
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_status_decides() {
        let rules = "User-agent: *\nDisallow: /private\n";
        let asked = async |status: &str| {
            let server = StandIn::same(answer(status, &["Retry-After: 9"], rules)).await;
            let file = fetched(&server.at("docs/a?b")).await;
            assert!(server.last().starts_with("GET /robots.txt HTTP"), "{}", server.last());
            (file.access("ragstream"), file)
        };
        let (access, file) = asked("200 OK").await;
        let Access::Rules(found) = access else { unreachable!("{access:?}") };
        assert!(!found.allows(&"http://a/private/b".parse().unwrap()) && found.allows(&"http://a/".parse().unwrap()));
        assert!(file.is_fresh(SystemTime::now()) && !file.is_fresh(SystemTime::now() + Duration::from_hours(25)));
        for status in ["404 Not Found", "401 Unauthorized", "403 Forbidden", "410 Gone", "304 Not Modified"] {
            assert_eq!(asked(status).await.0, Access::Everything, "{status}");
        }
        for status in ["500 Oops", "503 Later", "599 Odd", "429 Slow"] {
            let (access, file) = asked(status).await;
            assert!(nothing(access).contains(status.split(' ').next().unwrap()));
            assert_eq!(file.retry_after, Some(Duration::from_secs(9)));
            assert!(!file.is_known() && !file.is_fresh(SystemTime::now()));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_reached_lets_nothing_be_fetched() {
        let gone = closed();
        assert_eq!(
            nothing(fetched(&gone).await.access("ragstream")),
            format!("its robots.txt cannot be fetched: cannot connect to 127.0.0.1:{}", gone.port().unwrap())
        );
        let unknown = fetched(&"http://nowhere.invalid/".parse().unwrap()).await.access("ragstream");
        let unknown = nothing(unknown);
        assert!(unknown.starts_with("its robots.txt cannot be fetched: no such host: nowhere.invalid ("), "{unknown}");
        let cut = StandIn::same("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nUser-agent: *").await;
        assert!(nothing(fetched(&cut.url).await.access("ragstream")).contains("the connection ended"));
    }

    #[tokio::test]
    async fn redirects_lead_across_hosts_and_hold_for_the_first() {
        let rules =
            StandIn::same(answer("200 OK", &["Cache-Control: max-age=600"], "User-agent: ragstream\nDisallow: /")).await;
        let to = rules.at("elsewhere.txt");
        let chain = |hops: usize| {
            let to = to.clone();
            StandIn::new(move |head| {
                let at: usize = head.split("hop=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
                let next = if at + 1 < hops { format!("/r?hop={}", at + 1) } else { to.to_string() };
                vec![Piece::Bytes(answer("301 Moved", &[&format!("Location: {next}")], ""))]
            })
        };
        let server = chain(5).await;
        let file = fetched(&server.url).await;
        assert_eq!(file.found_at, to);
        assert!(matches!(file.access("ragstream"), Access::Rules(rules) if !rules.allows(&server.url)));
        assert!(file.is_fresh(SystemTime::now()) && !file.is_fresh(SystemTime::now() + Duration::from_secs(601)));
        assert!(file.is_of_today(SystemTime::now() + Duration::from_secs(601)));
        assert_eq!(fetched(&chain(6).await.url).await.access("ragstream"), Access::Everything);
        // Each hop is checked.
        let inward = StandIn::same(answer("302 Found", &["Location: http://169.254.169.254/robots.txt"], "")).await;
        assert!(nothing(fetched(&inward.url).await.access("ragstream")).contains("link-local address"));
        let file = StandIn::same(answer("302 Found", &["Location: file:///etc/hostname"], "")).await;
        assert_eq!(fetched(&file.url).await.access("ragstream"), Access::Everything);
    }

    #[tokio::test]
    async fn a_copy_is_kept_as_it_was() {
        let body =
            [b"\xef\xbb\xbfUser-agent: ragstream\r".as_slice(), "Disallow: /世\r".as_bytes(), &b"#".repeat(600 << 10)].concat();
        let server = StandIn::same(answer("200 OK", &[], body)).await;
        let file = fetched(&server.url).await;
        let kept: RobotsFile = serde_json::from_str(&serde_json::to_string(&file).unwrap()).unwrap();
        assert_eq!(kept, file);
        assert!(matches!(kept.access("ragstream"), Access::Rules(rules) if !rules.allows(&server.at("世界"))));
        assert_eq!(place(&"https://u:p@a.example:8443/b/c?d#e".parse().unwrap()).as_str(), "https://a.example:8443/robots.txt");
    }
}
