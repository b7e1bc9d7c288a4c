//! What the code of a notebook gave: as a reader of the notebook sees it.

use serde_json::Value;

use crate::parse::{Format, html};

/// Bytes kept of one output: enough for a table or a traceback, not for a log.
const MAX_OUTPUT: usize = 2000;
/// The same for a table and the like.
const MAX_RICH: usize = 8000;
/// Bytes kept of all that a cell gave.
const MAX_CELL: usize = 16_000;
/// A longer page is a program with data in it; what it draws is no text.
const MAX_PAGE: usize = 4 << 20;

/// A piece of output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Plain(String),
    Markdown(String),
}

/// What the cell printed, returned or failed with. Pictures and widgets have no text.
pub(super) fn of(cell: &Value) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut size = 0;
    for output in cell.get("outputs").and_then(Value::as_array).into_iter().flatten() {
        let shown = match output.get("output_type").and_then(Value::as_str) {
            Some("stream") => Shown::Plain(bounded(&printed(&joined(output.get("text"))), MAX_OUTPUT)),
            Some("error" | "pyerr") => Shown::Plain(failure(output)),
            _ => best(output),
        };
        let (Shown::Plain(text) | Shown::Markdown(text)) = &shown;
        size += text.len();
        match (all.last_mut(), shown) {
            (_, Shown::Plain(text) | Shown::Markdown(text)) if text.trim().is_empty() => {}
            (Some(Shown::Plain(before)), Shown::Plain(text)) => {
                before.push('\n');
                before.push_str(&text);
            }
            (_, shown) => all.push(shown),
        }
        if size > MAX_CELL {
            all.push(Shown::Plain("…".to_owned()));
            break;
        }
    }
    all
}

/// A string, or lines of it, as both are allowed.
pub(super) fn joined(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// The form that says most. Version 3 had the forms beside one another, and short names for them.
fn best(output: &Value) -> Shown {
    let form =
        |media_type: &str, name: &str| joined(output.get("data").map_or_else(|| output.get(name), |data| data.get(media_type)));
    let markdown = form("text/markdown", "markdown");
    if !markdown.trim().is_empty() {
        return Shown::Markdown(closed(bounded(&without_pictures(&markdown), MAX_RICH)));
    }
    let page = form("text/html", "html");
    if !page.trim().is_empty() && page.len() <= MAX_PAGE {
        // A broken page has its plain form still.
        let text = html::to_markdown(&page, Format::Notebook).map(|page| page.text).unwrap_or_default();
        if !text.trim().is_empty() {
            return Shown::Markdown(closed(bounded(&without_pictures(&text), MAX_RICH)));
        }
    }
    let formula = form("text/latex", "latex");
    if !formula.trim().is_empty() {
        return Shown::Markdown(bounded(&formula, MAX_RICH));
    }
    let plain = printed(&form("text/plain", "text"));
    if is_address(&plain) { Shown::Plain(String::new()) } else { Shown::Plain(bounded(&plain, MAX_OUTPUT)) }
}

/// `<Figure size 640x480 with 1 Axes>`, `<IPython.core.display.HTML object>`, `<Axes at 0x7f12>`: what stands for something that is
/// no text.
fn is_address(plain: &str) -> bool {
    let Some(inner) = plain.trim().strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) else { return false };
    !inner.contains(['<', '\n']) && (inner.starts_with("Figure size") || inner.ends_with(" object") || inner.contains(" at 0x"))
}

/// The trace, whose last lines say most, and what failed.
fn failure(output: &Value) -> String {
    let part = |key| output.get(key).and_then(Value::as_str).unwrap_or_default();
    let what = printed(&format!("{}: {}", part("ename"), part("evalue")));
    let lines = output.get("traceback").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let trace = printed(&lines.collect::<Vec<_>>().join("\n"));
    if trace.len() <= MAX_OUTPUT {
        return if trace.trim_end().ends_with(&what) {
            trace
        } else if trace.is_empty() {
            what
        } else {
            format!("{trace}\n{what}")
        };
    }
    let tail = trace.get(trace.ceil_char_boundary(trace.len() - MAX_OUTPUT)..).unwrap_or_default();
    let tail = tail.split_once('\n').map_or(tail, |(_, whole_lines)| whole_lines);
    format!("{}\n…\n{tail}", bounded(&what, MAX_OUTPUT))
}

