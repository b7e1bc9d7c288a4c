#![allow(clippy::unwrap_used, clippy::format_collect, clippy::needless_for_each, reason = "tests may")]

use super::super::container::built;
use super::*;

fn part(root: &str, inner: &str) -> String {
    format!(
        "<{root} xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' \
        xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'>{inner}</{root}>"
    )
}

fn relations(all: &[(&str, &str, &str)]) -> String {
    let one = |(id, kind, target): &(&str, &str, &str)| {
        let mode = if target.contains("://") { " TargetMode='External'" } else { "" };
        format!("<Relationship Id='{id}' Type='http://x/{kind}' Target='{target}'{mode}/>")
    };
    format!("<Relationships>{}</Relationships>", all.iter().map(one).collect::<String>())
}

fn read_with(properties: &str, sheet: &str) -> Extracted {
    let formats = ["0.0%", "\"$\"#,##0.00", "00000", "[h]:mm"];
    let own: String = formats
        .iter()
        .enumerate()
        .map(|(i, code)| format!("<numFmt numFmtId='{}' formatCode='{}'/>", 164 + i, code.replace('"', "&quot;")))
        .collect();
    let styles = format!(
        "<numFmts>{own}</numFmts><cellXfs><xf numFmtId='0'/><xf numFmtId='164'/><xf numFmtId='165'/><xf numFmtId='166'/><xf numFmtId='167'/>\
        <xf numFmtId='14'/></cellXfs>"
    );
    let workbook = format!(
        "{properties}<sheets><sheet name='Rates' r:id='r1'/><sheet name='Macro' r:id='r2'/><sheet name='Old' state='hidden' r:id='r3'/></sheets>"
    );
    let old = part("worksheet", "<sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>kept</t></is></c></row></sheetData>");
    let comments =
        "<authors><author>Ann</author></authors><commentList><comment ref='B2' authorId='0'><text><r><t>Ann:</t></r><r><t>
 checked</t></r></text></comment></commentList>";
    extract(built(&[
        ("_rels/.rels", &relations(&[("a", "officeDocument", "xl/workbook.xml")])),
        ("xl/workbook.xml", &part("workbook", &workbook)),
        (
            "xl/_rels/workbook.xml.rels",
            &relations(&[
                ("r1", "worksheet", "worksheets/sheet1.xml"),
                ("r2", "xlMacrosheet", "macrosheets/none.xml"),
                ("r3", "worksheet", "worksheets/sheet3.xml"),
                ("r4", "styles", "styles.xml"),
                ("r5", "sharedStrings", "sharedStrings.xml"),
            ]),
        ),
        ("xl/styles.xml", &part("styleSheet", &styles)),
        (
            "xl/sharedStrings.xml",
            &part(
                "sst",
                "<si><t>Item</t></si><si><r><t>東</t></r><r><t>京</t></r><rPh><t>トウ</t></rPh></si><si><t>a_x000D_|b</t></si>",
            ),
        ),
        ("xl/worksheets/sheet1.xml", &part("worksheet", sheet)),
        (
            "xl/worksheets/_rels/sheet1.xml.rels",
            &relations(&[("h", "hyperlink", "https://e.org/"), ("c", "comments", "../comments1.xml")]),
        ),
        ("xl/comments1.xml", &part("comments", comments)),
        ("xl/worksheets/sheet3.xml", &old),
    ]))
    .unwrap()
}

fn read(rows: &str) -> String {
    read_with("", &format!("<sheetData>{rows}</sheetData>")).text
}

/// Cells of a row: `=` begins a number with its style.
fn row(line: u32, cells: &[&str]) -> String {
    let cell = |(column, value): (u32, &&str)| {
        let at = format!("{}{line}", super::super::sheet::column_name(column));
        match value.strip_prefix('=').and_then(|v| v.split_once(' ')) {
            Some((style, number)) => format!("<c r='{at}' s='{style}'><v>{number}</v></c>"),
            None if value.is_empty() => String::new(),
            None => format!("<c r='{at}' t='inlineStr'><is><t>{value}</t></is></c>"),
        }
    };
    format!("<row r='{line}'>{}</row>", (0..).zip(cells).map(cell).collect::<String>())
}

