//! What removes a document: its page's own word. An outage of any kind removes nothing.

use crate::both::{Ledger, over_both_ledgers};

use super::site::{Fault, Page, manual};
use super::{Bench, path};

over_both_ledgers! { async
    ten_kinds_of_outage_remove_nothing
    a_site_that_is_away_removes_nothing
    what_is_really_deleted_is_removed
    a_page_that_is_away_for_a_moment_stays
    so_does_one_that_no_link_leads_to_any_more
    what_nothing_leads_to_any_more_goes_with_the_second_crawl
    a_page_that_moved_is_where_it_moved_to
    a_page_that_says_not_found_with_200_is_told
    a_page_that_fails_leads_where_it_led
    of_equal_pages_the_same_one_is_the_document_whatever_leads_to_them
    of_equal_pages_the_one_that_both_call_their_address_is_the_document
}

async fn ten_kinds_of_outage_remove_nothing(ledger: Ledger) {
    let bench = Bench::manual(ledger, 25).await;
    let sitemap = |urls: &str| Page::text("application/xml", format!("<urlset>{urls}</urlset>"));
    let whole: Vec<String> = (0..25).map(|n| format!("<url><loc>{}</loc></url>", bench.site.at(&path(n)))).collect();
    bench.site.put("/sitemap.xml", sitemap(&whole.concat()));
    bench.site.put("/login", Page::html("<form><input type=password name=p></form><p>Please log in."));
    for path in ["/closed.html", "/docs/closed.html"] {
        bench.site.put(path, Page::html("<p>The manual is closed for the night."));
    }
    bench.ingest().await;
    assert_eq!(bench.indexed().await.len(), 25);
    let mut removed = Vec::new();
    for (name, fault) in [
        ("robots.txt 503", Fault::Robots(503)),
        ("500 for all", Fault::Status(500)),
        ("401 for all", Fault::Status(401)),
        ("403 for all", Fault::Status(403)),
        ("429 for all", Fault::Status(429)),
        ("a login", Fault::Redirect("/login".to_owned())),
        ("a page that says closed", Fault::Redirect("/closed.html".to_owned())),
        ("a page of the manual that says closed", Fault::Redirect("/docs/closed.html".to_owned())),
        ("halved answers", Fault::Cut),
    ] {
        bench.site.fault(fault);
        let run = bench.ingest().await;
        removed.push((name, run.counts()[4]));
        let indexed = bench.indexed().await;
        assert!((0..25).all(|n| indexed.contains(&path(n))), "{name}: {:?}", run.failures);
        assert!(!run.failures.is_empty() || !run.notices.is_empty(), "{name} is said");
        assert!(run.failures.len() <= 12, "{name}: {:?}", run.failures);
    }
    bench.site.fault(Fault::None);
    // An empty sitemap, and no link any more: the crawl cannot tell that from a site that was broken in a release.
    bench.site.put("/sitemap.xml", sitemap(""));
    for n in 0..25 {
        bench.site.put(&path(n), manual(&format!("chapter-{n}"), &[]));
    }
    let run = bench.ingest().await;
    removed.push(("an empty sitemap, and no links", run.counts()[4]));
    let indexed = bench.indexed().await;
    assert!((0..25).all(|n| indexed.contains(&path(n))), "{:?}", run.notices);
    assert!(removed.iter().all(|(_, count)| *count == 0), "{removed:?}");
}

async fn a_site_that_is_away_removes_nothing(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 5).await;
    bench.ingest().await;
    // The same index, and nobody there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.plan.urls = vec![url::Url::parse(&format!("http://{gone}/docs/")).unwrap(), bench.plan.urls[0].clone()];
    bench.site.fault(Fault::Status(503));
    let run = bench.ingest().await;
    assert_eq!((run.counts()[4], bench.indexed().await.len()), (0, 5));
}

async fn what_is_really_deleted_is_removed(ledger: Ledger) {
    let bench = Bench::manual(ledger, 30).await;
    // All of them are linked from the first, so that a page that is gone takes no other with it.
    let links: Vec<String> = (1..30).map(path).collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    bench.site.put("/docs/", manual("start", &links));
    bench.ingest().await;
    for n in 3..8 {
        bench.site.remove(&path(n));
    }
    for n in 8..13 {
        bench.site.put(&path(n), Page::status(410));
    }
    let run = bench.ingest().await;
    assert_eq!(run.counts(), [20, 0, 0, 20, 10, 0], "{:?}", run.failures);
    assert_eq!(bench.indexed().await.len(), 20);
    // They come back as they went.
    bench.page(3, 30);
    let run = bench.ingest().await;
    assert_eq!(run.counts()[1], 1);
}

