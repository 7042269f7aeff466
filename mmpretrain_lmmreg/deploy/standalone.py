"""Classify images with the files of this folder and open_clip.

    pip install -r requirements.txt
    python predict.py IMAGE_OR_FOLDER...

Prints a JSON object an image, or with --table a table. --calibrated divides the logits by the
fitted temperature. --coverage 0.95 adds the smallest set of classes that holds the right one for
95 % of images like the training images. --descriptions FILE classifies images with their
descriptions, where the folder reads any. Exit code 1: some images were skipped.
"""

import argparse
import json
import logging
import math
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..datasets.pictures import Images, list_images, pixel_key, read_rgb, to_rgb
from ..io.checksums import check_file
from ..io.printing import plain, plain_json
from ..torchvision_ops import define_missing_torchvision_ops

define_missing_torchvision_ops()
import open_clip  # noqa: E402  it imports torchvision

FILES = (
    *('classifier.json', 'open_clip_config.json'),
    *('open_clip_model.safetensors', 'head.safetensors'),
)
# The smallest text tower there is: classifying needs none, so its weights may be missing
NO_TEXT = dict(context_length=1, vocab_size=1, width=8, heads=1, layers=1)
BATCH = 16


class Classifier(torch.nn.Module):
    """Images (B, 3, H, W), as ``preprocess`` makes them -> logits and probabilities (B, N).

    A missing file of the folder is an OSError, one that does not fit its checksum or holds
    something else a ValueError.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        for name in FILES:
            check_file(folder / name)
        settings = read_settings(folder / 'classifier.json')
        self.classes, self.normalize = settings['classes'], settings['normalize']
        self.temperature, self.draft = settings['temperature'], settings['draft']
        self.on_trunk, self.held_out = settings['on_trunk'], settings['held_out']
        self.folder, self.described = folder, settings['described']
        logging.disable(logging.WARNING)  # open_clip warns of weights that are loaded below
        model, _, self.preprocess = open_clip.create_model_and_transforms(
            f'local-dir:{folder}', load_weights=False, text_cfg=NO_TEXT
        )
        logging.disable(logging.NOTSET)
        weights = load_file(folder / 'open_clip_model.safetensors')
        names = [name for name in weights if name.startswith('visual.')]
        self.visual = model.visual
        self.visual.load_state_dict({n.removeprefix('visual.'): weights[n] for n in names})
        for name, tensor in load_file(folder / 'head.safetensors').items():
            self.register_buffer(name, tensor)  # weight, bias, and class_means and keys if any
        self.projection = take_projection(self.visual) if self.on_trunk else None
        self.eval().requires_grad_(False)

    weight: torch.Tensor  # buffers, as is class_means
    bias: torch.Tensor
    keys: torch.Tensor  # of unit length, with them key_values and key_sharpness
    key_values: torch.Tensor
    key_sharpness: torch.Tensor
    text_weight: torch.Tensor  # with text_bias and curve, where descriptions are read
    text_bias: torch.Tensor
    curve: torch.Tensor

    def read(self, image: Any) -> torch.Tensor:
        """An image of any kind, upright and in RGB, as the image tower takes it: (3, H, W).

        Args:
            image: A path, a PIL image, or a uint8 array (H, W, 3) in RGB.
        """
        is_file = isinstance(image, str | Path)
        return self.preprocess(read_rgb(image, self.draft) if is_file else to_rgb(image))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) in the joint space of images and texts, of images (B, 3, H, W)."""
        x = self.visual(images)
        x = self.projection(x) if self.projection is not None else x
        return torch.nn.functional.normalize(x, dim=1) if self.normalize else x

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and probabilities, (B, N_c) each."""
        x = self.visual(images) if self.on_trunk else self.embed(images)
        logits = x @ self.weight.T + self.bias
        if 'keys' in self._buffers:
            affinity = torch.nn.functional.normalize(x, dim=1) @ self.keys.T
            logits = logits + (self.key_sharpness * (affinity - 1)).exp() @ self.key_values
        return logits, logits.softmax(dim=1)

    def calibrated(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, N_c) of logits divided by the fitted temperature."""
        return (logits / self.temperature).softmax(dim=1)

    @cached_property
    def _text(self) -> tuple[Any, Any]:
        """The text tower and its tokenizer, loaded when the first description is read."""
        name = f'local-dir:{self.folder}'
        return open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)

    @torch.no_grad()
    def with_descriptions(self, logits: torch.Tensor, lists: list[list[str]]) -> torch.Tensor:
        """Probabilities (B, N_c) of images by logits (B, N_c) and by their descriptions.

        Images with an empty list keep their calibrated probabilities.
        """
        probabilities = self.calibrated(logits)
        model, tokenizer = self._text
        for row, texts in enumerate(lists):
            if texts := texts[: self.described['count']]:
                mean = model.encode_text(tokenizer(texts)).mean(0)
                text = torch.nn.functional.normalize(mean, dim=0) @ self.text_weight.T
                image = self.described['exponent'] * probabilities[row].clamp_min(1e-30).log()
                probabilities[row] = (image + text + self.text_bias).softmax(0)
        return probabilities

    def sets(self, logits: torch.Tensor, coverage: float) -> list[list[str]]:
        """The smallest set of classes for each row of logits, the likeliest first."""
        least = least_probability(self.held_out, coverage)
        return [
            [self.classes[label] for label in row.argsort(descending=True) if row[label] >= least]
            for row in self.calibrated(logits)
        ]


