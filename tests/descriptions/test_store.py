"""The descriptions file: what wins, what is dropped, what is refused."""

import errno
import os

import pytest
from refused import refused

from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter
from mmpretrain_lmmreg.descriptions import lines as lines_module
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.errors import MissingInputError

PROMPT = 'Give 10 semantic descriptions for the image'
RECORD = b'"image": "a", "prompt": "p", "reply": ""'


def record(image, *descriptions, status='ok', prompt=PROMPT):
    reply = '\n'.join(f'{i}. {d}' for i, d in enumerate(descriptions, 1))
    fields = {'image': image, 'prompt': prompt, 'reply': reply}
    return {**fields, 'descriptions': list(descriptions), 'status': status}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'made here' / 'descriptions.jsonl'


def write(path, *records):
    with DescriptionWriter(path) as writer:
        for r in records:
            writer.append(r)
    return path


def test_what_is_written_is_read_again(path):
    records = [record('train/a b.jpg', 'A dog.', 'Ein Café.'), record('x/犬.png', status='refused')]
    store = DescriptionStore(write(path, *records))
    assert store.get('train/a b.jpg') == ['A dog.', 'Ein Café.']
    assert store.get('x/犬.png') == []
    assert store.get('train/c.jpg') is None
    assert list(store) == records
    assert len(store) == 2
    assert store.prompts == [PROMPT]
    assert path.read_bytes() == b''.join(map(encode, records))


def test_a_longer_record_than_one_read_is_whole(path):
    text = 'word ' * 20_000
    assert DescriptionStore(write(path, record('a', text), record('b', 'B.'))).get('a') == [text]


def test_image_names_that_are_no_utf8_come_back(path):
    name = b'train/\xff.jpg'.decode(errors='surrogateescape')
    assert DescriptionStore(write(path, record(name, 'A dog.'))).get(name) == ['A dog.']


def test_best_status_wins_then_the_latest(path):
    ranked = ['ok', 'long', 'short', 'truncated', 'refused', 'empty', 'error']
    for better, worse in zip(ranked, ranked[1:], strict=False):
        for order in ((better, worse), (worse, better)):
            path.unlink(missing_ok=True)
            store = DescriptionStore(write(path, *(record('a', s, status=s) for s in order)))
            assert store.get('a') == [better]
    write(path, record('a', 'later', status=better))
    assert DescriptionStore(path).get('a') == ['later']


def test_replies_without_status_are_parsed_on_reading(path):
    words = [f'Word {i}b.' for i in range(1, 11)]
    replies = (
        '\n'.join(f'{i}. {word}' for i, word in enumerate(words, 1)),
        'I cannot see the image.',
    )
    records = [{'image': 'a', 'prompt': PROMPT, 'reply': reply} for reply in replies]
    store = DescriptionStore(write(path, *records))
    assert store.get('a') == words
    assert store.record('a', PROMPT)['status'] == 'ok'
    assert store.record('a', 'other') is None


def test_several_prompts_are_all_taken_unless_one_is_named(path):
    store = DescriptionStore(write(path, record('a', 'A.'), record('a', 'B.', prompt='Other')))
    assert store.get('a') == ['A.', 'B.']
    assert store.get('a', 'Other') == ['B.']
    assert store.get('a', 'Never') is None
    assert len(store) == 2


def test_fingerprint_is_of_the_contents(path, tmp_path):
    a, b = record('a', 'A.'), record('b', 'B.')
    forth = DescriptionStore(write(path, a, b)).fingerprint
    back = DescriptionStore(write(tmp_path / 'back.jsonl', b, a)).fingerprint
    other = DescriptionStore(write(tmp_path / 'other.jsonl', a, record('b', 'C.'))).fingerprint
    asked = record('b', 'B.') | dict(prompt='And what else?')
    another = DescriptionStore(write(tmp_path / 'prompt.jsonl', a, asked)).fingerprint
    assert forth == back
    assert len({forth, other, another}) == 3
    assert len(forth) == 16


@pytest.mark.parametrize('cut', [1, 30, -2])
def test_unfinished_last_line_is_dropped_and_then_cut(path, cut):
    whole = write(path, record('a', 'A.')).read_bytes()
    path.write_bytes(whole + encode(record('b', 'B.'))[:cut])
    store = DescriptionStore(path)
    assert (len(store), store.get('a')) == (1, ['A.'])
    assert path.read_bytes() != whole
    write(path)
    assert path.read_bytes() == whole


def test_warning_names_file_and_line(path, monkeypatch):
    said = []
    monkeypatch.setattr(lines_module, 'print_log', lambda text, **_: said.append(text))
    write(path, record('a', 'A.'))
    path.write_bytes(path.read_bytes() + b'{"ima')
    DescriptionStore(path)
    assert said == [f'{path}, line 2: unfinished last line dropped']


def test_last_line_of_unwritten_blocks_is_unfinished(path):
    whole = write(path, record('a', 'A.')).read_bytes()
    path.write_bytes(whole + b'{"im' + b'\0' * 50 + b'"}\n')
    assert len(DescriptionStore(path)) == 1
    write(path)
    assert path.read_bytes() == whole


