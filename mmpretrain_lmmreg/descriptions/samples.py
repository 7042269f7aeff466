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


def rel_path_of(sample: Sample, data_root: str | os.PathLike | None = None) -> str:
    """A sample's POSIX path relative to its data root: the key of its descriptions.

    Taken from ``rel_path`` where the data set gives one, else from ``img_path``.

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
    relative = Path(os.path.relpath(sample['img_path'], root))
    if relative.parts[0] == '..':
        raise InputError(
            f'{sample["img_path"]} is not below the data root {root}: set data_root to a folder '
            'above it',
            code='descriptions.outside_root',
        )
    return relative.as_posix()
