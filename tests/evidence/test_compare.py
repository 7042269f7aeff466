"""From runs to figures and files."""

import contextlib
import csv
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refused import refused

from mmpretrain_lmmreg.errors import MissingInputError
from mmpretrain_lmmreg.evidence import figures, tables
from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.inference import mcnemar_test
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.io.files import sealed

from .conftest import made_up

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def rows_of(folders, baseline):
    """The rows of a comparison in the order of the methods."""
    methods = load_methods(folders)
    order = [method.name for method in methods]
    rows = comparison_of(methods, baseline)['rows']
    return sorted(rows, key=lambda row: (row['baseline'] is not None, order.index(row['method'])))


def test_equal_predictions_differ_by_nothing(make_run):
    folders = [make_run(m, s, made_up(0.8, s)) for m in ('base', 'ours') for s in (0, 1, 2)]
    base, ours = rows_of(folders, 'base')
    assert base['difference'] is None
    assert ours['difference'] == 0 and ours['p'] == 1 and ours['p_holm'] == 1
    assert ours['mcnemar_p'] == {'0': 1.0, '1': 1.0, '2': 1.0} and 0.1 < ours['detectable'] < 0.2


def test_a_row(make_run):
    right = replace(made_up(0.8), probs=np.eye(3, dtype=np.float32)[made_up(0.8).label])
    folders = [make_run('ours', 0, right, trained_parameters=0)]
    folders += [make_run('base', seed, made_up(0.8 + 0.02 * seed, seed)) for seed in (0, 1, 2)]
    comparison = comparison_of(load_methods(folders), 'base')
    ours, base = comparison['rows']  # the most accurate first
    assert (comparison['images'], comparison['groups'], comparison['classes']) == (60, 12, 3)
    accuracies = [made_up(0.8 + 0.02 * s, s).correct.mean() for s in (0, 1, 2)]
    assert base['accuracy'] == pytest.approx(np.mean(accuracies))
    assert base['accuracy_sd'] == pytest.approx(np.std(accuracies, ddof=1))
    assert base['accuracy_low'] < base['accuracy'] < base['accuracy_high']
    assert ours['accuracy'] == ours['macro_recall'] == 1 and ours['accuracy_sd'] is None
    assert ours['difference'] == pytest.approx(1 - np.mean(accuracies))
    assert ours['difference_low'] < ours['difference'] < ours['difference_high']
    assert ours['p'] == ours['p_holm'] < 0.01
    assert list(ours['mcnemar_p']) == ['0']
    assert ours['mcnemar_p']['0'] == mcnemar_test(right.correct, made_up(0.8).correct)
    assert 0 < ours['detectable'] < 0.5 and ours['nll'] == pytest.approx(0, abs=1e-6)
    assert base['trained_parameters'] == 1234 and ours['train_seconds'] == 5
    assert ours['protocol'] == 'split 1'


def test_fewer_than_three_seeds_have_no_p_value_but_that_of_these_runs(make_run):
    def row(seeds, **changes):
        folders = [make_run('base', s, made_up(0.7, s), below=str(changes)) for s in seeds]
        folders += [make_run('ours', s, made_up(0.9, s), str(changes), **changes) for s in seeds]
        return rows_of(folders, 'base')[1]

    for seeds in ((0,), (0, 1)):
        few = row(seeds)
        assert few['p'] is None and few['p_holm'] is None and 0 < few['p_runs'] < 0.05
        assert few['difference_low'] > -0.1 and few['difference_high'] < 0.7  # of these models
        assert few['accuracy_low'] > 0.6
    assert 0 < row((0, 1, 2))['p'] < 0.05


def test_deterministic_methods_need_no_seeds(make_run):
    fitted = [make_run('zero_shot', 0, trained_parameters=0)]
    fitted += [make_run('gda', s, made_up(0.9), trained_parameters=0) for s in (0, 1)]
    row = rows_of(fitted, 'zero_shot')[1]
    assert row['p'] == row['p_runs'] < 0.2
    trained = [make_run('base', s, made_up(0.7, s)) for s in (0, 1, 2)]
    zero_shot = rows_of([*fitted, *trained], 'base')[1]
    assert zero_shot['p'] is not None and zero_shot['p'] != zero_shot['p_runs']
    drawn = [make_run('shots', s, made_up(0.8, s), trained_parameters=0) for s in (0, 1)]
    assert rows_of([*drawn, *trained], 'base')[1]['p'] is None


