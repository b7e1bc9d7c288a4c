//! What becomes of one file, by the same walk that lists all of them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::{Files, Focus, normalise, uri_of, walk};
use crate::source::{Item, Listed, SkipReason, Source as _, SourceError, is_within};

/// What becomes of a file.
#[derive(Debug)]
pub enum Judged {
    /// It lies below none of the roots.
    Outside,
    /// There is no such file.
    Missing,
    /// It is left out on purpose.
    Skipped(SkipReason),
    /// It cannot be listed.
    Unreadable(SourceError),
    /// It is listed.
    Listed(Item),
}

impl Files {
    /// What becomes of the file at this absolute path. Folders that do not lead there are not entered.
    pub async fn judge(&self, path: &Path) -> Judged {
        let path = normalise(path);
        let Some(root) = self.plan.paths.iter().map(|root| normalise(root)).find(|root| path.starts_with(root)) else {
            return Judged::Outside;
        };
        match tokio::fs::symlink_metadata(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Judged::Missing,
            Err(error) => return Judged::Unreadable(error.into()),
            Ok(_) => {}
        }
        let (uri, focus) = (uri_of(&path, &self.base), Arc::new(Focus::from_iter([path.clone()])));
        let narrowed =
            Self { focus: Some(Arc::clone(&focus)), id: self.id.clone(), plan: self.plan.clone(), base: self.base.clone() };
        let mut listing = narrowed.list();
        let mut judged = None;
        while let Some(listed) = listing.next().await {
            match listed {
                Listed::Item(item) if item.uri == uri => return Judged::Listed(item),
                // A folder above it, or itself.
                Listed::Skipped { uri: skipped, reason } if is_within(&uri, &skipped) => judged = Some(Judged::Skipped(reason)),
                Listed::Unreadable { prefix, error } if is_within(&uri, &prefix) => judged = Some(Judged::Unreadable(error)),
                _ => {}
            }
        }
        drop(listing);
        if let Some(judged) = judged {
            return judged;
        }
        let plan = self.plan.clone();
        let hidden = move || {
            let below = path.ancestors().take_while(|above| above.starts_with(&root) && **above != root);
            let mut above = below.skip(1);
            let linked = above.any(Path::is_symlink);
            if linked { SkipReason::SymbolicLink } else { walk::hidden_by(&plan, &focus) }
        };
        Judged::Skipped(tokio::task::spawn_blocking(hidden).await.unwrap_or(SkipReason::Ignored))
    }
}
