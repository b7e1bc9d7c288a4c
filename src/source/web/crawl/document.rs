//! Pages and files that were fetched: which of them are documents.

use std::sync::Arc;

use url::Url;

use super::super::super::{Listed, SkipReason};
use super::super::frontier::{Batch, Look, PageRecord, Place, Visit};
use super::super::variant::{self, Variant};
use super::super::visit::Facts;
use super::super::{llms, rules, spool};
use super::Crawl;
use super::ended::Ended;
use crate::parse::page::PageScan;
use crate::parse::{Guess, guess};

/// Pages of a site that are seen before the first is handed on: until then nothing is known of what stands on all of them.
const HELD: u32 = 30;

impl Crawl {
    /// A page of HTML.
    pub(super) async fn page(
        &mut self,
        place: Place,
        visit: Visit,
        mut record: PageRecord,
        facts: Facts,
        body: Vec<u8>,
        scan: PageScan,
        variant: Option<Variant>,
    ) -> Result<(), Ended> {
        let links: Vec<Url> = if scan.robots.nofollow || facts.no_follow {
            Vec::new()
        } else {
            scan.links.iter().map(|link| link.url.clone()).chain(scan.refresh.clone()).chain(scan.canonical.clone()).collect()
        };
        if visit.seed.is_some() && visit.hops > 0 && scan.password_form {
            return self.not_let_in(place, visit, record).await;
        }
        if !self.enter(&visit, &links).await? {
            return self.stays(place, visit, record).await;
        }
        if let Some(generator) = &scan.generator {
            self.site.made_with(&visit.url, generator);
        }
        self.probe(&visit.url).await?;
        self.tally.hash_routes += scan.hash_routes as u64;
        self.learn(&visit.url, &scan.blocks).await?;

        let content = hash(&[&body]);
        // A calendar's empty days are all alike but for their dates, which blocks leave out.
        let said: Vec<u8> = scan.blocks.iter().flat_map(|block| block.to_le_bytes()).collect();
        let said = format!("text:{}", hash(&[&said]));
        let first = self.shared.frontier.with_content(&said).await?;
        self.traps.note(&visit.url, first.as_ref().is_none_or(|first| *first == visit.url));
        let version = variant.as_ref().map_or_else(|| content.clone(), |variant| hash(&[&body, variant.text.as_bytes()]));
        // Real pages name files, other sites, and what is no address of theirs.
        record.canonical = scan.canonical.as_ref().map(|named| self.normal(named)).filter(|named| self.admits(named));
        let mut batch = Batch::default();
        let look = match self.judge(&visit, &facts, &scan, variant.as_ref()).await? {
            Look::Document => self.contest(&mut batch, &visit.url, &content, record.canonical.as_ref()).await?,
            look => look,
        };
        let frontier = Arc::clone(&self.shared.frontier);
        record.etag.clone_from(&facts.etag);
        record.last_modified.clone_from(&facts.last_modified);
        record.content = Some(content.clone());
        if first.is_none() {
            frontier.set_content(&mut batch, &said, &visit.url);
        }
        if look == Look::Document {
            if record.version.as_deref() != Some(&version) {
                let body = spool::page(&facts, &body, variant.as_ref());
                frontier.set_body(&mut batch, &visit.url, body);
                record.version = Some(version);
            }
            frontier.set_content(&mut batch, &content, &visit.url);
        }
        self.found(&visit, &mut record, look).await?;
        let links = self.follow(&mut batch, &visit, links).await?;
        frontier.set_links(&mut batch, &visit.url, &links);
        self.enroll(place, &visit, record, batch).await
    }

    /// What a page is to the index, as long as no other has the same content.
    async fn judge(&mut self, visit: &Visit, facts: &Facts, scan: &PageScan, variant: Option<&Variant>) -> Result<Look, Ended> {
        if facts.no_ai {
            return Ok(Look::Skipped(SkipReason::Robots));
        }
        if facts.no_index || scan.robots.noindex {
            return Ok(Look::Skipped(SkipReason::NoIndex));
        }
        if !self.shared.plan.include.is_empty() && !self.shared.plan.include.is_match(rules::path(&visit.url)) {
            return Ok(Look::Skipped(SkipReason::Excluded));
        }
        let host = self.host(&visit.url).await?;
        if host.not_found.as_ref().is_some_and(|blocks| *blocks == scan.blocks && !blocks.is_empty()) {
            return Ok(Look::SoftNotFound);
        }
        if scan.needs_browser() && variant.is_none() && scan.links.is_empty() {
            self.tally.shells.add(&visit.url);
            return Ok(Look::Skipped(SkipReason::JavaScript));
        }
        if scan.letters == 0 && variant.is_none() {
            return Ok(Look::Skipped(SkipReason::Empty));
        }
        Ok(Look::Document)
    }

