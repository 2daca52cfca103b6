import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from thermogen import InputError, load_digits, load_images, load_split


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (4, 6, 5)).astype(np.uint8)


def test_shipped_digits_are_the_first_hundred_of_each_class():
    digits = load_digits()
    assert digits.images.shape == (1000, 28, 28)
    assert np.bincount(digits.labels).tolist() == [100] * 10


def test_first_image_of_each_class_in_the_order_asked_for():
    assert load_digits([2, 0, 1]).labels.tolist() == [2, 0, 1]
    everything = load_digits()
    first_two = everything.images[np.flatnonzero(everything.labels == 2)[0]]
    assert np.array_equal(load_digits([2, 0]).images[0], first_two)


def test_standardised_images_have_zero_mean_and_unit_variance():
    flat = load_digits([3, 7]).standardised()
    assert flat.shape == (2, 784)
    assert np.allclose(flat.mean(1), 0, atol=1e-12)
    assert np.allclose(flat.var(1), 1, atol=1e-12)


def write_idx(path, images, compress):
    content = struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content) if compress else content)


@pytest.mark.parametrize("kind", ["npz", "train npz", "npy", "idx", "idx.gz"])
def test_image_files_of_every_kind_read_alike(tmp_path, images, kind):
    path = tmp_path / f"set.{kind.split()[-1]}"
    if kind == "npz":
        np.savez(path, images=images, labels=[3, 1, 4, 1])
    elif kind == "train npz":
        np.savez(path, train_images=images, train_labels=[3, 1, 4, 1])
    elif kind == "npy":
        np.save(path, images)
    else:
        write_idx(path, images, kind.endswith("gz"))
    read = load_images(path)
    assert np.array_equal(read.images, images)
    assert read.labels.tolist() == ([3, 1, 4, 1] if "npz" in kind else [0, 1, 2, 3])
    assert len(read.sha256) == 64


def test_a_png_is_one_image(tmp_path, images):
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    assert np.array_equal(load_images(tmp_path / "one.png").images, images[:1])


@pytest.mark.parametrize("name", ["set.npz", "set.npy", "set.png", "set.idx", "set.gz", "set"])
def test_a_file_that_is_no_image_set_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not an image set at all")
    with pytest.raises(InputError, match=f"{name} is no image set"):
        load_images(path)


def nan_image(images):
    changed = images.astype(float)
    changed[2, 1, 1] = np.nan
    return {"images": changed}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nan_image, "image 2 of .* holds NaN"),
        (lambda i: {"images": np.where(np.arange(4)[:, None, None] == 1, 7, i)}, "image 1 of .* is constant"),
        (lambda i: {"images": i, "labels": [1, 2]}, r"4 images but labels of shape \(2,\)"),
        (lambda i: {"images": i, "labels": [0.5, 1, 2, 3]}, "labels that are not whole numbers"),
        (lambda i: {"images": i.reshape(-1)}, r"shape \(120,\): give images"),
        (lambda i: {"images": i[:0]}, r"shape \(0, 6, 5\)"),
        (lambda i: {"images": np.zeros((1, 1, 1))}, "1 x 1 pixels"),
        (lambda i: {"images": np.zeros((1, 2, 300))}, "sides up to 256"),
        (lambda i: {"images": np.full((2, 3, 3), "a")}, "give numbers"),
        (lambda i: {"images": i, "labels": [0, 1, 2, np.inf]}, "labels that are not whole numbers"),
        (lambda i: {"images": i, "labels": list("abcd")}, "labels that are not whole numbers"),
        (
            lambda i: {"images": np.stack([i] * 3, 3)},
            r"colour images, shape \(4, 6, 5, 3\): convert them to grey",
        ),
        (lambda i: {"pictures": i}, "name the array of images 'images'"),
    ],
)
def test_bad_image_sets_are_refused_with_the_value(tmp_path, images, change, message):
    np.savez(tmp_path / "set.npz", **change(images))
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "set.npz")


