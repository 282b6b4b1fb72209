"""A library in Python: add documents, search with a filter, read the explanation, change and delete.

    python examples/search_in_python.py [MODEL]        # a name that trivec models lists, or a folder; default m3-small

The library lives in memory here. Give `trivec.open` a folder instead, and it stays.
"""

from __future__ import annotations

import sys

import trivec
from trivec import Document

DOCUMENTS = [
    Document("boiling", "Water boils at 100 °C at sea level, and earlier on a mountain.", metadata={"lang": "en"}),
    Document("rhein", "Der Rhein fließt aus den Alpen in die Nordsee.", "Rhein", {"lang": "de", "year": 2021}),
    Document("zucker", "Pflanzen machen aus Licht, Wasser und Kohlendioxid Zucker.", metadata={"lang": "de"}),
    Document("volcans", "La pluie nourrit les rivières des volcans d'Auvergne.", metadata={"lang": "fr"}),
]


def main() -> None:
    """Everything a library does."""
    with trivec.open(":memory:", model=sys.argv[1] if len(sys.argv) > 1 else "m3-small") as library:
        print(library.add(DOCUMENTS))
        print(library.add(DOCUMENTS), "the second time nothing is encoded")

        for hit in library.search("how do plants make sugar?", k=2):
            show(hit)
        for hit in library.search("water", k=2, where='lang = "de" and missing year'):
            show(hit)

        changed = Document("rhein", "Der Rhein ist etwa 1.230 Kilometer lang.", "Rhein", {"lang": "de", "year": 2024})
        print(library.add([changed]))
        print(library.get("rhein"))
        print(library.delete(where={"lang": "de"}), "documents deleted,", len(library), "left")


def show(hit: trivec.Hit) -> None:
    """A hit and why it is one."""
    print(f"\n{hit.rank}. {hit.id}  {hit.score:.3f}  {hit.text}")
    explanation = hit.explain()
    for share in explanation.signals:
        print(f"   {share.signal:6} {share.score:.3f}, adds {share.contribution:.3f}")
    for pair in explanation.alignments[:3]:
        print(f"   {pair.query_word} ~ {pair.document_word} {pair.similarity:.2f}")


if __name__ == "__main__":
    main()
