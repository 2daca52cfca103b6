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
from thermogen.studies.tolerance import FLAWS, default_values, sweep

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
    alone = [sweep(model, name, dt=STEP, **given) for name in FLAWS]
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
    alone = [tolerance_markdown(one["alone"]) for one in (three, ten)]
    overview, tables = zip(*(text.split("\n\n", 1) for text in alone), strict=True)
    words = {
        "three_count": THREE, "ten_count": TEN, "devices": DEVICES, "step": STEP, "fine": FINE,
        "three_step": _step(three), "ten_step": _step(ten), "three_overview": overview[0],
        "ten_overview": overview[1], "three_tables": tables[0], "ten_tables": tables[1],
        "three_together": _together(three), "ten_together": _together(ten),
        "seen": "\n".join(_seen(three["alone"], ten["alone"])),
        "versions": f"thermogen {figures['versions']['thermogen']}, jax {figures['versions']['jax']}",
    }  # fmt: skip
    page = _PAGE
    for name, value in words.items():
        page = page.replace(f"<<{name}>>", f"{value:g}" if isinstance(value, float) else str(value))
    (DOCS / "tolerance.md").write_text(page)


def _step(one: dict[str, Any]) -> str:
    """What the step changes: each figure with its paired interval."""
    named = {"heat_kT": "heat, kT", "work_kT": "work, kT", "frechet": "Fréchet"}
    return "; ".join(
        f"{named.get(name, name)} {with_interval(change, 1 if abs(change['mean']) > 1 else 3)}"
        for name, change in one["change_with_the_step"].items()
    )


def _together(one: dict[str, Any]) -> str:
    """The table of everything at once, without its line of limits."""
    return tolerance_markdown([one["together"]]).split("\n\n", 1)[1]


def _row(sweeps: list[dict[str, Any]], name: str, value: float) -> dict[str, Any]:
    found = next(one for one in sweeps if one["flaw"] == name)
    return next(row for row in found["rows"] if abs(row["value"] - value) < 1e-9)


def _seen(three: list[dict[str, Any]], ten: list[dict[str, Any]]) -> list[str]:
    """What the tables show, in figures of their own."""

    def say(name: str, value: float, figure: str, sweeps: list[dict[str, Any]], times: float = 100) -> str:
        return with_interval(_row(sweeps, name, value)[figure], 1 if times == 100 else 2, times)

    sensed = next(one for one in three if one["flaw"] == "linear_range")
    middle = sensed["rows"][2]
    dead, slow = _row(three, "dead", 0.1), _row(three, "switching_time", 0.1)
    return [
        "- Errors that differ from coupler to coupler average out over the hundreds that drive a unit. At",
        f"  20 % of error {say('coupling_error', 0.2, 'quality_share', three)} % of correlation and",
        f"  {say('coupling_error', 0.2, 'quality_share', ten)} % of accuracy are left; at 20 % of asymmetry",
        f"  {say('asymmetry', 0.2, 'quality_share', three)} % and",
        f"  {say('asymmetry', 0.2, 'quality_share', ten)} %. Finer measures feel them sooner:",
        "  with 20 % of error the Fréchet distance of ten digits is",
        f"  {with_interval(_row(ten, 'coupling_error', 0.2)['beside'], 1)} instead of",
        f"  {with_interval(ten[0]['perfect']['beside'], 1)}, and heat is",
        f"  {say('coupling_error', 0.2, 'heat_ratio', ten)} % of the perfect one's: there an entry of M",
        "  acts on every pair of units, one of B on every pair of its unit.",
        f"- Errors that all couplers share do not average out. A linear range of {middle['value']:g} leaves",
        f"  {with_interval(middle['quality_share'], 1, 100)} % of correlation and",
        f"  {with_interval(middle['heat_ratio'], 1, 100)} % of heat, three digits.",
        "- Correlation alone can hide a collapse. With couplings clipped to 70 % of the largest, samples",
        f"  keep {say('coupling_limit', 0.7, 'quality_share', three)} % of it, but their balance is",
        f"  {say('coupling_limit', 0.7, 'beside', three, 1)},",
        "  where 1 is all prototypes drawn alike and 0 always the same one. With 5 bits correlation is",
        f"  {say('bits', 5, 'quality_share', three)} % of the perfect one's and balance",
        f"  {say('bits', 5, 'beside', three, 1)}: the exact couplings take few different values,",
        "  whose rounding errors add up instead of averaging out.",
        "- Quality and heat part ways. A tenth of dead couplers leaves",
        f"  {with_interval(dead['quality_share'], 1, 100)} % of correlation and",
        f"  {with_interval(dead['heat_ratio'], 1, 100)} % of heat; 4 bits leave",
        f"  {say('bits', 4, 'quality_share', three)} % at {say('bits', 4, 'heat_ratio', three)} % of heat.",
        "- Correlated noise of the same intensity at zero frequency moves a unit less than white noise",
        "  does, for stiffness k by 1 / (1 + k mu tau) in variance. At a correlation time",
        f"  of 0.3 correlation is {say('noise_time', 0.3, 'quality_share', three)} % of the perfect one's.",
        "- Couplings that come on slowly do negative work, since the units follow: with a time of 0.1",
        f"  {with_interval(slow['work_kT'], 0)} kT, three digits. Heat falls with it.",
    ]


