#![allow(clippy::unwrap_used, reason = "tests may")]

use proptest::prelude::*;

use crate::parse::Format;
use crate::parse::html::to_markdown;

fn site(html: &str) -> String {
    to_markdown(html, Format::Html).unwrap().text
}

/// A paragraph of that many sentences, each of which says what it is.
fn prose(about: &str, sentences: usize) -> String {
    let sentence =
        |n: usize| format!("Sentence {n} about {about} says what nobody else has ever said of it in all its years. ");
    format!("<p>{}</p>", (0..sentences).map(sentence).collect::<String>())
}

/// A page of documentation as Sphinx made it in 2015, beside a column of links.
fn sphinx(section: &str) -> String {
    let links = (0..20).map(|n| format!("<li><a href=p{n}>Part {n} of the guide</a></li>")).collect::<Vec<_>>().concat();
    format!(
        "<div class=document><div id=hd><h1><a href=/>The guide</a></h1><div class=nav><a href=a>previous</a></div></div>\
         <div id=bd><div class=body>{section}</div><div class=column><h3>Contents</h3><ul>{links}</ul></div></div></div>"
    )
}

#[test]
fn what_leads_to_a_section_is_a_part_of_it() {
    let text = site(&sphinx(&format!(
        "<div class=section><h1>Version 2.1.5</h1><p>January 4, 2019</p><p>Fixes a security issue and several bugs.</p>\
         <div class=section><h2>The issue</h2>{}<ul><li>Fixed the pier.</ul></div></div>",
        prose("the issue", 12)
    )));
    assert!(text.starts_with("# Version 2.1.5\n\nJanuary 4, 2019\n\nFixes a security issue"), "{text}");
    assert!(!text.contains("Part 3 of the guide"), "{text}");
    // DocBook writes pages whose highest heading is not of the first level.
    let text = site(
        &sphinx(&format!(
            "<div class=sect1><div class=titlepage><div><h2>E.11. Release 15.10</h2></div></div><p>Release date: 2024-11-21</p>\
         <div class=sect2><h3>Changes</h3>{}</div></div>",
            prose("the change", 12)
        ))
        .replace("<h1><a href=/>The guide</a></h1>", "")
        .replace("<h3>Contents</h3>", ""),
    );
    assert!(text.starts_with("## E.11. Release 15.10\n\nRelease date: 2024-11-21\n\n### Changes"), "{text}");
}

#[test]
fn a_list_of_links_below_a_paragraph_is_a_part_of_the_text() {
    let page = sphinx(&format!(
        "<div class=section><h1>First steps</h1><p>New to the harbour? You came to the right place: read this to begin.</p>\
         <div class=toctree-wrapper><ul><li><a href=1>At a glance</a><li><a href=2>A first ship</a></ul></div>\
         <div class=admonition>{}</div></div>",
        prose("ships", 12)
    ));
    assert!(site(&page).contains("- At a glance\n- A first ship"), "{}", site(&page));
}

#[test]
fn a_section_that_is_named_for_its_heading_is_text() {
    let page = |section: &str| sphinx(&format!("<div class=section><h1>Reference</h1>{}{section}</div>", prose("it", 30)));
    for (id, heading) in [
        ("cookie-objects", "Cookie objects"),
        ("s-csrf-cookie-age", "<code>CSRF_COOKIE_AGE</code>"),
        ("related-documents", "1.4. Related documents"),
        ("comments", "Comments<a class=headerlink href='#comments'>¶</a>"),
    ] {
        let text = site(&page(&format!("<div class=section id={id}><h2>{heading}</h2>{}</div>", prose("this", 2))));
        assert!(text.contains("about this"), "{id}: {text}");
    }
    for part in [
        "<div class='section related' id=related-posts><h2>Related posts</h2>",
        "<div id=related-posts><h2>Related posts</h2>",
        "<div id=comments><h2>Comments</h2>",
        "<div class=cookie-box id=cookie-objects><h2>Cookie objects</h2>",
    ] {
        let text = site(&page(&format!("{part}{}</div>", prose("this", 2))));
        assert!(!text.contains("about this"), "{part}: {text}");
    }
}

const ARTICLE: &str = "<meta property=og:type content=article><meta property=og:title content='The pier of Nord'>\
    <meta property=og:url content='https://www.e.org/a'>";

#[test]
fn an_article_is_its_text_and_not_its_pictures_and_ways() {
    let (before, after) = (prose("the pier", 12), prose("the port", 12));
    let page = |within: &str| format!("{ARTICLE}<article><h1>The pier of Nord</h1>{before}{within}{after}</article>");
    for gone in [
        "<img src=a alt='A gone crane'>",
        "<figure><img src=a><figcaption>A gone crane lifts the stone.</figcaption></figure>",
        "<div class='wp-caption-text caption'>A gone crane lifts the stone.</div>",
        "<div>Advertisement</div>",
        "<p><b><a href=/gone>WHY THE GONE PIER WAS NEVER BUILT</a></b></p>",
        "<ul><li><a href='https://e.org/gone'>The gone pier of Sud</a><li><a href='//news.e.org/gone'>The gone one</a></ul>",
    ] {
        let text = site(&page(gone));
        assert!(!text.to_lowercase().contains("gone") && !text.contains("Advert"), "{gone}: {text}");
        assert!(text.contains("about the pier") && text.contains("about the port"), "{gone}");
        // A page that is no article shows its pictures, and says where they lead.
        let other = page(gone).replace("content=article", "content=website");
        assert!(site(&other).to_lowercase().contains("gone") || gone.contains("Advert"), "{gone}: {}", site(&other));
    }
    for kept in [
        "<ul><li><a href='https://sources.org/1'>The kept records of the port</a><li><a href=b>Kept</a> since 1910</ul>",
        "<p><a href='https://sources.org/1'>The kept records of the port, as a book</a></p>",
        "<p>The kept pier is <a href=/b>the longest of all piers on this coast</a>, by far and for good.</p>",
        "<p>Advertisements were kept.</p>",
        "<table class=caption><tr><th>Kept<tr><td>1</table>",
    ] {
        assert!(site(&page(kept)).to_lowercase().contains("kept"), "{kept}: {}", site(&page(kept)));
    }
    // A page that is a list of links is about them.
    let list = (0..60).map(|n| format!("<li><a href=/c{n}>The course of kept number {n}</a>")).collect::<Vec<_>>().concat();
    assert!(site(&page(&format!("<ul>{list}</ul>"))).contains("kept number 59"));
}

