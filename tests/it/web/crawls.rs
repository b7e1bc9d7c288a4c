//! What belongs to a site, and what of it becomes a document.

use ragstream::providers::Secret;
use url::Url;

use crate::both::{Ledger, over_both_ledgers};

use super::site::{Page, Site, manual};
use super::{Bench, globs, path, paths};

over_both_ledgers! { async
    a_site_is_what_links_and_sitemaps_lead_to_below_its_seed
    an_unchanged_site_costs_no_body_and_an_edit_one_page
    without_validators_the_content_decides
    robots_txt_is_kept_to
    pages_say_what_they_want
    the_scope_follows_the_seed_and_is_said
    include_exclude_and_bounds
    a_delay_of_nothing_is_no_delay_and_robots_txt_is_kept_to
    secrets_go_to_their_origin_alone
    markdown_is_taken_where_it_holds_as_much
    endless_calendars_come_to_an_end
    what_has_no_page_is_said_in_one_sentence
}

async fn a_site_is_what_links_and_sitemaps_lead_to_below_its_seed(ledger: Ledger) {
    let bench = Bench::manual(ledger, 3).await;
    let links = [
        "p1.html",
        "/docs/p1.html#details",
        "../about.html",
        "/docs-old/x.html",
        "http://other.example/docs/",
        "p1.html?utm_source=x",
    ];
    bench.site.put("/docs/", manual("start", &links));
    bench.site.put("/about.html", manual("about", &[]));
    bench.site.put("/docs-old/x.html", manual("old", &[]));
    bench.site.put("/docs/alone.html", manual("alone", &[]));
    let sitemap = format!(
        "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc>{0}/docs/alone.html</loc></url><url><loc>{0}/about.html</loc></url></urlset>",
        bench.site.url
    );
    bench.site.put("/sitemap.xml", Page::text("application/xml", sitemap));
    let run = bench.ingest().await;
    assert_eq!(run.failures, [""; 0]);
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/alone.html", "/docs/p1.html", "/docs/p2.html"]));
    assert_eq!(run.counts(), [4, 4, 0, 0, 0, 0]);
    assert!(run.told("/docs/"), "{:?}", run.notices);
    let mut asked = run.paths();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, ["/docs/", "/docs/alone.html", "/docs/p1.html", "/docs/p2.html"]);

    // Passages know where on their page they stand.
    let passages = bench.passages().await;
    let details = passages.iter().find(|passage| passage.headings.iter().any(|heading| heading.contains("Details")));
    assert!(details.is_some() || passages.iter().all(|passage| passage.title.is_some()));
}

async fn an_unchanged_site_costs_no_body_and_an_edit_one_page(ledger: Ledger) {
    for apache in [false, true] {
        let bench = Bench::manual(ledger, 40).await;
        if apache {
            bench.site.apache();
        }
        let first = bench.ingest().await;
        assert_eq!(first.counts(), [40, 40, 0, 0, 0, 0]);
        let fetched: usize = first.asked.iter().filter(|asked| asked.path.starts_with("/docs/") && asked.status == 200).count();
        assert!(fetched <= 42, "each page once, and two looks at what the site is like: {fetched}");

        let again = bench.ingest().await;
        assert_eq!((again.counts(), again.summary.embeddings.embedded), ([40, 0, 0, 40, 0, 0], 0));
        let bodies: Vec<&str> =
            again.asked.iter().filter(|asked| asked.status == 200).map(|asked| asked.path.as_str()).collect();
        assert!(bodies.len() <= 1, "with gzip: {apache}: {bodies:?}");
        let bytes = |run: &super::Run| run.asked.iter().map(|asked| asked.bytes).sum::<usize>();
        assert!(bytes(&again) * 20 <= bytes(&first), "{} of {} bytes", bytes(&again), bytes(&first));

        bench.site.put(&path(7), manual("another seventh chapter", &["/docs/", "/docs/p8.html"]));
        let edited = bench.ingest().await;
        assert_eq!(edited.counts(), [40, 0, 1, 39, 0, 0]);
    }
}

async fn without_validators_the_content_decides(ledger: Ledger) {
    let bench = Bench::manual(ledger, 12).await;
    bench.site.without_validators();
    bench.ingest().await;
    let again = bench.ingest().await;
    assert_eq!((again.counts(), again.summary.embeddings.embedded), ([12, 0, 0, 12, 0, 0], 0));
}

