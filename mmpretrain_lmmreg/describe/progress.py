"""Which images need asking: what a descriptions file holds of one prompt, model and settings."""

import os
from pathlib import Path

from ..descriptions.parse import STATUSES
from ..descriptions.store import Record, complete, scan

_GOOD = STATUSES.index('long')  # ok and long need no second asking
_FAILED = STATUSES.index('error')


class Progress:
    """How far each image is, one number an image: image content, replies so far, best status.

    A record without ``model``, ``settings`` or ``sha256`` stands for any. After an image's
    content changed, only replies about the new content count.

    Args:
        prompt, model, settings: What is asked now; other records do not count.
        path: The descriptions file, which need not exist yet.
    """

    def __init__(self, prompt: str, model: str, settings: str, path: Path | None = None) -> None:
        self._prompt, self._model, self._settings = prompt, model, settings
        self._images: dict[str, int] = {}  # sha256's first 64 bits | replies (16) | error | rank
        if path is not None and os.path.exists(path):
            for _, record in scan(path):
                self.add(record)

    def add(self, record: Record) -> None:
        """Count a record of the file, if it answers what is asked now."""
        if (
            record['prompt'] != self._prompt
            or record.get('model', self._model) != self._model
            or record.get('settings', self._settings) != self._settings
        ):
            return
        sha = _short(record.get('sha256'))
        replies, failed, best = self._state(record['image'], sha)
        rank = STATUSES.index(complete(record)['status'])
        replies, failed = (replies, True) if rank == _FAILED else (replies + 1, failed)
        entry = sha << 24 | min(replies, 0xFFFF) << 8 | failed << 4 | min(rank, best)
        self._images[record['image']] = entry

    def tries_left(self, image: str, sha256: str | None, tries: int) -> int:
        """How many of ``tries`` replies may still be asked for; 0 for a good reply."""
        replies, _, best = self._state(image, _short(sha256))
        return 0 if best <= _GOOD else max(tries - replies, 0)

    def best(self, image: str, sha256: str | None) -> str:
        """The best status so far; ``error`` where there is none."""
        return STATUSES[self._state(image, _short(sha256))[2]]

    def failed(self, image: str, sha256: str | None) -> bool:
        """Whether an error is on record for this content of the image."""
        return self._state(image, _short(sha256))[1]

    def _state(self, image: str, sha: int) -> tuple[int, bool, int]:
        entry = self._images.get(image)
        if entry is None or (sha and entry >> 24 and entry >> 24 != sha):
            return 0, False, _FAILED
        return entry >> 8 & 0xFFFF, bool(entry >> 4 & 1), entry & 0xF


def _short(sha256: object) -> int:
    return int(sha256[:16], 16) if isinstance(sha256, str) and sha256 else 0
