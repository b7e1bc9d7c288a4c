#![allow(clippy::unwrap_used, clippy::needless_for_each, reason = "tests may")]

use super::super::compound::built;
use super::*;

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
}

fn words(all: &[u16]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8, 0][..], text.as_bytes()].concat()
}

fn long(text: &str) -> Vec<u8> {
    [&words(&[text.len() as u16])[..], &[0], text.as_bytes()].concat()
}

fn book(sheet: &[Vec<u8>], shared: &[Vec<u8>]) -> Vec<u8> {
    let head = |sheet_at: u32| {
        let mut out = record(0x809, &words(&[0x600, 5, 0, 0]));
        for (id, code) in [(164u16, "0.0%"), (165, "00000")] {
            out.extend(record(0x41e, &[&words(&[id])[..], &long(code)].concat()));
        }
        for format in [0u16, 164, 165, 14] {
            out.extend(record(0xe0, &words(&[0, format, 0, 0, 0, 0, 0, 0, 0, 0])));
        }
        out.extend(record(0x85, &[&sheet_at.to_le_bytes()[..], &[0, 0], &short("Rates")].concat()));
        // A chart, of which there is nothing to read.
        out.extend(record(0x85, &[&sheet_at.to_le_bytes()[..], &[0, 2], &short("Chart")].concat()));
        shared.iter().for_each(|part| out.extend(part));
        out.extend(record(0x0a, &[]));
        out
    };
    let at = head(0).len() as u32;
    let sheet = [record(0x809, &words(&[0x600, 0x10, 0, 0])), sheet.concat(), record(0x0a, &[])].concat();
    built(&[("Workbook", &[head(at), sheet].concat())])
}

fn number_cell(row: u16, column: u16, style: u16, value: f64) -> Vec<u8> {
    record(0x203, &[&words(&[row, column, style])[..], &value.to_le_bytes()].concat())
}

#[test]
fn cells_formats_comments_and_formulas() {
    // A text that goes on in another record, in wide letters there.
    let first = [&[2, 0, 0, 0, 2, 0, 0, 0][..], &long("Item"), &words(&[6]), &[0], b"Rat"].concat();
    let second = [&[1][..], &words(&[u16::from(b'e'), 0x20ac, u16::from(b'!')])].concat();
    let shared = [record(0xfc, &first), record(0x3c, &second)];
    let link = |row: u16| record(0xfd, &[&words(&[row, 0, 0])[..], &[u8::from(row != 0), 0, 0, 0]].concat());
    let sheet = [
        link(0),
        record(0x204, &[&words(&[0, 1, 0])[..], &long("Va\0l\0u\0e")].concat()),
        link(1),
        number_cell(1, 1, 1, 0.075),
        record(0x27e, &[&words(&[2, 1, 2])[..], &(1803u32 << 2 | 2).to_le_bytes()].concat()),
        record(0x06, &[&words(&[3, 0, 0])[..], &[0, 0, 0, 0, 0, 0, 0xff, 0xff], &[0; 8]].concat()),
        record(0x207, &long("said")),
        record(0x205, &[&words(&[3, 1, 0])[..], &[7, 1]].concat()),
        number_cell(4, 1, 3, 45_366.0),
        record(0x5d, &words(&[0x15, 0x12, 0x19, 9])),
        record(0x1b6, &[&words(&[0, 0, 0, 0, 0, 8, 0, 0, 0])[..]].concat()),
        record(0x3c, b"\0Ann: Why"),
        record(0x1c, &[&words(&[1, 1, 0, 9])[..], &long("Ann")].concat()),
        record(0xe5, &words(&[1, 3, 4, 0, 0])),
    ];
    let got = extract(book(&sheet, &shared)).unwrap();
    assert_eq!(
        got.text,
        "## Rates\n\n| Item | Value |\n| --- | --- |\n| Rate€! | 7.5% |\n| | 01803 |\n| said | #DIV/0! |\n| said | 2024-03-15 |\n\nComment on B2 by Ann: Why\n"
    );
}

#[test]
fn the_oldest_workbooks_are_one_stream() {
    let cell =
        [record(0x009, &words(&[2, 0x10])), record(0x04, &[&words(&[0, 0])[..], &[0, 0, 0, 3], b"old"].concat())].concat();
    let number = record(0x03, &[&words(&[1, 0])[..], &[0, 0, 0], &2.5f64.to_le_bytes()].concat());
    let got = extract([cell, number, record(0x0a, &[])].concat()).unwrap();
    assert_eq!(got.text, "## Sheet1\n\n| old |\n| --- |\n| 2.5 |\n");
}

#[test]
fn damage_and_passwords() {
    let whole = book(
        &[number_cell(0, 0, 0, 1.0), record(0x2bd, &[0xff; 40]), record(0xbd, &[0xff; 41]), record(0xe5, &[0xff; 9])],
        &[record(0xfc, &[0xff; 20])],
    );
    for cut in [600, 1000, whole.len() - 600] {
        let _ = extract(whole.get(..cut).unwrap().to_vec());
    }
    let locked = [record(0x809, &words(&[0x600, 5])), record(0x2f, &[0; 6])].concat();
    assert_eq!(extract(built(&[("Workbook", &locked)])), Err(ParseError::Encrypted(Format::Xls)));
    assert_eq!((packed(0x3ff0_0000), packed(1803 << 2 | 3), packed((-5i32 << 2 | 2) as u32)), (1.0, 18.03, -5.0));
}
