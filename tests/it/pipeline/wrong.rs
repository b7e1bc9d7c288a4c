//! What is told of files that are wrong.

use super::{EXAMPLE, errors, told};

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
    ("name: !x y\n", "1:10", "y", "YAML tags (`!…`) have no meaning here", "`${NAME}` stands for a variable"),
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
    ("# ÿ\nname: ÿ÷\nÿ: \"é\" # ÿ\n", "2:7", "ÿ÷", "`ÿ÷`: not a name", "letters"),
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

/// The text above the carets of a rendered error.
pub fn underlined(rendered: &str) -> String {
    let lines: Vec<&str> = rendered.lines().collect();
    let below = lines.iter().position(|line| line.contains('^') && line.trim_matches([' ', ':', '^']).is_empty());
    let below = below.unwrap_or_else(|| panic!("no caret in\n{rendered}"));
    let carets = lines[below].chars().enumerate().filter(|(_, c)| *c == '^').map(|(at, _)| at);
    let above: Vec<char> = lines[below - 1].chars().collect();
    carets.map(|at| above.get(at).copied().unwrap_or(' ')).collect()
}
