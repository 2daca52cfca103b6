from .devices import spread, stacked
from .exchange import Contribution, agree, first, from_first, gather
from .group import alone, is_first, process_count, process_index
from .joining import join_processes, leave
from .sharing import deal, jobs

__all__ = [
    "Contribution",
    "agree",
    "alone",
    "deal",
    "first",
    "from_first",
    "gather",
    "is_first",
    "jobs",
    "join_processes",
    "leave",
    "process_count",
    "process_index",
    "spread",
    "stacked",
]
