"""Shards put together, conflicts found, replies read anew."""

import pytest
from describing import TEN
from refused import refused

from mmpretrain_lmmreg.describe.merge import merge, reparse
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.descriptions.samples import default_prompt


def record(image, reply=TEN, status='ok', descriptions=('Old.',), **more):
    fields = {'image': image, 'prompt': 'p', 'reply': reply, 'descriptions': list(descriptions)}
    return {**fields, 'status': status, **more}


@pytest.fixture
def write(tmp_path):
    def to(name, *records):
        with DescriptionWriter(tmp_path / name) as writer:
            for r in records:
                writer.append(r)
        return tmp_path / name

    return to


def test_shards_become_one_file_and_merging_again_adds_nothing(write, tmp_path):
    a, b = write('a', record('1'), record('2')), write('b', record('3'))
    out = tmp_path / 'out'
    assert merge([a, b], out) == 3
    assert [r['image'] for r in DescriptionStore(out)] == ['1', '2', '3']
    before = out.read_bytes()
    assert merge([a, b, out], out) == 0
    assert out.read_bytes() == before
    assert merge([write('c', record('4'))], out) == 1
    assert out.read_bytes().startswith(before)


def test_better_replies_replace_errors_and_worse_ones(write, tmp_path):
    a = write('a', record('1', '', 'error', ()), record('2', 'x', 'short'), record('3', sha256='f'))
    b = write('b', record('1'), record('2', 'y'), record('3', sha256='f'))
    assert merge([a, b], tmp_path / 'out') == 3
    store = DescriptionStore(tmp_path / 'out')
    assert [store.record(i, 'p')['reply'] for i in '123'] == [TEN, 'y', TEN]


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ({}, {'reply': '1. Otherwise.'}),
        ({'sha256': 'aa'}, {'sha256': 'bb', 'status': 'short'}),
        ({'model': 'a'}, {'model': 'b'}),
        ({'settings': 'a'}, {'settings': 'b'}),
    ],
)
def test_conflicts_are_named_and_nothing_is_written(write, tmp_path, one, other):
    a = write('a', record('x/1.jpg', **one), record('2'))
    b = write('b', record('x/1.jpg', **other))
    with refused('describe.conflict') as error:
        merge([a, b], tmp_path / 'out')
    assert '1 images were described twice, and differently' in str(error.value)
    assert f'x/1.jpg in {a} and {b}' in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_reparse_adds_what_reads_better_and_asks_nobody(write):
    path = write('a', record('1', status='short'), record('2', '', 'error', ()), record('3', TEN))
    before = path.read_bytes()
    assert reparse(path) == (2, 0)
    assert path.read_bytes().startswith(before)
    store = DescriptionStore(path)
    assert store.get('1') == store.get('3') == [f'Thing {c}.' for c in 'abcdefghij']
    assert (store.record('1', 'p')['status'], store.record('2', 'p')['status']) == ('ok', 'error')
    assert reparse(path) == (0, 0)


def test_reading_that_is_worse_shows_in_a_new_file_only(write, tmp_path):
    path = write('a', record('1', 'I cannot see the image.', 'ok'))
    assert reparse(path) == (0, 1)
    assert DescriptionStore(path).get('1') == ['Old.']
    assert merge([path], tmp_path / 'new', reparse=True) == 1
    assert DescriptionStore(tmp_path / 'new').get('1') == []


def test_reparse_with_another_number_of_descriptions(write):
    path = write('a', record('1', '1. One.\n2. Two.', 'short'))
    assert reparse(path, expected=2) == (1, 0)
    assert DescriptionStore(path).record('1', 'p')['status'] == 'ok'


@pytest.mark.parametrize('count', [1, 2])
def test_the_own_prompts_say_how_many_are_expected(write, tmp_path, count):
    reply = ('A dog runs.', '1. One.\n2. Two.')[count - 1]
    path = write('a', {**record('1', reply), 'prompt': default_prompt(count)})
    assert reparse(path) == (1, 0)
    merge([path], tmp_path / 'new', reparse=True)
    assert [each['status'] for each in DescriptionStore(tmp_path / 'new')] == ['ok']


def test_a_lesser_attempt_does_not_displace_the_winner(write):
    lesser = record('1', '1. Other words.', 'truncated', ())
    path = write('a', lesser, record('1', '1. Thing a.', 'short', ['Thing a.']))
    reparse(path)
    assert DescriptionStore(path).get('1') == ['Thing a.']


def test_many_records_share_a_sync(write, tmp_path, monkeypatch):
    """Merging into a file that exists, and reading anew, sync once in half a megabyte."""
    syncs = []
    many = [record(str(i), f'{TEN}\n{"x" * (i % 7)}', 'short') for i in range(1500)]
    out, more = write('out', record('first')), write('more')
    with DescriptionWriter(more) as writer:
        writer.append(*many)
    monkeypatch.setattr('os.fsync', syncs.append)
    assert merge([more], out) == 1500
    assert len(syncs) < 10
    assert [r['image'] for r in DescriptionStore(out)] == ['first', *(r['image'] for r in many)]
    syncs.clear()
    assert reparse(out) == (1501, 0)
    assert len(syncs) < 10
    assert {r['status'] for r in DescriptionStore(out)} == {'ok'}


def test_one_write_is_less_than_a_crash_may_leave_unfinished(write, tmp_path, monkeypatch):
    sizes = []
    append = DescriptionWriter.append

    def measured(self, *records):
        sizes.append(sum(len(encode(r)) for r in records))
        append(self, *records)

    more = write('more', *(record(str(i), 'x' * 200_000) for i in range(6)))
    out = write('out', record('first'))
    monkeypatch.setattr(DescriptionWriter, 'append', measured)
    assert merge([more], out) == 6
    assert len(sizes) == 3
    assert max(sizes) <= 1 << 19


@pytest.mark.parametrize('finish', ['truncated', 'refused'])
def test_what_the_server_said_of_a_reply_counts_when_it_is_read_anew(write, finish):
    path = write(
        'a', record('1', TEN, finish, ['A.'] * 9 if finish == 'truncated' else [], finish=finish)
    )
    assert reparse(path)[1] == 0
    (kept,) = DescriptionStore(path)
    assert kept['status'] == finish and len(kept['descriptions']) == (9 if finish[0] == 't' else 0)
