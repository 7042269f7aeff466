"""Put descriptions files together, and read kept replies with a newer parser."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..descriptions.lines import RANKS, Record, encode, scan
from ..descriptions.parse import parse_reply
from ..descriptions.samples import ONE, PROMPT
from ..descriptions.store import DescriptionStore, DescriptionWriter, complete
from ..errors import InputError
from ..io.files import digest, save_atomic

_ORIGIN = ('sha256', 'model', 'settings')
_SHOWN = 5  # conflicts that an error lists


class _Entry(NamedTuple):
    file: int
    rank: int
    reply: str
    origin: tuple[str | None, ...]

    def contradicts(self, other: '_Entry') -> bool:
        """Both are replies, and of different origin, or different and equally good."""
        if max(self.rank, other.rank) >= RANKS['empty']:
            return False
        pairs = zip(self.origin, other.origin, strict=True)
        return any(a and b and a != b for a, b in pairs) or (
            self.rank == other.rank and self.reply != other.reply
        )


def merge(
    files: Iterable[str | Path], out: str | Path, reparse: bool = False, expected: int = 10
) -> int:
    """Add to ``out`` what other files know better; return the number of records added.

    Args:
        files: Descriptions files, such as those of shards.
        out: Made whole or not at all where it is new, else appended to.
        reparse: Read every reply anew, ``expected`` descriptions each.

    Raises:
        InputError: The files contradict each other; nothing is written then.
    """
    out = Path(out)
    others = [Path(file) for file in files if Path(file).resolve() != out.resolve()]
    stores = [DescriptionStore(file) for file in ([out, *others] if out.exists() else others)]
    first = len(stores) - len(others)

    def numbered(start: int) -> Iterator[tuple[int, Record]]:
        for number in range(start, len(stores)):
            for record in stores[number]:
                yield number, reparsed(record, expected) if reparse else record

    best = _best_entries(numbered(0), stores)
    new = (r for number, r in numbered(first) if best[r['image'], r['prompt']].file == number)
    if first:
        with DescriptionWriter(out) as writer:
            return writer.extend(new)
    count = 0
    with save_atomic(out) as file:
        for count, record in enumerate(new, 1):  # noqa: B007  used below
            file.write(encode(record))
    return count


def _best_entries(
    records: Iterator[tuple[int, Record]], stores: list[DescriptionStore]
) -> dict[tuple[str, str], _Entry]:
    """The best of each key over all files; raises InputError where files contradict each other."""
    best: dict[tuple[str, str], _Entry] = {}
    conflicts: list[str] = []
    for number, record in records:
        key = record['image'], record['prompt']
        origin = tuple(record.get(field) for field in _ORIGIN)
        entry = _Entry(number, RANKS[record['status']], digest(record['reply']), origin)
        old = best.setdefault(key, entry)
        if entry.contradicts(old):
            conflicts.append(f'{key[0]} in {stores[old.file].path} and {stores[number].path}')
        if entry.rank < old.rank:
            best[key] = entry
    if conflicts:
        raise InputError(
            f'{len(conflicts)} images were described twice, and differently; keep the lines of '
            'one file each, then merge again:\n  ' + '\n  '.join(conflicts[:_SHOWN]),
            code='describe.conflict',
        )
    return best


def reparsed(record: Record, expected: int = 10) -> Record:
    """The record with its reply read anew; one without a reply stays as it is.

    Where the prompt is one of ``describe``'s own, it says how many descriptions are expected.
    """
    if record['status'] == 'error':
        return record
    if record['prompt'] == ONE:
        expected = 1
    elif own := re.fullmatch(PROMPT.format('([0-9]+)'), record['prompt']):
        expected = int(own[1])
    parsed = parse_reply(record['reply'], expected, record.get('finish') or '')
    return {**record, 'descriptions': parsed.descriptions, 'status': parsed.status}


def reparse(path: str | Path, expected: int = 10) -> tuple[int, int]:
    """Append each record that now reads otherwise and better, or the same reply as well.

    Returns:
        Records added, and replies that now read as worse: those cannot lose to what the file
        says already, but do in a new file (:func:`merge` with ``reparse``).
    """
    worse: list[str] = []
    with DescriptionWriter(path) as writer:
        return writer.extend(_read_better(Path(path), expected, worse)), len(worse)


def _read_better(path: Path, expected: int, worse: list[str]) -> Iterator[Record]:
    """Records that read better now; images whose reply reads worse are added to a list.

    The file may grow meanwhile: what is added to it is not looked at.
    """
    store = DescriptionStore(path)
    for _, line in scan(path):
        old = complete(line)
        new = reparsed(old, expected)
        winner = store.record(old['image'], old['prompt']) or old
        rank, best = RANKS[new['status']], RANKS[winner['status']]
        seen = [(each['descriptions'], each['reply'], each['status']) for each in (old, winner)]
        if (new['descriptions'], new['reply'], new['status']) in seen:
            continue  # it reads as before, or an older line of what has been read anew already
        if rank < best or (rank == best and new['reply'] == winner['reply']):
            yield new
        elif winner['reply'] == old['reply'] and rank > best:
            worse.append(new['image'])