def least_probability(held_out: Sequence[float], coverage: float) -> float:
    """Probability from which on a class belongs to a set of the wanted coverage.

    Args:
        held_out: Calibrated probabilities of each training image's own class, by models that were
            trained without the image.
        coverage: Share of images whose set holds the right class.

    Returns:
        The floor((n + 1) (1 - coverage))-th smallest; 0, so that a set is all classes, where n are
        too few.

    Example:
        >>> least_probability([0.2, 0.9, 0.6, 0.8], 0.75)
        0.2
    """
    rank = math.floor((len(held_out) + 1) * (1 - coverage) + 1e-9)
    return sorted(held_out)[rank - 1] if rank >= 1 else 0.0


def take_projection(visual: Any) -> Any:
    """Take the projection out of an image tower, which then gives what comes before it."""
    if hasattr(visual, 'proj'):  # open_clip's own vision transformer
        matrix, visual.proj = visual.proj, None
        return lambda x: x @ matrix
    head = visual.head
    if len(head):
        visual.head = torch.nn.Sequential(*([head.pool] if hasattr(head, 'pool') else []))
        parts = [part for name, part in head.named_children() if name != 'pool']
        return torch.nn.Sequential(*parts)
    classifier = visual.trunk.get_classifier()  # a trunk whose own classifier projects
    visual.trunk.reset_classifier(0)
    return classifier


def read_settings(file: Path) -> dict[str, Any]:
    """``classifier.json``; a field that is missing or of another kind is a ValueError."""
    try:
        found = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{file} is not JSON: {str(error)[:100]}') from None
    defaults = {'on_trunk': False, 'held_out': [], 'described': None}
    found = defaults | found if isinstance(found, dict) else {}
    checks = {
        'classes': lambda v: _all(v, str) and len(v) > 1,
        'normalize': lambda v: isinstance(v, bool),
        'temperature': lambda v: _is_number(v) and v > 0,
        'draft': lambda v: v is None or (isinstance(v, int) and v > 0),
        'on_trunk': lambda v: isinstance(v, bool),
        'described': lambda v: v is None or (isinstance(v, dict) and _is_number(v.get('exponent'))),
        'held_out': lambda v: isinstance(v, list) and all(_is_number(x) and 0 <= x <= 1 for x in v),
    }
    for name, check in checks.items():
        if name not in found or not check(found[name]):
            raise ValueError(f'{file}: the field {name!r} is missing or not what it should be')
    return found


