"""open_clip models: built without a download, loaded strictly, refused in plain words."""

import json
import socket

import open_clip
import pytest
import torch
from refused import refused
from safetensors.torch import save_file

from mmpretrain_lmmreg.clip import OpenCLIPVisual, configs
from mmpretrain_lmmreg.clip import model as clip_model
from mmpretrain_lmmreg.clip import weights as clip_weights

VISION = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
TEXT = dict(context_length=12, vocab_size=49408, width=16, heads=2, layers=1)


def add_model(folder, name, vision=None, **options):
    config = dict(embed_dim=8, vision_cfg={**VISION, **(vision or {})}, text_cfg=TEXT, **options)
    (folder / f'{name}.json').write_text(json.dumps(config))
    open_clip.add_model_config(folder / f'{name}.json')


@pytest.fixture(scope='module', autouse=True)
def models(tmp_path_factory):
    """Small architectures, registered as a user would."""
    folder = tmp_path_factory.mktemp('models')
    before = list(open_clip.factory._MODEL_CONFIG_PATHS), dict(open_clip.factory._MODEL_CONFIGS)
    add_model(folder, 'small')
    add_model(folder, 'small-quickgelu', quick_gelu=True)
    add_model(folder, 'small-32', dict(image_size=32))
    add_model(folder, 'small-wide', dict(width=24))
    add_model(folder, 'small-custom', custom_text=True)
    add_model(folder, 'small-coca', multimodal_cfg=TEXT)
    timm = dict(timm_model_name='vit_tiny_patch16_224', timm_pool='token', timm_proj='linear')
    add_model(folder, 'small-timm', dict(image_size=224, **timm))
    yield
    open_clip.factory._MODEL_CONFIG_PATHS[:], open_clip.factory._MODEL_CONFIGS = before


@pytest.fixture
def weights(tmp_path):
    """A weights file of the model 'small', and the model that it came from."""
    torch.manual_seed(1)
    model = open_clip.create_model('small', load_weights=False).eval()
    torch.save(model.state_dict(), tmp_path / 'small.pt')
    return tmp_path / 'small.pt', model


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise socket.gaierror('no network in tests')

    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    monkeypatch.setattr(clip_weights, 'getproxies', dict)


