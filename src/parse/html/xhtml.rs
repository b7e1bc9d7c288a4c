//! XHTML as HTML: what XML writes in ways that the HTML parser takes for something else.

/// Whether a page is XML by what it says at its top.
pub(super) fn is_xhtml(source: &str) -> bool {
    let head: String = source.trim_start_matches('\u{feff}').chars().take(2000).collect();
    head.trim_start().starts_with("<?xml") || head.contains("http://www.w3.org/1999/xhtml")
}

/// Writes `<title/>` as `<title></title>`, since an HTML parser takes the whole page for the title; CDATA as text; and
/// `<html:p>` as `<p>`.
pub(super) fn as_html(xhtml: &str) -> String {
    let prefix = prefix(xhtml);
    let mut out = String::with_capacity(xhtml.len() + xhtml.len() / 50);
    let mut rest = xhtml;
    let mut drawing = false;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        if let Some(data) = after.strip_prefix("![CDATA[") {
            let (data, after) = data.split_once("]]>").unwrap_or((data, ""));
            out.push_str(&data.replace('&', "&amp;").replace('<', "&lt;"));
            rest = after;
            continue;
        }
        if let Some(comment) = after.strip_prefix("!--") {
            let (comment, after) = comment.split_once("-->").unwrap_or((comment, ""));
            out.push_str("<!--");
            out.push_str(comment);
            out.push_str("-->");
            rest = after;
            continue;
        }
        out.push('<');
        let end = end_of_tag(after);
        let (Some(tag), Some(more)) = (after.get(..end), after.get(end + 1..)) else {
            rest = after;
            break;
        };
        rest = more;
        let (slash, tag) = tag.strip_prefix('/').map_or(("", tag), |tag| ("/", tag));
        let tag = prefix.as_deref().and_then(|prefix| tag.strip_prefix(prefix)?.strip_prefix(':')).unwrap_or(tag);
        let name: &str = tag.split(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).next().unwrap_or_default();
        if matches!(name, "svg" | "math") {
            drawing = slash.is_empty() && !tag.ends_with('/');
        }
        out.push_str(slash);
        match tag.strip_suffix('/') {
            Some(open) if !name.is_empty() && !drawing && !is_void(name) && !matches!(name, "svg" | "math") => {
                out.push_str(open);
                out.push_str("></");
                out.push_str(name);
            }
            _ => out.push_str(tag),
        }
        out.push('>');
        if slash.is_empty() && !tag.ends_with('/') && matches!(name, "script" | "style") {
            rest = raw(name, rest, &mut out);
        }
    }
    out.push_str(rest);
    out
}

/// Copies a script, in which nothing is a tag.
fn raw<'a>(name: &str, rest: &'a str, out: &mut String) -> &'a str {
    let end = format!("</{name}");
    let at = rest.find(&end).unwrap_or(rest.len());
    let (script, rest) = rest.split_at_checked(at).unwrap_or((rest, ""));
    out.push_str(script);
    rest
}

/// How far the end of a tag is looked for with regard to quotes.
const MAX_TAG: usize = 2048;

/// The `>` that ends a tag: one in the value of an attribute does not.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, b) in tag.bytes().enumerate().take(MAX_TAG) {
        match (quote, b) {
            (None, b'>') => return at,
            // No tag after all.
            (None, b'<') => break,
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
    }
    tag.find('>').unwrap_or(tag.len())
}

/// The prefix that XHTML's names have in a page where they have one.
fn prefix(source: &str) -> Option<String> {
    let at = source.find("http://www.w3.org/1999/xhtml")?;
    let before = source.get(..at)?.trim_end_matches(['"', '\'']).trim_end().strip_suffix('=')?.trim_end();
    let (_, prefix) = before.rsplit_once("xmlns:")?;
    (!prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| prefix.to_owned())
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_are_closed() {
        for (xhtml, html) in [
            ("<title/><br/><p class='x'/>a < b", "<title></title><br/><p class='x'></p>a < b"),
            ("<a id=\"a>b\"/>x", "<a id=\"a>b\"></a>x"),
            ("<svg><path/></svg><i/>", "<svg><path/></svg><i></i>"),
            ("<![CDATA[a < b & c]]>!", "a &lt; b &amp; c!"),
            ("<!-- <title/> --><script>if (a</b/>1) x</script>", "<!-- <title/> --><script>if (a</b/>1) x</script>"),
            (
                "<h:html xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:p>x</h:p>",
                "<html xmlns:h=\"http://www.w3.org/1999/xhtml\"><p>x</p>",
            ),
            ("a<", "a<"),
            ("<p", "<p"),
        ] {
            assert_eq!(as_html(xhtml), html);
        }
    }
}
