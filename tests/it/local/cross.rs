//! Cross-encoders in process, beside what `transformers` scores. The two of `cross/` are drawn by chance: see
//! `scripts/cross-encoders`, which made them and the scores. One has its weights in single, the other in half precision.

use std::time::Duration;

use axum::http::Uri;
use proptest::prelude::*;
use ragstream::providers::local::{RERANKERS, reranker};
use ragstream::providers::{Price, Reranker};
use serde_json::Value;

use super::*;
use crate::project::Project;

const FOLDERS: [&str; 2] = ["bert", "xlm-roberta"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/local/cross").join(name)
}

fn in_folder(path: &Path) -> Arc<dyn Reranker> {
    reranker(path.to_str().unwrap(), Path::new("unused"), &Hub::new("unused", None)).unwrap()
}

/// A question, a passage, and their score.
struct Scored {
    question: String,
    passage: String,
    score: f32,
    windows: u64,
}

fn reference(name: &str) -> Vec<Scored> {
    let scores: Value = serde_json::from_slice(&std::fs::read(folder(name).join("scores.json")).unwrap()).unwrap();
    let text = |pair: &Value, key: &str| pair[key].as_str().unwrap().to_owned();
    let scored = scores.as_array().unwrap().iter().map(|pair| Scored {
        question: text(pair, "question"),
        passage: text(pair, "passage"),
        score: pair["score"].as_f64().unwrap() as f32,
        windows: pair["windows"].as_u64().unwrap(),
    });
    scored.collect()
}

async fn scores(model: &dyn Reranker, question: &str, passages: &[String]) -> Vec<f32> {
    model.rerank(question, passages).await.unwrap().scores
}

#[tokio::test]
async fn scores_are_those_of_the_reference() {
    for name in FOLDERS {
        let (model, reference) = (in_folder(&folder(name)), reference(name));
        assert!(reference.iter().filter(|pair| pair.windows > 1).count() > 5, "{name}: nothing is too long");
        for same in reference.chunk_by(|a, b| a.question == b.question) {
            let passages: Vec<String> = same.iter().map(|pair| pair.passage.clone()).collect();
            for (pair, score) in same.iter().zip(scores(&*model, &same[0].question, &passages).await) {
                let (question, passage) = (&pair.question, &pair.passage);
                assert!((score - pair.score).abs() < 1e-4, "{name}: {question:?}, {passage:?}: {score}, not {}", pair.score);
            }
        }
    }
}

#[tokio::test]
async fn a_batch_of_any_size_gives_what_single_calls_give_in_order() {
    for name in FOLDERS {
        let (model, reference) = (in_folder(&folder(name)), reference(name));
        let question = &reference[0].question;
        let passages: Vec<String> = reference.iter().map(|pair| pair.passage.clone()).collect();
        let mut alone = Vec::new();
        for passage in &passages[passages.len() - 33..] {
            alone.extend(scores(&*model, question, std::slice::from_ref(passage)).await);
        }
        for size in 0..=33 {
            let together = scores(&*model, question, &passages[passages.len() - 33..][..size]).await;
            assert_eq!(together.len(), size);
            for (at, (a, b)) in together.iter().zip(&alone).enumerate() {
                assert!((a - b).abs() < 1e-5, "{name}: {at} of {size}: {a}, not {b}");
            }
        }
    }
}

/// The windows of a passage that says the same all over are as good as one of them.
#[tokio::test]
async fn a_long_passage_is_read_to_its_end() {
    for name in FOLDERS {
        let model = in_folder(&folder(name));
        let (start, end) = ("the cafeteria opens at eight ".repeat(30), "备份每晚写入第二个区域".repeat(8));
        let [cut, whole] = [start.clone(), format!("{start}{end}")];
        let reranked = model.rerank("备份", &[cut, whole]).await.unwrap();
        assert!((reranked.scores[0] - reranked.scores[1]).abs() > 1e-3, "{name}: the end was not read");
        assert!(reranked.tokens.unwrap() > 400, "{name}: {:?}", reranked.tokens);
    }
}

#[tokio::test]
async fn it_costs_nothing_and_says_its_name() {
    let path = folder("bert");
    let model = in_folder(&path);
    assert_eq!((model.model(), model.price()), (format!("local/{}", path.display()).as_str(), Some(Price::FREE)));
    model.prepare().await.unwrap();
}

/// A model of one's own whose files are made so.
fn changed(name: &str, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    for file in PUBLISHED {
        std::fs::copy(folder(name).join(file), own.path().join(file)).unwrap();
    }
    change(own.path());
    own
}

