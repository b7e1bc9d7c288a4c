//! What keeps an index fast beside the writing: fresh rows become segments, segments are merged, the log is written into the
//! database, and space that became free is given back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{TransactionBehavior, params};

use super::database::{BUSY, Database, Listed, State};
use super::fault::Fault;
use super::files::{remove_file, sync_directory};
use super::merge::{Made, Sizes, due, merge, seal};
use super::segment::{Segment, lock};
use super::writer::{Writer, forget_dead};

/// The log may grow to this before it is written into the database, in bytes.
const LOG: u64 = 8 << 20;
/// And to this before readers are waited for.
const LOG_MOST: u64 = 32 << 20;
/// How often the log is written into the database while others write to it.
const PASSES: usize = 5;
/// Pages of it that are few enough to be written while they wait.
const REST: i64 = 64;
/// How long they are waited for: who writes stands still meanwhile.
const MOMENT: Duration = Duration::from_millis(150);
/// So many times the rows of a segment may wait for one: then who writes waits, too.
const BEHIND: usize = 4;
/// How long a write waits for that, at most, at a time.
const PATIENCE: Duration = Duration::from_millis(50);
/// Pages that are given back in one transaction.
const PAGES: i64 = 1000;
/// Free pages that are kept for what comes next.
const SPARE_PAGES: i64 = 256;
/// What a segment's file is called.
const SEGMENT: &str = "segment-";

