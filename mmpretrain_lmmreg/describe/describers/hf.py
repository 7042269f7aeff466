"""Any chat VLM that Hugging Face's transformers can run, on this machine."""

import asyncio
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from ...errors import InputError
from . import REJECTED, Answer, Describer, Generation, reduced


class HFDescriber(Describer):
    """Asks a VLM through its own chat template, in left-padded batches.

    Args:
        model: Folder of the model, or its name on the hub.
        generation: How replies are sampled.
        batch_size: Images at a time.
        device: ``'auto'`` is the first GPU, or the CPU without one; ``'spread'`` lays
            the model over all accelerators.
        dtype: ``'auto'`` is that of the weights; or ``'bfloat16'``, ``'float16'``, ``'float32'``.
        max_pixels: Images are reduced to so many before the model's own processor sees them; by
            default it sees them whole.
    """

    concurrency = 1

    def __init__(
        self,
        model: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        batch_size: int = 8,
        device: str = 'auto',
        dtype: str = 'auto',
        max_pixels: int | None = None,
    ) -> None:
        if not model:
            raise InputError(
                '--describer hf needs --model: a folder, or a name on the hub',
                code='describe.model',
            )
        self.model, self.batch_size = model, batch_size
        self.deterministic = generation.temperature == 0
        self._generation = generation.for_transformers()
        self.settings = {'describer': 'hf', 'dtype': dtype, **self._generation}
        self.settings |= {'max_pixels': max_pixels} if max_pixels else {}
        self._max_pixels = max_pixels
        if dtype != 'auto':
            pick_dtype(dtype)
        place = {'device_map': 'auto'} if device == 'spread' else {}
        target = None if place else pick_device(device)
        try:
            self._processor = AutoProcessor.from_pretrained(model, padding_side='left')
            self._model = AutoModelForImageTextToText.from_pretrained(
                model, torch_dtype=dtype, **place
            )
            if not getattr(self._processor, 'chat_template', None):
                raise ValueError(
                    'it has no chat template; choose a chat model, such as an "instruct" one, or '
                    'put its chat_template.jinja into the folder'
                )
        except (OSError, ValueError) as error:
            raise InputError(
                f'--model {model}: no chat VLM that transformers can load ({error})',
                code='describe.model',
            ) from error
        if target:
            self._model.to(target)  # type: ignore[arg-type]  # a wrapper hides its signature
        self._model.eval()
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = 'left'
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    def prepare(self, image: Image.Image) -> Image.Image:
        """The image, reduced if asked for: the model's own processor brings it into shape."""
        return reduced(image, self._max_pixels) if self._max_pixels else image

    async def ask(self, images: list[Image.Image], prompts: list[str]) -> list[Answer]:
        """One generation for the whole batch."""
        pairs = list(zip(images, prompts, strict=True))
        return await asyncio.to_thread(split_when_full, self._generate, pairs)

    @torch.inference_mode()
    def _generate(self, pairs: list[tuple[Image.Image, str]]) -> list[Answer]:
        parts = (
            [{'type': 'image', 'image': image}, {'type': 'text', 'text': text}]
            for image, text in pairs
        )
        chats = [[{'role': 'user', 'content': content}] for content in parts]
        inputs = self._processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors='pt',
            padding=True,
        ).to(self._model.device, dtype=self._model.dtype)
        tokenizer = self._processor.tokenizer
        output: Any = self._model.generate(
            **inputs, **self._generation, pad_token_id=tokenizer.pad_token_id
        )
        output = output[:, inputs['input_ids'].shape[1] :]
        replies = tokenizer.batch_decode(output, skip_special_tokens=True)
        asked = inputs['attention_mask'].sum(dim=1).tolist()
        said = (output != tokenizer.pad_token_id).sum(dim=1).tolist()
        return [Answer(r, '', *n) for r, *n in zip(replies, asked, said, strict=True)]


DTYPES = ('float32', 'bfloat16', 'float16')


def pick_dtype(name: str) -> torch.dtype:
    """The dtype named; raises InputError for another than :data:`DTYPES`."""
    if name not in DTYPES:
        raise InputError(
            f'--options dtype={name}: choose auto, {", ".join(DTYPES)}', code='describe.option'
        )
    return getattr(torch, name)


def pick_device(name: str) -> torch.device:
    """The device named; the first GPU, or the CPU, for ``'auto'``.

    Raises:
        InputError: There is no such device, or it does not work.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as builds of torch do
        reason = str(error).partition('\n')[0]
        raise InputError(
            f'--options device={name}: it cannot be used here ({reason}); leave the option out for '
            'the first GPU, or the CPU where there is none',
            code='describe.option',
        ) from error
    return device


def split_when_full(generate, images: list) -> list[Answer]:
    """Run a batch; in halves where memory does not hold it or an image of it cannot be taken.

    An image alone that fails has an error for its answer.
    """
    try:
        return generate(images)
    except torch.cuda.OutOfMemoryError:
        if len(images) == 1:
            return [Answer(error='out of memory for a single image')]
        torch.cuda.empty_cache()
    except Exception as error:  # processors raise whatever an odd picture provokes
        if len(images) == 1:
            text = ' '.join(str(error).split())[:300]
            return [Answer(error=f'{type(error).__name__}: {text}', fault=REJECTED)]
    half = len(images) // 2
    return [*split_when_full(generate, images[:half]), *split_when_full(generate, images[half:])]
