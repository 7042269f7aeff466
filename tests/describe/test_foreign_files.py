"""Files that are no descriptions files: --out leaves them as they are, --merge refuses them."""

import os
import threading

import pytest
from describing import Scripted, call, describe
from refused import refused

from mmpretrain_lmmreg.describe.merge import merge, reparse
from mmpretrain_lmmreg.errors import InputError

FOREIGN = {
    'one line without an end': b'my notes, which have no newline',
    'lines and half a line': b'first line\nsecond line\nthird, without an end',
    'JSON of others': b'{"image": "a.jpg", "caption": "A dog."}\n{"image": "b.jpg", "capt',
    'a list': b'[1, 2,\n3',
    'binary': bytes(range(256)) * 3,
    'a line of others': b'{"a": 1}\n',
    'half an object, then words': b'{"image"\nA note.',
    'blocks never written': b'x\0',
    'a picture': b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(40),
}

CODES = ('descriptions.foreign_file', 'descriptions.damaged_line', 'io.wrong_field')


@pytest.mark.parametrize('link', [False, True])
@pytest.mark.parametrize('content', FOREIGN.values(), ids=FOREIGN)
def test_no_byte_of_a_foreign_file_is_touched(tasks, tmp_path, content, link):
    file = out = tmp_path / 'file'
    file.write_bytes(content)
    if link:
        out = tmp_path / 'link.jsonl'
        out.symlink_to(file)
    describer = Scripted()
    for write in (
        lambda: describe(out, tasks, describer),
        lambda: reparse(out),
        lambda: merge([tmp_path / 'new.jsonl'], out),
    ):
        describe(tmp_path / 'new.jsonl', tasks[:1], Scripted())
        with pytest.raises(InputError) as error:
            write()
        assert error.value.code in CODES
        assert file.read_bytes() == content
    assert not describer.batches


@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder'])
def test_merge_and_batches_take_regular_files_only(config, tmp_path, kind, monkeypatch):
    monkeypatch.setenv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    path = tmp_path / 'x.jsonl'
    {'pipe': os.mkfifo, 'device': lambda p: p.symlink_to('/dev/zero'), 'folder': os.mkdir}[kind](
        path
    )
    openai = ('--describer', 'openai', '--model', 'm')
    ended, codes = threading.Event(), []

    def both() -> None:
        for options in (('--merge', path), (*openai, '--batch-read', path)):
            with pytest.raises(InputError) as error:
                call(config, *options)
            codes.append(error.value.code)
        ended.set()

    threading.Thread(target=both, daemon=True).start()
    assert ended.wait(60)
    folder = 'descriptions.' + ('unreadable' if kind == 'folder' else 'no_regular_file')
    assert codes == [folder, 'describe.no_batch']


@pytest.mark.parametrize('kind', ['store', 'folder', 'pipe'])
@pytest.mark.parametrize('option', ['--check', '--batch-write'])
def test_pages_and_batches_replace_only_their_own_kind(
    config, default, tmp_path, kind, option, monkeypatch
):
    monkeypatch.setenv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    path = default if kind == 'store' else tmp_path / 'x'
    {'store': lambda p: p.write_bytes(FOREIGN['a list']), 'folder': os.mkdir, 'pipe': os.mkfifo}[
        kind
    ](path)
    with refused('describe.foreign_file'):
        call(config, '--describer', 'openai', '--model', 'm', option, path)
    assert path.is_dir() or path.is_fifo() or path.read_bytes() == FOREIGN['a list']


def test_a_folder_for_out(config, tasks, tmp_path):
    with refused('descriptions.not_written', match=str(tmp_path)):
        describe(tmp_path, tasks, Scripted())