def test_a_pickled_array_is_never_loaded(tmp_path):
    np.save(tmp_path / "set.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="is no image set"):
        load_images(tmp_path / "set.npy")


def test_missing_files_and_classes_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_images(tmp_path / "none.npz")
    with pytest.raises(InputError, match="holds no"):
        load_images(tmp_path)
    with pytest.raises(InputError, match="class 12 has 0 of 1"):
        load_digits([12])
    with pytest.raises(InputError, match="class 3 has 100 of 101"):
        load_digits([3], each=101)
    with pytest.raises(InputError, match="class 1 is given twice"):
        load_digits([1, 1])
    with pytest.raises(InputError, match="no digit given"):
        load_digits([])


def test_folders_of_png_and_of_idx_files_with_their_test_part(tmp_path):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (12, 6, 5)).astype(np.uint8)
    for number, image in enumerate(pixels):
        folder = tmp_path / "png" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    images = load_images(tmp_path / "png")
    np.testing.assert_array_equal(images.images, np.concatenate([pixels[::2], pixels[1::2]]))
    assert images.labels.tolist() == [0] * 6 + [1] * 6
    split = load_split(tmp_path / "png")
    assert (len(split.training), len(split.held_out)) == (10, 2)  # one in five of every class
    assert sorted(split.held_out.labels) == [0, 1]

    idx = tmp_path / "idx"
    idx.mkdir()
    for part, count in (("train", 9), ("t10k", 3)):
        head = struct.pack(">HBBIII", 0, 8, 3, count, 6, 5)
        (idx / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels[:count].tobytes()))
        labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(range(count))
        (idx / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    split = load_split(idx)
    assert split.training.labels.tolist() == list(range(9))
    np.testing.assert_array_equal(split.held_out.images, pixels[:3])

    np.savez(
        tmp_path / "k.npz", x_train=pixels, y_train=np.arange(12)[:, None], x_test=pixels[:2], y_test=[4, 5]
    )
    split = load_split(tmp_path / "k.npz")
    assert split.training.labels.tolist() == list(range(12))
    assert split.held_out.labels.tolist() == [4, 5]
    assert split.training.grey().min() == 0
    assert split.training.grey().max() == 1


def test_bad_folders_are_named(tmp_path):
    def write(folder, name, shape):
        (folder / name).mkdir(parents=True)
        pixels = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)
        Image.fromarray(pixels).save(folder / name / "1.png")

    write(tmp_path / "sizes", "0", (4, 4))
    write(tmp_path / "sizes", "1", (4, 5))
    with pytest.raises(InputError, match="4 x 5 pixels"):
        load_images(tmp_path / "sizes")
    write(tmp_path / "names", "cat", (4, 4))
    with pytest.raises(InputError, match="not named by a number"):
        load_images(tmp_path / "names")
    (tmp_path / "sizes" / "1" / "1.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no image"):
        load_images(tmp_path / "sizes")


def idx_bytes(array):
    return (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )


def write_pngs(folder, pixels, names):
    for image, name in zip(pixels, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "order", "labels"),
    [
        (["7_b.png", "3-a.png", "10_c.png", "3_z.PNG"], [1, 3, 0, 2], [3, 3, 7, 10]),
        (["a10.png", "a9.png", "a1.png", "b.png"], [2, 1, 0, 3], [0, 1, 2, 3]),
        (["1_a.png", "2_b.png", "3_c.png", "d.png"], [0, 1, 2, 3], [0, 1, 2, 3]),  # one without: no labels
        (["10/a.png", "2/a10.png", "2/a9.png", "0/x.png"], [3, 2, 1, 0], [0, 2, 2, 10]),
    ],
)
def test_pngs_of_a_folder_in_natural_order_with_the_class_they_name(tmp_path, images, names, order, labels):
    read = load_images(write_pngs(tmp_path / "set", images, names))
    np.testing.assert_array_equal(read.images, images[order])
    assert read.labels.tolist() == labels


def test_sixteen_bits_a_pixel_are_not_clipped_and_colour_pictures_turn_grey(tmp_path):
    rng = np.random.default_rng(4)
    deep = rng.integers(0, 65535, (1, 4, 5)).astype(np.uint16)
    np.testing.assert_array_equal(load_images(write_pngs(tmp_path / "deep", deep, ["1.png"])).images, deep)
    colour = rng.integers(0, 255, (1, 4, 5, 3)).astype(np.uint8)
    assert load_images(write_pngs(tmp_path / "rgb", colour, ["1.png"])).images.shape == (1, 4, 5)


def test_the_checksum_of_a_folder_knows_names_contents_and_labels(tmp_path, images):
    folder = write_pngs(tmp_path / "png", images, ["1_a.png", "1_b.png", "2_c.png", "2_d.png"])
    first = load_images(folder).sha256
    assert load_images(folder).sha256 == first
    (folder / "1_a.png").rename(folder / "0_a.png")
    assert load_images(folder).sha256 != first

    idx = tmp_path / "idx"
    idx.mkdir()
    (idx / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    found = []
    for classes in ([0, 1, 0, 1], [1, 1, 0, 0]):
        (idx / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array(classes)))
        found.append(load_images(idx))
        assert found[-1].labels.tolist() == classes
    assert found[0].sha256 != found[1].sha256


