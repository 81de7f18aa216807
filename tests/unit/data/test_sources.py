"""Every kind of dataset from small files, and what is refused."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from certbd.artifacts.io import DataError
from certbd.data import datasets
from certbd.data.files import images
from certbd.data.kinds.cifar10 import BATCHES, Cifar10
from conftest import ROOT

TABLE = {"kind": "table", "label_column": "label", "header": True}
FOLDER = {"kind": "image_folder"}
NPZ = {"kind": "npz"}
MNIST = {"kind": "mnist", "classes": [0, 1]}


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + values.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Twelve training and six test images of 0, 1 and 2."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, n in (("train", 12), ("t10k", 6)):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(draw((n, 28, 28))))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.arange(n, dtype=np.uint8) % 3))
    return tmp_path


def write_images(folder, n, shape=(6, 5, 3), suffix="png", mode=None, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(draw((n, *shape), seed)):
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(folder / f"{number:03}.{suffix}")


@pytest.fixture
def folder(tmp_path):
    """Image folders train and test with cats and dogs."""
    for seed, (split, name, n) in enumerate(
        [("train", "cat", 3), ("train", "dog", 5), ("test", "cat", 2), ("test", "dog", 1)]
    ):
        write_images(tmp_path / split / name, n, seed=seed)
    return tmp_path


@pytest.fixture
def table(tmp_path):
    """A table of 8 rows, two classes."""
    path = tmp_path / "t.csv"
    rows = [f"{row / 8},{row},{'ab'[row % 2]}" for row in range(8)]
    path.write_text("\n".join(["x,y,label", *rows]) + "\n")
    return path


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def check(settings, path):
    """Read a dataset, and hold its outline against it."""
    outline, data = datasets.outline(settings, path), datasets.load(settings, path)
    assert data.class_names.tolist() == outline.classes
    assert np.bincount(data.train_labels).tolist() == outline.training_counts
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert (data.train_inputs.ndim == 4) == outline.has_images
    for inputs in (data.train_inputs, data.test_inputs):
        assert inputs.min() >= 0
        assert inputs.max() <= 1
    assert all(file.is_file() for file in outline.files)
    return data


def test_mnist(mnist):
    data = check(MNIST | {"classes": [2, 0]}, mnist)
    pixels = draw((12, 28, 28)) / np.float32(255)
    assert np.array_equal(data.train_inputs[:, 0], np.delete(pixels, range(1, 12, 3), axis=0))
    assert data.train_labels.tolist() == [1, 0] * 4
    assert data.test_labels.tolist() == [1, 0] * 2


def test_image_folder(folder):
    data = check(FOLDER, folder)
    assert data.train_inputs.shape == (8, 3, 6, 5)
    by_name = [0, 1] * 3 + [1] * 2  # cat/000, dog/000, cat/001, ...
    assert data.train_labels.tolist() == by_name
    assert np.array_equal(
        data.train_inputs[data.train_labels == 1],
        draw((5, 6, 5, 3), 1).transpose(0, 3, 1, 2) / np.float32(255),
    )
    swapped = check(FOLDER | {"classes": ["dog", "cat"]}, folder)
    assert swapped.train_labels.tolist() == [1 - label for label in by_name]
    (folder / "train" / "cat" / ".hidden").touch()
    assert len(check(FOLDER, folder).train_labels) == 8


@pytest.mark.parametrize(
    ("mode", "shape"), [("1", (1, 6, 5)), ("L", (1, 6, 5)), ("RGB", (3, 6, 5))]
)
def test_modes_of_images(tmp_path, mode, shape):
    for name in ("0", "1"):
        write_images(tmp_path / name, 4, mode=mode)
    data = check(FOLDER, tmp_path)
    assert data.train_inputs.shape == (6, *shape)
    assert (set(np.unique(data.train_inputs)) == {0, 1}) == (mode == "1")


def test_one_folder_is_split_whichever_classes_are_used(tmp_path):
    for seed, name in enumerate(("cat", "dog", "emu")):
        write_images(tmp_path / name, 8, seed=seed)
    data = check(FOLDER, tmp_path)
    assert np.bincount(data.test_labels).tolist() == [3, 3, 3]  # files of the same names
    pair = check(FOLDER | {"classes": ["dog", "cat"]}, tmp_path)
    for name in (0, 1):
        assert np.array_equal(
            data.test_inputs[data.test_labels == name], pair.test_inputs[pair.test_labels != name]
        )


def test_size_scales_the_shorter_side_and_crops_the_centre(tmp_path):
    from torchvision.transforms import CenterCrop, Resize

    smooth = np.add.outer(np.arange(60), np.arange(90)).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth, smooth // 2, smooth // 3], axis=2))
    image.save(tmp_path / "a.png")
    (pixels,) = images.read_images([tmp_path / "a.png"], tmp_path / "a.png", 24)
    expected = np.asarray(CenterCrop(24)(Resize(24)(image))).transpose(2, 0, 1) / 255
    assert pixels.shape == (3, 24, 24)
    assert np.abs(pixels - expected)[:, 1:-1, 1:-1].max() < 0.01


def test_images_of_several_sizes_with_size(folder):
    write_images(folder / "train" / "cat", 2, (9, 12, 3), "jpg")
    assert check(FOLDER | {"size": 4}, folder).train_inputs.shape == (10, 3, 4, 4)


def test_imagenette(tmp_path):
    for split, n in (("train", 2), ("val", 1)):
        for wnid in ("n02102040", "n01440764"):
            write_images(tmp_path / "imagenette2" / split / wnid, n, (40, 30), "JPEG")
    settings = {"kind": "imagenette", "classes": ["English springer", "tench"]}
    data = check(settings, tmp_path)
    assert data.train_inputs.shape == (4, 3, 224, 224)
    assert data.class_names.tolist() == ["English springer", "tench"]


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """Batches of 20 images each, whose checksums stand in for the published ones."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]

    def write(name, content):
        content = pickle.dumps(content)
        (folder / name).write_bytes(content)
        return [name, hashlib.md5(content, usedforsecurity=False).hexdigest()]

    batch = {"data": draw((20, 3072)), "labels": list(range(10)) * 2}
    made = [write(name, batch) for name in BATCHES]
    meta = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "train_list", made[:-1])
    monkeypatch.setattr(CIFAR10, "test_list", made[-1:])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": meta[1]})
    monkeypatch.setattr(Cifar10, "per_class", (10, 2))
    return tmp_path


