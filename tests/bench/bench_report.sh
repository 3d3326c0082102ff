#!/usr/bin/env bash
# layeval report on four runs of 75 000 samples each: should take less than three seconds on two cores.
#   LAYEVAL=build/layeval tests/bench/bench_report.sh [SYSTEMS [SAMPLES]]
set -euo pipefail
layeval=${LAYEVAL:-build/layeval}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$(dirname "$layeval")/tests/big_runs" "$folder" "$@"
for format in terminal csv; do
    start=$(date +%s.%N)
    "$layeval" report "$folder" --format "$format" >/dev/null
    awk -v from="$start" -v to="$(date +%s.%N)" -v what="report --format $format" \
        'BEGIN { printf "%s: %.2f s\n", what, to - from }'
done
