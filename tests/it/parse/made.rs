//! Files of each format, made by hand.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const MAIN: &str = "application/vnd.openxmlformats-officedocument";

fn office(main: &str, kind: &str, others: &[(&str, &str)], parts: &[(&str, &str)]) -> Vec<u8> {
    let more: String =
        others.iter().map(|(name, kind)| format!("<Override PartName='/{name}' ContentType='{MAIN}.{kind}+xml'/>")).collect();
    let types = format!(
        "<Types xmlns='{TYPES}'><Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>\
         <Default Extension='xml' ContentType='application/xml'/><Override PartName='/{main}' ContentType='{MAIN}.{kind}.main+xml'/>{more}</Types>"
    );
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/officeDocument' Target='{main}'/></Relationships>"
    );
    let mut files = vec![("[Content_Types].xml", types.as_str()), ("_rels/.rels", rels.as_str())];
    files.extend_from_slice(parts);
    archive(&files)
}

pub fn docx() -> Vec<u8> {
    let document = "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body>\
        <w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>Goals</w:t></w:r></w:p>\
        <w:p><w:r><w:t>We aim at low_cost &amp; more.</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Name</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Qty</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:p><w:r><w:t>Bolt</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>3</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
        </w:body></w:document>";
    let styles = "<w:styles xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>\
        <w:style w:type='paragraph' w:styleId='Heading1'><w:name w:val='heading 1'/><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:style></w:styles>";
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/styles' Target='styles.xml'/></Relationships>"
    );
    office(
        "word/document.xml",
        "wordprocessingml.document",
        &[("word/styles.xml", "wordprocessingml.styles")],
        &[("word/document.xml", document), ("word/styles.xml", styles), ("word/_rels/document.xml.rels", &rels)],
    )
}

pub fn pptx() -> Vec<u8> {
    let ns = format!(
        "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main' xmlns:r='{OFFICE}' xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main'"
    );
    let deck = format!("<p:presentation {ns}><p:sldIdLst><p:sldId id='256' r:id='r1'/></p:sldIdLst></p:presentation>");
    let shape = |id: u32, kind: &str, text: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:cNvPr id='{id}' name='s{id}'/><p:cNvSpPr/><p:nvPr><p:ph type='{kind}'/></p:nvPr></p:nvSpPr><p:spPr/>\
             <p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )
    };
    let slide = format!(
        "<p:sld {ns}><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id='1' name=''/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{}{}</p:spTree></p:cSld></p:sld>",
        shape(2, "title", "Second quarter"),
        shape(3, "body", "Sales grew by a tenth")
    );
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/slide' Target='slides/slide1.xml'/></Relationships>"
    );
    office(
        "ppt/presentation.xml",
        "presentationml.presentation",
        &[("ppt/slides/slide1.xml", "presentationml.slide")],
        &[("ppt/presentation.xml", &deck), ("ppt/_rels/presentation.xml.rels", &rels), ("ppt/slides/slide1.xml", &slide)],
    )
}

pub fn xlsx(rows: usize) -> Vec<u8> {
    let ns = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'";
    let book =
        format!("<workbook {ns} xmlns:r='{OFFICE}'><sheets><sheet name='Stock' sheetId='1' r:id='r1'/></sheets></workbook>");
    let mut sheet = format!(
        "<worksheet {ns}><sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>Name</t></is></c><c r='C1' t='inlineStr'><is><t>Qty</t></is></c></row>"
    );
    for i in 2..=rows + 1 {
        sheet +=
            &format!("<row r='{i}'><c r='A{i}' t='inlineStr'><is><t>part|{i}</t></is></c><c r='C{i}'><v>{i}.5</v></c></row>");
    }
    sheet += "<row r='1048576'><c r='XFD1048576' t='inlineStr'><is><t>corner</t></is></c></row></sheetData></worksheet>";
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>"
    );
    office(
        "xl/workbook.xml",
        "spreadsheetml.sheet",
        &[("xl/worksheets/sheet1.xml", "spreadsheetml.worksheet")],
        &[("xl/workbook.xml", &book), ("xl/_rels/workbook.xml.rels", &rels), ("xl/worksheets/sheet1.xml", &sheet)],
    )
}

pub fn epub() -> Vec<u8> {
    archive(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>"),
        (
            "OEBPS/book.opf",
            "<package xmlns:dc='x'><metadata><dc:title>Cats &amp; &#68;ogs</dc:title></metadata><manifest>\
             <item id='nav' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>\
             <item id='two' href='text/two.xhtml' media-type='application/xhtml+xml'/>\
             <item id='one' href='text/one%20a.xhtml' media-type='application/xhtml+xml'/>\
             <item id='pic' href='p.png' media-type='image/png'/></manifest>\
             <spine><itemref idref='nav'/><itemref idref='one'/><itemref idref='two'/><itemref idref='pic'/></spine></package>",
        ),
        ("OEBPS/nav.xhtml", "<html><body><ol><li>Contents</li></ol></body></html>"),
        (
            "OEBPS/text/one a.xhtml",
            "<?xml version='1.0'?><html><head><title/></head><body><h1>One</h1><p>First <a id='x'/>part.</p></body></html>",
        ),
        ("OEBPS/text/two.xhtml", "<html><body><h1>Two</h1><p>Second part.</p></body></html>"),
    ])
}

pub fn pdf(content: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        "<< /Title (The quarterly report) >>".to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let xref = out.len();
    out += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        out += &format!("{offset:010} 00000 n \n");
    }
    out += &format!("trailer\n<< /Size {} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{xref}\n%%EOF\n", objects.len() + 1);
    out.into_bytes()
}

pub const PAGE: &str = "BT /F1 24 Tf 72 720 Td (Revenue grew) Tj 0 -40 Td /F1 12 Tf (Costs fell by half.) Tj ET";

pub const MAIL: &str = "From: Ann Lee <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9_plans?=\r\n\
    Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/html\r\n\r\n<p>Meet at <b>nine</b>.</p>\r\n\
    --b\r\nContent-Type: application/pdf; name=\"menu.pdf\"\r\nContent-Disposition: attachment; filename=\"menu.pdf\"\r\n\r\nx\r\n--b--\r\n";

pub const NOTEBOOK: &str = r##"{"metadata": {"language_info": {"name": "julia"}}, "nbformat": 4, "cells": [
    {"cell_type": "markdown", "source": ["# Study\n", "of things"]},
    {"cell_type": "code", "source": "f(x) = `x`", "outputs": [
        {"output_type": "stream", "text": ["1\n", "2\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "three", "image/png": "AAAA"}},
        {"output_type": "error", "ename": "E", "evalue": "bad", "traceback": []}]},
    {"cell_type": "raw", "source": ""}]}"##;
