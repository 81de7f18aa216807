"""The published networks, and a small one. Each network's entry in ``learners.kinds`` builds it.

Sources: ``docs/results.md`` for the published settings; He et al., arXiv 1512.03385 and 1603.05027.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from certbd.learners.layers import Conv2d, Head, Linear


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
