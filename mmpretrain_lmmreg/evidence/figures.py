"""Figures: accuracy by epoch, confusion, reliability."""

import io
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .runs import Method
from .stats import Confusion, reliability, top_confidence, wilson

# Told apart by the colour-blind, and visible on white and on black
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#56b4e9', '#8c6bb1', '#7f7f7f')
DASHES = ('-', '--', ':', '-.')
PLAIN = mpl.rc_context({'text.parse_math': False})  # a $ in a class name is a $
INK = '#010203'  # stands for the page's text colour
# Faint enough to read the page's text on it
BLUES = LinearSegmentedColormap.from_list('blues', ['#0072b200', '#0072b2a6'])


def styles():
    """(colour, dash) pairs, different for 32 methods; neighbours differ in both.

    Where two curves run over each other, the gaps of one show the other.
    """
    count = len(COLOURS)
    pairs = range(count * len(DASHES))
    return cycle((COLOURS[i % count], DASHES[(i + i // count) % len(DASHES)]) for i in pairs)


def curve(method: Method) -> tuple[NDArray, NDArray]:
    """The epochs that all seeds have, and the accuracies in them, (E,) and (S, E)."""
    by_seed = [{e['epoch']: e['accuracy'] for e in r.record['epochs']} for r in method.runs]
    epochs = sorted(set.intersection(*(set(each) for each in by_seed)))
    return np.array(epochs), np.array([[each[e] for e in epochs] for each in by_seed])


@PLAIN
def curves(methods: Sequence[Method]) -> Figure:
    """Accuracy by epoch: mean over seeds, with a band from the worst to the best seed."""
    figure = Figure(figsize=(5.4, 3.8), layout='constrained')
    axes = figure.add_subplot()
    splits = set()
    for method, (colour, dash) in zip(methods, styles(), strict=False):
        epochs, accuracies = curve(method)
        if not len(epochs):
            continue
        splits.add(method.first.record.get('curve_split') or 'test')
        mean = 100 * accuracies.mean(axis=0)
        if len(epochs) == 1:  # trained without epochs: a level
            axes.axhline(mean[0], color=colour, linestyle=dash, label=method.name)
            continue
        axes.plot(epochs, mean, color=colour, linestyle=dash, label=method.name)
        axes.fill_between(
            epochs,
            100 * accuracies.min(axis=0),
            100 * accuracies.max(axis=0),
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xlabel('epoch')
    axes.set_ylabel(f'{" / ".join(sorted(splits))} accuracy, %')
    if splits:
        figure.legend(loc='outside lower center', ncols=2, frameon=False, fontsize='small')
    return ink(figure)


@PLAIN
def confusion(cells: Sequence[Confusion], classes: Sequence[str]) -> Figure:
    """Shares of each class's images that are predicted as each class."""
    count = len(classes)
    matrix = np.zeros((count, count))
    for cell in cells:
        matrix[cell.label, cell.predicted] = cell.share
    size = min(8, 2.6 + 0.35 * count)
    figure = Figure(figsize=(size, size), layout='constrained')
    axes = figure.add_subplot()
    axes.imshow(matrix, cmap=BLUES, vmin=0, vmax=1, interpolation='nearest')
    step = max(1, count // 34)
    ticks = range(0, count, step)
    small = 'small' if count <= 12 else 5
    axes.set_xticks(ticks, [classes[i] for i in ticks], rotation=90, fontsize=small)
    axes.set_yticks(ticks, [classes[i] for i in ticks], fontsize=small)
    axes.set_xlabel('predicted')
    axes.set_ylabel('class')
    if count <= 12:
        for (i, j), share in np.ndenumerate(matrix):
            if share >= 0.005:
                axes.text(j, i, f'{100 * share:.0f}', ha='center', va='center', fontsize='small')
    return ink(figure)


@PLAIN
def reliability_diagram(method: Method) -> Figure:
    """Accuracy by confidence over all seeds, beside the diagonal of perfect calibration.

    Bars are 95 % Wilson intervals of the images in a bin, each counted once for all seeds.
    """
    parts = [top_confidence(r.predictions.label, r.predictions.probs) for r in method.runs]
    pooled = (np.concatenate(part) for part in zip(*parts, strict=True))
    accuracy, confidence, counts = reliability(*pooled)
    images = np.maximum(counts // len(method.runs), 1)  # runs see the same images
    low, high = wilson(accuracy, images)
    errors = 100 * np.clip([accuracy - low, high - accuracy], 0, None)
    figure = Figure(figsize=(3.6, 3.4), layout='constrained')
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=':')
    points = 100 * confidence, 100 * accuracy
    axes.errorbar(*points, errors, color=COLOURS[0], linewidth=1, capsize=2)
    axes.scatter(
        100 * confidence,
        100 * accuracy,
        8 + 200 * counts / counts.sum(),
        color=COLOURS[0],
        alpha=0.8,
    )
    axes.set_xlabel('confidence, %')
    axes.set_ylabel('accuracy, %')
    return ink(figure)


def ink(figure: Figure) -> Figure:
    """Draw all that is neither data nor background in the colour of the page's text."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.tick_params(colors=INK, which='both')
        parts: list[Any] = [*axes.spines.values(), axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for part in parts:
            part.set_color(INK)
    for legend in figure.legends:
        for text in legend.get_texts():
            text.set_color(INK)
    return figure


def image(figure: Figure, format: str) -> bytes:
    """The figure on white as a 'png' or 'svg' file."""
    file = io.BytesIO()
    with mpl.rc_context({'svg.hashsalt': 'lmmreg', 'svg.fonttype': 'path'}):
        figure.savefig(
            file,
            format=format,
            dpi=150,
            facecolor='white',
            metadata={'Date': None} if format == 'svg' else None,
        )
    return file.getvalue()


def inline_svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element in the page's own text colour and font.

    Args:
        name: Different for each figure of a page; keeps their ids apart.
    """
    file = io.StringIO()
    with mpl.rc_context({'svg.hashsalt': name, 'svg.fonttype': 'none', 'svg.id': name}):
        figure.savefig(file, format='svg', transparent=True, metadata={'Date': None})
    svg = file.getvalue()
    return svg[svg.index('<svg') :].replace(INK, 'currentColor')
