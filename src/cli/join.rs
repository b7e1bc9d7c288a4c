//! Shows several models' answers as they stream: for a person, or as JSON lines.
//!
//! On a terminal one model has the floor: its answer streams, what the others say is kept, and when it has ended the next that
//! has begun is shown as far as it came and streams on. So nothing is interleaved and nothing is ever repainted.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::pin::pin;

use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};

use super::ask::{Ended, Screen, bill, done, failure, note};
use super::style::{Look, Style, json_line, one_line, reader_left};
use crate::answer::{AnswerEvent, Fate, Join, JoinEvent, JoinSummary, Opinion};
use crate::error::Error;
use crate::providers::ProviderPlan;
use crate::providers::{Usage, prices};

/// Who is asked, and what is known of their prices.
pub struct Board<'a> {
    join: Join,
    models: Vec<String>,
    providers: &'a BTreeMap<String, ProviderPlan>,
    /// Tells a person how it goes, beside the answers.
    tell: Box<dyn Fn(&str) + 'a>,
    /// Whose answer streams now.
    floor: Option<usize>,
    /// Who has begun and waits for the floor.
    waiting: VecDeque<usize>,
    /// What was said and is not shown yet, by place.
    kept: BTreeMap<usize, Vec<JoinEvent>>,
    /// There is an answer above.
    headed: bool,
}

impl<'a> Board<'a> {
    /// `models` are named in the order of their places.
    pub fn new(
        join: Join,
        models: Vec<String>,
        providers: &'a BTreeMap<String, ProviderPlan>,
        tell: impl Fn(&str) + 'a,
    ) -> Self {
        let (waiting, kept) = (VecDeque::new(), BTreeMap::new());
        Self { join, models, providers, tell: Box::new(tell), floor: None, waiting, kept, headed: false }
    }

    /// Shows the answers on `out`, each piece as it comes.
    ///
    /// # Errors
    /// When `out` cannot be written, except that its reader has gone, which is [`Ended::ReaderLeft`].
    pub async fn render(
        mut self,
        events: impl Stream<Item = Result<JoinEvent, Error>>,
        out: &mut impl Write,
        style: &Style,
    ) -> io::Result<Ended> {
        let mut events = pin!(events);
        let mut screen = Screen::new(out, style);
        let mut ended = Ended::Answered;
        while let Some(event) = events.next().await {
            let shown = match event {
                Ok(event) => {
                    if matches!(&event, JoinEvent::Done(summary) if summary.models.is_empty()) {
                        ended = Ended::NothingFound;
                    }
                    if style.json { self.json(&event, &mut screen) } else { self.human(event, &mut screen) }
                }
                Err(error) => {
                    let shown = if style.json { json_line(screen.out, &failure(&error)) } else { screen.end_line() };
                    ended = Ended::Failed(error);
                    shown
                }
            };
            match shown {
                Err(error) if reader_left(&error) => return Ok(Ended::ReaderLeft),
                shown => shown?,
            }
        }
        Ok(ended)
    }

    fn name(&self, place: usize) -> &str {
        self.models.get(place).map_or("", String::as_str)
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        prices::chat_cost(self.providers, model, usage)
    }

    fn json(&self, event: &JoinEvent, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        let line = match event {
            JoinEvent::Sources(sources) => json!({"type": "sources", "sources": sources, "models": self.models}),
            JoinEvent::Part { place, event: AnswerEvent::Done(summary) } => {
                let cost = self.cost(self.name(*place), &summary.usage);
                with(done(summary), &[("cost_usd", json!(cost))])
            }
            JoinEvent::Part { place, event } => match piece(event) {
                Some(line) => with(line, &[("model", json!(self.name(*place)))]),
                None => return Ok(()),
            },
            JoinEvent::Failed { place, kind, reason } => json!({
                "type": "failed", "model": self.name(*place), "stage": "answer", "error": reason, "kind": kind.code(),
            }),
            JoinEvent::Vote(opinion) => self.opinion("vote", opinion),
            JoinEvent::Verdict(opinion) => self.opinion("verdict", opinion),
            JoinEvent::Merged(event @ AnswerEvent::Fallback { .. }) => return screen.json(event),
            JoinEvent::Merged(event) => match piece(event) {
                Some(line) => with(line, &[("join", json!("merge"))]),
                None => return Ok(()),
            },
            JoinEvent::Undecided(reason) => json!({"type": "undecided", "join": word(self.join), "error": reason}),
            JoinEvent::Done(summary) => self.joined(summary),
        };
        json_line(screen.out, &line)
    }

