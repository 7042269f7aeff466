"""The transform that hands a sample its descriptions."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from ..errors import InputError
from .lines import open_for_reading
from .samples import ONE, PROMPT, Sample, names_class, rel_path_of, root_of
from .store import DescriptionStore

_OWN = re.compile(rf'{PROMPT.format("[0-9]+")}|{re.escape(ONE)}')


@TRANSFORMS.register_module()
class AttachDescriptions(BaseTransform):
    """Add an image's descriptions, read from a descriptions file.

    **Required keys:** ``rel_path`` and ``data_root``, or ``img_path`` below ``data_root``.

    **Added keys:** ``descriptions`` (list[str]), empty where the LMM refused or failed.

    Args:
        cache: The descriptions file; ``<data_root>/descriptions.jsonl`` by default.
        data_root: Of the images; the samples' own by default.
        named: Take the replies to prompts that name the image's class (``{class}``) instead of
            those to prompts that do not; the two are never mixed.
        missing: ``'error'`` refuses an image that was never described; ``'warn'``, in the configs
            here, gives it no descriptions, and training warns how many are described; ``'skip'``
            does so without a warning, also for all images where there is no file.
        prompts: Take the replies to these prompts alone, in this order. By default those to the
            requests that ``describe`` has of its own, or to all prompts of a file without any.

    Raises:
        InputError: An image is missing from the file; names both and the command that
            describes it.
        MissingInputError: There is no such file.
    """

    deterministic = True  # neither pixels nor chance: a feature table may leave it out

    def __init__(
        self,
        cache: str | os.PathLike | None = None,
        data_root: str | os.PathLike | None = None,
        missing: str = 'error',
        named: bool = False,
        prompts: str | Sequence[str] | None = None,
    ) -> None:
        if missing not in ('error', 'warn', 'skip'):
            raise InputError(
                f"AttachDescriptions: missing must be 'error', 'warn' or 'skip', not {missing!r}",
                code='descriptions.unknown_choice',
            )
        self.cache, self.data_root, self.missing, self.named = cache, data_root, missing, named
        self.prompts = [prompts] if isinstance(prompts, str) else prompts

    def path_for(self, sample: Sample) -> Path:
        """The descriptions file of a sample."""
        return Path(self.cache or root_of(sample, self.data_root) / 'descriptions.jsonl')

    def lookup(self, sample: Sample) -> list[str]:
        """A sample's descriptions, from its info alone."""
        return self.find(sample) or []

    def find(self, sample: Sample) -> list[str] | None:
        """As :meth:`lookup`; None for an image that was never described."""
        path, image = self.path_for(sample), rel_path_of(sample, self.data_root)
        if self.missing == 'skip' and not path.exists():
            return None
        found = texts_of(open_store(path), image, self.named, self.prompts)
        if found is None and self.missing == 'error':
            raise InputError(
                f'{image} has no descriptions in {path}, which has those of other images. Either '
                'describe the rest (`mmpretrain-lmmreg describe CONFIG` continues), or let class '
                "means come from what is there (missing='warn' or missing='skip'), or from class "
                'names (default_hooks.class_means.source=class_names)',
                code='descriptions.missing_images',
            )
        return found

    def transform(self, results: Sample) -> Sample:
        """Add ``descriptions``."""
        results['descriptions'] = self.lookup(results)
        return results

    def __repr__(self) -> str:
        shown = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'{type(self).__name__}({shown})'


def texts_of(
    store: DescriptionStore, image: str, named: bool = False, only: Sequence[str] | None = None
) -> list[str] | None:
    """Descriptions of an image by all prompts that do (not) name its class; None without any.

    Empty ones, as another tool may have written, are left out; so are other prompts than ``only``,
    see :class:`AttachDescriptions`.
    """
    if only is None:
        every = [prompt for prompt in store.prompts if names_class(prompt) == named]
        only = [prompt for prompt in every if _OWN.fullmatch(prompt)] or every
    found = [texts for prompt in only if (texts := store.get(image, prompt)) is not None]
    return [text for texts in found for text in texts if text.strip()] if found else None


def open_store(path: Path) -> DescriptionStore:
    """The store of a file, opened once a process for as long as the file stays the same."""
    with open_for_reading(path) as file:
        state = os.fstat(file.fileno())
    return _cached_store(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _cached_store(path: Path, *_state: int) -> DescriptionStore:
    return DescriptionStore(path)
