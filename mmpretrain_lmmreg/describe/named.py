"""Prompts that name the image's class, for training images only."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from PIL import Image

from ..datasets.names import readable_name
from ..descriptions.samples import CLASS, names_class
from ..errors import InputError
from .describers import Answer, Describer
from .loading import Loaded, Task, load_image


def check_named(prompt: str, split: str, classes: Sequence[str]) -> None:
    """Refuse a prompt with ``{class}`` where it would give the answer away.

    Raises:
        InputError: Another split than ``'train'``; the data set has no class names.
    """
    if not names_class(prompt):
        return
    if split != 'train':
        raise InputError(
            f'--prompt with {CLASS} and --split {split}: the descriptions of test and validation '
            'images would tell their class; only training images may be described by such a prompt'
        )
    if not classes:
        raise InputError(f'--prompt with {CLASS}: the data set has no class names')


class _Named(NamedTuple):
    label: int
    content: Any


class NamedDescriber:
    """Asks another describer about each image, with the name of its class in the prompt.

    Replies are kept under the prompt as it was given, with ``{class}``: one key an image, as for
    any prompt. The names are part of the settings, so that other names are asked about again.

    Args:
        describer: Who is asked; its attribute ``prompt`` holds ``{class}``.
        tasks: The images, each with a label.
        classes: Names of the classes.

    Raises:
        InputError: An image has no label.
    """

    def __init__(self, describer: Any, tasks: Sequence[Task], classes: Sequence[str]) -> None:
        self._describer: Describer = describer
        self.model, self.batch_size = describer.model, describer.batch_size
        self.concurrency, self.deterministic = describer.concurrency, describer.deterministic
        names = [readable_name(name) for name in classes]
        self.settings = {**describer.settings, 'classes': names}
        self._by_label = [copy.copy(describer) for _ in names]  # they share model and connections
        for each, name in zip(self._by_label, names, strict=True):
            each.prompt = describer.prompt.replace(CLASS, name)
        self._labels: dict[str, int] = {}
        for task in tasks:
            if task.label is None:
                raise InputError(f'{task.image} has no label, so --prompt cannot name its class')
            self._labels[task.path] = task.label

    def load(self, path: str, *rest: Any) -> Loaded:
        """As :func:`load_image`, with the label beside the content."""
        loaded = load_image(path, *rest)
        if loaded.content is None:
            return loaded
        return replace(loaded, content=_Named(self._labels[path], loaded.content))

    def prepare(self, image: Image.Image) -> object:
        """What the other describer takes of an image."""
        return self._describer.prepare(image)

    async def ask(self, images: list[Any]) -> list[Answer]:
        """One answer an image, in order; images of one class are asked about together."""
        images = [i if isinstance(i, _Named) else _Named(0, i) for i in images]  # a probe has none
        answers: dict[int, Answer] = {}
        for label in dict.fromkeys(label for label, _ in images):
            own = [i for i, (other, _) in enumerate(images) if other == label]
            replies = await self._by_label[label].ask([images[i][1] for i in own])
            answers.update(zip(own, replies, strict=True))
        return [answers[i] for i in range(len(images))]

    def request(self, image: _Named) -> dict[str, Any]:
        """The body that asks an endpoint about an image."""
        label, content = image
        return self._by_label[label].request(content)

    async def close(self) -> None:
        """Close the other describer."""
        await self._describer.close()
