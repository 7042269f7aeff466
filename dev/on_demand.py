"""Curves and tables of describing on demand: ``python dev/on_demand.py run OUT``, then ``tables``.

``run`` keeps, for each data set and seed, accuracies by share of described images in OUT/*.json; a
stopped run goes on. ``time`` measures ``predict`` with and without the method. On the demo each
seed is another draw of all pictures, 1 to 5, and an erring reply is the one about a picture of
another class. Of BAR ($BAR_ROOT) the described images are used, 300 to train and 180 to test; a
seed is another order of the images, so other folds.

Settings are compared on the held-out described training images alone (``held``). CascadeVLM's
answers are drawn on the demo; of BAR they are the class that the first description names.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from scipy.stats import binomtest
from torch import Tensor
from torch.utils.data import DataLoader

import mmpretrain_lmmreg.register  # noqa: F401
from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.describe.text_quality import class_pattern, names_in
from mmpretrain_lmmreg.descriptions import AttachDescriptions
from mmpretrain_lmmreg.heads.inputs import HeadInputs
from mmpretrain_lmmreg.heads.logreg import LogisticRegressionHead
from mmpretrain_lmmreg.heads.on_demand import fit_product, margins
from mmpretrain_lmmreg.heads.stacking import fold_numbers, stacking_weights
from mmpretrain_lmmreg.io.files import save_atomic
from mmpretrain_lmmreg.text.class_sentences import without_names
from mmpretrain_lmmreg.text.embedding import embed_lists
from mmpretrain_lmmreg.text.prompts import count_texts

SHARES = (0, 0.1, 0.2, 0.3, 0.5, 1)
COUNTS, RATES, PER_CLASS = (1, 2, 5, 10), (0, 0.1, 0.3, 0.6, 1), (1, 2, 5, 10)
MEASURES = ('margin', 'entropy', 'expected gain', 'random')
SEEDS = range(1, 6)
CANDIDATES = 3  # classes that CascadeVLM's prompt names


class Images:
    """Embeddings, labels and descriptions of a split."""

    def __init__(self, cfg, split: str, model) -> None:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, split=split))
        loop = SimpleNamespace(dataloader=DataLoader(dataset, 64, num_workers=1))
        self.inputs = HeadInputs(model, [loop], cfg.templates, source='auto')
        self.x, self.labels = self.inputs.image_embeddings
        self.groups, self.classes = self.inputs.groups, self.inputs.classes
        attach, infos = AttachDescriptions(missing='skip'), map(dataset.get_data_info, self.rows)
        self.texts = [attach.find(info) or [] for info in infos]
        self.described = torch.tensor([i for i in self.rows if self.texts[i]])

    @property
    def rows(self) -> range:
        return range(len(self.labels))


class Data:
    """Training and test images of a draw, in an order of its own, with image scores.

    Attributes:
        held, test: Image scores of the described training images, by classifiers that had not
            seen them, and of the described test images; calibrated log-probabilities.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed = name, seed
        self.rng = np.random.default_rng(seed)
        base = 'lmmreg_demo.py' if name == 'demo' else 'lmmreg_bar_lite0.py'
        cfg = load_config(method_file('describe_on_demand'), str(config_folder() / base))
        if name == 'demo':
            cfg.train_dataloader.dataset.draw = seed
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(cfg.model)
            model.init_weights()
        self.C = cfg.model.head.classifier.C
        self.train, test = (Images(cfg, split, model.eval()) for split in ('train', 'test'))
        self.prompts = test.inputs.text_means(*test.inputs.name_texts(), True)
        self.tower, self.classes = test.inputs.text_tower, test.classes
        self._score(test)
        train = self.train
        self.labels, self.groups = train.labels[train.described], train.groups[train.described]
        self.truth = test.labels[test.described]
        self.texts = [train.texts[i] for i in train.described]
        self.test_texts = [test.texts[i] for i in test.described]

    def _score(self, test: Images) -> None:
        train, order = self.train, torch.from_numpy(self.rng.permutation(len(self.train.rows)))
        fold = torch.empty(len(order), dtype=torch.long)
        fold[order] = fold_numbers(train.labels[order], train.groups[order], 5)
        scores = torch.zeros(len(order), len(self.classes))
        for number in fold.unique():
            out = fold == number
            scores[out] = self._classifier(~out)((train.x[out],))
        self.test_x = test.x[test.described]
        final = self._classifier(torch.ones_like(fold, dtype=torch.bool))((self.test_x,))
        (scale,) = stacking_weights([scores], train.labels)
        self.held, self.test = (
            (scale * each).log_softmax(1) for each in (scores[train.described], final)
        )

    def _classifier(self, rows: Tensor) -> LogisticRegressionHead:
        head = LogisticRegressionHead(len(self.classes), self.train.x.shape[1], C=self.C)
        head.fit(self.train.x[rows], self.train.labels[rows])
        return head

    def embed(self, lists: list[list[str]]) -> Tensor:
        """Unit vectors of each list's mean embedding; an empty one is an empty text."""
        means = [each.mean(0) for each in embed_lists([t or [''] for t in lists], self.tower)]
        return F.normalize(torch.stack(means), dim=1)

    def other(self, lists: list, labels: Tensor, rate: float, same: bool = False) -> list:
        """Lists of which a share is that of another image, of another class or the same one."""
        every = np.arange(len(lists))
        found = list(lists)
        for i in self.rng.permutation(len(lists))[: round(rate * len(lists))]:
            alike = (labels == labels[i]).numpy() == same
            found[i] = lists[self.rng.choice(every[alike & (every != i)])]
        return found

    def shuffled(self, lists: list) -> list:
        """Lists of images drawn at random, which tell nothing."""
        return [lists[i] for i in self.rng.integers(len(lists), size=len(lists))]

    def cut(self, lists: list, labels: Tensor) -> list:
        """Lists with the name of the image's class cut out."""
        found = []
        for texts, label in zip(lists, labels.tolist(), strict=True):
            unique, counts = count_texts(
                [texts if c == label else [] for c in range(len(self.classes))]
            )
            found.append(without_names(unique, counts, self.classes)[0])
        return found

    def choose(self, chosen: Tensor, rate: float) -> Tensor:
        """Answers among candidates (n, K), of which a share is another one than the right one."""
        labels = self.truth.clone()
        for i in self.rng.permutation(len(labels))[: round(rate * len(labels))]:
            labels[i] = self.rng.choice([c for c in chosen[i].tolist() if c != labels[i]])
        return labels

    def named(self, lists: list, patterns: list) -> Tensor:
        """Label of the one class that each list names, else -1."""
        found = [{label for text in texts for label in names_in(text, patterns)} for texts in lists]
        return torch.tensor([each.pop() if len(each) == 1 else -1 for each in found])


