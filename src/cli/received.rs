//! The lines of a response, as they come.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

/// The lines of a response.
pub(super) struct Received {
    pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    /// What has come of lines that are not told yet.
    kept: Vec<u8>,
    /// So much of it is told.
    told: usize,
    /// So much of it holds no further end of a line.
    looked: usize,
    /// Bytes of a line, at most.
    longest: usize,
}

/// There is no next line.
#[derive(Debug)]
pub(super) enum Ended {
    /// The connection has been closed, or was cut.
    Gone(Option<reqwest::Error>),
    /// A line is longer than any that is understood.
    TooLong,
}

impl Received {
    pub(super) fn new(response: reqwest::Response, longest: usize) -> Self {
        Self { pieces: response.bytes_stream().boxed(), kept: Vec::new(), told: 0, looked: 0, longest }
    }

    /// The next line, without its end. Nothing is lost when it is dropped before.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            let rest = self.kept.get(self.looked..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
                let end = self.looked + length;
                let line = self.kept.get(self.told..end).unwrap_or_default().to_vec();
                (self.told, self.looked) = (end + 1, end + 1);
                return Ok(line);
            }
            self.kept.drain(..self.told);
            (self.told, self.looked) = (0, self.kept.len());
            if self.kept.len() > self.longest {
                return Err(Ended::TooLong);
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => self.kept.extend_from_slice(&piece),
                Some(Err(error)) => return Err(Ended::Gone(Some(error))),
                None => return Err(Ended::Gone(None)),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_whole_however_they_come(lines in prop::collection::vec("[a-z]{0,9}", 0..9), size in 1_usize..12) {
            let text = [&lines[..], &["half".to_owned()]].concat().join("\n");
            let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let mut received =
                Received { pieces: stream::iter(pieces).boxed(), kept: Vec::new(), told: 0, looked: 0, longest: 64 };
            let told = futures_util::FutureExt::now_or_never(async {
                let mut told = Vec::new();
                while let Ok(line) = received.next().await {
                    told.push(String::from_utf8(line).unwrap());
                }
                told
            });
            prop_assert_eq!(told.unwrap(), lines);
        }
    }
}
