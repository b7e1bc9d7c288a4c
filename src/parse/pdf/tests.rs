#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod headings;
mod scanned;

use std::fmt::Write as _;

use super::super::{Hint, Ocr, ParseError, ParseOptions, Parsed, Password, parse_with};
use super::*;

/// A document of pages with this content, in Helvetica (`/F1`), Courier (`/F2`), Helvetica-Bold (`/F3`); `more` objects
/// begin at number 10 and may be named in the pages' resources by `resources`.
fn document(pages: &[String], resources: &str, more: &[&str]) -> Vec<u8> {
    let mut objects: Vec<(usize, String)> = vec![(1, "<< /Type /Catalog /Pages 2 0 R >>".to_owned())];
    let first = 10 + more.len();
    let kids: Vec<String> = (0..pages.len()).map(|i| format!("{} 0 R", first + 2 * i)).collect();
    objects.push((2, format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len())));
    for (i, name) in ["Helvetica", "Courier", "Helvetica-Bold"].iter().enumerate() {
        objects.push((3 + i, format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")));
    }
    objects.extend(more.iter().enumerate().map(|(i, object)| (10 + i, (*object).to_owned())));
    for (i, content) in pages.iter().enumerate() {
        let at = first + 2 * i;
        objects.push((
            at,
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R \
                 /F3 5 0 R /F4 10 0 R >> {resources} >> >>",
                at + 1
            ),
        ));
        objects.push((at + 1, format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len())));
    }
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (number, object) in &objects {
        let _ = write!(table, "{number} 1\n{:010} 00000 n \n", out.len());
        out.extend(format!("{number} 0 obj\n{object}\nendobj\n").chars().map(|c| c as u8));
    }
    let at = out.len();
    out.extend(format!("xref\n{table}trailer << /Size 999 /Root 1 0 R >>\nstartxref\n{at}\n%%EOF").into_bytes());
    out
}

/// Text in some font at some place, from the bottom left corner.
fn put(font: &str, size: f64, x: f64, y: f64, text: &str) -> String {
    format!("BT /{font} {size} Tf 1 0 0 1 {x:.2} {y:.2} Tm ({text}) Tj ET\n")
}

fn lines(size: f64, x: f64, y: f64, step: f64, lines: &[&str]) -> String {
    lines.iter().enumerate().map(|(i, line)| put("F1", size, x, y - step * i as f64, line)).collect()
}

fn read(bytes: Vec<u8>) -> Result<Parsed, ParseError> {
    parse_with(Hint::name("a.pdf"), bytes, &ParseOptions::default())
}

fn text(pages: &[String]) -> String {
    read(document(pages, "", &[])).unwrap().extracted.text
}

const STORE: [&str; 12] = [
    "The server keeps all signing keys in a sealed",
    "store that only the rotation job may open and",
    "read. Every night at two the job makes a fresh",
    "copy of it and sends the copy to the vault in",
    "the second site. Operators see the result of",
    "each run on the status page, and failed runs",
    "are reported by mail as well. A key that has",
    "grown older than ninety days is marked for the",
    "rotation, and nobody can use it to sign a new",
    "build. The older signatures stay valid until",
    "they expire. When a site is lost the vault can",
    "restore the store in less than ten minutes.",
];

const NODES: [&str; 12] = [
    "Wombat nodes answer the queries of the public",
    "index and hold no secrets whatsoever, so that",
    "they can be replaced at any time without ask-",
    "ing the operators. They are started from an",
    "image that is built weekly and checked by the",
    "scanner before it is released to the fleet,",
    "and each node drops its state on restart. The",
    "traffic is spread over the nodes by a hash of",
    "names so that one name is always answered by",
    "the same one. If a node fails its names move",
    "to the neighbours, which takes less than one",
    "second in the measurements of this spring.",
];

