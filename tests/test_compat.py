"""Which mm* packages are accepted, and that the import is silent."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

import mmpretrain_lmmreg
from mmpretrain_lmmreg import compat

ONEDL = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.6'}
ORIGINAL = {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmpretrain': '1.2.0'}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that exactly these distributions are installed."""

    def pretend(distributions: dict[str, str]) -> None:
        def version(name: str) -> str:
            if name not in distributions:
                raise PackageNotFoundError(name)
            return distributions[name]

        monkeypatch.setattr(compat, 'version', version)

    return pretend


@pytest.mark.parametrize(
    ('distributions', 'family'),
    [
        (ONEDL, 'onedl'),
        (ORIGINAL, 'openmmlab'),
        ({'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0'}, 'openmmlab'),
        ({**ORIGINAL, 'pycocotools': '2.0.11', 'transformers': '4.40.0'}, 'openmmlab'),
        ({**ORIGINAL, 'transformers': '4.57.6'}, 'openmmlab'),
    ],
)
def test_supported_family(installed, distributions, family):
    installed(distributions)
    assert compat.check_mm_packages() == family


PIP = "pip install 'onedl-mmengine>="
BESIDE = {**ORIGINAL, 'pycocotools': '2.0.11', 'transformers': '4.57.6'}


@pytest.mark.parametrize(
    ('distributions', 'said'),
    [
        ({}, [f'mmpretrain is not installed. Install it: {PIP}']),
        (
            {**ONEDL, 'mmengine': '0.10.7'},
            [
                'onedl-mmpretrain, mmengine are installed together',
                'pip uninstall -y onedl-mmengine onedl-mmcv onedl-mmpretrain mmengine && ' + PIP,
            ],
        ),
        (
            {**ONEDL, 'onedl-mmpretrain': '1.4.0'},
            ['onedl-mmpretrain 1.4.0 is not supported, only <1.4,>=1.3', PIP],
        ),
        (
            {name: ONEDL[name] for name in ONEDL if name != 'onedl-mmcv'},
            ['onedl-mmcv is not installed', PIP],
        ),
        (
            {**ORIGINAL, 'mmpretrain': '1.0.0'},
            ['mmpretrain 1.0.0 is not supported', "'mmpretrain>=1.2,<1.3'"],
        ),
        (BESIDE, ['transformers 4.57.6: pip uninstall -y pycocotools']),
    ],
)
def test_what_is_not_supported_is_named_with_the_command(installed, distributions, said):
    installed(distributions)
    with pytest.raises(ImportError) as error:
        compat.check_mm_packages()
    assert all(words in str(error.value) for words in said), error.value


def python(code: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_package_imports_neither_torch_nor_mm_packages():
    assert python(
        'import sys, mmpretrain_lmmreg\n'
        "heavy = {'torch', 'numpy', 'mmengine', 'mmcv', 'mmpretrain', 'open_clip'}\n"
        'assert not heavy & set(sys.modules), heavy & set(sys.modules)\n'
        'assert set(mmpretrain_lmmreg.__all__) <= set(dir(mmpretrain_lmmreg))\n'
    ) == (0, '', '')


def test_registering_is_silent_and_registers():
    assert python(
        'import mmpretrain_lmmreg.register, mmpretrain.registry as r\n'
        'import mmengine.registry\n'
        "for name in ('OpenCLIPVisual', 'ClassMeanRegHead'): assert name in r.MODELS\n"
        "for name in ('ClassMeanHook', 'RunChecksHook'): assert name in r.HOOKS\n"
        "for name in ('UCF101', 'ERA', 'BAR'): assert name in r.DATASETS\n"
        "assert 'AttachDescriptions' in r.TRANSFORMS\n"
        "assert 'FrozenTrunkTrainLoop' in r.LOOPS\n"
        "assert mmengine.registry.RUNNERS.get('mmpretrain.LMMRegRunner')\n"
    ) == (0, '', '')


@pytest.mark.parametrize('name', sorted(mmpretrain_lmmreg._PUBLIC))
def test_public_names(name):
    assert getattr(mmpretrain_lmmreg, name).__doc__
    assert name in mmpretrain_lmmreg.__all__
    with pytest.raises(AttributeError, match='no attribute'):
        getattr(mmpretrain_lmmreg, name + 's')
