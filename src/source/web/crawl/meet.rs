//! Meets a host: asks what it lets us do, how fast, and whether it is there at all.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::super::SourceError;
use super::super::access::Access;
use super::super::client::Ask;
use super::super::llms;
use super::super::pace::MAX_DELAY;
use super::super::request::{ACCEPT, Cause, request};
use super::super::robots::Robots;
use super::super::variant::{Variants, markdown};
use super::Crawl;
use super::arrive::unread;
use super::ended::Ended;
use super::host::Host;
use crate::parse::page;

/// Pages in a row that a host could not give, before it counts as being away.
const FAILURES: u32 = 10;
/// The same, where no connection came about.
const UNREACHABLE: u32 = 3;

impl Crawl {
    /// The host of an address; asked for its robots.txt when it is met first.
    pub(super) async fn host(&mut self, url: &Url) -> Result<&mut Host, Ended> {
        let name = url.origin().ascii_serialization();
        let now = SystemTime::now();
        // A crawl may take longer than a robots.txt is good for.
        let is_stale = |host: &Host| host.dead.is_none() && host.robots.is_known() && !host.robots.is_fresh(now);
        if self.hosts.get(&name).is_none_or(is_stale) {
            let before = self.hosts.remove(&name);
            let met = self.meet(url, &name).await?;
            let host = match before {
                Some(before) => Host { access: met.access, robots: met.robots, dead: met.dead, ..before },
                None => met,
            };
            let dead = host.dead.clone();
            self.hosts.insert(name.clone(), host);
            if let Some(why) = dead {
                self.away(&name, why).await?;
            }
        }
        #[expect(clippy::expect_used, reason = "it was put there above")]
        Ok(self.hosts.get_mut(&name).expect("a host that was met"))
    }

    async fn meet(&mut self, url: &Url, name: &str) -> Result<Host, Ended> {
        let pace = self.shared.pace(url).await;
        // An interrupted crawl does not ask for it again.
        let robots = self.shared.robots(url, &pace, Some(self.site.crawl)).await?;
        let access = robots.access(&self.shared.agent);
        let mut host = Host {
            pace,
            flying: 0,
            failures: 0,
            dead: None,
            given_up: CancellationToken::new(),
            not_found: None,
            probed: false,
            variants: Variants::default(),
            llms: Vec::new(),
            access,
            robots,
        };
        match &host.access {
            Access::Nothing { why } => host.dead = Some(why.clone()),
            Access::Rules(robots) => {
                let asked = robots.delay().filter(|asked| *asked > host.pace.delay());
                if let Some(asked) = asked {
                    host.pace.keep_to(asked);
                    let most = if asked > MAX_DELAY { format!("; it gets {}", seconds(MAX_DELAY)) } else { String::new() };
                    self.tell(format!("{name}: its robots.txt asks for {} between two requests{most}", seconds(asked))).await?;
                }
                if robots.signal().ai_input == Some(false) {
                    let said =
                        "its robots.txt asks that its pages are not given to AI (Content-Signal: ai-input=no): none is read";
                    self.tell(format!("{name}: {said}")).await?;
                    host.access = Access::Rules(Robots::of_text("User-agent: *\nDisallow: /", &self.shared.agent));
                }
            }
            Access::Everything => {}
        }
        Ok(host)
    }

    /// Asks a host, once, for a page that it cannot have, for Markdown, and for its llms.txt. Called where it has given a page.
    pub(super) async fn probe(&mut self, url: &Url) -> Result<(), Ended> {
        let client = self.shared.client().await?;
        let host = self.host(url).await?;
        if host.probed {
            return Ok(());
        }
        host.probed = true;
        let (pace, access) = (Arc::clone(&host.pace), host.access.clone());
        let at = |path: &str| url.join(path).ok().filter(|url| access.allows(url));
        let nowhere = format!("ragstream-{:016x}", rand::random::<u64>());
        let mut not_found = None;
        if let Some(nowhere) = at(&nowhere)
            && let Ok(answer) = request(&client, &pace, &nowhere, &Ask { accept: ACCEPT, ..Ask::default() }).await
            && answer.status == 200
            && let Ok(scan) = page::scan(&answer.body, answer.content_type.as_deref(), &nowhere)
        {
            not_found = Some(scan.blocks);
        }
        let mut variants = Variants::default();
        let mut llms = Vec::new();
        // A server that has no Markdown says "not modified" of the page that is known, and sends none of it again.
        let etags = self.shared.frontier.page(url).await?.and_then(|record| record.etag).into_iter().collect();
        let ask = Ask { accept: "text/markdown, text/html;q=0.5", etags, ..Ask::default() };
        if let Ok(answer) = request(&client, &pace, url, &ask).await {
            let said = answer.content_type.as_deref().is_some_and(|kind| kind.trim_start().starts_with("text/markdown"));
            variants.negotiated =
                said && answer.status == 200 && markdown(answer.content_type.as_deref(), answer.body).is_some();
        }
        let ask = Ask { accept: "text/markdown, text/plain", ..Ask::default() };
        if let Some(place) = at("/llms.txt")
            && let Ok(answer) = request(&client, &pace, &place, &ask).await
            && answer.status == 200
            && let Some(text) = markdown(answer.content_type.as_deref(), answer.body)
        {
            llms = llms::links(&text, &place);
            variants.listed = Arc::new(llms.iter().cloned().collect());
        }
        let host = self.host(url).await?;
        host.not_found = not_found;
        host.variants = variants;
        host.llms = llms;
        Ok(())
    }

    /// Notes that a host could not give a page. After several in a row nothing more is asked of it in this run.
    pub(super) async fn failed(&mut self, url: &Url, why: &str, cause: Cause, is_seed: bool) -> Result<(), Ended> {
        let host = self.host(url).await?;
        host.failures += 1;
        let enough = match cause {
            Cause::Unreachable if is_seed => 1,
            Cause::Unreachable => UNREACHABLE,
            Cause::Busy | Cause::Refused => FAILURES,
        };
        if (host.failures < enough && !host.pace.is_hopeless()) || host.dead.is_some() {
            return Ok(());
        }
        let several =
            if host.failures > 1 { format!("{} pages in a row could not be had, ", host.failures) } else { String::new() };
        let why = format!("{why}; {several}no more are asked for in this run");
        host.dead = Some(why.clone());
        host.given_up.cancel();
        self.away(&url.origin().ascii_serialization(), why).await
    }

    /// Says that a host is away: nothing of it may be taken for gone.
    async fn away(&mut self, name: &str, why: String) -> Result<(), Ended> {
        let of = |url: &Url| url.origin().ascii_serialization() == name;
        let mut prefixes: Vec<(String, bool)> = Vec::new();
        for (seed, scope) in &self.site.scopes {
            if of(scope.url()) || of(seed) {
                prefixes.push((scope.prefix().to_owned(), true));
            }
        }
        for seed in self.shared.plan.urls.iter().filter(|seed| of(seed)) {
            if !self.is_known(seed) {
                prefixes.push((seed.to_string(), false));
            }
        }
        if prefixes.is_empty() {
            prefixes.push((format!("{name}/"), true));
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        for (prefix, known) in prefixes {
            let error = SourceError::new(format!("{why}. Nothing of it was removed"));
            self.say(unread(prefix, error, known)).await?;
        }
        Ok(())
    }
}

/// As people say it: "10 s", "1.5 s".
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}
