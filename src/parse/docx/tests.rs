#![allow(clippy::unwrap_used, reason = "tests may")]

use super::super::container::built;
use super::*;

const STYLES: &str = "<w:style w:type='paragraph' w:styleId='T'><w:name w:val='Title'/></w:style>
    <w:style w:type='paragraph' w:styleId='H1'><w:name w:val='heading 1'/><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr></w:style>
    <w:style w:type='paragraph' w:styleId='H2'><w:name w:val='Überschrift 2'/></w:style>
    <w:style w:type='paragraph' w:styleId='C'><w:name w:val='Source Code'/></w:style>";

const NUMBERING: &str = "<w:abstractNum w:abstractNumId='0'>
      <w:lvl w:ilvl='0'><w:numFmt w:val='chineseCounting'/><w:lvlText w:val='%1、'/></w:lvl></w:abstractNum>
    <w:abstractNum w:abstractNumId='1'>
      <w:lvl w:ilvl='0'><w:numFmt w:val='decimal'/><w:lvlText w:val='%1.'/></w:lvl>
      <w:lvl w:ilvl='1'><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='(%2)'/></w:lvl></w:abstractNum>
    <w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num><w:num w:numId='2'><w:abstractNumId w:val='1'/></w:num>";

fn part(root: &str, inner: &str) -> String {
    format!(
        "<?xml version='1.0'?><w:{root} xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main' \
        xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships' \
        xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006' \
        xmlns:wp='http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing' xmlns:v='urn:schemas-microsoft-com:vml'>\
        {inner}</w:{root}>"
    )
}

fn read(body: &str) -> Extracted {
    let relation = |id: &str, kind: &str, target: &str| {
        let mode = if target.contains(':') { " TargetMode='External'" } else { "" };
        format!("<Relationship Id='{id}' Type='http://x/{kind}' Target='{target}'{mode}/>")
    };
    let relations = format!(
        "<Relationships>{}{}{}{}{}{}</Relationships>",
        relation("s", "styles", "styles.xml"),
        relation("n", "numbering", "/word/numbering.xml"),
        relation("f", "footnotes", "footnotes.xml"),
        relation("c", "comments", "comments.xml"),
        relation("h", "header", "header1.xml"),
        relation("l", "hyperlink", "https://e.org/")
    );
    let note = "<w:footnote w:id='-1' w:type='separator'><w:p/></w:footnote>\
        <w:footnote w:id='2'><w:p><w:r><w:t>By Ann.</w:t></w:r></w:p></w:footnote>";
    let comment = "<w:comment w:id='7' w:author='Bo'><w:p><w:r><w:t>Sure?</w:t></w:r></w:p></w:comment>";
    let header = "<w:p><w:r><w:t>Acme internal</w:t></w:r></w:p><w:p><w:r><w:t>Page 3 of 4</w:t></w:r></w:p>";
    let bytes = built(&[
        (
            "_rels/.rels",
            "<Relationships><Relationship Id='a' Type='x/officeDocument' Target='word/document2.xml'/></Relationships>",
        ),
        ("word/document2.xml", &part("document", &format!("<w:body>{body}</w:body>"))),
        ("word/_rels/document2.xml.rels", &relations),
        ("word/styles.xml", &part("styles", STYLES)),
        ("word/numbering.xml", &part("numbering", NUMBERING)),
        ("word/footnotes.xml", &part("footnotes", note)),
        ("word/comments.xml", &part("comments", comment)),
        ("word/header1.xml", &part("hdr", header)),
    ]);
    extract(bytes).unwrap()
}

fn text(body: &str) -> String {
    read(body).text.trim_end().to_owned()
}

