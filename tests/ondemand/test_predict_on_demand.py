"""predict asks a loopback endpoint about unsure images, within the budget and never twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / 'describe'))
from loopback import Loopback
from refused import refused

from mmpretrain_lmmreg import DescribePlan, load
from mmpretrain_lmmreg.cli import export, predict
from mmpretrain_lmmreg.descriptions.lines import scan
from mmpretrain_lmmreg.runner import LMMRegRunner

HEAD = dict(type='DescribeOnDemandHead', num_classes=3, in_channels=24)
CLASSES = ('blue', 'green', 'red')


def save(config, folder, head, change=lambda head: None):
    """Config and checkpoint of a head with random weights, after ``change``."""
    from mmpretrain.apis import get_model

    config.model.head = head
    config.dump(folder / 'config.py')
    torch.manual_seed(0)
    model = get_model(config)
    model.backbone.init_weights()
    change(model.head)
    state = dict(meta=dict(dataset_meta=dict(classes=CLASSES)), state_dict=model.state_dict())
    torch.save(state, folder / 'epoch_1.pth')
    return [str(folder / 'config.py'), str(folder / 'epoch_1.pth')]


def decided_by_text(head):
    """Let the text decide, and a quarter of the images reach an accuracy of 0.8."""
    head.classifier.weight.normal_()
    head.text_weight.normal_(std=30)
    head.curve.copy_(torch.stack([torch.linspace(0, 1, 21)] * 3, 1))
    head.curve[:, 2] = torch.where(head.curve[:, 0] < 0.25, 0.6, 0.8)


@pytest.fixture
def saved(tiny_config, tmp_path):
    """Config and checkpoint of a head whose text classifier decides."""
    head = dict(HEAD, classifier=dict(type='LogisticRegressionHead'))
    return save(tiny_config, tmp_path, head, decided_by_text)


@pytest.fixture
def classify(saved, pictures, capsys, monkeypatch):
    """A function: results of predict on the 12 test images, by options; ``.said`` is stderr."""

    def run(*options, server=None, of=saved):
        if server:
            monkeypatch.setenv('OPENAI_BASE_URL', server.url)
            monkeypatch.setenv('OPENAI_API_KEY', 'none')
        images = [str(pictures / 'test')]
        args = predict.parser().parse_args([*of, *images, '--json', '--topk', '3', *options])
        capsys.readouterr()
        assert predict.run(args) == 0
        found, run.said = capsys.readouterr()
        return json.loads(found)

    return run


@pytest.fixture
def asking(tmp_path):
    """Options that ask, with a store of this test."""
    store = str(tmp_path / 'asked.jsonl')
    return '--describer', 'openai', '--lmm', 'strong', '--store', store


def test_requests_are_the_budget_and_the_store_gives_the_same(classify, tmp_path, pictures):
    store = str(tmp_path / 'asked.jsonl')
    training = (pictures / 'descriptions.jsonl').read_bytes()
    alone = classify()
    asking = ('--describer', 'openai', '--lmm', 'strong', '--store', store, '--budget', '0.25')
    with Loopback(lambda *_: '1. A rope.') as server:
        found = classify(*asking, server=server)
        assert len(server.bodies) == 3
        assert classify(*asking, server=server) == found
        assert len(server.bodies) == 3
    assert classify('--store', store, '--budget', '0.25') == found
    described = [result for result in found if 'description' in result]
    assert [result['description'] for result in described] == ['A rope.'] * 3
    changed = [a for a, b in zip(alone, found, strict=True) if a['predictions'] != b['predictions']]
    assert [each['image'] for each in changed] == [each['image'] for each in described]
    assert (pictures / 'descriptions.jsonl').read_bytes() == training


def test_a_stopped_run_goes_on_without_asking_twice(classify, tmp_path):
    store = tmp_path / 'asked.jsonl'
    asking = ('--describer', 'openai', '--lmm', 'strong', '--store', str(store), '--budget', '0.5')
    with Loopback(lambda *_: '1. A rope.') as server:
        whole = classify(*asking, server=server)
        first, *_, last = store.read_bytes().splitlines(keepends=True)
        store.write_bytes(first + last[: len(last) // 2])  # as a kill in the second write leaves it
        server.asked.clear()
        assert classify(*asking, server=server) == whole
    assert sorted(server.asked.values()) == [1] * 5


def test_the_target_decides_how_many_and_the_cost_is_said(classify, asking):
    with Loopback(lambda *_: '1. A rope.') as server:
        classify(*asking, '--target-accuracy', '0.8', server=server)
        assert len(server.bodies) == 3
        with refused('heads.accuracy_not_reached'):
            classify(*asking, '--target-accuracy', '0.9', server=server)
    with Loopback(lambda *_: '1. A rope.') as server:
        classify(*asking, '--budget', '0.5', '--price', '1000,2000', server=server)
    first, _, *curve = classify.said.splitlines()
    assert first.startswith('6 of 12 images classified with their descriptions; 3 asked, ')
    assert 'cost' in first and len(curve) == 11
    assert curve[0].startswith('  0%: 60.0%, 60.0%') and curve[5].startswith(' 50%: 80.0%, 70.0%')


def test_max_cost_ends_the_requests(classify, asking):
    dear = ('--budget', '1', '--price', '1000,1000', '--max-cost', '0.3')
    with Loopback(lambda *_: '1. A rope.') as server:
        found = classify(*asking, *dear, server=server)
        assert 0 < len(server.bodies) < 12
    described = [result for result in found if 'description' in result]
    assert len(described) == len(server.bodies)
    assert 'ended by --max-cost' in classify.said


def test_the_exported_folder_gives_the_same(classify, saved, asking, pictures, tmp_path):
    folder = tmp_path / 'exported'
    export.run(export.parser().parse_args([*saved, str(folder), '--with-text']))
    with Loopback(lambda *_: '1. A rope.\u2028') as server:  # it divides no lines of JSON
        expected = classify(*asking, server=server)
        assert len(server.bodies) == 2
        plan = DescribePlan('openai', 'strong')
        found = load(folder).predict(pictures / 'test', describer=plan, store=asking[-1])
        assert len(server.bodies) == 2
    by_name = {Path(result['image']).name + result['image'][-12:]: result for result in expected}
    script = [sys.executable, str(folder / 'predict.py'), '--descriptions', asking[-1]]
    lines = subprocess.run(
        [*script, str(pictures / 'test')], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert sum('description' in result for result in found) == 2
    for result, line in zip(found, map(json.loads, lines), strict=True):
        same = by_name[Path(result['image']).name + result['image'][-12:]]
        assert same.get('description') == result.get('description')
        expected_p = {p['class']: p['probability'] for p in same['predictions']}
        folder_p = {p['class']: p['probability'] for p in result['predictions']}
        assert folder_p == pytest.approx(expected_p, abs=1e-4)
        assert line['probabilities'] == pytest.approx(folder_p, abs=1e-4)


def test_calibration_is_paid_by_the_budget(classify, asking, tiny_config, tmp_path):
    tiny_config.model.head = dict(HEAD, classifier=dict(type='LogisticRegressionHead', C=10.0))
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.dump(tmp_path / 'train.py')
    LMMRegRunner.from_cfg(tiny_config).train()
    of = [str(tmp_path / 'train.py'), str(tmp_path / 'work' / 'epoch_1.pth')]
    options = (*asking, '--budget', '0.75', '--calibrate', '6')
    with Loopback() as server:
        found = classify(*options, server=server, of=of)
        assert len(server.bodies) <= 9
        assert classify(*options, server=server, of=of) == found
        assert max(server.asked.values()) == 1
    assert classify.said.startswith('exponents by 6 described training images: image ')
    assert sum('description' in result for result in found) <= 3
    with refused('deploy.not_calibrated'):
        classify('--store', asking[-1], '--calibrate', of=of)


def test_an_lmm_chooses_among_the_candidates(classify, asking, tiny_config, tmp_path):
    head = dict(HEAD, type='CascadeVLMHead', candidates=2, logit_scale=1.0)
    folder = tmp_path / 'cascade'
    folder.mkdir()
    of = save(tiny_config, folder, head, lambda head: head.text_weights.normal_())
    alone = classify(of=of)
    with Loopback(lambda *_: 'Green, I think.') as server:
        found = classify(*asking, '--budget', '1', server=server, of=of)
    asked = {record['prompt'] for _, record in scan(Path(asking[-1]))}
    assert asked <= {
        f'Which of these does the image show: {a}, {b}? Answer with one of them alone.'
        for a in CLASSES
        for b in CLASSES
    }
    for before, after in zip(alone, found, strict=True):
        candidates = [p['class'] for p in before['predictions'][:2]]
        chosen = 'green' if 'green' in candidates else candidates[0]
        assert after['predictions'][0]['class'] == chosen


def test_options_that_need_a_describer(classify):
    for options in (['--lmm', 'strong'], ['--calibrate'], ['--target-accuracy', '0.9']):
        with refused('config.bad_option', match='needs --describer'):
            classify(*options)


def test_another_method_reads_no_descriptions(classify, tiny_config, tmp_path):
    save(tiny_config, tmp_path, dict(HEAD, type='LogisticRegressionHead'))
    with refused('deploy.reads_no_descriptions'):
        classify('--store', str(tmp_path / 'asked.jsonl'))
