"""tools/predict.py: what is found, read, predicted and shown."""

import json

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpretrain.registry import DATASETS
from refused import refused

from mmpretrain_lmmreg.cli import predict as command
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.explain import Explainer
from mmpretrain_lmmreg.deploy.predict import find_pictures, predict

from .conftest import CLASSES, save_run


def run(saved, *arguments) -> int:
    return command.run(command.parser().parse_args([*saved, *map(str, arguments)]))


class TestFindPictures:
    def test_folder_pattern_and_file_each_picture_once(self, tmp_path):
        for name in ('b/x10.png', 'b/x9.JPG', 'b/notes.txt', 'b/.hidden.png', 'a [1].png'):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        single = str(tmp_path / 'a [1].png')  # which is not the pattern that it looks like
        found = find_pictures([single, str(tmp_path / 'b'), str(tmp_path / '**' / '*')])
        assert found == [single, str(tmp_path / 'b' / 'x9.JPG'), str(tmp_path / 'b' / 'x10.png')]

    def test_nothing_there(self, tmp_path):
        with refused('deploy.no_images', match=r'lost\*\.jpg'):
            find_pictures([str(tmp_path / 'lost*.jpg')])

    def test_folder_without_pictures(self, tmp_path):
        with refused('deploy.no_images'):
            find_pictures([str(tmp_path)])


