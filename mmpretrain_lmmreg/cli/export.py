"""Export a checkpoint to a folder that classifies without mmpretrain.

OUT holds weights under open_clip's names, the classifier, class names, preprocessing, a
temperature and predict.py. The script needs torch, open_clip, safetensors and pillow. The
temperature is fitted on validation images; without any it is 1. The probabilities are compared with
the model's before OUT appears.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..config import add_on
from .options import command_parser


def parser() -> ArgumentParser:
    """The command's options."""
    example = (
        'mmpretrain-lmmreg export configs/lmmreg_demo.py work_dirs/lmmreg_demo/epoch_100.pth '
        'exported'
    )
    p = command_parser(__doc__, example)
    p.add_argument('config', metavar='CONFIG', help='the config of the training run')
    p.add_argument('checkpoint', metavar='CHECKPOINT', help='a checkpoint of that run')
    p.add_argument('folder', metavar='OUT', type=Path, help='folder to make')
    p.add_argument('--onnx', action='store_true', help='also write model.onnx')
    p.add_argument(
        '--with-text',
        action='store_true',
        help='stop with an error if the text tower, which reads descriptions, cannot be exported',
    )
    add_on(p)
    return p


def run(args: Namespace) -> None:
    """Carry the command out and print what was made."""
    from ..deploy import folder, onnx_model
    from ..deploy.classifier import load_classifier
    from ..deploy.export import export
    from .runner import quiet_log

    quiet_log()
    if args.onnx:
        onnx_model.require_onnx()
    with folder.new_folder(args.folder) as made:
        classifier = load_classifier(args.config, args.checkpoint, args.on)
        print('\n'.join(export(classifier, made, args.onnx, with_text=args.with_text)))
    print(f'{args.folder} classifies images: python {args.folder / "predict.py"} IMAGE...')


def main() -> None:
    """Export a checkpoint."""
    run(parser().parse_args())
