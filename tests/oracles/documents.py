#!/usr/bin/env python3
"""A PDF to be drawn, and pages held against each other.

    documents.py pdf OUT.pdf                            pages of several sizes with rules, curves, shades and words
    documents.py same OURS.pbm THEIRS.pbm SHARE NAME    as much black of each lies within a pixel of black of the other;
                                                        a narrower page of theirs lies in the middle of ours
"""
import sys


def pdf(out):
    def page(width, height):
        lines = ["0 g"]
        for i in range(12):  # rules, from a hairline to a bar
            lines.append(f"{0.3 + i * 0.3:.1f} w 40 {height - 40 - 12 * i} m {width - 40} {height - 40 - 12 * i} l S")
        for i in range(8):  # uprights
            lines.append(f"{0.4 + i * 0.4:.1f} w {60 + 20 * i} {height - 190} m {60 + 20 * i} {height - 260} l S")
        lines.append(f"2 w 260 {height - 230} m 300 {height - 150} 340 {height - 310} 380 {height - 200} c S")
        lines.append(f"40 60 {width - 80} 24 re f")
        lines.append("BT /F1 14 Tf 40 120 Td (Referral letter: confidential, for the addressee alone 0123456789) Tj ET")
        lines.append("BT /F1 9 Tf 40 100 Td (Small print is what faxes are judged by: Ill1 O0 rn m) Tj ET")
        return "\n".join(lines)

    sizes = [(595, 842), (612, 792), (842, 595), (420, 595)]
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(sizes)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(sizes)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for i, (width, height) in enumerate(sizes):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {5 + 2 * i} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        drawing = page(width, height)
        objects.append(f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream")
    text, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(text)
    text += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    text += "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    text += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    with open(out, "w", encoding="ascii") as file:
        file.write(text)


def rows(path):
    with open(path, "rb") as file:
        data = file.read()
    head, at = [], 0
    while len(head) < 3:
        end = min(i for i in (data.find(b" ", at), data.find(b"\n", at)) if i >= 0)
        head.append(data[at:end])
        at = end + 1
    assert head[0] == b"P4", path
    width, height = int(head[1]), int(head[2])
    stride = (width + 7) // 8
    spare = stride * 8 - width
    return width, [int.from_bytes(data[at + y * stride : at + (y + 1) * stride], "big") >> spare for y in range(height)]


def near(lines):
    wide = [line | line << 1 | line >> 1 for line in lines]
    return [
        wide[y] | (wide[y - 1] if y else 0) | (wide[y + 1] if y + 1 < len(wide) else 0) for y in range(len(wide))
    ]


def share(these, those):
    black = sum(line.bit_count() for line in these)
    reach = near(those)
    found = sum((line & (reach[y] if y < len(reach) else 0)).bit_count() for y, line in enumerate(these))
    return found / black if black else float(not any(those))


def same(ours, theirs, wanted, name):
    (wide, mine), (narrow, other) = rows(ours), rows(theirs)
    left = (wide - narrow) // 2
    right = wide - narrow - left
    other = [line << right if right >= 0 else line >> -right for line in other]
    if not any(mine):
        sys.exit(f"{name}: the page is white")
    best = max(
        min(share(mine, moved), share(moved, mine))
        for moved in ([line << 1 for line in other], other, [line >> 1 for line in other])
    )
    if best < wanted:
        sys.exit(f"{name}: only {best:.4f} of the black agrees, {wanted} is wanted")


if __name__ == "__main__":
    if sys.argv[1] == "pdf":
        pdf(sys.argv[2])
    else:
        same(sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5])
