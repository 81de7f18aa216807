"""Images as arrays in [0, 1]: image files as PIL reads them, and MNIST's idx files."""

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, check_room
from certbd.artifacts.logs import progress

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
WHITE = {"1": 1, "L": 255, "RGB": 255}
MODES = "1 (black and white), L (grey), RGB"
CONVERTIBLE = ("P", "CMYK", "YCbCr")
"""Modes that become RGB where images are converted; like the others, they have no transparency."""
BITS_PER_SAMPLE, EXTRA_SAMPLES, SAMPLE_FORMAT = 258, 338, 339
"""Tags of TIFF files."""
MAX_PIXELS = 50_000_000
"""Pixels of one image; a file that holds more is taken for a decompression bomb."""


def list_images(folder: Path, beside: Sequence[Path] = ()) -> list[Path]:
    """Return the image files of a folder by name; names that start with a dot are left out.

    What is `beside` them is left out, too.

    Raises
    ------
    DataError
        If anything in it is not an image file by its name.
    """
    found = [file for file in folder.iterdir() if file not in beside]
    files = sorted(file for file in found if not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise DataError(
                f"{file}: not an image file; allowed in a class folder: {', '.join(SUFFIXES)}"
            )
    return files


def read_images(
    files: Sequence[Path], like: Path, size: int | None = None, to_rgb: bool = False
) -> NDArray[np.float32]:
    """Read image files one by one into one array, turned as their orientation (EXIF) says.

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
        Whether to convert images of other modes, rather than to refuse them (transparent ones are
        refused all the same).

    Returns
    -------
    array
        float32 in [0, 1], shape (n, channels, height, width): pixels divided by 255.

    Raises
    ------
    DataError
        If a file cannot be read as an image, holds more than `MAX_PIXELS`, several frames, more
        than 8 bits a channel or transparency, is neither black and white, grey nor RGB, or differs
        from `like`.
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
                if mistake := next(_mistakes(image, to_rgb), None):
                    raise DataError(mistake)
                upright = _turned(image)
                whole = upright.convert("RGB") if to_rgb else upright
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


def _mistakes(image: "ImageFile", to_rgb: bool) -> Iterator[str]:
    """Say what an image holds that its array would not; nothing is decoded."""
    if image.width * image.height > MAX_PIXELS:
        yield f"{_describe(image)}; allowed: at most {MAX_PIXELS} pixels"
    if (bits := _bits(image)) > 8:
        yield f"{bits} bits a channel; allowed: 8, because the rest would be lost; save it with 8"
    if image.mode not in (*WHITE, *(CONVERTIBLE if to_rgb else ())):
        yield f"{_describe(image)}; allowed modes: {MODES}"
    if "transparency" in image.info:
        yield "transparent pixels (a tRNS chunk); allowed: none; save it on a plain background"
    if (n_frames := getattr(image, "n_frames", 1)) > 1:
        yield f"{n_frames} frames; allowed: one; save each that you want as a file of its own"
    tags = getattr(image, "tag_v2", {})
    if EXTRA_SAMPLES in tags:
        yield "values beside its colours (ExtraSamples); allowed: none; save it without them"
    if set(tags.get(SAMPLE_FORMAT, (1,))) != {1}:
        yield "values of a pixel that are no unsigned whole numbers; allowed: from 0 to 255"


def _bits(image: "ImageFile") -> int:
    """Return the bits a channel has in the file; PIL cuts or scales some to 8 without a word."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))  # type: ignore[attr-defined]
    if image.format in ("PNG", "PPM"):
        stored: Any = image.tile[0].args  # how pixels are decoded
        if image.format == "PNG":
            return 16 if ";16" in stored else 8
        largest = stored[1] if isinstance(stored, tuple) else 255
        return 16 if image.mode == "I" or largest > 255 else 8
    return 8


def _turned(image: "ImageFile") -> "Image":
    """Decode an image and turn it as its orientation says, once: PIL itself turns TIFF files."""
    from PIL.ImageOps import exif_transpose

    image.load()
    try:
        image.getexif()
    except Exception as error:
        raise DataError(f"its EXIF data, so how to turn it, cannot be read: {error}") from error
    return exif_transpose(image)


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


def has_channels_last(shape: tuple[int, ...]) -> bool:
    """Say whether (n, height, width, channels) is the one plain meaning of a shape.

    So it is with 1, 3 or 4 channels behind a larger height and width, but not where the second axis
    is 1 or 3, as in (n, channels, height, width).
    """
    if len(shape) != 4:
        return False
    _, height, width, channels = shape
    return channels in (1, 3, 4) and min(height, width) > channels and height not in (1, 3)


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
