//! What earlier crawls made of a page that is no document, for whoever asks why it is none. No site is asked for it.

use std::collections::HashSet;
use std::sync::Arc;

use url::Url;

use super::super::state::State;
use super::super::{SkipReason, SourceError};
use super::frontier::{Frontier, Look, PageRecord};
use super::shared::{Kept, product};
use super::site::Site;
use crate::parse::{Guess, guess};

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is left out on purpose.
    Skipped(SkipReason),
    /// Another page has the same content, and is the document.
    SameAs {
        /// That one.
        uri: String,
        /// It is the address that the page calls its own.
        canonical: bool,
    },
    /// It leads to another page of the site.
    Moved(String),
    /// It leads out of the site.
    LeadsOut(String),
    /// It leads to itself in the end.
    Circle,
    /// 404.
    NotFound,
    /// 410, or 404 once more after it was in the index.
    Gone,
    /// The site did not give it when it was asked.
    NotGiven,
    /// It would belong to the site, and nothing led to it.
    NotMet,
}

/// What became of a page in the last crawl of its site; `None`: it is a document, or nothing is remembered of such a site.
pub(crate) async fn fate(state: &Arc<dyn State>, uri: &str, user_agent: &str) -> Result<Option<Fate>, SourceError> {
    let Ok(url) = Url::parse(uri) else { return Ok(None) };
    let mut unmet = None;
    for frontier in Frontier::all(state).await? {
        let Some(site) = frontier.site::<Site>("site").await? else { continue };
        let url = site.normal(&url);
        if let Some(record) = frontier.page(&url).await? {
            return of(&frontier, &site, &url, record).await;
        }
        if site.covers(&url) && unmet.is_none() {
            unmet = left_out(&frontier, &site, &url, user_agent).await?;
        }
    }
    Ok(unmet)
}

async fn of(frontier: &Frontier, site: &Site, url: &Url, record: PageRecord) -> Result<Option<Fate>, SourceError> {
    Ok(Some(match record.look {
        Look::Never | Look::Document => return Ok(None),
        Look::Alias(of) => Fate::SameAs { canonical: record.canonical.as_ref() == Some(&of), uri: of.into() },
        Look::Redirect(to) => end_of(frontier, site, url, to).await?,
        Look::Skipped(reason) => Fate::Skipped(reason),
        Look::SoftNotFound => Fate::Skipped(SkipReason::SoftNotFound),
        Look::Missing => Fate::NotFound,
        Look::Gone => Fate::Gone,
        Look::Failed => Fate::NotGiven,
    }))
}

/// Where redirects lead in the end.
async fn end_of(frontier: &Frontier, site: &Site, from: &Url, mut to: Url) -> Result<Fate, SourceError> {
    let mut met = HashSet::from([from.clone()]);
    loop {
        to = site.normal(&to);
        if !met.insert(to.clone()) {
            return Ok(Fate::Circle);
        }
        match frontier.page(&to).await?.map(|record| record.look) {
            Some(Look::Redirect(next)) => to = next,
            _ if site.covers(&to) => return Ok(Fate::Moved(to.into())),
            _ => return Ok(Fate::LeadsOut(to.into())),
        }
    }
}

/// Why a page of the site was never visited.
async fn left_out(frontier: &Frontier, site: &Site, url: &Url, user_agent: &str) -> Result<Option<Fate>, SourceError> {
    if site.running {
        return Ok(None);
    }
    let key = Kept::key(url);
    let forbidden = match frontier.site::<Kept>(&key).await? {
        Some(kept) => !kept.file.access(&product(user_agent)).may_be_read(url),
        None => false,
    };
    Ok(Some(if forbidden {
        Fate::Skipped(SkipReason::Robots)
    } else if site.is_generated(url) {
        Fate::Skipped(SkipReason::Generated)
    } else if matches!(guess(url.path()), Guess::Unsupported(_)) {
        Fate::Skipped(SkipReason::UnsupportedFormat)
    } else {
        Fate::NotMet
    }))
}
