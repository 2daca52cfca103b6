"""Generative thermodynamic computing: train fluctuating units so that their own heat noise draws pictures.

    import jax
    import thermogen as tg

    digits = tg.load_digits([0, 1, 2])
    computer = tg.make_computer(tg.published_couplings(tg.Units(visible=784, hidden=512)))
    fields = tg.imprint_fields(digits.standardised(), digits.labels, hidden=512)
    trained = tg.train(jax.random.key(1), computer, fields, cycles=100).computer
    samples = tg.generate(jax.random.key(2), trained, count=100)
    print(samples.heat_kT.mean(), samples.visible.shape)

Names are listed in `__init__.pyi` and loaded when first used, so that importing the package costs nothing.
`__version__` is that of the installed package, which pyproject.toml states.
"""

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("thermogen")
    return _load(name)
