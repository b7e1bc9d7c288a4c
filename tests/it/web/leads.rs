//! Where pages lead, and which of that is not worth a visit.

use crate::both::{Ledger, over_both_ledgers};

use super::site::{Page, manual};
use super::{Bench, globs, paths};

/// A page as Sphinx themes make it that do not tell the generator's name.
fn sphinx(title: &str, links: &[&str]) -> Page {
    let links = links.iter().map(|link| format!("<a href=\"{link}\">{link}</a> ")).collect::<Vec<_>>().concat();
    Page::html(format!(
        "<link rel=\"index\" title=\"Index\" href=\"/docs/genindex.html\"><title>{title}</title><h1>{title}</h1><p>What {title} is for. {links}</p>"
    ))
}

over_both_ledgers! { async
    what_sphinx_makes_of_all_pages_is_left_out_and_a_page_about_search_is_not
    a_name_that_another_generator_keeps_for_itself_is_free_on_other_sites
    links_of_an_unchanged_page_are_followed_when_they_are_excluded_no_more
}

async fn what_sphinx_makes_of_all_pages_is_left_out_and_a_page_about_search_is_not(ledger: Ledger) {
    let bench = Bench::empty(ledger, "/docs/").await;
    let links =
        ["genindex.html", "genindex-all.html", "search.html", "_modules/a.html", "_sources/a.rst.txt", "topics/search.html"];
    bench.site.put("/docs/", sphinx("start", &links));
    for link in links {
        bench.site.put(&format!("/docs/{link}"), sphinx(link, &["/docs/genindex.html"]));
    }
    let run = bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/topics/search.html"]));
    assert_eq!((run.skipped("generated"), run.counts()), (5, [2, 2, 0, 0, 0, 0]));
}

async fn a_name_that_another_generator_keeps_for_itself_is_free_on_other_sites(ledger: Ledger) {
    let mut bench = Bench::empty(ledger, "/docs/").await;
    bench.site.put("/docs/", sphinx("start", &["genindex.html"]));
    bench.site.put("/docs/genindex.html", sphinx("all words", &[]));
    bench.site.put("/blog/", manual("blog", &["/blog/genindex.html"]));
    bench.site.put("/blog/genindex.html", manual("what genindex is", &[]));
    bench.plan.urls.push(url::Url::parse(&bench.site.at("/blog/")).unwrap());
    bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/", "/blog/", "/blog/genindex.html"]));
}

async fn links_of_an_unchanged_page_are_followed_when_they_are_excluded_no_more(ledger: Ledger) {
    let mut bench = Bench::manual(ledger, 4).await;
    bench.plan.exclude = globs(&["docs/p2.html"]);
    bench.ingest().await;
    assert_eq!(bench.indexed().await, paths(["/docs/", "/docs/p1.html"]));
    bench.plan.exclude = globs(&[]);
    let run = bench.ingest().await;
    let bodies = run.asked.iter().filter(|asked| asked.status == 200).count();
    assert_eq!((bodies, run.counts()), (2, [4, 2, 0, 2, 0, 0]), "{:?}", run.asked);
}
