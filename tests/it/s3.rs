//! Buckets: against moto, which nobody here wrote (botocore checks the signatures), and against a stand-in for what moto never does:
//! refusals, lists and bodies that are cut, objects that change between two requests.

mod ingest;
mod refusals;

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::StreamExt as _;
use ragstream::providers::Secret;
use ragstream::source::s3::{Login, REGION};
use ragstream::source::{FetchError, Fetched, Item, Listed, S3, S3Plan, SkipReason, Source as _};
use rusty_s3::actions::{CreateBucket, DeleteObject, GetObject, PutObject};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use crate::peers::Peer;

/// What no output may show.
const SECRET: &str = "s3cr3t-of-s3-0123456789";
const KEY: &str = "AKIDEXAMPLE0123";

/// One server for all tests. It ends with the tests.
fn moto() -> &'static str {
    static MOTO: OnceLock<Peer> = OnceLock::new();
    &MOTO.get_or_init(|| Peer::moto(KEY, SECRET)).url
}

/// A bucket of its own in moto.
pub struct Stored {
    bucket: Bucket,
    login: Credentials,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Stored {
    pub fn new(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bucket = Bucket::new(moto().parse().unwrap(), UrlStyle::Path, name.to_owned(), REGION).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stored = Self { bucket, login: Credentials::new(KEY, SECRET), http, runtime };
        let create = CreateBucket::new(&stored.bucket, &stored.login).sign(HOUR);
        stored.runtime.block_on(sent(stored.http.put(create).header("content-length", "0")));
        stored
    }

    pub fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.put_as(key, body, &[]);
    }

