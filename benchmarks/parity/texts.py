"""Texts and pairs that both sides encode.

Many scripts, lengths from nothing to beyond the limit used here, repeated words. No text has a space at an
end or two in a row, and none spells out a special token: transformers 4 reads `tokenizer.json`, transformers
5 rebuilds some tokenizers and gives other ids for such texts, and trivec takes a special token for text.
"""

from __future__ import annotations

TEXTS: tuple[str, ...] = (
    "What is the capital of France?",
    "The capital of France is Paris, a city on the river Seine.",
    "Die Hauptstadt von Österreich ist Wien; die Größe der Stadt überrascht.",
    "El agua es la vida, y no hay vida sin agua.",
    "Où se trouve la bibliothèque de la ville?",
    "Il libro è nella biblioteca della città.",
    "Столица России - это город Москва на реке.",
    "Η πρωτεύουσα της Ελλάδας είναι η πόλη Αθήνα.",
    "מהי בירת ישראל ומה גודל העיר",
    "ما هي عاصمة مصر؟ القاهرة مدينة كبيرة على النهر.",
    "भारत की राजधानी नई दिल्ली है।",
    "เมืองหลวงของประเทศไทยคือกรุงเทพ",
    "東京は日本の首都であり、図書館が多いです。",
    "中国的首都是北京，今天天气很好。",
    "한국의 수도는 서울이다",
    "book book book water book, and the water of the book of water",
    "水",
    "Library of 42 books: 3.14, 2.72 & 1.41 (100%)!",
    " ".join(["The science of water and the night of the city, where the river is not the mountain."] * 12),
    "",
)

PAIRS: tuple[tuple[int, int], ...] = (
    (0, 1),
    (0, 2),
    (4, 5),
    (6, 9),
    (10, 12),
    (13, 12),
    (15, 3),
    (16, 15),
    (17, 18),
    (1, 1),
    (6, 16),
    (8, 16),
    (0, 19),
)
"""Query and document, as places in `TEXTS`."""

WEIGHTS: dict[str, float] = {"dense": 0.5, "sparse": 0.3, "multi": 0.9}
"""Of the hybrid score; all different, so that no two can be exchanged unseen."""
