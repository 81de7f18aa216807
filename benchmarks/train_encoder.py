"""The encoder of config/studies/mnist_encoder.yaml: the published network on the digits 2 to 9.

Zeros and ones, which it is to certify, are not among them. It learns under noise of 0.5, for test
noise is added before it. Usage: python benchmarks/train_encoder.py FOLDER, which holds MNIST/raw;
writes FOLDER/mnist2to9_cnn.safetensors.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow" / "scripts"))
from certbd.artifacts import io
from certbd.data import datasets
from certbd.learners import learner as learners
from certbd.training import ensembles
from certbd.training.gaussian.draw import Gaussian

LEARNER = {"kind": "cnn", "epochs": 5, "batch_size": 128, "learning_rate": 0.001}
SIGMA = 0.5


def main() -> None:
    """Train it with seed 0 and write its weights."""
    root = Path(sys.argv[1])
    data = datasets.load({"kind": "mnist", "classes": list(range(2, 10))}, root)
    clean = io.PoisonedSet(data.train_inputs, data.train_labels, np.arange(0))
    device = ensembles.pick_device("auto")
    learner = learners.read(LEARNER)
    trained = ensembles.train(clean, Gaussian(SIGMA), learner, 8, 0, range(1), device=device)
    weights = {name: parameter[0].cpu().numpy() for name, parameter in trained.items()}
    io.write_models(root / "mnist2to9_cnn.safetensors", weights, {"learner": LEARNER})


if __name__ == "__main__":
    main()