def test_a_baseline_of_one_run_is_everyones_pair(make_run):
    folders = [make_run('zero_shot', None), make_run('ours', 3), make_run('ours', 4)]
    rows = rows_of(folders, 'zero_shot')
    assert set(rows[1]['mcnemar_p']) == {'3', '4'}


def test_the_order_of_images_does_not_matter(make_run):
    p, order = made_up(0.8), np.random.default_rng(0).permutation(60)
    shuffled = replace(
        p,
        rel_path=p.rel_path[order],
        label=p.label[order],
        group=p.group[order],
        probs=p.probs[order],
    )
    rows = rows_of([make_run('base'), make_run('ours', 0, shuffled)], 'base')
    assert rows[1]['p_runs'] == 1


def changed(name, index, value):
    array = getattr(made_up(0.8), name).copy()
    array[index] = value
    return replace(made_up(0.8), **{name: array})


@pytest.mark.parametrize(
    ('predictions', 'message', 'what'),
    [
        (changed('rel_path', 7, 'test/x.jpg'), '1 test images are in .*base-0 only', 'images'),
        (made_up(0.8, images=90), "30 test images are in .*ours-0 only, 'test/060", 'images'),
        (changed('label', 7, 0), "label of 'test/007.jpg' is 1 in one, 0", 'images'),
        (changed('group', 7, 'v9'), "group of 'test/007.jpg' is v1 in one, v9", 'images'),
        (
            replace(made_up(0.8), probs=np.pad(made_up(0.8).probs, ((0, 0), (0, 1)))),
            'their classes differ',
            'classes',
        ),
    ],
)
def test_runs_with_other_test_images_are_refused(make_run, predictions, message, what):
    folders = [make_run('base'), make_run('ours', 0, predictions, classes=None)]
    with refused(f'evidence.other_{what}', match=message):
        load_methods(folders)


def test_runs_that_cannot_be_taken_are_refused(make_run, tmp_path):
    base = make_run('base')
    with refused('evidence.other_classes'):
        load_methods([base, make_run('other', classes=['c', 'b', 'a'])])
    with refused('evidence.other_classes', match='names 2 classes, the predictions have 3'):
        load_methods([make_run('few', classes=['a', 'b'])])
    with refused('evidence.same_seed'):
        load_methods([base, base])
    with refused('evidence.unfinished', match='its last epoch is 5'):
        load_methods([make_run('broken', finished=False)])
    with refused('hooks.no_record', MissingInputError):
        load_methods([tmp_path / 'nothing'])
    (tmp_path / 'sweep/runs').mkdir(parents=True)
    with refused('evidence.unfinished', match='sweep that is not finished'):
        load_methods([tmp_path / 'sweep'])
    with refused('evidence.no_baseline'):
        comparison_of(load_methods([base]), 'x')
    with refused('evidence.no_runs'):
        load_methods([])


PRINTS = dict(
    train_fingerprint='t', descriptions_fingerprint='d', weights_fingerprint='w'
)  # fmt: skip
MADE_FROM = dict(
    texts='descriptions',
    fingerprints=PRINTS,
    settings={'randomness.seed': 0, 'model.head.alpha': 0.01, 'work_dir': 'a'},
    code='c',
    versions={'torch': '2.13'},
)


