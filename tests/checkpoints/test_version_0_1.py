"""Checkpoints and configs of version 0.1 are tested, predicted with, exported and resumed.

``version_0_1`` holds a checkpoint of each form after one epoch, on the images and the model of
:func:`project`. Each carries its config. ``expected.json`` holds version 0.1's probabilities with
it, and after it was resumed for a second epoch.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from checkpoints.test_trust import call
from mmpretrain_lmmreg.cli import export, predict, upstream
from mmpretrain_lmmreg.clip.model import build_open_clip

KEPT = Path(__file__).parent / 'version_0_1'
EXPECTED = json.loads((KEPT / 'expected.json').read_text())
MODEL = dict(
    embed_dim=8,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, layers=1, width=16, head_width=8, patch_size=8),
    text_cfg=dict(context_length=77, vocab_size=49408, width=8, heads=1, layers=1),
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The folder in which version 0.1 trained: its images, descriptions and model."""
    monkeypatch.chdir(tmp_path)
    rng, lines = np.random.default_rng(0), []
    for split, count in (('train', 8), ('test', 4)):
        for channel, name in enumerate(('red', 'green', 'blue')):
            folder = Path('pictures', split, name)
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 110
                Image.fromarray(pixels).save(folder / f'{i}.png')
                reply = f'1. A {name} picture.\n2. Noise number {i} in {name}.'
                image = f'{split}/{name}/{i}.png'
                lines.append(json.dumps(dict(image=image, prompt='describe', reply=reply)))
    Path('pictures', 'descriptions.jsonl').write_text('\n'.join(lines) + '\n')
    Path('model').mkdir()
    Path('model', 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=MODEL)))
    torch.manual_seed(0)
    state = build_open_clip('local-dir:model').state_dict()
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, Path('model', 'open_clip_model.safetensors'))
    return tmp_path


def probabilities(monkeypatch, capfd, checkpoint: str) -> dict[str, dict[str, float]]:
    """What predict.py gives for the test images, by image and class."""
    capfd.readouterr()
    with pytest.raises(SystemExit, match='0'):
        call(monkeypatch, predict.main, 'old.py', checkpoint, 'pictures/test', '--json')
    rows = json.loads(capfd.readouterr().out)
    return {
        row['image'].partition('test/')[2]: {
            each['class']: each['probability'] for each in row['predictions']
        }
        for row in rows
    }


@pytest.mark.parametrize('form', ['float32', 'auto', 'svd', 'ema'])
def test_a_checkpoint_with_its_config(project, monkeypatch, capfd, form):
    Path('run').mkdir()
    shutil.copy(KEPT / f'{form}.pth', 'run/epoch_1.pth')
    config = torch.load('run/epoch_1.pth', weights_only=False)['meta']['cfg']
    assert "'mmpretrain_lmmreg',\n" in config and 'WholeCheckpointHook' in config
    Path('old.py').write_text(config)

    within = 2e-3 if form == 'auto' else 1e-5  # whether it is bfloat16 depends on the processor
    expected = EXPECTED[form]['1']
    found = probabilities(monkeypatch, capfd, 'run/epoch_1.pth')
    assert found.keys() == expected.keys()
    for image, each in expected.items():
        assert found[image] == pytest.approx(each, abs=within), image

    call(monkeypatch, upstream.test, 'old.py', 'run/epoch_1.pth', '--work-dir', 'tested')
    right = np.mean([max(each, key=each.get) == name[:-6] for name, each in expected.items()])
    tested = json.loads(Path('tested/results/run.json').read_text())
    (split,) = tested['splits'].values()
    assert split['accuracy'] == pytest.approx(right)

    call(monkeypatch, export.main, 'old.py', 'run/epoch_1.pth', 'exported')
    assert Path('exported/predict.py').is_file()

    more = ['--cfg-options', 'train_cfg.max_epochs=2']
    call(monkeypatch, upstream.train, 'old.py', '--work-dir', 'run', '--resume', *more)
    assert 'called AtomicCheckpointHook' in ''.join(capfd.readouterr())
    found = probabilities(monkeypatch, capfd, 'run/epoch_2.pth')
    for image, each in EXPECTED[form]['2'].items():
        assert found[image] == pytest.approx(each, abs=within), image
