"""Embeddings of any images by one call."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.features import extract_features


@pytest.fixture
def name(tiny_clip):
    return f'local-dir:{tiny_clip}'


def test_every_form_of_an_image_gives_the_same_row(name, pictures):
    folder = pictures / 'test' / 'red'
    files = sorted(folder.iterdir())
    expected = extract_features(name, folder)
    assert expected.shape == (4, 24) and expected.dtype == np.float32
    images = [Image.open(file) for file in files]
    arrays = [np.asarray(image) for image in images]
    for images_ in (files, list(map(str, files)), images, arrays, np.stack(arrays)):
        np.testing.assert_array_equal(extract_features(name, images_), expected)
    np.testing.assert_allclose(extract_features(name, arrays[0]), expected[:1], atol=1e-6)
    mixed = extract_features(name, [files[3], images[2], [arrays[1]], folder])
    np.testing.assert_allclose(mixed, expected[[3, 2, 1, 0, 1, 2, 3]], atol=1e-6)


def test_a_classifier_gives_what_it_trains_on(name, tiny_config, pictures):
    from mmengine.runner import Runner

    model = MODELS.build(tiny_config.model)
    model.init_weights()
    loader = Runner.build_dataloader(tiny_config.test_dataloader)
    with torch.no_grad():
        rows = [model.extract_feat(model.data_preprocessor(b)['inputs'])[0] for b in loader]
    files = [loader.dataset.get_data_info(i)['img_path'] for i in range(len(loader.dataset))]
    model.train()
    found = extract_features(model, files)
    np.testing.assert_allclose(found, torch.cat(rows).numpy(), atol=1e-5)
    assert model.backbone.training


def test_what_is_no_image_is_named(name, tmp_path):
    with refused('features.no_images', match=str(tmp_path)):
        extract_features(name, tmp_path)
    (tmp_path / 'a.png').write_bytes(b'no image')
    with refused('features.unreadable', match='a.png'):
        extract_features(name, tmp_path)
    Image.effect_noise((24, 24), 50).save(tmp_path / 'a.png')
    content = bytearray((tmp_path / 'a.png').read_bytes())
    content[33:37] = 0, 0, 0, 9  # a wrong length, which pillow calls a SyntaxError
    (tmp_path / 'a.png').write_bytes(content)
    with refused('features.unreadable', match='a.png'):
        extract_features(name, tmp_path)
    with refused('features.unreadable', match='image 1 .*float64'):
        extract_features(name, [np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3))])
    with refused('clip.no_weights_named'):
        extract_features('ViT-B-32', tmp_path / 'a.png')
