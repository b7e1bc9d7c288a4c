//! Sites on the command line and in a pipeline file: what a person and a program are told.

use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::Project;

use super::site::{Page, Site, manual};

/// A small site with a robots.txt and a sitemap, on a runtime of its own: the program is waited for.
fn site() -> (Site, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let site = runtime.block_on(Site::start());
    site.put(
        "/robots.txt",
        Page::text("text/plain", format!("User-agent: *\nDisallow: /docs/secret\nSitemap: {}/map.xml\n", site.url)),
    );
    let map = format!("<urlset><url><loc>{0}/docs/</loc></url><url><loc>{0}/docs/lonely.html</loc></url></urlset>", site.url);
    site.put("/map.xml", Page::text("application/xml", map));
    site.put("/docs/", manual("keys", &["rotate.html", "secret/plan.html", "notes.txt"]));
    site.put("/docs/rotate.html", manual("rotation", &[]));
    site.put("/docs/lonely.html", manual("loneliness", &[]));
    site.put("/docs/notes.txt", Page::text("text/plain", "The wick is trimmed on Mondays."));
    (site, runtime)
}

#[test]
fn a_site_is_planned_ingested_searched_and_ingested_again() {
    let ((site, _runtime), project) = (site(), Project::new());
    let seed = site.at("/docs/");

    let plan = project.run(&["plan", &seed]).expect_code(0);
    assert!(
        plan.stderr.contains("its sitemaps name 2 pages, 2 of them new") && plan.stderr.contains("lets us in"),
        "{}",
        plan.stderr
    );
    let asked: Vec<String> = site.asked().into_iter().map(|asked| asked.path).collect();
    assert!(asked.iter().all(|path| path.contains("robots") || path.contains("map")), "nothing else is fetched: {asked:?}");

    let first = project.run(&["ingest", &seed, "--json"]).expect_code(0);
    let summary = first.last("summary");
    assert_eq!((&summary["documents"]["added"], &summary["documents"]["failed"]), (&4.into(), &0.into()));
    let notice = first.of_type("notice").remove(0);
    assert_eq!(notice["source"], "web");
    assert!(notice["message"].as_str().unwrap().contains("`/docs/` and below"), "{notice}");

    // A hit opens at its own heading.
    let found = project.run(&["search", "details of rotation", "--json"]).expect_code(0);
    let hits = found.of_type("hit");
    let hit = hits.iter().find(|hit| hit["uri"] == site.at("/docs/rotate.html")).unwrap_or_else(|| panic!("{hits:?}"));
    assert!(hit["link"].as_str().unwrap().ends_with("/docs/rotate.html#top"), "{hit}");
    let spoken = project.run(&["search", "details of rotation"]).expect_code(0);
    assert!(spoken.stdout.contains("/docs/rotate.html#"), "{}", spoken.stdout);

    let again = project.run(&["ingest", &seed]).expect_code(0);
    assert!(again.stderr.contains("4 unchanged") && again.stderr.contains("forbidden by robots.txt"), "{}", again.stderr);
    let plan = project.run(&["plan", &seed, "--json"]).expect_code(0).last("plan");
    assert_eq!((&plan["documents"]["unchanged"], &plan["documents"]["removed"]), (&4.into(), &0.into()));
}

over_both_ledgers! {
    a_site_that_leaves_the_file_leaves_the_index
}

fn a_site_that_leaves_the_file_leaves_the_index(ledger: Ledger) {
    let ((site, _runtime), (other, _other)) = (site(), site());
    let project = Home::new(ledger);
    let write = |urls: &[&str]| {
        let urls: Vec<String> = urls.iter().map(|url| format!("  - {url}\n")).collect();
        let (folder, store) = (project.folder("docs"), project.store());
        project.write("p.yaml", format!("version: 1\nsources:\n  - {folder}\n{}{store}", urls.concat()));
    };
    project.write("docs/a.md", "# A file\n\nBeside the sites.");
    write(&[&site.at("/docs/"), &other.at("/docs/")]);
    let summary = project.run(&["ingest", "-p", "p.yaml", "--json"]).expect_code(0).last("summary");
    assert_eq!(summary["documents"]["added"], 9);
    write(&[&site.at("/docs/")]);
    let summary = project.run(&["ingest", "-p", "p.yaml", "--json"]).expect_code(0).last("summary");
    assert_eq!((&summary["documents"]["removed"], &summary["documents"]["unchanged"]), (&4.into(), &5.into()));
}

