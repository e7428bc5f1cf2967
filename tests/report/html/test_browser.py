"""Pages in a real browser: Debian's chromium without a window, driven by playwright; axe-core looks at accessibility.

IMGCONV_CHROMIUM names another chromium. Nothing is downloaded: without a browser these tests are skipped.
"""

from __future__ import annotations

import os
import shutil

import pytest
from report.html import samples

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("IMGCONV_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

#: What a page does that it must not: collected before its own script runs.
WATCH = """
  window.seen = [];
  document.addEventListener("securitypolicyviolation", (event) => seen.push("policy: " + event.violatedDirective));
  window.addEventListener("error", (event) => seen.push("error: " + event.message), true);
"""
#: Everything that the keyboard should reach.
FOCUSABLE = "a[href], button, input, summary, [tabindex='0']"
NAMES = [*samples.COMMANDS, *samples.MODELS]
SMALL = [name for name in NAMES if not name.endswith("-many")]


def usual(names, *few):
    """Return names as parameters: a few for the default suite, the others are slow."""
    return [pytest.param(name, marks=[] if name in few else [pytest.mark.slow]) for name in names]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return samples.Pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        found = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield found
        found.close()


@pytest.fixture
def opened(browser, files):
    """Open a page; gives the page of the browser. What it must not do fails the test at its end."""
    contexts, wrong = [], []

    def call(name, **options):
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        address = files[name].as_uri()
        if options.get("java_script_enabled", True):
            page.add_init_script(WATCH)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"page: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url == address or wrong.append(f"request: {request.url}"))
        page.goto(address)
        return page

    yield call
    for context in contexts:
        for page in context.pages:
            if page.evaluate("'seen' in window"):
                wrong += page.evaluate("seen")
        context.close()
    assert not wrong


@pytest.mark.parametrize("name", usual(NAMES, "inspect-hostile", "inspect-damaged"))
def test_a_page_opens_without_request_error_or_violation(opened, name):
    page = opened(name)
    assert page.evaluate("JSON.parse(document.getElementById('data').textContent).report").startswith("page-")
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert timing > 0


@pytest.mark.parametrize("name", usual(SMALL, "inspect-damaged"))
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(opened, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(name, color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_keyboard_reaches_everything(opened, name):
    page = opened(name)
    page.evaluate(
        f"[...document.querySelectorAll({FOCUSABLE!r})].forEach((each, place) => "
        "each.setAttribute('data-place', place))"
    )
    hidden = page.evaluate(
        f"[...document.querySelectorAll({FOCUSABLE!r})].filter((each) => !each.checkVisibility()).length"
    )
    total = page.evaluate(f"document.querySelectorAll({FOCUSABLE!r}).length") - hidden
    reached = set()
    for _ in range(total + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.place"))
    assert len(reached - {None}) == total
    assert total > 3


@pytest.mark.slow
def test_the_first_key_leads_past_the_head(opened):
    page = opened("inspect")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("name", usual(NAMES, "inspect-hostile"))
@pytest.mark.parametrize("width", [320, pytest.param(768, marks=pytest.mark.slow)])
def test_a_narrow_page_scrolls_only_down(opened, name, width):
    page = opened(name, viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # What is wider is in a box that scrolls by itself, and the keyboard reaches it.
    boxes = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth)"
        ".every((each) => each.tabIndex === 0 && each.getAttribute('aria-label'))"
    )
    assert boxes


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_light_dark_and_print_differ_as_they_should(opened, name):
    """Pictures of one run are compared: two of the same are equal, light is light, dark is dark, paper is white."""

    def background(page):
        return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    light, dark = opened(name, color_scheme="light"), opened(name, color_scheme="dark")
    assert light.screenshot() == opened(name, color_scheme="light").screenshot()
    assert light.screenshot() != dark.screenshot()
    assert background(light) == "rgb(255, 255, 255)"
    assert max(map(int, background(dark)[4:-1].split(","))) < 40
    dark.emulate_media(media="print", color_scheme="dark")
    assert background(dark) == "rgb(255, 255, 255)"
    assert dark.evaluate(
        "[...document.querySelectorAll('nav, .choices, .filter')].every((each) => !each.checkVisibility())"
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_paper_shows_what_is_folded(opened, script):
    page = opened("inspect", java_script_enabled=script)
    if script:
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
        page.emulate_media(media="print")
        heights = page.evaluate(
            "[...document.querySelectorAll('details table')].map((each) => each.getBoundingClientRect().height)"
        )
        assert heights
        assert all(heights)
    # A file for a printer is made of it, with all images.
    raw = page.pdf()
    assert raw.startswith(b"%PDF")


@pytest.mark.slow
def test_a_page_is_complete_without_script(opened, files):
    with_script, without = opened("inspect"), opened("inspect", java_script_enabled=False)
    parts = "main td, main th, main dd, main h2, main h3"
    text = f"[...document.querySelectorAll({parts!r})].map((each) => each.textContent.trim())"
    assert with_script.evaluate(text)
    # The browser runs our own expressions also where pages may run no script.
    assert without.evaluate(text) == with_script.evaluate(text)
    assert without.evaluate("document.querySelectorAll('button, .filter').length") == 0
    assert with_script.evaluate("document.querySelectorAll('button').length") > 10


@pytest.mark.slow
def test_tables_sort_by_value_and_are_filtered(opened):
    page = opened("inspect-many")
    table = page.locator("table", has=page.locator("caption", has_text="Layers of image 1"))
    values = "(table) => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value))"
    title = table.locator("th", has_text="stored").first
    title.locator("button").click()
    up = table.evaluate(values)
    assert up == sorted(up)
    assert title.get_attribute("aria-sort") == "ascending"
    title.locator("button").press("Enter")
    assert table.evaluate(values) == up[::-1]
    assert title.get_attribute("aria-sort") == "descending"
    field = page.get_by_label("Show only rows with").first
    field.fill("PREFIX=/usr/local 99")
    shown = table.evaluate("(table) => [...table.tBodies[0].rows].filter((row) => !row.hidden).length")
    assert shown == 11  # 99 and 990 to 999


@pytest.mark.slow
def test_digests_are_shown_in_full_where_asked_and_copied_in_full_always(opened):
    page = opened("inspect")
    digest = page.locator("code.digest").first
    assert len(digest.inner_text()) == 71
    narrow = digest.bounding_box()["width"]
    page.get_by_label("Show digests in full").check()
    assert digest.bounding_box()["width"] > narrow * 2


@pytest.mark.slow
def test_a_layer_in_the_chart_leads_to_its_row(opened):
    page = opened("inspect")
    block = page.locator("#layer-chart a").nth(3)
    block.focus()
    page.keyboard.press("Enter")
    target = page.evaluate("location.hash.slice(1)")
    assert "-layer-" in target
    assert page.evaluate("(id) => document.getElementById(id).getBoundingClientRect().top < innerHeight", target)


@pytest.mark.slow
def test_drawings_have_a_title_and_a_description(opened):
    page = opened("inspect")
    named = page.evaluate(
        "[...document.querySelectorAll('svg.drawing')].map((each) => each.getAttribute('aria-labelledby').split(' ')"
        ".concat(each.getAttribute('aria-describedby')).every((id) => document.getElementById(id).textContent))"
    )
    assert len(named) > 5
    assert all(named)


@pytest.mark.slow
def test_colours_of_shared_layers_differ_and_have_labels(opened):
    """Not by colour alone: each block that is high enough has its label as text."""
    page = opened("inspect")
    found = page.evaluate("""[...document.querySelectorAll('#layer-chart a')].map((each) => [
        each.querySelector('rect').getAttribute('class'), getComputedStyle(each.querySelector('rect')).fill,
        each.getAttribute('aria-label'), [...each.querySelectorAll('text')].map((text) => text.textContent).join()
    ])""")
    by_label, labelled = {}, set()
    for kind, fill, about, text in found:
        if "shared " in about:
            label = about.split("shared ")[1].split(":")[0]
            by_label.setdefault(label, set()).add(fill)
            # Thin layers that are the same one and follow each other have one label.
            assert text.split(" ")[0] in {label, ""}
            labelled |= {label} if text else set()
        else:
            assert kind == "block own"
    assert len(by_label) >= 5
    assert labelled == set(by_label)
    assert all(len(fills) == 1 for fills in by_label.values())
    assert len(set(map(frozenset, by_label.values()))) == len(by_label)


@pytest.mark.slow
def test_the_watch_sees_what_a_page_must_not_do(browser, files, tmp_path):
    """These tests can fail: the same page with an image, a style and a script is caught, and axe finds a fault."""
    broken = (
        files["inspect-damaged"]
        .read_text()
        .replace("<main", "<img src=x><p style='color:red' onclick='x()'>x</p><script>1</script><main")
    )
    path = tmp_path / "broken.html"
    path.write_text(broken)
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    seen = page.evaluate("seen")
    assert any("img-src" in each for each in seen)
    assert any("style-src" in each for each in seen)
    assert any("script-src" in each for each in seen)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    assert "image-alt" in {each["id"] for each in axe.Axe().run(page).response["violations"]}
    page.close()
