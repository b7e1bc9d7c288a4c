//! Cells on one line.

/// The text of a cell on one line: blanks squeezed, list items and rows of tables parted by `; `, fences left out.
pub(super) fn one(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || is_fence(line) || is_delimiter(line) {
            continue;
        }
        let item = line.strip_prefix("- ");
        let row = row_of_table(line);
        let parts = (item.is_some() || row.is_some())
            && !out.ends_with(['.', ':', ';', ',', '!', '?', '。', '：', '；', '，', '！', '？']);
        if !out.is_empty() {
            out.push_str(if parts { "; " } else { " " });
        }
        push_squeezed(row.as_deref().or(item).unwrap_or(line), &mut out);
    }
    out
}

fn push_squeezed(line: &str, out: &mut String) {
    for (n, word) in line.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") && !line.trim_start_matches('`').contains('`')
}

fn is_delimiter(line: &str) -> bool {
    line.starts_with('|') && line.contains('-') && line.bytes().all(|b| matches!(b, b'|' | b'-' | b' ' | b':'))
}

/// The cells of a row of GFM.
fn row_of_table(line: &str) -> Option<String> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, cells.last_mut()) {
            ('\\', Some(cell)) if chars.next_if_eq(&'|').is_some() => cell.push('|'),
            ('|', _) => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    cells.retain(|cell| !cell.trim().is_empty());
    Some(cells.iter().map(|cell| cell.trim()).collect::<Vec<_>>().join(", "))
}

/// Keeps bars from parting cells. A bar that is escaped already stays as it is.
pub(super) fn push_escaped(cell: &str, out: &mut String) {
    let mut escaped = false;
    for c in cell.chars() {
        if c == '|' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    // Else it would escape the bar that ends the cell, were the blank between them taken away.
    if escaped {
        out.push(' ');
    }
}

/// Whether there is code of more than one line.
pub(super) fn holds_listing(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.any(is_fence) && lines.take_while(|line| !is_fence(line)).take(2).count() > 1
}

pub(super) fn holds_heading(text: &str) -> bool {
    text.lines().any(|line| {
        let bare = line.trim_start_matches('#');
        (1..=6).contains(&(line.len() - bare.len())) && bare.starts_with(' ')
    })
}

pub(super) fn holds_table(text: &str) -> bool {
    text.lines().any(|line| is_delimiter(line.trim()))
}
