//! The fields at the head of a message.

use mail_parser::{Address, Header, HeaderName, Message, MessageParser, MimeHeaders, PartType};

use super::{charset, words};
use crate::parse::title;

/// What a reader wants to know of a message before its text.
pub(super) struct Fields {
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    cc: String,
    date: String,
    /// The names of what is attached.
    attached: String,
}

impl Fields {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let files = message.parts.iter().filter(|part| !matches!(part.body, PartType::Multipart(_)));
        let names: Vec<String> = files.filter_map(|part| title::clean(part.attachment_name()?)).collect();
        let mut fields = Self::of_parsed(message);
        // Letters that no encoded word declares. The parser takes them for UTF-8.
        if fields.all().iter().any(|value| value.contains(char::REPLACEMENT_CHARACTER))
            && let Some(decoded) = decoded_anew(message)
            && let Some(again) = MessageParser::default().parse_headers(decoded.as_bytes())
        {
            fields = Self::of_parsed(&again);
        }
        fields.attached = names.join(", ");
        fields
    }

    fn of_parsed(message: &Message<'_>) -> Self {
        Self {
            subject: message.subject().and_then(title::clean).unwrap_or_default(),
            from: people(message.from()),
            to: people(message.to()),
            cc: people(message.cc()),
            date: message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
            attached: String::new(),
        }
    }

    fn all(&self) -> [&str; 4] {
        [&self.subject, &self.from, &self.to, &self.cc]
    }

    /// A line for each that there is; without the subject where that is a heading.
    pub(super) fn to_text(&self, with_subject: bool) -> String {
        let mut text = String::new();
        let subject = if with_subject { self.subject.as_str() } else { "" };
        for (name, value) in [
            ("Subject", subject),
            ("From", &self.from),
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Date", &self.date),
            ("Attachments", &self.attached),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        text
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

/// The fields as they were sent, in UTF-8.
fn decoded_anew(message: &Message<'_>) -> Option<String> {
    let root = message.parts.first()?;
    let value = |header: &Header<'_>| message.raw_message.get(header.offset_start as usize..header.offset_end as usize);
    let declared = message.parts.iter().find_map(|part| Some(part.content_type()?.attribute("charset")?.to_owned()));
    // The text tells the encoding better than the few words of a subject.
    let body = message.raw_message.get(root.offset_body as usize..).unwrap_or_default();
    let mut all = String::new();
    for header in &root.headers {
        let (name, of_people) = match header.name {
            HeaderName::Subject => ("Subject:", false),
            HeaderName::From => ("From:", true),
            HeaderName::To => ("To:", true),
            HeaderName::Cc => ("Cc:", true),
            HeaderName::Date => ("Date:", false),
            _ => continue,
        };
        let decoded = charset::decode_beside(value(header)?.trim_ascii_end(), declared.as_deref(), body);
        all.push_str(&format!("{name} {}\r\n", words::decoded(&decoded, of_people).trim_start()));
    }
    all.push_str("\r\n");
    Some(all)
}
