"""OpenAI-style batch files: the requests about images, and the answers to them."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingInputError
from ..io.files import digest, save_atomic
from .describers import Answer
from .describers.chat import FILTERED, Fault, from_completion
from .run import DescribeRun
from .tasks import Loaded, Task, check_replaced

START = b'{"custom_id": '  # of each line
MOST_REQUESTS, MOST_BYTES = 50_000, 190 << 20  # of a file; hosted services take 200 MB


def write(run: DescribeRun, tasks: Iterable[Task], path: Path) -> Iterator[tuple[Path, int]]:
    """Write requests about the images that need asking.

    An image that cannot be read is put on record as an error; of those with the same content one
    is asked about. Beyond a service's limits ``NAME-2.jsonl`` and so on follow.

    Yields:
        Each file, and the number of its requests.
    """
    lines, number = _lines(run, tasks), 1
    line = next(lines, None)
    while line is not None or number == 1:
        file = path if number == 1 else path.with_name(f'{path.stem}-{number}{path.suffix}')
        count = size = 0
        check_replaced(file, START)
        with save_atomic(file) as out:
            while line is not None and count < MOST_REQUESTS and size + len(line) <= MOST_BYTES:
                out.write(line)
                count, size = count + 1, size + len(line)
                line = next(lines, None)
        yield file, count
        number += 1
    run.share()


def _lines(run: DescribeRun, tasks: Iterable[Task]) -> Iterator[bytes]:
    describer: Any = run.describer
    for task in tasks:
        if run.done(task):
            continue
        loaded = run.read(task)
        if loaded.error:
            _add(run, task, loaded, Answer(error=loaded.error))
        if loaded.content is None or run.answered.waits(task, loaded.sha256):
            continue
        request = {
            # which image, of which content, and what is asked of whom
            'custom_id': f'{_name(task)}-{(loaded.sha256 or "")[:16]}-{_asked(run)}',
            'method': 'POST',
            'url': '/v1/chat/completions',
            'body': describer.request(loaded.content, run.prompt_for(task)),
        }
        yield json.dumps(request).encode() + b'\n'


def read(run: DescribeRun, tasks: Sequence[Task], files: Iterable[Path]) -> tuple[int, int]:
    """Keep the answers in batch files, each for all images of that content.

    Returns:
        Answers kept, and answers of no use: about images that are described already, that have
        changed since, or that are not in the data set.

    Raises:
        InputError: A line is no answer, or answers what is not asked now.
    """
    where = {_name(task): index for index, task in enumerate(tasks)}
    kept = skipped = 0
    for (name, content, asked), answer in (pair for file in files for pair in _answers(file)):
        if asked != _asked(run):
            raise InputError(
                'the batch was written for another model, prompt or other settings: give the '
                'options that it was written with',
                code='describe.other_batch',
            )
        task = tasks[where[name]] if name in where else None
        loaded = run.read(task, decode=False) if task else Loaded()
        changed = (loaded.sha256 or '')[:16] != content
        if task is None or changed or not run.answered.tries_left(task.image, loaded.sha256):
            skipped += 1
            continue
        _add(run, task, loaded, answer)
        kept += 1
    for task in (task for task in tasks if not run.done(task)):
        run.answered.waits(task, run.read(task, decode=False).sha256)
    run.share()
    return kept, skipped


def _answers(file: Path) -> Iterator[tuple[list[str], Answer]]:
    """The parts of each answer's custom_id, and the answer."""
    if not file.is_file():  # a pipe or a device would never end
        raise MissingInputError(f'--batch-read {file}: no such file', code='describe.no_batch')
    with open(file, 'rb') as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                data = json.loads(line)
                name, content, asked = data['custom_id'].split('-')
                answer = _answer(data)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise InputError(
                    f'{file}, line {number}: no answer of a batch ({error}); give the file that '
                    'the service returned',
                    code='describe.no_batch',
                ) from None
            yield [name, content, asked], answer


def _answer(data: dict[str, Any]) -> Answer:
    response = data.get('response') or {}
    body = response.get('body') or {}
    if response.get('status_code') == 200:
        try:
            return from_completion(body)
        except Fault as fault:
            return Answer(error=str(fault)[:500])
    error = data.get('error') or (body.get('error') if isinstance(body, dict) else body) or {}
    if isinstance(error, dict) and error.get('code') in FILTERED:
        return Answer(finish='refused')
    return Answer(error=f'status {response.get("status_code")}: {json.dumps(error)[:300]}')


def _add(run: DescribeRun, task: Task, loaded: Loaded, answer: Answer) -> None:
    """Put an answer on record, and count it."""
    if record := run.record(task, loaded, answer):
        run.writer.append(record)
        run.answered.add(record)
    run.tally.statuses[record['status'] if record else 'error'] += 1
    run.tally.add(answer)


def _name(task: Task) -> str:
    return hashlib.sha256(os.fsencode(task.image)).hexdigest()[:16]


def _asked(run: DescribeRun) -> str:
    return digest([run.plan.prompt, run.describer.model, run.settings])[:8]
