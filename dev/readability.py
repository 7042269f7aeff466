"""How readable README.md and docs/*.md are: words a sentence, the longest sentences, long lines.

    python dev/readability.py            # a table of the files; exit code 1 where a limit is passed

Limits: 16 words a sentence on average over all files, 30 in the longest, 100 characters a line of
the README outside tables and code. Code blocks, tables, headings and front matter are no sentences.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AVERAGE, LONGEST, LINE = 16, 30, 100

_FENCE = re.compile(r'^(```|~~~|:::).*?^\1', re.S | re.M)
_BLOCK = re.compile(r'^(?: {4}|\t)(?!\s*[-*\d]).*$|^\s*[|#].*$|^\s*!\[.*$|^\(.*\)=$', re.M)
_LINK = re.compile(r'!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])')
_CODE = re.compile(r'`+[^`]+`+')
_END = re.compile(r'(?<=[.!?:])[)"\'*]*\s+(?=[A-Z`*("\'\d])|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+')
_ABBREVIATION = re.compile(r'\b(e\.g|i\.e|et al|vs|Proc|Fig|approx|al)\.', re.I)


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown text; an item of a list is one, or several."""
    text = _BLOCK.sub('\n', _FENCE.sub('\n\n', text))
    text = _CODE.sub('Code', _LINK.sub(r'\1', text))
    text = _ABBREVIATION.sub(lambda match: match[0].replace('.', ''), text)
    found = (' '.join(part.split()).strip('-*# ') for part in _END.split('\n\n' + text))
    return [sentence for sentence in found if len(sentence.split()) > 1]


def words(sentence: str) -> int:
    """How many words a sentence has; numbers and code count as one each."""
    return len(re.findall(r"[\w'’%.±-]*\w[\w'’%.±-]*", sentence))


def long_lines(text: str) -> list[int]:
    """Numbers of the lines above the limit that are neither table nor code."""
    blank = _FENCE.sub(lambda match: '\n' * match[0].count('\n'), text)
    lines = enumerate(blank.split('\n'), 1)
    return [n for n, line in lines if len(line) > LINE and not re.match(r'\s*\||    ', line)]


def main() -> int:
    """Print the table, then what passes a limit."""
    counts, problems = [], []
    files = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
    print('| file | sentences | words a sentence | longest |\n| --- | --- | --- | --- |')
    for file in files:
        text = file.read_text(encoding='utf-8')
        own = [(words(sentence), sentence) for sentence in sentences(text)]
        counts += [number for number, _ in own]
        average = sum(number for number, _ in own) / max(len(own), 1)
        most = max((number for number, _ in own), default=0)
        print(f'| {file.relative_to(ROOT)} | {len(own)} | {average:.1f} | {most} |')
        problems += [f'{file.name}: {n} words: {s}' for n, s in own if n > LONGEST]
    problems += [
        f'README.md:{n}: more than {LINE} characters' for n in long_lines(files[0].read_text())
    ]
    average = sum(counts) / len(counts)
    print(f'\nall: {len(counts)} sentences, {average:.1f} words each')
    if average > AVERAGE:
        problems.append(f'on average {average:.1f} words a sentence, at most {AVERAGE} are allowed')
    print('\n'.join(problems), file=sys.stderr)
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
