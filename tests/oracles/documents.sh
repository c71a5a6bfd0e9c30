#!/usr/bin/env bash
# Documents become the fax pages that other programs would make of them: a PDF as poppler draws it, pictures of every kind
# alike, and a photograph smaller than ImageMagick's dithering in the same code.
set -euo pipefail
for tool in pdftoppm tiffcp tiffinfo python3; do
  command -v $tool >/dev/null || { echo "$tool is not installed (poppler-utils, libtiff-tools, python3)"; exit 77; }
done
magick=$(command -v magick || command -v convert-im6.q16 || true)
test -n "$magick" || { echo "ImageMagick is not installed (imagemagick)"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
rig="${CARGO_TARGET_DIR:-target}/debug/sealfax-rig"
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
scan() { "$rig" scan "$1" --out "$2" "${@:3}" 2>"$T/said" || { cat "$T/said"; exit 1; }; }
pages="python3 $here/documents.py"

# A PDF of four pages, A4, letter, lying A4 and A5, with rules, curves, hairlines, shades and words.
$pages pdf "$T/pages.pdf"
for resolution in fine:196 standard:98; do
  scan "$T/pages.pdf" "$T/ours.tif" --resolution "${resolution%:*}"
  tiffinfo "$T/ours.tif" 2>"$T/warnings" >/dev/null; test ! -s "$T/warnings" || { cat "$T/warnings"; exit 1; }
  pdftoppm -mono -rx 204 -ry "${resolution#*:}" "$T/pages.pdf" "$T/theirs"
  # A letter sheet is half a millimetre wider than a line of T.4; the lying page is turned on ours.
  pdftoppm -mono -scale-to-x 1728 -scale-to-y $(( (2149 * ${resolution#*:} + 98) / 196 )) -f 2 -l 2 "$T/pages.pdf" "$T/theirs"
  pdftoppm -mono -rx "${resolution#*:}" -ry 204 -f 3 -l 3 "$T/pages.pdf" "$T/theirs"
  for number in 1 2 3 4; do
    "$magick" "$T/ours.tif[$((number - 1))]" -depth 1 "$T/ours-$number.pbm"
    mv "$T/theirs-$number.pbm" "$T/poppler.pbm"
    [ $number != 3 ] || "$magick" "$T/poppler.pbm" -rotate 90 "$T/poppler.pbm"
    $pages same "$T/ours-$number.pbm" "$T/poppler.pbm" 0.97 "page $number at ${resolution%:*}"
  done
  rm -f "$T"/theirs-* "$T"/ours-*
done

# One drawing, saved in every way that keeps it whole, is one page.
python3 "$here/tiff_rows.py" make 400 500 "$T/drawing.pbm"
draw() { "$magick" "$T/drawing.pbm" -density 200 -units PixelsPerInch "$@"; }
draw -type Grayscale -depth 8 "PNG:$T/0-grey.png"
draw -type TrueColor -depth 8 "PNG24:$T/1-rgb.png"
draw -type TrueColor -depth 16 "PNG48:$T/2-rgb16.png"
draw -type Palette "PNG8:$T/3-palette.png"
draw -transparent white "PNG32:$T/4-transparent.png"
draw -type Bilevel -interlace PNG "PNG:$T/5-interlaced.png"
for compress in None LZW Zip RLE; do
  draw -type Grayscale -depth 8 -compress $compress "TIFF:$T/grey-$compress.tif"
  draw -type TrueColor -depth 8 -compress $compress "TIFF:$T/rgb-$compress.tif"
  draw -type TrueColor -depth 16 -compress $compress "TIFF:$T/rgb16-$compress.tif"
  draw -type Palette -compress $compress "TIFF:$T/palette-$compress.tif"
  draw -type Bilevel -compress $compress "TIFF:$T/bilevel-$compress.tif"
done
for order in lsb msb; do
  draw -type Grayscale -depth 8 -define tiff:endian=$order "TIFF:$T/order-$order.tif"
  draw -type Bilevel -define quantum:polarity=min-is-white -compress None "TIFF:$T/white-$order.tif"
done
draw -type Grayscale -depth 8 -define tiff:tile-geometry=64x64 "TIFF:$T/tiles.tif"
count=0
for file in "$T"/[0-9]-*.png "$T"/{grey,rgb,rgb16,palette,bilevel,order,white}-*.tif "$T/tiles.tif"; do
  scan "$file" "$T/page.tif"
  "$magick" "$T/page.tif" -depth 1 "$T/page.pbm"
  [ -e "$T/first.pbm" ] || cp "$T/page.pbm" "$T/first.pbm"
  $pages same "$T/page.pbm" "$T/first.pbm" 0.999 "$(basename "$file")"
  count=$((count + 1))
done
draw -quality 95 "JPEG:$T/drawing.jpg"
scan "$T/drawing.jpg" "$T/page.tif"
"$magick" "$T/page.tif" -depth 1 "$T/page.pbm"
$pages same "$T/page.pbm" "$T/first.pbm" 0.99 drawing.jpg

# A photograph: as dark as it should be, and no burden on the line.
"$magick" rose: -filter Lanczos -resize 1728x1135! -colorspace Gray -depth 8 "PNG:$T/photo.png"
scan "$T/photo.png" "$T/photo.tif"
"$magick" "$T/photo.png" -dither FloydSteinberg -monochrome -depth 1 -compress None "TIFF:$T/plain.tif"
tiffcp -c g3:1d -r 10000 "$T/plain.tif" "$T/theirs.tif"
ours=$(stat -c %s "$T/photo.tif") theirs=$(stat -c %s "$T/theirs.tif")
[ $((ours * 10)) -lt $((theirs * 6)) ] || { echo "a photograph takes $ours octets, dithered by ImageMagick $theirs"; exit 1; }

# What cannot be sent says what to do.
"$magick" -size 9x9 xc:white "$T/x.pdf" 2>/dev/null || true
printf 'PK\003\004\000\000\377' >"$T/x.docx"
if "$rig" scan "$T/x.docx" --out "$T/x.tif" 2>"$T/said"; then echo "a .docx was taken for a document"; exit 1; fi
grep -q 'print it into a PDF' "$T/said" || { cat "$T/said"; exit 1; }
echo "8 pages as poppler draws them, $((count + 1)) files alike, a photograph in $ours octets where plain dithering takes $theirs"
