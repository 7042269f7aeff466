"""A p-value can be computed again from what docs/results keeps."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.runs import load_methods

from .conftest import made_up

SCRIPT = Path(__file__).resolve().parents[2] / 'dev' / 'results.py'


def test_a_p_value_is_recomputed_from_what_is_kept(make_run, tmp_path):
    runs = []
    for name, accuracy, fitted in (('finetune', 0.7, False), ('gda', 0.8, True), ('ours', 0.9, 0)):
        for seed in (0, 1, 2):
            predictions = made_up(accuracy, 0 if fitted else seed)
            changes = dict(trained_parameters=0) if fitted else {}
            make_run(name, seed, predictions, below='out/demo', **changes)
            runs.append(dict(folder=f'{name}-{seed}', tuning='default', options={}))
    (tmp_path / 'out/demo/sweep.json').write_text(json.dumps(dict(runs=runs)))
    comparison = comparison_of(load_methods([tmp_path / 'out/demo']), 'finetune')
    (tmp_path / 'out/demo-table').mkdir()
    (tmp_path / 'out/demo-table/table.json').write_text(json.dumps(comparison))
    script = runpy.run_path(str(SCRIPT))
    script['collect'](tmp_path / 'out', tmp_path / 'kept')
    rows = {row['method']: row for row in comparison['rows']}
    for name in ('gda', 'ours'):
        again = script['p_value']('demo', name, 'finetune', tmp_path / 'kept')
        assert again == pytest.approx(rows[name]['p'])
    with np.load(tmp_path / 'kept/demo.npz') as file:
        assert file['correct'].shape == (9, 8) and file['seed'].tolist() == 3 * [0, 1, 2]
    kept = json.loads((tmp_path / 'kept/demo.json').read_text())
    assert kept == comparison
