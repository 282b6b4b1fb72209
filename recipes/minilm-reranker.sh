#!/bin/sh
# What minilm-reranker was trained by, from the English training files that docs/minilm-reranker.md names:
#   sh recipes/minilm-reranker.sh FOLDER_OF_TRAINING_FILES WORK
set -eu
data=$1 work=$2 recipes=$(dirname "$0")
mkdir -p "$work/groups"
trivec models fetch m3-small --quiet
python "$recipes/reranker_groups.py" "$data"/qa.en.* "$data"/code.tldr_shell.jsonl.gz "$data"/long.man.jsonl.gz \
    --language en --out "$work/groups" --groups 16000 --draws 3 --group-size 6 --stretches 64 96 128 128 \
    --less qa.en.medquad=0.5 code.tldr_shell=0.4
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000
trivec train reranker "$work"/groups/*.jsonl.gz --config "$recipes/minilm-reranker.yaml" --steps 980 --dev-share 0 \
    --out "$work/run"
