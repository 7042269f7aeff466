"""Classify pictures with the files of this folder and open_clip.

    pip install open_clip_torch safetensors pillow
    python predict.py PICTURE...

Prints a JSON object a picture. --calibrated divides the logits by the fitted temperature.
Exit code 1: some pictures were skipped.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..datasets.pictures import read_rgb
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


class Classifier(torch.nn.Module):
    """Images (B, 3, H, W), as ``preprocess`` makes them -> logits and probabilities (B, N).

    A missing file of the folder is an OSError, one that does not fit its checksum a ValueError.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        for name in FILES:
            check_file(folder / name)
        settings = json.loads((folder / 'classifier.json').read_text(encoding='utf-8'))
        self.classes = settings['classes']
        self.normalize, self.temperature = settings['normalize'], settings['temperature']
        self.draft = settings['draft']
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
        self.eval().requires_grad_(False)

    weight: torch.Tensor  # buffers, as is class_means
    bias: torch.Tensor
    keys: torch.Tensor  # of unit length, with them key_values and key_sharpness
    key_values: torch.Tensor
    key_sharpness: torch.Tensor

    def read(self, path: str) -> torch.Tensor:
        """A picture of any kind, upright and in RGB, as the image tower takes it: (3, H, W)."""
        return self.preprocess(read_rgb(path, self.draft))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) of images (B, 3, H, W)."""
        x = self.visual(images)
        return torch.nn.functional.normalize(x, dim=1) if self.normalize else x

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and probabilities, (B, N_c) each."""
        x = self.embed(images)
        logits = x @ self.weight.T + self.bias
        if 'keys' in self._buffers:
            affinity = torch.nn.functional.normalize(x, dim=1) @ self.keys.T
            logits = logits + (self.key_sharpness * (affinity - 1)).exp() @ self.key_values
        return logits, logits.softmax(dim=1)


def main() -> int:
    """Print a line of JSON for each picture of the command line; 1 if any was skipped, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('pictures', nargs='+', metavar='PICTURE', help='an image file')
    parser.add_argument('--calibrated', action='store_true', help='use the fitted temperature')
    args = parser.parse_args()
    try:
        classifier = Classifier(Path(__file__).resolve().parent)
    except (OSError, ValueError) as error:
        parser.exit(2, f'error: {error}; export the folder again\n')
    skipped = False
    for path in args.pictures:
        try:
            image = classifier.read(path)
        except Exception as error:  # whatever a decoder raises
            print(plain(f'skipped {path}: {error}'), file=sys.stderr)
            skipped = True
            continue
        logits, probabilities = classifier(image[None])
        if args.calibrated:
            probabilities = (logits / classifier.temperature).softmax(dim=1)
        ranked = probabilities[0].argsort(descending=True).tolist()
        named = {classifier.classes[label]: probabilities[0, label].item() for label in ranked}
        print(plain_json({'image': path, 'probabilities': named}))
    return int(skipped)


if __name__ == '__main__':
    sys.exit(main())
