"""Measures how ragstream keeps whole sites. Run by scripts/sites, which tells the usage and what is fetched for it."""

import argparse
import collections
import html
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unicodedata
import urllib.parse
import urllib.request

import lxml.html

import servers

SITES = {
    "python": "python3.11/html",
    "postgresql": "postgresql-doc-15/html",
    "sqlite": "sqlite3",
    "django": "python-django-doc/html",
    "policy": "debian-policy/policy.html",
}
ROWS = "pages unchanged outages deleted kill citations speed async furniture".split()
# What a generator makes of all the other pages, said here anew and not taken from the program.
GENERATED = re.compile(r"^search\.html$|^(.*/)?((genindex[^/]*|py-modindex|modindex|bookindex)\.html$|_(modules|sources)/)")
NAVIGATION = re.compile(
    r"(?i)^[\s>|#*_\-\[\]]*("
    r"(previous|next) (topic|page)|table of contents|quick search|show source|this page|report a bug|navigation|"
    r"(prev|previous|up|next|home|index|modules|contents|search)([\s|»·\[\]]+(prev|previous|up|next|home|index|modules|contents|search))+|"
    r"(prev|previous|next|home|up)|home about documentation download license support purchase.*|skip to (main )?content|"
    r"browse:?|you are here:?|last update:?|theme( auto)?|theme auto light dark|.{0,40}© ?copyright .*|created using sphinx.*|"
    r"submit correction|« .*|.* »|small\. fast\. reliable\..*"
    r")[\s|*_\[\]]*$")


# Rows of tables, rules and fences are alike everywhere.
CODE = re.compile(r"^[\s|\-:*=`~]*$|^`|^\|")


