from collections import defaultdict
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

import certify_votes
import search_noise
from certbd import rng
from certbd.artifacts import io
from certbd.artifacts.io import DataError, TriggeredInputs
from certbd.attacks.attack import read
from certbd.attacks.pixels import PixelTrigger
from certbd.attacks.poison import add_trigger, count_poisoned, poison
from certbd.certify import worlds
from certbd.config.axes import Certification
from certbd.training.world import largest_norm
from conftest import backdoor

KINDS = ("one_pixel", "four_pixel", "blending")
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 224, 224), (2, 5, 9)]


def make(kind, norm, shape, seed=0):
    return backdoor(kind, norm).make_trigger(shape, rng.generator(seed, rng.Purpose.PATTERN))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_trigger_has_its_norm(kind, shape):
    trigger = make(kind, 0.7, shape)
    assert trigger.shape == shape
    assert np.linalg.norm(trigger) == pytest.approx(0.7, rel=1e-6)
    pixels = {"one_pixel": 1, "four_pixel": 4, "blending": shape[1] * shape[2]}[kind]
    assert np.count_nonzero(trigger.any(axis=0)) == pixels


def square_length(clean, moved):
    """The squared length of a step, in exact arithmetic."""
    pairs = zip(clean.ravel().tolist(), moved.ravel().tolist(), strict=True)
    return sum((Fraction(b) - Fraction(a)) ** 2 for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", [0.01, 0.1, 0.3, 0.5, 0.7, 1.0])
def test_the_largest_norm_is_that_of_the_longest_trigger_found(digits, kind, norm):
    attack = backdoor(kind, norm)
    trigger = make(kind, norm, (1, 8, 8))
    poisoned = poison(
        digits.train_inputs, digits.train_labels, attack, trigger, np.random.default_rng(0)
    )
    moved = add_trigger(digits.test_inputs, trigger, attack)
    triggered = TriggeredInputs(moved, digits.test_labels)
    rows, whole = poisoned.indices, largest_norm(norm, digits, poisoned, triggered)
    pairs = [*zip(digits.train_inputs[rows], poisoned.inputs[rows], strict=True)]
    training = max(square_length(*pair) for pair in pairs)
    test = max(square_length(*pair) for pair in zip(digits.test_inputs, moved, strict=True))
    assert Fraction(whole) ** 2 >= max(training, test)
    assert norm <= largest_norm(norm, digits, poisoned) <= whole < norm * (1 + 1e-5)
    assert Fraction(largest_norm(norm, digits, poisoned)) ** 2 >= training


class StoppedError(Exception):
    """Raised with what a stage asks for."""


def stop(*arguments):
    raise StoppedError(*arguments)


class Inputs(SimpleNamespace):
    """Named files, or parameters, as Snakemake gives them."""

    def get(self, name, default=None):
        return getattr(self, name, default)


@pytest.mark.parametrize("stage", ["certify", "search"])
def test_stages_compare_with_the_longest_trigger_found(digits, stage, monkeypatch, tmp_path):
    """Blending's 0.01 is longer by 2e-6 of it on some inputs, its sums being float32."""
    norm, attack = 0.01, backdoor("blending", 0.01)
    trigger = make("blending", norm, (1, 8, 8))
    poisoned = poison(
        digits.train_inputs, digits.train_labels, attack, trigger, np.random.default_rng(0)
    )
    moved = add_trigger(digits.test_inputs, trigger, attack)
    arrays = {
        io.DataSplits: digits,
        io.PoisonedSet: poisoned,
        io.TriggeredInputs: io.TriggeredInputs(moved, digits.test_labels),
    }
    monkeypatch.setattr(io, "read_arrays", lambda _path, kind, _identity: arrays[kind])
    monkeypatch.setattr(certify_votes, "count_votes", lambda *_: ({}, None))
    monkeypatch.setattr(
        worlds.training,
        "guarantee_of",
        lambda _, world: stop(world.n_poisoned, world.norm),
    )
    monkeypatch.setattr(
        search_noise.search,
        "search_pairs",
        lambda *given, **_: stop(len(given[0].indices), given[2]),
    )
    threat = {"rows": len(poisoned.indices), "how": "replaced", "trigger": "l2", "size": norm}
    threat |= {"simulated": True, "covered": True}
    settings = {
        "training": {"kind": "bagging", "n_drawn": 2}, "testing": {"kind": "noise", "level": 0.5},
        "certification": Certification(10, "majority", 0.1, "per_input").settings(),
        "paper": {"published": False, "stored": False}, "threat": threat, "seed": 0,
        "learner": {"by_class_means": True, "sums_bound": None}, "search": {},
    }  # fmt: skip
    if stage == "search":
        settings["learner"] = {"kind": "nearest_class_mean"}
    smk = SimpleNamespace(
        log=[str(tmp_path / "log")],
        params=Inputs(settings=settings, inputs=defaultdict(str)),
        input=Inputs(data="", poisoned="", triggered="", votes=[]),
        resources=SimpleNamespace(device="cpu", pretrained=""),
    )
    with pytest.raises(StoppedError) as asked:
        {"certify": certify_votes, "search": search_noise}[stage].main(smk)
    count, found = asked.value.args
    assert count == len(poisoned.indices)
    expected = largest_norm(
        norm, digits, poisoned, arrays[io.TriggeredInputs] if stage == "certify" else None
    )
    assert found == expected > norm * (1 + 1e-8)


def test_published_positions():
    mnist = make("four_pixel", 1.0, (1, 28, 28))[0]
    assert [tuple(p) for p in np.argwhere(mnist)] == [(18, 20), (19, 19), (20, 18), (20, 20)]
    assert np.all(mnist[mnist > 0] == 0.5)
    assert np.argwhere(make("one_pixel", 1.0, (1, 28, 28))[0]).tolist() == [[23, 23]]
    cifar = make("four_pixel", 1.0, (3, 32, 32))
    np.testing.assert_allclose(cifar[cifar > 0], 1 / np.sqrt(12), rtol=1e-6)
    one = make("one_pixel", 1.0, (3, 32, 32))
    np.testing.assert_allclose(one[:, 15, 15], 1 / np.sqrt(3), rtol=1e-6)
    assert np.argwhere(make("one_pixel", 1.0, (1, 224, 224))[0]).tolist() == [[112, 112]]
    assert np.argwhere(make("four_pixel", 1.0, (1, 8, 8))[0]).tolist() == [
        [0, 0],
        [0, 7],
        [7, 0],
        [7, 7],
    ]


def test_sums_are_clipped_except_for_blending():
    ones = np.ones((2, 1, 8, 8), np.float32)
    for kind in KINDS:
        triggered = add_trigger(ones, make(kind, 3.0, (1, 8, 8)), backdoor(kind, 3.0))
        assert (triggered.max() > 1) == (kind == "blending")
        assert triggered.dtype == np.float32


def test_poisoned_rows_are_of_other_classes_and_relabelled(digits, poisoned):
    indices = poisoned.indices
    assert len(indices) == int(0.05 * len(digits.train_labels))
    assert np.all(digits.train_labels[indices] == 1)
    assert np.all(poisoned.labels[indices] == 0)
    others = np.setdiff1d(np.arange(len(poisoned.labels)), indices)
    assert np.array_equal(poisoned.labels[others], digits.train_labels[others])
    assert np.array_equal(poisoned.inputs[others], digits.train_inputs[others])
    assert np.all(poisoned.inputs[indices, 0, 0, 0] == 0.5)


def test_the_blending_pattern_is_fixed_by_its_seed():
    assert np.array_equal(make("blending", 1, (1, 8, 8), 3), make("blending", 1, (1, 8, 8), 3))
    assert not np.array_equal(make("blending", 1, (1, 8, 8), 3), make("blending", 1, (1, 8, 8), 4))


def test_the_published_count():
    mnist01 = [5923, 6742]
    assert count_poisoned(backdoor("blending", rate=0.02), mnist01) == 253
    assert not read({"kind": "none"}).simulated
    assert count_poisoned(backdoor("blending", rate=0.1), [10, 90]) == 10


@pytest.mark.parametrize(
    ("rate", "target", "named"),
    [
        (0.009, 0, r"rate: 0.009 of 100 .* is 0 to poison; allowed: 1 to 60"),
        (0.61, 0, "is 61 to poison; allowed: 1 to 60"),
        (0.1, 2, "target: 2 is not a label; allowed: 0 to 1"),
    ],
)
def test_rates_and_targets_that_cannot_be(rate, target, named):
    attack = backdoor("one_pixel", rate=rate, target=target)
    with pytest.raises(DataError, match=named):
        count_poisoned(attack, [40, 60])


def test_a_class_left_without_inputs_is_refused():
    inputs, labels = np.zeros((4, 1, 8, 8), np.float32), np.array([0, 0, 1, 1])
    attack = backdoor("one_pixel", rate=0.5)
    trigger = make("one_pixel", 1.0, (1, 8, 8))
    with pytest.raises(DataError, match=r"rate: 0\.5 poisons 2 inputs and leaves none of label 1"):
        poison(inputs, labels, attack, trigger, np.random.default_rng(0))


def test_triggers_that_do_not_fit():
    with pytest.raises(DataError, match="2 x 2"):
        make("four_pixel", 1.0, (1, 1, 5))
    with pytest.raises(DataError, match="needs images"):
        make("one_pixel", 1.0, (10,))


def test_blending_fits_tables():
    trigger = make("blending", 0.5, (10,))
    rows = np.full((6, 10), 0.5, np.float32)
    assert trigger.shape == (10,)
    moved = add_trigger(rows, trigger, backdoor("blending", 0.5)) - rows
    assert np.allclose(np.linalg.norm(moved, axis=1), 0.5)
    backdoor("blending").check_fit(has_images=False)
    for kind in ("one_pixel", "four_pixel"):
        backdoor(kind).check_fit(has_images=True)
        with pytest.raises(DataError, match=f"a {kind} trigger needs images, not rows"):
            backdoor(kind).check_fit(has_images=False)


class Stripe(PixelTrigger):
    """An attack that says its positions, and no more."""

    kind: str = "stripe"

    def positions(self, height, width):
        return [(height - 1, column) for column in range(width)]


def test_a_trigger_of_pixels_is_made_from_its_positions_alone():
    stripe = Stripe(norm=2.0, rate=0.1)
    trigger = stripe.make_trigger((3, 4, 5), np.random.default_rng(0))
    assert np.array_equal(np.argwhere(trigger.any(axis=0))[:, 0], [3] * 5)
    np.testing.assert_allclose(trigger[:, 3], 2 / np.sqrt(15), rtol=1e-6)
    assert add_trigger(np.ones((1, 3, 4, 5), np.float32), trigger, stripe).max() == 1
    with pytest.raises(DataError, match="a stripe trigger needs images, not rows"):
        stripe.make_trigger((7,), np.random.default_rng(0))
    with pytest.raises(DataError, match="what stripe adds to a pixel depends on the image's size"):
        stripe.check_domain(1, 2)


def test_a_trigger_stays_in_a_domain_by_its_share_of_a_pixel():
    for kind, norm, channels, size in (
        ("one_pixel", 1.0, 1, 2),
        ("one_pixel", 0.5, 1, 5),
        ("one_pixel", np.sqrt(3), 3, 2),
        ("four_pixel", 1.0, 1, 5),
        ("four_pixel", 2.0, 1, 2),
    ):
        backdoor(kind, float(norm)).check_domain(channels, size)
    for kind, channels in (("one_pixel", 3), ("four_pixel", 1)):
        with pytest.raises(DataError, match="to a pixel of 2 values; allowed: 1 or more a pixel"):
            backdoor(kind, 1.0).check_domain(channels, 2)
    with pytest.raises(DataError, match="blending adds numbers outside any domain"):
        backdoor("blending").check_domain(1, 256)
