//! Full-width punctuation where YAML wants its own: what a Chinese or Japanese keyboard types is text to YAML, and the error that
//! comes of it is told elsewhere and of something else.

/// Full-width punctuation in the place of YAML's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FullWidth {
    /// Bytes of the line before it.
    pub(super) at: usize,
    pub(super) mark: char,
    /// What YAML wants there.
    pub(super) instead: &'static str,
}

/// Spaces that look like one and are text to YAML.
const NO_BREAK: [char; 3] = ['\u{a0}', '\u{202f}', '\u{2007}'];

/// The same in ASCII, of a text that is that but for full-width characters and no-break spaces.
pub(super) fn narrow(text: &str) -> Option<String> {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{3000}' => Some(' '),
        c if NO_BREAK.contains(&c) => Some(' '),
        c => c.is_ascii().then_some(c),
    };
    let narrow = text.chars().map(narrow).collect::<Option<String>>()?;
    (narrow != text).then(|| narrow.trim().to_owned())
}

/// Says of a path that is not there that it may have been meant for several. `between`: what stands between two paths.
pub(crate) fn comma(path: &str, between: &str) -> Option<String> {
    let mark = path.chars().find(|c| matches!(c, '，' | '、'))?;
    Some(format!("its `{mark}` is full-width, and a part of the path: between two paths write {between}"))
}

/// What a mark is called.
pub(super) fn called(mark: char) -> String {
    match mark {
        '\u{3000}' => "full-width space".to_owned(),
        mark if NO_BREAK.contains(&mark) => "no-break space".to_owned(),
        mark => format!("full-width `{mark}`"),
    }
}

/// The first full-width mark of a line that stands where YAML has a mark of its own. What is quoted, a comment, and punctuation within
/// a text are left alone.
pub(super) fn in_line(line: &str) -> Option<FullWidth> {
    let indent = line.len() - line.trim_start().len();
    let is_wide = |c: char| c == '\u{3000}' || NO_BREAK.contains(&c);
    let blank = line.get(..indent).unwrap_or_default();
    if let Some((at, mark)) = blank.char_indices().find(|(_, c)| is_wide(*c)) {
        return Some(FullWidth { at, mark, instead: "a space" });
    }
    let (mut quote, mut brackets, mut before) = (None, 0_usize, None);
    // Where the word began that may be a key, as long as it may.
    let mut word = None;
    for (at, mark) in line.char_indices() {
        if let Some(end) = quote {
            if mark == end {
                quote = None;
            }
            before = Some(mark);
            continue;
        }
        let begins =
            before.is_none_or(|before| matches!(before, ':' | '-' | ',' | '[' | '{' | '：' | '，' | '［' | '｛' | '－'));
        let instead = match mark {
            '"' | '\'' if begins => {
                quote = Some(mark);
                None
            }
            '#' if before.is_none() || line.get(..at).is_some_and(|text| text.ends_with([' ', '\t'])) => return None,
            '[' | '{' if begins => {
                brackets += 1;
                None
            }
            ']' | '}' => {
                brackets = brackets.saturating_sub(1);
                None
            }
            '：' if word.is_some() => Some("`: `, a colon and a space"),
            '，' | '、' if brackets > 0 => Some("`, `, a comma and a space"),
            '｛' if begins => Some("`{`"),
            '｝' if brackets > 0 => Some("`}`"),
            '［' | '【' if begins => Some("`[`"),
            '］' | '】' if brackets > 0 => Some("`]`"),
            '“' | '”' | '＂' if begins => Some("`\"`"),
            '‘' | '’' | '＇' if begins => Some("`'`"),
            '＃' if line.get(..at).is_some_and(|text| text.is_empty() || text.ends_with([' ', '\t'])) => Some("`#`"),
            mark if is_wide(mark) && begins => Some("a space"),
            '－' | '—' if before.is_none() => Some("`- `, a hyphen and a space"),
            _ => None,
        };
        if let Some(instead) = instead {
            return Some(FullWidth { at, mark, instead });
        }
        if mark.is_ascii_alphanumeric() || matches!(mark, '_' | '-' | '.' | '$') {
            word = if begins { Some(at) } else { word };
        } else if !mark.is_whitespace() {
            word = None;
        }
        if !mark.is_whitespace() {
            // A hyphen in a word begins nothing.
            before = Some(if mark == '-' && word.is_some() && !begins { 'a' } else { mark });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_in_the_place_of_yamls_are_found_and_those_of_a_text_are_not() {
        for (line, mark) in [
            ("version：1", '：'),
            ("version: 1 ＃ 版本", '＃'),
            ("  name： docs", '：'),
            ("- files：", '：'),
            ("store: { qdrant：{ url: x } }", '：'),
            ("query: { a: 1, b：2 }", '：'),
            ("sources: [docs，notes]", '，'),
            ("sources: [docs、notes]", '、'),
            ("embed: ｛ model: a/b }", '｛'),
            ("embed: { model: a/b ｝", '｝'),
            ("sources: ［docs]", '［'),
            ("sources: [\"a：b\"］", '］'),
            ("name: “docs”", '“'),
            ("－ docs", '－'),
            ("  ＃ a comment", '＃'),
            ("\u{3000}name: docs", '\u{3000}'),
            ("max-tokens：3", '：'),
            ("max_tokens:\u{a0}400", '\u{a0}'),
            ("\u{a0}\u{a0}max_tokens: 400", '\u{a0}'),
            ("-\u{3000}docs", '\u{3000}'),
        ] {
            let found = in_line(line);
            assert_eq!(found.map(|found| found.mark), Some(mark), "{line}");
            assert!(found.is_some_and(|found| line.get(found.at..).is_some_and(|rest| rest.starts_with(mark))), "{line}");
        }
        for line in [
            "prompt: 回答：简短，清楚。",
            "prompt: \"name：x，［y］\"",
            "prompt: 'name：x'",
            "# version：1",
            "version: 1 # 版本：一",
            "sources: [文档（一）, notes]",
            "sources: [\"a，b\", 'c、d']",
            "name: 文档：一",
            "name: 文档＃一",
            "- it’s",
            "- 路径：docs",
            "prompt: 回答\u{3000}简短\u{a0}清楚",
            "",
        ] {
            assert_eq!(in_line(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_full_width_has_the_same_in_ascii() {
        for (wide, same) in
            [("４００", "400"), ("５０ＭＢ", "50MB"), ("\u{a0}60s", "60s"), ("ａｕｔｏ", "auto"), ("６０\u{3000}s", "60 s")]
        {
            assert_eq!(narrow(wide).as_deref(), Some(same), "{wide}");
        }
        for other in ["400", "", "四百", "４百", "10²"] {
            assert_eq!(narrow(other), None, "{other}");
        }
        assert!(comma("a，b", "`, `").is_some_and(|hint| hint.contains('，')) && comma("a,b", "`, `").is_none());
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "[ \t\u{3000}\"'a#:：，、｛｝［］{}\\[\\]“”‘’－—中-]{0,40}") {
            if let Some(found) = in_line(&line) {
                prop_assert!(line.get(found.at..).is_some_and(|rest| rest.starts_with(found.mark)));
            }
        }
    }
}
