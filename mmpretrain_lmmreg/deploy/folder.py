"""What an exported folder says of itself: open_clip's configuration, and a README."""

import errno
import glob
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..clip.configs import LOCAL_DIR, model_config
from ..datasets.loading import LoadPicture
from ..errors import InputError
from ..io.files import fsync_folder
from ..io.lock import locked
from . import standalone
from .classifier import Classifier

TEXT_FILES = ('*.json', '*.txt', '*.model')  # of a Hugging Face text tower: config and tokenizer
REQUIREMENTS = ('open_clip_torch>=2.24', 'safetensors', 'pillow', 'numpy', 'torch')
BUILDING = '.building'  # how the hidden folder ends in which an export is made

README = """\
---
library_name: open_clip
pipeline_tag: image-classification
tags:
- clip
- image-classification
---
# {count} classes on {model_name}

| file | |
|---|---|
| `open_clip_config.json` | architecture and preprocessing, in open_clip's schema |
| `open_clip_model.safetensors` | weights under open_clip's own names: {content} |
| `head.safetensors` | the classifier: `weight` (N, D), `bias` (N,) and, if any, `class_means` \
(N, D), `keys`, `unit0_...`; see `head_logits` in `predict.py` |
{folds}\
| `classifier.json` | class names, temperature, whether embeddings are normalised, `draft`: how \
large JPEG files are decoded at least |
| `predict.py` | classifies images: `python predict.py IMAGE_OR_FOLDER...` |
| `requirements.txt` | what `predict.py` needs: `pip install -r requirements.txt` |
| other `.py` files | what `predict.py` needs |
| `checksums.json` | CRC-32 of what `predict.py` loads, which it compares |
{onnx}
Classes: {names}.

`predict.py` first turns a picture upright
(EXIF) and to RGB, then applies open_clip's preprocessing; without these two steps the
probabilities differ for some pictures.

Temperature {temperature:.4g}, {temperature_from}.
`predict.py` prints the probabilities as trained; `--calibrated` divides the logits by it.

{loading}
"""
WHOLE = """\
The whole model, in this folder: `open_clip.create_model_and_transforms('local-dir:.')`. The text
tower is as pretrained."""
IMAGE_ONLY = """\
The image tower alone, since {reason}.
`open_clip.create_model('local-dir:.')` therefore refuses it; load it as `predict.py` does."""
FOLDS = """\
| `folds.safetensors` | the classifiers of the folds, for sets of classes (`--coverage`) |
"""
ONNX = """\
| `model.onnx` | images (B, 3, H, W), preprocessed -> `logits`, `probabilities` (B, N); its \
metadata hold `class_names`, `preprocessing` and `temperature` as JSON |
"""


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Fill a folder beside ``out`` that takes its name when the body is done, or is removed.

    What killed exports to ``out`` left beside it is removed.

    Raises:
        InputError: there is something at ``out``, or another process makes it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f'{out} already exists: remove it, or name another folder', code='deploy.exists'
        )
    with locked(out.parent / f'.{out.name}.lock', 'or name another folder'):
        for left in out.parent.glob(f'.{glob.escape(out.name)}.*{BUILDING}'):
            shutil.rmtree(left)
        try:
            with _built(out) as made:
                yield made
        except (OSError, SafetensorError) as error:
            if isinstance(error, InputError) or not _disk_is_full(error):
                raise
            raise InputError(
                f'{out}: the disk is full ({error}); nothing is left there. Make room, or name a '
                'folder on another disk',
                code='deploy.disk_full',
            ) from error


def _disk_is_full(error: Exception) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, 'errno', None) in full or 'No space left' in str(error)


@contextmanager
def _built(out: Path) -> Iterator[Path]:
    building = Path(tempfile.mkdtemp(dir=out.parent, prefix=f'.{out.name}.', suffix=BUILDING))
    made = building / 'made'
    try:
        made.mkdir()  # readable as any new folder is, unlike mkdtemp's
        yield made
        for file in made.iterdir():
            file.chmod(made.stat().st_mode & 0o666)  # safetensors' are for their owner alone
            with file.open('rb') as opened:
                os.fsync(opened.fileno())
        os.replace(made, out)
    finally:
        shutil.rmtree(building)
    fsync_folder(out.parent)


