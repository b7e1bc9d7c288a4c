#![allow(clippy::unwrap_used, reason = "tests may")]

use super::super::compound::built;
use super::*;

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn property(tag: u32, value: [u8; 8]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &[0; 4], &value].concat()
}

#[test]
fn fields_text_and_what_is_attached() {
    let sent = (1_710_496_800u64 + 11_644_473_600) * 10_000_000;
    let properties =
        [vec![0; 32], property(0x0039_0040, sent.to_le_bytes()), property(0x3ffd_0003, [0xe3, 4, 0, 0, 0, 0, 0, 0])].concat();
    let copy = [vec![0; 8], property(0x0c15_0003, [2, 0, 0, 0, 0, 0, 0, 0])].concat();
    let file = built(&[
        ("__properties_version1.0", &properties),
        ("__substg1.0_0037001F", &wide("The lease")),
        ("__substg1.0_0C1A001E", b"\xcf\xb8\xf2\xf0"),
        ("__substg1.0_5D01001F", &wide("p@e.org")),
        ("__substg1.0_1000001F", &wide("See the file.\r\nAnn")),
        ("__recip_version1.0_#00000000/__substg1.0_3001001F", &wide("Ann")),
        ("__recip_version1.0_#00000001/__substg1.0_3001001F", &wide("Bo")),
        ("__recip_version1.0_#00000001/__properties_version1.0", &copy),
        ("__attach_version1.0_#00000000/__substg1.0_3707001F", &wide("rates.csv")),
        ("__attach_version1.0_#00000000/__substg1.0_37010102", b"a,b"),
    ]);
    let open = |hint: Hint<'_>, bytes: Vec<u8>, _: Duration| {
        assert_eq!(hint.name, "rates.csv");
        Ok(Extracted {
            title: None,
            markup: Markup::Text,
            text: String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned(),
        })
    };
    let got = extract(file, Instant::now() + Duration::from_mins(1), &open).unwrap();
    assert_eq!(got.title.as_deref(), Some("The lease"));
    let text = got.text.replace('\0', "");
    assert_eq!(
        text,
        "Subject: The lease\nFrom: Пётр <p@e.org>\nTo: Ann\nCc: Bo\nDate: 2024-03-15T10:00:00Z\nAttachments: rates.csv\n\nSee the file.\nAnn\n\n## rates.csv\n\na,b"
    );
    assert!(extract(b"no".to_vec(), Instant::now(), &open).is_err());
}

#[test]
fn letters_of_one_byte_by_what_is_said_of_them() {
    let number = |tag: u32, value: u32| property(tag, u64::from(value).to_le_bytes());
    let open = |_: Hint<'_>, _: Vec<u8>, _: Duration| Err(ParseError::Binary);
    let read = |numbers: &[Vec<u8>], subject: &[u8], page: &[u8]| {
        let properties = [vec![0; 32], numbers.concat()].concat();
        let file = built(&[
            ("__properties_version1.0", &properties),
            ("__substg1.0_0037001E", subject),
            ("__substg1.0_10130102", page),
        ]);
        extract(file, Instant::now() + Duration::from_mins(1), &open).unwrap().text.replace('\0', "").trim_end().to_owned()
    };
    // The page is in Cyrillic letters, whatever its head says; the subject in those of its language.
    let (page, cyrillic) =
        (b"<meta charset='utf-8'><p>\xcf\xb8\xf2\xf0", [number(0x3fde_0003, 1251), number(0x3ff1_0003, 1031)]);
    assert_eq!(read(&cyrillic, b"Gr\xfc\xdfe", page), "Subject: Grüße\n\nПётр");
    assert_eq!(read(&cyrillic[..1], b"\xcf\xb8\xf2\xf0", page), "Subject: Пётр\n\nПётр");
    assert_eq!(read(&[number(0x3ffd_0003, 950)], b"\xa4\xa4\xa4\xe5", b"<p>pier"), "Subject: 中文\n\npier");
}
