#!/usr/bin/env bash
# markdownify 1.2.3 (by which MarkItDown and many crawlers write Markdown), html2text 2025.4.15, trafilatura 2.3.1; mammoth 1.13.0 and docx2txt
# 0.9 for Word; turndown 7.2.5 and html-to-text 10.0.1 on Node.
#
# A raised number is a power, a note's number or the half of a fraction: `10<sup>6</sup>`, `5<sup>2</sup> euros` with the note below,
# `1<sup>1</sup>/<sub>2</sub>`. A converter to text or Markdown may keep the mark (Markdown allows `<sup>`), write "10^6", or leave the raised
# number out; what comes should not be another number.
#
# Seen: with their defaults all of them set the raised digits right behind the others. A million passages are "106 passages", a thousandth of a
# second is "10-3 seconds", the price with note 2 is "52 euros", and one and a half is "11/2". Word documents come to the same, by way of
# HTML (mammoth writes `<sup>`, markdownify drops it) and by docx2txt. Nothing tells a reader or a model that it is not so written.
# Some have a switch, off by default: `sup_symbol="^"` and `sub_symbol="_"` of markdownify, `include_sup_sub` of html2text, `keep` of
# Turndown; trafilatura keeps the marks when it writes Markdown, and not when it writes text, which is its default. The script shows them.
#
# For a RAG user the figures of papers, price lists and data sheets are wrong by powers of ten, in fluent sentences and with a source beside.
# Upstream knows that the marks go, as those of a style (markdownify 44, turndown 310, html2text 264; markitdown 1322, open since July 2025,
# would write "^" for Word); of numbers that change no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3, node 20 or later and npm; some 40 MB to fetch, 120 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check markdownify==1.2.3 html2text==2025.4.15 trafilatura==2.3.1 \
    lxml_html_clean==0.4.6 mammoth==1.13.0 docx2txt==0.9 python-docx==1.2.0
cd "$folder"
npm install --silent --no-audit --no-fund turndown@7.2.5 html-to-text@10.0.1
cat >page.html <<'HTML'
<html><body><article><h1>Limits of the service</h1>
<p>The index holds 10<sup>6</sup> passages.</p><p>A lookup takes 10<sup>-3</sup> seconds.</p><p>The price is 5<sup>2</sup> euros.</p>
<p>Wait for 1<sup>1</sup>/<sub>2</sub> hours.</p></article></body></html>
HTML
cat >ask.mjs <<'JS'
import { readFileSync } from 'node:fs'
import { convert } from 'html-to-text'
import Turndown from 'turndown'

const page = readFileSync('page.html', 'utf8')
const answers = {
  'html-to-text': convert(page), turndown: new Turndown().turndown(page), 'turndown, keep': new Turndown().keep(['sup', 'sub']).turndown(page),
}
console.log(JSON.stringify(answers))
JS
node ask.mjs >node.json
"$folder/venv/bin/python" - <<'PYTHON'
import io
import json
import re

import docx
import docx2txt
import html2text
import mammoth
import trafilatura
from markdownify import markdownify

page = open("page.html").read()
document = docx.Document()
for content in re.findall("<p>(.*?)</p>", page):
    paragraph = document.add_paragraph()
    for kind, text in re.findall("(?:<(su[bp])>)?([^<>]+)(?:</su[bp]>)?", content):
        font = paragraph.add_run(text).font
        font.superscript, font.subscript = kind == "sup" or None, kind == "sub" or None
file = io.BytesIO()
document.save(file)


def through_html2text(keep):
    converter = html2text.HTML2Text()
    converter.include_sup_sub = keep
    return converter.handle(page)


answers = {
    "markdownify": markdownify(page), "html2text": through_html2text(False), "trafilatura": trafilatura.extract(page),
    "Word, mammoth": markdownify(mammoth.convert_to_html(file).value), "Word, docx2txt": docx2txt.process(file),
    **json.load(open("node.json")),
    "markdownify, sup_symbol": markdownify(page, sup_symbol="^", sub_symbol="_"), "html2text, include_sup_sub": through_html2text(True),
    "trafilatura, markdown": trafilatura.extract(page, output_format="markdown"),
}
LOST = ["106 passages", "10-3 seconds", "52 euros", "11/2 hours"]
KEPT = ["10<sup>6</sup> passages", "10<sup>-3</sup> seconds", "5<sup>2</sup> euros", "1<sup>1</sup>/<sub>2</sub> hours"]
SIGNS = ["10^6^ passages", "10^-3^ seconds", "5^2^ euros", "1^1^/_2_ hours"]
for name, text in answers.items():
    text = text.replace("\\-", "-")  # Turndown escapes it
    kinds = {kind: all(each in text for each in wanted) for kind, wanted in (("lost", LOST), ("kept", KEPT), ("signs", SIGNS))}
    print(f"{name:26} {[line for line in text.splitlines() if 'passages' in line or 'hours' in line]}")
    expected = "signs" if name == "markdownify, sup_symbol" else "kept" if "," in name and not name.startswith("Word") else "lost"
    assert kinds == {kind: kind == expected for kind in kinds}, f"{name}: it has changed"
print("as described")
PYTHON
