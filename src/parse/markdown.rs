//! Markdown that other crates wrote, made fit to be searched.

/// A fence that nothing in the text closes.
pub(super) fn fence_for(content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Takes out the backslashes that keep `snake_case` and `a[0]` from being markup: nothing renders this text, and words are
/// searched as they are written. Code keeps its own, and the escapes at the start of a line stay, which keep a sentence
/// from becoming a heading or a list.
pub(super) fn unescape(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut fence = String::new();
    for line in markdown.split_inclusive('\n') {
        let bare = line.trim_start();
        let ticks: String = bare.chars().take_while(|&c| c == '`').collect();
        if fence.is_empty() && ticks.len() >= 3 {
            fence = ticks;
        } else if !fence.is_empty() {
            if bare.trim_end() == fence {
                fence.clear();
            }
        } else {
            unescape_line(line, &mut out);
            continue;
        }
        out.push_str(line);
    }
    out
}

fn unescape_line(line: &str, out: &mut String) {
    let mut chars = line.chars().peekable();
    let mut in_code = false;
    // "1\\. Overview" as a heading cannot be taken for a list.
    let in_heading = line.starts_with('#');
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&next @ ('_' | '*' | '[' | ']' | '<' | '\\' | '`' | '.')))
                if !in_code && (next != '.' || in_heading) =>
            {
                out.push(next);
                chars.next();
            }
            _ => {
                in_code ^= c == '`';
                out.push(c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_hold_fences() {
        assert_eq!(fence_for("a"), "```");
        assert_eq!(fence_for("```\na\n```"), "````");
    }

    #[test]
    fn escapes_are_taken_out_of_prose_alone() {
        for (escaped, plain) in [
            (r"snake\_case a\[0\] \<b>", "snake_case a[0] <b>"),
            (r"# 1\. Overview", "# 1. Overview"),
            (r"1\. Not a list, \# nor a heading", r"1\. Not a list, \# nor a heading"),
            (r"the class `[\[\]]` and \_", r"the class `[\[\]]` and _"),
            ("```\na\\_b\n```\nc\\_d", "```\na\\_b\n```\nc_d"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
