//! A change of the model that embeds by several workers: as one process makes it (see [`super::change`]), in rounds.
//!
//! Who is at work counts: whoever comes with a pipeline that names another model than those do is refused, and told who they are and
//! what can be done. So nobody takes anything from anybody: a change begins, and is taken back, when those have ended who name another
//! model; a worker that is dead counts until its lease has run out.
//!
//! What is done to the slots is done by whoever has the right to it ([`crate::cluster::Right`]), step by step, each by what store and
//! database say at that moment: wherever the one before was cut short, the next goes on. The switch is decided by the seal of a round
//! that found every document done; to tell the store of it is one write that may come any number of times.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Runtime;
use super::change::{Wish, completed, documents_after, unlisted};
use crate::cluster::{ClusterError, Ledgers, Right, Side, Step};
use crate::error::Error;
use crate::ingest::report::{ChangeOfModel, IngestSummary, Outcome};
use crate::ingest::{self, Options, Setup};
use crate::vectordb::{Held, IndexMeta, Look, ModelChange, Slot};

/// What a worker's round is a part of.
pub(super) struct Turned {
    ledgers: Ledgers,
    /// Which slot it is about.
    slot: Slot,
    /// How often its ledger had been closed before.
    closings: i32,
    /// The models, where those in that slot are to take the others' place: of these, and of those.
    change: Option<(String, String)>,
    scoped: bool,
}

impl Turned {
    /// Why the round has failed: that others have made another index meanwhile, where they have.
    pub(super) async fn explained(&self, error: Error) -> Error {
        let sides = self.ledgers.sides().await;
        let closed = |side: &Side| side.closed || side.closings != self.closings;
        match sides.as_ref().map(|sides| Side::of(sides, self.slot)) {
            Ok(side) if closed(side) => self.ledgers.is_closed().into(),
            _ => error,
        }
    }
}

/// Ledgers and slots as a worker saw them, what it wishes, and what is to be done to them before.
struct Seen {
    sides: [Side; 2],
    look: Look,
    wish: Wish,
    due: Option<Due>,
}

/// What is to be done to the slots before workers can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// An index that was to take another one's place is alone: it answers.
    Alone,
    /// All vectors of the other slot are there: it answers from now on.
    Switch,
    /// What is in the other slot is the rest of a change that is over, or taken back.
    Clear,
    /// A change goes on of which the database does not know all.
    Resume,
    /// A change begins.
    Begin,
}

impl Runtime {
    /// What one of several workers works with, and the change of the index's model that it is a part of, if it is.
    pub(super) async fn prepared_together(&self, ledgers: &Ledgers, options: &Options) -> Result<(Setup, Turned), Error> {
        let home = self.home_in_cluster()?;
        let mut seen = self.seen(ledgers, options, &home, true).await?;
        if seen.due.is_some() {
            seen = self.arranged(ledgers, options, &home, true).await?;
        }
        let Seen { sides, look, wish, due: _ } = seen;
        let (slot, current) = (wish.slot(&look), look.current.index.clone());
        let changes = matches!(wish, Wish::Change { .. });
        let (store, change, models) = if let (true, Some(other), Some(index)) = (changes, look.other, &current) {
            let to = self.embedder().await?.fingerprint();
            tracing::warn!("embedding anew with {to}: the vectors of {} answer until all are complete", index.model);
            (other.store, Some(next(index)), Some((index.model.to_string(), to.to_string())))
        } else {
            let change = current.as_ref().and_then(|index| index.change);
            (look.current.store, change.map(|change| ModelChange { complete: true, ..change }), None)
        };
        let mut setup = self.setup_together(ledgers, &sides, slot, store).await?;
        setup.change = change;
        // What is gone by then has made place for another one.
        setup.is_there = current.is_some() && !options.rebuild;
        let closings = Side::of(&sides, slot).closings;
        Ok((setup, Turned { ledgers: ledgers.clone(), slot, closings, change: models, scoped: options.scoped }))
    }