def test_cifar10(cifar10):
    data = check({"kind": "cifar10", "classes": ["bird", "airplane"]}, cifar10)
    assert data.train_inputs.shape == (20, 3, 32, 32)
    assert data.train_labels.tolist() == [1, 0] * 10
    pixels = draw((20, 3072)).reshape(20, 3, 32, 32) / np.float32(255)
    assert np.array_equal(data.test_inputs, pixels[[0, 2, 10, 12]])


def test_cifar10_is_not_unpickled_without_its_checksum(cifar10):
    batch = cifar10 / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DataError, match="data_batch_3: not the published file by its md5"):
        datasets.load({"kind": "cifar10", "classes": ["bird", "airplane"]}, cifar10)


@pytest.mark.parametrize("form", ["csv", "parquet", "no header", "train and test"])
def test_table(tmp_path, table, form):
    settings, path = TABLE | {"ranges": {"y": [0, 7]}}, table
    frame = pd.read_csv(table)
    if form == "parquet":
        path = tmp_path / "t.parquet"
        frame.to_parquet(path)
    elif form == "no header":
        frame.to_csv(path, header=False, index=False)
        settings = TABLE | {"header": False, "label_column": 2, "ranges": {"1": [0, 7]}}
    elif form == "train and test":
        path = tmp_path / "parts"
        path.mkdir()
        frame[:6].to_parquet(path / "train.parquet")
        frame[6:][["label", "y", "x"]].to_csv(path / "test.csv", index=False)
    data = check(settings, path)
    assert data.train_inputs.shape == (6, 2)
    every = np.concatenate([data.train_inputs, data.test_inputs])
    labels = np.concatenate([data.train_labels, data.test_labels])
    order = np.argsort(every[:, 0])
    expected = np.stack([np.arange(8) / 8, np.arange(8) / 7], axis=1).astype(np.float32)
    assert np.array_equal(every[order], expected)
    assert labels[order].tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("values", "classes", "found"),
    [
        ([10, 9] * 4, None, ["9", "10"]),
        ([1.0, 0.0] * 4, None, ["0", "1"]),
        ([True, False] * 4, None, ["False", "True"]),
        ([1, 0] * 4, [1, 0], ["1", "0"]),
        (["no", "yes"] * 4, ["yes", "no"], ["yes", "no"]),
    ],
)
def test_classes_of_a_table(tmp_path, values, classes, found):
    pd.DataFrame({"x": 0.5, "label": values}).to_csv(tmp_path / "t.csv", index=False)
    settings = TABLE | ({"classes": classes} if classes else {})
    assert check(settings, tmp_path / "t.csv").class_names.tolist() == found


