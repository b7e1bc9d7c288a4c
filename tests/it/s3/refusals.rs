//! What a server does that moto never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ragstream::source::{FetchError, Item, S3, Source as _, Version};

use super::{KEY, SECRET, bytes, listed, plan};
use crate::stand_in::{Reply, StandIn};

fn xml(text: impl Into<String>) -> Reply {
    Reply::raw(200, "application/xml", text.into())
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    Reply::raw(
        status,
        "application/xml",
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    )
}

/// A page with these keys, each of three bytes.
fn page(keys: &[&str], next: Option<&str>) -> Reply {
    let one = |key: &&str| format!("<Contents><Key>{key}</Key><ETag>\"1\"</ETag><Size>3</Size></Contents>");
    let objects: String = keys.iter().map(one).collect();
    let more = next.map_or_else(String::new, |next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    xml(format!("<ListBucketResult><IsTruncated>{}</IsTruncated>{objects}{more}</ListBucketResult>", next.is_some()))
}

fn item(key: &str) -> Item {
    let mut item = Item::new(format!("s3://docs/{key}"), Version::new("1"));
    (item.size, item.key) = (Some(3), b"\"1\"".to_vec());
    item
}

/// A server that always gives this list.
async fn server(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (StandIn, S3) {
    let api = StandIn::start().await;
    let count = AtomicUsize::new(0);
    api.always("/docs/", move |_| reply(count.fetch_add(1, Ordering::SeqCst)));
    let mut plan = plan(api.url(), "docs");
    plan.timeout = Duration::from_secs(1);
    (api, S3::new(plan))
}

#[tokio::test]
async fn a_refusal_is_one_clear_error_and_nothing_is_taken_for_gone() {
    for (reply, parts) in [
        (refused(403, "InvalidAccessKeyId", "no"), vec!["does not know the access key", "AWS_ACCESS_KEY_ID"]),
        (refused(403, "SignatureDoesNotMatch", "no"), vec!["secret key"]),
        (refused(403, "AccessDenied", "Access Denied"), vec!["bucket `docs`", "s3:ListBucket"]),
        (refused(403, "RequestTimeTooSkewed", "no").header("date", "Sat, 01 Jan 2000 00:00:00 GMT"), vec!["minutes ahead of"]),
        (refused(404, "NoSuchBucket", "no"), vec!["no bucket `docs` at 127.0.0.1:"]),
        (refused(301, "PermanentRedirect", "no").header("x-amz-bucket-region", "cn-north-1"), vec!["set `region: cn-north-1`"]),
        (Reply::raw(307, "", "").header("location", "http://127.0.0.1:9/"), vec!["is not served by"]),
        (refused(400, "Odd", &format!("for {KEY} and {SECRET}")), vec!["400 Odd for *** and ***"]),
        (Reply::raw(200, "text/html", "<html><body>Welcome</body></html>"), vec!["does not answer as S3 does"]),
        (xml("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), vec!["more is promised"]),
    ] {
        let (api, source) = server(move |_| reply.clone()).await;
        let told = listed(&source).await;
        assert!(told.complete && told.items.is_empty(), "{told:?}");
        let [(prefix, error)] = told.unreadable.as_slice() else { panic!("{told:?}") };
        assert_eq!(prefix, "s3://docs/");
        for part in parts {
            assert!(error.contains(part), "`{part}` in: {error}");
        }
        assert!(!error.contains(SECRET) && !error.contains(KEY) && !error.contains("X-Amz"), "{error}");
        assert_eq!(api.requests().len(), 1, "what stays is not tried again");
    }
}

#[tokio::test]
async fn the_metadata_of_no_cloud_is_asked_and_a_request_is_signed_for_its_state() {
    let (api, source) = server(|_| page(&["a.md"], None)).await;
    api.always("/docs/a.md", |_| Reply::raw(200, "text/markdown", "abc").header("etag", "\"1\""));
    let told = listed(&source).await;
    assert_eq!(bytes(&source.fetch(&told.items).await[0]), b"abc");
    let requests = api.requests();
    for request in &requests {
        assert_eq!(request.method, "GET");
        assert!(request.path.contains("X-Amz-Signature=") && !request.path.contains(SECRET), "{}", request.path);
        assert!(!request.headers.contains_key("authorization"));
    }
    assert_eq!(requests[1].headers["if-match"], "\"1\"");
    let mut public = plan(api.url(), "docs");
    public.login = None;
    assert_eq!(listed(&S3::new(public)).await.items.len(), 1);
    assert!(!api.requests().last().unwrap().path.contains("X-Amz"));
}

#[tokio::test]
async fn a_list_that_is_cut_in_the_middle_keeps_what_it_had() {
    let whole = "<ListBucketResult><Contents><Key>b.md</Key></Contents></ListBucketResult>";
    for broken in
        [xml(whole).cut(40), xml(&whole[..40]), refused(503, "SlowDown", "later"), xml(whole).stall(40), Reply::hang()]
    {
        let broken = Arc::new(broken);
        let (api, source) = server(move |n| if n == 0 { page(&["a.md"], Some("t")) } else { (*broken).clone() }).await;
        let told = listed(&source).await;
        assert_eq!((told.items.len(), told.unreadable.len(), told.complete), (1, 1, true), "{told:?}");
        assert_eq!(told.unreadable[0].0, "s3://docs/");
        assert_eq!(api.requests().len(), 5, "tried four times");
    }
    // An outage that ends is none.
    let (_api, source) = server(|n| match n {
        0 => page(&["a.md"], Some("t")),
        1 | 2 => refused(500, "InternalError", "later"),
        _ => page(&["b.md"], None),
    })
    .await;
    let told = listed(&source).await;
    assert!(told.items.len() == 2 && told.unreadable.is_empty(), "{told:?}");
}

#[tokio::test]
async fn a_list_without_an_end_ends() {
    for endless in [page(&["a.md"], Some("t")), page(&[], Some("t"))] {
        let (api, source) = server(move |_| endless.clone()).await;
        let told = listed(&source).await;
        assert!(told.unreadable[0].1.contains("does not go on"), "{told:?}");
        assert!(api.requests().len() < 4);
    }
    let (api, source) = server(|n| page(&[], Some(&n.to_string()))).await;
    assert!(listed(&source).await.unreadable[0].1.contains("does not go on"));
    assert!(api.requests().len() < 300);
    let (api, source) = server(|_| page(&["other/a.md"], None)).await;
    drop(source);
    let strange = S3::new(plan(api.url(), "docs").below("docs"));
    assert!(listed(&strange).await.unreadable[0].1.contains("not asked for"));
}

#[tokio::test]
async fn a_body_is_whole_or_none() {
    let (api, source) = server(|_| page(&[], None)).await;
    let at = |reply: fn() -> Reply| api.always("/docs/a.md", move |_| reply());
    let fetch = || async { source.fetch(&[item("a.md")]).await.remove(0) };
    let failed = |fetched: Result<_, FetchError>, part: &str| match fetched {
        // A busy machine may be too slow for all of it before it is silent for long.
        Err(FetchError::Failed(error)) => {
            let said = error.to_string();
            assert!(said.contains(part) || part.contains("within") && said.contains("too slow"), "{error}");
        }
        other => panic!("{part}: {other:?}"),
    };
    at(|| Reply::raw(200, "", "abc").header("etag", "\"1\"").cut(2));
    failed(fetch().await, "broke off");
    at(|| Reply::raw(200, "", "ab").header("etag", "\"1\""));
    failed(fetch().await, "another length");
    at(|| Reply::raw(200, "", "abc").header("etag", "\"1\"").stall(2));
    failed(fetch().await, "does not answer within");
    at(Reply::hang);
    failed(fetch().await, "does not answer within");
    at(|| Reply::raw(200, "", "abc").header("etag", "\"1\"").header("content-encoding", "br"));
    failed(fetch().await, "br");
    at(|| refused(403, "AccessDenied", "no"));
    failed(fetch().await, "s3:GetObject");
    at(|| refused(403, "InvalidObjectState", "no"));
    failed(fetch().await, "archived");
    at(|| refused(404, "NoSuchKey", "no"));
    assert!(matches!(fetch().await, Err(FetchError::Gone)));
    // A server that takes no notice of `If-Match`: what came is not what was listed.
    at(|| Reply::raw(200, "", "abcdef").header("etag", "\"2\""));
    let fetched = fetch().await;
    assert_eq!(bytes(&fetched), b"abcdef");
    assert!(!fetched.unwrap().version.proves(&item("a.md").version));
    // More than may be, announced and not.
    let mut small = plan(api.url(), "docs");
    small.max_bytes = 4;
    assert!(matches!(S3::new(small).fetch(&[item("a.md")]).await[0], Err(FetchError::Skipped(_))));
}

#[tokio::test]
async fn several_are_fetched_at_once_in_order_and_none_after_it_is_dropped() {
    let (api, source) = server(|_| page(&[], None)).await;
    let items: Vec<Item> = (0..40).map(|n| item(&format!("{n}.md"))).collect();
    for n in 0..40 {
        let body = format!("{n:03}");
        api.always(&format!("/docs/{n}.md"), move |_| {
            Reply::raw(200, "", body.clone()).header("etag", "\"1\"").after(Duration::from_millis(20))
        });
    }
    let fetched = source.fetch(&items).await;
    for (n, fetched) in fetched.iter().enumerate() {
        assert_eq!(bytes(fetched), format!("{n:03}").into_bytes());
    }
    assert!((4..=16).contains(&api.most_in_flight()), "{}", api.most_in_flight());
    for n in 0..40 {
        api.always(&format!("/docs/{n}.md"), |_| Reply::hang());
    }
    let before = api.requests().len();
    assert!(tokio::time::timeout(Duration::from_millis(200), source.fetch(&items)).await.is_err());
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(api.requests().len() <= before + 16 && api.in_flight() == 0, "{}", api.in_flight());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let mut plan = plan("http://127.0.0.1:1", "docs");
    plan.timeout = Duration::from_secs(1);
    let told = listed(&S3::new(plan)).await;
    assert!(told.unreadable[0].1.contains("127.0.0.1:1 cannot be reached"), "{told:?}");
    assert!(told.unreadable[0].1.contains("`endpoint`") && !told.unreadable[0].1.contains("X-Amz"), "{told:?}");
}
