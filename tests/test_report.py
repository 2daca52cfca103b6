import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from thermogen.computer import EnergyParts, make_computer
from thermogen.couplings import Units, all_to_all
from thermogen.generation import Samples
from thermogen.noising import Schedule
from thermogen.report import figures, films
from thermogen.report.page import EQUATIONS, write_report
from thermogen.report.record import RunRecord
from thermogen.report.theme import DARK, LIGHT
from thermogen.report.wording import number, percentage, setting, with_error
from thermogen.studies.measures import PUBLISHED, loss_measures, sample_measures, summary


def record(prototypes=3, samples=12, cycles=20, shape=(5, 4), frames=6, hidden=7, seed=0):
    """A run that never took place, with numbers of the right shape."""
    rng = np.random.default_rng(seed)
    pixels = shape[0] * shape[1]
    units = Units(visible=pixels, hidden=hidden)
    learnt = rng.normal(size=(prototypes, pixels))
    learnt = (learnt - learnt.mean(1, keepdims=True)) / learnt.std(1, keepdims=True)
    state = rng.normal(size=(samples, units.total)).astype(np.float32)
    state[:, :pixels] += learnt[np.arange(samples) % prototypes]

    def energies():
        return EnergyParts(*rng.normal(100, 5, size=(3, samples)).astype(np.float32))

    start, end = energies(), energies()
    film = rng.normal(size=(frames, min(10, samples), pixels)).astype(np.float32)
    generated = Samples(
        x=state,
        visible=state[:, :pixels],
        switching=np.zeros(samples, np.float32),
        heat=start.total - end.total + 120,
        work=rng.normal(size=samples).astype(np.float32),
        start=start,
        end=end,
        film=film,
        film_times=np.linspace(0, 2.5, frames),
        kT=0.1,
        units=units,
    )
    loss = units.total / 2 + np.geomspace(10, 0.1, cycles) if cycles else np.zeros(0)
    marks = np.arange(0, cycles + 1, 10)
    validation = np.stack([marks, 20 - marks / 10, np.where(marks > 0, 0.3, 0.0)], 1).astype(float)
    if samples == 1:
        validation[:, 2] = np.nan
    labels = list(range(prototypes))
    heat_part, force_part = rng.normal(-200, 50, size=samples), rng.normal(300, 50, size=samples)
    results = {
        "loss": loss_measures(loss, validation, units.total, 6),
        **sample_measures(generated, learnt, labels, make_computer(all_to_all(units)), Schedule()),
        "path_ratio": {
            "total": summary(heat_part + force_part),
            "heat_part": summary(heat_part),
            "force_part": summary(force_part),
            "identity_residual": 2.3e-13,
        },
        "published": PUBLISHED,
        "seconds": {"compile": 3.21, "train": 12.34, "sample": 5.67, "total": 21.22},
        "settings": {
            "digits": labels,
            "images": "<b>mine</b> & yours",
            "dt": 5e-3,
            "t_f": 2.5,
            "cycles": cycles,
        },
        "versions": {"python": "3.11.7", "thermogen": "0.1.0"},
    }
    return RunRecord(
        results=results,
        image_shape=shape,
        labels=labels,
        prototypes=learnt,
        noising_film=rng.normal(size=(frames, prototypes, pixels)).astype(np.float32),
        noising_times=np.linspace(0, 2.5, frames),
        loss=loss,
        validation=validation,
        samples=generated,
        connection_fields=rng.normal(size=(min(hidden, 5), pixels)).astype(np.float32),
    )


class Page(HTMLParser):
    """All tags with their attributes, and the visible text."""

    VOID = frozenset(("meta", "img", "source"))

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def pages_of(folder, run):
    assert write_report(folder, run) == folder / "report.html"
    return (folder / "report.html").read_text(encoding="utf-8")


def size_of(png):
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def test_the_report_is_one_self_contained_page(tmp_path):
    source = pages_of(tmp_path, record())
    page = Page(source)
    assert page.open == []  # every tag is closed, in order
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    # two plates, the film, seven figures and the equations
    assert len(pictures) == 11 + len(EQUATIONS)
    for picture in pictures:
        assert picture["src"].startswith(("data:image/png;base64,", "data:image/gif;base64,"))
        assert picture["alt"].strip()
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "srcset", "href"):
            assert attrs.get(name, "data:").startswith("data:")
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)
    assert "url(" not in source
    assert "@import" not in source
    assert "prefers-color-scheme: dark" in source


