"""Reference readers: what other programs read in a file. `python references.py FORMAT FILE` prints JSON: a list of readings.

A reading is a list of texts in reading order; null parts neighbours that need not stand together, and a text in a list of its own
is right where it is read but is not asked for. All imports are late: each file has a process to itself.
"""

import collections
import io
import json
import os
import re
import sys


def pdf(path):
    import pymupdf
    import pypdfium2

    # A code that no font says the letter of is asked of nobody (else it would come as the letter of that number), and what is
    # drawn over itself, for bold letters or a shadow, is there once.
    flags = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES & ~pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE | pymupdf.TEXT_COLLECT_STYLES
    mupdf, edges = [], []
    with pymupdf.open(path) as document:
        for page in document if not document.needs_pass else []:
            lines = [line for block in page.get_text("dict", flags=flags)["blocks"] for line in block["lines"]]
            texts = ["".join(span["text"] for span in line["spans"]) for line in lines]
            mupdf.append("\n".join(texts))
            top, bottom = (page.rect.y0 + EDGE * page.rect.height, page.rect.y1 - EDGE * page.rect.height)
            boxes = [pymupdf.Rect(line["bbox"]) * page.rotation_matrix for line in lines]
            edges.append([text for box, text in zip(boxes, texts) if box.y1 < top or box.y0 > bottom])
    pdfium = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path)]
    furniture = repeated(edges)
    return [without(furniture, pages) for pages in (pdfium, mupdf)]


# The part of a page's height, above and below, in which running headers and footers stand.
EDGE = 0.15


def shape(line):
    """A line without what changes from page to page."""
    return re.sub(r"\d+|\b[ivxlc]+\b", "0", line.strip().casefold())


def repeated(edges):
    """Furniture: lines at the edges of three pages or more, whatever their numbers. A reader may leave them out."""
    on = collections.Counter(line for page in edges for line in {shape(line) for line in page})
    return {line for line, pages in on.items() if pages >= 3}


def without(furniture, pages):
    parts = []
    for page in pages:
        parts += [[line] if shape(line) in furniture else line for line in page.splitlines(keepends=True)]
        parts.append("\n")
    return joined_lines(parts)


def joined_lines(parts):
    out = []
    for part in parts:
        if out and isinstance(part, str) and isinstance(out[-1], str):
            out[-1] += part
        else:
            out.append(part)
    return out


def docx(path):
    import docx as word
    import docx2txt
    from docx.table import Table

    def blocks(container):
        for block in container.iter_inner_content():
            if isinstance(block, Table):
                seen = set()
                for row in block.rows:
                    for cell in row.cells:
                        if id(cell._tc) not in seen:
                            seen.add(id(cell._tc))
                            yield from blocks(cell)
                            yield None
            else:
                yield block.text

    # The second has text boxes, headers and footers as well, and the deleted words of neither are there.
    return [list(blocks(word.Document(path))), [docx2txt.process(path)]]


def pptx(path):
    import pptx as powerpoint

    def shapes(group):
        for shape in group:
            # A date that is filled in whenever it is shown is none of the file's.
            for date in shape._element.xpath(".//a:fld[starts-with(@type, 'datetime')]"):
                yield [date.text]
                date.getparent().remove(date)
            if shape.shape_type == 6:
                yield from shapes(shape.shapes)
            elif shape.has_text_frame:
                kind = str(shape.placeholder_format.type) if shape.is_placeholder else ""
                is_furniture = any(name in kind for name in ("SLIDE_NUMBER", "DATE", "FOOTER"))
                yield [shape.text_frame.text] if is_furniture else shape.text_frame.text
                yield None
            elif getattr(shape, "has_table", False) and shape.has_table:
                for row in shape.table.rows:
                    for cell in row.cells:
                        if not cell.is_spanned:
                            yield cell.text_frame.text
                            yield None

    parts = []
    for slide in powerpoint.Presentation(path).slides:
        parts += shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            parts += [slide.notes_slide.notes_text_frame.text, None]
    return [parts]


def xlsx(path):
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True)
    return [[part for sheet in book.worksheets for row in sheet.iter_rows() for cell in row for part in value_of(cell.value, cell.number_format)]]


