"""Make a folder that classifies with open_clip alone.

    python tools/export.py CONFIG work_dirs/x/epoch_100.pth exported
    python exported/predict.py holiday/*.jpg

OUT holds the weights under open_clip's own names, the head, class names, preprocessing, a
temperature fitted on the config's validation images if it has some that are neither training
nor test images, and a script that needs open_clip, safetensors and pillow. Its probabilities
are compared with the model's before OUT appears. The text tower comes along where its
pretrained weights are at hand.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from ..config import add_on
from ..deploy import folder, onnx_model
from ..deploy.classifier import load_classifier
from ..deploy.export import export
from .runner import quiet_log


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='the config that the checkpoint was trained with')
    p.add_argument('checkpoint', help='a checkpoint of tools/train.py')
    p.add_argument('folder', metavar='OUT', type=Path, help='folder to make')
    p.add_argument('--onnx', action='store_true', help='also write model.onnx')
    add_on(p)
    return p


def run(args: Namespace) -> None:
    """Carry the command out and print what was made."""
    quiet_log()
    if args.onnx:
        onnx_model.require_onnx()
    with folder.new_folder(args.folder) as made:
        classifier = load_classifier(args.config, args.checkpoint, args.on)
        print('\n'.join(export(classifier, made, args.folder, args.onnx)))
    print(f'{args.folder} classifies pictures: python {args.folder / "predict.py"} PICTURE...')


def main() -> None:
    """Export a checkpoint."""
    run(parser().parse_args())
