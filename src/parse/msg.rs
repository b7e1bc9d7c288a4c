//! Messages as Outlook saves them (MSG): fields of a compound file.

mod compressed;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::compound::{Compound, Storage, u32_at, utf16};
use super::mail::Open;
use super::{Extracted, Format, Hint, ParseError, codepage, html, rtf, text, title};
use crate::document::Markup;

/// Messages in messages.
const MAX_NESTING: usize = 8;
/// Bytes of text that attached files may add.
const MAX_ATTACHED: usize = 16 << 20;
/// People and files of a message, at most.
const MAX_PARTS: usize = 5000;

pub(super) fn extract(bytes: Vec<u8>, deadline: Instant, open: &Open<'_>) -> Result<Extracted, ParseError> {
    let file = Compound::open(bytes).ok_or_else(|| ParseError::broken(Format::Msg, "its container is damaged"))?;
    let reader = Reader { file: &file, deadline, open };
    let (title, text, markup) = reader.message(0, 0);
    Ok(Extracted { title, markup, text })
}

struct Reader<'a> {
    file: &'a Compound,
    deadline: Instant,
    open: &'a Open<'a>,
}

/// What a storage says of one thing: a message, somebody who gets it, a file.
struct Fields<'a> {
    file: &'a Compound,
    at: Storage,
    /// Of text that is not in UTF-16.
    page: u32,
}

impl Fields<'_> {
    fn bytes(&self, tag: u32) -> Option<Vec<u8>> {
        self.file.stream(self.at, &format!("__substg1.0_{tag:08X}"))
    }

    fn text(&self, tag: u32) -> Option<String> {
        let text = if let Some(wide) = self.bytes(tag << 16 | 0x1f) {
            utf16(&wide)
        } else {
            let bytes = self.bytes(tag << 16 | 0x1e)?;
            String::from_utf8(bytes).unwrap_or_else(|e| codepage::decode(self.page, e.as_bytes()))
        };
        let text = text.trim_end_matches('\0').to_owned();
        (!text.trim().is_empty()).then_some(text)
    }

    fn line(&self, tags: &[u32]) -> Option<String> {
        tags.iter().find_map(|tag| title::clean(&self.text(*tag)?))
    }

    /// A value that is kept among the properties themselves: its 8 bytes.
    fn value(&self, tag: u32) -> Option<[u8; 8]> {
        let properties = self.file.stream(self.at, "__properties_version1.0")?;
        // The head of the list is longer in a message than in what is in it.
        [32usize, 24, 8].into_iter().find_map(|head| {
            let entry = properties.get(head..)?.chunks_exact(16).find(|entry| u32_at(entry, 0) == Some(tag))?;
            entry.get(8..16)?.try_into().ok()
        })
    }

    fn number(&self, tag: u32) -> Option<u32> {
        self.value(tag << 16 | 3).and_then(|value| u32_at(&value, 0))
    }

    /// A moment, counted from 1601 in tenths of a microsecond.
    fn moment(&self, tag: u32) -> Option<String> {
        let ticks = u64::from_le_bytes(self.value(tag << 16 | 0x40)?);
        let seconds = i64::try_from(ticks / 10_000_000).ok()? - 11_644_473_600;
        let moment = jiff::Timestamp::from_second(seconds).ok()?;
        (seconds > 0).then(|| moment.to_string())
    }
}

