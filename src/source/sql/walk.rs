//! The walk over all keys: what there is, and in which state.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::cell::{Cell, Kind, Row as Cells};
use super::database::{Database, Statement};
use super::error::SqlError;
use super::reading::{Listed as Row, Reading};
use super::rows::rows;
use super::spool::Spool;
use super::table::Table;
use crate::source::{Item, Listed, SourceError, Version};

/// Pages that wait for whoever listens.
const WAITING: usize = 2;
/// Pauses between the attempts at a statement that may succeed in a moment.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];

/// Steps of a listing.
pub(super) type Steps = mpsc::Receiver<Vec<Listed>>;

/// Lists everything, on a task that ends when nobody listens.
pub(super) fn walk(table: &Arc<Table>) -> (Steps, tokio_util::task::AbortOnDropHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let table = Arc::clone(table);
    let task = tokio::spawn(async move {
        let mut walk =
            Walk { table: &table, listener: sender, faults: Vec::new(), addresses: None, hasher: RandomState::new() };
        match walk.all().await {
            Ok(()) => {}
            Err(Broken::Failed(error)) => walk.faults.push(error),
            Err(Broken::Unheard) => return,
        }
        let prefix = table.plan.prefix().to_owned();
        let unreadable = |error| Listed::Unreadable { prefix: prefix.clone(), error: SourceError::new(error) };
        // One clear error each time: what was found first.
        let mut steps: Vec<Listed> = walk.faults.drain(..).take(1).map(unreadable).collect();
        steps.push(Listed::Complete);
        // Nobody listens to the end of a run that was stopped.
        let _ = walk.listener.send(steps).await;
    });
    (receiver, tokio_util::task::AbortOnDropHandle::new(task))
}

/// Runs something again while that may help.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, SqlError>
where
    F: Future<Output = Result<T, SqlError>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "the database does not answer; it is asked again");
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
    attempt().await
}

/// The answer to a statement.
pub(super) async fn gather<T>(
    database: &dyn Database,
    statement: &Statement<'_>,
    shape: &[Kind],
    mut each: impl FnMut(Cells) -> T,
) -> Result<Vec<T>, SqlError> {
    let (rows, mut coming) = rows();
    let gathering = async {
        let mut all = Vec::new();
        while let Some(rows) = coming.recv().await {
            all.extend(rows.into_iter().map(&mut each));
        }
        all
    };
    let (asked, all) = tokio::join!(database.query(statement, shape, rows), gathering);
    asked.map(|()| all)
}

/// Why a walk ends early.
enum Broken {
    /// It cannot go on.
    Failed(SqlError),
    /// Nobody listens any more.
    Unheard,
}

impl From<SqlError> for Broken {
    fn from(error: SqlError) -> Self {
        Self::Failed(error)
    }
}

struct Walk<'a> {
    table: &'a Table,
    listener: mpsc::Sender<Vec<Listed>>,
    /// What is wrong with rows; the others are listed all the same.
    faults: Vec<SqlError>,
    /// The addresses of what is listed, where two keys may make one.
    addresses: Option<HashSet<u64>>,
    hasher: RandomState,
}

