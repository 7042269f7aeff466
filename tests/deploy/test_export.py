"""tools/export.py: a folder that open_clip alone can use, or none at all."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from refused import refused
from safetensors.torch import load_file

from mmpretrain_lmmreg.cli import export as command
from mmpretrain_lmmreg.datasets.pictures import read_rgb
from mmpretrain_lmmreg.deploy import export as exporting
from mmpretrain_lmmreg.deploy import folder, standalone
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.predict import find_pictures

from .conftest import CLASSES, save_run

# A machine without mm* packages and this one; its torchvision may not fit its torch, as here
OTHER_MACHINE = """
import importlib.abc, sys

class NoMM(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('mmcv', 'mmengine', 'mmpretrain', 'mmpretrain_lmmreg'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, NoMM())
"""


def export(saved, out: Path, *options: str) -> None:
    command.run(command.parser().parse_args([*saved, str(out), *options]))


def elsewhere(exported: Path, tmp_path: Path, *arguments) -> dict[str, dict[str, float]]:
    """Run the folder's script in a moved folder without mm*: probabilities by picture."""
    moved = shutil.copytree(exported, tmp_path / 'moved')
    site = tmp_path / 'site'
    site.mkdir()
    (site / 'sitecustomize.py').write_text(OTHER_MACHINE)
    environment = {**os.environ, 'PYTHONPATH': str(site), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        list(map(str, [sys.executable, moved / 'predict.py', *arguments])),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    skipped = [f'skipped {path}' for path in arguments if 'broken' in str(path)]
    named = re.findall('^(.*): not an image', done.stderr, re.M)
    assert (done.returncode, named) == (int(bool(skipped)), skipped)
    assert done.stderr.count('\n') == len(skipped)
    lines = map(json.loads, done.stdout.splitlines())
    return {line['image']: line['probabilities'] for line in lines}


def ours(saved, paths: list[str]) -> dict[str, dict[str, float]]:
    classifier = load_classifier(*saved)
    _, probabilities = classifier([classifier.read(path) for path in paths])
    rows = zip(paths, probabilities.tolist(), strict=True)
    return {path: dict(zip(CLASSES, row, strict=True)) for path, row in rows}


def odd_pictures(folder: Path) -> list[str]:
    """Pictures that go wrong where they are not first turned upright and to RGB."""
    noise = Image.effect_noise((70, 41), 90)
    exif = Image.Exif()
    exif[0x0112] = 6
    noise.convert('RGB').rotate(20).save(folder / 'turned.jpg', exif=exif)
    noise.quantize(7).save(folder / 'palette.png')
    noise.save(folder / 'grey.jpg')
    Image.merge('CMYK', [noise, noise.rotate(50), noise, noise]).save(folder / 'cmyk.jpg')
    Image.merge('LA', [noise, noise.rotate(90)]).save(folder / 'grey-alpha.png')
    Image.fromarray(np.asarray(noise, np.uint16) * 257).save(folder / 'grey16.png')
    names = ('turned.jpg', 'palette.png', 'grey.jpg', 'cmyk.jpg', 'grey-alpha.png', 'grey16.png')
    return [str(folder / name) for name in names]


def test_same_probabilities_without_mm(saved, pictures, tmp_path, capsys):
    export(saved, tmp_path / 'out')
    out, err = capsys.readouterr()
    assert err == '' and 'temperature 1, not fitted: the validation images are test images' in out
    paths = find_pictures([str(pictures / 'test')]) + odd_pictures(tmp_path)
    (tmp_path / 'broken.jpg').write_text('no picture')  # skipped
    found = elsewhere(tmp_path / 'out', tmp_path, tmp_path / 'broken.jpg', *paths)
    expected = ours(saved, paths)
    assert list(found) == paths
    for path in paths:
        assert found[path] == pytest.approx(expected[path], abs=1e-5)
    values = list(found[paths[0]].values())
    assert values == sorted(values, reverse=True)


def test_a_tower_full_of_batch_norm_gives_the_same_probabilities(
    tiny_config, batch_norm_clip, pictures, tmp_path
):
    tiny_config.model.backbone.model_name = f'local-dir:{batch_norm_clip}'
    saved = save_run(tiny_config, tmp_path / 'run')
    export(saved, tmp_path / 'out')
    paths = find_pictures([str(pictures / 'test')])
    expected = ours(saved, paths)
    for result in standalone.predict(standalone.Classifier(tmp_path / 'out'), paths):
        found = {p['class']: p['probability'] for p in result['predictions']}
        assert found == pytest.approx(expected[result['image']], abs=1e-5)


def test_large_jpeg_files_are_decoded_alike(tiny_config, tmp_path):
    tiny_config.test_dataloader.dataset.pipeline[0].draft = 64
    saved = save_run(tiny_config, tmp_path / 'run')
    export(saved, tmp_path / 'out')
    path = str(tmp_path / 'large.jpg')
    Image.effect_noise((300, 200), 90).convert('RGB').save(path)
    exported = standalone.Classifier(tmp_path / 'out')
    classifier = load_classifier(*saved)
    expected = classifier.normalise([classifier.read(path)])[0]
    torch.testing.assert_close(exported.read(path), expected, rtol=0, atol=1e-6)
    assert (exported.preprocess(read_rgb(path)) - expected).abs().max() > 0.01


def test_folder_is_a_whole_open_clip_model(saved, tiny_clip, tmp_path):
    export(saved, tmp_path / 'out')
    model = open_clip.create_model(f'local-dir:{tmp_path / "out"}')
    trained = torch.load(saved.checkpoint)['state_dict']
    pretrained = load_file(tiny_clip / 'open_clip_model.safetensors')
    for name, tensor in model.state_dict().items():
        expected = trained[f'backbone.{name}'] if name.startswith('visual.') else pretrained[name]
        assert torch.equal(tensor, expected), name
    head = load_file(tmp_path / 'out' / 'head.safetensors')
    assert torch.equal(head['weight'], trained['head.fc.weight'])
    assert torch.equal(head['class_means'], trained['head.class_means'])
    readme = (tmp_path / 'out' / 'README.md').read_text()
    assert 'both towers' in readme and 'model.onnx' not in readme


def test_long_clip_is_a_whole_open_clip_model(tiny_config, tiny_clip, tmp_path):
    file = json.loads((tiny_clip / 'open_clip_config.json').read_text())
    file['model_cfg']['quick_gelu'] = True
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(file))
    state = load_file(tiny_clip / 'open_clip_model.safetensors')
    state['positional_embedding'] = state['positional_embedding'].repeat(4, 1)[:248]
    state['positional_embedding_res'] = 2 * state['positional_embedding']
    torch.save(state, tmp_path / 'longclip.pth')
    tiny_config.model.backbone.model_name = f'local-dir:{tmp_path}'
    export(save_run(tiny_config, tmp_path / 'run'), tmp_path / 'out')
    model = open_clip.create_model(f'local-dir:{tmp_path / "out"}')
    assert model.positional_embedding.shape == (248, 16)
    assert torch.equal(model.positional_embedding[20:], state['positional_embedding_res'][20:])


def test_files_are_readable_by_all(saved, tmp_path):
    export(saved, tmp_path / 'out')
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / 'out').iterdir()}
    assert modes == {0o666 & ~umask()} and (tmp_path / 'out').stat().st_mode & 0o111


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_image_tower_alone_where_the_weights_are_gone(saved, tiny_config, tmp_path, capsys):
    text = Path(saved.config).read_text()
    lost = tmp_path / 'lost.py'
    assert 'pretrained=None' in text
    lost.write_text(text.replace('pretrained=None', "pretrained='lost.safetensors'"))
    export((str(lost), saved.checkpoint), tmp_path / 'out')
    assert "without the text tower, since the weights 'lost.safeten" in capsys.readouterr().out
    state = load_file(tmp_path / 'out' / 'open_clip_model.safetensors')
    assert {name.partition('.')[0] for name in state} == {'visual'}
    assert 'The image tower alone, since the weights' in (tmp_path / 'out/README.md').read_text()
    exported = standalone.Classifier(tmp_path / 'out')  # which compared itself while exporting
    assert exported(torch.zeros(2, 3, 32, 32))[1].shape == (2, 3)


