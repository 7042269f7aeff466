import json
import math
import re
from collections import Counter

import pytest
import torch
from mmengine.runner import Runner
from refused import refused

from mmpretrain_lmmreg.cli.inputs import missing_inputs
from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.clip.model import load_open_clip, tokenizer_for
from mmpretrain_lmmreg.hooks import ClassMeanHook
from mmpretrain_lmmreg.hooks.run_folder import load_run
from mmpretrain_lmmreg.text.embedding import embed_class_means


def train(cfg, **options):
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, **options})
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def expected_means(tiny_clip, pictures):
    """Eq. 1 written out: every description of every training image, with open_clip alone."""
    name = f'local-dir:{tiny_clip}'
    model, tokenizer = load_open_clip(name), tokenizer_for(name)
    by_class = {'red': [], 'green': [], 'blue': []}
    for line in (pictures / 'descriptions.jsonl').read_text().splitlines():
        record = json.loads(line)
        split, label, _ = record['image'].split('/')
        if split == 'train':
            by_class[label] += [item[3:] for item in record['reply'].split('\n')]
    with torch.no_grad():
        return torch.stack(
            [model.encode_text(tokenizer(by_class[c])).mean(0) for c in sorted(by_class)]
        )


def test_means_reach_the_head_and_the_checkpoint(tiny_config, tiny_clip, pictures):
    runner = train(tiny_config)
    expected = expected_means(tiny_clip, pictures)
    torch.testing.assert_close(runner.model.head.class_means, expected, rtol=1e-5, atol=1e-6)
    state = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)['state_dict']
    assert torch.equal(state['head.class_means'], runner.model.head.class_means)


def test_no_image_is_decoded_for_the_means(tiny_config, monkeypatch):
    runner = Runner.from_cfg(tiny_config)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.model.init_weights()
    monkeypatch.setattr('mmpretrain_lmmreg.datasets.LoadPicture.transform', lambda *a: 1 / 0)
    hook = next(h for h in runner.hooks if type(h).__name__ == 'ClassMeanHook')
    hook.before_train(runner)
    assert runner.model.head.class_means.any()


def test_testing_needs_no_text(tiny_config, monkeypatch):
    runner = train(tiny_config)
    tiny_config.load_from = f'{runner.work_dir}/epoch_1.pth'
    monkeypatch.setattr(TextTower, '__init__', lambda *a, **k: 1 / 0)
    Runner.from_cfg(tiny_config).test()


def test_means_are_kept_on_resume_and_made_anew_on_load_from(tiny_config, monkeypatch):
    runner = train(tiny_config)
    calls = []
    original = TextTower.__init__
    monkeypatch.setattr(TextTower, '__init__', lambda *a, **k: calls.append(1) or original(*a, **k))
    train(tiny_config, resume=True, **{'train_cfg.max_epochs': 2})
    assert not calls
    train(tiny_config, resume=False, load_from=f'{runner.work_dir}/epoch_2.pth')
    assert calls


def test_alpha_zero_needs_no_descriptions(tiny_config, pictures, tmp_path):
    pipeline = tiny_config.train_dataloader.dataset.pipeline
    pipeline[:] = [t for t in pipeline if t['type'] != 'AttachDescriptions']
    with refused('text.no_attach'):
        train(tiny_config)
    train(tiny_config, **{'model.head.alpha': 0})


def test_text_tower_of_another_width(tiny_config):
    tiny_config.default_hooks.class_means.model_name = 'ViT-B-32'
    with refused('heads.other_width'):
        train(tiny_config)


def test_head_of_another_width(tiny_config):
    with refused('hooks.other_width'):
        train(tiny_config, **{'model.head.in_channels': 20})


def test_class_count_differs_between_config_and_data(tiny_config):
    with refused('heads.other_class_count'):
        train(tiny_config, **{'model.head.num_classes': 4})


