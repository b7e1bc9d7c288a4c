//! E-mail: who wrote what to whom, and when, with all that a person sees: what was forwarded, and what is attached.

mod alternative;
mod armor;
mod body;
mod calendar;
mod charset;
mod flowed;
mod head;
pub(super) mod mbox;
mod outline;
mod tnef;
mod words;

use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser, MimeHeaders};

use self::body::{Reader, Written};
use super::{Extracted, Format, Hint, ParseError, text, title};
use crate::document::Markup;

/// Reads an attached file as a document of its own, within the time given.
pub(super) type Open<'a> = dyn Fn(Hint<'_>, Vec<u8>, Duration) -> Result<Extracted, ParseError> + 'a;

/// One message, or a page that a browser saved as one.
pub(super) fn extract(bytes: &[u8], deadline: Instant, open: &Open<'_>) -> Result<Extracted, ParseError> {
    let bytes = of_apple(bytes);
    let in_bytes = text::of_wide(bytes).map(String::into_bytes);
    let bytes = in_bytes.as_deref().unwrap_or(bytes);
    let message = MessageParser::default()
        .parse(bytes)
        .filter(|m| m.parts.first().is_some_and(|root| !root.headers.is_empty()))
        .ok_or_else(|| ParseError::broken(Format::Email, "it has no header"))?;
    let fields = head::Fields::of(&message);
    let title = title::clean(&fields.subject);
    let is_page = is_saved_page(&message, &fields);
    let written = Reader::new(deadline, open, if is_page { Format::Html } else { Format::Email }).message(&message);
    if is_page {
        let text = written.into_markdown();
        return Ok(Extracted { title: title.or_else(|| title::of_markdown(&text)), markup: Markup::Markdown, text });
    }
    let mut text = fields.to_text(true);
    text.push('\n');
    let markup = if written.is_plain() { Markup::Text } else { Markup::Markdown };
    text.push_str(match &written {
        Written { plain: Some(plain), sections, .. } if sections.is_empty() => plain.trim_matches(['\n', '\r']),
        _ => "",
    });
    if markup == Markup::Markdown {
        text.push_str(&written.into_markdown());
    }
    Ok(Extracted { title, markup, text })
}

/// All the messages of a mailbox, each under its subject.
pub(super) fn extract_all(bytes: &[u8], deadline: Instant, open: &Open<'_>) -> Result<Extracted, ParseError> {
    let mut messages = mbox::messages(bytes).peekable();
    let first = messages.next();
    if let (Some(only), None) = (&first, messages.peek())
        && !is_headless(only)
    {
        return extract(only, deadline, open);
    }
    let mut reader = Reader::new(deadline, open, Format::Email);
    let mut text = String::new();
    for bytes in first.into_iter().chain(messages) {
        if is_headless(&bytes) {
            outline::push_block(&mut text, &outline::of_plain(&charset::decode(&bytes, None)));
        } else if let Some(message) = MessageParser::default().parse(bytes.as_ref()) {
            let section = reader.section_of(&message);
            outline::push_block(&mut text, &section);
        }
    }
    if text.is_empty() {
        return Err(ParseError::broken(Format::Mbox, "there is no message in it"));
    }
    Ok(Extracted { title: None, markup: Markup::Markdown, text })
}

/// A message that begins with the line that ends its head.
fn is_headless(message: &[u8]) -> bool {
    message.starts_with(b"\n") || message.starts_with(b"\r\n")
}

/// Apple's mail program keeps a message between its length, on a line of its own, and a property list.
fn of_apple(bytes: &[u8]) -> &[u8] {
    let mut parts = bytes.splitn(2, |&b| b == b'\n');
    let length = parts.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse::<usize>().ok());
    match (length, parts.next()) {
        (Some(length), Some(rest)) => rest.get(..length).unwrap_or(rest),
        _ => bytes,
    }
}

/// Whether the message was never sent: browsers and Word save pages in this form (MHTML).
fn is_saved_page(message: &Message<'_>, fields: &head::Fields) -> bool {
    let kind = message.parts.first().and_then(|root| root.content_type());
    let is_page = kind.is_some_and(|kind| {
        let is = |c_type: &str, subtype: &str| {
            kind.ctype().eq_ignore_ascii_case(c_type) && kind.subtype().is_some_and(|s| s.eq_ignore_ascii_case(subtype))
        };
        is("multipart", "related") || is("text", "html")
    });
    is_page && fields.to.is_empty() && (fields.from.is_empty() || fields.from.contains("Saved by"))
}

#[cfg(test)]
mod tests;