    fn opinion(&self, kind: &str, opinion: &Opinion) -> Value {
        json!({"type": kind, "model": opinion.by, "choice": self.name(opinion.choice), "why": opinion.why})
    }

    fn joined(&self, summary: &JoinSummary) -> Value {
        let models: Vec<Value> = summary.models.iter().map(|(model, fate)| self.fate(model, fate)).collect();
        let (usage, cost) = self.spent(summary);
        let answered = match (&summary.merged, summary.chosen) {
            (Some(merged), _) => Some(merged),
            (None, Some(place)) => summary.models.get(place).and_then(|(_, fate)| answer(fate)),
            (None, None) => None,
        };
        let mut line = json!({
            "type": "done", "join": word(summary.join),
            "model": answered.and_then(|answer| answer.model.as_ref()),
            "citations": summary.citations, "models": models,
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}, "cost_usd": cost,
            "ttft_ms": summary.ttft.map(|ttft| ttft.as_millis() as u64),
            "seconds": (summary.took.as_secs_f64() * 1000.0).round() / 1000.0,
            "stop": if summary.models.is_empty() { "nothing_found" } else { answered.map_or("end", |answer| super::ask::stop(answer.outcome)) },
        });
        if let Some(unknown) = answered.map(|answer| &answer.unknown_citations).filter(|unknown| !unknown.is_empty()) {
            line = with(line, &[("unknown_citations", json!(unknown))]);
        }
        line
    }

    fn fate(&self, model: &str, fate: &Fate) -> Value {
        match fate {
            Fate::Failed(error) => json!({"model": model, "state": "failed", "error": error}),
            Fate::Cancelled => json!({"model": model, "state": "cancelled"}),
            Fate::Answered(summary) => json!({
                "model": model, "state": "answered",
                "ttft_ms": summary.ttft.map(|ttft| ttft.as_millis() as u64),
                "seconds": (summary.took.as_secs_f64() * 1000.0).round() / 1000.0,
                "usage": {"input_tokens": summary.usage.input_tokens, "output_tokens": summary.usage.output_tokens},
                "cost_usd": self.cost(model, &summary.usage),
            }),
        }
    }

    /// What all of it took; unknown as soon as a part is. What a failed or cancelled answer cost is never told.
    fn spent(&self, summary: &JoinSummary) -> (Usage, Option<f64>) {
        let answers = summary.models.iter().filter_map(|(model, fate)| Some((model, answer(fate)?.usage)));
        let merged = summary.merged.iter().filter_map(|merged| Some((merged.model.as_ref()?, merged.usage)));
        let judging = summary.judging.iter().map(|(model, usage)| (model, *usage));
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        let none = (Usage { input_tokens: Some(0), output_tokens: Some(0) }, Some(0.0));
        let (usage, cost) = answers.chain(merged).chain(judging).fold(none, |(total, cost), (model, usage)| {
            let total = Usage {
                input_tokens: sum(total.input_tokens, usage.input_tokens),
                output_tokens: sum(total.output_tokens, usage.output_tokens),
            };
            (total, cost.and_then(|cost| Some(cost + self.cost(model, &usage)?)))
        });
        let complete = summary.models.iter().all(|(_, fate)| matches!(fate, Fate::Answered(_)));
        (usage, cost.filter(|_| complete))
    }

    fn human(&mut self, event: JoinEvent, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        match event {
            JoinEvent::Sources(sources) => {
                screen.sources = sources;
                Ok(())
            }
            JoinEvent::Part { place, ref event } => match event {
                // Thoughts of several at once are of use to nobody.
                AnswerEvent::Reasoning(_) if self.floor != Some(place) => Ok(()),
                AnswerEvent::Done(_) => self.part(place, event_of(place, event), true, screen),
                _ => self.part(place, event_of(place, event), false, screen),
            },
            JoinEvent::Failed { place, ref reason, .. } => {
                let said = self.floor == Some(place) || self.kept.contains_key(&place);
                if !said {
                    (self.tell)(&format!("{} failed: {}", self.name(place), one_line(reason)));
                    return Ok(());
                }
                self.part(place, event, true, screen)
            }
            JoinEvent::Vote(_) | JoinEvent::Verdict(_) | JoinEvent::Undecided(_) => {
                // Said below the answer.
                self.kept.entry(self.models.len()).or_default().push(event);
                Ok(())
            }
            JoinEvent::Merged(event) => screen.human(event),
            JoinEvent::Done(summary) => self.finish(&summary, screen),
        }
    }

    /// Shows a piece of a model's answer if it has the floor, else keeps it.
    fn part(&mut self, place: usize, event: JoinEvent, last: bool, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        let streams = matches!(self.join, Join::All | Join::First);
        if streams && self.floor.is_none() {
            self.floor = Some(place);
            self.heading(place, screen)?;
        }
        if self.floor != Some(place) {
            if streams && !self.waiting.contains(&place) {
                self.waiting.push_back(place);
            }
            if last && matches!(event, JoinEvent::Part { .. }) {
                (self.tell)(&format!("{} has answered", self.name(place)));
            }
            self.kept.entry(place).or_default().push(event);
            return Ok(());
        }
        self.draw(event, screen)?;
        if !last {
            return Ok(());
        }
        self.floor = None;
        while self.floor.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.floor = Some(next);
            self.heading(next, screen)?;
            for event in self.kept.remove(&next).unwrap_or_default() {
                if matches!(event, JoinEvent::Failed { .. } | JoinEvent::Part { event: AnswerEvent::Done(_), .. }) {
                    self.floor = None;
                }
                self.draw(event, screen)?;
            }
        }
        Ok(())
    }

    fn heading(&mut self, place: usize, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        screen.end_line()?;
        if self.headed {
            writeln!(screen.out)?;
        }
        self.headed = true;
        let heading = format!("── {} ──", one_line(self.name(place)));
        writeln!(screen.out, "{}\n", screen.style.paint(Look::Bold, &heading))?;
        screen.out.flush()
    }

    fn draw(&self, event: JoinEvent, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        match event {
            JoinEvent::Part { event: AnswerEvent::Done(summary), .. } => {
                screen.end_line()?;
                note(&summary).map_or(Ok(()), |note| remark(note, screen))
            }
            JoinEvent::Part { event, .. } => screen.human(event),
            JoinEvent::Failed { reason, .. } if self.join == Join::First => {
                remark(&format!("Interrupted: {reason}. The others begin anew."), screen)
            }
            JoinEvent::Failed { reason, .. } => remark(&format!("It broke off: {reason}"), screen),
            JoinEvent::Vote(opinion) => self.say("votes for", &opinion, screen),
            JoinEvent::Verdict(opinion) => self.say("picked", &opinion, screen),
            JoinEvent::Undecided(reason) if self.join == Join::Merge => {
                remark(&format!("The answers could not be merged: {reason}. This is the first of them."), screen)
            }
            JoinEvent::Undecided(reason) => {
                remark(&format!("Nobody could pick: {reason}. This is the first of the best."), screen)
            }
            JoinEvent::Sources(_) | JoinEvent::Merged(_) | JoinEvent::Done(_) => Ok(()),
        }
    }

    fn say(&self, verb: &str, opinion: &Opinion, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        let Opinion { by, choice, why, .. } = opinion;
        let said = format!("{by} {verb} {}: {}", self.name(*choice), one_line(why));
        writeln!(screen.out, "{}", screen.style.paint(Look::Dim, &said))
    }

    fn finish(&mut self, summary: &JoinSummary, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
        screen.end_line()?;
        if summary.models.is_empty() {
            return writeln!(screen.out, "{}", screen.style.paint(Look::Wrong, "Nothing was found on this question."));
        }
        let opinions = self.kept.remove(&self.models.len()).unwrap_or_default();
        let (undecided, opinions): (Vec<_>, Vec<_>) =
            opinions.into_iter().partition(|event| matches!(event, JoinEvent::Undecided(_)));
        for event in undecided {
            self.draw(event, screen)?;
        }
        if let Some(chosen) = summary.chosen.filter(|_| !matches!(self.join, Join::All | Join::First)) {
            self.heading(chosen, screen)?;
            for event in self.kept.remove(&chosen).unwrap_or_default() {
                self.draw(event, screen)?;
            }
        }
        if !opinions.is_empty() {
            screen.end_line()?;
            writeln!(screen.out)?;
        }
        for event in opinions {
            self.draw(event, screen)?;
        }
        screen.list(&summary.citations)?;
        if !screen.style.quiet {
            writeln!(screen.out)?;
            for line in self.table(summary) {
                writeln!(screen.out, "{}", screen.style.paint(Look::Dim, &line))?;
            }
        }
        screen.out.flush()
    }

    /// Who answered, how fast, at what price.
    fn table(&self, summary: &JoinSummary) -> Vec<String> {
        let priced = |model: &str, usage: &Usage| price(self.cost(model, usage));
        let fates = summary.models.iter().map(|(model, fate)| match fate {
            Fate::Answered(answer) => format!("{} · {}", bill(answer), priced(model, &answer.usage)),
            Fate::Failed(reason) => format!("{model} · failed: {}", one_line(reason)),
            Fate::Cancelled => format!("{model} · cancelled, another was faster"),
        });
        let merged = summary.merged.iter().map(|merged| {
            let model = merged.model.as_deref().unwrap_or_default();
            format!("merged by {} · {}", bill(merged), priced(model, &merged.usage))
        });
        let judging = summary.judging.iter().map(|(model, usage)| format!("judged by {model} · {}", priced(model, usage)));
        let total = format!("in all {:.1} s · {}", summary.took.as_secs_f64(), price(self.spent(summary).1));
        fates.chain(merged).chain(judging).chain([total]).collect()
    }
}