    pub fn put_as(&self, key: &str, body: impl Into<Vec<u8>>, headers: &[(&'static str, &str)]) {
        let mut request = self.http.put(PutObject::new(&self.bucket, Some(&self.login), key).sign(HOUR)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(sent(request));
    }

    /// Many at once.
    pub fn put_all(&self, keys: impl Iterator<Item = String>) {
        let one = |key: String| {
            let url = PutObject::new(&self.bucket, Some(&self.login), &key).sign(HOUR);
            sent(self.http.put(url).body(format!("The object {key} says so.")))
        };
        let all: Vec<_> = keys.map(one).collect();
        self.runtime.block_on(futures_util::stream::iter(all).buffer_unordered(16).collect::<Vec<()>>());
    }

    pub fn remove(&self, key: &str) {
        let url = DeleteObject::new(&self.bucket, Some(&self.login), key).sign(HOUR);
        self.runtime.block_on(sent(self.http.delete(url)));
    }

    /// The objects of this bucket as a source.
    pub fn plan(&self) -> S3Plan {
        plan(moto(), self.bucket.name())
    }
}

const HOUR: Duration = Duration::from_hours(1);

async fn sent(request: reqwest::RequestBuilder) {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
}

/// A bucket at a server, asked for with a login and little patience.
pub fn plan(url: &str, bucket: &str) -> S3Plan {
    let mut plan = S3Plan::new(bucket, REGION, Some(url.parse().unwrap()), None).unwrap();
    let (access_key, secret_key) = (Secret::new(KEY), Secret::new(SECRET));
    plan.login = Some(Login { access_key, secret_key, session_token: None });
    plan.timeout = Duration::from_secs(20);
    plan
}

/// What a listing said.
#[derive(Debug, Default)]
pub struct Told {
    pub items: Vec<Item>,
    pub skipped: Vec<(String, SkipReason)>,
    pub unreadable: Vec<(String, String)>,
    pub notices: Vec<String>,
    pub complete: bool,
}

pub async fn listed(source: &S3) -> Told {
    let mut told = Told::default();
    let mut steps = source.list();
    while let Some(step) = steps.next().await {
        assert!(!told.complete, "the last step is not the last: {step:?}");
        match step {
            Listed::Item(item) => told.items.push(item),
            Listed::Skipped { uri, reason } => told.skipped.push((uri, reason)),
            Listed::Unreadable { prefix, error } => told.unreadable.push((prefix, error.to_string())),
            Listed::Notice(notice) => told.notices.push(notice),
            Listed::Complete => told.complete = true,
            other => panic!("{other:?}"),
        }
    }
    told
}

pub fn bytes(fetched: &Result<Fetched, FetchError>) -> Vec<u8> {
    match fetched {
        Ok(Fetched { body: ragstream::source::Body::Bytes { bytes, .. }, .. }) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_come_back_as_they_are() {
    let stored = Stored::new("keys");
    let keys = [
        "a b+c%25.md",
        "指南/入门 1.md",
        "x//y.md",
        "/lead.md",
        "q?x#y&z=1.md",
        "ü'\"<>&.md",
        "a..b/..c.md",
        "100%/ü%2F.md",
        "tab\there.md",
        "~(a)*!.md",
    ];
    for key in keys {
        // As in a folder that ends a sentence with points: `..c.md` is hidden.
        stored.put(key, format!("This is {key}"));
    }
    let source = S3::new(stored.plan());
    let told = stored.runtime.block_on(listed(&source));
    assert!(told.complete && told.unreadable.is_empty(), "{told:?}");
    assert_eq!(told.skipped, [("s3://keys/a..b/..c.md".to_owned(), SkipReason::Hidden)]);
    let mut expected: Vec<String> =
        keys.iter().filter(|key| !key.contains("/..")).map(|key| format!("s3://keys/{key}")).collect();
    expected.sort_unstable();
    let uris: Vec<&str> = told.items.iter().map(|item| item.uri.as_str()).collect();
    assert_eq!(uris, expected, "in the order of the keys");
    let fetched = stored.runtime.block_on(source.fetch(&told.items));
    for (item, fetched) in told.items.iter().zip(&fetched) {
        let key = item.uri.strip_prefix("s3://keys/").unwrap();
        assert_eq!(String::from_utf8(bytes(fetched)).unwrap(), format!("This is {key}"));
        let fetched = fetched.as_ref().unwrap();
        assert!(fetched.version.proves(&item.version) && fetched.modified_ns.is_some());
    }
    // The version is the same in the next list, and another one with another content.
    let before = told.items[0].clone();
    stored.put(keys[0], "something else");
    let again = stored.runtime.block_on(listed(&source));
    let at = |uri: &str| again.items.iter().find(|item| item.uri == uri).unwrap().version;
    assert!(at(&told.items[1].uri).proves(&told.items[1].version));
    let changed = again.items.iter().find(|item| item.uri.ends_with(keys[0])).unwrap();
    assert!(!changed.version.proves(&told.items.iter().find(|item| item.uri == changed.uri).unwrap().version), "{before:?}");
}

#[test]
fn thousands_of_objects_come_in_pages_and_others_are_left_out() {
    let stored = Stored::new("pages");
    stored.put_all((0..2_500).map(|n| format!("docs/{n:04}.md")));
    for (key, body) in [
        ("docs-old/a.md", "x"),
        ("docs/", ""),
        ("docs/sub/", ""),
        ("docs/empty.md", ""),
        ("docs/a.zip", "x"),
        ("docs/.b/c.md", "x"),
    ] {
        stored.put(key, body);
    }
    stored.put("docs/large.md", vec![b'x'; 2_000]);
    let mut plan = stored.plan().below("docs");
    plan.max_bytes = 1_000;
    let source = S3::new(plan);
    assert_eq!(source.roots(), ["s3://pages/docs/"]);
    let mut told = stored.runtime.block_on(listed(&source));
    assert!(told.complete && told.unreadable.is_empty() && told.notices.is_empty(), "{:?}", told.unreadable);
    assert_eq!(told.items.len(), 2_500);
    assert!(told.items.is_sorted_by(|a, b| a.uri < b.uri));
    told.skipped.sort_unstable();
    let skipped = |key: &str, reason| (format!("s3://pages/docs/{key}"), reason);
    assert_eq!(
        told.skipped,
        [
            skipped("", SkipReason::Empty),
            skipped(".b/c.md", SkipReason::Hidden),
            skipped("a.zip", SkipReason::UnsupportedFormat),
            skipped("empty.md", SkipReason::Empty),
            skipped("large.md", SkipReason::TooLarge),
            skipped("sub/", SkipReason::Empty),
        ]
    );
    let nothing = stored.runtime.block_on(listed(&S3::new(stored.plan().below("nowhere"))));
    assert!(nothing.complete && nothing.items.is_empty() && nothing.notices[0].contains("s3://pages/nowhere/"), "{nothing:?}");
}

#[test]
fn a_body_is_unpacked_and_bounded_and_its_type_is_a_hint() {
    use std::io::Write as _;

    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let stored = Stored::new("bodies");
    stored.put_as("a.md", gzip(b"packed"), &[("content-encoding", "gzip")]);
    stored.put_as("b.md", gzip(&vec![b'x'; 100_000]), &[("content-encoding", "gzip")]);
    stored.put_as("c", "<p>plain", &[("content-type", "text/html; charset=gbk")]);
    stored.put_as("d.md", "# named", &[("content-type", "text/html")]);
    let mut plan = stored.plan();
    plan.max_bytes = 10_000;
    let source = S3::new(plan);
    let told = stored.runtime.block_on(listed(&source));
    let fetched = stored.runtime.block_on(source.fetch(&told.items));
    let [a, b, c, d] = fetched.as_slice() else { panic!("{told:?}") };
    assert_eq!(bytes(a), b"packed");
    assert!(matches!(b, Err(FetchError::Skipped(SkipReason::TooLarge))), "{b:?}");
    let hint = |fetched: &Result<Fetched, FetchError>| match &fetched.as_ref().unwrap().body {
        ragstream::source::Body::Bytes { hint, .. } => hint.media_type.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(hint(c).as_deref(), Some("text/html; charset=gbk"));
    assert_eq!(hint(d), None);
}

#[test]
fn an_object_that_is_gone_or_changed_since_the_list_is_told() {
    let stored = Stored::new("changes");
    stored.put("a.md", "one");
    stored.put("b.md", "two");
    let source = S3::new(stored.plan());
    let told = stored.runtime.block_on(listed(&source));
    stored.put("a.md", "another");
    stored.remove("b.md");
    let fetched = stored.runtime.block_on(source.fetch(&told.items));
    assert_eq!(bytes(&fetched[0]), b"another", "as it is now");
    assert!(!fetched[0].as_ref().unwrap().version.proves(&told.items[0].version));
    assert!(matches!(fetched[1], Err(FetchError::Gone)), "{:?}", fetched[1]);
    // What was fetched is what the next list tells of: it is not fetched again.
    let again = stored.runtime.block_on(listed(&source));
    assert!(again.items[0].version.proves(&fetched[0].as_ref().unwrap().version));
    // A key that is another's in every address is not asked for in its place.
    let strange = Item::new("s3://changes/x/../a.md", told.items[0].version);
    assert!(matches!(stored.runtime.block_on(source.fetch(&[strange]))[0], Err(FetchError::Failed(_))));
    let url = GetObject::new(&stored.bucket, Some(&stored.login), "a.md").sign(HOUR);
    assert_eq!(stored.runtime.block_on(async { stored.http.get(url).send().await.unwrap().text().await.unwrap() }), "another");
}

#[test]
fn a_wrong_login_is_refused_by_another_ones_sum() {
    let stored = Stored::new("logins");
    stored.put("a.md", "one");
    let told = |access_key: &str, secret_key: &str| {
        let (access_key, secret_key) = (Secret::new(access_key), Secret::new(secret_key));
        let mut plan = stored.plan();
        plan.login = Some(Login { access_key, secret_key, session_token: None });
        let source = S3::new(plan);
        let told = stored.runtime.block_on(listed(&source));
        assert!(told.complete && told.items.is_empty(), "{told:?}");
        let item = Item::new("s3://logins/a.md", ragstream::source::Version::UNKNOWN);
        let fetched = stored.runtime.block_on(source.fetch(&[item])).remove(0);
        assert!(matches!(fetched, Err(FetchError::Failed(_))), "{fetched:?}");
        told.unreadable[0].1.clone()
    };
    assert!(told("AKIDOTHER", SECRET).contains("does not know the access key"));
    assert!(told(KEY, "wr0ng").contains("the secret key is not the one of the access key"));
    let mut public = stored.plan();
    public.login = None;
    let told = stored.runtime.block_on(listed(&S3::new(public)));
    assert!(told.unreadable[0].1.contains("it is not public"), "{told:?}");
}
