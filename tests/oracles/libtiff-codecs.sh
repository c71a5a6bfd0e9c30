#!/usr/bin/env bash
# libtiff decodes every coding that we write, and we decode every coding that libtiff writes, to the same pixels.
set -euo pipefail
for tool in tiffinfo tiffcp tiffcmp; do command -v $tool >/dev/null || { echo "$tool is not installed (libtiff-tools)"; exit 77; }; done
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
mkdir "$T/ours" "$T/theirs"

SEALFAX_TIFF_OUT="$T/ours" cargo test --quiet ${SEALFAX_CARGO:---workspace} --lib another_library >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
count=0
for file in "$T"/ours/*.tif; do
  name=$(basename "$file" .tif)
  tiffinfo "$file" >"$T/info" 2>"$T/warnings"
  test ! -s "$T/warnings" || { echo "$name"; cat "$T/warnings"; exit 1; }
  tiffcp -c none -f msb2lsb -r 100000 "$file" "$T/plain.tif" 2>"$T/warnings"
  test ! -s "$T/warnings" || { echo "$name"; cat "$T/warnings"; exit 1; }
  # The strip of an uncompressed page is its rows; libtiff writes header, strip, directory.
  octets=$(stat -c %s "$T/ours/letter.rows")
  dd if="$T/plain.tif" bs=1M iflag=skip_bytes,count_bytes skip=8 count="$octets" of="$T/rows" status=none
  cmp "$T/rows" "$T/ours/letter.rows" || { echo "$name: libtiff sees other pixels"; exit 1; }
  count=$((count + 1))
done
test $count -ge 17 || { echo "only $count codings were written"; exit 1; }

# The other way round, from uncompressed pixels, in every coding and both fill orders.
cp "$T/plain.tif" "$T/source.tif"
for fill in lsb2msb msb2lsb; do
  for coding in g3:1d g3:1d:fill g3:2d g3:2d:fill g4; do
    tiffcp -c $coding -f $fill -r 100000 "$T/source.tif" "$T/theirs/${coding//:/-}-$fill.tif"
    tiffcp -c $coding -f $fill -r 64 "$T/source.tif" "$T/theirs/${coding//:/-}-$fill-strips.tif"
  done
done
SEALFAX_TIFF_IN="$T/theirs" cargo test --quiet ${SEALFAX_CARGO:---workspace} --lib another_library >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
echo "$count of ours read by libtiff, $(ls "$T/theirs" | wc -l) of libtiff's read by us"
