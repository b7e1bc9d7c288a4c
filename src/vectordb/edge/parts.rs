//! An index in parts. The engine keeps something of every segment in memory (its vocabulary, its points' ids): one shard grows
//! with the corpus. Here the newest part takes what is new until it is full; then it is put aside, closed, and the next begun. A
//! run that only adds has one part open, however large the index is.
//!
//! A point stays in the part where it was first written, so that no point is ever in two. Questions go to all parts; word
//! frequencies are those of the whole index (see [`Parts::with_idf`]).
//!
//! A part is put aside in steps that a kill may come between: an empty part is made as `engine.new`; [`PointIndex`] take down what
//! the full one holds; `engine` becomes `parts/<n>`, `engine.new` becomes `engine`. What was taken down is carried through when
//! the index is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use uuid::Uuid;

use super::engine::Engine;
use super::fault::{Fault, closed};
use super::files::{remove_directory, sync_directory};
use super::layout::Sizes;
use super::point_index::{PointIndex, SealedPart};
use super::snapshot;
use crate::document::{Hit, Passage, Point, SparseVector};
use crate::vectordb::{Condition, MAX_DOCUMENTS, Query, rank};

/// Sealed parts that writing keeps open: what an edit or a removal meets comes in the order of its documents, more or less, and so
/// do the parts.
const OPEN: usize = 2;

/// An open index. Blocks: call it from a thread that may.
#[derive(Debug)]
pub(super) struct Parts {
    folder: PathBuf,
    dimensions: usize,
    sizes: Sizes,
    newest: Engine,
    full: Vec<Part>,
    /// `None` as long as no part is full.
    places: Option<Mutex<PointIndex>>,
    /// Counts the uses of full parts.
    clock: AtomicU64,
}

/// A full part, opened when it is needed.
#[derive(Debug)]
struct Part {
    directory: PathBuf,
    engine: RwLock<Option<Engine>>,
    used: AtomicU64,
}

impl Parts {
    /// Makes an empty index in `folder`, which exists. What is there of an index is removed.
    pub(super) fn create(folder: &Path, dimensions: usize, sizes: Sizes) -> Result<Self, Fault> {
        Self::remove(folder)?;
        let directory = newest(folder);
        fs::create_dir(&directory)?;
        let newest = Engine::create(&directory, dimensions, sizes)?;
        Ok(Self { folder: folder.into(), dimensions, sizes, newest, full: vec![], places: None, clock: AtomicU64::new(0) })
    }

