"""N smoothed models: the published loop, the same steps in memory, and the engine, in one run.

(a) published: one model at a time, each image through a dataset, a PIL image and ToTensor, stored
noise added, DataLoader(num_workers=0), binary cross-entropy, Adam. (b) in memory: the same steps on
tensors. (c) engine: `certbd.training.ensembles`; on a CPU one single-threaded worker per core, as
the workflow runs its chunks. Same networks, data, epochs and batch size; start-up is not counted
(on a GPU it is printed: most of it compiles, and is kept on disk for other jobs). Medians of the
repeats. The last two lines are the ratios of models a second, c over b and c over a.
"""

import argparse
import itertools
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.datasets import MNIST, VisionDataset
from torchvision.transforms import ToTensor

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow" / "scripts"))
from certbd import rng
from certbd.artifacts.io import DataSplits, PoisonedSet
from certbd.data import datasets
from certbd.learners import architectures, layers
from certbd.learners import learner as learners
from certbd.learners.network import Network
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.gaussian.draw import Gaussian

SIGMA = 0.25
LEARNERS = {
    "mnist": {
        "kind": "cnn", "epochs": 2, "batch_size": 128, "learning_rate": 0.001,
        "precision": "bfloat16",
    },
    "cifar10_images": {
        "kind": "preact_resnet", "epochs": 2, "batch_size": 128, "learning_rate": 0.001,
        "precision": "bfloat16",
    },
    "digits": {
        "kind": "mlp", "hidden": 32, "epochs": 10, "batch_size": 64, "learning_rate": 0.01,
    },
}  # fmt: skip


class Setting(NamedTuple):
    """What is trained, on what, where."""

    data: DataSplits
    images: Dataset
    learner: Network
    device: torch.device

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.data.train_inputs.shape[1:]


class BinaryImages(Dataset):
    """The images of two classes."""

    def __init__(self, source: Dataset, classes: tuple[int, int]):
        self.source, self.classes = source, classes
        self.kept = [k for k, (_, label) in enumerate(source) if label in classes]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image and its label, 0 or 1."""
        image, label = self.source[self.kept[index]]
        return image, int(label == self.classes[1])

    def __len__(self) -> int:
        return len(self.kept)


class NoisyImages(Dataset):
    """Images with stored noise added."""

    def __init__(self, source: Dataset, noise: Tensor):
        self.source, self.noise = source, noise

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one noisy image and its label."""
        image, label = self.source[index]
        return image + self.noise[index], label

    def __len__(self) -> int:
        return len(self.source)