#[test]
fn an_address_that_was_mistyped_leaves_nothing_behind() {
    let ((site, _runtime), project) = (site(), Project::new());
    let lost = site.at("/dosc/");
    for seed in ["http://nowhere.invalid/docs/", "http://127.0.0.1:1/", lost.as_str()] {
        let run = project.run(&["ingest", seed, "--json"]).expect_code(1);
        assert_eq!(run.of_type("failed").len(), 1, "{seed}: {}", run.stdout);
        assert_eq!(run.last("summary")["documents"]["failed"], 1);
        let status = project.run(&["status", "--json"]).last("status");
        assert_eq!((&status["failed"], &status["documents"]), (&0.into(), &0.into()), "{seed}: {status}");
    }
    // Beside one that answers, and with an index that is there.
    let seed = site.at("/docs/");
    project.run(&["ingest", &seed, &lost]).expect_code(1);
    project.run(&["status"]).expect_code(0);
    project.run(&["ingest", "http://nowhere.invalid/docs/"]).expect_code(1);
    project.run(&["status"]).expect_code(0);
    // What fails of a site that is known is remembered. (Where a sitemap goes on to name the page, it counts as there.)
    site.put("/robots.txt", Page::status(404));
    project.run(&["ingest", &seed]).expect_code(0);
    site.put("/docs/", Page::status(404));
    project.run(&["ingest", &seed]).expect_code(1);
    let status = project.run(&["status"]).expect_code(1);
    assert!(status.stdout.contains("404"), "{}", status.stdout);
}

#[test]
fn chinese_addresses_are_shown_as_they_are_read() {
    let ((site, _runtime), project) = (site(), Project::new());
    let escaped = "/docs/%E6%8C%87%E5%8D%97/";
    site.put(escaped, manual("密钥轮换指南", &["%E7%A9%BA.html", "%E2%80%AEa%20b.html"]));
    site.put("/docs/%E6%8C%87%E5%8D%97/%E2%80%AEa%20b.html", manual("turned", &[]));
    site.put("/docs/%E6%8C%87%E5%8D%97/%E7%A9%BA.html", Page::text("application/pdf", "no PDF"));
    let seed = site.at(escaped);
    let run = project.run(&["ingest", &seed]).expect_code(1);
    let (read, turned) = (site.at("/docs/指南/"), "%E2%80%AEa%20b.html");
    assert!(run.stderr.contains(&format!("{read}: `/docs/指南/` and below")), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("failed {read}空.html: ")), "{}", run.stderr);
    let status = project.run(&["status"]).expect_code(1);
    assert!(status.stdout.contains(&format!("{read}空.html: ")), "{}", status.stdout);
    let found = project.run(&["search", "密钥轮换指南"]).expect_code(0);
    assert!(found.stdout.contains(&format!("{read}#")), "{}", found.stdout);
    let found = project.run(&["search", "turned"]).expect_code(0);
    assert!(found.stdout.contains(&format!("{read}{turned}#")), "{}", found.stdout);
    // Programs are given the address as it is.
    let json = project.run(&["search", "密钥轮换指南", "--json"]).expect_code(0);
    let links: Vec<String> = json.of_type("hit").iter().map(|hit| hit["link"].as_str().unwrap().to_owned()).collect();
    assert!(links.iter().any(|link| link.starts_with(&seed)) && links.iter().all(|link| link.is_ascii()), "{links:?}");
    let json = project.run(&["ingest", &seed, "--json"]).expect_code(1);
    assert!(json.of_type("failed")[0]["uri"].as_str().unwrap().starts_with(&seed), "{}", json.stdout);
}

