"""Images that are stored in an unusual way: read rightly, or refused by name."""

import io
import re
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image

from certbd.artifacts.io import DataError
from certbd.data import datasets, labels
from certbd.data.files import folders, images
from certbd.data.kinds import cifar10, mnist

FOLDER = {"kind": "image_folder"}
NPZ = {"kind": "npz"}
E_COMPOSED, E_DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
TURNS = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""What a viewer does with stored pixels of each orientation (EXIF 2.3, tag 274)."""


def draw(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def encode(pixels, form, **options):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, form, **options)
    return file.getvalue()


def oriented(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def read(path, content, **options):
    path.write_bytes(content)
    return images.read_images([path], path, **options)[0]


def png(bits, kind, channels, *chunks):
    """Write a 6 x 5 PNG file of grey 0 (kind 0), colour (2) or either with alpha (4, 6)."""
    rows = b"".join(b"\0" + bytes(5 * channels * bits // 8) for _ in range(6))
    header = struct.pack(">IIBBBBB", 5, 6, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(pixels, **tags):
    """Write an uncompressed TIFF file of samples of any type, with further tags."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.itemsize
    entries = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [1],
        262: [2 if channels > 2 else 1], 273: [0], 277: [channels], 278: [height],
        279: [pixels.nbytes],
    } | {int(tag[1:]): values for tag, values in tags.items()}  # fmt: skip
    start = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    directory = b""
    for tag, values in sorted(entries.items()):
        content = struct.pack(f"<{len(values)}H", *values)
        if tag == 273:
            content = struct.pack("<H", start + 64)
        if len(content) > 4:
            place = start + len(extra)
            extra += content
            content = struct.pack("<I", place)
        directory += struct.pack("<HHI", tag, 3, len(values)) + content.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory
    return head + bytes(4) + extra.ljust(64, b"\0") + pixels.tobytes()


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_images_are_turned_once_as_exif_says(tmp_path, form, options, orientation):
    pixels = draw(24, 16, 3)
    plain = np.asarray(Image.open(io.BytesIO(encode(pixels, form, **options))))
    content = encode(pixels, form, exif=oriented(orientation), **options)
    found = read(tmp_path / "a.jpg", content)
    assert np.array_equal(found, (TURNS[orientation](plain) / np.float32(255)).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_images_are_turned_before_they_are_cropped(tmp_path, mode):
    image = Image.fromarray(np.tile(np.arange(0, 240, 10, np.uint8), (40, 1))).convert(mode)
    content = encode(image, "PNG", exif=oriented(6))
    turned = encode(image.transpose(Image.Transpose.ROTATE_270), "PNG")
    for size in (None, 8):
        found, expected = (
            read(tmp_path / name, data, size=size)
            for name, data in (("a.png", content), ("b.png", turned))
        )
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("written", ['tiff:Orientation="6"', "<tiff:Orientation>6<"])
def test_images_are_turned_as_xmp_says(tmp_path, written):
    pixels = draw(6, 5, 3)
    if written[0] == "<":
        written += "/tiff:Orientation>"
    content = encode(pixels, "WEBP", lossless=True, xmp=written.encode())
    found = read(tmp_path / "a.webp", content)
    assert np.array_equal(found, (TURNS[6](pixels) / np.float32(255)).transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(tmp_path, orientation):
    content = encode(draw(6, 5, 3), "PNG", exif=oriented(orientation))
    assert read(tmp_path / "a.png", content).shape == (3, 6, 5)


def test_turned_and_stored_images_of_one_size_are_of_one_size(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(8):
            pixels = draw(6, 5, 3) if number % 2 else draw(5, 6, 3)
            exif = oriented(1 if number % 2 else 8)
            (tmp_path / name / f"{number}.png").write_bytes(encode(pixels, "PNG", exif=exif))
    assert datasets.load(FOLDER, tmp_path).train_inputs.shape[1:] == (3, 6, 5)


def test_exif_data_that_cannot_be_read_are_named(tmp_path):
    file = tmp_path / "a.png"
    content = png(8, 2, 3, (b"eXIf", b"nonsense that is no TIFF"))
    with pytest.raises(DataError, match=r"a.png: its EXIF data, so how to turn it, cannot be read"):
        read(file, content)


SHORT = np.zeros((6, 5, 3), np.uint16)
BLANK = [Image.new("RGB", (5, 6), (shade, 0, 0)) for shade in (0, 90, 200)]
DEEP = {
    "grey.png": png(16, 0, 1),
    "colour.png": png(16, 2, 3),
    "grey-alpha.png": png(16, 4, 2),
    "colour-alpha.png": png(16, 6, 4),
    "colour-trns.png": png(16, 2, 3, (b"tRNS", bytes(6))),
    "colour.tif": tiff(SHORT),
    "grey.tif": tiff(SHORT[..., :1]),
    "long.tif": tiff(SHORT[..., :1].astype(np.uint32)),
    "colour-alpha.tif": tiff(np.zeros((6, 5, 4), np.uint16), _338=[2]),
    "float.tif": tiff(np.zeros((6, 5, 1), np.float32), _339=[3]),
    "colour.ppm": b"P6 5 6 65535\n" + SHORT.tobytes(),
    "colour-10.ppm": b"P6 5 6 1023\n" + SHORT.tobytes(),
    "plain.ppm": b"P3 5 6 256\n" + b"0 " * 90,
    "grey.pgm": b"P5 5 6 65535\n" + SHORT[..., :1].tobytes(),
    "grey-12.pgm": b"P5 5 6 4095\n" + SHORT[..., :1].tobytes(),
}
SEE_THROUGH = {
    "colour.png": png(8, 2, 3, (b"tRNS", bytes(6))),
    "grey.png": png(8, 0, 1, (b"tRNS", bytes(2))),
    "black.png": png(8, 2, 3, (b"tRNS", b"\0\xff" * 3)),
    "palette.png": png(8, 3, 1, (b"PLTE", bytes(6)), (b"tRNS", b"\x80")),
    "opaque.png": png(8, 3, 1, (b"PLTE", bytes(6)), (b"tRNS", b"\xff")),
    "alpha.png": png(8, 6, 4),
    "grey-alpha.png": png(8, 4, 2),
    "alpha.webp": encode(draw(6, 5, 4), "WEBP"),
    "alpha.tif": tiff(draw(6, 5, 4), _338=[2]),
    "unspecified.tif": tiff(draw(6, 5, 4), _338=[0]),
    "grey-unspecified.tif": tiff(draw(6, 5, 2), _338=[0]),
    "signed.tif": tiff(np.zeros((6, 5, 1), np.int8), _339=[2]),
}
SEVERAL = {
    "stack.tif": encode(BLANK[0], "TIFF", save_all=True, append_images=BLANK[1:]),
    "packed.tif": encode(
        BLANK[0], "TIFF", save_all=True, append_images=BLANK[1:], compression="tiff_lzw"
    ),
    "moving.webp": encode(BLANK[0], "WEBP", save_all=True, append_images=BLANK[1:]),
    "moving.png": encode(BLANK[0], "PNG", save_all=True, append_images=BLANK[1:]),
    "default.png": encode(
        BLANK[0], "PNG", save_all=True, append_images=BLANK[1:], default_image=True
    ),
    "stereo.jpg": encode(BLANK[0], "MPO", save_all=True, append_images=BLANK[1:]),
}


REFUSED = [
    (DEEP, "(16|32) bits a channel; allowed: 8"),
    (SEE_THROUGH, "transparent pixels|of mode (P|RGBA|LA|PA); allowed|ExtraSamples|no unsigned"),
    (SEVERAL, "[23] frames; allowed: one"),
]


@pytest.mark.parametrize("to_rgb", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        pytest.param(name, content, named, id=f"{number}-{name}")
        for number, (files, named) in enumerate(REFUSED)
        for name, content in files.items()
    ],
)
def test_what_an_array_would_not_hold_is_refused(tmp_path, name, content, named, to_rgb):
    with pytest.raises(DataError, match=rf"{re.escape(str(tmp_path / name))}: .*({named})"):
        read(tmp_path / name, content, to_rgb=to_rgb)


def test_transparency_is_named_in_every_mode_that_is_read(tmp_path):
    for name in ("colour.png", "grey.png", "black.png"):
        with pytest.raises(DataError, match=r"transparent pixels \(a tRNS chunk\); allowed: none"):
            read(tmp_path / name, SEE_THROUGH[name])
    with pytest.raises(DataError, match="mode P; allowed modes"):
        read(tmp_path / "p.png", SEE_THROUGH["palette.png"])
    with pytest.raises(DataError, match="transparent pixels"):
        read(tmp_path / "p.png", SEE_THROUGH["palette.png"], to_rgb=True)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", png(8, 2, 3), 0),
        ("palette.png", encode(Image.new("RGB", (5, 6), "red").convert("P"), "PNG"), [1, 0, 0]),
        ("a.ppm", b"P6 5 6 255\n" + b"\xff" * 90, 1),
        ("a.ppm", b"P6 5 6 15\n" + b"\x0f" * 90, 1),
        ("a.ppm", b"P3 5 6 5\n" + b"1 " * 90, 0.2),
        ("a.pgm", b"P5 5 6 255\n" + b"\x33" * 30, 0.2),
        ("a.pbm", b"P1 5 6\n" + b"0 " * 30, 1),
        ("a.tif", tiff(np.full((6, 5, 3), 51, np.uint8)), 0.2),
        ("a.tif", tiff(np.full((6, 5, 1), 51, np.uint8), _339=[1]), 0.2),
        ("a.tif", encode(Image.new("1", (5, 6), 1), "TIFF"), 1),
        ("a.tif", encode(BLANK[2], "TIFF", compression="tiff_lzw"), [200 / 255, 0, 0]),
        ("a.bmp", encode(BLANK[2], "BMP"), [200 / 255, 0, 0]),
        ("a.webp", encode(BLANK[2], "WEBP", lossless=True), [200 / 255, 0, 0]),
        ("a.jpg", encode(np.full((6, 5, 3), 255, np.uint8), "JPEG"), 1),
        ("cmyk.jpg", encode(Image.new("RGB", (5, 6), "white").convert("CMYK"), "JPEG"), 1),
    ],
)
def test_usual_images_are_read(tmp_path, name, content, expected):
    wanted = np.float32(np.broadcast_to(np.reshape(expected, (-1, 1, 1)), (3, 6, 5)))
    found = [read(tmp_path / name, content, to_rgb=True)]
    if name.startswith("a."):
        found.append(read(tmp_path / name, content))
    for pixels in found:
        np.testing.assert_allclose(pixels, wanted[: len(pixels)], atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "is_last"),
    [
        ((9, 8, 8, 3), True),
        ((9, 28, 28, 1), True),
        ((9, 32, 32, 4), True),
        ((9, 5, 7, 3), True),
        ((9, 224, 160, 3), True),
        ((9, 2, 2, 1), True),
        ((9, 3, 8, 8), False),
        ((9, 1, 28, 28), False),
        ((9, 3, 8, 3), False),
        ((9, 1, 8, 1), False),
        ((9, 64, 1, 1), False),
        ((9, 16, 4, 4), False),
        ((9, 64, 7, 7), False),
        ((9, 2, 8, 3), False),
        ((9, 4, 64, 64), False),
        ((9, 8, 3), False),
    ],
)
def test_channels_last_are_told_from_channels_first(tmp_path, shape, is_last):
    assert images.has_channels_last(shape) == is_last
    path, labels = tmp_path / "a.npz", np.arange(9) % 2
    if not is_last:
        return
    named = r"a.npz: {} of shape \(9.*channels last; allowed: .*; move the axis: {}.transpose\(0, 3"
    np.savez(path, inputs=np.zeros(shape, np.float32), labels=labels)
    with pytest.raises(DataError, match=named.format("inputs", "inputs")):
        datasets.outline(NPZ, path)
    inputs = np.zeros(shape, np.float32)
    first = inputs.transpose(0, 3, 1, 2)
    arrays = {"train_labels": labels, "test_labels": labels}
    np.savez(path, train_inputs=first, test_inputs=inputs, **arrays)
    with pytest.raises(DataError, match=named.format("test_inputs", "test_inputs")):
        datasets.outline(NPZ, path)
    np.savez(path, train_inputs=first, test_inputs=first, **arrays)
    assert datasets.load(NPZ, path).train_inputs.shape == first.shape


