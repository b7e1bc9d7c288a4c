#!/usr/bin/env bash
# chonkie 1.7.0 (TableChunker).
#
# A table that is too long for one chunk is cut between its rows, and each piece has the header, so that a number has its column. Tables come
# from pages and from readers of PDF and Word: with a `tbody` for each group of rows (as HTML allows), with a `tfoot` for the sum, with no
# `tbody` at all (as many readers write them), or in Markdown without bars at the edges (as GFM allows). One should think that each row is in
# some piece.
#
# Seen, with nothing raised or warned of:
# - Of several `tbody` the first is cut, and the others are left out; so is the `tfoot`. Of a price list of three groups, two of them and the
#   sum are in no chunk. (A table that has room in one chunk is kept whole.)
# - Without a `tbody` the header is a row like others: only the first piece has it.
# - A Markdown table without bars at the edges, cut by tokens or characters, gives no chunk at all; cut by rows (the default) it is not cut.
# With one `tbody` and with bars all rows are there, with the header; the script shows both.
#
# For a RAG user the rows below the first group cannot be found, of just the tables that are long, and numbers come without what they are of.
# Upstream: chonkie 582 (closed in 2026) had headers of two lines, 639 (open since July 2026) has places in the text; of lost rows no issue was
# found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 30 MB to fetch, 120 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chonkie==1.7.0
"$folder/venv/bin/python" - <<'PYTHON'
from chonkie import TableChunker

PRICES = [(f"plan {name}", f"{price} euros") for price, name in enumerate("abcdefghi", 10)]
SUM = ("all plans", "126 euros")
HEADER = "<tr><th>plan</th><th>price</th></tr>"


def rows(pairs):
    return "".join(f"<tr><td>{name}</td><td>{price}</td></tr>" for name, price in pairs)


def table(*groups, head=f"<thead>{HEADER}</thead>", foot=""):
    return f"<table>{head}{''.join(f'<tbody>{rows(group)}</tbody>' for group in groups)}{foot}</table>"


groups = PRICES[:3], PRICES[3:6], PRICES[6:]
foot = f"<tfoot>{rows([SUM])}</tfoot>"
bars = [f"| {name} | {price} |" for name, price in [("plan", "price"), ("---", "---"), *PRICES]]
tables = {
    "one tbody": table(PRICES),
    "three tbody, tfoot": table(*groups, foot=foot),
    "no tbody": f"<table>{HEADER}{rows(PRICES)}</table>",
    "bars": "\n".join(bars) + "\n",
    "no bars at the edges": "\n".join(line.strip("| ") for line in bars) + "\n",
}
ways = {"by rows": TableChunker(chunk_size=2), "by characters": TableChunker("character", chunk_size=160)}
seen = {}
for name, text in tables.items():
    for way, chunker in ways.items():
        pieces = [chunk.text for chunk in chunker.chunk(text)]
        lost = [plan for plan, price in [*PRICES, SUM] if plan in text and not any(f"{price}" in piece for piece in pieces)]
        seen[name, way] = len(pieces), sum("price" in piece for piece in pieces), lost
        print(f"{name:22} {way:14} {len(pieces)} pieces, {seen[name, way][1]} with the header, in none of them: {', '.join(lost) or '-'}")
for name in ("one tbody", "bars"):
    for way in ways:
        pieces, headers, lost = seen[name, way]
        assert pieces == headers > 1 and not lost, f"{name}, {way}: what is whole has changed"
below = [plan for plan, _ in PRICES[3:]] + [SUM[0]]
assert all(seen["three tbody, tfoot", way][2] == below for way in ways), "it has changed"
assert [seen["no tbody", way][:2] for way in ways] == [(5, 1), (4, 1)], "headers have changed"
assert seen["no bars at the edges", "by characters"] == (0, 0, [plan for plan, _ in PRICES]), "tables without bars have changed"
assert seen["no bars at the edges", "by rows"] == (1, 1, []), "tables without bars have changed"
assert TableChunker(chunk_size=20).chunk(tables["three tbody, tfoot"])[0].text == tables["three tbody, tfoot"], "a short table has changed"
print("as described")
PYTHON
