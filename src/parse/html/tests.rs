#![allow(clippy::unwrap_used, reason = "tests may")]

use super::*;

/// As a page of a site.
fn site(html: &str) -> String {
    to_markdown(html, Format::Html).unwrap().text
}

/// As a part of something else: nothing is furniture.
fn text(html: &str) -> String {
    to_markdown(html, Format::Email).unwrap().text
}

#[track_caller]
fn all_read(cases: &[(&str, &str)]) {
    for (html, markdown) in cases {
        assert_eq!(&text(html), markdown, "{html}");
    }
}

#[test]
fn a_page() {
    let html = "<html><head><title> A\n title </title><script>x()</script></head><body><nav>Home</nav><div role=navigation>\
        Menu</div><main><h1>Head<a href='#h'>¶</a></h1><p>See <a href='b.html'>b_c</a> and <a href='https://e.org/'>e</a>.</p>\
        <pre>a  *b*\n  c</pre><ul><li>one<li>two</ul><table><tr><th>k<th>v<tr><td>1<td>2</table></main><footer>(c)</footer>";
    let page = to_markdown(html, Format::Html).unwrap();
    assert_eq!(page.title.as_deref(), Some("A title"));
    assert_eq!(
        page.text,
        "# Head\n\nSee b_c and [e](https://e.org/).\n\n```\na  *b*\n  c\n```\n\n- one\n- two\n\n| k | v |\n| - | - |\n| 1 | 2 |"
    );
}

#[test]
fn numbers_stay_what_they_are() {
    all_read(&[
        ("10<sup>6</sup> m<sup>2</sup> 10<sup>-3</sup> x<sup>n</sup> x<sup>n + 1</sup>", "10^6 m^2 10^-3 x^n x^(n + 1)"),
        ("the 10<sup>th</sup>, 1<sup>er</sup>, 2<sup>e</sup>, M<sup>me</sup> Curie", "the 10th, 1er, 2e, Mme Curie"),
        ("H<sub>2</sub>O, PFC<sub>14</sub>, V<sub>max</sub>, 10<sub>2</sub>", "H2O, PFC14, Vmax, 10_2"),
        ("SO<sub>4</sub><sup>2-</sup> and <sup>14</sup>C", "SO4^2- and 14C"),
        ("costs <del>20</del><ins>15</ins> now", "costs ~~20~~ 15 now"),
        ("<p>a<s>b</s></p>", "a ~~b~~"),
        ("5<sup>°</sup> Foo<sup>™</sup>", "5° Foo™"),
        ("x=None, a+b, 1*2, a_b, [0], <b>x</b>", "x=None, a+b, 1*2, a_b, [0], **x**"),
        ("<p>+ plus, 1. one", "+ plus, 1. one"),
    ]);
}

#[test]
fn marks_of_notes_stand_apart() {
    all_read(&[
        ("the pier<sup><a href='#fn1'>1</a></sup> was", "the pier [1] was"),
        ("the pier<sup>3</sup> was", "the pier [3] was"),
        ("the pier<a epub:type='noteref' href='#n1'>1</a> until", "the pier [1] until"),
        ("word<sup id=r class=reference><a href='#cite'>[2]</a></sup>, and", "word [2], and"),
        ("Income<sup>a</sup> and M<sup>me</sup>", "Income [a] and Mme"),
        ("in 2015.<sup>4</sup> Then", "in 2015. [4] Then"),
        ("text <a class='footnote-reference brackets' href='#id2'>1</a>", "text [1]"),
        ("text<a href='notes.xhtml#n12' role=doc-noteref>12</a>", "text [12]"),
        ("<p id=fn1>A note. <a href='#r1'>↩</a></p>", "A note."),
        ("see <a href='#s2'>section 2</a>", "see section 2"),
        ("<aside class='footnote brackets'><span class=label>1</span><p>The note.</p></aside>", "1 The note."),
    ]);
}