async fn robots_txt_is_kept_to(ledger: Ledger) {
    let bench = Bench::manual(ledger, 6).await;
    bench.site.put(
        "/robots.txt",
        Page::text("text/plain", "User-agent: *\nDisallow: /\n\nUser-agent: ragstream\nDisallow: /docs/p3\nAllow: /docs/\n"),
    );
    let run = bench.ingest().await;
    // What only the third page leads to is not found.
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/p1.html", "/docs/p2.html"]));
    assert_eq!(run.skipped("robots"), 1);
    assert!(!run.asked.iter().any(|asked| asked.path.contains("p3")));

    // Newly forbidden: the site's wish.
    bench.site.put("/robots.txt", Page::text("text/plain", "User-agent: *\nDisallow: /docs/p2\n"));
    bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/p1.html"]));
}

async fn pages_say_what_they_want(ledger: Ledger) {
    let bench = Bench::empty(ledger, "/docs/").await;
    let site = &bench.site;
    site.put(
        "/docs/",
        manual(
            "start",
            &[
                "noindex.html",
                "nofollow.html",
                "none.html",
                "header.html",
                "pdf.html",
                "shell.html",
                "canonical.html",
                "twin.html",
                "cn/指南.html",
            ],
        ),
    );
    site.put(
        "/docs/noindex.html",
        Page::html(
            "<meta name=robots content=noindex><p>Not to be indexed, but to be followed: <a href=behind-noindex.html>on</a>",
        ),
    );
    site.put("/docs/behind-noindex.html", manual("behind noindex", &[]));
    site.put(
        "/docs/nofollow.html",
        Page::html(
            "<meta name=robots content='NoFollow'><p>To be indexed, but not followed: <a href=behind-nofollow.html>on</a>",
        ),
    );
    site.put("/docs/behind-nofollow.html", manual("behind nofollow", &[]));
    site.put("/docs/none.html", Page::html("<meta name=ragstream content=none><p>Neither: <a href=behind-none.html>on</a>"));
    site.put("/docs/behind-none.html", manual("behind none", &[]));
    site.put(
        "/docs/header.html",
        manual("header", &[]).with("x-robots-tag", "otherbot: nofollow").with("x-robots-tag", "noindex, noarchive"),
    );
    site.put("/docs/shell.html", Page::html("<div id=app></div><script src=app.js></script>"));
    site.put("/docs/canonical.html", Page::html("<link rel=canonical href='file:///usr/share/doc/x.html'><h1>Canonical</h1><p>This page calls a file its own address."));
    site.put("/docs/twin.html", manual("twin", &["twin-2.html"]));
    site.put("/docs/twin-2.html", manual("twin", &["twin-2.html"]));
    site.put(
        "/docs/cn/%E6%8C%87%E5%8D%97.html",
        Page::html("<title>指南</title><h1>密钥轮换</h1><p>每周一轮换一次密钥,轮换之后重启服务。"),
    );
    let run = bench.ingest().await;
    assert_eq!(
        bench.indexed().await,
        paths([
            "/docs/",
            "/docs/behind-noindex.html",
            "/docs/canonical.html",
            "/docs/cn/%E6%8C%87%E5%8D%97.html",
            "/docs/nofollow.html",
            "/docs/twin.html",
        ])
    );
    assert_eq!(
        [run.skipped("no_index"), run.skipped("java_script"), run.skipped("duplicate")],
        [3, 1, 1],
        "{:?}",
        run.summary.skipped
    );
    assert!(run.told("browser") && run.told("/docs/shell.html"), "{:?}", run.notices);
    let chinese = bench.passages().await.into_iter().find(|passage| passage.title.as_deref() == Some("指南")).unwrap();
    assert_eq!(chinese.lang.as_deref(), Some("zh"));
}

async fn the_scope_follows_the_seed_and_is_said(ledger: Ledger) {
    // `/docs` is `/docs/`, which is `/docs/en/latest/`.
    let bench = Bench::empty(ledger, "/docs").await;
    bench.site.put("/docs", Page::redirect("/docs/en/latest/"));
    bench.site.put("/docs/en/latest/", manual("start", &["a.html", "/docs/de/latest/a.html"]));
    bench.site.put("/docs/en/latest/a.html", manual("a", &[]));
    bench.site.put("/docs/de/latest/a.html", manual("deutsch", &[]));
    let run = bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/en/latest/", "/docs/en/latest/a.html"]));
    assert!(run.told("/docs/en/latest/") && run.told("redirect"), "{:?}", run.notices);

    // A page among its siblings.
    let bench = Bench::empty(ledger, "/ref/overview.html").await;
    bench.site.put("/ref/overview.html", manual("overview", &["one.html", "/other/x.html"]));
    bench.site.put("/ref/one.html", manual("one", &[]));
    bench.site.put("/other/x.html", manual("x", &[]));
    bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/ref/one.html", "/ref/overview.html"]));
}

