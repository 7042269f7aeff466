"""The commands that README and docs print, in order."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
# What users run beside our commands and files of the checkout
_FOREIGN = {
    *('bash', 'export', 'make', 'pip', 'pre-commit', 'python3', 'python', 'source', 'cd'),
    *('mmpretrain-lmmreg', '.venv/bin/pip', '.ci/run'),
}
_VARIABLE = re.compile(r'[A-Z_]+=')


class Command(NamedTuple):
    """A printed command: page, line, the variables before it, its words."""

    page: str
    line: str
    variables: dict[str, str]
    words: list[str]

    def __str__(self) -> str:
        return f'{self.page}: {self.line[:70]}'


def commands() -> list[Command]:
    """Each command of each page."""
    found = []
    fence = re.compile(r'^```(\w*)\n(.*?)^```', re.M | re.S)
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        text = fence.sub(_indented, text)
        for block in re.findall(r'(?<=\n\n)(?: {4}\S.*\n(?: {4}.*\n)*)', text + '\n'):
            block = re.sub(r'^ {4}', '', block, flags=re.M)
            lines = re.sub(r'\\\n\s*', ' ', block).splitlines()
            found += [command for line in lines if (command := parsed(page.stem, line))]
    return found


def _indented(fence: re.Match) -> str:
    shell = fence[1] in ('bash', 'sh', 'shell', 'console')
    return '\n' + re.sub('^', '    ', fence[2], flags=re.M) + '\n\n' if shell else ''


def parsed(page: str, line: str) -> Command | None:
    """The command of a line; None where it is output or something else."""
    if not line.strip() or line[0] in '|@#}>{ ':
        return None
    words, variables = shlex.split(line, comments=True), {}
    while words and _VARIABLE.match(words[0]):
        name, _, variables[name] = words.pop(0).partition('=')
    known = words and (words[0] in _FOREIGN or '/' in words[0])
    return Command(page, line.strip(), variables, words) if known else None


def ours(command: Command) -> list[str] | None:
    """Name and arguments of a command of this package, or None."""
    if command.words[0] == 'mmpretrain-lmmreg':
        return command.words[1:]
    script = command.words[1] if command.words[0] == 'python' else ''
    tool = re.fullmatch(r'tools/(\w+)\.py', script)
    return [tool[1], *command.words[2:]] if tool else None
