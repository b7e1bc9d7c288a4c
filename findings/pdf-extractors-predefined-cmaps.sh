#!/usr/bin/env bash
# pdfminer.six 20260107 (and pdfplumber 0.11.10, which reads by it), pypdf 7.1.1; pypdfium2 5.15.2 beside them.
#
# A PDF may set Chinese, Japanese and Korean in fonts that it does not bring, by character maps that the standard knows by name (ISO 32000,
# 9.7.5.2): older documents of offices and printers do, with no table of Unicode, since the name and the character collection say all. An
# extractor that has these maps should read such a page, or say that it cannot; one that says nothing should be right.
#
# Seen: each loses what another reads, and what comes is no gap but other text.
# - pdfminer.six has a file for ETenms-B5-H, which Windows in Taiwan and Hong Kong wrote, but it holds only the 95 codes in which the map
#   differs from the one that it is based on. Of each Chinese character its second byte remains, where that is a letter: a title becomes
#   "K_", without a word in the log. (So with its vertical twin and with UniJIS-UCS2-HW. MarkItDown 0.1.9 reads PDFs by it.)
# - pypdf takes the codes of nearly half of the maps (the Korean ones from before Unicode, Big5 of Hong Kong, GBKp, EUC, most of Shift-JIS)
#   for UTF-16: real characters, some of the right script even, that nobody wrote. It says so, in the log. Where the codes are numbers of
#   the collection (Identity-H over Adobe-GB1) it takes the numbers for characters, and says nothing.
# PDFium reads all of these.
#
# For a RAG index such a page is worse than an empty one: it counts as read, is embedded, and is found by chance or never. No issue
# upstream names ETenms-B5 as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 120 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pdfminer.six==20260107 pdfplumber==0.11.10 pypdf==7.1.1 pypdfium2==5.15.2
"$folder/venv/bin/python" - <<'PYTHON'
import io
import logging

import pdfplumber
import pypdf
import pypdfium2
from pdfminer.high_level import extract_text

heard = set()


class Heard(logging.Handler):
    def emit(self, record):
        heard.add(record.name.partition(".")[0])


logging.getLogger().addHandler(Heard(level=logging.WARNING))


def pdf(collection, cmap, codes):
    """One page, one line of text in a font that is not embedded."""
    text = b"BT /F 16 Tf 72 700 Td <%s> Tj ET" % codes.hex().encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type0/BaseFont/Song/Encoding/%s/DescendantFonts[6 0 R]>>" % cmap.encode(),
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/Song/CIDSystemInfo<</Registry(Adobe)/Ordering(%s)/Supplement 2>>"
        b"/DW 1000/FontDescriptor 7 0 R>>" % collection.encode(),
        b"<</Type/FontDescriptor/FontName/Song/Flags 4/FontBBox[0 -200 1000 900]/ItalicAngle 0/Ascent 900/Descent -200"
        b"/CapHeight 900/StemV 90>>",
    ]
    out, starts = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    end = b"trailer\n<</Size 8/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 8\n0000000000 65535 f \n" + table + end


def read(document):
    """What each says, and who warns."""
    heard.clear()
    file = lambda: io.BytesIO(document)
    with pdfplumber.open(file()) as opened:
        plumbed = opened.pages[0].extract_text()
    said = {
        "PDFium": pypdfium2.PdfDocument(document)[0].get_textpage().get_text_range(),
        "pdfminer": extract_text(file()),
        "pdfplumber": plumbed,
        "pypdf": pypdf.PdfReader(file()).pages[0].extract_text(),
    }
    return {name: "".join(text.split()) for name, text in said.items()}, set(heard)


NUMBERS = b"".join(number.to_bytes(2, "big") for number in (2785, 4354, 2685, 2000))  # of 密钥轮换 in Adobe-GB1
cases = {
    # The map, the collection, the codes, the text, what others read instead of it, and who warns.
    "ETen-B5-H": ("CNS1", "密鑰輪換8080".encode("big5"), "密鑰輪換8080", {}, set()),
    "ETenms-B5-H": ("CNS1", "密鑰輪換8080".encode("big5"), "密鑰輪換8080", {"pdfminer": "K_8080", "pdfplumber": "K_8080"}, set()),
    "HKscs-B5-H": ("CNS1", "密鑰輪換".encode("big5hkscs"), "密鑰輪換", {"pypdf": "녋왟뷼뒫"}, {"pypdf"}),
    "GBK-EUC-H": ("GB1", "密钥轮换8080".encode("gbk"), "密钥轮换8080", {}, set()),
    "GBKp-EUC-H": ("GB1", "密钥轮换".encode("gbk"), "密钥轮换", {"pypdf": "쏜풿싖뮻"}, {"pypdf"}),
    "KSCms-UHC-H": ("Korea1", "열쇠교체".encode("cp949"), "열쇠교체", {"pypdf": "뾭볨놳쎼"}, {"pypdf"}),
    "Identity-H": ("GB1", NUMBERS, "密钥轮换", {"pypdf": "ૡᄂ\u0a7dߐ"}, set()),
}
changed = []
for cmap, (collection, codes, text, others, warns) in cases.items():
    said, warned = read(pdf(collection, cmap, codes))
    print(f"{cmap:12} {text}")
    for name, what in said.items():
        print(f"    {name:10} {'right' if what == text else what}{' (warned)' if name in warned else ''}")
    if said != {name: others.get(name, text) for name in said} or warned != warns:
        changed.append(cmap)
assert not changed, f"it has changed: {changed}"
print("as described")
PYTHON
