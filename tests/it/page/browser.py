"""Does in a real Chromium what a person does with the page: `browser.py CHROMIUM URL SCENARIO`. What is wrong ends it with a word."""

import re

from playwright.sync_api import expect, sync_playwright

import jobs
from visit import CHROMIUM, SCENARIO, URL, Visit


def answer(browser):
    """An answer comes piece by piece; its citations and its sources open at their lines; the reload finds it again."""
    visit = Visit(browser)
    page = visit.page
    visit.ask()
    expect(page.locator(".prose strong")).to_have_text("primary")
    visit.answered()
    moved = page.evaluate("window.moved")
    assert moved < 0.02, f"things moved while the answer came: {moved}"
    # Who hears the page has heard it.
    expect(page.locator("#live")).to_contain_text("the primary at once.")
    expect(page.locator(".prose pre code")).to_contain_text("lanternctl keys rotate")
    expect(page.locator(".prose td.right").first).to_have_text("72 hours")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')) }")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".meta")).to_contain_text("The browser does not let this page copy")
    # The picture is a link, and nothing of the HTML acts.
    picture = page.locator(".prose a[href^='http://images.example']")
    expect(picture).to_have_text("a picture")
    expect(picture).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert page.locator(".prose img, .prose script").count() == 0
    expect(page.locator(".prose")).to_contain_text("<img src=x onerror=")
    assert page.locator(".prose a.cite").first.get_attribute("href").startswith("/documents/")
    page.locator(".prose a.cite").first.click()
    marked = page.locator(".viewer mark.lines")
    expect(marked).to_be_in_viewport()
    expect(marked).to_contain_text("Rotating a key replaces it")
    expect(page.locator(".viewer .document")).to_be_focused()
    address = page.locator(".viewer .actions a").first.get_attribute("href")
    page.keyboard.press("Escape")
    expect(page.locator(".viewer")).to_have_count(0)
    # By the keyboard alone: to the cards, along them, and into one.
    cards = page.locator(".card")
    cards.first.focus()
    page.keyboard.press("ArrowDown")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".viewer h2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    expect(page.locator("#question")).to_have_value("two\nlines")
    page.reload()
    expect(page.locator(".prose strong")).to_have_text("primary")
    visit.ask("And how often?")
    visit.answered()
    expect(page.locator(".turn")).to_have_count(2)
    # A document by itself, at the lines of its address.
    page.goto(URL + address.split("#")[0] + "#L46-50")
    expect(page.locator("mark.lines")).to_be_in_viewport(ratio=1)
    assert page.evaluate("window.scrollY") > 0, "they lie below the first screen"
    expect(page.locator("mark.lines .n")).to_have_text(["46", "47", "48", "49", "50"])
    expect(page.locator("h1")).to_have_text("Rotating keys")
    visit.is_clean()
    # And should HTML of somebody else's ever get in, the browser itself fetches nothing for it and runs none of it.
    refused = page.evaluate("""
        new Promise((done) => {
            const refused = [];
            setTimeout(() => done(refused), 10_000);
            addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective) === 3 && done(refused.sort()));
            document.body.insertAdjacentHTML("beforeend", "<img src='http://images.example/a.png'><p style='color: red' onclick='0'></p>");
        })
    """)
    assert refused == ["img-src", "script-src-attr", "style-src-attr"], refused


def doubts(browser):
    """A doubted citation is none to who hears the page, either: by its name, and at the end of the answer."""
    for locale, name, heard in [
        ("en-US", "Source 1?, in doubt: number: 71 hours", "In doubt, 1: Not in [1]: number “71 hours”"),
        ("zh-CN", "来源 1?，存疑：数字: 71 hours", "存疑 1 处：[1] 中没有：数字“71 hours”"),
    ]:
        visit = Visit(browser, locale=locale)
        page = visit.page
        visit.ask()
        visit.answered()
        doubted, sure = page.locator(".prose a.cite.doubt"), page.locator(".prose a.cite:not(.doubt)")
        expect(doubted).to_have_text("1?")
        expect(doubted).to_have_accessible_name(name)
        expect(sure).to_have_accessible_name("来源 1" if locale == "zh-CN" else "Source 1")
        live = page.locator("#live")
        expect(live).to_contain_text(heard)
        expect(live.locator("p").last).to_contain_text("9")
        visit.is_accessible()
        visit.is_clean()
        visit.context.close()


def stop(browser):
    """What was written stays; the question can be asked again."""
    visit = Visit(browser)
    page = visit.page
    visit.ask()
    expect(page.locator(".prose")).to_contain_text("word3")
    page.keyboard.press("Escape")
    expect(page.locator(".note")).to_contain_text("Stopped")
    written = page.locator(".prose").inner_text()
    page.wait_for_timeout(500)
    assert page.locator(".prose").inner_text() == written
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".prose")).to_contain_text("word3")
    expect(page.locator(".turn")).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".note")).to_contain_text("Stopped")
    visit.is_clean()


