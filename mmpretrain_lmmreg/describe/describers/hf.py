"""Any chat VLM that Hugging Face's transformers can run, on this machine."""

import asyncio
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from ...errors import InputError
from . import Answer, Generation


class HFDescriber:
    """Asks a VLM through its own chat template, in left-padded batches.

    Args:
        model: Folder of the model, or its name on the hub.
        prompt: What is asked about each image.
        generation: How replies are sampled.
        batch_size: Images at a time.
        device: ``'auto'`` is the first GPU, or the CPU without one; ``'spread'`` lays
            the model over all accelerators.
        dtype: ``'auto'`` is that of the weights; or ``'bfloat16'``, ``'float16'``, ``'float32'``.
    """

    concurrency = 1

    def __init__(
        self,
        model: str,
        prompt: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        batch_size: int = 8,
        device: str = 'auto',
        dtype: str = 'auto',
    ) -> None:
        if not model:
            raise InputError('--describer hf needs --model: a folder, or a name on the hub')
        self.model, self.prompt, self.batch_size = model, prompt, batch_size
        self.deterministic = generation.temperature == 0
        self._generation = generation.for_transformers()
        self.settings = {'describer': 'hf', 'dtype': dtype, **self._generation}
        place = {'device_map': 'auto'} if device == 'spread' else {}
        try:
            self._processor = AutoProcessor.from_pretrained(model, padding_side='left')
            self._model = AutoModelForImageTextToText.from_pretrained(
                model, torch_dtype=dtype, **place
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f'--model {model}: not a VLM that transformers can load ({error})'
            ) from error
        if not place:
            self._model.to(pick_device(device))  # type: ignore[arg-type]  # a wrapper hides its signature
        self._model.eval()
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = 'left'
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    def prepare(self, image: Image.Image) -> Image.Image:
        """The image as it is: the model's own processor brings it into shape."""
        return image

    async def ask(self, images: list[Image.Image]) -> list[Answer]:
        """One generation for the whole batch."""
        return await asyncio.to_thread(split_when_full, self._generate, images)

    async def close(self) -> None:
        """Nothing is left open."""

    @torch.inference_mode()
    def _generate(self, images: list[Image.Image]) -> list[Answer]:
        text = {'type': 'text', 'text': self.prompt}
        chats = [
            [{'role': 'user', 'content': [{'type': 'image', 'image': image}, text]}]
            for image in images
        ]
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
        return [
            Answer(reply, '', n_in, n_out)
            for reply, n_in, n_out in zip(replies, asked, said, strict=True)
        ]


def pick_device(name: str) -> torch.device:
    """The device named; the first GPU, or the CPU, for ``'auto'``."""
    if name != 'auto':
        return torch.device(name)
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def split_when_full(generate, images: list) -> list[Answer]:
    """Run a batch; in halves where the accelerator's memory does not hold it."""
    try:
        return generate(images)
    except torch.cuda.OutOfMemoryError:
        if len(images) == 1:
            return [Answer(error='out of memory for a single image')]
    torch.cuda.empty_cache()
    half = len(images) // 2
    return [*split_when_full(generate, images[:half]), *split_when_full(generate, images[half:])]