    /// Removes the index in `folder`.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        // The places first: without them, what is left is not carried through.
        let journal = folder.join("places-journal");
        for file in [&places(folder), &journal] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        [newest(folder), next(folder), parts(folder)].iter().try_for_each(|directory| remove_directory(directory))
    }

    /// Whether there is anything of an index in `folder`.
    pub(super) fn exist(folder: &Path) -> bool {
        [newest(folder), next(folder), parts(folder), places(folder)].iter().any(|path| path.exists())
    }

    /// Opens the index in `folder`: its newest part, and the others when they are needed.
    pub(super) fn open(folder: &Path, dimensions: usize, sizes: Sizes) -> Result<Self, Fault> {
        let places = match places(folder) {
            path if path.try_exists()? => Some(PointIndex::open(&path)?),
            // A part that nothing tells of.
            _ if parts(folder).try_exists()? => return Err(Fault::Missing(places(folder))),
            _ => None,
        };
        let full = places.as_ref().map_or(Ok(vec![]), PointIndex::parts)?.len();
        recover(folder, full)?;
        let full = (0..full).map(|number| {
            let directory = part(folder, number);
            if !directory.try_exists()? {
                return Err(Fault::Missing(directory));
            }
            Ok(Part { directory, engine: RwLock::new(None), used: AtomicU64::new(0) })
        });
        let full = full.collect::<Result<_, _>>()?;
        let newest = Engine::open(&newest(folder), dimensions, sizes)?;
        let places = places.map(Mutex::new);
        Ok(Self { folder: folder.into(), dimensions, sizes, newest, full, places, clock: AtomicU64::new(0) })
    }

    /// Whether the newest part is to be put aside.
    pub(super) fn is_full(&self) -> bool {
        self.newest.is_full()
    }

    /// Whether an engine's log has grown so big that it is worth to close and open anew.
    pub(super) fn is_oversized(&self) -> bool {
        let oversized = |part: &Part| read(&part.engine).as_ref().is_some_and(Engine::is_oversized);
        self.newest.is_oversized() || self.full.iter().any(oversized)
    }

    /// Takes down what the newest part holds and closes all: opening the index again begins the next part.
    pub(super) fn seal(self) -> Result<(), Fault> {
        let next = next(&self.folder);
        remove_directory(&next)?;
        fs::create_dir(&next)?;
        drop(Engine::create(&next, self.dimensions, self.sizes)?);
        snapshot::sync_all(&next)?;
        sync_directory(&self.folder)?;
        let (ids, uris) = (self.newest.ids()?, self.newest.uris(&[])?);
        let mut places = match self.places {
            Some(places) => places.into_inner().unwrap_or_else(PoisonError::into_inner),
            None => PointIndex::open(&places(&self.folder))?,
        };
        places.add(&ids, &uris)?;
        tracing::debug!(points = ids.len(), documents = uris.len(), part = self.full.len(), "a part of the index is full");
        Ok(())
    }

    /// Writes points; those that exist are replaced where they are.
    pub(super) fn upsert(&self, points: Vec<Point>) -> Result<(), Fault> {
        self.write(points, |point| (point.id, Some(&*point.passage.uri)), Engine::upsert)
    }

    /// Replaces the payloads of those of the points that exist.
    pub(super) fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), Fault> {
        self.write(passages, |(id, passage)| (*id, Some(&*passage.uri)), Engine::set_passages)
    }

    /// Removes points by id.
    pub(super) fn delete(&self, ids: Vec<Uuid>) -> Result<(), Fault> {
        self.write(ids, |id| (*id, None), Engine::delete)
    }

    /// Removes the points of a document.
    pub(super) fn delete_document(&self, uri: &str) -> Result<(), Fault> {
        let parts = self.point_index().map_or(Ok(vec![]), |places| places.of_document(uri))?;
        for part in parts {
            self.write_to(Some(part), |engine| engine.delete_document(uri.to_owned()))?;
        }
        self.newest.delete_document(uri.to_owned())
    }

    /// Each item to the part where its point is, or else to the newest.
    fn write<T>(
        &self,
        items: Vec<T>,
        name: impl Fn(&T) -> (Uuid, Option<&str>),
        write: impl Fn(&Engine, Vec<T>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(mut places) = self.point_index() else { return write(&self.newest, items) };
        let found = places.of_points(items.iter().map(|item| name(item).0))?;
        // A point may have come from another document.
        let uris = items.iter().zip(&found).filter_map(|(item, part)| Some(((*part)?, name(item).1?)));
        places.add_documents(&uris.collect::<BTreeSet<_>>())?;
        drop(places);
        let mut by_part = BTreeMap::<_, Vec<_>>::new();
        for (part, item) in found.into_iter().zip(items) {
            by_part.entry(part).or_default().push(item);
        }
        by_part.into_iter().try_for_each(|(part, items)| self.write_to(part, |engine| write(engine, items)))
    }

    fn write_to(&self, part: Option<usize>, write: impl FnOnce(&Engine) -> Result<(), Fault>) -> Result<(), Fault> {
        let Some(part) = part else { return write(&self.newest) };
        let part = self.full.get(part).ok_or_else(|| Fault::Missing(self::part(&self.folder, part)))?;
        part.used.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.with(part, write)?;
        self.close_some();
        Ok(())
    }

    /// Closes the parts that writing has not met for the longest time.
    fn close_some(&self) {
        let mut open: Vec<_> = self.full.iter().filter(|part| read(&part.engine).is_some()).collect();
        open.sort_by_key(|part| std::cmp::Reverse(part.used.load(Ordering::Relaxed)));
        for part in open.into_iter().skip(OPEN) {
            // One that is in use stays open for now.
            if let Ok(mut engine) = part.engine.try_write() {
                *engine = None;
            }
        }
    }

    /// Writes all to the engine's own files, and seals, merges and sheds deleted points where that is due. What is closed is
    /// opened only to be given its graphs, one part after the other.
    pub(super) fn compact(&self) -> Result<(), Fault> {
        let known = self.known()?;
        let points = self.newest.points()? + known.iter().map(|full| full.points).sum::<usize>();
        let graph = points >= self.sizes.graph;
        self.newest.compact(graph)?;
        for (number, (part, known)) in self.full.iter().zip(known).enumerate() {
            let was_open = read(&part.engine).is_some();
            let wants_graph = graph && !known.graph;
            if was_open || wants_graph {
                self.with(part, |engine| engine.compact(graph))?;
            }
            if let Some(places) = self.point_index().filter(|_| wants_graph) {
                places.has_graph(number)?;
            }
            if !was_open && let Ok(mut engine) = part.engine.try_write() {
                *engine = None;
            }
        }
        Ok(())
    }

    /// The best passages, best first.
    pub(super) fn query(&self, query: &Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, Fault> {
        let queries: Vec<_> = match query {
            Query::Sparse(words) if !self.full.is_empty() => self.with_idf(words)?.into_iter().map(Query::Sparse).collect(),
            query => vec![query.clone(); self.full.len() + 1],
        };
        let best = Mutex::new(Vec::new());
        self.each(|number, engine| {
            let Some(query) = queries.get(number) else { return Ok(()) };
            let found = engine.query(query.clone(), conditions, limit)?;
            let mut best = best.lock().unwrap_or_else(PoisonError::into_inner);
            best.extend(found);
            *best = rank(std::mem::take(&mut *best));
            best.truncate(limit);
            Ok(())
        })?;
        Ok(best.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same words for each part, weighed so that a part ranks by how rare they are in the whole index: every part would
    /// multiply them by their inverse document frequency in itself, `ln((n - df + 0.5) / (df + 0.5) + 1)`.
    fn with_idf(&self, words: &SparseVector) -> Result<Vec<SparseVector>, Fault> {
        let told = self.each(|_, engine| {
            let rarities = words.indices.iter().map(|word| engine.idf(*word)).collect::<Result<Vec<_>, _>>()?;
            Ok((engine.points()? as f64, rarities))
        })?;
        let all: f64 = told.iter().map(|(points, _)| points).sum();
        let found = |word: usize, (points, rarities): &(f64, Vec<Option<f32>>)| {
            // The formula above, solved for `df`.
            let idf = f64::from((*rarities.get(word)?)?);
            Some(((points + 1.0) / idf.exp() - 0.5).clamp(0.5, *points))
        };
        let idf = |word: usize| {
            let documents: f64 = told.iter().filter_map(|part| found(word, part)).sum();
            ((all - documents + 0.5) / (documents + 0.5) + 1.0).ln()
        };
        let whole: Vec<_> = (0..words.indices.len()).map(idf).collect();
        let of_part = |(_, rarities): &(f64, Vec<Option<f32>>)| {
            let weigh = |((word, value), (here, whole)): ((&u32, &f32), (&Option<f32>, &f64))| {
                let here = here.filter(|here| *here > 0.0)?;
                Some((*word, (f64::from(*value) * whole / f64::from(here)) as f32))
            };
            let words = words.indices.iter().zip(&words.values);
            let (indices, values) = words.zip(rarities.iter().zip(&whole)).filter_map(weigh).unzip();
            SparseVector { indices, values }
        };
        Ok(told.iter().map(of_part).collect())
    }

    /// The documents of the points that meet the conditions.
    pub(super) fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, Fault> {
        // A document may lie in two parts.
        let uris: BTreeSet<_> = self.each(|_, engine| engine.uris(conditions))?.into_iter().flatten().collect();
        Ok(uris.into_iter().take(MAX_DOCUMENTS).collect())
    }

    /// How many points there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        Ok(self.each(|_, engine| engine.count())?.into_iter().sum())
    }

    /// Points from `from` on, in the order of their ids.
    pub(super) fn scroll(&self, from: Uuid, limit: usize) -> Result<Vec<(Uuid, Passage)>, Fault> {
        if self.full.is_empty() {
            return self.newest.scroll(from, limit);
        }
        // First the ids alone: a page of every part would be as many pages in memory.
        let ids = self.each(|_, engine| engine.ids_from(from, limit))?;
        let mut all: Vec<_> = ids.iter().flatten().copied().collect();
        all.sort_unstable();
        all.truncate(limit);
        let Some(last) = all.pop() else { return Ok(vec![]) };
        let pages = self.each(|number, engine| match ids.get(number).map(|ids| ids.partition_point(|id| *id <= last)) {
            None | Some(0) => Ok(vec![]),
            Some(count) => engine.scroll(from, count),
        })?;
        let mut page: Vec<_> = pages.into_iter().flatten().collect();
        page.sort_unstable_by_key(|(id, _)| *id);
        Ok(page)
    }

    /// Asks every part the same, as many at a time as there are cores: opening a part is work. In the order of the parts, the
    /// newest last.
    fn each<T: Send>(&self, ask: impl Fn(usize, &Engine) -> Result<T, Fault> + Sync) -> Result<Vec<T>, Fault> {
        let next = AtomicUsize::new(0);
        let ask_some = || {
            let take = || next.fetch_add(1, Ordering::Relaxed);
            let parts = std::iter::repeat_with(take).map_while(|number| Some((number, self.full.get(number)?)));
            let told = parts.map(|(number, part)| Ok((number, self.with(part, |engine| ask(number, engine))?)));
            told.collect::<Result<Vec<_>, Fault>>()
        };
        let helpers = std::thread::available_parallelism().map_or(1, usize::from).min(self.full.len());
        let told = std::thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(ask_some)).collect();
            let told = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|_| Err(closed())));
            told.collect::<Result<Vec<_>, _>>()
        })?;
        let mut told: Vec<_> = told.into_iter().flatten().collect();
        told.push((self.full.len(), ask(self.full.len(), &self.newest)?));
        told.sort_by_key(|(number, _)| *number);
        Ok(told.into_iter().map(|(_, told)| told).collect())
    }

    /// Calls `work` with the part, which it opens first where need be.
    fn with<T>(&self, part: &Part, work: impl FnOnce(&Engine) -> Result<T, Fault>) -> Result<T, Fault> {
        loop {
            if let Some(engine) = &*read(&part.engine) {
                return work(engine);
            }
            let mut engine = part.engine.write().unwrap_or_else(PoisonError::into_inner);
            if engine.is_none() {
                let opened = Engine::open(&part.directory, self.dimensions, self.sizes);
                *engine = Some(opened.map_err(|fault| Fault::Part(Box::new(fault)))?);
            }
        }
    }

    fn point_index(&self) -> Option<MutexGuard<'_, PointIndex>> {
        Some(self.places.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn known(&self) -> Result<Vec<SealedPart>, Fault> {
        Ok(self.point_index().map_or(Ok(vec![]), |places| places.parts())?)
    }
}