@pytest.mark.parametrize(
    ('change', 'what'),
    [
        (dict(texts='class names'), 'texts'),
        (dict(fingerprints={**PRINTS, 'descriptions_fingerprint': 'x'}), 'descriptions'),
        (dict(fingerprints={**PRINTS, 'train_fingerprint': 'x'}), 'training images'),
        (dict(fingerprints={**PRINTS, 'weights_fingerprint': 'x'}), 'weights'),
        (dict(fingerprints={**PRINTS, 'start_fingerprint': 'x'}), 'first weights'),
        (dict(settings={'model.head.alpha': 0.1}), r'settings \(model.head.alpha\)'),
        (dict(code='x'), 'code version'),
        (dict(versions={'torch': '2.4'}), 'versions'),
        (dict(texts=None, fingerprints={}, settings={}, code='', versions={}), 'texts'),
    ],
)
def test_runs_of_one_row_are_of_one_method(make_run, change, what):
    def run(seed, **changes):
        settings = {**MADE_FROM['settings'], 'randomness.seed': seed, 'work_dir': str(seed)}
        settings |= changes.pop('settings', {})
        return make_run('ours', seed, **{**MADE_FROM, **changes, 'settings': settings})

    alike = [run(1), run(2)]
    assert [len(m.runs) for m in load_methods(alike)] == [2]
    with refused('evidence.mixed_runs', match=f'{what} differ: .*seed 0; .*seed 1, 2'):
        load_methods([run(0, **change), *alike])


def test_seeds_may_draw_the_training_images(make_run):
    def run(seed, shots):
        settings = {'randomness.seed': seed, 'train_dataloader.dataset.shot_seed': shots}
        prints = dict(train_fingerprint=shots, descriptions_fingerprint=shots)  # of the draw's own
        return make_run('ours', seed, settings=settings, fingerprints=prints)

    assert len(load_methods([run(s, s) for s in range(3)])[0].runs) == 3
    with refused('evidence.mixed_runs', match='shot_seed'):
        load_methods([run(0, 0), run(1, 5)])


def test_from_python(make_run):
    from mmpretrain_lmmreg import compare

    folders = [make_run(m, s, made_up(a, s)) for m, a in (('finetune', 0.6), ('ours', 0.9))
               for s in (0, 1, 2)]  # fmt: skip
    table = compare(folders)
    assert table['method'].tolist() == ['ours', 'finetune']
    assert table['accuracy'].is_monotonic_decreasing
    assert table.loc[0, 'p_holm'] < 0.05 and table.loc[0, 'baseline'] == 'finetune'


def test_a_sweep_folder_stands_for_its_final_runs(make_run, tmp_path):
    make_run('ours', 0), make_run('ours', 1), make_run('unlisted', 0)
    make_run('ours', 0, below='tuned')
    runs = [
        dict(folder='ours-0', tuning='default', options={}),
        dict(folder='tuned/ours-0', tuning='tuned', options={'model.head.alpha': 0.1}),
        dict(folder='ours-1', tuning='', options={'model.head.alpha': 0.2}),
    ]
    (tmp_path / 'sweep.json').write_text(json.dumps(dict(runs=runs)))
    methods = load_methods([tmp_path])
    assert [m.name for m in methods] == ['ours', 'ours (tuned)', 'ours [alpha=0.2]']
    rows = comparison_of(methods, 'ours [alpha=0.2]')['rows']
    against = {row['method']: row['baseline'] for row in rows}
    assert against == {
        'ours': 'ours [alpha=0.2]',
        'ours (tuned)': None,  # the baseline was not tuned
        'ours [alpha=0.2]': None,
    }


def test_a_damaged_sweep_is_named(make_run, tmp_path):
    make_run('ours', 0)
    file = tmp_path / 'sweep.json'
    whole = sealed(dict(runs=[dict(folder='ours-0', tuning='default', options={})]))
    file.write_bytes(whole)
    assert len(load_methods([tmp_path])) == 1
    for damaged, where in (
        (whole.replace(b'default', b'defbult'), 'checksum'),
        (whole[:20], 'damaged'),
        (b'{"runs": [{"folder": "x"}]}', r'"runs\[0\].tuning" is missing'),
    ):
        file.write_bytes(damaged)
        with refused('evidence.bad_sweep', match=f'{file}.*{where}.*writes it again'):
            load_methods([tmp_path])


