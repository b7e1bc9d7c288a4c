#![allow(clippy::unwrap_used, reason = "tests may")]

use super::*;
use crate::parse::parse;

fn read(mail: &str) -> Extracted {
    parse(Hint::name("a.eml"), mail.replace('\n', "\r\n").into_bytes()).unwrap()
}

const TO: &str = "From: Ann <ann@example.org>\nTo: bob@example.org\n";

fn mixed(parts: &[&str]) -> String {
    multipart("mixed", "b1", parts)
}

fn multipart(kind: &str, boundary: &str, parts: &[&str]) -> String {
    let parts = parts.iter().fold(String::new(), |all, part| all + &format!("--{boundary}\n{part}\n"));
    format!("Content-Type: multipart/{kind}; boundary={boundary}\n\n{parts}--{boundary}--\n")
}

#[test]
fn a_forwarded_message_is_a_section_with_its_own_head() {
    for disposition in ["", "Content-Disposition: attachment; filename=\"contract.eml\"\n", "Content-Disposition: inline\n"] {
        let got = read(&format!(
            "Subject: Fwd: contract\n{TO}{}",
            mixed(&[
                "Content-Type: text/plain; charset=utf-8\n\nFYI, see below.",
                &format!(
                    "Content-Type: message/rfc822\n{disposition}\nFrom: legal@example.net\nTo: ann@example.org\nSubject: contract\n\
                     Date: Tue, 3 Nov 2026 10:00:00 +0100\n\nThe notice period of the crane lease is ninety days."
                ),
            ])
        ));
        assert_eq!(got.markup, Markup::Markdown);
        let (head, rest) = got.text.split_once("FYI, see below.").unwrap();
        assert!(head.starts_with("Subject: Fwd: contract\nFrom: Ann <ann@example.org>\n"), "{head}");
        assert_eq!(
            rest,
            "\n\n# contract\n\nFrom: legal@example.net\nTo: ann@example.org\nDate: 2026-11-03T10:00:00+01:00\n\n\
             The notice period of the crane lease is ninety days."
        );
    }
}

#[test]
fn a_forwarded_message_that_is_encoded_or_a_file() {
    let inner = "Subject: deep\n\nThe crane is due.\n";
    let encoded = "U3ViamVjdDogZGVlcAoKVGhlIGNyYW5lIGlzIGR1ZS4K";
    assert_eq!(mail_parser::decoders::base64::base64_decode(encoded.as_bytes()).unwrap(), inner.as_bytes());
    for kind in ["message/rfc822", "application/octet-stream; name=\"deep.eml\""] {
        let text = read(&format!(
            "Subject: x\n{TO}{}",
            mixed(&[&format!("Content-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{encoded}")])
        ))
        .text;
        assert!(text.contains("deep") && text.contains("The crane is due."), "{kind}: {text}");
    }
}

#[test]
fn digests_give_every_message() {
    let text = read(&format!(
        "Subject: Digest 4\n{TO}{}",
        mixed(&[
            "Content-Type: text/plain\n\nTopics of today",
            &multipart(
                "digest",
                "b2",
                &[
                    "\nSubject: First\nFrom: a@example.org\n\nAbout cranes.",
                    "\nSubject: Second\nFrom: b@example.org\n\nAbout berths."
                ]
            ),
            "Content-Type: text/plain\n\nlist footer",
        ])
    ))
    .text;
    assert!(
        text.contains("Topics of today\n\nlist footer\n\n# First\n\nFrom: a@example.org\n\nAbout cranes.\n\n# Second"),
        "{text}"
    );
}