/// The error, with its cause, of a model that cannot be used.
async fn refused(own: &tempfile::TempDir) -> String {
    let error = in_folder(own.path()).prepare().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ModelMissing, "{error}");
    assert!(error.message.contains(own.path().to_str().unwrap()), "{error}");
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}

#[tokio::test]
async fn files_that_are_missing_or_wrong_are_told() {
    for name in FOLDERS {
        for file in PUBLISHED {
            let told = refused(&changed(name, |own| std::fs::remove_file(own.join(file)).unwrap())).await;
            assert!(told.contains(&format!("{file} cannot be read")), "{told}");
            for wrong in ["", "{}", "no file of a model"] {
                refused(&changed(name, |own| std::fs::write(own.join(file), wrong).unwrap())).await;
            }
        }
        let config = |from: &str, to: &str| {
            changed(name, |own| {
                let config = std::fs::read_to_string(own.join("config.json")).unwrap();
                assert!(config.contains(from), "{config}");
                std::fs::write(own.join("config.json"), config.replace(from, to)).unwrap();
            })
        };
        for (from, to, why) in [
            ("ForSequenceClassification", "ForMaskedLM", "ForMaskedLM"),
            (r#""gelu""#, r#""silu""#, "silu"),
            (r#""num_hidden_layers": "#, r#""num_hidden_layers": 9"#, "encoder.layer."),
            (r#""num_hidden_layers": "#, r#""num_hidden_layers": 18446744073709551615, "was": "#, "encoder.layer."),
            (r#""num_hidden_layers": "#, r#""num_hidden_layers": 0, "was": "#, "0 layers"),
            (r#""num_attention_heads": "#, r#""num_attention_heads": 18446744073709551615, "was": "#, "heads"),
            (r#""num_attention_heads": "#, r#""num_attention_heads": 4, "was": "#, "4 heads"),
            (r#""hidden_size": "#, r#""hidden_size": 64, "was": "#, "64"),
            (r#""vocab_size": "#, r#""vocab_size": 1000000000000, "was": "#, "word_embeddings"),
            (r#""max_position_embeddings": "#, r#""max_position_embeddings": 9, "was": "#, "position_embeddings"),
            (r#""pad_token_id": "#, r#""pad_token_id": 64, "was": "#, "holds no pair"),
        ] {
            // Only XLM-R counts from the padding.
            if why != "holds no pair" || name == "xlm-roberta" {
                let told = refused(&config(from, to)).await;
                assert!(told.contains(why), "{name}: {to}: {told}");
            }
        }
    }
    for name in FOLDERS {
        let own = changed(name, |own| {
            let config = std::fs::read_to_string(own.join("config.json")).unwrap();
            let two = config.replace(r#""0": "LABEL_0""#, r#""0": "no", "1": "yes""#);
            assert_ne!(two, config);
            std::fs::write(own.join("config.json"), two).unwrap();
        });
        assert!(refused(&own).await.contains("2 labels"));
    }
    let own = changed("xlm-roberta", |own| {
        std::fs::copy(folder("bert").join("tokenizer.json"), own.join("tokenizer.json")).unwrap();
    });
    assert!(refused(&own).await.contains("do not belong together"));
}

#[tokio::test]
async fn numbers_that_are_none_are_no_scores() {
    let own = changed("bert", |own| {
        let mut weights = std::fs::read(own.join("model.safetensors")).unwrap();
        let half = weights.len() / 2;
        weights[half..].fill(0xff);
        std::fs::write(own.join("model.safetensors"), weights).unwrap();
    });
    let error = in_folder(own.path()).rerank("q", &["p".to_owned()]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer);
    assert!(error.message.contains("not finite"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// A file that was cut short, or of which bytes have changed, is an error or still a model; it breaks nothing off.
    #[test]
    fn damaged_files_break_nothing(
        name in prop::sample::select(&FOLDERS[..]),
        file in prop::sample::select(&PUBLISHED[..]),
        cut in prop::option::of(0.0..1.0_f64),
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..4),
        early in any::<bool>(),
    ) {
        let own = changed(name, |own| {
            let path = own.join(file);
            let mut contents = std::fs::read(&path).unwrap();
            // The first thousand bytes say what the others mean.
            let within = if early { contents.len().min(1000) } else { contents.len() } as f64;
            for (at, byte) in changes {
                contents[(at * within) as usize] = byte;
            }
            if let Some(cut) = cut {
                contents.truncate((cut * contents.len() as f64) as usize);
            }
            std::fs::write(path, contents).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let passages = ["密钥 key".to_owned(), String::new(), "word ".repeat(99)];
        match runtime.block_on(in_folder(own.path()).rerank("which key?", &passages)) {
            Ok(reranked) => prop_assert_eq!(reranked.scores.len(), 3),
            Err(error) => prop_assert!(!error.message.contains("broke off"), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_name_that_there_is_not_says_which_there_are() {
    let error = reranker("bge-reranker-base", Path::new("unused"), &Hub::new("unused", None)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.hint.unwrap().contains(RERANKERS[1]));
}

/// No hub is reached by the tests, and no package has these files: what is asked for, and what is said.
#[tokio::test]
async fn published_ones_are_asked_of_the_hub_at_their_revisions() {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(move |uri: Uri| async move {
        told.lock().unwrap().push(uri.path().to_owned());
        // The right start of a file, and no more.
        "not all of it"
    });
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let own = tempfile::tempdir().unwrap();
    for (name, revision) in RERANKERS.iter().zip(["c5ee24c", "1427fd6"]) {
        let model = reranker(&name.to_uppercase(), own.path(), &Hub::new(endpoint.clone(), None)).unwrap();
        let error = model.prepare().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ModelMissing);
        let hint = error.hint.unwrap();
        assert!(hint.contains("HF_ENDPOINT") && hint.contains(revision) && !hint.contains("scripts/models"), "{hint}");
        assert!(hint.contains(own.path().join("models").join(name).to_str().unwrap()), "{hint}");
        let cause = error.source.unwrap().to_string();
        assert!(cause.contains("13 bytes and should have"), "{cause}");
        let path = asked.lock().unwrap().pop().unwrap();
        assert!(path.starts_with("/cross-encoder/") && path.ends_with("/model.safetensors"), "{path}");
        assert!(path.contains(&format!("/resolve/{revision}")), "{path}");
    }
}

/// Groups that have not begun are never computed once nobody waits for them.
#[tokio::test]
async fn what_is_late_is_given_up() {
    let model = in_folder(&folder("xlm-roberta"));
    model.prepare().await.unwrap();
    let passages: Vec<String> = (0..4000).map(|n| format!("{n} 备份每晚写入第二个区域,保留三十天。")).collect();
    let late = tokio::time::timeout(Duration::from_millis(1), model.rerank("备份", &passages)).await;
    assert!(late.is_err());
    // It is ready for the next question.
    assert_eq!(scores(&*model, "key", &["key".to_owned()]).await.len(), 1);
}

/// From a pipeline file, whose folder the model's is relative to, to what `search` shows and `eval` says of it.
#[test]
fn a_pipeline_names_a_folder() {
    let project = Project::new();
    for file in PUBLISHED {
        project.write(&format!("rerankers/mine/{file}"), std::fs::read(folder("xlm-roberta").join(file)).unwrap());
    }
    for (name, text) in
        [("keys", "签名密钥每九十天更换一次。"), ("lunch", "食堂八点开门。"), ("backups", "备份每晚写入第二个区域。")]
    {
        project.write(&format!("set/corpus/{name}.md"), text);
    }
    project.write("set/queries.jsonl", "{\"id\": \"k\", \"text\": \"签名密钥多久更换一次\"}\n");
    project.write("set/qrels.tsv", "query-id\tcorpus-id\tscore\nk\tkeys.md\t1\n");
    let pipeline = |model: &str| {
        let text = format!(
            "version: 1\nname: docs\nsources: [../set/corpus]\nembed: {{ model: local/use-multilingual-v3 }}\n\
             query: {{ retrieve: {{ rerank: {{ model: {model}, deadline: 1m }} }} }}\n"
        );
        project.write("pipelines/docs.yaml", text);
    };
    pipeline("local/../rerankers/mine");
    project.run(&["ingest", "-p", "docs"]).expect_code(0);
    let found = project.run(&["search", "-p", "docs", "--json", "签名密钥多久更换一次"]).expect_code(0).of_type("hit");
    let scores: Vec<f64> = found.iter().map(|hit| hit["legs"]["rerank"]["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a > b), "{found:?}");
    let told = project.run(&["eval", "set", "--compare", "pipelines/docs.yaml", "--json"]).expect_code(0);
    let told = told.of_type("reranker").remove(0);
    assert_eq!((&told["cost_usd_per_query"], &told["unranked"]), (&0.0.into(), &0.into()), "{told}");

    pipeline("local/../rerankers/yours");
    let ended = project.run(&["search", "-p", "docs", "密钥"]).expect_code(2);
    assert!(ended.stderr.contains("rerankers/yours"), "{}", ended.stderr);
    let (_, path) = ended.stderr.split_once("there is no folder ").unwrap();
    assert!(!path.lines().next().unwrap().contains(".."), "a path is tidy: {}", ended.stderr);
}