impl Reader<'_> {
    fn message(&self, at: Storage, nesting: usize) -> (Option<String>, String, Markup) {
        let mut fields = Fields { file: self.file, at, page: 1252 };
        // The one that its text is in, that of its language, that of its page. Text in UTF-8 is seen to be that.
        let declared = |tag| fields.number(tag).filter(|page| !matches!(page, 1200 | 65_001));
        let of_language = || fields.number(0x3ff1).map(codepage::of_language);
        fields.page = declared(0x3ffd).or_else(of_language).or_else(|| declared(0x3fde)).unwrap_or(1252);
        let title = fields.line(&[0x0037, 0x0070]);
        let mut text = String::new();
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("{name}: {value}\n"));
            }
        };
        field("Subject", title.clone());
        field("From", person(fields.line(&[0x0c1a, 0x0042]), fields.line(&[0x5d01, 0x5d02, 0x0c1f, 0x0065])));
        let (to, copy) = self.receivers(at, fields.page);
        field("To", if to.is_empty() { fields.line(&[0x0e04]) } else { Some(to.join(", ")) });
        field("Cc", if copy.is_empty() { fields.line(&[0x0e03]) } else { Some(copy.join(", ")) });
        field("Date", fields.moment(0x0039).or_else(|| fields.moment(0x0e06)).or_else(|| fields.moment(0x3007)));
        let attached = self.attached(at, fields.page);
        let names: Vec<&str> = attached.iter().map(|file| file.name.as_str()).filter(|name| !name.is_empty()).collect();
        field("Attachments", (!names.is_empty()).then(|| names.join(", ")));
        let (mut markup, body) = body(&fields);
        let body = body.trim_matches(['\n', '\r', '\0']);
        if !body.trim().is_empty() {
            text.push('\n');
            text.push_str(body);
        }
        let mut room = MAX_ATTACHED;
        for file in attached {
            let Some(section) = self.section(&file, nesting, room) else { continue };
            room = room.saturating_sub(section.len());
            if markup == Markup::Text {
                markup = Markup::Markdown;
            }
            text.truncate(text.trim_end().len());
            text.push_str("\n\n");
            text.push_str(&section);
        }
        (title, text, markup)
    }

    fn receivers(&self, at: Storage, page: u32) -> (Vec<String>, Vec<String>) {
        let (mut to, mut copy) = (Vec::new(), Vec::new());
        for at in self.storages(at, "__recip_version1.0_") {
            let fields = Fields { file: self.file, at, page };
            let Some(shown) = person(fields.line(&[0x3001, 0x5ff6]), fields.line(&[0x39fe, 0x3003])) else { continue };
            match fields.number(0x0c15) {
                Some(2) => copy.push(shown),
                // A blind copy is seen by its receiver alone.
                Some(3) => {}
                _ => to.push(shown),
            }
        }
        (to, copy)
    }

    /// The storages of a kind, in the order of their numbers.
    fn storages(&self, at: Storage, prefix: &str) -> Vec<Storage> {
        let mut found: Vec<(&str, usize)> =
            self.file.children(at).into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).take(MAX_PARTS).collect()
    }

    fn attached(&self, at: Storage, page: u32) -> Vec<Attached> {
        let storages = self.storages(at, "__attach_version1.0_");
        let file = |at| {
            let fields = Fields { file: self.file, at, page };
            let name = fields.line(&[0x3707, 0x3704, 0x3001]).unwrap_or_default();
            // Pictures within the text are no files that one attaches.
            let hidden = fields.value(0x7ffe_000b).is_some_and(|value| value.first() == Some(&1));
            Attached { at, name: if hidden { String::new() } else { name }, kind: fields.line(&[0x370e]) }
        };
        storages.into_iter().map(file).collect()
    }

    /// What an attached message or file says, under its name.
    fn section(&self, file: &Attached, nesting: usize, room: usize) -> Option<String> {
        if let Some(message) = self.file.find(file.at, "__substg1.0_3701000D").filter(|at| !self.file.children(*at).is_empty())
        {
            if nesting >= MAX_NESTING {
                return None;
            }
            let (title, text, _) = self.message(message, nesting + 1);
            let heading = title.unwrap_or_else(|| file.name.clone());
            return (text.len() <= room).then(|| format!("## {heading}\n\n{}", text.trim_end()));
        }
        let bytes = self.file.stream(file.at, "__substg1.0_37010102")?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        if file.name.is_empty() || left < Duration::from_secs(1) || bytes.is_empty() {
            return None;
        }
        let hint = Hint { name: &file.name, media_type: file.kind.as_deref() };
        let read = (self.open)(hint, bytes, left / 2).ok()?;
        (read.text.len() <= room).then(|| format!("## {}\n\n{}", file.name, read.text.trim()))
    }
}

struct Attached {
    at: Storage,
    /// Blank for what is no file of its own.
    name: String,
    kind: Option<String>,
}

fn person(name: Option<String>, address: Option<String>) -> Option<String> {
    // Addresses within a company are paths that nobody reads.
    let address = address.filter(|a| a.contains('@'));
    match (name, address) {
        (Some(name), Some(address)) if name.trim_matches('\'') != address => Some(format!("{name} <{address}>")),
        (name, address) => address.or(name),
    }
}

/// Whether a page that is not in UTF-8 says what it is in: "UTF-8" is what converters leave there.
fn names_its_charset(bytes: &[u8]) -> bool {
    let lower = bytes.to_ascii_lowercase();
    let name = lower.windows(7).position(|w| w == b"charset").and_then(|at| lower.get(at..(at + 20).min(lower.len())));
    name.is_some_and(|name| !name.windows(3).any(|w| w == b"utf"))
}

/// The text: as a page, as plain text, or as RTF, which may hold either.
fn body(fields: &Fields<'_>) -> (Markup, String) {
    let page =
        fields.bytes(0x1013_0102).filter(|bytes| !bytes.is_empty()).or_else(|| fields.text(0x1013).map(String::into_bytes));
    let plain = fields.text(0x1000);
    let from_page = |bytes: &[u8]| {
        let declared = fields.number(0x3fde).filter(|page| *page != 65_001 && *page != 1200);
        let page = match declared {
            Some(page) if std::str::from_utf8(bytes).is_err() && !names_its_charset(bytes) => {
                html::extract(codepage::decode(page, bytes).as_bytes(), None)
            }
            _ => html::extract(bytes, None),
        };
        page.ok().map(|page| page.extracted.text).filter(|text| !text.trim().is_empty())
    };
    if let Some(text) = page.as_deref().and_then(from_page) {
        return (Markup::Markdown, text);
    }
    let rich = || {
        let rich = compressed::unpacked(&fields.bytes(0x1009_0102)?)?;
        if let Some(html) = compressed::page_within(&rich) {
            return from_page(html.as_bytes());
        }
        rtf::extract(&rich).ok().map(|rich| rich.text).filter(|text| !text.trim().is_empty())
    };
    if let Some(plain) = &plain
        && !plain.trim().is_empty()
    {
        return (Markup::Text, plain.replace("\r\n", "\n"));
    }
    if let Some(text) = rich() {
        return (Markup::Markdown, text);
    }
    let raw = page.and_then(|bytes| text::decode(bytes).ok());
    (Markup::Text, raw.or(plain).unwrap_or_default())
}
