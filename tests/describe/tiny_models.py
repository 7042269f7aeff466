"""Tiny, randomly initialised models of real kinds, saved to folders: nonsense by a real path."""

import json
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SENTENCES = [
    f'{n}. A {a} {b} on the {c}.'
    for n in range(1, 11)
    for a in ('red', 'tall', 'quiet', 'wet')
    for b in ('climber', 'boat', 'racer')
    for c in ('ice', 'river', 'track')
] + [
    'Give 10 semantic descriptions for the image',
    '###Human: <Img></Img> ###Assistant: ##### ## #',
]

CHAT = (
    '{% for m in messages %}{{ m.role }}: {% for c in m.content %}'
    "{% if c.type == 'text' %}{{ c.text }}{% else %}<image>{% endif %}"
    "{% endfor %}{{ '\\n' }}{% endfor %}"
    '{% if add_generation_prompt %}assistant: {% endif %}'
)


def make_llava(folder: Path) -> Path:
    """A LLaVA: CLIP vision tower of 56 px, Llama of two layers, a byte-level BPE, a template."""
    torch.manual_seed(0)
    bpe = ByteLevelBPETokenizer()
    specials = ['<s>', '</s>', '<pad>', '<image>']
    bpe.train_from_iterator(SENTENCES, vocab_size=400, special_tokens=specials)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        bos_token='<s>',
        eos_token='</s>',
        pad_token='<pad>',
        additional_special_tokens=['<image>'],
        model_input_names=['input_ids', 'attention_mask'],
    )
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        projection_dim=16,
    )
    text = _llama_config(len(tokenizer), bos=0, eos=1, pad=2)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision, text, image_token_index=tokenizer.convert_tokens_to_ids('<image>'))
    )
    model.save_pretrained(folder)
    size = {'height': 56, 'width': 56}
    LlavaProcessor(
        CLIPImageProcessor(size={'shortest_edge': 56}, crop_size=size),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy='default',
        num_additional_image_tokens=1,
        chat_template=CHAT,
    ).save_pretrained(folder)
    return folder


def _llama_config(vocabulary: int, bos: int, eos: int, pad: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.5,  # so that the picture, not only the prompt, decides the words
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )


def make_minigpt4(folder: Path) -> tuple[Path, dict[str, str]]:
    """mmpretrain's MiniGPT4, everything tiny: a config, and the options with its files."""
    import sentencepiece

    torch.manual_seed(0)
    llm, bert = folder / 'llm', folder / 'bert'
    llm.mkdir(parents=True)
    bert.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(llm / 'tokenizer'),
        vocab_size=200,
        hard_vocab_limit=False,
        byte_fallback=False,
        character_coverage=1.0,
        user_defined_symbols=['###'],
        minloglevel=2,
    )
    tokenizer = LlamaTokenizer(str(llm / 'tokenizer.model'), legacy=True)
    tokenizer.save_pretrained(llm)
    LlamaForCausalLM(_llama_config(len(tokenizer), bos=1, eos=2, pad=2)).save_pretrained(llm)
    bert_config = dict(
        model_type='bert',
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=64,
        max_position_embeddings=32,
    )
    (bert / 'config.json').write_text(json.dumps(bert_config))
    config = folder / 'minigpt-4_tiny.py'
    config.write_text(_MINIGPT4)
    checkpoint = folder / 'projection.pth'
    weights = {'llama_proj.weight': torch.randn(32, 16) * 3, 'llama_proj.bias': torch.zeros(32)}
    torch.save({'state_dict': weights}, checkpoint)
    return config, {'llm': str(llm), 'bert': str(bert), 'checkpoint': str(checkpoint)}


_MINIGPT4 = """
data_preprocessor = dict(
    type='MultiModalDataPreprocessor',
    mean=[122.770938, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
    to_rgb=True)
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(28, 28), interpolation='bicubic', backend='pillow'),
    dict(type='PackInputs', meta_keys=['image_id'])]))
model = dict(
    type='MiniGPT4',
    vision_encoder=dict(
        type='BEiTViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=28, patch_size=14, layer_scale_init_value=0.0, frozen_stages=2,
        use_abs_pos_emb=True, use_rel_pos_bias=False, final_norm=False,
        use_shared_rel_pos_bias=False, out_type='raw'),
    q_former_model=dict(
        type='Qformer', model_style='bert-base-uncased', vision_model_width=16,
        add_cross_attention=True, cross_attention_freq=2, num_query_token=4),
    num_query_token=4,
    lang_encoder=dict(type='AutoModelForCausalLM', name_or_path='YOUR_PATH_TO_VICUNA'),
    tokenizer=dict(type='LlamaTokenizer', name_or_path='YOUR_PATH_TO_VICUNA'),
    raw_prompts=dict(en=['<Img><ImageHere></Img> Describe this image in detail.']))
"""
