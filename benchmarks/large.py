"""Large computers: seconds a step and memory against N, and digits of 256 x 256 on 131,072 units.

Every case runs in a separate process, so that its peak memory is measured alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import zoom

from benchmarks.common import RESULTS, best_of, keep
from thermogen.computer import Computer, make_computer
from thermogen.couplings import Couplings, EdgeCouplings, LowRankCouplings, Units, low_rank, planes
from thermogen.data import Images, load_digits
from thermogen.generation import generate
from thermogen.langevin import simulate, stable_dt
from thermogen.noising import Schedule, imprint_fields
from thermogen.quality import prototype_scores
from thermogen.report.films import write_png_grid
from thermogen.studies.experiment import wiring
from thermogen.training import train_exact

SIDES = (22, 71, 224, 362)  # two planes each: 968, 10,082, 100,352 and 262,088 units
BATCH, STEPS = 16, 50
SIDE = 256
DRAWN = {
    "low-rank:3": Schedule(t_f=4.0, dt=1e-2, ramp_fraction=0.25, readout=0.4),
    "planes:1": Schedule(t_f=2.5, dt=1e-2, ramp_fraction=0.4, readout=0.4),
    "planes:3": Schedule(t_f=2.5, dt=1e-2, ramp_fraction=0.4, readout=0.4),
    "scattered:32": Schedule(t_f=3.0, dt=1e-2, ramp_fraction=1 / 3, readout=0.4),
}
SEGMENTS = {"low-rank:3": 8, "scattered:32": 5}
SAMPLES = 32


def enlarged(digits: Images, side: int) -> Images:
    """The digits as smooth images of side x side pixels, by cubic splines."""
    images = np.stack([zoom(one, side / one.shape[0], order=3, mode="nearest") for one in digits.images])
    return Images(images, digits.labels, f"{digits.source}, {side} x {side} by splines", digits.sha256)


def random_values(couplings: Couplings, size: float) -> Couplings:
    """Couplings so weak that the units stay near rest."""
    rng = np.random.default_rng(0)
    values, rest = eqx.partition(couplings, eqx.is_inexact_array)
    return eqx.combine(
        jax.tree.map(lambda leaf: jnp.asarray(size * rng.normal(size=leaf.shape), leaf.dtype), values), rest
    )


def entries(couplings: Couplings) -> int:
    """Multiply-adds of one product J x."""
    if isinstance(couplings, EdgeCouplings):
        return 2 * couplings.count()
    assert isinstance(couplings, LowRankCouplings)
    return 2 * couplings.count() + couplings.units.total


def steps_of(computer: Computer) -> dict[str, float]:
    """Seconds a step of a batch."""
    x = jnp.zeros((BATCH, computer.units.total))
    key = jax.random.key(0)

    def run() -> Any:
        return simulate(key, computer, x, steps=STEPS, dt=1e-3).final

    jax.block_until_ready(run())
    return {name: seconds / STEPS for name, seconds in best_of(run, 5).items()}


def scaling(kind: str, side: int) -> dict[str, Any]:
    """One size of one kind: planes of a radius, low rank, or none (units and noise alone)."""
    units = Units(side * side, side * side)
    made = {
        "planes:1": lambda: random_values(planes(units, side, side), 0.1),
        "planes:3": lambda: random_values(planes(units, side, side, radius=3), 0.02),
        "low-rank:8": lambda: random_values(low_rank(units, 8), units.total**-0.5),
    }
    couplings = made[kind]()
    computer = make_computer(couplings)
    with_couplings, alone = steps_of(computer), steps_of(computer.uncoupled())
    product = with_couplings["median"] - alone["median"]
    return {
        "kind": kind,
        "units": units.total,
        "couplers": couplings.count(),
        "seconds_a_step": with_couplings,
        "seconds_a_step_uncoupled": alone,
        "ns_per_coupler_and_sample": 1e9 * product / BATCH / couplings.count(),
        "ns_per_unit_and_sample": 1e9 * with_couplings["median"] / BATCH / units.total,
        "peak_MB": peak(),
    }


def layouts(kind: str) -> dict[str, Any]:
    """Compare bands, rows of as many random edges, and a plain pass over the state."""
    units = Units(SIDE**2, SIDE**2)
    couplings = planes(units, SIDE, SIDE, radius=float(kind))
    bands = random_values(couplings, 0.1)
    pairs = np.asarray(couplings.pairs)
    # The same number of edges between random units: too many distances for bands.
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.integers(0, units.total, (len(pairs) * 11 // 10, 2)), 1)
    drawn = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    lookup = random_values(
        EdgeCouplings.from_pairs(units, drawn[rng.permutation(len(drawn))[: len(pairs)]]), 0.1
    )
    in_bands, in_rows = eqx.filter_jit(lambda: (bands.prepared(), lookup.prepared()))()
    x = jnp.asarray(rng.normal(size=(BATCH, units.total)), jnp.float32)

    @eqx.filter_jit
    def product(prepared, x):
        return jax.lax.scan(lambda x, _: (x + 1e-3 * prepared.apply(x), None), x, None, length=STEPS)[0]

    @eqx.filter_jit
    def gathered(weights, neighbours, x):
        def step(x, _):
            return x + 1e-3 * jnp.sum(x[..., neighbours] * weights, -1), None

        return jax.lax.scan(step, x, None, length=STEPS // 10)[0]

    @jax.jit
    def copied(x):
        return jax.lax.scan(lambda x, k: (x * 0.999 + k, None), x, jnp.zeros(STEPS))[0]

    seconds = {}
    for name, run in (
        ("bands", lambda: product(in_bands, x)),
        ("look-up of random edges", lambda: product(in_rows, x)),
        ("plain pass", lambda: copied(x)),
    ):
        jax.block_until_ready(run())
        seconds[name] = best_of(run, 5)["min"] / STEPS
    # What was used before: all neighbours of all units gathered at once.
    degree = np.bincount(pairs.reshape(-1), minlength=units.total)
    neighbours = jnp.asarray(rng.integers(0, units.total, (units.total, int(degree.max()))), jnp.int32)
    weights = jnp.full(neighbours.shape, 0.01, jnp.float32)
    jax.block_until_ready(gathered(weights, neighbours, x))
    seconds["one gather of all neighbours"] = best_of(lambda: gathered(weights, neighbours, x), 3)["min"] / (
        STEPS // 10
    )
    state = 2 * 4 * x.size / 1e9
    return {
        "radius": float(kind),
        "couplers": len(pairs),
        "seconds_a_product": seconds,
        "ns_per_coupler_and_sample": {
            name: 1e9 * each / BATCH / len(pairs) for name, each in seconds.items() if name != "plain pass"
        },
        "plain_pass_GB_s": state / seconds["plain pass"],
        "bands_state_GB_s": state / seconds["bands"],
    }


def drawn(topology: str) -> dict[str, Any]:
    """Train on three digits of 256 x 256, generate samples and write them to results/large_NAME.png."""
    digits = enlarged(load_digits([0, 1, 2]), SIDE)
    units = Units(SIDE**2, SIDE**2)
    computer = make_computer(wiring(topology, units, digits.shape))
    prototypes = digits.standardised()
    force = imprint_fields(
        prototypes, digits.labels, units.hidden, imprint="code", amplitude=2.5, hidden_amplitude=5.0
    )
    schedule, segments = DRAWN[topology], SEGMENTS.get(topology, 1)
    trained = train_exact(
        jax.random.key(1), computer, force, schedule, visible_biases=True, segments=segments
    )
    control = trained.computer
    generate(jax.random.key(2), control, BATCH, schedule, batch=BATCH, film_frames=2, film_samples=1)
    begun = time.perf_counter()
    samples = generate(
        jax.random.key(2), control, SAMPLES, schedule, batch=BATCH, film_frames=2, film_samples=1
    )
    seconds = time.perf_counter() - begun
    scores = prototype_scores(samples.visible, prototypes)
    name = topology.replace(":", "_")
    RESULTS.mkdir(exist_ok=True)
    small = samples.visible[:16].reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean((2, 4)).reshape(16, -1)
    write_png_grid(RESULTS / f"large_{name}.png", small, (SIDE // 2, SIDE // 2), columns=8)
    heat = np.asarray(samples.heat_kT, float) / units.total
    first = control if isinstance(control, Computer) else control.computers()[0]
    return {
        "topology": topology,
        "units": units.total,
        "couplers": first.couplings.count(),
        "segments": segments,
        "t_f": schedule.t_f,
        "dt": schedule.dt,
        "stable_dt": stable_dt(first),
        "train_seconds": trained.seconds,
        "exact": trained.exact,
        "loss": trained.validation[:, 1].tolist(),
        "samples": SAMPLES,
        "seconds_a_sample": seconds / SAMPLES,
        "correlation": float(scores.best.mean()),
        "correlation_sem": float(scores.best.std(ddof=1) / SAMPLES**0.5),
        "above_0.7": float((scores.best > 0.7).mean()),
        "counts": scores.counts.tolist(),
        "heat_kT_per_unit": float(heat.mean()),
        "heat_kT_per_unit_sd": float(heat.std(ddof=1)),
        "peak_MB": peak(),
    }


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(*arguments: str) -> dict[str, Any]:
    """Run one case in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.large", *arguments]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    figures = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(figures), flush=True)
    return figures


def main() -> None:
    kinds = ("planes:1", "planes:3", "low-rank:8")
    keep(
        "large",
        {
            "batch": BATCH,
            "layouts": [apart("layouts", radius) for radius in ("1", "3")],
            "scaling": [apart("scaling", kind, str(side)) for kind in kinds for side in SIDES],
            "drawn": [apart("drawn", topology) for topology in DRAWN],
        },
    )


if __name__ == "__main__":
    work, *rest = sys.argv[1:]
    if work == "scaling":
        print(json.dumps(scaling(rest[0], int(rest[1]))))
    else:
        print(json.dumps({"layouts": layouts, "drawn": drawn}[work](rest[0])))
