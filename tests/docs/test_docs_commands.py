"""Each command of README, docs and --help names files and options that exist."""

import re
from importlib import import_module

import pytest
from docs_commands import PAGES, ROOT, commands, ours

from mmpretrain_lmmreg.cli.main import COMMANDS
from mmpretrain_lmmreg.cli.prepare import ABOUT

OURS = re.compile(r'(?:tools|configs|dev|tests)/[\w./-]+')
MADE = ('configs/methods/NAME.py',)  # a placeholder


def check(name: str, arguments: list[str]) -> None:
    """Parse arguments with the command's own parser: SystemExit where they are wrong."""
    assert name in COMMANDS
    if name == 'configs':
        assert not arguments
    else:
        import_module(f'mmpretrain_lmmreg.cli.{name}').parser().parse_args(arguments)


@pytest.mark.parametrize('command', commands(), ids=str)
def test_command_of_the_docs(command, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    for word in command.words:
        path = OURS.match(word)
        if path and path[0] not in MADE:
            assert (ROOT / path[0]).exists(), f'{word}: there is no such file'
    if found := ours(command):
        check(found[0], found[1:])
    elif command.words[0] == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.M)
        assert set(command.words[1:]) <= set(targets)


@pytest.mark.parametrize('name', [*COMMANDS, *(f'prepare {data}' for data in ABOUT)])
def test_help(name, monkeypatch, capsys):
    """Many options stand in groups, each has a text, and the example at the end is right."""
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    if name == 'configs':  # without options
        return
    name, *arguments = name.split()
    parser = import_module(f'mmpretrain_lmmreg.cli.{name}').parser()
    with pytest.raises(SystemExit):
        parser.parse_args([*arguments, '--help'])
    text = capsys.readouterr().out
    title, example = text.rstrip().splitlines()[-2:]
    assert title == 'example:' and example.startswith(f'  mmpretrain-lmmreg {name} ')
    check(name, example.split()[2:])
    for path in OURS.findall(example):
        assert (ROOT / path).exists()
    for group in parser._action_groups:
        assert len(group._group_actions) <= 12, f'{name}: too many options in {group.title}'
        for action in group._group_actions:
            assert action.help or name == 'prepare', f'{name}: {action.dest} has no help'


def test_extras_of_the_docs_exist():
    setup = (ROOT / 'setup.py').read_text() + (ROOT / 'mmpretrain_lmmreg/version.py').read_text()
    for page in PAGES:
        for extras in re.findall(r"'\.\[([\w,]+)\]'", page.read_text(encoding='utf-8')):
            for extra in extras.split(','):
                assert f"'{extra}':" in setup, f'{page.name}: no extra {extra}'


@pytest.mark.parametrize('page', ['README.md', 'docs/index.md'])
def test_the_number_of_methods(page):
    number = re.search(r'(\d+) other\s+methods and controls', (ROOT / page).read_text())[1]
    assert int(number) == len(list((ROOT / 'configs/methods').glob('*.py')))
