"""Grey pictures without text: plates of images as PNG, and the film of generation as an animated GIF.

Every plate has light ink on black, on light and dark pages.
"""

from __future__ import annotations

import io
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

PERCENTILES = (2.0, 98.0)
"""Black and white: robust against the thermal noise of single units."""
SHOWN = 10
"""Prototypes, and films, shown at once."""
_TILE = 112  # side of a tile on the screen, in pixels: four times an MNIST digit


def grey(
    values: Float[np.ndarray, "... pixels"], *, together: bool = False
) -> UInt8[np.ndarray, "... pixels"]:
    """States as grey levels 0 to 255: black at the 2nd percentile, white at the 98th.

    values: (..., pixels). The percentiles are those of each image, or `together` those of all `values`.
    A constant image is mid-grey.
    """
    low, high = np.percentile(values, PERCENTILES, axis=None if together else -1, keepdims=not together)
    span = np.where(high > low, high - low, 1)
    level = np.where(high > low, (values - low) / span, 0.5)
    return np.round(255 * np.clip(level, 0, 1)).astype(np.uint8)


def film_grey(film: Float[np.ndarray, "frames m pixels"]) -> UInt8[np.ndarray, "frames m pixels"]:
    """Grey levels of a film (frames, m, pixels): one scale per sample, the same at all times."""
    return np.stack([grey(film[:, i], together=True) for i in range(film.shape[1])], 1)


def magnification(image_shape: tuple[int, int]) -> int:
    """Whole factor by which images are enlarged (nearest neighbour): 4 for 28 x 28 pixels."""
    return max(1, round(_TILE / max(image_shape)))


def plate(
    tiles: UInt8[np.ndarray, "n pixels"],
    image_shape: tuple[int, int],
    columns: int,
    *,
    scale: int = 1,
    gap: int = 4,
    gap_after_first: int | None = None,
) -> UInt8[np.ndarray, "height width"]:
    """Lay tiles (n, pixels) out in rows of `columns` on black, enlarged `scale` times, `gap` pixels apart.

    `gap_after_first` widens the gap behind the first column, for plates that set it apart.
    """
    height, width = (side * scale for side in image_shape)
    wide = gap if gap_after_first is None else gap_after_first
    rows = ceil(len(tiles) / columns)
    extra = wide - gap if columns > 1 else 0
    sheet = np.zeros((gap + rows * (height + gap), gap + columns * (width + gap) + extra), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap) + (extra if column else 0)
        picture = tile.reshape(image_shape).repeat(scale, 0).repeat(scale, 1)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def png(sheet: UInt8[np.ndarray, "height width"]) -> bytes:
    """Grey levels as the bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def grid_png(
    images: Float[np.ndarray, "n pixels"], image_shape: tuple[int, int], columns: int | None = None
) -> bytes:
    """PNG of images (n, pixels) in a grid, each between its own 2nd and 98th percentile.

    columns: ten, or more for more than a hundred images, if None.
    """
    columns = columns or min(len(images), max(10, ceil(len(images) ** 0.5)))
    return png(plate(grey(images), image_shape, columns, scale=magnification(image_shape)))


def nearest_png(
    prototypes: Float[np.ndarray, "P pixels"],
    samples: Float[np.ndarray, "n pixels"],
    correlation: Float[np.ndarray, "n P"],
    image_shape: tuple[int, int],
) -> bytes:
    """PNG of each prototype with the samples nearest to it, best first; about 5 : 2 in size.

    correlation: of samples with prototypes, (n, P). Up to four prototypes have a row each, more a column
    each; at most ten are shown. A sample appears once, with its nearest prototype, so places may stay black.
    """
    nearest, rows = correlation.argmax(1), len(prototypes) <= 4
    prototypes = prototypes[:SHOWN]
    count = len(prototypes)
    places = max(3, round(2.45 * count) - 1) if rows else max(1, round(count / 2.45) - 1)
    lines = []
    for index, prototype in enumerate(prototypes):
        own = np.flatnonzero(nearest == index)
        best = own[np.argsort(-correlation[own, index], kind="stable")][:places]
        line = np.zeros((places + 1, prototypes.shape[1]), np.uint8)
        line[0], line[1 : 1 + len(best)] = grey(prototype), grey(samples[best])
        lines.append(line)
    tiles, shape = np.concatenate(lines), image_shape
    if not rows:  # the same plate along the other diagonal
        tiles = tiles.reshape(-1, *shape).swapaxes(1, 2).reshape(len(tiles), -1)
        shape = (shape[1], shape[0])
    scale = magnification(image_shape)
    sheet = plate(tiles, shape, places + 1, scale=scale, gap_after_first=(15 if rows else 5) * scale)
    return png(sheet if rows else np.ascontiguousarray(sheet.T))


def gif_bytes(
    film: Float[np.ndarray, "frames m pixels"],
    image_shape: tuple[int, int],
    *,
    columns: int = 5,
    milliseconds: int = 90,
    pause: int = 2500,
) -> bytes:
    """Animated GIF of up to ten films (frames, m, pixels) in rows of `columns`, repeated for ever.

    Each film has one grey scale for all frames. A frame lasts `milliseconds`, the last one `pause`.
    """
    levels = film_grey(film[:, :SHOWN]) & 0xF8  # 32 levels are enough for noise, and half the size
    columns, scale = min(columns, levels.shape[1]), magnification(image_shape)
    frames = [Image.fromarray(plate(tiles, image_shape, columns, scale=scale)) for tiles in levels]
    durations = [milliseconds] * (len(frames) - 1) + [pause]
    durations[0] = max(durations[0], 6 * milliseconds)
    stream = io.BytesIO()
    frames[0].save(
        stream, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    return stream.getvalue()


def write_png_grid(
    path: Path,
    images: Float[np.ndarray, "n pixels"],
    image_shape: tuple[int, int],
    columns: int | None = None,
) -> None:
    """Write images as one PNG; arguments as in `grid_png`."""
    path.write_bytes(grid_png(images, image_shape, columns))


def write_gif(
    path: Path, film: Float[np.ndarray, "frames m pixels"], image_shape: tuple[int, int], **options: int
) -> None:
    """Write films as an animated GIF; arguments as in `gif_bytes`."""
    path.write_bytes(gif_bytes(film, image_shape, **options))
