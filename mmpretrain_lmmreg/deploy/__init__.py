"""What a trained classifier is good for: predictions on own pictures, and an export without mm*."""

from .. import compat  # noqa: F401  first, since it lets torchvision be imported
