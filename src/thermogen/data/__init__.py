"""Images: the digits that ship with the package, image files of the user, and their checks."""

from thermogen.data.images import Images, Split, checked_images
from thermogen.data.load import load_digits, load_images, load_split

__all__ = ["Images", "Split", "checked_images", "load_digits", "load_images", "load_split"]
