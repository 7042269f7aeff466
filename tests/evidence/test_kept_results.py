"""Figures of docs/results.md are computed again from what docs/results keeps."""

import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.runs import load_methods

from .conftest import made_up

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def script():
    return runpy.run_path(str(ROOT / 'dev' / 'results.py'))


def test_a_p_value_is_that_of_compare(make_run, tmp_path, script):
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
    script['collect'](tmp_path / 'out', tmp_path / 'kept')
    sweep = script['Sweep']('demo', tmp_path / 'kept')
    rows = {row['method']: row for row in comparison['rows']}
    for name in ('gda', 'ours'):
        again = sweep.p(sweep.scores[name], sweep.scores['finetune'])
        assert again == pytest.approx(rows[name]['p'])
        assert sweep.scores[name].mean() == pytest.approx(rows[name]['accuracy'])
    with np.load(tmp_path / 'kept/demo.npz') as file:
        assert file['correct'].shape == (9, 8) and file['seed'].tolist() == 3 * [0, 1, 2]


@pytest.mark.parametrize(
    'printed, page, least', [('tables', 'docs/results.md', 50), ('readme_table', 'README.md', 7)]
)
def test_published_tables_are_those_of_the_kept_results(script, capsys, printed, page, least):
    script[printed]()
    published = (ROOT / page).read_text().splitlines()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| ')]
    assert len(rows) >= least
    assert [row for row in rows if row not in published] == []


def test_published_p_values_are_computed_again(script):
    text = (ROOT / 'docs' / 'results.md').read_text()
    printed = re.findall(r'dev/results\.py p (.+)  # (.+)', text)
    assert len(printed) >= 3
    for words, value in printed:
        name, *methods = shlex.split(words)
        sweep = script['Sweep'](name)
        assert f'{sweep.p(*(sweep.scores[method] for method in methods)):.2g}' == value
