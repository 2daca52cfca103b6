"""Work of every kind that processes and devices share, on small computers: a script of test_parallel.py.

python shared_work.py OUT: what it finds goes to OUT.npz, from process 0.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import thermogen as tg
from thermogen.parallel import is_first, join_processes, leave, process_count
from thermogen.storage import share_jobs
from thermogen.training import statistics
from thermogen.training.exact import summation

SCHEDULE = tg.Schedule(t_f=0.4, dt=0.02, readout=0.2)
UNITS = tg.Units(visible=6, hidden=5)


def computer(seed):
    matrix = np.random.default_rng(seed).normal(size=(11, 11)) * 0.5
    couplings = tg.published_couplings(UNITS).with_matrix(jnp.asarray(matrix + matrix.T, jnp.float32))
    return tg.make_computer(couplings, bias=np.linspace(-0.5, 0.5, 11))


def controls():
    """Every kind of control by name."""
    one, other = computer(1), computer(2)
    segments = tg.Segments.from_computers([one, other], 0.4)
    random = np.random.default_rng(3)
    bare = tg.make_computer(tg.couplings.NoCouplings(UNITS), bias=np.zeros(11))
    basis = jnp.asarray(np.linalg.qr(random.normal(size=(11, 3)))[0], jnp.float32)
    mixing = random.normal(size=(4, 2, 3, 3))
    bias = jnp.asarray(random.normal(size=(4, 2, 11)), jnp.float32)
    mixing = jnp.asarray(mixing + mixing.swapaxes(2, 3), jnp.float32)
    drawn = {"weights": jnp.ones(4) / 4, "classes": (0, 0, 1, 1)}
    table = tg.ModeTable(reference=bare, basis=basis, mixing=mixing, bias=bias, duration=0.4, **drawn)
    network = tg.control.ModeNetwork(
        reference=bare,
        basis=basis,
        network=tg.control.ModeNetwork.perceptron(jax.random.key(5), 4, 4, 8, 1),
        mixing=mixing[:, 0],
        bias=bias[:, 0],
        duration=0.4,
        **drawn,
    )
    fields = tg.LabelFields(reference=one, fields=bias[:, 0], **drawn)
    return {
        "computer": one,
        "segments": segments,
        "labels": tg.PerClass.from_controls({0: one, 1: other}),
        "table": table,
        "network": network,
        "fields": fields,
    }


def samples():
    """What generation gives for each of them, for some with a clamp."""
    found = {}
    held = tg.Clamp.visible(UNITS, np.arange(6) < 3, np.random.default_rng(4).normal(size=(23, 6)))
    for name, control in controls().items():
        clamp = held if name in ("segments", "network") else None
        drawn = tg.generate(
            jax.random.key(7), control, 23, SCHEDULE, batch=3, clamp=clamp, film_frames=2, film_samples=5
        )
        for field in ("x", "visible", "heat", "work", "film"):
            found[f"{name} {field}"] = getattr(drawn, field)
    return found


def sums():
    """Statistics of an array and of blocks, and a computer trained on them, in chunks of few images."""
    summation._NUMBERS = 2000  # of 90 images, eight at a time are worth sharing
    rest = computer(1)
    fields = jnp.asarray(np.random.default_rng(6).normal(size=(90, 11)) * 2, jnp.float32)
    blocks = [np.asarray(fields[at : at + 40]) for at in (0, 40, 80)]
    found = {}
    for name, given in (("array", fields), ("blocks", blocks)):
        known = statistics(rest, given, SCHEDULE)[0]
        found |= {f"{name} C": known.second_moment(), f"{name} U": known.cross_moment()}
    trained = tg.train_exact(jax.random.key(8), rest, fields, SCHEDULE)
    found |= {f"trained {i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(trained.computer))}
    found["validation"] = trained.validation
    return found


def jobs():
    """A small sweep over seeds."""

    def heat(one):
        drawn = tg.generate(jax.random.key(one["seed"]), computer(1), 5, SCHEDULE, batch=3, film_frames=2)
        return {"heat": float(drawn.heat.mean()), "alone": process_count()}

    found = share_jobs(heat, [{"seed": seed} for seed in range(5)])
    assert all(one["alone"] == 1 for one in found)
    return {"jobs": np.array([one["heat"] for one in found])}


def main(out):
    join_processes()
    found = samples() | sums() | jobs()
    if is_first():
        np.savez(out, processes=process_count(), devices=jax.local_device_count(), **found)
    if process_count() > 1:
        leave(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
