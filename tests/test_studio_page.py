"""The live page in a real browser: every control is driven, and what is drawn is judged."""

import io
import json
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

import browser as browser_tools
import thermogen as tg
from browser import CHROMIUM, PATIENCE
from thermogen.seeds import stream

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The command itself, on a free port; it must end by Ctrl-C without a word."""
    log = tmp_path_factory.mktemp("studio") / "errors"
    with log.open("w") as errors, browser_tools.studio(errors) as (address, process):
        yield address
    assert process.returncode == 0
    assert log.read_text() == ""


@pytest.fixture(scope="module")
def browser():
    with browser_tools.chromium() as chromium:
        yield chromium


@pytest.fixture
def visit(browser, studio):
    """Open the page as a new visitor; nothing but the studio may be asked for, no script may fail."""
    contexts, faults = [], []

    def opened(**settings):
        page = browser_tools.opened(browser, **settings)
        contexts.append(page.context)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: asked.url.startswith(studio) or faults.append(asked.url))
        return browser_tools.shown(page, studio)

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(visit):
    return visit()


def pixels(page, selector="#grid canvas"):
    """What canvases show, as grey levels (n, pixels)."""
    script = """all => all.map(one => Array.from(
        one.getContext('2d').getImageData(0, 0, one.width, one.height).data.filter((_, i) => i % 4 === 0)))"""
    return np.array(page.eval_on_selector_all(selector, script), float)


def told(page, name):
    return page.evaluate(f"document.body.dataset.{name}")


def number(page, selector):
    return float(page.inner_text(selector).replace("−", "-").replace(",", "").split()[0])


def to_the_end(page, action=None):
    """After an action that begins a run, run fast until its picture is read, and stop there."""
    before = told(page, "run")
    page.select_option("#at-end", "stop")
    page.locator("#pace").fill("4")
    if action is not None:
        action()
        page.wait_for_function(f"document.body.dataset.run > {before}")
    page.wait_for_function("document.body.dataset.read === document.body.dataset.run")
    expect(page.locator("#run")).to_have_text("Run")


def anew(page, action):
    """An action that draws new noise, and the pictures of that noise."""
    before = told(page, "run")
    action()
    page.wait_for_function(f"document.body.dataset.run > {before} && document.body.dataset.step === '0'")
    return pixels(page)


def sow(page, seed):
    page.locator("#seed").fill(str(seed))
    return anew(page, lambda: page.keyboard.press("Enter"))


def board_box(page):
    page.locator("#board").scroll_into_view_if_needed()
    return page.locator("#board").bounding_box()


def ask(page, label):
    to_the_end(page, lambda: page.click(f"#ask [data-label='{label}']"))


def judged(page):
    """Classes of the pictures on the page: its pixels, dark ink on light paper, shown to the classifier."""
    return tg.quality.load_classifier().classify(255 - pixels(page)).label


def saved(page, name):
    with page.expect_download() as waiting:
        page.click(f"[data-file='{name}']")
    return Path(waiting.value.path()).read_bytes()


def test_noise_becomes_digits_and_heat_adds_up(page):
    page.click("#run")
    expect(page.locator("#run")).to_have_text("Run")
    before = pixels(page)
    page.click("#run")
    to_the_end(page)
    assert pixels(page).shape == (16, 784)
    assert (np.abs(pixels(page) - before).max(1) > 20).all()
    change, work, heat = (number(page, one) for one in ("#change", "#work", "#heat"))
    assert heat > 1000
    assert change == pytest.approx(work - heat, abs=0.3)
    assert abs(number(page, "#gap")) < 0.05
    captions = page.locator("#grid span").all_inner_texts()
    assert sum(text[-1] in "012" for text in captions) > 12
    page.select_option("#whose", "one")
    page.click("#restart")
    page.click("#step")
    expect(page.locator("#clock")).to_contain_text("t 0.001")


def test_the_asked_digit_appears(page):
    for label in (2, 0):
        ask(page, label)
        expect(page.locator(f"#ask [data-label='{label}']")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#verdict")).to_have_text("16 of 16 have the requested class.")
        assert (judged(page) == label).all()
    ask(page, "null")
    assert len(set(judged(page))) > 1


def test_pause_step_new_noise_and_seed(page):
    page.click("#run")
    expect(page.locator("#run")).to_have_text("Run")
    first = sow(page, 12)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(".")
    page.wait_for_function("document.body.dataset.step === '1'")
    page.click("#step")
    page.wait_for_function("document.body.dataset.step === '2'")
    assert np.abs(anew(page, lambda: page.click("#restart")) - first).max() > 20
    assert told(page, "seed") == "13"
    np.testing.assert_array_equal(sow(page, 12), first)


def test_temperature_step_integrator_and_samples(page):
    page.click("#run")
    spread = {}
    for power in ("0", "3"):
        page.locator("#temperature").fill(power)
        spread[power] = anew(page, lambda: page.click("#restart")).std()
    assert spread["3"] > 1.8 * spread["0"]  # a quartic potential holds hot units in
    expect(page.locator("#temperature-value")).to_have_text("kT = 0.8 E₀")
    page.locator("#dt").fill("2")
    expect(page.locator("#dt-value")).to_have_text("0.004")
    page.select_option("#integrator", "heun")
    page.click("#step")
    anew(page, lambda: page.select_option("#count", "4"))
    expect(page.locator("#grid button")).to_have_count(4)
    page.locator("#pace").fill("-2")
    expect(page.locator("#pace-value")).to_have_text("× 0.25")
    page.wait_for_function("[...document.querySelectorAll('#grid canvas')].every(one => one.width === 28)")
    assert pixels(page).shape == (4, 784)
    page.click("#run")
    to_the_end(page)
    assert abs(number(page, "#gap")) < 0.5
    page.select_option("#at-end", "on")
    page.click("#run")
    page.wait_for_function("Number(document.body.dataset.step) > 630")  # 625 steps of 0.004 are t_f


def test_too_large_a_step_is_explained(page):
    page.locator("#temperature").fill("3")
    page.select_option("#at-end", "on")
    page.locator("#pace").fill("4")
    page.locator("#dt").fill("8")
    expect(page.locator("#error")).to_contain_text("a stable step is dt")
    expect(page.locator("#run")).to_have_text("Run")
    page.locator("#dt").fill("0")
    to_the_end(page, lambda: (page.click("#restart"), page.click("#run")))
    assert abs(number(page, "#gap")) < 0.5


def test_a_hidden_unit_shows_its_field_and_its_neighbours(page):
    page.click("#grid button >> nth=3")
    expect(page.locator("#sample-number")).to_have_text("3")
    page.click("#hidden", position={"x": 40, "y": 40})
    expect(page.locator("#unit-said")).to_contain_text("hidden")
    chosen = int(page.input_value("#unit"))
    assert chosen >= 784
    page.locator("#hidden").press("ArrowRight")
    expect(page.locator("#unit")).to_have_value(str(chosen + 1))
    expect(page.locator("#neighbours tr")).to_have_count(6)
    shown = pixels(page, "#field")
    assert shown.shape == (1, 784)
    assert np.ptp(shown) > 30
    matrix = np.asarray(tg.Model.from_pretrained("three-digits").computer.couplings.matrix())
    for row in page.locator("#neighbours tr").all():
        neighbour, J, _ = row.locator("td").all_inner_texts()
        place = int(neighbour.split()[1]) + (784 if neighbour.startswith("hidden") else 0)
        expected = matrix[chosen + 1, place]
        assert float(J.replace("−", "-")) == pytest.approx(expected, rel=0.02, abs=1e-6)
    page.locator("#unit").fill("")
    page.keyboard.press("Enter")
    expect(page.locator("#unit-panel")).to_be_hidden()


def test_a_held_half_is_finished(page):
    page.select_option("#model", "ten-digits")
    expect(page.locator("#about")).to_contain_text("60,000")
    page.select_option("#example", "6")
    page.wait_for_function("document.getElementById('example').value === ''")
    page.select_option("#region", "upper")
    ask(page, 6)
    to_the_end(page, lambda: page.click("#hold"))
    expect(page.locator("#free")).to_be_enabled()
    assert (judged(page) == 6).all()
    upper = pixels(page).reshape(16, 28, 28)[:, :14]
    assert np.ptp(upper, 0).max() == 0  # held units stand still, in every sample
    ask(page, "null")  # now the drawing alone must tell
    assert (judged(page) == 6).mean() > 0.5
    page.click("#free")
    expect(page.locator("#free")).to_be_disabled()


def test_drawing_by_pointer_and_by_keys(page):
    page.click("#run")
    before = anew(page, lambda: page.click("#restart"))
    box = board_box(page)
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.8)
    page.mouse.up()
    page.click("#place")
    page.wait_for_function(f"document.body.dataset.frame > {int(told(page, 'frame'))}")
    after = pixels(page).reshape(16, 28, 28)
    assert (after[:, 8:20, 14] < before.reshape(16, 28, 28)[:, 8:20, 14]).mean() > 0.95  # ink is dark
    page.click("#clear")
    page.locator("[name=pen][value='0']").check()
    board = page.locator("#board")
    for key in ("ArrowDown", "ArrowRight", "Space"):
        board.press(key)
    expect(page.locator("#board-at")).to_have_text("row 1, column 1: paper")
    page.locator("[name=pen][value='-1']").check()
    board.press("Enter")
    expect(page.locator("#board-at")).to_have_text("row 1, column 1: free")


def test_three_digits_are_trained_here_and_come_out(page):
    page.click("#train-digits")
    expect(page.locator("#training-said")).to_contain_text("Trained on digits 3 5 8", timeout=PATIENCE)
    expect(page.locator("#model")).to_have_value("digits 3 5 8")
    for label in (3, 8):
        ask(page, label)
        assert (judged(page) == label).all()
    with zipfile.ZipFile(io.BytesIO(saved(page, "model.zip"))) as archive:
        assert archive.namelist() == ["digits-3-5-8/card.json", "digits-3-5-8/model.safetensors"]


def test_own_drawings_are_trained_and_come_out(page):
    box = board_box(page)
    expect(page.locator("#train-drawings")).to_be_disabled()

    def at(across, down):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])

    for upright in (True, False):
        for offset in (0.4, 0.5, 0.6):
            at(*((offset, 0.2) if upright else (0.2, offset)))
            page.mouse.down()
            at(*((offset, 0.8) if upright else (0.8, offset)))
            page.mouse.up()
        page.click("#add")
    expect(page.locator("#drawings li")).to_have_count(2)
    shapes = pixels(page, "#drawings canvas")
    page.click("#add")
    expect(page.locator("#error")).to_contain_text("The board is empty")
    page.click("#train-drawings")
    expect(page.locator("#model")).to_have_value("2 drawings", timeout=PATIENCE)
    for label in (0, 1):
        ask(page, label)
        correlation = [np.corrcoef(image, shapes[label])[0, 1] for image in pixels(page)]
        assert min(correlation) > 0.6
    page.click("#drawings button >> nth=0")
    expect(page.locator("#drawings li")).to_have_count(1)
    expect(page.locator("#train-drawings")).to_be_disabled()


def test_two_visitors_do_not_disturb_each_other(visit):
    one, other = visit(), visit()
    other.select_option("#model", "ten-digits")
    expect(other.locator("#about")).to_contain_text("60,000")
    other.click("#ask [data-label='7']")
    one.locator("#seed").fill("21")
    other.locator("#temperature").fill("1")
    other.select_option("#count", "4")
    to_the_end(one, lambda: one.keyboard.press("Enter"))
    model = tg.Model.from_pretrained("three-digits")
    known = tg.generate(stream(21, "generation"), model.computer, 16, model.schedule)
    with np.load(io.BytesIO(saved(one, "samples.npz"))) as arrays:
        np.testing.assert_array_equal(arrays["x"], known.x)
        np.testing.assert_allclose(arrays["heat_kT"], known.heat_kT, rtol=1e-4)
    ask(other, 7)
    assert (judged(other) == 7).all()
    for name, start in (("samples.png", b"\x89PNG"), ("film.gif", b"GIF89a")):
        assert saved(one, name).startswith(start)


def heard(socket, kind):
    """The next message of a kind."""
    while True:
        message = socket.recv(timeout=PATIENCE / 1000)
        if isinstance(message, str) and json.loads(message)["kind"] == kind:
            return json.loads(message)


def test_malformed_messages_change_nothing(studio):
    with connect(studio.replace("http", "ws") + "live", max_size=None) as socket:
        heard(socket, "settings")
        socket.send(json.dumps({"do": "pause"}))
        before = heard(socket, "settings")
        assert not before["running"]
        for wrong in ("", "{", "[1]", '{"do": "rm"}', '{"do": "dt", "value": "x"}', b"\x00", '{"do": "dt"}'):
            socket.send(wrong)
            assert heard(socket, "error")["text"]
        socket.send(json.dumps({"do": "hold", "drawing": [1, 2, 3]}))
        assert "784" in heard(socket, "error")["text"]
        assert heard(socket, "settings") == before


def test_pages_of_other_sites_and_strangers_get_nothing(studio):
    with (
        pytest.raises(Exception, match="403"),
        connect(studio.replace("http", "ws") + "live", origin="http://elsewhere.example"),
    ):
        pass
    renamed = urllib.request.Request(studio, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(renamed)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(studio + "save/guessed/model.zip")


def visitors(studio):
    with urllib.request.urlopen(studio + "status") as answer:
        return json.load(answer)["visitors"]


def test_a_closed_tab_frees_its_simulation(visit, studio):
    page = visit()
    there = visitors(studio)
    assert there >= 1
    page.close()
    while visitors(studio) == there:  # the browser tells in its own time
        pass
    assert visitors(studio) == there - 1


def test_every_control_has_a_name_and_is_reached_by_tab(page):
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, select, input, a, canvas')]
        .filter(one => !one.closest('#grid canvas') && one.parentElement.tagName !== 'BUTTON')
        .filter(one => !(one.labels?.length || one.ariaLabel || one.textContent.trim() || one.closest('li')))
        .map(one => one.outerHTML)""")
    assert nameless == []
    marked = "one => one.id || one.name || one.dataset.file || one.ariaLabel || one.textContent"
    controls = "button, select, input, a, canvas[tabindex]"
    wanted = set(
        page.evaluate(f"""() => [...document.querySelectorAll('{controls}')]
        .filter(one => !one.disabled && one.checkVisibility()).map({marked})""")
    )
    reached = set()
    page.evaluate("document.body.focus()")
    for _ in range(len(wanted) + 20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"() => ({marked})(document.activeElement)"))
    assert wanted - reached == set()
    assert page.locator("h1").count() == 1
    assert page.get_attribute("html", "lang") == "en"


