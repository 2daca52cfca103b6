"""Numbers of a page: rounded to their standard error, with true minus signs and powers of ten."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

NONE = "—"


def decimals(value: float, error: float) -> int:
    """Digits behind the point that leave two significant digits of the error, or three of the value."""
    scale, digits = (abs(error), 1) if error else (abs(value), 2)
    return max(0, digits - math.floor(math.log10(scale))) if scale else 0


def plain(value: float, places: int) -> str:
    """Fixed places, thousands separated, and a true minus; no minus zero."""
    text = f"{value:,.{places}f}"
    if not any(digit in "123456789" for digit in text):
        text = text.lstrip("-")
    return text.replace("-", "−")


def number(value: float | int | None) -> str:
    """Three significant digits, or all of a whole number; powers of ten for very large and small ones."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    whole = value == int(value)
    if size >= 1e7 or not (whole or 1e-3 <= size < 1e6):
        return power(value)
    return plain(value, 0 if whole else decimals(value, 0.0))


def power(value: float) -> str:
    """Two significant digits times a power of ten, as markup."""
    exponent = math.floor(math.log10(abs(value)))
    mantissa = f"{value / 10.0**exponent:.1f}".removesuffix(".0")
    if mantissa in ("10", "-10"):
        mantissa, exponent = mantissa.replace("10", "1"), exponent + 1
    digits = f"{mantissa}\u00a0×\u00a010<sup>{exponent}</sup>".replace("-", "−")
    return Markup(digits)


def with_error(figure: dict[str, Any]) -> str:
    """Mean ± standard error of the mean; the mean alone where there is no error."""
    mean, sem = figure["mean"], figure.get("sem")
    if sem is None or not math.isfinite(sem):
        return number(mean)
    if sem == 0:
        return number(mean) + "\u00a0±\u00a00"
    places = decimals(mean, sem)
    return f"{plain(mean, places)}\u00a0±\u00a0{plain(sem, places)}"


def spread(figure: dict[str, Any]) -> str:
    """Standard deviation to the places of the mean, or a dash."""
    std, sem = figure.get("std"), figure.get("sem") or 0.0
    return NONE if std is None else plain(std, decimals(std, sem))


def sd_and_n(figure: dict[str, Any]) -> str:
    """Standard deviation, if there is one, and n."""
    deviation = "" if figure.get("std") is None else f"sd\u00a0{spread(figure)}, "
    return f"{deviation}n\u00a0=\u00a0{number(figure['n'])}"


def percentage(fraction: float, n: int) -> str:
    """A fraction of n samples in per cent, with its binomial standard error."""
    error = 100 * math.sqrt(fraction * (1 - fraction) / n)
    places = min(2, decimals(100 * fraction, 10 * error)) if error else 0
    tail = f"\u00a0±\u00a0{plain(error, places)}" if error else ""
    return f"{plain(100 * fraction, places)}{tail}\u00a0%"


def seconds(value: float) -> str:
    """A duration in s, min or h, by its length."""
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def setting(value: Any) -> str:
    """A setting's value: lists without brackets, None as a dash."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value)) or NONE
    return f"{value:g}" if isinstance(value, float) else str(value)


FILTERS = {
    format.__name__: format for format in (number, with_error, spread, sd_and_n, percentage, seconds, setting)
}
