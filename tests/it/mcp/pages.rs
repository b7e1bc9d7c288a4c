//! Pages: together they are the document, and none is above its bound.

use ragstream::tokenizer::{Tokenizer, TokenizerName};
use serde_json::{Value, json};

use super::wire::called;
use super::{project, start};
use crate::stand_in::StandIn;

/// A result's tokens, as text and as JSON.
fn tokens(result: &Value) -> usize {
    let tokenizer = Tokenizer::get(TokenizerName::O200kBase);
    let text = result["content"][0]["text"].as_str().unwrap();
    tokenizer.count(text).max(tokenizer.count(&result["structuredContent"].to_string()))
}

const WORDS: &str = "valve boiler lantern harbour engine parrot window mountain teacher bridge copper letter morning river garden \
    station winter market sailor butter candle forest hammer island jacket kettle ladder mirror needle orchard pepper quarry";
const CHINESE: &str =
    "阀门 锅炉 灯笼 港口 引擎 鹦鹉 窗户 山脉 老师 桥梁 铜线 信件 早晨 河流 花园 车站 冬天 市场 水手 黄油 蜡烛 森林";

/// Long sections in two languages of which no two are alike, code that is indented, a line that is longer than a page, and quotes that
/// grow in JSON.
fn long_document() -> String {
    let (words, chinese): (Vec<&str>, Vec<&str>) = (WORDS.split_whitespace().collect(), CHINESE.split(' ').collect());
    let (mut text, mut seed) = (String::from("# Everything\n\n"), 7_u64);
    let mut any = |of: &[&str], count: usize| -> String {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            of[(seed >> 33) as usize % of.len()].to_owned()
        };
        let picked: Vec<String> = (0..count).map(|_| next()).collect();
        picked.join(if of[0].is_ascii() { " " } else { "和" })
    };
    for n in 0..60 {
        text.push_str(&format!(
            "## Section {n}: {}\n\n\"{}\", it said, {}.\n\n",
            any(&words, 2),
            any(&words, 20),
            any(&words, 20)
        ));
        text.push_str(&format!(
            "{}在{}旁边。\n\n    let {} = \"\\\\{}\";\n\n",
            any(&chinese, 12),
            any(&chinese, 6),
            any(&words, 1),
            any(&words, 3)
        ));
    }
    text.push_str(&any(&words, 3_000));
    text.push_str("\n\nThe end.\n");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_document_are_the_document() {
    let api = StandIn::start().await;
    let project = project(&api);
    let text = long_document();
    project.write("docs/long.md", &text);
    tokio::task::block_in_place(|| project.run(&["ingest", "-p", "docs.yaml", "-q"]).expect_code(0));
    let service = start(&project, &[]);
    for bound in [500, 1_200, 8_000] {
        let (mut seen, mut start, mut pages) = (vec![false; text.len()], json!(null), 0);
        loop {
            let result = called(&service, "get", &json!({"uri": "docs/long.md", "max_tokens": bound, "start": start})).await;
            let told = &result["structuredContent"];
            assert!(tokens(&result) <= bound, "{} above {bound}", tokens(&result));
            for part in told["parts"].as_array().unwrap() {
                let (from, to) = (part["start"].as_u64().unwrap() as usize, part["end"].as_u64().unwrap() as usize);
                assert_eq!(part["text"].as_str().unwrap(), &text[from..to]);
                let line = |at: usize| text[..at].matches('\n').count() + 1;
                assert_eq!(part["lines"], json!([line(from), line(to - 1)]));
                assert!(!seen[from..to].contains(&true), "no byte twice");
                seen[from..to].fill(true);
            }
            pages += 1;
            if told["next"].is_null() {
                assert!(result["content"][0]["text"].as_str().unwrap().ends_with("(the end of the document)\n"));
                break;
            }
            start = told["next"]["start"].clone();
            let said = format!("with `start`: {start})\n");
            assert!(result["content"][0]["text"].as_str().unwrap().ends_with(&said), "{result}");
        }
        assert!(text.char_indices().all(|(at, letter)| seen[at] || letter.is_whitespace()), "no letter is missing");
        assert!(pages > 20_000 / bound / 3, "{pages} pages of {bound}");
    }

    // Some lines, by their numbers and by the place that a passage names.
    let lines: String = text.split_inclusive('\n').skip(9).take(11).collect();
    for arguments in [json!({"uri": "docs/long.md", "first": 10, "last": 20}), json!({"uri": "docs/long.md:10-20"})] {
        let told = called(&service, "get", &arguments).await["structuredContent"].clone();
        let parts: Vec<&str> = told["parts"].as_array().unwrap().iter().map(|part| part["text"].as_str().unwrap()).collect();
        assert_eq!(parts.concat().replace(char::is_whitespace, ""), lines.replace(char::is_whitespace, ""), "{arguments}");
    }
    let nowhere = called(&service, "get", &json!({"uri": "docs/long.md", "first": 5000})).await;
    assert!(
        nowhere["isError"] == true && nowhere["content"][0]["text"].as_str().unwrap().contains("its last line is"),
        "{nowhere}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_search_are_its_passages() {
    let api = StandIn::start().await;
    let project = project(&api);
    project.write("docs/long.md", long_document());
    tokio::task::block_in_place(|| project.run(&["ingest", "-p", "docs.yaml", "-q"]).expect_code(0));
    let service = start(&project, &[]);
    let whole =
        called(&service, "search", &json!({"query": "a valve beside the harbour 港口", "limit": 12, "max_tokens": 100_000}))
            .await;
    let whole = whole["structuredContent"]["hits"].as_array().unwrap().clone();
    assert!(whole.len() > 5, "{whole:?}");
    for bound in [500, 1_000, 3_000] {
        let (mut texts, mut page, mut pages) = (vec![String::new(); whole.len()], 1, 1);
        while page <= pages {
            let arguments = json!({"query": "a valve beside the harbour 港口", "limit": 12, "max_tokens": bound, "page": page});
            let result = called(&service, "search", &arguments).await;
            assert!(tokens(&result) <= bound, "{} above {bound}", tokens(&result));
            let told = &result["structuredContent"];
            assert_eq!((&told["page"], &told["left_out"]), (&json!(page), &json!(0)), "{told}");
            for hit in told["hits"].as_array().unwrap() {
                let rank = hit["rank"].as_u64().unwrap() as usize - 1;
                let begins = whole[rank]["start"].as_u64().unwrap() + texts[rank].len() as u64;
                assert_eq!((&hit["uri"], &hit["start"]), (&whole[rank]["uri"], &json!(begins)), "it goes on where it ended");
                texts[rank].push_str(hit["text"].as_str().unwrap());
            }
            pages = told["pages"].as_u64().unwrap();
            page += 1;
        }
        for (text, hit) in texts.iter().zip(&whole) {
            assert_eq!(text, hit["text"].as_str().unwrap());
        }
        assert!(pages > 1 || bound == 3_000);
    }
}
