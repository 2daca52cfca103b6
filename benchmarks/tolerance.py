"""Tolerance of trained computers to imperfections: each is swept over five devices.

Three digits: the exactly trained computer, which does not depend on the training seed. Ten digits: trained
on 2,000 images a class. Every finished device is stored: an interrupted run continues.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jax

from benchmarks.common import RESULTS, keep
from benchmarks.ten_digits import EACH, MNIST, subset
from thermogen.cli.console import stage
from thermogen.data import load_split
from thermogen.hardware.imperfect.imperfections import Imperfections
from thermogen.quality import load_classifier
from thermogen.report.tolerance import tolerance_figure, tolerance_markdown, with_interval
from thermogen.storage.model import Model
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.evaluation import reference_of
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings
from thermogen.studies.tolerance import SWEPT, default_values, sweep

DEVICES, THREE, TEN = 5, 100, 500
STEP, FINE = 1e-2, 1e-3
DOCS = Path(__file__).parent.parent / "docs"
TOGETHER = Imperfections(
    bits=8, bias_bits=8, asymmetry=0.02, dead=0.01, mismatch_J2=0.05, mismatch_J4=0.05,
    mismatch_mobility=0.05, temperature_gradient=0.1, excess_noise=0.2, noise_time=0.01,
    readout_time=0.01, switching_time=0.01,
)  # fmt: skip
"""A device with almost everything wrong at once; offset, linear range and read-out noise follow the units."""


def three_digits(place: Path) -> Model:
    """The exactly trained computer, kept. Its training draws nothing: every seed gives this one."""
    if not place.exists():
        experiment = prepare(Settings.of("exact", dt=FINE))
        experiment.model(experiment.train()).save_pretrained(place)
    return Model.from_pretrained(place)


def together(control: Any) -> Imperfections:
    """Everything wrong at once, for a computer."""
    middle = {name: default_values(name, control) for name in ("offset", "linear_range", "readout_noise")}
    base = Imperfections.named("offset", middle["offset"][0], TOGETHER)
    base = Imperfections.named("linear_range", middle["linear_range"][-1], base)
    return Imperfections.named("readout_noise", middle["readout_noise"][0], base)


def measured(model: Model, count: int, reference: Any, folder: Path) -> dict[str, Any]:
    """The step, every imperfection alone, and all of them together."""
    given = {"devices": DEVICES, "count": count, "reference": reference, "folder": folder, "stage": stage}
    steps = {f"{dt:g}": sweep(model, "bits", (8,), dt=dt, **given)["perfect"] for dt in (STEP, FINE)}
    change = {
        name: interval(
            [a[name] - b[name] for a, b in zip(*(one["runs"] for one in steps.values()), strict=True)]
        )
        for name in steps[f"{STEP:g}"]["runs"][0]
    }
    alone = [sweep(model, name, dt=STEP, **given) for name in SWEPT]
    all_of_it = sweep(
        model, "coupling_error", (0.02, 0.05, 0.1), dt=STEP, base=together(model.computer), **given
    )
    return {"steps": steps, "change_with_the_step": change, "alone": alone, "together": all_of_it}


def main(images: str = MNIST, folder: str = "runs/tolerance") -> None:
    """Measure, keep, and write docs/tolerance.md with its figures."""
    begun, place = time.perf_counter(), Path(folder)
    three = measured(three_digits(place / "three"), THREE, None, place / "devices")
    jax.clear_caches()
    split = load_split(images)
    settings = ConditionalSettings()
    small = subset(split.training, EACH)
    model = conditional_model(small, settings, train_conditional(small, settings, stage))
    ten = measured(model, TEN, reference_of(split, load_classifier()), place / "devices")
    keep("tolerance", _brief({"three": three, "ten": ten, "seconds": time.perf_counter() - begun}))
    write_page(json.loads((RESULTS / "tolerance.json").read_text()))


def _brief(figures: Any) -> Any:
    """Intervals without the figures of every device behind them, to six digits."""
    if isinstance(figures, dict):
        return {name: _brief(one) for name, one in figures.items() if name != "runs"}
    if isinstance(figures, list):
        return [_brief(one) for one in figures]
    return float(f"{figures:.6g}") if isinstance(figures, float) else figures


def write_page(figures: dict[str, Any]) -> None:
    """docs/tolerance.md and its pictures from the kept figures."""
    three, ten = figures["three"], figures["ten"]
    for name in ("three", "ten"):
        (DOCS / "images" / f"tolerance-{name}.png").write_bytes(tolerance_figure(figures[name]["alone"]))
    words = {
        "three_count": THREE, "ten_count": TEN, "devices": DEVICES, "step": STEP, "fine": FINE,
        "steps": "\n".join(_step("three digits", three) + _step("ten digits", ten)),
        "three_overview": tolerance_markdown(three["alone"]).split("\n\n", 1)[0],
        "ten_overview": tolerance_markdown(ten["alone"]).split("\n\n", 1)[0],
        "three_together": _together(three), "ten_together": _together(ten),
        "conclusions": "\n".join(_conclusions(three["alone"], ten["alone"])),
        "versions": f"thermogen {figures['versions']['thermogen']}, jax {figures['versions']['jax']}",
    }  # fmt: skip
    page = _PAGE
    for name, value in words.items():
        page = page.replace(f"<<{name}>>", f"{value:g}" if isinstance(value, float) else str(value))
    (DOCS / "tolerance.md").write_text(page)


def _step(computer: str, figures: dict[str, Any]) -> list[str]:
    """What the step changes: a row for each figure, with its paired interval."""
    named = {"heat_kT": "heat, kT", "work_kT": "work, kT", "frechet": "Fréchet"}
    rows = []
    for name, change in figures["change_with_the_step"].items():
        digits = 1 if abs(change["mean"]) > 1 else 3
        rows.append(f"| {computer} | {named.get(name, name)} | {with_interval(change, digits)} |")
    return rows


def _together(figures: dict[str, Any]) -> str:
    """The table of everything at once, without its line of limits."""
    return tolerance_markdown([figures["together"]]).split("\n\n", 1)[1]


CONCLUSIONS = (
    ("three", "coupling_error", 0.2), ("ten", "coupling_error", 0.2), ("three", "asymmetry", 0.2),
    ("ten", "asymmetry", 0.2), ("three", "linear_range", 0.44), ("three", "coupling_limit", 0.7),
    ("three", "bits", 5), ("three", "bits", 4), ("three", "dead", 0.1), ("three", "noise_time", 0.3),
    ("three", "switching_time", 0.1),
)  # fmt: skip
"""The rows behind the conclusions of the page."""


def _conclusions(three: list[dict[str, Any]], ten: list[dict[str, Any]]) -> list[str]:
    """A row for each of CONCLUSIONS, and one for each perfect device."""
    rows = [(name, "none", sweeps[0]["perfect"]) for name, sweeps in (("three", three), ("ten", ten))]
    for name, imperfection, value in CONCLUSIONS:
        sweeps = {held["imperfection"]: held for held in (three if name == "three" else ten)}
        row = min(sweeps[imperfection]["rows"], key=lambda row: abs(row["value"] - value))
        rows.append((name, f"`{imperfection}` {row['value']:g}", row))
    return [
        f"| {name} | {imperfection} | {with_interval(row['quality_share'], 1, 100)} "
        f"| {with_interval(row['second'], 3) if name == 'three' else '-'} "
        f"| {with_interval(row['second'], 1) if name == 'ten' else '-'} "
        f"| {with_interval(row['heat_ratio'], 1, 100)} | {with_interval(row['work_kT'], 1)} |"
        for name, imperfection, row in rows
    ]


_PAGE = r"""# Imperfect devices

