"""The page at ``/``, as a person uses it in a browser."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest

from headrace.server.security.keys_file import new_key
from headrace_client import Client, Unauthorized
from tests.integration.browser import Browser, browsing
from tests.integration.serving import Serving, ping, project, publish, serving

BIG = 7_777_777_777_777_777_777
Page = Browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    root = tmp_path_factory.mktemp("page") / "city"
    rows = [*(ping(driver, 10 * driver, 190) for driver in (1, 2, 3)), ping(99, None, 9_000), ping(BIG, 2**60 + 1, 190)]
    publish(project(root), rows)
    with serving(root) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = os.environ.get("HEADRACE_TEST_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs the browser chromium: install it, or set HEADRACE_TEST_CHROMIUM")
    with browsing(program, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Serving) -> Iterator[Page]:
    """The page, with service model chosen."""
    browser.said.clear()
    browser.look()
    browser.open(f"{server.client.base_url}/#model")
    browser.wait_for("document.querySelector('#driver_id-0')")
    yield browser
    assert browser.said == [], "nothing was refused or failed"


def choose(page: Page, service: str) -> None:
    page.run(
        f"(() => {{ const s = document.querySelector('#service'); s.value = '{service}';"
        " s.dispatchEvent(new Event('change')); }})()".replace("}}", "}")
    )
    page.wait_for(f"location.hash === '#{service}'")


def cells(page: Page, feature: str) -> list[str]:
    script = f"[...document.querySelectorAll('[data-feature={feature}] td')].map((each) => each.innerText)"
    return [" ".join(text.split()) for text in page.run(script)]


def said_by(code: str) -> str:
    """What a program prints."""
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})
    return printed.getvalue()


def test_a_person_asks_and_sees_values_statuses_and_ages(page: Page) -> None:
    assert page.run("[...document.querySelectorAll('#service option')].map((each) => each.value)") == [
        "model", "places", "scaling", "values",
    ]  # fmt: skip
    page.type("#driver_id-0", "3")
    for place, driver in enumerate(("99", "12"), start=1):
        page.click("#add")
        page.type(f"#driver_id-{place}", driver)
    page.press("Enter", 13)
    page.wait_for("document.querySelector('[data-feature]')")
    assert cells(page, "driver_now__total") == [
        "30 PRESENT 3 min old",
        "null NULL_VALUE 2 h 30 min old",
        "null NOT_FOUND",
    ]
    assert cells(page, "driver_now__n") == [
        "30 PRESENT 3 min old",
        "null OUTSIDE_MAX_AGE 2 h 30 min old",
        "null NOT_FOUND",
    ]
    assert "driver_now version 1 computed through" in page.text("[data-view]")
    assert "older than the view's ttl allows" in page.text("#legend")
    assert "INCOMPLETE" not in page.text("#legend"), "only what occurs is explained"
    assert "3 entities" in page.text("#took")


def test_whole_numbers_keep_every_digit(page: Page) -> None:
    page.type("#driver_id-0", str(BIG))
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    assert cells(page, "driver_now__n")[0].startswith(f"{2**60 + 1} PRESENT")
    assert f"[{BIG}]" in page.text("#text")


def test_what_is_typed_wrong_is_told_at_its_field_and_not_sent(page: Page) -> None:
    for typed, told in (("x", "a whole number, such as 42"), (str(2**63), f"from -{2**63} to {2**63 - 1}")):
        page.type("#driver_id-0", typed)
        page.click("#go")
        assert f"It has to be {told}." in page.text("#form")
        assert page.run("document.activeElement.id") == "driver_id-0"
        assert page.run("document.activeElement.getAttribute('aria-invalid')") == "true"
    page.type("#driver_id-0", "1")
    assert "It has to be" not in page.text("#form")
    page.type("#at", "yesterday")
    page.click("#go")
    assert "a time with its zone" in page.text("#form")
    assert page.run("document.querySelector('#answer').hidden")


def test_a_past_time(page: Page) -> None:
    page.type("#driver_id-0", "1")
    page.type("#at", "2026-01-05 12:00:00+01:00")
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    assert cells(page, "driver_now__n") == ["null INCOMPLETE"]
    assert "as of 2026-01-05 11:00:00Z" in page.text("#took")
    assert '"at": "2026-01-05T12:00:00+01:00"' in page.text("#text")


def test_request_columns_and_an_entity_that_is_taken_away(page: Page) -> None:
    choose(page, "scaling")
    page.type("#driver_id-0", "2")
    page.type("#factor-0", "3")
    page.click("#add")
    page.type("#driver_id-1", "3")
    page.type("#factor-1", "")
    page.click("[aria-label='Remove entity 1']")
    page.type("#factor-0", "7")
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    assert cells(page, "scaled__product") == ["210 PRESENT"]
    assert "Computed on demand" in page.text("#values")


def test_the_request_shown_does_the_same_elsewhere(page: Page) -> None:
    choose(page, "places")
    page.type("#driver_id-0", "1")
    page.type("#zone-0", 'it\'s "x" \\ é')
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    run = subprocess.run(shlex.split(page.run("document.querySelector('#text').textContent").replace("\\\n", " ")),
                         capture_output=True, text=True, check=True)  # fmt: skip
    assert '"it\'s \\"x\\" \\\\ é"' in run.stdout, run.stdout
    for tab in (2, 3):
        page.click(f"#tabs button:nth-child({tab})")
        printed = said_by(page.run("document.querySelector('#text').textContent"))
        assert "driver_now__rows" in printed
        assert "é" in printed
    page.press("ArrowLeft", 37)
    assert page.run("document.activeElement.innerText") == "Python"
    page.click("#copy")
    page.wait_for("document.querySelector('#copied').textContent")
    assert page.text("#copied") in ("Copied", "Selected: copy it with the keyboard")


def test_a_key_is_sent_and_shown_nowhere(page: Page, server: Serving) -> None:
    page.type("#key", "hr_s3cret")
    page.press("Enter", 13)
    page.wait_for("document.querySelector('#driver_id-0')")
    page.type("#driver_id-0", "1")
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    for tab in (1, 2, 3):
        page.click(f"#tabs button:nth-child({tab})")
        assert "HEADRACE_API_KEY" in page.text("#text")
        assert "s3cret" not in page.run(
            "document.documentElement.outerHTML + location + JSON.stringify({...localStorage, ...sessionStorage})"
        )
    page.open(f"{server.client.base_url}/#model")
    page.wait_for("document.querySelector('#driver_id-0')")
    assert page.run("document.querySelector('#key').value") == ""


def test_an_error_is_told_in_the_servers_words(page: Page) -> None:
    page.run("state.service.name = 'modle', null")
    page.type("#driver_id-0", "1")
    page.click("#go")
    page.wait_text("There is no such thing (404)", "#trouble")
    assert "there is no service 'modle'. Did you mean 'model'?" in page.text("#trouble")
    assert page.said.pop().startswith("Failed to load resource")


def test_a_server_that_is_gone_is_told(browser: Browser, tmp_path: Path) -> None:
    publish(project(tmp_path / "city"), [ping(1, 1, 60)])
    with serving(tmp_path / "city") as server:
        browser.open(f"{server.client.base_url}/")
        browser.wait_for("document.querySelector('#driver_id-0')")
        server.stop()
        browser.click("#go")
        browser.wait_text("The server can't be reached", "#trouble")


def test_only_its_own_script_runs_and_it_speaks_with_its_server_alone(server: Serving) -> None:
    found = server.client.get("/")
    policy = found.headers["content-security-policy"]
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in policy
    assert not [
        word for word in ("http://", "https://", "//cdn") if word in found.text.replace("http://www.w3.org", "")
    ]


def test_each_control_has_a_name(page: Page) -> None:
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    controls = ("button", "textbox", "combobox", "tab", "link", "MenuListPopup")
    unnamed = [
        each for each in nodes
        if not each.get("ignored") and each["role"]["value"] in controls[:5] and not each.get("name", {}).get("value")
    ]  # fmt: skip
    assert unnamed == []
    assert page.run("document.documentElement.lang") == "en"


@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 1180), (True, 390)])
def test_words_can_be_read_in_the_light_and_in_the_dark(page: Page, dark: bool, width: int) -> None:
    """Text stands out from its ground by 4.5 to 1 at least."""
    page.look(dark=dark, width=width)
    page.type("#driver_id-0", "99")
    page.click("#go")
    page.wait_for("document.querySelector('[data-feature]')")
    assert page.run(CONTRAST) == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    assert page.picture().startswith(b"\x89PNG")


CONTRAST = """(() => {
  const parts = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const linear = (c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = (color) => .2126 * linear(color[0]) + .7152 * linear(color[1]) + .0722 * linear(color[2]);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found[3]) return found;
    }
    return [255, 255, 255];
  };
  const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const weak = [];
  for (const node of document.querySelectorAll("body *")) {
    if (!hasText(node) || !node.checkVisibility() || node.matches("script, style, noscript, :disabled")) continue;
    const colors = [parts(getComputedStyle(node).color), ground(node)].map(light).sort((a, b) => b - a);
    if ((colors[0] + .05) / (colors[1] + .05) < 4.5) weak.push([node.className, node.textContent]);
  }
  return weak;
})()"""


def test_the_client_names_what_the_page_shows(server: Serving) -> None:
    with Client(str(server.client.base_url), timeout_seconds=30) as client:
        assert client.features("model", {"driver_id": [3]}, full_names=True).value("driver_now__total") == 30


def test_a_server_that_asks_for_keys_is_told_one(browser: Browser, tmp_path: Path) -> None:
    publish(project(tmp_path / "city"), [ping(1, 1, 190)])
    made = partial(new_key, tmp_path / "city" / "keys.json", time.time_ns() // 1_000, rights=["read"])
    (_, whole), (_, some) = made(), made(services=["model"])
    with serving(tmp_path / "city") as server:
        url = str(server.client.base_url)
        browser.open(f"{url}/")
        browser.wait_text("The server has to know who asks (401)", "#trouble")
        assert browser.run("document.activeElement.id") == "key"
        enter(browser, whole)
        browser.click("#go")
        browser.wait_for("document.querySelector('[data-feature]')")
        assert browser.run("document.querySelector('#trouble').hidden")
        browser.open(f"{url}/")
        browser.wait_text("401", "#trouble")
        enter(browser, some)
        with Client(url, api_key=some, timeout_seconds=30) as client:
            assert [each["name"] for each in client.services()] == ["model"], "it is told those that it may read"
            assert client.features("model", {"driver_id": [1]}).value("total") == 1
            with pytest.raises(Unauthorized, match="model"):
                client.features("places", {"driver_id": [1], "zone": ["x"]})


def enter(page: Page, key: str) -> None:
    page.type("#key", key)
    page.press("Enter", 13)
    page.wait_for("document.querySelector('#driver_id-0')")