    /// After a worker's round: switches, if it was sealed with every document done, unless another worker does.
    pub(super) async fn turned_together(
        &self,
        turned: Turned,
        summary: &mut IngestSummary,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let Turned { ledgers, slot, change: Some((from, to)), scoped, .. } = turned else { return Ok(()) };
        let mut now = Side::of(&ledgers.sides().await?, slot).clone();
        let mut complete = false;
        if summary.outcome == Outcome::Complete && now.change == Step::Due {
            // Whoever has sealed may have died since, and then it is for the others. What was to be meant, was when it began.
            let (home, options) = (self.home_in_cluster()?, Options { prune: true, ..Options::default() });
            tokio::select! {
                arranged = self.arranged(&ledgers, &options, &home, false) => complete = arranged?.look.current.slot == slot,
                () = stop.cancelled() => {}
            }
            now = Side::of(&ledgers.sides().await?, slot).clone();
        } else if summary.outcome == Outcome::Complete && now.change == Step::None {
            complete = self.look().await?.current.slot == slot;
        }
        let (waiting, failed) = if complete { (0, now.failed) } else { (now.waiting, now.failed) };
        let unlisted = unlisted(waiting, scoped, summary);
        summary.change = Some(ChangeOfModel { from, to, complete, waiting, unlisted, failed });
        Ok(())
    }

    /// Looks at ledgers and slots. Not `begins`: what is to be done is only what ends a change. Else it is an error that others are at
    /// work who wish for something else.
    async fn seen(&self, ledgers: &Ledgers, options: &Options, home: &str, begins: bool) -> Result<Seen, Error> {
        // The ledgers first: whoever signs on finds out whether they are still so.
        let (sides, look) = (ledgers.sides().await?, self.look().await?);
        let wish = self.wish(&look, options, Some(home)).await?;
        if begins {
            self.goes_together(&look, wish, &sides).await?;
        }
        let due = due(wish, &look, &sides, home).filter(|due| begins || !matches!(due, Due::Begin | Due::Resume));
        Ok(Seen { sides, look, wish, due })
    }

