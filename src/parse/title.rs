//! Titles that documents give themselves.

/// Lines among which a title is looked for: one that comes later is a heading of something else.
const LINES: usize = 400;
/// Characters of a title, at most.
const LENGTH: usize = 300;

/// A title on one line, without markup at its ends; `None` if nothing is left.
pub(super) fn clean(raw: &str) -> Option<String> {
    let mut out = String::new();
    for word in raw.trim_start_matches('\u{feff}').split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let out: String = out.chars().filter(|c| !c.is_control()).take(LENGTH).collect();
    (!out.is_empty()).then_some(out)
}

/// `title:` of the front matter, else the first heading.
pub(super) fn of_markdown(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().take(LINES).peekable();
    if let Some(mark @ ("---" | "+++")) = lines.peek().map(|l| l.trim_end()) {
        lines.next();
        let mut title = None;
        for line in lines.by_ref() {
            if line.trim_end() == mark {
                break;
            }
            title = title.or_else(|| front_matter_title(line));
        }
        if title.is_some() {
            return title;
        }
    }
    first_heading(lines)
}

fn front_matter_title(line: &str) -> Option<String> {
    let value = line.strip_prefix("title")?.trim_start();
    let value = value.strip_prefix([':', '='])?.trim();
    let bare = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q)).unwrap_or(value);
    clean(bare)
}

fn first_heading<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut fence: Option<&str> = None;
    let mut before = "";
    for line in lines {
        let bare = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|m| bare.starts_with(m));
        match (fence, mark) {
            (Some(open), Some(close)) if open == close => fence = None,
            (None, Some(open)) => fence = Some(open),
            (None, None) => {
                let level = bare.len() - bare.trim_start_matches('#').len();
                if (1..=6).contains(&level)
                    && let Some(rest) = bare.get(level..).filter(|r| r.starts_with([' ', '\t']))
                    && let Some(title) = clean(rest.trim().trim_end_matches('#'))
                {
                    return Some(title);
                }
                let underline = bare.len() >= 3 && (bare.bytes().all(|b| b == b'=') || bare.bytes().all(|b| b == b'-'));
                if underline && !before.is_empty() && !before.starts_with(['-', '*', '|', '>', '<']) {
                    return clean(before);
                }
            }
            _ => {}
        }
        before = bare;
    }
    None
}

/// The first underlined line.
pub(super) fn of_rst(text: &str) -> Option<String> {
    let mut before = "";
    for line in text.lines().take(LINES) {
        let rule = line.trim_end();
        let first = rule.bytes().next().unwrap_or(b' ');
        let is_rule = rule.len() >= 2 && first.is_ascii_punctuation() && rule.bytes().all(|b| b == first);
        // Directives, comments and overlines are no titles.
        if is_rule && !before.is_empty() && !before.starts_with("..") && rule.len() + 1 >= before.chars().count() {
            return clean(before);
        }
        before = if is_rule { "" } else { line.trim_start_matches('\u{feff}').trim() };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_markdown() {
        for (text, title) in [
            ("# One\n\ntext", Some("One")),
            ("\u{feff}# One ##\r\n", Some("One")),
            ("---\ntitle: \"Front: matter\"\n---\n# Heading", Some("Front: matter")),
            ("+++\ntitle = 'T'\n+++\n", Some("T")),
            ("---\ndate: 1\n---\n## Heading", Some("Heading")),
            ("```sh\n# a comment\n```\nSetext\n======\n", Some("Setext")),
            ("#hashtag\nno title", None),
            ("", None),
        ] {
            assert_eq!(of_markdown(text).as_deref(), title, "{text:?}");
        }
    }

    #[test]
    fn titles_of_rst() {
        for (text, title) in [
            ("=====\nOver\n=====\n", Some("Over")),
            (".. _label:\n\nUnder\n-----\n", Some("Under")),
            ("a line\n::\n\nno title", None),
        ] {
            assert_eq!(of_rst(text).as_deref(), title, "{text:?}");
        }
    }
}