_PAGE = r"""# What imperfect devices tolerate

A trained computer is built <<devices>> times with parts that are not as they should be, and draws its
samples from the noise of the perfect one. Each imperfection is a change of the computer or of its dynamics,
and any of them combine: `hardware.imperfect.imperfections.Imperfections` names them with their equations.

    thermogen sweep MODEL --flaw mismatch_J2 --values 0,0.05,0.1
    thermogen sweep MODEL --flaw dead --with bits=6 --with asymmetry=0.02
    python -m benchmarks tolerance        # this page

$$
dx_i = \mu_i F_i\,dt + \sqrt{2\mu_i\,kT_i (1+e)}\,dW_i , \qquad
F_i = -2 J_{2,i} x_i - 4 J_{4,i} x_i^3 + o_i - s(t) \left[ b_i + \sum_j J_{ij}\,\varphi(x_j) \right]
$$

with $\varphi(x) = L \tanh(x/L)$ and $s(t) = 1 - e^{-t/\tau}$. Where $J_{ij} \ne J_{ji}$, or where couplers
saturate, no energy exists. Heat is then force times displacement along the path, in the Stratonovich sense,
in kT at the nominal temperature. Where there is an energy it equals $V(x(0)) - V(x(t_f))$ to rounding
(`hardware.imperfect.run.run_device`). A device without imperfections gives what `generate` gives.

Computed by [`hardware.run_device`](../src/thermogen/hardware/imperfect/run.py#run_device).

## How it was measured

*Three digits*: 784 + 512 units, exact training with a code; it draws no random numbers, so every seed
gives the same computer; <<devices>> devices, <<three_count>> samples each. Quality is the correlation
with the nearest prototype, and *balance* the entropy of how often each prototype is the nearest, 1 if all
are alike.

*Ten digits*: 784 units and 128 modes trained on 2,000 MNIST images a class; <<devices>> devices of one
training, <<ten_count>> samples each. Quality is the accuracy, and *Fréchet* the distance from the held-out
images in the classifier's features.

Intervals are Student-t at 95 % over devices, paired where they are shares of the perfect device. dt =
<<step>>; a device with a unit too fast for that step is run at a tenth of it. What this step does to the
perfect device, dt = <<step>> minus <<fine>>, whose noise differs:

- three digits: <<three_step>>
- ten digits: <<ten_step>>

Limits. In circuits errors of neighbours are alike; here they are independent. Read-out noise is added to
each value read, after averaging. Devices are not trained again around their errors. Numbers in units of $x$
and $E_0$ belong to the units of a computer: $kT = 0.1$ for three digits, $5 \times 10^{-4}$ for ten.

## What is seen

<<seen>>

## Three digits

![Quality, balance and heat of the three-digit computer against each imperfection](images/tolerance-three.png)

The last column is heat where quality falls to 95 %, or at the worst value if it does not.

<<three_overview>>

## Ten digits

![Accuracy, Fréchet distance and heat of the ten-digit computer](images/tolerance-ten.png)

<<ten_overview>>

## Everything at once

Almost everything wrong together, and an error of couplers on top. Three digits:

<<three_together>>
Ten digits:

<<ten_together>>
## Every figure, three digits

<<three_tables>>
## Every figure, ten digits

<<ten_tables>>
<<versions>>.
"""


if __name__ == "__main__":
    main()
