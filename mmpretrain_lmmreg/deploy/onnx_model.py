"""The exported classifier as ONNX, compared with what it was made from."""

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .standalone import Classifier

TOLERANCE = 1e-4
ONE_FILE = 1_800_000_000  # bytes; beyond, the weights lie beside the graph, in model.onnx.data


def require_onnx() -> None:
    """Raise InputError where one of the packages is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f'--onnx: {error.name} is not installed: pip install "mmpretrain_lmmreg[onnx]"',
            code='deploy.package_missing',
        ) from error


def write_onnx(classifier: Classifier, images: Tensor, file: Path, about: dict) -> float:
    """Write ``file`` and return its largest difference in probability on images (B, 3, H, W).

    Args:
        classifier: What is written.
        images: Preprocessed pictures to compare on.
        file: The model's path.
        about: Metadata that any runtime can read beside the model; values become JSON.

    Raises:
        InputError: it is larger than :data:`TOLERANCE`.
    """
    import onnx
    import onnxruntime

    size = sum(t.numel() * t.element_size() for t in classifier.state_dict().values())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the exporter's, about its own code
        torch.onnx.export(
            classifier,
            (torch.cat([images, images]),),  # a batch of one would be taken for a constant
            file,
            input_names=['images'],
            output_names=['logits', 'probabilities'],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            external_data=size > ONE_FILE,
            verbose=False,
        )
    model = onnx.load(file, load_external_data=False)
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in about.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, file)
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    logits, probabilities = map(torch.from_numpy, session.run(None, {'images': images.numpy()}))
    expected_logits, expected = classifier(images)
    difference = (probabilities - expected).abs().max().item()
    if not torch.allclose(logits, expected_logits, 1e-3, 1e-3) or not difference <= TOLERANCE:
        raise InputError(
            f'--onnx: onnxruntime gives other probabilities, by {difference:.1e} '
            f'({TOLERANCE:.0e} is allowed); export without --onnx',
            code='deploy.other_results',
        )
    return difference
