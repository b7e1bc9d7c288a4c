"""Scores what ragstream and trafilatura read of web pages. Run by scripts/extract, which tells the usage and what the figures mean."""

import argparse
import collections
import gzip
import html
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import lxml.html
import trafilatura

WORD = re.compile(r"\w+")
TARGET = re.compile(r"\]\((?:https?|mailto)[^)\s]*\)")
# Files that are given to the reader at once.
BATCH = 200


class Page:
    def __init__(self, key, kind, source, reference):
        self.key, self.kind, self.source, self.reference = key, kind, source, reference


def scrapinghub(folder):
    for key, truth in json.loads((folder / "ground-truth.json").read_text()).items():
        yield Page(key, "scrapinghub", folder / "html" / f"{key}.html.gz", truth["articleBody"])


def wcxb(folder):
    for part in "dev", "test":
        for file in sorted((folder / part / "ground-truth").glob("*.json")):
            truth = json.loads(file.read_text())
            kind = ((truth.get("_internal") or {}).get("page_type") or {}).get("primary", "article")
            kind = "collection" if kind == "category" else kind
            source = folder / part / "html" / f"{file.stem}.html.gz"
            yield Page(f"{part}-{file.stem}", f"WCXB {part} {kind}", source, truth["ground_truth"].get("main_content") or "")


def words(text):
    return collections.Counter(WORD.findall(TARGET.sub("]", text).lower()))


def score(read, reference):
    read, reference = words(read), words(reference)
    both = (read & reference).total()
    if not both:
        return 0.0, 0.0, 0.0
    precision, recall = both / read.total(), both / reference.total()
    return 2 * precision * recall / (precision + recall), precision, recall


def listings(source):
    """The listings of a page that have an indented line, without blanks at the ends of lines."""
    try:
        tree = lxml.html.fromstring(source)
    except (ValueError, lxml.etree.ParserError):
        return []
    texts = (element.text_content() for element in tree.iter("pre"))
    return [plain(text) for text in texts if re.search(r"\n[ \t]+\S", text)]


def plain(text):
    return "\n".join(line.rstrip() for line in html.unescape(text).replace("\xa0", " ").strip("\n").split("\n")).strip()


def titles(source):
    """What the page's <h1> elements say."""
    try:
        tree = lxml.html.fromstring(source)
    except (ValueError, lxml.etree.ParserError):
        return []
    return [words(element.text_content()) for element in tree.iter("h1")]


def body(text, titles):
    """The text without the page's title above it, which the references leave out and which a document has beside its text."""
    first, _, rest = text.lstrip().partition("\n")
    return rest if words(first) and words(first) in titles else text


def by_ragstream(command, sources):
    """The texts by key, and the seconds that the processes took of the processor."""
    read, before = {}, os.times()
    keys = list(sources)
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(keys), BATCH):
            files = {}
            for key in keys[first : first + BATCH]:
                file = pathlib.Path(folder, f"{key}.html")
                file.write_bytes(sources[key])
                files[str(file)] = key
            done = subprocess.run([*command, *files], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for line in done.stdout.splitlines():
                row = json.loads(line)
                if row.get("type") == "document":
                    read[files[row["uri"]]] = row["text"]
    after = os.times()
    return read, after.children_user + after.children_system - before.children_user - before.children_system


def by_trafilatura(sources):
    began = time.process_time()
    read = {key: trafilatura.extract(source, include_comments=False) or "" for key, source in sources.items()}
    return read, time.process_time() - began


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--reader", default="target/release/ragstream read --json")
    arguments.add_argument("--scrapinghub", type=pathlib.Path)
    arguments.add_argument("--wcxb", type=pathlib.Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--worst", type=pathlib.Path)
    arguments.add_argument("--against", type=pathlib.Path)
    asked = arguments.parse_args()
    pages = [*(scrapinghub(asked.scrapinghub) if asked.scrapinghub else ()), *(wcxb(asked.wcxb) if asked.wcxb else ())]
    pages = [page for page in pages if asked.only in page.kind and page.reference.strip()]
    if not pages:
        sys.exit("no pages: name the folder of a set, see scripts/extract --help")
    sources = {page.key: gzip.decompress(page.source.read_bytes()) for page in pages}
    readings = {
        "ragstream": by_ragstream(shlex.split(asked.reader), sources),
        f"trafilatura {trafilatura.__version__}": by_trafilatura(sources),
    }
    scores = {name: {page.key: score(read.get(page.key, ""), page.reference) for page in pages} for name, (read, _) in readings.items()}
    headings = {page.key: titles(sources[page.key]) for page in pages}
    bodies = {
        name: {page.key: score(body(read.get(page.key, ""), headings[page.key]), page.reference)[0] for page in pages}
        for name, (read, _) in readings.items()
    }
    kinds = list(dict.fromkeys(page.kind for page in pages))
    print("| set | pages | " + " | ".join(f"{name} F1 | P | R | body | code" for name in readings) + " |")
    print("|---" * (2 + 5 * len(readings)) + "|")
    found = {}
    for kind in kinds:
        keys = [page.key for page in pages if page.kind == kind]
        code = {key: listings(sources[key]) for key in keys}
        row = [kind, str(len(keys))]
        for name, (read, _) in readings.items():
            f1, precision, recall = (statistics.mean(scores[name][key][n] for key in keys) for n in range(3))
            texts = {key: plain(read.get(key, "")) for key in keys if code[key]}
            kept = sum(listing in texts[key] for key in texts for listing in code[key])
            own = statistics.mean(bodies[name][key] for key in keys)
            row += [f"{f1:.3f}", f"{precision:.3f}", f"{recall:.3f}", f"{own:.3f}", f"{kept} of {sum(map(len, code.values()))}"]
            found.setdefault(kind, f1)
        print("| " + " | ".join(row) + " |")
    print()
    for name, (_, seconds) in readings.items():
        print(f"{name}: {len(pages) / seconds:.0f} pages a CPU second")
    if asked.worst:
        asked.worst.mkdir(parents=True, exist_ok=True)
        ours = scores["ragstream"]
        for kind in kinds:
            lines = [f"{ours[p.key][0]:.3f} P {ours[p.key][1]:.3f} R {ours[p.key][2]:.3f} {p.key}" for p in pages if p.kind == kind]
            (asked.worst / f"worst-{kind.replace(' ', '-')}.txt").write_text("\n".join(sorted(lines)) + "\n")
    if asked.against:
        bars = dict(line.rsplit(None, 1) for line in asked.against.read_text().splitlines() if line.strip())
        below = [f"{kind}: {found[kind]:.3f}, not {bar}" for kind, bar in bars.items() if kind in found and found[kind] < float(bar)]
        sys.exit("\n".join(below) or 0)


if __name__ == "__main__":
    main()