def test_npz(tmp_path):
    inputs, labels = draw((8, 1, 4, 4)), np.arange(8) % 2
    path = write_npz(tmp_path / "split.npz", inputs=inputs, labels=labels)
    assert check(NPZ | {"ranges": [0, 255]}, path).train_inputs.shape == (6, 1, 4, 4)
    path = write_npz(
        tmp_path / "given.npz",
        train_inputs=inputs.reshape(8, 16) > 99,
        train_labels=labels.astype(str),
        test_inputs=np.zeros((2, 16), np.float32),
        test_labels=np.array(["0", "1"]),
    )
    data = check(NPZ, path)
    assert np.array_equal(data.train_inputs, inputs.reshape(8, 16) > 99)


def test_the_checksum_follows_content_and_not_the_place(folder, tmp_path_factory):
    def checksum(path):
        return datasets.checksum(datasets.outline(FOLDER, path).files, path)

    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(folder, moved)
    assert checksum(moved) == checksum(folder)
    (moved / "train" / "cat" / "000.png").rename(moved / "train" / "cat" / "zzz.png")
    assert checksum(moved) != checksum(folder)


def refused(settings, path, named):
    """Hold that a dataset is refused, by outline or when it is read."""
    with pytest.raises(DataError, match=named) as caught:  # noqa: PT012
        datasets.outline(settings, path)
        datasets.load(settings, path)
    assert str(path) in str(caught.value)


MISSING = {
    "mnist": MNIST,
    "cifar10": {"classes": ["bird", "cat"]},
    "imagenette": {"classes": ["tench", "parachute"]},
    "image_folder": FOLDER,
    "table": TABLE,
    "npz": NPZ,
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_dataset_is_named_with_what_to_do(tmp_path, kind):
    settings = MISSING[kind] | {"kind": kind}
    named = r"does not exist; set the folder .*\(--config data_root=FOLDER\) or the key path"
    if kind in ("mnist", "cifar10", "imagenette"):
        named += "; download: true lets torchvision fetch it"
    refused(settings, tmp_path / "nowhere", named)


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("train-labels-idx1", lambda old: old[:-1], "labels.*: 11 values, .* announces 12"),
        ("t10k-images-idx3", lambda old: old[:-1], "t10k-images.*: 4703 values, .*4704"),
        ("t10k-images-idx3", lambda old: b"\x1f\x8b" + old, "t10k-images.*: not an idx file"),
        ("t10k-labels-idx1", lambda _: b"", "t10k-labels.*: not an idx file"),
        ("train-labels-idx1", lambda old: old[:-1] + b"\x0a", "label 11 is 10; allowed: 0 to 9"),
        ("train-labels-idx1", lambda _: idx(np.arange(9, dtype=np.uint8) % 3), "12 images, but 9"),
        ("t10k-labels-idx1", lambda _: idx(np.zeros(6, np.uint8)), "class '1' has 0 inputs"),
    ],
)
def test_damaged_idx_files_are_named(mnist, file, change, named):
    path = mnist / "MNIST" / "raw" / f"{file}-ubyte"
    path.write_bytes(change(path.read_bytes()))
    refused(MNIST, mnist, named)
    path.unlink()
    path.mkdir()
    refused(MNIST, mnist, f"{file}-ubyte: Is a directory")