async fn a_page_that_is_away_for_a_moment_stays(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 4).await;
    bench.ingest().await;
    bench.site.remove(&path(3));
    bench.plan.patience = std::time::Duration::from_secs(4);
    let deployed = async {
        // The first look has seen that it is away.
        while !bench.site.has_answered(&path(3), 404) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        bench.page(3, 4);
    };
    let (run, ()) = tokio::join!(bench.ingest(), deployed);
    assert_eq!((run.counts()[4], bench.indexed().await.len()), (0, 4), "{:?}", run.asked);
}

/// A site that is made anew in its place: the new first page is there, and the other pages are not yet.
async fn so_does_one_that_no_link_leads_to_any_more(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 6).await;
    let links: Vec<String> = (1..6).map(path).collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    bench.site.put("/docs/", manual("start", &links));
    for n in 1..6 {
        bench.site.put(&path(n), manual(&format!("chapter-{n}"), &["/docs/"]));
    }
    bench.ingest().await;
    assert_eq!(bench.indexed().await.len(), 6);
    bench.site.put("/docs/", manual("start", links.get(..3).unwrap()));
    bench.site.remove(&path(4));
    bench.site.remove(&path(5));
    bench.plan.patience = std::time::Duration::from_secs(4);
    let deployed = async {
        while !bench.site.has_answered(&path(4), 404) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        bench.site.put(&path(4), manual("chapter-4", &["/docs/"]));
    };
    let (run, ()) = tokio::join!(bench.ingest(), deployed);
    assert_eq!(run.counts()[4], 1, "the other one is not there the second time either: {:?}", run.asked);
    let indexed = bench.indexed().await;
    assert!(indexed.contains(&path(4)) && !indexed.contains(&path(5)), "{indexed:?}");
    assert!(run.told("no link"), "it is one that nothing leads to all the same: {:?}", run.notices);
    assert_eq!(bench.ingest().await.counts()[4], 1, "and goes with the next crawl");
}

async fn what_nothing_leads_to_any_more_goes_with_the_second_crawl(ledger: Ledger) {
    let bench = Bench::manual(ledger, 12).await;
    bench.site.put(&path(9), manual("chapter-9", &["/docs/"]));
    let first = bench.ingest().await;
    assert_eq!(first.counts()[1], 10);
    bench.site.put(&path(8), manual("chapter-8", &["/docs/"]));
    let run = bench.ingest().await;
    assert_eq!(run.counts()[4], 0);
    assert!(run.told("no link"), "{:?}", run.notices);
    let run = bench.ingest().await;
    assert_eq!(run.counts()[4], 1, "{:?}", run.notices);
    assert!(!bench.indexed().await.contains(&path(9)));
}

async fn a_page_that_moved_is_where_it_moved_to(ledger: Ledger) {
    let bench = Bench::manual(ledger, 8).await;
    bench.ingest().await;
    bench.site.put("/docs/new-name.html", manual("chapter-4", &["/docs/", "/docs/p5.html"]));
    bench.site.put(&path(4), Page::redirect("/docs/new-name.html"));
    let run = bench.ingest().await;
    let indexed = bench.indexed().await;
    assert!(indexed.contains("/docs/new-name.html") && !indexed.contains(&path(4)), "{:?}", run.notices);
    assert_eq!(indexed.len(), 8);
}

async fn a_page_that_says_not_found_with_200_is_told(ledger: Ledger) {
    let bench = Bench::manual(ledger, 12).await;
    bench.ingest().await;
    // From now on the site answers everything that it does not have with a page.
    let lost = || Page::html("<h1>Oops</h1><p>We could not find what you were looking for, try the search.</p>");
    bench.site.otherwise(lost());
    bench.site.remove(&path(11));
    let run = bench.ingest().await;
    // A link leads to it still: the site is not sure itself.
    assert_eq!((run.counts()[4], run.skipped("soft_not_found")), (0, 1), "{:?}", run.summary.skipped);
    bench.site.put(&path(10), manual("chapter-10", &["/docs/"]));
    bench.ingest().await;
    let run = bench.ingest().await;
    assert!(!bench.indexed().await.contains(&path(11)), "{:?}", run.notices);
}

async fn a_page_that_fails_leads_where_it_led(ledger: Ledger) {
    let bench = Bench::manual(ledger, 9).await;
    bench.ingest().await;
    bench.site.put(&path(3), Page::status(500));
    for _ in 0..3 {
        let run = bench.ingest().await;
        assert_eq!((run.counts()[4], bench.indexed().await.len()), (0, 9), "{:?}", run.failures);
        assert!(run.failures.len() == 1 && run.failures[0].contains("p3.html"), "{:?}", run.failures);
    }
    // Nor does the first page, whatever lies behind it.
    bench.page(3, 9);
    bench.site.put("/docs/", Page::status(404));
    for _ in 0..3 {
        let run = bench.ingest().await;
        assert_eq!((run.counts()[4], bench.indexed().await.len()), (0, 9), "{:?}", run.failures);
    }
}