def reload(browser):
    """An answer goes on where a reload has cut it; one that nobody comes back to does not."""
    visit = Visit(browser)
    page = visit.page
    visit.ask("What comes first?")
    visit.answered()
    visit.ask()
    expect(page.locator(".prose").last).to_contain_text("word3")
    before = page.locator(".prose").last.inner_text()
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".question").first).to_contain_text("What comes first?")
    expect(page.locator(".prose").last).to_contain_text("word79")
    visit.answered()
    assert page.locator(".prose").last.inner_text().startswith(before[:20]), "from its beginning"
    expect(page.locator(".note")).to_have_count(0)
    expect(page.locator(".turn").last.locator(".card").first).to_be_visible()
    # The end is kept as well, and what goes on is stopped as ever.
    page.reload()
    expect(page.locator(".prose").last).to_contain_text("word79")
    visit.ask("And after that?")
    expect(page.locator(".prose").last).to_contain_text("word3")
    page.reload()
    expect(page.locator(".turn").last.locator(".prose")).to_contain_text("word3")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".note")).to_contain_text("Stopped")
    page.locator("#question").focus()
    visit.ask("And at last?")
    expect(page.locator(".prose").last).to_contain_text("word3")
    visit.is_clean()
    visit.context.close()


def quality(browser):
    """What was measured is shown with its confidence, two pipelines side by side."""
    for look in [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}, "locale": "zh-CN"}]:
        visit = Visit(browser, **look)
        page = visit.page
        page.goto(URL + "/#quality")
        measured = page.locator(".measured")
        expect(measured).to_have_count(2)
        # The newest first: that one compares two.
        expect(measured.first.locator(".legend li")).to_have_count(2)
        expect(measured.first.locator("svg .whisker")).to_have_count(12)
        expect(measured.first.locator("tbody tr").first.locator("td")).to_have_count(4)
        expect(measured.first.locator("tbody tr").first).to_contain_text("nDCG@10")
        expect(measured.last.locator("svg .whisker")).to_have_count(6)
        visit.is_accessible()
        visit.fits()
        visit.is_clean()
        visit.context.close()


def views(browser):
    """Every view in both lights, on a phone and in Chinese: nothing serious for axe-core, nothing that scrolls sideways."""
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
    looks = [{}, {"color_scheme": "dark"}, phone, phone | {"locale": "zh-CN"}]
    for look in looks:
        visit = Visit(browser, **look)
        page = visit.page
        chinese = look.get("locale") == "zh-CN"
        expect(page.locator("#question")).to_have_attribute("aria-label", "问题" if chinese else "Question")
        assert page.locator("html").get_attribute("lang") == ("zh-Hans" if chinese else "en")
        visit.is_accessible()
        visit.ask()
        visit.answered()
        visit.is_accessible()
        visit.fits()
        page.locator(".card").first.click()
        expect(page.locator("mark.lines")).to_be_in_viewport()
        visit.is_accessible()
        page.keyboard.press("Escape")
        page.locator("[data-view=search]").click()
        page.locator("#query").fill("rotate keys")
        page.keyboard.press("Enter")
        expect(page.locator(".hit mark").first).to_be_visible()
        expect(page.locator(".hit meter").first).to_be_visible()
        legs = page.locator(".hit").first.locator(".leg")
        expect(legs).to_have_count(2)
        expect(legs.first).to_contain_text("语义" if chinese else "meaning")
        expect(legs.last).to_contain_text(re.compile(r"第 \d+ 位 · \d" if chinese else r"no\. \d+ · \d"))
        visit.is_accessible()
        visit.fits()
        page.locator("[data-view=index]").click()
        expect(page.locator(".figures dd").first).to_have_text(re.compile(r"\d"))
        visit.is_accessible()
        visit.fits()
        page.locator("[data-view=map]").click()
        page.locator("#look").fill("rotate keys")
        page.keyboard.press("Enter")
        canvas = page.locator("canvas")
        expect(canvas).to_have_attribute("data-marked", re.compile(r"^[1-9]"))
        expect(page.locator(".about")).to_contain_text("%")
        drawn = page.evaluate("""() => {
            const canvas = document.querySelector("canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.filter((value, i) => i % 4 === 3 && value > 0).length;
        }""")
        assert drawn > 500, f"{drawn} points of the screen are drawn on"
        page.locator(".as-table summary").click()
        expect(page.locator(".as-table tbody tr").first).to_be_visible()
        visit.is_accessible()
        visit.fits()
        # By the keyboard alone: to the best passage, on to another, and into it.
        canvas.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".tip")).to_contain_text("1. ")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.locator(".viewer mark.lines")).to_be_in_viewport()
        page.keyboard.press("Escape")
        expect(canvas).to_be_focused()
        page.locator("[data-view=activity]").click()
        expect(page.locator(".plot svg").first).to_be_visible()
        visit.is_accessible()
        visit.fits()
        page.locator("[data-view=quality]").click()
        expect(page.locator(".empty code")).to_contain_text("ragstream eval")
        visit.is_accessible()
        visit.fits()
        page.locator("[data-view=index]").click()
        # The language changes where one stands.
        page.locator("#tools button").click()
        expect(page.locator("h1")).to_have_text("What the index holds" if chinese else "索引内容")
        visit.is_clean()
        visit.context.close()


