#![allow(clippy::unwrap_used, reason = "tests may")]

use super::super::container::built;
use super::*;

const SPACES: &str = "xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0' \
    xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' xmlns:draw='urn:oasis:names:tc:opendocument:xmlns:drawing:1.0' \
    xmlns:style='urn:oasis:names:tc:opendocument:xmlns:style:1.0' xmlns:presentation='urn:oasis:names:tc:opendocument:xmlns:presentation:1.0' \
    xmlns:svg='urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0' xmlns:xlink='http://www.w3.org/1999/xlink' xmlns:dc='http://purl.org/dc/elements/1.1/' \
    xmlns:fo='urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0'";

const STYLES: &str = "<style:style style:name='T1'><style:text-properties style:text-position='super 58%'/></style:style>\
    <style:style style:name='P1' style:parent-style-name='Title'/><style:style style:name='H'><style:drawing-page-properties presentation:visibility='hidden'/></style:style>\
    <style:style style:name='ta2'><style:table-properties table:display='false'/></style:style>\
    <text:list-style style:name='L1'><text:list-level-style-number text:level='1' style:num-format='1' style:num-suffix='.'/>\
    <text:list-level-style-number text:level='2' style:num-format='a' style:num-prefix='(' style:num-suffix=')'/></text:list-style>";

fn read(format: Format, body: &str) -> Extracted {
    let content = format!(
        "<?xml version='1.0'?><office:document-content {SPACES}><office:automatic-styles>{STYLES}</office:automatic-styles><office:body>{body}</office:body></office:document-content>"
    );
    let zipped = built(&[("mimetype", "x"), ("content.xml", &content)]);
    let got = extract(format, zipped).unwrap();
    assert_eq!(extract(format, content.into_bytes()).unwrap(), got, "flat and in a container");
    got
}

#[test]
fn texts() {
    let body = "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p text:style-name='P1'>The<text:line-break/>lease</text:p>\
        <text:h text:outline-level='2'>Scope</text:h><text:p>10<text:span text:style-name='T1'>th</text:span>\n  of<text:s text:c='2'/>May\
        <text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>By Ann.</text:p></text:note-body></text:note> \
        <text:a xlink:href='https://e.org/'>here</text:a> <text:ruby><text:ruby-base>東京</text:ruby-base><text:ruby-text>とうきょう</text:ruby-text></text:ruby>\
        <office:annotation><dc:creator>Bo</dc:creator><text:p>Sure?</text:p></office:annotation></text:p>\
        <text:list text:style-name='L1'><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>sub</text:p></text:list-item>\
        <text:list-item><text:p>sub two</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>\
        <text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame><draw:frame><draw:image/><svg:desc>A quay</svg:desc></draw:frame></text:p>\
        <table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>City</text:p></table:table-cell>\
        <table:table-cell table:number-columns-spanned='2'><text:p>Load</text:p></table:table-cell><table:covered-table-cell/></table:table-row></table:table-header-rows>\
        <table:table-row><table:table-cell><text:p>Oslo</text:p></table:table-cell><table:table-cell table:number-columns-repeated='2'><text:p>1</text:p></table:table-cell></table:table-row></table:table>\
        </office:text>";
    let got = read(Format::Odt, body);
    assert_eq!(got.title.as_deref(), Some("The lease"));
    assert_eq!(
        got.text,
        "# The lease\n\n## Scope\n\n10th of  May[^1] [here](https://e.org/) 東京(とうきょう)\n\n[^1]: By Ann.\n\n> Comment by Bo: Sure?\n\n\
        1. one\n  (a) sub\n  (b) sub two\n2. two\n\nA quay\n\nboxed\n\n| City | Load | Load |\n| - | - | - |\n| Oslo | 1 | 1 |\n"
    );
}