#[test]
fn html_is_read_beside_whatever_else_there_is() {
    let page =
        "Content-Type: text/html; charset=utf-8\n\n<h1>Quay closure</h1><p>Quay seven is closed from 9 to 14 February.</p>";
    let picture = "Content-Type: image/png; name=\"logo.png\"\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=";
    let stub = "Content-Type: text/plain\n\nYour client does not show HTML.";
    let footer = "Content-Type: text/plain\n\n_____\nharbour mailing list\nhttps://lists.example.org/harbour";
    for (body, absent) in [
        (mixed(&[picture, page]), "zzz"),
        (multipart("related", "b1", &[page, picture]), "zzz"),
        (multipart("related", "b1", &[picture, page]), "zzz"),
        (mixed(&[page, footer]), "zzz"),
        (mixed(&[&multipart("alternative", "b2", &[stub, page]), footer]), "does not show"),
        (multipart("alternative", "b1", &[stub, page]), "does not show"),
        (multipart("alternative", "b1", &["Content-Type: text/plain\n\n ", page]), "zzz"),
        (multipart("alternative", "b1", &[stub, &multipart("related", "b2", &[page, picture])]), "does not show"),
        (multipart("alternative", "b1", &[stub, &multipart("mixed", "b2", &[page, picture])]), "does not show"),
        (
            multipart(
                "signed",
                "b1",
                &[page, "Content-Type: application/pgp-signature; name=\"signature.asc\"\n\n-----BEGIN PGP SIGNATURE-----"],
            ),
            "PGP",
        ),
        (multipart("unheard-of", "b1", &[page]), "zzz"),
        // The outer boundary is the start of the inner one.
        (multipart("mixed", "b", &[&multipart("alternative", "bb", &[stub, page])]), "does not show"),
    ] {
        let text = read(&format!("Subject: x\n{TO}MIME-Version: 1.0\n{body}")).text;
        assert!(text.contains("# Quay closure\n\nQuay seven is closed from 9 to 14 February."), "{body}\n=> {text}");
        assert!(!text.contains(absent), "{body}\n=> {text}");
        assert_eq!(body.contains("harbour mailing list"), text.contains("harbour mailing list"), "{text}");
    }
}

#[test]
fn what_only_one_alternative_has_is_kept() {
    let text = read(&format!(
        "Subject: x\n{TO}{}",
        multipart("alternative", "b1", &[
            "Content-Type: text/plain\n\nHello all,\n\nthe berth plan for March is ready and waits for your votes.\n\nDial in: 555 123 quokka",
            "Content-Type: text/html\n\n<p>Hello all,</p><p>the berth plan for March is ready and waits for your votes.</p><p>Agenda: cranes, fenders, dredging, pilots</p>",
        ])
    ))
    .text;
    assert_eq!(text.matches("berth plan").count(), 1, "{text}");
    assert!(text.contains("quokka") && text.contains("dredging"), "{text}");
}

#[test]
fn attached_files_are_read_by_their_own_parsers() {
    let text = read(&format!(
        "Subject: files\n{TO}{}",
        mixed(&[
            "Content-Type: text/plain\n\nSee the files.",
            "Content-Type: text/plain; name=\"notes.txt\"\nContent-Disposition: attachment; filename=\"notes.txt\"\n\n# not a heading\nwombat",
            "Content-Type: text/csv\nContent-Disposition: attachment; filename*=utf-8''b%C3%A4ume.csv\n\nname;height\noak;12\n\"a|b\";3",
            "Content-Type: application/octet-stream; name=\"plan.md\"\nContent-Transfer-Encoding: base64\n\nIyBQbGFuCgoqIGRpZwo=",
            "Content-Type: text/html; name=\"page.html\"\nContent-Disposition: attachment; filename=\"page.html\"\n\n<title>T</title><h2>Deep</h2><p>dredging",
            "Content-Type: application/json\nContent-Disposition: attachment; filename=\"a.json\"\n\n{\"berth\": 7}",
            "Content-Type: image/png\nContent-Disposition: attachment; filename=\"x.png\"\n\nabc",
        ])
    ))
    .text;
    assert!(text.contains("Attachments: notes.txt, bäume.csv, plan.md, page.html, a.json, x.png"), "{text}");
    for section in [
        "# notes.txt\n\n\\# not a heading\nwombat",
        "# bäume.csv\n\n| name | height |\n| - | - |\n| oak | 12 |\n| a\\|b | 3 |",
        "# plan.md\n\n## Plan\n\n* dig",
        "# page.html\n\n### Deep\n\ndredging",
        "# a.json\n\n```json\n{\"berth\": 7}\n```",
    ] {
        assert!(text.contains(section), "{section:?} in {text}");
    }
}

