"""The model zoo: the published networks, small ones, and linear classifiers with a closed form.

Every module takes inputs (batch, *input shape) and returns one logit a class, (batch, classes).
It is only the shape of a model: ensembles hold the parameters and buffers of many at once.
Sources: ``docs/theory.md``, section 9; He et al., arXiv 1512.03385 and 1603.05027.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from certbd.artifacts.io import DataError, check_sum
from certbd.learners.weights import read_weights

CLOSED_FORM = ("nearest_class_mean", "ridge", "class_sums")

ALIGNED = 8
"""Rows of half-precision matrices that are multiples of 16 bytes meet fast kernels on GPUs."""


class LinearClassifier(nn.Module):
    """Logits ``x . weight + bias``: nearest class mean, ridge regression, class sums."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_features))
        self.bias = nn.Parameter(torch.empty(n_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return inputs.flatten(1) @ self.weight.T + self.bias


class MLP(nn.Module):
    """Two layers: one hidden layer of rectified linear units.

    A constant `offset` is subtracted from the inputs; biases then have less to learn.
    """

    def __init__(self, n_features: int, hidden: int, n_classes: int, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.hidden = nn.Linear(n_features, hidden)
        self.output = nn.Linear(hidden, n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        features = inputs.flatten(1)
        if self.offset:
            features = features - self.offset
        return self.output(self.hidden(features).relu())


class Conv2d(nn.Conv2d):
    """A convolution of one network, or of several side by side, each on channels of its own.

    The kernels of M networks, stacked along the output channels, meet inputs of M times as many
    channels: one grouped convolution. Groups of a single channel are the exception: GPUs run them
    ten times slower than the product of all patches with the kernels.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve (batch, networks * channels, height, width)."""
        n_networks = inputs.shape[1] // self.in_channels
        if n_networks > 1 and self.in_channels == 1 and not self.padding[0]:
            return self._product(inputs)
        return F.conv2d(
            inputs, self.weight, self.bias, self.stride, self.padding, groups=n_networks
        )

    def _product(self, inputs: Tensor) -> Tensor:
        """Multiply patches (networks, places, pixels) with kernels (networks, pixels, out)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        n_pixels = kernel * kernel
        patches = inputs.unfold(2, kernel, stride).unfold(3, kernel, stride).transpose(0, 1)
        patches = F.pad(patches.flatten(4), (0, -n_pixels % ALIGNED))
        kernels = self.weight.reshape(len(patches), -1, n_pixels)
        kernels = F.pad(kernels, (0, -n_pixels % ALIGNED))
        products = torch.bmm(patches.flatten(1, 3), kernels.mT)
        if self.bias is not None:
            products = products + self.bias.view(len(patches), 1, -1).to(products.dtype)
        places = products.unflatten(1, patches.shape[1:4])  # (networks, batch, height, width, out)
        return places.permute(1, 0, 4, 2, 3).flatten(1, 2)


class Linear(nn.Linear):
    """A linear layer of one network, or of several side by side: one batched product."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (batch, networks * in_features) to (batch, networks * out_features)."""
        n_networks = inputs.shape[1] // self.in_features
        if n_networks == 1:
            return super().forward(inputs)
        own = inputs.unflatten(1, (n_networks, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (n_networks, -1))
        answers = torch.bmm(own, weight.mT).transpose(0, 1).flatten(1)
        return answers + self.bias.to(answers.dtype)


class Head(Linear):
    """The last layer. Two classes have one logit, the published networks' own; class 0 has 0."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, 1 if n_classes == 2 else n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, networks * classes); those of two classes are (0, z).

        Cross-entropy on (0, z) is binary cross-entropy on z.
        """
        answers = super().forward(inputs)
        return F.pad(answers[..., None], (1, 0)).flatten(1) if self.out_features == 1 else answers


class CNN(nn.Module):
    """The published network for MNIST: two 5 x 5 convolutions with pooling, 512 hidden units."""

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.conv1 = Conv2d(channels, 16, 5)
        self.conv2 = Conv2d(16, 32, 5)
        sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        self.hidden = Linear(32 * math.prod(sides), 512)
        self.output = Head(512, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Return what the last layer sees, (batch, 512), never negative."""
        # rectified after pooling, which gives the same and costs a quarter
        features = F.max_pool2d(self.conv1(inputs), 2).relu()
        features = F.max_pool2d(self.conv2(features), 2).relu()
        return self.hidden(features.flatten(1)).relu()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.output(self.features(inputs))


class PreActivationBlock(nn.Module):
    """Normalise, rectify, convolve, twice; added to a shortcut (arXiv 1603.05027).

    `first` is the network's first block, whose shortcut starts behind the rectification.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = Conv2d(n_in, n_out, 3, stride, 1)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.conv2 = Conv2d(n_out, n_out, 3, 1, 1)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            shortcut = Conv2d(n_in, n_out, 1, stride)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(n_out))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (batch, n_in, height, width) to (batch, n_out, height / stride, width / stride)."""
        activated = self.bn1(inputs).relu()
        skipped = self.downsample(activated if self.first else inputs)
        return self.conv2(self.bn2(self.conv1(activated)).relu()) + skipped


class PreActivationResNet(nn.Module):
    """The published network for CIFAR-10: three stages of five blocks, 16, 32 and 64 channels."""

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.conv = Conv2d(shape[0], 16, 3, padding=1)
        blocks = []
        for n_in, n_out, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
            blocks.append(PreActivationBlock(n_in, n_out, stride, first=stride == 1))
            blocks += [PreActivationBlock(n_out, n_out, 1, first=False) for _ in range(4)]
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(64)
        self.output = Head(64, n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.output(self.bn(self.blocks(self.conv(inputs))).relu().mean((2, 3)))


class BasicBlock(nn.Module):
    """Convolve, normalise, rectify, twice; added to a shortcut (arXiv 1512.03385)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            shortcut = Conv2d(n_in, n_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(n_out))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (batch, n_in, height, width) to (batch, n_out, height / stride, width / stride)."""
        hidden = self.bn1(self.conv1(inputs)).relu()
        return (self.bn2(self.conv2(hidden)) + self.downsample(inputs)).relu()


class ResNet18(nn.Module):
    """ResNet-18 (arXiv 1512.03385) with a linear head; parameter names as in torchvision."""

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(shape[0], 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = Head(512, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Return what the last layer sees, (batch, 512), never negative."""
        features = F.max_pool2d(self.bn1(self.conv1(inputs)).relu(), 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
        return features.mean((2, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.fc(self.features(inputs))


CONVOLUTIONAL = {"cnn": CNN, "preact_resnet": PreActivationResNet, "resnet18": ResNet18}


def build(learner: Mapping[str, Any], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a module without storage (on the meta device), in evaluation mode.

    Parameters
    ----------
    learner : mapping
        An entry of the configuration's ``learners``.
    input_shape : tuple of int
        Shape of one input; (channels, height, width) for a convolutional network.

    Raises
    ------
    DataError
        If inputs of this shape do not fit the network.
    """
    kind, n_features = learner["kind"], math.prod(input_shape)
    with torch.device("meta"):
        if kind in CLOSED_FORM:
            module: nn.Module = LinearClassifier(n_features, n_classes)
        elif kind in CONVOLUTIONAL:
            _check_images(kind, input_shape)
            module = CONVOLUTIONAL[kind](input_shape, n_classes)
        elif kind == "mlp":
            module = MLP(n_features, learner["hidden"], n_classes, learner.get("offset", 0.0))
        else:
            raise ValueError(f"learner of kind {kind!r}: there is no module of that kind")
    return module.eval()


def _check_images(kind: str, shape: tuple[int, ...]) -> None:
    smallest = 16 if kind == "cnn" else 1
    if len(shape) != 3 or min(shape[1:]) < smallest:
        least = f"{smallest} x {smallest} pixels or more"
        raise DataError(f"a learner of kind {kind} needs images of {least}, not shape {shape}")


def convolutional(module: nn.Module) -> bool:
    """Return whether a module convolves, and so takes networks side by side along its channels."""
    return any(isinstance(layer, Conv2d) for layer in module.modules())


def with_pretrained(learner: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Add the weights of a file to a learner: its own, or the path of those of its encoder.

    Weights of its own are ``pretrained_state``. Without a path there is nothing to add.

    The learner's key ``pretrained``, or ``features.weights``, is the file's SHA-256.

    Raises
    ------
    DataError
        If the file cannot be read, has another SHA-256, or has not every weight of the network but
        its head.
    """
    if not path:
        return dict(learner)
    encodes = "features" in learner
    known = learner["features"]["weights"] if encodes else learner["pretrained"]
    check_sum(path, known, "has changed since this run was planned; run again")
    if encodes:
        return {**learner, "features": {**learner["features"], "weights": path}}
    return {**learner, "pretrained_state": body_state(build(learner, (3, 224, 224), 2), path)}


def body_state(module: nn.Module, path: str) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a network but for its head from a safetensors file.

    Raises
    ------
    DataError
        As `read_weights`.
    """
    heads = tuple(f"{name}." for name, part in module.named_modules() if isinstance(part, Head))
    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
        if not name.startswith(heads) and not name.endswith("num_batches_tracked")
    }
    return read_weights(path, wanted)


def initial_state(
    module: nn.Module, generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Draw initial weights from a generator of our own, distributed as the published code's.

    Weights and biases of a layer with `k` inputs to a unit are uniform between -1/sqrt(k) and
    1/sqrt(k), as ``reset_parameters`` of ``nn.Linear`` and ``nn.Conv2d`` draws them; kernels of
    residual networks are normal with variance 2 / (outputs of a pixel), He et al., arXiv
    1502.01852. Batch normalisation starts as the identity.
    """
    state: dict[str, NDArray[np.float32]] = {}
    residual = any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = np.float32(1 / math.sqrt(layer.weight[0].numel()))
            for part, parameter in layer.named_parameters():
                shape = tuple(parameter.shape)
                if residual and len(shape) == 4:
                    spread = np.float32(math.sqrt(2 / (shape[0] * math.prod(shape[2:]))))
                    state[f"{name}.{part}"] = generator.standard_normal(shape, np.float32) * spread
                else:
                    unit = generator.random(shape, dtype=np.float32)
                    state[f"{name}.{part}"] = (2 * unit - 1) * bound
        elif isinstance(layer, nn.BatchNorm2d):
            for part in ("weight", "bias", "running_mean", "running_var"):
                value = float(part in ("weight", "running_var"))
                state[f"{name}.{part}"] = np.full(layer.num_features, value, np.float32)
    return state
