"""Run benchmarks by name: python -m benchmarks [NAME ...] (without a name: all)."""

import sys
from importlib import import_module

NAMES = (
    "bench",
    "speed",
    "steps",
    "physics_table",
    "online_against_batch",
    "image_scale",
    "end_to_end",
    "exact_training",
    "exact_choices",
    "exact_mnist",
    "ten_digits",
    "refinement",
    "low_rank",
    "large",
    "claims",
    "repair",
    "tolerance",
    "circuit",
    "processes",
    "startup",
    "studio",
    "newcomer",
)


def main() -> None:
    """Run the named benchmarks, or all of them."""
    unknown = [name for name in sys.argv[1:] if name not in NAMES]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]!r}: choose among {', '.join(NAMES)}")
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()
        import_module("benchmarks.page").main()


if __name__ == "__main__":
    main()
