//! One process at a time: an advisory lock on a file that says who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to sleep between two attempts.
const POLL: Duration = Duration::from_millis(25);
/// What is read of the holder's line, at most, in bytes.
const MAX_HOLDER: u64 = 200;

/// Held as long as it lives. The operating system releases it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub(super) enum LockFailure {
    /// Somebody else has it.
    Held(String),
    /// The file could not be opened, locked or written.
    Io(io::Error),
}

impl FolderLock {
    /// Locks `folder` (which exists), waiting for at most `wait`. Blocks the thread.
    pub(super) fn acquire(folder: &Path, wait: Duration) -> Result<Self, LockFailure> {
        let path = folder.join("lock");
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(LockFailure::Io)?;
        let give_up = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(LockFailure::Io(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => return Err(LockFailure::Held(holder(&mut file))),
            }
        }
        // Only for the message that others get: a failure to write it is none of the lock's.
        if let Err(error) = sign(&mut file) {
            tracing::debug!(%error, "cannot write who holds the lock");
        }
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("process {} ({})\n", std::process::id(), command()).as_bytes())
}

fn holder(file: &mut File) -> String {
    let mut line = String::new();
    let read = file.rewind().and_then(|()| file.take(MAX_HOLDER).read_to_string(&mut line));
    match line.trim() {
        signed if read.is_ok() && !signed.is_empty() => signed.to_owned(),
        _ => "another process".to_owned(),
    }
}

/// The program and its subcommand, never any other argument: they may hold what others must not read.
fn command() -> String {
    let mut args = std::env::args_os();
    let program = args.next().map(std::path::PathBuf::from);
    let program = program.as_deref().and_then(Path::file_name).map_or("?".into(), std::ffi::OsStr::to_string_lossy);
    match args.next().and_then(|arg| arg.into_string().ok()) {
        Some(arg) if !arg.is_empty() && arg.len() < 20 && arg.bytes().all(|b| b.is_ascii_lowercase()) => {
            format!("{program} {arg}")
        }
        _ => program.into_owned(),
    }
}
