"""What a fit prints, and its page."""

import shlex
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from ..datasets.files import thumbnail
from ..evidence.stats import wilson
from ..io.files import save_atomic
from .choice import contradicted
from .cross_validation import Compared

if TYPE_CHECKING:
    from .fit import Outcome

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       overflow-wrap: anywhere }
.wide { overflow: auto hidden; overflow-wrap: normal } table { border-collapse: collapse }
td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left } .use { background: #e6f4e6; font-weight: 600 }
figure { display: inline-block; width: 10rem; margin: .4rem; vertical-align: top; font-size: .8rem }
figure img { width: 100%; height: 8rem; object-fit: cover }
@media (max-width: 30rem) { td, th { padding: .2rem .3rem } h1 { font-size: 1.3rem } }
"""
HEAD = ('candidate', 'held-out accuracy', 'log-likelihood', 'weight')
CANNOT_SEE = (
    'Folds of the training images say nothing about test images from elsewhere: other cameras, '
    'places or years. Where such images matter, give some with labels by --test, or keep images of '
    'one source together by --group-by.'
)


def leaderboard(compared: Compared) -> pd.DataFrame:
    """What is chosen, then the candidates, best first."""
    weights = {each.candidate.name: weight for each, weight in compared.members}
    rows = [
        dict(
            candidate=j.candidate.name,
            method=j.candidate.method,
            accuracy=j.accuracy,
            standard_error=j.error,
            log_likelihood=round(j.log_likelihood, 4) + 0.0,  # never -0.0
            temperature=j.temperature,
            weight=weights.get(j.candidate.name, 0.0),
            seconds=j.seconds,
            chosen=j is compared.best,
        )
        for j in compared.ranked
    ]
    return pd.DataFrame(rows).round(4)


def _cells(compared: Compared) -> list[tuple[str, ...]]:
    """The leaderboard as people read it."""
    return [
        (
            row.candidate + ' – use this' * row.chosen,
            f'{row.accuracy:.1%} ± {row.standard_error:.1%}',
            f'{round(row.log_likelihood, 3) + 0.0:.3f}',
            f'{row.weight:.2f}' if row.weight else '',
        )
        for row in leaderboard(compared).itertuples()
    ]


def show_leaderboard(compared: Compared) -> None:
    """Print the candidates, best first."""
    table = Table(*HEAD)
    for cells in _cells(compared):
        table.add_row(*cells)
    Console(width=100).print(table)
    for line in left_out(compared):
        print(line)


def left_out(compared: Compared) -> list[str]:
    """Candidates that were not compared, a line for each reason."""
    names: dict[str, list[str]] = {}
    for name, reason in compared.left_out.items():
        names.setdefault(reason, []).append(name)
    return [f'left out: {", ".join(each)}: {reason}' for reason, each in names.items()]


def results(outcome: 'Outcome') -> list[str]:
    """What came out, in lines."""
    best, classes = outcome.compared.best, outcome.images.classes
    named = ', '.join(f'{j.candidate.name} ({w:.2f})' for j, w in outcome.compared.members)
    what = f'average of {named}' if len(outcome.compared.members) > 1 else best.candidate.name
    lines = [f'chosen: {what}; held-out accuracy {best.accuracy:.1%}']
    chance = 1 / len(classes)
    if outcome.test is not None:
        right = float(outcome.test.correct.mean())
        low, high = wilson(right, len(outcome.test.label))
        lines.append(
            f'test accuracy {right:.1%} (95 % interval {low:.1%} to {high:.1%}, '
            f'{len(outcome.test.label)} images); chance {chance:.1%}; '
            f'training images {outcome.train_accuracy:.1%}'
        )
        if right < chance:
            lines.append('warning: below chance; look at the labels of training and test images')
        if right < best.accuracy - 2 * (best.error + (high - low) / 4):
            lines.append(
                'warning: the test images are unlike the training images, or fewer than they '
                f'should be: held-out accuracy was {best.accuracy:.1%}'
            )
    else:
        lines.append(f'no test images; chance {chance:.1%}')
    return lines + outcome.described


def show_end(outcome: 'Outcome', out: Path) -> None:
    """Print what came out, where it lies and what can be done next."""
    print('\n'.join(results(outcome)))
    spent = ', '.join(f'{name} {value:.0f} s' for name, value in outcome.seconds.items())
    print(f'time: {spent}')
    print(f'{out}: exported/ (works by itself), report.html, leaderboard.csv, config.py, run/')
    print('next:')
    print(f'  mmpretrain-lmmreg predict {out} IMAGE_OR_FOLDER...')
    print(f'  mmpretrain-lmmreg train {shlex.quote(str(out / "config.py"))}')
    print(f'  mmpretrain-lmmreg describe {out / "data.py"} --describer openai --model NAME')


def write(outcome: 'Outcome', out: Path) -> None:
    """Write ``report.html`` and ``leaderboard.csv``."""
    for name, text in (
        ('leaderboard.csv', leaderboard(outcome.compared).to_csv(index=False)),
        ('report.html', page(outcome)),
    ):
        with save_atomic(out / name) as file:
            file.write(text.encode(errors='replace'))


def page(outcome: 'Outcome') -> str:
    """The report: one page that needs nothing beside it."""
    parts = [
        f'<h1>{escape(str(outcome.images.root))}</h1>',
        *(f'<p>{escape(line)}</p>' for line in results(outcome)),
        '<h2>Leaderboard</h2>',
        _table(HEAD, _cells(outcome.compared), 0),
        *(f'<p>{escape(line)}</p>' for line in left_out(outcome.compared)),
        f'<p>{CANNOT_SEE}</p>',
        *_classes(outcome),
        *_confident_errors(outcome),
        *_contradictions(outcome),
        '<h2>Data</h2>',
        _table(('', ''), outcome.images.card()),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return (
        f'<!doctype html><html lang="en"><head>{head}<title>fit</title><style>{STYLE}</style>'
        + (f'</head><body>{"".join(parts)}</body></html>\n')
    )


def _table(head: tuple, rows: list, used: int = -1) -> str:
    cells = ''.join(f'<th>{escape(str(cell))}</th>' for cell in head)
    body = ''.join(
        f'<tr{" class=use" * (i == used)}>'
        + ''.join(f'<td>{escape(str(cell))}</td>' for cell in row)
        + '</tr>'
        for i, row in enumerate(rows)
    )
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'


def _classes(outcome: 'Outcome') -> list[str]:
    classes, test = outcome.images.classes, outcome.test
    compared, of = outcome.compared, 'held-out'
    predicted, labels = compared.best.log_probabilities.argmax(1), compared.labels
    if test is not None:
        predicted, labels = torch.from_numpy(test.probs.argmax(1)), torch.from_numpy(test.label)
        of = 'test'
    number = len(classes)
    pairs = torch.bincount(labels * number + predicted, minlength=number**2)
    counts = pairs.reshape(number, number)  # by label and prediction
    rows = [
        (name, int(counts[c].sum()), f'{int(counts[c, c]) / max(int(counts[c].sum()), 1):.0%}')
        for c, name in enumerate(classes)
    ]
    wrong = counts.clone().fill_diagonal_(0).flatten()
    order = [int(i) for i in wrong.argsort(descending=True)[:8] if wrong[i] > 0]
    taken = [
        (f'{classes[i // len(classes)]} taken for {classes[i % len(classes)]}', int(wrong[i]))
        for i in order
    ]
    return [
        f'<h2>Classes ({of} images)</h2>',
        _table(('class', 'images', 'accuracy'), sorted(rows, key=lambda row: int(row[2][:-1]))),
        *(['<h2>Confusions</h2>', _table(('', 'images'), taken)] if taken else []),
    ]


def _figure(path: str, text: str) -> str:
    image = thumbnail('/', path.lstrip('/'), 240)
    shown = f'<img src="{image}" alt="">' if image else ''
    return f'<figure>{shown}<figcaption>{escape(text)}</figcaption></figure>'


def _confident_errors(outcome: 'Outcome') -> list[str]:
    test, classes = outcome.test, outcome.images.classes
    if test is None:
        return []
    sure = test.probs.max(1)
    wrong = sorted((i for i in range(len(sure)) if not test.correct[i]), key=lambda i: -sure[i])[
        :12
    ]
    figures = [
        _figure(
            str(Path(outcome.images.test[i]['img_path']).resolve()),
            f'{classes[test.label[i]]}, taken for '
            f'{classes[test.probs[i].argmax()]} ({sure[i]:.0%})',
        )
        for i in wrong
    ]
    return ['<h2>Surest errors on test images</h2>', *figures] if figures else []


def _contradictions(outcome: 'Outcome') -> list[str]:
    rows = outcome.compared.folds.scored.nonzero()[:, 0]
    classes, figures = outcome.images.classes, []
    for i, predicted, probability in contradicted(outcome.compared.best, outcome.compared.labels):
        sample = outcome.images.train[int(rows[i])]
        text = f'{sample["rel_path"]}: labelled {classes[sample["gt_label"]]}, ' + (
            f'held-out prediction {classes[predicted]} ({probability:.0%})'
        )
        figures.append(_figure(str(Path(sample['img_path']).resolve()), text))
    if not figures:
        return []
    return ['<h2>Training images whose label may be wrong</h2>', *figures]
