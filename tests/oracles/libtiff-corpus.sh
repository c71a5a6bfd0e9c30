#!/usr/bin/env bash
# What libtiff's tools and ImageMagick write, in every coding, order, size and division that they know, reads to the pixels that
# libtiff reads.
set -euo pipefail
for tool in tiffcp fax2tiff python3; do command -v $tool >/dev/null || { echo "$tool is not installed (libtiff-tools, python3)"; exit 77; }; done
magick=$(command -v magick || command -v convert-im6.q16 || true)
test -n "$magick" || { echo "ImageMagick is not installed (imagemagick)"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
rows="python3 $here/tiff_rows.py"
mkdir "$T/corpus"

for width in 1728 2048 2432 33; do
  $rows make $width 120 "$T/$width.pbm"
  "$magick" "$T/$width.pbm" -depth 1 -compress None -define quantum:polarity=min-is-white -define tiff:rows-per-strip=120 "$T/$width.tif"
  # tiffcp: codings, fill orders, byte orders, strips.
  for coding in none g3:1d g3:1d:fill g3:2d g3:2d:fill g4; do
    for fill in lsb2msb msb2lsb; do
      for order in -B -L; do
        for strip in 1 7 64 120; do
          tiffcp $order -c $coding -f $fill -r $strip "$T/$width.tif" "$T/corpus/tiffcp-$width-${coding//:/-}-$fill$order-$strip.tif"
        done
      done
    done
  done
  # ImageMagick: both interpretations, with its own strips.
  for polarity in white black; do
    for compress in Fax Group4 None; do
      for endian in lsb msb; do
        "$magick" "$T/$width.pbm" -depth 1 -compress $compress -define quantum:polarity=min-is-$polarity \
          -define tiff:endian=$endian -define tiff:fill-order=$endian "$T/corpus/magick-$width-$polarity-$compress-$endian.tif"
      done
    done
  done
  # fax2tiff: raw data from the line, one- and two-dimensional, with and without aligned lines, written in every way it knows.
  for raw in "g3:1d -3 -1 -P" "g3:1d:fill -3 -1 -A" "g3:2d -3 -2 -P" "g3:2d:fill -3 -2 -A" "g4 -4"; do
    read -r coding kind <<<"$raw"
    for fill in lsb2msb:-L msb2lsb:-M; do
      tiffcp -c "$coding" -f "${fill%:*}" -r 120 "$T/$width.tif" "$T/raw.tif"
      $rows strip "$T/raw.tif" "$T/raw"
      for out in "-7 -5 -l -a" "-7 -5 -m -p" "-7 -6 -l -a" "-7 -6 -m -p -r 13" "-8 -l" "-8 -m -c" "-u"; do
        name="fax2tiff-$width-${coding//:/-}${fill#*:}${out// /}"
        # shellcheck disable=SC2086
        fax2tiff $kind "${fill#*:}" -X $width $out -o "$T/corpus/$name.tif" "$T/raw" >"$T/said" 2>&1 || { cat "$T/said"; exit 1; }
      done
    done
  done
done
# Several pages of several sizes in one file.
tiffcp -c g4 "$T/1728.tif" "$T/2048.tif" "$T/33.tif" "$T/corpus/pages.tif"
tiffcp -B -c g3:2d:fill -r 7 "$T/2432.tif" "$T/1728.tif" "$T/corpus/pages-mr.tif"

# Pages as fax software writes them.
cp "$here"/../../fixtures/fax/*.tif "$T/corpus/"

# What libtiff sees in each.
$rows rows "$T/corpus"
SEALFAX_TIFF_CORPUS="$T/corpus" cargo test --quiet ${SEALFAX_CARGO:---workspace} --lib a_corpus_reads >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
echo "$(ls "$T"/corpus/*.tif | wc -l) files of tiffcp, fax2tiff and ImageMagick read as libtiff reads them"
