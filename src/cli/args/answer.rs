//! How an answer is written.

use clap::{Args, ValueEnum};

/// Of what an answer is written.
#[derive(Debug, Args)]
pub(in crate::cli) struct WholeArgs {
    /// Read all documents for the answer ("list every …", "summarise everything"), a request for every part of the index; the price is told
    /// first
    #[arg(long, conflicts_with_all = ["no_all", "batch", "limit"])]
    pub all: bool,
    /// With --all: read them anew, also those that notes were kept of for the same question and model (in NAME.notes in the home folder)
    #[arg(long, requires = "all")]
    pub refresh: bool,
    /// Answer from the best passages, even where the question is about all documents
    #[arg(long)]
    pub no_all: bool,
}

impl WholeArgs {
    /// What was said of it; `None`: nothing.
    pub fn wish(&self) -> Option<bool> {
        (self.all || self.no_all).then_some(self.all)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum JoinArg {
    /// Every answer is shown
    All,
    /// The first model to begin answers, the others are cancelled
    First,
    /// Every model votes for the best answer but its own; the judge decides among equals, and between two
    Vote,
    /// The judge picks
    Best,
    /// One answer is written out of all
    Merge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Order {
    /// As in the file
    Input,
    /// As they are done
    Done,
}