def test_probabilities_are_those_of_testing(either, pictures):
    classifier = load_classifier(*either)
    dataset = DATASETS.build(classifier.cfg.test_dataloader.dataset)
    with torch.no_grad():
        tested = classifier.model.test_step(pseudo_collate([dataset[i] for i in range(12)]))
    paths = [sample.img_path for sample in tested]
    for result, sample in zip(predict(classifier, paths, {}, 3), tested, strict=True):
        found = {p['class']: p['probability'] for p in result['predictions']}
        expected = dict(zip(CLASSES, sample.pred_score.tolist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-6)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_distance_to_the_nearest_class_mean(saved, pictures):
    classifier = load_classifier(*saved)
    path = str(pictures / 'test' / 'red' / '0.png')
    (result,) = predict(classifier, [path], {}, topk=1)
    embeddings, _ = classifier([classifier.read(path)])
    distances = [
        (embeddings[0] - mean).square().sum().sqrt().item()
        for mean in classifier.model.head.class_means
    ]
    assert result['distance'] == pytest.approx(min(distances), rel=1e-5)
    assert result['nearest_mean'] == CLASSES[distances.index(min(distances))]
    assert len(result['predictions']) == 1


def test_without_class_means_no_distance(tiny_config, pictures, tmp_path, capsys):
    tiny_config.model.head.alpha = 0
    saved = save_run(tiny_config, tmp_path / 'run', means=False)
    assert run(saved, pictures / 'test' / 'red', '--json') == 0
    assert set(json.loads(capsys.readouterr().out)[0]) == {'image', 'predictions'}


def test_class_names_without_those_of_a_data_set(tiny_config, tmp_path):
    saved = save_run(tiny_config, tmp_path / 'run', meta={})
    assert load_classifier(*saved).classes == ('0', '1', '2')


class TestExplain:
    def test_closest_descriptions_and_their_classes(self, saved, tower):
        explainer = Explainer(load_classifier(*saved))
        assert len(explainer.texts) == 3 + 24
        embedding = tower.encode(['Noise number 5 in green.'])[0]
        first, second = explainer.closest(embedding, 2)
        assert first['text'] == 'Noise number 5 in green.'
        assert first['similarity'] == pytest.approx(1, abs=1e-4)
        assert second['similarity'] < 0.99
        # class folders are sorted, so that the second class is of the green images
        names = dict(blue=CLASSES[0], green=CLASSES[1], red=CLASSES[2])
        assert first['classes'] == [names['green']]
        assert len(explainer.closest(embedding, 99)) == 27

    def test_none_at_hand(self, saved, tiny_config, tmp_path):
        loader = tiny_config.train_dataloader
        loader.dataset.pipeline = loader.dataset.pipeline[:-2] + loader.dataset.pipeline[-1:]
        other = save_run(tiny_config, tmp_path / 'other')
        with refused('text.no_attach'):
            Explainer(load_classifier(*other))

    def test_images_without_a_description(self, tiny_config, tmp_path):
        (tmp_path / 'none.jsonl').touch()
        attach = tiny_config.train_dataloader.dataset.pipeline[-2]
        attach.update(cache=str(tmp_path / 'none.jsonl'), missing='skip')
        saved = save_run(tiny_config, tmp_path / 'other')
        with refused('deploy.nothing_to_explain'):
            Explainer(load_classifier(*saved))


class TestOutput:
    def test_table(self, saved, pictures, capsys):
        assert run(saved, pictures / 'test' / 'red' / '0.png', '--explain', 1) == 0
        out, err = capsys.readouterr()
        assert err == ''
        assert str(pictures / 'test' / 'red' / '0.png') in out  # however narrow the terminal is
        assert 'a [red] one' in out and '%' in out
        assert 'distance to the nearest class mean' in out
        assert 'closest training descriptions' in out

    def test_broken_pictures_are_reported_and_skipped(self, saved, pictures, tmp_path, capsys):
        good = pictures / 'test' / 'red' / '0.png'
        (tmp_path / 'cut.png').write_bytes(good.read_bytes()[:1500])
        (tmp_path / 'text.jpg').write_text('no picture')
        assert run(saved, tmp_path / 'cut.png', good, tmp_path / 'text.jpg', '--json') == 1
        out, err = capsys.readouterr()
        assert [result['image'] for result in json.loads(out)] == [str(good)]
        lines = err.splitlines()
        assert lines[0].startswith(f'skipped {tmp_path / "cut.png"}: ') and 'trunc' in lines[0]
        reason = 'not an image, or of a kind that pillow does not read'
        assert lines[1] == f'skipped {tmp_path / "text.jpg"}: {reason}'

    def test_only_broken_pictures(self, saved, tmp_path, capsys):
        (tmp_path / 'text.jpg').write_text('no picture')
        assert run(saved, tmp_path / 'text.jpg') == 1
        assert capsys.readouterr().out == ''


class TestMistakes:
    def test_missing_files(self, saved):
        with refused('config.no_checkpoint'):
            load_classifier(saved.config, 'lost.pth')
        with refused('config.missing'):
            load_classifier('lost.py', saved.checkpoint)

    def test_no_checkpoint_at_all(self, saved, tmp_path):
        (tmp_path / 'x.pth').write_text('nothing')
        with refused('runner.checkpoint_damaged'):
            load_classifier(saved.config, str(tmp_path / 'x.pth'))

    def test_checkpoint_of_another_model(self, saved, tiny_config, batch_norm_clip, tmp_path):
        tiny_config.model.backbone.model_name = f'local-dir:{batch_norm_clip}'
        other = save_run(tiny_config, tmp_path / 'other')
        with refused('runner.checkpoint_misfit', match=r'epoch_2\.pth does not fit the config'):
            load_classifier(saved.config, other.checkpoint)

    def test_checkpoint_of_other_classes(self, saved, tiny_config, tmp_path):
        tiny_config.model.head.num_classes = 7
        tiny_config.dump(tmp_path / 'seven.py')
        with refused('heads.other_shape', match='num_classes=7'):
            load_classifier(str(tmp_path / 'seven.py'), saved.checkpoint)

    def test_methods_that_read_descriptions_of_test_images(self, saved, tiny_config, tmp_path):
        pipeline = tiny_config.test_dataloader.dataset.pipeline
        pipeline.insert(3, dict(type='AttachDescriptions'))
        tiny_config.dump(tmp_path / 'concat.py')
        with refused('deploy.text_of_each_image'):
            load_classifier(str(tmp_path / 'concat.py'), saved.checkpoint)
