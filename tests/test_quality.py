import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save

import thermogen as tg
from thermogen.quality import LeNet, Reference, controls, evaluate, frechet, grey, load_classifier
from thermogen.quality import save_classifier as write
from thermogen.quality.evaluation import share
from thermogen.quality.measures import diversity, entropy, jackknife, manifolds, nearest, sharpness


@pytest.fixture(scope="module")
def digits():
    """The shipped digits: images in ink 0 to 1, and labels."""
    shipped = tg.load_digits()
    return (shipped.images.reshape(len(shipped), -1) / 255).astype(np.float32), shipped.labels


@pytest.fixture(scope="module")
def parts(digits):
    """Places of the first 80 of each class, and of its other 20."""
    rank = np.zeros(1000, int)
    for label in range(10):
        mine = digits[1] == label
        rank[mine] = np.arange(mine.sum())
    return np.flatnonzero(rank < 80), np.flatnonzero(rank >= 80)


@pytest.fixture(scope="module")
def reference(digits, parts):
    images, labels = digits
    training, held_out = parts
    return Reference.of(load_classifier(), images[training], images[held_out], labels[held_out])


def gaussian(mean, deviations, n=400, seed=0):
    """Samples whose mean and covariance are those given to rounding, with axes turned alike."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(deviations)))
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False)).T)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(len(deviations),) * 2))[0]
    return (x * deviations) @ turn + mean


def test_frechet_distance_of_gaussians_is_that_of_means_and_deviations():
    """Covariances that commute: |mu_a - mu_b|^2 + |sigma_a - sigma_b|^2."""
    mean, a, b = np.array([1.0, 0, -2, 0]), np.array([1.0, 2, 3, 0.5]), np.array([2.0, 2, 0.1, 1])
    x, y = gaussian(0 * mean, a), gaussian(mean, b, 300, 1)
    exact = (mean**2).sum() + ((a - b) ** 2).sum()
    assert frechet(x, y) == pytest.approx(exact, rel=1e-9)
    assert frechet(y, x) == pytest.approx(exact, rel=1e-9)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + 3.0) == pytest.approx(4 * 9)
    assert frechet(x[:, :1], x[:, :1] + 2) == pytest.approx(4)
    # Fewer samples than features: the covariance has no full rank.
    assert frechet(x[:3], x[:3]) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_any_gaussians_is_the_general_formula():
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) for _ in range(2))
    A, B = (np.cov(one, rowvar=False) for one in (x, y))
    # The eigenvalues of A B are those of A^1/2 B A^1/2.
    shared = np.sqrt(np.linalg.eigvals(A @ B).real).sum()
    exact = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(A) + np.trace(B) - 2 * shared
    assert frechet(x, y) == pytest.approx(exact, rel=1e-9)


def test_jackknife_error_of_a_mean_is_the_textbook_standard_error():
    x = np.random.default_rng(0).normal(size=(60, 1)) * 3 + 1

    def mean(part):
        return part.mean()

    value, error = jackknife(mean, x, groups=60)
    assert value == pytest.approx(x.mean())
    assert error == pytest.approx(x.std(ddof=1) / np.sqrt(60), rel=1e-9)
    # With 10 parts the error itself is known to 1 / sqrt(18), as any from 10 independent numbers.
    errors = [jackknife(mean, np.random.default_rng(seed).normal(size=(500, 1)))[1] for seed in range(20)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(500**-0.5, rel=4 / np.sqrt(18 * 20))


def test_jackknife_parts_are_not_classes_that_come_in_turn():
    """Classes 0 to 9 in turn, far apart: a part that were a class would say an error 20 times too large."""
    rng = np.random.default_rng(1)
    x = np.resize(np.arange(10.0), 1000)[:, None] + 0.1 * rng.normal(size=(1000, 1))
    for order in (np.arange(1000), np.argsort(x[:, 0]), rng.permutation(1000)):
        _, error = jackknife(lambda part: part.mean(), x[order])
        assert error < 3 * x.std() / np.sqrt(1000)


def test_manifolds_of_equal_and_of_disjoint_sets():
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    same = manifolds(x, x)
    assert same.precision == same.recall == same.coverage == 1
    # Every point lies in its own ball and in those of about five others, which the strict bound leaves out.
    assert 0.8 < same.density < 1.2
    assert manifolds(x, x + 100) == (0, 0, 0, 0)
    with pytest.raises(tg.InputError, match="5 images: precision and recall need 6 or more"):
        manifolds(x, x[:5])
    # One mode of two, drawn well: what is made is real, half of what is real is made.
    both = np.concatenate([x, x + 100])
    half = manifolds(both, np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32))
    assert half.precision > 0.9
    assert 0.4 < half.recall <= 0.5
    assert 0.4 < half.coverage <= 0.5
    blocks = np.random.default_rng(2).normal(size=(2100, 2)).astype(np.float32)  # more than one block
    assert manifolds(blocks, blocks)[:2] == (1, 1)


def test_sharpness_is_one_for_two_values_and_falls_with_noise():
    rng = np.random.default_rng(0)
    pure = (rng.random((20, 400)) < 0.2) * 3.0 - 1
    levels = [sharpness(pure + sd * rng.normal(size=pure.shape)).mean() for sd in (0, 0.3, 0.6, 1.2)]
    assert levels[0] == pytest.approx(1, abs=1e-12)
    assert (np.diff(levels) < -0.02).all()
    # Of two Gaussians a distance d apart, with shares p and 1 - p: p (1 - p) d^2 / (that + variance).
    p = (pure > 0).mean(1)
    between = p * (1 - p) * 9
    assert levels[1] == pytest.approx((between / (between + 0.09)).mean(), abs=0.01)
    # A uniform grey ramp: 3/4. A constant image has no contrast at all.
    assert sharpness(np.linspace(0, 1, 1001)[None])[0] == pytest.approx(0.75, abs=1e-3)
    assert sharpness(np.ones((1, 50)))[0] == 0


def test_entropy_and_diversity():
    assert entropy(np.repeat([3, 5, 8], 7), 3) == pytest.approx(np.log(3))
    assert entropy(np.array([4, 4, 4]), 10) == pytest.approx(0)
    assert entropy(np.array([0, 0, 0, 1]), 2) == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    x = gaussian(np.zeros(3), np.array([1.0, 2, 2]))
    assert diversity(np.concatenate([x, x + 50]), np.repeat([0, 1], 400)) == pytest.approx(np.sqrt(2 * 9))
    assert diversity(np.ones((6, 3)), np.repeat([0, 1], 3)) == 0
    assert diversity(x[:2], np.array([0, 1])) == 0


def test_the_nearest_of_a_copy_is_at_no_distance():
    """float32 squares of 784 pixels round to about 1e-5 of 100: a root mean square of 1e-3."""
    known = np.random.default_rng(0).random((700, 784)).astype(np.float32)
    assert nearest(known[300:600], known).max() < 2e-3
    shifted = known[:5] + np.float32(0.1)
    assert np.allclose(nearest(shifted, known), 0.1, atol=1e-4)
    exact = np.sqrt(((known[:3, None] - known[None, 100:]) ** 2).mean(-1).min(1))
    assert np.allclose(nearest(known[:3], known[100:]), exact, atol=1e-4)


def test_grey_is_the_same_on_any_affine_scale():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 784)).astype(np.float32)
    scale, offset = rng.random((8, 1)) * 9 + 1, rng.normal(size=(8, 1)) * 5
    pictures = grey(images)
    assert pictures.dtype == np.float32
    assert pictures.min() == 0
    assert pictures.max() == 1
    assert np.allclose(grey(images * scale + offset), pictures, atol=1e-5)
    assert np.allclose(grey(-images), 1 - pictures, atol=1e-6)
    assert np.allclose(grey(pictures), pictures, atol=1e-6)
    # 2 % at either end are clipped, so that a few outlying pixels do not set the scale.
    assert np.allclose((pictures == 0).mean(1), 17 / 784)
    assert np.allclose((pictures == 1).mean(1), 17 / 784)
    thin = np.zeros((1, 784), np.float32)
    thin[0, 5] = 7
    assert np.array_equal(grey(thin), thin / 7)
    assert np.array_equal(grey(np.full((2, 50), 3.0)), np.zeros((2, 50)))


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1), (81, 263, 0.2553, 0.3662)],
)
def test_shares_have_wilson_intervals(right, n, low, high):
    """Published values: Newcombe, Statistics in Medicine 17, 857 (1998), Table I (81 of 263)."""
    found = share(np.arange(n) < right)
    assert found["n"] == n
    assert found["mean"] == pytest.approx(right / n)
    assert found["low"] == pytest.approx(low, abs=6e-5)
    assert found["high"] == pytest.approx(high, abs=6e-5)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_classifier_judges_the_shipped_digits(digits, noise):
    """They are MNIST training images, of which it has seen noisy and shifted versions: 99.5 % are expected.

    That is 5 of 1,000 wrong with a Poisson error of 2.2; another platform may round differently. So 99 %.
    """
    images, labels = digits
    judge = load_classifier()
    noisy = images + noise * np.random.default_rng(0).standard_normal(images.shape)
    verdict = judge.classify(noisy)
    assert verdict.features.shape == (1000, 128)
    assert np.mean(verdict.label == labels) >= 0.99
    # Units have a scale of their own, and no image depends on the others.
    again = judge.classify(3 - 2 * (1 - noisy[:7]))
    assert np.array_equal(again.label, verdict.label[:7])
    assert np.allclose(again.features, verdict.features[:7], rtol=1e-3, atol=1e-3 * verdict.features.max())
    assert load_classifier() is judge


def test_images_of_another_size_and_files_that_are_no_classifier_are_refused(tmp_path):
    with pytest.raises(tg.InputError, match=r"images of 100 pixels .* 28 x 28: give --classifier") as refusal:
        load_classifier().classify(np.zeros((2, 100)))
    assert "\n" not in str(refusal.value)
    other = tmp_path / "other.safetensors"
    other.write_bytes(save({"weights": np.zeros(3, np.float32)}))
    rubbish = tmp_path / "rubbish.safetensors"
    rubbish.write_bytes(b"no such thing")
    empty = tmp_path / "empty"
    empty.touch()
    good = tmp_path / "good.safetensors"
    write(good, LeNet.random(jax.random.key(0), (6, 6), 3, (2, 2), 4), (6, 6), (0, 1, 2), {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-10])
    wide, named = tmp_path / "wide.safetensors", tmp_path / "named.safetensors"
    write(wide, LeNet.random(jax.random.key(0), (6, 6), 3, (2, 2), 4), (12, 6), (0, 1, 2), {})
    write(named, LeNet.random(jax.random.key(0), (6, 6), 3, (2, 2), 4), (6, 6), (0, 1), {})
    for path in (other, rubbish, empty, cut, wide, named):
        with pytest.raises(tg.InputError, match="is no classifier") as refusal:
            load_classifier(path)
        assert "\n" not in str(refusal.value)
    with pytest.raises(tg.InputError, match="does not exist: check the path"):
        load_classifier(tmp_path / "none")
    with pytest.raises(tg.InputError, match="does not exist"):
        load_classifier(tmp_path)


def test_a_classifier_of_any_size_comes_back_from_its_file(tmp_path):
    network = LeNet.random(jax.random.key(0), (9, 6), 3, (2, 4), 8)
    path = tmp_path / "small.safetensors"
    write(path, network, (9, 6), (4, 5, 9), {"epochs": 1})
    judge = load_classifier(path)
    assert (judge.shape, judge.labels, len(judge.sha256)) == ((9, 6), (4, 5, 9), 64)
    for name in LeNet.__dataclass_fields__:
        stored, given = getattr(judge.network, name), getattr(network, name)
        assert np.allclose(stored, given, rtol=1e-3, atol=1e-4)  # half precision: 11 bits
    verdict = judge.classify(np.random.default_rng(0).random((5, 54)))
    assert set(verdict.label.tolist()) <= {4, 5, 9}
    assert verdict.features.min() >= 0


def test_convolution_and_pooling_are_those_of_the_definition():
    network = LeNet.random(jax.random.key(1), (5, 6), 2, (2, 2), 4)
    image = jnp.asarray(np.random.default_rng(0).random((1, 5, 6)), jnp.float32)

    def layer(x, weights, bias):
        height, width, maps = x.shape
        kernel = np.asarray(weights).reshape(5, 5, maps, -1)
        wide = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        found = np.array(
            [
                [np.einsum("abm,abmk->k", wide[i : i + 5, j : j + 5], kernel) for j in range(width)]
                for i in range(height)
            ]
        )
        found = np.maximum(found + np.asarray(bias), 0)
        return np.array(
            [
                [found[i : i + 2, j : j + 2].max((0, 1)) for j in range(0, width, 2)]
                for i in range(0, height, 2)
            ]
        )

    x = layer(layer(np.asarray(image)[0, ..., None], network.first, network.first_bias), network.second, 0.0)
    exact = np.maximum(x.reshape(-1) @ np.asarray(network.hidden), 0)
    assert np.allclose(network.features(image)[0], exact, atol=1e-5)


def test_digits_that_were_held_out_are_good_digits_and_no_copies(digits, parts, reference):
    images, labels = digits
    _, held_out = parts
    found = evaluate(images[held_out], reference, labels[held_out])
    assert found["n"] == found["accuracy"]["n"] == 200
    assert found["accuracy"]["mean"] >= 0.98  # 99 % less two standard errors
    assert sorted(found["accuracy"]["by_class"]) == [str(label) for label in range(10)]
    assert sum(found["classes"].values()) == 200
    assert min(found["classes"].values()) > 15
    assert found["entropy"] == pytest.approx(np.log(10), abs=0.01)
    # Against themselves there is nothing between them; the mark leaves 1 % of 200 below it.
    assert found["frechet"]["mean"] == pytest.approx(0, abs=1e-3)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["diversity"] == pytest.approx(1, abs=1e-3)
    assert found["nearest"]["copies"] <= 0.01
    assert found["nearest"]["median"] == pytest.approx(found["nearest"]["held_out"])
    assert 0.85 < found["sharpness"] < 1
    assert found["classifier"] == load_classifier().sha256[:16]


def test_copies_of_training_images_are_flagged(digits, parts, reference):
    images, labels = digits
    training, held_out = parts
    copied = np.concatenate([training[::4], held_out])
    noise = 0.02 * np.random.default_rng(0).standard_normal((len(copied), 784)).astype(np.float32)
    found = evaluate(5 * (images[copied] + noise) - 2, reference)
    # All of the copies, noisy and on another scale, and next to none of the others: one in 100.
    assert found["nearest"]["copies"] == pytest.approx(0.5, abs=0.015)
    assert "accuracy" not in found
    whole = evaluate(images[training[::4]], reference, labels[training[::4]])
    assert whole["nearest"]["copies"] == 1
    assert whole["nearest"]["median"] < 2e-3


def test_the_error_of_the_frechet_distance_does_not_depend_on_the_order_of_classes(digits, parts, reference):
    """Generated samples come with their classes in turn."""
    images, labels = digits
    mine = parts[0]
    turn = mine[np.argsort(np.argsort(np.argsort(labels[mine], kind="stable")) % 80, kind="stable")]
    assert len(set(labels[turn[:10]])) == 10
    features = reference.classifier.classify(images).features
    errors = [
        jackknife(lambda part: frechet(part, reference.features), features[order])[1]
        for order in (turn, mine[np.argsort(labels[mine])], np.random.default_rng(3).permutation(mine))
    ]
    # Ten parts tell an error to 1 / sqrt(18), 24 %: three of them lie within a factor of 2.5.
    assert max(errors) < 2.5 * min(errors)


def test_controls_frame_the_scale(reference):
    rng = np.random.default_rng(0)
    found = controls(reference, 100, lambda n: rng.normal(size=(n, 784)).astype(np.float32))
    assert list(found) == ["real", "real, noisy", "inverted", "untrained"]
    assert all(one["n"] == 100 for one in found.values())
    assert found["real"]["accuracy"]["mean"] > 0.95
    assert found["real, noisy"]["accuracy"]["mean"] > 0.95
    assert found["inverted"]["accuracy"]["mean"] < 0.6
    assert found["untrained"]["accuracy"]["mean"] < 0.25  # a tenth, by chance
    assert found["real"]["frechet"]["mean"] < found["inverted"]["frechet"]["mean"] / 3
    assert found["real"]["frechet"]["mean"] < found["untrained"]["frechet"]["mean"] / 3
    assert found["real, noisy"]["sharpness"] < found["real"]["sharpness"]
    assert found["untrained"]["recall"] < 0.1
    assert found["untrained"]["coverage"] < 0.1


def test_too_few_images_are_refused(digits, reference):
    images, labels = digits
    with pytest.raises(tg.InputError, match="20 images: give 21 or more to measure"):
        evaluate(images[:20], reference)
    with pytest.raises(tg.InputError, match="20 held-out images"):
        Reference.of(load_classifier(), images, images[:20], labels[:20])
