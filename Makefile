# Two commands are all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TORCH  ?= torch==2.13.0
WORKERS ?= 2

.PHONY: demo test test-all check format bench clean

# torch goes first and by its exact version: a local or CPU wheel that pip knows of is taken before the default
# index's CUDA build. To name an index of CPU wheels: make demo PIP_EXTRA_INDEX_URL=<its address>
$(BIN)/activate: pyproject.toml setup.py $(wildcard src/trivec/index/native/_*.c)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(BIN)/activate

demo: $(BIN)/activate  ## set everything up, index the sample library, ask it questions and score the answers
	$(BIN)/trivec models fetch m3-small
	$(BIN)/trivec models fetch m3-small-reranker
	$(BIN)/python examples/demo.py

test: $(BIN)/activate  ## the tests that run everywhere in minutes
	$(BIN)/trivec models fetch m3-small --quiet || echo "m3-small could not be fetched: tests marked 'model' are skipped"
	$(BIN)/python -m pytest -n $(WORKERS) -m "not network and not slow"

test-all: $(BIN)/activate  ## every test, also the slow ones and those that ask a package registry
	$(BIN)/trivec models fetch m3-small --quiet
	$(BIN)/python -m pytest -n $(WORKERS)

check: $(BIN)/activate  ## style, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/activate  ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# DATA is a folder with train/ (pairs in jsonl) and eval/ (sets in BEIR layout); SCRATCH keeps encoded vectors.
SCRATCH ?= build/bench
RESULTS := benchmarks/results
RUN     := $(BIN)/python benchmarks

bench: $(BIN)/activate  ## the benchmarks; without DATA, those that need no data
	mkdir -p $(SCRATCH)
	$(RUN)/startup.py --out $(RESULTS)/startup.json
	$(RUN)/training_memory.py --model "$$($(BIN)/trivec models path m3-small)" --out $(RESULTS)/training_memory.json
	$(RUN)/batch_growth.py --model "$$($(BIN)/trivec models path m3-small)" --out $(RESULTS)/batch_growth.json
	$(RUN)/sparse_search.py --out $(RESULTS)/sparse_search_100k.json
	$(RUN)/short_attention.py --out $(RESULTS)/short_attention.json
	$(RUN)/reranker_learning.py --out $(RESULTS)/reranker_learning.json
	$(RUN)/store_growth.py --scratch $(SCRATCH) --out $(RESULTS)/store_growth.json
ifdef DATA
	$(BIN)/trivec models fetch m3-small-base --quiet
	$(RUN)/encoding_speed.py --data $(DATA)/train --out $(RESULTS)/encoding_speed.json
	$(RUN)/quantization.py --texts $(DATA)/train --data $(DATA)/eval --out $(RESULTS)/quantization.json
	$(RUN)/store_speed.py --data $(DATA)/train --cache $(SCRATCH) --out $(RESULTS)/store_speed.json
	$(RUN)/indexing_share.py --data $(DATA)/train --out $(RESULTS)/indexing_share.json
	$(RUN)/padding.py --data $(DATA)/train --model "$$($(BIN)/trivec models path m3-small)" --out $(RESULTS)/padding.json
	$(RUN)/default_model.py --data $(DATA)/eval --cache $(SCRATCH) --out $(RESULTS)/default_model.json
	$(RUN)/training_speed.py --data $(DATA)/train --model "$$($(BIN)/trivec models path m3-small)" \
		--out $(RESULTS)/training_speed.json
	$(RUN)/compression.py --data $(DATA)/eval --sets facqa_id cnil_fr arcd_ar iapp_th --cache $(SCRATCH) \
		--out $(RESULTS)/compression.json
	$(RUN)/long_text.py $(DATA)/eval --out $(RESULTS)/long_text.json
	$(BIN)/trivec eval m3-small $(DATA)/eval/* --systems default bm25-documents bm25-words --without-texts --cache $(SCRATCH)/vectors \
		--out $(SCRATCH)/m3-small && cp $(SCRATCH)/m3-small/re* $(RESULTS)/retrieval/m3-small/
	for claim in hybrid long-sparse weights; do $(RUN)/m3_claims.py $$claim --data $(DATA)/eval --work $(SCRATCH) \
		--out $(RESULTS) || exit 1; done
	$(BIN)/trivec models fetch smollm2-135m --quiet
	$(RUN)/llm_reranking.py --data $(DATA)/eval/nq_qed_en --out $(RESULTS)/llm_reranking.json
	$(RUN)/evaluation_cost.py --data $(DATA)/eval --out $(RESULTS)/evaluation_cost.json
	$(RUN)/bm25_floors.py --data $(DATA)/eval --out $(RESULTS)/bm25_floors.json
	$(RUN)/reranking_speed.py --data $(DATA)/train --out $(RESULTS)/reranking_speed.json
	$(BIN)/trivec models fetch m3-small-reranker --quiet
	$(RUN)/reranking_quality.py --data $(DATA)/eval --cache $(SCRATCH)/vectors --out $(RESULTS)/reranking_quality.json
	$(RUN)/serving_load.py --data $(DATA)/eval --out $(RESULTS)/serving_load.json
endif

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist library .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