def swept(make_run, tmp_path, methods):
    """A sweep's folder of methods with three seeds: {name: {tuning: accuracy}}."""
    runs = []
    for name, tunings in methods.items():
        for tuning, accuracy in tunings.items():
            for s in range(3):
                make_run(name, s, made_up(accuracy, s), below=tuning)
                options = {'lr': 1} if tuning == 'tuned' else {}
                runs.append(dict(folder=f'{tuning}/{name}-{s}', tuning=tuning, options=options))
    (tmp_path / 'sweep.json').write_text(json.dumps(dict(runs=runs)))
    return comparison_of(load_methods([tmp_path]), 'base')['rows']


def test_tuned_methods_are_compared_with_the_tuned_baseline(make_run, tmp_path):
    rows = swept(
        make_run,
        tmp_path,
        {
            'base': {'default': 0.6, 'tuned': 0.8},
            'ours': {'default': 0.65, 'tuned': 0.9},
            'settled': {'default = tuned': 0.7},
            'fitted': {'default': 0.75},
        },
    )
    assert {row['method']: row['baseline'] for row in rows} == {
        'base': None,
        'base (tuned)': None,
        'ours': 'base',
        'ours (tuned)': 'base (tuned)',
        'settled': 'base',
        'settled (tuned)': 'base (tuned)',
        'fitted': 'base',
    }
    by_name = {row['method']: row for row in rows}
    gain = by_name['ours (tuned)']['accuracy'] - by_name['base (tuned)']['accuracy']
    assert by_name['ours (tuned)']['difference'] == pytest.approx(gain)
    assert by_name['base (tuned)']['difference'] is None
    assert max(r['p_holm'] / r['p'] for r in rows if r['p']) == pytest.approx(5)


def test_a_default_that_tuning_chose_is_the_baseline_of_both(make_run, tmp_path):
    methods = {
        'base': {'default = tuned': 0.6},
        'ours': {'default': 0.65, 'tuned': 0.9},
        'settled': {'default = tuned': 0.7},
    }
    rows = swept(make_run, tmp_path, methods)
    against = {row['method']: row['baseline'] for row in rows}
    assert against.pop('base') is None and set(against.values()) == {'base'}
    assert set(against) == {'ours', 'ours (tuned)', 'settled'}


def test_a_tuned_method_is_not_compared_with_an_untuned_baseline(make_run, tmp_path):
    methods = {'base': {'default': 0.6}, 'ours': {'default': 0.65, 'tuned': 0.9}}
    rows = swept(make_run, tmp_path, methods)
    assert {row['method']: row['p'] is None for row in rows} == {
        'ours (tuned)': True,
        'ours': False,
        'base': True,
    }
    said = tables.summary(dict(baseline='base', rows=rows))
    assert 'ours (tuned): not compared, because base was not tuned' in said


def test_verdicts_say_what_was_shown_and_what_would_have_been():
    row = dict(method='ours', baseline='base', difference=0.02, difference_low=0.01, p_runs=0.2)
    row.update(difference_high=0.03, p=0.01, p_holm=0.01, detectable=0.026)
    assert tables.verdict(row) == 'ours is better than base by 2.00 points (+1.00 to +3.00).'
    worse = dict(row, difference=-0.02)
    assert 'ours is worse than base by 2.00 points' in tables.verdict(worse)
    by_itself = tables.verdict(dict(row, p_holm=0.3, p=0.01))
    assert '(+2.00; p 0.300 after Holm’s adjustment, 0.010 without it)' in by_itself
    unclear = dict(row, p_holm=0.3, p=0.1)
    assert tables.verdict(unclear) == (
        'ours and base: no difference shown (+2.00; a difference of 2.60 points would be detected '
        'with 80 % power).'
    )
    few = dict(row, p_holm=None)
    assert 'these trained models differ by +2.00 points (p 0.200' in tables.verdict(few)
    base = dict(row, method='base', baseline=None)
    assert tables.summary(dict(baseline='base', rows=[base, row, worse, unclear, few])) == (
        'Shown to be better: ours (than base); shown to be worse: ours (than base); no difference '
        'shown for 1 of 4 methods; 1 of 4 methods have too few seeds (three are needed).'
    )


def test_curve_has_the_epochs_of_all_seeds(make_run):
    short = [dict(epoch=e, accuracy=0.1 * e, seconds=0) for e in (1, 2, 3)]
    methods = load_methods([make_run('m', 0), make_run('m', 1, epochs=short)])
    epochs, accuracies = figures.curve(methods[0])
    assert epochs.tolist() == [1, 2, 3] and accuracies.shape == (2, 3)


