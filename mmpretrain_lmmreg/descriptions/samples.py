"""Where a data set's sample lies, and under which name it is described."""

import os
from pathlib import Path
from typing import Any

from ..errors import InputError

Sample = dict[str, Any]

PROMPT = 'Give {} semantic descriptions for the image'
"""The paper's request for so many descriptions."""
ONE = 'Describe the image in one sentence.'
"""The other style of request, for a single description."""

CLASS = '{class}'
"""Stands for the name of the image's class in a prompt."""


def names_class(prompt: str) -> bool:
    """Whether a prompt gives the LMM the name of the image's class."""
    return CLASS in prompt


def default_prompt(count: int) -> str:
    """What is asked for so many descriptions: one sentence, or the paper's request.

    Example:
        >>> default_prompt(10)
        'Give 10 semantic descriptions for the image'
    """
    return PROMPT.format(count) if count > 1 else ONE


def root_of(sample: Sample, data_root: str | os.PathLike | None = None) -> Path:
    """Data root of a sample: the given one, else the sample's own."""
    root = data_root or sample.get('data_root')
    if not root:
        raise InputError(
            f'{sample.get("img_path", "the sample")} has no data_root: give AttachDescriptions '
            'the argument data_root',
            code='descriptions.no_data_root',
        )
    return Path(root)


def image_name(sample: Sample, data_root: str | os.PathLike | None = None) -> str:
    """The name of an image in all that is kept: its POSIX path below its data root.

    Taken from ``rel_path`` where the data set gives one, else from ``img_path``; below the root of
    the file system where no data root is known.

    >>> image_name({'img_path': 'data/train/a.jpg'}, 'data')
    'train/a.jpg'
    """
    if 'rel_path' in sample:
        return sample['rel_path']
    root = os.path.abspath(data_root or sample.get('data_root') or '/')
    return Path(os.path.relpath(os.path.abspath(sample['img_path']), root)).as_posix()


def rel_path_of(sample: Sample, data_root: str | os.PathLike | None = None) -> str:
    """:func:`image_name` of a sample that must have one: the key of its descriptions.

    Raises:
        InputError: The sample has no path at all (an image handed over in memory), or one
            outside the data root.
    """
    if 'rel_path' in sample:
        return sample['rel_path']
    if not sample.get('img_path'):
        raise InputError(
            'a sample has neither rel_path nor img_path, so its descriptions cannot be found: '
            'AttachDescriptions works on data sets, not on images handed over in memory, as '
            "mmpretrain's ImageClassificationInferencer does",
            code='descriptions.no_path',
        )
    root = root_of(sample, data_root)
    name = image_name(sample, root)
    if name.startswith('../'):
        raise InputError(
            f'{sample["img_path"]} is not below the data root {root}: set data_root to a folder '
            'above it',
            code='descriptions.outside_root',
        )
    return name
