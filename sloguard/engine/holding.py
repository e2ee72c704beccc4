"""Evidence that somebody still needs: held while it is not much, then let go or put into a file."""

from __future__ import annotations

import pickle
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, overload

from sloguard.core.series import SloEvidence


def _size(evidence: SloEvidence) -> int:
    return sum(answer.values.size for answer in evidence.answers.values())


class Held:
    """Evidence SLO by SLO. Beyond ``most`` samples (9 bytes each) all of it is let go, and no more is taken.

    What ``always`` names is held whatever it takes.
    """

    def __init__(self, most: int, always: frozenset[str] = frozenset()) -> None:
        self._most, self._always = most, always
        self._evidence: dict[str, SloEvidence] = {}
        self._samples = 0
        self.let_go = False

    def add(self, evidence: SloEvidence) -> None:
        """One more SLO's."""
        name = evidence.slo.name
        self._samples += _size(evidence)
        if self._samples > self._most and not self.let_go:
            self.let_go = True
            self._evidence = {n: e for n, e in self._evidence.items() if n in self._always}
        if not self.let_go or name in self._always:
            self._evidence[name] = evidence

    def of(self, name: str) -> SloEvidence | None:
        """An SLO's, if it is held."""
        return self._evidence.get(name)

    def all(self) -> tuple[SloEvidence, ...]:
        """Everything that is held, in the order in which it came."""
        return tuple(self._evidence.values())


class Spool(Sequence[SloEvidence]):
    """Evidence SLO by SLO, to be read as often as one likes; what is beyond ``most`` samples from a file
    that has no name and goes with this object."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: list[SloEvidence] = []
        self._samples = 0
        self._file: IO[bytes] | None = None
        self._places: list[tuple[int, int]] = []

    def add(self, evidence: SloEvidence) -> None:
        """One more SLO's."""
        self._samples += _size(evidence)
        if self._file is None and self._samples <= self._most:
            self._held.append(evidence)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sloguard-")  # noqa: SIM115 - see the next line
            weakref.finalize(self, self._file.close)
        packed = zlib.compress(pickle.dumps(evidence, protocol=5), 1)
        self._places.append((self._file.seek(0, 2), len(packed)))
        self._file.write(packed)

    def __len__(self) -> int:
        return len(self._held) + len(self._places)

    @overload
    def __getitem__(self, index: int) -> SloEvidence: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SloEvidence]: ...
    def __getitem__(self, index: int | slice) -> SloEvidence | Sequence[SloEvidence]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self._held[place] if place < len(self._held) else self._read(place)

    def __iter__(self) -> Iterator[SloEvidence]:
        return (self[place] for place in range(len(self)))

    def _read(self, place: int) -> SloEvidence:
        assert self._file is not None  # noqa: S101 - what is not held was written
        at, size = self._places[place - len(self._held)]
        self._file.seek(at)
        # Our own bytes, from a file that nobody else can open.
        found: SloEvidence = pickle.loads(zlib.decompress(self._file.read(size)))  # noqa: S301
        return found
