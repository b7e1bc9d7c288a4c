"""Scores what ragstream reads against reference readers. Run by scripts/formats, which tells the usage and what the figures mean."""

import argparse
import collections
import concurrent.futures
import hashlib
import html
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time
import unicodedata

FORMATS = "pdf docx pptx xlsx xls doc ppt odt ods odp rtf epub html eml msg mbox mht ipynb csv md rst txt".split()
ALIASES = {"htm": "html", "xhtml": "html", "mhtml": "mht", "tsv": "csv", "docm": "docx", "pptm": "pptx", "xlsm": "xlsx", "markdown": "md"}
TEXTS = {"csv", "md", "rst", "txt"}
# Fewer words than this tell nothing of a reader.
ENOUGH = 3

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003ffff"
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010\u2011](?:[ \t]*\r?\n\s*)?(?=[^\W\d_])")
# Marks are no words. Inside of a word they part nothing.
TARGET = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(\s*)(```+|~~~+).*$", re.M)
TAG = re.compile(
    r"""</?(?:sup|sub|ins|del|kbd|mark|small|b|i|u|em|strong|span|br)(?:\s+[\w:-]+(?:=(?:"[^"]*"|'[^']*'|[^\s"'<>]+))?)*\s*/?>""", re.I
)
INNER = re.compile(r"(?<=\w)(?:\*\*?\*?|~~|`|\^|\\)(?=\w)")
ESCAPE = re.compile(r"\\(?=[^\w\s])")


def tokens(text, markup):
    if markup == "markdown":
        text = INNER.sub("", TAG.sub("", FENCE.sub(r"\1", TARGET.sub("]", ESCAPE.sub("", html.unescape(text))))))
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
    return WORD.findall(HYPHEN.sub("", text))


class Reading:
    """The words of a text, how often each is there, and the triples of neighbours."""

    def __init__(self, parts, markup):
        self.asked, self.right, self.triples = collections.Counter(), collections.Counter(), collections.Counter()
        run = []
        for part in [*parts, None]:
            if isinstance(part, str):
                found = tokens(part, markup)
                run += found
                self.asked.update(found)
                self.right.update(found)
                continue
            self.triples.update(zip(run, run[1:], run[2:]))
            run = []
            for extra in part or []:
                self.right.update(tokens(extra, markup))


def reference(file, kind, markup, cache, seconds):
    """What the reference readers read, as (asked, right, triples); None where they read nothing. Kept by the file's bytes."""
    readers = pathlib.Path(__file__).with_name("references.py")
    key = hashlib.sha256(file.read_bytes() + kind.encode() + readers.read_bytes()).hexdigest()
    kept = cache / key[:2] / f"{key}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run([sys.executable, readers, kind, file], capture_output=True, timeout=seconds)
            answer = done.stdout if done.returncode == 0 else b"null"
        except subprocess.TimeoutExpired:
            answer = b"null"
        kept.write_bytes(answer or b"null")
    try:
        readings = json.loads(kept.read_bytes())
    except ValueError:
        return None
    if not readings:
        return None
    by_first = isinstance(readings[-1], str)
    # Marks that the text itself holds are to count alike on both sides.
    readings = [Reading(parts, markup) for parts in readings if isinstance(parts, list)]
    asked, triples, right = readings[0].asked, readings[0].triples, readings[0].right
    for reading in readings[1:]:
        asked, triples = asked & reading.asked, triples & reading.triples
        right = right if by_first else right | reading.right
    return (asked, right, triples) if asked.total() >= ENOUGH else None


def read(command, file, seconds):
    """What ragstream reads: (document or None, why not, seconds, MB)."""
    began = time.monotonic()
    child = subprocess.Popen([*command, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pool = concurrent.futures.ThreadPoolExecutor(2)
    out, complaint = pool.submit(child.stdout.read), pool.submit(child.stderr.read)
    try:
        # Its pipes end with it.
        line, said = out.result(seconds), complaint.result(seconds)
    except concurrent.futures.TimeoutError:
        child.kill()
        line, said = b"", b"it did not end"
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    took, memory = time.monotonic() - began, used.ru_maxrss / 1024
    for row in line.splitlines():
        try:
            row = json.loads(row)
        except ValueError:
            continue
        if row.get("type") == "document":
            return row, None, took, memory
        if row.get("type") in ("failed", "error"):
            said = str(row.get("error") or row.get("message") or row).encode()
    if child.returncode < 0:
        said = f"died of signal {-child.returncode}".encode()
    return None, said.decode("utf-8", "replace").strip() or "nothing", took, memory


def score(file, kind, options):
    document, why, took, memory = read(options.reader, file, options.seconds)
    markup = "markdown" if kind in ("md", "ipynb") or document and document.get("markup") == "markdown" else None
    wanted = reference(file, kind, markup, options.cache, options.seconds)
    row = {"file": str(file), "kind": kind, "seconds": took, "memory": memory, "why": why, "recall": None}
    if wanted is None:
        return row
    asked, right, triples = wanted
    ours = Reading([document["text"]] if document else [], markup)
    row["recall"] = (asked & ours.asked).total() / asked.total()
    row["words"] = asked.total()
    row["missing"] = [f"{word}×{n}" if n > 1 else word for word, n in (asked - ours.asked).most_common(12)]
    if document:
        row["precision"] = (right & ours.asked).total() / ours.asked.total() if ours.asked else 0.0
        row["extra"] = [word for word, _ in (ours.asked - right).most_common(8)]
        row["order"] = (triples & ours.triples).total() / triples.total() if triples else None
    return row


def files_of(folders, only, limit):
    by_kind = collections.defaultdict(dict)
    for folder in folders:
        for file in sorted(pathlib.Path(folder).rglob("*")) if pathlib.Path(folder).is_dir() else [pathlib.Path(folder)]:
            ending = file.suffix.lstrip(".").lower()
            kind = ALIASES.get(ending, ending)
            if kind in (only or FORMATS) and file.is_file():
                # The same bytes under two names are one file.
                by_kind[kind].setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), file)
    return {kind: [found[key] for key in sorted(found)][:limit] for kind in FORMATS if (found := by_kind.get(kind))}


