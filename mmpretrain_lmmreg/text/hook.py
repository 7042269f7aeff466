"""The hook that computes the class means and hands them to the head before training."""

from collections import Counter
from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, barrier, get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import Tensor

from ..descriptions import AttachDescriptions
from ..errors import InputError
from ..features.embeddings import image_embeddings
from ..features.samples import iter_infos, transforms_of
from ..table import VectorTable
from .class_means import class_means, means_by_label, sums_by_class
from .prompts import TEMPLATES, class_prompts, count_texts
from .tower import TextTower

SOURCES = ('descriptions', 'class_names', 'auto', 'images')
CHUNK = 4096  # texts that are kept on disk at a time


@HOOKS.register_module()
class ClassMeanHook(Hook):
    """Before training: descriptions of the training images -> text embeddings -> eq. 1 -> head.

    Descriptions are read from the store of the train pipeline's ``AttachDescriptions``; no image
    is decoded. Each unique text is embedded once and kept on disk. With several processes each
    embeds its share. Skipped on resume and where the head needs no class means.

    Args:
        model_name: open_clip model whose text tower is used; by default the backbone's, with the
            backbone's weights.
        pretrained: The weights of ``model_name``.
        source: What the means are made of: ``'descriptions'``; ``'class_names'``, a prompt with
            each class's name; ``'auto'``, descriptions if there are any, else class names;
            ``'images'``, the training images' own embeddings.
        templates: Prompts with the class names, each with one ``{}``; by default the config's
            ``templates``, else CLIP's general one.
        shuffled: A control: give each class the mean of the next one.
        match_gap: Move all means by the same vector, so that they lie around the training
            images' mean embedding instead of the texts' (the modality gap of Liang et al.,
            "Mind the Gap", 2022).
    """

    def __init__(
        self,
        model_name: str | None = None,
        pretrained: str | None = None,
        source: str = 'descriptions',
        templates: Sequence[str] | None = None,
        shuffled: bool = False,
        match_gap: bool = False,
    ) -> None:
        if source not in SOURCES:
            raise InputError(f"source='{source}' is unknown; choose one of {SOURCES}")
        self.model_name, self.pretrained = model_name, pretrained
        self.source, self.templates = source, templates
        self.shuffled, self.match_gap = shuffled, match_gap

    def before_train(self, runner: Runner) -> None:
        model = get_ori_model(runner.model)
        if runner.iter > 0 or not getattr(model.head, 'needs_class_means', False):
            return
        dataset = runner.train_loop.dataloader.dataset
        classes = dataset.metainfo.get('classes')
        if classes and len(classes) != model.head.num_classes:
            raise InputError(
                f'the training data have {len(classes)} classes, the head says '
                f'num_classes={model.head.num_classes}'
            )
        if self.source == 'images':
            means = means_by_label(
                *image_embeddings(model, runner.train_loop.dataloader), model.head.num_classes
            )
        else:
            templates = self.templates or runner.cfg.get('templates') or TEMPLATES
            means = self._text_means(model, dataset, classes, templates)
        if self.match_gap:
            images, _ = image_embeddings(model, runner.train_loop.dataloader)
            means = means - means.mean(0) + images.mean(0)
        model.head.set_class_means(means.roll(-1, 0) if self.shuffled else means)

    def _text_means(self, model, dataset, classes, templates) -> Tensor:
        texts, counts = [], []
        if self.source != 'class_names':
            texts, counts = collect_descriptions(dataset, model.head.num_classes)
        if not texts and self.source != 'descriptions':
            texts, counts = count_texts(class_prompts(classes, templates))
            print_log(
                f'class means are those of prompts with the class names, such as {texts[0]!r} '
                "(from the config's `templates` and the data set's class names); no descriptions "
                'are used',
                'current',
            )
        source = self if self.model_name else model.backbone
        tower = TextTower(
            source.model_name, source.pretrained, device=next(model.parameters()).device
        )
        if tower.dim != model.head.in_channels:
            raise InputError(
                f'the text tower gives D={tower.dim}, the image embeddings have '
                f'D={model.head.in_channels}: class_means.model_name must be the other tower of '
                f"model.backbone.model_name='{model.backbone.model_name}'"
            )
        return embed_class_means(texts, counts, tower, model.head.normalize, classes)


def collect_descriptions(dataset, num_classes: int) -> tuple[list[str], list[Counter]]:
    """Unique texts of a training set, and how often each occurs in each class.

    Returns:
        U texts in the order of first use, and for each class a Counter of indices into them.
    """
    attach = next((t for t in transforms_of(dataset) if isinstance(t, AttachDescriptions)), None)
    if attach is None:
        raise InputError(
            "the class means need descriptions: put dict(type='AttachDescriptions') "
            'into the train pipeline, or set model.head.alpha=0'
        )
    index: dict[str, int] = {}
    counts = [Counter() for _ in range(num_classes)]
    images = described = 0
    for info in iter_infos(dataset):
        label = info['gt_label']
        if not isinstance(label, int) or not 0 <= label < num_classes:
            raise InputError(
                f"{info['img_path']} has label {label}, the head's num_classes is {num_classes}"
            )
        texts = attach.lookup(info)
        images, described = images + 1, described + bool(texts)
        counts[label].update(index.setdefault(text, len(index)) for text in texts)
    total = sum(sum(counter.values()) for counter in counts)
    print_log(
        f'{described} of {images} training images have descriptions: {total} texts, '
        f'{len(index)} of them different',
        'current',
    )
    return list(index), counts


def embed_class_means(
    texts: list[str], counts: list[Counter], tower: TextTower, normalize: bool, classes=None
) -> Tensor:
    """Eq. 1 over all processes, (N_c, D) float32; each process embeds its share of the texts."""
    rank, world = get_dist_info()
    own = range(rank, len(texts), world)
    embeddings = embed([texts[i] for i in own], tower)
    if normalize:
        embeddings = torch.nn.functional.normalize(embeddings, dim=1)
    position = {text: row for row, text in enumerate(own)}
    own_counts = [Counter({position[i]: n for i, n in c.items() if i in position}) for c in counts]
    sums, totals = sums_by_class(embeddings, own_counts)
    all_reduce(sums)
    all_reduce(totals)
    return class_means(sums, totals, classes)


def embed(texts: list[str], tower: TextTower) -> Tensor:
    """Embeddings (N, D) of unique texts, from disk where an earlier run has left them."""
    table = VectorTable('text', dict(kind='text embeddings', tower=tower.fingerprint))
    missing = table.missing(texts)
    if missing:
        cut = tower.count_cut(missing)
        if cut:
            print_log(
                f'{cut} of {len(missing)} texts are longer than the text tower reads and are cut',
                'current',
                level=30,
            )
    missing.sort(key=len)  # chunks of like length, so that little padding is computed
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        table.add(chunk, tower.encode(chunk))
    print_log(
        f'{len(missing)} texts embedded, {len(texts) - len(missing)} found in {table.folder}',
        'current',
    )
    return table.read(texts) if texts else torch.zeros(0, tower.dim)


def embed_together(texts: list[str], tower: TextTower) -> Tensor:
    """As :func:`embed`, for processes that all want the same texts: each computes its share."""
    rank, world = get_dist_info()
    embed(texts[rank::world], tower)
    barrier()
    return embed(texts, tower)
