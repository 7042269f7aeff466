"""Which images need asking: what a descriptions file holds of one prompt, model and settings."""

import os
from collections import Counter
from pathlib import Path

from ..descriptions.parse import STATUSES
from ..descriptions.store import Record, complete, scan

_GOOD = STATUSES.index('long')  # ok and long need no second asking
_FAILED = STATUSES.index('error')
_ERROR, _FINAL = 1 << 4, 1 << 5


class Progress:
    """How far each image is, one number an image: image content, replies so far, best status.

    A record without ``model``, ``settings`` or ``sha256`` stands for any. After an image's
    content changed, only replies about the new content count. A reply that the model's server
    cut off or refused is final.

    Attributes:
        others: Replies to the prompt by other models, by model.

    Args:
        prompt, model, settings: What is asked now; other records do not count.
        path: The descriptions file, which need not exist yet.
    """

    def __init__(self, prompt: str, model: str, settings: str, path: Path | None = None) -> None:
        self._prompt, self._model, self._settings = prompt, model, settings
        self._images: dict[str, int] = {}  # sha256's first 64 bits | replies (16) | 2 flags | rank
        self._leaders: dict[int, str] = {}  # the image whose replies all of one content share
        self.others: Counter[str] = Counter()
        if path is not None and os.path.exists(path):
            for _, record in scan(path):
                self.add(record)

    def add(self, record: Record) -> None:
        """Count a record of the file, if it answers what is asked now."""
        if record['prompt'] != self._prompt:
            return
        if record.get('model', self._model) != self._model:
            self.others[record['model']] += record.get('status') != 'error'
            return
        if not self.counts(record):
            return
        sha = _short(record.get('sha256'))
        replies, flags, best = self._state(record['image'], sha)
        rank = STATUSES.index(complete(record)['status'])
        flags |= _ERROR * (rank == _FAILED) | _FINAL * bool(record.get('finish'))
        replies += rank != _FAILED
        entry = sha << 24 | min(replies, 0xFFFF) << 8 | flags | min(rank, best)
        self._images[record['image']] = entry
        if sha and (rank <= _GOOD or record.get('finish')):
            self._leaders.setdefault(sha, record['image'])

    def counts(self, record: Record) -> bool:
        """Whether a record answers what is asked now."""
        asked = self._prompt, self._model, self._settings
        given = record.get('model', self._model), record.get('settings', self._settings)
        return (record['prompt'], *given) == asked

    def leader(self, image: str, sha256: str | None) -> str:
        """The image with a good or final reply about a content, else the first one asked for."""
        return self._leaders.setdefault(_short(sha256), image) if sha256 else image

    def tries_left(self, image: str, sha256: str | None, tries: int) -> int:
        """How many of ``tries`` replies may still be asked for; 0 for a good or final one."""
        replies, flags, best = self._state(image, _short(sha256))
        return 0 if best <= _GOOD or flags & _FINAL else max(tries - replies, 0)

    def best(self, image: str, sha256: str | None) -> str:
        """The best status so far; ``error`` where there is none."""
        return STATUSES[self._state(image, _short(sha256))[2]]

    def failed(self, image: str, sha256: str | None) -> bool:
        """Whether an error is on record for this content of the image."""
        return bool(self._state(image, _short(sha256))[1] & _ERROR)

    def _state(self, image: str, sha: int) -> tuple[int, int, int]:
        entry = self._images.get(image)
        if entry is None or (sha and entry >> 24 and entry >> 24 != sha):
            return 0, 0, _FAILED
        return entry >> 8 & 0xFFFF, entry & (_ERROR | _FINAL), entry & 0xF


def _short(sha256: object) -> int:
    return int(sha256[:16], 16) if isinstance(sha256, str) and sha256 else 0