def test_the_tool_writes_its_files(make_run, tmp_path, monkeypatch, capsys):
    folders = [
        make_run(m, s, made_up(a, s)) for m, a in (('a|b', 0.7), ('ours', 0.9)) for s in (0, 1)
    ]
    out = tmp_path / 'out'
    argv = ['compare.py', *map(str, folders), '--baseline', 'a|b', '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', argv)
    runpy.run_path(str(TOOLS / 'compare.py'), run_name='__main__')
    expected = {'table.md', 'table.csv', 'table.json', 'curves.png', 'curves.svg', 'report.html'}
    assert {path.name for path in out.iterdir()} == expected
    comparison = json.loads((out / 'table.json').read_text())
    rows = list(csv.DictReader((out / 'table.csv').open()))
    assert [float(r['accuracy']) for r in rows] == [r['accuracy'] for r in comparison['rows']]
    lines = (out / 'table.md').read_text().splitlines()
    assert lines[0] == '60 test images in 12 independent groups, 3 classes; baseline: a|b.'
    assert lines[2].startswith('The same in all rows: Protocol: split 1; Against: a|b; Seeds: 2;')
    assert lines[7].startswith(r'| a\|b | 65.00 ± 4.71 |')
    assert (out / 'curves.png').read_bytes()[:4] == b'\x89PNG'
    assert b'<svg' in (out / 'curves.svg').read_bytes()
    printed = capsys.readouterr().out.splitlines()
    headings = [cell.strip() for cell in printed[2].strip('|').split('|')]
    assert headings == ['Method', 'Accuracy %', '95 % interval', 'Difference', 'p (Holm)']
    assert max(map(len, printed[:7])) <= 100 and '1 of 1 methods have too few seeds' in printed[7]
    assert len({len(line) for line in printed[2:6]}) == 1 and printed[4].startswith('| ours ')
    monkeypatch.setattr(sys, 'argv', [*argv[:-3], 'nobody', *argv[-2:]])
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(TOOLS / 'compare.py'), run_name='__main__')
    assert 'is not among the methods' in capsys.readouterr().err


def test_cells():
    row = dict(accuracy=0.9, accuracy_sd=0.012, mcnemar_p={'0': 0.5, '1': 1e-9}, p=None)
    row |= dict(difference=0.02, difference_low=-0.01, difference_high=0.05)
    text = {c.key: c for c in tables.COLUMNS}
    assert text['accuracy'].text(row) == '90.00 ± 1.20'
    assert text['mcnemar_p'].text(row) == '0.500, <0.001' and text['mcnemar_p'].value(row) == 1e-9
    assert text['p'].text(row) == '–' and text['difference'].text(row) == '+2.00'
    assert text['difference_low'].text(row) == '-1.00 to +5.00'
    assert tables.points(-1e-17, sign=True) == '+0.00' and tables.points(-0.012) == '-1.20'


def test_files_and_terminal_hold_no_escape_characters(make_run, tmp_path, monkeypatch, capsys):
    evil = 'x\x1b[2J\u202e'
    for name in ('base', evil):
        for seed in (0, 1, 2):
            make_run(name, seed, made_up(0.8, seed))
    folders = sorted(str(path) for path in tmp_path.iterdir() if path.is_dir())
    arguments = ['compare.py', *folders, '--baseline', 'base', '--out', str(tmp_path / 'out')]
    monkeypatch.setattr(sys, 'argv', arguments)
    with contextlib.suppress(SystemExit):
        runpy.run_path(str(TOOLS / 'compare.py'), run_name='__main__')
    said = capsys.readouterr().out
    texts = [(tmp_path / 'out' / f'table.{kind}').read_text() for kind in ('md', 'csv', 'json')]
    page = (tmp_path / 'out' / 'report.html').read_text()
    for text in (said, page, *texts):
        assert '\x1b' not in text and '\u202e' not in text
        assert r'x\x1b[2J' in text or r'x\u001b[2J' in text