#[test]
fn words_stay_whole() {
    all_read(&[
        ("<b>W</b>ombat<b>H</b>ub <i>re</i>read", "WombatHub reread"),
        ("Donau&shy;dampf<wbr>schiff&#8203;fahrt", "Donaudampfschifffahrt"),
        ("这是<b>重要</b>的\n说明", "这是重要的说明"),
        ("a <b>bold</b>, <em>word</em>", "a **bold**, *word*"),
        ("<p>one<p>two", "one\n\ntwo"),
        ("<x-card>A</x-card><x-card>B</x-card>", "A B"),
        ("<div>A</div><span>B</span><div>C</div>", "A\n\nB\n\nC"),
        (
            "この<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rp>(</rp><rt>じ</rt><rp>)</rp></ruby>を読む。",
            "この漢字(かんじ)を読む。",
        ),
        ("<ruby>東京<rt>とうきょう</rt></ruby>の", "東京(とうきょう)の"),
        ("<ruby>亳<rp>(</rp><rt>bó</rt><rp>)</rp></ruby>州是名城", "亳州是名城"),
        ("<ruby>臺<rt>ㄊㄞˊ</rt>北<rt>ㄅㄟˇ</rt></ruby>市", "臺北市"),
        ("<ruby>云计算<rt>cloud computing</rt></ruby>。", "云计算(cloud computing)。"),
        ("<ruby>漢字<rp>(</rp><rt>kanji</rt><rp>)</rp></ruby> <b>fett</b>", "漢字(kanji) **fett**"),
        ("<b><ruby>漢字<rt>kanji</rt></ruby></b> <del>alt</del> neu", "**漢字(kanji)** ~~alt~~ neu"),
        ("<ruby><rb>東</rb><rb>京</rb><rt>とう</rt><rt>きょう</rt></ruby>", "東京(とうきょう)"),
        ("he said <q>so <q>it</q> is</q>", "he said “so “it” is”"),
    ]);
}

#[test]
fn a_heading_is_one_line() {
    all_read(&[
        ("<h2>Chapter I<br>The quokka</h2>x", "## Chapter I The quokka\n\nx"),
        ("<h2><span>Chapter I</span><div>The quokka</div></h2>", "## Chapter I The quokka"),
        ("<h1><a href='https://e.org'>A</a> <b>b</b> <code>c()</code></h1>", "# A b `c()`"),
        ("<h3>A<a class=headerlink href='#a' title='Link'>¶</a></h3>", "### A"),
        ("<div role=heading aria-level=3>A</div>", "### A"),
        ("<h2></h2><p># no heading", "\\# no heading"),
        ("<h2><button aria-expanded=false>What is it?</button></h2><div>This.</div>", "## What is it?\n\nThis."),
    ]);
}

