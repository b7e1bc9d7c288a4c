#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use super::super::compound::built;
use super::*;

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// A document of Word 97: its letters from 2,048 on, its paragraphs' properties in the page at 1,024.
fn document(text: &str, paragraphs: &[(u16, &[u8])]) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut main = vec![0u8; 2048];
    main.extend(&units);
    main[..4].copy_from_slice(&[0xec, 0xa5, 0xc1, 0]);
    main[11] = 2;
    let count = (units.len() / 2) as u32;
    put(&mut main, 0x4c, count);
    let mut side = Vec::new();
    // One piece.
    let clx_at = side.len() as u32;
    side.extend([2, 16, 0, 0, 0]);
    side.extend([0u32, count].iter().flat_map(|n| n.to_le_bytes()));
    side.extend([0, 0, 0, 8, 0, 0, 0, 0]);
    put(&mut main, 0x1a2, clx_at);
    put(&mut main, 0x1a6, side.len() as u32 - clx_at);
    // One page of paragraphs, which end where their marks do.
    let table_at = side.len() as u32;
    side.extend([0u32, u32::MAX, 2].iter().flat_map(|n| n.to_le_bytes()));
    put(&mut main, 0x102, table_at);
    put(&mut main, 0x106, 12);
    let mut place = 2048u32;
    let mut ends = vec![place];
    for c in text.chars() {
        place += 2 * c.len_utf16() as u32;
        if matches!(c, '\r' | '\u{7}') {
            ends.push(place);
        }
    }
    assert_eq!(ends.len() - 1, paragraphs.len());
    for (nth, end) in ends.iter().enumerate() {
        put(&mut main, 1024 + 4 * nth, *end);
    }
    let mut free = 500;
    for (nth, (style, list)) in paragraphs.iter().enumerate() {
        // Its length in words, less one byte.
        let length = (2 + list.len()).div_ceil(2) * 2;
        free -= length + 2;
        let from = 1024 + free;
        main[from + 1] = (length / 2) as u8;
        main[from + 2..from + 4].copy_from_slice(&style.to_le_bytes());
        main[from + 4..from + 4 + list.len()].copy_from_slice(list);
        main[1024 + 4 * ends.len() + 13 * nth] = (free / 2) as u8;
    }
    main[1024 + 511] = paragraphs.len() as u8;
    // Styles: the first has nothing, the second is a heading, the third is based on it.
    let sheet_at = side.len() as u32;
    side.extend([2, 0, 3, 0]);
    for (kind, base) in [(0u16, 0xfffu16), (1, 0xfff), (0xffe, 1)] {
        side.extend([8, 0]);
        side.extend([kind, base << 4, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
    }
    put(&mut main, 0xa2, sheet_at);
    put(&mut main, 0xa6, side.len() as u32 - sheet_at);
    built(&[("WordDocument", &main), ("1Table", &side)])
}

/// What ends a row of cells that end at these places.
fn row_end(edges: &[i16], merges: &[u16]) -> Vec<u8> {
    let mut list = vec![0x16, 0x24, 1, 0x17, 0x24, 1, 0x08, 0xd6];
    let mut cells = vec![edges.len() as u8 - 1];
    cells.extend(edges.iter().flat_map(|edge| edge.to_le_bytes()));
    for flags in merges {
        cells.extend(flags.to_le_bytes());
        cells.extend([0; 18]);
    }
    list.extend((cells.len() as u16 + 1).to_le_bytes());
    list.extend(cells);
    list
}

#[test]
fn merged_cells_are_told_by_their_edges() {
    // The first and the last name reach down, which two kinds of changes say; the second is two columns wide.
    let text = "Part\u{7}Torque\u{7}Note\u{7}\u{7}\u{7}min\u{7}max\u{7}\u{7}\u{7}M8\u{7}20\u{7}25\u{7}dry\u{7}\u{7}after\r";
    let cell: &[u8] = &[0x16, 0x24, 1];
    let first = row_end(&[0, 100, 300, 400], &[]);
    let mut second = row_end(&[0, 100, 200, 300, 400], &[1 << 5]);
    second.extend([0x2b, 0xd6, 2, 3, 1]);
    let third = row_end(&[0, 100, 200, 300, 400], &[]);
    let mut paragraphs = vec![(0, cell); 3];
    paragraphs.push((0, &first[..]));
    paragraphs.extend(vec![(0, cell); 4]);
    paragraphs.push((0, &second[..]));
    paragraphs.extend(vec![(0, cell); 4]);
    paragraphs.push((0, &third[..]));
    paragraphs.push((0, &[]));
    let got = extract(document(text, &paragraphs)).unwrap();
    assert_eq!(got.text, "| Part | Torque / min | Torque / max | Note |\n| - | - | - | - |\n| M8 | 20 | 25 | dry |\n\nafter\n");
}

#[test]
fn paragraphs_headings_tables_and_fields() {
    let text = "Scope\rSub\r\u{13}HYPERLINK \"https://e.org/\"\u{14}there\u{15} Übung 中\u{1f}文\u{1e}x\ritem\rCity\u{7}Load\u{7}\u{7}Oslo\u{7}1\u{7}\u{7}after\r";
    let cell: &[u8] = &[0x16, 0x24, 1];
    let end: &[u8] = &[0x16, 0x24, 1, 0x17, 0x24, 1];
    let none: &[u8] = &[];
    let item: &[u8] = &[0x0b, 0x46, 1, 0];
    let got = extract(document(
        text,
        &[
            (1, none),
            (2, &[0x40, 0x26, 2]),
            (0, none),
            (0, item),
            (0, cell),
            (0, cell),
            (0, end),
            (0, cell),
            (0, cell),
            (0, end),
            (0, none),
        ],
    ))
    .unwrap();
    assert_eq!(
        got.text,
        "# Scope\n\n### Sub\n\n[there](https://e.org/) Übung 中文-x\n\n- item\n\n| City | Load |\n| - | - |\n| Oslo | 1 |\n\nafter\n"
    );
}

#[test]
fn readings_of_names() {
    let text = "\u{13} EQ \\* jc2 \\* \"Font:MS Mincho\" \\* hps11 \\o\\ad(\\s\\up 10(とうきょう),東京)\u{15}タワー\r";
    assert_eq!(extract(document(text, &[(0, &[])])).unwrap().text, "東京(とうきょう)タワー\n");
}

#[test]
fn old_code_pages_by_language_and_by_look() {
    let old = |language: u16, letters: &[u8]| {
        let mut main = vec![0u8; 1024];
        main[..4].copy_from_slice(&[0xdc, 0xa5, 101, 0]);
        main[6..8].copy_from_slice(&language.to_le_bytes());
        main.extend(letters);
        put(&mut main, 0x18, 1024);
        put(&mut main, 0x1c, 1024 + letters.len() as u32);
        put(&mut main, 0x34, letters.len() as u32);
        extract(built(&[("WordDocument", &main)])).unwrap().text
    };
    let russian = encoding_rs::WINDOWS_1251.encode("Договор аренды причала заключён сторонами в городе.").0.into_owned();
    assert_eq!(old(0x419, &russian), "Договор аренды причала заключён сторонами в городе.\n");
    assert_eq!(old(0x409, &russian), "Договор аренды причала заключён сторонами в городе.\n");
    assert_eq!(old(0x409, b"caf\xe9 one\x07two\x07\x07\r"), "| | |\n| - | - |\n| café one | two |\n");
    assert_eq!(old(0x804, b"\xd6\xd0\xce\xc4\r"), "中文\n");
    // Word 97 and later write the letters of Windows on a Macintosh, too, and say that they are on one.
    let mut main = vec![0u8; 1024];
    main[..4].copy_from_slice(&[0xec, 0xa5, 0xc1, 0]);
    main[0x12] = 1;
    main.extend(b"a \x93pier\x94\r");
    put(&mut main, 0x18, 1024);
    put(&mut main, 0x1c, 1033);
    put(&mut main, 0x4c, 9);
    assert_eq!(extract(built(&[("WordDocument", &main)])).unwrap().text, "a “pier”\n");
}

#[test]
fn damage_and_passwords() {
    let whole = document("kept\r", &[(0, &[])]);
    let mut locked = whole.clone();
    // The head of the document lies in the first sector.
    locked[512 + 11] |= 1;
    assert_eq!(extract(locked), Err(ParseError::Encrypted(Format::Doc)));
    for at in (512..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let _ = extract(damaged);
    }
}
