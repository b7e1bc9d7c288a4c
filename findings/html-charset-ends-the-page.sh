#!/usr/bin/env bash
# lxml 6.1.3 (libxml2 2.14.6), beautifulsoup4 4.15.0; html5lib 1.1 beside them.
#
# A page says its charset by a label, and what the label means the Encoding Standard says, which browsers follow: `gb2312` is GBK,
# `shift_jis` is Windows-31J, `euc-kr` is UHC, `big5` has Hong Kong's characters. It had to, since pages were written so: a year in the
# official way ("二〇二六年"), a numbered item ("①"), a rare syllable, "這裏". In a browser these pages are whole.
#
# Seen: lxml and Beautiful Soup take each label for the small set of 1980, and what they do at the first character beyond it is
# mostly not to replace it. Nothing is raised.
# - `lxml.html` ends the document there. Of a page of forty-one paragraphs 21 come, the last of them cut; of what follows the year nothing.
# - Beautiful Soup over lxml, which it takes by itself where lxml is installed, has no text at all, wherever the character stands. (With
#   lxml 5.4.0 it had what stands before.)
# - Beautiful Soup over `html.parser` reads the whole page as Windows-1252, from the title on ("Í¨Öª"); of Shift_JIS, where some bytes have
#   no meaning in that, it replaces the character, with a line in the log. So it is where neither chardet nor charset-normalizer is
#   installed; what the latter guesses was right here.
# The same pages without the one character are read by all. html5lib reads them all, and so does lxml what was decoded by the label before
# (`webencodings`, which html5lib brings, knows them): the script shows both.
#
# For a RAG user it is the older half of the Chinese web, offices above all: a decree is indexed up to its date, or as empty, and counts as
# read. Upstream: Nokogiri had the like from the same libxml2 (nokogiri 1177, 2014), jsoup a broken character (jsoup 1133, 2018); of lxml and
# Beautiful Soup no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 10 MB to fetch, 50 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip lxml==6.1.3 beautifulsoup4==4.15.0 html5lib==1.1 webencodings==0.6.1
cat >"$folder/ask.py" <<'PYTHON'
import logging
import sys
import warnings

import lxml.html
import webencodings
from bs4 import BeautifulSoup, GuessedAtParserWarning

GUESSER = sys.argv[1] == "with a guesser"
# label: the codec of Python that the Encoding Standard means, title, paragraph, the paragraph with one character beyond the small set
PAGES = {
    "gb2312": ("gbk", "通知", "备份完成之前不得删除旧密钥。", "二〇二六年三月一日起施行。"),
    "big5": ("big5hkscs", "通知", "備份完成之前不得刪除舊密鑰。", "申請表可在這裏下載。"),
    "shift_jis": ("cp932", "お知らせ", "完了前に古い鍵を削除してはいけません。", "①新しい鍵を登録します。"),
    "euc-kr": ("cp949", "알림", "백업이 끝나기 전에는 키를 삭제하지 마십시오.", "똠방각하라는 이름도 쓸 수 있습니다."),
}
told = []
logging.getLogger("bs4").addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, record: told.append(record.getMessage())})())
warnings.simplefilter("error")
warnings.simplefilter("ignore", GuessedAtParserWarning)


def read(page, label):
    soups = {parser: BeautifulSoup(page, parser) for parser in ("lxml", "html", "html.parser", "html5lib")}  # html: what it likes best
    decoded, _ = webencodings.decode(page, label)
    answers = {f"bs4, {parser}": [element.get_text() for element in soup.find_all(["title", "p"])] for parser, soup in soups.items()}
    for name, source in (("lxml", page), ("lxml, decoded", decoded)):
        answers[name] = [element.text for element in lxml.html.fromstring(source).iter("title", "p")]
    return answers


for label, (codec, title, paragraph, beyond) in PAGES.items():
    for name, middle in (("plain", paragraph), ("beyond", beyond)):
        lines = [title, *[paragraph] * 20, middle, *[paragraph] * 20]
        body = "".join(f"<p>{line}</p>" for line in lines[1:])
        page = f'<html><head><meta charset="{label}"><title>{title}</title></head><body>{body}</body></html>'.encode(codec)
        try:
            page.decode(label)
            assert name == "plain", f"{label}: Python's codec has changed"
        except UnicodeDecodeError:
            assert name == "beyond"
        answers = read(page, label)
        for way, seen in answers.items():
            if name == "beyond":
                said = "whole" if seen == lines else f"{len(seen)} of {len(lines)}, {seen[:1]} … {seen[-1:] if len(seen) < 42 else seen[21]}"
                print(f"{sys.argv[1]}: {label:9} {way:16} {said}")
        if name == "plain":
            assert all(seen == lines for seen in answers.values()), f"{label}: a plain page has changed"
            continue
        assert answers["bs4, html5lib"] == answers["lxml, decoded"] == lines, f"{label}: the remedies have changed"
        whole, cut = lines[:21], answers["lxml"][21:]
        assert answers["lxml"][:21] == whole and len(cut) <= 1 and (not cut or beyond.startswith(cut[0] or "")), f"{label}: lxml has changed"
        assert answers["bs4, lxml"] == answers["bs4, html"] == [], f"{label}: Beautiful Soup over lxml has changed"
        parser = answers["bs4, html.parser"]
        if GUESSER:
            assert parser == lines, f"{label}: what is guessed has changed"
        elif label == "shift_jis":
            assert parser[:21] == whole and parser[21] != beyond and "\N{REPLACEMENT CHARACTER}" in parser[21], f"{label}: html.parser"
        else:
            assert parser == [line.encode(codec).decode("cp1252") for line in lines], f"{label}: html.parser has changed"
print(f"{sys.argv[1]}: the log has {told}")
assert len(told) == (0 if GUESSER else 1), "the log has changed"
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "without a guesser"
pip charset-normalizer==3.5.3
"$folder/venv/bin/python" "$folder/ask.py" "with a guesser"
echo "as described"
