#!/usr/bin/env python3
"""Pages to make TIFF files of, and what stands in uncompressed ones.

    tiff_rows.py make WIDTH HEIGHT OUT.pbm     lines, letters' sizes of blocks, and an ordered dither
    tiff_rows.py rows FOLDER                   of each file what libtiff's tiffcp sees: rows, 1 black, most significant bit first
    tiff_rows.py strip IN.tif OUT              the octets of the first page's strips, as they are
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

BAYER = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]


def make(width, height, out):
    rows = bytearray()
    for y in range(height):
        row = bytearray((width + 7) // 8)
        for x in range(width):
            if y < height // 4:
                black = (x // 3 + y // 9 * 7) % 11 < 4 and y % 9 < 6
            elif y < height // 2:
                black = x * 16 // width > BAYER[y % 4][x % 4]
            elif y < height * 3 // 4:
                black = (x * x + y * y) // 977 % 5 == 0
            else:
                black = abs(x - width // 2) + abs(y - height * 7 // 8) < 40 or x in (0, width - 1)
            if black:
                row[x // 8] |= 0x80 >> x % 8
        rows += row
    with open(out, "wb") as file:
        file.write(b"P4\n%d %d\n" % (width, height) + rows)


def directories(data):
    order = "<" if data[:2] == b"II" else ">"
    sizes = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
    at = struct.unpack_from(order + "I", data, 4)[0]
    while at:
        count = struct.unpack_from(order + "H", data, at)[0]
        fields = {}
        for n in range(count):
            tag, kind, many = struct.unpack_from(order + "HHI", data, at + 2 + n * 12)
            if kind not in sizes:
                continue
            code, size = sizes[kind]
            where = at + 2 + n * 12 + 8
            if size * many > 4:
                where = struct.unpack_from(order + "I", data, where)[0]
            fields[tag] = struct.unpack_from(f"{order}{many}{code}", data, where)
        yield fields
        at = struct.unpack_from(order + "I", data, at + 2 + count * 12)[0]


def strips(data, fields):
    return b"".join(data[at : at + count] for at, count in zip(fields[273], fields[279]))


def rows(data):
    out = bytearray()
    for fields in directories(data):
        assert fields.get(259, (1,))[0] == 1, "it is compressed"
        octets = strips(data, fields)
        if fields.get(266, (1,))[0] == 2:
            octets = bytes(int(f"{octet:08b}"[::-1], 2) for octet in octets)
        width, height = fields[256][0], fields[257][0]
        stride, invert = (width + 7) // 8, fields[262][0] == 1
        padding = 0xFF << (8 - width % 8) & 0xFF if width % 8 else 0xFF
        for y in range(height):
            row = bytearray(octets[y * stride : (y + 1) * stride])
            if invert:
                row = bytearray(octet ^ 0xFF for octet in row)
            row[-1] &= padding
            out += row
    return bytes(out)


def main():
    what, *words = sys.argv[1:]
    if what == "make":
        make(int(words[0]), int(words[1]), words[2])
        return
    if what == "rows":
        for path in sorted(pathlib.Path(words[0]).glob("*.tif")):
            with tempfile.NamedTemporaryFile(suffix=".tif") as plain:
                subprocess.run(["tiffcp", "-c", "none", "-f", "msb2lsb", path, plain.name], check=True, stderr=subprocess.PIPE)
                path.with_suffix(".rows").write_bytes(rows(pathlib.Path(plain.name).read_bytes()))
        return
    data = pathlib.Path(words[0]).read_bytes()
    pathlib.Path(words[1]).write_bytes(strips(data, next(directories(data))))


main()
