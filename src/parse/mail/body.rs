//! The parts of a message: which of them are its text, and which are documents of their own.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::alternative::{self, Choice};
use super::head::Fields;
use super::{Open, armor, calendar, charset, flowed, outline, tnef};
use crate::document::Markup;
use crate::parse::{Extracted, Format, Hint, html, title};

/// Messages within messages, and parts within parts.
const MAX_DEPTH: usize = 20;
/// Attached files that are read, in all.
const MAX_FILES: usize = 200;
/// Bytes of them, in all.
const MAX_BYTES: usize = 128 << 20;
/// Bytes of text that attached files may add.
const MAX_TEXT: usize = 64 << 20;
/// What one attached file may take. What it needs beyond is not worth the rest of the message.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a message or a part of one says.
#[derive(Default)]
pub(super) struct Written {
    /// As long as all of it is plain text.
    pub(super) plain: Option<String>,
    /// The text as Markdown, where it is not.
    markdown: String,
    /// What is attached or was forwarded: Markdown, each under a heading of the first level.
    pub(super) sections: Vec<String>,
}

impl Written {
    fn of_plain(text: String) -> Self {
        Self { plain: Some(text), ..Self::default() }
    }

    fn of_markdown(markdown: String) -> Self {
        Self { markdown, ..Self::default() }
    }

    fn of_section(section: String) -> Self {
        Self { sections: vec![section], ..Self::default() }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.sections.is_empty() && self.markdown.is_empty()
    }

    fn is_blank(&self) -> bool {
        self.markdown.trim().is_empty() && self.plain.as_deref().is_none_or(|text| text.trim().is_empty())
    }

    /// The text without what is attached.
    fn text(&mut self) -> String {
        match self.plain.take() {
            Some(plain) => outline::of_plain(&plain),
            None => std::mem::take(&mut self.markdown),
        }
    }

    pub(super) fn into_markdown(mut self) -> String {
        let mut text = self.text();
        for section in &self.sections {
            outline::push_block(&mut text, section);
        }
        text
    }

    /// What follows in the same message.
    fn push(&mut self, mut next: Written) {
        if self.is_blank() {
            (self.plain, self.markdown) = (next.plain.take(), std::mem::take(&mut next.markdown));
        } else if !next.is_blank() {
            if let (Some(plain), Some(next)) = (&mut self.plain, &next.plain) {
                outline::push_block(plain, next);
            } else {
                let mut text = self.text();
                outline::push_block(&mut text, &next.text());
                self.markdown = text;
            }
        }
        self.sections.append(&mut next.sections);
    }
}

