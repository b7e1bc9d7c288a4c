//! The same text as plain text and as a page: which of them is read.

use std::collections::HashMap;

/// What each of two renderings lacks of the other's words, at most, to be the same text.
const SAME: f64 = 0.1;
/// Words of a plain text that may be no more than a remark on the page.
const STUB: usize = 80;

/// What such a remark says.
const ENGLISH: &[&str] =
    &["html", "browser", "online", "web version", "email client", "mail client", "mail reader", "cannot be displayed"];
const CHINESE: &[&str] =
    &["网页", "網頁", "浏览器", "瀏覽器", "不支持", "不支援", "在线查看", "線上查看", "无法显示", "無法顯示"];
const OTHERS: &[&str] = &["navigateur", "navegador", "ブラウザ", "браузер", "webansicht", "im web"];

/// What is read of a plain text and a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Plain,
    Page,
    /// Each has what the other lacks: the first is the longer one.
    PlainThenPage,
    PageThenPlain,
}

/// Chooses so that nothing is lost. `page` is Markdown.
pub(super) fn choose(plain: &str, page: &str) -> Choice {
    let (of_plain, of_page) = (words(plain), words(page));
    let (in_plain, in_page) = (count(&of_plain), count(&of_page));
    if in_page == 0 && !page.contains("![") {
        return Choice::Plain;
    }
    if in_plain == 0 || (in_plain <= STUB && in_page * 2 > in_plain && is_stub(plain)) {
        return Choice::Page;
    }
    let lacks = |a: &HashMap<String, usize>, b: &HashMap<String, usize>, total: usize| {
        let missing: usize = a.iter().map(|(word, n)| n.saturating_sub(b.get(word).copied().unwrap_or(0))).sum();
        missing as f64 <= total as f64 * SAME
    };
    let page_has_all = lacks(&of_plain, &of_page, in_plain);
    let plain_has_all = lacks(&of_page, &of_plain, in_page);
    match (plain_has_all, page_has_all) {
        // The same text: a page has more to it where it has tables or headings, else plain text reads better.
        (true, true) if is_structured(page) => Choice::Page,
        (true, _) => Choice::Plain,
        (false, true) => Choice::Page,
        (false, false) if in_page >= in_plain => Choice::PageThenPlain,
        (false, false) => Choice::PlainThenPage,
    }
}

/// The paragraphs of a text most of whose words another lacks.
pub(super) fn only_in(text: &str, other: &str) -> String {
    let known = words(other);
    let mut kept = String::new();
    for block in text.split("\n\n") {
        let of_block = words(block);
        let new = || of_block.iter().filter(|(word, _)| !known.contains_key(*word));
        let share: usize = new().map(|(_, n)| n).sum();
        // A number is news by itself.
        if share * 4 > count(&of_block) || new().any(|(word, _)| word.bytes().any(|b| b.is_ascii_digit())) {
            super::outline::push_block(&mut kept, block);
        }
    }
    kept
}

fn is_structured(page: &str) -> bool {
    page.lines().any(|line| line.starts_with("| -") || (line.starts_with('#') && line.contains("# ")))
}

/// A remark for readers whose program shows no pages.
fn is_stub(plain: &str) -> bool {
    let plain = plain.to_lowercase();
    [ENGLISH, CHINESE, OTHERS].into_iter().flatten().any(|remark| plain.contains(remark))
}

fn count(words: &HashMap<String, usize>) -> usize {
    words.values().sum()
}

/// Words without addresses of pages, which plain text writes out and pages hide; Chinese and Japanese by character.
fn words(text: &str) -> HashMap<String, usize> {
    let mut all = HashMap::new();
    let mut word = String::new();
    for token in text.split_whitespace() {
        for c in without_address(token).chars() {
            let alone = matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
            if alone || !c.is_alphanumeric() {
                add(&mut all, &mut word);
            }
            if alone {
                add(&mut all, &mut c.to_string());
            } else if c.is_alphanumeric() {
                word.extend(c.to_lowercase());
            }
        }
        add(&mut all, &mut word);
    }
    all
}

fn add(all: &mut HashMap<String, usize>, word: &mut String) {
    if !word.is_empty() {
        *all.entry(std::mem::take(word)).or_insert(0) += 1;
    }
}

fn without_address(token: &str) -> &str {
    let token = token.split("](").next().unwrap_or_default();
    match token.split_once("://") {
        Some((before, _)) => before.trim_end_matches(|c: char| c.is_ascii_alphabetic()),
        None if token.contains("mailto:") || token.starts_with("www.") => "",
        None => token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let page = "# Quay closure\n\nQuay seven is closed from 9 to 14 February for crane maintenance.";
        let plain = "Quay closure\n\nQuay seven is closed from 9 to 14 February for crane maintenance.";
        assert_eq!(choose(plain, page), Choice::Page, "headings are worth having");
        assert_eq!(choose(plain, plain), Choice::Plain);
        assert_eq!(choose("See the plan\n\nhttps://a.example/b", "See [the plan](https://a.example/b)"), Choice::Plain);
        assert_eq!(choose("Your mail reader does not show HTML. Please open this message in a browser.", page), Choice::Page);
        assert_eq!(
            choose("您的邮件客户端不支持网页格式。", "七号码头二月九日至十四日关闭，请使用北侧泊位进行作业。"),
            Choice::Page
        );
        assert_eq!(choose("", page), Choice::Page);
        assert_eq!(choose(plain, "<!-- -->"), Choice::Plain);
        assert_eq!(choose(plain, "Quay closure"), Choice::Plain);
        assert_eq!(choose("Quay closure", page), Choice::Page);
        let other = "The minutes of the harbour meeting are ready, with the votes of all members.";
        assert_eq!(choose(other, page), Choice::PageThenPlain);
        assert_eq!(choose(&format!("{other} Ask Ann for them."), page), Choice::PlainThenPage);
    }

    #[test]
    fn what_only_one_has_is_found() {
        assert_eq!(
            only_in("Same words here.\n\nA wholly new paragraph.\n\nhere words", "here are the same words"),
            "A wholly new paragraph."
        );
    }
}
