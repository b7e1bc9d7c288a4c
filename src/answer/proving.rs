//! Claims of one's own, checked as an answer's sentences are.

use super::answerer::Answerer;
use super::claim::Claim;
use super::decide::Decided;
use super::proof::{Cited, Doubt};
use super::retrieve::off_runtime;
use super::source::Source;
use crate::error::Error;

/// What is doubtful in claims, each of which rests on all of the sources.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proved {
    /// By the sources' bytes alone, of each claim.
    pub read: Vec<Vec<Doubt>>,
    /// As an answer shows it, where a decision model sharpens that.
    pub decided: Option<Vec<Vec<Doubt>>>,
    /// What that took.
    pub spent: Option<Decided>,
}

impl Answerer {
    /// Checks claims as the sentences of an answer that cite these sources: by their bytes, and by the decision model, where the plan has
    /// one.
    ///
    /// # Errors
    /// When the decision model cannot be had.
    pub async fn prove(&self, claims: &[String], sources: &[Source]) -> Result<Proved, Error> {
        let deciding = self.models.deciding()?;
        let read = self.doubts(claims, sources).await?;
        let Some(deciding) = deciding else { return Ok(Proved { read, ..Proved::default() }) };
        let cited = Cited::new(sources).sharpened(Some(deciding.clone()));
        let mut decided = Vec::with_capacity(claims.len());
        for (claim, found) in claims.iter().zip(&read) {
            decided.push(cited.decided(&resting_on(sources, claim), found.clone()).await);
        }
        Ok(Proved { read, decided: Some(decided), spent: deciding.spent() })
    }

    /// What is doubtful in claims by the sources' bytes alone, of each.
    ///
    /// # Errors
    /// When the check itself ends.
    pub async fn doubts(&self, claims: &[String], sources: &[Source]) -> Result<Vec<Vec<Doubt>>, Error> {
        let cited = Cited::new(sources);
        let claims: Vec<Claim> = claims.iter().map(|claim| resting_on(sources, claim)).collect();
        off_runtime("check claims", move || claims.iter().map(|claim| cited.doubts(claim)).collect()).await
    }
}

fn resting_on(sources: &[Source], claim: &str) -> Claim {
    Claim { text: claim.to_owned(), part: 0..claim.len(), sources: sources.iter().map(|source| source.n).collect() }
}
