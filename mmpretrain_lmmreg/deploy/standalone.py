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
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ..datasets.pictures import (
    Images,
    list_images,
    pixel_key,
    read_rgb,
    to_rgb,
    why_unreadable,
)
from ..io.checksums import check_file
from ..io.printing import may_close, plain, plain_json
from ..torchvision_ops import define_missing_torchvision_ops

define_missing_torchvision_ops()
import open_clip  # noqa: E402  it imports torchvision

FILES = (
    *('classifier.json', 'open_clip_config.json'),
    *('open_clip_model.safetensors', 'head.safetensors'),
)
FOLDS = 'folds.safetensors'  # the classifiers of the folds, in a folder that fit has made
# The smallest text tower there is: classifying needs none, so its weights may be missing
NO_TEXT = dict(context_length=1, vocab_size=1, width=8, heads=1, layers=1)
BATCH, THREADS = 16, 4


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
        self.on_trunk, self.folds = settings['on_trunk'], None
        if (folder / FOLDS).exists():
            check_file(folder / FOLDS)
            self.folds = load_file(folder / FOLDS)
        self.folder, self.described = folder, settings['described']
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # open_clip warns of weights that are loaded below
        try:
            model, _, self.preprocess = open_clip.create_model_and_transforms(
                f'local-dir:{folder}', load_weights=False, text_cfg=NO_TEXT
            )
        finally:
            logging.disable(before)
        weights = load_file(folder / 'open_clip_model.safetensors')
        names = [name for name in weights if name.startswith('visual.')]
        self.visual = model.visual
        self.visual.load_state_dict({n.removeprefix('visual.'): weights[n] for n in names})
        for name, tensor in load_file(folder / 'head.safetensors').items():
            self.register_buffer(name, tensor)  # of head_logits, and class_means if any
        takes_trunk = self.on_trunk or self.folds is not None
        self.projection = take_projection(self.visual) if takes_trunk else None
        self.eval().requires_grad_(False)

    text_weight: torch.Tensor  # buffers, with text_bias and curve, where descriptions are read
    text_bias: torch.Tensor
    curve: torch.Tensor

    def read(self, image: Any) -> torch.Tensor:
        """An image of any kind, upright and in RGB, as the image tower takes it: (3, H, W).

        Args:
            image: A path, a PIL image, or a uint8 array (H, W, 3) in RGB.
        """
        if not isinstance(image, str | Path):
            return self.preprocess(to_rgb(image))
        try:
            rgb = read_rgb(image, self.draft)
        except Exception as error:  # whatever a decoder raises
            raise ValueError(why_unreadable(image, error)) from error
        return self.preprocess(rgb)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) in the joint space of images and texts, of images (B, 3, H, W)."""
        return self._embed(self.visual(images))

    def _embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.projection(x) if self.projection is not None else x
        return F.normalize(x, dim=1) if self.normalize else x

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and probabilities, (B, N_c) each."""
        logits = self._logits(self.visual(images))
        return logits, logits.softmax(dim=1)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return head_logits(x if self.on_trunk else self._embed(x), self._buffers)

    def calibrated(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, N_c) of logits divided by the fitted temperature."""
        return (logits / self.temperature).softmax(dim=1)

    @cached_property
    def _text(self) -> tuple[Any, Any]:
        """The text tower and its tokenizer, loaded when the first description is read."""
        name, settings = f'local-dir:{self.folder}', dict[str, Any]()
        text = json.loads((self.folder / 'open_clip_config.json').read_text())['model_cfg'][
            'text_cfg'
        ]
        if text.get('hf_model_name') == '.':  # this folder, wherever it lies
            settings['text_cfg'] = text | dict(hf_model_name=str(self.folder))
        model = open_clip.create_model(name, **settings).eval()
        return model, open_clip.get_tokenizer(name)

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

    def predict(
        self,
        images: torch.Tensor,
        coverage: float | None = None,
        calibrated: bool = False,
        lists: list[list[str]] | None = None,
    ) -> tuple[torch.Tensor, list[list[str]] | None]:
        """Probabilities (B, N_c) of images (B, 3, H, W) and, with ``coverage``, sets of classes.

        With ``lists`` the images are classified with these descriptions, too.
        """
        x = self.visual(images)
        logits = self._logits(x)
        if lists is not None:
            probabilities = self.with_descriptions(logits, lists)
        else:
            probabilities = self.calibrated(logits) if calibrated else logits.softmax(dim=1)
        if coverage is None or self.folds is None:
            return probabilities, None
        held = coverage_sets(x, self.folds, coverage)
        ranked = logits.argsort(dim=1, descending=True).tolist()
        pairs = zip(ranked, held.tolist(), strict=True)
        return probabilities, [[self.classes[c] for c in order if row[c]] for order, row in pairs]


def head_logits(x: torch.Tensor, head: Mapping[str, Any]) -> torch.Tensor:
    """Logits (B, N_c) of a classifier that is given as tensors.

    Args:
        x: What is classified, (B, D): embeddings, unit vectors or trunk features.
        head: ``weight`` (N_c, D), ``bias`` (N_c,) for x @ weight.T + bias. With ``keys`` (K, D) of
            unit length, ``key_values`` (K, N_c) and ``key_sharpness`` (), plus
            exp(key_sharpness * (cos(x, keys) - 1)) @ key_values. With ``unit0_projection``
            (D_0, D + 1), whose last column is a bias, plus the logits that the tensors
            ``unit0_weight``, ... give of the unit vector of the projected x; and so on for
            ``unit1_...``.
    """
    logits = x @ head['weight'].T + head.get('bias', 0.0)
    if 'keys' in head:
        affinity = F.normalize(x, dim=1) @ head['keys'].T
        logits = logits + (head['key_sharpness'] * (affinity - 1)).exp() @ head['key_values']
    number = 0
    while f'unit{number}_projection' in head:
        prefix = f'unit{number}_'
        part = {k.removeprefix(prefix): v for k, v in head.items() if k.startswith(prefix)}
        unit = F.normalize(F.pad(x, (0, 1), value=1.0) @ part['projection'].T, dim=1)
        logits, number = logits + head_logits(unit, part), number + 1
    return logits


def coverage_sets(x: torch.Tensor, folds: Mapping[str, Any], coverage: float) -> torch.Tensor:
    """Which classes belong to each image's set, (B, N_c), by CV+.

    Barber, Candes, Ramdas and Tibshirani, "Predictive inference with the jackknife+", 2021: a class
    belongs to the set unless its log odds are below those of too many held-out images' own
    classes, each compared with the classifier of its fold, which was trained without it.

    Args:
        x: Trunk features, (B, D_trunk).
        folds: ``own_fold`` (n,) and ``own_log_odds`` (n,) of the held-out images, and
            ``fold0_...``, the tensors of :func:`head_logits` of each fold's classifier, whose
            logits are calibrated; those of all folds have no prefix.
        coverage: Share of images whose set holds the right class.
    """
    count = torch.zeros(())
    for k in range(int(folds['own_fold'].max()) + 1):
        odds = log_odds(head_logits(x, fold_head(folds, k)))
        own = folds['own_log_odds'][folds['own_fold'] == k].sort().values
        count = count + len(own) - torch.searchsorted(own, odds, right=True)
    return torch.lt(count, coverage * (len(folds['own_fold']) + 1))


def fold_head(folds: Mapping[str, Any], k: int) -> dict[str, Any]:
    """The tensors of fold k's classifier, and those of all folds."""
    prefix = f'fold{k}_'
    own = {n.removeprefix(prefix): t for n, t in folds.items() if n.startswith(prefix)}
    return {n: t for n, t in folds.items() if not n.startswith('fold')} | own


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    """log p - log(1 - p) of each class, (B, N_c); sure images differ, whose p is rounded to 1."""
    logs, top = logits.log_softmax(1), logits.argmax(1, keepdim=True)
    others = logs.scatter(1, top, -math.inf).logsumexp(1, keepdim=True)
    return logs - torch.log1p(-logs.exp()).scatter(1, top, others)