def open_clip_config(classifier: Classifier) -> dict:
    """The content of ``open_clip_config.json``, with no weights to be fetched for its towers."""
    backbone = classifier.model.backbone
    config = model_config(backbone.model_name)
    if backbone.image_size is not None:
        config['vision_cfg']['image_size'] = backbone.image_size
    if 'timm_model_name' in config['vision_cfg']:
        config['vision_cfg']['timm_model_pretrained'] = False
    if 'hf_model_name' in config['text_cfg']:
        config['text_cfg']['hf_model_pretrained'] = False
    return dict(model_cfg=config, preprocess_cfg=preprocessing(classifier))


def preprocessing(classifier: Classifier) -> dict:
    """The test pipeline and the preprocessor's mean and std in open_clip's words.

    Pipelines that open_clip cannot express come out as the nearest one it can.
    """
    resize = next((t for t in classifier.pipeline.transforms if 'Resize' in type(t).__name__), None)
    prep = classifier.model.data_preprocessor
    if getattr(prep, 'mean', None) is None:
        raise InputError(
            'export: the data_preprocessor does not normalise (mean, std)',
            code='deploy.not_exported',
        )
    return dict(
        size=classifier.model.backbone.visual.image_size,
        mode='RGB',
        mean=(prep.mean.flatten().double() / 255).tolist(),
        std=(prep.std.flatten().double() / 255).tolist(),
        interpolation=getattr(resize, 'interpolation', 'bicubic'),
        resize_mode='shortest' if type(resize).__name__ == 'ResizeEdge' else 'squash',
    )


def draft(classifier: Classifier) -> int | None:
    """How large JPEG files are decoded at least, see :func:`read_rgb`; None: as they are."""
    transforms = classifier.pipeline.transforms
    return next((t.draft for t in transforms if isinstance(t, LoadPicture)), None)


def copy_text_files(text_config: dict, made: Path) -> None:
    """Bring along a Hugging Face text tower's own files, where they lie in a folder.

    The configuration then names the folder that it lies in, whatever becomes of it.
    """
    source = Path(text_config.get('hf_model_name') or '')
    if 'hf_model_name' not in text_config or not (source / 'config.json').is_file():
        return
    for file in (f for pattern in TEXT_FILES for f in source.glob(pattern)):
        if file.name != 'open_clip_config.json':
            shutil.copyfile(file, made / file.name)
    text_config.update(hf_model_name='.', hf_tokenizer_name='.')


def write_script(made: Path) -> None:
    """Write ``predict.py``, and beside it the modules of this package that it imports."""
    text = Path(standalone.__file__).read_text(encoding='utf-8')
    imports = re.compile(r'from \.\.((?:\w+\.)*)(\w+) import')
    for rooms, name in imports.findall(text):
        module = sys.modules[f'{__package__.partition(".")[0]}.{rooms}{name}']
        shutil.copyfile(str(module.__file__), made / f'{name}.py')
    (made / 'predict.py').write_text(imports.sub(r'from \2 import', text), encoding='utf-8')
    (made / 'requirements.txt').write_text('\n'.join(REQUIREMENTS) + '\n', encoding='utf-8')


def write_json(file: Path, content: dict) -> None:
    """Write indented JSON in UTF-8."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')


def write_readme(made: Path, model_name: str, settings: dict, missing_text: str) -> None:
    """Say in ``README.md`` what the folder's files are and how they are loaded."""
    loading = IMAGE_ONLY.format(reason=missing_text) if missing_text else WHOLE
    text = README.format(
        count=len(settings['classes']),
        names=', '.join(settings['classes']),
        model_name=model_name.removeprefix(LOCAL_DIR),
        content='the image tower' if missing_text else 'both towers',
        folds=FOLDS if (made / standalone.FOLDS).exists() else '',
        onnx=ONNX if (made / 'model.onnx').exists() else '',
        loading=loading,
        **settings,
    )
    (made / 'README.md').write_text(text, encoding='utf-8')
