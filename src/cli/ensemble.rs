//! Shows several models' answers as they stream: for a person, or as JSON lines.
//!
//! On a terminal one model has the floor: its answer streams, what the others say is kept, and when it has ended the next that
//! has begun is shown as far as it came and streams on. So nothing is interleaved and nothing is ever repainted.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use super::show::{Ended, Screen, View, and_unknown, bill, price};
use super::style::{Paint, Style, one_line};
use crate::answer::wire::Line;
use crate::answer::{AnswerEvent, EnsembleEvent, EnsembleMode, EnsembleSummary, Judging, ModelOutcome, Note, Verdict};

/// Where several answers are shown, and what has to be remembered of them.
pub(super) struct EnsembleView<'a, W> {
    screen: Screen<'a, W>,
    mode: EnsembleMode,
    /// Their names, by index.
    models: Vec<String>,
    /// Tells a person how it goes, beside the answers.
    tell: Box<dyn Fn(&str) + 'a>,
    /// The model whose answer streams now.
    floor: Option<usize>,
    /// Models that have begun and wait for the floor.
    waiting: VecDeque<usize>,
    /// Events that are not shown yet, by model.
    kept: BTreeMap<usize, Vec<EnsembleEvent>>,
    /// Votes and verdicts, which are shown below the answers.
    verdicts: Vec<EnsembleEvent>,
    /// There is an answer above.
    headed: bool,
}

impl<'a, W: Write> EnsembleView<'a, W> {
    pub fn new(screen: Screen<'a, W>, mode: EnsembleMode, tell: impl Fn(&str) + 'a) -> Self {
        let (waiting, kept, verdicts) = (VecDeque::new(), BTreeMap::new(), Vec::new());
        let tell = Box::new(tell);
        Self { screen, mode, models: Vec::new(), tell, floor: None, waiting, kept, verdicts, headed: false }
    }

    fn name(&self, index: usize) -> &str {
        self.models.get(index).map_or("", String::as_str)
    }

    /// Shows a piece of a model's answer if it has the floor, else keeps it.
    fn part(&mut self, index: usize, event: EnsembleEvent, last: bool) -> io::Result<()> {
        let streams = matches!(self.mode, EnsembleMode::All | EnsembleMode::First);
        if streams && self.floor.is_none() {
            self.floor = Some(index);
            self.heading(index)?;
        }
        if self.floor != Some(index) {
            if streams && !self.waiting.contains(&index) {
                self.waiting.push_back(index);
            }
            if last && matches!(event, EnsembleEvent::Part { .. }) {
                (self.tell)(&format!("{} has answered", self.name(index)));
            }
            self.kept.entry(index).or_default().push(event);
            return Ok(());
        }
        self.draw(event)?;
        if !last {
            return Ok(());
        }
        self.floor = None;
        while self.floor.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.floor = Some(next);
            self.heading(next)?;
            for event in self.kept.remove(&next).unwrap_or_default() {
                if matches!(event, EnsembleEvent::Failed { .. } | EnsembleEvent::Part { event: AnswerEvent::Done(_), .. }) {
                    self.floor = None;
                }
                self.draw(event)?;
            }
        }
        Ok(())
    }

    fn heading(&mut self, index: usize) -> io::Result<()> {
        self.screen.end_line()?;
        let heading = format!("── {} ──", one_line(self.name(index)));
        let (out, style) = self.screen.out();
        if std::mem::replace(&mut self.headed, true) {
            writeln!(out)?;
        }
        writeln!(out, "{}\n", style.paint(Paint::Bold, &heading))?;
        out.flush()
    }

    fn draw(&mut self, event: EnsembleEvent) -> io::Result<()> {
        match event {
            EnsembleEvent::Part { event: AnswerEvent::Done(summary), .. } => {
                self.screen.end_line()?;
                summary.note().map_or(Ok(()), |note| self.remark(note.text()))
            }
            EnsembleEvent::Part { event, .. } => self.screen.show(event),
            EnsembleEvent::Failed { reason, .. } if self.mode == EnsembleMode::First => {
                self.remark(&format!("Interrupted: {reason}. The others begin anew."))
            }
            EnsembleEvent::Failed { reason, .. } => self.remark(&format!("It broke off: {reason}")),
            EnsembleEvent::Vote(verdict) => self.say("votes for", &verdict),
            EnsembleEvent::Verdict(verdict) => self.say("picked", &verdict),
            EnsembleEvent::Undecided { mode: EnsembleMode::Merge, reason } => {
                self.remark(&format!("The answers could not be merged: {reason}. This is the first of them."))
            }
            EnsembleEvent::Undecided { reason, .. } => {
                self.remark(&format!("Nobody could pick: {reason}. This is the first of the best."))
            }
            _ => Ok(()),
        }
    }

    fn say(&mut self, verb: &str, verdict: &Verdict) -> io::Result<()> {
        let Verdict { by, choice, why, .. } = verdict;
        let said = format!("{by} {verb} {}: {}", choice.model, one_line(why));
        let (out, style) = self.screen.out();
        writeln!(out, "{}", style.paint(Paint::Dim, &said))
    }

    /// Says something about the answer above it.
    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.screen.end_line()?;
        let (out, style) = self.screen.out();
        writeln!(out, "\n{}", style.paint(Paint::Warning, &one_line(text)))
    }

    fn finish(&mut self, summary: &EnsembleSummary) -> io::Result<()> {
        self.screen.end_line()?;
        if summary.models.is_empty() {
            let (out, style) = self.screen.out();
            let note = if summary.refused { Note::Unanswerable } else { Note::NothingFound };
            writeln!(out, "{}", style.paint(Paint::Warning, note.text()))?;
            return if summary.refused { self.screen.list(&summary.citations) } else { Ok(()) };
        }
        let verdicts = std::mem::take(&mut self.verdicts);
        let (undecided, verdicts): (Vec<_>, Vec<_>) =
            verdicts.into_iter().partition(|event| matches!(event, EnsembleEvent::Undecided { .. }));
        for event in undecided {
            self.draw(event)?;
        }
        if let Some(chosen) = summary.chosen.filter(|_| !matches!(self.mode, EnsembleMode::All | EnsembleMode::First)) {
            self.heading(chosen)?;
            for event in self.kept.remove(&chosen).unwrap_or_default() {
                self.draw(event)?;
            }
        }
        if !verdicts.is_empty() {
            self.screen.end_line()?;
            writeln!(self.screen.out().0)?;
        }
        for event in verdicts {
            self.draw(event)?;
        }
        self.screen.list(&summary.citations)?;
        let (out, style) = self.screen.out();
        if !style.quiet {
            writeln!(out)?;
            for line in table(summary) {
                writeln!(out, "{}", style.paint(Paint::Dim, &line))?;
            }
        }
        out.flush()
    }
}

