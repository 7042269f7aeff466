"""What describe.py does, by its options."""

import tempfile
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config

from ..config import load_config
from ..describe import describers
from ..describe.images import ConfigImages
from ..describe.merge import merge, reparse
from ..describe.named import check_named
from ..describe.run import check_shard
from ..describe.summary import summarize
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..io.printing import plain
from .describe_ask import describe, describe_in_rounds
from .describe_budget import check_budget, chosen, write_check
from .describe_limits import run_batch
from .runner import quiet_log


def run(args: Namespace) -> int:
    """Carry the command out and give its exit code; raises InputError for the user's mistakes."""
    quiet_log()
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, check_shard(args.shard))
    out = args.out or images.descriptions_file(config)
    prompt = args.prompt or describers.PROMPT.format(args.count)
    check_budget(args)
    check_named(prompt, args.split, images.classes)
    errors = 0
    if args.merge:
        added = merge(args.merge, out, args.reparse, args.count)
        print(f'{added} records added to {out}')
    elif args.reparse:
        added, worse = reparse(out, args.count)
        print(f'{added} replies read better now')
        if worse:
            print(f'{worse} read worse; for a file that says so: --reparse --merge {out} --out NEW')
    elif args.batch_write or args.batch_read:
        errors = run_batch(args, chosen(args, config, images), images.classes, out, prompt)
    elif args.describer and args.preview and not args.out:
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            errors = describe(args, config, images, Path(folder, 'preview.jsonl'), prompt)
        print('the preview kept nothing; --out FILE would')
    elif args.until is not None:
        errors = describe_in_rounds(args, config, images, out, prompt)
    elif args.describer:
        errors = describe(args, config, images, out, prompt)
    elif not args.clip and not args.check:
        raise InputError('say who describes: --describer minigpt4, hf or openai')
    if not args.preview and not args.batch_write:
        _print_summary(args, config, images, out, prompt)
    return 3 if errors else 0


def _print_summary(args, config: Config, images: ConfigImages, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    if prompt not in store.prompts and len(store.prompts) == 1:
        prompt = store.prompts[0]
    print(plain(summarize(images, store, prompt, images.classes)))
    if args.check:
        write_check(args, config, images, out, prompt)
        return
    if args.clip:
        from ..describe.untrained import zero_shot  # loads a CLIP model's parts

        print(zero_shot(args.clip, config, images, store, prompt))
