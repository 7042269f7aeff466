"""What is asked, what is asked again, and what is kept."""

import asyncio
import json

import pytest
from describing import PROMPT, TEN, Scripted, describe

from mmpretrain_lmmreg.describe.describers import Answer
from mmpretrain_lmmreg.describe.tasks import Task
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.errors import InputError

SHORT = '1. Thing a.\n2. Thing b.'


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_image_is_asked_once_and_kept_whole(tasks, out):
    describer = Scripted()
    tally = describe(out, tasks, describer)
    assert (tally.asked, tally.kept, tally.statuses['ok']) == (6, 0, 6)
    assert (tally.tokens_in, tally.tokens_out) == (42, 18)
    assert len(describer.batches) == 6
    assert describer.closed
    records = {record['image']: record for record in lines(out)}
    assert set(records) == {task.image for task in tasks}
    first = records[tasks[0].image]
    assert list(first) == [
        *('image', 'prompt', 'reply', 'model', 'settings', 'sha256', 'descriptions', 'status'),
        'crc32',
    ]
    assert first['reply'] == TEN
    assert len(first['sha256']) == 64


def test_asked_again_where_image_prompt_model_or_settings_change(tasks, out):
    describe(out, tasks, Scripted())
    for change in (
        dict(describer=Scripted(settings={'temperature': 0})),
        dict(describer=Scripted(model='another')),
        dict(describer=Scripted(), prompt='Other'),
    ):
        assert describe(out, tasks, **change).asked == 6
    with open(tasks[2].path, 'ab') as file:
        file.write(b'\0')
    describer = Scripted(SHORT)
    tally = describe(out, tasks, describer, retries=0)
    assert (tally.asked, tally.kept) == (1, 5)
    assert describe(out, tasks, Scripted(), retries=0).asked == 0


def test_records_of_others_without_provenance_are_not_asked_again(tasks, out):
    empty = dict.fromkeys(('model', 'settings', 'sha256'))
    for task, origin in zip(tasks, ({}, empty), strict=False):
        line = {'image': task.image, 'prompt': PROMPT, 'reply': TEN, **origin}
        out.open('a').write(json.dumps(line) + '\n')
    assert describe(out, tasks, Scripted(), replace=False).asked == 4


def test_bad_replies_are_asked_again_and_all_kept(tasks, out):
    describer = Scripted('', 'I cannot see the image.', SHORT, TEN)
    tally = describe(out, tasks[:1], describer, retries=5)
    assert [record['status'] for record in lines(out)] == ['empty', 'refused', 'short', 'ok']
    assert tally.statuses['ok'] == tally.asked == 1
    assert len(DescriptionStore(out).get(tasks[0].image)) == 10


def test_best_reply_counts_after_the_last_try(tasks, out):
    tally = describe(out, tasks[:1], Scripted(SHORT, '', ''), retries=2)
    assert tally.statuses['short'] == tally.asked == 1
    assert DescriptionStore(out).get(tasks[0].image) == ['Thing a.', 'Thing b.']
    assert describe(out, tasks[:1], Scripted(), retries=2).asked == 0


def test_tries_are_counted_over_runs(tasks, out):
    describe(out, tasks[:1], Scripted(SHORT), retries=0)
    describer = Scripted(SHORT, SHORT, SHORT, SHORT)
    describe(out, tasks[:1], describer, retries=2)
    assert len(describer.batches) == 2
    assert len(lines(out)) == 3


def test_a_describer_that_would_repeat_itself_is_asked_once(tasks, out):
    describer = Scripted(SHORT, deterministic=True)
    assert describe(out, tasks[:1], describer).statuses['short'] == 1
    assert len(describer.batches) == 1


def test_more_than_asked_is_good_enough(tasks, out):
    describer = Scripted(TEN + '\n11. Thing k.')
    assert describe(out, tasks[:1], describer).statuses['long'] == 1
    assert len(describer.batches) == 1


def test_batches_are_filled_and_bad_replies_asked_again_together(tasks, out):
    describer = Scripted(TEN, SHORT, TEN, '', batch_size=6, concurrency=1)
    describe(out, tasks, describer, retries=1)
    assert list(map(len, describer.batches)) == [6, 2]
    assert len({record['image'] for record in lines(out)}) == 6


@pytest.mark.parametrize('content', [None, b'', b'no image', b'\x89PNG\r\n\x1a\n\0\0'])
def test_broken_image_is_an_error_record_and_the_run_goes_on(tasks, out, tmp_path, content):
    path = tmp_path / 'broken.png'
    if content is not None:
        path.write_bytes(content)
    broken = Task('train/broken.png', str(path))
    tally = describe(out, [broken, *tasks], Scripted())
    assert (tally.statuses['error'], tally.statuses['ok']) == (1, 6)
    (record,) = (r for r in lines(out) if r['image'] == broken.image)
    assert (record['status'], record['reply'], record['descriptions']) == ('error', '', [])
    assert ('sha256' in record) == (content is not None)
    verb = 'read' if content is None else 'decode'
    assert record['error'].startswith(f'cannot {verb} the image: ')
    assert ' at 0x' not in record['error']
    assert describe(out, [broken, *tasks], Scripted()).statuses['error'] == 1
    assert len(lines(out)) == 7  # the same error is on record once


def test_error_of_the_describer_is_tried_again_in_the_next_run(tasks, out):
    tally = describe(out, tasks[:2], Scripted(Answer(error='server on fire'), TEN))
    assert (tally.statuses['error'], tally.statuses['ok']) == (1, 1)
    (record,) = (r for r in lines(out) if r['status'] == 'error')
    assert record['error'] == 'server on fire'
    assert describe(out, tasks[:2], Scripted()).statuses['ok'] == 1
    assert all(r['status'] == 'ok' for r in DescriptionStore(out))


class Stopping(Scripted):
    """Refuses the third call, while the second is still on its way."""

    async def ask(self, images, prompts):
        self.calls = getattr(self, 'calls', 0) + 1
        if self.calls == 3:
            self.refused.set()
            raise InputError('wrong key')
        if self.calls == 2:
            await self.refused.wait()
        return await super().ask(images, prompts)


def test_refusal_of_the_whole_run_stops_it_and_loses_no_reply(tasks, out):
    describer = Stopping(refused=asyncio.Event())
    with pytest.raises(InputError, match='wrong key'):
        describe(out, tasks, describer)
    assert (describer.calls, len(lines(out))) == (3, 2)
    assert describe(out, tasks, Scripted()).asked == 4


def test_an_image_whose_record_is_damaged_is_asked_about_again(tasks, out):
    describe(out, tasks, Scripted())
    data = bytearray(out.read_bytes())
    data[data.index(b'Thing c')] ^= 1
    out.write_bytes(data)
    describer = Scripted()
    assert describe(out, tasks, describer).asked == 1
    assert all(record['descriptions'][2] == 'Thing c.' for record in DescriptionStore(out))
