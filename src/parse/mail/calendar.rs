//! Invitations (iCalendar, RFC 5545) as a person reads them.

use super::outline;

/// Entries that are read. An invitation has one; a whole calendar that is attached may have thousands.
const MAX_ENTRIES: usize = 2000;

/// One event, task or entry.
#[derive(Default)]
struct Entry {
    summary: String,
    start: String,
    end: String,
    location: String,
    organizer: String,
    attendees: Vec<String>,
    status: String,
    repeats: String,
    description: String,
}

/// What is when and where, and who comes; empty if the text holds no entry.
pub(super) fn readable(source: &str) -> String {
    let mut text = String::new();
    let mut entry: Option<Entry> = None;
    // Alarms and time zones within or beside an entry have fields of the same names.
    let mut inner = 0usize;
    let mut seen = 0;
    for line in unfolded(source) {
        let Some((name, parameters, value)) = property(&line) else { continue };
        match (name.as_str(), value) {
            ("BEGIN", kind) if matches!(kind.to_ascii_uppercase().as_str(), "VEVENT" | "VTODO" | "VJOURNAL") => {
                entry = Some(Entry::default());
                inner = 0;
            }
            ("BEGIN", _) => inner += usize::from(entry.is_some()),
            ("END", _) if inner > 0 => inner -= 1,
            ("END", _) => {
                if let Some(done) = entry.take() {
                    outline::push_block(&mut text, &done.into_text());
                    seen += 1;
                    if seen == MAX_ENTRIES {
                        break;
                    }
                }
            }
            (name, value) if inner == 0 => {
                if let Some(entry) = &mut entry {
                    entry.set(name, parameters, value);
                }
            }
            _ => {}
        }
    }
    text
}

impl Entry {
    fn set(&mut self, name: &str, parameters: &str, value: &str) {
        match name {
            "SUMMARY" => self.summary = unescaped(value),
            "DTSTART" => self.start = moment(parameters, value),
            "DTEND" | "DUE" => self.end = moment(parameters, value),
            "DURATION" => value.clone_into(&mut self.end),
            "LOCATION" => self.location = unescaped(value),
            "ORGANIZER" => self.organizer = person(parameters, value),
            "ATTENDEE" => self.attendees.push(person(parameters, value)),
            "STATUS" if !value.eq_ignore_ascii_case("CONFIRMED") => self.status = value.to_lowercase(),
            "RRULE" => self.repeats = value.replace(';', ", ").to_lowercase(),
            "DESCRIPTION" => self.description = unescaped(value),
            _ => {}
        }
    }

    fn into_text(self) -> String {
        let when = match (self.start.split_once(' '), self.end.split_once(' ')) {
            (Some((day, _)), Some((same, time))) if day == same => format!("{} – {time}", zoneless(&self.start, &self.end)),
            _ if self.end.is_empty() || self.end == self.start => self.start,
            _ if self.start.is_empty() => self.end,
            _ => format!("{} – {}", self.start, self.end),
        };
        let mut text = String::new();
        for (name, value) in [
            ("Summary", &self.summary),
            ("When", &when),
            ("Repeats", &self.repeats),
            ("Where", &self.location),
            ("Organizer", &self.organizer),
            ("Attendees", &self.attendees.join(", ")),
            ("Status", &self.status),
        ] {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            if !value.is_empty() {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        outline::push_block(&mut text, &outline::of_plain(&self.description));
        text
    }
}

/// The start without the zone that the end names again.
fn zoneless<'a>(start: &'a str, end: &str) -> &'a str {
    match (start.rsplit_once(" ("), end.rsplit_once(" (")) {
        (Some((bare, zone)), Some((_, same))) if zone == same => bare,
        _ => start.strip_suffix(" UTC").filter(|_| end.ends_with(" UTC")).unwrap_or(start),
    }
}

/// Lines that were cut at 75 bytes go on after a blank.
fn unfolded(source: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in source.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Name in capitals, parameters, value. A colon in quotes belongs to a parameter.
fn property(line: &str) -> Option<(String, &str, &str)> {
    let mut quoted = false;
    let colon = line.find(|c| {
        quoted ^= c == '"';
        c == ':' && !quoted
    })?;
    let (head, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    Some((name.trim().to_ascii_uppercase(), parameters, value.trim()))
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

fn person(parameters: &str, value: &str) -> String {
    let address = value.get(..7).filter(|s| s.eq_ignore_ascii_case("mailto:")).and(value.get(7..)).unwrap_or(value);
    match parameter(parameters, "CN").filter(|name| !name.eq_ignore_ascii_case(address)) {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}

/// `20261103T100000` as `2026-11-03 10:00`; what has another form stays as it is.
fn moment(parameters: &str, value: &str) -> String {
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to).map(|part| part.iter().collect::<String>());
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(4, 6), part(6, 8)) else { return value.to_owned() };
    let mut text = format!("{year}-{month}-{day}");
    if let (Some(hour), Some(minute)) = (part(8, 10), part(10, 12)) {
        text.push_str(&format!(" {hour}:{minute}"));
        if value.ends_with(['Z', 'z']) {
            text.push_str(" UTC");
        } else if let Some(zone) = parameter(parameters, "TZID") {
            text.push_str(&format!(" ({zone})"));
        }
    }
    text
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(escaped) => out.push(escaped),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_are_readable() {
        let source = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:X\r\nDTSTART:19700101T000000\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
            SUMMARY:Crane review\\, part\r\n  two\r\nDTSTART;TZID=Asia/Shanghai:20261103T100000\r\nDTEND;TZID=Asia/Shanghai:20261103T113000\r\n\
            LOCATION:三号会议室\r\nORGANIZER;CN=\"Lee: Ann\":mailto:ann@example.org\r\nATTENDEE;CN=Bob;RSVP=TRUE:MAILTO:bob@example.org\r\n\
            RRULE:FREQ=WEEKLY;COUNT=4\r\nDESCRIPTION:Bring the plans.\\n# of cranes: 3\r\nBEGIN:VALARM\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\n\
            END:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Holiday\r\nDTSTART;VALUE=DATE:20261224\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(
            readable(source),
            "Summary: Crane review, part two\nWhen: 2026-11-03 10:00 – 11:30 (Asia/Shanghai)\nRepeats: freq=weekly, count=4\n\
             Where: 三号会议室\nOrganizer: Lee: Ann <ann@example.org>\nAttendees: Bob <bob@example.org>\n\nBring the plans.\n\\# of cranes: 3\n\n\
             Summary: Holiday\nWhen: 2026-12-24\nStatus: cancelled"
        );
        assert_eq!(readable("BEGIN:VCALENDAR\nEND:VCALENDAR"), "");
    }
}
