"""Make the digits that ship with the package: the first 100 training images of each MNIST class.

Usage: python scripts/make_digits.py MNIST.npz   (arrays train_images (60000, 28, 28), train_labels (60000,))
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

PER_CLASS = 100
TARGET = Path(__file__).parent.parent / "src" / "thermogen" / "datasets"


def main(source: str) -> None:
    """Write digits.npz and its card digits.json."""
    with np.load(source) as mnist:
        images, labels = mnist["train_images"], mnist["train_labels"]
    index = np.sort(np.concatenate([np.flatnonzero(labels == c)[:PER_CLASS] for c in range(10)]))
    chosen = {"images": images[index].astype(np.uint8), "labels": labels[index].astype(np.uint8)}
    np.savez_compressed(TARGET / "digits.npz", **chosen, index=index.astype(np.int32))
    card = {
        "name": "MNIST, the first 100 training images of each class, in the order of the training set",
        "arrays": {
            "images": "uint8 (1000, 28, 28), 0 background to 255 ink",
            "labels": "uint8 (1000,)",
            "index": "int32 (1000,), place of each image in the MNIST training set",
        },
        "source": "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits (1998)",
        "homepage": "http://yann.lecun.com/exdb/mnist/",
        "licence": "Creative Commons Attribution-Share Alike 3.0 (CC BY-SA 3.0)",
        "made_by": "scripts/make_digits.py",
        "sha256": hashlib.sha256((TARGET / "digits.npz").read_bytes()).hexdigest(),
    }
    (TARGET / "digits.json").write_text(json.dumps(card, indent=2) + "\n")
    print(f"{len(index)} images, {(TARGET / 'digits.npz').stat().st_size} bytes, sha256 {card['sha256']}")


if __name__ == "__main__":
    main(sys.argv[1])
