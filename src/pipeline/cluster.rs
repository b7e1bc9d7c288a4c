//! What several machines cannot work on together: a store or a source that is one machine's own.
//!
//! Models in process, OCR, sites, buckets and database servers are had by each of them alike.

use url::Url;

use super::diagnose::{Diagnostic, printable};
use super::meaning::{File, Problem};
use super::plan::Plan;
use super::sources::{is_address, is_sqlite};
use super::spec::{FilesSpec, SourceKindSpec, SourceSpec, Spec};
use crate::providers::is_loopback;
use crate::source::SourcePlan;
use crate::vectordb::StorePlan;

impl Plan {
    /// What keeps several machines from working on this plan together; where it comes of a file alone,
    /// [`load_for_cluster`](super::load_for_cluster) says it with its places. Empty: nothing, as far as the plan can tell.
    pub fn cluster_problems(&self) -> Vec<Diagnostic> {
        let store = matches!(self.store, StorePlan::Embedded { .. }).then(embedded);
        let sources = self.sources.iter().filter_map(|source| match source {
            SourcePlan::Files(plan) if !plan.shared => {
                let first = plan.paths.first().map(|path| path.display().to_string()).unwrap_or_default();
                Some(files(&first))
            }
            SourcePlan::Sql(plan) if plan.is_file() => Some(sqlite()),
            _ => None,
        });
        let problems = store.into_iter().chain(sources);
        problems.map(|Problem { message, hint }| Diagnostic::error(message, hint)).collect()
    }
}

/// Reports what of the file keeps several machines from working on it together.
pub(super) fn check(file: &mut File<'_>, spec: &Spec, plan: &Plan) {
    for (index, source) in spec.sources.iter().flatten().enumerate() {
        let index = index.to_string();
        match source {
            Some(SourceSpec::Path(text)) if !is_address(text) => {
                let place = ["sources", index.as_str()];
                let problem = files(&file.shown(&place, text));
                file.error(&place, problem);
            }
            Some(SourceSpec::Kind(kind)) => kind_of_source(file, &index, kind),
            _ => {}
        }
    }
    let (qdrant, known) = match &spec.store {
        Some(store) => (store.qdrant.is_some(), !file.tainted(&["store"])),
        None => (false, !file.tainted(&[])),
    };
    match &plan.store {
        // Where a server's address was refused, that has been said.
        StorePlan::Embedded { .. } if !qdrant && known => {
            let key = match &spec.store {
                Some(store) if store.embedded.is_some() => "embedded",
                _ => "edge",
            };
            let Problem { message, hint } = embedded();
            let message = if spec.store.is_some() { message } else { format!("no `store` is declared: {message}") };
            file.key_error(&["store", key], Problem { message, hint });
        }
        StorePlan::Qdrant { url, .. } if is_loopback(url) => own_server(file, url),
        _ => {}
    }
}

fn kind_of_source(file: &mut File<'_>, index: &str, kind: &SourceKindSpec) {
    match kind {
        SourceKindSpec { files: Some(FilesSpec { shared: None | Some(false), paths, .. }), .. } => {
            let first = paths.iter().flatten().next();
            let first = first.map(|first| file.shown(&["sources", index, "files", "paths", "0"], first)).unwrap_or_default();
            let place = ["sources", index, "files", "shared"];
            let at = if file.root.at(&place).is_some() { place.as_slice() } else { &["sources", index, "files"] };
            // A key that was left out as wrong, or is misspelt, has been reported.
            if !file.tainted(&["sources", index, "files"]) {
                file.key_error(at, files(&first));
            }
        }
        SourceKindSpec { sql: Some(sql), .. } if is_sqlite(&sql.url) => file.error(&["sources", index, "sql", "url"], sqlite()),
        _ => {}
    }
}

/// It may be meant: several workers on one machine.
fn own_server(file: &mut File<'_>, url: &Url) {
    let host = printable(url.host_str().unwrap_or_default());
    let problem = Problem::new(format!("`{host}` is each machine itself: the others write to a server of their own"));
    file.warning(&["store", "qdrant", "url"], problem.hint("the name by which all of them reach one server or cluster"));
}

fn embedded() -> Problem {
    Problem::new("an embedded index is in a folder of one machine, and several cannot write to it")
        .hint("`store: { qdrant: { url: \"http://qdrant.example:6334\" } }`, a server or cluster that all of them reach")
}

fn files(first: &str) -> Problem {
    Problem::new(format!("`{first}` is a path on one machine: the others would find nothing there, or something else")).hint(
        "where each of them reaches it under the same path, by a mount or an equal copy: \
         `files: { paths: […], shared: true }`; else put it into a bucket (`s3`), or behind a web server",
    )
}

fn sqlite() -> Problem {
    Problem::new("an SQLite database is a file of one machine, and several cannot read it safely")
        .hint("read it from one machine, without `--cluster`, or move it to a database server (`postgres://…`, `mysql://…`)")
}
