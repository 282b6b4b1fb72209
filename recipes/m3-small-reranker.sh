#!/bin/sh
# What m3-small-reranker was trained by, from the training files that docs/m3-small-reranker.md names:
#   sh recipes/m3-small-reranker.sh FOLDER_OF_TRAINING_FILES WORK
set -eu
data=$1 work=$2 recipes=$(dirname "$0")
mkdir -p "$work/groups"
trivec models fetch m3-small --quiet
python "$recipes/reranker_groups.py" "$data"/qa.* "$data"/faq.* "$data"/code.* "$data"/bitext.* "$data"/long.* \
    "$data"/title.* --out "$work/groups" --groups 18000 --draws 2 --group-size 6 --stretches 64 96 128 128 128 \
    --less qa.en.medquad=0.5 code.tldr_shell=0.4 bitext.ntrex=0.3
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000
trivec train reranker "$work"/groups/*.jsonl.gz --config "$recipes/m3-small-reranker.yaml" --steps 980 --dev-share 0 \
    --out "$work/run"
