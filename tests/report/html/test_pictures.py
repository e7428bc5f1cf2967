"""What pages look like: pictures in a browser against stored ones, in light, dark, print and narrow.

Text is drawn in a font of boxes (`box_font.py`), so that the fonts of a machine do not matter: what is compared is
layout, colours and drawings. A pixel differs if neither it nor one beside it in the other picture has about its colour,
so that a step by one pixel, as between versions of a browser, does not count.

After a change that is wanted, `IMGCONV_PICTURES=new pytest -m slow tests/report/html/test_pictures.py` stores new
pictures; look at them before they are committed.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from report.html import box_font, samples
from report.html.test_browser import CHROMIUM, browser, playwright  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

PICTURES = Path(__file__).with_name("pictures")
#: Pages made from testdata/, each of another command.
PAGES = ["inspect-two", "diff", "validate", "doctor-two"]
#: View -> the options of the browser, and the medium.
VIEWS = {
    "light": ({"color_scheme": "light"}, "screen"),
    "dark": ({"color_scheme": "dark"}, "screen"),
    "print": ({"color_scheme": "dark"}, "print"),
    "narrow": ({"color_scheme": "light", "viewport": {"width": 320, "height": 900}}, "screen"),
}
#: The most of a page that a picture shows, in pixels of the page.
HEIGHT = 1500
#: Difference of one of red, green and blue from which a pixel differs, of 255.
STEP = 16
#: The share of pixels that may differ.
SHARE = 0.0005
#: Counts pixels that differ. Both pictures are data URLs; a different size is a difference of everything.
COMPARE = """async ([one, other, step]) => {
  const pixels = async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height);
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  if (a.width !== b.width || Math.abs(a.height - b.height) > 2) return [1, a.width, a.height, b.width, b.height];
  const height = Math.min(a.height, b.height);
  const near = (one, x, y, other, u, v) => {
    const [p, q] = [4 * (y * a.width + x), 4 * (v * a.width + u)];
    return [0, 1, 2].every((k) => Math.abs(one.data[p + k] - other.data[q + k]) <= step);
  };
  const beside = (one, x, y, other) => {
    for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
      for (let u = Math.max(0, x - 1); u <= Math.min(a.width - 1, x + 1); u++)
        if (near(one, x, y, other, u, v)) return true;
    return false;
  };
  let count = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < a.width; x++)
      if (!near(a, x, y, b, x, y)) count += !beside(a, x, y, b) || !beside(b, x, y, a);
  return [count / (height * a.width), a.width, a.height, b.width, b.height];
}"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return samples.Pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def taken(browser, files):  # noqa: F811 - the fixture
    """Take a picture of a page in a view, with another style sheet after its own; gives a PNG."""
    cache = {}

    def call(name, view, extra=""):
        if (name, view, extra) not in cache:
            options, medium = VIEWS[view]
            options = {"viewport": {"width": 960, "height": 900}, **options}
            # The style sheet of the test is not in the policy of the page.
            context = browser.new_context(bypass_csp=True, **options)
            page = context.new_page()
            page.emulate_media(media=medium, color_scheme=options["color_scheme"])
            page.goto(files[name].as_uri())
            page.add_style_tag(content=box_font.style() + "section{content-visibility:visible!important}" + extra)
            page.evaluate("document.fonts.load('16px Box').then(() => document.fonts.ready)")
            assert page.evaluate("document.fonts.check('16px Box')")
            width = options["viewport"]["width"]
            height = min(HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
            page.set_viewport_size({"width": width, "height": height})
            cache[name, view, extra] = page.screenshot(animations="disabled", caret="hide")
            context.close()
        return cache[name, view, extra]

    return call


@pytest.fixture(scope="module")
def differing(browser):  # noqa: F811 - the fixture
    """Compare two pictures; gives the share of pixels that differ, and the sizes."""
    page = browser.new_page()

    def call(one, other):
        urls = [f"data:image/png;base64,{base64.b64encode(raw).decode()}" for raw in (one, other)]
        return page.evaluate(COMPARE, [*urls, STEP])

    yield call
    page.close()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_its_stored_picture(taken, differing, name, view, tmp_path):
    path = PICTURES / f"{name}-{view}.png"
    picture = taken(name, view)
    if os.environ.get("IMGCONV_PICTURES") == "new":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
        pytest.skip(f"stored {path.name}; look at it")
    share, *sizes = differing(picture, path.read_bytes())
    if share > SHARE:
        (tmp_path / path.name).write_bytes(picture)
    assert share <= SHARE, (f"{path.name} is not like {tmp_path / path.name}", sizes)


#: A change of the style sheet that a reader sees -> the page that shows it best, and the rule.
CHANGES = {
    "the colour of a layer": ("inspect-two", ":root{--c0:#f5c58a!important}"),
    "the chart, to the right": ("inspect-two", "#layer-chart{margin-left:6px}"),
    "the chart, higher in its box": ("inspect-two", "#layer-chart{margin-top:-6px}"),
    "links without colour": ("inspect-two", "a{color:inherit!important}"),
    "rows closer together": ("inspect-two", "td,th{padding-top:0!important}"),
    "no borders of tables": ("doctor-two", "td,th{border-bottom-color:transparent!important}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_page_does_not_look_like_its_stored_picture(taken, differing, change):
    """The comparison can fail."""
    page, rule = CHANGES[change]
    share, *_ = differing(taken(page, "light", rule), (PICTURES / f"{page}-light.png").read_bytes())
    assert share > SHARE


def test_a_step_of_one_pixel_does_not_count(taken, differing):
    stored = (PICTURES / "inspect-two-light.png").read_bytes()
    share, *_ = differing(taken("inspect-two", "light", "main{position:relative;left:1px}"), stored)
    assert share <= SHARE
