//! The door: a pipeline file in, a plan or every error out. `check` and `ingest` come through here alike.

use std::fs::File as StdFile;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::check::{self, Checked};
use super::cluster;
use super::diagnose::{Diagnostic, Diagnostics, Findings, Source};
use super::interpolate;
use super::meaning::File;
use super::name::own_name;
use super::plan::Plan;
use super::resolve::{default_plan, resolve};
use super::schema;
use super::secrets;
use super::spec::Spec;
use super::tree::{self, Value};
use crate::source::sql::SCHEMES;

/// Bytes of a pipeline file, at most.
const MAX_FILE: u64 = 1 << 20;

/// A pipeline that can be run.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What will run.
    pub plan: Plan,
    /// What should be looked at.
    pub warnings: Vec<Diagnostic>,
}

impl Plan {
    /// The plan of someone who has no pipeline file: local embeddings, the embedded store, hybrid retrieval, no sources; keys and
    /// addresses of providers as the process's environment has them.
    pub fn from_env() -> Self {
        default_plan(&|name| std::env::var(name).ok())
    }

    /// The plan of a pipeline file, with variables from the process's environment. Warnings are logged.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        let loaded = load(path.as_ref(), &|name| std::env::var(name).ok())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.plan)
    }
}

/// Reads and validates a pipeline file. `env` gives the value of a variable; relative paths are relative to the file.
///
/// Reads at most 1 MiB, and nothing but the file.
///
/// # Errors
/// Everything that is wrong with the file, in its order.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Diagnostics> {
    load_as(path, env, parse)
}

