//! What a site asks of crawlers: robots.txt by RFC 9309, with what Google's parser accepts beyond it, since that is what such files are
//! tested with.
//!
//! Only the groups that are for us are kept: all that name our product token, merged; those for `*` if none does. A rule is a
//! prefix of path and query in which `*` stands for anything and a `$` at the end for the end; the longest that matches holds, and an
//! `Allow` before a `Disallow` of the same length.

use std::time::Duration;

use url::Url;

use super::escapes::normal_escapes;
use super::signal::ContentSignal;

/// Bytes that are read: RFC 9309 asks for no fewer.
pub(super) const MAX_BYTES: usize = 500 << 10;

/// Bytes of a line that are read, as Google's parser does.
const MAX_LINE: usize = 2083 * 8;

/// Sitemaps of one file that are looked at.
const MAX_SITEMAPS: usize = 500;

/// What a file says to us.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Robots {
    rules: Vec<Rule>,
    delay: Option<Duration>,
    sitemaps: Vec<String>,
    signal: ContentSignal,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    allow: bool,
    /// As it is written, for whom it forbids something.
    text: String,
    pattern: Pattern,
}

impl Robots {
    /// The same, of a file that is decoded already.
    pub(super) fn of_text(text: &str, agent: &str) -> Self {
        let mut reader = Reader::new(agent);
        for line in text.split(['\n', '\r']) {
            reader.line(line);
        }
        let Reader { ours, everyones, named, sitemaps, .. } = reader;
        let group = if named { ours } else { everyones };
        Self { rules: group.rules, delay: group.delay, signal: group.signal, sitemaps }
    }

    /// Whether we may fetch this.
    pub(super) fn allows(&self, url: &Url) -> bool {
        self.forbids(url).is_none()
    }

    /// The rule that forbids this, as it is written.
    pub(super) fn forbids(&self, url: &Url) -> Option<&str> {
        // An empty query is none, as in Google's parser.
        let query = url.query().filter(|query| !query.is_empty());
        if url.path() == "/robots.txt" && query.is_none() {
            return None;
        }
        let asked = match query {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let asked = normal_escapes(&asked);
        let longest = self
            .rules
            .iter()
            .filter(|rule| rule.pattern.matches(&asked))
            .max_by_key(|rule| (rule.pattern.length, rule.allow))?;
        (!longest.allow).then_some(longest.text.as_str())
    }

    /// The time that it wants between requests: the longest that it says, since it says none for itself alone.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// The sitemaps that it names. `at`: where the file is.
    pub(super) fn sitemaps(&self, at: &Url) -> Vec<Url> {
        let found = self.sitemaps.iter().filter_map(|text| at.join(text).ok());
        found.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).collect()
    }

    /// What it says may be done with what is fetched.
    pub(super) fn signal(&self) -> ContentSignal {
        self.signal
    }
}

/// The text of a file: UTF-8, or what its byte order mark says; cut at the end of a line.
pub(super) fn decoded(bytes: &[u8]) -> String {
    let cut = bytes.get(..MAX_BYTES).map_or(bytes, |cut| {
        let end = cut.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        end.and_then(|end| cut.get(..end)).unwrap_or(cut)
    });
    let encoding = encoding_rs::Encoding::for_bom(cut).map_or(encoding_rs::UTF_8, |(encoding, _)| encoding);
    encoding.decode_with_bom_removal(cut).0.into_owned()
}

/// What one agent is told.
#[derive(Debug, Default)]
struct Group {
    rules: Vec<Rule>,
    delay: Option<Duration>,
    signal: ContentSignal,
}

/// Whom the lines that come are for.
#[derive(Debug, Clone, Copy, Default)]
struct Heads {
    us: bool,
    everyone: bool,
    /// Something was said to them: the next `User-agent` begins another group.
    closed: bool,
}

