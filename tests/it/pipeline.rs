//! Pipeline files through the real door: good ones, bad ones, and any text at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use ragstream::answer::{Duplicates, FusionPlan, RetrieveMode};
use ragstream::pipeline::{self, Diagnostic, Diagnostics, Level, Loaded, Plan, Purpose};
use ragstream::providers::{ModelRef, ProviderKind, Secret};
use ragstream::source::{FilesPlan, SourcePlan};
use ragstream::vectordb::{Ordering, Spread, StorePlan};

/// The contract's example, with one store.
const EXAMPLE: &str = r#"version: 1
name: docs                                  # default: the file's name

providers:                                  # named connections that stages refer to
  openai:
    kind: openai                            # openai (any compatible server too)
    base_url: https://api.openai.com/v1     # default: the vendor's
    api_key: ${OPENAI_API_KEY}
    limits: { rpm: 3000, tpm: 1000000, concurrency: 64 }   # all optional
    timeout: 60s
    retry: { attempts: 6, budget: 5m }

sources:
  - files: { paths: [./docs], include: ["**/*.md"], exclude: ["**/draft/**"], max_bytes: 50MB }

chunk: { by: auto, max_tokens: 400, overlap: 40, tokenizer: o200k_base }

embed:
  model: openai/text-embedding-3-small      # provider/model
  dimensions: 512
  batch: { items: 256, tokens: 100000 }

store:
  qdrant: { url: "http://localhost:6334", api_key: "${QDRANT_API_KEY:-}", collection: docs }