#[test]
fn a_table_in_a_cell_leaves_the_one_around_it_whole() {
    let cell = |inner: &str| format!("<table:table-cell office:value-type='string'>{inner}</table:table-cell>");
    let row = |cells: &[&str]| {
        let cells: String = cells.iter().map(|inner| cell(inner)).collect();
        format!("<table:table-row>{cells}</table:table-row>")
    };
    let p = |text: &str| format!("<text:p>{text}</text:p>");
    let inner = format!("<table:table>{}{}</table:table>", row(&[&p("max"), &p("16 bar")]), row(&[&p("min"), &p("2 bar")]));
    let outer = [
        row(&[&p("Teil"), &p("Werte")]),
        row(&[&p("Pumpe"), &(p("siehe rechts") + &inner + &p(""))]),
        row(&[&p("Ventil"), &p("7 bar")]),
    ];
    let got = read(Format::Odt, &format!("<office:text><table:table>{}</table:table></office:text>", outer.concat()));
    let expected = "| Teil | Werte |\n| - | - |\n| Pumpe | siehe rechts max, 16 bar; min, 2 bar |\n| Ventil | 7 bar |\n";
    assert_eq!(got.text, expected);
}

#[test]
fn presentations() {
    let frame = |class: &str, y: u8, text: &str| {
        format!(
            "<draw:frame presentation:class='{class}' svg:x='1cm' svg:y='{y}cm' svg:width='9cm' svg:height='1cm'><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"
        )
    };
    let body = format!(
        "<office:presentation><draw:page>{}{}<presentation:notes>{}</presentation:notes></draw:page><draw:page draw:style-name='H'>{}</draw:page></office:presentation>",
        frame("outline", 5, "Rotate"),
        frame("title", 1, "Key<text:line-break/>rotation"),
        frame("notes", 1, "Say this."),
        frame("", 1, "No title")
    );
    let got = read(Format::Odp, &body);
    assert_eq!(got.text, "## Key rotation\n\nRotate\n\nNotes: Say this.\n\n## Slide 2 (hidden)\n\nNo title\n");
}

#[test]
fn sheets() {
    let cell = |attributes: &str, inner: &str| format!("<table:table-cell {attributes}>{inner}</table:table-cell>");
    let p = |text: &str| format!("<text:p>{text}</text:p>");
    let row =
        |attributes: &str, cells: &[String]| format!("<table:table-row {attributes}>{}</table:table-row>", cells.concat());
    let comment = "<office:annotation><dc:creator>Ann</dc:creator><text:p>checked</text:p></office:annotation>";
    let body = format!(
        "<office:spreadsheet><table:table table:name='Rates'><table:table-column/>{}{}{}{}{}</table:table><table:table table:name='Old' table:style-name='ta2'>{}</table:table></office:spreadsheet>",
        row("", &[cell("", &p("Item")), cell("", &p("Rate"))]),
        row(
            "",
            &[
                cell("table:number-rows-spanned='2'", &p("Goods")),
                cell("office:value-type='percentage' office:value='0.075'", &(comment.to_owned() + &p("7.50%")))
            ]
        ),
        row("", &["<table:covered-table-cell/>".to_owned(), cell("office:value-type='float' office:value='3'", "")]),
        row("table:number-rows-repeated='1048000'", &[cell("table:number-columns-repeated='16384'", "")]),
        row("table:number-rows-repeated='2'", &[cell("table:number-columns-repeated='2'", &p("x<text:span>y</text:span>"))]),
        row("", &[cell("", &p("kept"))])
    );
    let got = read(Format::Ods, &body);
    assert_eq!(
        got.text,
        "## Rates\n\n| Item | Rate |\n| --- | --- |\n| Goods | 7.50% |\n| Goods | 3 |\n| xy | xy |\n| xy | xy |\n\nComment on B2 by Ann: checked\n\n## Old (hidden)\n\nkept\n"
    );
}

#[test]
fn repetitions_are_bounded() {
    let row = "<table:table-row table:number-rows-repeated='4000000000'><table:table-cell table:number-columns-repeated='4000000000'><text:p>x</text:p></table:table-cell></table:table-row>";
    let body = format!("<office:spreadsheet><table:table table:name='a'>{}</table:table></office:spreadsheet>", row.repeat(20));
    assert!(read(Format::Ods, &body).text.len() < 40 << 20);
    let deep = format!(
        "<office:text>{}<text:p>deep</text:p>{}</office:text>",
        "<text:section>".repeat(3000),
        "</text:section>".repeat(3000)
    );
    let _ = extract(
        Format::Odt,
        format!("<office:document {SPACES}><office:body>{deep}</office:body></office:document>").into_bytes(),
    );
}
