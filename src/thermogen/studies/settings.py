"""Settings of a training run, checked before any work. The import does not load JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from thermogen.errors import InputError, require
from thermogen.studies.options import (
    COMPUTER,
    DATA,
    DT,
    EXACT,
    RIDGE,
    RUN,
    SEED,
    TRAINING,
    Option,
    check_bounds,
)

EXACT_DEFAULTS: dict[str, Any] = {
    "imprint": "code",
    "train_visible_biases": True,
    "amplitude": 2.5,
    "hidden_amplitude": 5.0,
    "ramp_fraction": 0.4,
    "readout": 0.4,
}
UNLABELLED_DEFAULTS: dict[str, Any] = {"train_visible_biases": False, "amplitude": 1.75}
"""Settings of the exact trainer, and their differences for imprints that do not use the label.

docs/exact-training.md measures the effect of each setting.
"""


@dataclass(frozen=True)
class Settings:
    """Settings of a training run. Defaults are the published setting (PRL 136, 037101); see also `of`.

    Energies in E0, times in 1 / (mobility E0). topology: see `wiring`. segments, per_class, ridge and
    compress are for the exact trainer alone.
    """

    # fmt: off
    digits: Annotated[tuple[int, ...], Option(
        "Classes to learn, one image of each, e.g. 0,1,2.", DATA)] = (0, 1, 2)
    images: str | None = None
    imprint: Annotated[str, Option(
        "Field on the hidden units while an image is noised: 'tile' (its pixels, as published), "
        "'projection' (random mixtures of its pixels), 'code' (a pattern of signs for its class) or "
        "'groups' (a group of units for its class).", DATA,
        default="code for exact training, else tile")] = "tile"
    trainer: Annotated[str, Option(
        "'exact' (the optimum over all thermal noise, without trajectories), or a rule that applies the "
        "gradient of sampled trajectories: 'batch' (after each trajectory), 'online' (at each step), "
        "'delayed' (every --delay steps).", TRAINING)] = "batch"
    cycles: Annotated[int, Option("Number of training cycles.", TRAINING, least=0)] = 100
    delay: Annotated[int, Option("Steps between updates of the delayed rule.", TRAINING)] = 10
    trajectories: Annotated[int, Option("Noising trajectories averaged per cycle.", TRAINING)] = 1
    optimizer: Annotated[str, Option(
        "'sgd' (plain gradient descent, as published), 'momentum', 'adam' or 'rmsprop'.", TRAINING)] = "sgd"
    learning_rate: Annotated[float | None, Option(
        "Learning rate.", TRAINING, default="1e-3 / t_f = 4e-4, as published")] = None
    train_visible_biases: Annotated[bool, Option(
        "Train the biases of visible units too.", TRAINING,
        flag="--train-visible-biases/--hidden-biases-only",
        default="yes for exact training with the code or groups imprint, else no")] = False
    segments: Annotated[int, Option(
        "Segments of the generation time, each with its own couplings.", EXACT, least=1)] = 1
    per_class: Annotated[bool, Option(
        "Train separate couplings for every class, to generate each class on demand.", EXACT)] = False
    ridge: Annotated[float, RIDGE] = 0.0
    compress: Annotated[float | None, Option(
        "Replace the couplings by low-rank ones with this relative force error, e.g. 1e-3.", EXACT)] = None
    hidden: Annotated[int, Option("Number of hidden units.", COMPUTER, least=0)] = 512
    output: Annotated[int, Option(
        "Number of output units. A code of the label acts on them, and they couple to the hidden units.",
        COMPUTER, least=0)] = 0
    topology: Annotated[str, Option(
        "Which units couple: 'published' (visible-hidden and hidden-hidden), 'all', 'planes' (nearest "
        "neighbours) or 'planes:RADIUS', 'scattered:NEIGHBOURS' (near and far), 'low-rank:R' (as "
        "published, through R nodes a link), 'modes:R' (all, through R nodes), links such as "
        "'visible-hidden,visible-visible', a .npy file with an (N, N) mask, or an .npz file with 'pairs' "
        "(edges, 2) or of scipy.sparse.", COMPUTER)] = "published"
    couplings: Annotated[str | None, Option(
        "A .npy file with the symmetric (N, N) matrix to start from.", COMPUTER,
        default="no couplings")] = None
    amplitude: Annotated[float, Option(
        "Field per unit of image contrast, in E0.", DATA,
        default="2, as published; exact training 2.5 with a code, 1.75 without")] = 2.0
    hidden_amplitude: Annotated[float, Option(
        "Field A' of the 'code' and 'groups' imprints, in E0.", DATA, default="6; exact training 5")] = 6.0
    kT: Annotated[float, Option("Thermal energy in E0.", COMPUTER, flag="--kT")] = 0.1
    t_f: Annotated[float, Option("Duration t_f of noising and of generation.", RUN)] = 2.5
    dt: Annotated[float, DT] = 1e-3
    ramp_fraction: Annotated[float, Option(
        "Fraction of t_f in which the field is ramped to 0.", DATA,
        default="0.75, as published; exact training 0.4")] = 0.75
    readout: Annotated[float, Option(
        "Time over which the visible units are averaged for read-out.", COMPUTER,
        default="0, as published; exact training 0.4")] = 0.0
    seed: Annotated[int, SEED] = 0
    # fmt: on

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        from thermogen.noising import IMPRINTS

        check_bounds(self)
        require(
            self.compress is None or 0 < self.compress < 1,
            f"compress = {self.compress}: give a number between 0 and 1, e.g. 1e-3",
        )
        for name in ("segments", "per_class", "ridge", "compress"):
            value = getattr(self, name)
            require(
                self.trainer == "exact" or value == type(self).__dataclass_fields__[name].default,
                f"{name} = {value} needs the exact trainer: leave it out, or use --trainer exact",
            )
        require(
            self.trainer != "exact" or self.couplings is None,
            f"couplings = {self.couplings}: the exact trainer solves and starts from none; leave them out or "
            "use --trainer batch",
        )
        if self.imprint not in IMPRINTS:
            raise InputError(f"unknown imprint {self.imprint!r}: choose one of {', '.join(IMPRINTS)}")
        for name in ("amplitude", "hidden_amplitude"):
            value = getattr(self, name)
            require(math.isfinite(value), f"{name} = {value}: give a finite field in E0")
        require(
            self.kT > 0 and math.isfinite(self.kT), f"kT = {self.kT}: give a positive number (reference: 0.1)"
        )

    @classmethod
    def of(cls, trainer: str, **given: Any) -> Settings:
        """Settings with the defaults that suit a trainer where `given` has None or nothing.

        'exact': a code for the label on the hidden units with trained visible biases (`EXACT_DEFAULTS`), or
        `UNLABELLED_DEFAULTS` with other imprints. The rest: the published setting.
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        defaults = {}
        if trainer == "exact":
            labelled = chosen.get("imprint", "code") in ("code", "groups")
            defaults = EXACT_DEFAULTS | ({} if labelled else UNLABELLED_DEFAULTS)
        return cls(trainer=trainer, **(defaults | chosen))
