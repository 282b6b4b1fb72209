#!/bin/sh
# What m3-small-reranker was trained by, from the training files that docs/m3-small-reranker.md names to four deltas, each
# beside the model that it leads to:
#   sh recipes/m3-small-reranker.sh FOLDER_OF_TRAINING_FILES WORK
set -eu
data=$1 work=$2 recipes=$(dirname "$0")
mkdir -p "$work/mined" "$work/hard"
trivec models fetch m3-small --quiet
for file in "$data"/qa.* "$data"/faq.* "$data"/code.* "$data"/bitext.* "$data"/long.* "$data"/title.*; do
    name=$(basename "$file")
    [ -e "$work/mined/$name" ] || trivec mine "$file" --out "$work/mined/$name" --by dense=60,bm25=40 --range 0-60 \
        --percent 0.98 --negatives 7 --max-length 256 --allow-few
    # what shares the most words with the question: no rule of scores, for those are the ones that search mistakes
    [ -e "$work/hard/$name" ] || trivec mine "$work/mined/$name" --out "$work/hard/$name" --by bm25 --range 0-8 \
        --percent 0 --negatives 4 --keep-negatives --no-fill --allow-few
done
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000
trivec train reranker "$work"/mined/*.jsonl.gz --config "$recipes/reranker.yaml" --source-limit 620 --steps 100 \
    --dev-share 0 --out "$work/first"
trivec train reranker "$work"/hard/*.jsonl.gz --config "$recipes/reranker.yaml" --source-limit 420 --steps 200 \
    --group-size 6 --batch-size 10 --model "$work/first/model" --dev-share 0 --out "$work/second"
trivec train reranker "$work"/hard/*.jsonl.gz --config "$recipes/reranker.yaml" --source-limit 420 --steps 200 \
    --group-size 7 --batch-size 9 --seed 1 --model "$work/second/model" --dev-share 0 --out "$work/third"
# what the hybrid search itself mistakes, with its scores beside the logits
python "$recipes/reranker_groups.py" "$data"/qa.* "$data"/faq.* "$data"/code.* "$data"/bitext.* "$data"/long.* \
    "$data"/title.* --out "$work/groups" --groups 9600 --less code.tldr_shell=0.3 bitext.ntrex=0.3 qa.en.medquad=0.4
trivec train reranker "$work"/groups/*.jsonl.gz --config "$recipes/reranker.yaml" --steps 900 --group-size 7 \
    --batch-size 12 --passage-length 320 --seed 2 --warmup 0.05 --head-learning-rate 2e-4 --teacher first-stage \
    --teacher-temperature 0.07 --model "$work/third/model" --dev-share 0 --out "$work/fourth"
