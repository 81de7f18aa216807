"""Every shipped configuration plans its jobs where its data lie."""

import numpy as np
import pytest
import yaml

from certbd.data.kinds import cifar10, imagenette
from conftest import CONFIGS, ROOT, Workflow


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def stand_in(data):
    """Put files where published datasets lie: a dry run reads labels, names and bytes alone."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 600)
    for split in ("train", "t10k"):
        for what, values in (
            ("images-idx3", np.zeros((len(labels), 0, 0), np.uint8)),
            ("labels-idx1", labels),
        ):
            touch(file := data / "MNIST" / "raw" / f"{split}-{what}-ubyte")
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            file.write_bytes(header + values.tobytes())
    touch(data / "mnist2to9_cnn.safetensors")
    for file in cifar10.FILES:
        touch(data / "cifar-10-batches-py" / file)
    for folder in (
        *(
            f"imagenette2/{split}/{name}"
            for split in ("train", "val")
            for name in imagenette.FOLDERS.values()
        ),
        *(f"cifar10_images/{s}/{c}" for s in ("train", "test") for c in ("airplane", "bird")),
    ):
        for number in range(200):
            touch(data / folder / f"{number}.jpg")


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_config_dry_runs(tmp_path, name):
    workflow = Workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config" / name).read_text())
    stand_in(tmp_path / "data")
    for experiment in config["experiments"]:
        for key in ("votes", "labels"):
            if key in experiment:
                touch(tmp_path / "data" / experiment[key])
    assert workflow.plan("--configfile", f"config/{name}")
