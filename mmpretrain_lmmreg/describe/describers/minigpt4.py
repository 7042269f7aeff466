"""The paper's own describer: MiniGPT-4 in mmpretrain's implementation."""

import asyncio
from functools import partial
from os.path import exists
from pathlib import Path
from typing import Any

import mmpretrain
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import load_state_dict
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList

from ...errors import InputError, MissingInputError
from ...io.trusted import read_checkpoint
from . import Answer, Describer, Generation
from .hf import pick_device, pick_dtype, split_when_full

TEMPLATE = '###Human: <Img><ImageHere></Img> {} ###Assistant: '
"""MiniGPT-4's own; mmpretrain's says Ask and Answer, which Vicuna was not tuned on."""

_RESIZE = dict(type='Resize', scale=(224, 224), interpolation='bicubic', backend='pillow')


class MiniGPT4Describer(Describer):
    """Asks MiniGPT-4 in its official template and settings.

    What reaches the language model is: beginning of sentence, the template up to the image,
    the image's tokens, the rest of the template; a mask of ones. A reply ends at ``###``,
    however it is cut into tokens, or at the end of sentence.

    Args:
        model: A config file, or the name of one of mmpretrain's.
        generation: How replies are sampled.
        batch_size: Images at a time.
        checkpoint: MiniGPT-4's own weights, with the projection into the language model.
        llm: Folder of the language model and its tokenizer, in place of the config's.
        vision: Weights of the vision tower, in place of the config's.
        qformer: Weights of the Q-Former, in place of the config's.
        bert: Folder with the Q-Former's ``config.json``, in place of the config's.
        device: ``'auto'`` is the first GPU, or the CPU without one.
        dtype: Of the language model; ``'auto'`` is float16 on a GPU, float32 on a CPU.
    """

    concurrency = 1

    def __init__(
        self,
        model: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        batch_size: int = 4,
        checkpoint: str | None = None,
        llm: str | None = None,
        vision: str | None = None,
        qformer: str | None = None,
        bert: str | None = None,
        device: str = 'auto',
        dtype: str = 'auto',
    ) -> None:
        model = model or 'minigpt-4_vicuna-7b_caption'
        config = _read_config(model)
        parts = {'llm': llm, 'vision': vision, 'qformer': qformer, 'bert': bert}
        _put_in(config, parts, checkpoint)
        self.device = pick_device(device)
        self.model, self.batch_size = Path(model).stem, batch_size
        self.deterministic = generation.temperature == 0
        self._generation = generation.for_transformers()
        self._generation |= {'min_length': 1, 'length_penalty': 1.0}
        self.settings = {
            'describer': 'minigpt4',
            'template': TEMPLATE,
            'checkpoint': str(checkpoint),
            **parts,
            'dtype': dtype,
            **self._generation,
        }
        if dtype == 'auto':
            dtype = 'float32' if self.device.type == 'cpu' else 'float16'
        number_type = pick_dtype(dtype)
        self._pipeline = _pipeline(config)
        self._model: Any = _load(config, checkpoint).to(self.device).eval()
        self._model.llama_model.to(number_type)

    def prepare(self, image: Image.Image) -> dict:
        """The image through the config's test pipeline."""
        pixels = np.asarray(image)[:, :, ::-1]  # BGR, as mmcv loads it
        size = pixels.shape[:2]
        return self._pipeline({'img': pixels, 'img_shape': size, 'ori_shape': size})

    async def ask(self, images: list[dict], prompts: list[str]) -> list[Answer]:
        """One generation for all images of one prompt."""
        answers: dict[int, Answer] = {}
        for prompt in dict.fromkeys(prompts):
            own = [i for i, other in enumerate(prompts) if other == prompt]
            generate = partial(self._generate, prompt)
            replies = await asyncio.to_thread(split_when_full, generate, [images[i] for i in own])
            answers.update(zip(own, replies, strict=True))
        return [answers[i] for i in range(len(images))]

    @torch.inference_mode()
    def _generate(self, prompt: str, images: list[dict]) -> list[Answer]:
        data = {'inputs': torch.stack([image['inputs'] for image in images])}
        pixels = self._model.data_preprocessor(data, training=False)['images']
        embeddings = self.inputs(pixels, prompt)
        tokenizer = self._model.llama_tokenizer
        output = self._model.llama_model.generate(
            inputs_embeds=embeddings,
            attention_mask=torch.ones(embeddings.shape[:2], dtype=torch.long, device=self.device),
            stopping_criteria=StoppingCriteriaList([StopAtTurn(tokenizer)]),
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            **self._generation,
        )
        said = (output != tokenizer.eos_token_id).sum(dim=1).tolist()
        replies = tokenizer.batch_decode(output, skip_special_tokens=True)
        return [
            Answer(reply.partition('###')[0].strip(), '', embeddings.shape[1], n_out)
            for reply, n_out in zip(replies, said, strict=True)
        ]

    def inputs(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        """What the language model is given: (B, L, D) for images (B, 3, H, W)."""
        image_tokens, _ = self._model.encode_img(pixels)
        table = self._model.llama_model.get_input_embeddings()
        ids = [torch.tensor([part], device=self.device) for part in self.token_ids(prompt)]
        before, after, rows = table(ids[0]), table(ids[1]), len(pixels)
        whole = [before.expand(rows, -1, -1), image_tokens, after.expand(rows, -1, -1)]
        return torch.cat([part.to(before.dtype) for part in whole], dim=1)

    def token_ids(self, prompt: str) -> tuple[list[int], list[int]]:
        """Token ids before the image, beginning of sentence first, and behind it."""
        before, after = TEMPLATE.format(prompt).split('<ImageHere>')
        tokenizer = self._model.llama_tokenizer
        ids = [tokenizer(part, add_special_tokens=False).input_ids for part in (before, after)]
        return [tokenizer.bos_token_id, *ids[0]], ids[1]


class StopAtTurn(StoppingCriteria):
    """Ends a reply at ``###``, whichever tokens spell it."""

    def __init__(self, tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        """Which rows (B,) of the tokens so far (B, L) have ended."""
        ends = self._tokenizer.batch_decode(input_ids[:, -4:])
        return torch.tensor(['###' in end for end in ends], device=input_ids.device)


def _read_config(model: str) -> Config:
    """A config by its file, or by its name among mmpretrain's own."""
    path = Path(model)
    if not path.is_file():
        folder = Path(mmpretrain.__file__).parent / '.mim' / 'configs' / 'minigpt4'
        path = folder / f'{model}.py'
    if not path.is_file():
        raise MissingInputError(
            f'--model {model}: no such config file, nor one of mmpretrain: '
            f'{", ".join(sorted(p.stem for p in folder.glob("minigpt-4_*.py")))}',
            code='describe.model',
        )
    config = Config.fromfile(path)
    if config.get('model', {}).get('type') != 'MiniGPT4':
        raise InputError(f'{path}: its model is not a MiniGPT4', code='describe.model')
    if 'data_preprocessor' in config:
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    return config


def _put_in(config: Config, parts: dict[str, str | None], checkpoint: str | None) -> None:
    """Put the user's files in the config's places; all that are missing are named at once."""
    places = {
        'llm': ('lang_encoder.name_or_path', 'tokenizer.name_or_path'),
        'vision': ('vision_encoder.pretrained',),
        'qformer': ('q_former_model.pretrained',),
        'bert': ('q_former_model.model_style',),
    }
    given = {k: v for k, v in {**parts, 'checkpoint': checkpoint}.items() if v is not None}
    missing = [f'{part}={path} does not exist' for part, path in given.items() if not exists(path)]
    for part in places.keys() & given:
        config.merge_from_dict({f'model.{place}': given[part] for place in places[part]})
    if 'YOUR_PATH' in str([config.model.lang_encoder, config.model.tokenizer]):
        missing.append('llm=FOLDER is needed: the language model, such as Vicuna-7B v0')
    if checkpoint is None and 'load_from' not in config:
        missing.append("checkpoint=FILE is needed: MiniGPT-4's projection")
    if missing:
        raise MissingInputError(
            '--describer minigpt4, --options: ' + '; '.join(missing), code='describe.model'
        )


def _load(config: Config, checkpoint: str | None) -> torch.nn.Module:
    try:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(config.model)
            state = read_checkpoint(checkpoint or config.load_from, 'cpu')['state_dict']
            load_state_dict(model, state)
    except OSError as error:
        raise InputError(f'MiniGPT-4 cannot be loaded: {error}', code='describe.model') from error
    if not any(key.endswith('llama_proj.weight') for key in state):
        raise InputError(
            f"{checkpoint}: no MiniGPT-4 checkpoint, since 'llama_proj' is not in it",
            code='describe.model',
        )
    return model


def _pipeline(config: Config) -> Compose:
    """The config's test pipeline behind the loading of the image."""
    steps = config.get('test_dataloader', {}).get('dataset', {}).get('pipeline') or [_RESIZE]
    steps = [s for s in steps if s['type'] not in ('LoadImageFromFile', 'PackInputs')]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Compose([TRANSFORMS.build(s) for s in [*steps, dict(type='PackInputs')]])
