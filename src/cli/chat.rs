//! A conversation over the index.
//!
//! ```text
//! a line ─▶ command, or question ─▶ asked, with what was said before ─▶ shown ─▶ kept in the session
//! ```
//!
//! The index is let go as soon as a question's passages are found, so that an `ingest` beside the chat need not wait for it.
//! Ctrl-C stops the answer, which cancels the request upstream; what came of it is kept. Parts of all documents that are under way are
//! read first, unless it comes again. So does a closed terminal, and ends the chat.

mod command;
mod input;
mod session;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use self::command::Command;
use self::input::{Input, Read};
use self::session::{Session, Turn};
use super::args::{ChatArgs, Common};
use super::exit;
use super::models::{named, open};
use super::output::{Output, counted, line};
use super::progress::downloads;
use super::show::{Ended, Screen, listed, listed_doubts, render};
use super::signals::endable;
use super::style::{Paint, Style, one_line, trimmed};
use super::whole;
use super::why::{asked, shown};
use crate::answer::wire::Line;
use crate::answer::{AnswerEvent, AnswerOutcome, Answerer, Exchange, ModelChoice, Note, Question, Source, doubted};
use crate::error::Error;
use crate::providers::ChatModel;
use crate::runtime::Runtime;

/// Lines of a passage that `/sources` shows of each.
const LINES_SHOWN: usize = 6;
/// What programs know a command by that could not be obeyed.
const BAD_COMMAND: &str = "bad_command";

pub(super) async fn run(args: ChatArgs, common: &Common, output: &Output) -> anyhow::Result<u8> {
    let (runtime, others) = args.pipelines.runtimes(common)?;
    let model = args.model.as_ref().map(|model| named(model, &runtime.plan, &others)).transpose()?;
    let model = model.map_or(ModelChoice::Planned, ModelChoice::Named);
    let how = Question { limit: args.limit, filter: args.filter.parse()?, model, ..Question::default() };
    let _fetching = downloads(output, runtime.providers.downloads());
    let folder = runtime.settings.home.join(".chat");
    let (name, found) = match &args.session {
        Some(name) => (name.clone(), true),
        None => match Session::latest(&folder).filter(|_| args.go_on) {
            Some(name) => (name, true),
            None => (new_name(), !args.go_on),
        },
    };
    let session = Session::open(&folder, &name).map_err(|source| in_session(&folder, &name, source))?;
    let prepared = async {
        let answerer = open(&runtime, &others).await?.releasing_the_index();
        let model = answerer.models(&how).await?.into_iter().next();
        Ok::<_, Error>((answerer, model))
    };
    let (answerer, model) = prepared.await?;
    let person = io::stdin().is_terminal() && io::stdout().is_terminal() && !output.json;
    let input = Input::new(person, folder.join("history"));
    let (runtime, others, saved) = (&runtime, &*others, None);
    let (ending, failed) = (endable(), 0);
    let mut chat = Chat { runtime, others, output, answerer, how, model, session, folder, person, ending, saved, failed };
    chat.greet(found);
    Box::pin(chat.converse(input)).await
}

/// Two chats that begin in the same second are two.
fn new_name() -> String {
    let now = jiff::Timestamp::now().to_string();
    let second: String = now.chars().take(19).map(|c| if c == ':' { '-' } else { c }).collect();
    format!("{second}-{}", std::process::id())
}

fn in_session(folder: &Path, name: &str, source: io::Error) -> Error {
    Error::io("use the session", folder.join(format!("{name}.jsonl")), source)
}

struct Chat<'a> {
    runtime: &'a Arc<Runtime>,
    /// Those that are asked together with it.
    others: &'a [Arc<Runtime>],
    output: &'a Output,
    answerer: Answerer,
    /// How every question is asked; its model is `model`.
    how: Question,
    /// The model that answers; `None`: passages do.
    model: Option<Arc<dyn ChatModel>>,
    session: Session,
    folder: PathBuf,
    /// Someone sits at a terminal.
    person: bool,
    /// The chat is to end, whoever sits there.
    ending: CancellationToken,
    /// The file that `/save` wrote, and may write again.
    saved: Option<PathBuf>,
    /// Questions that could not be answered.
    failed: u64,
}

