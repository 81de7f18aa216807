"""Certificates attacked: tight where the worst perturbation is known, else never broken."""

import numpy as np
import pytest
from scipy.stats import norm

from certbd import rng
from certbd.attacks.poison import poison
from certbd.learners import features
from certbd.testing.votes import vote
from certbd.theory import bounds, certificates
from certbd.training import ensembles
from certbd.training.gaussian.draw import Gaussian
from conftest import backdoor, learner_of, map_of

GENERATOR = np.random.default_rng(0)


class Linear:
    """``sign(w_0 . x + sum_i w_i . x_i)``, each block under its own noise: p in closed form."""

    def __init__(self, n_train, dimension):
        self.weights = GENERATOR.normal(size=(n_train + 1, dimension))
        self.sigma = np.exp(GENERATOR.normal(size=n_train + 1))
        self.blocks = GENERATOR.normal(size=(n_train + 1, dimension))
        self.settle(GENERATOR.uniform(0.1, 3))

    def settle(self, margin):
        """Scale the blocks so that the smoothed label is positive with this margin."""
        spread = np.sqrt(np.sum(self.sigma**2 * np.sum(self.weights**2, axis=1)))
        self.blocks *= margin * spread / self.score(self.blocks)

    def score(self, blocks):
        return np.sum(self.weights * blocks)

    def probability(self, blocks):
        spread = np.sqrt(np.sum(self.sigma**2 * np.sum(self.weights**2, axis=1)))
        return norm.cdf(self.score(blocks) / spread)

    def margin(self):
        p = self.probability(self.blocks)
        return float(certificates.margin(p, 1 - p))


def scaled_norm(perturbation, sigma):
    return np.sqrt(np.sum(np.sum(perturbation**2, axis=1) / sigma**2))


@pytest.mark.parametrize("n_train", [1, 5, 40])
def test_the_ellipsoid_is_tight_for_unequal_noise(n_train):
    for _ in range(50):
        learner = Linear(n_train, 3)
        margin = learner.margin()
        worst = -(learner.sigma**2)[:, None] * learner.weights
        worst *= margin / scaled_norm(worst, learner.sigma)
        assert learner.probability(learner.blocks + 0.999 * worst) > 0.5
        assert learner.probability(learner.blocks + 1.001 * worst) < 0.5
        radius = certificates.joint_radius(margin, learner.sigma[0], learner.sigma[1:])
        ball = GENERATOR.normal(size=worst.shape)
        ball *= 0.999 * radius / np.linalg.norm(ball)
        assert learner.probability(learner.blocks + ball) > 0.5


@pytest.mark.parametrize("n_poisoned", [0, 1, 7, 20])
def test_the_trigger_radius_is_tight_for_unequal_noise(n_poisoned):
    for _ in range(50):
        learner = Linear(20, 3)
        quiet = np.argsort(learner.sigma[1:])[:n_poisoned] + 1
        touched = np.array([0, *quiet])
        direction = GENERATOR.normal(size=3)
        direction /= np.linalg.norm(direction)
        learner.weights[:] = 0
        learner.weights[touched] = direction / learner.sigma[touched, None] ** 2
        learner.settle(GENERATOR.uniform(0.1, 3))
        radius = certificates.trigger_radius(
            learner.margin(), learner.sigma[0], learner.sigma[1:], n_poisoned
        )
        trigger = np.zeros_like(learner.blocks)
        trigger[touched] = -radius * direction
        assert learner.probability(learner.blocks + 0.999 * trigger) > 0.5
        assert learner.probability(learner.blocks + 1.001 * trigger) < 0.5


def votes_of_class_means(poisoned, inputs, sigma_train, sigma_test, n_models, seed):
    learner = learner_of({"kind": "nearest_class_mean"})
    ensemble = ensembles.train(poisoned, Gaussian(sigma_train), learner, 2, seed, range(n_models))
    module = learner.module(inputs.shape[1:], 2)
    generators = rng.generators(seed, rng.Purpose.TEST_NOISE, range(n_models))
    votes, _ = vote(module, ensemble, inputs, sigma_test, generators)
    return np.stack([(votes == label).sum(0) for label in range(2)], axis=1)


DCT = map_of({"kind": "dct", "size": 4, "pixel_mean": 0.3})
RANDOM_CONV = map_of({"kind": "random_conv", "filters": 32, "width": 3, "pool": 2, "seed": 0})