def keep_lines(cfg, pictures, tmp_path, keep, **settings):
    """Let a config read some of the pictures' descriptions only."""
    lines = (pictures / 'descriptions.jsonl').read_text().splitlines(keepends=True)
    cache = tmp_path / 'some.jsonl'
    cache.write_text(''.join(filter(keep, lines)))
    pipeline = cfg.train_dataloader.dataset.pipeline
    attach = next(t for t in pipeline if t['type'] == 'AttachDescriptions')
    attach.update(cache=str(cache), **settings)


@pytest.mark.parametrize('settings', [{}, {'missing': 'skip'}])
def test_a_class_without_descriptions_is_named(tiny_config, pictures, tmp_path, settings):
    keep_lines(tiny_config, pictures, tmp_path, lambda line: 'green' not in line, **settings)
    with refused('text.class_not_described'):
        train(tiny_config)


@pytest.mark.parametrize('loop', ['FrozenTrunkTrainLoop', 'EpochBasedTrainLoop'])
def test_some_images_of_each_class_suffice(tiny_config, pictures, tmp_path, capfd, loop):
    keep_lines(tiny_config, pictures, tmp_path, lambda line: '/2.png' in line or 'red/3' in line)
    means = train(tiny_config, **{'train_cfg.type': loop}).model.head.class_means
    tower = TextTower(tiny_config.model.backbone.model_name)
    texts = ['A blue picture.', 'Noise number 2 in blue.']
    torch.testing.assert_close(means[0], tower.encode(texts).mean(0), rtol=1e-5, atol=1e-6)
    printed = ' '.join(''.join(capfd.readouterr()).split())
    assert 'WARNING' in printed
    assert (
        '4 of 24 training images have descriptions (16.7 %, 1 to 2 of each class; 20 were never '
        'described): 8 texts, 7 of them different'
    ) in printed
    record = load_run(tiny_config.work_dir)['described']
    assert (record['images'], record['described']) == (24, 4)
    assert record['per_class'] == {'0': 1, '1': 1, '2': 2}


def test_replies_by_prompts_that_name_the_class(tiny_config, pictures, tmp_path):
    keep_lines(tiny_config, pictures, tmp_path, lambda line: True, named=True)
    with refused('text.class_not_described'):
        train(tiny_config)


def test_images_must_be_described_where_the_config_says_so(tiny_config, pictures, tmp_path):
    keep_lines(tiny_config, pictures, tmp_path, lambda line: '/2.png' in line, missing='error')
    with refused('descriptions.missing_images'):
        train(tiny_config)


def test_normalized_texts_are_averaged(tiny_clip):
    tower = TextTower(f'local-dir:{tiny_clip}')
    texts = ['a red bird', 'rain']
    means = embed_class_means(texts, [Counter({0: 1, 1: 1})], tower, normalize=True)
    unit = torch.nn.functional.normalize(tower.encode(texts), dim=1)
    torch.testing.assert_close(means[0], unit.mean(0))