impl Chat<'_> {
    /// Says what answers, and what is gone on with.
    fn greet(&self, found: bool) {
        if !found {
            self.output.note("There is no session to go on with: this is a new one.");
        }
        match &self.model {
            None => self.output.note(Note::NoModel.text()),
            Some(model) if self.person => self.output.note(&format!("{} answers. /help lists the commands.", model.model())),
            Some(_) => {}
        }
        if let Some(last) = self.session.turns.last().filter(|_| self.person) {
            let turns = counted(self.session.turns.len() as u64, "question");
            let last = trimmed(&one_line(&last.question), 60);
            self.output.note(&format!("Session {} goes on after {turns}, the last: {last}", self.session.name));
        }
    }

    async fn converse(&mut self, mut input: Input) -> anyhow::Result<u8> {
        loop {
            // A person's Ctrl-C at the prompt is the editor's; a script's ends it.
            let read = tokio::select! {
                biased;
                () = self.ending.cancelled() => return Ok(exit::INTERRUPTED),
                read = input.next() => read,
                _ = tokio::signal::ctrl_c(), if !self.person => return Ok(exit::INTERRUPTED),
            };
            let line = match read {
                Read::Line(line) => line,
                Read::Interrupted => {
                    self.output.note("Ctrl-D or /quit leaves.");
                    continue;
                }
                Read::End => break,
                Read::Failed(message) => {
                    self.failed += 1;
                    self.complain(&message);
                    if self.person {
                        break;
                    }
                    continue;
                }
            };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            (self.how.anyway, self.how.all) = (false, None);
            let question = match command::parse(line) {
                Some(Ok(Command::Quit)) => break,
                Some(Ok(Command::All(Some(question)))) => {
                    self.how.all = Some(true);
                    question
                }
                Some(Ok(command @ (Command::Anyway | Command::All(None)))) => {
                    let Some(last) = self.session.turns.last() else {
                        self.failed += 1;
                        self.complain("there is no question yet");
                        continue;
                    };
                    self.how.anyway = command == Command::Anyway;
                    self.how.all = (command != Command::Anyway).then_some(true);
                    last.question.clone()
                }
                Some(Ok(command)) => {
                    self.obey(command).await;
                    continue;
                }
                Some(Err(message)) => {
                    self.failed += 1;
                    self.complain(&message);
                    continue;
                }
                None => line.to_owned(),
            };
            match Box::pin(self.answer(question)).await? {
                Ended::ReaderLeft => return Ok(exit::OK),
                Ended::Stopped if !self.person => return Ok(exit::INTERRUPTED),
                Ended::Failed(error) => {
                    self.failed += 1;
                    self.output.error(&error.into());
                }
                Ended::Answered | Ended::Partly | Ended::NothingFound | Ended::Stopped => {}
            }
        }
        // Who sat there has seen it.
        Ok(if self.failed > 0 && !self.person { exit::SOME_FAILED } else { exit::OK })
    }

    /// Answers a question and keeps the turn. Ctrl-C stops it.
    async fn answer(&mut self, question: String) -> anyhow::Result<Ended> {
        let stop = CancellationToken::new();
        let mut turn = Turn { at: jiff::Timestamp::now().to_string(), question, ..Turn::default() };
        let ended = {
            let answering = self.turn(&mut turn, &stop);
            let mut answering = std::pin::pin!(answering);
            tokio::select! {
                ended = &mut answering => ended,
                () = self.interrupted() => {
                    stop.cancel();
                    tokio::select! {
                        ended = answering => ended,
                        _ = tokio::signal::ctrl_c() => Ok(Ended::Stopped),
                    }
                }
            }
        };
        // It may have been stopped, or have failed, with the index open.
        self.answerer.release().await;
        turn.stopped = matches!(ended, Ok(Ended::Stopped | Ended::Failed(_)));
        // Before anything is shown: there may be no terminal any more.
        if !turn.answer.is_empty() || !turn.sources.is_empty() {
            self.keep(turn);
        }
        if !self.output.json {
            let stopped = if matches!(ended, Ok(Ended::Stopped)) { "(stopped)\n" } else { "" };
            self.output.print(&format!("{}\n", self.style().paint(Paint::Dim, stopped)));
        }
        Ok(ended?)
    }

    /// Ctrl-C, or what ends the chat.
    async fn interrupted(&self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = self.ending.cancelled() => {}
        }
    }

    async fn turn(&self, turn: &mut Turn, stop: &CancellationToken) -> io::Result<Ended> {
        let style = self.style();
        let question = Question {
            text: turn.question.clone(),
            model: self.model.clone().map_or(ModelChoice::Passages, ModelChoice::Own),
            history: Some(self.history()),
            ..self.how.clone()
        };
        let events =
            whole::events(self.answerer.clone(), question, self.output.clone(), false, stop.clone()).inspect(|event| {
                if let Ok(AnswerEvent::Question { search: Some(search), .. }) = event
                    && !style.json
                    && !style.quiet
                {
                    self.output.note(&self.output.paint(&format!("searching: {}", one_line(search)), "2"));
                }
                note(turn, event);
            });
        let mut out = io::stdout();
        let mut screen = Screen::new(&mut out, &style);
        screen.conversing = true;
        Box::pin(render(screen, events)).await
    }

    /// The questions, and the answers that models wrote. The others are passages, which are found again where they matter.
    fn history(&self) -> Vec<Exchange> {
        let answer = |turn: &Turn| turn.model.as_ref().map(|_| turn.answer.clone()).unwrap_or_default();
        let turns = self.session.turns.iter();
        turns.map(|turn| Exchange { question: turn.question.clone(), answer: answer(turn) }).collect()
    }

    fn keep(&mut self, turn: Turn) {
        if let Err(error) = self.session.add(turn) {
            let error = in_session(&self.folder, &self.session.name, error);
            self.output.note(&format!("warning: the answer is not kept: {}", crate::error::reason(&error)));
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Sources(n) => self.sources(n),
            Command::Why(None) => self.why(),
            Command::Why(Some(file)) => self.why_of(&file).await,
            Command::Model(None) => match &self.model {
                Some(model) => self.say(&format!("{} answers.", model.model())),
                None => self.say("No model answers; /model PROVIDER/MODEL sets one."),
            },
            Command::Model(Some(name)) => self.set_model(&name).await,
            Command::Clear => {
                let cleared = self.session.clear();
                self.say("What was said is forgotten.");
                if let Err(error) = cleared {
                    self.complain(&format!("it could not be written down: {error}"));
                }
            }
            Command::Save(file) => self.save(file).await,
            Command::Help => self.say(command::HELP),
            Command::Anyway | Command::All(_) | Command::Quit => {}
        }
    }

    fn sources(&self, n: Option<usize>) {
        let Some(last) = self.session.turns.last().filter(|turn| !turn.sources.is_empty()) else {
            return self.say("There is no answer with sources yet.");
        };
        let wanted: Vec<&Source> = last.sources.iter().filter(|source| n.is_none_or(|n| source.n == n)).collect();
        if self.output.json {
            return self.output.event(&Line::Sources { sources: wanted.into_iter().map(Into::into).collect(), models: None });
        }
        if wanted.is_empty() {
            return self.say(&format!("The last answer has {} sources.", last.sources.len()));
        }
        let style = self.style();
        let most = if n.is_some() { usize::MAX } else { LINES_SHOWN };
        let mut text = String::new();
        for source in wanted {
            text.push_str(&format!("{}\n", listed(source, &style)));
            let mut lines = source.text.lines().map(str::trim_end).filter(|line| !line.is_empty());
            for line in lines.by_ref().take(most) {
                let columns = if n.is_some() { usize::MAX } else { style.width.saturating_sub(4) };
                text.push_str(&format!("    {}\n", trimmed(line, columns)));
            }
            if lines.next().is_some() {
                text.push_str(&format!("    {}\n", style.paint(Paint::Dim, &format!("… /sources {}", source.n))));
            }
            text.push('\n');
        }
        self.output.print(&text);
    }

    fn why(&self) {
        match self.session.turns.last() {
            Some(last) if !last.doubts.is_empty() => {
                let plain = Style::default();
                let style = if self.output.json { plain } else { self.style() };
                self.say(listed_doubts(&last.doubts, &style).trim_end());
            }
            Some(last) if !last.citations.is_empty() => self.say("Nothing in the last answer is doubtful."),
            _ => self.say("There is no answer with citations yet."),
        }
    }

    /// Why a document is, or is not, among the sources of the last question.
    async fn why_of(&mut self, file: &str) {
        let Some(last) = self.session.turns.last() else { return self.say("There is no question yet.") };
        let text = last.search.clone().unwrap_or_else(|| last.question.clone());
        let model = self.model.clone().map_or(ModelChoice::Passages, ModelChoice::Own);
        let question = Question { text, model, ..self.how.clone() };
        let cwd = Some(&*self.runtime.settings.cwd);
        let why = asked(self.runtime, self.others, &self.answerer, file, cwd, &question).await;
        self.answerer.release().await;
        match why {
            Ok(why) if self.output.json => self.output.event(&why),
            Ok(why) => self.output.print(&shown(&why, &self.style())),
            Err(error) => {
                self.failed += 1;
                self.output.error(&error.into());
            }
        }
    }

    async fn set_model(&mut self, name: &str) {
        match self.open_model(name).await {
            Ok(Some(model)) => {
                self.say(&format!("{} answers from now on.", model.model()));
                self.model = Some(model);
            }
            Ok(None) => {}
            Err(error) => {
                self.failed += 1;
                self.output.error(&error);
                if self.output.json
                    && let Line::Error { message, hint, .. } = line(&error)
                {
                    self.output.event(&Line::Error { message, kind: BAD_COMMAND, hint });
                }
            }
        }
    }

    async fn open_model(&self, name: &str) -> anyhow::Result<Option<Arc<dyn ChatModel>>> {
        let model = ModelChoice::Named(named(name, &self.runtime.plan, self.others)?);
        // Alone, so that what is wrong with it is told now.
        let alone = Question { model, fallback: Some(Vec::new()), ..Question::default() };
        Ok(self.answerer.models(&alone).await?.into_iter().next())
    }

    /// Writes the conversation, over no file but its own.
    async fn save(&mut self, file: Option<String>) {
        let file = file.unwrap_or_else(|| format!("chat-{}.md", self.session.name));
        let path = self.runtime.settings.cwd.join(&file);
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).truncate(true);
        if self.saved.as_ref() == Some(&path) {
            options.create(true)
        } else {
            options.create_new(true)
        };
        let written = async {
            let mut file = options.open(&path).await?;
            tokio::io::AsyncWriteExt::write_all(&mut file, self.session.transcript().as_bytes()).await?;
            file.sync_all().await
        };
        match written.await {
            Ok(()) => {
                self.say(&format!("Saved to {file}."));
                self.saved = Some(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.failed += 1;
                self.complain(&format!("{file} is there already; name another file"));
            }
            Err(error) => {
                self.failed += 1;
                self.complain(&format!("cannot write {file}: {error}"));
            }
        }
    }

    fn say(&self, text: &str) {
        if self.output.json {
            self.output.event(&Line::Note { message: text, query_id: None });
        } else {
            self.output.print(&format!("{text}\n"));
        }
    }

    fn complain(&self, text: &str) {
        self.output.complain(&format!("{} {}\n", self.output.paint("error:", "1;31"), one_line(text)));
        if self.output.json {
            self.output.event(&Line::Error { message: text.into(), kind: BAD_COMMAND, hint: None });
        }
    }

    fn style(&self) -> Style {
        Style { base: Some(self.runtime.settings.cwd.clone()), ..self.output.style() }
    }
}

