"""The long checks of describing, each run by hand and printing what it measured.

python dev/describe_campaign.py strace    a run killed at each of its real system calls
python dev/describe_campaign.py kills     100 SIGKILLs at random moments over 2,000 images
python dev/describe_campaign.py faults    1,000 images, a fifth of the answers faulty
python dev/describe_campaign.py latency   against a server of fixed latency
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'describe')]

import torch
from crashing import content, in_child, wait, whole_lines
from describing import describe, make_images
from loopback import Loopback

from mmpretrain_lmmreg.describe.describers import build_describer
from mmpretrain_lmmreg.describe.tasks import Task
from mmpretrain_lmmreg.descriptions import DescriptionStore


def ask(out: Path, tasks: list[Task], concurrency: int = 16, **options: object):
    """One run of the openai describer."""
    describer = build_describer(
        'openai', {'backoff': 0.01, **options}, model='m', concurrency=concurrency
    )
    return describe(out, tasks, describer)


@contextmanager
def serving(**options: object) -> Iterator[None]:
    """A loopback server in a process of its own, and the environment pointing at it."""
    reader, writer = os.pipe()

    def serve() -> None:
        with Loopback(**options) as server:
            os.write(writer, server.url.encode())
            signal.pause()

    process = in_child(serve)
    os.environ.update(OPENAI_BASE_URL=os.read(reader, 99).decode(), OPENAI_API_KEY='none')
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def strace(root: Path) -> None:
    """Kill at every write, fsync, ftruncate of the file, by strace's fault injection."""
    out, tasks = root / 'd.jsonl', make_images(root / 'data', 6, 0)
    with serving(behave=lambda n, image, _: '1. Short.' if image[-3] % 3 == 0 else 'ok'):
        assert wait(in_child(lambda: ask(out, tasks, 1))) == 0
        expected, kills = content(out), 0
        for call in ('openat', 'flock', 'ftruncate', 'write', 'fsync'):
            for at in range(1, 1000):
                out.unlink(missing_ok=True)
                if at % 2:  # every other time on a file that a crash has left cut
                    out.write_bytes(b'{"image": "train/cat/a 00')
                if not _killed_by_strace(lambda: ask(out, tasks, 1), out, call, at):
                    break
                kills += 1
                before = whole_lines(out)
                assert wait(in_child(lambda: ask(out, tasks, 1))) == 0
                assert content(out) == expected, (call, at)
                assert out.read_bytes().startswith(before), (call, at)
    print(f'strace: {kills} kills at system calls; after resuming all as undisturbed')


def _killed_by_strace(work: Callable[[], None], path: Path, call: str, at: int) -> bool:
    """Whether the process got as far as the at-th call on the file, and was killed there."""
    reader, writer = os.pipe()

    def waiting() -> None:
        os.read(reader, 1)
        work()

    child = in_child(waiting)
    command = ['strace', '-f', '-qq', '-p', str(child), '-P', str(path), '-e', f'trace={call}']
    log = open(path.with_suffix('.strace'), 'wb')  # noqa: SIM115  closed below
    tracer = subprocess.Popen(
        [*command, '-e', f'inject={call}:signal=KILL:when={at}'], stdout=log, stderr=log
    )
    while 'TracerPid:\t0' in Path(f'/proc/{child}/status').read_text():
        time.sleep(0.01)
    time.sleep(0.05)  # -f attaches thread by thread
    os.write(writer, b'x')
    code = wait(child)
    tracer.wait()
    for part in (reader, writer):
        os.close(part)
    log.close()
    return code == -signal.SIGKILL


def kills(root: Path, count: int = 100, images: int = 2000) -> None:
    """SIGKILL at random moments, over and over, until ``count`` of them hit."""
    tasks, chance = make_images(root / 'data', images, 0), random.Random(0)
    with serving(latency=0.02):
        whole = root / 'undisturbed.jsonl'
        start = time.monotonic()
        assert wait(in_child(lambda: ask(whole, tasks))) == 0
        print(f'undisturbed: {time.monotonic() - start:.1f} s')
        expected, hits, runs = content(whole), 0, 0
        while hits < count:
            out = root / f'{(runs := runs + 1)}.jsonl'
            done = False
            while not done and hits < count:
                before = whole_lines(out)
                child = in_child(lambda out=out: ask(out, tasks))
                time.sleep(chance.uniform(0.1, 1.2))
                os.kill(child, signal.SIGKILL)
                done = wait(child) == 0
                hits += not done
                assert whole_lines(out).startswith(before)
            before = whole_lines(out)
            assert wait(in_child(lambda out=out: ask(out, tasks))) == 0
            assert content(out) == expected
            assert out.read_bytes().startswith(before)
            assert out.read_bytes().count(b'\n') == images
    print(
        f'kills: {hits} SIGKILLs over {runs} runs of {images} images: {images} records each, once'
    )


def faults(root: Path, images: int = 1000) -> None:
    """A fifth of the answers is 429, 500, cut, garbage, reset or late."""
    tasks, chance = make_images(root / 'data', images, 0), random.Random(1)
    names = ['429', '500', 'cut', 'body <html>', 'body {}', 'reset', 'half stream', 'hang']
    for tries in (3, 0):
        with serving(behave=lambda *_: chance.choice(names) if chance.random() < 0.2 else 'ok'):
            describer = build_describer(
                'openai',
                {'backoff': 0.01, 'timeout': 2},
                model='m',
                concurrency=32,
                retries=tries,
            )
            tally = describe(root / f'{tries}.jsonl', tasks, describer)
        assert len(DescriptionStore(root / f'{tries}.jsonl')) == images == tally.asked
        counts = {name: number for name, number in tally.statuses.items() if number}
        print(f'faults: {images} images, {tries} retries: {counts}')


def latency(root: Path) -> None:
    """Wall time over N * latency / c."""
    images = make_images(root / 'data', 40 * 64, 0)
    for seconds, slots in ((0.5, 8), (1, 32), (1, 64)):
        tasks = images[: 40 * slots]
        with serving(latency=seconds, slots=slots):
            start = time.monotonic()
            ask(root / f'{slots}.jsonl', tasks, slots)
            ratio = (time.monotonic() - start) / (len(tasks) * seconds / slots)
        print(f'latency: {len(tasks)} images, {seconds} s, {slots} at once: {ratio:.3f} of ideal')


if __name__ == '__main__':
    torch.set_num_threads(1)
    parts = {f.__name__: f for f in (strace, kills, faults, latency)}
    for part in sys.argv[1:] or sys.exit(__doc__):
        with tempfile.TemporaryDirectory(dir=os.environ.get('CAMPAIGN_DIR')) as folder:
            parts[part](Path(folder))
