#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use super::super::stand_in::{Piece, StandIn, answer, closed};
use super::*;

fn began_at(seed: &str) -> Guard {
    Guard::of(&[seed.parse().unwrap()])
}

fn plan() -> ClientPlan {
    ClientPlan {
        user_agent: "ragstream/0.1 (+https://example.org)".to_owned(),
        headers: Vec::new(),
        origins: Vec::new(),
        guard: began_at("http://127.0.0.1/"),
        max_bytes: 100_000,
        timeout: Duration::from_secs(20),
        body_timeout: Duration::from_secs(20),
        logins: Vec::new(),
    }
}

fn client() -> Client {
    Client::new(plan()).unwrap()
}

async fn ask(url: &Url) -> Result<Answer, ClientError> {
    client().get(url, &Ask::default()).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_tells_all_that_matters() {
    let body = gzip("<h1>Grüße, 世界</h1>".repeat(100).as_bytes());
    let headers = [
        "Content-Type: text/html; charset=utf-8",
        "Content-Encoding: gzip",
        "ETag: \"5f-x-gzip\"",
        "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT",
        "X-Robots-Tag: noindex",
        "X-Robots-Tag: googlebot: nofollow",
        "Link: </a.md>; rel=alternate",
        "Content-Signal: ai-train=no",
        "Cache-Control: public, max-age=300",
        "Retry-After: 7",
        "a bad header",
    ];
    let server = StandIn::same(answer("200 OK", &headers, &body)).await;
    let asked = Ask { accept: "text/markdown, text/html;q=0.9", ..Ask::default() };
    let got = client().get(&server.at("a?b=1#c"), &asked).await.unwrap();
    assert_eq!(got.status, 200);
    assert!(String::from_utf8(got.body).unwrap().starts_with("<h1>Grüße, 世界</h1><h1>"));
    assert_eq!(got.wire_bytes, body.len() as u64);
    assert_eq!(got.content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(got.etag.as_deref(), Some("\"5f-x-gzip\""));
    assert_eq!(got.last_modified.as_deref(), Some("Sun, 22 Nov 2026 10:00:00 GMT"));
    assert_eq!(got.x_robots_tag, ["noindex", "googlebot: nofollow"]);
    assert_eq!(got.link, ["</a.md>; rel=alternate"]);
    assert_eq!(got.content_signal.as_deref(), Some("ai-train=no"));
    assert_eq!((got.max_age.unwrap().as_secs(), got.retry_after.unwrap().as_secs()), (300, 7));
    let request = server.last().to_ascii_lowercase();
    for line in [
        "get /a?b=1 http/1.1",
        "accept: text/markdown, text/html;q=0.9",
        "user-agent: ragstream/0.1",
        "accept-encoding: gzip\r\n",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(!request.contains("cookie") && !request.contains("if-"));
}

#[test]
fn a_page_was_changed_when_its_server_says_so_and_not_when_it_only_says_now() {
    let head = |headers: &[(&'static str, &str)]| {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        head(&"http://a.example/".parse().unwrap(), StatusCode::OK, &headers).unwrap()
    };
    let now = httpdate::parse_http_date("Mon, 30 Nov 2026 09:00:00 GMT").unwrap();
    let changed = |modified: &str, others: &[(&'static str, &str)], took: u64| {
        let mut answer = head(&[&[("last-modified", modified)], others].concat());
        answer.took = Duration::from_secs(took);
        answer.changed(now)
    };
    let second = |second: i64| Some(1_796_029_200 + second);
    let made: &[_] = &[("date", "Mon, 30 Nov 2026 09:00:00 GMT")];
    assert_eq!(changed("Mon, 30 Nov 2026 08:59:50 GMT", made, 0), second(-10), "changed today");
    assert_eq!(changed("Sun, 01 Nov 2026 09:00:00 GMT", made, 60), second(-29 * 24 * 3600));
    // The server calls each answer new, and takes its time for it.
    for (modified, took) in [("09:00:00", 0), ("08:59:59", 0), ("08:59:50", 12), ("09:30:00", 0)] {
        assert_eq!(changed(&format!("Mon, 30 Nov 2026 {modified} GMT"), made, took), None, "{modified}");
    }
    // So it did when a cache asked it.
    let cached: &[_] = &[("date", "Mon, 30 Nov 2026 09:00:00 GMT"), ("age", "600")];
    assert_eq!(changed("Mon, 30 Nov 2026 08:50:00 GMT", cached, 0), None);
    assert_eq!(changed("Mon, 30 Nov 2026 08:49:50 GMT", cached, 0), second(-610));
    // Without a date of its own only what is old enough for any clock.
    assert_eq!(changed("Mon, 30 Nov 2026 08:00:00 GMT", &[], 0), None);
    assert_eq!(changed("Sat, 28 Nov 2026 09:00:00 GMT", &[], 0), second(-2 * 24 * 3600));
    assert_eq!(changed("yesterday", made, 0), None);
    assert_eq!(head(made).changed(now), None);
}

#[tokio::test]
async fn what_is_known_is_asked_for_in_the_forms_that_servers_understand() {
    let server = StandIn::same("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").await;
    let since = "Sun, 06-Nov-94 08:49:37 GMT (as it came)";
    let asked = Ask {
        etags: vec!["\"x-gzip\"".into(), "W/\"y\"".into(), "\"x\"".into()],
        modified_since: Some(since.into()),
        ..Ask::default()
    };
    let got = client().get(&server.url, &asked).await.unwrap();
    assert_eq!((got.status, got.body.len(), got.etag.as_deref()), (304, 0, Some("\"x\"")));
    let request = server.last();
    assert!(request.contains("if-none-match: \"x-gzip\", \"x\", W/\"y\"\r\n"), "{request}");
    assert!(request.contains(&format!("if-modified-since: {since}\r\n")) && request.contains("accept: */*"), "{request}");
    assert_eq!(none_match(&[]), None);
    assert_eq!(none_match(&["\"-gzip\"".into()]).unwrap(), "\"-gzip\", \"\"");
}

#[tokio::test]
async fn redirects_are_answers_and_lead_to_web_addresses_alone() {
    let target = |to: &'static str| async move {
        let server = StandIn::same(answer("302 Found", &[&format!("Location: {to}")], "moved")).await;
        let got = ask(&server.at("docs/a")).await;
        got.map(|got| got.location.unwrap().to_string().replace(server.url.as_str(), "/"))
    };
    assert_eq!(target("../b?x#y").await.unwrap(), "/b?x#y");
    assert_eq!(target("/é 世").await.unwrap(), "/%C3%A9%20%E4%B8%96");
    assert_eq!(target("//other.example/c").await.unwrap(), "http://other.example/c");
    assert_eq!(target("https://me:pw@other.example/").await.unwrap(), "https://other.example/");
    for bad in ["file:///etc/hostname", "javascript:alert(1)", "https://", "ftp://a.example/", "data:text/html,a"] {
        let error = target(bad).await.unwrap_err();
        assert!(matches!(error, ClientError::Elsewhere(_)), "{error}");
        assert_eq!(error.to_string(), format!("it redirects to {bad}, which is not a web address"));
    }
}

#[tokio::test]
async fn secrets_go_to_their_origin_alone() {
    let [own, other] = [StandIn::same(answer("200 OK", &[], "")).await, StandIn::same(answer("200 OK", &[], "")).await];
    let mut plan = plan();
    plan.headers = vec![("X-Key".into(), Secret::new("s3cret"))];
    let mut seed = own.at("a");
    seed.set_username("user").unwrap();
    seed.set_password(Some("p%40ss+wörd")).unwrap();
    let bare = without_login(&seed);
    plan.logins.extend(login_of(&seed));
    assert_eq!(bare, own.at("a"));
    plan.origins = vec![seed.origin()];
    assert!(!format!("{plan:?}").contains("s3cret"), "{plan:?}");
    let client = Client::new(plan).unwrap();
    client.get(&seed, &Ask::default()).await.unwrap();
    // user:p@ss+wörd
    assert!(own.last().contains("authorization: Basic dXNlcjpwQHNzK3fDtnJk\r\n") && own.last().contains("x-key: s3cret"));
    let mut from_a_page = other.at("b");
    from_a_page.set_username("user").unwrap();
    client.get(&from_a_page, &Ask::default()).await.unwrap();
    assert!(!other.last().contains("authorization") && !other.last().contains("x-key"), "{}", other.last());
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_must_not_be_reached_is_not_connected_to() {
    let server = StandIn::same(answer("200 OK", &[], "")).await;
    let port = server.url.port().unwrap();
    let client = Client::new(ClientPlan { guard: began_at("http://10.0.0.1/"), ..plan() }).unwrap();
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "[::1]"] {
        let error = client.get(&format!("http://{host}:{port}/").parse().unwrap(), &Ask::default()).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{host}: {error:?}");
        assert!(error.to_string().contains("is at a loopback address ("), "{error}");
        assert!(error.is_host_failure() && !error.is_transient());
    }
    assert!(server.requests().is_empty());
    let error = client.get(&"file:///etc/hostname".parse().unwrap(), &Ask::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "file:///etc/hostname is not an http or https address");
}

#[tokio::test]
async fn hosts_that_are_not_there_are_told_apart() {
    let error = ask(&"http://nowhere.invalid/".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "no such host: nowhere.invalid");
    assert!(error.is_host_failure() && error.hint().is_some());
    let gone = closed();
    let error = ask(&gone).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to 127.0.0.1:{}", gone.port().unwrap()));
    assert!(error.is_host_failure() && error.is_transient());
    let error = ask(&StandIn::same("SSH-2.0-OpenSSH_9\r\n\r\n").await.url).await.unwrap_err();
    assert_eq!(error.to_string(), "127.0.0.1 does not answer as a web server does");
    let error = ask(&StandIn::same("").await.url).await;
    assert!(matches!(error, Err(ClientError::Broken(_) | ClientError::Connect { .. })), "{error:?}");
}

#[tokio::test]
async fn time_is_bounded_to_the_first_byte_and_to_the_last() {
    let half = Duration::from_millis(500);
    let hasty = Client::new(ClientPlan { timeout: half, body_timeout: half, ..plan() }).unwrap();
    let ask = async |url: Url| hasty.get(&url, &Ask::default()).await;
    let silent = StandIn::new(|_| vec![Piece::Wait(Duration::from_secs(60))]).await;
    let error = ask(silent.url.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 0.5 s");
    assert!(!error.is_host_failure() && error.is_transient());
    let drip = || {
        let head = Piece::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec());
        let drop = |_| [Piece::Bytes(b"x".to_vec()), Piece::Wait(Duration::from_millis(50))];
        std::iter::once(head).chain((0..1000).flat_map(drop)).collect::<Vec<_>>()
    };
    let slow = StandIn::new(move |_| drip()).await;
    assert_eq!(ask(slow.url.clone()).await.unwrap_err().to_string(), "the answer was not complete within 0.5 s");
    let slow_head = StandIn::new(|_| {
        let head = b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        head.iter().flat_map(|byte| [Piece::Bytes(vec![*byte]), Piece::Wait(Duration::from_millis(30))]).collect()
    });
    let slow_head = slow_head.await;
    assert!(matches!(ask(slow_head.url.clone()).await, Err(ClientError::Timeout { .. })));
}

#[tokio::test]
async fn size_is_bounded_whatever_is_announced() {
    let too_large = |pieces: fn() -> Vec<Piece>| async move {
        let error = ask(&StandIn::new(move |_| pieces()).await.url).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer is larger than 100000 bytes");
        assert!(!error.is_host_failure() && !error.is_transient());
    };
    too_large(|| vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Piece::Forever(vec![b'x'; 9000])]).await;
    too_large(|| vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n".to_vec())]).await;
    too_large(|| {
        let zeros = gzip(&vec![0; 100_001]);
        vec![Piece::Bytes(answer("200 OK", &["Content-Encoding: gzip"], zeros))]
    })
    .await;
    too_large(|| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".to_vec();
        vec![Piece::Bytes(head), Piece::Forever(gzip(b"").repeat(100))]
    })
    .await;
    // Where the beginning is enough, the rest is no matter.
    let endless = || vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Piece::Forever(vec![b'x'; 9000])];
    let got =
        client().get(&StandIn::new(move |_| endless()).await.url, &Ask { enough: Some(500), ..Ask::default() }).await.unwrap();
    assert_eq!(got.body, [b'x'; 500]);
    // Of what is no page, the beginning is enough.
    let missing = [Piece::Bytes(b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()), Piece::Forever(vec![b'x'; 9000])];
    let missing = Arc::new(std::sync::Mutex::new(Vec::from(missing)));
    let got = ask(&StandIn::new(move |_| std::mem::take(&mut *missing.lock().unwrap())).await.url).await.unwrap();
    assert_eq!((got.status, got.body.len()), (404, MAX_REFUSAL));
}

#[tokio::test]
async fn a_cut_answer_is_never_taken_for_whole() {
    let broken = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n".to_vec(),
        b"HTTP/1.1 200 O".to_vec(),
    ];
    for bytes in broken {
        let error = ask(&StandIn::same(bytes).await.url).await.unwrap_err();
        assert_eq!(error.to_string(), "the connection ended before the answer was complete");
        assert!(error.is_transient());
    }
    let whole = gzip(b"some text, and more of it");
    let cut = answer("200 OK", &["Content-Encoding: gzip"], whole.get(..whole.len() - 5).unwrap());
    assert_eq!(
        ask(&StandIn::same(cut).await.url).await.unwrap_err().to_string(),
        "the answer is damaged: it cannot be decompressed"
    );
    let foreign = answer("200 OK", &["Content-Encoding: br"], "abc");
    assert!(matches!(ask(&StandIn::same(foreign).await.url).await, Err(ClientError::Damaged(_))));
    // Said to be compressed, and is not.
    let plain = answer("200 OK", &["Content-Encoding: gzip"], "<p>plain");
    assert_eq!(ask(&StandIn::same(plain).await.url).await.unwrap().body, b"<p>plain");
}

#[test]
fn pauses_and_ages_as_servers_write_them() {
    let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
    let seconds = |text| pause(text, now).map(|pause| pause.as_secs());
    assert_eq!(
        ["120", "Sun, 22 Nov 2026 10:02:00 GMT", "Sun, 22 Nov 2026 09:00:00 GMT"].map(seconds),
        [Some(120), Some(120), Some(0)]
    );
    assert_eq!(["-1", "soon", "", "NaN"].map(seconds), [None; 4]);
    let age = |text| max_age(text).map(|age| age.as_secs());
    let ages =
        ["max-age=60", "public, Max-Age=\"7\"", "no-store, max-age=9", "private, no-cache", "max-age=-1", "", "s-maxage=9"];
    assert_eq!(ages.map(age), [Some(60), Some(7), Some(0), Some(0), None, None, None]);
}

/// Signed by nobody; the key was made for this test.
const CERTIFICATE: &str = "\
    MIIBnDCCAUGgAwIBAgIUFCXo0iszT4Int1cWw9E0VbqvdXEwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODE0MD\
    I0M1oYDzIxMjYxMTA0MTQwMjQzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQv6Ig/R3tiOKrtyvMg\
    nTngkfmXkXQExBWYRBjWGaHvUlHqqcwfwKTFW3jUYv5QjlMlzOWzQimfChxkh147eAQpo28wbTAdBgNVHQ4EFgQU6Cj1fVFNzRgtDwccWFgNzV\
    QFJt0wHwYDVR0jBBgwFoAU6Cj1fVFNzRgtDwccWFgNzVQFJt0wDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEw\
    CgYIKoZIzj0EAwIDSQAwRgIhAJcQ18cjF4TXdI0SVfH3XueYEUe8zOHkFMNXJCmrl12YAiEA9f2R2cZtAzV4xwpcb2xJtCf62p9+rBXsY3Eho/\
    0s0mM=";
const KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgu1aBqeP4Fx+22Qd7/4W/0Grz5LUiPqFpd4ORrkp5fUuhRANCAAQv6Ig/R3tiOK\
    rtyvMgnTngkfmXkXQExBWYRBjWGaHvUlHqqcwfwKTFW3jUYv5QjlMlzOWzQimfChxkh147eAQp";

fn tls_server() -> Url {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let decode = |text: &str| BASE64.decode(text).unwrap();
    let key = PrivateKeyDer::try_from(decode(KEY)).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(decode(CERTIFICATE))], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    url
}

#[tokio::test]
async fn a_certificate_is_verified() {
    let error = ask(&tls_server()).await.unwrap_err();

    let said = error.to_string();
    assert_eq!(said, "the certificate of localhost is not accepted: it is signed by itself alone");
    assert!(error.is_host_failure() && !error.is_transient() && error.hint().is_some());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Closing at once would reset what was said.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = ask(&plain).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("speaks no TLS"), "{error}");
}
