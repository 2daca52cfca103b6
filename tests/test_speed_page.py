import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_convergence_tables_of_the_page_are_those_of_the_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.steps import tables

    kept = json.loads((ROOT / "benchmarks" / "results" / "steps.json").read_text())
    rows = {name: value for name, value in kept.items() if isinstance(value, list)}
    assert list(rows) == ["exact, code", "exact, tile", "published rule", "ten digits"]
    assert tables(rows).strip() in (ROOT / "docs" / "speed.md").read_text()
    sys.modules.pop("benchmarks.steps", None)
