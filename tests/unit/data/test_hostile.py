"""A hundred generated configurations and data files that are refused by name, and nothing else."""

import ast
import copy
import io as streams
import math
import os
import random
import struct
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from certbd.artifacts import io
from certbd.certify import external
from certbd.config.config import ConfigError, read_config
from certbd.data import datasets
from conftest import ROOT

DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
N_CONFIGS, N_FILES = 50, 53
NAMES = [
    *("../../etc", "/etc/passwd", "a/b", "..", ".hidden", "-rf", "a b", "a'b", 'a"b', "a;touch x"),
    *("$(touch x)", "`touch x`", "a|b", "a\nb", "a\n", "", "n" * 65, "ä", "零", "\u202eabc", "A"),
    *("{w}", "a\x00b", "%s", "~", "*", "a\\b", "CON:"),
]  # fmt: skip


def leaves(value, path=()):
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path


def at(config, path):
    for key in path:
        config = config[key]
    return config


def odd_name(config, rng):
    table, name = rng.choice(["datasets", "attacks", "noises", "learners"]), rng.choice(NAMES)
    config[table][name] = config[table].pop(rng.choice(sorted(config[table])))
    return repr(name)


def odd_reference(config, rng):
    experiment, name = rng.choice(config["experiments"]), rng.choice(NAMES)
    key = rng.choice(["dataset", "learner", "attacks", "noises"])
    experiment[key] = [name] if key in ("attacks", "noises") else name
    return f".{key}"


def unknown_key(config, rng):
    entries = [config, *config["experiments"]]
    entries += [
        entry for table in ("datasets", "noises", "learners") for entry in config[table].values()
    ]
    key = rng.choice(["sigmaa", "__proto__", "$ref", "ünknown", "k" * 5000, "a.b[0]", "; rm -rf ."])
    rng.choice(entries)[key] = 1
    return key


def wrong_type(config, rng):
    path = rng.choice(list(leaves(config)))
    at(config, path[:-1])[path[-1]] = {"of": {"a": "wrong type"}}
    return str(path[0])


def no_number(config, rng):
    path = rng.choice([p for p in leaves(config) if type(at(config, p)) in (int, float)])
    bad = [math.nan, math.inf, -math.inf, 10**400, -(10**30), "1; rm", True, None, 2.5e300]
    at(config, path[:-1])[path[-1]] = rng.choice(bad)
    return str(path[0])


def missing_key(config, rng):
    key = rng.choice(["dataset", "attacks", "defense", "noises", "learner", "n_models"])
    del rng.choice(config["experiments"])[key]
    return repr(key)


def too_much(config, rng):
    key, change = rng.choice([
        ("n_models", lambda c: c["experiments"][0].update(n_models=10**15)),
        ("curves.joint", lambda c: c["curves"].update(joint={"stop": 1e6, "step": 1e-6})),
        ("summary.csv", lambda c: c["datasets"].update({"summary.csv": c["datasets"]["digits"]})),
        ("data.npz", lambda c: c["attacks"].update({"data.npz": c["attacks"]["blending"]})),
        ("path", lambda c: c["datasets"].update(d={"kind": "npz", "path": "p" * 5000})),
        ("path", lambda c: c["datasets"].update(d={"kind": "npz", "path": "a\0b"})),
        ("data_root", lambda c: c.update(data_root="")),
    ])  # fmt: skip
    change(config)
    return key


def endless(config, rng):
    value = ["laugh"]
    for _ in range(15):
        value = [value] * 10  # 10^15 values in all, as YAML's anchors make them
    if rng.random() < 0.5:
        value.append(value)
    config[rng.choice(["reach", "searches", "references"])] = {"values": value}
    return "values"


MUTATIONS = [
    odd_name,
    odd_reference,
    unknown_key,
    wrong_type,
    no_number,
    missing_key,
    too_much,
    endless,
]


@pytest.mark.parametrize("number", range(N_CONFIGS))
def test_bad_configurations_are_refused_by_key(number):
    rng = random.Random(number)  # noqa: S311
    config = copy.deepcopy(DEFAULT)
    named = MUTATIONS[number % len(MUTATIONS)](config, rng)
    with pytest.raises(ConfigError) as refusal:
        read_config(config)
    assert named in str(refusal.value)
    assert len(str(refusal.value)) < 20_000


def png(width, height, mode="L"):
    stream = streams.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return stream.getvalue()


def npz(**arrays):
    stream = streams.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npy(shape, dtype="<f4", version=1):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header


