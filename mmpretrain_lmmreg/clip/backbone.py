"""An open_clip image tower as an mmpretrain backbone."""

from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import InputError, require_one_of
from ..io.files import digest_tensors
from .configs import LOCAL_DIR, has_weights, model_config
from .model import build_visual, load_visual
from .svd import TrainedMatrices, matrix_names
from .visual_tower import split_tower

TRAINABLE = ('none', 'proj', 'svd', 'svd_all', 'last_block', 'all')
OUTPUTS = ('embedding', 'trunk')
PRECISIONS = {'auto': torch.float32, 'float32': torch.float32, 'bfloat16': torch.bfloat16}
# Images of a frozen trunk at a time on a CPU; rounding may depend on it. ViT-L/14 in bfloat16 with
# AVX-512 takes 1.81 images/s 2 at a time, 2.11 with 4, 2.17 with 8 and 2.07 with 16.
CPU_BATCH = 8
# Buffers of checkpoints up to version 0.8, which kept a measured precision='auto'.
OLD_BUFFERS = ('decided_precision', 'decided_at_a_time')


@MODELS.register_module()
class OpenCLIPVisual(BaseBackbone):
    """open_clip's image tower, x = f(I): the unnormalised embedding in the joint space.

    Args:
        model_name: open_clip's name of the model, or ``'local-dir:FOLDER'`` with an
            ``open_clip_config.json``. The paper's is ``'ViT-L-14-quickgelu'``.
        pretrained: open_clip tag or checkpoint file, loaded strictly by :meth:`init_weights`, so
            that testing a checkpoint needs no weights file. None: the weights in the folder of a
            ``local-dir:`` model, else random ones.
        trainable: ``'proj'``, the paper's "output of the image encoder": the output projection;
            ``'svd'``: of its singular value decomposition the singular values alone;
            ``'svd_all'``: those of the weights of all linear layers and of the projection;
            ``'last_block'``: that and the last block of the trunk; ``'none'`` or ``'all'``.
            Everything else is frozen and stays in eval mode.
        precision: Of a frozen trunk: ``'float32'``; ``'bfloat16'`` (weights and activations; the
            projection stays in float32); or ``'auto'``, with which features for the feature table
            are computed in bfloat16 where the device has it and the cosine to float32 is at least
            0.999 on the first eight images, and everything else is in float32. On a CPU the trunk
            takes 8 images at a time, on a GPU a batch, halved while its memory is short.
        output: ``'embedding'``, or ``'trunk'``: the features before the projection, as a linear
            probe takes them. Nothing may train then (``trainable='none'``).
        image_size: Pixels of a square input other than the model's own; the position embeddings
            are then interpolated.

    Raises:
        InputError: unknown ``model_name``, ``trainable`` or ``precision``; a tower without a
            projection asked for ``'proj'``; ResNets and CoCa.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        trainable: str = 'proj',
        precision: str = 'float32',
        image_size: int | None = None,
        output: str = 'embedding',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.model_name, self.pretrained = model_name, pretrained
        self.trainable, self.precision, self.image_size = trainable, precision, image_size
        self.output = output
        self._check_arguments()
        self.visual: Any = build_visual(model_name, image_size, pretrained)
        self.tower = split_tower(self.visual, model_name)
        self._form = {}  # of the tower in a folder, whose configuration may be changed
        if model_name.startswith(LOCAL_DIR):
            config = model_config(model_name)
            self._form = {name: config.get(name) for name in ('vision_cfg', 'quick_gelu')}
        self._projection_names = {
            name
            for name, parameter in self.visual.named_parameters()
            if any(parameter is p for p in self.tower.projection())
        }
        self._freeze()
        parameters = {m: list(m.parameters()) for m in self.visual.modules()}
        self._train_whole = [
            m for m, each in parameters.items() if each and all(p.requires_grad for p in each)
        ]
        self.svd: TrainedMatrices | None = None
        if trainable in ('svd', 'svd_all'):
            names = {n for n in self._projection_names if self.visual.get_parameter(n).ndim == 2}
            names |= set(matrix_names(self.visual)) if trainable == 'svd_all' else set()
            self.svd = TrainedMatrices(self.visual, sorted(names))
        self.use_precision(precision)
        self.gpu_batch: int | None = None  # what its memory holds, once that is known
        self._hashed: tuple[list, str] | None = None  # state of the trunk's tensors, their digest
        self.train()

    def _check_arguments(self) -> None:
        require_one_of('trainable', self.trainable, TRAINABLE)
        require_one_of('precision', self.precision, PRECISIONS)
        require_one_of('output', self.output, OUTPUTS)
        if self.precision != 'float32' and not self.trunk_is_frozen:
            raise InputError(
                f"precision='{self.precision}' is for a frozen trunk, but "
                f"trainable='{self.trainable}' trains it; use precision='float32'",
                code='clip.bad_setting',
            )
        if self.output == 'trunk' and self.trainable != 'none':
            raise InputError(
                f"output='trunk' needs trainable='none', not '{self.trainable}'",
                code='clip.bad_setting',
            )

    @property
    def trunk_is_frozen(self) -> bool:
        """Whether training leaves :meth:`forward_trunk` as it is."""
        return self.trainable in ('none', 'proj', 'svd')

    @property
    def trunk_dim(self) -> int:
        """D_trunk, the width of :meth:`forward_trunk`'s output."""
        return self.tower.trunk_dim

    @property
    def embed_dim(self) -> int:
        """D, the width of the joint space."""
        return self.tower.embed_dim

    @property
    def out_dim(self) -> int:
        """Width of what :meth:`forward` gives."""
        return self.trunk_dim if self.output == 'trunk' else self.embed_dim

    def _freeze(self) -> None:
        projection = list(self.tower.projection())
        if self.trainable in ('proj', 'svd') and not projection:
            raise InputError(
                f"the image tower of '{self.model_name}' has no output projection, so "
                f"trainable='{self.trainable}' has nothing to train; use trainable='last_block'",
                code='clip.no_projection',
            )
        self.visual.requires_grad_(self.trainable == 'all')
        trained = projection if self.trainable in ('proj', 'last_block') else []
        if self.trainable == 'last_block':
            trained += self.tower.last_block()
        for parameter in trained:
            parameter.requires_grad = True

    def init_weights(self) -> None:
        """Load ``pretrained``; see :func:`mmpretrain_lmmreg.clip.model.load_visual`."""
        self._is_init = True
        if self.pretrained is None and not has_weights(self.model_name):
            print_log(
                f"'{self.model_name}' starts from random weights; give pretrained= an "
                'open_clip tag or a checkpoint file',
                'current',
                level=30,
            )
            return
        visual = load_visual(self.model_name, self.pretrained, self.image_size)
        self.visual.load_state_dict(visual.state_dict())
        if self.svd is not None:
            self.svd.decompose(self.visual)

    def use_precision(self, precision: str) -> None:
        """Run the trunk in another precision from now on."""
        projection = {name: self.visual.get_parameter(name).data for name in self._projection_names}
        self.visual.to(PRECISIONS[precision])
        for name, values in projection.items():
            self.visual.get_parameter(name).data = values
        self.precision = precision

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name in OLD_BUFFERS:
            state_dict.pop(f'{prefix}{name}', None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward_trunk(self, images: Tensor) -> Tensor:
        """Features before the projection: (B, 3, H, W) -> (B, D_trunk), float32.

        Images of another size than the model's raise InputError.
        """
        if tuple(images.shape[-2:]) != tuple(self.visual.image_size):
            found, wanted = (
                'x'.join(map(str, size)) for size in (images.shape[-2:], self.visual.image_size)
            )
            raise InputError(
                f"the images are {found}, but '{self.model_name}' takes {wanted}: change the "
                "pipelines' sizes, or set model.backbone.image_size",
                code='clip.other_image_size',
            )
        dtype = images.dtype
        if self.precision == 'bfloat16':
            images = images.bfloat16()
        if self.svd is not None and self.trainable == 'svd_all':
            return self.svd.call(self.visual, self.tower.trunk, images)
        trunk = self._trunk_in_parts if self.trunk_is_frozen else self.tower.trunk
        return trunk(images).to(dtype)

    def _trunk_in_parts(self, images: Tensor) -> Tensor:
        """Run 8 images at a time on a CPU; on a GPU what its memory holds, found by halving."""
        size = self.gpu_batch or (CPU_BATCH if images.device.type == 'cpu' else len(images))
        while True:
            try:
                return torch.cat([self.tower.trunk(part) for part in images.split(size)])
            except torch.cuda.OutOfMemoryError:
                if size == 1:
                    raise
            torch.cuda.empty_cache()
            self.gpu_batch = size = min(size, len(images)) // 2 or 1
            print_log(
                f"the GPU's memory is full: the trunk takes {size} images at a time", 'current'
            )

    def project(self, features: Tensor) -> Tensor:
        """Into the joint space: (B, D_trunk) -> (B, D)."""
        if self.svd is None:
            return self.tower.project(features)
        return self.svd.call(self.visual, self.tower.project, features)

    def visual_state(self) -> dict[str, Tensor]:
        """State dict of the image tower under open_clip's names, as it is now."""
        state = self.visual.state_dict()
        if self.svd is None:
            return state
        return state | {name: m.detach() for name, m in self.svd.matrices().items()}

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Embed images (B, 3, H, W), or trunk features (B, D_trunk), as ``(x,)``, x (B, D).

        With ``output='trunk'``, x is (B, D_trunk), not projected.
        """
        features = inputs if inputs.ndim == 2 else self.forward_trunk(inputs)
        return (features if self.output == 'trunk' else self.project(features),)

    def trunk_fingerprint(self) -> dict:
        """What determines the trunk's features of given pixels."""
        trunk = {
            name: value
            for name, value in self.visual.state_dict().items()
            if name not in self._projection_names
        }
        # hashed anew only after a tensor was replaced or written to, since it takes seconds
        state = [(value.data_ptr(), value._version) for value in trunk.values()]
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = state, digest_tensors(trunk)
        return dict(
            model_name=self.model_name,
            image_size=self.image_size,
            precision=self.precision,
            weights=self._hashed[1],
            **self._form,
        )

    def start_fingerprint(self) -> str:
        """Name of the weights that training begins with and the trunk's fingerprint leaves out.

        Of a frozen trunk those of the projection, else all.
        """
        state = self.visual.state_dict()
        names = self._projection_names if self.trunk_is_frozen else state
        return digest_tensors({name: state[name] for name in names})

    def train(self, mode: bool = True) -> 'OpenCLIPVisual':
        """Set the mode of what trains whole; everything else stays in eval mode."""
        if self.visual.training:  # else it is so already: no walk over all modules each epoch
            super().train(False)
        self.training = mode
        for module in self._train_whole:
            module.train(mode)
        return self
