//! What a crawl would begin with: what robots.txt and the sitemaps say, and what earlier crawls found. Asks for nothing else.

use std::collections::HashSet;

use tokio::sync::mpsc;
use url::Url;

use super::super::{Item, Listed, SourceError, Version};
use super::access::{self, Access};
use super::client::Ask;
use super::frontier::Look;
use super::request::request;
use super::scope::Scope;
use super::shared::Shared;
use super::site::Site;
use super::{links, rules, sitemap};

/// Sitemaps that are looked at, at most.
const SITEMAPS: usize = 50;

/// Nobody listens any more, or what is remembered cannot be read.
type Told = Result<(), SourceError>;

/// Tells what there would be to crawl. Lists the documents that earlier crawls found, as they were.
pub(super) async fn preview(shared: &Shared, out: &mpsc::Sender<Listed>) {
    if let Err(error) = tell(shared, out).await {
        let _ = out.send(Listed::Unreadable { prefix: String::new(), error }).await;
    }
    let _ = out.send(Listed::Complete).await;
}

async fn tell(shared: &Shared, out: &mpsc::Sender<Listed>) -> Told {
    let site: Site = shared.frontier.site("site").await?.unwrap_or_default();
    let known = known(shared, out).await?;
    for seed in &shared.plan.urls {
        let seed = links::normal(seed);
        let scope = site.scopes.iter().find(|(known, _)| *known == seed).map(|(_, scope)| scope.clone());
        let scope = scope.unwrap_or_else(|| Scope::new(&seed, &seed, None));
        let client = shared.client().await?;
        let access = access::fetch(&client, &seed).await.access(&shared.agent);
        let mut said = vec![match &access {
            Access::Everything => "no robots.txt: everything may be read".to_owned(),
            Access::Nothing { why } => format!("nothing may be read: {why}"),
            Access::Rules(_) if !access.allows(&seed) => "its robots.txt keeps crawlers from this page".to_owned(),
            Access::Rules(robots) if robots.signal().ai_input == Some(false) => {
                "its robots.txt asks that its pages are not given to AI (ai-input=no): none is read".to_owned()
            }
            Access::Rules(robots) => match robots.delay() {
                Some(delay) => format!("its robots.txt asks for {} s between two requests", delay.as_secs_f64()),
                None => "its robots.txt lets us in".to_owned(),
            },
        }];
        let named = match &access {
            Access::Rules(robots) => robots.sitemaps(&seed),
            _ => Vec::new(),
        };
        if shared.plan.sitemap && access.allows(&seed) {
            let promised = promised(shared, &access, &scope, sitemap::places(&named, &seed)).await?;
            let new = promised.iter().filter(|url| !known.contains(*url)).count();
            said.push(match promised.len() {
                0 => "no sitemap names a page: links alone will show what there is".to_owned(),
                count => format!("its sitemaps name {count} pages, {new} of them new"),
            });
        }
        said.push(format!("{} pages known from earlier crawls", known.iter().filter(|url| scope.covers(url)).count()));
        let notice = format!("{seed}: {scope}; {}", said.join("; "));
        out.send(Listed::Notice(notice)).await.map_err(SourceError::new)?;
    }
    Ok(())
}

/// Lists what earlier crawls found, and returns it.
async fn known(shared: &Shared, out: &mpsc::Sender<Listed>) -> Result<HashSet<Url>, SourceError> {
    let mut known = HashSet::new();
    let mut after: Option<Url> = None;
    loop {
        let pages = shared.frontier.pages(after.as_ref()).await?;
        let Some((last, _)) = pages.last() else { return Ok(known) };
        after = Some(last.clone());
        for (url, record) in pages {
            let Some(version) = record.version.filter(|_| record.look != Look::Gone) else { continue };
            out.send(Listed::Item(Item::new(url.as_str(), Version::new(version)))).await.map_err(SourceError::new)?;
            known.insert(url);
        }
    }
}

/// Pages of the site that sitemaps name.
async fn promised(shared: &Shared, access: &Access, scope: &Scope, mut places: Vec<Url>) -> Result<HashSet<Url>, SourceError> {
    let client = shared.client().await?;
    let (mut read, mut promised) = (HashSet::new(), HashSet::new());
    while let Some(place) = places.pop() {
        if read.len() == SITEMAPS || !access.allows(&place) || !read.insert(place.clone()) {
            continue;
        }
        let pace = shared.pace(&place).await;
        let Ok(answer) = request(&client, &pace, &place, &Ask { accept: "*/*", ..Ask::default() }).await else { continue };
        if answer.status != 200 {
            continue;
        }
        let Ok(found) = tokio::task::spawn_blocking(move || sitemap::read(&answer.body, &place)).await else { continue };
        places.extend(found.sitemaps);
        let pages = found.pages.into_iter().map(|page| links::normal(&page.url));
        promised.extend(pages.filter(|url| scope.covers(url) && !shared.plan.exclude.is_match(rules::path(url))));
    }
    Ok(promised)
}