def zipped(members):
    stream = streams.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def parquet(table):
    stream = streams.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), stream)
    return stream.getvalue()


INPUTS, LABELS = np.linspace(0, 1, 80, dtype=np.float32).reshape(20, 4), np.arange(20) % 2
CSV = "label,a,b\n" + "".join(f"{row % 2},0.{row},0.5\n" for row in range(20))
TABLE = {"label": LABELS, "a": INPUTS[:, 0]}
MILLION = np.arange(10**6) // 500_000


def cut(content, rng):
    return content[: rng.randrange(1, len(content) - 1)]


def noise(rng):
    return rng.randbytes(rng.randrange(1, 2000))


ARRAYS = [
    lambda rng: cut(npz(inputs=INPUTS, labels=LABELS), rng),
    noise,
    npz(inputs=INPUTS, labels=np.array([{}] * 20)),  # pickled objects
    npz(inputs=np.array([print] * 20, object)[:, None], labels=LABELS),
    npz(inputs=np.where(INPUTS > 0.9, np.nan, INPUTS), labels=LABELS),
    npz(inputs=INPUTS * 1e30, labels=LABELS),
    npz(inputs=INPUTS[:7], labels=LABELS),
    npz(inputs=INPUTS, labels=LABELS + 0.5),
    npz(inputs=INPUTS.astype(complex), labels=LABELS),
    npz(inputs=INPUTS[:, :0], labels=LABELS),
    npz(images=INPUTS),
    npz(inputs=INPUTS, labels=LABELS * 0),
    zipped({"inputs.npy": npy((10**12, 4)), "labels.npy": npy((10**12,))}),
    zipped({"inputs.npy": npy((20, -4)), "labels.npy": npy((20,))}),
    zipped({"inputs.npy": npy("__import__('os')"), "labels.npy": b""}),
    zipped({"../../inputs.npy": npy((20, 4)), "labels.npy": npy((20,))}),
    zipped({"inputs.npy": npy((20, 4), version=9), "labels.npy": npy((20,))}),
    b"",
]
TABLES = [
    noise,
    b"\xff\xfe" + CSV.encode("utf-16-le"),
    CSV.replace("0.7,", "0.7,0.1,0.2,").encode(),
    CSV.replace("0.7,", "seven,").encode(),
    CSV.replace("0.7,", "inf,").encode(),
    CSV.replace("0.7,", "1e400,").encode(),
    CSV.replace("0.7,", "\x00,").encode(),
    CSV.replace("label", "Label").encode(),
    CSV.replace("a,b", "a,a").replace("label", "x").encode(),
    CSV.replace("\n1,", "\n$(touch x),").encode() + b"\xe9,0.1,0.2\n",
    CSV.splitlines()[0].encode(),
    ("label\n" + "1\n" * 20).encode(),
    b'label,a\n"' + b"0" * 200_000,
    b"",
]
PARQUETS = [
    lambda rng: cut(parquet(TABLE), rng),
    noise,
    lambda rng: b"PAR1" + noise(rng) + b"\xff\xff\xff\x7fPAR1",
    parquet(TABLE | {"a": [["x"]] * 20}),
    parquet(TABLE | {"a": [None] * 20}),
    parquet(TABLE | {"a": [0.5] * 19 + [1.5]}),
    parquet({"label": [b"\xff"] * 20, "a": [0.5] * 20}),
]
IMAGES = [
    lambda rng: cut(png(40, 40), rng)[:60],
    noise,
    png(8000, 8000, "1"),  # 64 million pixels in 8 kB
    png(8, 8, "RGBA"),
    png(9, 8),
    png(8, 8).replace(struct.pack(">II", 8, 8), struct.pack(">II", 8, 2**31 - 1)),
    lambda rng: b"GIF89a" + noise(rng),
    b"",
]
VOTES = [
    noise,
    lambda rng: cut(parquet(TABLE), rng),
    parquet({"sample": [0], "label": [0], "vote": [[9, 9]]}),
    parquet({"sample": [0], "label": ["$(x)"], "vote": [[0, 1]]}),
    parquet({"model": ["a"], "split": ["benign"], "sample": [0], "vote": [0]}),
    parquet({"sample": [2**62], "label": [0], "vote": [[0, 1]]}),
]
KINDS = {"npz": ARRAYS, "csv": TABLES, "parquet": PARQUETS, "png": IMAGES, "votes": VOTES}


def load(kind, file):
    named = {"label_column": "label", "header": True} if kind == "table" else {}
    settings = {"kind": kind} | named
    datasets.outline(settings, file)
    datasets.load(settings, file)


