"""A trained classifier: the config's model and test pipeline with a checkpoint's weights."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmpretrain.apis import get_model
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import TRANSFORMS
from torch import Tensor

from ..clip.backbone import OpenCLIPVisual
from ..clip.text_tower import TextTower
from ..config import check_files, load_config
from ..descriptions import AttachDescriptions
from ..errors import InputError
from ..heads.base import SetUpHead
from ..heads.inputs import HeadInputs
from ..io.checkpoints import take_weights
from ..io.trusted import read_checkpoint
from ..text.prompts import TEMPLATES


@dataclass
class Classifier:
    """A model with the pipeline that reads pictures for it; see :func:`load_classifier`."""

    cfg: Config
    model: ImageClassifier
    classes: tuple[str, ...]
    pipeline: Compose

    def read(self, path: str) -> Tensor:
        """Decode and crop a picture, (3, H, W) as the model's preprocessor takes it."""
        return self.pipeline(dict(img_path=path))['inputs']

    @torch.no_grad()
    def normalise(self, pictures: list[Tensor]) -> Tensor:
        """The input of the image tower, (B, 3, H, W), on the model's device."""
        return self.model.data_preprocessor(dict(inputs=pictures), training=False)['inputs']

    @torch.no_grad()
    def __call__(self, pictures: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings (B, D) and probabilities (B, N_c) of pictures that :meth:`read` returned."""
        features = self.model.extract_feat(self.normalise(pictures))
        samples = self.model.head.predict(features)
        probabilities = torch.stack([sample.pred_score for sample in samples])
        x, backbone = self.model.head.pre_logits(features), self.model.backbone
        if isinstance(backbone, OpenCLIPVisual) and backbone.output == 'trunk':
            x = backbone.project(x)
        return x.float().cpu(), probabilities.float().cpu()

    @property
    def class_means(self) -> Tensor | None:
        """The text means that the checkpoint was trained with, (N_c, D), or None."""
        means = getattr(self.model.head, 'class_means', None)
        return means.cpu() if means is not None and means.any() else None


def load_classifier(config: str, checkpoint: str, on: str | None = None) -> Classifier:
    """Build a config's model on the best device at hand and load a checkpoint strictly.

    A method's config is put on the config ``on``. Class names are the checkpoint's, else those of
    the config's data set.

    Raises:
        MissingInputError: config or checkpoint are not there.
        InputError: a checkpoint of another model, or a method that predicts with text.
    """
    check_files(config, checkpoint)
    cfg = load_config(config, on)
    pipeline = _test_pipeline(cfg, config)
    model = get_model(cfg, device=get_device())
    if not isinstance(model, ImageClassifier) or not model.with_head:
        raise InputError(
            f'{config}: the model is not an ImageClassifier with a head',
            code='deploy.no_classifier',
        )
    loaded = read_checkpoint(checkpoint, 'cpu')
    take_weights(model, loaded['state_dict'], checkpoint)
    meta = loaded['meta']
    about = meta.get('dataset_meta') or model._dataset_meta
    classes = about.get('classes')
    if isinstance(model.head, SetUpHead) and model.head.inputs_at_test:
        _set_up(cfg, model, about)
    return Classifier(cfg, model, _names(classes, model), pipeline)


@torch.no_grad()
def _set_up(cfg: Config, model: ImageClassifier, about: dict) -> None:
    """Give a head its text tower that classifies each image with texts of its own (CoCoOp)."""
    dataset = SimpleNamespace(metainfo=about)
    loop: Any = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    templates = cfg.get('templates') or TEMPLATES
    model.head.set_up(HeadInputs(model, [loop], templates, trained=True, **tower_settings(cfg)))


def tower_settings(cfg: Config) -> dict[str, Any]:
    """Of :class:`HeadInputs`: the text tower that a config's class means come from."""
    hook = (cfg.get('default_hooks') or {}).get('class_means') or {}
    return {key: hook.get(key) for key in ('model_name', 'pretrained', 'text_context')}


def text_tower(cfg: Config) -> TextTower:
    """The text tower that a config's class means come from."""
    tower = tower_settings(cfg)
    source = tower if tower['model_name'] else cfg.model.backbone
    context = tower['text_context']
    return TextTower(source['model_name'], source.get('pretrained'), text_context=context)


def _names(classes: Any, model: ImageClassifier) -> tuple[str, ...]:
    count = model.head.num_classes
    return tuple(classes) if classes and len(classes) == count else tuple(map(str, range(count)))


def _test_pipeline(cfg: Config, config: str) -> Compose:
    loader = cfg.get('test_dataloader')
    transforms = loader.dataset.pipeline if loader else cfg.get('test_pipeline')
    if not transforms:
        raise InputError(
            f'{config} has no test_dataloader and no test_pipeline, which reads the images',
            code='deploy.no_pipeline',
        )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = [TRANSFORMS.build(transform) for transform in transforms]
    if any(isinstance(transform, AttachDescriptions) for transform in built):
        raise InputError(
            f'{Path(config).stem} classifies with the descriptions of each test image '
            '(AttachDescriptions in its test pipeline), which a single image does not have',
            code='deploy.text_of_each_image',
        )
    return Compose(built)
