"""What several tests of this room use: images, a describer without a model, one run."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmpretrain_lmmreg.cli.describe import parser
from mmpretrain_lmmreg.cli.describe_run import run
from mmpretrain_lmmreg.describe.describers import Answer
from mmpretrain_lmmreg.describe.plan import DescribePlan
from mmpretrain_lmmreg.describe.run import opened
from mmpretrain_lmmreg.describe.tasks import Task

OPENAI = ('--describer', 'openai', '--model', 'vlm', '--options', 'backoff=0.001')
PROMPT = 'Give 10 semantic descriptions for the image'
TEN = '\n'.join(f'{i}. Thing {chr(96 + i)}.' for i in range(1, 11))

CONFIG = """
data = dict(type='CustomDataset', data_root={root!r}, pipeline=[dict(type='LoadImageFromFile')])
train_dataloader = dict(dataset=dict(data, data_prefix='train'))
test_dataloader = dict(dataset=dict(data, data_prefix='test'))
"""


def make_images(root: Path, train: int = 6, test: int = 2) -> list[Task]:
    """Folders train and test with two classes of small images, all different."""
    tasks = []
    for split, count in (('train', train), ('test', test)):
        for index in range(count):
            name = f'{split}/{("cat", "red dog")[index % 2]}/a {index:04d}.png'
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([index, len(split)])
            pixels = rng.integers(0, 255, (9 + index % 3, 12, 3), np.uint8)
            Image.fromarray(pixels).save(path)
            tasks.append(Task(name, str(path), index % 2))
    return [task for task in tasks if task.image.startswith('train')]


class Scripted:
    """A describer that gives the replies it is told to, and notes what it was asked."""

    model, batch_size, concurrency, deterministic = 'scripted', 1, 2, False

    def __init__(self, *replies: str | Answer, settings=None, **attributes) -> None:
        self.replies, self.settings = list(replies), settings or {}
        self.batches: list[list] = []
        self.prompts: list[str] = []
        vars(self).update(attributes)

    def prepare(self, image):
        return image.size

    async def close(self):
        self.closed = True

    async def ask(self, images, prompts):
        self.batches.append(images)
        self.prompts.extend(prompts)
        replies = [self.replies.pop(0) if self.replies else TEN for _ in images]
        return [r if isinstance(r, Answer) else Answer(r, '', 7, 3) for r in replies]


def describe(path: Path, tasks, describer, **options):
    """One run into a file; options of the plan and of the run. Gives its tally."""
    names = set(DescribePlan.__dataclass_fields__) & set(options)
    plan = DescribePlan(
        **{'prompt': PROMPT, 'replace': True, **{name: options.pop(name) for name in names}}
    )
    with opened(plan, path, describer=describer, **options) as run:
        return run(tasks)


def call(config, *options):
    """The command, with a config and options; gives its exit code."""
    return run(parser().parse_args([str(config), *map(str, options)]))
