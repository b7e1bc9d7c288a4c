//! Comparing the vectors of all segments with a question's, in 8 bits.
//!
//! One scan goes on at a time, on all cores. Searches that come meanwhile wait for its end and are then scanned for together: a
//! piece of vectors is read once for all of them. An index that is asked by many takes little more for each than the comparing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::best::Best;
use super::fault::Fault;
use super::segment::{Segment, lock};
use super::vectors::{Asked, SCALE, split};

/// Bytes of vectors that are read at once: they stay near the core that compares them.
const PIECE: usize = 256 << 10;
/// Bytes of vectors for which another thread is worth it.
const THREAD: usize = 4 << 20;

/// What a search wants of a scan.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) asked: Arc<Asked>,
    pub(super) segments: Vec<Arc<Segment>>,
    /// Which of each segment's rows may be found; `None`: all.
    pub(super) living: Vec<Option<Arc<[bool]>>>,
    /// How many of the best.
    pub(super) amount: usize,
}

/// A row of a scan's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: usize,
    pub(super) local: u32,
}

impl Place {
    /// As a number that [`Best`] orders as the rows are.
    pub(super) fn pack(self) -> i64 {
        (self.segment as i64) << 32 | i64::from(self.local)
    }

    pub(super) fn unpack(place: i64) -> Self {
        Self { segment: (place >> 32) as usize, local: place as u32 }
    }
}

/// Scans for whoever asks, for all at once who ask at the same time.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    queue: Mutex<Queue>,
    /// A scan has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    busy: bool,
    waiting: Vec<Arc<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    scan: Scan,
    outcome: Mutex<Option<Outcome>>,
}

#[derive(Debug)]
enum Outcome {
    Found(Vec<Place>),
    /// The scan for all of them failed: each asks for itself what is wrong with what it wants.
    Alone,
}

impl Scanner {
    /// The places of about the best rows, best first. Blocks, for at most one scan that goes on already.
    pub(super) fn scan(&self, scan: Scan) -> Result<Vec<Place>, Fault> {
        let waiting = Arc::new(Waiting { scan, outcome: Mutex::default() });
        let mut queue = lock(&self.queue);
        queue.waiting.push(Arc::clone(&waiting));
        loop {
            let outcome = lock(&waiting.outcome).take();
            match outcome {
                Some(Outcome::Found(places)) => return Ok(places),
                Some(Outcome::Alone) => {
                    drop(queue);
                    let found = run(&[&waiting.scan])?;
                    return Ok(found.into_iter().flatten().collect());
                }
                None if queue.busy => queue = self.ended.wait(queue).unwrap_or_else(PoisonError::into_inner),
                None => {
                    queue.busy = true;
                    let turn = Turn { scanner: self, together: std::mem::take(&mut queue.waiting) };
                    drop(queue);
                    turn.scan();
                    queue = lock(&self.queue);
                }
            }
        }
    }
}

/// A scan that goes on. However it ends, all who wait for it get to know.
struct Turn<'a> {
    scanner: &'a Scanner,
    together: Vec<Arc<Waiting>>,
}

impl Turn<'_> {
    fn scan(self) {
        let scans: Vec<&Scan> = self.together.iter().map(|waiting| &waiting.scan).collect();
        match run(&scans) {
            Ok(found) => {
                for (waiting, places) in self.together.iter().zip(found) {
                    *lock(&waiting.outcome) = Some(Outcome::Found(places));
                }
            }
            Err(fault) => tracing::debug!(%fault, scans = scans.len(), "each search is scanned for by itself"),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for waiting in &self.together {
            lock(&waiting.outcome).get_or_insert(Outcome::Alone);
        }
        lock(&self.scanner.queue).busy = false;
        self.scanner.ended.notify_all();
    }
}

/// A segment, and who wants it: which scan, as which of its segments, with the rows that may be found.
struct Shared<'a> {
    segment: &'a Segment,
    scans: Vec<(usize, usize, Option<&'a [bool]>)>,
}

/// For each scan the places of about the best rows, best first.
fn run(scans: &[&Scan]) -> Result<Vec<Vec<Place>>, Fault> {
    let shared = share(scans);
    let mut pieces = Vec::new();
    for shared in &shared {
        let rows = (PIECE / shared.segment.stride().max(SCALE)).max(1) as u32;
        let count = shared.segment.count();
        pieces.extend((0..count).step_by(rows as usize).map(|from| (shared, from, rows.min(count - from))));
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<Best>> = Mutex::new(bests(scans));
    let work = || {
        let (mut best, mut buffer) = (bests(scans), Vec::new());
        while let Some((shared, from, rows)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            compare(scans, shared, *from, *rows, &mut buffer, &mut best)?;
        }
        for (found, best) in lock(&found).iter_mut().zip(best) {
            best.into_sorted().into_iter().for_each(|scored| found.add(scored.score, scored.row));
        }
        Ok(())
    };
    let worth = pieces.len().saturating_mul(PIECE).saturating_mul(scans.len()) / THREAD;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(worth);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, Result::and)
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let places = |best: Best| best.into_sorted().into_iter().map(|scored| Place::unpack(scored.row)).collect();
    Ok(found.into_iter().map(places).collect())
}

fn bests(scans: &[&Scan]) -> Vec<Best> {
    scans.iter().map(|scan| Best::new(scan.amount)).collect()
}

/// The segments of all scans, each once.
fn share<'a>(scans: &[&'a Scan]) -> Vec<Shared<'a>> {
    let mut shared: Vec<Shared<'a>> = Vec::new();
    let mut known: HashMap<*const Segment, usize> = HashMap::new();
    for (n, scan) in scans.iter().enumerate() {
        for (at, (segment, living)) in scan.segments.iter().zip(&scan.living).enumerate() {
            let place = *known.entry(Arc::as_ptr(segment)).or_insert(shared.len());
            if place == shared.len() {
                shared.push(Shared { segment, scans: Vec::new() });
            }
            if let Some(shared) = shared.get_mut(place) {
                shared.scans.push((n, at, living.as_deref()));
            }
        }
    }
    shared
}

/// Compares a piece of a segment's rows with all questions that want them.
fn compare(
    scans: &[&Scan],
    shared: &Shared<'_>,
    from: u32,
    rows: u32,
    buffer: &mut Vec<u8>,
    best: &mut [Best],
) -> Result<(), Fault> {
    let of_piece = |living: &'_ [bool]| living.get(from as usize..(from + rows) as usize).unwrap_or_default().contains(&true);
    if !shared.scans.iter().any(|(_, _, living)| living.is_none_or(of_piece)) {
        return Ok(());
    }
    let stride = shared.segment.stride();
    let bytes = shared.segment.bytes(from, rows, buffer)?;
    for (n, at, living) in &shared.scans {
        let (Some(scan), Some(best)) = (scans.get(*n), best.get_mut(*n)) else { continue };
        for (kept, local) in bytes.chunks_exact(stride).zip(from..) {
            if living.is_none_or(|living| living.get(local as usize).is_some_and(|lives| *lives)) {
                let (scale, bytes) = split(kept);
                let score = scan.asked.about(scale, bytemuck::cast_slice(bytes));
                best.add(score, Place { segment: *at, local }.pack());
            }
        }
    }
    Ok(())
}