impl Walk<'_> {
    async fn all(&mut self) -> Result<(), Broken> {
        let reading = patiently(|| self.table.prepare()).await?;
        self.addresses = reading.addresses_may_meet(&self.table.plan).then(HashSet::new);
        if !reading.is_ordered() {
            return self.at_once(&reading).await;
        }
        let first = self.page(&reading, None).await?;
        if first.len() <= self.table.plan.page {
            self.keyless(&reading).await?;
            return self.listed(&first, 0).await.map(drop);
        }
        let Table { plan, database, .. } = self.table;
        let second = reading.keys(&**database, first.last().map(|row| row.cells.as_slice()), Some(plan.page + 1));
        let all = reading.keys(&**database, None, None);
        let [second, all] = [&second, &all].map(|sql| Statement { sql, relation: &reading.relation });
        if !patiently(|| database.pages_well(&second, plan.page, &all)).await? {
            let prefix = plan.prefix();
            let notice = format!("{prefix}: no index finds pages of it by its key, so all keys are read in one transaction");
            self.listener.send(vec![Listed::Notice(notice)]).await.map_err(|_| Broken::Unheard)?;
            return self.at_once(&reading).await;
        }
        self.keyless(&reading).await?;
        self.pages(&reading, first).await
    }

    /// Pages in the order of the key, as the database has it: each begins with the last row of the one before, which is listed
    /// once it is known that no other row has its key.
    async fn pages(&mut self, reading: &Reading, first: Vec<Row>) -> Result<(), Broken> {
        let most = self.table.plan.page;
        let (mut page, mut begins, mut known) = (first, None, HashSet::new());
        loop {
            let full = page.len() > most;
            let last = page.last().filter(|_| full).cloned();
            // Where the database takes two keys for one, the page before may have had some of these.
            page.retain(|row| row.key.as_ref().is_none_or(|key| !known.contains(key)));
            let listed = self.listed(&page, usize::from(full)).await?;
            let Some(last) = last else { return Ok(()) };
            if listed.is_empty() && begins.as_ref() == Some(&last.key) {
                let message = format!("more than {most} rows have the key of {}", last.uri);
                return Err(SqlError::new(message).hint("`key` is to name columns that tell each row from all others").into());
            }
            known = listed;
            page = self.page(reading, Some(&last.cells)).await?;
            begins = Some(last.key);
        }
    }

    /// A page and one row more, from this key on.
    async fn page(&self, reading: &Reading, from: Option<&[Cell]>) -> Result<Vec<Row>, SqlError> {
        let Table { plan, database, .. } = self.table;
        let sql = reading.keys(&**database, from, Some(plan.page + 1));
        let shape = reading.shape();
        let statement = Statement { sql: &sql, relation: &reading.relation };
        patiently(|| gather(&**database, &statement, &shape, |row| reading.listed_row(plan, row))).await
    }

    /// Tells rows whose key is not whole.
    async fn keyless(&mut self, reading: &Reading) -> Result<(), SqlError> {
        let sql = reading.without_key(&*self.table.database);
        let statement = Statement { sql: &sql, relation: &reading.relation };
        let found = patiently(|| gather(&*self.table.database, &statement, &[Kind::Text], |_| ())).await?;
        if !found.is_empty() {
            self.faults.push(self.table.without_key(reading));
        }
        Ok(())
    }

    /// Lists the rows of a page, but so many at its end, and those whose key another one has; the keys of those that it lists.
    async fn listed(&mut self, page: &[Row], held_back: usize) -> Result<HashSet<Vec<u8>>, Broken> {
        let (mut seen, mut doubled) = (HashSet::with_capacity(page.len()), HashSet::new());
        for row in page {
            if let Some(key) = &row.key
                && !seen.insert(key)
            {
                doubled.insert(key);
            }
        }
        if let Some(row) = page.iter().find(|row| row.key.as_ref().is_some_and(|key| doubled.contains(key))) {
            self.faults.push(self.table.doubled(&row.uri, doubled.len() as i64));
        }
        let single = page.iter().take(page.len().saturating_sub(held_back));
        let single = single.filter_map(|row| row.key.as_ref().filter(|key| !doubled.contains(key)).map(|key| (row, key)));
        let listed = single.clone().map(|(_, key)| key.clone()).collect();
        let items = single.map(|(row, key)| item(row.uri.clone(), row.version, key.clone())).collect();
        self.tell(items).await?;
        Ok(listed)
    }

    /// Reads all keys in one pass, and lists them when the transaction is over.
    async fn at_once(&mut self, reading: &Reading) -> Result<(), Broken> {
        self.table.at_once.store(true, Ordering::Relaxed);
        let (mut spool, keyless) = patiently(|| self.spool(reading)).await?;
        if keyless {
            self.faults.push(self.table.without_key(reading));
        }
        if let Some((uri, keys)) = spool.doubled.take() {
            self.faults.push(self.table.doubled(&uri, keys));
        }
        let mut after = Vec::new();
        loop {
            let limit = self.table.plan.page;
            let (returned, page) = off_the_runtime(move || {
                let page = spool.page(&after, limit);
                (spool, page)
            })
            .await?;
            let page = page?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            (spool, after) = (returned, last.clone());
            self.tell(page.into_iter().map(|(key, uri, version)| item(uri, version, key)).collect()).await?;
        }
    }

    /// All keys, and whether there are rows without one.
    async fn spool(&self, reading: &Reading) -> Result<(Spool, bool), SqlError> {
        let Table { plan, database, .. } = self.table;
        let sql = reading.keys(&**database, None, None);
        let shape = reading.shape();
        let (rows, mut coming) = rows();
        let (kept, receiver) = mpsc::channel(WAITING);
        let filling = off_the_runtime(move || Spool::fill(receiver));
        let keeping = async move {
            let mut keyless = false;
            while let Some(rows) = coming.recv().await {
                let listed = rows.into_iter().map(|row| reading.listed_row(plan, row));
                let whole = listed.filter_map(|row| {
                    keyless |= row.key.is_none();
                    row.key.map(|key| (key, row.uri, row.version))
                });
                if kept.send(whole.collect()).await.is_err() {
                    // The file has failed, and says why.
                    break;
                }
            }
            keyless
        };
        let statement = Statement { sql: &sql, relation: &reading.relation };
        let (asked, keyless, filled) = tokio::join!(database.query(&statement, &shape, rows), keeping, filling);
        let spool = filled??;
        asked?;
        Ok((spool, keyless))
    }

    async fn tell(&mut self, mut items: Vec<Item>) -> Result<(), Broken> {
        if let Some(addresses) = &mut self.addresses {
            // The first of them is the document.
            items.retain(|item| {
                let alone = addresses.insert(self.hasher.hash_one(&item.uri));
                if !alone && self.faults.is_empty() {
                    self.faults.push(self.table.met(&item.uri));
                }
                alone
            });
        }
        let steps = items.into_iter().map(Listed::Item).collect();
        self.listener.send(steps).await.map_err(|_| Broken::Unheard)
    }
}

fn item(uri: String, version: Version, key: Vec<u8>) -> Item {
    let mut item = Item::new(uri, version);
    item.key = key;
    item
}

async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SqlError> {
    tokio::task::spawn_blocking(work).await.map_err(|broken| SqlError::new(format!("the listing broke off: {broken}")))
}