@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "u2", "u8", "f4", "f8", "U3"])
def test_big_endian_arrays_are_read(tmp_path, kind):
    labels = (np.arange(12) % 2).astype(f">{kind}")
    inputs = (np.arange(24).reshape(12, 2) / 24).astype(">f4")
    np.savez(tmp_path / "a.npz", inputs=inputs, labels=labels)
    data = datasets.load(NPZ, tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", inputs=inputs.astype("<f4"), labels=np.arange(12) % 2)
    expected = datasets.load(NPZ, tmp_path / "b.npz")
    for found, wanted in zip(data, expected, strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", ["inputs", "labels"])
def test_arrays_of_records_are_refused(tmp_path, name):
    arrays = {"inputs": np.zeros((12, 2)), "labels": np.arange(12) % 2}
    arrays[name] = np.zeros(arrays[name].shape, [("a", ">i4"), ("b", "<f4")])
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"a.npz: array {name} of records, .*; allowed: numbers"):
        datasets.load(NPZ, tmp_path / "a.npz")


def write_folders(path, *names):
    for name in names:
        (path / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(draw(6, 5, 3)).save(path / name / f"{number}.png")


@pytest.mark.parametrize("on_disk", [E_COMPOSED, E_DECOMPOSED])
@pytest.mark.parametrize("given", [E_COMPOSED, E_DECOMPOSED, None])
def test_names_of_classes_are_compared_composed(tmp_path, on_disk, given):
    write_folders(tmp_path, on_disk, "b")
    settings = FOLDER | ({"classes": [given, "b"]} if given else {})
    outline = datasets.outline(settings, tmp_path)
    assert sorted(outline.classes) == ["b", E_COMPOSED]
    assert outline.left_out == []
    assert datasets.load(settings, tmp_path).train_inputs.shape[1:] == (3, 6, 5)


@pytest.mark.parametrize("name", ["Zürich", "naïve", "Ångström", "한국", "パン"])
def test_decomposed_names_of_many_scripts_are_read(tmp_path, name):
    other = unicodedata.normalize("NFD", name)
    assert other != name
    write_folders(tmp_path / "train", other, "b")
    write_folders(tmp_path / "test", name, "b")
    assert datasets.outline(FOLDER | {"classes": [name, "b"]}, tmp_path).test_counts == [8, 8]


def test_two_folders_of_one_name_are_refused(tmp_path):
    write_folders(tmp_path, E_COMPOSED, E_DECOMPOSED, "b")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes both for one")
    with pytest.raises(
        DataError, match=r"two folders are named 'café', in two ways .*; allowed: one"
    ):
        datasets.outline(FOLDER, tmp_path)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["0", "2", "10"], ["0", "2", "10"]),
        ([str(number) for number in range(12)], [str(number) for number in range(12)]),
        (["-1", "-10", "3"], ["-10", "-1", "3"]),
        (["007", "08", "9"], ["007", "08", "9"]),
        (["2", "10", "b"], ["10", "2", "b"]),
        (["2.5", "10"], ["10", "2.5"]),
    ],
)
def test_class_folders_are_in_the_order_of_tables(tmp_path, names, classes):
    write_folders(tmp_path, *names)
    assert datasets.outline(FOLDER, tmp_path).classes == classes
    assert labels.sorted_classes(np.array(names)) == classes


