//! How deep a page nests, before it is read.

/// The number of elements that are open at once, at least: those whose end tag the standard lets one leave out are not
/// counted, since pages with thousands of open `<p>` are sloppy, not deep.
pub(super) fn open_at_once(html: &str) -> usize {
    let (mut open, mut most) = (0usize, 0usize);
    // Only within these do the tags of empty elements close themselves.
    let mut in_drawing = false;
    let bytes = html.as_bytes();
    for (at, _) in html.match_indices('<') {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let closes = rest.first() == Some(&b'/');
        let name = rest.get(usize::from(closes)..).unwrap_or_default();
        let end = name.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(name.len()).min(12);
        let name = name.get(..end).unwrap_or_default().to_ascii_lowercase();
        let name = name.as_slice();
        if matches!(name, b"svg" | b"math") {
            in_drawing = !closes;
        }
        let empty =
            in_drawing && rest.iter().position(|&b| b == b'>').and_then(|end| rest.get(end.checked_sub(1)?)) == Some(&b'/');
        let counted = !empty
            && !name.is_empty()
            && !matches!(name, b"p" | b"li" | b"dt" | b"dd" | b"td" | b"th" | b"tr" | b"option")
            && !is_void(name);
        if counted {
            open = if closes { open.saturating_sub(1) } else { open + 1 };
            most = most.max(open);
        }
    }
    most
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}