fn event_of(place: usize, event: &AnswerEvent) -> JoinEvent {
    JoinEvent::Part { place, event: event.clone() }
}

fn answer(fate: &Fate) -> Option<&crate::answer::Summary> {
    match fate {
        Fate::Answered(summary) => Some(summary),
        Fate::Failed(_) | Fate::Cancelled => None,
    }
}

/// Says something about the answer above it.
fn remark(text: &str, screen: &mut Screen<'_, impl Write>) -> io::Result<()> {
    screen.end_line()?;
    writeln!(screen.out, "\n{}", screen.style.paint(Look::Wrong, &one_line(text)))
}

/// A piece of an answer as a line; `None` for what the contract knows no line for.
fn piece(event: &AnswerEvent) -> Option<Value> {
    match event {
        AnswerEvent::Token(text) => Some(json!({"type": "token", "text": text})),
        AnswerEvent::Citation { text, unknown, .. } if unknown.is_empty() => Some(json!({"type": "token", "text": text})),
        AnswerEvent::Citation { text, unknown, .. } => {
            Some(json!({"type": "token", "text": text, "unknown_citations": unknown}))
        }
        _ => None,
    }
}

/// An object with more in it.
fn with(mut line: Value, more: &[(&str, Value)]) -> Value {
    if let Some(line) = line.as_object_mut() {
        line.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
    line
}

fn word(join: Join) -> &'static str {
    match join {
        Join::All => "all",
        Join::First => "first",
        Join::Vote => "vote",
        Join::Best => "best",
        Join::Merge => "merge",
    }
}

/// `$0.00405`, to the microdollar.
pub(super) fn price(cost: Option<f64>) -> String {
    match cost {
        None => "price unknown".into(),
        Some(cost) => {
            let exact = format!("{cost:.6}");
            format!("${}", exact.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}
