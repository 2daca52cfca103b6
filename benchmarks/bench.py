"""Run `thermogen bench` at three batch sizes and add it to the history of this machine: docs/speed.md."""

from pathlib import Path

from benchmarks.common import keep
from thermogen.studies.speed import SpeedSettings, bench
from thermogen.studies.speed.run import changes, earlier
from thermogen.studies.speed.run import keep as keep_in_history

HISTORY = Path(__file__).parent / "history.jsonl"


def main() -> None:
    """Measure and print the changes."""
    found = {}
    for batch, samples in ((250, 2000), (256, 0), (1000, 0)):
        one = bench(SpeedSettings(batch=batch, samples=samples))
        found[f"batch {batch}"] = one
        old = earlier(HISTORY, one)
        keep_in_history(HISTORY, one)
        for name, row in one["steps"].items():
            print(f"batch {batch}, {name}: {row}", flush=True)
        if old is not None:
            print(f"against {old['when']}: {changes(old, one)}", flush=True)
    keep("bench", found)


if __name__ == "__main__":
    main()
