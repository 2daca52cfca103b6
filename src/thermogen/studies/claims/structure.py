"""Claims on the fields of hidden units, and on the read-out time, at which there is no equilibrium."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.computer import Computer, Control
from thermogen.couplings import BlockCouplings
from thermogen.langevin import Energy, Snapshots, sample_uncoupled, simulate
from thermogen.quality import prototype_scores
from thermogen.seeds import stream
from thermogen.storage.cache import ResultCache
from thermogen.studies.claims.base import Claim, Figures, Finding, Plan, Run, grade
from thermogen.studies.claims.heat import PAPER
from thermogen.studies.claims.runs import exact, over, published, repeated, rows_of, say, trained
from thermogen.studies.measures import interval
from thermogen.training import train

SHUFFLES = 100
LATER = 8
"""Length of the run, in durations t_f."""
KINDS = ("published", "exact")


# --- 4: fields of the hidden units -----------------------------------------------------------------------


def neighbour_correlation(maps: Float[np.ndarray, "n height width"]) -> Float[np.ndarray, " n"]:
    """Moran's I with the four nearest neighbours: 1 for smooth maps, -1 / (pixels - 1) for random ones.

    I = (pixels / sum_ij w_ij) sum_ij w_ij z_i z_j / sum_i z_i^2,   z = map - its mean
    """
    z = maps - maps.mean((1, 2), keepdims=True)
    _, height, width = maps.shape
    products = (z[:, 1:] * z[:, :-1]).sum((1, 2)) + (z[:, :, 1:] * z[:, :, :-1]).sum((1, 2))
    pairs = (height - 1) * width + height * (width - 1)
    return products / pairs * height * width / (z**2).sum((1, 2))


def extent(maps: Float[np.ndarray, "n height width"]) -> Float[np.ndarray, " n"]:
    """Radius of gyration of the squared map, in pixels: small where it is concentrated."""
    weight = maps**2 / (maps**2).sum((1, 2), keepdims=True)
    square = 0.0
    for place in np.indices(maps.shape[1:]):
        middle = (weight * place).sum((1, 2), keepdims=True)
        square = square + (weight * (place - middle) ** 2).sum((1, 2))
    return np.sqrt(square)


def field_measures(
    maps: Float[np.ndarray, "n height width"], prototypes: Float[np.ndarray, "P pixels"], seed: int
) -> Figures:
    """How smooth, concentrated and digit-like fields are, against the same fields with shuffled pixels.

    smooth, concentrated, digit_like: shares of fields beyond all of `SHUFFLES` shuffled ones. Random fields
    have a share of 1 %. correlation: the largest size of a correlation with a prototype.
    """
    rng = np.random.default_rng(seed)
    flat = maps.reshape(len(maps), -1)

    def measured(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shaped = values.reshape(maps.shape)
        correlation = np.abs(prototype_scores(values, prototypes).correlation).max(1)
        return neighbour_correlation(shaped), extent(shaped), correlation

    smooth, wide, alike = measured(flat)
    shuffled = [measured(rng.permuted(flat, axis=1)) for _ in range(SHUFFLES)]
    null_smooth, null_wide, null_alike = (np.stack(values) for values in zip(*shuffled, strict=True))
    return {
        "smooth": float(np.mean(smooth > null_smooth.max(0))),
        "concentrated": float(np.mean(wide < null_wide.min(0))),
        "digit_like": float(np.mean(alike > null_alike.max(0))),
        "neighbour_correlation": float(np.median(smooth)),
        "extent": float(np.median(wide)),
        "extent_shuffled": float(np.median(null_wide)),
        "correlation": float(np.median(alike)),
        "correlation_shuffled": float(np.median(null_alike)),
    }


def _fields_run(plan: Plan, seed: int) -> Run:
    settings = published(plan, seed)

    def work(cache: ResultCache) -> Figures:
        experiment, computer = trained(cache, settings)
        shape, prototypes = experiment.images.shape, experiment.images.standardised()
        blind = experiment.fields.at[:, experiment.computer.units.slice("hidden")].set(0)
        null = train(
            stream(settings.seed, "training"),
            experiment.computer,
            blind,
            experiment.schedule,
            experiment.rule,
            cycles=settings.cycles,
            validation_paths=0,
        ).computer

        def measured(control: Control) -> Figures:
            assert isinstance(control, Computer)
            assert isinstance(control.couplings, BlockCouplings)
            maps = np.asarray(control.couplings.blocks["visible-hidden"], float).T.reshape(-1, *shape)
            return {**field_measures(maps, prototypes, seed), "rms": float(np.sqrt((maps**2).mean()))}

        ink = float(np.median(extent(prototypes.reshape(-1, *shape))))
        return {**measured(computer), "blind": measured(null), "extent_of_digits": ink}

    return Run(f"fields-{seed}", {"cycles": plan.cycles, "dt": plan.dt, "shuffles": SHUFFLES}, work)


def _fields(plan: Plan, results: dict[str, Figures]) -> Finding:
    rows = rows_of(results, repeated(plan, _fields_run))
    blind = [row["blind"] for row in rows]
    percent = {key: over(rows, key, 100) for key in ("smooth", "concentrated", "digit_like")}
    sizes = {key: over(rows, key) for key in ("extent", "extent_shuffled", "extent_of_digits", "rms")}
    correlation = over(rows, "correlation")
    noise = {key: over(blind, key, 100) for key in percent}
    noise |= {key: over(blind, key) for key in ("correlation", "rms")}
    shown = percent["concentrated"]["low"] > 90 and percent["digit_like"]["low"] > 90
    return Finding(
        grade(shown and noise["digit_like"]["high"] < 10, shown),
        f"of the hidden units {say(percent['digit_like'], 3)} % are digit-like, "
        f"{say(percent['concentrated'], 3)} % localised; without hidden fields in training "
        f"{say(noise['digit_like'], 3)} % and {say(noise['concentrated'], 3)} %",
        {**percent, **sizes, "correlation": correlation, "learnt_nothing": noise},
        f"A field counts if it exceeds all of {SHUFFLES} shuffles of its own pixels. The fields are about as "
        f"wide as the digits ({sizes['extent']['mean']:.1f} pixels, digits "
        f"{sizes['extent_of_digits']['mean']:.1f}, shuffled {sizes['extent_shuffled']['mean']:.1f}). They "
        "cover the digits, not strokes of them. A computer trained without fields on its hidden units has "
        "such fields too, from the noise of its residuals times visible units that carry the image. They are "
        f"weaker (rms {noise['rms']['mean']:.2g} against {sizes['rms']['mean']:.2g} E0, correlation "
        f"{noise['correlation']['mean']:.2f} against {correlation['mean']:.2f}). Digit-like fields alone "
        "therefore do not show that training worked.",
    )


# --- 7: a read-out time ----------------------------------------------------------------------------------


def _time_run(plan: Plan, seed: int, kind: str) -> Run:
    settings = published(plan, seed) if kind == "published" else exact(plan, seed)

    def work(cache: ResultCache) -> Figures:
        experiment, computer = trained(cache, settings)
        schedule = experiment.schedule
        start_key, path_key = jax.random.split(stream(settings.seed, "generation"))
        numbers = jnp.arange(plan.samples)
        every = schedule.steps // 4
        records = simulate(
            path_key,
            computer,
            sample_uncoupled(start_key, computer.uncoupled(), numbers),
            steps=LATER * 4 * every,
            dt=schedule.dt,
            observers={"x": Snapshots(), "energy": Energy()},
            every=every,
            samples=numbers,
        ).records
        energy = np.asarray(records["energy"], float) / float(computer.kT)
        visible = np.asarray(records["x"])[..., computer.units.slice("visible")]
        prototypes = experiment.images.standardised()
        correlation = [float(prototype_scores(x, prototypes).best.mean()) for x in visible]
        drift = energy[4] - energy[-1]  # at t_f, and at the end
        return {
            "times": [0.25 * number for number in range(len(energy))],
            "correlation": correlation,
            "heat_after_kT": float(drift.mean()),
            "heat_after_sem": float(drift.std(ddof=1) / len(drift) ** 0.5),
            "heat_before_kT": float((energy[0] - energy[4]).mean()),
        }

    sizes = {"samples": plan.samples, "cycles": settings.cycles, "later": LATER}
    return Run(f"time-{kind}-{seed}", {"kind": kind, "dt": plan.dt, **sizes}, work)


def _time(plan: Plan, results: dict[str, Figures]) -> Finding:
    figures, sentences, verdicts = {}, [], []
    for kind in KINDS:
        rows = rows_of(results, repeated(plan, _time_run, kind))
        after = over(rows, "heat_after_kT")
        curves = np.array([row["correlation"] for row in rows])
        figures[kind] = {
            "heat_before_kT": over(rows, "heat_before_kT"),
            "heat_after_kT": after,
            "correlation_lost_after": interval(curves[:, 4] - curves[:, -1]),
            "correlation_in_time": curves.mean(0).tolist(),
            "times": rows[0]["times"],
        }
        away = after["low"] > 0 or after["high"] < 0
        verdicts.append(away and curves[:, 4].min() > curves[:, 0].max())
        sentences.append(
            f"{kind}: correlation {curves[:, 4].mean():.2f} at t_f (noise {curves[:, 0].mean():.2f}), "
            f"{say(after, 3)} kT released after t_f"
        )
    return Finding(
        grade(all(verdicts), any(verdicts)),
        "; ".join(sentences),
        figures,
        "The images are complete at t_f while the energy still falls. The figures give the heat released up "
        f"to t_f and over the next {LATER - 1} t_f. The computer is therefore not in equilibrium at the "
        "read-out time t_f. The figures also give the change of the images after t_f (correlation in time).",
    )


CLAIMS = (
    Claim(4, "Hidden units have localised, digit-like fields", "shown as figures", PAPER,
          lambda plan: repeated(plan, _fields_run), _fields),
    Claim(7, "Computation at a read-out time, without equilibration", "t_f = 2.5", PAPER,
          lambda plan: [run for kind in KINDS for run in repeated(plan, _time_run, kind)], _time),
)  # fmt: skip
