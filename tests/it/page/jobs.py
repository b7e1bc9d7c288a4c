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
