//! One writer at a time.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::LedgerError;

/// A run of a watch over a file or two is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to sleep between two attempts.
const POLL: Duration = Duration::from_millis(25);

/// Takes the writer's lock, and writes into the file who has it. Blocks.
pub(super) fn take(ledger: &Path) -> Result<File, LedgerError> {
    let io = |source| LedgerError::Io { path: ledger.to_owned(), source };
    let path = ledger.with_extension("lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
    let give_up = Instant::now() + PATIENCE;
    let lock = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(POLL),
            lock => break lock,
        }
    };
    match lock {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            write!(file, "process {}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.rewind().and_then(|()| (&file).take(200).read_to_string(&mut holder));
            if read.is_err() || holder.is_empty() {
                "a process".clone_into(&mut holder);
            }
            Err(LedgerError::Busy { path: ledger.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
