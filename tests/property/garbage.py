"""What no client should send, and what is odd but right."""

from __future__ import annotations

from typing import Final

FEAST: Final = "/get-online-features"
V1: Final = "/v1/features/"
DEEP: Final = 100_000

ECHO = """
TYPES = {
    "exact": hr.Decimal(10, 2), "time": hr.Timestamp, "day": hr.Date, "raw": hr.Binary, "wide": hr.Float64,
    "narrow": hr.Float32, "flag": hr.Bool, "text": hr.String, "pair": hr.Vector(hr.Float32, 2),
    "whole": hr.List(hr.Int64), "small": hr.UInt8,
}

@hr.on_demand(inputs=[driver_now["total"]], request=TYPES, outputs=TYPES)
def echo(exact, time, day, raw, wide, narrow, flag, text, pair, whole, small):
    return {
        "exact": exact, "time": time, "day": day, "raw": raw, "wide": wide, "narrow": narrow, "flag": flag,
        "text": text, "pair": pair, "whole": whole, "small": small,
    }

echoing = hr.FeatureService("echoing", features=[echo])
"""

NO_JSON = {
    "empty": b"",
    "a word": b"hello",
    "cut short": b'{"feature_service":"model","entities":{"driver_id":[7',
    "more behind it": b'{"entities":{"driver_id":[7]}} {}',
    "single quotes": b"{'entities':{}}",
    "a nest of arrays": b"[" * DEEP,
    "a closed nest of arrays": b"[" * DEEP + b"]" * DEEP,
    "a nest of objects": b'{"a":' * DEEP,
    "no UTF-8": b'{"feature_service":"mod\xffel","entities":{}}',
    "UTF-16": '{"entities":{}}'.encode("utf-16"),
    "a mark before it": b"\xef\xbb\xbf" + b'{"entities":{}}',
    "NUL": b"\x00" * 64,
}

NO_KEYS = {
    "text": b'["7"]',
    "a float": b"[7.0]",
    "a float that is huge": b"[1e308]",
    "more than 64 bits": b"[9223372036854775808]",
    "less than 64 bits": b"[-9223372036854775809]",
    "400 digits": b"[1" + b"0" * 400 + b"]",
    "100,000 digits": b"[" + b"9" * 100_000 + b"]",
    "an exponent beyond floats": b"[1e400]",
    "a boolean": b"[true]",
    "not a number": b"[NaN]",
    "infinite": b"[Infinity]",
    "less than infinite": b"[-Infinity]",
    "an array": b"[[7]]",
    "an object": b'[{"driver_id":7}]',
    "a number": b"7",
    "nothing": b"null",
    "hexadecimal": b"[0x7]",
    "a leading zero": b"[07]",
    "a nest": b"[" * DEEP + b"7" + b"]" * DEEP,
    "negative zero as a float": b"[-0.0]",
    "cut short": b"[7,",
    "a half of a pair": b'["\\ud800"]',
}

NO_TEXT = {
    "half of a pair": b'["\\ud800"]',
    "the other half": b'["\\udc00x"]',
    "no UTF-8": b'["\xc3("]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "a raw NUL": b'["a\x00b"]',
    "a raw line end": b'["a\nb"]',
    "an escape that is none": b'["\\x41"]',
    "a number": b"[1]",
    "a boolean": b"[false]",
}

MEMBERS = {
    "no service": (FEAST, b'{"entities":{"driver_id":[7]}}', 422, "feature_service"),
    "both": (FEAST, b'{"feature_service":"model","features":["driver_now:n"],"entities":{}}', 422, "either"),
    "a service that is a number": (FEAST, b'{"feature_service":7,"entities":{}}', 422, "Expected `str"),
    "unknown service": (FEAST, b'{"feature_service":"modle","entities":{}}', 404, "Did you mean 'model'"),
    "unknown feature": (FEAST, b'{"features":["driver_now:totl"],"entities":{}}', 404, "Did you mean 'total'"),
    "unknown view": (FEAST, b'{"features":["driver_nwo:n"],"entities":{}}', 404, "Did you mean 'driver_now'"),
    "unknown feature of a service": (
        V1 + "model",
        b'{"entities":{"driver_id":[7]},"features":["driver_now__totl"]}',
        404,
        "Did you mean 'driver_now__total'",
    ),
    "an array": (FEAST, b"[]", 422, "object"),
    "null": (V1 + "model", b"null", 422, "object"),
    "a typo": (FEAST, b'{"feature_servise":"model"}', 422, "Did you mean 'feature_service'"),
    "a missing key": (FEAST, b'{"features":["place_now:rows"],"entities":{"driver_id":[7]}}', 422, "'zone' is missing"),
    "a missing key in v1": (V1 + "places", b'{"entities":{"driver_id":[7]}}', 422, "'zone' is missing"),
    "a column that nobody asked for": (
        FEAST,
        b'{"feature_service":"model","entities":{"driver_id":[7],"drver_id":[7]}}',
        422,
        "Did you mean 'driver_id'",
    ),
    "two lengths": (
        FEAST,
        b'{"features":["place_now:rows"],"entities":{"driver_id":[7,8],"zone":["x"]}}',
        422,
        "lengths",
    ),
    "rows for columns": (FEAST, b'{"feature_service":"model","entities":[{"driver_id":7}]}', 422, "object"),
    "no time": (FEAST, b'{"feature_service":"model","entities":{"driver_id":[7]},"at":"soon"}', 422, "is no time"),
    "a naive time": (V1 + "model", b'{"entities":{"driver_id":[7]},"at":"2026-01-05T08:00:00"}', 422, "time zone"),
    "a time that is a number": (V1 + "model", b'{"entities":{"driver_id":[7]},"at":5}', 422, "Expected `str"),
}

