//! Markdown that other crates wrote, made fit to be searched.

/// A fence that nothing in the text closes.
pub(super) fn fence_for(content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_hold_fences() {
        assert_eq!(fence_for("a"), "```");
        assert_eq!(fence_for("```\na\n```"), "````");
    }
}