#[test]
fn an_article_begins_with_its_title_and_ends_with_its_text() {
    let card = |n: usize| {
        format!("<div class=card><a href=/n{n}><span>Card {n} of the news of this day</span><ul><li>11/20/2019</ul></a></div>")
    };
    let cards = (0..40).map(card).collect::<String>();
    let page = format!(
        "{ARTICLE}<body><div><div>Breaking news</div><ul><li>A card of another day, which is told in one long line of text, ahead of all.</ul>\
         <h1>The pier of Nord</h1>{}{cards}</div></body>",
        prose("the pier", 12)
    );
    let text = site(&page);
    assert!(text.starts_with("# The pier of Nord\n\nSentence 0") && !text.contains("ard "), "{text}");
    // Of a page of cards nothing is left but them.
    let page = format!("{ARTICLE}<h1>The pier of Nord</h1><p>Soon.</p>{cards}");
    assert!(site(&page).contains("Card 39"), "{}", site(&page));
}

#[test]
fn structured_data_tell_an_article_as_well() {
    let body =
        format!("<h1>The pier</h1>{}<figure><figcaption>A gone crane</figcaption></figure>{}", prose("it", 9), prose("us", 9));
    for article in [
        format!(
            "<script type='application/ld+json'>{{\"@graph\": [{{\"@type\" : [\"NewsArticle\"]}}]}}</script><div>{body}</div>"
        ),
        format!("<div itemscope itemtype='https://schema.org/BlogPosting'>{body}</div>"),
        format!("<div itemprop=articleBody>{body}</div>"),
    ] {
        assert!(!site(&article).contains("gone"), "{article}");
    }
    for other in ["TechArticle", "Organization", "", "Articles\", \"x"] {
        let page = format!("<script type='application/ld+json'>{{\"@type\": \"{other}\"}}</script><div>{body}</div>");
        assert!(site(&page).contains("gone"), "{other}");
    }
}

#[test]
fn a_section_that_asks_for_an_address_is_none_of_the_text() {
    let page = |asks: &str| {
        format!(
            "<main><h1>The pier</h1>{}<div class=x><h2>Subscribe to the morning review</h2><p>Get the day’s top headlines delivered to \
             your inbox every morning, by this.</p><div>{asks}</div></div>{}</main>",
            prose("it", 20),
            prose("us", 9)
        )
    };
    assert!(!site(&page("<input type=email>")).contains("headlines"));
    assert!(site(&page("<p>Call the port.</p>")).contains("headlines"));
}

#[test]
fn a_text_that_is_paid_for_is_text() {
    let page = format!(
        "{ARTICLE}<article><h1>The pier of Nord</h1>{}<div class=paywall>{}</div></article>",
        prose("it", 2),
        prose("this", 9)
    );
    assert!(site(&page).contains("about this"));
}

proptest! {
    /// However the text is boxed, and whatever stands around it.
    #[test]
    fn no_prose_between_the_heading_and_the_chosen_part_is_left_behind(
        leads in 0usize..4,
        text in prop::sample::select(vec![
            "<div>", "<main>", "<article>", "<section>", "<div class=entry-content>", "<div itemprop=articleBody>", "<div class=x><div>",
        ]),
        around in prop::sample::select(vec!["", "<div class=page>", "<div><div id=wrap>", "<section>"]),
        apart in any::<bool>(),
        article in any::<bool>(),
        links in 0usize..40,
        sentences in 1usize..30,
    ) {
        let close = |open: &str| open.matches('<').count();
        let end = |open: &str| "</div></section></main></article>".to_owned().repeat(close(open));
        let leads: String = (0..leads).map(|n| prose(&format!("lead {n}"), 1)).collect();
        let menu = (0..links).map(|n| format!("<li><a href=p{n}>Another page of this site, number {n}</a>")).collect::<Vec<_>>().concat();
        let meta = if article { "<meta property=og:type content=article>" } else { "" };
        let (from, to) = if apart { ("<div class=lead>", "</div>") } else { ("", "") };
        let page = format!(
            "{meta}<body><div>{menu}</div>{around}<h1>The pier of Nord</h1>{from}{leads}{to}{text}{}<h2>More</h2>{}{}{}<div>{menu}</div>",
            prose("the pier", sentences), prose("the port", sentences), end(text), end(around)
        );
        let read = site(&page);
        prop_assert!(read.contains("about the pier"), "{page}\n{read}");
        for n in 0..leads.matches("<p>").count() {
            let wanted = format!("about lead {n}");
            prop_assert!(read.contains(&wanted), "{wanted}: {page}\n{read}");
        }
    }
}
