"""Many devices and many processes: the processes of a run, shared work, and exchanged contributions.

Every process of a run makes the same calls with the same arguments. Shared work is distributed by number. The
contributions are combined in the order of their numbers, so that the results are those of one process, bit
for bit. With one process no function here starts, waits for or sends anything.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
