"""The report page: what it says, and that text from data stays text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.evidence import report, stats
from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.io.files import sealed

from .conftest import made_up


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.ids = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == 'id']


def test_text_from_data_stays_text(page):
    tags = Tags(page).tags
    assert tags.count('script') == 1 and 'i' not in tags and 'b' not in tags
    assert '&lt;i&gt;base&lt;/i&gt;' in page and '&lt;script&gt;alert(1)' in page
    assert 'Rocks &amp; ropes.' in page and 'ra$ci$ng' in page


def test_the_page_needs_nothing_beside_it(page):
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert links and all(link.startswith(('#', 'data:')) for link in links)
    assert '@import' not in page and 'url(http' not in page


def test_parts_of_the_page(page):
    for text in (
        'Accuracy by epoch',
        'Most frequent confusions',
        'Reliability of ours',
        'Won against',
        'Lost against',
        '2 descriptions',
        '(2 of 2)',
        'Fewer than three seeds say nothing about further ones',
        'the band reaches from the worst to the best seed',
        'Wilson intervals',
        'Seeds: 2; Trained parameters: 1,234.',
    ):
        assert text in page
    assert 8 <= page.count('data:image/jpeg') <= 16
    assert '60 test images in 12 independent groups, 3 classes' in page


def test_images_won_and_lost(make_run):
    label = made_up(0.8).label
    said = np.eye(3, dtype=np.float32)
    ours, base = label.copy(), label.copy()
    ours[4], base[7], base[9] = 2, 0, 1  # one lost, two won
    runs = [
        make_run('base', 0, replace(made_up(0.8), probs=said[base])),
        make_run('ours', 0, replace(made_up(0.8), probs=said[ours])),
    ]
    base, ours = load_methods(runs)
    won, lost = report.examples(ours, base, 1), report.examples(ours, base, -1)
    assert [image['path'] for image in won['shown']] == ['test/007.jpg', 'test/009.jpg']
    assert won['total'] == 2 and lost['total'] == 1
    shown = lost['shown'][0]
    assert shown['label'] == 'pole vaulting' and shown['uri'] is None
    assert shown['answers'] == [('ours', '<b>ra$ci$ng</b>'), ('base', 'pole vaulting')]
    gains = report.class_gains(base, [ours])['rows']
    assert [row['images'] for row in gains] == [20, 20, 20]
    assert [round(row['gains'][0][0], 3) for row in gains] == [0.05, 0.0, 0.0]
    assert [low <= gain <= high for row in gains for gain, low, high in row['gains']] == [True] * 3


def test_confused_pairs():
    counts = np.array([[8, 2, 0], [0, 10, 0], [4, 0, 6]])
    label, predicted = (
        np.repeat(part, counts.ravel()) for part in np.indices((3, 3)).reshape(2, 9)
    )
    cells = stats.confusions(label[::2], np.stack([predicted[::2], predicted[1::2]]))
    assert cells == [(0, 0, 8, 0.8), (0, 1, 2, 0.2), (1, 1, 10, 1), (2, 0, 4, 0.4), (2, 2, 6, 0.6)]


def test_many_classes_make_no_matrix(make_run, monkeypatch):
    """10,000 classes would make one of 800 MB, and a picture in which nothing is seen."""
    monkeypatch.setattr(report, 'DRAWN', 2)
    monkeypatch.setattr(report.figures, 'confusion', lambda *_: pytest.fail('a matrix is made'))
    methods = load_methods([make_run(name, 0, made_up(0.7)) for name in ('base', 'ours')])
    page = report.render(comparison_of(methods, 'base'), methods)
    assert 'Confusion matrix of' not in page and 'Most frequent confusions of ours' in page


def test_thumbnails_are_small(tmp_path):
    Image.new('P', (2000, 1000)).save(tmp_path / 'a.png')
    assert len(report.thumbnail(str(tmp_path), 'a.png')) < 10_000
    (tmp_path / 'b.jpg').write_bytes(b'no image')
    assert report.thumbnail(str(tmp_path), 'b.jpg') is None
    Image.effect_noise((24, 24), 50).save(tmp_path / 'c.png')
    content = (tmp_path / 'c.png').read_bytes()
    start = content.index(b'IDAT') - 4
    (tmp_path / 'c.png').write_bytes(content[:start] + bytes([0, 0, 0, 9]) + content[start + 4 :])
    assert report.thumbnail(str(tmp_path), 'c.png') is None  # pillow raises SyntaxError


def test_a_name_that_leads_out_of_the_data_root_is_not_embedded(tmp_path):
    (tmp_path / 'data').mkdir()
    for place in ('secret.png', 'data/a.png'):
        Image.new('RGB', (9, 9)).save(tmp_path / place)
    root = str(tmp_path / 'data')
    assert report.thumbnail(root, 'a.png')
    for path in ('../secret.png', str(tmp_path / 'secret.png'), 'x/../a.png'):
        assert report.thumbnail(root, path) is None


def page_of(make_run, **changes):
    runs = [make_run('base', 0, made_up(0.6), **changes), make_run('ours', 0, made_up(0.9))]
    methods = load_methods(runs)
    return report.render(comparison_of(methods, 'base'), methods)


def found_by_check(fingerprint):
    shares = {'refused': 0.125, 'nearer to another': 0.5}
    row = dict(name='<b>climbing', images=9, asked=8, described=7, texts=70, distance=1.0)
    return dict(
        prompt='what <i>is</i> it',
        fingerprint=fingerprint,
        classes=[dict(row, shares=shares)],
        all=dict(row, name='all', shares=shares),
        accuracies=[dict(texts='names', images=60, value=0.5, low=0.375, high=0.625)],
        split='test',
        suspects=3,
        outliers=[dict(image='a.jpg', label='climbing', nearest='racing', ratio=2.0)],
    )


def test_what_the_descriptions_are_worth(make_run, tmp_path):
    file = tmp_path / 'replies.jsonl'
    used = dict(
        texts='descriptions',
        descriptions=str(file),
        fingerprints={'descriptions_fingerprint': 'abc'},
    )
    unused = dict(used, texts=None)  # such as fine-tuning on described images
    assert 'Descriptions</h2>' not in page_of(make_run, **unused)
    assert 'These descriptions have not been checked' in page_of(make_run, **used)
    kept = tmp_path / 'replies-check.json'
    kept.write_bytes(sealed(found_by_check('abc')))
    page = page_of(make_run, **used)
    for text in (
        f'{file} <small>(base)</small>',
        'what &lt;i&gt;is&lt;/i&gt; it',
        '>12.5</td>',
        '50.0 % (37.5 to\n62.5) by names',
        'a.jpg: labelled climbing, nearer to racing',
        '&lt;b&gt;climbing',
    ):
        assert text in page
    assert 'descriptions have changed since this check' not in page
    kept.write_bytes(sealed(found_by_check('of another time')))
    assert 'descriptions have changed since this check' in page_of(make_run, **used)
    kept.write_text('{')
    with refused('evidence.bad_check', match='replies-check.json'):
        page_of(make_run, **used)
    kept.write_text(json.dumps(dict(found_by_check('abc'), suspects=None)))
    with refused('evidence.bad_check', match='field "suspects" is None'):
        page_of(make_run, **used)
