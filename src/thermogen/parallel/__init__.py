"""Many devices and many processes: who takes part, what is shared out, how parts come together.

Every process of a run makes the same calls with the same arguments. What can be shared is dealt out by
number, and its parts are put together in the order of their numbers, so that the results are those of one
process, bit for bit. One process alone pays nothing: no function here then starts, waits for or sends
anything.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
