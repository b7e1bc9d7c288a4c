//! `format=flowed` (RFC 3676): lines that end with a space go on in the next one.

/// The paragraphs as they were written. `delsp`: the space was put there and is no part of the text.
pub(super) fn unflow(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of the quotation that the line before belongs to, if it goes on.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let bare = line.trim_start_matches('>');
        let depth = line.len() - bare.len();
        let content = bare.strip_prefix(' ').unwrap_or(bare);
        let is_signature = content.trim_end_matches('\r') == "-- ";
        if open == Some(depth) && !is_signature {
            join(&mut out, content);
        } else {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&">".repeat(depth));
            if depth > 0 {
                out.push(' ');
            }
            out.push_str(content);
        }
        open = (content.ends_with(' ') && !is_signature).then_some(depth);
        if open.is_some() && delsp {
            out.pop();
        }
    }
    out
}

/// Chinese and Japanese have no spaces between words; writers who do not say `delsp` break their lines with them all the same.
fn join(out: &mut String, content: &str) {
    let before = out.trim_end_matches(' ').chars().next_back();
    if before.is_some_and(is_spaceless) && content.chars().next().is_some_and(is_spaceless) && out.ends_with(' ') {
        out.truncate(out.trim_end_matches(' ').len());
    }
    out.push_str(content);
}

fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_whole_again() {
        assert_eq!(unflow("One long \nparagraph.\n\nNext.\n", false), "One long paragraph.\n\nNext.");
        assert_eq!(unflow("> quoted \n> text\n>> deeper \nmine", false), "> quoted text\n>> deeper \nmine");
        assert_eq!(unflow(" From here\n >not quoted", false), "From here\n>not quoted");
        assert_eq!(unflow("text \n-- \nAnn", false), "text \n-- \nAnn", "a signature is never joined");
        assert_eq!(unflow("会议改到星 \n期三。", true), "会议改到星期三。");
        assert_eq!(unflow("会议改到星 \n期三。", false), "会议改到星期三。");
        assert_eq!(unflow("well-be \ning", true), "well-being");
    }
}