def fitted(data: Data, texts: list, test_texts: list, rows: Tensor | None = None):
    """Held-out probabilities (n, N_c), those of the test images, and the exponents."""
    rows = torch.arange(len(texts)) if rows is None else rows
    embedded = data.embed(texts)[rows]
    args = data.held[rows], embedded, data.prompts, data.labels[rows], data.groups[rows]
    product = fit_product(*args)
    image = product.exponents[0] * data.test
    logits = image + F.linear(data.embed(test_texts), product.weight, product.bias)
    return product.left_out, logits.softmax(1), product.exponents


def order_by(measure: str, image: Tensor, gain=None, rng=None) -> Tensor:
    """Rows of log-probabilities (n, N_c), the ones to be described first."""
    p = image.exp()
    gain, rng = gain if gain is not None else p.new_zeros(p.shape[1]), rng or np.random
    values = {
        'margin': margins(p),
        'entropy': (p * image).sum(1),
        'expected gain': p.max(1).values - p @ gain,
        'random': torch.from_numpy(rng.permutation(len(p))),
    }
    return values[measure].argsort(stable=True)


def curve(image: Tensor, product: Tensor, labels: Tensor, order: Tensor) -> list[float]:
    """Accuracy in per cent at each of :data:`SHARES`."""
    before, after = ((each.argmax(1) == labels)[order].double() for each in (image, product))
    counts = [int(share * len(order) + 1e-9) for share in SHARES]
    return [100 * torch.cat([after[:n], before[n:]]).mean().item() for n in counts]


