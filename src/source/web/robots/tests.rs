#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use proptest::prelude::*;

use super::*;

fn robots(text: &str) -> Robots {
    Robots::of_text(&decoded(text.as_bytes()), "ragstream")
}

fn at(path: &str) -> Url {
    Url::parse("https://a.example").unwrap().join(path).unwrap()
}

/// Files, who asks, and what may be fetched: answers of Google's own parser.
#[test]
fn files_mean_what_googles_parser_says() {
    let mut pairs = 0;
    for block in include_str!("pairs.txt").split("\n== ").skip(1) {
        let (title, rest) = block.split_once('\n').unwrap();
        let mut parts = rest.split("=> ");
        let file = parts.next().unwrap().replace("\\r", "\r");
        for asked in parts {
            let mut lines = asked.lines();
            let found = Robots::of_text(&decoded(file.as_bytes()), lines.next().unwrap());
            for line in lines.filter(|line| !line.is_empty()) {
                let (expected, paths) = line.split_once(' ').unwrap();
                for path in paths.split(' ') {
                    assert_eq!(found.allows(&at(path)), expected == "+", "{title}: {path}");
                    pairs += 1;
                }
            }
        }
    }
    assert!(pairs >= 300, "{pairs}");
}

/// `scripts/robots` makes the questions and Google's answers, and runs this.
#[test]
#[ignore = "scripts/robots makes what it needs"]
fn public_files_mean_what_googles_parser_says() {
    let folder = std::path::PathBuf::from(std::env::var_os("RAGSTREAM_ROBOTS").unwrap());
    let answers = std::fs::read_to_string(folder.join("answers.tsv")).unwrap();
    let (mut asked, mut explained, mut wrong) = (0, 0, Vec::<&str>::new());
    for of_file in answers.lines().collect::<Vec<_>>().chunk_by(|a, b| a.split('\t').next() == b.split('\t').next()) {
        let name = of_file[0].split('\t').next().unwrap();
        let bytes = std::fs::read(folder.join("files").join(name)).unwrap();
        let mut read = std::collections::HashMap::new();
        for line in of_file {
            let [_, agent, path, answer] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let ours: &Robots = read.entry(agent).or_insert_with(|| Robots::of_text(&decoded(&bytes), agent));
            asked += 1;
            if ours.allows(&at(path)) != (answer == "1") {
                // It reads files to the end, forbids /robots.txt itself, and takes a `*` in a path for more than a letter.
                let known = bytes.len() > MAX_BYTES || path == "/robots.txt" || path.contains('*');
                explained += usize::from(known);
                wrong.extend((!known).then_some(line));
            }
        }
    }
    assert!(asked > 200_000, "{asked} questions");
    assert!(wrong.is_empty(), "{} of {asked} answers differ: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(explained * 2000 < asked, "{explained} of {asked} differ for known reasons");
}

#[test]
fn escapes_of_letters_are_the_letters_and_of_signs_are_not() {
    let file = robots("User-agent: *\nDisallow: /%7Ejoe\nDisallow: /b~\nDisallow: /c%2Fd\nDisallow: /e f");
    assert!(!file.allows(&at("/~joe")) && !file.allows(&at("/%7ejoe")) && !file.allows(&at("/b%7E")));
    assert!(file.allows(&at("/c/d")) && !file.allows(&at("/c%2fd")));
    assert!(!file.allows(&at("/e f")) && !file.allows(&at("/e%20f")));
}

#[test]
fn a_file_tells_pauses_sitemaps_and_what_may_be_done() {
    let file = robots(
        "Sitemap: https://a.example/s.xml\nUser-agent: *\nCrawl-delay: 99\nContent-Signal: ai-input=no\n\
         User-agent: RagStream\nCrawl-delay: 1.5\nContent-Signal: search=yes,ai-train=no\nRequest-rate: 1/10s 0900-1700\n\
         SITEMAP:/rel.xml # with a comment\nsitemap: ftp://a.example/no\nsite-map: //b.example/t.txt\nDisallow: /x\n",
    );
    assert_eq!(file.delay(), Some(Duration::from_secs(10)));
    let sitemaps: Vec<String> = file.sitemaps(&at("/robots.txt")).iter().map(Url::to_string).collect();
    assert_eq!(sitemaps, ["https://a.example/s.xml", "https://a.example/rel.xml", "https://b.example/t.txt"]);
    assert_eq!(file.signal(), ContentSignal { search: Some(true), ai_input: None, ai_train: Some(false) });
    let said_to_all = robots("Content-Signal: ai-input=no\nUser-agent: ragstream\nDisallow: /x");
    assert_eq!(said_to_all.signal().ai_input, Some(false));
    assert_eq!(robots("User-agent: other\nContent-Signal: ai-input=no").signal(), ContentSignal::default());
}

#[test]
fn pauses_are_those_of_our_own_group() {
    let delay = |text: &str| robots(text).delay().map(|delay| delay.as_millis());
    assert_eq!(delay("User-agent: *\nCrawl-delay: 1\n\nUser-agent: slow\nCrawl-delay: 100\nDisallow: /x"), Some(1000));
    assert_eq!(delay("User-agent: slow\nUser-agent: *\nCrawl-delay: 7"), Some(7000));
    assert_eq!(delay("User-agent: *\nCrawl-delay: 5\nUser-agent: *\nCrawl-delay: .25"), Some(5000));
    assert_eq!(delay("User-agent: ragstream\nUser-agent: *\nCrawl-delay: 3"), Some(3000));
    let odd = ["", "soon", "-1", "NaN", "inf", "1e400", "1/0s", "x/1", "1/1d", "1/99999999999999999999h"];
    for value in odd {
        assert_eq!(delay(&format!("User-agent: *\nCrawl-delay: {value}\nRequest-rate: {value}")), None, "{value}");
    }
    let rate = |text: &str| pause_of_rate(text).map(|pause| pause.as_millis());
    assert_eq!(["1/10", "1/2m", "3/1h", "10/1s"].map(rate), [Some(10_000), Some(120_000), Some(1_200_000), Some(100)]);
}

#[test]
fn files_of_all_encodings_are_read_to_the_end_of_a_line() {
    let text = "User-agent: *\rDisallow: /世界\r";
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let utf8 = format!("\u{feff}{text}").into_bytes();
    for bytes in [utf8, utf16] {
        let file = Robots::of_text(&decoded(&bytes), "ragstream");
        assert!(!file.allows(&at("/世界/a")) && file.allows(&at("/世")));
        assert_eq!(file.forbids(&at("/世界")), Some("Disallow: /世界"));
    }
    let begin = "User-agent: *\nDisallow: /a\n";
    let filler = format!("{begin}{}\nDisallow: /bcd", "#".repeat(MAX_BYTES - begin.len() - 12));
    let file = robots(&filler);
    assert!(!file.allows(&at("/a")) && file.allows(&at("/bcd")) && file.allows(&at("/b")), "a line cut in two says nothing");
    let long = robots(&format!("User-agent: *\nDisallow: /{}b\n", "a".repeat(MAX_LINE)));
    assert!(!long.allows(&at(&format!("/{}", "a".repeat(MAX_LINE)))), "of a line that is too long, its beginning counts");
}

#[test]
fn a_page_that_stands_in_for_the_file_says_nothing() {
    let page = robots(
        "<!DOCTYPE html>\n<html><head><title>User-agent: *</title>\n<p>Disallow: /</p>\n<a href=\"/x\">Allow: /</a>\n</html>",
    );
    assert_eq!(page, Robots::default());
}

#[test]
fn the_file_itself_is_always_allowed() {
    let file = robots("User-agent: *\nDisallow: /");
    assert!(file.allows(&at("/robots.txt")) && !file.allows(&at("/robots.txt?v=2")) && !file.allows(&at("/a/robots.txt")));
}

proptest! {
    /// Against a matcher that is too simple to be wrong, and too slow.
    #[test]
    fn patterns_match_as_they_are_defined(pattern in "[ab/*$]{1,8}", path in "/[ab/$]{0,10}") {
        fn simple(pattern: &[u8], path: &[u8]) -> bool {
            match pattern {
                [] => true,
                [b'$'] => path.is_empty(),
                [b'*', rest @ ..] => (0..=path.len()).any(|from| simple(rest, path.get(from..).unwrap())),
                [first, rest @ ..] => path.first() == Some(first) && simple(rest, path.get(1..).unwrap()),
            }
        }
        let expected = simple(pattern.as_bytes(), path.as_bytes());
        prop_assert_eq!(Pattern::new(&pattern).is_some_and(|found| found.matches(&path)), expected);
    }

    #[test]
    fn no_file_is_too_strange(bytes: Vec<u8>, lines in "((User-agent|Allow|Disallow|Sitemap|Crawl-delay)?[: ]{0,2}\\PC{0,20}[\r\n])*") {
        Robots::of_text(&decoded(&bytes), "ragstream");
        robots(&lines).allows(&at("/a"));
    }
}
