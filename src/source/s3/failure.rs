//! Why a bucket does not give what it is asked for, and what to do.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Characters of a server's own words.
const MAX_WORDS: usize = 300;

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object.
    Gone,
    /// The object is no longer the one that was listed.
    Changed,
    /// It is larger than allowed.
    TooLarge,
    /// The same may succeed in a moment.
    Transient,
    /// It stays.
    Lasting,
}

/// Why something could not be had. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub kind: Kind,
    /// In a sentence without its point.
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// One that stays.
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: Kind::Lasting, message: message.into(), hint: None }
    }

    /// One that may be gone in a moment.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { kind: Kind::Transient, ..Self::new(message) }
    }

    /// Of this kind.
    pub fn of(kind: Kind) -> Self {
        let message = match kind {
            Kind::Gone => "the object is not there any more",
            Kind::Changed => "the object changed while it was read",
            Kind::TooLarge => "the object is larger than `max_bytes`",
            Kind::Transient | Kind::Lasting => "the object cannot be read",
        };
        Self { kind, ..Self::new(message) }
    }

    /// With what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// An answer that is none.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// S3's word for it; may be empty.
    pub code: String,
    /// The server's own words.
    pub words: String,
    /// The region that the server names.
    pub region: Option<String>,
    /// The server's clock.
    pub date: Option<SystemTime>,
}

/// Of what a refusal speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub bucket: &'a str,
    /// The server, as people say it.
    pub host: &'a str,
    pub region: &'a str,
    /// Whether an object was asked for, and not for what there is.
    pub object: bool,
    /// Whether the request was signed.
    pub signed: bool,
    /// No words of a server may hold one.
    pub secrets: &'a [&'a str],
}

