//! Reads files with a JSON object a line.

use std::io;
use std::pin::pin;

use futures_util::Stream;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Bytes of a line; more than any question that can be asked takes.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// The lines of a file that are not blank, each with its number, and read or what is wrong with it.
pub(super) fn json_lines<T: DeserializeOwned>(
    file: impl AsyncBufRead,
) -> impl Stream<Item = io::Result<(u64, Result<T, String>)>> {
    async_stream::try_stream! {
        let mut file = pin!(file);
        let mut number = 0_u64;
        let mut line = Vec::new();
        while let Some(whole) = next_line(&mut file, &mut line).await? {
            number += 1;
            // A byte order mark is no part of the first line.
            let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
            if !whole {
                yield (number, Err(format!("longer than {MAX_LINE_BYTES} bytes")));
            } else if !text.is_empty() {
                yield (number, serde_json::from_slice(text).map_err(|error| plain(&error)));
            }
        }
    }
}

/// The fault in a line, without serde's own "at line 1".
fn plain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or(&said);
    format!("{what} at column {} (wanted {{\"id\": …, \"text\": …}})", error.column())
}

/// Reads the next line, without its end; of one that is too long only its beginning, and then says `false`. `None` at the end.
pub(super) async fn next_line(file: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = file.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        whole &= line.len() + part.len() <= MAX_LINE_BYTES;
        if whole {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        file.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}