struct Reader<'a> {
    agent: &'a str,
    /// Of rules, and of what RFC 9309 does not know. That does not close a group by the RFC; but who writes `Crawl-delay: 60` for
    /// one crawler, and below it a group for another, does not mean the other's.
    heads: Heads,
    other_heads: Heads,
    ours: Group,
    everyones: Group,
    /// Whether anybody was named yet.
    begun: bool,
    /// Whether we were ever named.
    named: bool,
    sitemaps: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(agent: &'a str) -> Self {
        Self {
            agent,
            heads: Heads::default(),
            other_heads: Heads::default(),
            ours: Group::default(),
            everyones: Group::default(),
            begun: false,
            named: false,
            sitemaps: Vec::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let line = line.get(..line.floor_char_boundary(MAX_LINE)).unwrap_or(line);
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = key_and_value(line) else { return };
        match Key::of(key) {
            Some(Key::UserAgent) => self.user_agent(value),
            Some(Key::Rule { allow }) => self.rule(allow, value),
            Some(Key::Sitemap) if self.sitemaps.len() < MAX_SITEMAPS => self.sitemaps.push(value.to_owned()),
            Some(Key::CrawlDelay) => self.delay(seconds(value)),
            Some(Key::RequestRate) => self.delay(pause_of_rate(value)),
            Some(Key::ContentSignal) => {
                let signal = ContentSignal::parse(value);
                // Before any group it is said to all.
                self.tell(!self.begun, |group| group.signal = group.signal.and(signal));
            }
            Some(Key::Sitemap) | None => {}
        }
    }

    fn user_agent(&mut self, value: &str) {
        let everyone = value.strip_prefix('*').is_some_and(|rest| rest.is_empty() || rest.starts_with(is_blank));
        let token = value.find(|c: char| !(c.is_ascii_alphabetic() || matches!(c, '-' | '_'))).unwrap_or(value.len());
        let us = !everyone && value.get(..token).is_some_and(|token| token.eq_ignore_ascii_case(self.agent));
        self.begun = true;
        self.named |= us;
        for heads in [&mut self.heads, &mut self.other_heads] {
            if heads.closed {
                *heads = Heads::default();
            }
            heads.us |= us;
            heads.everyone |= everyone;
        }
    }

    fn rule(&mut self, allow: bool, value: &str) {
        // Also where neither is us: the group ends all the same.
        self.heads.closed = true;
        self.other_heads.closed = true;
        let text = || format!("{}: {value}", if allow { "Allow" } else { "Disallow" });
        let mut rules: Vec<Rule> =
            Pattern::new(value).map(|pattern| Rule { allow, text: text(), pattern }).into_iter().collect();
        // Whoever allows a folder's index allows the folder, which shows it.
        let folder =
            value.rfind('/').and_then(|slash| value.split_at_checked(slash)).filter(|(_, last)| last.starts_with("/index.htm"));
        if let Some((folder, _)) = folder.filter(|_| allow) {
            rules.extend(Pattern::new(&format!("{folder}/$")).map(|pattern| Rule { allow, text: text(), pattern }));
        }
        let groups = [(self.heads.us, &mut self.ours), (self.heads.everyone, &mut self.everyones)];
        for (_, group) in groups.into_iter().filter(|(told, _)| *told) {
            group.rules.extend(rules.iter().cloned());
        }
    }

    fn delay(&mut self, delay: Option<Duration>) {
        self.tell(false, |group| group.delay = group.delay.max(delay.filter(|delay| !delay.is_zero())));
    }

    fn tell(&mut self, all: bool, say: impl Fn(&mut Group)) {
        self.other_heads.closed = true;
        if self.other_heads.us || all {
            say(&mut self.ours);
        }
        if self.other_heads.everyone || all {
            say(&mut self.everyones);
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// The two sides of a line. The colon may be missing where there are two words.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_matches(is_blank);
    let (key, value) = line.split_once(':').or_else(|| {
        let (key, value) = line.split_once(is_blank)?;
        (!value.trim_matches(is_blank).contains(is_blank)).then_some((key, value))
    })?;
    let (key, value) = (key.trim_matches(is_blank), value.trim_matches(is_blank));
    (!key.is_empty()).then_some((key, value))
}

#[derive(Debug, Clone, Copy)]
enum Key {
    UserAgent,
    Rule { allow: bool },
    Sitemap,
    CrawlDelay,
    RequestRate,
    ContentSignal,
}

impl Key {
    /// With the misspellings that Google's parser knows, and whatever follows.
    fn of(text: &str) -> Option<Self> {
        let begins = |names: &[&str]| {
            names.iter().any(|name| text.get(..name.len()).is_some_and(|first| first.eq_ignore_ascii_case(name)))
        };
        let kinds: [(Self, &[&str]); 7] = [
            (Self::UserAgent, &["user-agent", "useragent", "user agent"]),
            (Self::Rule { allow: true }, &["allow"]),
            (Self::Rule { allow: false }, &["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"]),
            (Self::Sitemap, &["sitemap", "site-map"]),
            (Self::CrawlDelay, &["crawl-delay", "crawldelay", "crawl delay"]),
            (Self::RequestRate, &["request-rate"]),
            (Self::ContentSignal, &["content-signal"]),
        ];
        kinds.into_iter().find_map(|(kind, names)| begins(names).then_some(kind))
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let number = text.split(is_blank).next()?;
    Duration::try_from_secs_f64(number.parse().ok()?).ok()
}

/// `1/10s`: one request in ten seconds. A time of day behind it is not looked at: the clock there is not known.
fn pause_of_rate(text: &str) -> Option<Duration> {
    let (requests, time) = text.split(is_blank).next()?.split_once('/')?;
    let digits = time.find(|c: char| !c.is_ascii_digit()).unwrap_or(time.len());
    let (number, unit) = time.split_at_checked(digits)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let requests: u32 = requests.parse().ok().filter(|requests| *requests > 0)?;
    let time = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_secs(time) / requests)
}

/// A prefix of a path, with `*` for anything.
#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    /// What it begins with.
    first: String,
    /// What follows in this order, with anything between.
    parts: Vec<String>,
    /// Nothing may follow.
    to_the_end: bool,
    /// Octets: how much it says.
    length: usize,
}

impl Pattern {
    /// `None`: it says nothing.
    fn new(text: &str) -> Option<Self> {
        let normal = normal_escapes(text);
        let length = normal.len();
        let (normal, to_the_end) = normal.strip_suffix('$').map_or((&*normal, false), |shorter| (shorter, true));
        let mut parts = normal.split('*').map(str::to_owned);
        let first = parts.next()?;
        let mut parts: Vec<String> = parts.collect();
        // The last says where it ends; of the others, none at all is anything.
        let last = parts.pop();
        parts.retain(|part| !part.is_empty());
        parts.extend(last);
        (length > 0).then_some(Self { first, parts, to_the_end, length })
    }

    /// In time linear in the length of both: each part is looked for once, from where the one before it ended.
    fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix(self.first.as_str()) else { return false };
        let Some((last, between)) = self.parts.split_last() else { return !self.to_the_end || rest.is_empty() };
        for part in between {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        if self.to_the_end { rest.ends_with(last.as_str()) } else { rest.contains(last.as_str()) }
    }
}

#[cfg(test)]
mod tests;
