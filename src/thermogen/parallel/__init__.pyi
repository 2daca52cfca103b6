from .devices import spread, stacked
from .exchange import Part, agree, first, from_first, gather
from .group import alone, is_first, process_count, process_index
from .joining import leave, start
from .sharing import deal, jobs

__all__ = [
    "Part",
    "agree",
    "alone",
    "deal",
    "first",
    "from_first",
    "gather",
    "is_first",
    "jobs",
    "leave",
    "process_count",
    "process_index",
    "spread",
    "stacked",
    "start",
]