/// Text as a terminal would show it: without colours, and of a line that was written over the last state.
fn printed(text: &str) -> String {
    let text = without_escapes(text);
    let last_state = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    let lines: Vec<String> = text.trim_matches('\n').split('\n').map(last_state).collect();
    lines.join("\n")
}

fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let opens = match c {
            '\u{1b}' => chars.next(),
            '\u{9b}' => Some('['),
            '\u{8}' => None,
            _ => {
                out.push(c);
                continue;
            }
        };
        match opens {
            // A control sequence ends with a letter or the like, a command to the terminal with a bell or an escape of its own.
            Some('[') => {
                while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                chars.next_if(|c| matches!(c, '@'..='~'));
            }
            // A character set is named by one more letter.
            Some('(' | ')') => {
                chars.next();
            }
            Some(']') => {
                while let Some(c) = chars.next() {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// Pictures that are written out in letters.
pub(super) fn without_pictures(markdown: &str) -> String {
    const MARK: &str = ";base64,";
    let mut out = String::with_capacity(markdown.len().min(MAX_PAGE));
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once(MARK) {
        let start = before.rfind("data:").filter(|&at| before.len() - at < 100);
        if let Some(before) = start.and_then(|at| before.get(..at)) {
            out.push_str(before);
            rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/=%".contains(c));
        } else {
            out.push_str(before);
            out.push_str(MARK);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// With the end of a fence that was cut off, which would take in all that follows.
fn closed(markdown: String) -> String {
    let mut open: Option<&str> = None;
    for line in markdown.lines() {
        let bare = line.trim_start();
        let mark = bare.get(..bare.len() - bare.trim_start_matches(['`', '~']).len()).unwrap_or_default();
        match open {
            Some(fence) if mark.starts_with(fence) && bare.trim_end() == mark => open = None,
            None if mark.len() > 2 && (mark.starts_with("```") || mark.starts_with("~~~")) => open = Some(mark),
            _ => {}
        }
    }
    match open {
        Some(fence) => format!("{markdown}\n{fence}"),
        None => markdown,
    }
}

/// The first lines, as many as there is room for; of a line that is too long its start.
fn bounded(text: &str, limit: usize) -> String {
    let text = text.trim_matches('\n').trim_end();
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = text.get(..text.floor_char_boundary(limit)).unwrap_or_default();
    let head = head.rsplit_once('\n').map(|(lines, _)| lines).filter(|lines| lines.len() * 2 > limit).unwrap_or(head);
    format!("{head}\n…")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(outputs: &Value) -> Vec<Shown> {
        of(&json!({ "outputs": outputs }))
    }

    #[test]
    fn outputs_are_what_a_reader_sees() {
        let plain = |text: &str| vec![Shown::Plain(text.to_owned())];
        let rich = |text: &str| vec![Shown::Markdown(text.to_owned())];
        let data = |data: Value| json!([{ "output_type": "display_data", "data": data }]);
        for (outputs, want) in [
            (
                json!([{"output_type": "stream", "text": ["\u{1b}[31mWarning\u{1b}[0m: residual 0.82\n", "\u{1b}]0;title\u{7}done\u{1b}[1;32mx\u{1b}(B"]}]),
                plain("Warning: residual 0.82\ndonex"),
            ),
            (json!([{"output_type": "stream", "text": "10%\r50%\r100%\r\nready\n"}]), plain("100%\nready")),
            (
                data(
                    json!({"text/markdown": ["**Best model**: wigeon"], "text/plain": ["<IPython.core.display.Markdown object>"]}),
                ),
                rich("**Best model**: wigeon"),
            ),
            (data(json!({"text/latex": ["$x^2$"], "text/plain": ["x**2"]})), rich("$x^2$")),
            (data(json!({"image/png": "iVBOR", "text/plain": ["<Figure size 640x480 with 1 Axes>"]})), vec![]),
            (data(json!({"text/html": "<script>draw()</script>", "text/plain": "Chart(3 bars)"})), plain("Chart(3 bars)")),
            (data(json!({"text/html": "<div>"})), vec![]),
            (data(json!({"application/json": {"a": 1}, "text/plain": "{'a': 1}"})), plain("{'a': 1}")),
            (json!([{"output_type": "pyout", "html": "<b>old</b>", "text": "x"}]), rich("**old**")),
            (
                json!([{"output_type": "stream", "text": "a\n"}, {"output_type": "execute_result", "data": {"text/plain": "b"}}]),
                plain("a\nb"),
            ),
            (
                json!([{"output_type": "error", "ename": "KeyError", "evalue": "'q'", "traceback": ["\u{1b}[0;31mTraceback\u{1b}[0m", "  x['q']", "\u{1b}[0;31mKeyError\u{1b}[0m: 'q'"]}]),
                plain("Traceback\n  x['q']\nKeyError: 'q'"),
            ),
            (json!([{"output_type": "error", "ename": "E", "evalue": "bad", "traceback": []}]), plain("E: bad")),
        ] {
            assert_eq!(shown(&outputs), want, "{outputs}");
        }
    }

    #[test]
    fn tables_are_tables() {
        let frame = "<style>td {}</style><table border='1' class='dataframe'><thead><tr style='text-align: right;'><th></th><th>name</th><th>n</th></tr></thead>\
            <tbody><tr><th>0</th><td>teal</td><td>41</td></tr></tbody></table><p>1 rows × 2 columns</p>";
        let got = shown(
            &json!([{"output_type": "execute_result", "data": {"text/html": frame, "text/plain": "   name  n\n0  teal 41"}}]),
        );
        let Some(Shown::Markdown(text)) = got.first() else { unreachable!("{got:?}") };
        assert!(text.contains("| 0 | teal | 41 |") && text.contains("| name | n |") && !text.contains("td {}"), "{text}");
    }

    #[test]
    fn output_is_bounded_and_ends_with_what_failed() {
        let trace: Vec<String> = (0..500).map(|n| format!("  line {n} of the trace")).collect();
        let got = shown(&json!([{"output_type": "error", "ename": "E", "evalue": "bad", "traceback": trace}]));
        let Some(Shown::Plain(text)) = got.first() else { unreachable!("{got:?}") };
        assert!(text.starts_with("E: bad\n…\n") && text.ends_with("line 499 of the trace") && text.len() < 2100, "{text}");
        let many: Vec<Value> = (0..100).map(|_| json!({"output_type": "stream", "text": "x\n".repeat(5000)})).collect();
        let size: usize = shown(&Value::from(many)).iter().map(|(Shown::Plain(text) | Shown::Markdown(text))| text.len()).sum();
        assert!(size < MAX_CELL + MAX_OUTPUT + 100, "{size}");
    }

    #[test]
    fn no_fence_stays_open() {
        assert_eq!(closed("a\n````py\n```\nx".to_owned()), "a\n````py\n```\nx\n````");
        assert_eq!(closed("```\nx\n```\n~~~\ny\n~~~".to_owned()), "```\nx\n```\n~~~\ny\n~~~");
    }

    #[test]
    fn pictures_in_letters_are_left_out() {
        assert_eq!(without_pictures("![a plot](data:image/png;base64,iVBOR+/=) x"), "![a plot]() x");
        assert_eq!(without_pictures("say ;base64, twice"), "say ;base64, twice");
    }
}
