use proptest::prelude::*;

use super::*;
use crate::serve::blocks::Blocks;

fn pieces<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let (mut blocks, mut finished) = (Blocks::default(), Vec::new());
    parts.into_iter().for_each(|part| blocks.push(part, &mut finished));
    blocks.finish(&mut finished);
    finished.iter().map(|piece| html(piece)).collect()
}

#[test]
fn what_models_write_is_shown_as_they_mean_it() {
    let markdown = "# Keys\n\nRotate **all** of `them`\\\nnow:\n\n- one\n- two\n\n| n | what |\n|--:|:-:|\n| 1 | a<br>b |\n\n```sh\nls <dir>\n```\n";
    assert_eq!(
        html(markdown).replace('\n', ""),
        "<h3>Keys</h3><p>Rotate <strong>all</strong> of <code>them</code><br>now:</p><ul><li>one</li><li>two</li></ul>\
         <div class=\"table\"><table><thead><tr><th class=\"right\">n</th><th class=\"center\">what</th></tr></thead><tbody><tr>\
         <td class=\"right\">1</td><td class=\"center\">a<br>b</td></tr></tbody></table></div><pre><code>ls &lt;dir&gt;</code></pre>"
    );
    assert_eq!(html("3. three\n4. ~~four~~").replace('\n', ""), "<ol start=\"3\"><li>three</li><li><del>four</del></li></ol>");
    assert_eq!(html("轮换**所有**密钥。"), "<p>轮换<strong>所有</strong>密钥。</p>\n");
    // As CommonMark does not have it.
    let bold = "<p><strong>注意：</strong>先备份<strong>“密钥”</strong>（<strong>必须</strong>）</p>\n";
    assert_eq!(html("**注意：**先备份**“密钥”**（**必须**）"), bold);
    assert_eq!(html("`：**请`"), "<p><code>：**请</code></p>\n");
    assert_eq!(html("```\n：**请\n```"), "<pre><code>：**请\n</code></pre>\n");
}

#[test]
fn a_citation_is_a_link_to_its_source_whatever_stands_around_it() {
    let cited = |n| format!("<a class=\"cite\" href=\"#s{n}\" rel=\"noopener noreferrer nofollow\">{n}</a>");
    let markdown = format!("Weekly{}{}(see there).", citation(&[1], &[], false), citation(&[2, 3], &[9], false));
    assert_eq!(html(&markdown), format!("<p>Weekly{}{}{}[9](see there).</p>\n", cited(1), cited(2), cited(3)));
    let markdown = format!("`a{0}` and [x{0}](https://example.org)", citation(&[1], &[], false));
    assert!(html(&markdown).contains("<code>a[1]</code>") && html(&markdown).contains(">x[1]</a>"));
    assert_eq!(html(&unmarked("a\u{fdd0}1\u{fdd1}b")), "<p>a1b</p>\n", "a text's own marks are none");
}

