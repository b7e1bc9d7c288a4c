//! Which document is meant.

use std::path::Path;

use super::records::Records;
use crate::error::{Error, Failure, Origin};
use crate::runtime::Runtime;
use crate::source::uri_of;
use crate::vectordb::Query;

/// Documents that are named where several are meant.
const NAMED: usize = 5;
/// Passages that are looked through for a title.
const TITLED: usize = 100;

/// A document that is asked for.
pub(super) enum Named {
    /// The index or the ledger has it, or a file is there.
    Known(String),
    /// Nobody knows it.
    Unknown {
        /// What its uri would be.
        uri: String,
        /// Documents that are called nearly so.
        like: Vec<String>,
    },
}

/// A document that cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    /// Several are called so.
    #[error("several documents are called `{name}`")]
    Ambiguous {
        /// How it was called.
        name: String,
        /// Which they are.
        documents: Vec<String>,
    },
    /// It is none.
    #[error("`{name}` is a folder; one document can be asked about")]
    Folder {
        /// How it was called.
        name: String,
    },
}

impl Failure for NameError {
    fn origin(&self) -> Origin {
        Origin::Question
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Ambiguous { .. } => "ambiguous_document",
            Self::Folder { .. } => "not_a_document",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ambiguous { documents, .. } => {
                let quoted: Vec<String> = documents.iter().map(|uri| format!("`{uri}`")).collect();
                Some(format!("did you mean {}?", quoted.join(" or ")))
            }
            Self::Folder { .. } => Some("name one of its files".to_owned()),
        }
    }

    fn stops_all(&self) -> bool {
        false
    }
}

impl Runtime {
    /// The document of this name: a path, a uri, the end of one, or a title, with or without the lines that sources are shown with.
    pub(super) async fn named(&self, records: &Records, name: &str, cwd: Option<&Path>) -> Result<Named, Error> {
        let (name, folder) = (name.trim(), cwd.unwrap_or(&records.base));
        let mut forms: Vec<String> = Vec::new();
        for name in [Some(name), without_place(name)].into_iter().flatten() {
            forms.push(name.to_owned());
            if name.contains("://") {
                forms.extend(name.split_once('#').map(|(page, _)| page.to_owned()));
                forms.extend(name.contains(' ').then(|| escaped(name)));
            } else {
                forms.push(uri_of(&folder.join(name), &records.base));
            }
        }
        let store = self.store().await?;
        for form in &forms {
            if records.of(form).await?.is_some() || !store.passages_of(form).await?.is_empty() {
                return Ok(Named::Known(form.clone()));
            }
        }
        let paths = [Some(name), without_place(name)].into_iter().flatten().filter(|name| !name.contains("://"));
        for (name, path) in paths.filter_map(|name| Some((name, cwd?.join(name)))) {
            match tokio::fs::symlink_metadata(&path).await {
                Ok(meta) if meta.is_dir() => return Err(NameError::Folder { name: name.to_owned() }.into()),
                Ok(_) => return Ok(Named::Known(uri_of(&path, &records.base))),
                Err(_) => {}
            }
        }
        let short = without_place(name).unwrap_or(name);
        let mut found = self.ending_with(records, short).await?;
        if found.is_empty() {
            found = self.titled(name).await?;
        }
        if let [only] = &*found {
            return Ok(Named::Known(only.clone()));
        }
        if !found.is_empty() {
            return Err(NameError::Ambiguous { name: name.to_owned(), documents: found }.into());
        }
        let like = match &records.ledger {
            Some(ledger) => ledger.like(short).await?,
            None => Vec::new(),
        };
        let uri = if short.contains("://") { escaped(short) } else { uri_of(&folder.join(short), &records.base) };
        Ok(Named::Unknown { uri, like })
    }

    /// The documents whose uri ends so. Where no ledger is here, another home's, the index knows them.
    async fn ending_with(&self, records: &Records, name: &str) -> Result<Vec<String>, Error> {
        if let Some(ledger) = &records.ledger {
            return Ok(ledger.ending_with(name, NAMED).await?);
        }
        let end = format!("/{}", name.trim_start_matches('/')).to_lowercase();
        let mut uris = self.store().await?.uris(&[]).await?;
        uris.retain(|uri| uri.to_lowercase().ends_with(&end));
        uris.sort_unstable();
        uris.truncate(NAMED);
        Ok(uris)
    }

    /// The documents that have this title. It is a part of each passage's text, and so found by its words.
    async fn titled(&self, title: &str) -> Result<Vec<String>, Error> {
        let words = self.bm25().query(title);
        let hits = self.store().await?.query(Query::Sparse(words), TITLED).await?;
        let wanted = title.to_lowercase();
        let titled =
            hits.into_iter().filter(|hit| hit.passage.title.as_ref().is_some_and(|title| title.to_lowercase() == wanted));
        let mut uris: Vec<String> = titled.map(|hit| hit.passage.uri).collect();
        uris.sort_unstable();
        uris.dedup();
        uris.truncate(NAMED);
        Ok(uris)
    }
}

/// An address as rows and pages have it, whose blanks a person need not write so.
fn escaped(address: &str) -> String {
    address.replace(' ', "%20")
}

/// A name without what a list of sources says besides: `docs/a.md:10-31`, `docs/a.pdf, p. 12`.
fn without_place(name: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((document, page)) = name.rsplit_once(", p. ")
        && is_number(page)
    {
        return Some(document);
    }
    let (document, lines) = name.rsplit_once(':')?;
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    (!document.is_empty() && is_number(first) && is_number(last)).then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_source_is_no_part_of_its_name() {
        assert_eq!(without_place("docs/a.md:10-31"), Some("docs/a.md"));
        assert_eq!(without_place("docs/a.md:7"), Some("docs/a.md"));
        assert_eq!(without_place("文档/a.pdf, p. 12"), Some("文档/a.pdf"));
        for whole in ["docs/a.md", "C:\\a.md", "http://a.example:80/x", "tickets://17", "a:b", ":3", "a, p. x"] {
            assert_eq!(without_place(whole), None, "{whole}");
        }
    }
}