def fails(code, function, *args, **kwargs):
    with refused(code) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def same_state(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize('name', ['small', 'small-quickgelu', 'small-custom', 'small-timm'])
def test_built_as_open_clip_builds(name):
    theirs = open_clip.create_model(name, load_weights=False)
    ours, visual = clip_model.build_open_clip(name), clip_model.build_visual(name)
    text = clip_model.build_text(name)
    assert repr(ours) == repr(theirs.eval()) and type(ours) is type(theirs)
    assert ours.visual.preprocess_cfg == visual.preprocess_cfg == theirs.visual.preprocess_cfg
    assert not visual.training and not text.training
    visual.load_state_dict(theirs.visual.state_dict())
    text.load_state_dict(clip_model.build_text(name).state_dict())
    size = theirs.visual.image_size[0]
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(visual(images), theirs.visual(images))


def test_visual_needs_no_text_tower(tmp_path, no_network):
    text = dict(hf_model_name='nobody/no-such-tower', hf_tokenizer_name='nobody/no-such-tower')
    config = dict(embed_dim=8, vision_cfg=VISION, text_cfg=text)
    (tmp_path / 'open_clip_config.json').write_text(json.dumps({'model_cfg': config}))
    name = f'local-dir:{tmp_path}'
    assert clip_model.build_visual(name)(torch.zeros(1, 3, 16, 16)).shape == (1, 8)
    for function, what in (
        (clip_model.build_text, "text tower's configuration"),
        (clip_model.tokenizer_for, 'tokenizer'),
    ):
        message = fails('clip.no_download', function, name)
        assert f'the {what} of {name!r} is not on disk' in message and 'hf_model_name' in message


@pytest.mark.parametrize('name', ['small', 'small-timm'])
def test_image_size(name):
    visual = clip_model.build_visual(name, image_size=32)
    assert visual(torch.zeros(1, 3, 32, 32)).shape == (1, 8)
    assert visual.preprocess_cfg['size'] == (32, 32)
    model = clip_model.build_open_clip(name, image_size=32)
    assert model.visual(torch.zeros(1, 3, 32, 32)).shape == (1, 8)


def test_facts_of_a_model():
    assert configs.embed_dim('ViT-L-14-quickgelu') == 768
    assert configs.model_config('ViT-L/14') == configs.model_config('ViT-L-14')
    assert clip_model.tokenizer_for('small')(['a dog']).shape == (1, 12)


def test_unknown_models(tmp_path):
    message = fails('clip.unknown_model', clip_model.build_visual, 'ViT-L14')
    assert "'ViT-L14'" in message and 'did you mean ViT-L-14' in message
    assert 'list_models' in fails('clip.unknown_model', clip_model.tokenizer_for, 'xyzzy')
    fails('clip.unsupported_tower', clip_model.build_open_clip, 'small-coca')
    fails('clip.would_download', configs.embed_dim, 'hf-hub:some/model')
    message = fails('clip.missing_file', clip_model.build_visual, f'local-dir:{tmp_path}/gone')
    assert f'{tmp_path}/gone/open_clip_config.json does not exist' in message
    (tmp_path / 'open_clip_config.json').write_text('{"embed_dim": 8}')
    fails('io.wrong_field', clip_model.build_visual, f'local-dir:{tmp_path}')


def test_a_text_tower_loads_into_either_class_of_open_clip(weights):
    file, model = weights
    text, tokens = clip_model.load_text('small', file), clip_model.tokenizer_for('small')(['a dog'])
    with torch.no_grad():
        torch.testing.assert_close(text(tokens), model.encode_text(tokens))
        custom = clip_model.load_open_clip('small-custom', file)
        torch.testing.assert_close(custom.encode_text(tokens), model.encode_text(tokens))


def test_local_dir_loads_its_own_weights(weights, tmp_path):
    file, model = weights
    config = {'model_cfg': configs.model_config('small'), 'preprocess_cfg': {'mean': [0, 0, 0]}}
    folder = tmp_path / 'model'
    folder.mkdir()
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    name = f'local-dir:{folder}'
    fails('clip.missing_file', clip_model.load_visual, name)
    save_file(model.visual.state_dict(), folder / 'a.safetensors')
    fails('clip.missing_tower', clip_model.load_visual, name)
    file.rename(folder / 'b.pth')
    assert 'a.safetensors, b.pth' in fails('clip.several_files', clip_model.load_visual, name)
    (folder / 'b.pth').rename(folder / 'open_clip_model.bin')
    visual = clip_model.load_visual(name)
    assert same_state(visual, model.visual) and visual.preprocess_cfg['mean'] == [0, 0, 0]
    assert same_state(clip_model.load_open_clip(name, folder / 'open_clip_model.bin'), model)


def test_the_demos_clip_as_version_0_1_named_it():
    named = clip_model.load_visual('demo-clip', 'demo')
    assert same_state(named, clip_model.load_visual('demo-clip'))


def test_activation_is_logged_once_where_the_file_cannot_tell(weights, monkeypatch):
    lines = []
    monkeypatch.setattr(clip_weights, 'print_log', lambda text, **kwargs: lines.append(text))
    file, _ = weights
    clip_model.load_visual('small', file)
    clip_model.load_text('small', file)
    clip_model.load_visual('small-quickgelu', file)
    assert len(lines) == 2 and str(file) in lines[0]
    assert 'used with GELU' in lines[0] and 'used with QuickGELU' in lines[1]


@pytest.mark.parametrize('scripted', [False, True])
def test_openai_archive_needs_quick_gelu(weights, tmp_path, scripted, monkeypatch):
    _, model = weights
    file = tmp_path / 'openai.pt'
    if scripted:
        tokens = clip_model.tokenizer_for('small')(['a dog'])
        inputs = (torch.zeros(1, 3, 16, 16), tokens)
        torch.jit.trace(model, inputs, check_trace=False).save(file)
    else:
        extra = dict.fromkeys(('input_resolution', 'context_length', 'vocab_size'))
        extra = {name: torch.tensor(7) for name in extra}
        torch.save({**model.state_dict(), **extra}, file)
    message = fails('clip.other_activation', clip_model.load_visual, 'small', file)
    assert f"{file} (OpenAI's own archive" in message and "use 'small-quickgelu'" in message
    message = fails('clip.other_activation', clip_model.load_visual, 'small-wide', file)
    assert 'set quick_gelu' in message
    lines = []
    monkeypatch.setattr(clip_weights, 'print_log', lambda text, **kwargs: lines.append(text))
    assert same_state(clip_model.load_visual('small-quickgelu', file), model.visual)
    assert len(lines) == 1 and 'does not tell' not in lines[0]


def test_weights_of_another_architecture(weights):
    file, _ = weights
    message = fails('clip.other_architecture', clip_model.load_open_clip, 'small-wide', file)
    assert f"{file} into 'small-wide': the weights are of another architecture" in message
    assert 'visual.conv1.weight' in message or 'visual.class_embedding' in message
    assert '(16,) in the file, (24,) in the model' in message and len(message) < 600
    timm = fails('clip.other_architecture', clip_model.load_visual, 'small-timm', file)
    assert 'absent in the file' in timm


def test_positions_are_interpolated_only_on_request(weights):
    file, model = weights
    message = fails('clip.other_image_size', clip_model.load_visual, 'small-32', file)
    assert '(5, 16) in the file, (17, 16) in the model' in message and 'image_size' in message
    for name in ('small', 'small-32'):
        visual = clip_model.load_visual(name, file, image_size=32)
        assert visual(torch.zeros(1, 3, 32, 32)).shape == (1, 8)
        assert torch.equal(visual.positional_embedding[0], model.visual.positional_embedding[0])
    same = clip_model.load_visual('small', file, image_size=16)
    assert same_state(same, model.visual)


def test_timm_positions_are_interpolated_on_request(tmp_path):
    model = clip_model.build_open_clip('small-timm')
    torch.save(model.state_dict(), tmp_path / 'timm.pt')
    visual = clip_model.load_visual('small-timm', tmp_path / 'timm.pt', image_size=32)
    assert visual(torch.zeros(1, 3, 32, 32)).shape == (1, 8)
    model.visual.set_input_size(32)
    assert same_state(visual, model.visual)


def test_missing_weights(tmp_path):
    file = tmp_path / 'gone.pt'
    message = fails('clip.missing_file', clip_model.load_visual, 'ViT-L-14-quickgelu', file)
    assert f"'{file}' of 'ViT-L-14-quickgelu' are missing" in message and 'openai' in message
    fails('clip.no_weights_named', clip_model.load_text, 'small')


@pytest.mark.parametrize(
    'name, tag, other',
    [
        ('ViT-B-32', 'openai', 'ViT-B-32-quickgelu'),
        ('ViT-B-32-quickgelu', 'laion2b_s34b_b79k', 'ViT-B-32'),
    ],
)
def test_tag_of_the_other_activation(name, tag, other):
    message = fails('clip.other_activation', clip_model.load_visual, name, tag)
    assert f'the tag {tag!r} needs' in message and f'use {other!r}' in message


def test_tag_of_another_model():
    message = fails('clip.other_model', clip_model.load_visual, 'small', 'laion2b_s34b_b79k')
    assert "'laion2b_s34b_b79k' are weights of ViT-B-32" in message


def test_tag_without_network(no_network, monkeypatch, tmp_path):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    message = fails('clip.no_download', clip_model.load_visual, 'ViT-B-32-quickgelu', 'openai')
    assert 'cannot be downloaded here' in message and 'pretrained=FILE' in message
    assert 'huggingface.co/timm/vit_base_patch32_clip_224.openai' in message


def test_tag_is_loaded_with_its_preprocessing(weights, monkeypatch):
    file, model = weights
    tag = dict(url='https://example.org/small.pt', mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, 'small', {'mine': tag})
    monkeypatch.setattr(open_clip, 'download_pretrained', lambda config: str(file))
    visual = clip_model.load_visual('small', 'mine')
    assert same_state(visual, model.visual)
    assert visual.preprocess_cfg['mean'] == (0.5, 0.5, 0.5)
    backbone = OpenCLIPVisual('small', 'mine')
    assert backbone.visual.preprocess_cfg == visual.preprocess_cfg