impl<W: Write> View for EnsembleView<'_, W> {
    type Event = EnsembleEvent;
    type Out = W;

    fn out(&mut self) -> (&mut W, &Style) {
        self.screen.out()
    }

    fn show(&mut self, event: EnsembleEvent) -> io::Result<()> {
        match event {
            EnsembleEvent::Question { .. } | EnsembleEvent::Note(_) => Ok(()),
            EnsembleEvent::Sources { sources, models } => {
                self.screen.sources = sources;
                self.models = models;
                Ok(())
            }
            EnsembleEvent::Part { ref member, event: ref said } => {
                let (index, last) = (member.index, matches!(said, AnswerEvent::Done(_)));
                // Thoughts of several at once are of use to nobody.
                if matches!(said, AnswerEvent::Reasoning(_)) && self.floor != Some(index) {
                    return Ok(());
                }
                self.part(index, event, last)
            }
            EnsembleEvent::Failed { ref member, ref reason, .. } => {
                let index = member.index;
                let said = self.floor == Some(index) || self.kept.contains_key(&index);
                if !said {
                    (self.tell)(&format!("{} failed: {}", member.model, one_line(reason)));
                    return Ok(());
                }
                self.part(index, event, true)
            }
            EnsembleEvent::Vote(_) | EnsembleEvent::Verdict(_) | EnsembleEvent::Undecided { .. } => {
                self.verdicts.push(event);
                Ok(())
            }
            EnsembleEvent::Merged(event) => self.screen.show(event),
            EnsembleEvent::Done(summary) => self.finish(&summary),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.screen.end_line()
    }

    fn line(event: &EnsembleEvent) -> Option<Line<'_>> {
        event.line()
    }

    fn ended(event: &EnsembleEvent) -> Option<Ended> {
        match event {
            EnsembleEvent::Done(summary) if summary.models.is_empty() => Some(Ended::NothingFound),
            EnsembleEvent::Done(_) => Some(Ended::Answered),
            _ => None,
        }
    }
}

/// A line a model: how fast it answered, at what price.
fn table(summary: &EnsembleSummary) -> Vec<String> {
    let fared = summary.models.iter().map(|(model, outcome)| match outcome {
        ModelOutcome::Answered(answer) => format!("{} · {}", bill(answer), price(answer.cost_usd)),
        ModelOutcome::Failed(reason) => format!("{model} · failed: {}", one_line(reason)),
        ModelOutcome::Cancelled => format!("{model} · cancelled, another was faster"),
        ModelOutcome::Unsent => format!("{model} · not asked, another was faster"),
    });
    let merged = summary.merged.iter().map(|merged| format!("merged by {} · {}", bill(merged), price(merged.cost_usd)));
    let judged = |judging: &Judging| format!("judged by {} · {}", judging.model, price(judging.cost_usd));
    let judging = summary.judging.iter().map(judged);
    let void = summary.void.iter().filter(|void| void.cost_usd.is_some_and(|cost| cost > 0.0));
    let void = void.map(|void| format!("{}, of no use · {}", void.model, price(void.cost_usd)));
    let asking = summary.asking.iter().filter(|asking| asking.cost_usd.is_some_and(|cost| cost > 0.0));
    let asking = asking.map(|asking| format!("the question, by {} · {}", asking.model, price(asking.cost_usd)));
    let (known, unknown) = (summary.spent_at_least(), summary.cost_unknown());
    let paid = match known {
        // The decisions that nobody knows the price of are in no sum.
        known if known > 0.0 => format!("{}{}", price(Some(known)), and_unknown(&unknown)),
        _ if unknown.is_empty() => price(summary.spent().1),
        _ => price(None),
    };
    let total = format!("in all {:.1} s · {paid}", summary.took.as_secs_f64());
    asking.chain(fared).chain(merged).chain(judging).chain(void).chain([total]).collect()
}