class ArrayImages(VisionDataset):
    """Arrays in the manner of torchvision's MNIST: a PIL image an item, then its transform."""

    def __init__(self, data: DataSplits):
        super().__init__(transform=ToTensor())
        pixels = np.round(data.train_inputs * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        self.data = torch.from_numpy(np.squeeze(pixels))
        self.targets = torch.from_numpy(data.train_labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image and its label."""
        return self.transform(Image.fromarray(self.data[index].numpy())), int(self.targets[index])


def published_batches(setting: Setting) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each step's batch of the published loop."""
    data, learner = setting.data, setting.learner
    images = NoisyImages(setting.images, SIGMA * torch.randn(data.train_inputs.shape))
    for _ in range(learner.epochs):
        for inputs, labels in DataLoader(images, learner.batch_size, shuffle=True):
            yield inputs.to(setting.device), labels.to(setting.device)


def batches_in_memory(setting: Setting) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each step's batch from tensors on the device."""
    data, learner, device = setting.data, setting.learner, setting.device
    clean = torch.from_numpy(data.train_inputs).to(device)
    noisy, labels = clean + SIGMA * torch.randn_like(clean), torch.from_numpy(data.train_labels)
    labels = labels.to(device)
    for _ in range(learner.epochs):
        for batch in torch.randperm(len(labels), device=device).split(learner.batch_size):
            yield noisy[batch], labels[batch]


def train_in_a_loop(
    setting: Setting, indices: range, batches: Callable[[Setting], Iterator[tuple[Tensor, Tensor]]]
) -> dict[str, Tensor]:
    """Train one model after the other with PyTorch's own layers and optimiser."""
    states = []
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's default, which the published loop keeps
    for index in indices:
        module = setting.learner.module(setting.shape, 2)
        initial = layers.initial_state(module, rng.generator(0, rng.Purpose.WEIGHTS, index))
        module = published_order(module.to_empty(device=setting.device)).train()
        module.load_state_dict({name: torch.from_numpy(part) for name, part in initial.items()})
        optimiser = torch.optim.Adam(module.parameters(), setting.learner.learning_rate)
        for inputs, labels in batches(setting):
            optimiser.zero_grad()
            answers = module(inputs)
            loss = nn.functional.binary_cross_entropy_with_logits(
                answers[:, 1] - answers[:, 0], labels.to(answers.dtype)
            )
            loss.backward()
            optimiser.step()
        states.append({name: module.state_dict()[name].detach() for name in initial})
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def published_order(module: nn.Module) -> nn.Module:
    """Rectify before pooling, as the published CNN does; the answers are the same."""
    if isinstance(module, architectures.CNN):
        pool = nn.functional.max_pool2d

        def forward(inputs: Tensor) -> Tensor:
            features = pool(module.conv1(inputs).relu(), 2)
            features = pool(module.conv2(features).relu(), 2)
            return module.output(module.hidden(features.flatten(1)).relu())

        module.forward = forward
    return module


def train_with_the_engine(setting: Setting, indices: range) -> dict[str, Tensor]:
    """Train a chunk of models, as the rule `train_models` does."""
    data = setting.data
    poisoned = PoisonedSet(data.train_inputs, data.train_labels, np.arange(0))
    return ensembles.train(
        poisoned, Gaussian(SIGMA), setting.learner, 2, 0, indices, device=setting.device
    )


def start_worker() -> None:
    """Have a worker compute on one thread, and do what a process does only once."""
    ensembles.pick_device("cpu")


def train_on_all_cores(
    pool: ProcessPoolExecutor, setting: Setting, n_models: int, workers: int
) -> dict[str, Tensor]:
    """Train one chunk a worker, side by side."""
    edges = np.linspace(0, n_models, workers + 1).astype(int)
    chunks = [range(*pair) for pair in itertools.pairwise(edges)]
    parts = list(pool.map(train_numpy, [setting._replace(images=None)] * len(chunks), chunks))
    return {
        name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in parts[0]
    }


def train_numpy(setting: Setting, indices: range) -> dict[str, NDArray[np.float32]]:
    """Train a chunk, and return arrays, which go between processes by value."""
    return {name: p.cpu().numpy() for name, p in train_with_the_engine(setting, indices).items()}


def accuracy(setting: Setting, ensemble: dict[str, Tensor]) -> float:
    """Return the mean accuracy of the models on test inputs with noise."""
    module = setting.learner.module(setting.shape, 2)
    ensemble = {name: part.to(setting.device) for name, part in ensemble.items()}
    n_models = len(next(iter(ensemble.values())))
    generators = rng.generators(0, rng.Purpose.TEST_NOISE, range(n_models))
    votes, _ = vote(module, ensemble, setting.data.test_inputs, SIGMA, generators)
    return float((votes == setting.data.test_labels).mean())


def flops_a_model(setting: Setting) -> float:
    """Count the multiplications and additions of training one model."""
    data, learner = setting.data, setting.learner
    module = learner.module(setting.shape, 2).to_empty(device="cpu").train()
    n_inputs = min(learner.batch_size, len(data.train_labels))
    with FlopCounterMode(display=False) as counter:
        module(torch.from_numpy(data.train_inputs[:n_inputs])).sum().backward()
    return counter.get_total_flops() / n_inputs * len(data.train_labels) * learner.epochs


def peak_flops(device: torch.device) -> float:
    """Measure the device's float32 rate on a large matrix product, all cores."""
    side = 8192 if device.type == "cuda" else 2048
    left = torch.rand(side, side, device=device)
    return 2 * side**3 / median_time(lambda: left @ left, 5, device)[0]


def median_time(work: Callable[[], Any], repeats: int, device: torch.device) -> tuple[float, Any]:
    """Return the median time of a call in seconds, and what the last one gave."""
    times, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def peak_memory(device: torch.device) -> str:
    """Return the largest memory of this process and of any worker so far."""
    used = [
        resource.getrusage(who).ru_maxrss / 2**20
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    text = f"{max(used):.2f} GiB a process"
    if device.type == "cuda":
        text += f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the GPU"
    return text


def read(options: argparse.Namespace) -> tuple[DataSplits, Dataset]:
    """Read two classes of a dataset as arrays, and its images as torchvision gives them."""
    root = Path(options.data_root)
    if options.dataset == "cifar10_images":
        folders = {"kind": "image_folder", "classes": ["airplane", "bird"]}
        data = datasets.load(folders, root / "cifar10_images")
    else:
        data = datasets.load({"kind": options.dataset, "classes": [0, 1]}, root)
    source = MNIST(root, transform=ToTensor()) if options.dataset == "mnist" else ArrayImages(data)
    start = time.perf_counter()
    images = BinaryImages(source, (0, 1))
    print(f"published class filter, once a run, not counted: {time.perf_counter() - start:.2f} s")
    return data, images


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dataset", choices=list(LEARNERS), default="digits")
    parser.add_argument("--data-root", default=".", help="holds MNIST/raw, cifar10_images")
    parser.add_argument("--models", type=int, help="trained by the engine; 1000, images on a CPU 4")
    parser.add_argument("--loop-models", type=int, default=1, help="trained by each loop")
    parser.add_argument("--epochs", type=int, help="passes over the training set; 10, images 2")
    parser.add_argument("--batch-size", type=int, help="inputs a step; 64, images 128")
    parser.add_argument(
        "--precision",
        choices=["float32", "tf32", "bfloat16"],
        help="of the engine; float32, images bfloat16",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--growth", action="store_true", help="only the engine, N = 250 to 2000")
    return parser.parse_args()


def main() -> None:
    """Time the three, one after the other, and print what came out."""
    options = parse()
    device = ensembles.pick_device(options.device)
    workers = os.cpu_count() or 1 if device.type == "cpu" else 1
    torch.set_num_threads(workers)  # the loops use all cores
    chosen = {key: getattr(options, key) for key in ("epochs", "batch_size", "precision")}
    settings = LEARNERS[options.dataset] | {key: value for key, value in chosen.items() if value}
    learner = learners.read(settings)
    setting = Setting(*read(options), learner, device)
    few = options.dataset != "digits" and device.type == "cpu"
    if options.growth:
        show_growth(setting, options.repeats)
        return
    n_models = options.models or (2 * workers if few else 1000)
    loop = range(options.loop_models)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker) as pool:
        warm_up = setting._replace(learner=learner.model_copy(update={"epochs": 1}))
        if device.type == "cpu":
            train_on_all_cores(pool, warm_up, workers, workers)

            def engine() -> dict[str, Tensor]:
                return train_on_all_cores(pool, setting, n_models, workers)
        else:
            start = time.perf_counter()
            train_with_the_engine(warm_up, range(n_models))
            print(f"warm-up, compilation and one epoch: {time.perf_counter() - start:.2f} s")

            def engine() -> dict[str, Tensor]:
                return train_with_the_engine(setting, range(n_models))

        rows = [
            (
                "a published loop",
                len(loop),
                lambda: train_in_a_loop(setting, loop, published_batches),
            ),
            ("b in memory", len(loop), lambda: train_in_a_loop(setting, loop, batches_in_memory)),
            ("c engine", n_models, engine),
        ]
        times = {name: [] for name, _, _ in rows}
        ensembles_of = {}
        for _ in range(options.repeats):  # in turns, so that a slow minute meets all three
            for name, _, work in rows:
                seconds, ensembles_of[name] = median_time(work, 1, device)
                times[name].append(seconds)
    results = [(name, n, statistics.median(times[name]), ensembles_of[name]) for name, n, _ in rows]
    report(setting, results, options)


def show_growth(setting: Setting, repeats: int) -> None:
    """Print the engine's time and memory for growing N, in chunks of 250, on one core."""
    if setting.device.type == "cpu":
        torch.set_num_threads(1)
    chunks = [range(first, first + 250) for first in range(0, 2000, 250)]
    train_with_the_engine(setting, range(10))
    base = 0.0
    for n_models in (250, 500, 1000, 2000):

        def work(n_models: int = n_models) -> None:
            for chunk in chunks[: n_models // 250]:
                train_with_the_engine(setting, chunk)

        each = median_time(work, repeats, setting.device)[0] / n_models
        base = base or each
        print(
            f"N = {n_models}: {1000 * each:.3f} ms a model, {100 * (each / base - 1):+.1f} % "
            f"against N = 250; peak memory {peak_memory(setting.device)}"
        )


def report(
    setting: Setting, results: list[tuple[str, int, float, Any]], options: argparse.Namespace
) -> None:
    """Print a row for each of the three, and the two ratios."""
    learner, data = setting.learner, setting.data
    flops, peak = flops_a_model(setting), peak_flops(setting.device)
    print(
        f"{options.dataset}, two classes, {len(data.train_labels)} training inputs, "
        f"{learner.kind}, {learner.epochs} epochs, batch {learner.batch_size}, "
        f"{setting.device.type}, {torch.get_num_threads()} cores, torch {torch.__version__}, "
        f"engine in {learner.recipe().precision}, median of {options.repeats}"
    )
    print(f"{flops / 1e9:.3g} GFLOP a model; large float32 product: {peak / 1e9:.0f} GFLOP/s")
    rates = {}
    for name, n_models, seconds, ensemble in results:
        rate = rates[name[0]] = n_models / seconds
        print(
            f"({name[0]}) {name[2:]:<15} {n_models:5d} models {seconds:8.2f} s "
            f"{1 / rate / learner.epochs:8.4f} s/epoch {rate:9.3f} models/s "
            f"{100 * rate * flops / peak:5.1f} % of peak, "
            f"accuracy {accuracy(setting, ensemble):.4f}"
        )
    print(f"peak memory: {peak_memory(setting.device)}")
    print(f"ratio-in-memory: {rates['c'] / rates['b']:.2f}")
    print(f"ratio: {rates['c'] / rates['a']:.2f}")


if __name__ == "__main__":
    main()
