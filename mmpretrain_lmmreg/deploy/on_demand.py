"""Classify images, ask about those that the classifier is unsure of, and classify these again."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from ..clip.text_tower import TextTower
from ..describe.pixels import describe_images, pixel_key
from ..describe.plan import DescribePlan
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..heads.describe_on_demand import DescribeOnDemandHead
from ..heads.on_demand import least_sure, share_for
from ..text.embedding import embed_lists
from .classifier import Classifier
from .pictures import read_batches
from .predict import Prediction, top


def predict_on_demand(
    classifier: Classifier,
    paths: Sequence[str],
    broken: dict[str, str],
    plan: DescribePlan,
    store: str | Path,
    budget: float = 0.2,
    target_accuracy: float | None = None,
    topk: int = 5,
    ask: bool = True,
) -> list[Prediction]:
    """Classify images with descriptions of the unsure ones.

    Args:
        classifier: Of the method ``describe_on_demand``.
        paths: Image files.
        broken: Receives those that cannot be read, and why.
        plan: Who is asked what, and the limits.
        store: The file of the answers, by the sha256 of the pixels; never the training images'.
        budget: Share of the images, rounded down, whose descriptions are used.
        target_accuracy: In place of ``budget``: the smallest share that reached it on held-out
            training images.
        topk: Classes in each result.
        ask: Whether images that the store does not hold are asked about.

    Returns:
        Predictions as of :func:`~.predict.predict`; those with the key ``description`` are by image
        and description, the others by the image alone.

    Raises:
        InputError: another method; no share reaches the accuracy; as :func:`describe_images`.

    Example:
        >>> plan = DescribePlan('openai', 'qwen2.5-vl', count=1)
        >>> predict_on_demand(classifier, ['a.jpg'], {}, plan, 'asked.jsonl')  # doctest: +SKIP
    """
    head = classifier.model.head
    if not isinstance(head, DescribeOnDemandHead):
        raise InputError(
            f'{type(head).__name__} reads no descriptions of the images that it classifies: train '
            'the method describe_on_demand',
            code='deploy.reads_no_descriptions',
        )
    share = budget if target_accuracy is None else share_for(head.curve.cpu(), target_accuracy)
    names, found = [], []
    workers = classifier.cfg.test_dataloader.get('num_workers', 0)
    for batch in read_batches(paths, classifier.read, workers):
        broken.update((path, reason) for path, reason in batch if isinstance(reason, str))
        good = [(path, image) for path, image in batch if not isinstance(image, str)]
        if good:
            names += [path for path, _ in good]
            found.append(classifier([image for _, image in good])[1])
    if not names:
        return []
    probabilities = torch.cat(found)
    rows = least_sure(probabilities, share).tolist() if head.text_weight.any() else []
    asked = [names[row] for row in rows]
    if not asked:
        lists: list[list[str]] = []
    elif ask:
        lists = describe_images(asked, plan, store).descriptions
    else:
        kept = DescriptionStore(store)
        lists = [kept.get(pixel_key(path), plan.prompt) or [] for path in asked]
    pairs = zip(rows, lists, strict=True)
    described = {row: texts[: head.descriptions] for row, texts in pairs if texts}
    if described:
        which = list(described)
        means = [each.mean(0) for each in embed_lists(list(described.values()), _tower(classifier))]
        logits = probabilities[which].clamp_min(1e-30).log().to(head.text_weight)
        product = head.combined(logits, F.normalize(torch.stack(means), dim=1))
        probabilities[which] = product.softmax(1).to(probabilities)
    return [
        dict(image=name, predictions=top(row, topk, classifier.classes))
        | ({'description': ' '.join(described[i])} if i in described else {})
        for i, (name, row) in enumerate(zip(names, probabilities, strict=True))
    ]


def _tower(classifier: Classifier) -> TextTower:
    cfg = classifier.cfg
    hook = (cfg.get('default_hooks') or {}).get('class_means') or {}
    source = hook if hook.get('model_name') else cfg.model.backbone
    context = hook.get('text_context')
    return TextTower(source['model_name'], source.get('pretrained'), text_context=context)
