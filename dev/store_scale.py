"""What a store of a million replies costs: seconds, and the most that each process had resident.

python dev/store_scale.py replies [N]    N replies opened, resumed, merged (1,000,000)
python dev/store_scale.py files [N]      N image files resumed, 0.1 MB each (100,000)

Resident memory counts what the imports take, too, which is printed first.
"""

import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'describe')]

from crashing import in_child, wait
from describing import PROMPT, Scripted, describe

from mmpretrain_lmmreg.describe.merge import merge
from mmpretrain_lmmreg.describe.state import Contents
from mmpretrain_lmmreg.describe.tasks import Loaded, Task
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.features.keys import stat_signature
from mmpretrain_lmmreg.io.files import digest


class MadeUp:
    """A million tasks, none of which lies in memory."""

    def __init__(self, start: int, stop: int) -> None:
        self.numbers = range(start, stop)

    def __iter__(self) -> Iterator[Task]:
        for index in self.numbers:
            yield Task(f'train/class {index % 101:03d}/image number {index:08d}.jpg', str(index))


def made_up_record(task: Task) -> dict:
    """A reply of 500 characters, of another content for each image."""
    items = [f'Sentence number {i} of image {task.path}, with a word or two.' for i in range(1, 11)]
    return dict(
        image=task.image,
        prompt=PROMPT,
        reply='\n'.join(f'{i}. {item}' for i, item in enumerate(items, 1)),
        model=Scripted.model,
        settings=digest({}),
        sha256=f'{int(task.path) + 1 << 192:064x}',
        descriptions=items,
        status='ok',
    )


def replies(root: Path, count: int = 1_000_000, shards: int = 4) -> None:
    """Make a store, open it, resume it to its first answer and to its end, merge shards of it."""
    out, hashes = root / 'd.jsonl', root / 'd.hashes'
    parts = [root / f'part{i}.jsonl' for i in range(shards)]
    size = count // shards

    def load(path, prepare, wanted):
        return Loaded(f'{int(path) + 1 << 192:064x}', 'pixels')

    def make() -> None:
        known = Contents(hashes)
        with open(out, 'wb') as whole:
            for number, path in enumerate(parts):
                with open(path, 'wb') as part:
                    for task in MadeUp(number * size, (number + 1) * size):
                        record = made_up_record(task)
                        known.add(task.path, stat_signature(task.path), record['sha256'])
                        line = encode(record)
                        whole.write(line)
                        part.write(line)
        known.save()

    def open_() -> None:
        assert len(DescriptionStore(out)) == count

    def first_answer() -> None:
        more = [Task('another.jpg', str(count))]
        assert describe(out, more, Scripted(), load=load).asked == 1

    def resume() -> None:
        tally = describe(out, MadeUp(0, count), Scripted(), contents=Contents(hashes))
        assert (tally.kept, tally.asked) == (count, 0)

    def merge_new() -> None:
        assert merge(parts, root / 'merged.jsonl') == count

    def merge_into() -> None:
        assert merge(parts[1:], parts[0]) == count - size

    for work in (make, open_, first_answer, resume, merge_new, merge_into):
        assert wait(in_child(lambda work=work: _timed(work))) == 0
    print(f'file: {out.stat().st_size / 2**30:.2f} GiB')


def files(root: Path, count: int = 100_000) -> None:
    """Resume with files of 100 kB on disk: each read once, then none."""
    out, hashes, tasks = root / 'd.jsonl', root / 'd.hashes', []
    with open(out, 'wb') as whole:
        for task in MadeUp(0, count):
            path = root / 'data' / task.path
            path.parent.mkdir(exist_ok=True)
            data = task.path.encode().ljust(100_000)
            path.write_bytes(data)
            tasks.append(Task(task.image, str(path)))
            sha256 = hashlib.sha256(data).hexdigest()
            whole.write(encode(dict(made_up_record(task), sha256=sha256)))

    def read_all() -> None:
        assert describe(out, tasks, Scripted(), contents=Contents(hashes)).kept == count

    def read_none() -> None:
        no_reading = dict(load=None, contents=Contents(hashes))
        assert describe(out, tasks, Scripted(), **no_reading).kept == count

    for work in (read_all, read_none):
        assert wait(in_child(lambda work=work: _timed(work))) == 0


def _timed(work: Callable[[], None]) -> None:
    start, cpu = time.monotonic(), time.process_time()
    work()
    spent = time.monotonic() - start, time.process_time() - cpu
    name = work.__name__.strip('_')
    print(f'{name}: {spent[0]:.1f} s ({spent[1]:.1f} s of CPU), {_gib():.2f} GiB', flush=True)


def _gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == '__main__':
    parts = {f.__name__: f for f in (replies, files)}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in parts:
        sys.exit(__doc__)
    print(f'imports alone: {_gib():.2f} GiB')
    with tempfile.TemporaryDirectory(dir=os.environ.get('CAMPAIGN_DIR')) as folder:
        parts[sys.argv[1]](Path(folder), *map(int, sys.argv[2:]))
