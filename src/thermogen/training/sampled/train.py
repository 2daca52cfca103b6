"""The training loop: cycles with progress, a fixed-path validation loss, and resumable checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.storage.checkpoint import check_identity, load_checkpoint, save_checkpoint
from thermogen.training.path_loss import VALIDATION_PATHS, check_step, path_loss
from thermogen.training.result import TrainingResult
from thermogen.training.sampled.rules import Rule, run_cycle, start_optimizer


class Progress(NamedTuple):
    """Handed to the progress callback after each cycle."""

    done: int
    total: int
    loss: float


def train(
    key: Key[Array, ""],
    computer: Computer,
    fields: Float[Array, "P N"],
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    *,
    cycles: int = 100,
    validation_paths: int = VALIDATION_PATHS,
    validate_every: int = 10,
    checkpoint: Path | None = None,
    settings: dict[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train couplings and biases so that the reversed noising paths are most probable.

    Descends the reverse Onsager–Machlup action of noising trajectories of the images with `fields` (P, N)
    (see `thermogen.noising.fields`), from the parameters of `computer`.

        schedule, rule      of noising, and how the parameters follow the gradient
        cycles              number of updates of the batch rule
        validation_paths, validate_every
                            number of fixed noising paths for the loss, and cycles between two losses
        checkpoint          a file for the state, written between cycles at most once a second and on Ctrl-C;
                            if it exists, training resumes from it, bit-identical to an uninterrupted run
        settings            stored in the checkpoint
        progress            is called after each cycle

    Raises InputError if a checkpoint has other settings or the learning rate is too large, DivergenceError if
    dt is too large for the noising process.

    Source: Whitelam, PRL 136, 037101 (2026) (batch); Wang & Deng, arXiv:2609.15439 (online, delayed).
    Cost: per cycle about 4 coupled-block products per step; 0.1 s for 1,296 units on two cores.
    """
    schedule = schedule or Schedule()
    rule = rule or Rule()
    total = computer.units.total
    require(cycles >= 0, f"cycles = {cycles}: give 0 or more")
    if fields.ndim != 2 or fields.shape[1] != total:
        raise InputError(f"fields have shape {fields.shape} for {total} units: give (images, {total})")
    require(bool(jnp.isfinite(fields).all()), "fields hold NaN or infinite values: check the images")
    fields = fields.astype(computer.bias.dtype)
    identity = {
        "settings": settings or {},
        "rule": asdict(rule),
        "schedule": asdict(schedule),
        "cycles": cycles,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }
    identity = json.loads(json.dumps(identity))  # as a checkpoint returns it: tuples become lists
    run_key, validation_key = jax.random.split(key)
    paths = jnp.arange(validation_paths)
    state = (computer, start_optimizer(rule, computer, schedule))
    losses: list[float] = []
    records: list[list[float]] = []
    done = 0

    def diverged(what: str) -> InputError:
        rate = rule.rate_in(schedule)
        return InputError(f"training diverged by cycle {done}: {what}; give a learning rate below {rate:g}")

    def validate() -> None:
        values = np.asarray(path_loss(validation_key, state[0], fields, schedule, paths), float)
        if not base:
            base.append(values)
        if not np.isfinite(values).all():
            check_step(validation_key, computer, fields, schedule, paths)
            raise diverged("the loss on fixed paths is no longer a number")
        difference = values - base[0]
        error = difference.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        records.append([done, float(values.mean()), float(error)])
        if not values.mean() < 1.5 * base[0].mean():
            means = f"{base[0].mean():.4g} to {values.mean():.4g}"
            raise diverged(f"the loss on fixed paths went from {means}")

    def save() -> None:
        # `last` is bound in one statement, so an interruption never shows half a cycle.
        if checkpoint is not None and last is not None:
            parameters, cycle, count = last
            log = {"done": cycle, "loss": losses[:cycle], "validation": records[:count]}
            log["base"] = [values.tolist() for values in base]
            save_checkpoint(checkpoint, _arrays(parameters), {"identity": identity, **log})

    last: tuple[Any, int, int] | None = None
    base: list[np.ndarray] = []
    if checkpoint is not None and checkpoint.exists():
        arrays, header = load_checkpoint(checkpoint, _arrays(state))
        check_identity(checkpoint, header["identity"], identity)
        state = eqx.combine(arrays, state)
        done, losses, records = header["done"], header["loss"], header["validation"]
        base.extend(np.asarray(values) for values in header["base"])

    started = time.perf_counter()
    if not records and validation_paths:
        validate()
    saved = time.perf_counter()
    try:
        while done < cycles:
            result = run_cycle(run_key, *state, fields, schedule, rule, jnp.asarray(done))
            loss = float(result.loss)
            if done == 0 or not math.isfinite(loss):
                samples = done * rule.trajectories + jnp.arange(rule.trajectories)
                check_step(run_key, computer, fields, schedule, samples, result.final)
            if not math.isfinite(loss):
                raise diverged("the loss is no longer a number")
            state = (result.computer, result.optimizer_state)
            losses.append(loss)
            done += 1
            if validation_paths and (done % validate_every == 0 or done == cycles):
                validate()
            last = (state, done, len(records))
            if time.perf_counter() - saved > 1:
                save()
                saved = time.perf_counter()
            if progress is not None:
                progress(Progress(done, cycles, loss))
    except InputError:
        if checkpoint is not None:  # do not resume a training that diverged
            checkpoint.unlink(missing_ok=True)
        raise
    except KeyboardInterrupt:
        save()
        raise
    save()
    return TrainingResult(
        state[0], np.array(losses), np.array(records).reshape(-1, 3), time.perf_counter() - started
    )


def _arrays(state):
    return eqx.filter(state, eqx.is_array)  # integers too: optimisers count their steps
