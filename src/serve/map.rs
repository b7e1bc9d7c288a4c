//! A map of a corpus: a sample of its chunks laid out by their vectors, the more alike the nearer, as far as a plane can show that.
//!
//! It is computed once for each state of an index, one at a time, away from the threads that answer; what it takes has a bound.

mod axes;
mod groups;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use self::axes::{Axes, unit};
use super::fault::Fault;
use super::pipelines::Served;
use super::slots::Slots;
use crate::error::Error;
use crate::vectordb::VectorStore;

/// Chunks that are laid out, at most.
const SAMPLE: usize = 5000;
/// Numbers of their vectors, at most: 32 MiB.
const NUMBERS: usize = 8 << 20;
/// Chunks that are read at a time.
const PAGE: usize = 500;
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Hits whose vectors are asked for at once.
const AT_ONCE: usize = 8;

/// The maps of all pipelines.
pub(super) struct Maps {
    known: Mutex<HashMap<String, (Uuid, Arc<Map>)>>,
    computing: Slots,
}

impl Default for Maps {
    fn default() -> Self {
        Self { known: Mutex::default(), computing: Slots::new((1, 16), PATIENCE) }
    }
}

/// A map.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Map {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Chunks of the index.
    chunks: u64,
    /// The part of the variance that each of the two axes shows, from 0 to 1.
    shares: [f32; 2],
    /// What the colours stand for, the largest first: folders, or documents where all are in one folder. Points of none have the
    /// number after the last.
    groups: Vec<String>,
    /// The documents of the points.
    documents: Vec<Document>,
    /// The points: x and y within -1 and 1, the number of the group, the number of the document, the first and the last line.
    points: Vec<(f32, f32, usize, usize, u32, u32)>,
    #[serde(skip)]
    axes: Option<Axes>,
}

/// A document of a map.
#[derive(Debug, Serialize, JsonSchema)]
struct Document {
    uri: String,
    title: Option<String>,
}

/// What was read of a chunk.
struct Read {
    uri: String,
    title: Option<String>,
    lines: (u32, u32),
}

impl Maps {
    /// The map of a pipeline's index as it is.
    ///
    /// # Errors
    /// When there is no index, its store gives no vectors out, or too many want one.
    pub(super) async fn of(&self, served: &Served) -> Result<Arc<Map>, Fault> {
        // Says in the usual words what is wrong with an index.
        served.answerer().await?;
        let store = served.runtime.store().await?;
        let generation = store.meta().await.map_err(Error::from)?.map(|meta| meta.generation).unwrap_or_default();
        if let Some(map) = self.known(&served.name, generation) {
            return Ok(map);
        }
        let place = self.computing.take().await?;
        // Whoever had the place before may have made it.
        if let Some(map) = self.known(&served.name, generation) {
            return Ok(map);
        }
        let chunks = store.count().await.map_err(Error::from)?;
        let read = tokio::time::timeout(PATIENCE, sample(&*store));
        let (vectors, width, read) = read.await.map_err(|_| Fault::busy())??;
        // The place is kept until it is done, although whoever asked may have left.
        let computing = tokio::task::spawn_blocking(move || {
            let _place = place;
            Map::new(chunks, vectors, width, read)
        });
        let map = Arc::new(computing.await.map_err(|error| Error::worker("lay out a map", error))?);
        self.keep(&served.name, generation, &map);
        Ok(map)
    }

    /// Where these points of an index lie on its map; `None` of those that are gone.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) async fn places(&self, served: &Served, ids: Vec<Uuid>) -> Result<Vec<Option<(f32, f32)>>, Fault> {
        let map = self.of(served).await?;
        let Some(axes) = &map.axes else { return Ok(ids.iter().map(|_| Some((0.0, 0.0))).collect()) };
        let store = served.runtime.store().await?;
        let each = stream::iter(ids).map(|id| {
            let store = Arc::clone(&store);
            async move {
                // The page of one that begins with it.
                let after = id.as_u128().checked_sub(1).map(Uuid::from_u128);
                let page = store.scroll_points(after, 1).await.map_err(Error::from)?;
                let found = page.into_iter().next().filter(|(found, ..)| *found == id);
                Ok::<_, Error>(found.map(|(_, mut vector, _)| {
                    unit(&mut vector);
                    axes.place(&vector)
                }))
            }
        });
        let places: Vec<Result<_, Error>> = each.buffered(AT_ONCE).collect().await;
        Ok(places.into_iter().collect::<Result<_, _>>()?)
    }

    fn known(&self, name: &str, generation: Uuid) -> Option<Arc<Map>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|(of, _)| *of == generation).map(|(_, map)| Arc::clone(map))
    }

    /// One a pipeline; names come from the pipelines' files, of which there are few.
    fn keep(&self, name: &str, generation: Uuid, map: &Arc<Map>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), (generation, Arc::clone(map)));
    }
}

/// The vectors of a sample, one behind the other, their width, and their chunks. Ids are hashes, hence the first ones are as good a
/// sample as any, and the same ones stay in it while an index grows.
async fn sample(store: &dyn VectorStore) -> Result<(Vec<f32>, usize, Vec<Read>), Error> {
    let (mut vectors, mut width, mut read, mut after) = (Vec::new(), 0, Vec::new(), None);
    loop {
        let most = NUMBERS.checked_div(width).unwrap_or(SAMPLE).min(SAMPLE);
        let wanted = most.saturating_sub(read.len()).min(PAGE);
        if wanted == 0 {
            break;
        }
        let page = store.scroll_points(after, wanted).await?;
        let complete = page.len() < wanted;
        for (id, mut vector, passage) in page {
            after = Some(id);
            if width == 0 {
                width = vector.len();
            }
            if vector.len() != width {
                continue;
            }
            unit(&mut vector);
            vectors.append(&mut vector);
            read.push(Read { uri: passage.uri, title: passage.title, lines: passage.lines });
        }
        if complete {
            break;
        }
    }
    Ok((vectors, width, read))
}

impl Map {
    fn new(chunks: u64, mut vectors: Vec<f32>, width: usize, read: Vec<Read>) -> Self {
        let axes = Axes::of(&mut vectors, width);
        let (names, groups) = groups::of(&read.iter().map(|read| read.uri.as_str()).collect::<Vec<_>>());
        let (mut documents, mut numbers): (Vec<Document>, HashMap<String, usize>) = Default::default();
        let mut points = Vec::with_capacity(read.len());
        for ((read, group), vector) in read.into_iter().zip(groups).zip(vectors.chunks_exact(width.max(1))) {
            let (x, y) = axes.as_ref().map_or((0.0, 0.0), |axes| axes.centred(vector));
            let Read { uri, title, lines: (from, to) } = read;
            let document = *numbers.entry(uri).or_insert_with_key(|uri| {
                documents.push(Document { uri: uri.clone(), title });
                documents.len() - 1
            });
            points.push((x, y, group, document, from, to));
        }
        let shares = axes.as_ref().map_or([0.0; 2], |axes| axes.shares);
        Self { kind: "map", chunks, shares, groups: names, documents, points, axes }
    }
}
