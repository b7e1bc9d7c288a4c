//! Pipeline files through the real door: good ones, bad ones, and any text at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic, reason = "tests may fail loudly")]

mod hints;
mod names;
mod schema;
mod wrong;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ragstream::answer::{Duplicates, FusionPlan, RetrieveMode};
use ragstream::pipeline::{self, Diagnostic, Diagnostics, Level, Loaded, Plan, Purpose};
use ragstream::providers::{ModelRef, ProviderKind, Secret};
use ragstream::source::{FilesPlan, SourcePlan};
use ragstream::vectordb::{Ordering, Spread, StorePlan};

use self::wrong::underlined;

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
        assert_eq!(plan.embed.model.to_string(), "local/auto");
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
    assert_eq!(usual.rerank.map(|rerank| (rerank.candidates.get(), rerank.timeout)), Some((50, Duration::from_secs(2))));
    let decided = plan("query: { retrieve: { rerank: { model: openai/gpt-6-luna, deadline: 700ms } }, decide: { model: typesafe/jev-latest } }").query;
    let rerank = decided.select.rerank.unwrap();
    assert_eq!((rerank.candidates.get(), rerank.timeout), (20, Duration::from_millis(700)));
    let decide = decided.decide.unwrap();
    assert_eq!((decide.model.to_string(), decide.deadline), ("typesafe/jev-latest".to_owned(), Duration::from_secs(2)));

    for (text, expected) in [
        ("query: { retrieve: { where: [path=a, lng=zh] } }", "1:38 `lng=zh` compares an unknown field"),
        (
            "query: { retrieve: { rerank: { model: local/ms-marco } } }",
            "1:39 there is no such local reranker: `local/ms-marco`",
        ),
        ("query: { retrieve: { rerank: { model: mistral/m } } }", "1:39 `mistral/m`: mistral has no models here that rerank"),
        ("query: { decide: { model: cohere/m } }", "1:27 `cohere/m`: cohere has no models here that decide"),
        ("query: { decide: {} }", "1:10 `model` is missing: what is to decide?"),
        (
            "query: { retrieve: { rerank: { model: jina/m, timeout: 1s, deadline: 2s } } }",
            "1:56 `timeout` is another word for `deadline`",
        ),
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
    // The model is not known yet.
    assert_eq!(pipeline::default_plan(&env).query.fusion, FusionPlan::Usual);
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