def value_of(value, shown_as):
    """A cell's value where all readers show it alike: numbers with a format of their own are shown in many ways."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value, None]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and shown_as == "General":
        text = f"{value:.10g}"
        return [[text] if "e" in text or isinstance(value, float) and value != int(value) else text, None]
    return [[str(value)], None]


def xls(path):
    import xlrd

    book = xlrd.open_workbook(path, formatting_info=True, logfile=io.StringIO())
    parts = []
    for sheet in book.sheets():
        for row in range(sheet.nrows):
            for cell in sheet.row(row):
                if cell.ctype in (xlrd.XL_CELL_TEXT, xlrd.XL_CELL_NUMBER):
                    style = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
                    parts += value_of(cell.value, style if style != "" else "General")
                elif cell.ctype not in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                    parts += [[str(cell.value)], None]
    return [parts]


def run(*command):
    import subprocess
    import tempfile

    # Some write files beside what they print.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, capture_output=True, timeout=30, cwd=folder)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def converted(path, kind, ending):
    """The files that LibreOffice makes of one."""
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        profile = f"-env:UserInstallation=file://{folder}/profile"
        run("soffice", "--headless", profile, "--convert-to", kind, "--outdir", folder, path)
        yield from pathlib.Path(folder).glob(f"*.{ending}")


def doc(path):
    # Each has its own faults, old code pages among them: what both read is asked for.
    texts = [made.read_text("utf-8-sig") for made in converted(path, "txt:Text (encoded):UTF8", "txt")]
    return [[run("antiword", "-m", "UTF-8", "-w", "0", path)], texts or [""]]


def ppt(path):
    # catppt knows no end of what is only a template's.
    return next((pptx(str(made)) for made in converted(path, "pptx", "pptx")), [])


def odf(path):
    from odf import opendocument, teletype, text

    document = opendocument.load(path)
    parts = []

    def walk(node, unasked):
        for child in node.childNodes:
            name = getattr(child, "qname", (None, None))[1]
            if name in ("p", "h"):
                found = teletype.extractText(child)
                parts.append([found] if unasked else found)
            elif name not in ("tracked-changes", "index-title-template"):
                walk(child, unasked or name in ("annotation",))
            if name in ("table-cell", "frame"):
                parts.append(None)

    walk(document.body, False)
    return [parts]


odt = ods = odp = odf


def rtf(path):
    from striprtf.striprtf import rtf_to_text

    with open(path, "rb") as file:
        source = file.read()
    return [[rtf_to_text(source.decode("latin-1"), errors="ignore")], [run("unrtf", "--nopict", "--text", path).split("-----------------\n", 1)[-1]]]


def visible(page):
    """All that a page shows, hidden or not, and no program."""
    from bs4 import BeautifulSoup, Comment

    soup = BeautifulSoup(page, "lxml")
    for tag in soup(["script", "style", "template", "noscript"]):
        tag.decompose()
    # A book's table of contents, which its headings say again.
    for tag in soup.find_all("nav", attrs={"epub:type": True}):
        tag.decompose()
    blocks = set("p div section article aside li ul ol table tr td th h1 h2 h3 h4 h5 h6 pre blockquote dt dd figure figcaption br hr option".split())
    for tag in soup.find_all(lambda tag: tag.name in blocks):
        tag.insert_before("\n")
        tag.insert_after("\n")
    return "".join(s for s in (soup.body or soup).strings if type(s).__name__ == "NavigableString" and not isinstance(s, Comment))


def html(path):
    with open(path, "rb") as file:
        return content_of(file.read())


def content_of(page):
    import trafilatura

    content = trafilatura.extract(page, include_comments=True, include_tables=True, favor_recall=True) or ""
    content = re.sub(r"^[|\s:-]+$", "", content, flags=re.M)
    # What is right, for precision, is the content alone; what is asked for is what is there as well.
    return [[content], [visible(page)], "precision by the first"]


def epub(path):
    import ebooklib.epub

    book = ebooklib.epub.read_epub(path, {"ignore_ncx": True})
    parts = []
    for name, *_ in book.spine:
        item = book.get_item_with_id(name)
        if item is not None:
            parts += [visible(item.get_content()), None]
    return [parts]


def message_parts(message):
    for name in ("subject", "from", "to", "cc", "date"):
        yield [f"{name} {message.get(name, '')}"]
    yield ["attachments"]
    yield from ([part.get_filename()] for part in message.walk() if part.get_filename())
    yield from body_parts(message)


def body_parts(part):
    kind = part.get_content_type()
    if kind == "multipart/alternative":
        options = [list(body_parts(option)) for option in part.iter_parts()]
        options = [option for option in options if any(words(text) for text in option if isinstance(text, str))]
        # Any of them will do: what all of them have is asked for, here by the shortest.
        options.sort(key=lambda option: sum(len(words(text)) for text in option if isinstance(text, str)))
        if options:
            yield from options[0]
            for option in options[1:]:
                yield from ([text] if isinstance(text, str) else text for text in option)
    elif part.is_multipart() and kind == "message/rfc822":
        messages = part.get_payload()
        if str(part.get("content-transfer-encoding", "")).lower() == "base64":
            # Against the standard, and often seen.
            import base64
            import email
            import email.policy

            source = base64.b64decode(messages[0].get_payload())
            messages = [email.message_from_bytes(source, policy=email.policy.default)]
        for message in messages:
            yield None
            yield from message_parts(message)
            yield None
    elif part.is_multipart():
        for child in part.iter_parts() if hasattr(part, "iter_parts") else part.get_payload():
            yield from body_parts(child)
            yield None
    elif part.get_content_maintype() == "text" and kind not in ("text/css", "text/javascript"):
        content = decoded(part)
        if kind == "text/html":
            yield visible(content)
        elif kind in ("text/calendar", "text/x-vcard", "text/vcard", "text/rtf"):
            yield [content]
        else:
            yield content


def decoded(part):
    payload = part.get_payload(decode=True) or b""
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return payload.decode(part.get_content_charset() or "latin-1", "replace")
        except LookupError:
            return payload.decode("latin-1")


def words(text):
    return re.findall(r"\w+", text)


def eml(path):
    import email
    import email.policy

    with open(path, "rb") as file:
        source = file.read()
    wide = unmarked(source)
    if wide is not None:
        source = wide.lstrip("\ufeff").encode()
    return [list(message_parts(email.message_from_bytes(source, policy=email.policy.default)))]


def mht(path):
    """A page as a browser saves it: its content, as of any page."""
    import email
    import email.policy

    with open(path, "rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    page = next((decoded(part) for part in message.walk() if part.get_content_type() == "text/html"), None)
    return list(eml(path)) if page is None else content_of(page)


def mbox(path):
    import email
    import email.policy
    import mailbox

    messages = mailbox.mbox(path, factory=lambda file: email.message_from_binary_file(file, policy=email.policy.default))
    return [[part for message in messages for part in [*message_parts(message), None]]]


# Code pages of the languages whose letters are not those of Western Europe; letters of one byte are in that of the message's
# language where it names none, which extract-msg does not look at.
PAGES = {1028: 950, 2052: 936, 1041: 932, 1042: 949, 1049: 1251, 1058: 1251, 1026: 1251, 1032: 1253, 1055: 1254, 1037: 1255,
         1025: 1256, 1054: 874, 1029: 1250, 1038: 1250, 1045: 1250, 1048: 1250, 1051: 1250}  # fmt: skip


def msg(path):
    import extract_msg

    def read(encoding):
        with extract_msg.openMsg(path, overrideEncoding=encoding) as message:
            numbers = {name: message.props[name].value for name in ("3FFD0003", "3FF10003") if name in message.props}
            try:
                page = message.getStream("__substg1.0_1013001E") or message.htmlBody
            except Exception:
                page = None
            return numbers, message.areStringsUnicode, message.subject or "", getattr(message, "body", None) or "", page

    numbers, is_wide, subject, body, page = read(None)
    if not is_wide and "3FFD0003" not in numbers and numbers.get("3FF10003") in PAGES:
        _, _, subject, body, page = read(f"cp{PAGES[numbers['3FF10003']]}")
    # Plain text writes the addresses of links and pictures out beside them.
    parts = [[part] if nth % 2 else part for nth, part in enumerate(re.split(r"(<(?:\w+:|#)[^<>\s]*>|\[(?:https?|cid):[^\[\]\s]*\])", body))]
    # Where there is a page as well, either is read: what both say is asked for.
    seen = [subject, None, visible(page)] if page else None
    return [[subject, None, *parts]] + ([seen] if seen and len(words(seen[2])) >= 1 else [])


def ipynb(path):
    import nbformat

    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        parts.append(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            best = next((data[kind] for kind in ("text/markdown", "text/latex") if kind in data), None)
            if best is None and "text/html" in data:
                best = visible(data["text/html"])
            text = best or data.get("text/plain") or output.get("text") or ""
            if re.fullmatch(r"<[^<\n]*( object| at 0x\w+|Figure size[^<\n]*)>", text):
                text = ""
            text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
            # A long output may be cut.
            parts += [None, text[:1000], [text[1000:]], [str(data)], [" ".join(output.get("traceback", []))], None]
    return [parts]


def unmarked(source):
    """Text in two or four bytes a character, as UTF-8."""
    import codecs

    if source.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or b"\0\0\0" in source[:16]:
        return source.decode("utf-32" if source[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE) else "utf-32-le" if source[0] else "utf-32-be", "replace")
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return source.decode("utf-16", "replace")
    if source[:100].count(0) > 20:
        return source.decode("utf-16-le" if source[1] == 0 else "utf-16-be", "replace")
    return None


def plain(path):
    with open(path, "rb") as file:
        source = file.read()
    wide = unmarked(source)
    if wide is not None:
        return [[wide]]
    try:
        return [[source.decode("utf-8-sig")]]
    except UnicodeDecodeError:
        import charset_normalizer

        best = charset_normalizer.from_bytes(source).best()
        return [[str(best)]] if best else []


csv = md = rst = txt = plain

if __name__ == "__main__":
    readings = globals()[sys.argv[1]](os.path.abspath(sys.argv[2]))
    print(json.dumps(readings))
