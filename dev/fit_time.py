"""Time of the parts of ``fit`` at the widths of another model.

    python dev/fit_time.py IMAGES OUT

The model has one layer and random weights: trunk features of 1,024 numbers, embeddings of 768, as
ViT-L/14. Its features and texts take no time; cross-validation and refit take what they would with
ViT-L/14's, since they see features alone. Times are CPU seconds, so that other work on the machine
does not count; set OMP_NUM_THREADS=1. The last lines print the time of each part.
"""

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file

import mmpretrain_lmmreg.register  # noqa: F401
from mmpretrain_lmmreg.fitting import cross_validation
from mmpretrain_lmmreg.fitting import fit as fitting

MODEL = dict(
    embed_dim=768,
    vision_cfg=dict(image_size=32, layers=1, width=1024, head_width=64, patch_size=8),
    text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=1, layers=1),
)


def write_model(folder: Path) -> None:
    """Write a random model as open_clip reads it by ``local-dir:``."""
    import open_clip  # after the package, which lets torchvision be imported

    folder.mkdir(parents=True, exist_ok=True)
    config = dict(model_cfg=MODEL, preprocess_cfg=dict(size=32))
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.create_model(f'local-dir:{folder}', load_weights=False)
    save_file(model.state_dict(), folder / 'open_clip_model.safetensors')


def main() -> None:
    """Fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images')
    parser.add_argument('out', type=Path)
    parser.add_argument('--minutes', type=float, default=30)
    args = parser.parse_args()
    write_model(args.out / 'model')
    model = f'local-dir:{args.out / "model"}'
    fitting.time = cross_validation.time = SimpleNamespace(monotonic=time.process_time)
    fitting.fit(args.images, out=args.out / 'fitted', model=model, minutes=args.minutes)


if __name__ == '__main__':
    main()