#[test]
fn words_are_told_by_their_places() {
    let mut page = "BT /F1 12 Tf ".to_owned();
    for (x, word) in [(50.0, "Each"), (80.68, "word"), (111.37, "is"), (124.0, "placed"), (163.3, "alone")] {
        let _ = write!(page, "1 0 0 1 {x} 700 Tm ({word}) Tj ");
    }
    assert_eq!(text(&[page + "ET"]), "Each word is placed alone");
    // Letters set apart on purpose, and a line whose blanks are nothing but movements.
    assert_eq!(text(&["BT /F1 12 Tf 3 Tc 50 700 Td (SPACED OUT) Tj ET".into()]), "SPACED OUT");
    assert_eq!(text(&["BT /F1 12 Tf 50 700 Td [(one) -300 (two) 20 (s)] TJ ET".into()]), "one twos");
    // Drawn twice, a little apart.
    let bold = put("F1", 12.0, 50.0, 700.0, "All bold") + &put("F1", 12.0, 50.4, 700.0, "All bold");
    assert_eq!(text(&[bold]), "All bold");
    assert_eq!(text(&[put("F1", 12.0, 50.0, 700.0, "small village bell")]), "small village bell");
}

#[test]
fn two_columns_are_read_one_after_the_other_wherever_they_stand() {
    let step = 12.0;
    for (left, gap) in [(72.0, 10.0), (60.0, 10.0), (90.0, 12.0), (48.0, 20.0), (100.0, 9.0)] {
        let width = 218.0;
        let page = put("F3", 16.0, left + 60.0, 740.0, "A title that stands across both of its columns")
            + &lines(10.0, left, 700.0, step, &STORE)
            + &lines(10.0, left + width + gap, 700.0, step, &NODES);
        let text = text(&[page]);
        assert!(
            text.contains("sealed store that only the rotation job may open and read. Every night"),
            "{left} {gap}: {text}"
        );
        assert!(text.contains("without asking the operators. They are started"), "{left} {gap}: {text}");
        let (title, first, second) = (text.find("A title"), text.find("The server"), text.find("Wombat"));
        assert!(title < first && first < second, "{text}");
    }
}

#[test]
fn three_columns_are_seen() {
    let narrow = |y: f64, x: f64, name: &str| -> String {
        let all: Vec<String> = (0..10)
            .map(|i| {
                if i == 0 {
                    format!("Column {name} begins with these words")
                } else {
                    format!("and goes on with line {i} of its own")
                }
            })
            .collect();
        lines(9.0, x, y, 11.0, &all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let page = narrow(700.0, 50.0, "one") + &narrow(700.0, 220.0, "two") + &narrow(700.0, 390.0, "three");
    let text = text(&[page]);
    let places = ["Column one", "Column two", "Column three"].map(|c| text.find(c).unwrap());
    assert!(places[0] < places[1] && places[1] < places[2], "{text}");
    assert!(text.contains("these words and goes on with line 1 of its own and goes on with line 2"), "{text}");
}

#[test]
fn a_table_is_no_two_columns() {
    let mut page = String::new();
    for i in 0..12 {
        let y = 700.0 - 16.0 * f64::from(i);
        page += &put("F1", 10.0, 72.0, y, &format!("Setting number {i} of the lantern server"));
        page += &put("F1", 10.0, 360.0, y, &format!("value {} seconds per operation", i * 7));
    }
    let text = text(&[page]);
    assert!(text.contains("\nSetting number 5 of the lantern server value 35 seconds per operation\n"), "{text}");
}

#[test]
fn rules_make_tables() {
    let mut page = put("F1", 10.0, 72.0, 740.0, "Before the table.");
    for i in 0..4 {
        let _ = writeln!(page, "72 {y} m 372 {y} l S", y = 640 + 20 * i);
    }
    for x in [72, 172, 272, 372] {
        let _ = writeln!(page, "{x} 640 m {x} 700 l S");
    }
    for (row, cells) in [["Name", "Qty", "a | b"], ["Bolt", "3", "0.50"], ["Hex nut", "", "0.20"]].iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            page += &put("F1", 10.0, 76.0 + 100.0 * column as f64, 686.0 - 20.0 * row as f64, cell);
        }
    }
    page += &put("F1", 10.0, 72.0, 600.0, "After the table.");
    let text = text(&[page]);
    for row in ["| Name | Qty | a \\| b |", "| Bolt | 3 | 0.50 |", "| Hex nut | | 0.20 |"] {
        assert!(text.contains(row), "{row} in {text}");
    }
    assert!(text.find("Before") < text.find("| Name") && text.find("| Name") < text.find("After"), "{text}");
}

