"""predict asks a loopback endpoint about unsure images, within the budget and never twice."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / 'describe'))
from loopback import Loopback
from refused import refused

from mmpretrain_lmmreg.cli import predict

HEAD = dict(type='DescribeOnDemandHead', num_classes=3, in_channels=24)
CLASSES = ('blue', 'green', 'red')


@pytest.fixture
def saved(tiny_config, tmp_path):
    """Config and checkpoint of a head whose text classifier decides."""
    from mmpretrain.apis import get_model

    tiny_config.model.head = dict(HEAD, classifier=dict(type='LogisticRegressionHead'))
    tiny_config.dump(tmp_path / 'config.py')
    torch.manual_seed(0)
    model = get_model(tiny_config)
    model.backbone.init_weights()
    model.head.classifier.weight.normal_()
    model.head.text_weight.normal_(std=30)
    state = dict(meta=dict(dataset_meta=dict(classes=CLASSES)), state_dict=model.state_dict())
    torch.save(state, tmp_path / 'epoch_1.pth')
    return [str(tmp_path / 'config.py'), str(tmp_path / 'epoch_1.pth')]


@pytest.fixture
def classify(saved, pictures, tmp_path, capsys, monkeypatch):
    """A function: results of predict on the 12 test images, by options."""

    def run(*options, server=None):
        if server:
            monkeypatch.setenv('OPENAI_BASE_URL', server.url)
            monkeypatch.setenv('OPENAI_API_KEY', 'none')
        images = [str(pictures / 'test')]
        args = predict.parser().parse_args([*saved, *images, '--json', '--topk', '3', *options])
        capsys.readouterr()
        assert predict.run(args) == 0
        return json.loads(capsys.readouterr().out)

    return run


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


def test_another_method_reads_no_descriptions(classify, saved, tiny_config, tmp_path):
    from mmpretrain.apis import get_model

    tiny_config.model.head = dict(HEAD, type='LogisticRegressionHead')
    tiny_config.dump(saved[0])
    model = get_model(tiny_config)
    model.backbone.init_weights()
    torch.save(dict(meta={}, state_dict=model.state_dict()), saved[1])
    with refused('deploy.reads_no_descriptions'):
        classify('--store', str(tmp_path / 'asked.jsonl'))