#[test]
fn invitations_tell_when_and_where() {
    let text = read(&format!(
        "Subject: Review\n{TO}{}",
        multipart("alternative", "b1", &[
            "Content-Type: text/plain\n\nPlease come.",
            "Content-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Crane review\n\
             DTSTART:20261103T100000Z\nDTEND:20261103T110000Z\nLOCATION:三号会议室\nEND:VEVENT\nEND:VCALENDAR",
        ])
    ))
    .text;
    assert!(text.contains("Please come."), "{text}");
    assert!(text.contains("Summary: Crane review\nWhen: 2026-11-03 10:00 – 11:00 UTC\nWhere: 三号会议室"), "{text}");
}

#[test]
fn words_are_read_in_the_encoding_that_they_are_in() {
    let plain = |head: &str, body: &[u8]| {
        let mut mail = format!("Subject: x\r\n{head}\r\n\r\n").into_bytes();
        mail.extend_from_slice(body);
        parse(Hint::name("a.eml"), mail).unwrap().text
    };
    let latin = b"Gr\xfc\xdfe aus K\xf6ln, sch\xf6ne W\xf6rter";
    assert!(plain("From: a@example.org", latin).ends_with("\n\nGrüße aus Köln, schöne Wörter"));
    assert!(plain("Content-Type: text", latin).ends_with("Grüße aus Köln, schöne Wörter"));
    assert!(plain("Content-Type: text\r\nMIME-Version: 1.0", b"a quokka").ends_with("\n\na quokka"));
    assert!(plain("Content-Type: text/plain; charset=gb2312", "会议改期".as_bytes()).ends_with("会议改期"));
    assert!(plain("Content-Type: text/plain; charset=x-no-such", "会议改期".as_bytes()).ends_with("会议改期"));
    let gbk = encoding_rs::GBK.encode("七号码头二月九日至十四日关闭，请使用北侧泊位。").0;
    assert!(plain("X-A: b", &gbk).ends_with("七号码头二月九日至十四日关闭，请使用北侧泊位。"));
    let page = encoding_rs::GBK.encode("<meta charset=gb2312><p>七号码头关闭</p>").0;
    assert!(plain("Content-Type: text/html", &page).contains("七号码头关闭"));
    // Letters in the head that no encoded word declares.
    let mut mail = b"Subject: ".to_vec();
    mail.extend_from_slice(&encoding_rs::GBK.encode("码头关闭").0);
    mail.extend_from_slice(b"\r\nFrom: ann@example.org\r\nContent-Type: text/plain; charset=gbk\r\n\r\n");
    mail.extend_from_slice(&gbk);
    assert_eq!(parse(Hint::name("a.eml"), mail).unwrap().title.as_deref(), Some("码头关闭"));
}

#[test]
fn names_and_subjects_are_whole() {
    let text = read(&format!(
        "Subject: =?utf-8?B?56CB5Q==?=\n =?UTF-8?B?pLTlhbPpl60=?=\nFrom: =?utf-8?B?56CB5Q==?= =?UTF-8?B?pLTlhbPpl60=?= <ann@example.org>\n{}",
        mixed(&[
            "Content-Type: text/plain; name=\"=?utf-8?B?56CB5aS0LnR4dA==?=\"\n\none",
            "Content-Type: text/plain\nContent-Disposition: attachment; filename*0*=utf-8''%E7%A0%81;\n filename*1*=%E5%A4%B42.txt\n\ntwo",
        ])
    ))
    .text;
    assert!(
        text.starts_with("Subject: 码头关闭\nFrom: 码头关闭 <ann@example.org>\nAttachments: 码头.txt, 码头2.txt\n"),
        "{text}"
    );
    assert!(text.ends_with("# 码头.txt\n\none\n\n# 码头2.txt\n\ntwo"), "{text}");
}

#[test]
fn a_text_with_a_name_is_one_of_the_alternatives() {
    let text = read(&format!(
        "Subject: x\n{TO}{}",
        multipart(
            "alternative",
            "b1",
            &[
                "Content-Type: text/plain; name=\"body.txt\"\n\nThe quay is closed on Monday.",
                "Content-Type: text/html; name=\"body.html\"\n\n<p>The quay is closed on Monday.</p>",
            ]
        )
    ))
    .text;
    assert_eq!(text.matches("The quay is closed on Monday.").count(), 1, "{text}");
}

