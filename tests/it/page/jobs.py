"""Ingests on the page: begun, watched and stopped."""

import re

from playwright.sync_api import expect

from visit import URL, Visit


def ingest(browser):
    """Begun from the page, watched, stopped; the next one ends by itself."""
    visit = Visit(browser)
    page = visit.page
    page.get_by_role("link", name="Index").click()
    page.get_by_role("button", name="Update the index").click()
    job = page.locator(".job").first
    expect(job).to_have_attribute("data-state", "running")
    expect(job.locator(".stored dd")).not_to_have_text("0")
    expect(job.locator(".plot svg")).to_be_visible()
    expect(job.locator(".stages .most")).to_be_visible()
    # The plots of all that goes on, read by the keyboard.
    page.get_by_role("link", name="Activity").click()
    plot = page.locator(".plots .plot").filter(has_text="Passages stored a second")
    expect(plot.locator("svg")).to_be_visible()
    expect(page.locator(".plot rect.stage-embed").first).to_be_attached()
    reader = plot.locator("[role=slider]")
    reader.focus()
    newest = reader.get_attribute("aria-valuenow")
    page.keyboard.press("Home")
    expect(reader).to_have_attribute("aria-valuenow", "0")
    expect(reader).to_have_attribute("aria-valuetext", re.compile(r"\d.* · \d"))
    page.keyboard.press("ArrowRight")
    expect(reader).to_have_attribute("aria-valuenow", "1" if int(newest) > 0 else "0")
    expect(plot.locator(".cross")).not_to_have_attribute("hidden", "")
    page.keyboard.press("Escape")
    page.locator(".as-table summary").click()
    expect(page.locator(".as-table tbody tr").first).to_be_visible()
    expect(page.locator(".as-table thead th")).to_have_count(12)
    visit.is_accessible()
    visit.fits()
    page.get_by_role("link", name="Index").click()
    job.get_by_role("button", name="Stop the ingest").click()
    expect(job).to_have_attribute("data-state", "interrupted")
    visit.is_accessible()
    visit.is_clean()


def index(browser, **options):
    """A tab that shows the index, and its jobs."""
    visit = Visit(browser, **options)
    visit.page.locator("[data-view=index]").click()
    expect(visit.page.locator(".held .primary")).to_be_visible()
    return visit, visit.page.locator(".job")


def press(job, chinese=False):
    job.get_by_role("button", name="停止入库" if chinese else "Stop the ingest").click()


def tabs(browser):
    """Whatever the number of jobs and of tabs, none of them starves, and one that is hidden asks for nothing."""
    first, jobs = index(browser)
    for n in range(7):
        first.page.get_by_role("button", name="Update the index").click()
        expect(jobs).to_have_count(n + 1)
    expect(first.page.locator(".job[data-state=running]")).to_have_count(1)
    expect(first.page.locator(".job[data-state=waiting]")).to_have_count(6)
    others = [index(browser, beside=first)[0] for _ in range(7)]
    for other in others:
        expect(other.page.locator(".job")).to_have_count(7)
    last, hidden = others[-1].page, others[0]
    press(last.locator(".job").first)
    expect(last.locator(".job").first).to_have_attribute("data-state", "interrupted")
    # The others see it as well, and so what is begun elsewhere.
    expect(jobs.first).to_have_attribute("data-state", "interrupted")
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    hidden.page.evaluate(hide, True)
    # What was under way has ended by then.
    hidden.page.wait_for_timeout(1500)
    asked = len(hidden.asked)
    first.page.get_by_role("button", name="Update the index").click()
    expect(last.locator(".job")).to_have_count(8)
    hidden.page.wait_for_timeout(2500)
    assert len(hidden.asked) == asked, hidden.asked[asked:]
    hidden.page.evaluate(hide, False)
    expect(hidden.page.locator(".job")).to_have_count(8)
    streams = [url for tab in [first, *others] for url in tab.asked if re.search(r"/api/ingest/[^/]+$", url)]
    assert len(streams) == 1, f"only what was stopped is asked for alone: {streams}"
    for tab in [first, *others]:
        tab.is_clean()