/// Does what is left to do of putting a part aside, where a kill came in between: of these many parts that are full, the last
/// may still be in the place of the newest.
fn recover(folder: &Path, full: usize) -> io::Result<()> {
    let (newest, next) = (newest(folder), next(folder));
    if let Some(number) = full.checked_sub(1) {
        let last = part(folder, number);
        if !last.try_exists()? && next.try_exists()? {
            fs::create_dir_all(parts(folder))?;
            fs::rename(&newest, &last)?;
            sync_directory(&parts(folder))?;
            sync_directory(folder)?;
        }
        if !newest.try_exists()? && next.try_exists()? {
            fs::rename(&next, &newest)?;
            sync_directory(folder)?;
        }
    }
    // Not taken down, hence not begun.
    remove_directory(&next)
}

/// The part that takes what is new.
fn newest(folder: &Path) -> PathBuf {
    folder.join("engine")
}

/// The part that shall be the newest.
fn next(folder: &Path) -> PathBuf {
    folder.join("engine.new")
}

/// The full parts.
fn parts(folder: &Path) -> PathBuf {
    folder.join("parts")
}

fn part(folder: &Path, number: usize) -> PathBuf {
    parts(folder).join(number.to_string())
}

fn places(folder: &Path) -> PathBuf {
    folder.join("places")
}

fn read(engine: &RwLock<Option<Engine>>) -> std::sync::RwLockReadGuard<'_, Option<Engine>> {
    engine.read().unwrap_or_else(PoisonError::into_inner)
}