This page measures image quality and heat against one imperfection at a time, and against many at once. A trained
computer is built <<devices>> times with imperfect elements. Each device generates its samples with the noise of the
perfect device. An imperfection changes the computer or its dynamics.
[`Imperfections`](../src/thermogen/hardware/imperfect/imperfections.py#Imperfections) lists all of them with their
equations, and any of them combine.

    thermogen sweep MODEL --imperfection mismatch_J2 --values 0,0.05,0.1
    thermogen sweep MODEL --imperfection dead --with bits=6 --with asymmetry=0.02
    python -m benchmarks tolerance        # this page

$$
dx_i = \mu_i F_i\,dt + \sqrt{2\mu_i\,kT_i (1+e)}\,dW_i , \qquad
F_i = -2 J_{2,i} x_i - 4 J_{4,i} x_i^3 + o_i - s(t) \left[ b_i + \sum_j J_{ij}\,\varphi(x_j) \right]
$$

Computed by [`hardware.run_device`](../src/thermogen/hardware/imperfect/run.py#run_device).

The couplers saturate as $\varphi(x) = L \tanh(x/L)$ and are switched on as $s(t) = 1 - e^{-t/\tau}$. If $J_{ij} \ne
J_{ji}$, or if couplers saturate, no energy exists. Heat is then force times displacement along the path, in the
Stratonovich sense, in kT at the nominal temperature. If an energy exists, this heat equals $V(x(0)) - V(x(t_f))$ to
rounding. A device without imperfections gives the samples of `generate`.

## Method

| | three digits | ten digits |
|---|---|---|
| computer | 784 + 512 units, $kT = 0.1$ | 784 units and 128 modes, $kT = 5 \times 10^{-4}$ |
| training | exact, imprint `code`; it uses no random numbers, so every seed gives the same computer | one training on 2,000 MNIST images a class |
| devices for each value | <<devices>> | <<devices>> |
| samples of each device | <<three_count>> | <<ten_count>> |
| quality | correlation with the nearest prototype | accuracy of the classifier |
| second measure | balance: the entropy of the frequencies of the nearest prototypes; 1 if they are equal, 0 if one prototype takes all | Fréchet distance from the held-out images in the features of the classifier |

Intervals are Student-t at 95 % over devices. They are paired where a figure is a share of the perfect device. The time
step is <<step>>. A device with a unit too fast for that step runs at a tenth of it. The next table states what the step
changes in the perfect device, dt = <<step>> minus dt = <<fine>>. The noise of the two differs.

| computer | figure | change |
|---|---|---|
<<steps>>

**Limits.** Errors of neighbours are independent here. In circuits they are correlated. Read-out noise is added to each
value after averaging. The devices are not retrained; [repair](exact-training.md) does that. Values in units of $x$ and
$E_0$ belong to the units of one computer.

## Conclusions

- **Independent errors of couplers average out.** Hundreds of couplers drive a unit, so correlation and accuracy
  tolerate errors and asymmetry of 20 %. The Fréchet distance and the heat of ten digits are more sensitive. The reason
  is the mode wiring: an entry of $M$ acts on every pair of units, and an entry of $B$ on every pair of its unit.
- **Common errors do not average out.** An example is the linear range of all couplers.
- **Correlation alone can hide a collapse.** With couplings clipped to 70 % of the largest, correlation stays high while
  almost all samples resemble one prototype. At 5 bits correlation is unchanged but the balance falls. The exact
  couplings take few different values, so their rounding errors add up instead of averaging out.
- **Quality and heat are different.** Dead couplers lower the heat much more than the quality. Four bits raise the heat.
- **Correlated noise moves a unit less than white noise** of the same intensity at zero frequency. For stiffness $k$ the
  variance falls by $1 / (1 + k \mu \tau)$.
- **Slow switching makes the work negative,** since the units follow the couplings. The heat falls with it.

| digits | imperfection | quality, % of perfect | balance | Fréchet | heat, % of perfect | work, kT |
|---|---|---|---|---|---|---|
<<conclusions>>

## Three digits

![Quality, balance and heat of the three-digit computer against each imperfection](images/tolerance-three.png)

The table states the value at which a measure falls to 95 % of that of the perfect device. *To 0.8 and beyond* means that
it stays above up to 0.8, the worst value measured. *Not at 0.9* means that it is lower at 0.9, the best value measured.
The last column is the heat at the limit of quality, or at the worst value if quality does not fall that far.

<<three_overview>>

## Ten digits

![Accuracy, Fréchet distance and heat of the ten-digit computer](images/tolerance-ten.png)

The limit of the Fréchet distance is 1 / 0.95 of that of the perfect device, since smaller is better.

<<ten_overview>>

## All imperfections at once

These devices have almost every imperfection, and an error of couplers in addition. Three digits:

<<three_together>>
Ten digits:

<<ten_together>>
## Raw rows

[`benchmarks/results/tolerance.json`](../benchmarks/results/tolerance.json) holds every row of every sweep: `three.alone`,
`ten.alone` and `together`, each value with mean, interval and number of devices. `thermogen sweep` writes such a table for
any model into `sweep.md`. The figures come from <<versions>>.
"""  # noqa: E501 - rows of tables


if __name__ == "__main__":
    main()