fn p(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn words_are_whole_whatever_they_look_like() {
    let run =
        |properties: &str, text: &str| format!("<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>");
    let raised = "<w:vertAlign w:val='superscript'/>";
    let body = format!(
        "<w:p>{}{}{}{}{}{}{}{}<w:r><w:t>Donau</w:t><w:softHyphen/><w:t>dampf</w:t><w:noBreakHyphen/><w:t>schiff</w:t></w:r></w:p>",
        run("<w:b/>", "Q"),
        run("", "uokka PFC"),
        run("<w:vertAlign w:val='subscript'/>", "14"),
        run("", " the 10"),
        run(raised, "th"),
        run("", ", 10"),
        run(raised, "6"),
        run("<w:vanish/>", " hidden") + &run("", " "),
    );
    assert_eq!(text(&body), "Quokka PFC14 the 10th, 10^6 Donaudampf-schiff");
}

#[test]
fn headings_titles_and_numbers() {
    let style = |id: &str| format!("<w:pStyle w:val='{id}'/>");
    let number = |level: u8| format!("<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='2'/></w:numPr>");
    let body = [
        p(&style("T"), "The lease</w:t><w:br/><w:t>of the quay"),
        p(&style("H1"), "总则"),
        p(&number(0), "Delivery"),
        p(&number(1), "On Monday"),
        p(&number(1), "Prepaid"),
        p(&number(0), "Payment"),
        p(&number(1), "Thirty days"),
        p(&style("H2"), "Zwei"),
        p(&style("H1"), "附则"),
        p("<w:outlineLvl w:val='3'/>", "By level"),
        p(&style("C"), "let a = 1;") + &p(&style("C"), "  a += 1;"),
    ]
    .concat();
    let got = read(&body);
    assert_eq!(got.title.as_deref(), Some("The lease of the quay"));
    assert_eq!(
        got.text,
        "# The lease of the quay\n\n# 一、 总则\n\n1. Delivery\n  (a) On Monday\n  (b) Prepaid\n2. Payment\n  (a) Thirty days\n\n\
        ## Zwei\n\n# 二、 附则\n\n#### By level\n\n```\nlet a = 1;\n  a += 1;\n```\n"
    );
}

#[test]
fn fields_links_ruby_symbols_and_changes() {
    let mark = |kind: &str| format!("<w:r><w:fldChar w:fldCharType='{kind}'/></w:r>");
    let body = format!(
        "<w:p>{}<w:r><w:instrText>HYPERLINK \"https://x.org/\"</w:instrText></w:r>{}<w:r><w:t>there</w:t></w:r>{}\
        <w:hyperlink r:id='l'><w:r><w:t> here</w:t></w:r></w:hyperlink></w:p>\
        <w:p><w:r><w:ruby><w:rt><w:r><w:t>とうきょう</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>東京</w:t></w:r></w:rubyBase></w:ruby></w:r>\
        <w:r><w:sym w:font='Wingdings' w:char='F0E0'/></w:r></w:p>\
        <w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>Goods of 15</w:t></w:r><w:del><w:r><w:delText>20</w:delText><w:t>20</w:t></w:r></w:del></w:p>\
        <w:p><w:ins><w:r><w:t> tons</w:t></w:r></w:ins></w:p>",
        mark("begin"),
        mark("separate"),
        mark("end")
    );
    assert_eq!(text(&body), "[there](https://x.org/) [here](https://e.org/)\n\n東京(とうきょう)→\n\nGoods of 15 tons");
}

#[test]
fn notes_comments_boxes_pictures_and_headers() {
    let boxed = |text: &str| format!("<w:txbxContent><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:txbxContent>");
    let body = format!(
        "<w:p><w:r><w:t>pier</w:t><w:footnoteReference w:id='2'/><w:commentReference w:id='7'/></w:r></w:p>\
        <w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing>{0}</w:drawing></mc:Choice><mc:Fallback><w:pict>{0}</w:pict></mc:Fallback>\
        </mc:AlternateContent></w:r></w:p>\
        <w:p><w:r><w:drawing><wp:docPr descr='A quay at dusk'/></w:drawing></w:r></w:p>\
        <w:sectPr><w:headerReference r:id='h'/></w:sectPr><w:sectPr><w:headerReference r:id='h'/></w:sectPr>",
        boxed("In a box")
    );
    assert_eq!(
        text(&body),
        "Acme internal\n\npier[^1]\n\n[^1]: By Ann.\n\n> Comment by Bo: Sure?\n\nIn a box\n\nA quay at dusk"
    );
}

#[test]
fn tables_with_spans_and_tables_within() {
    let cell = |properties: &str, inner: &str| format!("<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>");
    let row = |cells: &[String]| format!("<w:tr>{}</w:tr>", cells.concat());
    let inner = format!(
        "<w:tbl>{}{}</w:tbl><w:p/>",
        row(&[cell("", &p("", "x")), cell("", &p("", "y"))]),
        row(&[cell("", &p("", "z"))])
    );
    let body = format!(
        "<w:tbl>{}{}{}</w:tbl>",
        row(&[cell("<w:vMerge w:val='restart'/>", &p("", "City")), cell("<w:gridSpan w:val='2'/>", &p("", "Load"))]),
        row(&[cell("<w:vMerge/>", "<w:p/>"), cell("", &p("", "2019")), cell("", &p("", "a|b"))]),
        row(&[cell("", &p("", "Oslo")), cell("", &inner), cell("", &(p("", "one") + &p("", "two")))]),
    );
    let got = text(&body);
    assert!(got.contains("Oslo | x, y; z | one") && got.contains("a\\|b"), "{got}");
    assert!(got.lines().all(|line| line.replace("\\|", "").matches('|').count() == 4), "{got}");
    let frame = format!("<w:tbl>{}</w:tbl>", row(&[cell("", &p("<w:outlineLvl w:val='0'/>", "Framed"))]));
    assert_eq!(text(&frame), "# Framed");
}

#[test]
fn what_is_damaged_or_made_to_hurt_is_read_or_refused() {
    let own = "<w:p><w:r><w:footnoteReference w:id='2'/><w:footnoteReference w:id='2'/></w:r></w:p>";
    assert_eq!(text(own), "[^1][^2]\n\n[^1]: By Ann.");
    let open = "<w:p><w:r><w:fldChar w:fldCharType='begin'/><w:t>gone</w:t></w:r></w:p><w:p><w:r><w:t>kept</w:t></w:r></w:p>";
    assert_eq!(text(open), "kept");
    let wide = "<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='99999999999'/></w:tcPr><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>";
    assert!(text(wide).len() < 10_000);
    assert!(extract(built(&[("word/document.xml", "no")])).is_err());
}