def stopping(browser):
    """A job's state is the service's, in both languages: one that waits, and one that is stopped until it has ended."""
    words = {
        "en-US": ("running", "waits for its turn", "stopping: what is in flight is stored…", "stopped"),
        "zh-CN": ("进行中", "等待中", "正在停止：写完在途内容……", "已停止"),
    }
    for locale, (runs, waits, stops, stopped) in words.items():
        chinese = locale == "zh-CN"
        visit, jobs = index(browser, locale=locale)
        before = jobs.count()
        update = visit.page.locator(".held .primary")
        update.click()
        expect(jobs).to_have_count(before + 1)
        first = jobs.first
        expect(first.locator(".state")).to_have_text(runs)
        update.click()
        expect(jobs).to_have_count(before + 2)
        second, first = jobs.first, jobs.nth(1)
        # Some looks later it waits still.
        visit.page.wait_for_timeout(2500)
        expect(second.locator(".state")).to_have_text(waits)
        first.evaluate("""(job) => {
            window.states = [];
            new MutationObserver(() => states.at(-1) === job.dataset.state || states.push(job.dataset.state))
                .observe(job, { attributeFilter: ["data-state"] });
        }""")
        press(second, chinese)
        expect(second.locator(".state")).to_have_text(stopped)
        expect(second.get_by_role("button")).to_have_count(0)
        press(first, chinese)
        expect(first.locator(".state")).to_have_text(stops)
        visit.is_accessible()
        expect(first.locator(".state")).to_have_text(stopped)
        states = visit.page.evaluate("states")
        assert [state for state in states if state != "running"] == ["stopping", "interrupted"], states
        assert "running" not in states[states.index("stopping"):], states
        visit.is_clean()
        visit.context.close()


def refused(browser):
    """What is refused or lost says so, and can be asked for again."""
    for locale, lost in {"en-US": "The service does not answer", "zh-CN": "服务没有响应"}.items():
        chinese = locale == "zh-CN"
        visit, jobs = index(browser, locale=locale)
        page, before = visit.page, jobs.count()
        begin = page.locator(".held .primary")
        busy = {"type": "error", "message": "the service is busy", "kind": "busy"}
        page.route("**/api/ingest", lambda route: route.fulfill(status=503, json=busy))
        begin.click()
        expect(page.locator(".held .fault")).to_contain_text("the service is busy")
        # It can be read while it is looked whether there is an index by now.
        page.wait_for_timeout(4000)
        expect(page.locator(".held .fault")).to_be_visible()
        expect(begin).to_be_enabled()
        page.unroute_all()
        begin.click()
        expect(jobs).to_have_count(before + 1)
        expect(page.locator(".held .fault")).to_have_count(0)
        job = jobs.first
        expect(job).to_have_attribute("data-state", "running")
        button = job.locator("header button")

        def fault(answer):
            page.unroute_all()
            page.route("**/api/ingest/*", lambda route: answer(route) if route.request.method == "DELETE" else route.continue_())
            press(job, chinese)

        fault(lambda route: route.fulfill(status=503, json=busy, headers={"retry-after": "2"}))
        expect(job.locator(".fault")).to_contain_text("the service is busy")
        expect(job.locator(".fault")).to_contain_text("2 秒后重试" if chinese else "again in 2 s")
        expect(button).to_be_enabled()
        visit.is_accessible()
        fault(lambda route: route.abort("connectionreset"))
        expect(job.locator(".fault")).to_contain_text(lost)
        expect(job.locator(".fault")).to_have_count(1)
        expect(button).to_be_enabled()
        expect(job).to_have_attribute("data-state", "running")
        page.unroute_all()
        press(job, chinese)
        expect(job).to_have_attribute("data-state", "interrupted")
        expect(job.locator(".fault")).to_have_count(0)
        # And where nothing is heard of any job, that is said until it is heard again.
        page.route("**/api/ingest?*", lambda route: route.abort("connectionreset"))
        expect(page.locator(".fault", has_text=lost)).to_be_visible()
        page.unroute_all()
        expect(page.locator(".fault", has_text=lost)).to_be_hidden()
        visit.context.close()