/// The rule that left a page out is named, as the crawl has kept to it; nothing is asked of the site for it.
#[test]
fn why_names_what_left_a_page_out() {
    let ((site, _runtime), project) = (site(), Project::new());
    let canonical = |href: &str| format!("<link rel=canonical href={href}><p>The same oil for all lamps of the coast.</p>");
    let leads =
        ["no.html", "secret/plan.html", "c.html?id=1", "c.html", "gone.html", "absent.html", "l1.html", "old.html", "out.html"];
    site.put("/docs/", manual("keys", &leads));
    site.put("/docs/no.html", Page::html("<meta name=robots content=noindex><p>kept to itself</p>"));
    for path in ["/docs/c.html", "/docs/c.html?id=1"] {
        site.put(path, Page::html(canonical("/docs/c.html")));
    }
    site.put("/docs/gone.html", Page::status(410));
    site.put("/docs/l1.html", Page::redirect("/docs/l2.html"));
    site.put("/docs/l2.html", Page::redirect("/docs/l1.html"));
    site.put("/docs/old.html", Page::redirect("/docs/older.html"));
    site.put("/docs/older.html", Page::redirect("/docs/rotate.html"));
    site.put("/docs/out.html", Page::redirect("/elsewhere/"));
    let seed = site.at("/docs/");
    let run = project.run(&["ingest", &seed]).expect_code(0);
    for said in [
        format!("2 pages that links or sitemaps lead to could not be found (404 or 410): {}", site.at("/docs/")),
        "2 pages could not be had, as redirects lead from there in a circle: ".to_owned(),
    ] {
        assert!(run.stderr.contains(&said), "{said}: {}", run.stderr);
    }
    site.asked();
    for (page, id, said) in [
        ("no.html", "skipped", "the page asks not to be indexed"),
        ("secret/plan.html", "skipped", "robots.txt forbids it"),
        ("secret/unlinked.html", "skipped", "robots.txt forbids it"),
        ("c.html?id=1", "same_content", "which it calls its own address"),
        ("gone.html", "gone", "no such page any more"),
        ("absent.html", "not_found", "no such page (404)"),
        ("l1.html", "redirect_loop", "in a circle"),
        ("old.html#top", "moved", "/docs/rotate.html"),
        ("out.html", "leads_out", "/elsewhere/, which does not belong to the site"),
        ("unlinked.html", "not_met", "no link and no sitemap led there"),
    ] {
        let why =
            project.run(&["why", &site.at(&format!("/docs/{page}")), "what is kept?", "--json"]).expect_code(1).last("why");
        assert_eq!(why["cause"]["id"], id, "{page}: {why}");
        assert!(why["message"].as_str().unwrap().contains(said), "{page}: {why}");
    }
    let other = project.run(&["why", "http://127.0.0.1:1/x", "what is kept?", "--json"]).expect_code(1).last("why");
    assert_eq!(other["cause"]["id"], "missing", "{other}");
    assert_eq!(site.count(), 0, "{:?}", site.asked());
}

/// A page of which no date is known is neither older nor newer than any day; one of today is.
#[test]
fn a_page_has_the_date_that_its_server_says() {
    let ((site, _runtime), project) = (site(), Project::new());
    let (now, hour) = (std::time::SystemTime::now(), std::time::Duration::from_secs(3600));
    site.put("/docs/", manual("keys", &["today.html", "always.html", "old.html"]));
    site.put("/docs/today.html", manual("rotation of today", &[]).with("last-modified", &httpdate::fmt_http_date(now - hour)));
    // No page was changed after it was sent.
    let later = httpdate::fmt_http_date(now + hour);
    site.put("/docs/always.html", manual("rotation of always", &[]).with("last-modified", &later));
    site.put("/docs/old.html", manual("rotation of old", &[]).with("last-modified", "Sun, 01 Nov 2015 09:00:00 GMT"));
    project.run(&["ingest", &site.at("/docs/")]).expect_code(0);
    let found = |term: &str| {
        let run = project.run(&["search", "rotation", "--json", "--where", term]);
        let pages = run.of_type("hit").into_iter().map(|hit| hit["uri"].as_str().unwrap().replace(&site.at("/docs/"), ""));
        pages.collect::<std::collections::BTreeSet<String>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(found("modified>=2016-01-01"), ["today.html"]);
    assert_eq!(found("modified<2016-01-01"), ["old.html"]);
    assert!(found("modified<1971-01-01").is_empty());
    let asked = ["why", &site.at("/docs/always.html"), "rotation", "--json", "--where", "modified<2016-01-01"];
    let why = project.run(&asked).expect_code(1).last("why");
    assert_eq!(why["cause"]["id"], "filtered", "{why}");
    assert!(why["message"].as_str().unwrap().ends_with("when it was modified is not known"), "{why}");
}

#[test]
fn what_cannot_be_a_site_is_said() {
    let project = Project::new();
    let spoken = project.run(&["ingest", "http://127.0.0.1:1/"]).expect_code(1);
    assert!(
        spoken.stderr.contains("cannot connect to 127.0.0.1:1") && spoken.stderr.contains("Nothing of it was removed"),
        "{}",
        spoken.stderr
    );
    let spoken = project.run(&["ingest", "https://[::1"]).expect_code(2);
    assert!(spoken.stderr.contains("is not a URL"), "{}", spoken.stderr);
    let spoken = project.run(&["ingest", "ftp://a.example/"]).expect_code(2);
    assert!(spoken.stderr.contains("ftp://a.example/"), "{}", spoken.stderr);
}
