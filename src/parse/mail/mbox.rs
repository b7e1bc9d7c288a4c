//! Mailboxes of the form mbox: messages one after another, each below a line that begins with "From ".

use std::borrow::Cow;

/// The messages, their quoted "From " lines as they were written.
pub(super) fn messages(bytes: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut starts = Vec::new();
    let (mut at, mut after_blank) = (0, true);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        if after_blank && is_separator(line) {
            starts.push((at, at + line.len()));
        }
        at += line.len();
        after_blank = line.trim_ascii().is_empty();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|&(at, _)| at).chain([bytes.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|((_, from), to)| Some(unquoted(bytes.get(from..to)?)))
}

/// Whether the bytes are a mailbox.
pub(in crate::parse) fn is_mbox(bytes: &[u8]) -> bool {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    is_separator(line)
}

/// "From ann@example.org Tue Nov  3 10:00:00 2026": a sentence has no such time in it.
fn is_separator(line: &[u8]) -> bool {
    line.len() < 500
        && line.starts_with(b"From ")
        && line
            .windows(5)
            .any(|w| matches!(w, [a, b, b':', c, d] if [a, b, c, d].iter().all(|x| x.is_ascii_digit() || **x == b' ')))
        && line.windows(4).any(|w| w.iter().all(u8::is_ascii_digit))
}

/// mboxrd puts one more ">" before every line that would be taken for a separator.
fn unquoted(message: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = |line: &[u8]| {
        let marks = line.iter().take_while(|&&b| b == b'>').count();
        marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "))
    };
    if !message.split(|&b| b == b'\n').any(is_quoted) {
        return Cow::Borrowed(message);
    }
    let lines = message.split_inclusive(|&b| b == b'\n');
    Cow::Owned(lines.flat_map(|line| line.get(usize::from(is_quoted(line))..).unwrap_or_default()).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_told_from_sentences() {
        let bytes = b"From ann@example.org Tue Nov  3 10:00:00 2026\nSubject: a\n\nFrom here on:\n\nFrom Monday to 5\n>From bob\n>>From \n\n\
            From - Wed Nov  4 9:30:00 2026\r\nSubject: b\r\n\r\nx\r\n";
        let all: Vec<String> = messages(bytes).map(|m| String::from_utf8_lossy(&m).into_owned()).collect();
        assert_eq!(all, ["Subject: a\n\nFrom here on:\n\nFrom Monday to 5\nFrom bob\n>From \n\n", "Subject: b\r\n\r\nx\r\n"]);
        assert!(is_mbox(bytes) && !is_mbox(b"From: ann@example.org\nDate: Tue, 3 Nov 2026 10:00:00"));
    }
}