/// As [`load()`], for several machines that work on it together: what is one machine's own is an error as well.
///
/// # Errors
/// Everything that is wrong with the file, in its order.
pub fn load_for_cluster(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Diagnostics> {
    load_as(path, env, parse_for_cluster)
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn load_as(
    path: &Path,
    env: Env<'_>,
    parse: fn(&str, &str, &Path, Env<'_>) -> Result<Loaded, Diagnostics>,
) -> Result<Loaded, Diagnostics> {
    // As short as it can be typed: below the working directory, relative to it.
    let here = std::env::current_dir().ok();
    let name = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string();
    let cannot = |what: &str, hint: Option<String>| Diagnostics::from(Diagnostic::error(what, hint).of_file(&name));
    let bytes = read(path).map_err(|error| cannot(&format!("cannot be read: {error}"), None))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(cannot("is larger than 1 MiB", Some("this is hardly a pipeline file".to_owned())));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let lossy = String::from_utf8_lossy(error.as_bytes());
            // Up to here the lossy text and the file agree byte for byte.
            let mut findings = Findings::new(Arc::new(Source::new(&name, &lossy, &[])));
            findings.error(&(valid..valid + 1), "not UTF-8 from here on", "save the file as UTF-8".to_owned());
            return findings.finish().and_then(|_| Err(cannot("is not UTF-8", None)));
        }
    };
    let absolute = std::path::absolute(path).map_err(|error| cannot(&format!("has no place: {error}"), None))?;
    parse(&text, &name, absolute.parent().unwrap_or(&absolute), env)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    StdFile::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Validates the text of a pipeline file. `file_name` is what messages call it, and gives the pipeline its name where the
/// text does not; relative paths are relative to `base_dir`, which is absolute.
///
/// # Errors
/// Everything that is wrong with the text, in its order.
pub fn parse(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    parse_and(text, file_name, base_dir, env, |_, _, _| {})
}

/// As [`parse()`], for several machines that work on it together: what is one machine's own is an error as well.
///
/// # Errors
/// Everything that is wrong with the text, in its order.
pub fn parse_for_cluster(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    parse_and(text, file_name, base_dir, env, cluster::check)
}

/// Validates a text, and what `more` looks for in it.
fn parse_and(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: Env<'_>,
    more: fn(&mut File<'_>, &Spec, &Plan),
) -> Result<Loaded, Diagnostics> {
    let parsed = tree::parse(text);
    let whole = parsed.broken.is_empty();
    let mut masks = parsed.secrets;
    masks.extend(credentials(text));
    masks.extend(secrets::in_lines(text, whole));
    let mut findings = Findings::new(Arc::new(Source::new(file_name, text, &masks)));
    for broken in parsed.broken {
        findings.error(&broken.span, broken.message, broken.hint);
    }
    let nothing = parsed.root.as_ref().is_none_or(|root| matches!(&root.value, Value::Scalar(s) if s.plain && s.text == "~"));
    if nothing && whole {
        findings.error(&(0..0), "the file is empty", "`version: 1` alone is a whole pipeline".to_owned());
    }
    let plan = match parsed.root.filter(|_| !nothing) {
        None => super::default_plan(env),
        Some(mut root) => {
            interpolate::fill(&mut root, text, env, &mut findings);
            let Checked { json, tainted } = check::check(&root, &schema::of_values(), &mut findings);
            let spec = json.map_or_else(|| Ok(Spec::default()), serde_json::from_value::<Spec>);
            let spec = spec.unwrap_or_else(|error| {
                // The schema is made from the very types, so this is a mistake of ragstream's own.
                let line = error.line();
                findings.error(&root.span, format!("the schema let something through (line {line})"), None);
                Spec::default()
            });
            let mut file = File { root: &root, tainted: &tainted, findings: &mut findings, base: base_dir, env };
            let plan = resolve(&mut file, &spec, own_name(file_name));
            more(&mut file, &spec, &plan);
            plan
        }
    };
    findings.explain_full_width(whole);
    findings.finish().map(|warnings| Loaded { plan, warnings })
}

/// `user:password` in addresses written into the file.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#')).unwrap_or(rest.len());
        let mut authority = rest.get(..end).unwrap_or_default();
        let scheme = text.get(..at).and_then(|before| before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next());
        if scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) && !authority.contains('@') {
            // A `/` or a `?` in a password, not encoded as it should be.
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
            authority = rest.get(..end).unwrap_or_default();
        }
        if let Some(at) = authority.rfind('@').filter(|_| !authority.contains("${")) {
            found.push(start..start + at);
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a failed test panics")]
mod tests {
    use super::*;

    fn errors(text: &str, base: &Path) -> Vec<Diagnostic> {
        parse(text, "docs.yaml", base, &|_| None).map_or_else(|errors| errors.iter().cloned().collect(), |_| Vec::new())
    }

    #[test]
    fn a_value_that_stands_for_its_mapping_is_told_where_it_belongs() {
        for (written, meant) in [
            ("answerability: off", "`answerability: { threshold: off }`"),
            ("answerability: false", "`answerability: { threshold: off }`"),
            ("answerability: 0.3", "`answerability: { threshold: 0.3 }`"),
            ("whole: auto", "`whole: { mode: auto }`"),
            ("whole: false", "`whole: { mode: off }`"),
            ("answer: openai/gpt-5", "`answer: { model: openai/gpt-5 }`"),
            ("retrieve: { rerank: cohere/rerank-v3.5 }", "`rerank: { model: cohere/rerank-v3.5 }`"),
        ] {
            let errors = errors(&format!("version: 1\nquery: {{ {written} }}\n"), Path::new("/"));
            let [error] = &*errors else { panic!("{written}: {errors:?}") };
            assert_eq!(error.hint.as_deref(), Some(&*format!("write {meant}")), "{error}");
        }
        let other = errors("version: 1\nquery: { whole: sometimes }\n", Path::new("/"));
        assert!(other.iter().all(|error| error.hint.is_none()), "{other:?}");
    }

    #[test]
    fn what_a_section_or_a_number_is_written_like_is_told() {
        for (written, hint) in [
            ("embed: openai/text-embedding-3-small", Some("write `embed: { model: openai/text-embedding-3-small }`")),
            ("sources: [{ files: ./docs }]", Some("write `files: { paths: [./docs] }`")),
            ("providers: { openai: { prices: { x: 0.02 } } }", Some("write `x: { input: 0.02 }`")),
            ("providers: { openai: { prices: { x: { input: '0,02' } } } }", Some("it has a decimal comma: write `0.02`")),
            ("providers: { openai: { prices: { x: { input: '0.02' } } } }", Some("write it without quotes")),
            ("providers: { openai: { prices: { x: { input: 'cheap' } } } }", None),
            ("store: qdrant", None),
            ("version: 1 ＃ 版本", Some("line 1 has a full-width `＃`, which YAML reads as text: write `#`")),
        ] {
            let version = if written.starts_with("version") { "" } else { "version: 1\n" };
            let errors = errors(&format!("{version}{written}\n"), Path::new("/"));
            let [error] = &*errors else { panic!("{written}: {errors:?}") };
            assert_eq!(error.hint.as_deref(), hint, "{written}: {error}");
        }
    }

    #[test]
    fn no_secret_is_shown_wherever_it_stands() {
        for text in [
            "sources:\n  - web: { urls: ['https://x.example/'], headers: { Authorization: 'Bearer GEHEIM', X-Id: GEHEIM } }\n",
            "sources: [{ web: { urls: ['https://x.example/'], headers: [\"Authorization: GEHEIM\"] } }]\n",
            "sources: [{ web: { urls: ['https://joe:GEHEIM@[x/'] } }]\n",
            "sources:\n  - s3: { bucket: bkt, access_key: AKIAGEHEIM, secret_key: wJalrGEHEIM, session_token: GEHEIM, nope: 1 }\n",
            "parse: { passwords: GEHEIM }\n",
            "parse:\n  passwords: &a [GEHEIM, *a]\n",
            "providers:\n  openai:\n    api_key: [sk-GEHEIM]\n",
            "providers:\n  openai:\n    api_key: { is: sk-GEHEIM }\n",
            "providers:\n  openai:\n    api_key:sk-GEHEIM\n",
            "providers:\n  openai:\n    api_key：sk-GEHEIM\n",
            "providers:\n  openai: { api_key:sk-GEHEIM }\n",
            "providers:\n  openai: sk-GEHEIM\n",
            "providers:\n  openai:\n    apikey: sk-GEHEIM\n",
            "providers:\n  openai: { API-KEY: \"sk-GEHEIM\", api_kye: GEHEIM, headers: { Cookie: GEHEIM } }\n",
            "providers:\n  openai:\n    api_key: sk-GEHEIM\n    api_key: sk-GEHEIM\n",
            "providers:\n  openai:\n    # api_key: sk-GEHEIM\n    nope: 1\n",
            "providers:\n  openai:\n   \tkind: openai\n    api_key: sk-GEHEIM\n",
            "providers:\n  openai: { kind: }openai\n    passwords:\n    - GEHEIM\n",
        ] {
            let (diagnostics, all) = match parse(&format!("version: 1\n{text}"), "docs.yaml", Path::new("/"), &|_| None) {
                Ok(loaded) => (loaded.warnings.clone(), format!("{:?}", loaded.warnings)),
                Err(errors) => (errors.iter().cloned().collect(), errors.to_string()),
            };
            let told: String = diagnostics.iter().map(|finding| finding.to_json().to_string()).collect();
            #[cfg(feature = "cli")]
            let told = told + &diagnostics.iter().map(|finding| finding.render(false, 100)).collect::<String>();
            assert!(!diagnostics.is_empty(), "{text}: nothing is said");
            assert!(!told.contains("GEHEIM") && !all.contains("GEHEIM"), "{text}: {told}");
        }
        // What is no secret is shown as ever.
        let errors = errors("version: 1\nchunk: { max_tokens: many }\n", Path::new("/"));
        assert!(errors.iter().any(|error| error.message.contains("`many`")), "{errors:?}");
    }

    #[test]
    fn instructions_that_are_none_are_warned_of() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert!(std::fs::write(folder.path().join("说明"), "x").is_ok());
        let warnings = |prompt: &str| {
            let text = format!("version: 1\nquery: {{ answer: {{ prompt: {} }} }}\n", serde_json::json!(prompt));
            match parse(&text, "docs.yaml", folder.path(), &|_| None) {
                Ok(loaded) => loaded.warnings,
                Err(errors) => panic!("{errors}"),
            }
        };
        for (prompt, told) in [
            ("prompts/answer.txt", "not read from a file"),
            ("answer.j2", "not read from a file"),
            ("说明", "not read from a file"),
            ("Default", "`default`"),
            ("Answer {question} from {context}", "`{question}`"),
            ("Answer.\n\n{{ documents }}\n", "`{{ documents }}`"),
        ] {
            let found = warnings(prompt);
            let [one] = &*found else { panic!("{prompt}: {found:?}") };
            assert!(one.message.contains(told) && one.hint.is_some() && one.place.is_some(), "{prompt}: {one}");
        }
        for prompt in ["default", "Answer in the style of guide.md, briefly.", "Answer as JSON: {\"a\": 1}", "简短回答", ""]
        {
            assert!(warnings(prompt).is_empty(), "{prompt}");
        }
    }

    #[test]
    fn what_is_too_short_is_not_called_empty() {
        let said = |bucket: &str| {
            let errors = errors(&format!("version: 1\nsources: [{{ s3: {{ bucket: '{bucket}' }} }}]\n"), Path::new("/"));
            errors.first().map(|error| error.message.clone()).unwrap_or_default()
        };
        assert!(said("ab").contains("must have at least 3 characters"), "{}", said("ab"));
        assert!(said("").contains("must not be empty"), "{}", said(""));
    }

    #[test]
    fn what_is_written_in_the_place_of_a_mapping_or_a_number_is_told_how() {
        for (written, meant) in [
            ("query: { retrieve: { rerank: cohere/rerank-v3.5 } }", "write `rerank: { model: cohere/rerank-v3.5 }`"),
            ("query: { answer: openai/gpt-5.4-mini }", "write `answer: { model: openai/gpt-5.4-mini }`"),
            ("query: { retrieve: { fusion: { weight: '0,4' } } }", "it has a decimal comma: write `0.4`"),
            ("name: !include x.yaml", "`${NAME}` stands for a variable of the environment; another file cannot be included"),
        ] {
            let errors = errors(&format!("version: 1\n{written}\n"), Path::new("/"));
            assert!(errors.iter().any(|error| error.hint.as_deref() == Some(meant)), "{written}: {errors:?}");
        }
    }

    #[test]
    fn an_answer_that_no_minute_has_room_for_is_warned_of_where_it_is_written() {
        let warnings = |tokens: u32| {
            let text = format!(
                "version: 1\nproviders: {{ x: {{ kind: openai, base_url: 'https://x.org', limits: {{ tpm: 30000 }} }} }}\n\
                 query:\n  answer:\n    model: x/m\n    max_tokens: {tokens}\n"
            );
            match parse(&text, "docs.yaml", Path::new("/"), &|_| None) {
                Ok(loaded) => loaded.warnings,
                Err(errors) => panic!("{errors}"),
            }
        };
        assert!(warnings(30_000).is_empty());
        let told = warnings(30_001);
        let [one] = &*told else { panic!("{told:?}") };
        assert_eq!(one.place.as_ref().map(|place| place.line), Some(6));
        assert!(one.message.contains("`limits.tpm` (30000)"), "{one}");
    }

    #[test]
    fn full_width_punctuation_is_named_with_its_line() {
        for (text, line, mark, instead) in [
            ("version：1\n", 1, '：', "`: `"),
            ("version: 1\nname：docs\n", 2, '：', "`: `"),
            ("version: 1\nname：docs\nsources: [docs]\n", 2, '：', "`: `"),
            ("version: 1\nchunk：\n\n  max_tokens：400\nsources: [docs]\n", 2, '：', "`: `"),
            ("version: 1\nembed：{ model: local/auto }\n", 2, '：', "`: `"),
            ("version: 1\nembed: { model：local/auto }\n", 2, '：', "`: `"),
            ("version: 1\nembed: ｛ model: local/auto }\n", 2, '｛', "`{`"),
            ("version: 1\nchunk: { max_tokens: 400， overlap: 40 }\n", 2, '，', "`, `"),
            ("version: 1\nname: “docs”\n", 2, '“', "`\"`"),
            ("version: 1\n＃ mine\nname: docs\n", 2, '＃', "`#`"),
        ] {
            let errors = errors(text, Path::new("/"));
            let Some(first) = errors.first() else { panic!("{text:?}: no error") };
            let Some(hint) = &first.hint else { panic!("{text:?}: {first}") };
            assert!(
                hint.starts_with(&format!("line {line} has a full-width `{mark}`")) && hint.contains(instead),
                "{text:?}: {hint}"
            );
        }
        let block = "version: 1\nquery:\n  answer:\n    prompt: |\n      name：x\n    temperature: 900\n";
        assert!(errors(block, Path::new("/")).iter().all(|error| !format!("{:?}", error.hint).contains("full-width")));
        // What is text is none of it, and what is right stays right.
        assert!(
            errors("version: 1\nname: docs\nquery: { answer: { prompt: '回答：简短，清楚' } }\n", Path::new("/")).len() < 2
        );
        let other = errors("version: 1 # 版本：一\nnmae: docs\n", Path::new("/"));
        assert!(other.iter().all(|error| error.hint.as_ref().is_some_and(|hint| !hint.contains("full-width"))), "{other:?}");
    }

    #[test]
    fn the_folder_of_a_reranker_is_looked_for() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let text = "version: 1\nquery: { retrieve: { rerank: { model: local/./重排 } } }\n";
        let said = |what: &str| {
            let errors = errors(text, folder.path());
            let [error] = &*errors else { panic!("{errors:?}") };
            assert!(error.message.contains(what) && error.place.is_some() && error.hint.is_some(), "{error}");
        };
        said("there is no folder");
        let inner = folder.path().join("重排");
        let write = |name: &str| std::fs::write(inner.join(name), "x");
        assert!(std::fs::create_dir(&inner).and_then(|()| write("config.json")).and_then(|()| write("tokenizer.json")).is_ok());
        said("model.safetensors is not in");
        assert!(write("model.safetensors").is_ok() && errors(text, folder.path()).is_empty());
    }
}
