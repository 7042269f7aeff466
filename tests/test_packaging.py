"""What is installed: declared requirements, the contents of sdist and wheel, and their use."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import mmengine
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from smoke.tiny import CONFIG, write_project

from mmpretrain_lmmreg.config import method_file
from mmpretrain_lmmreg.version import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'mmpretrain_lmmreg'


@pytest.fixture(scope='module')
def requirements() -> dict[str, list[str]]:
    """Names of the distributions that setup.py requires: hard ones under '', others by extra."""
    captured = {}
    import setuptools

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', captured.update)
        namespace = {'__file__': str(ROOT / 'setup.py'), '__name__': 'setup'}
        exec((ROOT / 'setup.py').read_text(encoding='utf-8'), namespace)
    texts = {'': captured['install_requires'], **captured['extras_require']}
    return {extra: [_name(text) for text in wanted] for extra, wanted in texts.items()}


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def imported(node: ast.AST, inside_functions: bool) -> set[str]:
    """Top-level modules of other projects that a file's syntax tree imports."""
    if isinstance(node, ast.Import):
        names = {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = {node.module.partition('.')[0]}
    elif isinstance(node, ast.FunctionDef) and not inside_functions:
        names = set()
    else:
        names = set()
        for child in ast.iter_child_nodes(node):
            names |= imported(child, inside_functions)
    return names - sys.stdlib_module_names - {PACKAGE.name, 'mmengine', 'mmcv', 'mmpretrain'}


def test_imports_are_declared(requirements):
    code = 'import sys, mmpretrain_lmmreg as m; print(*[m.__file__ for m in sys.modules.values()'
    code += ' if m.__name__.startswith("mmpretrain_lmmreg.")])'
    on_import = check(sys.executable, '-c', code, cwd=ROOT).split()
    anywhere = {name for names in requirements.values() for name in names}
    distributions = packages_distributions()

    def undeclared(modules: set[str], declared: set[str]) -> list[str]:
        names = {m: {canonicalize_name(d) for d in distributions.get(m, [m])} for m in modules}
        return [module for module in modules if not names[module] & declared]

    for file in sorted(PACKAGE.rglob('*.py')):
        tree = ast.parse(file.read_text(encoding='utf-8'))
        assert not undeclared(imported(tree, True), anywhere), f'of {file}, in any extra'
        if str(file) in on_import:
            hard = set(requirements[''])
            assert not undeclared(imported(tree, False), hard), f'of {file}, as hard requirement'


def test_neither_family_is_a_hard_requirement(requirements):
    families = {_name(text) for texts in FAMILIES.values() for text in texts}
    assert not families & set(requirements[''])
    assert requirements['onedl'] == ['onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain']
    assert requirements['openmmlab'] == ['mmengine', 'mmcv-lite', 'mmpretrain']


def test_constraints_are_supported_versions():
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pinned = dict(line.split('==') for line in lines if not line.startswith('#'))
    for text in (text for texts in FAMILIES.values() for text in texts):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[requirement.name])


def test_readmes_commands_are_those_of_ci_and_makefile():
    readme, ci = (ROOT / 'README.md').read_text(), (ROOT / '.ci' / 'run').read_text()
    for target in ('demo', 'test'):
        assert re.search(rf'^    make {target}\b', readme, re.MULTILINE)
        done = check('make', '-n', target, 'VENV=elsewhere', cwd=ROOT)
        install = done.index("elsewhere/bin/python -m pip install -c constraints.txt -e '.[onedl,")
        assert install < done.index({'demo': 'tools/sweep.py', 'test': '-m pytest'}[target])
        for config in re.findall(r'configs/\S+\.py', done):
            assert (ROOT / config).is_file()
        for methods in re.findall(r'--methods ([a-z_ ]+) --', done):
            assert all(method_file(name) for name in methods.split())
    assert 'make test' in ci


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the sdist, which is built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    files = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md', 'model-index.yml')
    for name in files:
        shutil.copy(ROOT / name, source)
    for name in ('configs', 'tools', PACKAGE.name):
        shutil.copytree(ROOT / name, source / name)
    sdist = 'from setuptools.build_meta import build_sdist; build_sdist("..")'
    check(sys.executable, '-c', sdist, cwd=source)
    (archive,) = folder.glob('*.tar.gz')
    options = ('--no-deps', '--no-build-isolation', '--no-index', '-q', '-w', folder)
    check(sys.executable, '-m', 'pip', 'wheel', *options, archive, cwd=folder)
    (built,) = folder.glob('*.whl')
    return built


def check(*command, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; return what it printed."""
    environment = {**os.environ, **environment}
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_carries_configs_tools_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = (
        {'mmpretrain_lmmreg/.mim/model-index.yml'}
        | {
            f'mmpretrain_lmmreg/.mim/{file.relative_to(ROOT).as_posix()}'
            for folder in ('configs', 'tools')
            for file in (ROOT / folder).rglob('*')
            if file.is_file() and '__pycache__' not in file.parts
        }
        | {
            file.relative_to(ROOT).as_posix()
            for file in PACKAGE.rglob('*')
            if file.is_file() and '__pycache__' not in file.parts
        }
    )
    in_info = {name for name in names if '.dist-info/' in name}
    assert names - in_info == expected
    assert any(name.endswith('LICENSE') for name in in_info)
    (entry_points,) = (name for name in in_info if name.endswith('entry_points.txt'))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert 'mmpretrain-lmmreg = mmpretrain_lmmreg.cli.main:main' in text


@pytest.mark.slow
def test_child_config_trains_from_the_wheel(wheel, tmp_path, pictures):
    """At most 15 lines, outside the repository, on another folder of images."""
    assert len(CONFIG.splitlines()) <= 15
    environment = tmp_path / 'venv'
    check(sys.executable, '-m', 'venv', '--without-pip', environment, cwd=tmp_path)
    python = environment / 'bin' / 'python'
    options = ('install', '-q', '--no-deps', '--no-index', wheel)
    check(sys.executable, '-m', 'pip', '--python', python, *options, cwd=tmp_path)
    site = check(python, '-c', 'import site; print(site.getsitepackages()[0])', cwd=tmp_path)
    everything_else = str(Path(mmengine.__file__).parents[1])  # whose .pth files are not read
    Path(site.strip(), 'everything_else.pth').write_text(everything_else)

    configs = check(python, '-m', 'mmpretrain_lmmreg', 'configs', cwd=tmp_path).strip()
    assert configs == f'{site.strip()}/mmpretrain_lmmreg/.mim/configs'
    alone = 'import sys; from mmengine.config import Config; Config.fromfile(sys.argv[1])'
    for name in ('lmmreg_custom.py', 'lmmreg_ucf101.py', 'methods/gda.py'):
        check(python, '-c', alone, f'{configs}/{name}', cwd=tmp_path, CUSTOM_ROOT=str(pictures))
    config = write_project(tmp_path / 'mine', pictures)
    inherited = config.read_text().replace('{{$LMMREG_CONFIGS:configs}}', configs)
    config.write_text(inherited)
    command = environment / 'bin' / 'mmpretrain-lmmreg'
    check(command, 'train', config, cwd=tmp_path, OMP_NUM_THREADS='1', PYTHONPATH='')
    assert (tmp_path / 'work_dirs' / 'tiny' / 'epoch_2.pth').is_file()
