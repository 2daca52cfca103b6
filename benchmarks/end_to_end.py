"""Time the main job in a fresh process: wall seconds, peak memory, its own timing."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import keep


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        out = Path(folder) / "run"
        command = [str(Path(sys.executable).with_name("thermogen")), "reproduce", "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - begun
        results = json.loads((out / "results.json").read_text())
    figures = {
        "wall_seconds": wall,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "seconds": results["seconds"],
        "heat_kT": results["heat_kT"],
    }
    print(json.dumps(figures, indent=2))
    keep("end_to_end", figures)


if __name__ == "__main__":
    main()