#[test]
fn tables_keep_their_values() {
    all_read(&[
        (
            "<table><thead><tr><th></th><th>CPU</th><th>RAM</th></tr></thead><tbody><tr><th>a</th><td>4 cores</td><td>16 GB</td></tr></tbody></table>",
            "| | CPU | RAM |\n| - | - | - |\n| a | 4 cores | 16 GB |",
        ),
        (
            "<table><tr><th rowspan=2>Port</th><th colspan=2>Fee</th></tr><tr><th>summer</th><th>winter</th></tr><tr><td>Nord<td>10<td>7</table>",
            "| Port | Fee / summer | Fee / winter |\n| - | - | - |\n| Nord | 10 | 7 |",
        ),
        (
            "<table><caption>Ports</caption><tr><th>k<th>v<tr><td>a<br>b | c<td><ul><li>x<li>y</ul></table>",
            "Ports\n\n| k | v |\n| - | - |\n| a b \\| c | x; y |",
        ),
        (
            "<table><tfoot><tr><td>sum<td>3</tfoot><thead><tr><td>k<td>v</thead><tbody><tr><td>a<td>3</table>",
            "| k | v |\n| - | - |\n| a | 3 |\n| sum | 3 |",
        ),
        (
            "<div role=table><div role=row><span role=columnheader>k</span><span role=columnheader>v</span></div><div role=rowgroup>\
             <div role=row><span role=cell>1</span><span role=cell>2</span></div></div></div>",
            "| k | v |\n| - | - |\n| 1 | 2 |",
        ),
        ("<table><tr><td><h2>Head</h2><p>Text</table>", "## Head\n\nText"),
        (
            "<table><tr><th>a<th>b</tr><tr><td>1<td><table><tr><th>k<th>v<tr><td>x<td>y</table></table>",
            "| a | b |\n| - | - |\n| 1 | k, v; x, y |",
        ),
        ("<table><thead><tr><th rowspan=2>a<th>b</thead><tbody><tr><td>1<td>2</table>", "| a | b |\n| - | - |\n| 1 | 2 |"),
        (
            "<table role=presentation><tr><td><p>Hello,</p><table><tr><td>Item<td>Price<tr><td>Tea<td>3 EUR</table></table>",
            "Hello,\n\n| Item | Price |\n| - | - |\n| Tea | 3 EUR |",
        ),
    ]);
}

#[test]
fn listings_are_kept_exactly() {
    all_read(&[
        (
            "<pre><code class='language-py'>def a():\n    return \\_x\n\n\n# x</code></pre>",
            "```py\ndef a():\n    return \\_x\n\n\n# x\n```",
        ),
        ("<div class='highlight-sh notranslate'><div class=highlight><pre>a <b>b</b></pre></div></div>", "```sh\na b\n```"),
        (
            "<table class=highlighttable><tr><td class=linenos><pre>1\n2</pre></td><td class=code><pre>a\n  b</pre></td></tr></table>",
            "```\na\n  b\n```",
        ),
        ("<pre><div>a</div><div>  b</div><button>Copy</button></pre>", "```\na\n  b\n```"),
        ("<pre>a<br>  b</pre>", "```\na\n  b\n```"),
        ("<ul><li>Run:<pre>  x\n    y</pre>then wait</ul>", "- Run:\n\n```\n  x\n    y\n```\n\n  then wait"),
        ("<p>Use <code>a_b  `c`</code>.", "Use `` a_b `c` ``."),
        ("<p>a</p><pre>```\nx\n```</pre>", "a\n\n````\n```\nx\n```\n````"),
    ]);
}

