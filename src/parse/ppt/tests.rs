#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use super::super::compound::built;
use super::*;

fn record(kind: u16, instance: u16, data: &[u8]) -> Vec<u8> {
    [&(instance << 4).to_le_bytes()[..], &kind.to_le_bytes(), &(data.len() as u32).to_le_bytes(), data].concat()
}

fn container(kind: u16, instance: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = record(kind, instance, &parts.concat());
    out[0] |= 15;
    out
}

fn numbers(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn wide(text: &str) -> Vec<u8> {
    record(0xfa0, 0, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

fn shape(top: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    let place: Vec<u8> = [top, 0, 100, top + 10].iter().flat_map(|n| n.to_le_bytes()).collect();
    container(0xf004, 0, &[record(0xf010, 0, &place), record(0xf00d, 0, &parts.concat())])
}

fn presentation() -> (Vec<u8>, u32) {
    let slide = container(
        0x3ee,
        0,
        &[container(
            0x40c,
            0,
            &[container(
                0xf002,
                0,
                &[
                    shape(50, &[record(0xf9e, 0, &numbers(&[1]))]),
                    shape(0, &[record(0xf9e, 0, &numbers(&[0]))]),
                    shape(20, &[record(0xf9f, 0, &numbers(&[4])), record(0xfa8, 0, b"caf\xe9")]),
                ],
            )],
        )],
    );
    let notes = container(
        0x3f0,
        0,
        &[record(0x3f1, 0, &numbers(&[256, 0])), shape(0, &[record(0xf9f, 0, &numbers(&[2])), wide("Say this.")])],
    );
    let list = container(
        0xff0,
        0,
        &[
            record(0x3f3, 0, &numbers(&[2, 0, 0, 256, 0])),
            record(0xf9f, 0, &numbers(&[0])),
            wide("Key\u{b}rotation"),
            record(0xf9f, 0, &numbers(&[1])),
            wide("one\rtwo"),
            record(0xf9f, 0, &numbers(&[4])),
            wide("only in the outline"),
        ],
    );
    let of_notes = container(0xff0, 2, &[record(0x3f3, 0, &numbers(&[3, 0, 0, 257, 0]))]);
    let document = container(0x3e8, 0, &[list, of_notes]);
    let (first, second) = (document.len() as u32, (document.len() + slide.len()) as u32);
    let directory_at = second + notes.len() as u32;
    let directory = record(0x1772, 0, &numbers(&[3 << 20 | 1, 0, first, second]));
    let edit_at = directory_at + directory.len() as u32;
    let edit = record(0xff5, 0, &numbers(&[0, 0, 0, directory_at, 1, 0, 0]));
    ([document, slide, notes, directory, edit].concat(), edit_at)
}

#[test]
fn slides_notes_and_the_outline() {
    let (stream, edit) = presentation();
    let user = numbers(&[0, 0, 0, 0xe391_c05f, edit, 0]);
    let got = extract(built(&[("PowerPoint Document", &stream), ("Current User", &user)])).unwrap();
    assert_eq!(got.text, "## Key rotation\n\ncafé\n\n- one\n- two\n\nonly in the outline\n\nNotes: Say this.\n");
    assert_eq!(got.title.as_deref(), Some("Key rotation"));
}

#[test]
fn the_text_of_powerpoint_95() {
    let text = b"The pier\r\rOne caf\xe9\rTwo boats, one na\xefve captain\r\r";
    let got = extract(built(&[("PowerPoint Document", &[3, 0, 0, 0, 0xff, 0xff, 0, 0]), ("Text_Content", text)])).unwrap();
    assert_eq!(got.text, "The pier\n\nOne café\n\nTwo boats, one naïve captain\n");
}

#[test]
fn damage_and_passwords() {
    let (stream, edit) = presentation();
    let lost = extract(built(&[("PowerPoint Document", stream.get(40..).unwrap()), ("Current User", b"")]));
    assert!(lost.is_ok());
    let locked = numbers(&[0, 0, 0, 0xf3d1_c4df, edit, 0]);
    let got = extract(built(&[("PowerPoint Document", &stream), ("Current User", &locked)]));
    assert_eq!(got, Err(ParseError::Encrypted(Format::Ppt)));
    let nested = (0..10_000).fold(Vec::new(), |inner, _| container(0x3ee, 0, &[inner]));
    let _ = extract(built(&[("PowerPoint Document", &nested)]));
}