def test_the_files_beside_the_page_are_what_it_shows(tmp_path):
    write_report(tmp_path, record())
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [
        f"{name}.png"
        for name in (
            "correlation",
            "fields",
            "films",
            "grid",
            "heat",
            "ledger",
            "loss",
            "nearest",
            "noising",
            "ratio",
        )
    ]
    for path in (tmp_path / "figures").iterdir():
        assert min(size_of(path.read_bytes())) > 50
    assert {path.name for path in tmp_path.iterdir()} == {"figures", "samples.gif", "report.html"}


def test_numbers_of_the_page_are_those_of_the_results(tmp_path):
    run = record(samples=40)
    results = run.results
    source = pages_of(tmp_path, run)
    text = Page(source).text
    figures_shown = [
        results["heat_kT"],
        results["work_kT"],
        results["prototype_correlation"],
        *(results["path_ratio"][name] for name in ("total", "heat_part", "force_part")),
        *(part for when in results["energy_kT"].values() for part in when.values()),
    ]
    for figure in figures_shown:
        mean, sem = (
            float(part.replace(",", "").replace("−", "-"))
            for part in with_error(figure).split("\u00a0±\u00a0")
        )
        assert abs(mean - figure["mean"]) <= 0.06 * figure["sem"]  # rounded to two digits of the error
        assert abs(sem - figure["sem"]) <= 0.06 * figure["sem"]
        assert with_error(figure).replace("\u00a0", " ") in text
    for label, amount in results["prototype_counts"].items():
        assert (
            f'<th scope="row">{label}</th><td>{amount}</td><td>{percentage(amount / 40, 40)}</td>' in source
        )
    for line in results["energy"]["lines"]:
        if not line["counted"] and line["side"] == "thermodynamic":
            continue  # other ways of writing are left to the ledger
        assert line["name"] in text
        assert line["evidence"] in text
    for name in results["energy"]["ratios"]:
        assert name in text
    for value in results["seconds"].values():
        assert f"{value:.2f}" in text
    assert "n = 40" in text
    assert "minimising the loss is not minimising heat" in text


def test_what_users_typed_is_escaped(tmp_path):
    source = pages_of(tmp_path, record())
    assert "<b>mine</b>" not in source
    assert html.escape("<b>mine</b> & yours") in source


@pytest.mark.parametrize(
    "options",
    [
        {"prototypes": 1, "samples": 1, "cycles": 0, "frames": 2},
        {"prototypes": 1, "samples": 3, "cycles": 1},
        {"prototypes": 5, "samples": 2, "shape": (3, 9)},
        {"prototypes": 10, "samples": 120, "cycles": 11, "frames": 26},
        {"prototypes": 14, "samples": 30, "frames": 3},
        {"hidden": 0, "shape": (1, 2), "frames": 2},
        {"shape": (64, 90), "samples": 2, "frames": 2},
    ],
    ids=str,
)
def test_runs_of_every_size_have_a_report(tmp_path, options):
    run = record(**options)
    text = Page(pages_of(tmp_path, run)).text
    assert with_error(run.results["heat_kT"]).replace("\u00a0", " ") in text
    assert (tmp_path / "figures" / "loss.png").exists() == bool(len(run.loss))
    assert (tmp_path / "figures" / "fields.png").exists() == bool(run.connection_fields.any())


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_figures_are_pictures_on_the_paper_of_their_theme(theme):
    run = record()
    drawn = [
        figures.strips(run.noising_film, run.noising_times, (5, 4), ["0", "1", "2"], theme=theme),
        figures.loss_figure(run.loss, run.validation, 13.5, theme=theme),
        figures.loss_figure(np.zeros(0), np.zeros((0, 3)), 13.5, theme=theme),
        figures.heat_figure(run.samples.heat_kT, [("other", 500.0, None)], theme=theme),
        figures.heat_figure(np.full(3, 7.0), [], theme=theme),
        figures.correlation_figure(np.array([[0.5, -0.9]]), theme=theme),
        figures.connection_figure(run.connection_fields, (5, 4), theme=theme),
        figures.connection_figure(np.zeros((1, 20)), (5, 4), theme=theme),
        figures.ratio_figure(run.results["path_ratio"], theme=theme),
    ]
    paper = tuple(int(theme.paper[i : i + 2], 16) for i in (1, 3, 5))
    for content in drawn:
        with Image.open(io.BytesIO(content)) as image:
            assert image.convert("RGB").getpixel((0, image.height - 1)) == paper


def test_a_gif_has_every_frame_of_the_film_and_rests_on_the_last(tmp_path):
    film = np.random.default_rng(0).normal(size=(7, 12, 28 * 28)).astype(np.float32)
    films.write_gif(tmp_path / "film.gif", film, (28, 28), milliseconds=80, pause=1500)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 7
        assert gif.size == (5 * (4 * 28 + 4) + 4, 2 * (4 * 28 + 4) + 4)  # ten films, four times as large
        assert gif.info["loop"] == 0
        durations = []
        for frame in range(7):
            gif.seek(frame)
            durations.append(gif.info["duration"])
    assert durations[1:] == [80] * 5 + [1500]