def add(name, content=b""):
    def change(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def truncate(folder):
    file = folder / "train" / "cat" / "000.png"
    file.write_bytes(file.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add("train/cat/notes.txt"), "cat/notes.txt: not an image file; allowed.*.jpeg"),
        (add("train/cat/sub/a.png"), "cat/sub: not an image file"),
        (add("train/cat/zzz.png", b"text"), "cat/zzz.png: not a readable image"),
        (truncate, "train/cat/000.png: not a readable image: .*truncated"),
        (lambda f: write_images(f / "test" / "emu", 1), "test: folder 'emu' is no class"),
        (lambda f: write_images(f / "train" / "emu", 1), "test: no folder of class 'emu'"),
        (lambda f: shutil.rmtree(f / "test"), "test does not exist"),
        (
            lambda f: (f / "test" / "dog" / "000.png").unlink(),
            r"test: class 'dog' has 0 inputs, none .* test inputs; needed: at least one$",
        ),
        (
            lambda f: write_images(f / "test" / "dog", 1, (6, 6, 3)),
            "dog/000.png: 6 x 6 pixels of mode RGB, but .*cat/000.png is 6 x 5",
        ),
        (
            lambda f: write_images(f / "train" / "cat", 1, suffix="bmp", mode="L"),
            "cat/000.*: 6 x 5 pixels of mode (L|RGB), but .* is 6 x 5 pixels of mode (L|RGB)",
        ),
        (
            lambda f: write_images(f / "train" / "dog", 1, (6, 5, 4)),
            r"dog/000.png: 6 x 5 pixels of mode RGBA; allowed modes: 1 .*, L .*, RGB",
        ),
    ],
)
def test_unusable_image_folders_are_named(folder, change, named):
    change(folder)
    refused(FOLDER, folder, named)


