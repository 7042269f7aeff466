"""CLIP's own tokenizer on texts of any length."""

from open_clip.tokenizer import SimpleTokenizer


def read_no_further(tokenizer: SimpleTokenizer) -> SimpleTokenizer:
    """Let a tokenizer read of a text no more than can be in its context; returns it.

    Its time grows with the square of a word's length: 32,000 letters without a space, as pictures
    in base64 are, take minutes.
    """
    # a token more than the context, by which a text that is cut is told
    limit = max(map(len, tokenizer.encoder)) * (tokenizer.context_length + 1)
    clean = tokenizer.clean_fn
    tokenizer.clean_fn = lambda text: clean(text)[:limit]
    return tokenizer