    /// Does what is to be done to the slots, as soon as nobody else does; returns how they are then. Not `begins`: only what ends a
    /// change.
    async fn arranged(&self, ledgers: &Ledgers, options: &Options, home: &str, begins: bool) -> Result<Seen, Error> {
        loop {
            let right = ledgers.right().await?;
            match self.arrange(&right, ledgers, options, home, begins).await {
                Ok(arranged) => {
                    right.give_back().await?;
                    return Ok(arranged);
                }
                // Another one had it meanwhile, and may have done it all.
                Err(error) if error.downcast_ref().is_some_and(ClusterError::is_lost) => {}
                Err(error) => {
                    // What was not answered may still arrive: then the right passes on when it has.
                    if !error.is_transient() {
                        right.give_back().await?;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn arrange(
        &self,
        right: &Right<'_>,
        ledgers: &Ledgers,
        options: &Options,
        home: &str,
        begins: bool,
    ) -> Result<Seen, Error> {
        loop {
            let seen = self.seen(ledgers, options, home, begins).await?;
            let (Some(due), Some(other)) = (seen.due, &seen.look.other) else { return Ok(seen) };
            let look = &seen.look;
            match due {
                Due::Alone => right.call(completed(&*look.current.store)).await?,
                Due::Switch => right.call(completed(&*other.store)).await?,
                Due::Clear => self.cleared(right, look, other, home).await?,
                Due::Resume => self.resumed(right, look, other, Side::of(&seen.sides, other.slot)).await?,
                Due::Begin => self.begun(right, look, other, home).await?,
            }
        }
    }

    /// Removes what is in the other slot, and has workers sign on to the one that answers.
    async fn cleared(&self, right: &Right<'_>, look: &Look, other: &Held, home: &str) -> Result<(), Error> {
        self.closed(right, other.slot).await?;
        if let Some(index) = other.index.as_ref().filter(|_| is_a_rest(look, home)) {
            if look.next().is_some() {
                tracing::warn!("the change to {} is taken back: what there is of its vectors is removed", index.model);
            }
            right.call(other.store.drop_index()).await?;
            other.store.release().await;
        }
        right.forget(other.slot).await?;
        Ok(right.open(look.current.slot, Step::None).await?)
    }

    /// Begins a change: from then on workers sign on to the other slot's ledger, which expects the documents that this one has.
    async fn begun(&self, right: &Right<'_>, look: &Look, other: &Held, home: &str) -> Result<(), Error> {
        let Some(index) = &look.current.index else { return Ok(()) };
        let embedder = self.embedder().await?;
        let made = IndexMeta {
            version: IndexMeta::VERSION,
            generation: ingest::new_generation(),
            model: embedder.fingerprint(),
            dimensions: embedder.dimensions().await?,
            chunking: self.plan.chunk.fingerprint(),
            home: Some(home.to_owned()),
            change: Some(next(index)),
            prefixes: self.prefixes(),
        };
        self.closed(right, look.current.slot).await?;
        self.closed(right, other.slot).await?;
        right.settled(other.slot).await?;
        right.call(other.store.drop_index()).await?;
        right.forget(other.slot).await?;
        expect(right, look, other.slot).await?;
        right.call(ingest::make(&*other.store, &made, &CancellationToken::new())).await?;
        known(right, look, other.slot, &made).await?;
        Ok(right.open(other.slot, Step::Made).await?)
    }

    /// Goes on with a change whose beginning was cut short after its index was made, or of which the database has lost something.
    async fn resumed(&self, right: &Right<'_>, look: &Look, other: &Held, side: &Side) -> Result<(), Error> {
        let Some(index) = &other.index else { return Ok(()) };
        self.closed(right, look.current.slot).await?;
        if side.change == Step::None {
            self.closed(right, other.slot).await?;
            expect(right, look, other.slot).await?;
        }
        known(right, look, other.slot, index).await?;
        let change = if side.change == Step::Due { Step::Due } else { Step::Made };
        Ok(right.open(other.slot, change).await?)
    }

    /// Closes a ledger that nobody is at work on.
    async fn closed(&self, right: &Right<'_>, slot: Slot) -> Result<(), Error> {
        let at_work = right.close(slot).await?;
        if at_work.is_empty() {
            return Ok(());
        }
        let message = format!("workers of {:?} have just begun ({})", self.corpus()?, at_work.join(", "));
        Err(ClusterError::unfit(message).with_hint(WHEN).into())
    }

    /// Refuses a pipeline that names another model than those do who are at work.
    async fn goes_together(&self, look: &Look, wish: Wish, sides: &[Side; 2]) -> Result<(), Error> {
        let (Some(index), Some(other)) = (&look.current.index, &look.other) else { return Ok(()) };
        let (current, next) = (Side::of(sides, look.current.slot), Side::of(sides, other.slot));
        let (name, planned) = (self.corpus()?, self.embedder().await?.fingerprint());
        let makes_another = match wish {
            Wish::Refuse => return Ok(()),
            Wish::Keep | Wish::Change { resume: false } => !next.workers.is_empty(),
            Wish::Change { resume: true } => false,
        };
        let error = if makes_another {
            let to = next.model.clone().or_else(|| other.index.as_ref().map(|index| index.model.to_string()));
            let to = to.unwrap_or_else(|| "another".to_owned());
            let who = next.workers.join(", ");
            let message = format!(
                "workers of {name:?} change its model from {} to {to} ({who}), and this pipeline names {planned}",
                index.model
            );
            let hint = format!(
                "start this worker with the pipeline file that names {to}; to take their change back, stop them first: questions are \
                 answered all the while"
            );
            ClusterError::unfit(message).with_hint(hint)
        } else if matches!(wish, Wish::Change { .. }) && !current.workers.is_empty() {
            let who = current.workers.join(", ");
            let message = format!(
                "workers of {name:?} are at work with {} ({who}), and this pipeline names {planned}, to which its model would be changed",
                index.model
            );
            ClusterError::unfit(message).with_hint(WHEN)
        } else {
            return Ok(());
        };
        Err(error.into())
    }
}

/// When a change can begin.
const WHEN: &str = "stop them, or wait until their round has ended (`status` shows it; of one that is dead, until its lease has run \
                    out), and start every worker with the same pipeline file";

/// What is to be done to the slots before a worker can do what it wishes.
fn due(wish: Wish, look: &Look, sides: &[Side; 2], home: &str) -> Option<Due> {
    let Some(other) = &look.other else { return None };
    let (current, next) = (Side::of(sides, look.current.slot), Side::of(sides, other.slot));
    match wish {
        Wish::Refuse => None,
        Wish::Keep if look.current.index.as_ref().is_some_and(|index| index.change.is_some_and(|change| !change.complete)) => {
            Some(Due::Alone)
        }
        Wish::Keep => {
            let known = current.closed || current.change != Step::None || next.change != Step::None;
            (is_a_rest(look, home) || known).then_some(Due::Clear)
        }
        Wish::Change { resume: true } => match next.change {
            Step::Due => Some(Due::Switch),
            Step::Made if current.closed && !next.closed => None,
            Step::Made | Step::None => Some(Due::Resume),
        },
        Wish::Change { resume: false } => Some(Due::Begin),
    }
}

/// Whether what is in the other slot is to be removed where it is not wanted: but for what another home makes there.
fn is_a_rest(look: &Look, home: &str) -> bool {
    let index = look.other.as_ref().and_then(|other| other.index.as_ref());
    index.is_some_and(|index| look.next().is_none() || index.other_home(Some(home)).is_none())
}

/// What an index says of itself that is to take this one's place.
fn next(index: &IndexMeta) -> ModelChange {
    ModelChange { turn: index.change.map_or(0, |change| change.turn) + 1, complete: false }
}

/// Has the ledger of a slot expect the documents that the index has which answers.
async fn expect(right: &Right<'_>, look: &Look, slot: Slot) -> Result<(), Error> {
    let mut next: Option<Option<Uuid>> = Some(None);
    while let Some(after) = next {
        let (documents, then) = documents_after(&*look.current.store, after).await?;
        right.expect(slot, &documents.into_iter().collect::<Vec<_>>()).await?;
        next = then.map(Some);
    }
    Ok(())
}

/// Notes for everyone what is changed to what.
async fn known(right: &Right<'_>, look: &Look, slot: Slot, made: &IndexMeta) -> Result<(), Error> {
    if let Some(index) = &look.current.index {
        right.is_of(look.current.slot, index.model.as_str()).await?;
    }
    Ok(right.is_of(slot, made.model.as_str()).await?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::vectordb::{Slots, StorePlan};

    const HOME: &str = "cluster: docs in docs";

    fn index(change: Option<(u32, bool)>) -> IndexMeta {
        IndexMeta {
            version: IndexMeta::VERSION,
            generation: Uuid::nil(),
            model: "m".into(),
            dimensions: 1,
            chunking: String::new(),
            home: Some(HOME.to_owned()),
            change: change.map(|(turn, complete)| ModelChange { turn, complete }),
            prefixes: None,
        }
    }

    /// The first slot answers; in the second one is this.
    async fn look(second: Option<IndexMeta>) -> Look {
        let slots = Slots::open(&StorePlan::Embedded { path: None }, Path::new("nowhere/docs")).unwrap();
        let Look { mut current, other } = slots.look().await.unwrap();
        current.index = Some(index(None));
        Look { current, other: other.map(|other| Held { index: second, ..other }) }
    }

    fn side(closed: bool, change: Step) -> Side {
        Side { closed, change, ..Side::default() }
    }

    #[tokio::test]
    async fn wherever_it_was_cut_short_the_next_one_knows_what_is_to_be_done() {
        let (open, closed) = (side(false, Step::None), side(true, Step::None));
        let (made, all_there) = (side(false, Step::Made), side(false, Step::Due));
        let (keep, begin, resume) = (Wish::Keep, Wish::Change { resume: false }, Wish::Change { resume: true });
        let building = || Some(index(Some((1, false))));
        let cases = [
            // Nothing of a change.
            (keep, None, [&open, &open], None),
            (keep, None, [&open, &closed], None),
            (begin, None, [&open, &open], Some(Due::Begin)),
            // Begun: closed, closed and forgotten, made, and known to the database.
            (begin, None, [&closed, &open], Some(Due::Begin)),
            (begin, None, [&closed, &closed], Some(Due::Begin)),
            (resume, building(), [&closed, &closed], Some(Due::Resume)),
            (resume, building(), [&closed, &made], None),
            // Lost by the database.
            (resume, building(), [&open, &made], Some(Due::Resume)),
            (resume, building(), [&open, &open], Some(Due::Resume)),
            // All of it is there.
            (resume, building(), [&closed, &all_there], Some(Due::Switch)),
            // Taken back, at any of these.
            (keep, None, [&closed, &open], Some(Due::Clear)),
            (keep, None, [&closed, &closed], Some(Due::Clear)),
            (keep, building(), [&closed, &made], Some(Due::Clear)),
            (keep, building(), [&closed, &all_there], Some(Due::Clear)),
            (keep, None, [&open, &made], Some(Due::Clear)),
            (Wish::Refuse, building(), [&closed, &made], None),
        ];
        for (n, (wish, second, [first, other], expected)) in cases.into_iter().enumerate() {
            let found = due(wish, &look(second).await, &[first.clone(), other.clone()], HOME);
            assert_eq!(found, expected, "case {n}");
        }
        // What another home makes is not ours to remove; what was replaced is, whoever had made it.
        for (change, expected) in [(Some((1, false)), None), (None, Some(Due::Clear))] {
            let theirs = IndexMeta { home: Some("/srv/other".into()), ..index(change) };
            assert_eq!(due(keep, &look(Some(theirs)).await, &[open.clone(), open.clone()], HOME), expected);
        }
        // One that was to take another one's place, and is alone.
        let mut alone = look(None).await;
        alone.current.index = Some(index(Some((1, false))));
        assert_eq!(due(keep, &alone, &[open.clone(), open], HOME), Some(Due::Alone));
    }
}