/// Takes down what has been said.
fn note(turn: &mut Turn, event: &Result<AnswerEvent, Error>) {
    match event {
        Ok(AnswerEvent::Question { search, .. }) => turn.search.clone_from(search),
        Ok(AnswerEvent::Sources { sources, model }) => {
            turn.sources.clone_from(sources);
            turn.model.clone_from(model);
        }
        Ok(AnswerEvent::Token(text)) => {
            turn.answer.push_str(text);
            if let Some(shown) = &mut turn.shown {
                shown.push_str(text);
            }
        }
        Ok(AnswerEvent::Citation { text, sources, unknown, doubts }) => {
            let shown = doubted::shown(text, sources, unknown, doubts);
            if shown != *text {
                turn.shown.get_or_insert_with(|| turn.answer.clone());
            }
            if let Some(all) = &mut turn.shown {
                all.push_str(&shown);
            }
            turn.answer.push_str(text);
            turn.unknown.extend(unknown.iter().filter(|n| !turn.unknown.contains(n)).collect::<Vec<_>>());
            turn.doubts.extend(doubts.iter().filter(|doubt| !turn.doubts.contains(doubt)).cloned().collect::<Vec<_>>());
            for n in sources {
                if !turn.citations.contains(n) {
                    turn.citations.push(*n);
                }
            }
        }
        // What the other model wrote is void.
        Ok(AnswerEvent::Fallback { to, .. }) => {
            turn.answer.clear();
            turn.citations.clear();
            turn.doubts.clear();
            turn.unknown.clear();
            turn.shown = None;
            turn.model = Some(to.clone());
        }
        // No model was asked: what it says is no answer to go on from.
        Ok(AnswerEvent::Done(summary)) if summary.outcome == AnswerOutcome::Unanswerable => turn.model = None,
        Ok(
            AnswerEvent::Estimate(_)
            | AnswerEvent::Reading { .. }
            | AnswerEvent::Reasoning(_)
            | AnswerEvent::Note(_)
            | AnswerEvent::LeftOut(_)
            | AnswerEvent::Incomplete(_)
            | AnswerEvent::Done(_),
        )
        | Err(_) => {}
    }
}