def test_random_text_weights_are_not_passed_on(tiny_config, tiny_clip, tmp_path):
    name = 'tiny-for-export'
    config = json.loads((tiny_clip / 'open_clip_config.json').read_text())['model_cfg']
    (tmp_path / f'{name}.json').write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    tiny_config.model.backbone.model_name = name
    export(save_run(tiny_config, tmp_path / 'run'), tmp_path / 'out')
    assert 'names no pretrained weights' in (tmp_path / 'out' / 'README.md').read_text()


def test_normalised_embeddings(tiny_config, tmp_path):
    tiny_config.model.head.normalize = True
    saved = save_run(tiny_config, tmp_path / 'run')
    export(saved, tmp_path / 'out')
    exported = standalone.Classifier(tmp_path / 'out')
    assert exported.normalize
    assert exported.embed(torch.randn(2, 3, 32, 32)).norm(dim=1).tolist() == pytest.approx([1, 1])


def test_trunk_in_bfloat16_becomes_float32(tiny_config, tmp_path):
    tiny_config.model.backbone.precision = 'bfloat16'
    export(save_run(tiny_config, tmp_path / 'run'), tmp_path / 'out')
    state = load_file(tmp_path / 'out' / 'open_clip_model.safetensors')
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_fitted_temperature_is_used_on_request(saved, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, 'calibrate', lambda _: (2.0, 'fitted on 9 validation images'))
    export(saved, tmp_path / 'out')
    capsys.readouterr()
    path = str(pictures / 'test' / 'red' / '0.png')
    monkeypatch.setattr(sys, 'argv', ['predict.py', '--calibrated', path])
    monkeypatch.syspath_prepend(tmp_path / 'out')
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(str(tmp_path / 'out' / 'predict.py'), run_name='__main__')
    found = json.loads(capsys.readouterr().out)['probabilities']
    plain = torch.tensor([ours(saved, [path])[path][name] for name in CLASSES])
    expected = (plain.log() / 2).softmax(0).tolist()
    assert [found[name] for name in CLASSES] == pytest.approx(expected, abs=1e-5)
    assert 'Temperature 2, fitted on 9 validation' in (tmp_path / 'out/README.md').read_text()


