//! What is looked at of a site before its first ingest: a few pages tell the languages, and so the model that embeds.

use futures_util::StreamExt as _;
use ragstream::source::state::MemoryState;
use ragstream::source::{Body, Item, Listed};

use super::*;
use crate::project::Project;

/// Pages that are visited for a sample.
const SAMPLE: usize = 8;

/// The items that a sample of a site lists, and the source that has them.
async fn sampled(plan: &WebPlan) -> (Web, Vec<Item>) {
    let web = Web::new(plan.clone(), |_| Arc::new(MemoryState::default()), Purpose::Sample);
    let mut items = Vec::new();
    let mut complete = false;
    {
        let mut listing = web.list();
        while let Some(listed) = listing.next().await {
            match listed {
                Listed::Item(item) => items.push(item),
                Listed::Complete => complete = true,
                _ => {}
            }
        }
    }
    assert!(complete);
    (web, items)
}

/// The pages of its manual that a site was asked for. One of each host is asked for once more, in Markdown.
fn pages(asked: &[Asked]) -> Vec<&str> {
    let in_markdown =
        |asked: &&Asked| asked.headers.get("accept").is_some_and(|kinds| kinds.to_str().unwrap().starts_with("text/markdown"));
    let asked = asked.iter().filter(|asked| !in_markdown(asked)).map(|asked| asked.path.as_str());
    asked.filter(|path| *path == "/docs/" || path.starts_with("/docs/p")).collect()
}

#[tokio::test]
async fn a_sample_visits_a_few_pages_and_asks_for_none_of_them_twice() {
    let bench = Bench::manual(Kept::Sqlite, 30).await;
    let (web, items) = sampled(&bench.plan).await;
    let asked = bench.site.asked();
    assert_eq!((items.len(), pages(&asked).len()), (SAMPLE, SAMPLE), "{asked:?}");
    assert!(asked.iter().any(|asked| asked.path == "/robots.txt"));
    let fetched = web.fetch(&items).await;
    assert!(
        fetched
            .iter()
            .all(|fetched| matches!(&fetched.as_ref().unwrap().body, Body::Text { text, .. } if text.contains("chapter-")))
    );
    assert_eq!(bench.site.count(), 0, "what was visited is there");

    // Of a smaller site everything, and never more than the pipeline allows.
    let small = Bench::manual(Kept::Sqlite, 3).await;
    assert_eq!(sampled(&small.plan).await.1.len(), 3);
    let bounded = WebPlan { max_pages: 2, ..bench.plan.clone() };
    assert_eq!(sampled(&bounded).await.1.len(), 2);
}

#[tokio::test]
async fn a_sample_keeps_to_robots_txt_and_to_the_pace_and_leaves_the_site_rested() {
    let bench = Bench::manual(Kept::Sqlite, 30).await;
    let robots = "User-agent: *\nCrawl-delay: 0.3\nDisallow: /docs/p2.html\n";
    bench.site.put("/robots.txt", site::Page::text("text/plain", robots));
    let began = std::time::Instant::now();
    let (_, items) = sampled(&bench.plan).await;
    let asked = bench.site.asked();
    // The manual's only way on is forbidden.
    assert_eq!((items.len(), pages(&asked)), (2, vec!["/docs/", "/docs/p1.html"]));
    let after_robots = asked.iter().filter(|asked| asked.path != "/robots.txt").count();
    let least = Duration::from_millis(300) * u32::try_from(after_robots).unwrap();
    assert!(began.elapsed() + Duration::from_millis(100) >= least, "{:?} for {asked:?}", began.elapsed());

    bench.site.put("/robots.txt", site::Page::text("text/plain", "User-agent: *\nDisallow: /\n"));
    assert!(sampled(&bench.plan).await.1.is_empty());
    assert!(pages(&bench.site.asked()).is_empty());
}

/// A page in Chinese, or in English.
fn page(n: usize, chinese: bool) -> site::Page {
    let links: Vec<String> = (0..20).map(|to| format!("<a href=\"/docs/p{to}.html\">{to}</a>")).collect();
    let links = links.join(" ");
    let text = if chinese {
        format!("第{n}号水壶放在厨房的架子上，每天早上用来烧水泡茶。使用之前要先检查阀门是否关好。")
    } else {
        format!(
            "Kettle number {n} stands on the shelf in the kitchen, and every morning the water for the tea is boiled in it."
        )
    };
    site::Page::html(format!("<title>{n}</title><main><h1>{n}</h1><p>{text}</p></main><footer>{links}</footer>"))
}

#[test]
fn a_chinese_site_gets_the_model_that_reads_it_and_an_english_one_does_not() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for (chinese, expected) in [(true, "use-multilingual-v3"), (false, "potion-base-8m")] {
        let (site, project) = (runtime.block_on(Site::start()), Project::new());
        for n in 0..20 {
            site.put(&format!("/docs/p{n}.html"), page(n, chinese));
        }
        let seed = site.at("/docs/p0.html");
        project.run(&["plan", &seed]).expect_code(0);
        assert!(pages(&site.asked()).is_empty(), "a plan fetches no page");

        let ended = project.run(&["ingest", &seed]).expect_code(0);
        assert_eq!(ended.stderr.contains("documents looked at are not in English"), chinese, "{}", ended.stderr);
        assert!(!ended.stderr.contains("interrupted"), "nothing of the sample counts as visited: {}", ended.stderr);
        let asked = site.asked();
        assert!((20..=20 + SAMPLE).contains(&pages(&asked).len()), "{:?}", pages(&asked));
        let status = || project.run(&["status", "--json"]).expect_code(0).last("status");
        let told = status();
        assert!(told["index"]["model"].as_str().unwrap().contains(expected), "{told}");
        assert_eq!(told["documents"], 20);

        // The index keeps its model, and no sample is taken again.
        project.run(&["ingest", &seed]).expect_code(0);
        assert_eq!(pages(&site.asked()).len(), 20);
        project.run(&["ingest", &seed, "--rebuild"]).expect_code(0);
        assert!(status()["index"]["model"].as_str().unwrap().contains(expected));
    }
}
