//! E-mail: who wrote what to whom, and when.

use mail_parser::{Address, Message, MessageParser, MimeHeaders, PartType};

use super::{Extracted, Format, ParseError, html, title};
use crate::document::Markup;

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, ParseError> {
    let message = MessageParser::default()
        .parse(bytes)
        .filter(|m| !m.headers().is_empty())
        .ok_or_else(|| ParseError::broken(Format::Email, "it has no header"))?;
    let mut text = String::new();
    let title = message.subject().and_then(title::clean);
    push_field(&mut text, "Subject", title.as_deref().unwrap_or_default());
    push_field(&mut text, "From", &people(message.from()));
    push_field(&mut text, "To", &people(message.to()));
    push_field(&mut text, "Cc", &people(message.cc()));
    push_field(&mut text, "Date", &message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default());
    let names: Vec<String> = message.attachments().filter_map(|part| title::clean(part.attachment_name()?)).collect();
    push_field(&mut text, "Attachments", &names.join(", "));
    let (markup, body) = body(&message)?;
    text.push('\n');
    text.push_str(body.trim_matches(['\n', '\r']));
    Ok(Extracted { title, markup, text })
}

fn push_field(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
}

fn people(address: Option<&Address<'_>>) -> String {
    let shown = |person: &mail_parser::Addr<'_>| match (person.name(), person.address()) {
        (Some(name), Some(address)) => title::clean(&format!("{name} <{address}>")),
        (name, address) => name.or(address).and_then(title::clean),
    };
    let list: Vec<String> = address.into_iter().flat_map(Address::iter).filter_map(shown).collect();
    list.join(", ")
}

/// The plain text where there is one, else the HTML.
fn body(message: &Message<'_>) -> Result<(Markup, String), ParseError> {
    let plain: Vec<&str> = message
        .text_bodies()
        .filter_map(|part| match &part.body {
            PartType::Text(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect();
    if plain.iter().any(|text| !text.trim().is_empty()) {
        return Ok((Markup::Text, plain.join("\n\n")));
    }
    let mut pages = Vec::new();
    for part in message.html_bodies() {
        if let PartType::Html(page) = &part.body {
            pages.push(html::to_markdown(page, Format::Email)?.text);
        }
    }
    Ok((Markup::Markdown, pages.join("\n\n")))
}