def too_few(folds: Mapping[str, Any], coverage: float) -> bool:
    """Whether every set is all classes, since too few images were held out for a coverage."""
    number = len(folds['own_fold'])
    return number < coverage * (number + 1)


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
    found = {'on_trunk': False, 'described': None} | found if isinstance(found, dict) else {}
    checks = {
        'classes': lambda v: _all(v, str) and len(v) > 1,
        'normalize': lambda v: isinstance(v, bool),
        'temperature': lambda v: _is_number(v) and v > 0,
        'draft': lambda v: v is None or (isinstance(v, int) and v > 0),
        'on_trunk': lambda v: isinstance(v, bool),
        'described': lambda v: v is None or (isinstance(v, dict) and _is_number(v.get('exponent'))),
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
    with file.open(encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
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
    progress: Callable[[range], Iterable[int]] = iter,
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
        progress: Is given the places where batches start, and gives them again.

    Returns:
        For each image a dict with ``image`` (its path or number), ``predictions`` (``class`` and
        ``probability``, the likeliest first) and, with ``coverage``, ``set``.
    """
    found, results = list_images(images), []
    for start in progress(range(0, len(found), BATCH)):
        good = read_images(found[start : start + BATCH], classifier.read, broken, start)
        if not good:
            continue
        lists = None
        if descriptions is not None:
            lists = [
                descriptions.get(name) or descriptions.get(pixel_key(image), [])
                for name, image, _ in good
            ]
        pixels = torch.stack([each for _, _, each in good])
        probabilities, sets = classifier.predict(pixels, coverage, calibrated, lists)
        for i, ((name, _, _), row) in enumerate(zip(good, probabilities, strict=True)):
            best = row.topk(min(topk or len(row), len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ranked = [{'class': classifier.classes[c], 'probability': p} for c, p in pairs]
            result: dict[str, Any] = {'image': name, 'predictions': ranked}
            results.append({**result, 'set': sets[i]} if sets else result)
    return results


def read_images(
    images: Sequence[Any],
    read: Callable[[Any], torch.Tensor],
    broken: dict[str, str] | None,
    first: int = 0,
) -> list[tuple[str, Any, torch.Tensor]]:
    """Name, image and pixels of the images that can be read, in order.

    Args:
        images: Paths, PIL images or arrays.
        read: Makes pixels of one; called by :data:`THREADS` threads.
        broken: Receives the others, and why; without it they are a ValueError.
        first: Number of the first one, by which images without a path are named.
    """

    def attempt(image: Any) -> torch.Tensor | Exception:
        try:
            return read(image)
        except Exception as error:  # whatever a decoder raises
            return error

    good = []
    with ThreadPoolExecutor(THREADS) as pool:
        pairs = zip(images, pool.map(attempt, images), strict=True)
        for number, (image, pixels) in enumerate(pairs, first):
            name = str(image) if isinstance(image, str | Path) else f'image {number}'
            if not isinstance(pixels, Exception):
                good.append((name, image, pixels))
            elif broken is None:
                raise ValueError(f'{name} cannot be read: {pixels}') from pixels
            else:
                broken[name] = str(pixels) or type(pixels).__name__
    return good


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
    if args.coverage and classifier.folds is None:
        parser.exit(2, 'error: --coverage needs a folder that mmpretrain-lmmreg fit has made\n')
    if args.coverage and classifier.folds and too_few(classifier.folds, args.coverage):
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
    with may_close():
        code = main()
    sys.exit(code)
