"""fit asks about training images; its folder then asks about the images that it is unsure of."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / 'describe'))
from loopback import Loopback
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.cli import fit, main, predict


def colour(_number, image, _earlier):
    """A reply that names the strongest channel, and so the class."""
    means = np.asarray(Image.open(io.BytesIO(image))).mean((0, 1))
    return f'A {("red", "green", "blue")[means.argmax()]} picture.'


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A function that runs ``fit`` on coloured noise in ``tmp_path``."""

    def run(server, *options):
        monkeypatch.setenv('OPENAI_BASE_URL', server.url)
        monkeypatch.setenv('OPENAI_API_KEY', 'none')
        fixed = ['--model', 'demo-clip', '--methods', 'zero_shot', '--out', str(tmp_path / 'out')]
        monkeypatch.setattr('sys.argv', ['mmpretrain-lmmreg', 'fit', *options, *fixed])
        main.main()

    return run


def test_what_is_asked_needs_somebody_to_ask(monkeypatch):
    monkeypatch.setattr('sys.argv', ['fit', 'images', '--calibrate', '30'])
    with refused('config.bad_option', match='needs --describer'):
        fit.main()


def test_without_any_description_there_is_no_text(command, pictures, tmp_path, capsys):
    asked = ('--describer', 'openai', '--lmm', 'weak', '--calibrate', '3')
    with Loopback(lambda *_: "I'm sorry, but I can't help with that.") as server:
        command(server, str(pictures / 'train'), *asked)
    assert 'no training image has a description' in capsys.readouterr().out
    assert json.loads((tmp_path / 'out/exported/classifier.json').read_text())['described'] is None


def test_descriptions_of_training_images_reach_the_folder(
    command, pictures, tmp_path, capsys, monkeypatch
):
    asked = ('--describer', 'openai', '--lmm', 'strong', '--calibrate', '12')
    with Loopback(colour) as server:
        command(server, str(pictures / 'train'), *asked)
        assert max(server.asked.values()) == 1 and len(server.bodies) == 12
        said = capsys.readouterr().out
        assert '12 training images described; exponents of image, class names, text: ' in said
        assert '100%: ' in said and '100%: ' in (tmp_path / 'out' / 'report.html').read_text()
        options = ['--describer', 'openai', '--lmm', 'strong', '--budget', '0.5', '--json']
        store = ['--store', str(tmp_path / 'asked.jsonl')]
        args = [str(tmp_path / 'out'), str(pictures / 'test'), *options, *store]
        assert predict.run(predict.parser().parse_args(args)) == 0
        assert len(server.bodies) == 12 + 6
    described = [each for each in json.loads(capsys.readouterr().out) if 'description' in each]
    assert len(described) == 6
    for each in described:
        assert each['predictions'][0]['class'] in each['description']