#[test]
fn nothing_of_it_acts_and_no_image_is_fetched() {
    assert_eq!(html("<b onclick=x>hi</b>"), "<p>&lt;b onclick=x&gt;hi&lt;/b&gt;</p>\n");
    assert_eq!(html("<div>\nhi\n</div>"), "<p>&lt;div&gt;\nhi\n&lt;/div&gt;</p>\n");
    let link = |words: &str, to: &str| {
        format!("<p><a href=\"{to}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">{words}</a></p>\n")
    };
    assert_eq!(html("![a picture](https://example.org/a.png)"), link("a picture", "https://example.org/a.png"));
    assert_eq!(html("![](https://example.org/a.png)"), link("https://example.org/a.png", "https://example.org/a.png"));
    assert_eq!(html("[![badge](https://a.example/b.svg)](https://b.example)"), link("badge", "https://b.example"));
    assert_eq!(html("![see [this](https://b.example)](https://a.example)"), link("see this", "https://a.example"));
    assert_eq!(html("<mailto:a@example.org>"), link("mailto:a@example.org", "mailto:a@example.org"));
    for address in ["javascript:x", "data:text/html,x", "/api/ask", "//example.org/x", "file:///etc", "#top", "#s1x"] {
        let shown = html(&format!("[x]({address})"));
        assert!(!shown.contains("href") && shown.contains(">x</a>"), "{shown}");
    }
}

#[test]
fn what_is_nested_too_deeply_is_shown_without_its_depth() {
    let deep = format!("{} end", ">".repeat(200));
    assert!(html(&deep).contains("end") && html(&deep).matches("<blockquote>").count() <= 2 * DEEPEST);
    let list: String = (0..100).flat_map(|n| ["  ".repeat(n), "- item\n".to_owned()]).collect();
    assert!(html(&list).matches("<ul>").count() <= DEEPEST);
}

/// Bits of Markdown and of HTML, in any order.
fn soup() -> impl Strategy<Value = String> {
    let bits = [
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "> ",
        "# ",
        "```",
        "~~~\n",
        "`",
        "**",
        "*",
        "_",
        "~~",
        "[",
        "]",
        "(",
        ")",
        "![",
        "](https://a.example)",
        "[x]: https://b.example\n",
        "| a | b |\n|---|--:|\n",
        "|",
        "<script>",
        "</a>",
        "<img src=x>",
        "<a href=\"#s1\">",
        "<!--",
        "-->",
        "&lt;",
        "\"",
        "'",
        "\\",
        "  ",
        "    ",
        "\t",
        "word",
        "页",
        "：",
        "\u{fdd0}1\u{fdd1}",
        "\u{0}",
        "---\n",
        "===\n",
        "<br>",
        "<https://c.example>",
    ];
    prop::collection::vec(prop_oneof![4 => prop::sample::select(bits.to_vec()).prop_map(str::to_owned), 1 => ".{0,3}"], 0..40)
        .prop_map(|bits| bits.concat())
}

/// The tags of HTML, with their attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect()
}

proptest! {
    /// However an answer comes, what is shown at the end is the same.
    #[test]
    fn html_does_not_depend_on_how_the_text_comes(text in soup(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let cut = pieces(places.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()));
        prop_assert_eq!(cut, pieces([text.as_str()]));
    }

    /// Cut into pieces it looks as it does in one: of text without HTML, addresses that are defined elsewhere, and rules that end in
    /// the middle of something.
    #[test]
    fn pieces_together_are_the_whole(blocks in prop::collection::vec(prop::sample::select(vec![
        "A paragraph\nof *two* lines.", "# Heading", "- one\n- two\n  - inner", "- loose\n\n- items\n\n  with more", "1. first\n\n2. second",
        "```\ncode\n\n- no list\n```", "~~~sh\n# no heading\n~~~", "> a quote\n> - list\n\n> another", "| a | b |\n|---|--:|\n| 1 | 2 |", "---",
        "    indented\n\n    code", "Setext\n======", "text:\n- a\n\n- b", "段落**重点**。", "- ```\n  in a list\n\n  still\n  ```",
    ]), 0..8)) {
        let text = blocks.join("\n\n") + "\n";
        let parts = pieces([text.as_str()]).concat();
        prop_assert_eq!(parts, html(&text));
    }

    /// Whatever comes in, nothing but what is allowed comes out.
    #[test]
    fn nothing_else_comes_out(text in soup()) {
        for piece in pieces([text.as_str()]) {
            for tag in tags(&piece) {
                let mut words = tag.split(' ');
                let name = words.next().unwrap().trim_start_matches('/');
                prop_assert!(TAGS.contains(&name), "{} of {}", tag, piece);
                if name == "a" && tag.contains("href") {
                    let href = tag.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
                    let scheme = ["http://", "https://", "mailto:"].iter().any(|scheme| href.to_lowercase().starts_with(scheme));
                    prop_assert!(scheme || source(href).is_some(), "{}", tag);
                    prop_assert!(tag.contains("rel=\"noopener noreferrer nofollow\""), "{}", tag);
                }
                for attribute in words.filter(|word| word.contains('=')) {
                    let known = ["href=", "target=", "rel=", "class=", "start="].iter().any(|known| attribute.starts_with(known));
                    prop_assert!(known || tag.starts_with('a'), "{}", tag);
                }
            }
        }
    }
}
