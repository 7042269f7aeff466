"""Images with the same content: one is asked about, its replies are put on record for all."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..descriptions.store import Record, complete, scan
from .loading import Task
from .progress import Progress
from .tally import Tally


class Twins:
    """Images that wait for the replies about another one with the same content.

    Args:
        progress: Knows which image is asked about.
        tally: Counts those that get replies, and those whose twin failed.
    """

    def __init__(self, progress: Progress, tally: Tally) -> None:
        self._progress, self._tally = progress, tally
        self._waiting: defaultdict[str, list[Task]] = defaultdict(list)  # by content

    def hold(self, task: Task, sha256: str | None) -> bool:
        """Whether another image of this content is or was asked about; then this one waits."""
        if not sha256 or self._progress.leader(task.image, sha256) == task.image:
            return False
        self._waiting[sha256].append(task)
        return True

    def records(self, path: Path) -> Iterator[Record]:
        """Records of those that wait, copies of those in a descriptions file; each once."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        known = self._replies(path, waiting) if waiting else {}
        for sha256, tasks in waiting.items():
            records = known.get(sha256, [])
            replies = [record for record in records if complete(record)['status'] != 'error']
            for task in tasks:
                self._tally.shared += bool(replies)
                if records and not replies:
                    self._tally.statuses['error'] += 1
                failed = self._progress.failed(task.image, sha256)
                for record in replies or ([] if failed else records[-1:]):
                    copy = {**record, 'image': task.image}
                    self._progress.add(copy)
                    yield copy

    def _replies(self, path: Path, wanted: dict[str, list[Task]]) -> dict[str, list[Record]]:
        """All records about the leading image of each content."""
        found = defaultdict(list)
        for _, record in scan(path):
            image, sha256 = record['image'], record.get('sha256', '')
            if sha256 not in wanted or not self._progress.counts(record):
                continue
            if self._progress.leader(image, sha256) == image:
                found[sha256].append(record)
        return found
