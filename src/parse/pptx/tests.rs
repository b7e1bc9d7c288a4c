#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests may")]

use super::super::container::built;
use super::*;

const SPACES: &str = "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main' xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main' \
    xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships' xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart'";

fn relations(all: &[(&str, &str, &str)]) -> String {
    let one =
        |(id, kind, target): &(&str, &str, &str)| format!("<Relationship Id='{id}' Type='http://x/{kind}' Target='{target}'/>");
    format!("<Relationships>{}</Relationships>", all.iter().map(one).collect::<String>())
}

fn shape(place: &str, y: u32, paragraphs: &str) -> String {
    let place = if place.is_empty() { String::new() } else { format!("<p:ph type='{place}'/>") };
    format!(
        "<p:sp><p:nvSpPr><p:nvPr>{place}</p:nvPr></p:nvSpPr><p:spPr><a:xfrm><a:off x='0' y='{y}'/><a:ext cx='10' cy='5'/></a:xfrm></p:spPr>\
        <p:txBody>{paragraphs}</p:txBody></p:sp>"
    )
}

fn p(properties: &str, text: &str) -> String {
    format!("<a:p><a:pPr {properties}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>")
}

fn read(slides: &[String]) -> Extracted {
    let slide =
        |shapes: &str, show: &str| format!("<p:sld {SPACES}{show}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>");
    let notes = format!(
        "<p:notes {SPACES}><p:cSld><p:spTree>{}{}</p:spTree></p:cSld></p:notes>",
        shape("body", 0, &p(">", "Say this.")),
        shape("sldNum", 9, &p(">", "7"))
    );
    let chart = format!(
        "<c:chartSpace {SPACES}><c:chart><c:plotArea><c:ser><c:tx><c:v>Load</c:v></c:tx><c:cat><c:strCache><c:pt idx='0'><c:v>Oslo</c:v></c:pt></c:strCache></c:cat>\
        <c:val><c:numCache><c:pt idx='0'><c:v>4.2999999999999998</c:v></c:pt></c:numCache></c:val></c:ser></c:plotArea></c:chart></c:chartSpace>"
    );
    let list = (1..=slides.len()).rev().map(|n| format!("<p:sldId id='{n}' r:id='r{n}'/>")).collect::<String>();
    let names: Vec<(String, String, String)> =
        (1..=slides.len()).map(|n| (format!("r{n}"), "slide".to_owned(), format!("slides/slide{n}.xml"))).collect();
    let names: Vec<(&str, &str, &str)> = names.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    let mut entries = vec![
        (
            "ppt/presentation.xml".to_owned(),
            format!("<p:presentation {SPACES}><p:sldIdLst>{list}</p:sldIdLst></p:presentation>"),
        ),
        ("ppt/_rels/presentation.xml.rels".to_owned(), relations(&names)),
        ("ppt/notesSlides/n.xml".to_owned(), notes),
        ("ppt/charts/c.xml".to_owned(), chart),
    ];
    for (n, shapes) in slides.iter().enumerate() {
        entries.push((format!("ppt/slides/slide{}.xml", n + 1), slide(shapes, if n == 1 { " show='0'" } else { "" })));
        let own = [("n", "notesSlide", "../notesSlides/n.xml"), ("c", "chart", "../charts/c.xml")];
        entries.push((
            format!("ppt/slides/_rels/slide{}.xml.rels", n + 1),
            relations(own.get(..if n == 0 { 2 } else { 0 }).unwrap()),
        ));
    }
    let entries: Vec<(&str, &str)> = entries.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    extract(built(&entries)).unwrap()
}

#[test]
fn slides_in_their_order_with_titles_lists_and_notes() {
    let first = [
        shape(
            "body",
            20,
            &(p("lvl='0'>", "Rotate")
                + &p("lvl='1'><a:buAutoNum type='alphaLcParenBoth'/>", "weekly")
                + &p("lvl='1'><a:buAutoNum type='alphaLcParenBoth'/>", "by hand")),
        ),
        shape("title", 0, "<a:p><a:r><a:t>Key rotation</a:t></a:r><a:br/><a:r><a:t>for admins</a:t></a:r></a:p>"),
        shape("", 10, &p(">", "H</a:t></a:r><a:r><a:rPr baseline='-25000'/><a:t>2</a:t></a:r><a:r><a:t>O")),
        shape("sldNum", 30, &p(">", "3")),
    ]
    .concat();
    let got = read(&[first, shape("", 0, &p(">", "No title here"))]);
    assert_eq!(
        got.text,
        "## Slide 1 (hidden)\n\nNo title here\n\n## Key rotation for admins\n\nH2O\n\n- Rotate\n  (a) weekly\n  (b) by hand\n\nNotes: Say this.\n"
    );
    assert_eq!(got.title.as_deref(), Some("Key rotation for admins"));
}

#[test]
fn tables_charts_and_groups() {
    let cell = |properties: &str, text: &str| format!("<a:tc {properties}><a:txBody>{}</a:txBody></a:tc>", p(">", text));
    let table = format!(
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr firstRow='1'/><a:tr>{}{}{}</a:tr><a:tr>{}{}{}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>",
        cell("", "City"),
        cell("gridSpan='2'", "Load"),
        cell("hMerge='1'", ""),
        cell("", "Oslo"),
        cell("", "1"),
        cell("", "2")
    );
    let chart = "<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id='c'/></a:graphicData></a:graphic></p:graphicFrame>";
    let group = format!(
        "<p:grpSp><p:grpSpPr/>{}<p:pic><p:nvPicPr><p:cNvPr descr='A quay'/></p:nvPicPr></p:pic></p:grpSp>",
        shape("", 0, &p(">", "In a group"))
    );
    let got = read(&[format!("{table}{chart}{group}")]).text;
    assert!(got.contains("| City | Load | Load |\n| - | - | - |\n| Oslo | 1 | 2 |"), "{got}");
    assert!(got.contains("| | Load |\n| - | - |\n| Oslo | 4.3 |"), "{got}");
    assert!(got.contains("In a group\n\nA quay\n"), "{got}");
}
