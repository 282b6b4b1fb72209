"""``trivec compress``: a library's vectors in a smaller form, with the loss measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from trivec.search.compressing import CompressReport


def compress(
    library: Path,
    /,
    *,
    to: Annotated[Literal["float32", "float16", "int8", "binary"] | None, Parameter(name=["--to", "--dense"])] = None,
    tokens: Literal["float32", "float16", "int8", "int4", "residual2"] | None = None,
    dimensions: int | None = None,
    pool_tokens: int = 1,
    sparse_weights: int | None = None,
    max_loss: float | None = None,
    queries: Path | None = None,
    sample: int = 100,
    seed: int = 0,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Store a library's vectors in a smaller form.

    For example:
      trivec compress library --to int8 --tokens int4
      trivec compress library --to binary --max-loss 0.05
      trivec compress library --dimensions 256 --pool-tokens 2

    Says what it costs: queries are asked of the library before and after,
    and for every kind of search it prints how much of the former best ten
    is still among the best ten.
    The documents are not encoded again. Nothing changes until the smaller
    form is complete, and what was left out does not come back: keep a
    snapshot if you may want it.

    Args:
        library: Folder of the library.
        to: Form of the dense vectors. binary looks at signs first, then
            scores the best of them with int8.
        tokens: Form of the multi-vectors. int4 has one scale a vector,
            residual2 two bits a number around learned centres.
        dimensions: Keep the first so many of a dense vector.
        pool_tokens: Cluster the token vectors of a passage to about one in
            so many.
        sparse_weights: Keep the so many heaviest learned weights a passage.
        max_loss: Leave the library as it is if more than this share of
            hybrid search's best ten changes, such as 0.05.
        queries: A file with one query a line to measure with. Without it:
            titles or first sentences of documents.
        sample: How many of these.
        seed: Of the choice.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit
    from trivec.encode.compression import Compression
    from trivec.errors import InputError
    from trivec.search.compressing import CompressOptions
    from trivec.search.compressing import compress as compress_library
    from trivec.search.opening import open_collection

    if to is None and tokens is None and dimensions is None and sparse_weights is None and pool_tokens == 1:
        raise InputError("nothing to do: give --to, --tokens, --dimensions, --pool-tokens or --sparse-weights")
    compression = Compression(dimensions, pool_tokens, sparse_weights)
    options = CompressOptions(to, tokens, compression, max_loss, _lines(queries), sample, seed)
    with open_collection(library, create=False) as collection:
        report = compress_library(collection, options, output.progress)
    emit(output, asdict(report), lambda: _show(report, library))
    return 0


def _lines(path: Path | None) -> tuple[str, ...]:
    from trivec.errors import InputError

    if path is None:
        return ()
    if not path.is_file():
        raise InputError(f"there is no file {path}: give one with one query a line")
    lines = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    if not lines:
        raise InputError(f"{path} has no queries: give one a line")
    return lines


def _show(report: CompressReport, library: Path) -> None:
    from trivec.cli.output import human_bytes, print_facts

    size = f"{human_bytes(report.bytes_before)} -> {human_bytes(report.bytes_after)}"
    facts = [("size", size), ("queries", f"{report.queries}")]
    for mode, loss in report.losses.items():
        found = ""
        if loss.found_before is not None and loss.found_after is not None:
            found = f"; own document found {loss.found_before:.1%} -> {loss.found_after:.1%}"
        facts.append((mode, f"{loss.overlap:.1%} of the best ten kept{found}"))
    facts.append(("library", f"{library}" if report.kept else f"{library} is as it was: the loss was too large"))
    print_facts(facts)
