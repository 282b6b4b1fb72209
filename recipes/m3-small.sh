#!/bin/sh
# What m3-small was trained by, from the training files that docs/m3-small.md names to delta.safetensors:
#   sh recipes/m3-small.sh FOLDER_OF_TRAINING_FILES WORK [options of trivec train]
set -eu
data=$1 work=$2
shift 2
mkdir -p "$work/mined"
trivec models fetch m3-small-base --quiet
for file in "$data"/qa.* "$data"/faq.* "$data"/code.* "$data"/bitext.* "$data"/long.* "$data"/title.*; do
    name=$(basename "$file")
    [ -e "$work/mined/$name" ] && continue
    case $name in
    # medquad has labelled negatives; in the last three a text's neighbours are its translations or its like
    qa.en.medquad.* | bitext.* | long.* | title.*) cp "$file" "$work/mined/$name" ;;
    *) trivec mine "$file" --model m3-small-base --out "$work/mined/$name" --by dense=50,bm25=50 --range 0-60 --percent 0.98 \
        --negatives 6 --max-length 256 --allow-few ;;
    esac
done
# glibc gives memory back to the system after each step and asks for it again: kept, a step takes two thirds of the time
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000
trivec train m3 "$work"/mined/*.jsonl.gz --config "$(dirname "$0")/m3-small.yaml" --remember "$work/states" \
    --out "$work/run" "$@"