@pytest.mark.parametrize("pixels", [images.MAX_PIXELS + 1, 90_000_000, 200_000_000])
def test_decompression_bombs_are_refused(folder, pixels):
    Image.new("1", (pixels // 1000 + 1, 1000)).save(folder / "train" / "dog" / "bomb.png")
    refused(FOLDER, folder, "bomb.png: .*(at most 50000000 pixels|decompression bomb)")


def test_a_class_without_training_inputs_is_refused_by_name(tmp_path):
    write_images(tmp_path / "cat", 8)
    write_images(tmp_path / "dog", 1)
    assert check(FOLDER, tmp_path).train_labels.sum() == 1
    assert datasets.outline(FOLDER, tmp_path).test_counts[1] == 0
    (tmp_path / "dog" / "000.png").rename(tmp_path / "dog" / "003.png")
    refused(FOLDER, tmp_path, "class 'dog' has 1 inputs, none of them among the training inputs")
    (tmp_path / "dog" / "003.png").unlink()
    refused(FOLDER, tmp_path, "class 'dog' has 0 inputs, none .* training inputs; needed: at least")
    (tmp_path / "dog").rmdir()
    refused(FOLDER, tmp_path, r"classes \['cat'\]; allowed: at least 2")


@pytest.mark.parametrize(
    ("settings", "content", "named"),
    [
        ({}, b"\x89PNG\r\n\x1a\n\x00", "t.csv: not a readable table"),
        ({}, b"", "t.csv: not a readable table"),
        ({}, b"x,label\n0,a\n0,a\n0,b\n0,b,3\n", "t.csv: not a readable table"),
        ({}, b"x,label\n0,a,1\n0,a,1\n0,b,3\n0,b,3\n", "t.csv: not a readable table"),
        ({}, b"x;label\n0;a\n", "t.csv: no column 'label' .*separated by semicolons"),
        ({}, b"label\n0\n1\n", "allowed: one of each name, and one beside the label"),
        ({}, b"x,label\nnan,a\n0,a\n0,b\n0,b\n", "column x, row 0: nan; allowed: a number from 0"),
        ({}, b"x,label\n0,a\n,a\n0,b\n0,b\n", "column x, row 1: nan"),
        ({}, b"x,label\n0,a\n0,a\nten,b\n0,b\n", "column x, row 2: ten; allowed: a number"),
        ({}, b"x,label\n0,a\n0,a\n0,b\n1.01,b\n", "row 3: 1.01; .*from 0 to 1 .*key ranges"),
        ({}, b"x,label\n0,a\n0,a\n0,b\ninf,b\n", "column x, row 3: inf"),
        (
            {"ranges": [-1, 2]},
            b"x,label\n-1,a\n-1.5,a\n0,b\n0,b\n",
            "column x, row 1: -1.5; allowed: a number from -1 to 2",
        ),
        ({"ranges": {"z": [0, 1]}}, b"x,label\n0,a\n0,a\n0,b\n0,b\n", "no column 'z' .*key ranges"),
        (
            {},
            b"x,label\n0,0\n0,0.5\n0,1\n0,1\n",
            "column label, row 1: label '0.5'; allowed: a whole",
        ),
        (
            {},
            b"x,label\n0,0\n0,0\n0,one\n0,1\n",
            "column label, row 2: label 'one'; allowed: a whole",
        ),
        ({}, b"x,label\n0,a\n0,\n0,b\n0,b\n", "column label, row 1: label ''"),
        (
            {"classes": ["a", "b"]},
            b"x,label\n0,a\n0,a\n0,c\n0,b\n",
            r"column label, row 2: label 'c'; allowed: one of 'a', 'b' \(the key classes\)",
        ),
        ({"classes": ["a", "b"]}, b"x,label\n0,a\n0,a\n", "class 'b' has 0 inputs"),
        ({}, b"x,label\n0,a\n0,b\n", "class 'b' has 1 inputs, none of them among the training"),
        ({"header": False, "label_column": 5}, b"0,a\n0,b\n", "no column 5 .*it has 0, 1"),
        ({"header": False, "label_column": 1}, b"x,y\n0,a\n0,a\n0,y\n", "column 0, row 0: x"),
    ],
)
def test_unusable_tables_are_named(tmp_path, settings, content, named):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    refused(TABLE | settings, path, named)


def test_unusable_table_files_are_named(tmp_path, table):
    refused(TABLE, tmp_path, "0 files of train.csv or .* or train.parquet; allowed: one")
    (tmp_path / "train.csv").write_text(table.read_text())
    (tmp_path / "test.csv").write_text("x,z,label\n0,0,a\n0,0,b\n")
    settings = TABLE | {"ranges": [0, 7]}
    refused(settings, tmp_path, "test.csv: columns 'x', 'z', 'label'; allowed: .*'x', 'y'")
    (tmp_path / "test.csv").write_text("x,y,label\n0,0,a\n0,0,c\n")
    refused(
        settings, tmp_path, "test.csv: column label, row 1: label 'c'; allowed: one of 'a', 'b'"
    )
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    refused(TABLE, tmp_path, "2 files of train.csv")
    refused(TABLE, tmp_path / "train.parquet", "train.parquet: not a readable table")
    refused(TABLE | {"header": False, "label_column": 2}, tmp_path / "train.parquet", "header: fal")
    refused(
        TABLE, table.rename(tmp_path / "t.txt"), "t.txt: not a table by its name; allowed: .csv"
    )


def test_parquet_columns_of_no_numbers_are_named(tmp_path):
    frame = pd.DataFrame({"label": [0, 0, 1, 1]})
    for column in (pd.date_range("2020", periods=4), [[1]] * 4, ["0", "1", "x", "1"]):
        frame.assign(x=column).to_parquet(tmp_path / "t.parquet")
        refused(TABLE, tmp_path / "t.parquet", r"column x, row \d: .*; allowed: a number")
    frame.assign(label=[[1]] * 4, x=0).to_parquet(tmp_path / "t.parquet")
    refused(TABLE, tmp_path / "t.parquet", "column label: .*; allowed: whole numbers or text")


ZEROS = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"inputs": ZEROS}, r"no array labels, but \['inputs'\]; allowed: inputs and labels"),
        ({"inputs": ZEROS, "labels": [0, 1]}, r"inputs of shape \(4, 2\) with labels of shape"),
        ({"inputs": ZEROS[0], "labels": [0, 1]}, r"inputs of shape \(2,\)"),
        ({"inputs": ZEROS, "labels": [0, 0, 1, 0.5]}, "array labels, row 3: label 0.5"),
        ({"inputs": ZEROS + 2, "labels": [0, 0, 1, 1]}, "array inputs, row 0: 2.0; allowed"),
        ({"inputs": ZEROS * np.nan, "labels": [0, 0, 1, 1]}, "array inputs, row 0: nan"),
        ({"inputs": ZEROS.astype(str), "labels": [0, 0, 1, 1]}, "values of type <U32"),
        (
            {"inputs": ZEROS.astype(object), "labels": [0, 0, 1, 1]},
            "array inputs cannot be read: Object arrays cannot be loaded",
        ),
        (
            {"inputs": ZEROS, "labels": [0, 0, 0, 1]},
            "class '1' has 1 inputs, none of",
        ),
        (
            {"train_inputs": ZEROS, "train_labels": [0, 0, 1, 1], "test_inputs": ZEROS},
            "no array test_labels",
        ),
        (
            {
                "train_inputs": ZEROS,
                "train_labels": [0, 0, 1, 1],
                "test_inputs": np.zeros((2, 3)),
                "test_labels": [0, 1],
            },
            r"test inputs of shape \(3,\); allowed: that of training inputs, \(2,\)",
        ),
    ],
)
def test_unusable_npz_files_are_named(tmp_path, arrays, named):
    refused(NPZ, write_npz(tmp_path / "a.npz", **arrays), named)


