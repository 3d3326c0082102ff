#!/usr/bin/env bash
# Takes what train.sh made in OUT to the folder that the demo evaluates: models, bridges, systems, part of the test data.
#
#   data/miniature/ship.sh OUT data/demo/miniature
set -euo pipefail

out=${1:?usage: ship.sh OUT DEST} dest=${2:?usage: ship.sh OUT DEST}
MGSM=40 OTHERS=24 # items a language

rm -rf "$dest"
mkdir -p "$dest"
cp -r "$out/train/notes/last/llm" "$out/train/encoder/last/encoder" "$dest"
for task in mgsm x-csqa xnli; do
    mkdir -p "$dest/$task"
    for method in langbridge mindmerger layalign; do
        cp -r "$out/train/$method-$task/last/bridge" "$dest/$task/$method"
    done
    for system in plain langbridge mindmerger layalign; do
        sed -e "s|train/notes/last/llm|llm|; s|train/encoder/last/encoder|encoder|; s|../train/$system-$task/last/bridge|$system|" \
            "$out/$task/$system.json" >"$dest/$task/$system.json"
    done
done
(cd "$out/data/test" && find . -type f) | while read -r file; do
    case $file in
    ./mgsm/*) items=$MGSM ;;
    *) items=$OTHERS ;;
    esac
    mkdir -p "$dest/data/$(dirname "$file")"
    head -n $items "$out/data/test/$file" >"$dest/data/$file"
done