def test_blocks_lost_from_the_last_write_take_no_other_record_along(path):
    write(path, record('a', 'A.'))
    with DescriptionWriter(path) as writer:
        writer.append(*(record(name, f'{name}.') for name in 'bcd'))
    data = bytearray(path.read_bytes())
    at = data.index(b'"b"')
    data[at : at + 40] = bytes(40)
    path.write_bytes(data)
    assert [r['image'] for r in DescriptionStore(path)] == ['a', 'c', 'd']
    write(path)
    assert b'\0' not in path.read_bytes()
    assert [r['image'] for r in DescriptionStore(path)] == ['a', 'c', 'd']


def test_unwritten_blocks_far_from_the_end_are_a_damaged_record(path):
    write(path, record('a', 'A.'), record('b', 'word ' * 300_000))
    data = bytearray(path.read_bytes())
    data[5:9] = bytes(4)
    path.write_bytes(data)
    assert [r['image'] for r in DescriptionStore(path)] == ['b']
    write(path, record('c', 'C.'))
    assert path.read_bytes().startswith(data)


def test_whole_last_line_without_newline_is_kept(path):
    whole = write(path, record('a', 'A.')).read_bytes()
    path.write_bytes(whole[:-1])
    assert DescriptionStore(path).get('a') == ['A.']
    assert write(path).read_bytes() == whole


@pytest.mark.parametrize(
    ('code', 'line', 'message'),
    [
        ('descriptions.damaged_line', b'{"image": "a", "pro', ''),
        ('descriptions.damaged_line', b'["a"]', ''),
        ('descriptions.damaged_line', b'[' * 100_000, ''),
        ('descriptions.damaged_line', b'{' + RECORD + b', "cost": NaN}', ''),
        ('descriptions.damaged_line', b'{' + RECORD + b', "cost": 1e999}', ''),
        ('descriptions.damaged_line', b'{' + RECORD + b', "cost": 1%s}' % (b'0' * 9999), ''),
        ('io.wrong_field', b'{"image": "a", "prompt": "p"}', '"reply" is missing'),
        ('io.wrong_field', b'{"image": 7, "prompt": "p", "reply": ""}', '"image" is 7'),
        ('io.wrong_field', b'{' + RECORD + b', "status": ["ok"]}', '"status"'),
        ('io.wrong_field', b'{' + RECORD + b', "sha256": {}}', '"sha256"'),
        ('io.wrong_field', b'{' + RECORD + b', "descriptions": "x"}', '"descriptions"'),
        ('io.wrong_field', b'{' + RECORD + b', "descriptions": ["x", null]}', '"descriptions'),
        ('descriptions.unknown_status', b'{' + RECORD + b', "status": "good"}', "'good'"),
    ],
)
def test_malformed_line_is_named(path, code, line, message):
    write(path, record('a', 'A.'))
    path.write_bytes(path.read_bytes() + line + b'\n' + encode(record('b', 'B.')))
    with refused(code, match=f'{path}, line 2: .*{message}'):
        DescriptionStore(path)


def test_missing_file_names_the_command_that_makes_it(path):
    with refused('descriptions.no_file', MissingInputError, match=str(path)):
        DescriptionStore(path)


def test_second_writer_is_refused(path):
    with DescriptionWriter(path) as writer:
        link = path.with_name('link')
        link.symlink_to(path)
        for name in (path, link):
            with refused('io.in_use', match=f'{path} is in use: process {os.getpid()} on '):
                DescriptionWriter(name).__enter__()
        writer.append(record('a', 'A.'))
    write(path, record('b', 'B.'))
    assert len(DescriptionStore(path)) == 2


def test_records_between_other_lines_are_not_cut(path):
    content = b'A note.\n' + encode(record('a', 'word ' * 300_000)) + b'{"im'
    path.parent.mkdir()
    path.write_bytes(content)  # the note lies further from the end than one write reaches
    with refused('descriptions.foreign_file'):
        write(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize('kind', [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(path, kind):
    path.parent.mkdir()
    kind(path)
    code = 'unreadable' if kind is os.mkdir else 'no_regular_file'
    with refused(f'descriptions.{code}'):
        DescriptionStore(path)
    with refused('descriptions.' + ('not_written' if kind is os.mkdir else 'foreign_file')):
        write(path)
    with refused('descriptions.no_regular_file'):
        DescriptionStore('/dev/zero')


def test_a_full_disk_leaves_no_part_of_a_line(path, monkeypatch):
    write_bytes = os.write

    def write_half(file, data):
        if len(data) == 1:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return write_bytes(file, data[: max(1, len(data) // 2)])

    before = write(path, record('a.jpg', 'One.')).read_bytes()
    with DescriptionWriter(path) as writer:
        monkeypatch.setattr(os, 'write', write_half)
        with pytest.raises(OSError, match='No space left'):
            writer.append(record('b.jpg', 'Two.'), record('c.jpg', 'Three.'))
        assert path.read_bytes() == before
        monkeypatch.undo()
        writer.append(record('b.jpg', 'Two.'))
    assert [r['image'] for r in DescriptionStore(path)] == ['a.jpg', 'b.jpg']


def test_what_is_appended_while_it_is_read_does_no_harm(path, monkeypatch):
    write(path, record('a', 'A.'))
    store = DescriptionStore(path)
    write(path, record('b', 'B.'))
    assert store.get('b') is None
    assert store.get('a') == ['A.']
