//! `read`: what a file is read as. Indexes nothing.

use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::args::{Common, ReadArgs};
use super::exit;
use super::output::Output;
use crate::document::Markup;
use crate::error::reason;
use crate::parse::{Hint, ParseError, ParseOptions, Parsed, parse_with};
use crate::pipeline::MAX_BYTES;

/// What became of a file, as a line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    Document {
        uri: &'a str,
        title: Option<&'a str>,
        markup: Markup,
        #[serde(skip_serializing_if = "<[u32]>::is_empty")]
        unread_pages: &'a [u32],
        text: &'a str,
    },
    Failed {
        uri: &'a str,
        error: &'a str,
    },
}

pub(super) async fn run(args: ReadArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let options = args.pipeline.runtime(common, |_| Ok(()))?.plan.parse;
    let mut code = exit::OK;
    let several = args.files.len() > 1;
    for path in args.files {
        if stop.is_cancelled() {
            return Ok(exit::INTERRUPTED);
        }
        let uri = path.display().to_string();
        let options = options.clone();
        // The parsers have a time limit each; what is running when Ctrl-C comes goes with the process.
        let parsed = tokio::task::spawn_blocking(move || read(&path, &options));
        let parsed = tokio::select! {
            parsed = parsed => parsed?,
            () = stop.cancelled() => return Ok(exit::INTERRUPTED),
        };
        match parsed {
            Ok(Parsed { extracted, unread_pages, .. }) if output.json => {
                let (title, markup, text) = (extracted.title.as_deref(), extracted.markup, &extracted.text);
                output.event(&Event::Document { uri: &uri, title, markup, unread_pages: &unread_pages, text });
            }
            Ok(Parsed { extracted, unread_pages, .. }) => {
                if several {
                    output.print(&format!("{}\n", output.heading(&uri)));
                }
                output.print(&format!("{}\n", extracted.text.trim_end_matches(['\n', '\r'])));
                if !unread_pages.is_empty() {
                    output.note(&format!("{uri}: {} of its pages need OCR", unread_pages.len()));
                }
            }
            Err(error) => {
                code = exit::SOME_FAILED;
                if output.json {
                    output.event(&Event::Failed { uri: &uri, error: &error });
                } else {
                    output.complain(&format!("{} {uri}: {error}\n", output.paint("error:", "1;31")));
                }
            }
        }
    }
    Ok(code)
}

fn read(path: &Path, options: &ParseOptions) -> Result<Parsed, String> {
    let said = |error: std::io::Error| format!("cannot be read: {error}");
    let size = std::fs::metadata(path).map_err(said)?.len();
    if size > MAX_BYTES {
        return Err(format!("larger than {} MB", MAX_BYTES / 1_000_000));
    }
    let bytes = std::fs::read(path).map_err(said)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parse_with(Hint::name(&name), bytes, options).map_err(|error: ParseError| reason(&error))
}