#[test]
fn numbers_texts_links_comments_and_sheets() {
    let rows = [
        "<row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='str'><v>Value</v></c></row>".to_owned(),
        row(2, &["Rate", "=1 0.075"]),
        row(3, &["Price", "=2 1234.5"]),
        row(4, &["Postal code", "=3 1803"]),
        row(5, &["Time", "=4 1.5"]),
        row(6, &["Day", "=5 45366"]),
        "<row><c t='s'><v>1</v></c><c t='b'><v>1</v></c><c t='e'><v>#DIV/0!</v></c></row>".to_owned(),
        "<row r='9'><c r='A9' t='s'><v>2</v></c><c r='B9' t='s'><v>99</v></c></row>".to_owned(),
    ]
    .concat();
    let sheet = format!("<sheetData>{rows}</sheetData><hyperlinks><hyperlink ref='A3' r:id='h'/></hyperlinks>");
    let got = read_with("", &sheet);
    assert_eq!(
        got.text,
        "## Rates\n\n| Item | Value | |\n| --- | --- | --- |\n| Rate | 7.5% | |\n| [Price](https://e.org/) | $1,234.50 | |\n| Postal code | 01803 | |\n\
        | Time | 36:00 | |\n| Day | 2024-03-15 | |\n| 東京 | TRUE | #DIV/0! |\n| a\\|b | | |\n\nComment on B2 by Ann: checked\n\n\
        ## Old (hidden)\n\nkept\n"
    );
    assert_eq!(got.title.as_deref(), Some("Rates"));
    let since_1904 =
        read_with("<workbookPr date1904='1'/>", &format!("<sheetData>{}</sheetData>", row(1, &["Day", "=5 43904"])));
    assert!(since_1904.text.contains("2024-03-15"), "{}", since_1904.text);
}

#[test]
fn a_formula_without_its_value_is_shown_as_it_is_written() {
    let head = row(1, &["Item", "Price", "Twice"]);
    // openpyxl's; a result that is no text; one that is known; one that others share.
    let rows = [
        "<c r='A2' t='inlineStr'><is><t>Nut</t></is></c><c r='B2'><v>3</v></c><c r='C2'><f>B2*2&amp;\"x\"</f><v/></c>",
        "<c r='A3' t='inlineStr'><is><t>Bolt</t></is></c><c r='B3'><v>4</v></c><c r='C3' t='str'><f>IF(B3=4,\"\",1)</f><v></v></c>",
        "<c r='A4' t='inlineStr'><is><t>Ring</t></is></c><c r='B4'><v>5</v></c><c r='C4'><f>B4*2</f><v>10</v></c>",
        "<c r='A5' t='inlineStr'><is><t>Pin</t></is></c><c r='B5'><v>6</v></c><c r='C5'><f t='shared' si='0'/><v>12</v></c>",
    ];
    let rows: String = (2..).zip(rows).map(|(line, cells)| format!("<row r='{line}'>{cells}</row>")).collect();
    let got = read(&format!("{head}{rows}"));
    let table = "| Item | Price | Twice |\n| --- | --- | --- |\n| Nut | 3 | =B2*2&\"x\" |\n| Bolt | 4 | |\n| Ring | 5 | 10 |\n| Pin | 6 | 12 |\n";
    assert!(got.contains(table), "{got}");
}

#[test]
fn the_header_is_found_below_titles_and_over_several_rows() {
    let rows = [
        row(1, &["Sales by region"]),
        row(2, &["As of", "May"]),
        row(4, &["City", "2019", "", "2020", "", "Note"]),
        row(5, &["", "Q1", "Q2", "Q1", "Q2"]),
        row(6, &["Oslo", "=0 1", "=0 2", "=0 3", "=0 4", "x"]),
        row(7, &["", "=0 5", "=0 6", "=0 7", "=0 8", "y"]),
    ]
    .concat();
    let merges = ["A1:F1", "B4:C4", "D4:E4", "A4:A5", "A6:A7"].map(|area| format!("<mergeCell ref='{area}'/>")).concat();
    let got = read_with("", &format!("<sheetData>{rows}</sheetData><mergeCells>{merges}</mergeCells>"));
    assert!(
        got.text.starts_with(
            "## Rates\n\nSales by region\n\nAs of: May\n\n| City | 2019 / Q1 | 2019 / Q2 | 2020 / Q1 | 2020 / Q2 | Note |\n\
            | --- | --- | --- | --- | --- | --- |\n| Oslo | 1 | 2 | 3 | 4 | x |\n| Oslo | 5 | 6 | 7 | 8 | y |\n"
        ),
        "{}",
        got.text
    );
    assert_eq!(got.title.as_deref(), Some("Sales by region"));
}