/// Reads the parts of messages, within bounds on all of them together.
pub(super) struct Reader<'a> {
    deadline: Instant,
    open: &'a Open<'a>,
    /// What its pages are: parts of a mail, or pages of a site that were saved.
    pages: Format,
    files: usize,
    bytes: usize,
    text: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(deadline: Instant, open: &'a Open<'a>, pages: Format) -> Self {
        Self { deadline, open, pages, files: 0, bytes: 0, text: 0, depth: 0 }
    }

    /// A message of a mailbox or within another: its subject as a heading, its fields, its text.
    pub(super) fn section_of(&mut self, message: &Message<'_>) -> String {
        let fields = Fields::of(message);
        let heading = if fields.subject.is_empty() { "(no subject)" } else { &fields.subject };
        let mut text = fields.to_text(false);
        outline::push_block(&mut text, &self.message(message).into_markdown());
        outline::below(heading, &text)
    }

    /// The text of a message and what is attached to it.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Written {
        let mut seen = HashSet::new();
        let mut written = self.part(message, 0, &mut seen);
        // Where the structure is broken, parts hang loose.
        for id in 0..message.parts.len() {
            if !seen.contains(&id) {
                written.push(self.part(message, id, &mut seen));
            }
        }
        written
    }

    fn part(&mut self, message: &Message<'_>, id: usize, seen: &mut HashSet<usize>) -> Written {
        let Some(part) = message.parts.get(id).filter(|_| seen.insert(id)) else { return Written::default() };
        if self.depth == MAX_DEPTH {
            return Written::default();
        }
        self.depth += 1;
        let written = match &part.body {
            PartType::Multipart(ids) => {
                let ids: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
                self.multipart(message, part, &ids, seen)
            }
            PartType::Message(inner) => Written::of_section(self.section_of(inner)),
            _ => self.leaf(message, part),
        };
        self.depth -= 1;
        written
    }

    fn multipart(
        &mut self,
        message: &Message<'_>,
        part: &MessagePart<'_>,
        ids: &[usize],
        seen: &mut HashSet<usize>,
    ) -> Written {
        match kind_of(part).as_str() {
            "multipart/alternative" => self.alternatives(message, ids, seen),
            "multipart/related" => self.related(message, part, ids, seen),
            "multipart/encrypted" => {
                seen.extend(ids);
                Written::of_plain(armor::ENCRYPTED.to_owned())
            }
            _ => {
                let mut written = Written::default();
                for &id in ids {
                    written.push(self.part(message, id, seen));
                }
                written
            }
        }
    }

    fn alternatives(&mut self, message: &Message<'_>, ids: &[usize], seen: &mut HashSet<usize>) -> Written {
        let (mut plain, mut page, mut sections) = (Written::default(), Written::default(), Vec::new());
        for &id in ids {
            let is_amp = message.parts.get(id).is_some_and(|part| kind_of(part) == "text/x-amp-html");
            if is_amp {
                seen.insert(id);
                continue;
            }
            let mut option = self.option(message, id, seen);
            for section in std::mem::take(&mut option.sections) {
                if !sections.contains(&section) {
                    sections.push(section);
                }
            }
            let side = if option.plain.is_some() { &mut plain } else { &mut page };
            // The last of a kind is the richest one, by the standard.
            if !option.is_blank() {
                let before = std::mem::replace(side, option).into_markdown();
                let lost = alternative::only_in(&before, side.plain.as_deref().unwrap_or(&side.markdown));
                side.push(if side.plain.is_some() { Written::of_plain(lost) } else { Written::of_markdown(lost) });
            }
        }
        let (of_plain, of_page) = (plain.plain.clone().unwrap_or_default(), page.markdown.clone());
        let mut chosen = match alternative::choose(&of_plain, &of_page) {
            Choice::Plain => plain,
            Choice::Page => page,
            Choice::PlainThenPage => {
                plain.push(Written::of_markdown(alternative::only_in(&of_page, &of_plain)));
                plain
            }
            Choice::PageThenPlain => {
                page.push(Written::of_plain(alternative::only_in(&of_plain, &of_page)));
                page
            }
        };
        chosen.sections = sections;
        chosen
    }

    /// One form of a text; that it has a name makes it no file here.
    fn option(&mut self, message: &Message<'_>, id: usize, seen: &mut HashSet<usize>) -> Written {
        match message.parts.get(id).map(|part| (part, kind_of(part))) {
            Some((part, kind)) if matches!(kind.as_str(), "text/plain" | "text/html") && seen.insert(id) => {
                self.text(message, part, kind == "text/html")
            }
            _ => self.part(message, id, seen),
        }
    }

    /// A page and what it shows. The page is the part that `start` names, else the first that has text.
    fn related(&mut self, message: &Message<'_>, part: &MessagePart<'_>, ids: &[usize], seen: &mut HashSet<usize>) -> Written {
        let start =
            part.content_type().and_then(|kind| kind.attribute("start")).map(|id| id.trim_matches(['<', '>']).to_owned());
        let is_start = |id: &&usize| {
            start.is_some()
                && message.parts.get(**id).and_then(|part| part.content_id()).map(|id| id.trim_matches(['<', '>']))
                    == start.as_deref()
        };
        let mut order: Vec<usize> = ids.iter().find(is_start).into_iter().copied().collect();
        order.extend(ids.iter().copied().filter(|id| Some(id) != order.first()).collect::<Vec<_>>());
        let mut written = Written::default();
        for id in order {
            let Some(part) = message.parts.get(id) else { continue };
            let is_page_part = kind_of(part).starts_with("text/") && !is_attached(part);
            // Frames, style sheets and the like: of use only where the page itself is a frame around them.
            if is_page_part && written.markdown.split_whitespace().nth(30).is_some() {
                seen.insert(id);
                continue;
            }
            if matches!(kind_of(part).as_str(), "text/css" | "text/javascript") {
                seen.insert(id);
                continue;
            }
            written.push(self.part(message, id, seen));
        }
        written
    }

    fn leaf(&mut self, message: &Message<'_>, part: &MessagePart<'_>) -> Written {
        let kind = kind_of(part);
        match kind.as_str() {
            "text/calendar" | "application/ics" => {
                let text = calendar::readable(&charset::text_of(message, part));
                if text.is_empty() {
                    Written::default()
                } else {
                    Written::of_section(outline::below(&name_of(part, "Invitation"), &text))
                }
            }
            // Word and Outlook call a part of the text an attachment where a picture stands before it.
            "text/plain" | "text/html" | "text" | "text/enriched" | "text/" if !is_attached(part) => {
                self.text(message, part, kind == "text/html")
            }
            "message/delivery-status" | "message/disposition-notification" | "text/rfc822-headers" => {
                Written::of_plain(charset::text_of(message, part))
            }
            "application/pgp-encrypted" => Written::of_plain(armor::ENCRYPTED.to_owned()),
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => self.signed(message, part),
            "application/pgp-signature"
            | "application/pgp-keys"
            | "application/pkcs7-signature"
            | "application/x-pkcs7-signature" => Written::default(),
            kind if ["image/", "audio/", "video/", "font/"].iter().any(|start| kind.starts_with(start)) => Written::default(),
            _ => self.file(message, part, &kind),
        }
    }

    fn text(&mut self, message: &Message<'_>, part: &MessagePart<'_>, is_page: bool) -> Written {
        let text = charset::text_of(message, part);
        let parameter = |name| part.content_type().and_then(|kind| kind.attribute(name));
        if is_page || looks_like_a_page(&text) {
            return match html::to_markdown(&text, self.pages) {
                Ok(page) => Written::of_markdown(page.text),
                // The message is more than this part of it.
                Err(_) => Written::default(),
            };
        }
        let text = match parameter("format") {
            Some(format) if format.eq_ignore_ascii_case("flowed") => {
                flowed::unflow(&text, parameter("delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes")))
            }
            _ => text,
        };
        Written::of_plain(armor::without(&text))
    }

    /// S/MIME: what is only signed holds its text openly.
    fn signed(&mut self, message: &Message<'_>, part: &MessagePart<'_>) -> Written {
        let bytes = charset::bytes_of(message, part);
        match armor::signed_content(&bytes)
            .and_then(|content| mail_parser::MessageParser::default().parse(&content).map(Message::into_owned))
        {
            Some(inner) => self.message(&inner),
            None => Written::of_plain(armor::ENCRYPTED.to_owned()),
        }
    }

    /// An attached file, read as what it is.
    fn file(&mut self, message: &Message<'_>, part: &MessagePart<'_>, kind: &str) -> Written {
        let name = name_of(part, "Attachment");
        let bytes = match &part.body {
            // In the encoding that its part declares, which the file itself may not.
            PartType::Text(_) | PartType::Html(_) if kind != "text/rtf" => charset::text_of(message, part).into_bytes(),
            _ => charset::bytes_of(message, part),
        };
        if let Some(unpacked) = tnef::unpack(&bytes) {
            // Mostly the message says the same beside it.
            let has_text = message.parts.iter().any(|part| match &part.body {
                PartType::Text(text) | PartType::Html(text) => !text.trim().is_empty(),
                _ => false,
            });
            let mut written = if has_text { Written::default() } else { Written::of_plain(unpacked.body) };
            for (name, bytes) in unpacked.files {
                let name = title::clean(&name).unwrap_or_else(|| "Attachment".to_owned());
                written.push(self.document(&name, "", bytes));
            }
            return written;
        }
        self.document(&name, kind, bytes)
    }

    fn document(&mut self, name: &str, kind: &str, bytes: Vec<u8>) -> Written {
        let left = self.deadline.saturating_duration_since(Instant::now()) / 2;
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if bytes.is_empty()
            || self.files > MAX_FILES
            || self.bytes > MAX_BYTES
            || self.text > MAX_TEXT
            || left < Duration::from_secs(1)
        {
            return Written::default();
        }
        let hint = Hint::name(name).with_media_type((!kind.is_empty()).then_some(kind));
        match (self.open)(hint, bytes, left.min(PATIENCE)) {
            Ok(document) => {
                self.text += document.text.len();
                Written::of_section(outline::below(name, &as_markdown(&document, name)))
            }
            Err(error) => {
                tracing::debug!(name, %error, "an attached file is not read");
                Written::default()
            }
        }
    }
}

