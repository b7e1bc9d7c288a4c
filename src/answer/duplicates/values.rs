//! What a text says in figures: its numbers and dates, whose change makes another statement of the same words. Not those that a printer
//! or a browser sets beside a text, such as the number of its page: they say nothing of it.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

/// Words that are compared at once (Broder 1997, "On the resemblance and containment of documents", calls them shingles).
pub(super) const SHINGLE: usize = 3;

/// The longest line that only tells when a text was printed or fetched.
const STAMP: usize = 100;
/// What such a line begins with.
const STAMPS: [&str; 24] = [
    "printed",
    "generated",
    "exported",
    "retrieved",
    "accessed",
    "downloaded",
    "last updated",
    "last modified",
    "last changed",
    "last reviewed",
    "copyright",
    "©",
    "(c)",
    "打印",
    "列印",
    "导出",
    "匯出",
    "生成时间",
    "下载",
    "下載",
    "访问时间",
    "最后更新",
    "更新时间",
    "版权",
];

/// A number, or a part of a date, among the words of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    hash: u64,
    /// The runs of words that it is part of, by their places.
    runs: Range<usize>,
}

/// Collects the values among words that come in their order.
#[derive(Debug, Default)]
pub(super) struct Values {
    found: Vec<(u64, Range<usize>)>,
}

impl Values {
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Without those after the first so many.
    pub(super) fn truncate(&mut self, first: usize) {
        self.found.truncate(first);
    }

    /// The word at this place is a value.
    pub(super) fn word(&mut self, at: usize, hash: u64) {
        self.found.push((hash, at..at + 1));
    }

    /// So is the character, which goes on with the one before it: `三十五` is one number.
    pub(super) fn character(&mut self, at: usize, hash: u64) {
        match self.found.last_mut() {
            Some((all, place)) if place.end == at => {
                *all = FixedState::default().hash_one((*all, hash));
                place.end = at + 1;
            }
            _ => self.word(at, hash),
        }
    }

    /// Of a text that has so many runs of words.
    pub(super) fn among(self, runs: usize) -> Vec<Value> {
        let within =
            |place: Range<usize>| place.start.saturating_sub(SHINGLE - 1).min(runs.saturating_sub(1))..place.end.min(runs);
        self.found.into_iter().map(|(hash, place)| Value { hash, runs: within(place) }).collect()
    }
}

/// Whether all of these values are said by another text in the same order, each with a run of words around it that the other has as
/// well. `runs`: those of the text.
pub(super) fn are_said(values: &[Value], runs: &[u64], others: &[Value], has: impl Fn(&u64) -> bool) -> bool {
    let mut others = others.iter();
    values.iter().all(|value| {
        others.any(|other| other.hash == value.hash) && runs.get(value.runs.clone()).unwrap_or_default().iter().any(&has)
    })
}

/// Numbers and parts of dates in words.
const SPELLED: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen \
                       nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half third quarter \
                       first second fourth fifth sixth seventh eighth ninth tenth monday tuesday wednesday thursday friday saturday \
                       sunday january february march april may june july august september october november december jan feb mar apr \
                       jun jul aug sep sept oct nov dec";

/// Whether a word, of which this is the hash of its lower case, is one of them.
pub(super) fn is_spelled(hash: u64) -> bool {
    static HASHES: LazyLock<HashSet<u64, FixedState>> =
        LazyLock::new(|| SPELLED.split(' ').map(|word| FixedState::default().hash_one(word)).collect());
    HASHES.contains(&hash)
}

/// Whether a character of a script without spaces (Thai, Lao, Khmer, Han) is a numeral.
pub(super) fn is_numeral(c: char) -> bool {
    matches!(c, '\u{e50}'..='\u{e59}' | '\u{ed0}'..='\u{ed9}' | '\u{17e0}'..='\u{17e9}')
        || matches!(
            c,
            '〇' | '零'
                | '一'
                | '二'
                | '两'
                | '兩'
                | '三'
                | '四'
                | '五'
                | '六'
                | '七'
                | '八'
                | '九'
                | '十'
                | '百'
                | '千'
                | '万'
                | '萬'
                | '亿'
                | '億'
                | '半'
                | '壹'
                | '贰'
                | '叁'
                | '肆'
                | '伍'
                | '陆'
                | '柒'
                | '捌'
                | '玖'
                | '拾'
                | '佰'
                | '仟'
        )
}

/// Whether a line stands beside the text: `Page 3 of 12`, `- 3 -`, `第3页`, `Printed on 1 March 2024`.
pub(super) fn is_furniture(line: &str) -> bool {
    let line = line.trim();
    if line.len() > STAMP || !line.chars().any(is_figure) {
        return false;
    }
    let said = line.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '©' | '('));
    let begins = |stamp: &&str| said.get(..stamp.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(stamp));
    STAMPS.iter().any(begins) || is_page(line)
}

fn is_figure(c: char) -> bool {
    c.is_ascii_digit() || is_numeral(c)
}

/// Whether a line is the number of a page, and nothing else. A number alone is none: that may be the cell of a table.
fn is_page(line: &str) -> bool {
    let (mut named, mut figures) = (false, 0);
    let mut words = line
        .split(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—' | '/' | '|' | '.' | '·'))
        .filter(|word| !word.is_empty());
    let all = words.all(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_word = ["page", "p", "pg", "seite"].iter().any(|name| word.eq_ignore_ascii_case(name));
        let in_chinese = word.chars().all(|c| is_figure(c) || matches!(c, '第' | '页' | '頁' | '共' | '总' | '總'));
        named |= is_word || word.contains(['页', '頁']);
        figures += usize::from(word.chars().any(is_figure));
        is_word || in_chinese || word.eq_ignore_ascii_case("of") || word.eq_ignore_ascii_case("von")
    });
    let framed = || {
        let bare = line.trim_matches(['-', '–', '—', '|', ' ']);
        bare.len() < line.len() && line.starts_with(['-', '–', '—', '|']) && line.ends_with(['-', '–', '—', '|'])
    };
    all && (1..=2).contains(&figures) && (named || framed() && figures == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_beside_the_text_is_told_from_one_of_it() {
        for line in [
            "Page 3 of 12",
            "page 7",
            "p. 4",
            "- 3 -",
            "— 12 —",
            "第3页",
            "第 3 页 / 共 12 页",
            "第三页",
            "Printed on 1 March 2024",
            "© 2023 Example",
            "*Last updated: 2024-03-01*",
            "打印日期：2024年3月1日",
            "Retrieved 5 May 2021 from the archive",
        ] {
            assert!(is_furniture(line), "{line}");
        }
        for line in [
            "41",
            "2024",
            "3 / 12",
            "- 41",
            "- 41 euros -",
            "Valid in 2024",
            "# 停车费 2024",
            "Page 3 holds the fees of 41 euros",
            "| 41 | 52 |",
            "Printed copies",
            "第三章",
            "10 of 12",
            "of 12",
            "-5",
            "页",
        ] {
            assert!(!is_furniture(line), "{line}");
        }
    }
}