#[test]
fn a_table_may_have_no_names() {
    let got = read(&[row(1, &["Bolt", "=0 3"]), row(2, &["Nut", "=0 4"])].concat());
    assert!(got.contains("| | |\n| --- | --- |\n| Bolt | 3 |\n| Nut | 4 |"), "{got}");
    let years = read(&[row(1, &["City", "=0 2019", "=0 2020", "=0 2021"]), row(2, &["Oslo", "=0 1", "=0 2", "=0 3"])].concat());
    assert!(years.contains("| City | 2019 | 2020 | 2021 |\n| ---"), "{years}");
}

#[test]
fn damage_and_distance_cost_little() {
    let got = read(&format!("{}<row r='1048576'><c r='XFD1048576'><v>7</v></c></row>", row(1, &["a", "b"])));
    assert!(got.contains('7') && got.len() < 300, "{got}");
    assert!(read("<row r='1'><c r='A1' t='inlineStr'><is><t>kept</t></is></c></row><row r='2'><c r='!'").contains("kept"));
    let merges = "<mergeCell ref='A1:XFD1048576'/>".repeat(1000);
    let wide = read_with(
        "",
        &format!("<sheetData>{}</sheetData><mergeCells>{merges}</mergeCells>", row(1, &["a", "b"]) + &row(2, &["c", "d"])),
    );
    assert!(wide.text.len() < 100_000);
    assert_eq!(unescaped("a_x0041_b_x_xZZZZ_"), "aAb_x_xZZZZ_");
}

#[test]
fn a_blank_row_ends_a_table_where_another_begins() {
    let sheet = |rows: &[(u32, &[&str])]| read(&rows.iter().map(|(line, cells)| row(*line, cells)).collect::<String>());
    let two = sheet(&[
        (1, &["Customer", "EUR", "Year"]),
        (2, &["A", "=0 1000", "=0 2024"]),
        (3, &["B", "=0 1001", "=0 2024"]),
        (5, &["Supplier", "CNY", "Country"]),
        (6, &["C", "=0 5000", "CN"]),
        (7, &["D", "=0 5001", "CN"]),
    ]);
    let expected = "| Customer | EUR | Year |\n| --- | --- | --- |\n| A | 1000 | 2024 |\n| B | 1001 | 2024 |\n\n\
        | Supplier | CNY | Country |\n| --- | --- | --- |\n| C | 5000 | CN |\n| D | 5001 | CN |\n";
    assert!(two.contains(expected), "{two}");
    let above = sheet(&[
        (1, &["Created", "1 Feb"]),
        (2, &["Author", "Li"]),
        (4, &["No", "Name", "EUR", "kg"]),
        (5, &["M1", "Motor", "=0 10", "=0 0.5"]),
        (6, &["M2", "Motor", "=0 20", "=0 1"]),
    ]);
    let expected =
        "Created: 1 Feb\n\nAuthor: Li\n\n| No | Name | EUR | kg |\n| --- | --- | --- | --- |\n| M1 | Motor | 10 | 0.5 |\n";
    assert!(above.contains(expected), "{above}");
    // Groups and sums belong to their table, whatever is said between them.
    let groups = sheet(&[
        (1, &["Customer", "EUR"]),
        (2, &["A", "=0 1"]),
        (3, &["B", "=0 2"]),
        (5, &["North"]),
        (6, &["C", "=0 3"]),
        (8, &["", "Sum", "=0 6"]),
        (10, &["D", "=0 4"]),
    ]);
    let expected = "| Customer | EUR |\n| --- | --- |\n| A | 1 |\n| B | 2 |\n| North | |\n| C | 3 |\n\nSum: 6\n\n\
        | Customer | EUR |\n| --- | --- |\n| D | 4 |\n";
    assert!(groups.contains(expected), "{groups}");
    // However far down.
    let mut long = row(1, &["Customer", "EUR"]);
    long.extend((2..500).map(|line| row(line, &["A", "=0 1"])));
    long += &[row(501, &["Supplier", "CNY"]), row(502, &["C", "=0 2"]), row(503, &["D", "=0 3"])].concat();
    let long = read(&long);
    assert!(long.contains("| A | 1 |\n\n| Supplier | CNY |\n| --- | --- |\n| C | 2 |\n"), "{long}");
}
