"""A tab of a real Chromium, and what holds of every one."""

import importlib.util
import pathlib
import sys

from playwright.sync_api import expect

CHROMIUM, URL, SCENARIO = sys.argv[1:]
QUESTION = "How do I rotate keys?"
# A machine that is busy with everything else.
PATIENCE = 60_000

expect.set_options(timeout=PATIENCE)


class Visit:
    """A tab, and all that it asked for."""

    def __init__(self, browser, beside=None, **options):
        options = {"viewport": {"width": 1100, "height": 800}, "locale": "en-US"} | options
        # Tabs beside each other share what the browser has for all of them.
        self.context = beside.context if beside else browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.asked, self.faults = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        # What moves under the eyes, but for half a second after a key.
        self.page.add_init_script("""
            window.moved = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((entry) => entry.hadRecentInput || (window.moved += entry.value)))
                .observe({ type: "layout-shift", buffered: true });
        """)
        self.page.goto(URL)

    def ask(self, question=QUESTION):
        expect(self.page.locator("#question")).to_be_focused()
        self.page.keyboard.type(question)
        self.page.keyboard.press("Enter")

    def answered(self):
        expect(self.page.locator(".turn").last.locator(".meta")).to_be_visible()

    def is_accessible(self):
        """axe-core finds nothing serious."""
        (folder,) = importlib.util.find_spec("axe_playwright_python").submodule_search_locations
        self.page.evaluate((pathlib.Path(folder) / "axe.min.js").read_text())
        # What fades in has no contrast yet. What moves for as long as somebody waits has no end.
        ends = "document.getAnimations().filter((animation) => animation.effect.getComputedTiming().endTime < Infinity)"
        self.page.evaluate(f"Promise.all({ends}.map((animation) => animation.finished.catch(() => {{}})))")
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
        grave = [(one["impact"], one["id"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in ("serious", "critical")]
        assert not grave, grave

    def fits(self):
        wide = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], f"it scrolls sideways: {wide}"

    def is_clean(self):
        assert not self.faults, self.faults
        foreign = [url for url in self.asked if not url.startswith(URL)]
        assert not foreign, f"asked elsewhere: {foreign}"