#[tokio::test]
async fn an_index_that_is_made_anew_asks_for_every_page_again_and_then_for_none() {
    let bench = Bench::manual(Ledger::Sqlite, 9).await;
    bench.ingest().await;
    let run = bench.ingest_with(ragstream::ingest::Options { rebuild: true, ..Default::default() }).await;
    assert_eq!((run.counts()[1], bench.indexed().await.len()), (9, 9));
    let run = bench.ingest().await;
    assert_eq!(run.counts(), [9, 0, 0, 9, 0, 0]);
}

async fn of_equal_pages_the_same_one_is_the_document_whatever_leads_to_them(ledger: Ledger) {
    let bench = Bench::manual(ledger, 3).await;
    let twin = || manual("twin", &["/docs/"]);
    for path in ["/docs/twin.html", "/docs/twin/index.html", "/docs/another-twin.html"] {
        bench.site.put(path, twin());
    }
    // The longest is met first.
    bench.site.put("/docs/", manual("start", &["twin/index.html", "p1.html"]));
    bench.site.put("/docs/p1.html", manual("one", &["another-twin.html", "p2.html"]));
    bench.site.put("/docs/p2.html", manual("two", &["twin.html"]));
    let kept = super::paths(["/docs/", "/docs/p1.html", "/docs/p2.html", "/docs/twin.html"]);
    let first = bench.ingest().await;
    assert_eq!((bench.indexed().await, first.skipped("duplicate")), (kept.clone(), 2), "{:?}", first.summary.skipped);
    let again = bench.ingest().await;
    assert_eq!((again.counts(), again.summary.embeddings.embedded), ([4, 0, 0, 4, 0, 0], 0));

    // Nothing leads to it, and something does to the others: it stays, until that is so in a second crawl.
    bench.site.put("/docs/p2.html", manual("two", &[]));
    let run = bench.ingest().await;
    assert_eq!((bench.indexed().await, run.counts()[4]), (kept.clone(), 0), "{:?}", run.notices);
    bench.ingest().await;
    let next = super::paths(["/docs/", "/docs/p1.html", "/docs/p2.html", "/docs/twin/index.html"]);
    assert_eq!(bench.indexed().await, next, "what is still there is in the index");

    // It is led to again.
    bench.site.put("/docs/p2.html", manual("two", &["twin.html"]));
    bench.ingest().await;
    assert_eq!(bench.indexed().await, kept);
}

async fn of_equal_pages_the_one_that_both_call_their_address_is_the_document(ledger: Ledger) {
    let bench = Bench::manual(ledger, 60).await;
    let equal = || {
        let canonical = format!("<link rel=canonical href={}>", bench.site.at("/docs/the-name-of-it.html"));
        Page::html(format!("{canonical}<main><h1>Equal</h1><p>What is said here is said twice, word for word.</p></main>"))
    };
    bench.site.put("/docs/e.html", equal());
    bench.site.put("/docs/the-name-of-it.html", equal());
    // Met after many pages, so that the shorter one has long been handed on.
    bench.site.put(&path(50), manual("chapter-50", &["e.html", "/docs/p51.html"]));
    bench.site.put(&path(59), manual("chapter-59", &["the-name-of-it.html"]));
    for _ in 0..2 {
        let run = bench.ingest().await;
        let indexed = bench.indexed().await;
        assert!(indexed.contains("/docs/the-name-of-it.html") && !indexed.contains("/docs/e.html"), "{:?}", run.failures);
        assert_eq!(indexed.len(), 61);
    }
    // What is gone leaves its place to the other.
    bench.site.remove("/docs/the-name-of-it.html");
    bench.ingest().await;
    assert!(bench.indexed().await.contains("/docs/e.html"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_to_what_robots_txt_keeps_for_itself() {
    let bench = Bench::manual(Ledger::Sqlite, 4).await;
    bench.ingest().await;
    bench.site.put("/robots.txt", Page::text("text/plain", "User-agent: *\nDisallow: /docs/private/\n"));
    bench.ingest().await;
    // What was done once is asked for again when the index is made anew. Until then the page says that it has not changed.
    let rebuild = ragstream::ingest::Options { rebuild: true, ..Default::default() };
    bench.site.moved_when_asked_anew(&path(2), "/docs/private/plan.html");
    bench.site.put("/docs/private/plan.html", manual("plan", &[]));
    let run = bench.ingest_with(rebuild).await;
    assert!(run.asked.iter().all(|asked| !asked.path.contains("private")), "{:?}", run.paths());
    assert!(!bench.indexed().await.contains(&path(2)), "{:?}", run.failures);
    assert_eq!(run.skipped("robots"), 1, "{:?}", run.summary.skipped);
}
