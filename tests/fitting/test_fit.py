"""The whole way from a folder to a classifier that works by itself."""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refused import refused

from mmpretrain_lmmreg import load
from mmpretrain_lmmreg.config import load_config
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.fitting import cross_validation as module
from mmpretrain_lmmreg.fitting.data import find_images
from mmpretrain_lmmreg.fitting.fit import fit

COLOURS = {'red one': (200, 40, 40), "grün's": (40, 200, 40), 'blue': (40, 40, 200)}
METHODS = ['zero_shot', 'gda', 'logreg', 'logreg_trunk']


def _draw(root, count: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(colour, 60, (40, 50, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f'{i}.png')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp('own') / 'some "images"'
    _draw(root, 12)
    return root


def test_a_folder_becomes_a_classifier(images, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'fitted'
    names = {'blue': 'sky', "grün's": 'a "meadow"', 'red one': 'berry'}  # in another order
    (tmp_path / 'names.json').write_text(json.dumps(names))
    options = dict(model='demo-clip', methods=METHODS, names=tmp_path / 'names.json')
    classifier = fit(images, out=out, **options)
    printed = capsys.readouterr().out
    assert (
        'use this' in printed
        and '-0.000' not in printed
        and '5 folds' in printed
        and 'test accuracy' in printed
    )
    table = classifier.leaderboard
    assert table.chosen.tolist() == [True] + [False] * (len(table) - 1)
    assert table.method.tolist()[0] == 'average' and set(table.method[1:]) == set(METHODS)
    assert table.log_likelihood[1:].is_monotonic_decreasing
    assert (table.weight > 0).sum() > 1

    path = images / 'blue' / '3.png'
    array = np.asarray(Image.open(path))
    results = classifier.predict([path, Image.open(path), array], coverage=0.8)
    assert classifier.classes == tuple(names.values())
    assert [r['predictions'] for r in results[1:]] == [results[0]['predictions']] * 2
    assert results[0]['predictions'][0]['class'] == 'sky'
    assert set(results[0]['set']) <= set(names.values())
    assert classifier.embed(images / 'blue').shape == (12, 64)

    assert 'use this' in (out / 'report.html').read_text()
    kept = tmp_path / 'kept'
    (out / 'exported' / '__pycache__').mkdir()  # as predict.py leaves it
    classifier.save(kept)
    assert not (kept / '__pycache__').exists()
    shutil.rmtree(out)
    again = load(kept)
    assert again.predict(path) == classifier.predict(path)
    assert again.leaderboard is not None
    arguments = ['predict.py', str(images / 'blue'), '--coverage', '0.8']
    monkeypatch.setattr(sys, 'argv', arguments)
    monkeypatch.syspath_prepend(kept)
    capsys.readouterr()
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(str(kept / 'predict.py'), run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    found = {json.loads(line)['image']: json.loads(line)['probabilities'] for line in lines}
    expected = results[0]['predictions'][0]['probability']
    assert len(lines) == 12 and found[str(path)]['sky'] == pytest.approx(expected, abs=1e-6)


def test_a_stopped_fit_goes_on(images, tmp_path, monkeypatch):
    out, scored = tmp_path / 'fitted', []
    original = module.score_folds

    def stop_at_the_third(*args):
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(args)
        return original(*args)

    monkeypatch.setattr(module, 'score_folds', stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        fit(images, out=out, model='demo-clip', methods=METHODS)
    monkeypatch.setattr(module, 'score_folds', lambda *args: scored.append(args) or original(*args))
    (tmp_path / 'link').symlink_to(images)  # another name of the same images
    table = fit(tmp_path / 'link', out=out, model='demo-clip', methods=METHODS).leaderboard
    assert len(scored) == len(table) - 1  # none twice, and the average has no folds of its own
    kept = [set(np.load(file)) for file in (out / 'scores').iterdir()]
    assert kept.count({'scores'}) == (table.weight[1:] == 0).sum()  # classifiers of the chosen
    for file in (out / 'scores').iterdir():
        np.savez(file, scores=np.load(file)['scores'])
        whole = file.read_bytes()
    file.write_bytes(whole[:-9])  # damaged
    fit(images, out=out, model='demo-clip', methods=METHODS)
    again = len(scored) - (len(table) - 1)
    assert again - (table.weight[1:] > 0).sum() in (0, 1)  # the damaged one may be chosen


def test_without_time_the_cheapest_is_chosen_and_the_rest_named(images, tmp_path, capsys):
    classifier = fit(images, out=tmp_path, model='demo-clip', methods=METHODS, minutes=0)
    assert classifier.leaderboard.method.tolist() == ['zero_shot']
    assert 'logreg C=1' in capsys.readouterr().out.split('left out: ')[1]


def test_descriptions_of_some_classes_alone_are_not_used(images, tmp_path, capsys):
    shutil.copytree(images, tmp_path / 'own')
    reply = dict(prompt='Give 10 semantic descriptions for the image', reply='1. A sky.')
    lines = (encode(dict(image=f'blue/{i}.png', **reply)) for i in range(12))
    (tmp_path / 'own' / 'descriptions.jsonl').write_bytes(b''.join(lines))
    methods = ['zero_shot', 'zero_shot_descriptions']
    fit(tmp_path / 'own', out=tmp_path / 'out', model='demo-clip', methods=methods)
    assert 'zero_shot_descriptions: not all classes have described' in capsys.readouterr().out


def test_test_images_may_lie_elsewhere(images, tmp_path, monkeypatch):
    _draw(tmp_path / 'test', 2, seed=1)
    shutil.rmtree(tmp_path / 'test' / 'red one')
    shutil.copy(images / 'blue' / '0.png', tmp_path / 'test' / 'blue' / 'again.png')
    monkeypatch.chdir(tmp_path)
    found = find_images(os.path.relpath(images), 'test')
    assert {Path(s['img_path']).is_absolute() for s in found.train + found.test} == {True}
    assert len(found.train) == 36 and len(found.test) == 5
    assert found.twice == ['blue/again.png']
    assert {found.classes[s['gt_label']] for s in found.test} == {"grün's", 'blue'}
    Path('names.json').write_text('{"blue": "sky", "red one": "blue"}')
    found = find_images(images, 'test', names=Path('names.json').resolve())
    assert {found.classes[s['gt_label']] for s in found.test} == {"grün's", 'sky'}
    (tmp_path / 'test' / 'blue').rename(tmp_path / 'test' / 'sky')
    found = find_images(images, 'test', names=Path('names.json').resolve())
    assert {found.classes[s['gt_label']] for s in found.test} == {"grün's", 'sky'}
    (tmp_path / 'test' / 'violet').mkdir()
    shutil.copy(images / 'blue' / '0.png', tmp_path / 'test' / 'violet')
    with refused('fit.other_classes'):
        find_images(images, tmp_path / 'test')


def test_unreadable_images_are_left_out_and_named(images, tmp_path):
    shutil.copytree(images, tmp_path / 'own')
    (tmp_path / 'own' / 'blue' / 'broken.png').write_bytes(b'no image')
    found = find_images(tmp_path / 'own')
    assert list(found.left_out) == ['blue/broken.png']
    assert len(found.train) + len(found.test) == 36
    assert any('broken.png' in value for _, value in found.card())
    shutil.copytree(images, tmp_path / 'test')
    (tmp_path / 'test' / 'blue' / '0.png').write_bytes(b'no image')
    found = find_images(tmp_path / 'own', tmp_path / 'test')
    assert list(found.left_out) == ['blue/broken.png', f'{tmp_path}/test/blue/0.png']
    (tmp_path / 'own').rename(tmp_path / 'train')
    for part in ('train', 'test'):
        shutil.move(tmp_path / part, tmp_path / 'split' / part)
    assert list(find_images(tmp_path / 'split').left_out) == [
        'train/blue/broken.png',
        'test/blue/0.png',
    ]
    (tmp_path / 'split').rename(tmp_path / 'dark')
    for file in (tmp_path / 'dark' / 'train' / 'blue').iterdir():
        file.write_bytes(b'no image')
    with refused('data.untrained_class', match='blue can be read'):
        find_images(tmp_path / 'dark')


def test_without_test_images(tmp_path, capsys):
    _draw(tmp_path / 'few', 2)
    out = tmp_path / 'fitted'
    classifier = fit(tmp_path / 'few', out=out, model='demo-clip', methods=['gda'])
    assert 'no test images' in capsys.readouterr().out
    assert classifier.predict(tmp_path / 'few' / 'blue')[0]['predictions'][0]['class'] == 'blue'
    assert 'test_dataloader' not in load_config(out / 'data.py')  # of training images


def test_groups_of_a_pattern_are_never_divided(images):
    found = find_images(images, group_by=r'(\d)\.png$')
    train = {sample['group'] for sample in found.train}
    assert train and not train & {sample['group'] for sample in found.test}
    with refused('fit.bad_group_by'):
        find_images(images, group_by='(')


def test_mistakes_are_named(images, tmp_path):
    with refused('fit.unknown_method'):
        fit(images, out=tmp_path / 'a', methods=['gdaa'])
    single = tmp_path / 'single'
    for name in ('a', 'b'):
        (single / name).mkdir(parents=True)
        shutil.copy(images / 'blue' / '0.png', single / name)
    with refused('fit.too_few_images'):
        fit(single, out=tmp_path / 'b', model='demo-clip')
    with refused('deploy.no_classifier'):
        load(images)
