//! `prove`: whether texts say what claims say of them, by the check that an answer's citations pass.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, BufReader};
use tokio_util::sync::CancellationToken;

use super::args::ProveArgs;
use super::exit;
use super::jsonl::next_line;
use super::output::Output;
use super::style::one_line;
use crate::answer::DoubtKind;
use crate::answer::proof::{Evidence, check};
use crate::answer::wire::{Failed, Line, Stage};
use crate::error::Error;

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// Comes back with the doubts.
    #[serde(default)]
    id: serde_json::Value,
    #[serde(rename = "claim")]
    text: String,
    /// What it rests on.
    sources: Vec<String>,
}

/// What became of it, as a line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "claim")]
struct Proof<'a> {
    line: u64,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    id: serde_json::Value,
    claim: &'a str,
    doubts: Vec<Doubt>,
    /// The time that reading the sources and checking took.
    ms: f64,
}

#[derive(Debug, Serialize)]
struct Doubt {
    kind: DoubtKind,
    said: String,
}

/// Exit code 1: something is doubtful, or a line could not be read.
pub(super) async fn run(args: ProveArgs, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let name = args.file.display().to_string();
    let unread = |source: io::Error| Error::io("read the claims from", &name, source);
    let mut file: Box<dyn AsyncBufRead + Unpin> = if args.file == Path::new("-") {
        Box::new(BufReader::new(tokio::io::stdin()))
    } else {
        Box::new(BufReader::new(tokio::fs::File::open(&args.file).await.map_err(unread)?))
    };
    let (mut number, mut bytes, mut code) = (0_u64, Vec::new(), exit::OK);
    loop {
        let read = tokio::select! {
            read = next_line(&mut file, &mut bytes) => read.map_err(unread)?,
            () = stop.cancelled() => return Ok(exit::INTERRUPTED),
        };
        let Some(whole) = read else { return Ok(code) };
        number += 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let parsed = if whole {
            serde_json::from_slice::<Claim>(&bytes).map_err(|error| error.to_string())
        } else {
            Err("too long".into())
        };
        let proved = match parsed {
            Ok(claim) => tokio::task::spawn_blocking(move || prove(claim)).await?,
            Err(error) => {
                code = exit::SOME_FAILED;
                let error = format!("{error}; wanted {{\"claim\": …, \"sources\": [\"…\"]}}");
                if output.json {
                    let stage = Some(Stage::Read);
                    output.event(&Line::Failed(Failed { line: Some(number), stage, error: error.into(), ..Failed::default() }));
                } else {
                    output.complain(&format!("{} {name}:{number}: {error}\n", output.paint("error:", "1;31")));
                }
                continue;
            }
        };
        let (Claim { id, text, .. }, doubts, ms) = proved;
        if !doubts.is_empty() {
            code = exit::SOME_FAILED;
        }
        if output.json {
            output.event(&Proof { line: number, id, claim: &text, doubts, ms });
        } else {
            for Doubt { kind, said } in doubts {
                output.print(&format!("{number}: {kind}: {}\n", one_line(&said)));
            }
        }
    }
}

fn prove(claim: Claim) -> (Claim, Vec<Doubt>, f64) {
    let began = std::time::Instant::now();
    let sources: Vec<Evidence> = claim.sources.iter().map(|source| Evidence::new(source, false, &[])).collect();
    let doubts = check(&claim.text, 0..claim.text.len(), &sources.iter().collect::<Vec<_>>());
    let ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    (claim, doubts.into_iter().map(|(kind, said)| Doubt { kind, said }).collect(), ms)
}