query:
  retrieve: { limit: 8, mode: hybrid }      # hybrid | dense | sparse
  answer: { model: anthropic/claude-sonnet-4-5, max_tokens: 1024, temperature: 0, prompt: default }
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-secret".to_owned()),
        "KEY" => Some("hunter2".to_owned()),
        "RPM" => Some("250".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("aws-secret".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Loaded, Diagnostics> {
    pipeline::parse(text, "docs.yaml", Path::new("/base"), &env)
}

fn plan(text: &str) -> Plan {
    parse(text).unwrap_or_else(|errors| panic!("{}", errors.render(false, 100))).plan
}

fn files_of(plan: &SourcePlan) -> &FilesPlan {
    match plan {
        SourcePlan::Files(files) => files,
        plan => panic!("{plan:?}"),
    }
}

fn errors(text: &str) -> Vec<Diagnostic> {
    parse(text).err().map(|errors| errors.iter().cloned().collect()).unwrap_or_default()
}

/// `line:column message`, for each.
fn told(text: &str) -> Vec<String> {
    let place = |found: &Diagnostic| found.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
    errors(text).iter().map(|found| format!("{}:{} {}", place(found).0, place(found).1, found.message)).collect()
}

/// The text above the carets of a rendered error.
fn underlined(rendered: &str) -> String {
    let lines: Vec<&str> = rendered.lines().collect();
    let below = lines.iter().position(|line| line.contains('^') && line.trim_matches([' ', ':', '^']).is_empty());
    let below = below.unwrap_or_else(|| panic!("no caret in\n{rendered}"));
    let carets = lines[below].chars().enumerate().filter(|(_, c)| *c == '^').map(|(at, _)| at);
    let above: Vec<char> = lines[below - 1].chars().collect();
    carets.map(|at| above.get(at).copied().unwrap_or(' ')).collect()
}

#[test]
fn the_contracts_example_is_what_it_says() {
    let Loaded { plan, warnings } = parse(EXAMPLE).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(plan.name, "docs");
    let openai = &plan.providers["openai"];
    assert_eq!(openai.api_key, Some(Secret::new("sk-secret")));
    assert_eq!((openai.limits.rpm, openai.limits.tpm, openai.limits.concurrency), (Some(3000), Some(1_000_000), Some(64)));
    assert_eq!((openai.timeout, openai.retry.budget), (Duration::from_mins(1), Duration::from_mins(5)));
    let files = files_of(&plan.sources[0]);
    assert_eq!(files.paths, [PathBuf::from("/base/docs")]);
    assert!(files.include.is_match("a/b.md") && !files.include.is_match("a/b.txt"));
    assert!(files.exclude.is_match("x/draft/b.md"));
    assert_eq!(files.max_bytes, 50_000_000);
    assert_eq!((plan.chunk.max_tokens.get(), plan.chunk.overlap), (400, 40));
    assert_eq!(plan.embed.model.to_string(), "openai/text-embedding-3-small");
    assert_eq!((plan.embed.dimensions, plan.embed.batch_items.map(Into::into)), (Some(512), Some(256_usize)));
    let StorePlan::Qdrant { url, api_key, collection, .. } = &plan.store else { panic!("{:?}", plan.store) };
    assert_eq!((url.as_str(), api_key, collection.as_str()), ("http://localhost:6334/", &None, "docs"));
    assert_eq!((plan.query.limit.get(), plan.query.mode), (8, RetrieveMode::Hybrid));
    assert_eq!(plan.query.model.as_ref().unwrap().to_string(), "anthropic/claude-sonnet-4-5");
    assert_eq!((plan.query.max_tokens, plan.query.temperature, plan.query.prompt), (1024, Some(0.0), None));
}

#[test]
fn one_line_is_a_pipeline_and_so_are_empty_sections() {
    for text in
        ["version: 1\n", "name: docs\n", "chunk:\nembed:\nsources:\nstore:\nquery: { retrieve: , answer: }\nproviders:\n"]
    {
        let plan = plan(text);
        assert_eq!(plan.name, "docs");
        assert!(plan.sources.is_empty());
        assert!(matches!(plan.store, StorePlan::Embedded { path: None }));
        assert_eq!(plan.embed.model.to_string(), "local/potion-base-8M");
    }
    assert!(matches!(plan("store: {qdrant: }").store, StorePlan::Qdrant { .. }));
}

#[test]
fn a_collection_is_spread_as_the_file_says() {
    let spread = |text: &str| match plan(&format!("store: {{qdrant: {{{text}}}}}")).store {
        StorePlan::Qdrant { spread, .. } => spread,
        other @ StorePlan::Embedded { .. } => panic!("{other:?}"),
    };
    assert_eq!(spread(""), Spread::default());
    let all = Spread {
        shard_number: Some(6),
        replication_factor: Some(3),
        write_consistency_factor: Some(2),
        ordering: Ordering::Medium,
    };
    assert_eq!(spread("shard_number: 6, replication_factor: 3, write_consistency_factor: 2, ordering: medium"), all);
}

#[test]
fn no_file_at_all() {
    let plan = pipeline::default_plan(&env);
    assert_eq!((plan.name.as_str(), plan.sources.len(), plan.query.model.is_none()), ("default", 0, true));
    assert_eq!(plan.providers.len(), ProviderKind::ALL.len());
}

#[test]
fn a_rendered_error_shows_the_line_with_a_caret() {
    let errors = parse("version: 1\nembed:\n  modle: x/y\n").unwrap_err();
    let expected = "  x unknown key `modle` in `embed`
   ,-[docs.yaml:3:3]
 2 | embed:
 3 |   modle: x/y
   :   ^^^^^
   `----
  help: did you mean `model`? allowed here: model, dimensions, batch, query_prefix, passage_prefix
";
    assert_eq!(errors.render(false, 100), expected);
    let colored = errors.render(true, 100);
    assert!(colored.contains("\u{1b}[") && colored.contains("^^^^^"), "{colored}");
    assert_eq!(
        errors.iter().next().unwrap().to_json(),
        serde_json::json!({
            "level": "error", "file": "docs.yaml", "line": 3, "column": 3, "message": "unknown key `modle` in `embed`",
            "hint": "did you mean `model`? allowed here: model, dimensions, batch, query_prefix, passage_prefix",
        })
    );
}

/// File, place, underlined text, message, part of the hint.
const BAD: [(&str, &str, &str, &str, &str); 52] = [
    ("", "1:1", " ", "the file is empty", "`version: 1`"),
    ("# nothing\n", "1:1", "#", "the file is empty", "`version: 1`"),
    ("hello\n", "1:1", "hello", "a pipeline file must be a mapping (`key: value`), not text (`hello`)", ""),
    ("version: 2\n", "1:10", "2", "`version` cannot be `2`", "it can only be 1"),
    ("version: 1\n---\nversion: 1\n", "2:1", "---", "a second document begins here", "one file"),
    ("chunk:\n\tby: auto\n", "2:1", "  ", "a tab in the indentation", "spaces"),
    ("name: a\nname: b\n", "2:1", "name", "`name` is given twice", "keep one"),
    ("sources: [*.md]\n", "1:11", "*.md", "an alias to an anchor that is not there", "quotes"),
    ("name: !x y\n", "1:10", "y", "YAML tags (`!…`) have no meaning here", ""),
    ("name: [a, b]\n", "1:7", "[a, b]", "`name` must be text, not a list", ""),
    ("name: 2024\n", "1:7", "2024", "`name` must be text, not a whole number (`2024`)", "\"2024\""),
    ("name: a/b\n", "1:7", "a/b", "`a/b`: a name cannot hold a path separator", "letters"),
    ("sources: ./docs\n", "1:10", "./docs", "`sources` must be a list, not text (`./docs`)", "[./docs]"),
    ("sources:\n- files: {}\n", "2:3", "files", "`paths` is missing", ""),
    ("sources:\n- files: {paths: []}\n", "2:18", "[]", "`sources[0].files.paths` must hold at least 1 item", ""),
    ("sources: [ftp://x.org]\n", "1:11", "ftp://x.org", "`ftp://x.org` is not a path", "sites"),
    (
        "sources: [\"https://x y.org/\"]\n",
        "1:11",
        "\"https://x y.org/\"",
        "`https://x y.org/` is not a URL: invalid international domain name",
        "",
    ),
    ("sources:\n- {}\n", "2:3", "{}", "one of these is missing: `files`, `web`, `sql`, `s3`", ""),
    (
        "sources:\n- {files: {paths: [a]}, web: {urls: [\"https://x.org\"]}}\n",
        "2:25",
        "web",
        "only one of these can be given, and `files` is",
        "remove",
    ),
    (
        "sources:\n- web: {urls: [\"https://x.org\"], headers: {Host: y}}\n",
        "2:44",
        "Host",
        "`Host` is set by ragstream itself",
        "",
    ),
    (
        "sources:\n- web: {urls: [\"https://x.org\"], headers: {\"a b\": y}}\n",
        "2:44",
        "\"a b\"",
        "`a b` is no name of a header",
        "",
    ),
    (
        "sources:\n- web: {urls: [\"https://x.org\"], user_agent: \"é\"}\n",
        "2:46",
        "\"é\"",
        "this cannot be sent as a User-Agent",
        "a name",
    ),
    (
        "sources:\n- web: {urls: [\"https://x.org\"], delays: 1s}\n",
        "2:34",
        "delays",
        "unknown key `delays` in `sources[0].web`",
        "did you mean `delay`?",
    ),
    ("sources: [~/docs]\n", "1:11", "~/docs", "`~/docs`: `~` has no meaning in a pipeline file", "${HOME}"),
    (
        "sources: [\"{a/*.md\"]\n",
        "1:11",
        "\"{a/*.md\"",
        "`{a/*.md` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
        "",
    ),
    ("chunk: {overlap: 400}\n", "1:18", "400", "an overlap of 400 does not fit into chunks of 400 tokens", "tenth"),
    ("chunk: {max_tokens: 0}\n", "1:21", "0", "`chunk.max_tokens` must be at least 1", ""),
    (
        "chunk: {max_tokens: 1_000}\n",
        "1:21",
        "1_000",
        "`chunk.max_tokens` must be a whole number, not text (`1_000`)",
        "without `_`",
    ),
    ("chunk: {by: pages}\n", "1:13", "pages", "`chunk.by` cannot be `pages`", "auto, markdown"),
    ("embed: {overlap: 4}\n", "1:9", "overlap", "unknown key `overlap` in `embed`", "belongs in `chunk`"),
    ("embed: {model: potion}\n", "1:16", "potion", "`potion` is not `provider/model`", "openai/"),
    ("embed: {model: opnai/x}\n", "1:16", "opnai/x", "no provider of this name: `opnai/x`", "did you mean `openai`?"),
    (
        "embed: {model: local/potion-8M}\n",
        "1:16",
        "local/potion-8M",
        "there is no such local model: `local/potion-8M`",
        "the local models are potion-base-8M",
    ),
    ("embed: {model: anthropic/x}\n", "1:16", "anthropic/x", "`anthropic/x`: anthropic has no embeddings", "cohere"),
    ("embed: {model: cohere/x, batch: {items: 97}}\n", "1:41", "97", "`cohere` takes at most 96 texts a request, not 97", ""),
    ("query: {answer: {model: local/x}}\n", "1:25", "local/x", "`local/x`: local has no models here that answer", "ollama"),
    ("query: {answer: {temperature: 2.5}}\n", "1:31", "2.5", "`query.answer.temperature` must be at most 2", ""),
    ("providers: {work: {timeout: 1s}}\n", "1:13", "work", "`kind` is missing: `work` says not which API it speaks", "voyage"),
    (
        "providers: {openai: {timeout: 60}}\n",
        "1:31",
        "60",
        "`providers.openai.timeout` must be a time with its unit, such as 60s, not a whole number (`60`)",
        "",
    ),
    ("providers: {openai: {limits: {rpm: 0}}}\n", "1:36", "0", "`providers.openai.limits.rpm` must be at least 1", ""),
    (
        "providers: {openai: {base_url: api.x.org}}\n",
        "1:32",
        "api.x.org",
        "`base_url` is not a URL: relative URL without a base",
        "https://",
    ),
    ("providers: {openai: {api_key: \"${NOPE}\"}}\n", "1:32", "${NOPE}", "the variable `NOPE` is not set", "${NOPE:-…}"),
    (
        "providers: {openai: {api_key: ${NOPE}}}\n",
        "1:31",
        "${NOPE}",
        "a variable inside `{ }` or `[ ]` needs quotes",
        "quotes included",
    ),
    ("store: {embedded: {}, edge: {}}\n", "1:23", "edge", "only one of these can be given, and `embedded` is", "remove"),
    // A carriage return ends a line by itself, as YAML has it (found by fuzzing).
    ("chunk: {}\r\rembed: {modle: x}\n", "3:9", "modle", "unknown key `modle` in `embed`", "did you mean `model`"),
    (
        "store: {qdrant: {replication_factor: 2, write_consistency_factor: 3}}\n",
        "1:67",
        "3",
        "3 copies are to have a write before it counts, and `replication_factor` is 2",
        "at most the `replication_factor`",
    ),
    (
        "store: {qdrant: {write_consistency_factor: 2}}\n",
        "1:44",
        "2",
        "2 copies are to have a write before it counts, and `replication_factor` is 1",
        "at most the `replication_factor`",
    ),
    ("store: {qdrant: {shard_number: 0}}\n", "1:32", "0", "`store.qdrant.shard_number` must be at least 1", ""),
    ("store: {qdrant: {ordering: weak}}\n", "1:28", "weak", "`store.qdrant.ordering` cannot be `weak`", "strong, medium"),
    ("store: {edge: {}, qdrant: {}}\n", "1:19", "qdrant", "only one of these can be given, and `edge` is", "remove"),
    ("# ÿ\nname: ÿÿ\nÿ: \"é\" # ÿ\n", "2:7", "ÿÿ", "`ÿÿ`: not a name", "letters"),
    ("a: &a [*a]\n", "1:8", "*a", "an alias to the very thing that it stands in", ""),
];

#[test]
fn errors_say_what_is_wrong_and_where() {
    for (text, place, under, message, hint) in BAD {
        let found = errors(text);
        let first = found.first().unwrap_or_else(|| panic!("{text:?} is accepted"));
        let rendered = first.render(false, 200);
        assert_eq!(told(text)[0], format!("{place} {message}"), "{rendered}");
        assert!(rendered.contains(&format!("[docs.yaml:{place}]")), "{rendered}");
        assert!(first.hint.as_deref().unwrap_or_default().contains(hint), "{rendered}");
        if !text.is_empty() {
            assert_eq!(underlined(&rendered), under, "{rendered}");
        }
    }
}

#[test]
fn every_error_is_told_at_once_in_the_order_of_the_file() {
    let text = "version: 2
nmae: docs
providers:
  x: { knd: openai, limits: { rpm: 0 } }
sources:
  - files: { paths: [ok], include: [\"{\"], max_bytes: 50XB }
chunk: { by: auot, overlap: 500, max_tokens: 400 }
embed:
  model: x/y
  dimensions: \"512\"
store:
  qdrant: { url: \"localhost:6334\", colection: a, timeout: 0s }
query: { answer: { model: nobody/x, temperature: ${T} } }
";
    // The last line is not YAML; said alone, since what is broken there could mean anything.
    assert_eq!(told(text).len(), 1);
    let text = text.replace("${T}", "\"${T}\"");
    assert_eq!(
        told(&text),
        [
            "1:10 `version` cannot be `2`",
            "2:1 unknown key `nmae`",
            "4:8 unknown key `knd` in `providers.x`",
            "4:36 `providers.x.limits.rpm` must be at least 1",
            "6:37 `{` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
            "6:54 `sources[0].files.max_bytes` is not a size; write `50MB`, `1GiB` or a number of bytes",
            "7:14 `chunk.by` cannot be `auot`",
            "7:29 an overlap of 500 does not fit into chunks of 400 tokens",
            "10:15 `embed.dimensions` must be a whole number, not text (`\"512\"`)",
            "12:18 `url` is not a web address",
            "12:36 unknown key `colection` in `store.qdrant`",
            "12:59 `store.qdrant.timeout` must be more than zero",
            "13:27 no provider of this name: `nobody/x`",
            "13:51 the variable `T` is not set",
        ]
    );
}

/// Every key of the example: its name, and the byte of its first letter.
fn keys() -> Vec<(&'static str, usize)> {
    let mut keys = Vec::new();
    for (at, _) in EXAMPLE.match_indices(": ").chain(EXAMPLE.match_indices(":\n")) {
        let line = EXAMPLE[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let start = EXAMPLE[..at].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |before| before + 1);
        let comment = EXAMPLE[line..at].contains('#');
        // A provider's name is free.
        if !comment && start < at && !EXAMPLE[start..].starts_with("openai:\n") {
            keys.push((&EXAMPLE[start..at], start));
        }
    }
    keys
}

#[test]
fn every_typo_of_a_key_is_one_error_that_suggests_the_key() {
    let keys = keys();
    assert_eq!(keys.len(), 45, "{keys:?}");
    let mut tried = 0;
    for (key, at) in keys {
        let mut typos = Vec::new();
        for n in 0..key.len() {
            let (head, tail) = key.split_at(n);
            typos.push(format!("{head}{}", &tail[1..]));
            typos.push(format!("{head}q{tail}"));
            typos.push(format!("{head}q{}", &tail[1..]));
            if tail.len() > 1 {
                typos.push(format!("{head}{}{}{}", &tail[1..2], &tail[..1], &tail[2..]));
            }
        }
        typos.push(key.to_uppercase());
        // `tpm` for `rpm` is a key of its own; a lone `q` could be anything.
        typos.retain(|typo| typo != key && !typo.is_empty() && !["rpm", "tpm", "q"].contains(&typo.as_str()));
        for typo in typos {
            let text = format!("{}{typo}{}", &EXAMPLE[..at], &EXAMPLE[at + key.len()..]);
            let found = errors(&text);
            let told: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), 1, "{key} as {typo}: {told:#?}");
            assert!(found[0].message.starts_with(&format!("unknown key `{typo}`")), "{told:?}");
            let hint = found[0].hint.as_deref().unwrap_or_default();
            let guess = hint.split_once('?').unwrap_or_default().0;
            assert!(guess.contains(&format!("`{key}`")), "{key} as {typo}: {hint}");
            assert_eq!(found[0].place.as_ref().map(|place| place.span.clone()), Some(at..at + typo.len()));
            tried += 1;
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn secrets_are_never_shown() {
    let text = "providers:
  openai: { api_key: \"${KEY}\", base_url: \"${KEY}\", kind: \"${KEY}\", timeout: \"${KEY}\" }
  work: { kind: openai, api_key: sk-in-the-file, base_url: \"https://joe:pa55@example.org\" }
name: ${KEY}/
sources: [\"~${KEY}\", \"{${KEY}\", \"x://${KEY}\"]
chunk: { by: \"${KEY}\", max_tokens: \"${KEY}\" }
embed: { model: \"${KEY}\" }
store: { qdrant: { url: \"http://${KEY}@x\", collection: \"/${KEY}\" } }
query: { answer: { model: \"${KEY}/x\" } }
";
    let errors = parse(text).unwrap_err();
    assert!(errors.count() >= 13, "{errors:?}");
    let all = format!("{errors:?}{errors}{}{}", errors.render(false, 200), errors.render(true, 60));
    let json: String = errors.iter().map(|error| error.to_json().to_string()).collect();
    for secret in ["hunter2", "sk-in-the-file", "joe", "pa55"] {
        assert!(!all.contains(secret) && !json.contains(secret), "{secret} is shown in {all}");
    }
    let plan = plan("providers: {openai: {api_key: \"${KEY}\"}}");
    assert_eq!(plan.providers["openai"].api_key.as_ref().unwrap().expose(), "hunter2");
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_file_says_how_documents_are_read() {
    let parse = plan("parse: {passwords: [\"${KEY}\", other], ocr: {languages: [eng, chi_sim, deu], timeout: 5s}}").parse;
    let ocr = parse.ocr.unwrap();
    assert_eq!((ocr.program.as_str(), ocr.languages.as_str(), ocr.timeout.as_secs()), ("tesseract", "eng+chi_sim+deu", 5));
    assert_eq!(parse.passwords, [ragstream::parse::Password::new("hunter2"), ragstream::parse::Password::new("other")]);
    assert!(!format!("{:?}", parse.passwords).contains("hunter2"));
    assert_eq!(plan("parse: {ocr: {}}").parse.ocr.unwrap().languages, "eng+chi_sim");
    assert_eq!(plan("chunk: {}").parse, ragstream::parse::ParseOptions::default());
    // It becomes an argument of a program.
    let wrong = told("parse: {passwords: [in-the-file], ocr: {languages: [\"-c\", eng]}}");
    assert!(wrong.iter().any(|told| told.contains("`-c` is no name of a language")), "{wrong:?}");
    assert!(!wrong.concat().contains("in-the-file"));
}

#[test]
fn what_is_dangerous_and_works_is_a_warning() {
    for (text, warning) in [
        ("parse: {passwords: [open-sesame]}", "1:21 a password in plain sight"),
        ("providers: {openai: {api_key: sk-1}}", "1:31 a key in plain sight"),
        (
            "providers: {x: {kind: openai, base_url: 'http://x.org', api_key: \"${KEY}\"}}",
            "1:66 this key would be sent unencrypted",
        ),
        ("embed: {dimensions: 512}", "1:21 local models have one width each: `dimensions` has no effect"),
        ("store: {qdrant: {url: 'http://localhost:6333'}}", "1:23 6333 is Qdrant's REST port"),
    ] {
        let warnings = parse(text).unwrap().warnings;
        let place = warnings[0].place.as_ref().unwrap();
        assert_eq!(format!("{}:{} {}", place.line, place.column, warnings[0].message), warning);
        assert_eq!((warnings.len(), warnings[0].level), (1, Level::Warning));
    }
}

#[test]
fn a_vendors_key_goes_to_the_vendor_alone() {
    let key = |text: &str, env: &dyn Fn(&str) -> Option<String>| {
        let loaded = pipeline::parse(text, "x.yaml", Path::new("/"), env).unwrap();
        loaded.plan.providers["openai"].api_key.as_ref().map(|key| key.expose().to_owned())
    };
    let own = Some("sk-secret".to_owned());
    assert_eq!(key("providers: {openai: {limits: {rpm: 1}}}", &env), own);
    assert_eq!(key("providers: {openai: {base_url: 'https://api.openai.com/v2/'}}", &env), own);
    for elsewhere in ["https://api.openai.com.evil.org/v1", "http://api.openai.com/v1", "https://api.openai.com:444/v1"] {
        assert_eq!(key(&format!("providers: {{openai: {{base_url: '{elsewhere}'}}}}"), &env), None, "{elsewhere}");
    }
    // Unless the vendor's own variable names that host.
    let env = |name: &str| if name == "OPENAI_BASE_URL" { Some("http://box:1/v1".to_owned()) } else { env(name) };
    assert_eq!(key("providers: {openai: {base_url: 'http://box:1/v1'}}", &env), own);
    assert_eq!(key("version: 1", &env), own);
    assert_eq!(pipeline::default_plan(&env).providers["openai"].base_url.as_str(), "http://box:1/v1");
    // A provider of another name or kind inherits nothing.
    let plan = pipeline::parse("providers: {work: {kind: openai}}", "x.yaml", Path::new("/"), &env).unwrap().plan;
    assert_eq!((&plan.providers["work"].api_key, plan.providers["work"].kind), (&None, ProviderKind::OpenAi));
    assert_eq!(plan.providers["work"].base_url.as_str(), "https://api.openai.com/v1");
}

#[test]
fn a_wrong_address_variable_is_told_to_those_who_use_it() {
    let env = |name: &str| (name == "OPENAI_BASE_URL").then(|| "nonsense".to_owned());
    let parse = |text| pipeline::parse(text, "x.yaml", Path::new("/"), &env);
    assert!(parse("version: 1").is_ok());
    let errors = parse("embed: {model: openai/x}").unwrap_err();
    assert!(errors.to_string().contains("the variable `OPENAI_BASE_URL` is not a URL"), "{errors}");
    assert!(parse("embed: {model: openai/x}\nproviders: {openai: {base_url: 'https://x.org'}}").is_ok());
}

#[test]
fn variables_give_numbers_times_and_choices() {
    let plan = plan(
        "providers:\n  openai:\n    limits: { rpm: \"${RPM}\", tpm: \"${TPM:-0x10}\", concurrency: \"${NOPE:-}\" }\n    timeout: ${T:-5m}\nquery: {retrieve: {mode: \"${M:-dense}\"}}\n",
    );
    let openai = &plan.providers["openai"];
    assert_eq!((openai.limits.rpm, openai.limits.tpm, openai.limits.concurrency), (Some(250), Some(16), None));
    assert_eq!((openai.timeout, plan.query.mode), (Duration::from_mins(5), RetrieveMode::Dense));
}

#[test]
fn sources_are_paths_globs_and_what_is_left_out() {
    let text =
        "sources:\n- ./a/**/*.md\n- ../b/./c\n- files: {paths: [d, 'e/*.txt'], exclude: [draft, 'tmp/'], max_bytes: 1KiB}\n";
    let sources = plan(text).sources;
    let files: Vec<_> = sources.iter().map(files_of).collect();
    let paths: Vec<_> = files.iter().map(|files| files.paths[0].to_str().unwrap()).collect();
    assert_eq!(paths, ["/base/a", "/b/c", "/base/e", "/base/d"]);
    assert!(files[0].include.is_match("x/y.md") && files[0].include.is_match("y.md") && !files[0].include.is_match("y.txt"));
    assert!(files[2].include.is_match("y.txt") && !files[2].include.is_match("x/y.txt"));
    assert!(files[1].include.is_empty() && files[3].include.is_empty());
    for out in ["draft", "x/draft", "draft/a.md", "x/draft/y/a.md", "tmp/a", "x/tmp/a"] {
        assert!(files[3].exclude.is_match(out) && files[2].exclude.is_match(out), "{out}");
    }
    assert!(!files[3].exclude.is_match("tmp") && !files[3].exclude.is_match("drafts/a.md"));
    assert_eq!(files[3].max_bytes, 1024);
}

#[test]
fn sources_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let literal = folder.path().join("a[1].md");
    std::fs::write(&literal, "x").unwrap();
    let plan = pipeline::default_plan(&env).with_sources([literal.clone(), folder.path().join("*.md"), "rel".into()]).unwrap();
    let files: Vec<_> = plan.sources.iter().map(files_of).collect();
    assert_eq!(files[0].paths, [literal, std::env::current_dir().unwrap().join("rel")]);
    assert_eq!(files[1].paths, [folder.path()]);
    assert!(files[1].include.is_match("b.md"));
    assert!(pipeline::default_plan(&env).with_sources(["{x"]).is_err());
}

#[test]
fn a_model_from_the_command_line() {
    let plan = plan(EXAMPLE);
    assert_eq!(ModelRef::parse("openai/a/b", &plan, Purpose::Answer).unwrap().model, "a/b");
    for (text, message) in [
        ("gpt", "`gpt` is not `provider/model`"),
        ("opnai/x", "no provider of this name: `opnai/x`"),
        ("voyage/x", "`voyage/x`: voyage has no models here that answer"),
    ] {
        assert_eq!(ModelRef::parse(text, &plan, Purpose::Answer).unwrap_err().to_string(), message);
    }
}

#[test]
fn files_are_found_by_path_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("pipelines/docs")).unwrap();
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    for file in ["pipelines/docs.yaml", "pipelines/web.yml", "own.yaml"] {
        std::fs::write(folder.path().join(file), "version: 1").unwrap();
    }
    let find = |name| pipeline::find(name, folder.path());
    for (name, file) in [
        ("docs", "pipelines/docs.yaml"),
        ("docs.yaml", "pipelines/docs.yaml"),
        ("web", "pipelines/web.yml"),
        ("own.yaml", "own.yaml"),
    ] {
        assert_eq!(find(name).unwrap(), folder.path().join(file), "{name}");
    }
    let hint = |name| find(name).unwrap_err().hint.unwrap();
    assert_eq!(find("dosc").unwrap_err().to_string(), "no pipeline `dosc`");
    assert_eq!(hint("dosc"), "did you mean `docs`? tried: dosc, pipelines/dosc.yaml, pipelines/dosc.yml, pipelines/dosc");
    assert!(hint("own").contains("there are: docs, web"));
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let load = || pipeline::load(&path, &env).unwrap_err();
    assert!(load().to_string().contains("x.yaml: cannot be read: "), "{}", load());
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load().to_string().ends_with("x.yaml: is larger than 1 MiB"));
    std::fs::write(&path, b"name: docs\nembed: \xff\n").unwrap();
    assert!(load().to_string().ends_with("x.yaml:2:8: not UTF-8 from here on"), "{}", load());
    std::fs::write(&path, b"\xef\xbb\xbfname: docs\r\nembed:\r\n  modle: x\r\n").unwrap();
    assert!(load().to_string().contains("x.yaml:3:3: unknown key `modle`"), "{}", load());
    assert_eq!(underlined(&load().render(false, 80)), "modle");
    std::fs::write(&path, b"sources: [docs]").unwrap();
    let plan = pipeline::load(&path, &env).unwrap().plan;
    let files = files_of(&plan.sources[0]);
    assert_eq!(files.paths, [folder.path().join("docs")]);
}

#[test]
fn a_flood_of_errors_is_counted_and_bounded() {
    let many: Vec<String> = (0..20_000).map(|n| format!("k{n}: 1")).collect();
    let errors = parse(&many.join("\n")).unwrap_err();
    assert_eq!((errors.count(), errors.iter().count()), (20_000, 100));
    assert!(errors.render(false, 80).ends_with("and 19900 more\n"));
}

#[test]
fn large_files_are_no_slow_files() {
    let size = 900_000;
    let repeated = |head: &str, piece: &str, tail: &str| format!("{head}{}{tail}", piece.repeat(size / piece.len()));
    let numbered = (0..60_000).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join(", ");
    for text in [
        format!("{{{numbered}}}"),
        repeated("name: \"", "\\x24{A}", "\"\n"),
        repeated("", "- api_key: x\n", ""),
        repeated("sources: [", "'://a@', ", "]\n"),
        repeated("", "name: a\n", ""),
        repeated("embed: {model: '", "/", "'}\n"),
        repeated("sources: ['", "{a,*}", "']\n"),
        repeated("- ", "{a,*}", ""),
    ] {
        let Err(errors) = parse(&text) else { continue };
        let rendered = errors.render(false, 80);
        assert!(rendered.len() < 100_000, "{} bytes for {:.40}", rendered.len(), text);
    }
}

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
fn what_happens_around_the_ranking() {
    let text = "query: { retrieve: { where: ['path=docs/**', lang=zh], duplicates: keep, \
                rerank: { model: cohere/rerank-v3.5, candidates: 30, timeout: 3s } } }";
    let select = plan(text).query.select;
    assert_eq!(format!("{:?}", select.filter), "Filter { terms: [path=docs/**, lang=zh] }");
    assert_eq!(select.duplicates, Duplicates::Keep);
    let rerank = select.rerank.unwrap();
    assert_eq!((rerank.model.to_string(), rerank.candidates.get()), ("cohere/rerank-v3.5".to_owned(), 30));
    assert_eq!(rerank.timeout, Duration::from_secs(3));
    let usual = plan("query: { retrieve: { rerank: { model: jina/jina-reranker-v3 } } }").query.select;
    assert!(usual.filter.is_empty() && usual.duplicates == Duplicates::Drop);
    assert_eq!(usual.rerank.map(|rerank| (rerank.candidates.get(), rerank.timeout)), Some((50, Duration::from_secs(10))));

    for (text, expected) in [
        ("query: { retrieve: { where: [path=a, lng=zh] } }", "1:38 `lng=zh` compares an unknown field"),
        ("query: { retrieve: { rerank: { model: openai/gpt } } }", "1:39 `openai/gpt`: openai has no models here that rerank"),
        ("query: { retrieve: { rerank: { candidates: 9 } } }", "1:22 `model` is missing: what is to rerank?"),
        ("query: { retrieve: { duplicates: fold } }", "1:34 "),
    ] {
        let told = told(text);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
}

#[test]
fn fusion_suits_the_model_unless_said_otherwise() {
    let fusion = |embed: &str, retrieve: &str| {
        let text = format!("embed: {{model: {embed}}}\nquery: {{retrieve: {{fusion: {{{retrieve}}}}}}}\n");
        plan(&text).query.fusion
    };
    let weighted = |weight| FusionPlan::Weighted { weight };
    assert_eq!(pipeline::default_plan(&env).query.fusion, weighted(0.7));
    assert_eq!(plan("embed: {model: openai/text-embedding-3-small}").query.fusion, weighted(0.4));
    assert_eq!(fusion("local/potion-base-8M", ""), weighted(0.7));
    assert_eq!(fusion("local/all-MiniLM-L6-v2", "method: weighted"), weighted(0.5));
    assert_eq!(fusion("openai/text-embedding-3-small", "weight: 0.25"), weighted(0.25));
    assert_eq!(fusion("local/potion-base-8M", "method: rrf"), FusionPlan::Rrf { k: 2.0, weight: 0.5 });
    assert_eq!(fusion("local/potion-base-8M", "method: rrf, k: 60, weight: 1"), FusionPlan::Rrf { k: 60.0, weight: 1.0 });
    for (wrong, said) in [
        ("k: 60", "`k` has a meaning for `method: rrf` only"),
        ("weight: 1.5", "1"),
        ("method: rrf, k: 0", "1"),
        ("method: sum", "weighted"),
    ] {
        let errors = parse(&format!("query: {{retrieve: {{fusion: {{{wrong}}}}}}}\n")).unwrap_err();
        assert!(errors.render(false, 100).contains(said), "{wrong}: {}", errors.render(false, 100));
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
            prop_assert_eq!(plan.embed.query_prefix.unwrap_or_default(), value);
            prop_assert_eq!(plan.chunk.overlap, 1);
        }
    }
}