    /// A document of another format: a PDF, say.
    pub(super) async fn file(
        &mut self,
        place: Place,
        visit: Visit,
        mut record: PageRecord,
        facts: Facts,
        body: Vec<u8>,
    ) -> Result<(), Ended> {
        if !self.enter(&visit, &[]).await? {
            return self.stays(place, visit, record).await;
        }
        let content = hash(&[&body]);
        let mut batch = Batch::default();
        let included = self.shared.plan.include.is_empty() || self.shared.plan.include.is_match(rules::path(&visit.url));
        let look = if facts.no_ai {
            Look::Skipped(SkipReason::Robots)
        } else if facts.no_index {
            Look::Skipped(SkipReason::NoIndex)
        } else if !included {
            Look::Skipped(SkipReason::Excluded)
        } else if body.is_empty() {
            Look::Skipped(SkipReason::Empty)
        } else if !is_document(facts.media_type.as_deref(), &visit.url) {
            Look::Skipped(SkipReason::UnsupportedFormat)
        } else {
            self.contest(&mut batch, &visit.url, &content, None).await?
        };
        self.traps.note(&visit.url, look == Look::Document);
        record.etag.clone_from(&facts.etag);
        record.last_modified.clone_from(&facts.last_modified);
        record.content = Some(content.clone());
        if look == Look::Document {
            if record.version.as_deref() != Some(&content) {
                self.shared.frontier.set_body(&mut batch, &visit.url, spool::file(&facts, &body));
                record.version = Some(content.clone());
            }
            self.shared.frontier.set_content(&mut batch, &content, &visit.url);
        }
        self.found(&visit, &mut record, look).await?;
        // Markdown that is served as such leads on, too.
        let links = match variant::markdown(facts.media_type.as_deref(), body) {
            Some(text) if !facts.no_follow => llms::links(&text, &visit.url),
            _ => Vec::new(),
        };
        let links = self.follow(&mut batch, &visit, links).await?;
        self.shared.frontier.set_links(&mut batch, &visit.url, &links);
        self.enroll(place, &visit, record, batch).await
    }

    /// A page that is as it was: what it linked to then, it links to now.
    pub(super) async fn unchanged(&mut self, place: Place, visit: Visit, mut record: PageRecord) -> Result<(), Ended> {
        let links = self.shared.frontier.links(&visit.url).await?;
        if !self.enter(&visit, &links).await? {
            return self.stays(place, visit, record).await;
        }
        self.probe(&visit.url).await?;
        let mut batch = Batch::default();
        self.traps.note(&visit.url, record.version.is_some());
        let look = self.still(&mut batch, &visit.url, &record).await?;
        self.found(&visit, &mut record, look).await?;
        self.follow(&mut batch, &visit, links).await?;
        self.enroll(place, &visit, record, batch).await
    }

    /// A page that a sitemap calls older than the last visit, and that may be believed.
    pub(super) async fn believed(&mut self, place: Place, visit: Visit, mut record: PageRecord) -> Result<(), Ended> {
        let links = self.shared.frontier.links(&visit.url).await?;
        record.seen = self.site.crawl;
        let mut batch = Batch::default();
        let look = self.still(&mut batch, &visit.url, &record).await?;
        self.found(&visit, &mut record, look).await?;
        self.follow(&mut batch, &visit, links).await?;
        self.enroll(place, &visit, record, batch).await
    }

    /// Counts what a page is. A document is listed when all that there is of it has been written.
    async fn found(&mut self, visit: &Visit, record: &mut PageRecord, look: Look) -> Result<(), Ended> {
        record.orphaned = if visit.turn.is_orphan() { record.orphaned + 1 } else { 0 };
        self.tally.orphans += u64::from(visit.turn.is_orphan());
        match &look {
            Look::Alias(_) => self.skip(&visit.url, SkipReason::Duplicate).await?,
            Look::SoftNotFound => self.skip(&visit.url, SkipReason::SoftNotFound).await?,
            Look::Skipped(reason) => self.skip(&visit.url, *reason).await?,
            _ => {}
        }
        // What asks not to be indexed leaves the index; a page that only looks broken does not.
        if matches!(look, Look::Alias(_) | Look::Skipped(SkipReason::Robots | SkipReason::NoIndex | SkipReason::Excluded)) {
            record.version = None;
        }
        record.look = look;
        Ok(())
    }

    pub(super) async fn skip(&self, url: &Url, reason: SkipReason) -> Result<(), Ended> {
        self.say(Listed::Skipped { uri: url.to_string(), reason }).await
    }

    /// Writes what a visit has changed, and then lists the document that the page is: whoever hears of it may ask for it at once.
    async fn enroll(&mut self, place: Place, visit: &Visit, record: PageRecord, batch: Batch) -> Result<(), Ended> {
        let version = record.version.clone().filter(|_| record.look == Look::Document);
        self.settle(place, visit, record, batch).await?;
        match version {
            Some(version) => self.list(&visit.url, Some(&version)).await,
            None => Ok(()),
        }
    }

    /// Counts what stands on a page; lets go of the documents of its site when there is enough to tell by.
    async fn learn(&mut self, url: &Url, blocks: &[u64]) -> Result<(), Ended> {
        let site = self.shared.site_of(url);
        if self.shared.learn(&site, blocks) >= HELD { self.release(&site).await } else { Ok(()) }
    }
}

/// Whether a file is of a format that is read, by its type and its name.
fn is_document(media_type: Option<&str>, url: &Url) -> bool {
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let picture = ["image/", "video/", "audio/", "font/"].iter().any(|kind| essence.starts_with(kind));
    let code = matches!(
        essence.as_str(),
        "text/css" | "text/javascript" | "application/javascript" | "application/x-javascript" | "application/wasm"
    );
    !picture && !code && !matches!(guess(url.path()), Guess::Unsupported(_))
}

/// A name for some content.
fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let hex = hasher.finalize().to_hex();
    hex.chars().take(32).collect()
}
