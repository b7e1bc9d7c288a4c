#!/usr/bin/env bash
# haystack-ai 3.4.1 (DOCXToDocument, over python-docx 1.2.0); docx2txt 0.9 and mammoth 1.13.0, by which MarkItDown reads, beside it.
#
# Contracts, policies and minutes are passed round with their changes tracked, and are made from templates with fields to fill in. Word keeps
# what was inserted, deleted and moved in elements of their own (ECMA-376, 17.13.5), and fields in content controls (17.5.2). A converter may
# give the text before the changes or the text after them, and should say which.
#
# Seen: Haystack's gives neither. What was inserted is left out as well as what was deleted: "You may delete the key at any time", changed to
# "You may not delete the key before the backup", becomes "You may delete the key", which no version said. A clause that was added is not
# there. A sentence that was moved is at neither place. What stands in a content control is left out: the number in "Port: 8080", and, where
# the control holds whole paragraphs, all of them. Nothing is raised or logged, and the document counts as read.
# docx2txt and mammoth, by which LangChain's and LlamaIndex's readers and MarkItDown go, have the text after the changes and what the
# controls hold; docx2txt has a moved sentence at both places. To accept all changes first (as Word and LibreOffice can) mends the first half.
#
# For a RAG user it is the newest wording, of the documents that are under discussion, that is missing, with the words around it in place, so
# that the answer is fluent and wrong. Of python-docx it is known (python-docx 6, open since 2014, of inserted text; 155, open since 2015, of
# controls), and Docling, which reads by it, too, has issues of both (docling 3152, open since March 2026; 3923, mended); of Haystack no issue
# was found as of November 2026, and its reference does not say it.
#
# Fails if that changes. Linux or macOS with python3; some 60 MB to fetch, 220 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check haystack-ai==3.4.1 python-docx==1.2.0 docx2txt==0.9 mammoth==1.13.0
HAYSTACK_TELEMETRY_ENABLED=False "$folder/venv/bin/python" - <<'PYTHON'
import io
import logging

import docx
import docx2txt
import mammoth
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from haystack.components.converters import DOCXToDocument
from haystack.dataclasses import ByteStream

told = []
logging.getLogger().addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, record: told.append(record.getMessage())})())
WHO = 'w:author="a" w:date="2026-01-01T00:00:00Z"'
plain = lambda text: f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
inserted = lambda text: f'<w:ins w:id="1" {WHO}>{plain(text)}</w:ins>'
deleted = lambda text: f'<w:del w:id="2" {WHO}><w:r><w:delText xml:space="preserve">{text}</w:delText></w:r></w:del>'
moved = lambda end, text: f'<w:move{end} w:id="3" {WHO}>{plain(text)}</w:move{end}>'
paragraph = lambda content: f"<w:p>{content}</w:p>"
control = lambda content: f"<w:sdt><w:sdtPr/><w:sdtContent>{content}</w:sdtContent></w:sdt>"
BODY = [
    paragraph(plain("You may ") + inserted("not ") + plain("delete the key ") + deleted("at any time") + inserted("before the backup")),
    paragraph(moved("From", "Tell the owner. ") + plain("Keep a record.")),
    paragraph(inserted("Old keys are kept for a week.")),
    paragraph(plain("Make a new key.") + moved("To", " Tell the owner.")),
    paragraph(plain("Port: ") + control(plain("8080"))),
    control(paragraph(plain("Signed for Contoso."))),
    paragraph(plain("End.")),
]


def document(body):
    made = docx.Document()
    for place, xml in enumerate(body):
        made.element.body.insert(place, parse_xml(xml.replace(">", f" {nsdecls('w')}>", 1)))
    file = io.BytesIO()
    made.save(file)
    return file


def lines(text):
    return [line for line in map(str.strip, text.splitlines()) if line]


file = document(BODY)
seen = {
    "Haystack": lines(DOCXToDocument().run([ByteStream(file.getvalue())])["documents"][0].content),
    "docx2txt": lines(docx2txt.process(file)),
    "mammoth": lines(mammoth.extract_raw_text(file).value),
}
for name, found in seen.items():
    print(f"{name:9} {found}")
print("the log has", told)
AFTER = [
    "You may not delete the key before the backup", "Keep a record.", "Old keys are kept for a week.", "Make a new key. Tell the owner.",
    "Port: 8080", "Signed for Contoso.", "End.",
]
assert seen["Haystack"] == ["You may delete the key", "Keep a record.", "Make a new key.", "Port:", "End."], "Haystack has changed"
assert seen["mammoth"] == AFTER, "mammoth has changed"
assert seen["docx2txt"] == [line.replace("Keep", "Tell the owner. Keep") for line in AFTER], "docx2txt has changed"
assert not told, "the log has changed"
print("as described")
PYTHON
