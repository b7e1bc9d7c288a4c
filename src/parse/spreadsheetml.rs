//! The XML that Excel 2002 and 2003 wrote, and that many a program still exports under the name `.xls`.

use std::collections::HashMap;

use super::numfmt::NumberFormat;
use super::sheet::layout::{Kind, Merge, Sheets, Value};
use super::sheet::{column_name, number};
use super::xml::{Element, Visit};
use super::{Extracted, Format, ParseError, letters, title, writer};
use crate::document::Markup;

/// Columns of a sheet.
const MAX_COLUMNS: u32 = 16_384;

pub(super) fn extract(source: &str) -> Result<Extracted, ParseError> {
    let mut out = Sheets::new(Format::Xls);
    let mut reader = Reader { out: &mut out, formats: formats(source), line: 0, open: false, notes: Vec::new() };
    let read = Element::stream(source, ("ss:Worksheet", "ss:Row"), &mut |visit| match visit {
        Visit::Begin(sheet) => {
            reader.begin(sheet.attribute("Name").unwrap_or_default());
            Ok(())
        }
        Visit::Whole(row) => reader.row(&row),
    })?;
    reader.end();
    read.map_err(|e| ParseError::broken(Format::Xls, e))?;
    let said = out.said.take();
    let text = out.finish();
    let title = said.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

/// The formats of styles, by their names. The styles stand before the sheets.
fn formats(source: &str) -> HashMap<String, NumberFormat> {
    let Some(end) = source.find("Styles>").and_then(|from| source.get(from + 7..)?.find("Styles>").map(|to| from + 7 + to))
    else {
        return HashMap::new();
    };
    // What is read before a fault is kept: all that comes before the sheets.
    let head = source.get(..end).unwrap_or_default();
    let Ok(root) = Element::parse(head) else { return HashMap::new() };
    let styles = root.all("ss:Style").into_iter();
    styles
        .filter_map(|style| {
            let code = style.child("ss:NumberFormat")?.attribute("Format")?;
            Some((style.attribute("ID")?.to_owned(), NumberFormat::new(named(code))))
        })
        .collect()
}

/// Formats that are written by name.
fn named(code: &str) -> &str {
    match code {
        "General Number" => "General",
        "General Date" => "yyyy-mm-dd hh:mm:ss",
        "Long Date" | "Medium Date" | "Short Date" => "yyyy-mm-dd",
        "Long Time" => "h:mm:ss",
        "Medium Time" => "h:mm AM/PM",
        "Short Time" => "h:mm",
        "Currency" => "$#,##0.00",
        "Euro Currency" => "€#,##0.00",
        "Fixed" => "0.00",
        "Standard" => "#,##0.00",
        "Percent" => "0.00%",
        "Scientific" => "0.00E+00",
        "Yes/No" => "\"Yes\";\"Yes\";\"No\"",
        "True/False" => "\"True\";\"True\";\"False\"",
        "On/Off" => "\"On\";\"On\";\"Off\"",
        own => own,
    }
}

struct Reader<'o> {
    out: &'o mut Sheets,
    formats: HashMap<String, NumberFormat>,
    line: u32,
    open: bool,
    notes: Vec<(String, String, String)>,
}

impl Reader<'_> {
    fn begin(&mut self, name: &str) {
        self.end();
        self.out.begin(name, false, Vec::new());
        self.open = true;
        self.line = 0;
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.out.end(&std::mem::take(&mut self.notes));
        }
    }

    fn row(&mut self, row: &Element) -> Result<(), ParseError> {
        // Rows and cells that are left out are skipped by a number, counted from 1.
        let line = row.number::<u32>("Index").and_then(|n| n.checked_sub(1)).unwrap_or(self.line);
        self.line = line.saturating_add(1).saturating_add(row.number("Span").unwrap_or(0));
        let mut cells = Vec::new();
        let mut column = 0u32;
        for cell in row.named("ss:Cell") {
            let at = cell.number::<u32>("Index").and_then(|n| n.checked_sub(1)).unwrap_or(column);
            let across = cell.number::<u32>("MergeAcross").unwrap_or(0).min(MAX_COLUMNS);
            let down = cell.number::<u32>("MergeDown").unwrap_or(0);
            column = at.saturating_add(1).saturating_add(across);
            if at >= MAX_COLUMNS {
                break;
            }
            if across > 0 || down > 0 {
                let rows = (line, line.saturating_add(down));
                self.out.spans(Merge { rows, columns: (at, at.saturating_add(across)) });
            }
            if let Some(comment) = cell.child("ss:Comment") {
                let author = comment.attribute("Author").unwrap_or_default().to_owned();
                let said = comment.children().map(Element::text).collect::<Vec<_>>().join(" ");
                self.notes.push((format!("{}{}", column_name(at), line.saturating_add(1)), author, said));
            }
            cells.extend(self.value(cell, at));
        }
        self.out.row(line, cells)
    }

    fn value(&self, cell: &Element, column: u32) -> Option<Value> {
        let data = cell.child("ss:Data")?;
        let raw = data.text();
        let format = cell.attribute("StyleID").and_then(|style| self.formats.get(style));
        let general = NumberFormat::default();
        let mut value = match (data.attribute("Type"), raw.trim().parse::<f64>()) {
            (Some("Number"), Ok(n)) => number(column, n, format.unwrap_or(&general), false),
            (Some("Boolean"), Ok(n)) => {
                Value { column, text: if n == 0.0 { "FALSE" } else { "TRUE" }.to_owned(), kind: Kind::Word }
            }
            (Some("DateTime"), _) => {
                let moment = raw.trim().trim_end_matches(".000").replace('T', " ");
                let day = moment.strip_suffix(" 00:00:00").map(str::to_owned);
                Value { column, text: day.unwrap_or(moment), kind: Kind::Date }
            }
            _ => {
                let mut text = String::new();
                letters::push(&mut text, &raw, None);
                Value { column, text, kind: Kind::Word }
            }
        };
        if let Some(target) = cell.attribute("HRef") {
            value.text = writer::link(&value.text, target);
        }
        (!value.text.trim().is_empty()).then_some(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn sheets_with_formats_links_and_comments() {
        let source = "<?xml version='1.0'?><?mso-application progid='Excel.Sheet'?>
            <Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet' xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet'>
            <Styles><Style ss:ID='s1'><NumberFormat ss:Format='Percent'/></Style></Styles>
            <Worksheet ss:Name='Rates'><Table><Column/>
            <Row><Cell ss:MergeAcross='1'><Data ss:Type='String'>All rates</Data></Cell></Row>
            <Row ss:Index='3'><Cell><Data ss:Type='String'>Item</Data></Cell><Cell ss:Index='3'><Data ss:Type='String'>Rate</Data></Cell></Row>
            <Row><Cell ss:HRef='https://e.org/'><Data ss:Type='String'>Goods</Data></Cell><Cell ss:Index='3' ss:StyleID='s1'>
            <Data ss:Type='Number'>0.075</Data><Comment ss:Author='Ann'><ss:Data>checked</ss:Data></Comment></Cell></Row>
            <Row><Cell><Data ss:Type='DateTime'>2024-03-15T00:00:00.000</Data></Cell></Row>
            </Table></Worksheet></Workbook>";
        assert_eq!(
            extract(source).unwrap().text,
            "## Rates\n\nAll rates\n\n| Item | Rate |\n| --- | --- |\n| [Goods](https://e.org/) | 7.50% |\n| 2024-03-15 | |\n\nComment on C4 by Ann: checked\n"
        );
    }
}
