"""The data set on disk: the same each time, whole or not there."""

import hashlib
import json
import multiprocessing
import os
import signal

import pytest

from mmpretrain_lmmreg.demo import render


@pytest.fixture
def few(monkeypatch):
    """Three pictures only."""
    all_scenes = list(render.scenes())[:3]
    monkeypatch.setattr(render, 'scenes', lambda seed: iter(all_scenes))


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_two_renders_are_equal_byte_for_byte(few, tmp_path):
    for name in 'ab':
        render.render_into(tmp_path / name)
    first = files(tmp_path / 'a')
    assert first == files(tmp_path / 'b') and len(first) == 6


def test_what_is_written_fits_together(drawn):
    scenes = [json.loads(line) for line in (drawn / 'scenes.jsonl').open()]
    records = [json.loads(line) for line in (drawn / 'descriptions.jsonl').open()]
    on_disk = {p.relative_to(drawn).as_posix() for p in drawn.rglob('*.png')}
    assert on_disk == {s['image'] for s in scenes} == {r['image'] for r in records}
    for record in records[::50]:
        content = (drawn / record['image']).read_bytes()
        assert record['sha256'] == hashlib.sha256(content).hexdigest()


def test_the_cache_is_drawn_once(few, monkeypatch):
    folder = render.demo_folder()
    assert len(list(folder.rglob('*.png'))) == 3
    monkeypatch.setattr(render, 'render_into', None)
    assert render.demo_folder() == folder


def _die_halfway(folder, seed):
    (folder / 'train').mkdir(parents=True)
    (folder / 'train' / 'half.png').write_bytes(b'\x89PNG')
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_render_is_done_anew(few, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(render, 'render_into', _die_halfway)
        process = multiprocessing.get_context('fork').Process(target=render.demo_folder)
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    folder = render.demo_folder()
    assert len(list(folder.rglob('*.png'))) == 3 and not list(folder.rglob('half.png'))
    assert [p.suffix for p in sorted(folder.parent.iterdir())] == ['']


def test_the_fingerprint_follows_the_code(monkeypatch, tmp_path):
    prints = {render.fingerprint()}
    monkeypatch.setattr(render, '__file__', str(tmp_path / 'render.py'))
    for text in ('SIDE = 2', 'SIDE = 1'):
        (tmp_path / 'canvas.py').write_text(text)
        prints.add(render.fingerprint())
    assert len(prints) == 3


def test_draws_have_folders_of_their_own(monkeypatch):
    seeds = []
    monkeypatch.setattr(render, 'render_into', lambda folder, seed: seeds.append(seed))
    assert render.demo_folder(2) != render.demo_folder() == render.demo_folder(0)
    assert seeds == ['demo 3', 'demo 1']
