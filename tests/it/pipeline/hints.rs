//! What is told of values that a variable gave, and of what a Chinese or Japanese keyboard types.

use std::path::Path;

use ragstream::answer::Term;
use ragstream::pipeline::{self, Diagnostic, Level};

use super::{errors, parse};

/// The only finding of a text, `V` being a variable.
fn found(text: &str, value: &str) -> Diagnostic {
    let env = |name: &str| ["V", "SECRET_V"].contains(&name).then(|| value.to_owned());
    let errors = pipeline::parse(text, "docs.yaml", Path::new("/"), &env).expect_err(text);
    let errors: Vec<Diagnostic> = errors.iter().cloned().collect();
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    errors[0].clone()
}

#[test]
fn a_value_of_a_variable_is_named_with_the_variable() {
    for (text, value, message) in [
        ("chunk: { by: \"${V:-auto}\" }", "words", "`chunk.by` cannot be `words` of `${V:-auto}`"),
        ("chunk: { by: \"${V}\" }", "段落", "`chunk.by` cannot be `段落` of `${V}`"),
        ("chunk: { by: \"${NONE:-auot}\" }", "", "`chunk.by` cannot be `auot` of `${NONE:-auot}`"),
        ("chunk: { max_tokens: \"${V}\" }", "0", "`chunk.max_tokens` must be at least 1, and `${V}` is `0`"),
        (
            "providers: { openai: { timeout: \"${V}\" } }",
            "soon",
            "`providers.openai.timeout` is not a time; write `500ms`, `60s`, `5m` or `1h`, and `${V}` is `soon`",
        ),
        ("embed: { model: \"${V}\" }", "emb", "`emb` of `${V}` is not `provider/model`"),
        ("name: ${V}", "a b", "`a b` of `${V}`: not a name"),
    ] {
        assert_eq!(found(text, value).message, message);
    }
    // What may be a secret is told by its variable alone.
    for (text, value) in [
        ("chunk: { by: \"${SECRET_V}\" }", "hunter2"),
        ("chunk: { by: \"${V}\" }", "sk-hunter2"),
        ("embed: { model: \"${V}\" }", "0123456789abcdefhunter20123456789"),
        ("chunk: { max_tokens: \"${SECRET_V}\" }", "hunter2"),
        ("providers: { openai: { base_url: \"${V}\" } }", "ftp://ada:hunter2@x.example"),
    ] {
        let error = found(text, value);
        assert!(!format!("{error} {:?}", error.hint).contains("hunter2"), "{error} {:?}", error.hint);
        assert!(error.message.contains("${") || error.message.contains("must be"), "{error}");
    }
}

#[test]
fn what_is_full_width_is_named_with_what_to_write() {
    for (text, hint) in [
        ("chunk: { max_tokens: ４００ }", "write `400`"),
        ("chunk: { max_tokens:\u{a0}400 }", "no-break space"),
        ("chunk:\n\u{a0}\u{a0}max_tokens: 400", "no-break space"),
        ("providers: { openai: { timeout: ６０ｓ } }", "write `60s`"),
        ("sources: [{ files: { paths: [a], max_bytes: ５０ＭＢ } }]", "write `50MB`"),
        ("chunk: { by: ａｕｔｏ }", "write `auto`"),
        ("embed: { model: openai／text-embedding-3-small }", "its `／` is full-width: write `/`"),
        ("query: { retrieve: { where: [lang＝zh] } }", "its `＝` is full-width: write `=`"),
        ("query: { retrieve: { where: [修改时间≥2026-01-01] } }", "its `≥` is full-width: write `>=`"),
    ] {
        let errors = errors(&format!("version: 1\n{text}\n"));
        let hints: Vec<_> = errors.iter().filter_map(|error| error.hint.as_deref()).collect();
        assert!(hints.iter().any(|told| told.contains(hint)), "{text}: {errors:?}");
    }
    let term = "path＝docs/**".parse::<Term>().unwrap_err();
    assert!(term.hint.contains("write `=`"), "{}", term.hint);
}

#[test]
fn a_full_width_comma_between_paths_is_warned_of_unless_the_path_is_there() {
    let warned = |text: &str| {
        let warnings = parse(text).unwrap().warnings;
        assert!(warnings.iter().all(|warning| warning.level == Level::Warning));
        warnings.iter().filter(|warning| warning.message.contains("is one path, and nothing is there")).count()
    };
    assert_eq!(warned("sources: [\"./说明，./笔记\"]"), 1);
    assert_eq!(warned("sources:\n- ./说明、./笔记\n"), 1);
    assert_eq!(warned("sources: [\"./a,./b\", ./说明]"), 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("甲，乙");
    std::fs::create_dir(&path).unwrap();
    assert_eq!(warned(&format!("sources: [\"{}\"]", path.display())), 0);
}

#[test]
fn numbers_that_are_none_of_this_machines_are_too_large_or_too_small() {
    let huge = "9".repeat(26);
    for (text, message) in [
        (format!("chunk: {{ max_tokens: {huge} }}"), "`chunk.max_tokens` is too large a number"),
        (format!("chunk: {{ max_tokens: -{huge} }}"), "`chunk.max_tokens` must be at least 1"),
    ] {
        let errors = errors(&text);
        assert!(errors[0].message.starts_with(message) || errors[0].message.contains("must be at most"), "{errors:?}");
    }
    assert!(errors("chunk: { max_tokens: 4.5 }")[0].message.contains("must be a whole number, not a number"));
}

#[test]
fn merge_keys_and_old_names_of_buckets_are_explained() {
    let errors = errors("chunk: &c { by: auto }\nembed: { <<: *c }\n");
    assert!(errors[0].hint.as_deref().unwrap().contains("a whole value; allowed here:"), "{errors:?}");
    #[cfg(feature = "s3")]
    {
        let old = parse("sources: [{ s3: { bucket: Ab_C, region: eu-west-1, anonymous: true } }]").unwrap().warnings;
        assert!(old[0].hint.as_deref().unwrap().contains("3 to 63 small letters, digits, `-` and `.`"), "{old:?}");
        assert!(
            parse("sources: [{ s3: { bucket: ab-c.d, region: eu-west-1, anonymous: true } }]").unwrap().warnings.is_empty()
        );
    }
}

#[test]
fn a_folder_in_place_of_a_pipeline_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("文档")).unwrap();
    let error = pipeline::find("文档", folder.path()).unwrap_err();
    assert!(error.message.contains("`文档` is a folder"), "{error}");
    assert!(error.hint.as_deref().unwrap().contains("`ingest 文档`"), "{error}");
}
