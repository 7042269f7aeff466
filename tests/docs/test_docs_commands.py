"""Each command of README and docs names files that exist and options that its parser knows."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from mmpretrain_lmmreg.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
# What users run of others, or the shell does: of these only the files are looked at.
FOREIGN = {
    *('bash', 'export', 'make', 'pip', 'pre-commit', 'python3', 'python', 'source', 'cd'),
    *('.venv/bin/pip', '.ci/run'),
}
VARIABLE = re.compile(r'[A-Z_]+=')
OURS = re.compile(r'(?:tools|configs|dev|tests)/[\w./-]+')
MADE = ('configs/methods/NAME.py',)  # a placeholder


def commands() -> list:
    """Each command with its page, as pytest's parameters."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        blocks = re.findall(r'^```(?:bash|sh|shell|console)\n(.*?)^```', text, re.M | re.S)
        text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
        blocks += [re.sub(r'^ {4}', '', b, flags=re.M) for b in _indented(text)]
        for block in blocks:
            for line in re.sub(r'\\\n\s*', ' ', block).splitlines():
                words = _words(line)
                if words:
                    found.append(pytest.param(words, id=f'{page.stem}: {line.strip()[:70]}'))
    return found


def _indented(text: str) -> list[str]:
    return re.findall(r'(?<=\n\n)(?: {4}\S.*\n(?: {4}.*\n)*)', text + '\n')


def _words(line: str) -> list[str]:
    if not line.strip() or line.lstrip()[0] in '|@#}>{' or line.startswith(' '):
        return []
    words = shlex.split(line, comments=True)
    while words and VARIABLE.match(words[0]):
        words.pop(0)
    known = FOREIGN | {'mmpretrain-lmmreg'}
    return words if words and (words[0] in known or '/' in words[0]) else []


@pytest.mark.parametrize('words', commands())
def test_command_of_the_docs(words, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    for word in words:
        path = OURS.match(word)
        if path and path[0] not in MADE:
            assert (ROOT / path[0]).exists(), f'{word}: there is no such file'
    if words[0] == 'mmpretrain-lmmreg':
        name, *arguments = words[1:]
        assert name in COMMANDS
    elif words[0] == 'python' and (tool := re.fullmatch(r'tools/(\w+)\.py', words[1])):
        name, arguments = tool[1], words[2:]
        if name not in COMMANDS and not name.startswith('prepare_'):
            return
    elif words[0] == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.M)
        assert set(words[1:]) <= set(targets)
        return
    else:
        return
    if name == 'configs':
        assert not arguments
        return
    name, _, data_set = name.partition('_')
    parser = import_module(f'mmpretrain_lmmreg.cli.{name}').parser()
    parser.parse_args(([data_set] if data_set else []) + arguments)  # SystemExit where wrong


def test_extras_of_the_docs_exist():
    setup = (ROOT / 'setup.py').read_text() + (ROOT / 'mmpretrain_lmmreg/version.py').read_text()
    for page in PAGES:
        for extras in re.findall(r"'\.\[([\w,]+)\]'", page.read_text(encoding='utf-8')):
            for extra in extras.split(','):
                assert f"'{extra}':" in setup, f'{page.name}: no extra {extra}'