@pytest.mark.parametrize("compressed", [False, True])
def test_an_idx_file_picks_up_the_labels_beside_it(tmp_path, images, compressed):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(images))
    labels = idx_bytes(np.array([3, 1, 4, 1]))
    name = "t10k-labels-idx1-ubyte" + ".gz" * compressed
    (tmp_path / name).write_bytes(gzip.compress(labels) if compressed else labels)
    assert load_images(tmp_path / "t10k-images-idx3-ubyte").labels.tolist() == [3, 1, 4, 1]
    (tmp_path / name).write_bytes(b"none")
    with pytest.raises(InputError, match=f"{name} holds no labels"):
        load_images(tmp_path / "t10k-images-idx3-ubyte")


def test_every_fifth_image_of_a_class_is_held_out_and_one_at_least(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 255, (16, 3, 4)).astype(np.uint8)
    labels = np.array([0] * 11 + [1] * 2 + [2] * 3)
    np.savez(tmp_path / "set.npz", images=pixels, labels=labels)
    split = load_split(tmp_path / "set.npz")
    np.testing.assert_array_equal(split.held_out.images, pixels[[4, 9, 12, 15]])
    assert split.held_out.labels.tolist() == [0, 0, 1, 2]
    assert len(split.training) == 12
    assert split.training.sha256 == split.held_out.sha256 == load_images(tmp_path / "set.npz").sha256
    shipped = load_split()
    assert np.bincount(shipped.training.labels).tolist() == [80] * 10
    assert np.bincount(shipped.held_out.labels).tolist() == [20] * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": np.eye(5)[None], "y_test": [0]}, "5 x 5 pixels, the training part 6 x 5"),
        ({"x_test": np.full((1, 6, 5), 3), "y_test": [0]}, "image 0 of test part of .* is constant"),
        ({"x_test": np.eye(6, 5)[None], "y_test": [0, 1]}, r"labels of shape \(2,\)"),
        ({"x_test": np.eye(6, 5)[None], "y_test": [8]}, "class 8 of the test part of .* no training image"),
        ({"x_test": np.eye(6, 5)[None]}, "x_test but no y_test"),
        ({"x_test": np.array([{}], object), "y_test": [0]}, "is no image set"),
        ({"y_train": [0, 0, 0, 1]}, "class 1 of .* has 1 image, too few"),
    ],
)
def test_bad_splits_are_refused_with_the_value(tmp_path, images, change, message):
    np.savez(tmp_path / "set.npz", **{"x_train": images, "y_train": [0, 0, 1, 1], **change})
    with pytest.raises(InputError, match=message) as caught:
        load_split(tmp_path / "set.npz")
    assert "\n" not in str(caught.value)


def test_bad_idx_folders_are_refused_with_the_file(tmp_path, images):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte has no t10k-labels file"):
        load_split(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"xx")
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte is no image set"):
        load_split(tmp_path)
    broken = bytearray(gzip.compress(idx_bytes(images)))
    broken[15:20] = b"\xff" * 5
    (tmp_path / "train-images-idx3-ubyte").write_bytes(broken)
    with pytest.raises(InputError, match="train-images-idx3-ubyte is no image set"):
        load_images(tmp_path)


def test_folders_that_leave_the_classes_open_are_refused(tmp_path, images):
    mixed = write_pngs(tmp_path / "mixed", images, ["0/a.png", "1/a.png", "b.png", "c.png"])
    with pytest.raises(InputError, match=r"holds \.png files and folders"):
        load_images(mixed)
    with pytest.raises(InputError, match="² is not named by a number"):
        load_images(write_pngs(tmp_path / "power", images[:1], ["²/a.png"]))


def test_grey_spans_0_to_1_over_the_set(tmp_path):
    pixels = np.array([[[-2.0, 0.0]], [[1.0, 6.0]]])
    np.save(tmp_path / "set.npy", pixels)
    grey = load_images(tmp_path / "set.npy").grey()
    assert grey.dtype == np.float32
    assert grey.tolist() == [[0, 0.25], [0.375, 1]]


def test_scikit_learns_digits_are_read(tmp_path):
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    np.savez(tmp_path / "digits.npz", images=digits.images, labels=digits.target)
    split = load_split(tmp_path / "digits.npz")
    assert split.training.shape == split.held_out.shape == (8, 8)
    assert len(split.training) + len(split.held_out) == len(digits.images)
    expected = np.bincount(digits.target) // 5
    assert np.bincount(split.held_out.labels).tolist() == expected.tolist()
    assert split.training.grey().shape[1] == 64
