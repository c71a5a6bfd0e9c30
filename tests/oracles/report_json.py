"""Holds reports against the published schemas; run by report-json.sh."""

import copy
import json
import pathlib
import sys

from jsonschema import Draft202012Validator as Validator


def validator(schema):
    Validator.check_schema(schema)
    return Validator(schema)


def complain(where, errors):
    errors = list(errors)
    for error in errors[:10]:
        print(f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    if errors:
        sys.exit(1)


def refused(of, document, change, what):
    wrong = copy.deepcopy(document)
    change(wrong)
    if of.is_valid(wrong):
        sys.exit(f"the schema takes {what}")


schemas, summary, *folders = map(pathlib.Path, sys.argv[1:])
published = json.loads((schemas / "report-1.schema.json").read_text())
report_schema = validator(published)
summary_schema = validator({"$ref": "#/$defs/summary", "$defs": published["$defs"]})
event_schema = validator(json.loads((schemas / "event-1.schema.json").read_text()))

complain(summary, summary_schema.iter_errors(json.loads(summary.read_text())))
documents = events = 0
verdicts, kinds = set(), set()
for folder in folders:
    if not (folder / "report.json").exists():
        if folder is folders[0]:
            sys.exit(f"there is no {folder}/report.json")
        continue
    document = json.loads((folder / "report.json").read_text())
    complain(folder / "report.json", report_schema.iter_errors(document))
    documents += 1
    verdicts |= {row["verdict"] for row in document["results"]}
    known = {row["scenario"] for row in document["results"]}
    for row in document["results"]:
        for path in row["artefacts"]:
            if not (folder / row["folder"] / path).exists():
                sys.exit(f"{folder}/report.json names {row['folder']}/{path}, which is not there")
    for identifier, scenarios in document["requirements"].items():
        if bool(scenarios) == (identifier in document["unexercised"]) or not set(scenarios) <= known:
            sys.exit(f"{folder}/report.json: {identifier} is told twice or names what did not run")
    for number, line in enumerate((folder / "events.jsonl").read_text().splitlines(), 1):
        event = json.loads(line)
        complain(f"{folder}/events.jsonl:{number}", event_schema.iter_errors(event))
        kinds.add(event["kind"])
        events += 1

# Schemas that take anything would prove nothing.
refused(report_schema, document, lambda wrong: wrong.update(schema=2), "another version")
refused(report_schema, document, lambda wrong: wrong["results"][0].update(verdict="good"), "an unknown verdict")
refused(report_schema, document, lambda wrong: wrong["results"][0].update(verdict="fail", why=None), "a failure without a reason")
refused(report_schema, document, lambda wrong: wrong.pop("environment"), "a report without its environment")
refused(event_schema, event, lambda wrong: wrong.update(lane="street"), "an unknown lane")
missing = {"pass", "fail", "flaky", "unsupported", "infra-error"} - verdicts
if missing:
    sys.exit(f"no report with {missing} was looked at")
print(f"{documents} reports and {events} events of {len(kinds)} kinds are valid")
