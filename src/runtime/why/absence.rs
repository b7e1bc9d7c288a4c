//! Why the index has nothing of a document.

use std::path::Path;

use super::records::Records;
use crate::answer::Cause;
use crate::error::{Error, reason};
use crate::ingest::ledger::{Ledger as _, Recorded};
use crate::ingest::report::Stage;
use crate::parse::{self, Extracted, Format, ParseOptions};
use crate::pipeline::MAX_BYTES;
use crate::runtime::Runtime;
use crate::source::files::Judged;
use crate::source::web::{self, Fate};
use crate::source::{Body, FetchError, Fetched, Files, FilesPlan, Item, SkipReason, Source as _, SourcePlan, Sql, Web, uri_of};

/// Ledgers of other pipelines that are looked into.
const OTHERS: usize = 100;

impl Runtime {
    /// Why the index has no passage of a document, and what is to be known of it besides.
    pub(super) async fn absence(
        &self,
        records: &Records,
        uri: &str,
        recorded: Option<Recorded>,
        like: Vec<String>,
    ) -> Result<(Cause, Vec<Cause>), Error> {
        let own = match recorded {
            Some(Recorded { failed: Some((stage, error)), .. }) => Some(Cause::Failed { stage, error }),
            Some(Recorded { begun: true, .. }) => Some(Cause::Interrupted),
            Some(Recorded { points: Some(0), .. }) => Some(Cause::NoText),
            Some(Recorded { points: Some(_), .. }) => Some(Cause::Lost),
            Some(Recorded { points: None, .. }) | None => None,
        };
        let own = match (own, records.path(uri)) {
            (Some(own), _) => own,
            (None, Some(path)) => self.of_a_file(records, uri, &path, like).await,
            (None, None) => self.of_an_address(records, uri, like).await,
        };
        let elsewhere = self.elsewhere(records, uri).await?;
        Ok(match (own, elsewhere) {
            (Cause::OutsideSources | Cause::Missing { .. }, Some(other)) => (other, Vec::new()),
            (own @ (Cause::NotIngested | Cause::NotMet), Some(other)) if self.plan.sources.is_empty() => (other, vec![own]),
            (own, other) => (own, other.into_iter().collect()),
        })
    }

    /// What the sources make of a file.
    async fn of_a_file(&self, records: &Records, uri: &str, path: &Path, like: Vec<String>) -> Cause {
        let mut plans: Vec<FilesPlan> = self.plan.sources.iter().filter_map(files_of).collect();
        if self.plan.sources.is_empty() && records.looks_around {
            plans.push(usual(&records.base, path));
        }
        let mut cause = Cause::OutsideSources;
        for plan in plans {
            let files = Files::new(plan, &records.base);
            let judged = match files.judge(path).await {
                Judged::Outside => continue,
                Judged::Missing => return Cause::Missing { did_you_mean: like },
                Judged::Skipped(reason) => Cause::Skipped { reason },
                Judged::Unreadable(error) => Cause::Failed { stage: Stage::Read, error: reason(&error) },
                Judged::Listed(item) => return self.of_content(&files, uri, item).await,
            };
            cause = judged;
        }
        let is_there = records.looks_around && tokio::fs::symlink_metadata(path).await.is_ok();
        match cause {
            Cause::OutsideSources if self.plan.sources.is_empty() || !is_there => Cause::Missing { did_you_mean: like },
            cause => cause,
        }
    }

    /// What an ingest would make of a file's content. Pictures of pages are not read for it.
    async fn of_content(&self, files: &Files, uri: &str, item: Item) -> Cause {
        let fetched = match files.fetch(&[item]).await.pop() {
            Some(Ok(fetched)) => fetched,
            Some(Err(FetchError::Skipped(reason))) => return Cause::Skipped { reason },
            _ => return Cause::NotIngested,
        };
        self.of_fetched(uri, fetched).await
    }

    async fn of_fetched(&self, uri: &str, fetched: Fetched) -> Cause {
        let (uri, options) = (uri.to_owned(), ParseOptions { ocr: None, ..self.plan.parse.clone() });
        let reads_pictures = self.plan.parse.ocr.is_some();
        let skipped = tokio::task::spawn_blocking(move || refused(&uri, fetched, &options)).await.ok().flatten();
        match skipped {
            // A scan has no text before it is read.
            Some(SkipReason::Empty) if reads_pictures => Cause::NotIngested,
            Some(reason) => Cause::Skipped { reason },
            None => Cause::NotIngested,
        }
    }