def test_damaged_npz_files_are_named(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"text", write_npz(path, inputs=ZEROS).read_bytes()[:100]):
        path.write_bytes(content)
        refused(NPZ, path, "not a readable npz file")
    np.savez_compressed(path, inputs=ZEROS, labels=[0, 0, 1, 1])
    content = bytearray(path.read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    refused(NPZ, path, "(cannot be read|not a readable npz file)")


def test_download(tmp_path, mnist, monkeypatch):
    import torchvision.datasets

    def fake(folder, download):
        assert download
        shutil.copytree(mnist / "MNIST", Path(folder, "MNIST"))

    def broken(folder, **_):
        Path(folder, "MNIST").mkdir()
        raise RuntimeError("no network")

    settings = MNIST | {"download": True}
    monkeypatch.setattr(torchvision.datasets, "MNIST", broken)
    datasets.fetch(settings, mnist)
    with pytest.raises(DataError, match="new: torchvision cannot download mnist: no network"):
        datasets.fetch(settings, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    monkeypatch.setattr(torchvision.datasets, "MNIST", fake)
    datasets.fetch(settings, tmp_path / "new")
    assert check(settings, tmp_path / "new").train_labels.tolist() == [0, 1] * 4
    datasets.fetch(MNIST, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_outlines_need_neither_torchvision_nor_scikit_learn():
    code = (
        "import sys; from pathlib import Path;"
        "from certbd.attacks import poison; from certbd.data import datasets;"
        "datasets.outline({'kind': 'digits', 'classes': [0, 1]}, Path());"
        "assert not {'torch', 'torchvision', 'sklearn', 'PIL'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


DATA = os.environ.get("CERTBD_DATA_ROOT", "")


def real(folder):
    return pytest.mark.skipif(
        not (DATA and Path(DATA, folder).is_dir()),
        reason=f"not checked: real data; set CERTBD_DATA_ROOT to the folder that holds {folder}/",
    )


@real("MNIST")
def test_real_mnist():
    from torchvision.datasets import MNIST as TORCHVISION

    data = check(MNIST, Path(DATA))
    assert data.train_inputs.shape == (12665, 1, 28, 28)
    assert data.test_inputs.shape == (2115, 1, 28, 28)
    published = TORCHVISION(DATA, train=False)
    kept = published.targets <= 1
    assert np.array_equal(data.test_labels, published.targets[kept])
    assert np.array_equal(data.test_inputs[:, 0] * 255, published.data[kept])


@real("cifar10_images")
def test_real_image_folder():
    data = check(FOLDER, Path(DATA, "cifar10_images"))
    assert data.class_names.tolist() == ["airplane", "bird"]
    assert data.train_inputs.shape == (10000, 3, 32, 32)
    assert data.test_inputs.shape == (2000, 3, 32, 32)