/// The text of an attached file such that it can stand in a document of Markdown.
fn as_markdown(document: &Extracted, name: &str) -> String {
    let text = document.text.trim_start_matches('\u{feff}');
    match document.markup {
        Markup::Markdown => text.to_owned(),
        Markup::Text | Markup::Rst => outline::of_plain(text),
        Markup::Code => outline::fenced(extension(name), text),
        Markup::Records => outline::table_of_records(text).unwrap_or_else(|| outline::fenced(extension(name), text)),
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension).trim_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The media type in small letters; `text/plain` where none is given.
fn kind_of(part: &MessagePart<'_>) -> String {
    match part.content_type() {
        Some(kind) => match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
            None => kind.ctype().to_ascii_lowercase(),
        },
        None if matches!(part.body, PartType::Binary(_) | PartType::InlineBinary(_)) => String::new(),
        None => "text/plain".to_owned(),
    }
}

/// Whether a text is a file of its own, by what its sender's program says. Exchange names the pieces of a text that was cut.
fn is_attached(part: &MessagePart<'_>) -> bool {
    let is_piece = |name: &str| {
        name.to_ascii_lowercase().strip_prefix("att").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match part.attachment_name() {
        Some(name) => !is_piece(name),
        None => false,
    }
}

fn name_of(part: &MessagePart<'_>, otherwise: &str) -> String {
    part.attachment_name().or_else(|| part.content_description()).and_then(title::clean).unwrap_or_else(|| otherwise.to_owned())
}

/// Pages that are sent as plain text.
fn looks_like_a_page(text: &str) -> bool {
    let start = text.trim_start().get(..15).unwrap_or_default();
    start.to_ascii_lowercase().starts_with("<!doctype html") || start.to_ascii_lowercase().starts_with("<html")
}
