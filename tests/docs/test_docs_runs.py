"""The commands of README and docs are run as printed, page by page, in one folder.

A page's commands may need what those before them have made. What a test cannot have is replaced
(:data:`REPLACED`) or named with its reason (:data:`NOT_RUN`).
"""

import glob
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from docs_commands import ROOT, Command, commands, ours, parsed
from PIL import Image

from mmpretrain_lmmreg.cli import main
from mmpretrain_lmmreg.datasets.bar import BAR

sys.path.append(str(Path(__file__).parents[1] / 'describe'))
from loopback import Loopback

FAST = ('methods', 'get_started', 'predict_export', 'describe')
SLOW = (
    'train',
    'compare',
    'fit',
    'README',
    'own_images',
    'models',
    'on_demand',
    'paper',
    'choices',
)
NOT_RUN = {
    r'\b(make|pip|venv|pre-commit)\b': 'sets an environment up',
    r'-m pytest|dev/benchmark': 'a test or benchmark itself',
    r'dev/results': 'takes hours; tests/evidence/test_kept_results.py computes its figures again',
    r'dist_|slurm_': 'needs 8 devices or Slurm; tests/cli/test_tools.py runs both scripts',
    r'prepare': 'needs the download; tests/datasets/test_prepare.py runs it on a small one',
    r'--describer (hf|minigpt4)': 'needs a model; tests/describe runs it with a tiny one',
    r'PYTHONPATH=': 'its files stand on the page; test_docs_examples.py makes and runs them',
}
# What a reader puts in, and a small model in place of CLIP ViT-L/14, whose weights are a download
REPLACED = {
    r'CONFIG CHECKPOINT': 'work_dirs/describe_on_demand_bar_lite0/describe_on_demand.py '
    'work_dirs/describe_on_demand_bar_lite0/epoch_1.pth',
    r'\bCONFIG\b|configs/lmmreg_(ucf101|bar)\.py': 'configs/lmmreg_bar_lite0.py',
    r'work_dirs/lmmreg_bar/': 'work_dirs/lmmreg_bar_lite0/',
    r'(configs/lmmreg_custom(_val)?\.py)$': r'\1 --cfg-options model.head.in_channels=384 '
    'model.backbone.model_name=lite0-minilm model.backbone.pretrained=None',
    r'fit IMAGES$': 'fit IMAGES --model lite0-minilm --methods zero_shot logreg',
    r'(sweep\.py .*)$': r'\1 --cfg-options train_cfg.max_epochs=2',
    r'=rsscn7\b': '=images',
    r'\bNAME\b': 'scripted',
    r'\bIMAGES\b': 'images',
    r'\bIMAGE\b': 'images/test/red/0.png',
}


def _reason(command: Command) -> str:
    return next((why for what, why in NOT_RUN.items() if re.search(what, command.line)), '')


def test_every_command_is_run_or_has_a_reason():
    for command in commands():
        assert command.page in FAST + SLOW or _reason(command), f'{command} is never run'
    for what in NOT_RUN:
        assert any(re.search(what, command.line) for command in commands()), f'{what}: no such'


@pytest.fixture(scope='module')
def place(tmp_path_factory, pictures) -> Path:
    """A folder like the checkout, with images to classify and a small BAR."""
    folder = tmp_path_factory.mktemp('checkout')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(pictures, folder / 'images', ignore=shutil.ignore_patterns('*.jsonl'))
    paths = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob('*.png'))
    labels = ''.join(f'{path},{Path(path).parent.name}\n' for path in paths)
    (folder / 'images' / 'labels.csv').write_text(f'path,label\n{labels}')
    (folder / 'images' / 'names.json').write_text('{"red": "red noise"}')
    rng = np.random.default_rng(0)
    for part in ('train', 'test'):
        (folder / 'data/bar' / part).mkdir(parents=True)
        for name in BAR.METAINFO['classes']:
            for n in range(5):
                pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f'data/bar/{part}/{name}_{n}.jpg')
    return folder


@pytest.fixture
def run(place, monkeypatch):
    """Function that runs a command in ``place``, an endpoint answering."""
    monkeypatch.chdir(place)
    monkeypatch.setenv('HOME', str(place))
    monkeypatch.setenv('LMMREG_CACHE', str(place / '.cache/mmpretrain_lmmreg'))
    for name in ('LMMREG_CONFIGS', 'LMMREG_ON'):
        monkeypatch.delenv(name, raising=False)

    def run(command: Command, endpoint: str) -> None:
        line = command.line
        for what, by in REPLACED.items():
            line = re.sub(what, by, line)
        again = parsed(command.page, line)
        assert again
        with monkeypatch.context() as patch:
            for name, value in again.variables.items():
                patch.setenv(name, value)
            patch.setenv('OPENAI_BASE_URL', endpoint)
            patch.setenv('OPENAI_API_KEY', 'none')
            words = [match for word in again.words for match in _matches(word)]
            if found := ours(again._replace(words=words)):
                patch.setattr(sys, 'argv', ['mmpretrain-lmmreg', *found])
                try:
                    main.main()
                except SystemExit as end:
                    assert not end.code, f'{command}: exit code {end.code}'
            else:
                words[0] = {'python': sys.executable}.get(words[0], words[0])
                subprocess.run(words, check=True)

    return run


def _matches(word: str) -> list[str]:
    return sorted(glob.glob(str(Path(word).expanduser()))) if '*' in word else [word]


@pytest.mark.parametrize(
    'page', [*FAST, *(pytest.param(page, marks=pytest.mark.slow) for page in SLOW)]
)
def test_commands_of_the_page_run(page, run, place, capsys):
    shutil.rmtree(place / 'fitted', ignore_errors=True)  # another page's, of other methods
    with Loopback() as server:
        for command in commands():
            if command.page == page and command.words[0] != 'export' and not _reason(command):
                run(command, server.url)
