//! The local models, with their real weights: known answers, limits, and where the files come from.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use ragstream::providers::Secret;
use ragstream::providers::local::{Hub, embedder, load};
use ragstream::providers::{Embedder, ErrorKind, InputType, ProviderError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::installed::{MODELS, PUBLISHED, cache_with_models};

mod cross;
mod multilingual;

const POTION: &str = MODELS[0].0;
const MINILM: &str = MODELS[1].0;
const E5: &str = MODELS[2].0;
const USE: &str = MODELS[3].0;

async fn model(name: &str) -> Arc<dyn Embedder> {
    embedder(name, &cache_with_models()).await.unwrap()
}

async fn vectors(model: &dyn Embedder, texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    let vectors = model.embed(&texts, InputType::Passage).await.unwrap().vectors;
    assert_eq!(vectors.len(), texts.len());
    for vector in &vectors {
        assert_eq!(vector.len(), model.dimensions().await.unwrap());
        assert!((dot(vector, vector) - 1.0).abs() < 1e-5, "not a unit vector");
    }
    vectors
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The last two are for the models that read them.
fn texts() -> [String; 8] {
    [
        "How do I rotate a key?".into(),
        "Key rotation replaces a secret with a new version.".into(),
        "The cat slept on the warm windowsill all afternoon.".into(),
        "密钥轮换会用新版本替换旧密钥。".into(),
        "fn main() { println!(\"{}\", 6 * 7); }".into(),
        format!("Naïve café — 50 % off! {}", "A long paragraph about storage, retrieval and ranking. ".repeat(12)),
        // Forms that are one letter or many, blanks of every kind, what looks like a token's name, what no vocabulary has.
        "ｶﾞ ﬁ ½ ① 𝒜𝓑 e\u{301}te\u{301} \u{200b}  Å\u{3000}x\t▁ <s> 🦀🦀".into(),
        "Как сменить ключ подписи на сервере?".into(),
    ]
}

/// The first components of the vectors of the first texts.
async fn assert_known<const N: usize>(name: &str, precision: f32, known: [[f32; 8]; N]) {
    let texts = texts();
    let texts = &texts[..N];
    let found = vectors(&*model(name).await, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for ((text, vector), known) in texts.iter().zip(&found).zip(known) {
        for (found, known) in vector.iter().zip(known) {
            assert!((found - known).abs() < precision, "{text}: {:?}, not {known:?}", &vector[..8]);
        }
    }
}

/// The first eight components, by an independent implementation in numpy and float64: the mean of the rows of `embeddings` for the
/// tokens (`tokenizers` of Python, no special tokens, `[UNK]` left out), divided by its length.
#[tokio::test]
async fn potion_gives_the_known_vectors() {
    assert_known(
        POTION,
        1e-4,
        [
            [-0.130_874, 0.159_757, -0.149_544, -0.264_054, 0.082_174, 0.003_610, 0.051_719, 0.008_915],
            [-0.063_342, 0.200_151, -0.155_529, -0.222_035, 0.039_699, -0.015_175, -0.084_700, 0.011_981],
            [-0.103_708, -0.056_325, 0.005_924, 0.000_100, -0.101_378, 0.264_277, 0.058_091, -0.084_682],
            [0.016_495, 0.042_615, -0.360_509, -0.017_575, 0.179_644, 0.133_272, 0.157_370, -0.009_242],
            [0.160_209, -0.011_862, -0.102_522, -0.070_837, 0.311_660, 0.068_895, 0.231_642, -0.141_506],
            [0.096_238, 0.273_378, -0.047_445, -0.056_215, 0.083_460, 0.016_618, -0.030_781, -0.170_714],
        ],
    )
    .await;
}

/// The first eight components, by an independent implementation in numpy and float64: BERT as published, `math.erf` in the GELU,
/// the mean over all tokens (`tokenizers` of Python, with `[CLS]` and `[SEP]`, no padding), divided by its length.
#[tokio::test]
async fn minilm_gives_the_known_vectors() {
    assert_known(
        MINILM,
        1e-3,
        [
            [0.015_045, 0.022_563, -0.103_514, -0.035_776, -0.087_981, 0.048_721, 0.015_699, 0.022_794],
            [-0.086_288, 0.012_548, -0.005_794, -0.043_323, 0.017_057, 0.002_015, -0.035_259, -0.081_275],
            [0.105_276, 0.052_701, 0.017_131, 0.148_109, -0.028_490, -0.029_064, 0.018_433, -0.001_491],
            [0.041_285, 0.101_953, -0.010_949, -0.023_889, 0.011_782, 0.059_725, 0.085_486, 0.076_231],
            [-0.006_770, 0.065_679, -0.081_639, 0.026_949, -0.060_671, 0.017_241, -0.014_660, 0.091_051],
            [0.007_221, 0.022_098, -0.004_762, 0.047_497, 0.030_579, 0.025_044, 0.003_338, -0.044_176],
        ],
    )
    .await;
}

#[tokio::test]
async fn related_texts_are_nearer() {
    let texts =
        ["How can I change my password?", "Steps to reset a forgotten login secret.", "Tomatoes want six hours of sun."];
    for name in [POTION, MINILM] {
        let found = vectors(&*model(name).await, &texts).await;
        let (related, unrelated) = (dot(&found[0], &found[1]), dot(&found[0], &found[2]));
        assert!(related > unrelated + 0.1, "{name}: {related} and {unrelated}");
    }
}

#[tokio::test]
async fn a_batch_gives_what_single_calls_give_in_order() {
    let texts: Vec<String> = (1..30).map(|n| format!("Number {n}: {}", "words and more words ".repeat(n % 11))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (name, _) in MODELS {
        let model = model(name).await;
        for (text, together) in texts.iter().zip(vectors(&*model, &texts).await) {
            let alone = &vectors(&*model, &[text]).await[0];
            assert!(alone.iter().zip(&together).all(|(a, b)| (a - b).abs() < 1e-5), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn no_input_gives_no_vectors() {
    for (name, _) in MODELS {
        assert!(vectors(&*model(name).await, &[]).await.is_empty());
    }
}

#[tokio::test]
async fn minilm_refuses_what_it_would_have_to_cut() {
    let model = model(MINILM).await;
    assert_eq!(model.limits().input_tokens, 256);
    // One token a word, and two that the tokenizer adds.
    let fits = "word ".repeat(254);
    assert_eq!(model.count_tokens(&fits), Some(256));
    assert_eq!(model.embed(std::slice::from_ref(&fits), InputType::Passage).await.unwrap().tokens, Some(256));
    let too_long = "word ".repeat(255);
    assert_eq!(model.count_tokens(&too_long), Some(257));
    let error = model.embed(&[fits, too_long], InputType::Passage).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("257"), "{error}");
}

#[tokio::test]
async fn potion_reads_long_texts_to_their_end() {
    let model = model(POTION).await;
    let start = "storage and retrieval ".repeat(2000);
    let texts = [format!("{start} {}", "volcano ".repeat(3000)), format!("{start} {}", "ballet ".repeat(3000))];
    let found = vectors(&*model, &[&texts[0], &texts[1]]).await;
    assert!(dot(&found[0], &found[1]) < 0.9, "the ends were not read");
}

#[tokio::test]
async fn a_text_without_a_known_token_still_has_a_direction() {
    let potion = model(POTION).await;
    let found = vectors(&*potion, &["🦀🦀", " \n", "𓀀 𓀁", "a crab"]).await;
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    assert_ne!(found[0], found[3]);
    vectors(&*model(MINILM).await, &["🦀🦀", " \n", "[SEP] [CLS]", &"x".repeat(5000)]).await;
}

#[tokio::test]
async fn a_model_is_loaded_once() {
    let cache = cache_with_models();
    let (a, b) = tokio::join!(embedder(POTION, &cache), embedder("POTION-BASE-8m", &cache));
    assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
    assert_eq!(embedder("potion", &cache).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn fingerprints_tell_models_apart() {
    assert_eq!(model(POTION).await.fingerprint().as_str(), "local/potion-base-8m/256");
    assert_eq!(model(MINILM).await.fingerprint().as_str(), "local/all-minilm-l6-v2/384");
    assert_eq!(model(E5).await.fingerprint().as_str(), "local/multilingual-e5-small-q4/384");
    assert_eq!(model(USE).await.fingerprint().as_str(), "local/use-multilingual-v3/512");
}

/// How a hub of the tests answers.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Right,
    OneBitWrong,
    TooLong,
    TooShort,
    Refused,
}

/// A hub on a port of its own, which serves the files of the real cache. It ends with the value.
struct TestHub {
    hub: Hub,
    requests: Arc<AtomicUsize>,
    authorization: Arc<Mutex<Option<String>>>,
    _server: JoinSet<()>,
}

type HubState = (Answer, Arc<AtomicUsize>, Arc<Mutex<Option<String>>>);

async fn serve(
    State((answer, requests, authorization)): State<HubState>,
    UrlPath((_owner, model, revision, file)): UrlPath<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Vec<u8>, StatusCode> {
    assert_eq!(revision.len(), 40);
    requests.fetch_add(1, Ordering::SeqCst);
    *authorization.lock().unwrap() = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let mut contents = tokio::fs::read(cache_with_models().join("models").join(model).join(file)).await.unwrap();
    match answer {
        Answer::Right => {}
        Answer::OneBitWrong => *contents.last_mut().unwrap() ^= 1,
        Answer::TooLong => contents.push(0),
        Answer::TooShort => drop(contents.pop()),
        Answer::Refused => return Err(StatusCode::FORBIDDEN),
    }
    Ok(contents)
}

async fn hub(answer: Answer) -> TestHub {
    let (requests, authorization) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Option<String>>>::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/{owner}/{model}/resolve/{revision}/{file}", get(serve)).with_state((
        answer,
        Arc::clone(&requests),
        Arc::clone(&authorization),
    ));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    TestHub { hub: Hub::new(endpoint, Some(Secret::new("hf_secret"))), requests, authorization, _server: server }
}

/// Nothing listens there.
async fn no_hub() -> Hub {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Hub::new(format!("http://{}", listener.local_addr().unwrap()), None)
}

/// A cache of its own with all the files of potion but one.
fn cache_without(missing: &str) -> (tempfile::TempDir, PathBuf) {
    let own = tempfile::tempdir().unwrap();
    let folder = own.path().join("models").join(POTION);
    std::fs::create_dir_all(&folder).unwrap();
    for file in PUBLISHED.into_iter().filter(|file| *file != missing) {
        std::fs::copy(cache_with_models().join("models").join(POTION).join(file), folder.join(file)).unwrap();
    }
    (own, folder)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_missing(error: &ProviderError, message: &str) {
    assert_eq!(error.kind, ErrorKind::ModelMissing);
    assert!(error.is_fatal());
    assert!(error.message.contains(message), "{error}");
    assert!(error.hint.as_ref().unwrap().contains("scripts/models"));
}

#[tokio::test]
async fn missing_files_are_fetched_once_with_progress() {
    let own = tempfile::tempdir().unwrap();
    let test = hub(Answer::Right).await;
    let (progress, mut seen) = watch::channel(None);
    let mut from = test.hub.clone();
    from.progress = Some(progress);
    let watcher = async {
        let mut last = None;
        while seen.changed().await.is_ok() {
            if let Some(download) = seen.borrow_and_update().clone() {
                assert!(download.received <= download.total && download.model == POTION);
                last = Some(download);
            }
        }
        last
    };
    let loading = async {
        let loaded = load(POTION, own.path(), &from).await;
        drop(from);
        loaded
    };
    let (loaded, last) = tokio::join!(loading, watcher);
    let loaded = loaded.unwrap();
    assert_eq!(last.unwrap().file, "config.json");
    assert_eq!(test.requests.load(Ordering::SeqCst), 3);
    assert_eq!(test.authorization.lock().unwrap().as_deref(), Some("Bearer hf_secret"));
    assert_eq!(names(&own.path().join("models").join(POTION)), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(vectors(&*loaded, &["a key"]).await, vectors(&*model(POTION).await, &["a key"]).await);

    load(POTION, own.path(), &no_hub().await).await.unwrap();
}

#[tokio::test]
async fn two_loads_at_once_do_not_disturb_each_other() {
    let own = tempfile::tempdir().unwrap();
    let test = hub(Answer::Right).await;
    let (a, b) = tokio::join!(load(POTION, own.path(), &test.hub), load(POTION, own.path(), &test.hub));
    assert_eq!(vectors(&*a.unwrap(), &["a key"]).await, vectors(&*b.unwrap(), &["a key"]).await);
    assert_eq!(names(&own.path().join("models").join(POTION)), ["config.json", "model.safetensors", "tokenizer.json"]);
}

#[tokio::test]
async fn only_old_remains_of_downloads_are_removed() {
    let (own, folder) = cache_without("config.json");
    let day = std::time::Duration::from_hours(24);
    for (name, age) in
        [(".model.safetensors.1-2.part", 2 * day), (".model.safetensors.3-4.part", day / 2), ("mine.part", 2 * day)]
    {
        let file = std::fs::File::create(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    load(POTION, own.path(), &hub(Answer::Right).await.hub).await.unwrap();
    let expected = [".model.safetensors.3-4.part", "config.json", "mine.part", "model.safetensors", "tokenizer.json"];
    assert_eq!(names(&folder), expected);
}

#[tokio::test]
async fn without_a_hub_the_error_says_what_to_do() {
    let own = tempfile::tempdir().unwrap();
    for name in [POTION, MINILM] {
        let error = load(name, own.path(), &no_hub().await).await.unwrap_err();
        assert_missing(&error, "model.safetensors is not there");
        assert!(error.hint.unwrap().contains(own.path().to_str().unwrap()));
        assert!(error.source.unwrap().to_string().contains("cannot fetch http://127.0.0.1"));
    }
    let error = load(POTION, own.path(), &Hub::new("not an address", None)).await.unwrap_err();
    assert_missing(&error, "is not there");
    assert!(error.source.unwrap().to_string().contains("not an address"));
}

#[tokio::test]
async fn a_damaged_file_is_replaced_where_there_is_a_hub_and_named_where_there_is_none() {
    let (own, folder) = cache_without("");
    let path = folder.join("model.safetensors");
    let mut contents = std::fs::read(&path).unwrap();
    let middle = contents.len() / 2;
    contents[middle] ^= 0x40;
    std::fs::write(&path, &contents).unwrap();
    let error = load(POTION, own.path(), &no_hub().await).await.unwrap_err();
    assert_missing(&error, "model.safetensors is damaged: it has SHA-256");

    std::fs::write(&path, &contents[..middle]).unwrap();
    let error = load(POTION, own.path(), &no_hub().await).await.unwrap_err();
    assert_missing(&error, "it has 15118380 bytes and should have 30236760");

    let test = hub(Answer::Right).await;
    load(POTION, own.path(), &test.hub).await.unwrap();
    assert_eq!(test.requests.load(Ordering::SeqCst), 1);
    load(POTION, own.path(), &no_hub().await).await.unwrap();
}

#[tokio::test]
async fn what_a_hub_sends_is_not_believed() {
    for (answer, why) in [
        (Answer::OneBitWrong, "SHA-256"),
        (Answer::TooLong, "more than the 683666 bytes"),
        (Answer::TooShort, "683665 bytes"),
        (Answer::Refused, "403"),
    ] {
        let (own, folder) = cache_without("tokenizer.json");
        let test = hub(answer).await;
        let error = load(POTION, own.path(), &test.hub).await.unwrap_err();
        assert_missing(&error, "tokenizer.json is not there");
        assert_eq!(error.status, matches!(answer, Answer::Refused).then_some(403));
        let source = error.source.unwrap().to_string();
        assert!(source.contains(why), "{answer:?}: {source}");
        assert_eq!(names(&folder), ["config.json", "model.safetensors"], "{answer:?} left something behind");
    }
}