class Bench:
    def __init__(self, options):
        self.options = options
        self.lot = random.Random(options.seed)
        self.work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="sites."))
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o755)
        self.sites = options.site or list(SITES)
        # A build that ends in between shall not change what is measured.
        options.binary = pathlib.Path(shutil.copy(options.binary, self.work / "ragstream"))
        self.docroot = self.work / "docroot"
        shutil.rmtree(self.docroot, ignore_errors=True)
        self.docroot.mkdir()
        for name in self.sites:
            servers.copied(options.root / "usr/share/doc" / SITES[name], self.docroot / name)
        self.rows, self.missed, self.made, self.count = [], 0, {}, 0

    def row(self, what, figure, asked, held):
        """A line of the table. `held`: None where nothing was asked for."""
        self.missed += held is False
        mark = {True: "yes", False: "**no**", None: ""}[held]
        self.rows.append(f"| {what} | {figure} | {asked} | {mark} |")
        self.say(f"{what}: {figure} ({asked or 'for comparison'}) {mark}")

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)

    def folder(self, name):
        """A new folder, for a server or an index."""
        self.count += 1
        path = self.work / f"{self.count:02}-{name}"
        shutil.rmtree(path, ignore_errors=True)
        return path

    def server(self, kind, docroot=None):
        return kind(self.options.root, self.folder(kind.name), docroot or self.docroot)

    def cache(self, name="cache"):
        """A cache of its own, so that "embedded" counts what this run did, with the models of the common one."""
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        models = self.options.cache / "models"
        if models.exists() and not (folder / "models").is_symlink():
            (folder / "models").symlink_to(models)
        return folder

    def all_crawled(self):
        """All sites behind nginx, crawled once: (server, home, cache, result)."""
        if "all" not in self.made:
            nginx = self.server(servers.Nginx).start()
            home, cache = self.folder("home"), self.cache("cache-all")
            result = self.ingest(home, cache, *[nginx.url(f"{site}/") for site in self.sites])
            if result.summary is None:
                nginx.stop()
                sys.exit("error: the sites could not be crawled; what was said is above")
            self.made["all"] = nginx, home, cache, result
        return self.made["all"]

    def ingest(self, home, cache, *arguments, environment=None, kill_after=None):
        """One run, to its end or until it is killed: what it said, and what it took."""
        command = [self.options.binary, "ingest", *arguments, "--home", home, "--cache", cache, "--json"]
        began = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaint:
            child = subprocess.Popen(command, stdout=out, stderr=complaint, env={**os.environ, **(environment or {})})
            killed = False
            if kill_after is not None:
                while time.monotonic() - began < kill_after and child.poll() is None:
                    time.sleep(0.005)
                killed = child.poll() is None
                if killed:
                    child.send_signal(signal.SIGKILL)
            _, status, used = os.wait4(child.pid, 0) if child.returncode is None else (0, child.returncode, None)
            child.returncode = os.waitstatus_to_exitcode(status) if used else status
            wall = time.monotonic() - began
            out.seek(0)
            complaint.seek(0)
            said = [json.loads(line) for line in out.read().splitlines() if line.startswith(b"{")]
            complaint = complaint.read().decode("utf-8", "replace")
        result = Result(said, complaint, child.returncode, wall, (used.ru_utime + used.ru_stime) if used else 0.0, killed)
        if result.summary is None and not killed:
            self.say(f"no summary (exit {child.returncode}): {complaint[-2000:]}")
        for row in result.failed[:3]:
            self.say(f"  failed: {row.get('uri')}: {row.get('error')}")
        return result

    def search(self, home, cache, queries, k):
        """Hits by query."""
        file = self.work / "queries"
        file.write_text("".join(json.dumps({"id": str(at), "text": text}) + "\n" for at, text in enumerate(queries)))
        command = [self.options.binary, "search", "--queries", file, "-k", str(k), "--home", home, "--cache", cache, "--json"]
        done = subprocess.run(command, capture_output=True)
        hits = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
        hits = [hit for hit in hits if hit.get("type") == "hit"]
        if not hits:
            self.say(f"no hits: {done.stderr.decode()[-1000:]}")
        return hits

    # The rows.

    def pages(self):
        nginx, home, _, _ = self.all_crawled()
        documents, known = set(ledger(home)), frontier(home)
        for site in self.sites:
            prefix = nginx.url(f"{site}/")
            theirs = {row["url"] for row in self.spider(prefix) if row["status"] == 200 and row["type"].startswith("text/html")}
            # Redirects and refused pages come with their own addresses there; below the prefix is the site.
            theirs = {url for url in theirs if url.startswith(prefix)}
            ours = {url for url in documents if url.startswith(prefix)}
            texts = {}
            for url in ours:
                texts.setdefault(self.bytes_of(url), url)
            reasons = collections.defaultdict(list)
            for url in sorted(theirs - ours):
                body = self.bytes_of(url)
                if GENERATED.search(url.removeprefix(prefix)):
                    reasons["made of all other pages"].append(url)
                elif body in texts:
                    reasons["byte for byte another page"].append(url)
                else:
                    reasons[f"**missing** ({look(known.get(url))})"].append(url)
            for url in sorted(ours - theirs):
                kind = pathlib.PurePosixPath(urllib.parse.urlsplit(url).path).suffix.lower() or "no suffix"
                reasons["more: " + ("an HTML page that Scrapy has not" if kind in (".html", ".htm") else f"{kind} file")].append(url)
            for reason, urls in reasons.items():
                self.say(f"  {site}: {len(urls)} {reason}: {' '.join(urls[:4])}")
            missing = sum(len(urls) for reason, urls in reasons.items() if reason.startswith("**"))
            told = "; ".join(f"{len(urls)} {reason}" for reason, urls in reasons.items()) or "no difference"
            self.row(f"pages of {site}", f"{len(theirs & ours)} of Scrapy's {len(theirs)}; {told}", "0 missing", missing == 0 and bool(theirs))

    def bytes_of(self, url):
        path = self.docroot / urllib.parse.unquote(urllib.parse.urlsplit(url).path).lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        return path.read_bytes() if path.is_file() else None

    def spider(self, url, *arguments):
        command = [sys.executable, pathlib.Path(__file__).with_name("spider.py"), url, *arguments]
        began = time.monotonic()
        with tempfile.TemporaryFile() as complaint:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaint)
            rows = [json.loads(line) for line in child.stdout]
            _, status, used = os.wait4(child.pid, 0)
            complaint.seek(0)
            if not rows:
                self.say(f"  Scrapy read nothing: {complaint.read().decode('utf-8', 'replace')[-2000:]}")
        child.returncode = os.waitstatus_to_exitcode(status)
        self.made["spider"] = used.ru_utime + used.ru_stime, time.monotonic() - began
        return rows

    def unchanged(self):
        for kind in (servers.Nginx, servers.Apache):
            if kind is servers.Nginx:
                server, home, cache, first = self.all_crawled()
                urls = [server.url(f"{site}/") for site in self.sites]
            else:
                server = self.server(kind).start()
                home, cache = self.folder("home"), self.cache("cache-all")
                urls = [server.url(f"{site}/") for site in self.sites]
                first = self.ingest(home, cache, *urls)
            before = server.requests()
            sent, bodies = (sum(row.sent for row in before), sum(row.body for row in before))
            there = {row.path for row in pages_of(before) if row.status == 200}
            again = self.ingest(home, cache, *urls)
            rows = server.requests()
            resent, rebodies = (sum(row.sent for row in rows), sum(row.body for row in rows))
            for path, size in collections.Counter({row.path: row.body for row in rows}).most_common(3):
                self.say(f"  {server.name}: {size} bytes for {path}")
            rows = [row for row in pages_of(rows) if row.path in there]
            same = [row for row in rows if row.status == 304]
            for row in [row for row in rows if row.status != 304][:5]:
                self.say(f"  {server.name}: {row.status} for {row.path} with {row.known}")
            seen, embedded = again.documents.get("seen", 0), again.embeddings.get("embedded", -1) + again.embeddings.get("cache_hits", 0)
            changed = sum(again.documents.get(key, 0) for key in ("added", "changed", "removed", "failed"))
            what = f"unchanged, {server.name} with gzip"
            self.row(f"{what}: texts embedded", f"{embedded}, and {changed} of {seen} documents changed", "0, 0", embedded == 0 and changed == 0 and seen > 0)
            self.row(f"{what}: 304", f"{len(same)} of {len(rows)}, of {len(there)} pages before", "100 %", len(same) == len(rows) > 0)
            # The heads of "not modified" are what they are: some 200 bytes each, 2 % of a small page.
            told = f"{rebodies:,} of {bodies:,} ({rebodies / max(bodies, 1):.1%}), with heads {resent:,} of {sent:,} ({resent / max(sent, 1):.1%})"
            self.row(f"{what}: bytes of bodies", f"{told}; {first.wall:.0f} s and {again.wall:.0f} s", "≤ 2 %", rebodies <= 0.02 * bodies and bodies > 0)
            if kind is servers.Apache:
                server.stop()

    def small(self):
        """One site for what is done to it many times: its docroot is a copy, under a name that can be made to be unknown."""
        if "small" not in self.made:
            site = "sqlite" if "sqlite" in self.sites else self.sites[0]
            docroot = self.folder("docroot")
            shutil.copytree(self.docroot / site, docroot / site)
            nginx = self.server(servers.Nginx, docroot)
            names = "".join(f"http://docs.test:{nginx.port}/{path.relative_to(docroot)}\n" for path in sorted(docroot.rglob("*.html")))
            (docroot / "sitemap.txt").write_text(names)
            (docroot / "robots.txt").write_text(f"User-agent: *\nDisallow:\nSitemap: http://docs.test:{nginx.port}/sitemap.txt\n")
            (self.work / "hosts").write_text("127.0.0.1 docs.test\n")
            (self.work / "no-hosts").write_text("127.0.0.1 else.test\n")
            wrapper = next((self.options.root / "usr/lib").rglob("libnss_wrapper.so"))
            known = {"LD_PRELOAD": str(wrapper), "NSS_WRAPPER_HOSTS": str(self.work / "hosts")}
            home, cache = self.folder("home"), self.cache("cache-small")
            url = nginx.start().url(f"{site}/", "docs.test")
            result = self.ingest(home, cache, url, environment=known)
            self.made["small"] = nginx, docroot, site, home, cache, url, known, result
        return self.made["small"]

    def outages(self):
        nginx, docroot, site, home, cache, url, known, first = self.small()
        there = len(ledger(home))
        if not there:
            return self.row("outages", "the first crawl found nothing", "", False)
        all_pages = "location = /robots.txt {{ }} location = /sitemap.txt {{ }} location / {{ {} }}"
        login = "return 302 /login; } location = /login { default_type text/html; return 200 '<title>Log in</title><form><input type=password></form>';"
        nginx.start("location = /robots.txt { return 503; }")
        nginx.requests()
        stranger = self.ingest(self.folder("home"), cache, url, environment=known)
        asked = pages_of(nginx.requests())
        self.row("robots.txt answers 503 when it is met first", f"{len(asked)} pages asked for, {len(stranger.failed)} failure said, exit {stranger.code}",
                 "0 pages", not asked and stranger.code == 1)
        kinds = {
            "robots.txt answers 503, and did not a day ago": "location = /robots.txt { return 503; }",
            "500 for every page": all_pages.format("return 500;"),
            "401 for every page": all_pages.format("return 401;"),
            "403 for every page": all_pages.format("return 403;"),
            "429 for every page": all_pages.format("return 429;"),
            "no such host": None,
            "connection refused": None,
            "every page leads to a login": all_pages.format(login),
            "200 with an empty sitemap": "location = /sitemap.txt { return 200 ''; }",
            "half of the links are gone": None,
            "every answer is cut short": None,
        }
        for kind, rules in kinds.items():
            environment, undo, shim = known, None, None
            if kind == "no such host":
                environment = {**known, "NSS_WRAPPER_HOSTS": str(self.work / "no-hosts")}
            elif kind == "connection refused":
                nginx.stop()
            elif kind.startswith("half"):
                undo = without_links(docroot / site, self.folder("kept"))
            elif kind.startswith("every answer"):
                behind = self.server(servers.Nginx, docroot).start()
                nginx.stop()
                shim = servers.Script("cut", self.options.root, self.folder("cut"), docroot)
                shim.port = nginx.port
                shim.start(str(behind.port))
            else:
                nginx.start(rules)
            during = self.ingest(home, cache, url, environment=environment)
            left = len(ledger(home))
            if undo:
                undo()
            if shim:
                shim.stop()
                behind.stop()
            nginx.start()
            after = self.ingest(home, cache, url, environment=known)
            now = len(ledger(home))
            removed = during.documents.get("removed", -1)
            told = f"{removed} of {there} documents removed, {left} left; {len(during.failed)} failures said, exit {during.code}, {during.wall:.0f} s; "
            told += f"after it {now}, {after.embeddings.get('embedded', -1)} embedded"
            self.row(f"outage: {kind}", told, "0 removed", removed == 0 and left == there and now == there and after.documents.get("removed") == 0)
            for row in during.notices:
                self.say(f"  said: {row}")

    def deleted(self):
        nginx, docroot, site, home, cache, url, known, _ = self.small()
        nginx.start()
        before = ledger(home)
        pages = sorted(uri for uri in before if uri.endswith(".html") and not uri.endswith("/index.html"))
        gone = self.lot.sample(pages, min(10, len(pages)))
        kept = self.folder("kept")
        kept.mkdir()
        for at, uri in enumerate(gone):
            shutil.move(docroot / urllib.parse.urlsplit(uri).path.lstrip("/"), kept / str(at))
        during = self.ingest(home, cache, url, environment=known)
        after = ledger(home)
        for at, uri in enumerate(gone):
            shutil.move(kept / str(at), docroot / urllib.parse.urlsplit(uri).path.lstrip("/"))
        removed = set(before) - set(after)
        self.row("ten pages really deleted", f"{len(removed & set(gone))} of them removed, and {len(removed - set(gone))} others", "10, 0",
                 removed == set(gone) and during.documents.get("removed") == len(gone))
        back = self.ingest(home, cache, url, environment=known)
        self.row("the ten are back", f"{back.documents.get('added')} added", "10", set(ledger(home)) == set(before))

    def kill(self):
        site = next(site for site in ("django", "policy", *self.sites) if site in self.sites)
        nginx = self.server(servers.Nginx).start()
        cache, url = self.cache("cache-kill"), nginx.url(f"{site}/")
        calm = self.folder("home")
        undisturbed = self.ingest(calm, cache, url)
        once = {row.path for row in pages_of(nginx.requests()) if row.status == 200}
        home, kills, late = self.folder("home"), 0, 0
        # Vectors are computed again, too: with those of the first run there would be little left to be killed.
        cache_killed = self.cache("cache-killed")
        while kills < 20:
            result = self.ingest(home, cache_killed, url, kill_after=self.lot.uniform(0.02, 1.9) * undisturbed.wall / 20)
            if not result.killed:
                late += 1
                if late > 2:
                    break
                continue
            kills += 1
        last = self.ingest(home, cache_killed, url)
        times = collections.Counter(row.path for row in pages_of(nginx.requests()) if row.status in (200, 499))
        twice = sum(count - 1 for count in times.values())
        self.row(f"{kills} × kill -9 in a crawl of {site}", f"{twice} of {len(times)} pages fetched again", f"≤ {8 * kills} in flight",
                 twice <= 8 * kills and kills >= 10)
        for path, count in times.most_common(5):
            self.say(f"  {count} × {path}")
        strangers = set(times) ^ once
        self.row("pages that either crawl alone asked for", str(len(strangers)), "0", not strangers)
        ours, theirs = ledger(home), ledger(calm)
        other = [uri for uri in set(ours) | set(theirs) if ours.get(uri) != theirs.get(uri)]
        for uri in other[:5]:
            self.say(f"  differs: {uri} {uri in ours} {uri in theirs}")
        queries = self.headings(1, 50, docroot=self.docroot / site)
        hits = [[(hit["query_id"], hit["uri"], hit["text"]) for hit in self.search(place, self.cache(), queries, 5)] for place in (home, calm)]
        self.row("after the kills: documents that are not as in a calm crawl", f"{len(other)} of {len(theirs)}; chunks {chunks(self, home)} and {chunks(self, calm)}; "
                 f"{sum(a != b for a, b in zip(*hits))} of {len(hits[0])} hits", "0", not other and hits[0] == hits[1] and len(hits[0]) > 0 and last.code == 0)
        nginx.stop()

    def headings(self, seed, count, docroot=None):
        """Headings from the pages themselves, as questions."""
        lot, found = random.Random(f"{self.options.seed} {seed}"), []
        pages = sorted((docroot or self.docroot).rglob("*.html"))
        while pages and len(found) < count:
            page = pages.pop(lot.randrange(len(pages)))
            try:
                tree = lxml.html.fromstring(page.read_bytes())
            except (ValueError, lxml.etree.ParserError):
                continue
            texts = [words(heading) for heading in tree.iter("h2", "h3")]
            texts = [text for text in texts if 2 <= len(text.split()) <= 12]
            if texts and not GENERATED.search(page.name):
                found.append(lot.choice(texts))
        return found

    def hits(self, count, seed):
        """Hits over all sites, as many of each."""
        _, home, cache, _ = self.all_crawled()
        found = []
        for site in self.sites:
            hits = self.search(home, cache, self.headings(seed + site, count, docroot=self.docroot / site), 5)
            hits = list({(hit["uri"], hit["start"]): hit for hit in hits if f"/{site}/" in hit["uri"]}.values())
            found.append(hits)
        return found

    def citations(self):
        nginx, *_ = self.all_crawled()
        each = -(-200 // len(self.sites))
        total, right, faults = 0, 0, collections.Counter()
        for site, hits in zip(self.sites, self.hits(80, "citations ")):
            hits = [hit for hit in hits if hit.get("headings")]
            good = 0
            hits = self.lot.sample(hits, min(each, len(hits)))
            for hit in hits:
                fault = self.landing(hit)
                good += fault is None
                if fault:
                    faults[fault] += 1
                    if faults[fault] <= 6:
                        self.say(f"  {fault}: {hit['uri']} {hit.get('anchor')} {hit.get('link')} {hit['headings']}")
            self.say(f"  {site}: {good} of {len(hits)}")
            total, right = total + len(hits), right + good
        told = "; ".join(f"{count} {fault}" for fault, count in faults.most_common())
        self.row("passages under a heading whose link opens there", f"{right} of {total} ({right / max(total, 1):.1%}){'; ' + told if told else ''}",
                 "≥ 95 %", total > 0 and right >= 0.95 * total)

    def landing(self, hit):
        """Why the link of a hit does not lead to its heading; None where it does."""
        link = hit.get("link") or (f"{hit['uri']}#{hit['anchor']}" if hit.get("anchor") else "")
        fragment = urllib.parse.unquote(urllib.parse.urlsplit(link).fragment)
        if not fragment:
            return "no anchor"
        with urllib.request.urlopen(hit["uri"]) as answer:
            tree = lxml.html.fromstring(answer.read())
        wanted = plain(hit["headings"][-1])
        if fragment.startswith(":~:text="):
            parts = [plain(urllib.parse.unquote(part)) for part in fragment[8:].split(",") if not part.endswith("-") and not part.startswith("-")]
            return None if all(part in plain(tree.text_content()) for part in parts) else "the text of the fragment is not on the page"
        fragment = fragment.partition(":~:")[0]
        at = next((element for element in tree.iter() if isinstance(element.tag, str) and fragment in (element.get("id"), element.get("name"))), None)
        if at is None:
            return "no such id"
        # What a reader sees when the page has jumped there: the heading, or the passage itself.
        headings = "h1 h2 h3 h4 h5 h6 dt caption th legend summary".split()
        is_heading = lambda element: element.tag in headings or element.get("role") == "heading"
        if any(is_heading(element) and wanted in plain(words(element)) for element in [at, *at.iterancestors()][:4]):
            return None
        after = at.xpath("self::*/descendant-or-self::text() | following::text()")
        if plain(hit["text"])[:50] in plain(" ".join(after[:80]))[:500]:
            return None
        first = next((element for element in at.xpath("descendant-or-self::* | following::*") if is_heading(element)), None)
        if first is not None and wanted in plain(words(first)):
            return None
        return "another heading comes first"

    def furniture(self):
        each = -(-100 // len(self.sites))
        lines, total, bad = [], 0, 0
        for site, hits in zip(self.sites, self.hits(60, "furniture ")):
            # What stands on many pages is furniture whatever it says. Headings of the same kind of page are none.
            pages = collections.defaultdict(set)
            for hit in hits:
                for line in hit["text"].splitlines():
                    pages[line.strip()].add(hit["uri"])
            enough = max(8, 0.3 * len({hit["uri"] for hit in hits}))
            repeated = {line for line, uris in pages.items() if len(uris) >= enough and len(line.split()) > 1 and not CODE.match(line)}
            for hit in self.lot.sample(hits, min(each, len(hits))):
                total += 1
                found = [line for line in hit["text"].splitlines() if NAVIGATION.match(line) or line.strip() in repeated]
                bad += bool(found)
                lines += [f"{hit['uri']}: {line}" for line in found]
        for line in lines[:20]:
            self.say(f"  navigation: {line}")
        self.row(f"lines of navigation in {total} chunks", f"{len(lines)}, in {bad} chunks", "0", total > 0 and not lines)

    def speed(self):
        """Ours and theirs in turn, three times, so that what else the machine does meets both."""
        nginx = self.server(servers.Nginx).start()
        for site in [site for site in ("postgresql", "django") if site in self.sites] or self.sites[:1]:
            url = nginx.url(f"{site}/")
            # Pages, CPU seconds.
            read = {"alone": [], "theirs": [], "whole": []}

            def note(name, pages, cpu, wall):
                read[name].append((pages, cpu))
                self.say(f"  {site}, {name}: {pages} pages, {cpu:.2f} s of CPU, {wall:.1f} s by the clock")

            for turn in range(3):
                note("alone", *self.crawl_alone(url))
                rows = self.spider(url, "--extract")
                note("theirs", sum("characters" in row for row in rows), *self.made["spider"])
                result = self.ingest(self.folder("home"), self.cache(f"cache-speed-{site}-{turn}"), url)
                note("whole", result.documents.get("added", 0), result.cpu, result.wall)
            rates = {name: sum(pages for pages, _ in runs) / max(sum(cpu for _, cpu in runs), 0.01) for name, runs in read.items()}
            if not all(pages for runs in read.values() for pages, _ in runs):
                self.row(f"speed on {site}", "somebody read nothing", "", False)
                continue
            told = lambda ours: f"{rates[ours]:.0f} pages per CPU second and {rates['theirs']:.1f}: {rates[ours] / rates['theirs']:.1f} ×"
            self.row(f"speed on {site}: crawl and text beside Scrapy and trafilatura", told("alone"), "≥ 5 ×", rates["alone"] >= 5 * rates["theirs"])
            self.row(f"speed on {site}: the whole program, with chunks, vectors and index, beside Scrapy and trafilatura", told("whole"), "", None)
        nginx.stop()

    def crawl_alone(self, url):
        """A crawl that becomes texts and nothing else."""
        if not self.options.crawl:
            sys.exit("error: speed wants --crawl FILE (cargo bench --bench crawl --no-run)")
        began = time.monotonic()
        child = subprocess.Popen([self.options.crawl, url], stdout=subprocess.PIPE, text=True)
        found = re.search(r"^(\d+) pages", child.stdout.read())
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return int(found[1]) if found else 0, used.ru_utime + used.ru_stime, time.monotonic() - began

    def async_(self):
        site = next(site for site in ("policy", *self.sites) if site in self.sites)
        site = "sqlite" if "sqlite" in self.sites else site
        slow = servers.Script("slow", self.options.root, self.folder("slow"), self.docroot)
        slow.start("0.05")
        took = {}
        for at_once in (1, 8):
            pipeline = self.work / f"at-once-{at_once}.yaml"
            source = f"sources: [{{ web: {{ urls: ['{slow.url(site + '/')}'], concurrency: {at_once}, delay: 0s }} }}]\n"
            pipeline.write_text(f"version: 1\nname: at-once\n{source}")
            result = self.ingest(self.folder("home"), self.cache(), "-p", pipeline)
            took[at_once] = result.wall, result.documents.get("added", 0)
        slow.stop()
        (one, pages), (eight, same) = took[1], took[8]
        self.row(f"{site}, 50 ms an answer: one at once, and eight", f"{one:.1f} s and {eight:.1f} s for {pages} and {same} documents: {one / eight:.1f} ×", "",
                 None if pages == same > 0 else False)

    def run(self):
        for name in self.options.only or ROWS:
            self.say(f"== {name}")
            getattr(self, "async_" if name == "async" else name)()
        for name in ("all", "small"):
            if name in self.made:
                self.made[name][0].stop()
        versions = ", ".join(f"{name} {(self.options.root / f'.{name}').read_text().strip()}" for name in ("nginx", "apache2-bin")
                             if (self.options.root / f".{name}").exists())
        print(f"| what ({versions}; Scrapy 2.19.0, trafilatura 2.3.1) | figure | wanted | held |\n|---|---|---|---|")
        print("\n".join(self.rows))
        if not self.options.keep and not self.options.work:
            shutil.rmtree(self.work)
        return 1 if self.missed else 0


class Result:
    def __init__(self, said, complaint, code, wall, cpu, killed):
        self.code, self.wall, self.cpu, self.killed, self.complaint = code, wall, cpu, killed, complaint
        self.summary = next((row for row in said if row.get("type") == "summary"), None)
        self.failed = [row for row in said if row.get("type") == "failed"]
        self.notices = [row.get("message") or row.get("text") or json.dumps(row) for row in said if row.get("type") == "notice"]
        self.documents = (self.summary or {}).get("documents", {})
        self.embeddings = (self.summary or {}).get("embeddings", {})


def pages_of(rows):
    """Requests for pages: what a crawler asks only to learn what a server can do is none."""
    own = re.compile(r"^/(robots\.txt|llms\.txt|sitemap[^/]*)$|/ragstream-[0-9a-f]{16}|/sitemap[^/]*$")
    return [row for row in rows if not own.search(row.path) and not row.accept.startswith("text/markdown")]


def ledger(home):
    """Documents, with the hash of each one's text and the names of its points."""
    file = next(iter(pathlib.Path(home).glob("*.ledger")), None)
    if file is None:
        return {}
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        return {uri: (digest, points) for uri, digest, points in db.execute("SELECT uri, hash, points FROM documents WHERE hash IS NOT NULL")}


def frontier(home):
    """What the crawl remembers of each page."""
    file = next(iter(pathlib.Path(home).glob("*.ledger")))
    pages = {}
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        for key, value in db.execute("SELECT key, value FROM state WHERE source = 'web'"):
            if key[8:9] == b"p":
                pages[key[9:].decode()] = json.loads(value)
    return pages


def look(record):
    return "never met" if record is None else json.dumps(record.get("look"))


def chunks(bench, home):
    done = subprocess.run([bench.options.binary, "status", "--home", home, "--cache", bench.cache(), "--json"], capture_output=True)
    return next((json.loads(line).get("chunks") for line in done.stdout.splitlines() if line.startswith(b"{")), None)


def words(element):
    return " ".join(element.text_content().split())


def plain(text):
    """Letters and digits alone: marks of Markdown and of headings (`¶`) apart."""
    text = re.sub(r"\]\([^)]*\)", "]", html.unescape(text))
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def without_links(site, kept):
    """Takes every second link out of all pages; returns what puts them back."""
    shutil.copytree(site, kept)
    for page in site.rglob("*.html"):
        body, count = page.read_bytes(), 0

        def every_second(match):
            nonlocal count
            count += 1
            return b"<a data-was=" if count % 2 else match[0]

        page.write_bytes(re.sub(rb"(?i)<a\s+href=", every_second, body))

    def undo():
        shutil.rmtree(site)
        shutil.copytree(kept, site)

    return undo


def main():
    options = argparse.ArgumentParser()
    names = lambda allowed: lambda text: [name if name in allowed else sys.exit(f"error: {name} is none of {' '.join(allowed)}") for name in text.split(",")]
    options.add_argument("--root", type=pathlib.Path)
    options.add_argument("--cache", type=pathlib.Path)
    options.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/release/ragstream"))
    options.add_argument("--crawl", type=pathlib.Path)
    options.add_argument("--work", type=pathlib.Path)
    options.add_argument("--only", type=names(ROWS))
    options.add_argument("--site", type=names(list(SITES)))
    options.add_argument("--seed", type=int, default=17)
    options.add_argument("--keep", action="store_true")
    options = options.parse_args()
    if not options.binary.exists():
        sys.exit(f"error: there is no {options.binary}: cargo build --release, or --binary FILE")
    sys.exit(Bench(options).run())


main()
