"""The large multimodal models that can be asked, behind one small interface."""

import importlib
import inspect
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from PIL import Image

from ...errors import InputError

PROMPT = 'Give {} semantic descriptions for the image'
"""The paper's prompt, for 10."""


@dataclass(frozen=True)
class Answer:
    """A reply, or after all tries an ``error``; tokens are counted where they are known."""

    reply: str = ''
    error: str = ''
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Generation:
    """How replies are sampled; the defaults are MiniGPT-4's own. Temperature 0 is greedy."""

    max_new_tokens: int = 300
    temperature: float = 1.0
    top_p: float = 0.9
    repetition_penalty: float = 1.05

    def for_transformers(self) -> dict[str, Any]:
        """Keyword arguments of ``generate``."""
        sampling = {'temperature': self.temperature, 'top_p': self.top_p}
        return {
            'max_new_tokens': self.max_new_tokens,
            'num_beams': 1,
            'repetition_penalty': self.repetition_penalty,
            'do_sample': self.temperature > 0,
            **(sampling if self.temperature > 0 else {'temperature': None, 'top_p': None}),
        }


class Describer(Protocol):
    """Asks one model one prompt about images.

    Attributes:
        model: Its name, as it is kept with each reply.
        settings: All that shapes a reply beside model and prompt; kept as a hash.
        batch_size: Images for one call of :meth:`ask`.
        concurrency: Calls of :meth:`ask` at a time.
        deterministic: Asking again gives the same reply.
    """

    model: str
    settings: dict[str, Any]
    batch_size: int
    concurrency: int
    deterministic: bool

    def prepare(self, image: Image.Image) -> object:
        """What :meth:`ask` takes of an upright RGB image; called in threads, ahead of it."""

    async def ask(self, images: list[object]) -> list[Answer]:
        """One answer an image, in order.

        Raises:
            InputError: No image can be described, as after a wrong key; the run stops.
        """

    async def close(self) -> None:
        """Called once, after the last :meth:`ask`."""


_DESCRIBERS = {
    'minigpt4': ('.minigpt4', 'MiniGPT4Describer'),
    'hf': ('.hf', 'HFDescriber'),
    'openai': ('.endpoint', 'EndpointDescriber'),
}
NAMES = tuple(_DESCRIBERS)


def build_describer(name: str, options: dict[str, Any], **common: object) -> Describer:
    """Build a describer by its name.

    Args:
        name: One of :data:`NAMES`.
        options: A user's ``KEY=VALUE``: fields of :class:`Generation`, or arguments of this
            describer.
        common: ``model``, ``prompt`` and those of ``batch_size``, ``concurrency``, ``retries``
            that were given and that this describer knows.

    Raises:
        InputError: An option is unknown, or a package is missing.
    """
    module, cls = _DESCRIBERS[name]
    try:
        build = getattr(importlib.import_module(module, __package__), cls)
    except ImportError as error:
        raise InputError(
            f'the describer {name!r} needs more packages ({error}): '
            "pip install 'mmpretrain_lmmreg[lmm]'"
        ) from error
    known = set(inspect.signature(build).parameters)
    general = {'model', 'prompt', 'generation', 'batch_size', 'concurrency', 'retries'}
    special = sorted(known - general)
    generation = {k: v for k, v in options.items() if k in asdict(Generation())}
    rest = {k: v for k, v in options.items() if k not in generation}
    if unknown := sorted(set(rest) - set(special)):
        raise InputError(
            f'--options {unknown[0]}: unknown to the describer {name!r}; it knows '
            f'{", ".join([*asdict(Generation()), *special])}'
        )
    common = {key: value for key, value in common.items() if key in known}
    return build(generation=Generation(**generation), **common, **rest)
