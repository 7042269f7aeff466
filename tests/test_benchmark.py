"""The benchmark's figures are of what they say, and a wrong result ends with an error."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dev.benchmarks import decode, measure, memory, run, scale, text, train, trunk
from dev.benchmarks.measure import Row, in_turns
from mmpretrain_lmmreg.clip.backbone import OpenCLIPVisual
from mmpretrain_lmmreg.io.table import VectorTable

TOOL = Path(__file__).resolve().parents[1] / 'dev' / 'benchmark.py'


def test_tasks_take_turns_and_the_first_round_does_not_count(monkeypatch):
    clock = iter([0, 0, 0, 1, 0, 10, 0, 3, 0, 10, 0, 9, 0, 10])
    monkeypatch.setattr(measure, 'time', SimpleNamespace(perf_counter=lambda: next(clock)))
    order = []
    tasks = {name: lambda name=name: order.append(name) for name in 'ab'}
    assert in_turns(tasks, repeats=3) == {'a': 3, 'b': 10}
    assert ''.join(order) == 'abababab'


@pytest.fixture
def narrow(monkeypatch):
    for module in (train, memory):
        monkeypatch.setattr(module, 'TOWER', dict(train.TOWER, width=64))


def test_training_equals_the_bare_loop(narrow, tmp_path):
    row = train.train_row(tmp_path, epochs=2, images=100, classes=3)
    assert row.name == 'train_vs_torch' and row.measured > 0 and row.against > 0
    assert row.ratio == row.measured / row.against
    assert all(row.correct.values()), row.correct


def test_a_bare_loop_with_other_results_is_noticed(narrow, tmp_path, monkeypatch):
    step = train.BareLoop.step
    monkeypatch.setattr(train.BareLoop, 'step', lambda self, x, labels: step(self, x, labels * 0))
    row = train.train_row(tmp_path, epochs=1, images=100, classes=3)
    assert not any(row.correct.values())


def test_a_sparse_table_is_read_like_any_other(tmp_path):
    table = VectorTable('features', dict(a=1))
    file = table.folder / f'0000000-0-{0:032x}.safetensors'
    memory.sparse_chunk(file, ['a', 'b'], 1 << 20)
    table.refresh()
    stored = table.stored(['b'])
    assert stored.nbytes == 2 << 20
    assert stored[[0]].dtype == torch.float16 and not stored[[0]].any()
    assert file.stat().st_blocks * 512 < 1 << 16


def test_a_shuffled_epoch_tells_whether_it_read_from_disk(narrow, tmp_path, monkeypatch):
    assert not memory.shuffled_epoch(tmp_path / 'small', 2000)['on_disk']
    monkeypatch.setattr('mmpretrain_lmmreg.io.table.IN_MEMORY', 0)
    result = memory.shuffled_epoch(tmp_path / 'large', 2000)
    assert result['on_disk'] and 0.1 < result['gib'] < 10


def test_trunk_rows(tiny_clip, pictures, tmp_path):
    files = sorted(pictures.rglob('*.png'))
    rows = trunk.trunk_rows(tmp_path, files, f'local-dir:{tiny_clip}', repeats=1)
    assert [row.name for row in rows] == [
        'trunk_vs_open_clip',
        'trunk_vs_matmul',
        'jpeg_vs_forward',
    ]
    assert all(row.measured > 0 and row.against > 0 for row in rows)
    assert all(holds for row in rows for holds in row.correct.values())


def test_decode_row(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, 'SIZE', (1200, 900))
    row = decode.decode_row(tmp_path / 'photos', repeats=1)
    assert row.ratio == pytest.approx(row.measured / row.against) and all(row.correct.values())
    monkeypatch.setattr(decode, 'LARGEST', -1)
    assert not any(decode.decode_row(tmp_path / 'again', repeats=1).correct.values())


def test_operations_of_a_vit(tiny_clip):
    visual = OpenCLIPVisual(f'local-dir:{tiny_clip}', trainable='all').visual
    visual.proj = None
    # whose attention the counter sees
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        visual(torch.randn(1, 3, 32, 32))
    assert trunk.vit_flops(visual) == counter.get_total_flops()


def test_text_row(tiny_clip):
    texts = text.bar_descriptions()
    assert len(texts) == 4800
    row = text.text_row(f'local-dir:{tiny_clip}', texts[:200], repeats=1, rival_texts=16)
    assert row.name == 'text_vs_open_clip' and row.ratio > 0
    assert all(row.correct.values()), row.correct


def test_run_row(tiny_config, tmp_path):
    tiny_config.dump(str(tmp_path / 'tiny.py'))
    row = run.run_row(tmp_path, tmp_path / 'tiny.py', epochs=2)
    assert row.name == 'run_vs_plain' and row.what.startswith('tiny, whole run of 2 epochs')
    assert row.correct.pop('a second run leaves the trunk alone')
    assert list(row.correct.values()) == [True]


@pytest.mark.parametrize('stage', scale.STAGES)
def test_each_stage_of_scale_is_right(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(scale, 'TEST_IMAGES', 40)
    assert scale.STAGES[stage](tmp_path, 20)() is True


def test_the_tool_writes_json_and_fails_where_a_result_is_wrong(monkeypatch, tmp_path, capsys):
    row = Row('train_vs_torch', 'made up', 2.0, 1.0, 2.0, 1.05, {'same': False}, at_least=False)
    monkeypatch.setattr(train, 'train_row', lambda folder, epochs: row)
    file = tmp_path / 'figures.json'
    monkeypatch.setattr(sys, 'argv', ['benchmark.py', 'train', '--json', str(file)])
    with pytest.raises(SystemExit, match='1'):
        runpy.run_path(str(TOOL), run_name='__main__')
    (found,) = json.loads(file.read_text())
    assert found['machine']['cores'] >= 1 and found['machine']['packages']['torch']
    assert found['reached'] is (False if found['judged'] else None)
    assert {k: found[k] for k in ('name', 'measured', 'against', 'ratio', 'target')} == dict(
        name='train_vs_torch', measured=2.0, against=1.0, ratio=2.0, target=1.05
    )
    assert '(`train_vs_torch`) | 2 | 1 | 2 | ≤ 1.05, not' in capsys.readouterr().out