def mean(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return f"{statistics.fmean(values):.3f}" if values else "–"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--reader", type=str.split, default=["target/release/ragstream", "read", "--json"])
    parser.add_argument("--only", type=lambda names: names.split(","))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--worst", type=pathlib.Path)
    parser.add_argument("--against", type=pathlib.Path)
    options = parser.parse_args()
    bars = {}
    if options.against:
        bars = {kind: float(bar) for kind, bar in (line.split() for line in options.against.read_text().splitlines() if line.strip())}
    below = []
    print("| format | files | scored | refused | recall | of all words | files ≥ .98 | precision | order | s p50 | s max | MB max |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for kind, files in files_of(options.folders, options.only, options.limit).items():
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            rows = list(pool.map(lambda file: score(file, kind, options), files))
        scored = [row for row in rows if row["recall"] is not None]
        refused = [row for row in scored if row["why"]]
        recall = mean(scored, "recall")
        words = sum(row["words"] for row in scored)
        all_words = f"{sum(row['recall'] * row['words'] for row in scored) / words:.3f}" if words else "–"
        good = sum(row["recall"] >= 0.98 for row in scored)
        times = [row["seconds"] for row in rows]
        print(
            f"| {kind} | {len(files)} | {len(scored)} | {len(refused)} | {recall} | {all_words} | {good} | {mean(scored, 'precision')} | "
            f"{mean(scored, 'order')} | {statistics.median(times):.2f} | {max(times):.1f} | {max(row['memory'] for row in rows):.0f} |",
            flush=True,
        )
        if kind in bars and (not scored or float(recall) < bars[kind]):
            below.append(f"{kind}: {recall} < {bars[kind]}")
        if options.worst:
            options.worst.mkdir(parents=True, exist_ok=True)
            write_worst(options.worst / f"worst-{kind}.txt", rows)
    for line in below:
        print(f"below the bar: {line}", file=sys.stderr)
    return 1 if below else 0


def write_worst(path, rows):
    """The files that are read worst first; then those that order or precision tells of; then what is slow or large."""
    scored = [row for row in rows if row["recall"] is not None]
    with open(path, "w") as out:
        print("## by recall: recall, precision, order, words asked, file, why or what is missing (and what is there beyond)", file=out)
        for row in sorted(scored, key=lambda row: row["recall"]):
            if row["recall"] < 0.98:
                detail = f"REFUSED {row['why'][:200]}" if row["why"] else "missing: " + " ".join(row["missing"]) + " | extra: " + " ".join(row["extra"])
                print(figures(row), row["file"], detail, sep="\t", file=out)
        for key, bar in (("order", 0.9), ("precision", 0.8)):
            print(f"## by {key}, recall ≥ .98", file=out)
            for row in sorted((row for row in scored if row.get(key) is not None and row["recall"] >= 0.98), key=lambda row: row[key]):
                if row[key] < bar:
                    print(figures(row), row["file"], "extra: " + " ".join(row["extra"]), sep="\t", file=out)
        print("## over 5 s or 500 MB: seconds, MB, file", file=out)
        for row in rows:
            if row["seconds"] > 5 or row["memory"] > 500:
                print(f"{row['seconds']:.1f}", f"{row['memory']:.0f}", row["file"], row["why"] or "", sep="\t", file=out)
        print("## the references read nothing, and ragstream said", file=out)
        for row in rows:
            if row["recall"] is None and row["why"]:
                print(row["file"], row["why"][:200], sep="\t", file=out)


def figures(row):
    return "\t".join("–" if row.get(key) is None else f"{row[key]:.3f}" for key in ("recall", "precision", "order")) + f"\t{row['words']}"


if __name__ == "__main__":
    sys.exit(main())