def whole(browser):
    """All documents are read when a button says so, and how far that has come is seen; so is a model asked anyway."""
    words = {
        "en-US": ("List all harbour cranes", "Reading all 140 documents", "Read all", "Answer from the best passages", "read all 140 documents", "Answer anyway"),
        "zh-CN": ("列出所有 greenhouse 的资料", "通读全部 140 篇", "通读全部", "改用最相关的段落作答", "通读了 140 篇文档", "仍然回答"),
    }
    for locale, (question, takes, read, passages, took, anyway) in words.items():
        visit = Visit(browser, locale=locale)
        page = visit.page
        visit.ask(question)
        visit.answered()
        offer = page.locator(".note").filter(has_text=takes)
        expect(offer).to_have_count(1)
        expect(page.locator(".notes")).not_to_contain_text("--all")
        visit.is_accessible()
        button = page.get_by_role("button", name=read, exact=True)
        button.click()
        bar = page.locator(".pass progress")
        expect(bar).to_be_visible()
        expect(page.locator(".status")).to_contain_text("140")
        page.wait_for_function("document.querySelector('.pass progress').value >= 2")
        visit.is_accessible()
        # Not all, after all: the best passages answer, and the question stands there once.
        page.get_by_role("button", name=passages, exact=True).click()
        expect(page.locator(".turn")).to_have_count(1)
        visit.answered()
        expect(page.locator(".facts")).not_to_contain_text("140")
        expect(page.locator(".note")).to_have_count(0)
        page.get_by_role("button", name=re.compile("New conversation|新对话")).click()
        visit.ask(question)
        visit.answered()
        page.get_by_role("button", name=read, exact=True).click()
        expect(page.locator(".facts")).to_contain_text(took)
        expect(bar).not_to_be_visible()
        expect(page.locator(".prose a.cite").first).to_be_visible()
        page.reload()
        expect(page.locator(".facts")).to_contain_text(took)
        page.get_by_role("button", name=re.compile("New conversation|新对话")).click()
        visit.ask("Who won the chess championship in Reykjavik after the thunderstorm?")
        visit.answered()
        expect(page.locator(".note")).to_contain_text(re.compile("No model was asked|没有询问模型"))
        page.get_by_role("button", name=anyway, exact=True).click()
        expect(page.locator(".prose a.cite").first).to_be_visible()
        expect(page.get_by_role("button", name=anyway, exact=True)).to_have_count(0)
        visit.is_clean()
        visit.context.close()


def together(browser):
    """Several pipelines are asked together; each source says whose it is, and opens there."""
    visit = Visit(browser)
    page = visit.page
    visit.ask("How often are keys rotated?")
    visit.answered()
    of = page.locator(".card .of")
    expect(of).to_have_count(2)
    assert sorted(of.all_inner_texts()) == ["docs", "tickets"]
    page.locator(".card").filter(has=page.get_by_text("tickets", exact=True)).click()
    expect(page.locator(".viewer .where .of")).to_have_text("tickets")
    expect(page.locator("mark.lines")).to_contain_text("asks a customer")
    page.keyboard.press("Escape")
    page.locator("[data-view=search]").click()
    page.locator("#query").fill("keys rotated")
    page.keyboard.press("Enter")
    expect(page.locator(".hit .of")).to_have_count(2)
    # One of them alone, and the map, which is of one.
    page.locator(".options summary").click()
    page.locator("#search-pipeline").select_option("tickets")
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator(".hit .of")).to_have_count(0)
    page.locator("#search-pipeline").select_option("")
    expect(page.locator(".hit .of")).to_have_count(2)
    visit.is_accessible()
    page.locator("[data-view=map]").click()
    expect(page.locator("canvas")).to_be_visible()
    expect(page.locator("#search-pipeline option")).to_have_count(2)
    visit.is_clean()


def token(browser):
    """A token is asked for once; a wrong one is said to be wrong."""
    visit = Visit(browser)
    page = visit.page
    page.locator("#token").fill("not-the-token-at-all")
    page.keyboard.press("Enter")
    expect(page.locator(".login .fault")).to_be_visible()
    visit.is_accessible()
    page.locator("#token").fill("0123456789abcdef")
    page.keyboard.press("Enter")
    # No index yet: what to do is said.
    expect(page.locator(".empty code")).to_have_text("ragstream ingest ./docs")
    page.reload()
    expect(page.locator(".empty code")).to_be_visible()
    expect(page.locator(".login")).to_have_count(0)


SCENARIOS = {
    "answer": answer,
    "doubts": doubts,
    "stop": stop,
    "reload": reload,
    "quality": quality,
    "views": views,
    "whole": whole,
    "together": together,
    "token": token,
    "ingest": jobs.ingest,
    "tabs": jobs.tabs,
    "stopping": jobs.stopping,
    "refused": jobs.refused,
}

with sync_playwright() as playwright:
    SCENARIOS[SCENARIO](playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