ODD_KEYS = {
    "negative zero": (b"[-0]", 9),
    "the least": (b"[-9223372036854775808]", 2),
    "the greatest": (b"[9223372036854775807]", 3),
    "white space": (b" [ \t7\r\n ] ", 4),
}

SENT = {
    "driver_id": "7",
    "exact": '"1.25"',
    "time": '"2026-01-05T08:00:00Z"',
    "day": '"2026-01-05"',
    "raw": '"YWI="',
    "wide": "0.1",
    "narrow": "0.5",
    "flag": "true",
    "text": '"x"',
    "pair": "[1,2]",
    "whole": "[1,null]",
    "small": "255",
}

KEPT = [  # what is sent, and what comes back of it
    ("exact", '"99999999.99"', "99999999.99"),
    ("exact", "99999999.99", "99999999.99"),
    ("exact", '"1e2"', "100.00"),
    ("exact", '"-0"', "0.00"),
    ("exact", '"1.2500"', "1.25"),
    ("exact", "-5", "-5.00"),
    ("time", '"2026-01-05T09:00:00+01:00"', "2026-01-05T08:00:00Z"),
    ("time", '"0001-01-01T00:00:00Z"', "0001-01-01T00:00:00Z"),
    ("time", '"9999-12-31T23:59:59.999999Z"', "9999-12-31T23:59:59.999999Z"),
    ("day", '"9999-12-31"', "9999-12-31"),
    ("day", '"0001-01-01"', "0001-01-01"),
    ("raw", '""', ""),
    ("wide", "1e308", 1e308),
    ("wide", "5", 5.0),
    ("wide", "1e-400", 0.0),
    ("wide", "-0.0", 0.0),
    ("wide", "5e-324", 5e-324),
    ("narrow", "3.4028234663852886e38", 3.4028234663852886e38),
    ("narrow", "16777216", 16777216.0),
    ("flag", "false", False),
    ("text", '"a\\u0000b"', "a\x00b"),
    ("text", '"\\ud83d\\ude00"', "\U0001f600"),
    ("text", '""', ""),
    ("pair", "[1,null]", [1.0, None]),
    ("whole", "[]", []),
    ("whole", "[-9223372036854775808]", [-(2**63)]),
    ("small", "-0", 0),
]

MISFITS = {
    "exact": [
        '"NaN"',
        '"-NaN"',
        '"sNaN"',
        '"Infinity"',
        '"1E+999999"',
        "1e999999",
        '"1.239"',
        "1.239",
        '"123456789.00"',
        "1e308",
        '"1e-400"',
        '"0.005"',
        '"0x1"',
        "true",
        "[1]",
        '"1.25' + "0" * 400 + '"',
        "1" + "0" * 400,
    ],
    "time": [
        '"2026-01-05T08:00:00"',
        '"9999-12-31T23:59:59-12:00"',
        '"0001-01-01T00:00:00+12:00"',
        "5",
        '"2026-02-30T00:00:00Z"',
        '"now"',
        '"10000-01-01T00:00:00Z"',
    ],
    "day": ['"2026-02-30"', "5", '"2026-01-05T00:00:00Z"', '"0000-01-01"'],
    "raw": ['"YWI"', '"***"', '"YW I="', "[97]"],
    "wide": ["1e400", "-1e400", "true", '"1"', "NaN", "Infinity", "1" + "0" * 400],
    "narrow": ["1e308", "-3.5e38", "1e400"],
    "flag": ["1", "0", '"true"'],
    "text": ["5", "null5", '"\\ud800"'],
    "pair": ["[1]", "[1,2,3]", "[]", "[1e308,1]", '["1",2]', "5"],
    "whole": ["[9223372036854775808]", "[[1]]", "[1.0]", "[true]"],
    "small": ["256", "-1", "1.0", "true"],
}

ODD_TEXTS = [
    "",
    " ",
    "x",
    "\x00",
    "a\x00b",
    "a\x00",
    "x\x00",
    "\U0001f600",
    "e\u0301",
    "\u202e",
    "x" * 10_000,
    "\ufffe",
]

NO_PACK = {
    "a nest of arrays": b"\x91" * DEEP,
    "a nest of maps": b"\x81\xa1a" * DEEP,
    "2**32 values": b"\xdd\xff\xff\xff\xff",
    "2**32 pairs": b"\xdf\xff\xff\xff\xff",
    "4 GB of text": b"\xdb\xff\xff\xff\xff",
    "an extension": b"\xc7\x05\x07hello",
    "a byte that is none": b"\xc1",
    "a float": b"\x91\xcb\x40\x1c\x00\x00\x00\x00\x00\x00",
    "a boolean": b"\x91\xc3",
    "text": b"\x91\xa17",
    "more than 63 bits": b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    "nothing": b"",
}
