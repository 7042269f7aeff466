"""A record of which one bit is wrong is never used: it is left out by line, or the file refused."""

import json
import re

import pytest

from mmpretrain_lmmreg.describe.merge import merge, reparse
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter, lines
from mmpretrain_lmmreg.descriptions.lines import encode, scan
from mmpretrain_lmmreg.errors import InputError

RECORDS = [
    {
        'image': f'train/{name}.jpg',
        'prompt': 'p',
        'reply': f'1. A {name}.\n2. Ein Café.',
        'descriptions': [f'A {name}.', 'Ein Café.'],
        'status': 'ok',
    }
    for name in ('dog', 'cat', 'owl')
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'd.jsonl'


@pytest.fixture
def said(monkeypatch):
    """What was warned of."""
    texts = []
    monkeypatch.setattr(lines, 'print_log', lambda text, **_: texts.append(text))
    return texts


def write(path, records):
    with DescriptionWriter(path) as writer:
        writer.append(*records)
    return path.read_bytes()


def test_every_flipped_bit_is_named_and_no_changed_record_is_read(path, said):
    whole = write(path, RECORDS)
    start, end = len(encode(RECORDS[0])), len(whole) - len(encode(RECORDS[2]))
    left_out = refused = 0
    for at in range(start, end):
        for bit in range(8):
            data = bytearray(whole)
            data[at] ^= 1 << bit
            path.write_bytes(data)
            said.clear()
            try:
                read = [record for _, record in scan(path)]
            except InputError as error:
                assert re.search(r'd\.jsonl, line [23]: ', str(error))
                refused += 1
                continue
            for record in read:  # but for the name of the checksum's own field
                assert {k: v for k, v in record.items() if k in RECORDS[0]} in RECORDS
            if len(read) < 3:
                left_out += 1
                assert len(said) == 1
                assert re.search(r'd\.jsonl.* line [23]', said[0])
    assert left_out > 0.9 * 8 * (end - start)  # others: a newline, the checksum's own name
    assert refused < 0.06 * 8 * (end - start)


def test_a_damaged_record_is_as_if_it_had_not_been_written(path, said):
    short = {**RECORDS[0], 'descriptions': ['A dog.'], 'status': 'short'}
    whole = write(path, [short, RECORDS[0], RECORDS[1]])
    damaged = bytearray(whole)
    damaged[whole.index(b'A dog', len(encode(short)))] ^= 1
    path.write_bytes(damaged)
    store = DescriptionStore(path)
    assert store.get('train/dog.jpg') == ['A dog.']  # the line before it
    assert 'the crc32 of line 2 says that it is damaged' in said[0]
    write(path, [RECORDS[0]])
    assert DescriptionStore(path).get('train/dog.jpg') == RECORDS[0]['descriptions']


def test_many_damaged_lines_are_one_warning(path, said):
    path.write_bytes(write(path, RECORDS * 3).replace(b'A ', b'B '))
    assert len(DescriptionStore(path)) == 0
    (text,) = said
    assert 'line 1, 2, 3, 4, 5 and 4 more says' in text


def test_lines_without_a_checksum_and_those_another_tool_has_written_are_read(path, said):
    old = [json.dumps(RECORDS[0]), json.dumps(json.loads(encode(RECORDS[1])))]
    old.append(json.dumps(json.loads(encode(RECORDS[2])), separators=(',', ':')))
    path.write_text('\n'.join(old))
    assert list(DescriptionStore(path)) == RECORDS
    path.write_text(old[1].replace('cat', 'rat') + '\n' + old[0] + '\n')
    assert list(DescriptionStore(path)) == RECORDS[:1]
    assert 'line 1' in said[0]


def test_merging_and_reading_anew_write_checksums_of_their_own(path, tmp_path):
    old, out = tmp_path / 'old.jsonl', tmp_path / 'out.jsonl'
    old.write_text(json.dumps(RECORDS[0]) + '\n')
    write(path, RECORDS[1:])
    assert merge([old, path], out) == 3
    assert all(b'"crc32"' in line for line in out.read_bytes().splitlines())
    assert list(DescriptionStore(out)) == RECORDS
    write(path, [{**RECORDS[0], 'descriptions': [], 'status': 'empty'}])
    assert reparse(path, expected=2) == (1, 0)
    assert DescriptionStore(path).get('train/dog.jpg') == RECORDS[0]['descriptions']
    assert path.read_bytes().count(b'"crc32"') == 4
