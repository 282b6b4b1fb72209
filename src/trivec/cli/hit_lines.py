"""Hits for people: rank, score and place, a snippet, the signals; and with an explanation, why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trivec.cli.output import Span, one_line, print_line
from trivec.cli.snippet import Mark, Snippet, snippet
from trivec.search.explain import Explanation
from trivec.search.hits import Hit

_BAR_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_WORDS, _ALIGNMENTS, _FAINT = 8, 6, 0.02
_INDENT = 3


def print_hits(hits: Sequence[Hit], explain: bool) -> None:
    """Print hits, a blank line after each."""
    for hit in hits:
        explanation = hit.explain()
        print_line(_heading(hit))
        found = snippet(hit, explanation)
        if found.text.strip():
            print_line(_marked(found), _INDENT)
        print_line([(_signals(hit), "dim")], _INDENT)
        if explain:
            for line in _why(explanation):
                print_line(line, _INDENT)
        print_line()


def _heading(hit: Hit) -> list[Span]:
    spans = [(f"{hit.rank:2} ", "dim"), (f"{hit.score:.4f}  ", "cyan")]
    if hit.title.strip():
        spans += [(one_line(hit.title), "bold"), ("  ", "")]
    place = f"{hit.id} ({hit.passage.number + 1}/{hit.passage.count})" if hit.passage.count > 1 else hit.id
    spans.append((one_line(place), "green"))
    language = hit.metadata.get("lang")
    return [*spans, (f"  [{one_line(str(language))}]", "dim")] if language else spans


def _marked(found: Snippet) -> Iterator[Span]:
    end = 0
    for mark in _merged(found.marks):
        yield _flat(found.text[end : mark.start]), ""
        yield _flat(found.text[mark.start : mark.end]), "bold yellow"
        end = mark.end
    yield _flat(found.text[end:]), ""


def _flat(text: str) -> str:
    """One line, with the blanks at its ends kept as one."""
    inner = one_line(text)
    if not inner:
        return " " if text else ""
    return (" " if text[0].isspace() else "") + inner + (" " if text[-1].isspace() else "")


def _merged(marks: Sequence[Mark]) -> Iterator[Mark]:
    """Marks that overlap become one."""
    current: Mark | None = None
    for mark in marks:
        if current is not None and mark.start < current.end:
            current = Mark(current.start, max(current.end, mark.end), current.weight)
            continue
        if current is not None:
            yield current
        current = mark
    if current is not None:
        yield current


def _signals(hit: Hit) -> str:
    scores = [f"{signal} {score:.3f}" for signal, score in hit.signals.items()]
    if hit.reranking is not None:
        scores.append(f"reranker {hit.reranking.score:.3f} (was {hit.reranking.first_rank}.)")
    return "  ".join(scores)


def _why(explanation: Explanation) -> Iterator[list[Span]]:
    added = [share for share in explanation.signals if share.contribution is not None]
    largest = max((abs(share.contribution or 0.0) for share in added), default=0.0)
    for share in added:
        part = share.contribution or 0.0
        bar = _bar(abs(part) / largest) if largest else ""
        yield [(f"{share.signal:6} {part:+.4f} ", ""), (bar, "cyan" if part >= 0 else "red")]
    if explanation.words:
        least = _FAINT * explanation.words[0].weight  # below it are stray pieces such as a plural s
        shown = [word for word in explanation.words[:_WORDS] if word.weight >= least]
        yield [("words  ", "dim"), (", ".join(f"{one_line(w.word)} {w.weight:.3f} ({w.signal})" for w in shown), "")]
    if explanation.alignments:
        pairs = explanation.alignments[:_ALIGNMENTS]
        text = ", ".join(f"{one_line(p.query_word)} → {one_line(p.document_word)} {p.similarity:.2f}" for p in pairs)
        yield [("tokens ", "dim"), (text, "")]


def _bar(share: float) -> str:
    """A bar of up to 24 cells, drawn in eighths."""
    eighths = round(share * _BAR_WIDTH * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
