//! Labels that give a section away.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Beginnings of labels that can say nothing else.
const SURE: &str = "\
    related articles|related posts|related stories|related content|related reading|related news|related blog|\
    you may also|you might also|you may like|more from|more stories|more articles|more posts|more news|read next|\
    read this next|up next|recommended for you|recommended articles|recommended stories|recommended posts|keep reading|\
    latest news|latest posts|latest articles|latest stories|latest blogs|recent posts|recent articles|recent news|\
    recent comments|popular posts|popular articles|most popular|most read|trending now|top stories|about the author|\
    about author|meet the author|leave a reply|join the conversation|follow us|connect with us|stay connected|\
    sign up for our|sign up to our|join our newsletter|join our mailing|advertisement|sponsored content|\
    from our partners|around the web|republish this|what to read next|similar articles|similar posts|\
    top rated comments|don't miss|don’t miss|você pode gostar|você também pode|veja também|самые популярные|читайте также|\
    похожие статьи|weitere artikel|das könnte sie auch interessieren|auch interessant|à lire aussi|articles similaires|\
    artículos relacionados|lea también|te puede interesar|leia também|相关文章|推荐阅读|猜你喜欢|热门文章|最新文章|相关推荐|\
    為您推薦|関連記事|おすすめ記事|人気記事";

/// Beginnings of paragraphs that point to other articles.
const POINTERS: &str = "\
    read more|read also|also read|don't miss|don’t miss|related:|see more:|more:|watch:|lesen sie auch|mehr zum thema|lire aussi|\
    à lire aussi|leia também|leia mais|lea también|читайте также|相关阅读|延伸阅读";

/// Beginnings of labels that head parts of a text as well: "Subscribe to a topic".
const MAYBE: &str = "\
    related topics|related resources|related products|next up|recommended reading|continue reading|trending|\
    leave a comment|post a comment|add a comment|share this|share the|share on|share with|stay in touch|stay up to date|\
    stay informed|subscribe to|get the latest|newsletter|our newsletter|written by|more in|other articles|other posts|\
    explore more|discover more|see more|mehr zum thema|延伸阅读|相关阅读";

/// Labels that do so, in full.
const WHOLE: &str = "\
    related|comments|share|tags|topics|categories|contact us|subscribe|recommended|popular|latest|archives|author|\
    read more|learn more|more|table of contents|contents|on this page|in this article|testimonials|get started|\
    get in touch|search|follow|news|评论|分享|标签|目录|更多|热门|推荐";

/// Phrases by their first letter: most labels begin like none of them.
type Phrases = LazyLock<HashMap<char, Vec<&'static str>>>;

static SURE_BY_LETTER: Phrases = LazyLock::new(|| by_letter(SURE));
static MAYBE_BY_LETTER: Phrases = LazyLock::new(|| by_letter(MAYBE));

fn by_letter(list: &'static str) -> HashMap<char, Vec<&'static str>> {
    let mut phrases = HashMap::<char, Vec<&str>>::new();
    for phrase in list.split('|') {
        phrases.entry(phrase.chars().next().unwrap_or_default()).or_default().push(phrase);
    }
    phrases
}

/// What stands by itself in the midst of an article and is none of it.
const NOTICES: &str = "\
    advertisement|advertisements|advert|ad|ads|anzeige|werbung|publicité|publicidad|publicidade|реклама|广告|廣告|\
    continue reading below|story continues below|story continues below advertisement|article continues below|\
    article continues below advertisement|continue reading the main story|media playback is unsupported on your device|\
    close|video|text size|caption|hide caption|toggle caption|sponsored|view gallery|image caption|image copyright|\
    read more|read full article|load more|show more|share|share this|share this article|print|email|save|comments|\
    0 comments|no comments|leave a comment|click to share|print this article|this slideshow requires javascript|\
    scroll to continue|skip advertisement|supported by|loading|tweet|copy link|link copied|listen to this article|\
    explore further|related|like this story share it with a friend|click to enlarge|enlarge this image|play video|watch video";

/// Whether it says one of them and nothing else.
pub(super) fn is_notice(words: &str) -> bool {
    let words: String = words.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).flat_map(char::to_lowercase).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    !words.is_empty() && NOTICES.split('|').any(|notice| notice == words)
}

/// Whether a label, in small letters, is of a section about other pages; `Some(true)`: it can say nothing else.
pub(super) fn is_of_other_pages(label: &str) -> Option<bool> {
    let first = label.chars().next()?;
    let begins = |phrases: &Phrases| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() && c.is_ascii());
        phrases.get(&first).is_some_and(|phrases| phrases.iter().any(|phrase| label.strip_prefix(phrase).is_some_and(ends)))
    };
    if begins(&SURE_BY_LETTER) {
        return Some(true);
    }
    // "3 comments", "Comments (3)".
    let counted = label.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let counted = counted.trim_end_matches(|c: char| c.is_ascii_digit() || " ()".contains(c));
    (begins(&MAYBE_BY_LETTER) || WHOLE.split('|').any(|phrase| phrase == counted)).then_some(false)
}

/// Whether a paragraph of links that begins with these words, in small letters, points to another article.
pub(super) fn points(words: &str) -> bool {
    POINTERS.split('|').any(|phrase| words.starts_with(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (label, of) in [
            ("related articles", Some(true)),
            ("more from this author", Some(true)),
            ("相关文章", Some(true)),
            ("3 comments", Some(false)),
            ("comments (12)", Some(false)),
            ("moreover", None),
            ("newsletters of the port", None),
            ("subscribe to a topic", Some(false)),
            ("related work", None),
            ("installation", None),
        ] {
            assert_eq!(is_of_other_pages(label), of, "{label}");
        }
    }
}
