"""The large multimodal models that can be asked, behind one small interface."""

import asyncio
import importlib
import inspect
import math
import os
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

from PIL import Image

from ...errors import InputError

UNAVAILABLE, REJECTED, TOO_LARGE, REASONED = 'unavailable', 'rejected', 'too large', 'reasoned'
"""Faults that other images may share: no answer, a refused request or size, thoughts alone."""

NO_KEY = (
    'no endpoint to ask: set OPENAI_API_KEY, and for an endpoint of your own OPENAI_BASE_URL '
    '(such as http://localhost:8000/v1)'
)


@dataclass(frozen=True)
class Answer:
    """A reply, or after all tries an ``error``.

    Attributes:
        tokens_in, tokens_out: None where they were not counted.
        finish: ``'truncated'`` or ``'refused'`` where the model's server says so.
        fault: Of an error that is perhaps not the image's: one of the four above.
    """

    reply: str = ''
    error: str = ''
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: str = ''
    fault: str = ''


@dataclass(frozen=True)
class Generation:
    """How replies are sampled; the defaults are MiniGPT-4's own. Temperature 0 is greedy.

    Raises:
        InputError: A number is out of range.
    """

    max_new_tokens: int = 300
    temperature: float = 1.0
    top_p: float = 0.9
    repetition_penalty: float = 1.05

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or not self.temperature >= 0 or not 0 < self.top_p <= 1:
            raise InputError(
                f'--options: max_new_tokens={self.max_new_tokens} must be at least 1, '
                f'temperature={self.temperature} at least 0, top_p={self.top_p} above 0 and at '
                'most 1',
                code='describe.option',
            )

    def for_transformers(self) -> dict[str, Any]:
        """Keyword arguments of ``generate``."""
        drawn = self.temperature > 0
        return {
            'max_new_tokens': self.max_new_tokens,
            'num_beams': 1,
            'repetition_penalty': self.repetition_penalty,
            'do_sample': drawn,
            'temperature': self.temperature if drawn else None,
            'top_p': self.top_p if drawn else None,
        }


class Describer(Protocol):
    """Asks a model about images.

    Attributes:
        model: Its name, kept with every reply.
        settings: What shapes a reply beside model and prompt; kept as a hash.
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

    async def ask(self, images: list[Any], prompts: list[str]) -> list[Answer]:
        """One answer an image, each to its own prompt, in order.

        Raises:
            InputError: No image can be described, as after a wrong key; the run stops.
        """

    async def close(self) -> None:
        """Called after the last :meth:`ask` of a run; another may follow. By default nothing."""


class Kind(NamedTuple):
    """What a describer can do, told without importing it; ``options`` as ``--help`` lists them."""

    module: str
    cls: str
    options: str
    is_remote: bool = False  # images are sent to the endpoint that the environment names
    supports_batch_files: bool = False


_OPENAI = 'timeout backoff stream max_completion_tokens response_format system body.FIELD'
KINDS = {
    'minigpt4': Kind(
        '.minigpt4', 'MiniGPT4Describer', 'checkpoint llm vision qformer bert device dtype'
    ),
    'hf': Kind('.hf', 'HFDescriber', 'device dtype'),
    'openai': Kind('.endpoint', 'EndpointDescriber', _OPENAI, True, True),
}
NAMES = tuple(KINDS)

_COMMON = ('model', 'generation', 'batch_size', 'concurrency', 'retries', 'count')
_LIMITS = ('max_pixels', 'requests_per_minute', 'offline')


def missing_endpoint(name: str) -> str:
    """What the environment lacks for a describer to be asked, or nothing."""
    given = os.environ.get('OPENAI_API_KEY') or os.environ.get('OPENAI_BASE_URL')
    return NO_KEY if KINDS[name].is_remote and not given else ''


def build_describer(name: str, options: Mapping[str, Any], **common: object) -> Describer:
    """Build a describer by its name.

    Args:
        name: One of :data:`NAMES`.
        options: A user's ``KEY=VALUE``: fields of :class:`Generation`, or arguments of this
            describer; ``body.KEY`` is a field of an endpoint's requests.
        common: Arguments that all describers share, of which each takes those that it knows;
            and ``max_pixels``, ``requests_per_minute`` and ``offline``, which it must know.

    Raises:
        InputError: An option is unknown or of the wrong kind, or a package is missing.
    """
    kind = KINDS[name]
    try:
        build = getattr(importlib.import_module(kind.module, __package__), kind.cls)
    except ImportError as error:
        raise InputError(
            f'the describer {name!r} needs more packages ({error}): '
            "pip install 'mmpretrain_lmmreg[lmm]'",
            code='describe.no_package',
        ) from error
    known = inspect.signature(build).parameters
    for key in set(common) - set(_COMMON) - set(known):
        raise InputError(
            f'--{key.replace("_", "-")}: the describer {name!r} has no use for it: its model sets '
            'the size of images, and nothing is sent',
            code='describe.option',
        )
    generation = asdict(Generation())
    defaults = {k: v.default for k, v in known.items() if k not in _COMMON + _LIMITS} | generation
    options = _with_body(options)
    for key, value in options.items():
        if key not in defaults:
            raise InputError(
                f'--options {key}: unknown to the describer {name!r}; it knows '
                f'{", ".join([*generation, *kind.options.split()])}',
                code='describe.option',
            )
        if wanted := _other_kind(value, defaults[key]):
            raise InputError(f'--options {key}={value}: give {wanted}', code='describe.option')
    generation = {k: options.pop(k) for k in generation if k in options}
    common = {key: value for key, value in common.items() if key in known}
    return build(generation=Generation(**generation), **common, **options)


def _with_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with ``body.a.b=1`` gathered as ``body={'a': {'b': 1}}``."""
    gathered = {key: value for key, value in options.items() if not key.startswith('body')}
    for key in sorted(options.keys() - gathered.keys()):
        place: Any = gathered
        *path, last = key.split('.')
        for part in path:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not path or not isinstance(place, dict):
            raise InputError(
                f'--options {key}={options[key]}: give body.FIELD=VALUE, each field once',
                code='describe.option',
            )
        place[last] = options[key]
    return gathered


def _other_kind(value: object, default: object) -> str:
    """What a value should be that is of another kind than the default, or nothing."""
    if isinstance(default, bool):
        return '' if isinstance(value, bool) else 'true or false'
    if isinstance(default, int):
        return '' if type(value) is int else 'a whole number'
    if isinstance(default, float):
        return '' if type(value) in (int, float) else 'a number'
    return ''


def reduced(image: Image.Image, max_pixels: int) -> Image.Image:
    """The image with its sides' ratio kept, width times height at most ``max_pixels``."""
    width, height = image.size
    scale = math.sqrt(max_pixels / (width * height))
    if scale >= 1:
        return image
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    return image.resize(size, Image.Resampling.BICUBIC)


def in_new_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine; in a thread of its own where a loop runs, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
