"""What a fit prints, and its page."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ..datasets.files import thumbnail
from ..evidence.stats import wilson
from ..io.files import save_atomic
from ..io.page import render_page
from .choice import contradicted
from .cross_validation import Compared

if TYPE_CHECKING:
    from .fit import Outcome

HEAD = ('candidate', 'held-out accuracy', 'log-likelihood', 'weight')


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
    folder = shlex.quote(str(out))
    print('next:')
    print(f'  mmpretrain-lmmreg predict {folder} IMAGE_OR_FOLDER...')
    print(f'  mmpretrain-lmmreg train {folder}/config.py')
    print(f'  mmpretrain-lmmreg describe {folder}/data.py --describer openai --model NAME')


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
    compared, test = outcome.compared, outcome.test
    predicted, labels = compared.best.log_probabilities.argmax(1), compared.labels
    if test is not None:
        predicted, labels = torch.from_numpy(test.probs.argmax(1)), torch.from_numpy(test.label)
    classes, confusions = _by_class(predicted, labels, outcome.images.classes)
    return render_page(
        __package__,
        'report.html',
        title=outcome.images.root,
        results=results(outcome),
        head=HEAD,
        candidates=_cells(compared),
        left_out=left_out(compared),
        scored='held-out' if test is None else 'test',
        classes=classes,
        confusions=confusions,
        errors=_surest_errors(outcome),
        contradictions=_contradictions(outcome),
        card=outcome.images.card(),
    )


def _by_class(
    predicted: Tensor, labels: Tensor, classes: tuple[str, ...]
) -> tuple[list[tuple], list[tuple]]:
    """Images and accuracy of each class, the worst first; the most frequent confusions."""
    number = len(classes)
    pairs = torch.bincount(labels * number + predicted, minlength=number**2)
    counts = pairs.reshape(number, number)  # by label and prediction
    totals, right = counts.sum(1).tolist(), counts.diagonal().tolist()
    order = sorted(range(number), key=lambda c: right[c] / max(totals[c], 1))
    rows = [(classes[c], totals[c], f'{right[c] / max(totals[c], 1):.0%}') for c in order]
    wrong = counts.clone().fill_diagonal_(0).flatten()
    taken = [
        (f'{classes[i // number]} taken for {classes[i % number]}', int(wrong[i]))
        for i in wrong.argsort(descending=True)[:8].tolist()
        if wrong[i]
    ]
    return rows, taken


def _figure(path: str, text: str) -> tuple[str | None, str]:
    """A small image and what stands below it."""
    return thumbnail('/', str(Path(path).resolve()).lstrip('/'), 240), text


def _surest_errors(outcome: 'Outcome') -> list[tuple[str | None, str]]:
    test, classes = outcome.test, outcome.images.classes
    if test is None:
        return []
    sure, predicted = test.probs.max(1), test.probs.argmax(1)
    wrong = sorted((~test.correct).nonzero()[0], key=lambda i: -sure[i])[:12]
    return [
        _figure(
            outcome.images.test[i]['img_path'],
            f'{classes[test.label[i]]}, taken for {classes[predicted[i]]} ({sure[i]:.0%})',
        )
        for i in wrong
    ]


def _contradictions(outcome: 'Outcome') -> list[tuple[str | None, str]]:
    compared, classes = outcome.compared, outcome.images.classes
    rows, figures = compared.folds.scored.nonzero()[:, 0].tolist(), []
    for i, predicted, probability in contradicted(compared.best, compared.labels):
        sample = outcome.images.train[rows[i]]
        text = f'{sample["rel_path"]}: labelled {classes[sample["gt_label"]]}, ' + (
            f'held-out prediction {classes[predicted]} ({probability:.0%})'
        )
        figures.append(_figure(sample['img_path'], text))
    return figures