impl Refusal {
    /// What it means.
    pub fn means(&self, asked: &Asked<'_>) -> Failure {
        let Asked { bucket, host, region, .. } = *asked;
        if let Some(found) = self.region.as_deref().filter(|found| *found != region && is_region(found)) {
            let message = format!("the bucket `{bucket}` lies in the region {found}, and {region} was asked");
            return Failure::new(message).hint(format!("set `region: {found}`"));
        }
        let words = self.words.to_ascii_lowercase();
        match (self.code.as_str(), self.status) {
            ("NoSuchBucket", _) => no_bucket(asked),
            ("NoSuchKey", _) => Failure::of(Kind::Gone),
            ("PreconditionFailed", _) | (_, 412) => Failure::of(Kind::Changed),
            ("RequestTimeTooSkewed" | "RequestExpired", _) => skewed(self.date, SystemTime::now()),
            ("AccessDenied", _) if words.contains("expired") => skewed(self.date, SystemTime::now()),
            ("InvalidAccessKeyId", _) => Failure::new(format!("{host} does not know the access key"))
                .hint("look at `access_key` or AWS_ACCESS_KEY_ID; keys that begin with ASIA need their `session_token`, too"),
            ("SignatureDoesNotMatch", _) => Failure::new("the secret key is not the one of the access key")
                .hint("look at `secret_key` or AWS_SECRET_ACCESS_KEY, and at blanks around it"),
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => {
                Failure::new("the session of the credentials has ended or is not theirs")
                    .hint("renew it: `eval \"$(aws configure export-credentials --format env)\"`")
            }
            ("InvalidObjectState", _) => {
                Failure::new("the object is archived, and is not read from there").hint("restore it, or `exclude` it")
            }
            (
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "AuthorizationQueryParametersError",
                _,
            )
            | (_, 300..=399) => Failure::new(format!("the bucket `{bucket}` is not served by {host}"))
                .hint("look at `region`, `endpoint` and `virtual_host`"),
            ("SlowDown" | "InternalError" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted", _)
            | (_, 408 | 429 | 500 | 502..=504) => Failure::transient(format!("{host} cannot answer now{}", self.told(asked))),
            (_, 401 | 403) => denied(asked, &self.told(asked)),
            (_, 404) if asked.object => Failure::of(Kind::Gone),
            (_, 404) => no_bucket(asked),
            _ => Failure::new(format!("{host} refuses{}", self.told(asked))),
        }
    }

    /// Status, code and words, as far as they can be shown.
    fn told(&self, asked: &Asked<'_>) -> String {
        let mut words = self.words.clone();
        for secret in asked.secrets.iter().filter(|secret| !secret.is_empty()) {
            words = words.replace(secret, "***");
        }
        let shown = |text: &str, most: usize| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
        };
        let code = shown(&self.code, 60);
        let parts = [self.status.to_string(), code, shown(words.trim(), MAX_WORDS)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!(": {}", parts.join(" "))
    }
}

/// What may be repeated of a server's word for a region.
fn is_region(text: &str) -> bool {
    (2..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn no_bucket(asked: &Asked<'_>) -> Failure {
    Failure::new(format!("there is no bucket `{}` at {}", asked.bucket, asked.host)).hint("look at `bucket` and `endpoint`")
}

fn denied(asked: &Asked<'_>, told: &str) -> Failure {
    let right = if asked.object { "s3:GetObject on its objects" } else { "s3:ListBucket on it" };
    let failure = Failure::new(format!("access to the bucket `{}` is denied{told}", asked.bucket));
    if asked.signed {
        failure.hint(format!("the access key needs {right}"))
    } else {
        failure.hint(format!("it is not public: give `access_key` and `secret_key`, or allow everyone {right}"))
    }
}

/// A signature holds for some minutes of the server's clock.
fn skewed(theirs: Option<SystemTime>, ours: SystemTime) -> Failure {
    let apart = theirs.map(|theirs| match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    });
    let message = match apart.filter(|(apart, _)| *apart > Duration::from_mins(1)) {
        Some((apart, way)) => format!("the clock of this machine is {} minutes {way} the server's", apart.as_secs() / 60),
        None => "the server takes the request for one of another time".to_owned(),
    };
    Failure::new(message).hint("set the clock: a signature holds for some minutes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> =
        Asked { bucket: "docs", host: "s3.example", region: "us-east-1", object: false, signed: true, secrets: &["s3cr3t"] };

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal { status, code: code.into(), ..Refusal::default() }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (status, code, part) in [
            (404, "NoSuchBucket", "no bucket `docs` at s3.example"),
            (404, "", "no bucket `docs` at s3.example"),
            (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            (400, "ExpiredToken", "renew it"),
            (403, "AccessDenied", "needs s3:ListBucket"),
            (403, "RequestTimeTooSkewed", "set the clock"),
            (301, "", "`region`"),
            (400, "Whatever", "400 Whatever"),
        ] {
            let failure = refusal(status, code).means(&ASKED);
            assert_eq!(failure.kind, Kind::Lasting);
            assert!(failure.to_string().contains(part), "{failure}");
        }
        let object = Asked { object: true, signed: false, ..ASKED };
        assert_eq!(refusal(404, "").means(&object).kind, Kind::Gone);
        assert_eq!(refusal(404, "NoSuchBucket").means(&object).kind, Kind::Lasting);
        assert_eq!(refusal(412, "PreconditionFailed").means(&object).kind, Kind::Changed);
        assert!(refusal(403, "AccessDenied").means(&object).to_string().contains("it is not public"));
        for (status, code) in [(503, "SlowDown"), (500, ""), (429, ""), (400, "RequestTimeout")] {
            assert_eq!(refusal(status, code).means(&object).kind, Kind::Transient);
        }
    }

    #[test]
    fn the_region_and_the_clock_are_told() {
        let elsewhere = Refusal { region: Some("eu-west-1".into()), ..refusal(301, "PermanentRedirect") };
        assert!(elsewhere.means(&ASKED).to_string().contains("set `region: eu-west-1`"));
        let evil = Refusal { region: Some("x\u{1b}[2J".into()), ..refusal(301, "PermanentRedirect") };
        assert!(!evil.means(&ASKED).to_string().contains('\u{1b}'));
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let early = skewed(Some(now + Duration::from_mins(42)), now).to_string();
        assert!(early.contains("42 minutes behind"), "{early}");
        assert!(skewed(Some(now - Duration::from_hours(2)), now).to_string().contains("120 minutes ahead of"));
    }

    #[test]
    fn a_servers_words_are_harmless() {
        let words = format!("for s3cr3t \u{1b}[31m {}", "x".repeat(5000));
        let told = Refusal { words, ..refusal(400, "Odd") }.means(&ASKED).to_string();
        assert!(told.contains("for ***") && !told.contains(char::is_control) && told.len() < 500, "{told}");
    }
}