@pytest.mark.parametrize(
    ("kind", "mapped"),
    [
        ("one_pixel", None),
        ("four_pixel", None),
        ("blending", None),
        ("difference", None),
        ("blending", DCT),
        ("difference", DCT),
        ("difference", RANDOM_CONV),
    ],
)
def test_class_means_keep_certified_labels_in_the_trigger_free_world(digits, kind, mapped):
    """Statistic radius: the trigger at 0.95 of each input's own radius, then taken away.

    The trigger is in pixels; `mapped` are features whose Lipschitz constant is at most 1, and noise
    is on them. `difference` is the worst direction, from one class mean to the other. A label is
    broken where the trigger-free world's votes certify another one.
    """
    n_models, checked, broken = 2000, 0, 0
    for seed, (sigma_train, sigma_test, rate) in enumerate(
        [(1.0, 0.4, 0.05), (0.5, 0.3, 0.02), (2.0, 0.6, 0.2), (1.0, 0.8, 0.1)]
    ):
        shape = digits.train_inputs.shape[1:]
        if kind == "difference":
            means = [digits.train_inputs[digits.train_labels == c].mean(0) for c in (0, 1)]
            unit = (means[0] - means[1]) / np.linalg.norm(means[0] - means[1])
        else:
            unit = backdoor(kind).make_trigger(shape, rng.generator(seed, 2))
        attack = backdoor("blending", rate=rate)
        size = 0.5
        for _ in range(3):
            trigger = (size * unit).astype(np.float32)
            poisoned = poison(
                digits.train_inputs, digits.train_labels, attack, trigger, rng.generator(seed, 1)
            )
            seen = features.apply(mapped, poisoned.inputs)
            inputs = features.apply(mapped, digits.test_inputs + trigger)
            with_trigger = votes_of_class_means(
                poisoned._replace(inputs=seen), inputs, sigma_train, sigma_test, n_models, seed
            )
            p_lower = bounds.majority_lower(with_trigger.max(1), n_models, 1e-4)
            margin = certificates.margin(p_lower, 1 - p_lower)
            variance = np.bincount(poisoned.labels) * sigma_train**2
            radius = certificates.class_mean_trigger_radius(
                margin, sigma_test, variance, len(poisoned.indices)
            )
            clean_inputs = poisoned.inputs.copy()
            clean_inputs[poisoned.indices] -= trigger
            without = votes_of_class_means(
                poisoned._replace(inputs=features.apply(mapped, clean_inputs)),
                features.apply(mapped, digits.test_inputs),
                sigma_train, sigma_test, n_models, seed + 100,
            )  # fmt: skip
            covered = radius > size
            other = bounds.majority_lower(without.max(1), n_models, 1e-4) > 0.5
            broken += np.sum(covered & other & (without.argmax(1) != with_trigger.argmax(1)))
            checked += covered.sum()
            size = 0.95 * np.median(radius[radius > 0])
    assert checked > 300
    assert broken == 0


def test_class_means_break_under_a_trigger_that_no_radius_covers(digits):
    """The control: far outside the certificates, the same comparison finds broken labels."""
    means = [digits.train_inputs[digits.train_labels == c].mean(0) for c in (0, 1)]
    trigger = means[0] - means[1]
    attack = backdoor("blending")
    poisoned = poison(
        digits.train_inputs, digits.train_labels, attack, trigger, rng.generator(0, 1)
    )
    clean_inputs = poisoned.inputs.copy()
    clean_inputs[poisoned.indices] -= trigger
    noise = (1.0, 0.4, 500)
    with_trigger = votes_of_class_means(poisoned, digits.test_inputs + trigger, *noise, 0)
    clean = poisoned._replace(inputs=clean_inputs)
    without = votes_of_class_means(clean, digits.test_inputs, *noise, 100)
    certain = (bounds.majority_lower(with_trigger.max(1), 500, 1e-4) > 0.5) & (
        bounds.majority_lower(without.max(1), 500, 1e-4) > 0.5
    )
    assert np.sum(certain & (with_trigger.argmax(1) != without.argmax(1))) > 20


def test_bagging_radius_is_its_formula_and_0_where_rows_alone_are_not_covered():
    q = np.prod([(1000 - 20 - i) / (1000 - i) for i in range(12)])
    p = np.array([0.99, 0.8, 0.5, 0.0, 1.0])
    a = (p[0] - (1 - q)) / q
    radius = certificates.bagging_radius(p, 0.7, 1000, 12, 20)
    assert radius[0] == pytest.approx(0.7 * (norm.ppf(a) - norm.ppf(1 / (2 * q))))
    assert radius[2] == radius[3] == 0
    assert radius[4] == np.inf
    # at the radius, the other world's probability is 1/2
    assert q * norm.cdf(norm.ppf(a) - radius[0] / 0.7) == pytest.approx(0.5)
    assert (certificates.bagging_radius(p, 0.7, 1000, 12, 200) == 0).all()
    assert (certificates.bagging_radius(p, 0.7, 1000, 12, 2000) == 0).all()
    none = certificates.bagging_radius(0.9, 0.7, 1000, 12, 0)
    assert none == pytest.approx(0.7 * norm.ppf(0.9))


def test_statistic_radius_is_its_formula_and_0_where_rows_alone_are_not_covered():
    radius = certificates.statistic_radius([2.0, 0.3, -1.0], 0.7, 0.03, 12665, 253, 1.0)
    shift = 2 * 253 / (12665 * 0.03)
    assert radius[0] == pytest.approx(0.7 * np.sqrt(4 - shift**2))
    assert radius[1] == radius[2] == 0
    assert certificates.statistic_radius(2.0, 0.7, 0.03, 12665, 0, 1.0) == pytest.approx(1.4)
