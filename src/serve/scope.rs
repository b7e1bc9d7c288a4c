//! What a request is asked of: the index of one pipeline, or those of several together.

use std::sync::{Arc, Mutex, PoisonError};

use super::fault::Fault;
use super::metrics::Metrics;
use super::pipelines::{Pipelines, Served};
use crate::answer::document::Document;
use crate::answer::federated::Observe;
use crate::answer::{Answerer, Question};
use crate::error::Error;
use crate::runtime::{Runtime, Why};

/// Sets of pipelines whose connections are kept, of those that are asked together.
const SETS: usize = 16;
/// What stands between the names of pipelines that are asked together.
const AND: &str = "+";
/// What questions to several together are counted as. In brackets it is hardly a pipeline's name.
const TOGETHER: &str = "(together)";

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
    metrics: Arc<Metrics>,
    /// Those that were asked together lately, the last one at the end.
    kept: Mutex<Vec<Arc<Together>>>,
}

impl Scopes {
    pub(super) fn new(pipelines: Arc<Pipelines>, metrics: Arc<Metrics>) -> Self {
        Self { pipelines, metrics, kept: Mutex::default() }
    }

    /// What a request is asked of that names one pipeline, several as `docs+tickets`, or none: then all of them together.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) fn asked(&self, name: Option<&str>) -> Result<Scope, Fault> {
        let all = self.pipelines.all();
        let members = match name {
            None => all,
            Some(name) => match self.pipelines.get(name) {
                Ok(served) => return Ok(Scope::One(served)),
                Err(fault) => named(&all, name).ok_or(fault)?,
            },
        };
        self.of(&members).ok_or_else(|| Fault::missing("no pipeline is served"))
    }

    /// The same where only one pipeline makes sense, of whose index there is `what`.
    ///
    /// # Errors
    /// When there is none of this name, or it is not clear which of several is meant.
    pub(super) fn one(&self, name: Option<&str>, what: &str) -> Result<Arc<Served>, Fault> {
        match self.asked(name)? {
            Scope::One(served) => Ok(served),
            Scope::Together(together) => Err(together.is_not_one(what, "pipeline")),
        }
    }

    /// These pipelines, one or several; `None`: there is none.
    pub(super) fn of(&self, members: &[Arc<Served>]) -> Option<Scope> {
        match members {
            [] => None,
            [one] => Some(Scope::One(Arc::clone(one))),
            [first, others @ ..] => Some(Scope::Together(self.together(&self.pipelines.all(), first, others))),
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
        let metrics = Arc::clone(&self.metrics);
        let observe: Observe = Arc::new(move |pipeline, done, took| metrics.searched_within(pipeline, done.into(), took));
        let new = Arc::new(Together::new(first, others, observe));
        let many = (kept.len() + 1).saturating_sub(SETS);
        kept.drain(..many);
        kept.push(Arc::clone(&new));
        new
    }
}

impl Together {
    /// Of two or more.
    fn new(first: &Arc<Served>, others: &[Arc<Served>], observe: Observe) -> Self {
        let members: Vec<Arc<Served>> = std::iter::once(first).chain(others).map(Arc::clone).collect();
        let others: Vec<Arc<Runtime>> = others.iter().map(|served| Arc::clone(&served.runtime)).collect();
        let answerer = Answerer::open_together(&first.runtime, &others).observed_by(observe);
        Self { name: name_of(&members), first: Arc::clone(first), members, others, answerer }
    }

    /// Why it is none of which there would be `what`; a pipeline is named as `key` in a request.
    pub(super) fn is_not_one(&self, what: &str, key: &str) -> Fault {
        let names: Vec<&str> = self.members.iter().map(|served| served.name.as_str()).collect();
        let fault = Fault::bad(format!("{what} is one pipeline's own, and this asks {} of them", names.len()));
        fault.hint(format!("name one of them as `{key}`: {}", names.join(", ")))
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

    /// What it is counted as: as few names as there are pipelines, however many are asked together.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::One(served) => &served.name,
            Self::Together(_) => TOGETHER,
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

    /// The same, of the indexes as they are now.
    ///
    /// # Errors
    /// As [`Self::answerer`].
    pub(super) async fn answerer_now(&self) -> Result<Answerer, Error> {
        match self {
            Self::One(served) => served.answerer_now().await,
            Self::Together(together) => {
                together.answerer.doubt().await;
                Ok(together.answerer.clone())
            }
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