@pytest.mark.parametrize(
    ("present", "renamed"),
    [
        (("train", "val"), "val to test"),
        (("train", "valid"), "valid to test"),
        (("train", "validation"), "validation to test"),
        (("Train", "Test"), "Train to train and .*Test to test"),
        (("training", "testing"), "training to train and .*testing to test"),
        (("TRAIN", "test"), "TRAIN to train$"),
        (("train", "Val"), "Val to test"),
    ],
)
def test_sides_by_other_names_are_refused(tmp_path, present, renamed):
    for side in present:
        write_folders(tmp_path / side, "a", "b")
    if all((tmp_path / side).is_dir() for side in folders.SIDES):
        pytest.skip("this file system knows no capitals")
    with pytest.raises(DataError, match=f"allowed: train and test, or .*; rename .*{renamed}"):
        datasets.outline(FOLDER, tmp_path)


def test_train_and_test_are_read_beside_other_folders(tmp_path):
    for side in ("train", "test", "val"):
        write_folders(tmp_path / side, "a", "b")
    assert datasets.outline(FOLDER, tmp_path).test_counts == [8, 8]


def test_classes_that_are_called_valid_and_invalid_are_classes(tmp_path):
    write_folders(tmp_path, "valid", "invalid")
    assert datasets.outline(FOLDER, tmp_path).classes == ["invalid", "valid"]


