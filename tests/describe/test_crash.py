"""Death at any moment loses no reply that was written and repeats none."""

import pytest
from crashing import Crash, count_calls, enumerate_kills, in_child, wait
from describing import Scripted, describe

from mmpretrain_lmmreg.describe.describers import Answer
from mmpretrain_lmmreg.describe.merge import merge
from mmpretrain_lmmreg.describe.tasks import Task
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter
from mmpretrain_lmmreg.errors import InputError


class ByImage(Scripted):
    """Replies that depend on the image alone: most are good, one is short whenever asked."""

    concurrency = 1

    async def ask(self, images, prompts):
        (size,) = images
        long = f'1. It is {size[1]} high. ' + 'Very wide indeed. ' * 20
        return [Answer(long + '\n2. Second.' + ('' if size[1] == 10 else '\n3. Third.'))]


# after a call is before the next one
@pytest.mark.parametrize(
    ('modes', 'seeds'),
    [
        (('before', 'half'), (0,)),
        (('unsynced',), (0,)),
        pytest.param(('unsynced',), range(1, 5), marks=pytest.mark.slow),
    ],
)
def test_killed_at_every_file_call_and_resumed(tasks, tmp_path, modes, seeds):
    out = tmp_path / 'd.jsonl'
    broken = Task('train/broken.png', str(tmp_path / 'none.png'))

    def work():
        describe(out, [broken, *tasks[:2]], ByImage(), count=3, retries=1)

    assert enumerate_kills(work, out, modes, seeds) > 20


def test_the_campaign_notices_a_writer_that_mends_nothing(tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(DescriptionWriter, '_mend', lambda self: None)
    out = tmp_path / 'd.jsonl'
    with pytest.raises((AssertionError, InputError)):
        enumerate_kills(lambda: describe(out, tasks[:2], ByImage(), count=3), out, ['half'])


def test_merge_is_made_whole_or_not_at_all(tmp_path):
    parts = [tmp_path / 'a', tmp_path / 'b']
    for number, part in enumerate(parts):
        with DescriptionWriter(part) as writer:
            writer.append({'image': f'{number}', 'prompt': 'p', 'reply': '1. A.'})
    out = tmp_path / 'out'

    def work():
        merge(parts, out)

    calls = count_calls(work, out)
    out.unlink()
    assert calls >= 4
    for at in range(1, calls + 1):
        assert wait(in_child(lambda at=at: (Crash(at, 'before', out), work()))) == -9
        assert not out.exists() or len(DescriptionStore(out)) == 2
        out.unlink(missing_ok=True)
    work()
    assert len(DescriptionStore(out)) == 2