/// Does what is to be done beside the writing, in threads of its own: one makes segments of what is fresh, one merges them, so that
/// a long merge keeps nobody from writing.
#[derive(Debug)]
pub(super) struct Maintenance {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    writer: Arc<Writer>,
    dimensions: usize,
    sizes: Sizes,
    /// For whoever makes segments of what is fresh.
    sealing: Mutex<Database>,
    /// For whoever merges.
    merging: Mutex<Database>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Wanted {
    seal: bool,
    merge: bool,
    /// What went wrong the last time, for who waits.
    fault: Option<Arc<Fault>>,
    /// It was said that something is wrong, and nothing went right since.
    told: bool,
}

/// What a thread does.
#[derive(Debug, Clone, Copy)]
enum Task {
    Seal,
    Merge,
}

impl Maintenance {
    /// Begins to look after the index that `writer` writes to. Files that no state names are removed first: a kill left them.
    pub(super) fn start(folder: &Path, writer: Arc<Writer>, dimensions: usize, sizes: Sizes) -> Result<Self, Fault> {
        let sealing = Database::open(folder)?;
        remove_unnamed(&sealing, dimensions)?;
        let wanted = Wanted { seal: writer.fresh() >= sizes.seal, merge: true, ..Wanted::default() };
        let shared = Arc::new(Shared {
            writer,
            dimensions,
            sizes,
            sealing: Mutex::new(sealing),
            merging: Mutex::new(Database::open(folder)?),
            wanted: Mutex::new(wanted),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut maintenance = Self { shared, threads: Vec::new() };
        for task in [Task::Seal, Task::Merge] {
            let own = Arc::clone(&maintenance.shared);
            let thread = std::thread::Builder::new().name("index".into()).spawn(move || own.run(task));
            maintenance.threads.push(thread.map_err(Fault::io(folder))?);
        }
        Ok(maintenance)
    }

    /// Something was written. Where much more waits for a segment than one holds, this waits, too.
    pub(super) fn written(&self) -> Result<(), Arc<Fault>> {
        let Shared { writer, sizes, .. } = &*self.shared;
        if writer.fresh() < sizes.seal {
            return Ok(());
        }
        let mut wanted = lock(&self.shared.wanted);
        wanted.seal = true;
        self.shared.changed.notify_all();
        while writer.fresh() >= sizes.seal.saturating_mul(BEHIND) {
            if let Some(fault) = wanted.fault.take() {
                return Err(fault);
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            wanted.seal = true;
            let waited = self.shared.changed.wait_timeout(wanted, PATIENCE);
            wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Seals, merges, gives space back and empties the log.
    pub(super) fn tidy(&self) -> Result<(), Fault> {
        let shared = &self.shared;
        let sealing = lock(&shared.sealing);
        // A few rows are found as fast where they are.
        while shared.writer.fresh() >= (shared.sizes.seal / 8).max(1) {
            shared.seal(&sealing)?;
        }
        let merging = lock(&shared.merging);
        while shared.merge_once(&merging)?.is_some() {}
        shared.shrink()?;
        shared.empty_log(&sealing)
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        {
            // Under the lock, so that nobody looks before it and waits after it.
            let _wanted = lock(&self.shared.wanted);
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It does not panic; if it did, there is nothing to do about it here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, task: Task) {
        loop {
            let mut wanted = lock(&self.wanted);
            loop {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                let due = match task {
                    Task::Seal => std::mem::take(&mut wanted.seal),
                    Task::Merge => std::mem::take(&mut wanted.merge),
                };
                if due {
                    break;
                }
                wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
            }
            drop(wanted);
            let done = match task {
                Task::Seal => self.seal_full(),
                Task::Merge => self.merge_all(),
            };
            let mut wanted = lock(&self.wanted);
            match done {
                Ok(()) => (wanted.fault, wanted.told) = (None, false),
                Err(Fault::Closing) => {}
                Err(fault) => {
                    // Once: while it stays so, every write would say it again.
                    if !std::mem::replace(&mut wanted.told, true) {
                        tracing::warn!(error = %fault, "the index could not be tidied");
                    }
                    wanted.fault = Some(Arc::new(fault));
                }
            }
            self.changed.notify_all();
        }
    }

    /// Makes segments as long as there are rows for a whole one.
    fn seal_full(&self) -> Result<(), Fault> {
        let database = lock(&self.sealing);
        while self.writer.fresh() >= self.sizes.seal && !self.stop.load(Ordering::Relaxed) {
            self.seal(&database)?;
            lock(&self.wanted).merge = true;
            self.changed.notify_all();
            if database.log_bytes() > LOG {
                self.empty_log(&database)?;
            }
        }
        Ok(())
    }

    /// Merges what is due.
    fn merge_all(&self) -> Result<(), Fault> {
        let database = lock(&self.merging);
        while self.merge_once(&database)?.is_some() {
            if database.log_bytes() > LOG {
                self.empty_log(&database)?;
            }
        }
        Ok(())
    }

    /// What counts, as of now.
    fn state(database: &Database) -> Result<State, Fault> {
        database.call(|connection| connection.execute_batch("BEGIN DEFERRED"))?;
        let state = database.state();
        database.call(|connection| connection.execute_batch("COMMIT"))?;
        state
    }

    fn seal(&self, database: &Database) -> Result<(), Fault> {
        let state = Self::state(database)?;
        let after = state.segments.last().map_or(0, |segment| segment.last);
        let name = new_name();
        Self::clean(database, &name, seal(database, self.dimensions, &name, after, self.sizes.seal))?.map_or(Ok(()), |made| {
            self.replace(database, &[], &made)?;
            tracing::debug!(rows = made.rows.len(), "a segment of the index was written");
            Ok(())
        })
    }

    /// Makes one of the segments that are due; `None`: none are.
    fn merge_once(&self, database: &Database) -> Result<Option<()>, Fault> {
        let state = Self::state(database)?;
        let Some(range) = due(&state, self.sizes) else { return Ok(None) };
        let old: Vec<Listed> = state.segments.get(range.clone()).unwrap_or_default().to_vec();
        let name = new_name();
        let made = merge(&database.folder, self.dimensions, &state, range, &name, &self.stop);
        let made = Self::clean(database, &name, made.map(Some))?;
        if let Some(made) = made {
            self.replace(database, &old, &made)?;
            tracing::debug!(segments = old.len(), rows = made.rows.len(), "segments of the index were merged");
        }
        Ok(Some(()))
    }

    /// Removes the file of a segment that was not finished.
    fn clean(database: &Database, name: &str, made: Result<Option<Made>, Fault>) -> Result<Option<Made>, Fault> {
        if made.is_err() {
            // If it stays, it is removed when the index is opened to write to it again.
            let _ = fs::remove_file(database.folder.join(name));
        }
        made
    }

    /// Puts a segment in the place of the old ones, or of what was fresh, in one transaction.
    fn replace(&self, database: &Database, old: &[Listed], made: &Made) -> Result<(), Fault> {
        let folder = &database.folder;
        if made.segment.is_some() {
            sync_directory(folder).map_err(Fault::io(folder))?;
        }
        let sealed = self.writer.alone(|database| {
            let begun = database.connection.transaction_with_behavior(TransactionBehavior::Immediate);
            let replaced = begun.and_then(|transaction| {
                for segment in old {
                    transaction.execute("DELETE FROM segments WHERE name = ?1", [&segment.name])?;
                }
                if let Some(Listed { name, first, last, count }) = &made.segment {
                    let sql = "INSERT INTO segments (name, first, last, count) VALUES (?1, ?2, ?3, ?4)";
                    transaction.execute(sql, params![name, first, last, count])?;
                }
                let sql = "DELETE FROM fresh WHERE row BETWEEN ?1 AND ?2";
                let sealed = transaction.execute(sql, [made.first, made.last])?;
                // What the segment does not have need not be remembered as gone; what went meanwhile stays so.
                forget_dead(&transaction, made.first, made.last, &made.rows)?;
                transaction.commit()?;
                Ok(sealed)
            });
            replaced.map_err(|error| database.fault(error))
        })?;
        self.writer.sealed(sealed);
        for segment in old {
            let path = folder.join(&segment.name);
            // Nobody needs it; who has it open reads on.
            if let Err(error) = remove_file(&path) {
                tracing::debug!(%error, segment = %path.display(), "it is removed later");
            }
        }
        Ok(())
    }

    /// Writes the log into the database, so that it begins anew: nearly all of it while others write, the rest while they wait. Where
    /// readers keep it from beginning anew and it has become long, they are waited for, for a moment.
    fn empty_log(&self, database: &Database) -> Result<(), Fault> {
        // Who writes meanwhile makes it longer: each time, there is less to be written.
        let mut written = 0;
        for _ in 0..PASSES {
            let before = std::mem::replace(&mut written, database.empty_log("PASSIVE")?);
            if written.saturating_sub(before) <= REST {
                break;
            }
        }
        self.writer.alone(|database| {
            if database.log_bytes() <= LOG_MOST {
                return database.empty_log("PASSIVE").map(drop);
            }
            database.call(|connection| connection.busy_timeout(MOMENT))?;
            let emptied = database.empty_log("RESTART").map(drop);
            database.call(|connection| connection.busy_timeout(BUSY))?;
            emptied
        })
    }

    /// Gives free pages of the database back to the disk.
    fn shrink(&self) -> Result<(), Fault> {
        loop {
            let done = self.writer.alone(|database| {
                let number = |pragma| database.call(|connection| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)));
                let (free, all) = (number("PRAGMA freelist_count")?, number("PRAGMA page_count")?);
                if free <= SPARE_PAGES.max(all / 8) {
                    return Ok(true);
                }
                database.call(|connection| {
                    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
                    // A step a page: only all of them free what was asked for.
                    let mut steps = statement.query([])?;
                    while steps.next()?.is_some() {}
                    Ok(false)
                })
            })?;
            if done || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

/// A name that no segment ever had.
fn new_name() -> String {
    format!("{SEGMENT}{:016x}", rand::random::<u64>())
}

/// Removes the segments that a kill left unfinished or replaced, and looks whether those that count are there and as long as they
/// were.
fn remove_unnamed(database: &Database, dimensions: usize) -> Result<(), Fault> {
    let io = Fault::io(&database.folder);
    let named: HashSet<String> = database.state()?.segments.into_iter().map(|segment| segment.name).collect();
    for entry in fs::read_dir(&database.folder).map_err(&io)? {
        let entry = entry.map_err(&io)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(SEGMENT) && !named.contains(*name)) else { continue };
        remove_file(&database.folder.join(name)).map_err(&io)?;
    }
    named.iter().try_for_each(|name| Segment::open(&database.folder.join(name), dimensions).map(drop))
}