/// A box around text, as a cell is drawn.
fn boxed(x: f64, y: f64, width: f64, height: f64, text: &str) -> String {
    format!("{x:.2} {y:.2} {width:.2} {height:.2} re S\n") + &put("F1", 9.0, x + 4.0, y + 4.0, text)
}

#[test]
fn a_ruled_table_within_aligned_rows_stays() {
    let mut page = String::new();
    for (row, y) in [650.0, 634.0, 618.0, 450.0, 434.0, 418.0].into_iter().enumerate() {
        page += &put("F1", 9.0, 72.0, y, &format!("Left {row}"));
        page += &put("F1", 9.0, 330.0, y, &format!("Right {row}"));
    }
    for (side, x) in [("port", 72.0), ("starboard", 330.0)] {
        for row in 0..4 {
            let y = 580.0 - 20.0 * f64::from(row);
            page += &boxed(x, y, 80.0, 20.0, &format!("{side} {row}"));
            page += &boxed(x + 80.0, y, 80.0, 20.0, &format!("{}", 7 * row));
        }
    }
    let text = text(&[page]);
    for row in ["Left 2", "Right 5", "| port 3 | 21 |", "| starboard 0 | 0 |"] {
        assert!(text.contains(row), "{row} in {text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() })]

    /// Wherever words stand and rules run, no word is lost.
    #[test]
    fn no_word_is_lost(
        loose in proptest::collection::btree_set((0u32..12, 0u32..40), 0..40),
        columns in proptest::collection::btree_set(0u32..12, 0..5),
        rows in proptest::collection::btree_set(0u32..40, 0..20),
        frames in proptest::collection::vec((0u32..12, 0u32..40, 1u32..4, 1u32..4, 1u32..4, 1u32..6), 0..5),
    ) {
        let words: std::collections::BTreeSet<(u32, u32)> =
            columns.iter().flat_map(|column| rows.iter().map(move |row| (*column, *row))).chain(loose).collect();
        proptest::prop_assume!(!words.is_empty());
        let place = |column: u32, row: u32| (50.0 + 42.0 * f64::from(column), 740.0 - 17.0 * f64::from(row));
        let mut page = String::new();
        for (column, row, wide, high, columns, rows) in frames {
            let (x, y) = place(column, row);
            for (i, j) in (0..columns).flat_map(|i| (0..rows).map(move |j| (i, j))) {
                let (width, height) = (42.0 * f64::from(wide), 17.0 * f64::from(high));
                let (left, top) = (x - 3.0 + width * f64::from(i), y + 13.0 - height * f64::from(j));
                let _ = writeln!(page, "{left} {} {width} {height} re S", top - height);
            }
        }
        for (column, row) in &words {
            let (x, y) = place(*column, *row);
            page += &put("F1", 9.0, x, y, &format!("w{column}x{row}"));
        }
        let text = text(&[page]);
        let read: std::collections::BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for (column, row) in words {
            let word = format!("w{column}x{row}");
            proptest::prop_assert!(read.contains(word.as_str()), "{} in {}", word, text);
        }
    }
}

#[test]
fn values_that_touch_are_two_and_what_stands_above_something_is_no_part_of_it() {
    let page = put("F1", 10.0, 72.0, 700.0, "73.3") + &put("F1", 10.0, 92.4, 700.0, "72.6");
    assert_eq!(text(&[page]), "73.3 72.6");
    // The caption of a button, and what its field says.
    let page = put("F1", 10.0, 72.0, 700.0, "Submitted") + &put("F1", 10.0, 80.0, 700.0, "yes");
    assert_eq!(text(&[page]), "Submitted yes");
    // A raised letter above a lowered one, and a raised number.
    let scripts = |upper: &str| {
        put("F1", 12.0, 72.0, 700.0, "The value of v")
            + &put("F1", 7.0, 148.0, 705.0, upper)
            + &put("F1", 7.0, 147.5, 697.0, "max")
            + &put("F1", 12.0, 180.0, 700.0, "is known")
    };
    assert_eq!(text(&[scripts("C")]), "The value of vmax C is known");
    assert_eq!(text(&[scripts("2")]), "The value of vmax^2 is known");
}

#[test]
fn codes_are_letters_where_a_font_says_so_by_a_name() {
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /Pier /Encoding /Identity-H /ToUnicode /Identity-H /DescendantFonts [11 0 R] >>";
    let own = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Pier /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) \
               /Supplement 0 >> >>";
    let page = "BT /F4 12 Tf 72 700 Td <007000ED006500720020706F> Tj ET".to_owned();
    assert_eq!(read(document(&[page], "", &[font, own])).unwrap().extracted.text, "píer 灯");
}

#[test]
fn wide_lines_stay_one_paragraph_and_divided_words_are_joined() {
    for step in [12.0, 18.0, 24.0] {
        let page = lines(
            10.0,
            72.0,
            700.0,
            step,
            &[
                "A well-known rule says that the rotation of keys is a matter of the operators alone, and that their divi-",
                "sion of work has to be written down before it begins, in a place where it is well-",
                "known to all of them, together with the time at which it was agreed upon by them.",
            ],
        );
        let text = text(&[page]);
        assert!(text.contains("their division of work"), "{step}: {text}");
        assert!(text.contains("well-known to all"), "{step}: {text}");
        assert!(!text.contains('\n'), "{step}: {text}");
    }
}

#[test]
fn items_headings_and_code() {
    let page = put("F3", 18.0, 72.0, 740.0, "Raising the anchor")
        + &lines(10.0, 72.0, 710.0, 12.0, &STORE[..4])
        + &put("F1", 10.0, 72.0, 640.0, "\\177 one item")
        + &put("F1", 10.0, 72.0, 628.0, "\\225 another item")
        + &put("F2", 10.0, 72.0, 600.0, "for key in keys:")
        + &put("F2", 10.0, 96.0, 588.0, "rotate(key)")
        + &lines(10.0, 72.0, 560.0, 12.0, &NODES[..2]);
    let read = read(document(&[page], "", &[])).unwrap();
    let text = read.extracted.text;
    assert_eq!(read.extracted.title.as_deref(), Some("Raising the anchor"));
    for part in ["# Raising the anchor\n\n", "- one item\n- another item", "```\nfor key in keys:\n    rotate(key)\n```"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_repeats_on_all_pages_goes_and_footnotes_follow() {
    let page = |i: usize| {
        put("F1", 8.0, 72.0, 770.0, "Harbour handbook, second edition")
            + &lines(10.0, 72.0, 700.0, 12.0, &STORE)
            + &put("F1", 10.0, 72.0, 540.0, &format!("This stands on page {i} alone and goes on"))
            + &put(
                "F1",
                7.0,
                72.0,
                90.0,
                &format!("{i} {} is a footnote.", ["Alpha", "Beta", "Gamma", "Delta", "Epsilon"][i - 1]),
            )
            + &put("F1", 8.0, 300.0, 30.0, &format!("Page {i} of 5"))
    };
    let pages: Vec<String> = (1..=5).map(page).collect();
    let parsed = read(document(&pages, "", &[])).unwrap();
    let text = &parsed.extracted.text;
    assert_eq!(text.matches("Harbour handbook").count(), 1, "{text}");
    assert_eq!(text.matches("of 5").count(), 0, "{text}");
    assert_eq!(text.matches("is a footnote").count(), 5, "{text}");
    assert_eq!(parsed.pages.iter().map(|p| p.page).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for start in &parsed.pages {
        assert!(text.get(start.start..).unwrap().starts_with("The server") || start.page == 1, "{start:?}");
    }
    // Two pages have no furniture.
    assert_eq!(
        super::super::parse(Hint::name("a.pdf"), document(&pages[..2], "", &[])).unwrap().text.matches("Harbour").count(),
        2
    );
}

#[test]
fn pages_are_read_as_they_are_shown() {
    let turned = String::from_utf8(document(
        &["BT /F1 12 Tf 0 1 -1 0 200 100 Tm (First line) Tj 0 -20 Td (Second line) Tj ET".into()],
        "",
        &[],
    ))
    .unwrap();
    let turned = turned.replace("/MediaBox [0 0 612 792]", "/MediaBox [0 0 612 792] /Rotate 90");
    let text = read(turned.into_bytes()).unwrap().extracted.text;
    assert!(text.find("First").unwrap() < text.find("Second").unwrap(), "{text}");
    // What runs at the edge of a page in another direction is no part of its lines.
    let page = lines(10.0, 72.0, 700.0, 12.0, &STORE) + "BT /F1 20 Tf 0 1 -1 0 40 300 Tm (arXiv:1234) Tj ET";
    let text = self::text(&[page]);
    assert!(text.ends_with("arXiv:1234") && text.contains("sealed store that only"), "{text}");
    // Outside of the page.
    let page = put("F1", 10.0, 72.0, 700.0, "Within") + &put("F1", 10.0, 72.0, 900.0, "Without");
    assert_eq!(self::text(&[page]), "Within");
}

/// A font whose codes say what a table says.
fn font_of(letters: &str) -> [String; 2] {
    let mut table =
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange\n"
            .to_owned();
    let _ = writeln!(table, "{} beginbfchar", letters.chars().count());
    for (i, c) in letters.chars().enumerate() {
        let _ = writeln!(table, "<{:02X}> <{:04X}>", i + 65, u32::from(c));
    }
    table += "endbfchar endcmap end end";
    [
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 11 0 R >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{table}\nendstream", table.len()),
    ]
}

#[test]
fn hebrew_is_read_from_the_right() {
    // A to F: the letters of שלום and a full stop, drawn from left to right.
    let [font, table] = font_of("םולש.ﬁ");
    let page = put("F4", 12.0, 72.0, 700.0, "EABCD BACD") + &put("F4", 12.0, 72.0, 600.0, "F");
    let text = read(document(&[page], "", &[&font, &table])).unwrap().extracted.text;
    assert!(text.starts_with("שלםו שלום."), "{text}");
    assert!(text.ends_with("fi"), "ligatures are expanded: {text}");
}

#[test]
fn japanese_columns_are_read_from_the_top_right() {
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /UniJIS-UCS2-V /DescendantFonts [11 0 R] >>";
    let own = "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) \
               /Supplement 2 >> /FontDescriptor << /Type /FontDescriptor /FontName /Ryumin-Light /Flags 4 >> >>";
    // 港の船 | 出る日
    let page = "BT /F4 20 Tf 1 0 0 1 300 700 Tm <6E2F306E8239> Tj 1 0 0 1 270 700 Tm <51FA308B65E5> Tj ET".to_owned();
    assert_eq!(read(document(&[page], "", &[font, own])).unwrap().extracted.text, "港の船出る日");
}

#[test]
fn chinese_by_predefined_maps() {
    for (encoding, ordering, codes, want) in [
        ("GBK-EUC-H", "GB1", "B8DBBFDAB5C4B4AC", "港口的船"),
        ("UniGB-UCS2-H", "GB1", "6E2F53E376848239", "港口的船"),
        ("90ms-RKSJ-H", "Japan1", "8D6082CC9144", "港の船"),
    ] {
        let font = format!("<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /{encoding} /DescendantFonts [11 0 R] >>");
        let own = format!(
            "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Song /CIDSystemInfo << /Registry (Adobe) /Ordering ({ordering}) /Supplement 2 >> >>"
        );
        let page = format!("BT /F4 12 Tf 72 700 Td <{codes}> Tj ET");
        assert_eq!(read(document(&[page], "", &[&font, &own])).unwrap().extracted.text, want, "{encoding}");
    }
}

/// "A secret pier." behind the password "open", in RC4 of 40 bits and in AES of 256; made with pikepdf.
const LOCKED: [&[u8]; 2] = [include_bytes!("locked-rc4.pdf"), include_bytes!("locked-aes.pdf")];

#[test]
fn passwords_open_what_they_should() {
    for bytes in LOCKED {
        let with = |passwords: &[&str]| {
            let options =
                ParseOptions { passwords: passwords.iter().map(|p| Password::new(*p)).collect(), ..ParseOptions::default() };
            parse_with(Hint::name("a.pdf"), bytes.to_vec(), &options).map(|p| p.extracted.text)
        };
        let refused = with(&["wrong"]).unwrap_err();
        assert_eq!(refused, ParseError::Encrypted(Format::Pdf));
        assert!(refused.to_string().contains("passwords"), "{refused}");
        assert_eq!(with(&["wrong", "open"]).unwrap(), "A secret pier.");
    }
    assert!(!format!("{:?}", Password::new("open")).contains("open"));
}

#[test]
fn labels_and_outline() {
    let page = |name: &str| put("F1", 10.0, 72.0, 700.0, name) + &lines(10.0, 72.0, 650.0, 12.0, &STORE);
    let plain = String::from_utf8(document(&[page("Mooring"), page("Casting off")], "", &["<< >>"])).unwrap();
    let with = plain.replace(
        "/Type /Catalog",
        "/Type /Catalog /PageLabels << /Nums [0 << /S /r >> 1 << /S /D /St 7 /P (A-) >>] >> \
         /Outlines << /First << /Title (Mooring) /Next << /Title (Casting off) /First << /Title (nowhere) >> >> >> >>",
    );
    let parsed = read(with.into_bytes()).unwrap();
    assert_eq!(parsed.pages.iter().map(|p| p.label.as_str()).collect::<Vec<_>>(), ["i", "A-7"]);
    assert!(
        parsed.extracted.text.contains("# Mooring\n\n") && parsed.extracted.text.contains("# Casting off\n\n"),
        "{:?}",
        parsed.extracted.text
    );
}

/// Hostile files cost little and break nothing.
#[test]
fn what_draws_itself_comes_to_an_end() {
    let began = Instant::now();
    let form = "<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /A 10 0 R /B 11 0 R >> /Font << /F1 3 0 R >> >> \
                /Length 80 >>\nstream\nBT /F1 10 Tf 72 700 Td (ring) Tj ET /A Do /B Do /A Do /B Do /A Do /B Do /A Do /B Do\nendstream";
    let text =
        read(document(&["/A Do /B Do".into()], "/XObject << /A 10 0 R /B 11 0 R >>", &[form, form])).unwrap().extracted.text;
    assert_eq!(text, "ring");
    // Many forms, each of which draws the next one ten times.
    let chain: Vec<String> = (0..40)
        .map(|i| {
            let content = format!("/N Do {}", "/N Do ".repeat(9));
            format!(
                "<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /N {} 0 R >> >> /Length {} >>\nstream\n{content}\nendstream",
                11 + i, content.len()
            )
        })
        .collect();
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    let bytes = document(&["/A Do".into()], "/XObject << /A 10 0 R >>", &chain);
    assert!(extract(bytes, &ParseOptions::default(), Instant::now() + Duration::from_secs(2)).is_err());
    // A page tree that is a ring, and one of pages within pages.
    let ring = String::from_utf8(document(&[String::new()], "", &[])).unwrap().replace("/Kids [", "/Kids [2 0 R ");
    let _ = read(ring.into_bytes());
    // Widths for four thousand million codes.
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /Identity-H /DescendantFonts [11 0 R] >>";
    let own = "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Song /W [0 4294967295 500] /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) >> >>";
    let _ = read(document(&["BT /F4 12 Tf 72 700 Td <00410042> Tj ET".into()], "", &[font, own]));
    // Objects, strings and states within one another.
    for deep in
        ["[".repeat(20_000), "<</A ".repeat(20_000), "q ".repeat(200_000), "(".repeat(20_000), "/T BMC ".repeat(200_000)]
    {
        let _ = read(document(std::slice::from_ref(&deep), "", &[&deep]));
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
