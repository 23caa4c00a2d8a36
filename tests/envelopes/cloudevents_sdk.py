"""Reads requests with the CloudEvents SDK and compares them with what was meant.

Standard input has one JSON object per line: `headers`, `body` (base64), and in `expected` the
attributes and the `data` (base64) that a receiver must find. Prints what differs, if anything.
"""

import base64
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event


def as_bytes(data):
    """Returns the data as what was published: the SDK parses JSON and decodes base64."""
    if data is None:
        return b""
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, str):
        return data.encode()
    return data


def is_same(data, expected):
    data = as_bytes(data)
    if isinstance(data, bytes) and data == expected:
        return True
    try:
        parsed = json.loads(expected)
    except ValueError:
        return False
    return data == parsed or (isinstance(data, bytes) and data.decode() == parsed)


wrong = 0
for line in sys.stdin:
    request = json.loads(line)
    message = HTTPMessage(request["headers"], base64.b64decode(request["body"]))
    expected = request["expected"]
    event = from_http_event(message)
    found = {name: str(value) for name, value in event.get_attributes().items()}
    found["time"] = event.get_time().isoformat()
    for name, value in expected["attributes"].items():
        if found.get(name) != value:
            wrong += 1
            print(f"{request['name']}: {name} is {found.get(name)!r}, not {value!r}")
    if not is_same(event.get_data(), base64.b64decode(expected["data"])):
        wrong += 1
        print(f"{request['name']}: the data is {event.get_data()!r}")
sys.exit(wrong > 0)
