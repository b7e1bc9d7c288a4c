//! A log that goes on for days: what it has said it does not say again.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that are remembered; then all are forgotten.
const MOST: usize = 1000;

/// Writes each line to stderr once. A warning that comes with each run is none after the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Once(Arc<Mutex<HashSet<blake3::Hash>>>);

impl Once {
    fn is_new(&self, line: &[u8]) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST {
            said.clear();
        }
        said.insert(blake3::hash(line))
    }
}

/// Gets each line in one piece.
impl Write for Once {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_new(line) {
            io::stderr().lock().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl MakeWriter<'_> for Once {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_new_once_and_memory_is_bounded() {
        let once = Once::default();
        assert!(once.is_new(b"a") && !once.is_new(b"a") && once.is_new(b"b"));
        assert!((0..MOST * 3).all(|n| once.is_new(n.to_string().as_bytes())));
        assert!(once.0.lock().is_ok_and(|said| said.len() <= MOST));
    }
}
