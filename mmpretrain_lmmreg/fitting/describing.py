"""What descriptions of images are worth beside the classifier that a fit has chosen."""

from pathlib import Path

import torch

from ..deploy.on_demand import Asked, describe_training
from ..describe.plan import DescribePlan
from ..heads.describe_on_demand import embed_unit
from ..heads.on_demand import DescriptionReader, accuracy_curve, fit_product
from .cross_validation import Compared
from .data import Images
from .inputs import WholeInputs


def find_reader(
    images: Images,
    compared: Compared,
    inputs: WholeInputs,
    plan: DescribePlan,
    count: int | None,
    store: Path,
) -> tuple[DescriptionReader | None, list[str]]:
    """Describe training images, and find the exponents of image and text by held-out scores.

    Args:
        images: The data.
        compared: What cross-validation found.
        inputs: Of all training images.
        plan: What is asked of whom; ``predict`` asks the same.
        count: Training images to describe; five a class and at least 30 by default.
        store: The file of the answers.

    Returns:
        What descriptions change in calibrated probabilities, or None where no image has one; and
        lines that say what it is worth.

    Raises:
        InputError: As :func:`~mmpretrain_lmmreg.describe.pixels.describe_images`.
    """
    rows = compared.folds.scored.nonzero()[:, 0].tolist()
    infos = [images.train[row] for row in rows]
    found, tally = describe_training(infos, len(images.classes), count, plan, store)
    if not found:
        return None, [f'no training image has a description, so predict cannot ask: see {store}']
    logs, which = compared.best.log_probabilities, torch.tensor(sorted(found), dtype=torch.long)
    texts = embed_unit([found[i] for i in which.tolist()], inputs.text_tower).cpu()
    prompts = inputs.text_means(*inputs.name_texts(), True).cpu()
    labels = compared.labels[which]
    groups = inputs.groups[compared.folds.scored][which]
    product = fit_product(logs[which].float(), texts, prompts, labels, groups)
    curve = accuracy_curve(logs[which].exp(), product.left_out, labels)
    reader = DescriptionReader(
        product.exponents[0], product.weight, product.bias, curve, plan.count, (plan.prompt,)
    )
    shown = ', '.join(f'{each:.3g}' for each in product.exponents)
    note = f'{len(found)} training images described; exponents of image, class names, text: {shown}'
    return reader, [note, *Asked(100, 0, tally, curve, plan.price).worth]
