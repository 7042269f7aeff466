"""Each example of a docstring runs and gives what it says; public functions have one."""

import doctest
import importlib
import inspect
import json
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmpretrain_lmmreg
from mmpretrain_lmmreg import fit
from mmpretrain_lmmreg.datasets import DemoActions
from mmpretrain_lmmreg.descriptions.samples import ONE

NEEDS_A_FIT = ('Classifier', 'explain', 'load')
SLOW = ('fit', *NEEDS_A_FIT)


def examples() -> Iterator:
    """The doctests of the package, as pytest's parameters."""
    prefix = f'{mmpretrain_lmmreg.__name__}.'
    names = [module.name for module in pkgutil.walk_packages(mmpretrain_lmmreg.__path__, prefix)]
    for name in [mmpretrain_lmmreg.__name__, *names]:
        if not name.endswith('__main__'):
            for test in doctest.DocTestFinder().find(importlib.import_module(name)):
                short = test.name.removeprefix(prefix)
                marks = [pytest.mark.slow] if short.rpartition('.')[2] in SLOW else []
                if test.examples:
                    yield pytest.param(test, id=short, marks=marks)


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    """Coloured noise under the names of the demo's classes; each image is described."""
    folder = tmp_path_factory.mktemp('noise') / 'images'
    rng = np.random.default_rng(0)
    for number, name in enumerate(DemoActions.METAINFO['classes']):
        (folder / name).mkdir(parents=True)
        colour = [255 * (number + 1 >> bit & 1) for bit in range(3)]
        for n in range(8):
            pixels = rng.normal(colour, 40, (40, 50, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{n}.png')
    names = [path.relative_to(folder).as_posix() for path in folder.rglob('*.png')]
    lines = [dict(image=n, prompt=ONE, reply=f'This is {Path(n).parent}.') for n in names]
    (folder / 'descriptions.jsonl').write_text(''.join(f'{json.dumps(x)}\n' for x in lines))
    return folder


@pytest.fixture(scope='module')
def fitted(images, tmp_path_factory) -> Path:
    """A folder of ``fit``, whose classifier knows these images."""
    folder = tmp_path_factory.mktemp('fit') / 'fitted'
    fit(images, out=folder, model='demo-clip', methods=['logreg'])
    return folder


@pytest.mark.parametrize('test', list(examples()))
def test_example(test, images, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    shutil.copy(images / 'climbing/0.png', 'a.jpg')  # what JPEG does to noise is not the matter
    if test.name.rpartition('.')[2] in NEEDS_A_FIT:
        shutil.copytree(request.getfixturevalue('fitted'), 'fitted')
    if test.name.endswith('.fit'):
        shutil.copytree(images, 'images')
    for example in test.examples:
        if doctest.SKIP in example.options:
            continue
        try:
            code = compile(example.source, test.name, 'eval')
        except SyntaxError:
            exec(example.source, test.globs)
        else:
            value = eval(code, test.globs)
            assert not example.want or repr(value) == example.want.strip()


@pytest.mark.parametrize('name', mmpretrain_lmmreg.__all__)
def test_public_names_have_examples(name):
    public = getattr(mmpretrain_lmmreg, name)
    assert name == '__version__' or '>>> ' in inspect.getdoc(public)