def class_accuracy(product: Tensor, labels: Tensor) -> Tensor:
    """Held-out accuracy of each class, drawn to the mean of all by five images' worth."""
    right = (product.argmax(1) == labels).double()
    sums = torch.zeros(product.shape[1], dtype=torch.double).index_add_(0, labels, right)
    sizes = torch.bincount(labels, minlength=product.shape[1])
    return ((sums + 5 * right.mean()) / (sizes + 5)).float()


def both(data: Data, held: Tensor, test: Tensor, measure: str = 'margin') -> dict:
    """Curves on held-out training images and on test images."""
    gain = class_accuracy(held, data.labels)
    return {
        'held': curve(data.held, held, data.labels, order_by(measure, data.held, gain, data.rng)),
        'test': curve(data.test, test, data.truth, order_by(measure, data.test, gain, data.rng)),
    }


def run_one(data: Data) -> dict:
    """All curves of a data set and seed, by the name of the setting."""
    found: dict[str, dict] = {}

    def add(name: str, texts: list, test_texts: list, rows: Tensor | None = None) -> None:
        held, test, exponents = fitted(data, texts, test_texts, rows)
        if rows is None:
            found[name] = both(data, held, test)
        else:
            found[name] = {'test': curve(data.test, test, data.truth, by_margin)}
        found[name]['exponents'] = exponents

    by_margin = order_by('margin', data.test)
    first, test_first = ([t[:1] for t in lists] for lists in (data.texts, data.test_texts))
    for count in COUNTS:
        texts, test_texts = ([t[:count] for t in each] for each in (data.texts, data.test_texts))
        held, test, _ = fitted(data, texts, test_texts)
        for measure in MEASURES:
            found[f'descriptions {count}, {measure}'] = both(data, held, test, measure)
        fifth = order_by('margin', data.held)[: len(held) // 5]
        right = data.held.argmax(1) == data.labels
        right[fifth] = (held.argmax(1) == data.labels)[fifth]
        found[f'descriptions {count}, margin']['right'] = right.int().tolist()
    for count in PER_CLASS:
        order = torch.from_numpy(data.rng.permutation(len(first)))
        rows = [order[data.labels[order] == c][:count] for c in range(len(data.classes))]
        add(f'described a class {count}', first, test_first, torch.cat(rows))
    for rate in RATES if data.name == 'demo' else ():
        wrong = data.other(first, data.labels, rate), data.other(test_first, data.truth, rate)
        add(f'errors {rate:.0%}', *wrong)
    add('random image', data.shuffled(first), data.shuffled(test_first))
    add('another image of the class', first, data.other(test_first, data.truth, 1, same=True))
    add('image of another class', first, data.other(test_first, data.truth, 1))
    add('class name cut out', data.cut(first, data.labels), data.cut(test_first, data.truth))
    found |= rivals(data, test_first, by_margin)
    return found


def rivals(data: Data, test_first: list, by_margin: Tensor) -> dict:
    """What else can be done with descriptions, or with questions."""
    found: dict[str, dict] = {}
    stems = [
        re.compile(rf'\b{name.split()[-1].removesuffix("ing")}\w*', re.I) for name in data.classes
    ]
    exact = [class_pattern(name) for name in data.classes]
    named = {}
    for name, patterns in (('string match', exact), ('string match, stems', stems)):
        named[name] = data.named(test_first, patterns)
        label = torch.where(named[name] < 0, data.test.argmax(1), named[name])
        answer = F.one_hot(label, len(data.classes))
        found[name] = {'test': curve(data.test, answer, data.truth, by_margin)}
    prompts = F.normalize(data.prompts, dim=1)
    zero_shot = (100 * F.normalize(data.test_x, dim=1) @ prompts.T).log_softmax(1)
    chosen, by_entropy = zero_shot.topk(CANDIDATES, dim=1).indices, order_by('entropy', zero_shot)
    answers = {'named in the description': named['string match, stems']}
    if data.name == 'demo':
        answers = {f'errors {rate:.0%}': data.choose(chosen, rate) for rate in RATES}
    for name, label in answers.items():
        label = torch.where((chosen == label[:, None]).any(1), label, zero_shot.argmax(1))
        answer = F.one_hot(label, len(data.classes))
        found[f'cascade_vlm, {name}'] = {'test': curve(zero_shot, answer, data.truth, by_entropy)}
    return found


def run(out: Path) -> None:
    """Keep the curves of each data set and seed."""
    for name in ('demo', 'bar'):
        for seed in SEEDS if name == 'demo' or os.environ.get('BAR_ROOT') else ():
            file = out / f'{name}_{seed}.json'
            if file.exists():
                continue
            began = time.time()
            found = run_one(Data(name, seed))
            with save_atomic(file) as opened:
                opened.write(json.dumps(found, indent=1).encode())
            print(f'{file.name}: {time.time() - began:.0f} s', flush=True)


def print_tables(out: Path) -> None:
    """Means over seeds, standard deviations, and pairs with the image classifier."""
    for name in ('demo', 'bar'):
        found = [json.loads(file.read_text()) for file in sorted(out.glob(f'{name}_*.json'))]
        for split in ('held', 'test') if found else ():
            print(
                f'\n| {name}, {split}, {len(found)} seeds | '
                + ' | '.join(f'{s:.0%}' for s in SHARES)
            )
            print('|---' * (len(SHARES) + 1) + '|')
            for setting in found[0]:
                rows = np.array([each[setting][split] for each in found if split in each[setting]])
                if len(rows):
                    cells = [
                        f'{m:.1f} ± {s:.1f}'
                        for m, s in zip(rows.mean(0), rows.std(0, ddof=1), strict=True)
                    ]
                    print(f'| {setting} | ' + ' | '.join(cells) + ' |')
        if found:
            print_counts(name, found)
        for setting in (s for s in (found or [{}])[0] if s.startswith(('errors', 'random'))):
            rows = np.array([each[setting]['test'] for each in found])
            gains = rows - rows[:, :1]
            half = 2.776 * gains.std(0, ddof=1) / len(gains) ** 0.5  # t of 4 degrees of freedom
            cells = [f'{m:+.2f} ± {h:.2f}' for m, h in zip(gains.mean(0), half, strict=True)]
            exponents = np.mean([each[setting]['exponents'] for each in found], 0).round(2)
            print(f'{name}, {setting}: gain and 95 % interval {", ".join(cells)}')
            print(f'{name}, {setting}: exponents {exponents}')


def print_counts(name: str, found: list[dict]) -> None:
    """Held-out images, a fifth described, that ten descriptions or fewer classify rightly."""
    for count in COUNTS[:-1]:
        for seed, each in enumerate(found, 1):
            few, ten = (each[f'descriptions {n}, margin']['right'] for n in (count, COUNTS[-1]))
            lost = sum(t > f for f, t in zip(few, ten, strict=True))
            won = sum(f > t for f, t in zip(few, ten, strict=True))
            p = binomtest(lost, lost + won).pvalue if lost + won else 1.0
            print(f'{name}, seed {seed}: {count} for 10: {won} won, {lost} lost, {p=:.2f}')


def main() -> None:
    """Run or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', choices=['run', 'tables'])
    parser.add_argument('out', type=Path)
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    args.out.mkdir(parents=True, exist_ok=True)
    {'run': run, 'tables': print_tables}[args.what](args.out)


if __name__ == '__main__':
    main()
