import asyncio
import gc
import json
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thermogen as tg
from thermogen.errors import InputError
from thermogen.studio import messages
from thermogen.studio.messages import Command, read
from thermogen.studio.models import Models
from thermogen.studio.session import Session

# --- messages ---------------------------------------------------------------------------------------------

GOOD = (
    {"do": "run"},
    {"do": "restart"},
    {"do": "restart", "seed": 3},
    {"do": "ask", "label": None},
    {"do": "hold", "drawing": [-1, 0, 255]},
    {"do": "train_digits", "digits": [3, 5, 8]},
)
BAD = (
    ("", "is no JSON"),
    ("{", "is no JSON"),
    ("[" * 10_000, "is no JSON"),
    ("[]", "is no object"),
    ('{"do": "fly"}', "unknown command 'fly'"),
    ('{"do": ["run"]}', "unknown command"),
    ('{"do": "run", "now": 1}', "unknown part 'now'"),
    ('{"do": "choose"}', "lacks model"),
    ('{"do": "choose", "model": 4}', "give a name"),
    ('{"do": "temperature", "value": NaN}', "is no JSON"),
    ('{"do": "temperature", "value": -1}', "give a number"),
    ('{"do": "temperature", "value": true}', "give a number"),
    ('{"do": "temperature", "value": 1e999}', "give a number"),
    ('{"do": "samples", "value": 1000000}', "from 1 to 64"),
    ('{"do": "samples", "value": 2.5}', "whole number"),
    ('{"do": "ask", "label": "seven"}', "whole number"),
    ('{"do": "hold", "drawing": [300]}', "from -1 to 255"),
    ('{"do": "hold", "drawing": "ink"}', "list of levels"),
    ('{"do": "train_drawings", "drawings": [[1]]}', "2 to 12 drawings"),
    ('{"do": "train_drawings", "drawings": [[1], [1, 2]]}', "one size"),
    ('{"do": "train_digits", "digits": [1, 1]}', "different digits"),
    ('{"do": "at_end", "value": "burn"}', "choose one of again"),
    ('{"do": "run", "x": "' + "y" * messages.LONGEST + '"}', "characters"),
)


@pytest.mark.parametrize("message", GOOD)
def test_a_good_message_is_a_command(message):
    command = read(json.dumps(message))
    assert command.do == message["do"]
    assert {name: np.asarray(value).tolist() for name, value in command.given.items()} == {
        name: list(value) if isinstance(value, list) else value
        for name, value in message.items()
        if name != "do"
    }


@pytest.mark.parametrize(("message", "words"), BAD)
def test_a_bad_message_is_refused_in_one_line(message, words):
    with pytest.raises(InputError, match=words) as caught:
        read(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_bytes_are_no_message():
    with pytest.raises(InputError, match="send JSON text"):
        read(b"{}")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(messages._COMMANDS)), st.dictionaries(st.text(max_size=6), anything), anything)
def test_whatever_is_said_is_a_command_or_one_error(do, others, value):
    checks = messages._COMMANDS[do]
    text = json.dumps({**others, **dict.fromkeys(checks, value), "do": do})
    try:
        found = read(text)
    except InputError:
        return
    assert set(found.given) <= set(checks)


# --- sessions ---------------------------------------------------------------------------------------------


class Page:
    """A page that only listens: frames are acknowledged as a browser does."""

    def __init__(self, shelf):
        self.told, self.frames = [], 0
        self.session = Session(shelf, self.hear)

    async def hear(self, message):
        if isinstance(message, bytes):
            self.frames += 1
            await self.session.commands.put(Command("seen", {"frame": self.frames}))
        else:
            self.told.append(json.loads(message))

    def last(self, kind):
        return next((one for one in reversed(self.told) if one["kind"] == kind), None)

    async def until(self, ready):
        async with asyncio.timeout(120):
            while not ready():
                await asyncio.sleep(0)


def lived(shelf, first, *steps):
    """A visit: open the page, then do each step; what was told. A step is a command, or a condition."""

    async def visit():
        page = Page(shelf)
        running = asyncio.create_task(page.session.run(first))
        await page.until(lambda: page.frames > 0)
        for one in steps:
            if isinstance(one, Command):
                await page.session.commands.put(one)
            else:
                await page.until(lambda one=one: one(page))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return page

    return asyncio.run(visit())


@pytest.fixture(scope="session")
def small_shelf(small_model, classifier):
    return Models({"two": tg.Model.from_pretrained(small_model)}, classifier)


def test_a_session_runs_to_the_end_and_draws_noise_again(small_shelf):
    page = lived(
        small_shelf, "two", Command("pace", {"value": 50.0}), lambda page: page.last("begun")["run"] == 2
    )
    assert page.last("verdict")["right"] is None  # a classifier of digits says nothing of 3 x 3 pixels
    assert page.last("begun")["seed"] == 1


def test_what_cannot_be_done_is_told_and_changes_nothing(small_shelf):
    before = []
    wrong = [
        Command("choose", {"model": "nowhere"}),
        Command("ask", {"label": 9}),
        Command("hold", {"drawing": np.zeros(4, int)}),
        Command("integrator", {"value": "magic"}),
        Command("dt", {"value": 1e6}),
        Command("select", {"sample": 40, "unit": None}),
        Command("select", {"sample": 0, "unit": 99}),
        Command("example", {"label": 3, "number": 0}),
        Command("train_drawings", {"drawings": np.zeros((2, 5), int)}),
    ]

    def quiet(page):
        found = page.last("settings")
        return found is not None and not found["running"]

    def all_told(page):
        before.append(page)
        return sum(one["kind"] == "error" for one in page.told) == len(wrong)

    page = lived(small_shelf, "two", Command("pause", {}), quiet, *wrong, all_told, lambda page: True)
    known = [one for one in page.told if one["kind"] == "settings" and not one["running"]]
    assert all(one == known[0] for one in known)
    errors = [one["text"] for one in page.told if one["kind"] == "error"]
    assert all("\n" not in text for text in errors)
    assert errors[0] == "unknown model 'nowhere': choose one of two"


def test_every_command_has_its_deed():
    missing = [do for do in messages._COMMANDS if do != "seen" and not hasattr(Session, f"_do_{do}")]
    assert missing == []


def test_nothing_of_a_closed_session_remains(small_shelf):
    page = lived(small_shelf, "two", lambda page: page.frames > 3)
    gone = weakref.ref(page.session._simulation), weakref.ref(page.session)
    del page
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_a_file_asked_of_a_page_that_closes_is_given_up(small_shelf):
    async def visit():
        page = Page(small_shelf)
        running = asyncio.create_task(page.session.run("two"))
        await page.until(lambda: page.frames > 0)
        found = await page.session.file("samples.npz")
        running.cancel()
        waiting = asyncio.create_task(page.session.file("film.gif"))
        await asyncio.gather(running, return_exceptions=True)
        return found, await waiting, await page.session.file("film.gif")

    found, given_up, late = asyncio.run(visit())
    assert found.name == "samples.npz"
    assert given_up is None
    assert late is None


def test_a_training_of_a_closed_session_ends(shelf):
    def going(page):
        return page.last("training") is not None

    page = lived(shelf, "three-digits", Command("train_digits", {"digits": (4, 6)}), going)
    assert not page.session._wanted
    with shelf.training:  # free again
        assert page.session._trained == {}
