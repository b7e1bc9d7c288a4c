//! Pages that are pictures.

use super::*;

/// A page that is a picture of the words "HARBOUR 42", as a scanner makes it.
fn scan() -> Vec<u8> {
    const ROWS: [&str; 7] = [
        "X...X..XXX..XXXX..XXXX...XXX..X...X.XXXX......X...XXX.",
        "X...X.X...X.X...X.X...X.X...X.X...X.X...X....XX..X...X",
        "X...X.X...X.X...X.X...X.X...X.X...X.X...X...X.X......X",
        "XXXXX.XXXXX.XXXX..XXXX..X...X.X...X.XXXX...X..X.....X.",
        "X...X.X...X.X.X...X...X.X...X.X...X.X.X....XXXXX...X..",
        "X...X.X...X.X..X..X...X.X...X.X...X.X..X......X...X...",
        "X...X.X...X.X...X.XXXX...XXX...XXX..X...X.....X..XXXXX",
    ];
    let (scale, edge) = (8, 20);
    let (width, height) = (ROWS[0].len() * scale + 2 * edge * scale, ROWS.len() * scale + 2 * edge * scale);
    let mut hex = String::new();
    for y in 0..height {
        for x in 0..width {
            let cell = (y / scale)
                .checked_sub(edge)
                .and_then(|r| ROWS.get(r)?.as_bytes().get((x / scale).checked_sub(edge)?).copied());
            hex.push_str(if cell == Some(b'X') { "00" } else { "FF" });
        }
    }
    let image = format!(
        "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8 \
         /Filter /ASCIIHexDecode /Length {} >>\nstream\n{hex}>\nendstream",
        hex.len() + 1
    );
    document(
        &["q 612 0 0 400 0 200 cm /Im Do Q".into(), put("F1", 12.0, 72.0, 700.0, "A page with text.")],
        "/XObject << /Im 10 0 R >>",
        &[&image],
    )
}

#[test]
fn scanned_pages_are_named() {
    let parsed = read(scan()).unwrap();
    assert_eq!(parsed.unread_pages, [1]);
    assert_eq!(parsed.extracted.text, "A page with text.");
    assert_eq!(parsed.pages.iter().map(|p| (p.start, p.page)).collect::<Vec<_>>(), [(0, 2)]);
    // Without the program: named, as if OCR were not wished for.
    let options =
        ParseOptions { ocr: Some(Ocr { program: "no-such-program".into(), ..Ocr::default() }), ..ParseOptions::default() };
    assert_eq!(parse_with(Hint::name("a.pdf"), scan(), &options).unwrap().unread_pages, [1]);
}

/// Needs `tesseract` with English on `PATH`.
#[test]
fn scanned_pages_are_read_where_that_is_wished_for() {
    let options = ParseOptions { ocr: Some(Ocr::default()), ..ParseOptions::default() };
    let parsed = parse_with(Hint::name("a.pdf"), scan(), &options).unwrap();
    assert!(parsed.unread_pages.is_empty(), "is tesseract installed? {parsed:?}");
    assert!(parsed.extracted.text.contains("HARBOUR"), "{:?}", parsed.extracted.text);
}