#[test]
fn lists_and_definitions() {
    all_read(&[
        ("<ol start=3><li>c<li value=7>g<li>h</ol>", "3. c\n7. g\n8. h"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c"),
        ("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b"),
        ("<dl><dt>k<dt>l<dd>v<dt>m<dd><p>n<p>o</dl>", "k, l: v\n\nm\n\nn\n\no"),
        ("<dl><div><dt>k</dt><dd>v</dd></div></dl>", "k: v"),
        ("<details><summary>More</summary><p>Hidden</details>", "More\n\nHidden"),
        ("<blockquote><p>a<p>b</blockquote>", "> a\n>\n> b"),
        ("<li><input type=checkbox checked disabled> done", "- [x] done"),
        (
            "<figure><img src=a alt='a chart of it'><figcaption>Fig. 1: a chart of it</figcaption></figure>",
            "Fig. 1: a chart of it",
        ),
        ("<p>x <img alt='two red herrings'> y <img alt='IMG_1.jpg'>", "x two red herrings y"),
    ]);
}

#[test]
fn forms_show_their_values() {
    all_read(&[
        ("<p>Press <button>Save quokka</button> to go on.", "Press Save quokka to go on."),
        ("<div><button>Copy</button></div><p>x", "x"),
        (
            "<label>Region <select><option value=''>Choose<option>North<option selected>South</select></label>",
            "Region North, South",
        ),
        (
            "<p>Host <input value='db.local' readonly> <input type=hidden value=secret><input type=password value=p>",
            "Host db.local",
        ),
        ("<textarea>a\nb</textarea>", "```\na\nb\n```"),
        (
            "<button aria-expanded=false aria-controls=a>Refunds</button><div id=a hidden class=answer>In ten days.</div>",
            "Refunds\n\nIn ten days.",
        ),
    ]);
}

#[test]
fn formulas() {
    all_read(&[
        (
            "<math><semantics><msup><mi>x</mi><mn>2</mn></msup><annotation encoding='application/x-tex'>x^{2}</annotation></semantics></math>",
            "$x^{2}$",
        ),
        (
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac><mo>=</mo><msub><mi>c</mi><mn>1</mn></msub></math>",
            "(a + b)/2 = c_1",
        ),
        (
            "<span class=katex><span class=katex-mathml><math alttext='\\alpha'><mi>α</mi></math></span><span class=katex-html>α</span></span>",
            "$\\alpha$",
        ),
        ("is <script type='math/tex'>e=mc^2</script>", "is $e=mc^2$"),
        ("<img alt='{\\displaystyle E = m}'>", "$E = m$"),
        ("<svg><title>icon</title><text>Start</text><text>End</text></svg>", "Start, End"),
    ]);
}

const PARAGRAPH: &str =
    "Stop the writers, take a snapshot, and then upgrade the nodes one after another, the leader last of all.";

#[test]
fn what_a_reader_can_open_is_text() {
    for (part, kept) in [
        ("<aside class='note'><p>Never upgrade under load.</p></aside>", "Never upgrade under load."),
        ("<aside aria-label=Caution><p>Never upgrade under load.</p></aside>", "Never upgrade under load."),
        ("<aside epub:type=footnote><p>It was an egret.</p></aside>", "It was an egret."),
        ("<div role=tabpanel hidden><pre>winget install fulmar</pre></div>", "winget install fulmar"),
        ("<div class='tab-content'><div class='tab-pane' style='display: none'><p>On Windows.</p></div></div>", "On Windows."),
        ("<div hidden=until-found><p>The late answer.</p></div>", "The late answer."),
        (
            "<button class=accordion-button aria-expanded=false>How long?</button><div class=collapse>Two days.</div>",
            "How long?",
        ),
        ("<details><summary>How long?</summary>Two days.</details>", "Two days."),
        ("<dialog id=d><p>Details of the tariff.</p></dialog>", "Details of the tariff."),
        ("<select><option>North<option>South</select>", "North, South"),
        ("<noscript><p>The text for readers without scripts.</p></noscript>", "readers without scripts"),
        ("<svg><text>Leader</text></svg>", "Leader"),
        ("<div class='alert alert-warning'>Mind the gap.</div>", "Mind the gap."),
        ("<div><button>How long?</button><div hidden>Two days.</div></div>", "Two days."),
        ("<h3 class=q>How long?</h3><div style='display:none'>Two days.</div>", "Two days."),
        ("<a href='#late'>More</a> <span hidden id=late>The late answer.</span>", "The late answer."),
        (
            "<ul class='nav nav-tabs'><li><a href='#w' data-toggle=tab>Windows</a></ul><div class=tab-pane id=w hidden>Run it.</div>",
            "Windows\n\nRun it.",
        ),
        ("<footer class=footnotes><p>It was an egret.</p></footer>", "It was an egret."),
    ] {
        let page = site(&format!(
            "<body><nav><a href=/>Home</a></nav><main><h1>Guide</h1><p>{PARAGRAPH}</p>{part}<p>{PARAGRAPH}</p></main></body>"
        ));
        assert!(page.contains(kept), "{part}: {page}");
        assert!(page.matches("snapshot").count() == 2 && !page.contains("Home"), "{page}");
    }
}

#[test]
fn furniture_is_left_out() {
    for part in [
        "<nav><a href=/x>Furniture</a></nav>",
        "<div class='cookie-banner'><p>Furniture that asks for consent in a very long sentence, so that it is a paragraph of its own.</p></div>",
        "<div id=cookie-consent><p>Furniture.</p></div>",
        "<div id=sidebar><ul><li><a href=/1>Furniture</a></ul></div>",
        "<div style='display:none'>Furniture</div>",
        "<div class=breadcrumbs><a href=/>Furniture</a> › Guide</div>",
        "<section><h3>You may also like</h3><ul><li><a href=/1>Furniture</a><li><a href=/2>More</a></ul></section>",
        "<div><h2><a href=/1>Furniture</a></h2><p>A line.</p><h2><a href=/2>Furniture</a></h2><p>A line.</p></div>",
        "<form><label>Furniture <input type=email></label></form>",
        "<noscript>Please enable JavaScript: Furniture</noscript>",
        "<a href='https://www.facebook.com/sharer/sharer.php?u=x'>Furniture</a>",
    ] {
        let page = site(&format!(
            "<body><div class=page><h1>Guide</h1>{}{part}</div></body>",
            format!("<p>{PARAGRAPH}</p>").repeat(9)
        ));
        assert!(!page.contains("Furniture"), "{part}: {page}");
        assert_eq!(page.matches("snapshot").count(), 9, "{part}");
    }
}

#[test]
fn a_small_part_never_stands_for_the_page() {
    let body: Vec<String> = (1..40)
        .map(|i| format!("<p>Step {i} of the mooring procedure is explained here in plain words for the crew.</p>"))
        .collect();
    let body = body.concat();
    for (before, after) in [
        (
            "<div id=content>",
            "</div><div class=related><article><h3>Ten knots</h3><p>Our little overview of the ten knots that every deckhand should be able to tie blindfolded.</p></article></div>",
        ),
        ("<main></main><div>", "</div>"),
        (
            "<main><p>A short main part of one sentence that is long enough to be taken for a paragraph.</p></main><div>",
            "</div>",
        ),
        (
            "<article><p>First of several articles, which are all of them short beside the rest of the page.</p></article><div>",
            "</div>",
        ),
        (
            "<div class=entry-content><p>A teaser in a box that has the name of the box of the text, as themes have it.</p></div><section>",
            "</section>",
        ),
        ("<div hidden>", "</div>"),
        ("<div class=sidebar>", "</div>"),
        ("<div style='display:none' id=app>", "</div>"),
        ("<aside>", "</aside>"),
        ("<nav>", "</nav>"),
        ("<form class=newsletter><input type=email>", "</form>"),
        ("<table><tr><td>menu</td><td>", "</td></tr></table>"),
    ] {
        let page = site(&format!("<html><body>{before}{body}{after}</body></html>"));
        assert_eq!(page.matches("mooring procedure").count(), 39, "{before}: {page}");
    }
}

#[test]
fn an_aside_is_text_where_no_main_part_is_named() {
    let page = |aside: &str| site(&format!("<body><h1>Guide</h1><p>{PARAGRAPH}</p>{aside}<p>{PARAGRAPH}</p></body>"));
    assert!(page("<aside><p>Back up first.</p></aside>").contains("Back up first."));
    assert!(!page("<aside><a href=/1>Other guides</a></aside>").contains("Other guides"));
}

#[test]
fn several_articles_are_joined() {
    let post = |n: usize| format!("<article><p>Post {n}: {PARAGRAPH}</p></article>");
    let page = site(&format!("<div>menu</div>{}{}{}", post(1), post(2), post(3)));
    assert!((1..=3).all(|n| page.contains(&format!("Post {n}"))) && !page.contains("menu"), "{page}");
}

#[test]
fn listings_and_tables_outside_of_the_text_box_stay() {
    let page = format!(
        "<body><div class=intro><pre>brew install x</pre><table><tr><th>k<th>v<tr><td>port<td>8080</table></div><div class=post-content>{}</div></body>",
        format!("<p>{PARAGRAPH}</p>").repeat(20)
    );
    let page = site(&page);
    assert!(page.contains("brew install x") && page.contains("| port | 8080 |"), "{page}");
}

#[test]
fn titles() {
    for (html, title) in [
        ("<title>A &amp; B</title><svg><title>icon</title></svg>", Some("A & B")),
        ("<svg><title>icon</title></svg><p>x", None),
        ("<meta property='og:title' content='Shared'><title> </title>", Some("Shared")),
    ] {
        assert_eq!(to_markdown(html, Format::Html).unwrap().title.as_deref(), title, "{html}");
    }
}

#[test]
fn xhtml_is_read_as_such() {
    let page = "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='x.js'/></head>\
        <body><p>quokka one</p><a id='x'/><p>wombat <i/>two</p><![CDATA[a < b]]></body></html>";
    assert_eq!(site(page), "quokka one\n\nwombat two\n\na < b");
}

#[test]
fn depth_is_flattened_or_refused() {
    let deep = |n: usize| format!("{}x_y{} after", "<div><b>".repeat(n), "</b></div>".repeat(n));
    let shallow = text(&deep(2000));
    assert!(shallow.contains("x_y") && shallow.contains("after"), "{shallow}");
    assert!(matches!(to_markdown(&deep(20_000), Format::Html), Err(ParseError::Broken { .. })));
}

const ARTICLE: &str = "<meta property=og:type content=article><meta property=og:title content='The pier of Nord'>";

fn prose(about: &str) -> String {
    let sentence = |n: usize| format!("Sentence {n} about {about} says what nobody else has said of it before. ");
    format!("<p>{}</p>", (0..12).map(sentence).collect::<Vec<_>>().concat())
}

#[test]
fn an_article_is_told_from_the_others_on_its_page() {
    let others: Vec<String> =
        (0..4).map(|n| format!("<article><h1>Number {n}</h1>{}</article>", prose("another place"))).collect();
    let page = format!("{ARTICLE}<article><h1>The pier of Nord</h1>{}</article>{}", prose("the pier"), others.concat());
    let text = site(&page);
    assert!(text.starts_with("# The pier of Nord\n\nSentence 0 about the pier") && !text.contains("another place"), "{text}");
    // A page that does not say so is a list of all of them.
    assert!(site(&page.replace("content=article", "content=website")).contains("another place"));
    // One that is hardly more than a headline does not stand for the page.
    let hollow = format!("{ARTICLE}<article><h1>The pier of Nord</h1><p>Soon.</p></article>{}", others.concat());
    assert!(site(&hollow).contains("another place"));
}

#[test]
fn what_lies_over_the_page_and_is_closed_is_left_out() {
    let dialog = |id: &str, more: &str, inside: &str| {
        format!(
            "<div class=modal id={id} role=dialog aria-labelledby=l {more}><div class=modal-dialog><div class=modal-content><h4 id=l>Furniture</h4>\
             {inside}</div></div></div>"
        )
    };
    let help = "<table><tr><th>Keys<th>Action<tr><td><kbd>?</kbd><td>Open this help<tr><td><kbd>n</kbd><td>Next page</table>";
    let search =
        "<p>From here you can search these documents. Enter your search terms below.</p><form><input type=search></form>";
    // As mkdocs has them, on a page that is shorter than they are.
    for closed in ["aria-hidden=true", "hidden", "style='display:none'"] {
        let page = format!(
            "<body><div class=navbar><a href='#' data-bs-target='#search'>Search</a></div><div role=main><h1>Part 1</h1><p>Part 1 weighs 7 kg.</p></div>{}{}</body>",
            dialog("search", closed, search),
            dialog("help", closed, help)
        );
        assert_eq!(site(&page).trim(), "# Part 1\n\nPart 1 weighs 7 kg.", "{closed}");
    }
    // One that the text leads to, one that is open, and one that is the page.
    let plain =
        |id: &str, more: &str, inside: &str| format!("<div id={id} role=dialog aria-labelledby=l {more}>{inside}</div>");
    let tariff = |id: &str, more: &str| {
        let dialog = plain(id, more, "<h4 id=l>Tariffs</h4><p>Two crowns for a barge.</p>");
        let link = "<p><a href='#tariff' data-target='#tariff'>Tariff</a></p>";
        site(&format!("<body><main><h1>Guide</h1><p>{PARAGRAPH}</p>{link}{dialog}<p>{PARAGRAPH}</p></main></body>"))
    };
    assert!(tariff("tariff", "aria-hidden=true").contains("Two crowns"));
    assert!(tariff("open", "aria-hidden=false").contains("Two crowns"));
    assert!(!tariff("other", "aria-hidden=true").contains("Two crowns"));
    let whole = plain("app", "aria-hidden=true", &format!("<p>{PARAGRAPH}</p>").repeat(3));
    assert!(site(&format!("<body><p>Loading</p>{whole}</body>")).contains("snapshot"));
}

#[test]
fn what_an_article_shows_besides_is_left_out() {
    let about = prose("the pier");
    let page = format!(
        "{ARTICLE}<div class=print-header>Print logo</div><h1>The pier of Nord</h1>{about}\
         <div class=slideshow><figure><figcaption>A crane lifts the first stone of the new pier in the spring of that year.</figcaption></figure></div>\
         <p>Read more: <a href=/a>The pier that never was built, and why</a></p><p>Read more slowly than you would, and look.</p>\
         <p><span class=off-screen>Image copyright</span>By hand.</p><div class=x><div>You may also like...</div><p><a href=/b>Another pier</a></p>\
         <p><a href=/c>A third one</a></p></div>{}<div class='cli-modal' role=dialog><p>This site uses cookies that are needed, and other\
         cookies that it would like to have.</p></div>",
        prose("the harbour")
    );
    let text = site(&page);
    for gone in ["Print logo", "A crane", "never was built", "Image copyright", "also like", "third one", "cookies"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    for kept in ["Read more slowly", "By hand.", "about the harbour"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn a_caption_is_written_once_and_a_sentence_of_documentation_each_time() {
    let said = "<p>In this photograph of last Sunday, a long row of cars stands at the pier and waits for the ship.</p>";
    let page =
        format!("{ARTICLE}<h1>The pier of Nord</h1>{}<div>{said}<div>Photo: A</div>{said}</div>{}", prose("it"), prose("us"));
    assert_eq!(site(&page).matches("last Sunday").count(), 1);
    assert_eq!(site(&page.replace(ARTICLE, "")).matches("last Sunday").count(), 2);
    assert_eq!(site(&format!("{page}<pre>ship()</pre>")).matches("last Sunday").count(), 2);
}

#[test]
fn the_navigation_of_docbook_is_a_table_and_no_text() {
    let bar = |class: &str| {
        format!(
            "<div class={class}><table width=100%><tr><th colspan=4>Chapter 4. Keys</th></tr><tr><td><a href=a>Prev</a></td>\
             <td><a href=b>Up</a></td><td><a href=c>Home</a></td><td><a href=d>Next</a></td></tr></table><hr></div>"
        )
    };
    let words = "Keys are rotated once a week, and the service is started again after that. ".repeat(8);
    let table = "<table><tr><th>Key</th><th>Days</th></tr><tr><td>signing</td><td>7</td></tr></table>";
    let page = format!("{}<div class=chapter><h1>Keys</h1><p>{words}</p>{table}</div>{}", bar("navheader"), bar("navfooter"));
    let text = extract(page.as_bytes(), None).unwrap().extracted.text;
    assert!(!text.contains("Prev") && !text.contains("Chapter 4"), "{text}");
    assert!(text.contains("| signing | 7 |"), "{text}");
}
