//! The schema and the door say the same, of the pipelines that are shipped and of any text at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ragstream::pipeline;
use ragstream::source::SourcePlan;
use ragstream::vectordb::StorePlan;

use super::{EXAMPLE, env, errors, parse, told};

/// A text as an editor sees it: YAML's values, variables not filled in.
fn values(text: &str) -> Option<serde_json::Value> {
    serde_saphyr::from_str(text).ok()
}

fn shipped() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_shipped_pipelines_are_valid() {
    let shipped = shipped();
    let names: Vec<_> = shipped.keys().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["bucket", "default", "ollama", "openai", "postgres", "qdrant", "website"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let lantern = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lantern");
    for path in shipped.keys() {
        let loaded = pipeline::load(path, &env).unwrap_or_else(|errors| panic!("{}", errors.render(false, 100)));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        match &loaded.plan.sources[0] {
            SourcePlan::Files(files) => assert_eq!(files.paths, std::slice::from_ref(&lantern)),
            SourcePlan::Web(web) => assert_eq!(web.urls[0].as_str(), "https://docs.example.org/"),
            SourcePlan::Sql(table) => assert_eq!(table.prefix(), "https://shop.example/items/"),
            SourcePlan::S3(bucket) => assert_eq!(bucket.root(), "s3://handbook/docs/"),
            other => panic!("{other:?}"),
        }
    }
    let plan = |name: &str| pipeline::load(&folder.join(format!("{name}.yaml")), &env).unwrap().plan;
    assert_eq!(plan("openai").query.model.unwrap().to_string(), "openai/gpt-5.4-mini");
    assert_eq!(plan("ollama").embed.query_prefix.unwrap(), "search_query: ");
    assert!(matches!(plan("qdrant").store, StorePlan::Qdrant { .. }));
    assert!(matches!(plan("default").store, StorePlan::Embedded { .. }));
    // Without its key, the one that needs a key says where to get one.
    let errors = pipeline::load(&folder.join("openai.yaml"), &|_| None).unwrap_err();
    assert_eq!(errors.count(), 1);
    assert!(errors.to_string().contains("`OPENAI_API_KEY` is not set: create one at"), "{errors}");
}

#[test]
fn the_schema_accepts_what_the_door_accepts() {
    let schema = pipeline::schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let good =
        ["version: 1", EXAMPLE, "chunk:\nstore: {edge: }\nsources: [docs]", "chunk: {max_tokens: \"${N:-1}\", by: \"${B}\"}"];
    for text in shipped().values().map(String::as_str).chain(good) {
        let problems: Vec<_> = values(text).map(|file| validator.iter_errors(&file).map(|e| e.to_string()).collect()).unwrap();
        assert!(problems.is_empty(), "{problems:?} in\n{text}");
    }
    for text in [
        "version: 2",
        "nmae: x",
        "name: [a]",
        "name: 2024",
        "sources: ./docs",
        "sources: [{}]",
        "sources: [{files: {}}]",
        "sources: [{files: {paths: []}}]",
        "sources: [{files: {paths: [a], max_bytes: 50XB}}]",
        "sources: [{web: {}}]",
        "chunk: {max_tokens: 0}",
        "chunk: {by: pages}",
        "chunk: {tokenizer: gpt2}",
        "embed: {overlap: 4}",
        "embed: {dimensions: wide}",
        "query: {answer: {temperature: 2.5}}",
        "query: {retrieve: {mode: fuzzy}}",
        "providers: {openai: {timeout: 60}}",
        "providers: {openai: {kind: opnai}}",
        "providers: {openai: {limits: {rpm: 0}}}",
        "store: {edge: {}, qdrant: {}}",
        "store: {redis: {}}",
    ] {
        assert!(!validator.is_valid(&values(text).unwrap()), "the schema accepts {text}");
        assert_eq!(errors(text).len(), 1, "{text}: {:?}", told(text));
    }
}

#[test]
fn the_committed_schema_is_the_programs_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/schema.json");
    let committed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(committed == pipeline::schema(), "write it anew: ragstream schema > pipelines/schema.json");
}

/// Texts that look like pipeline files: the example, torn apart and put together wrongly.
fn mutilated() -> impl Strategy<Value = String> {
    let pieces: Vec<String> = EXAMPLE.split_inclusive([' ', ':', ',', '\n', '{', '}', '[', ']']).map(str::to_owned).collect();
    let odd = [
        "&a ",
        "*a ",
        "- ",
        "? ",
        "|\n",
        ">\n  ",
        "---\n",
        "\t",
        "\"",
        "'",
        "${",
        "}",
        "~",
        "!!",
        "\u{feff}",
        "\u{0}",
        "é",
        "-1",
        "1e400",
        "99999999999999999999",
    ];
    let odd = proptest::sample::select(odd.map(str::to_owned).to_vec());
    (0..pieces.len(), 0..pieces.len(), proptest::collection::vec((any::<proptest::sample::Index>(), odd), 0..6)).prop_map(
        move |(from, to, edits)| {
            let mut text = pieces.clone();
            text.drain(from.min(to)..from.max(to));
            for (at, odd) in edits {
                let at = at.index(text.len() + 1);
                text.insert(at, odd);
            }
            text.concat()
        },
    )
}

fn survives(text: &str) {
    if let Err(errors) = parse(text) {
        assert!(errors.count() > 0);
        for error in &errors {
            assert!(!error.message.contains("the schema let something through"), "{text:?}");
            let place = error.place.as_ref().unwrap();
            assert!(text.get(place.span.clone()).is_some(), "{place:?} cuts a character of {text:?}");
            let line = text.split('\n').nth(place.line - 1).unwrap_or_else(|| panic!("no line {} in {text:?}", place.line));
            assert!(place.column <= line.chars().count() + 1, "{place:?} in {text:?}");
        }
        let rendered = errors.render(false, 80);
        assert!(!rendered.contains(['\u{1b}', '\u{0}']));
        assert!(rendered.contains("docs.yaml:"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        survives(&text.replace('\r', "\n"));
    }

    #[test]
    fn no_mutilated_file_panics(text in mutilated()) {
        survives(&text);
    }

    #[test]
    fn what_the_door_accepts_the_schema_accepts(text in mutilated()) {
        if let (Ok(_), Some(file)) = (parse(&text), values(&text)) {
            let schema = pipeline::schema();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let problems: Vec<_> = validator.iter_errors(&file).map(|problem| problem.to_string()).collect();
            prop_assert!(problems.is_empty(), "{:?}", problems);
        }
    }

    #[test]
    fn no_value_of_a_variable_changes_the_structure(value in any::<String>()) {
        let env = |name: &str| (name == "V").then(|| value.clone());
        let text = "embed: {model: local/potion-base-8m, query_prefix: \"${V}\"}\nchunk: {overlap: 1}\n";
        if value.chars().count() <= 4096 {
            let plan = pipeline::parse(text, "x.yaml", Path::new("/"), &env).unwrap().plan;
            // Also an empty one, which switches off what is usual.
            prop_assert_eq!(plan.embed.query_prefix, Some(value));
            prop_assert_eq!(plan.chunk.overlap, 1);
        }
    }
}
