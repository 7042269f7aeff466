"""Stage 1: ask a large multimodal model, parse its replies, keep them, attach them to samples."""

from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .attach import AttachDescriptions
from .parse import ParsedReply, parse_reply
from .store import DescriptionStore, DescriptionWriter

__all__ = [
    'AttachDescriptions',
    'DescriptionStore',
    'DescriptionWriter',
    'ParsedReply',
    'parse_reply',
]
