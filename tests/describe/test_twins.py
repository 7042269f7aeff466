"""Identical files are asked about once, and files that a run has read are not read again."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from describing import OPENAI, TEN, Scripted, call, describe

from mmpretrain_lmmreg.describe.describers import Answer
from mmpretrain_lmmreg.describe.state import Contents
from mmpretrain_lmmreg.describe.tasks import Task, load_image
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.features.keys import BY_CONTENT

SHORT = '1. Thing a.\n2. Thing b.'


@pytest.fixture
def doubled(tasks):
    """Three images, each twice under another name."""
    copies = []
    for task in tasks[:3]:
        name = task.image.replace('.png', ' copy.png')
        path = task.path.replace('.png', ' copy.png')
        shutil.copyfile(task.path, path)
        copies.append(Task(name, path, task.label))
    return [*tasks[:3], *copies]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize('concurrency', [1, 6])
def test_one_of_identical_files_is_asked_about_and_each_has_its_record(doubled, out, concurrency):
    describer = Scripted(*[TEN.replace('a', i) for i in 'xyz'], concurrency=concurrency)
    tally = describe(out, doubled, describer)
    assert (len(describer.batches), tally.asked, tally.shared) == (3, 3, 3)
    records = {record['image']: record for record in lines(out)}
    assert set(records) == {task.image for task in doubled} and len(lines(out)) == 6
    for one, other in zip(doubled[:3], doubled[3:], strict=True):
        pair = [{**records[task.image], 'image': '', 'crc32': ''} for task in (one, other)]
        assert pair[0] == pair[1]
    again = describe(out, doubled, describer)
    assert (again.kept, again.shared, len(describer.batches)) == (6, 0, 3)


def test_a_copy_of_what_an_earlier_run_described(doubled, out):
    describe(out, doubled[:3], Scripted())
    tally = describe(out, doubled, describer := Scripted())
    assert (tally.kept, tally.shared, describer.batches) == (3, 3, [])
    assert len(DescriptionStore(out)) == 6
    other = describe(out, doubled, Scripted(settings={'temperature': 0}))
    assert (other.asked, other.shared) == (3, 3)


def test_bad_replies_are_shared_so_that_nobody_asks_again(doubled, out):
    pair = [doubled[0], doubled[3]]
    describer = Scripted(SHORT, '', SHORT)
    tally = describe(out, pair, describer, retries=2)
    assert (len(describer.batches), tally.asked, tally.shared) == (3, 1, 1)
    assert len(lines(out)) == 6
    assert describe(out, pair, describer, retries=2).kept == 2


def test_after_an_error_one_of_them_is_asked_about_in_the_next_run(doubled, out):
    pair = [doubled[0], doubled[3]]
    for _ in range(2):
        tally = describe(out, pair, Scripted(Answer(error='on fire')))
        assert (tally.statuses['error'], tally.shared, len(lines(out))) == (1, 0, 1)
    tally = describe(out, pair, describer := Scripted())
    assert (len(describer.batches), tally.asked, tally.shared) == (1, 1, 1)
    assert {record['status'] for record in DescriptionStore(out)} == {'ok'}


def test_a_prompt_that_names_the_class_asks_about_each(doubled, out):
    named = dict(prompt='Describe the {class}', classes=['cat', 'dog'])
    assert describe(out, doubled, Scripted(), **named).asked == 6


def test_the_command_says_how_many_share(config, doubled, default, server, capsys):
    call(config, *OPENAI)
    assert len(server.bodies) == 6
    assert '6 images asked about, 0 kept before, 3 share the replies' in capsys.readouterr().out
    store = DescriptionStore(default)
    assert store.get(doubled[0].image) == store.get(doubled[3].image)


def test_a_batch_asks_once_and_its_answer_is_everyones(config, doubled, default, tmp_path, capsys):
    written, answers = tmp_path / 'batch.jsonl', tmp_path / 'answers.jsonl'
    call(config, *OPENAI, '--batch-write', written)
    requests = lines(written)
    assert len(requests) == 6
    message = {'choices': [{'message': {'content': TEN}}]}
    response = {'status_code': 200, 'body': message}
    rows = (dict(custom_id=each['custom_id'], response=response) for each in requests)
    answers.write_text('\n'.join(map(json.dumps, rows)))
    call(config, *OPENAI, '--batch-read', answers)
    assert len(DescriptionStore(default)) == 9
    call(config, *OPENAI, '--batch-write', written)
    assert '0 requests in' in capsys.readouterr().out


class Reading:
    """Reads images and notes which."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path, *rest):
        self.paths.append(path)
        return load_image(path, *rest)


def resume(out, tasks, cache):
    reading = Reading()
    tally = describe(out, tasks, Scripted(), load=reading, contents=Contents(cache))
    return tally, [Path(path).name for path in reading.paths]


def test_a_resumed_run_reads_what_has_changed_only(tasks, out, tmp_path, monkeypatch):
    cache = tmp_path / 'cache' / 'x.hashes'
    assert len(resume(out, tasks, cache)[1]) == 6
    assert cache.stat().st_size == 6 * 16
    tally, read = resume(out, tasks, cache)
    assert (tally.kept, read) == (6, [])
    os.utime(tasks[1].path)  # the same content
    tally, read = resume(out, tasks, cache)
    assert (tally.kept, read) == (6, [Path(tasks[1].path).name])
    data = Path(tasks[2].path).read_bytes()
    before = os.stat(tasks[2].path)
    Path(tasks[2].path).write_bytes(data[:-1] + b'\0')
    os.utime(tasks[2].path, ns=(before.st_atime_ns, before.st_mtime_ns))
    tally, read = resume(out, tasks, cache)
    assert (tally.asked, tally.kept) == (1, 5) and len(read) == 1
    monkeypatch.setenv(BY_CONTENT, '1')
    tally, read = resume(out, tasks, cache)
    assert (tally.kept, len(read)) == (6, 6)
    monkeypatch.delenv(BY_CONTENT)
    assert resume(out, tasks, cache)[1] == []


def test_contents_behind_the_same_state_show_when_contents_are_compared(
    tasks, out, tmp_path, monkeypatch
):
    for module in ('state', 'run'):
        name = f'mmpretrain_lmmreg.describe.{module}.stat_signature'
        monkeypatch.setattr(name, lambda _: 'the same')
    cache = tmp_path / 'x.hashes'
    resume(out, tasks, cache)
    with open(tasks[0].path, 'ab') as file:
        file.write(b'\0')
    assert resume(out, tasks, cache)[0].asked == 0
    monkeypatch.setenv(BY_CONTENT, '1')
    assert resume(out, tasks, cache)[0].asked == 1


@pytest.mark.parametrize('damage', ['cut', 'bits', 'folder'])
def test_damaged_hashes_cost_a_reading_only(tasks, out, tmp_path, damage):
    cache = tmp_path / 'x.hashes'
    resume(out, tasks, cache)
    if damage == 'cut':
        os.truncate(cache, 2 * 16 + 5)
    elif damage == 'bits':
        cache.write_bytes(np.random.default_rng(0).bytes(96))
    else:
        cache.unlink()
        cache.mkdir()
    tally, read = resume(out, tasks, cache)
    assert (tally.kept, len(read)) == (6, 4 if damage == 'cut' else 6)
    if damage != 'folder':
        assert resume(out, tasks, cache)[1] == []
