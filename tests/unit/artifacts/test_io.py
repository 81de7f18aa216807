import numpy as np
import pandas as pd
import pytest

from certbd.artifacts import io, products, schemas

SETTINGS, CODE, INPUTS = {"seed": 3, "learner": {"kind": "mlp"}}, "0123456789abcdef", {"data": "ab"}
ORIGIN = io.provenance(SETTINGS, CODE, INPUTS)
KNOWN = ORIGIN["identity"]
TABLE = pd.DataFrame(
    {"split": "benign", "sample": [0, 1], "sigma": 0.5, "start": 0.25, "radius": 1.0}
)
ARRAYS = io.PoisonedSet(np.ones((2, 3), np.float32), np.array([0, 1]), np.array([1]))


def test_provenance_holds_nothing_that_differs_between_equal_runs():
    assert set(ORIGIN) == {"identity", "settings", "code", "inputs", "versions", "commit"}
    assert io.provenance(dict(reversed(SETTINGS.items())), CODE, INPUTS) == ORIGIN


def test_provenance_does_without_a_package_that_a_stage_does_not_need(monkeypatch):
    monkeypatch.setattr(io, "PACKAGES", ("numpy", "no-such-package"))
    assert set(io.provenance({}, "code", {})["versions"]) == {"numpy", "python"}


def test_arrays_tables_and_models_come_back_with_their_provenance(tmp_path):
    io.write_arrays(tmp_path / "a.npz", ARRAYS, ORIGIN)
    for got, expected in zip(
        io.read_arrays(tmp_path / "a.npz", io.PoisonedSet, KNOWN), ARRAYS, strict=True
    ):
        assert np.array_equal(got, expected)
    assert io.read_provenance(tmp_path / "a.npz") == ORIGIN

    io.write_table(tmp_path / "t.parquet", TABLE, schemas.SIGMA, ORIGIN)
    read = io.read_table(tmp_path / "t.parquet", schemas.SIGMA, KNOWN)
    assert read["sigma"].tolist() == [0.5, 0.5]
    assert io.read_provenance(tmp_path / "t.parquet") == ORIGIN

    io.write_models(tmp_path / "m.safetensors", {"w": np.ones((2, 3), np.float32)}, ORIGIN)
    assert np.array_equal(io.read_models(tmp_path / "m.safetensors", KNOWN)["w"], np.ones((2, 3)))
    stored = io.read_provenance(tmp_path / "m.safetensors")
    assert stored == ORIGIN | {"seal": stored["seal"]}


def test_equal_content_gives_equal_bytes(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        io.write_arrays(folder / "a.npz", ARRAYS, ORIGIN)
        io.write_table(folder / "t.parquet", TABLE, schemas.SIGMA, ORIGIN)
        io.write_models(folder / "m.safetensors", {"v": np.ones(2), "w": np.ones(3)}, ORIGIN)
        products.write_csv(folder / "s.csv", TABLE)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fail():
        with io.atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "text"])
def test_damaged_files_are_named(tmp_path, damage):
    io.write_arrays(tmp_path / "a.npz", ARRAYS, ORIGIN)
    io.write_table(tmp_path / "t.parquet", TABLE, schemas.SIGMA, ORIGIN)
    io.write_models(tmp_path / "m.safetensors", {"w": np.ones(300)}, ORIGIN)
    for file in list(tmp_path.iterdir()):
        whole = file.read_bytes()
        file.unlink()
        if damage != "missing":
            file.write_bytes(
                {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage]
            )
    with pytest.raises(io.DataError, match=r"a\.npz"):
        io.read_arrays(tmp_path / "a.npz", io.PoisonedSet, KNOWN)
    with pytest.raises(io.DataError, match=r"t\.parquet"):
        io.read_table(tmp_path / "t.parquet", schemas.SIGMA, KNOWN)
    with pytest.raises(io.DataError, match=r"m\.safetensors"):
        io.read_models(tmp_path / "m.safetensors", KNOWN)
