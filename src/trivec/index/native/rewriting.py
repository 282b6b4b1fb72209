"""Rewriting segments while others read and write: merging, dropping the dead, changing codecs, building graphs.

A rewriting reads immutable files and so needs the right to write at its end only. Rows that died meanwhile are dead
in the new segment too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trivec.index.files import sync_folder
from trivec.index.native.changes import Changes
from trivec.index.native.dense import DenseOptions, build_graph, wants_graph
from trivec.index.native.encodings import centered
from trivec.index.native.files import describe, seal
from trivec.index.native.merging import Background, Size, as_few_as_allowed, due
from trivec.index.native.records import SegmentRecord
from trivec.index.native.segment import GRAPHS, BoolArray, Segment
from trivec.index.native.segment_writing import Stopped, merge_segments
from trivec.index.native.settings import NativeOptions, NativeSettings
from trivec.index.native.view import Member, View, dead_bits
from trivec.index.native.writer import Writer
from trivec.ragged import Ragged

_WAITED_FOR = 50_000
"""Passages up to which closing waits for a merge, some seconds of work; a larger one is broken off."""

_SOME = 1000
"""Passages whose multi-vectors give the center of fixed encodings."""


class Rewriter:
    """Keeps the segments of a store few. One rewriting runs at a time, in the background or when asked for."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._folders = writer.contents.folders
        self._rewriting = threading.Lock()  # taken before the writer's
        self._background = Background(self._do_what_is_due)
        self._stop = threading.Event()
        self._closing = False
        self._rows = 0

    def wake(self) -> None:
        """Look in the background whether something is due."""
        self._background.wake()

    def wait(self) -> None:
        """Until nothing is due any more."""
        self._background.wait()

    def optimize(self) -> None:
        """Merge everything into as few segments as allowed, without dead rows, and build their graphs."""
        with self._rewriting:
            with self._writer.step() as view:
                settings = view.state.settings
                groups = [view.members[group] for group in as_few_as_allowed(_sizes(view), settings.options.merge)]
            for group in groups:
                if len(group) > 1 or _could_be_better(group[0], settings):
                    self._rewrite(group)
            with self._writer.step() as view:
                bare = [member.segment for member in view.members if _lacks_graph(member.segment, settings)]
            for segment in bare:
                self._add_graphs(segment)
        with self._writer.step():
            self._writer.contents.catalog.tidy()

    def recode(self, options: NativeOptions) -> None:
        """Change the options, and rewrite the segments that were written with others."""
        with self._writer.step() as view:
            settings = centered(replace(view.state.settings, options=options), _some_tokens(view))
            self._writer.commit(lambda changes: changes.save_settings(settings))
        self.optimize()

    def close(self) -> None:
        """Let what is under way come to an end, or stop it if that would take long."""
        self._closing = True
        if self._rows > _WAITED_FOR:
            self._stop.set()
        self._background.wait()

    def _do_what_is_due(self) -> bool:
        """Do the one merge, or build the one graph, that is due, and say whether there was something to do."""
        with self._rewriting:
            with self._writer.step() as view:
                group, work = self._due(view)
            self._rows = sum(member.live for member in group)
            try:
                if not group or (self._closing and self._rows > _WAITED_FOR):
                    return False
                work()
            except Stopped:
                return False
            finally:
                self._rows = 0
        return True

    def _due(self, view: View) -> tuple[Sequence[Member], Callable[[], None]]:
        """The segments to work on next, and what is to be done."""
        settings = view.state.settings
        chosen = due(_sizes(view), settings.options.merge)
        if chosen is not None:
            group = view.members[chosen]
            return group, lambda: self._rewrite(group)
        bare = [member for member in view.members if _lacks_graph(member.segment, settings)][:1]
        return bare, lambda: self._add_graphs(bare[0].segment)

    def _rewrite(self, group: Sequence[Member]) -> None:
        """Put one segment in the place of some neighbours.

        Raises:
            Stopped: the store closes and does not wait for it.
        """
        parts = [(member.segment, member.rows()) for member in group if member.live]
        with self._writer.step() as view:
            if not parts:
                self._replace(group, None)
                return
            number, settings = self._writer.next_segment(), view.state.settings
        with self._folders.staged(number) as folder:
            shared = merge_segments(folder, parts, settings, self._stop)
            rows = sum(len(kept) for _, kept in parts)
            first = int(parts[0][0].numbers[parts[0][1][0]])
            record = SegmentRecord(number, first, rows, b"", settings.options.codecs, seal(folder, shared))
            if any(_has_graph(segment) for segment, _ in parts):
                # searching must not become slower, not even for the time of building
                record = _with_graphs(Segment(folder, record, settings), settings)
            with self._writer.step() as view:
                alive = np.concatenate([_still_alive(view, segment)[kept] for segment, kept in parts])
                self._folders.publish(number)
                self._replace(group, replace(record, dead=dead_bits(alive)) if alive.any() else None, number)

    def _replace(self, group: Sequence[Member], record: SegmentRecord | None, number: int | None = None) -> None:
        def change(changes: Changes) -> None:
            changes.drop_segments(member.segment.record.number for member in group)
            if record is not None:
                changes.put_segment(record)

        self._writer.commit(change, number)

    def _add_graphs(self, segment: Segment) -> None:
        """Build the graphs of a segment that was written without."""
        with self._writer.step() as view:
            settings = view.state.settings
        record = _with_graphs(segment, settings)
        with self._writer.step() as view:
            dead = [member.dead for member in view.members if member.segment.record.number == record.number]
            if dead:
                self._writer.commit(lambda changes: changes.put_segment(replace(record, dead=dead[0])))


def _sizes(view: View) -> list[Size]:
    return [Size(len(member.segment), member.live) for member in view.members]


def _could_be_better(member: Member, settings: NativeSettings) -> bool:
    """Whether there are dead rows, or codecs other than those asked for."""
    return member.alive is not None or member.segment.record.codecs != settings.options.codecs


def _has_graph(segment: Segment) -> bool:
    return any(name in segment.record.files for name in GRAPHS.values())


def _lacks_graph(segment: Segment, settings: NativeSettings) -> bool:
    """Whether a segment is large enough for a graph and has none."""
    asked = _graph_options(settings)
    return any(
        GRAPHS[name] not in segment.record.files and wants_graph(part, asked[name])
        for name, part in segment.dense_parts.items()
    )


def _graph_options(settings: NativeSettings) -> dict[str, DenseOptions]:
    """When the parts that may have a graph get one, by their prefix."""
    return {"dense": settings.options.dense, "fde": settings.options.encodings}


def _some_tokens(view: View) -> Ragged | None:
    """The multi-vectors of some passages."""
    for member in view.members:
        if member.segment.multi is not None and member.live:
            return member.segment.multi.vectors(member.rows()[:_SOME])
    return None


def _still_alive(view: View, segment: Segment) -> BoolArray:
    """Which rows of a segment are alive now; none if it has left the view."""
    for member in view.members:
        if member.segment.record.number == segment.record.number:
            return np.ones(len(segment), np.bool_) if member.alive is None else member.alive
    return np.zeros(len(segment), np.bool_)


def _with_graphs(segment: Segment, settings: NativeSettings) -> SegmentRecord:
    """Build the graphs that are missing beside a segment's data, and describe the segment with them."""
    files = dict(segment.record.files)
    asked = _graph_options(settings)
    for prefix, part in segment.dense_parts.items():
        path = segment.folder / GRAPHS[prefix]
        if path.name not in files and build_graph(part, path, asked[prefix]):
            files[path.name] = describe(path)
    sync_folder(segment.folder)
    return replace(segment.record, files=files)
