"""Ask about the images that a classifier is unsure of, and classify these again."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets.pictures import pixel_key
from ..describe.convergence import orders_of
from ..describe.pixels import describe_images
from ..describe.plan import DescribePlan
from ..describe.state import Tally
from ..describe.summary import tokens
from ..describe.tasks import Task
from ..descriptions.samples import image_name
from ..descriptions.store import DescriptionStore
from ..errors import InputError, require_range
from ..heads.cascade_vlm import CascadeVLMHead, Reader
from ..heads.describe_on_demand import DescribeOnDemandHead, embed_unit
from ..heads.inputs import HeadInputs
from ..heads.on_demand import Embed, count_of, share_for
from ..text.prompts import TEMPLATES
from .classifier import Classifier, text_tower, tower_settings
from .predict import Prediction, top


@dataclass(frozen=True)
class Request:
    """Who is asked about how many images.

    Args:
        plan: Who is asked, and the limits; None reads the store alone.
        store: The file of the answers, by the sha256 of the pixels; never the training images'.
        budget: Share of the images, rounded down, whose descriptions are used.
        target_accuracy: In place of ``budget``: the smallest share that reached it on held-out
            training images.
        tally: Of training images, which took from the budget; see :func:`calibrate`.

    Raises:
        InputError: a budget outside of [0, 1].
    """

    plan: DescribePlan | None
    store: str | Path = 'asked.jsonl'
    budget: float = 0.2
    target_accuracy: float | None = None
    tally: Tally | None = None

    def __post_init__(self) -> None:
        require_range('--budget', self.budget, 0, 1)


@dataclass(frozen=True)
class Asked:
    """What asking took, and what it is worth.

    Attributes:
        images, described: Numbers of images.
        tally: Of the requests; None where nobody was asked.
        curve: See :func:`~mmpretrain_lmmreg.heads.on_demand.accuracy_curve`.
        price: Of a million tokens, in and out.
    """

    images: int
    described: int
    tally: Tally | None
    curve: Tensor
    price: tuple[float, float] | None = None

    def __str__(self) -> str:
        lines = [f'{self.described} of {self.images} images classified with their descriptions']
        tally = self.tally
        if tally is not None:
            lines[0] += f'; {tally.asked} asked, {tokens(tally, price=self.price)}'
            if tally.spent:
                lines[0] += f', ended by {tally.spent}'
        return '\n'.join(lines + self.worth)

    @property
    def worth(self) -> list[str]:
        """The curve, in lines; none where it is not known."""
        if not self.curve.any():
            return []
        head = f'share of {self.images} images described: held-out accuracy, at random, tokens'
        return [head, *(self._row(*row) for row in self.curve[::2].tolist())]

    def _row(self, share: float, _threshold: float, accuracy: float) -> str:
        first, last = self.curve[0, 2].item(), self.curve[-1, 2].item()
        text = f'{share:4.0%}: {accuracy:.1%}, {first + share * (last - first):.1%}'
        if not self.tally or not self.tally.answers:
            return text
        factor = share * self.images / self.tally.answers
        return f'{text}, {tokens(self.tally, factor, self.price)}'


def reader_of(classifier: Classifier) -> tuple[Reader, Embed]:
    """What answers change in a classifier's probabilities, and its text tower.

    Raises:
        InputError: a method that reads no answers.
    """
    head = classifier.model.head
    if not isinstance(head, DescribeOnDemandHead | CascadeVLMHead):
        raise reads_none(type(head).__name__)
    return (
        head.reader(classifier.classes),
        lambda lists: embed_unit(lists, text_tower(classifier.cfg)),
    )


def reads_none(name: str) -> InputError:
    """The error of a classifier that reads no descriptions."""
    return InputError(
        f'{name} reads no descriptions of the images that it classifies: train the method '
        'describe_on_demand',
        code='deploy.reads_no_descriptions',
    )


def describe_unsure(
    results: list[Prediction],
    sources: Mapping[str, Any],
    classes: Sequence[str],
    reader: Reader,
    embed: Embed,
    request: Request,
) -> Asked:
    """Ask about unsure images; what was learned replaces their ``predictions``.

    Args:
        results: Of all images, with the probabilities of all classes; those with the key
            ``description`` are afterwards by image and description, the others by image alone.
        sources: The images by their name in ``results``: paths, PIL images or arrays.
        classes: N_c names.
        reader: What answers change.
        embed: Texts -> unit vectors.
        request: Who is asked about how many images.

    Returns:
        What asking took.

    Raises:
        InputError: no share reaches the accuracy; as :func:`describe_images`.
    """
    price = request.plan.price if request.plan else None
    if not results:
        return Asked(0, 0, request.tally, reader.curve, price)
    by_name = ({p['class']: p['probability'] for p in r['predictions']} for r in results)
    probabilities = torch.tensor([[each[name] for name in classes] for each in by_name])
    share = request.budget
    if request.target_accuracy is not None:
        share = share_for(reader.curve, request.target_accuracy)
    spent = request.tally.done if request.tally else 0
    most = max(count_of(share, len(results)) - spent, 0)
    rows = reader.unsure(probabilities, share)[:most]
    lists, tally = _answers(
        [sources[results[i]['image']] for i in rows.tolist()],
        reader.prompts_for(probabilities[rows]),
        reader.count,
        request,
    )
    answered = [i for i, texts in enumerate(lists) if texts]
    if answered:
        which, replies = rows[answered], [lists[i][: reader.count] for i in answered]
        found = reader.read(probabilities[which], replies, embed)
        for row, p, texts in zip(which.tolist(), found, replies, strict=True):
            results[row]['predictions'] = top(p, len(classes), classes)
            results[row]['description'] = ' '.join(texts)
    return Asked(len(results), len(answered), tally, reader.curve, price)


def calibrate(classifier: Classifier, count: int | None, request: Request) -> Request:
    """Describe training images, find the exponents of the text by them, and print these.

    Args:
        classifier: Of the method ``describe_on_demand``; its exponents change.
        count: Training images, spread evenly over the classes; five a class and at least 30 by
            default.
        request: Who is asked.

    Returns:
        The request, whose budget is smaller by the training images.

    Raises:
        InputError: another method; nobody is asked; an image classifier that trains by gradient
            steps and so has seen all training images; as :func:`describe_images`.
    """
    head, cfg = classifier.model.head, classifier.cfg
    if not isinstance(head, DescribeOnDemandHead):
        raise reads_none(type(head).__name__)
    if request.plan is None or any(p.requires_grad for p in head.classifier.parameters()):
        raise InputError(
            '--calibrate needs a --describer, and an image classifier in closed form; else run '
            'mmpretrain-lmmreg describe CONFIG --per-class 5 --count 1, and train again',
            code='deploy.not_calibrated',
        )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    plan = replace(request.plan, prompt=head.prompts[0], count=head.descriptions)
    lists, tally = describe_training(infos, head.num_classes, count, plan, request.store)
    loader = DataLoader(dataset, cfg.train_dataloader.batch_size)
    loop: Any = SimpleNamespace(dataloader=loader)
    inputs = HeadInputs(
        classifier.model, [loop], cfg.get('templates') or TEMPLATES, **tower_settings(cfg)
    )
    head.set_up_with(inputs, lists)
    names = ('image', 'class names', 'learned text')
    shown = (f'{n} {e:.3g}' for n, e in zip(names, head.exponents.tolist(), strict=True))
    found = f'exponents by {len(lists)} described training images: {", ".join(shown)}'
    print(found, file=sys.stderr)
    return replace(request, tally=tally)


def describe_training(
    infos: Sequence[dict], classes: int, count: int | None, plan: DescribePlan, store: str | Path
) -> tuple[dict[int, list[str]], Tally]:
    """Describe training images that are spread evenly over the classes.

    Args:
        infos: Samples of training images.
        classes: N_c.
        count: So many images; five a class and at least 30 by default.
        plan: What is asked of whom.
        store: The file of the answers.

    Returns:
        Descriptions by place in ``infos``, and what they took.
    """
    tasks = [
        Task(image_name(info), info['img_path'], info['gt_label'], info.get('group'))
        for info in infos
    ]
    orders = orders_of(tasks, 0).values()
    turns = (i for turn in zip_longest(*orders) for i in turn if i is not None)
    rows = list(islice(turns, count or max(5 * classes, 30)))
    found = describe_images([tasks[i].path for i in rows], plan, store)
    pairs = zip(rows, found.descriptions, strict=True)
    return {i: texts[: plan.count] for i, texts in pairs if texts}, found.tally


def _answers(
    images: list, prompts: Sequence[Sequence[str]], count: int, request: Request
) -> tuple[list[list[str]], Tally | None]:
    """Descriptions of each image, from the store where it has them."""
    lists: list[list[str]] = [[] for _ in images]
    if images and Path(request.store).exists():
        kept = DescriptionStore(request.store)
        for i, (key, asked) in enumerate(zip(map(pixel_key, images), prompts, strict=True)):
            lists[i] = next(filter(None, (kept.get(key, prompt) for prompt in asked)), [])
    if request.plan is None:
        return lists, None
    left = [i for i, texts in enumerate(lists) if not texts]
    tally = request.tally or Tally()
    if left:
        found = describe_images(
            [images[i] for i in left],
            replace(request.plan, count=count),
            request.store,
            prompts=[prompts[i][0] for i in left],
            tally=tally,
        )
        for i, texts in zip(left, found.descriptions, strict=True):
            lists[i] = texts
    return lists, tally