PUBLISHED = {
    "mnist": ([0, 1], mnist.FILES),
    "cifar10": (["bird", "cat"], cifar10.FILES),
    "imagenette": (
        ["tench", "church"],
        [f"{side}/{name}" for side in ("train", "val") for name in ("n01440764", "n03028079")],
    ),
}


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("kind", PUBLISHED)
def test_half_downloaded_sets_are_named_with_the_way_out(tmp_path, monkeypatch, kind, download):
    import torchvision.datasets

    for name in ("MNIST", "CIFAR10", "Imagenette"):
        monkeypatch.setattr(torchvision.datasets, name, None)  # so nothing can be fetched
    classes, names = PUBLISHED[kind]
    settings = {"kind": kind, "classes": classes, "download": download}
    folder = tmp_path / datasets.read({"kind": kind}).folder
    way_out = "download: true is set already" if download else "and set download: true"
    for present in range(len(names)):
        for name in names[:present]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        folder.mkdir(exist_ok=True)
        datasets.fetch(settings, tmp_path)
        with pytest.raises(DataError) as refusal:
            datasets.outline(settings, tmp_path)
        message = str(refusal.value)
        assert message.startswith(f"{folder / names[present]} does not exist, but {folder} does")
        assert way_out in message
        assert "data_root" not in message
