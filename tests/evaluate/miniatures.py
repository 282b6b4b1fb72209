"""A set of two documents in each official layout; what several tests of layouts need."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from trivec.evaluate.layouts import (
    air_bench,
    beir,
    flag_embedding,
    miracl,
    mkqa,
    mldr,
    mr_tydi,
    ms_marco,
    mteb_tables,
    narrative_qa,
    trec,
)

from test_layouts import write_beir, write_miracl, write_mldr, write_mr_tydi, write_ms_marco

ROBUST_TOPICS = """
<top>

<num> Number: 301
<title> International Organized
Crime

<desc> Description:
Identify organizations.

<narr> Narrative:
A relevant document must &c.

</top>

<top>
<num> Number: 302
<title> Oil &amp; Gas
<desc> Description:
Anything.
</top>
"""
COVID_TOPICS = """<?xml version="1.0" encoding="utf-8"?>
<topics task="COVIDSearch 2020" batch="5">
  <topic number="1">
    <query>coronavirus origin</query>
    <question>what is the origin of COVID-19</question>
    <narrative>seeking range of information</narrative>
  </topic>
</topics>
"""
TIMES = """
<DOC>
<DOCNO> FT911-1 </DOCNO>
<DATE>910514 </DATE>
<HEADLINE>
FT  14 MAY 91 / The mob
</HEADLINE>
<TEXT>
<P>
Crime &amp; <B>money</B>.
</P>
<P>
The end.<!-- PJG -->
</P>
</TEXT>
</DOC>
<DOC><DOCNO>FT911-2</DOCNO>
<TEXT>Caf\xe9.</TEXT></DOC>
"""
PAGE = """<html><head><title>A Script</title><script>if (window) {}</script></head>
<body><pre>
INT. CAF\xc9
 Rain falls.</pre></body></html>
"""


def write(path: Path, content: str | bytes | Sequence[dict[str, Any]]) -> None:
    """Text, bytes, or rows as lines of JSON or a parquet file; .gz is compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(list(content)), path)  # type: ignore[arg-type]
        return
    if not isinstance(content, str | bytes):
        content = "".join(json.dumps(row) + "\n" for row in content)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def rows(name: str = "_id", title: bool = True) -> list[dict[str, Any]]:
    """The corpus of most miniatures."""
    found = [{name: "001", "title": "Sky", "text": "It is blue."}, {name: "d#2", "title": "", "text": "Rain falls."}]
    return found if title else [{field: row[field] for field in (name, "text")} for row in found]


def write_robust(folder: Path) -> Path:
    own = folder / "robust04"
    write(own / "topics.robust04.txt", ROBUST_TOPICS)
    write(own / "qrels.robust2004.txt", "301 0 FT911-1 1\n301 0 FT911-2 0\n302 0 FT911-2 2\n303 0 FT911-2 1\n")
    write(own / "docs" / "ft" / "FT911_1", TIMES.encode("latin-1"))
    write(own / "docs" / "readmeft", "What is in here.")
    return own


def write_covid(folder: Path) -> Path:
    own = folder / "trec-covid"
    write(own / "topics-rnd5.xml", COVID_TOPICS)
    write(own / "qrels-covid_d5_j0.5-5.txt", "1 0.5 001 2\n1 4 d#2 0\n")
    write(own / "corpus.jsonl", rows("id"))
    return own


def write_deep_learning(folder: Path) -> Path:
    own = folder / "dl19"
    write(own / "topics.dl19-passage.tsv.gz", "264014\thow long is life cycle of flea\n")
    write(own / "qrels.dl19-passage.txt", "264014 Q0 7 3\n")
    write(own / "collection.tsv", "7\tThe flea lives long.\n8\tRain falls.\n")
    return own


def write_air_bench(folder: Path) -> Path:
    own = folder / "qa_web_en" / "AIR-Bench_24.05" / "default"
    write(own / "corpus.jsonl", rows("id", title=False))
    write(own / "dev_queries.jsonl", [{"id": "q1", "text": "colour of the sky"}])
    write(own / "test_queries.jsonl", [{"id": "q2", "text": "what falls"}])
    judgements = folder / "qrels-qa_web_en-dev" / "AIR-Bench_24.05" / "default"
    write(judgements / "dev_qrels.jsonl", [{"qid": "q1", "docid": "001", "relevance": 1}])
    return own


def write_mteb(folder: Path) -> Path:
    own = folder / "LEMBQMSumRetrieval"
    write(own / "corpus" / "test-00000-of-00002.parquet", rows()[:1])
    write(own / "corpus" / "test-00001-of-00002.parquet", rows()[1:])
    write(own / "queries" / "test-00000-of-00001.parquet", [{"_id": "q1", "text": "colour of the sky"}])
    write(own / "qrels" / "test-00000-of-00001.parquet", [{"query-id": "q1", "corpus-id": "001", "score": 1}])
    return own