def test_a_gif_of_one_still_state(tmp_path):
    films.write_gif(tmp_path / "film.gif", np.zeros((1, 1, 6)), (2, 3))
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 1


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (7, 7, 1), (100, 10, 10), (101, 11, 10)])
def test_a_grid_holds_every_image(tmp_path, count, columns, rows):
    images = np.random.default_rng(0).normal(size=(count, 28 * 28))
    films.write_png_grid(tmp_path / "grid.png", images, (28, 28))
    size = size_of((tmp_path / "grid.png").read_bytes())
    assert size == (columns * 116 + 4, rows * 116 + 4)


def test_grey_levels_run_from_the_2nd_to_the_98th_percentile_of_each_image():
    ramp = np.arange(101.0)
    dark, light = films.grey(np.stack([ramp, 5 - 3 * ramp]))
    assert np.flatnonzero(dark == 0).tolist() == [0, 1, 2]
    assert np.flatnonzero(dark == 255).tolist() == [98, 99, 100]
    assert np.array_equal(light, dark[::-1])  # an inverted image is shown inverted
    assert set(films.grey(np.full((1, 4), 3.0)).ravel()) == {128}


def test_a_film_has_one_grey_scale_per_sample():
    film = np.stack([np.linspace(-1, 1, 50), np.linspace(-4, 4, 50)])[:, None]
    levels = films.film_grey(film)
    assert np.ptp(levels[0].astype(int)) < 80
    assert np.ptp(levels[1].astype(int)) == 255


def test_tiles_keep_their_place_and_orientation():
    tiles = np.arange(12, dtype=np.uint8).reshape(2, 6)
    sheet = films.plate(tiles, (2, 3), 1, scale=2, gap=1)
    assert sheet.shape == (2 * 5 + 1, 3 * 2 + 2)
    assert np.array_equal(sheet[1:5:2, 1:7:2], tiles[0].reshape(2, 3))
    assert np.array_equal(sheet[6:10:2, 1:7:2], tiles[1].reshape(2, 3))


@pytest.mark.parametrize("prototypes", [2, 6])
def test_the_nearest_samples_stand_beside_their_prototype(prototypes):
    rng = np.random.default_rng(0)
    learnt = rng.normal(size=(prototypes, 12))
    shape, scale = (4, 3), films.magnification((4, 3))
    content = films.nearest_png(learnt, learnt[::-1], np.eye(prototypes)[::-1], shape)
    with Image.open(io.BytesIO(content)) as image:
        sheet = np.asarray(image)
    tile = films.grey(learnt[:1]).reshape(shape).repeat(scale, 0).repeat(scale, 1)
    height, width = tile.shape
    away = 4 + (15 if prototypes <= 4 else 5) * scale  # set apart: to the right for few, below for many
    for row, column in ((4, 4), (4, width + away) if prototypes <= 4 else (height + away, 4)):
        assert np.array_equal(sheet[row : row + height, column : column + width], tile)


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        ({"mean": 1192.298, "sem": 30.05}, "1,192 ± 30"),
        ({"mean": -0.1157, "sem": 0.3498}, "−0.12 ± 0.35"),
        ({"mean": 0.25685, "sem": 0.043871}, "0.257 ± 0.044"),
        ({"mean": -0.0004, "sem": 0.2}, "0.00 ± 0.20"),
        ({"mean": 41.234, "sem": None}, "41.2"),
        ({"mean": 5.0, "sem": 0.0}, "5 ± 0"),
    ],
)
def test_means_are_rounded_to_their_error(figure, shown):
    assert with_error(figure).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5.24e14, "5.2 × 10<sup>14</sup>"),
        (9.99e-14, "1 × 10<sup>−13</sup>"),
        (2.1e-6, "2.1 × 10<sup>−6</sup>"),
        (1370.0, "1,370"),
        (0.0, "0"),
        (1649.32, "1,649"),
        (None, "—"),
        (float("inf"), "—"),
    ],
)
def test_numbers_keep_their_significant_digits(value, shown):
    assert number(value).replace("\u00a0", " ") == shown


def test_shares_and_settings_as_text():
    assert percentage(0.39, 100).replace("\u00a0", " ") == "39 ± 5 %"
    assert percentage(0.0, 100).replace("\u00a0", " ") == "0 %"
    assert percentage(0.025, 1000).replace("\u00a0", " ") == "2.5 ± 0.5 %"
    assert [setting(v) for v in (None, True, 1e-3, (0, 1), "tile")] == ["—", "yes", "0.001", "0, 1", "tile"]
