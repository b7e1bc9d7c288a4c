#![allow(clippy::unwrap_used, reason = "tests may")]

use super::*;

fn text(rtf: &str) -> String {
    extract(rtf.as_bytes()).unwrap().text.trim_end().to_owned()
}

const HEAD: &str = "{\\rtf1\\ansi\\ansicpg1252\\deff0\\uc1{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset204 Arial Cyr;}{\\f2\\fcharset134 SimSun;}\
    {\\f3\\fcharset2 Symbol;}}{\\stylesheet{\\s0 Normal;}{\\s1\\outlinelevel0 Kapitel;}{\\s2 heading 2;}}";

#[test]
fn letters_of_every_code_page() {
    let body = "caf\\'e9 \\u8364?uro {\\f1 \\'cf\\'f0\\'e8\\'e2\\'e5\\'f2} {\\f2 \\'d6\\'d0\\'ce\\'c4} \\u-10179?\\u-8704? {\\f3 a} \
        Donau\\-dampf\\_schiff 10{\\super th} CO{\\sub 2}\\par";
    assert_eq!(text(&format!("{HEAD}{body}}}")), "café €uro Привет 中文 😀 α Donaudampf-schiff 10th CO2");
}

#[test]
fn headings_lists_fields_and_what_is_not_shown() {
    let body = "{\\info{\\title The lease}}{\\header Acme\\par}{\\*\\generator X;}{\\pict\\pngblip 8950}\\pard\\s1 One\\line two\\par\\pard\\s2 Sub\\par\
        \\pard{\\listtext\\tab 1.\\tab}\\ilvl0 first\\par\\pard{\\pntext\\f3\\'b7\\tab}second\\par\\pard \
        Go {\\field{\\*\\fldinst HYPERLINK \"https://e.org/\"}{\\fldrslt there}} {\\deleted gone}{\\v hidden}now{\\footnote by Ann}.\\par\
        {\\shp{\\*\\shpinst{\\sp{\\sn a}{\\sv 1}}{\\shptxt boxed\\par}}{\\shprslt boxed}}last";
    let got = extract(format!("{HEAD}{body}}}").as_bytes()).unwrap();
    assert_eq!(got.title.as_deref(), Some("The lease"));
    let text = got.text;
    for part in
        ["# One two\n\n## Sub\n\n1. first\n- second\n\nGo [there](https://e.org/) now", "by Ann", "boxed", "last", "Acme"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("gone") && !text.contains("hidden") && !text.contains("8950") && text.matches("boxed").count() == 1,
        "{text}"
    );
}

#[test]
fn one_stand_in_follows_a_character_unless_something_else_is_said() {
    for (body, expected) in [
        // As pandoc and LibreOffice write it.
        ("Fu\\u223?noten, \\u27599? 2000 \\u23567?\\u26102?.", "Fußnoten, 每 2000 小时."),
        ("Gr\\u246\\'f6\\u223\\'dfe", "Größe"),
        ("\\u-10179?\\u-8704?", "😀"),
        ("{\\uc0 \\u223x}\\u223?x{\\uc2\\u20010\\'b8\\'f6x}\\u223?x", "ßxßx个xßx"),
        // One that is a word or a sign; none, where a group or a format comes at once.
        ("a\\u8212\\emdash b\\u8209\\_c", "a—b-c"),
        ("\\u223{x}\\u223\\b y\\u223\\line z", "ßxßyß\nz"),
    ] {
        assert_eq!(text(&format!("{{\\rtf1\\ansi\\deff0 {body}\\par}}")), expected, "{body}");
    }
}

#[test]
fn notes_that_are_marked_as_if_readers_might_not_know_them() {
    let plain = |note: &str| {
        text(&format!(
            "{{\\rtf1\\ansi\\deff0{{\\stylesheet{{\\s1 heading 1;}}}}\\pard\\s1 Druck 5 bar{note} im Betrieb.\\par}}"
        ))
    };
    let expected = "# Druck 5 bar[^1] im Betrieb.\n\n[^1]: Nur unter 40 Grad.";
    for note in [
        "{\\super\\chftn}{\\footnote \\pard\\plain Nur unter 40 Grad.\\par}",
        // As pandoc and LibreOffice write it.
        "{\\super\\chftn}{\\*\\footnote\\chftn\\~\\plain\\pard {\\pard \\ql \\f0 Nur unter 40 Grad.\\par}\n}",
        "{{\\super \\loch \\chftn{\\*\\footnote \\chftn\\pard\\plain \\s78\\loch{\\rtlch \\ltrch\\loch Nur unter 40 Grad.}}}}",
    ] {
        assert_eq!(plain(note), expected, "{note}");
    }
    let hidden = plain("{\\v x{\\*\\footnote gone}}{\\*\\unknown gone{\\*\\footnote gone}}");
    assert_eq!(hidden, "# Druck 5 bar im Betrieb.");
}

#[test]
fn tables_with_spans() {
    let body = "\\trowd\\cellx100\\cellx300\\pard\\intbl City\\cell Load\\cell\\row\\trowd\\cellx100\\cellx200\\cellx300\\pard\\intbl Oslo\\cell a|b\\cell 2\\cell\\row\
        \\pard after\\par";
    let got = text(&format!("{HEAD}{body}}}"));
    assert!(got.contains("| City | Load | Load |"), "{got}");
    assert!(got.contains("| Oslo | a\\|b | 2 |\n\nafter"), "{got}");
}

#[test]
fn what_is_damaged_is_read() {
    for body in [
        "\\par}}}}} x",
        "{{{{{",
        "\\u",
        "\\'zz\\'",
        "\\bin999999 abc",
        "\\",
        "\\u55357?",
        "{\\footnote",
        "{\\field{\\fldrslt",
        "\\cell\\row\\cellx5",
        "\\uc-5\\u99999999?",
    ] {
        let _ = extract(format!("{HEAD}kept{body}").as_bytes())
            .map(|got| assert!(got.text.contains("kept"), "{body}: {}", got.text));
    }
    let deep = format!("{HEAD}{}x{}y", "{\\b ".repeat(100_000), "}".repeat(100_000));
    assert_eq!(text(&deep), "xy");
}