def write_mteb_languages(folder: Path) -> Path:
    own = folder / "WebFAQRetrieval"
    for language, query in (("deu", "Farbe des Himmels"), ("fra", "couleur du ciel")):
        write(own / f"{language}-corpus" / "test-00000-of-00001.parquet", rows("id"))
        write(own / f"{language}-queries" / "test-00000-of-00001.parquet", [{"id": "1", "text": query}])
        judged = [{"query-id": "1", "corpus-id": "001", "score": 1}]
        write(own / f"{language}-qrels" / "test-00000-of-00001.parquet", judged)
    return own


def write_mteb_jsonl(folder: Path) -> Path:
    own = folder / "nfcorpus"
    write(own / "corpus.jsonl", rows())
    write(own / "queries.jsonl", [{"_id": "q1", "text": "colour of the sky"}])
    for split in ("train", "dev", "test"):
        write(own / "qrels" / f"{split}.jsonl", [{"query-id": "q1", "corpus-id": "001", "score": 2.0}])
    return own


def write_c_mteb(folder: Path) -> Path:
    own = folder / "T2Retrieval"
    write(own / "data" / "corpus-00000-of-00001-8afe7b7a7eca49e3.parquet", rows("id", title=False))
    write(own / "data" / "queries-00000-of-00001-930bf3b805a80dd9.parquet", [{"id": "0", "text": "天空的颜色"}])
    judged = [{"qid": "0", "pid": "001", "score": 1}, {"qid": "0", "pid": "d#2", "score": 0}]
    write(folder / "T2Retrieval-qrels" / "data" / "dev-00000-of-00001-92d0e3cad1d2a6d8.parquet", judged)
    return own


def write_beir_on_the_hub(folder: Path) -> Path:
    own = folder / "scifact"
    write(own / "corpus.jsonl.gz", rows())
    write(own / "queries.jsonl.gz", [{"_id": "1", "title": "", "text": "colour of the sky"}])
    write(folder / "scifact-qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n1\t001\t1\n")
    return own


def write_narrative_qa(folder: Path) -> Path:
    own = folder / "narrativeqa"
    write(own / "documents.csv", """\
document_id,set,kind,story_url,story_file_size,wiki_url,wiki_title,story_word_count,story_start,story_end
a1,test,gutenberg,u,9,w,"Sky, The",3,It is,blue .
b2,test,movie,u,9,w,Rain (film),3,INT . CAFE,falls .
c3,train,gutenberg,u,9,w,Sun,2,The,sun .
""")  # fmt: skip
    write(own / "qaps.csv", """\
document_id,set,question,answer1,answer2,question_tokenized,answer1_tokenized,answer2_tokenized
c3,train,What shines?,sun,sun,x,x,x
a1,test,"What is ""blue"", then?",sky,sky,x,x,x
b2,test,What falls?,rain,rain,x,x,x
""")  # fmt: skip
    write(own / "third_party" / "wikipedia" / "summaries.csv", "document_id,set,summary,summary_tokenized\n")
    write(own / "tmp" / "a1.content", "\ufeffThe sky’s blue.\n")
    write(own / "tmp" / "b2.content", PAGE.encode("cp1252"))
    return own


def write_flag_embedding(folder: Path) -> Path:
    own = folder / "own"
    write(own / "corpus.jsonl", rows("id"))
    write(own / "test_queries.jsonl", [{"id": "q1", "text": "colour of the sky"}])
    write(own / "test_qrels.jsonl", [{"qid": "q1", "docid": "001", "relevance": 1}])
    return own


def write_mkqa(folder: Path) -> Path:
    own = folder / "mkqa"
    write(own / "de.jsonl", [{"id": "1", "question": "Welche Farbe?", "answers": ["blue"]}])
    write_beir(own)  # the passages of BEIR's NQ, with its questions
    return own


MINIATURES: tuple[tuple[Callable[[Path], Path], ModuleType], ...] = (
    (write_robust, trec),
    (write_covid, trec),
    (write_deep_learning, trec),
    (write_air_bench, air_bench),
    (write_mteb, mteb_tables),
    (write_mteb_languages, mteb_tables),
    (write_mteb_jsonl, mteb_tables),
    (write_c_mteb, mteb_tables),
    (write_beir_on_the_hub, mteb_tables),
    (write_narrative_qa, narrative_qa),
    (write_flag_embedding, flag_embedding),
    (write_miracl, miracl),
    (write_mr_tydi, mr_tydi),
    (write_mldr, mldr),
    (write_ms_marco, ms_marco),
    (write_mkqa, mkqa),
    (lambda folder: write_beir(folder / "sky"), beir),
)
"""How each is written, and the layout that should recognise it."""