def test_text_towers_of_hugging_face_come_along(tmp_path):
    source, made = tmp_path / 'bert', tmp_path / 'made'
    source.mkdir()
    made.mkdir()
    for name in ('config.json', 'tokenizer.json', 'vocab.txt', 'model.safetensors'):
        (source / name).write_text('{}')
    config = dict(hf_model_name=str(source), hf_tokenizer_name=str(source))
    folder.copy_text_files(config, made)
    assert {f.name for f in made.iterdir()} == {'config.json', 'tokenizer.json', 'vocab.txt'}
    assert set(config.values()) == {'.'}
    hub = dict(hf_model_name='bert-base-uncased')
    folder.copy_text_files(hub, made)
    assert hub == dict(hf_model_name='bert-base-uncased')


class TestOnnx:
    @pytest.mark.slow
    def test_same_probabilities_whatever_the_batch(self, either, pictures, tmp_path):
        onnxruntime = pytest.importorskip('onnxruntime')
        pytest.importorskip('onnxscript')
        export(either, tmp_path / 'out', '--onnx')
        exported = standalone.Classifier(tmp_path / 'out')
        session = onnxruntime.InferenceSession(tmp_path / 'out' / 'model.onnx')
        paths = find_pictures([str(pictures / 'test')])
        images = torch.stack([exported.read(path) for path in paths])
        for batch in (images[:1], images[:5]):
            _, found = session.run(['logits', 'probabilities'], {'images': batch.numpy()})
            assert torch.allclose(torch.from_numpy(found), exported(batch)[1], 0, 1e-4)
        assert 'model.onnx' in (tmp_path / 'out' / 'README.md').read_text()
        about = session.get_modelmeta().custom_metadata_map
        assert json.loads(about['class_names']) == list(CLASSES)
        assert json.loads(about['preprocessing'])['size'] == [32, 32]
        assert json.loads(about['temperature']) == 1

    def test_what_to_install(self, saved, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, 'onnxruntime', None)
        with refused('deploy.package_missing', match=r'mmpretrain_lmmreg\[onnx\]'):
            export(saved, tmp_path / 'out', '--onnx')


