"""Registers records, fetches the log as a monitor does, and holds it against pymerkle's tree."""

import base64
import hashlib
import http.client
import json
import sys

from pymerkle import InmemoryTree

RECORDS = 70
host, folder = sys.argv[1:]
connection = http.client.HTTPConnection(host)


def ask(method, path, body=None):
    connection.request(method, path, body=body)
    response = connection.getresponse()
    answer = response.read()
    assert response.status in (200, 201), (path, response.status, answer)
    return answer


def record(number):
    return json.dumps({
        "event": "submission",
        "message_id": f"<{number}@a.example>",
        "sender": "taro@a.example",
        "recipient": "hanako@b.example",
        "sent": "2026-11-28T09:00:00Z",
        "at": "2026-11-28T09:00:01Z",
        "content_digest": hashlib.sha256(str(number).encode()).hexdigest(),
        "evidence_digest": hashlib.sha256(b"").hexdigest(),
        "evidence": "",
    })


def checkpoint(note):
    """Origin, size and root; the text that is signed; the signature."""
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")
    signature = base64.b64decode(signatures.split()[-1])
    return origin, int(size), base64.b64decode(root), text + "\n", signature


registered = [json.loads(ask("POST", "/records?seen=0", record(number))) for number in range(RECORDS)]
name, hashed, key = ask("GET", "/key").decode().strip().split("+", 2)
key = base64.b64decode(key)
assert key[0] == 1 and len(key) == 33, "an Ed25519 key"
assert hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8] == hashed, "the key's hash"

# The records as tiles have them (C2SP tlog-tiles).
bundle = ask("GET", f"/tile/entries/000.p/{RECORDS}")
leaves = []
while bundle:
    length = int.from_bytes(bundle[:2], "big")
    leaves.append(bundle[2:2 + length])
    bundle = bundle[2 + length:]
assert len(leaves) == RECORDS

tree = InmemoryTree(algorithm="sha256")
for leaf in leaves:
    tree.append_entry(leaf)

# Every checkpoint that was ever given out has the root of the tree as it was then, and every proof is the tree's.
for number, answer in enumerate(registered):
    receipt = answer["receipt"]
    assert receipt["leaf"].encode() == leaves[number]
    head, _, note = receipt["proof"].partition("\n\n")
    header, index, *path = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1" and index == f"index {number}"
    origin, size, root, _, _ = checkpoint(note)
    assert (origin, size) == (name, number + 1)
    assert root == tree.get_state(size), f"the root of {size} records"
    theirs = tree.prove_inclusion(number + 1, size).serialize()["path"]
    leaf_hash = hashlib.sha256(b"\0" + leaves[number]).hexdigest()
    theirs = [step for step in theirs if step != leaf_hash]
    ours = [base64.b64decode(step).hex() for step in path]
    assert sorted(ours) == sorted(theirs), f"the proof of record {number}"
    personal = json.loads(receipt["personal"])
    assert json.loads(receipt["leaf"])["personal"] == hashlib.sha256(receipt["personal"].encode()).hexdigest()
    assert personal["message_id"] == f"<{number}@a.example>"

# The hashes of the lowest tile.
tile = ask("GET", f"/tile/0/000.p/{RECORDS}")
assert tile == b"".join(hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves)

note = ask("GET", "/checkpoint").decode()
origin, size, root, text, signature = checkpoint(note)
assert size == RECORDS and root == tree.get_state(size)

prefix = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key (RFC 8410)
pem = base64.b64encode(prefix + key[1:]).decode()
open(f"{folder}/key.pem", "w").write(f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n")
open(f"{folder}/text", "w").write(text)
assert signature[:4].hex() == hashed
open(f"{folder}/signature", "wb").write(signature[4:])
open(f"{folder}/key", "w").write(f"{name}+{hashed}+{base64.b64encode(key).decode()}")
open(f"{folder}/checkpoint", "w").write(note)
for number in (0, 41, RECORDS - 1):
    open(f"{folder}/receipt-{number}.json", "w").write(json.dumps(registered[number]["receipt"]))
print(f"{RECORDS} records")
