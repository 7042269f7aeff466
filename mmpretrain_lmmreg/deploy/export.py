"""Make a folder that classifies with open_clip alone."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.status import Status
from safetensors.torch import save_file
from torch import Tensor

from ..clip.backbone import OpenCLIPVisual
from ..clip.configs import has_weights
from ..clip.model import load_open_clip
from ..errors import InputError
from ..heads.describe_on_demand import DescribeOnDemandHead
from ..heads.on_demand import DescriptionReader
from ..io.checksums import write_checksums
from . import folder, onnx_model, standalone
from .classifier import Classifier
from .head_form import HeadForm, head_form
from .temperature import calibrate

TOLERANCE = 1e-5
TEXT_POSITIONS = ('positional_embedding', 'text.positional_embedding')


def export(
    classifier: Classifier,
    made: Path,
    onnx: bool = False,
    held_out: tuple[float, dict[str, Tensor]] | None = None,
    reader: DescriptionReader | None = None,
    with_text: bool = False,
) -> list[str]:
    """Fill the folder ``made``; returns lines that say what is in it.

    The classifier is brought to the CPU and to float32.

    Args:
        classifier: What is exported.
        made: An empty folder.
        onnx: Also write ``model.onnx``.
        held_out: The temperature of cross-validation, and the tensors of
            :func:`.standalone.coverage_sets`. By default the temperature is fitted on the config's
            validation images, and there are no sets of classes.
        reader: What descriptions change in calibrated probabilities; by default the head's.
        with_text: Refuse to make a folder without the text tower.

    Raises:
        InputError: the text tower's weights are not at hand, and ``with_text``; a model that is not
            open_clip's image tower with a head that :func:`head_form` can express, or a test
            pipeline that open_clip's preprocessing does not equal. Found by comparing what the
            folder gives for two drawn pictures: pixels and probabilities must agree to 1e-5, and
            to what float32 leaves of large logits.
    """
    _check_parts(classifier)
    model = classifier.model.cpu()
    form = head_form(model.head, model.backbone.out_dim)
    if held_out is None:
        temperature, fitted = calibrate(classifier)
    else:
        temperature, fitted = held_out[0], 'fitted on held-out folds of the training images'
    model.backbone.visual.float()
    model.backbone.precision = 'float32'
    with _busy('writing the weights'):
        if reader is None and isinstance(model.head, DescribeOnDemandHead):
            reader = model.head.reader()
            reader = replace(reader, exponent=reader.exponent * temperature)
        missing_text = _write_weights(classifier, form, made, reader)
    if missing_text and with_text:
        raise InputError(
            f'--with-text: the text tower cannot be exported: {missing_text}',
            code='deploy.no_text_tower',
        )
    described = None
    if reader is not None and reader.weight.any() and not missing_text:
        described = dict(exponent=reader.exponent, count=reader.count, prompts=reader.prompts)
    settings = dict(
        classes=list(classifier.classes),
        normalize=form.normalize,
        on_trunk=model.backbone.output == 'trunk',
        temperature=temperature,
        temperature_from=fitted,
        draft=folder.draft(classifier),
        described=described,
    )
    folder.write_json(made / 'classifier.json', settings)
    folder.write_script(made)
    files = [made / name for name in standalone.FILES]
    if held_out is not None:
        files.append(made / standalone.FOLDS)
        save_file(held_out[1], files[-1])
    write_checksums(files, made)
    exported, images, difference = _verify(classifier, made)
    lines = [
        f'{model.backbone.model_name}, {len(classifier.classes)} classes: with open_clip alone '
        f'equal to {difference:.0e}',
        f'temperature {temperature:.4g}, {fitted}',
    ]
    if described:
        lines.append('reads descriptions of images: predict.py --descriptions FILE')
    if missing_text:
        lines.append(f'without the text tower, since {missing_text}')
    if onnx:
        with _busy('writing model.onnx'):
            about = dict(
                class_names=settings['classes'],
                temperature=temperature,
                preprocessing=folder.preprocessing(classifier),
            )
            difference = onnx_model.write_onnx(exported, images, made / 'model.onnx', about)
        lines.append(f'model.onnx: equal to {difference:.0e} in onnxruntime')
    folder.write_readme(made, model.backbone.model_name, settings, missing_text)
    return lines


def _busy(what: str) -> Status:
    """A sign of life on a terminal, gone when done."""
    return Console(stderr=True).status(what)


def _write_weights(
    classifier: Classifier, form: HeadForm, made: Path, reader: DescriptionReader | None
) -> str:
    """Write open_clip's configuration and weights, and the head's; why there is no text, or ''."""
    config = folder.open_clip_config(classifier)
    state, missing_text = _open_clip_state(classifier.model.backbone)
    if not missing_text:
        text_config = config['model_cfg']['text_cfg']
        folder.copy_text_files(text_config, made)
        positions = next((t for n, t in state.items() if n in TEXT_POSITIONS), None)
        if positions is not None and not text_config.get('embed_cls'):
            text_config['context_length'] = len(positions)  # Long-CLIP's are more than configured
    folder.write_json(made / 'open_clip_config.json', config)
    save_file(state, made / 'open_clip_model.safetensors')
    means = classifier.class_means
    head = form.tensors if means is None else form.tensors | dict(class_means=means)
    if reader is not None:
        parts = dict(text_weight=reader.weight, text_bias=reader.bias, curve=reader.curve)
        head = head | {name: part.float().contiguous() for name, part in parts.items()}
    save_file(head, made / 'head.safetensors')
    return missing_text


def _check_parts(classifier: Classifier) -> None:
    model = classifier.model
    if not isinstance(model.backbone, OpenCLIPVisual):
        raise InputError(
            f'export: the backbone {type(model.backbone).__name__} is not an open_clip image tower',
            code='deploy.not_exported',
        )
    if model.with_neck:
        raise InputError(
            f'export: the neck {type(model.neck).__name__} is not exported',
            code='deploy.not_exported',
        )


def _open_clip_state(backbone: OpenCLIPVisual) -> tuple[dict[str, Tensor], str]:
    """State dict under open_clip's names; without the text tower, also the reason why."""
    visual = backbone.visual_state()
    state, reason = {f'visual.{name}': tensor for name, tensor in visual.items()}, ''
    if backbone.pretrained is None and not has_weights(backbone.model_name):
        reason = 'the config names no pretrained weights'
    else:
        try:
            model = load_open_clip(backbone.model_name, backbone.pretrained, backbone.image_size)
            model.get_submodule('visual').load_state_dict(visual)
            state = model.state_dict()
        except InputError as error:
            reason = str(error)
    return {name: tensor.contiguous() for name, tensor in state.items()}, reason