    /// What the sources make of a document that is no file. Of a page the last crawl tells, and no site is asked for it; of a row its
    /// database.
    async fn of_an_address(&self, records: &Records, uri: &str, like: Vec<String>) -> Cause {
        let usual = if self.plan.sources.is_empty() {
            Cause::Missing { did_you_mean: like.clone() }
        } else {
            let sources = self.plan.sources.iter().filter(|source| source.may_have(uri));
            match sources.map(|source| source.refusal(uri)).reduce(Option::and) {
                None => return Cause::OutsideSources,
                Some(Some(reason)) => return Cause::Skipped { reason },
                Some(None) => Cause::NotIngested,
            }
        };
        if let Some(cause) = self.of_a_row(uri, &like).await {
            return cause;
        }
        let Some(ledger) = &records.ledger else { return usual };
        let agent = self.plan.sources.iter().find_map(|source| match source {
            SourcePlan::Web(plan) if plan.may_have(uri) => Some(&*plan.user_agent),
            _ => None,
        });
        match web::fate(&ledger.state(&Web::own_id()), uri, agent.unwrap_or(web::USER_AGENT)).await {
            Ok(Some(fate)) => of_a_page(fate),
            Ok(None) => usual,
            Err(error) => {
                tracing::debug!(%error, "what a crawl remembers cannot be read");
                usual
            }
        }
    }

    /// What an ingest would make of a row of a table of its own; `None` where the address is that of none, or does not tell which.
    async fn of_a_row(&self, uri: &str, like: &[String]) -> Option<Cause> {
        let mut cause = None;
        for source in self.plan.sources.iter().filter(|source| source.may_have(uri)) {
            let SourcePlan::Sql(plan) = source else { continue };
            cause = Some(match Sql::new((**plan).clone()).look_up(uri).await? {
                Ok(fetched) => return Some(self.of_fetched(uri, fetched).await),
                Err(FetchError::Skipped(reason)) => return Some(Cause::Skipped { reason }),
                Err(FetchError::Failed(error)) => return Some(Cause::Failed { stage: Stage::Read, error: reason(&error) }),
                Err(FetchError::Gone) => Cause::Missing { did_you_mean: like.to_vec() },
            });
        }
        cause
    }

    /// Another pipeline of this home that has the document.
    async fn elsewhere(&self, records: &Records, uri: &str) -> Result<Option<Cause>, Error> {
        let path = records.path(uri);
        for pipeline in self.others().await {
            for others in Records::others(self, &pipeline).await {
                let uri = path.as_ref().map_or_else(|| uri.to_owned(), |path| uri_of(path, &others.base));
                if others.of(&uri).await?.is_some_and(|recorded| recorded.points.is_some_and(|points| points > 0)) {
                    return Ok(Some(Cause::OtherPipeline { pipeline }));
                }
            }
        }
        Ok(None)
    }

    /// The names of the other pipelines that have a ledger here.
    async fn others(&self) -> Vec<String> {
        let (home, own) = (self.settings.home.clone(), self.plan.name.clone());
        let list = move || {
            let entries = std::fs::read_dir(home).into_iter().flatten().filter_map(Result::ok);
            let names = entries.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(name.strip_suffix(".ledger").or(name.strip_suffix(".ledger-second"))?.to_owned())
            });
            let mut names: Vec<String> = names.filter(|name| *name != own).take(OTHERS).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        tokio::task::spawn_blocking(list).await.unwrap_or_default()
    }
}

fn files_of(source: &SourcePlan) -> Option<FilesPlan> {
    match source {
        SourcePlan::Files(plan) => Some(plan.clone()),
        _ => None,
    }
}

fn of_a_page(fate: Fate) -> Cause {
    match fate {
        Fate::Skipped(reason) => Cause::Skipped { reason },
        Fate::SameAs { uri, canonical } => Cause::SameContent { of: uri, canonical },
        Fate::Moved(to) => Cause::Moved { to },
        Fate::LeadsOut(to) => Cause::LeadsOut { to },
        Fate::Circle => Cause::RedirectLoop,
        Fate::NotFound => Cause::NotFound,
        Fate::Gone => Cause::Gone,
        Fate::NotGiven => Cause::NotGiven,
        Fate::NotMet => Cause::NotMet,
    }
}

/// Where sources were named when they were indexed, and nobody knows them any more: the usual rules, from the project's folder on.
fn usual(base: &Path, path: &Path) -> FilesPlan {
    let root = if path.starts_with(base) { base } else { path.parent().unwrap_or(path) };
    let none = globset::GlobSet::empty;
    FilesPlan { paths: vec![root.to_owned()], include: none(), exclude: none(), max_bytes: MAX_BYTES, shared: false }
}

/// Why a content is no document, if it is none. Work for a core.
fn refused(uri: &str, fetched: Fetched, options: &ParseOptions) -> Option<SkipReason> {
    match fetched.body {
        Body::Bytes { bytes, hint } => match parse::parse_with(hint.of(uri), bytes, options) {
            Ok(_) => None,
            Err(error) => SkipReason::of(&error),
        },
        Body::Text { text, markup, title } => {
            let checked = Extracted { title, markup, text }.checked(Format::Text);
            checked.err().and_then(|error| SkipReason::of(&error))
        }
    }
}
