//! What a request is asked of: the index of one pipeline, or those of several together.

use std::sync::{Arc, Mutex, PoisonError};

use super::fault::Fault;
use super::pipelines::{Pipelines, Served};
use crate::answer::document::Document;
use crate::answer::{Answerer, Question};
use crate::error::Error;
use crate::runtime::{Runtime, Why};

/// Sets of pipelines whose connections are kept, of those that are asked together.
const SETS: usize = 16;
/// What stands between the names of pipelines that are asked together.
const AND: &str = "+";

/// What a request is asked of.
#[derive(Clone)]
pub(super) enum Scope {
    /// The index of one pipeline.
    One(Arc<Served>),
    /// Those of several.
    Together(Arc<Together>),
}

/// Several pipelines whose indexes are asked together. The first says who answers, and how.
pub(super) struct Together {
    name: String,
    first: Arc<Served>,
    /// All of them.
    members: Vec<Arc<Served>>,
    others: Vec<Arc<Runtime>>,
    answerer: Answerer,
}

/// What requests may be asked of.
pub(super) struct Scopes {
    pipelines: Arc<Pipelines>,
    /// Those that were asked together lately, the last one at the end.
    kept: Mutex<Vec<Arc<Together>>>,
}

impl Scopes {
    pub(super) fn new(pipelines: Arc<Pipelines>) -> Self {
        Self { pipelines, kept: Mutex::default() }
    }

    /// What a request is asked of that names one pipeline, several as `docs+tickets`, or none: then all of them together.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) fn asked(&self, name: Option<&str>) -> Result<Scope, Fault> {
        let all = self.pipelines.all();
        let members = match name {
            None => all.clone(),
            Some(name) => match self.pipelines.get(Some(name)) {
                Ok(served) => return Ok(Scope::One(served)),
                Err(fault) => named(&all, name).ok_or(fault)?,
            },
        };
        match members.as_slice() {
            [first, others @ ..] if !others.is_empty() => Ok(Scope::Together(self.together(&all, first, others))),
            [one] => Ok(Scope::One(Arc::clone(one))),
            _ => self.pipelines.get(name).map(Scope::One),
        }
    }

    /// What all of them together are called in a request, where they are several.
    pub(super) fn together_name(&self) -> Option<String> {
        let all = self.pipelines.all();
        (all.len() > 1).then(|| name_of(&all))
    }

    fn together(&self, all: &[Arc<Served>], first: &Arc<Served>, others: &[Arc<Served>]) -> Arc<Together> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that has changed is another pipeline.
        kept.retain(|together| together.is_within(all));
        if let Some(known) = kept.iter().find(|together| together.is_of(first, others)) {
            return Arc::clone(known);
        }
        let new = Arc::new(Together::new(first, others));
        let many = (kept.len() + 1).saturating_sub(SETS);
        kept.drain(..many);
        kept.push(Arc::clone(&new));
        new
    }
}

impl Together {
    /// Of two or more.
    fn new(first: &Arc<Served>, others: &[Arc<Served>]) -> Self {
        let members: Vec<Arc<Served>> = std::iter::once(first).chain(others).map(Arc::clone).collect();
        let others: Vec<Arc<Runtime>> = others.iter().map(|served| Arc::clone(&served.runtime)).collect();
        let answerer = Answerer::open_together(&first.runtime, &others);
        Self { name: name_of(&members), first: Arc::clone(first), members, others, answerer }
    }

    /// Whether it is of these pipelines, as their files were read the last time.
    fn is_of(&self, first: &Arc<Served>, others: &[Arc<Served>]) -> bool {
        let same = self.members.iter().zip(std::iter::once(first).chain(others)).all(|(one, other)| Arc::ptr_eq(one, other));
        same && self.members.len() == others.len() + 1
    }

    /// Whether all of its pipelines are among these.
    fn is_within(&self, served: &[Arc<Served>]) -> bool {
        self.members.iter().all(|member| served.iter().any(|served| Arc::ptr_eq(served, member)))
    }
}

/// The name of pipelines that are asked together: `docs+tickets`.
fn name_of(members: &[Arc<Served>]) -> String {
    members.iter().map(|served| served.name.as_str()).collect::<Vec<_>>().join(AND)
}

/// The pipelines of such a name; `None`: it is none.
fn named(all: &[Arc<Served>], name: &str) -> Option<Vec<Arc<Served>>> {
    if all.len() > 1 && name == name_of(all) {
        return Some(all.to_vec());
    }
    let mut members: Vec<Arc<Served>> = Vec::new();
    for one in name.split(AND) {
        let served = all.iter().find(|served| served.name == one)?;
        if members.iter().any(|member| Arc::ptr_eq(member, served)) {
            return None;
        }
        members.push(Arc::clone(served));
    }
    Some(members)
}

impl Scope {
    /// The pipeline's name, or those of several as `docs+tickets`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::One(served) => &served.name,
            Self::Together(together) => &together.name,
        }
    }

    /// All of its pipelines.
    pub(super) fn members(&self) -> &[Arc<Served>] {
        match self {
            Self::One(served) => std::slice::from_ref(served),
            Self::Together(together) => &together.members,
        }
    }

    /// The pipeline that says who answers, and how.
    pub(super) fn first(&self) -> &Served {
        match self {
            Self::One(served) => served,
            Self::Together(together) => &together.first,
        }
    }

    /// What answers questions over it.
    ///
    /// # Errors
    /// Where it is one, when that has no index, or none that can be opened. Of several, questions say so, and leave it out.
    pub(super) async fn answerer(&self) -> Result<Answerer, Error> {
        match self {
            Self::One(served) => served.answerer().await,
            Self::Together(together) => Ok(together.answerer.clone()),
        }
    }

    /// Why a document is, or is not, among the sources of an answer. Whoever asks is not told what lies on this machine besides the
    /// sources.
    ///
    /// # Errors
    /// As [`Runtime::why`].
    pub(super) async fn why(&self, file: &str, question: &Question) -> Result<Why, Error> {
        match self {
            Self::One(served) => served.runtime.why(&served.answerer().await?, file, None, question).await,
            Self::Together(together) => {
                let Together { first, others, answerer, .. } = &**together;
                Runtime::why_together((&first.runtime, others), answerer, file, None, question).await
            }
        }
    }

    /// A document of this uri, of the first pipeline whose index has one.
    ///
    /// # Errors
    /// When none has it, and one of them cannot be asked.
    pub(super) async fn document(&self, uri: &str) -> Result<Option<(Arc<Served>, Document)>, Error> {
        let mut failed = None;
        for served in self.members() {
            let found = async { served.answerer().await?.document(uri).await };
            match found.await {
                Ok(Some(document)) => return Ok(Some((Arc::clone(served), document))),
                Ok(None) => {}
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match (failed, self) {
            // What is not there has no documents.
            (Some(error), Self::Together(_)) if error.code() == "index_missing" => Ok(None),
            (Some(error), _) => Err(error),
            (None, _) => Ok(None),
        }
    }
}