#[test]
fn flowed_text_is_whole_and_armor_is_gone() {
    let text = read(&format!("Subject: x\n{TO}Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\n\nThe quay is \nclosed. 会议改到星 \n期三。")).text;
    assert!(text.ends_with("The quay isclosed. 会议改到星期三。"), "{text}");
    let text = read(&format!("Subject: x\n{TO}{}", multipart("encrypted", "b1", &[
        "Content-Type: application/pgp-encrypted\n\nVersion: 1",
        "Content-Type: application/octet-stream; name=\"encrypted.asc\"\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----",
    ])))
    .text;
    assert!(text.ends_with(armor::ENCRYPTED) && !text.contains("hQEMA"), "{text}");
}

#[test]
fn mailboxes_give_every_message() {
    let mbox = "From ann@example.org Tue Nov  3 10:00:00 2026\nFrom: Ann <ann@example.org>\nSubject: Cranes\n\n# one\n>From now on.\n\n\
        From bob@example.org Wed Nov  4 10:00:00 2026\nFrom: bob@example.org\nSubject: =?utf-8?b?5rOK5L2N?=\nContent-Type: text/html\n\n<h1>Plan</h1><p>two</p>\n";
    for name in ["a.mbox", "Inbox", "a.eml"] {
        let got = parse(Hint::name(name), mbox.into()).unwrap();
        assert_eq!(
            (got.markup, got.text.as_str()),
            (
                Markup::Markdown,
                "# Cranes\n\nFrom: Ann <ann@example.org>\n\n\\# one\nFrom now on.\n\n# 泊位\n\nFrom: bob@example.org\n\n## Plan\n\ntwo"
            ),
            "{name}"
        );
    }
    let one = parse(Hint::name("a.mbox"), mbox.split_inclusive("on.\n").next().unwrap().into()).unwrap();
    assert_eq!((one.title.as_deref(), one.markup), (Some("Cranes"), Markup::Text));
    let headless = parse(Hint::name("a.mbox"), b"From ann Mon Jun 01 10:00:00 2009\n\nThe text.\n".to_vec()).unwrap();
    assert_eq!(headless.text, "The text.");
    assert!(parse(Hint::name("a.mbox"), b"nothing of the kind".to_vec()).is_err());
}

#[test]
fn saved_pages_give_the_page() {
    let body = multipart(
        "related; type=\"text/html\"",
        "b1",
        &[
            "Content-Type: text/css\nContent-Location: a.css\n\np { color: red }",
            "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nContent-Location: https://a.example/\n\n\
         <title>T</title><h1>Quay</h1><p>Quay seven is =\nclosed.</p>",
            "Content-Type: image/png\n\nabc",
        ],
    );
    for head in ["", "From: <Saved by Blink>\nSubject: The quay\nDate: Tue, 3 Nov 2026 10:00:00 +0100\n"] {
        for name in ["a.mht", "a.mhtml", "a.doc"] {
            let got = parse(Hint::name(name), format!("MIME-Version: 1.0\n{head}{body}").into_bytes()).unwrap();
            assert_eq!(got.text, "# Quay\n\nQuay seven is closed.", "{name}");
            assert_eq!(got.title.as_deref(), Some(if head.is_empty() { "Quay" } else { "The quay" }));
        }
    }
}

#[test]
fn mails_as_apple_keeps_them() {
    let mail = "Subject: x\nFrom: a@example.org\n\nThe text.\n";
    let got =
        parse(Hint::name("1.emlx"), format!("{}\n{mail}<?xml version=\"1.0\"?><plist/>", mail.len()).into_bytes()).unwrap();
    assert_eq!(got.text, "Subject: x\nFrom: a@example.org\n\nThe text.");
}

/// Parts within parts, and messages within messages, cost neither the stack nor the time.
#[test]
fn depth_and_number_are_bounded() {
    let deep =
        (0..2000).fold(String::new(), |all, n| all + &format!("Content-Type: multipart/mixed; boundary=x{n}x\n\n--x{n}x\n"));
    let _ = parse(Hint::name("a.eml"), format!("Subject: x\n{deep}\n\ntext").into_bytes());
    let files = "--b\nContent-Disposition: attachment; filename=a.txt\n\nx\n".repeat(1000);
    let text = read(&format!("Subject: x\n{TO}Content-Type: multipart/mixed; boundary=b\n\n{files}--b--")).text;
    assert_eq!(text.matches("# a.txt").count(), 200);
}