class TestMistakes:
    """Each leaves no folder, and nothing beside it."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.out = tmp_path / 'place' / 'out'
        yield
        assert not self.out.parent.exists() or not list(self.out.parent.iterdir())

    def refuse(self, code, cfg, tmp_path, means=True):
        saved = save_run(cfg, tmp_path / 'run', means)
        with refused(code):
            export(saved, self.out)

    @pytest.mark.parametrize('other', [dict(backend='cv2'), dict(scale=36)])
    def test_pixels_that_open_clip_does_not_make(self, tiny_config, tmp_path, other):
        for transform in tiny_config.test_dataloader.dataset.pipeline:
            if transform.type == 'ResizeEdge':
                transform.update(other)
        self.refuse('deploy.other_results', tiny_config, tmp_path)

    def test_heads_that_are_not_linear(self, tiny_config, tmp_path):
        tiny_config.model.head = dict(
            type='StackedLinearClsHead', num_classes=3, in_channels=24, mid_channels=[8]
        )
        self.refuse('deploy.not_exported', tiny_config, tmp_path, means=False)

    @pytest.mark.parametrize('factor', [2, 1.001])
    def test_heads_that_do_more_than_they_say(self, tiny_config, tmp_path, monkeypatch, factor):
        from mmpretrain_lmmreg.heads import ClassMeanRegHead

        predict = ClassMeanRegHead._get_predictions
        monkeypatch.setattr(
            ClassMeanRegHead, '_get_predictions', lambda self, x, *a: predict(self, factor * x, *a)
        )
        self.refuse('deploy.other_results', tiny_config, tmp_path)

    def test_ctrl_c(self, saved, monkeypatch):
        def interrupted(*_):
            assert list(self.out.parent.iterdir())  # what has been written by now
            raise KeyboardInterrupt

        monkeypatch.setattr(exporting, '_verify', interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(saved, self.out)


def test_nothing_is_overwritten(saved, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine').write_text('precious')
    with refused('deploy.exists'):
        export(saved, tmp_path / 'out')
    assert (tmp_path / 'out' / 'mine').read_text() == 'precious'


def test_an_empty_folder_is_filled(saved, tmp_path):
    (tmp_path / 'out').mkdir()
    export(saved, tmp_path / 'out')
    assert (tmp_path / 'out' / 'classifier.json').is_file()


def test_damaged_files_are_refused_by_name(saved, tmp_path, monkeypatch, capsys):
    export(saved, tmp_path / 'out')
    for name in standalone.FILES:
        file = tmp_path / 'out' / name
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 4
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=f'{file} is damaged'):
            standalone.Classifier(tmp_path / 'out')
        file.write_bytes(whole)
    standalone.Classifier(tmp_path / 'out')
    file = tmp_path / 'out' / 'checksums.json'
    file.write_text('{')
    monkeypatch.setattr(sys, 'argv', ['predict.py', 'a.jpg'])
    monkeypatch.syspath_prepend(str(tmp_path / 'out'))
    capsys.readouterr()
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(tmp_path / 'out' / 'predict.py'), run_name='__main__')
    assert capsys.readouterr().err.startswith(f'error: {file} is damaged')