def load_images(folder, content, name, usual):
    for number in range(8):
        for label in ("a", "b"):
            (folder / label).mkdir(parents=True, exist_ok=True)
            (folder / label / f"{number}.png").write_bytes(usual)
    (folder / "b" / name).write_bytes(content)
    load("image_folder", folder)


def read_votes(file, labels):
    external.read_votes(str(file), str(labels), 0.5, 2, 2, False)


def bad_file(number, folder):
    """Write one bad file; return its name, and what reads it."""
    rng = random.Random(number)  # noqa: S311
    kinds = [
        ("npz", ARRAYS),
        ("csv", TABLES),
        ("parquet", PARQUETS),
        ("png", IMAGES),
        ("votes", VOTES),
    ]
    every = [(kind, make) for kind, makes in kinds for make in makes]
    kind, make = every[number % len(every)]
    content = make(rng) if callable(make) else make
    name = rng.choice(["bad", "b a d", "b;touch x", "$(touch x)", "ä零", "b" * 200]) + f".{kind}"
    if kind == "png":
        return name, lambda: load_images(folder / "images", content, name, png(8, 8))
    (folder / name).write_bytes(content)
    if kind == "votes":
        pd.DataFrame({"split": ["benign"], "sample": [0], "label": [0]}).to_csv(folder / "l.csv")
        return name, lambda: read_votes(folder / name, folder / "l.csv")
    return name, lambda: load("table" if kind in ("csv", "parquet") else kind, folder / name)


@pytest.mark.parametrize("number", range(N_FILES))
def test_bad_files_are_refused_by_name(tmp_path, monkeypatch, number):
    (tmp_path / "data").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    name, read = bad_file(number, tmp_path / "data")
    with pytest.raises(io.DataError) as refusal:
        read()
    assert name in str(refusal.value)
    assert not list((tmp_path / "here").iterdir())
    assert {entry.name for entry in tmp_path.iterdir()} == {"data", "here"}


@pytest.mark.parametrize("kind", ["npz", "parquet", "votes", "png"])
def test_what_unfolds_to_far_more_than_is_stored_is_not_unfolded(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(io, "NEVER_A_BOMB", 2**18)
    file = tmp_path / f"bomb.{kind}"
    if kind == "png":
        bomb = png(300, 300, "1")
        with pytest.raises(io.DataError, match=r"a: \d+ bytes that unfold to"):
            load_images(tmp_path / "images", bomb, "8.png", bomb)
        return
    if kind == "npz":
        file.write_bytes(npz(inputs=np.zeros((10**6, 1), np.float32), labels=MILLION))
    else:
        file.write_bytes(parquet({"label": MILLION, "sample": MILLION}))
    with pytest.raises(io.DataError, match=rf"bomb\.{kind}: \d+ bytes that unfold to \d+; allowed"):
        read_votes(file, file) if kind == "votes" else load(
            "table" if kind == "parquet" else kind, file
        )


@pytest.mark.parametrize("kind", ["npz", "table", "image_folder"])
def test_what_never_ends_is_not_read(tmp_path, kind):
    (tmp_path / "both").mkdir()
    for name in ("pipe.csv", "both/train.csv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "both" / "test.csv").write_text(CSV)
    for name in ("pipe.csv", "both") if kind == "table" else ("pipe.csv",):
        with pytest.raises(io.DataError, match=r"(pipe|train)\.csv: neither a file nor a folder"):
            load(kind, tmp_path / name)
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(io.DataError, match=r"zero\.csv: neither a file nor a folder"):
        load(kind, tmp_path / "zero.csv")


def test_nothing_runs_what_it_reads():
    """No pickles (torchvision's reader apart, after its checksum), no eval, no shell."""
    allowed = {("io.py", "subprocess"), ("rates.py", "subprocess")}  # asks git for the commit
    for file in (ROOT / "workflow" / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = set()
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]}
            odd = names & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "subprocess"}
            assert {(file.name, name) for name in odd} <= allowed, file
            if isinstance(node, ast.Call):
                check_call(file, node)


def check_call(file, call):
    called = ast.unparse(call.func)
    assert called not in ("eval", "exec", "compile", "os.system", "os.popen"), file
    assert not called.endswith(("read_pickle", "torch.load", "torch.save", "to_pickle")), file
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    assert keywords.get("shell", "False") == "False", file
    if called in ("np.load", "numpy.load"):
        assert keywords["allow_pickle"] == "False", file