def read_descriptions(file: Path, prompts: Sequence[str]) -> dict[str, list[str]]:
    """Descriptions by image, of JSON lines; replies to other prompts than these are left out.

    Raises:
        ValueError: A line is no object with ``image`` and ``descriptions``.
    """
    found: dict[str, list[str]] = {}
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
        try:
            record = json.loads(line)
            image, texts = record['image'], record['descriptions']
        except (ValueError, LookupError, TypeError):
            raise ValueError(
                f'{file}, line {number}: no JSON object with "image" and "descriptions"'
            ) from None
        if texts and record.get('prompt', prompts[0]) in prompts:
            found[image] = texts
    return found


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def predict(
    classifier: Classifier,
    images: Images,
    topk: int | None = None,
    coverage: float | None = None,
    calibrated: bool = False,
    broken: dict[str, str] | None = None,
    descriptions: dict[str, list[str]] | None = None,
) -> list[dict[str, Any]]:
    """Classify images in batches.

    Args:
        classifier: See :class:`Classifier`.
        images: Paths, folders, PIL images, uint8 arrays (H, W, 3).
        topk: Classes in each result; all by default.
        coverage: Also give the set of classes that holds the right one for this share of images.
        calibrated: Divide logits by the temperature.
        broken: Receives images that cannot be read, and why; without it they are a ValueError.
        descriptions: Of images, by path or by :func:`pixel_key`; these images are classified with
            them, all others by calibrated probabilities.

    Returns:
        For each image a dict with ``image`` (its path or number), ``predictions`` (``class`` and
        ``probability``, the likeliest first) and, with ``coverage``, ``set``.
    """
    found, results = list_images(images), []
    for start in range(0, len(found), BATCH):
        names, pixels, texts = [], [], []
        for number, image in enumerate(found[start : start + BATCH], start):
            name = str(image) if isinstance(image, Path) else f'image {number}'
            try:
                pixels.append(classifier.read(image))
                names.append(name)
                if descriptions is not None:
                    texts.append(descriptions.get(name) or descriptions.get(pixel_key(image), []))
            except Exception as error:  # whatever a decoder raises
                if broken is None:
                    raise ValueError(f'{name} cannot be read: {error}') from error
                broken[name] = str(error)
        if not pixels:
            continue
        logits, probabilities = classifier(torch.stack(pixels))
        if descriptions is not None:
            probabilities = classifier.with_descriptions(logits, texts)
        elif calibrated:
            probabilities = classifier.calibrated(logits)
        sets = classifier.sets(logits, coverage) if coverage is not None else [None] * len(names)
        for name, row, chosen in zip(names, probabilities, sets, strict=True):
            best = row.topk(min(topk or len(row), len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ranked = [{'class': classifier.classes[c], 'probability': p} for c, p in pairs]
            result: dict[str, Any] = {'image': name, 'predictions': ranked}
            results.append(result if chosen is None else {**result, 'set': chosen})
    return results


def main() -> int:
    """Print a line for each image of the command line; 1 if any was skipped, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='an image file or a folder')
    parser.add_argument('--table', action='store_true', help='print a table: image, class, ...')
    parser.add_argument('--calibrated', action='store_true', help='use the fitted temperature')
    parser.add_argument('--coverage', type=float, metavar='C', help='also print sets of classes')
    parser.add_argument(
        '--descriptions',
        type=Path,
        metavar='FILE',
        help='JSON lines with "image" and "descriptions", such as predict --store keeps',
    )
    args = parser.parse_args()
    if args.coverage is not None and not 0 < args.coverage < 1:
        parser.error('--coverage must lie between 0 and 1')
    try:
        classifier = Classifier(Path(__file__).resolve().parent)
    except (OSError, ValueError) as error:
        parser.exit(2, f'error: {error}; export the folder again\n')
    if args.coverage and not classifier.held_out:
        parser.exit(2, 'error: --coverage needs a folder that mmpretrain-lmmreg fit has made\n')
    if args.coverage and least_probability(classifier.held_out, args.coverage) == 0:
        print('too few training images for this coverage: each set is all classes', file=sys.stderr)
    texts = None
    if args.descriptions:
        if not classifier.described:
            parser.exit(2, 'error: --descriptions needs a folder that reads descriptions\n')
        try:
            texts = read_descriptions(args.descriptions, classifier.described['prompts'])
        except (OSError, ValueError) as error:
            parser.exit(2, f'error: {error}\n')
    broken: dict[str, str] = {}
    topk, options = 1 if args.table else None, (args.coverage, args.calibrated)
    for result in predict(classifier, args.images, topk, *options, broken, texts):
        best = result['predictions'][0]
        named = {p['class']: p['probability'] for p in result['predictions']}
        line = {'image': result['image'], 'probabilities': named}
        chosen = {'set': result['set']} if 'set' in result else {}
        cells = [result['image'], best['class'], f'{best["probability"]:.1%}']
        cells += [', '.join(chosen['set']) or '(none of these)'] if chosen else []
        print(plain('\t'.join(cells)) if args.table else plain_json(line | chosen))
    for name, reason in broken.items():
        print(plain(f'skipped {name}: {reason}'), file=sys.stderr)
    return int(bool(broken))


if __name__ == '__main__':
    sys.exit(main())
