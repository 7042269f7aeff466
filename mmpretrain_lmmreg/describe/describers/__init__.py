"""The large multimodal models that can be asked, behind one small interface."""

import importlib
import inspect
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from PIL import Image

from ...errors import InputError

PROMPT = 'Give {} semantic descriptions for the image'
"""The paper's prompt, for 10."""


UNAVAILABLE, REJECTED, TOO_LARGE = 'unavailable', 'rejected', 'too large'
"""Faults that other images may share: no answer at all, a refused request, a refused size."""


@dataclass(frozen=True)
class Answer:
    """A reply, or after all tries an ``error``.

    Attributes:
        tokens_in, tokens_out: None where they were not counted.
        finish: ``'truncated'`` or ``'refused'`` where the model's server says so.
        fault: Of an error that is perhaps not the image's: one of the three above.
    """

    reply: str = ''
    error: str = ''
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: str = ''
    fault: str = ''


@dataclass(frozen=True)
class Generation:
    """How replies are sampled; the defaults are MiniGPT-4's own. Temperature 0 is greedy."""

    max_new_tokens: int = 300
    temperature: float = 1.0
    top_p: float = 0.9
    repetition_penalty: float = 1.05

    def __post_init__(self) -> None:
        """Refuse what no model samples by."""
        if self.max_new_tokens < 1 or not self.temperature >= 0 or not 0 < self.top_p <= 1:
            raise InputError(
                f'--options: max_new_tokens={self.max_new_tokens} must be at least 1, '
                f'temperature={self.temperature} at least 0, top_p={self.top_p} above 0 and at '
                'most 1'
            )

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
OPTIONS = {
    'openai': 'image_size timeout backoff stream send_repetition_penalty send_sampling '
    'max_completion_tokens response_format system body.FIELD',
    'hf': 'device dtype',
    'minigpt4': 'checkpoint llm vision qformer bert template device dtype',
}
"""Each describer's own, as ``--help`` lists them."""

_COMMON = ('model', 'prompt', 'generation', 'batch_size', 'concurrency', 'retries', 'count')
_GIVEN = (*_COMMON, 'max_pixels', 'requests_per_minute', 'offline')


def build_describer(name: str, options: dict[str, Any], **common: object) -> Describer:
    """Build a describer by its name.

    Args:
        name: One of :data:`NAMES`.
        options: A user's ``KEY=VALUE``: fields of :class:`Generation`, or arguments of this
            describer; ``body.KEY`` is a field of an endpoint's requests.
        common: ``model``, ``prompt`` and those of ``batch_size``, ``concurrency``, ``retries``,
            ``count`` that were given and that this describer knows; ``max_pixels``,
            ``requests_per_minute`` and ``offline`` where they were given.

    Raises:
        InputError: An option is unknown or of the wrong kind, or a package is missing.
    """
    module, cls = _DESCRIBERS[name]
    try:
        build = getattr(importlib.import_module(module, __package__), cls)
    except ImportError as error:
        raise InputError(
            f'the describer {name!r} needs more packages ({error}): '
            "pip install 'mmpretrain_lmmreg[lmm]'"
        ) from error
    known = inspect.signature(build).parameters
    for key in set(common) - set(_COMMON) - set(known):
        raise InputError(
            f'--{key.replace("_", "-")}: the describer {name!r} has no use for it: its model sets '
            'the size of images, and nothing is sent'
        )
    defaults = {k: v.default for k, v in known.items() if k not in _GIVEN} | asdict(Generation())
    options = _with_body(options)
    for key, value in options.items():
        _check(name, key, value, defaults)
    generation = {k: options.pop(k) for k in asdict(Generation()) if k in options}
    common = {key: value for key, value in common.items() if key in known}
    return build(generation=Generation(**generation), **common, **options)


def _with_body(options: dict[str, Any]) -> dict[str, Any]:
    """The options with ``body.a.b=1`` gathered as ``body={'a': {'b': 1}}``."""
    plain = {key: value for key, value in options.items() if not key.startswith('body.')}
    for key in options.keys() - plain.keys():
        place = plain
        *path, last = key.split('.')
        for part in path:
            place = place.setdefault(part, {})
        place[last] = options[key]
    return plain


def _check(name: str, key: str, value: object, defaults: dict[str, object]) -> None:
    """Refuse an option that the describer does not know, or of another kind than its default."""
    if key not in defaults:
        raise InputError(
            f'--options {key}: unknown to the describer {name!r}; it knows '
            f'{", ".join(asdict(Generation()))}, {", ".join(OPTIONS[name].split())}'
        )
    if key == 'body' and not isinstance(value, dict):
        raise InputError(f'--options body={value}: write body.FIELD=VALUE')
    default, number = defaults[key], int | float
    if isinstance(default, bool):
        good, kind = isinstance(value, bool), 'true or false'
    elif isinstance(default, int):
        good, kind = isinstance(value, int) and not isinstance(value, bool), 'a whole number'
    elif isinstance(default, float):
        good, kind = isinstance(value, number) and not isinstance(value, bool), 'a number'
    else:
        return
    if not good:
        raise InputError(f'--options {key}={value}: give {kind}')