def _verify(classifier: Classifier, made: Path) -> tuple[standalone.Classifier, Tensor, float]:
    """Compare the folder, as its own script reads it, with the classifier on two pictures.

    Returns the folder's classifier, the two images, and the largest difference in probability.
    """
    exported = standalone.Classifier(made)
    size = max(classifier.model.backbone.visual.image_size)
    large = 2 * (exported.draft or size)
    shapes = dict(wide=(large + 30, large + size, 3), high=(2 * size + 9, size - 3, 3))
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        paths = [f'{temporary}/{name}.jpg' for name in shapes]
        for path, shape in zip(paths, shapes.values(), strict=True):
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        pictures = [classifier.read(path) for path in paths]
        images = torch.stack([exported.read(path) for path in paths])
    expected = classifier.normalise(pictures)
    pixels = (images - expected).abs().max().item() if images.shape == expected.shape else 1.0
    if not pixels <= TOLERANCE:
        raise InputError(
            "export: the config's test pipeline gives other pixels than open_clip's preprocessing "
            f'(by {pixels:.1e} of their standard deviation), so the folder could not give the same '
            'probabilities; use LoadPicture, ResizeEdge and CenterCrop as '
            'configs/_base_/datasets/clip_images.py does',
            code='deploy.other_results',
        )
    logits, probabilities = exported(images)
    difference = (probabilities - classifier(pictures)[1]).abs().max().item()
    rounding = 2 * torch.finfo(torch.float32).eps * logits.abs().max().item()
    if not difference <= TOLERANCE + rounding:
        raise InputError(
            f'export: {type(classifier.model.head).__name__} gives other probabilities than its '
            f'logits say, by {difference:.1e}; it cannot be exported',
            code='deploy.other_results',
        )
    return exported, images, difference