def contrast(page, first, second):
    """Contrast of two colours of the page, by the formula of WCAG 2."""

    def luminance(name):
        value = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()")
        channels = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark_on_a_phone(visit, theme):
    page = visit(viewport={"width": 375, "height": 700}, color_scheme=theme, has_touch=True)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for colour in ("--ink", "--muted", "--heat", "--energy", "--work"):
        assert contrast(page, colour, "--raised") > 4.5
    small = page.evaluate("""() => [...document.querySelectorAll('button, select')]
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 24).length""")
    assert small == 0
    other = "dark" if theme == "light" else "light"
    page.select_option("#theme", other)
    assert page.evaluate("document.documentElement.dataset.theme") == other
    page.reload()
    page.wait_for_function("document.body.dataset.ready")
    assert page.evaluate("document.documentElement.dataset.theme") == other


def test_a_lost_connection_is_told(browser):
    with browser_tools.studio() as (address, process):
        page = browser_tools.shown(browser_tools.opened(browser), address)
    assert process.returncode == 0
    expect(page.locator("#error")).to_contain_text("The connection is lost")
    page.context.close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "nowhere is no model folder"),
        (("--host", "203.0.113.7", "--no-open"), "cannot be served"),
        (("--port", "70000"), "70000"),
    ],
)
def test_errors_of_the_command(command, words, expected):
    code, _, err = command("studio", *words)
    assert code == 2
    assert expected in err