def test_long_descriptions_through_a_stretched_tower(tiny_config, tiny_clip, pictures, tmp_path):
    text = ('A red or green thing. ' * 20).strip()
    lines = map(json.loads, (pictures / 'descriptions.jsonl').read_text().splitlines())
    long = [json.dumps(dict(line, reply=f'1. {text}')) for line in lines]
    (tmp_path / 'long.jsonl').write_text('\n'.join(long))
    pipeline = tiny_config.train_dataloader.dataset.pipeline
    attach = next(t for t in pipeline if t['type'] == 'AttachDescriptions')
    attach['cache'] = str(tmp_path / 'long.jsonl')
    tiny_config.default_hooks.class_means.text_context = 248
    means = train(tiny_config).model.head.class_means
    tower = TextTower(f'local-dir:{tiny_clip}', text_context=248)
    expected = tower.encode([text]).expand(3, -1)
    torch.testing.assert_close(means, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(means, TextTower(f'local-dir:{tiny_clip}').encode([text]), 1e-3, 1e-3)


def test_means_of_another_class(tiny_config, tiny_clip, pictures):
    tiny_config.default_hooks.class_means.shuffled = True
    expected = expected_means(tiny_clip, pictures)[[1, 2, 0]]
    torch.testing.assert_close(
        train(tiny_config).model.head.class_means, expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('source', ['class_names', 'auto'])
def test_class_names_as_means(tiny_config, tiny_clip, tmp_path, source):
    tiny_config.default_hooks.class_means.source = source
    attach = next(
        t
        for t in tiny_config.train_dataloader.dataset.pipeline
        if t['type'] == 'AttachDescriptions'
    )
    attach.update(cache=str(tmp_path / 'none.jsonl'), missing='skip')
    assert missing_inputs(tiny_config, training=True) == []
    means = train(tiny_config).model.head.class_means
    tower = TextTower(f'local-dir:{tiny_clip}')
    prompts = [f'a photo of a person {name}.' for name in ('blue', 'green', 'red')]  # BAR's
    torch.testing.assert_close(means, tower.encode(prompts))


def test_auto_prefers_descriptions(tiny_config, tiny_clip, pictures):
    tiny_config.default_hooks.class_means.source = 'auto'
    torch.testing.assert_close(
        train(tiny_config).model.head.class_means,
        expected_means(tiny_clip, pictures),
        rtol=1e-5,
        atol=1e-6,
    )


def untrained_embeddings(cfg):
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()
    (batch,) = runner.build_dataloader(dict(cfg.train_dataloader, batch_size=24))
    data = runner.model.data_preprocessor(batch)
    with torch.no_grad():
        (x,) = runner.model.eval().backbone(data['inputs'])
    return x, torch.cat([sample.gt_label for sample in data['data_samples']])


def test_image_means(tiny_config):
    x, labels = untrained_embeddings(tiny_config)
    tiny_config.default_hooks.class_means.source = 'images'
    expected = torch.stack([x[labels == c].mean(0) for c in range(3)])
    torch.testing.assert_close(train(tiny_config).model.head.class_means, expected)


def test_matched_gap(tiny_config, tiny_clip, pictures):
    x, _ = untrained_embeddings(tiny_config)
    tiny_config.default_hooks.class_means.match_gap = True
    means = train(tiny_config).model.head.class_means
    torch.testing.assert_close(means.mean(0), x.mean(0))
    texts = expected_means(tiny_clip, pictures)
    torch.testing.assert_close(means - means.mean(0), texts - texts.mean(0), rtol=1e-4, atol=1e-5)


def test_unknown_source():
    with refused('config.unknown_value'):
        ClassMeanHook(source='names')


@pytest.mark.parametrize('reduction', ['batch_mean', 'batch_sum', 'element_mean'])
def test_what_is_said_of_the_scale_is_what_training_logs(tiny_config, capfd, reduction):
    tiny_config.model.head.reduction = reduction
    tiny_config.merge_from_dict({'log_level': 'INFO', 'optim_wrapper.optimizer.lr': 0.0})
    tiny_config.default_hooks.logger.interval = 1
    runner = train(tiny_config)
    printed = capfd.readouterr().out
    said = float(re.search(r'alpha\*J is (\S+) times', printed)[1])
    history = runner.message_hub.log_scalars['train/loss_reg'].data[0]
    assert said == pytest.approx(history.mean() / math.log(3), rel=0.05)


@pytest.mark.parametrize(('alpha', 'warned'), [(1e-2, False), (1e3, True), (1e-5, True)])
def test_a_regulariser_out_of_scale_is_told_with_the_remedy(tiny_config, capfd, alpha, warned):
    train(tiny_config, **{'model.head.alpha': alpha})
    printed = capfd.readouterr().out
    assert ('out of scale' in printed) == warned
    if warned:
        better = float(re.search(r'model.head.alpha=(\S+) balances', printed)[1])
        train(tiny_config, **{'model.head.alpha': better})
        assert 'out of scale' not in capfd.readouterr().out