async fn include_exclude_and_bounds(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 9).await;
    bench.plan.exclude = globs(&["docs/p5.html"]);
    bench.plan.include = globs(&["docs/p*.html"]);
    bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/p1.html", "/docs/p2.html", "/docs/p3.html", "/docs/p4.html"]));

    // A bound that is reached removes nothing.
    bench.plan.max_pages = 3;
    let run = bench.ingest().await;
    assert!(run.told("max_pages"), "{:?}", run.notices);
    assert_eq!((bench.indexed().await.len(), run.counts()[4]), (4, 0));
}

async fn a_delay_of_nothing_is_no_delay_and_robots_txt_is_kept_to(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 3).await;
    bench.plan.delay = Some(std::time::Duration::ZERO);
    bench.site.put("/robots.txt", Page::text("text/plain", "User-agent: *\nCrawl-delay: 0.2\n"));
    let run = bench.ingest().await;
    assert!(run.told("asks for 0.2 s") && run.counts()[1] == 3, "{:?}", run.notices);
    // robots.txt, three pages, and three looks at what the site is like.
    assert!(run.summary.seconds > 0.2 * 6.0, "{}", run.summary.seconds);
}

async fn secrets_go_to_their_origin_alone(ledger: Ledger) {
    let (mut bench, other) = (Bench::manual(ledger, 2).await, Site::start().await);
    other.put("/docs/away.html", manual("away", &[]));
    bench.plan.headers = vec![("X-Docs-Token".to_owned(), Secret::new("t0ken"))];
    bench.site.put("/docs/", manual("start", &[&other.at("/docs/away.html"), "p1.html", "moved.html"]));
    bench.site.put("/docs/moved.html", Page::redirect(&other.at("/docs/away.html")));
    let run = bench.ingest().await;
    assert!(run.asked.iter().all(|asked| asked.headers.contains_key("x-docs-token")));
    assert_eq!(other.asked().len(), 0, "nobody but the site is asked");
    assert!(run.notices.iter().chain(&run.failures).all(|line| !line.contains("t0ken")));
    assert!(run.told("lead out of the site"));
}

async fn markdown_is_taken_where_it_holds_as_much(ledger: Ledger) {
    let bench = Bench::empty(ledger, "/docs/").await;
    let page = |title: &str, alternate: &str| {
        let words = format!("{title} keeps the wick dry. ").repeat(20);
        Page::html(format!(
            "<link rel=alternate type=text/markdown href={alternate}><main><h1>{title}</h1><p>{words}</p><a href=full.html>f</a> <a href=short.html>s</a></main>"
        ))
    };
    bench.site.put("/docs/", page("start", "index.md"));
    bench.site.put("/docs/full.html", page("full", "full.md"));
    bench.site.put("/docs/short.html", page("short", "short.md"));
    bench.site.put(
        "/docs/full.md",
        Page::text("text/markdown", format!("# Full\n\nAs **Markdown**. {}", "full keeps the wick dry. ".repeat(20))),
    );
    bench.site.put("/docs/short.md", Page::text("text/markdown", "# Short\n\nA summary."));
    bench.ingest().await;
    let passages = bench.passages().await;
    let text = |path: &str| passages.iter().find(|passage| passage.uri == bench.site.at(path)).unwrap().text.clone();
    assert!(text("/docs/full.html").contains("As **Markdown**."));
    assert!(text("/docs/short.html").contains("short keeps the wick dry"));
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/full.html", "/docs/short.html"]));
    // Unchanged, it is not asked for again.
    let again = bench.ingest().await;
    assert_eq!(again.counts(), [3, 0, 0, 3, 0, 0]);
}

async fn endless_calendars_come_to_an_end(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 2).await;
    bench.plan.max_pages = 2000;
    bench.site.put("/docs/", manual("start", &["p1.html", "cal/2026/1"]));
    for n in 1..1500 {
        let next = format!("{}", n + 1);
        bench.site.put(
            &format!("/docs/cal/2026/{n}"),
            Page::html(format!("<p>Nothing happens on this day.</p><a href={next}>next</a>")),
        );
    }
    let run = bench.ingest().await;
    assert!(run.asked.len() < 400, "{}", run.asked.len());
    assert!(run.told("nothing new"), "{:?}", run.notices);
}

async fn what_has_no_page_is_said_in_one_sentence(ledger: Ledger) {
    let mut bench = Bench::empty(ledger, "/docs/").await;
    let run = bench.ingest().await;
    assert!(run.failures.len() == 1 && run.failures[0].contains("404"), "{:?}", run.failures);
    bench.plan.urls = vec![Url::parse("http://nowhere.invalid/docs/").unwrap()];
    let run = bench.ingest().await;
    assert!(run.failures.len() == 1 && run.failures[0].contains("nowhere.invalid"), "{:?}", run.failures);
    bench.plan.urls = vec![Url::parse("http://127.0.0.1:1/docs/").unwrap()];
    let run = bench.ingest().await;
    assert_eq!(run.failures.len(), 1, "{:?}", run.failures);
}
