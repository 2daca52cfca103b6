"""Compare one process on one core with two processes on one core each: samples and statistics."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import keep

DATA = Path(__file__).parents[2] / "shared" / "data" / "mnist.npz"
COUNTS = {"full": 2000, "low rank": 8000, "statistics": 40_000}
"""Samples and images: enough for several seconds of work in each process."""


def work(kind: str, count: int, repeats: int, model: Path) -> dict[str, Any]:
    """Wall and core seconds of each repeat, and checksums of the results, in every process."""
    import jax

    import thermogen as tg
    from thermogen.data import load_images
    from thermogen.parallel import Contribution, gather
    from thermogen.studies.experiment import prepare
    from thermogen.studies.settings import Settings
    from thermogen.training import statistics

    if kind == "statistics":
        experiment = prepare(Settings.of("exact"))
        images = load_images(str(DATA)).standardised()[:count]
        labels = np.arange(count) % 10
        fields = tg.imprint_fields(images, labels, experiment.computer.units.hidden, imprint="code")

        def once(number: int) -> list[np.ndarray]:
            one = statistics(experiment.computer, fields[: count if number else 2000], experiment.schedule)[0]
            return [one.second_moment(), one.cross_moment()]
    else:
        stored = tg.Model.from_pretrained(model)
        schedule = tg.Schedule(
            stored.schedule.t_f, 0.01, stored.schedule.ramp_fraction, stored.schedule.readout
        )

        def once(number: int) -> list[np.ndarray]:
            asked = count if number else 500  # the first compiles, and is not counted
            drawn = tg.generate(jax.random.key(number), stored.computer, asked, schedule)
            return [drawn.x, drawn.heat, drawn.film]

    seconds, cpu, marks = [], [], []
    for number in range(repeats + 1):
        gather("the same start", lambda: Contribution({}))
        begun, spent = time.perf_counter(), time.process_time()
        found = once(number)
        seconds.append(time.perf_counter() - begun)
        used = time.process_time() - spent
        cpu.append(max(part.value for part in gather("seconds", lambda used=used: Contribution({}, used))))
        marks.append(
            hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in found)).hexdigest()
        )
    return {"seconds": seconds[1:], "cpu_seconds": cpu[1:], "marks": marks[1:]}


def measured(kind: str, processes: int, count: int, repeats: int, model: Path) -> dict[str, Any]:
    """Run `work` in several processes, each on a separate core."""
    from thermogen.parallel.launcher import launch_python

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        words = ["-m", "benchmarks.processes", kind, str(count), str(repeats), str(model), str(out)]
        code = launch_python(words, processes, cores=1)
        if code:
            sys.exit(f"benchmark stopped: processes ended with code {code}")
        return json.loads(out.read_text())


def main(repeats: int = 3) -> None:
    """Measure and print."""
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this benchmark compares one core with two: it needs two cores")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, count in COUNTS.items():
            if kind == "statistics" and not DATA.exists():
                print(f"{kind}: left out, no {DATA.name}")
                continue
            model = Path(folder) / kind.replace(" ", "-")
            if kind != "statistics":
                options = ["--compress", "1e-4"] if kind == "low rank" else []
                subprocess.run(
                    [sys.executable, "-m", "thermogen", "train", "--out", str(model), *options], check=True
                )
            runs = {n: measured(kind, n, count, repeats, model) for n in (1, 2)}
            found[kind] = {
                "n": count,
                **{
                    name: {str(n): run[name] for n, run in runs.items()}
                    for name in ("seconds", "cpu_seconds")
                },
                "speed_up": float(np.median(runs[1]["seconds"]) / np.median(runs[2]["seconds"])),
                # Of the busier process: what the clock would say if nothing else ran on the machine.
                "speed_up_cpu": float(np.median(runs[1]["cpu_seconds"]) / np.median(runs[2]["cpu_seconds"])),
                "same_bits": runs[1]["marks"] == runs[2]["marks"],
            }
            print(f"{kind}: {found[kind]}", flush=True)
    keep("processes", {"repeats": repeats, "dt": 0.01, **found})


if __name__ == "__main__":
    from thermogen.parallel import is_first, join_processes, leave, process_count

    join_processes()
    kind, count, repeats, model, out = sys.argv[1:]
    figures = work(kind, int(count), int(repeats), Path(model))
    if is_first():
        Path(out).write_text(json.dumps(figures))
    if process_count() > 1:
        leave(0)
