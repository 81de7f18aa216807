"""Images as arrays in [0, 1]: image files as PIL reads them, and MNIST's idx files."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certbd.io import DataError, check_room
from certbd.logs import progress

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
WHITE = {"1": 1, "L": 255, "RGB": 255}
MAX_PIXELS = 50_000_000
"""Pixels of one image; a file that holds more is taken for a decompression bomb."""


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a class folder by name; names that start with a dot are left out.

    Raises
    ------
    DataError
        If anything in it is not an image file by its name.
    """
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise DataError(
                f"{file}: not an image file; allowed in a class folder: {', '.join(SUFFIXES)}"
            )
    return files


def read_images(
    files: Sequence[Path], like: Path, size: int | None = None, to_rgb: bool = False
) -> NDArray[np.float32]:
    """Read image files one by one into one array.

    Parameters
    ----------
    files : sequence of Path
        At least one.
    like : Path
        The image whose size and mode all must have.
    size : int, optional
        Pixels: the middle square of each image is scaled to it (bilinear, antialiased), which is
        the shorter side resized, then the centre cropped.
    to_rgb : bool
        Whether to convert images of other modes, rather than to refuse them.

    Returns
    -------
    array
        float32 in [0, 1], shape (n, channels, height, width): pixels divided by 255.

    Raises
    ------
    DataError
        If a file cannot be read as an image, holds more than `MAX_PIXELS`, is neither black and
        white, grey nor RGB, or differs from `like`.
    """
    model = _read(like, size, to_rgb)
    shape = (len(files), *_pixels(model).shape)
    check_room(like.parent, math.prod(shape), sum(file.stat().st_size for file in files))
    inputs = np.empty(shape, np.float32)
    for row, file in enumerate(progress(files, len(files), "images", "image")):
        image = _read(file, size, to_rgb)
        if (image.mode, image.size) != (model.mode, model.size):
            raise DataError(
                f"{file}: {_describe(image)}, but {like} is {_describe(model)}; allowed: one mode "
                "and one size in all images (the key size makes them one size)"
            )
        inputs[row] = _pixels(image)
    return inputs


def _read(file: Path, size: int | None, to_rgb: bool) -> "Image":
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{_describe(image)}; allowed: at most {MAX_PIXELS} pixels")
                if not to_rgb and image.mode not in WHITE:
                    allowed = "1 (black and white), L (grey), RGB"
                    raise DataError(f"{_describe(image)}; allowed modes: {allowed}")
                image.load()
                whole = image.convert("RGB") if to_rgb else image.copy()
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except Exception as error:  # decoders raise errors of many kinds on damaged files
        raise DataError(f"{file}: not a readable image: {error}") from error
    if size is None:
        return whole
    (width, height), side = whole.size, min(whole.size)
    left, top = (width - side) / 2, (height - side) / 2
    middle = (left, top, left + side, top + side)
    return whole.resize((size, size), PIL.Image.Resampling.BILINEAR, box=middle)


def _pixels(image: "Image") -> NDArray[np.float32]:
    """Return an image as an array (channels, height, width) in [0, 1]."""
    values = np.asarray(image)
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return scale(values, WHITE[image.mode])


def scale(pixels: NDArray[Any], white: int = 255) -> NDArray[np.float32]:
    """Return pixels from 0 to `white` as float32 in [0, 1]."""
    return np.divide(pixels, white, dtype=np.float32)


def _describe(image: "Image") -> str:
    return f"{image.height} x {image.width} pixels of mode {image.mode}"


def read_idx(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, as MNIST is published.

    Raises
    ------
    DataError
        If it cannot be read, is not one with this number of dimensions, or holds more or fewer
        values than its header says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    start = 4 + 4 * n_dimensions
    if len(content) < start or content[:4] != bytes([0, 0, 8, n_dimensions]):
        raise DataError(f"{path}: not an idx file of bytes with {n_dimensions} dimensions")
    shape = np.frombuffer(content, ">u4", n_dimensions, 4).tolist()
    found, announced = len(content) - start, math.prod(shape)
    if found != announced:
        raise DataError(f"{path}: {found} values, but its header announces {announced} ({shape})")
    return np.frombuffer(content, np.uint8, announced, start).reshape(shape)
