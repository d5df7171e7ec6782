"""Answers and ids of the Jobs API that no service should send."""

from tests.support.sharing import job, page

TIME = b'"2026-01-01T00:00:00.0000000Z"'
CAP = 1_048_576
"""`limits.observed_body` where nothing else is said."""


def odd(**fields: bytes) -> bytes:
    """A job with these fields, each as it stands."""
    whole = {"id": b'"odd"', "status": b'"running"', "createdDateTime": TIME, **fields}
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in whole.items()) + b"}"


BODIES = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "text": b"<html>no</html>",
    "truncated": job("odd")[:-20],
    "truncated escape": b'{"id":"\\u12',
    "followed by more": job("odd") + b"{}",
    "byte order mark": b"\xef\xbb\xbf" + job("odd"),
    "utf-16": job("odd").decode().encode("utf-16"),
    "zeros": b"\x00" * 1000,
    "null": b"null",
    "number": b"1e999",
    "string": b'"' + b"x" * 10_000 + b'"',
    "list": page(job("odd")).partition(b":")[2][:-1],
    "list of lists": b"[[[[]]]]",
    "deep list": b"[" * 200_000,
    "deep object": b'{"error":' * 50_000 + b"1" + b"}" * 50_000,
    "deep error": odd(error=b'{"innererror":' * 500 + b"1" + b"}" * 500),
    "no fields": b"{}",
    "fields twice": odd()[:-1] + b',"id":"other","status":"failed"}',
    "bytes that are no text": odd(status=b'"\xff\xfe"'),
    "id a number": odd(id=b"12345678901234567890123"),
    "id empty": odd(id=b'""'),
    "id a lone surrogate": odd(id=b'"\\ud800"'),
    "id too long": odd(id=b'"' + b"i" * 100_000 + b'"'),
    "id with controls": odd(id=b'"\\u0000\\u001b[31m\\u202e"'),
    "status unknown": odd(status=b'"dancing"'),
    "status in capitals": odd(status=b'"RUNNING"'),
    "status a number": odd(status=b"7"),
    "status null": odd(status=b"null"),
    "status an object": odd(status=b'{"status":"running"}'),
    "status too long": odd(status=b'"' + b"s" * 100_000 + b'"'),
    "status with a line break": odd(status=b'"running\\n# EOF"'),
    "time never": odd(createdDateTime=b'"9999-12-31T23:59:59.9999999Z"'),
    "time not set": odd(createdDateTime=b'"0001-01-01T00:00:00Z"'),
    "time impossible": odd(createdDateTime=b'"2026-02-31T25:61:61Z"', purgeDateTime=b'"soon"'),
    "time in digits of others": odd(createdDateTime=b'"\\uff12026-01-01T00:00:00Z"'),
    "time a number": odd(createdDateTime=b"-1e308", purgeDateTime=b"1e308"),
    "purged long ago": odd(purgeDateTime=b'"2001-01-01T00:00:00Z"'),
    "finished before it began": odd(status=b'"succeeded"', finishedDateTime=b'"2001-01-01T00:00:00Z"'),
    "finished in the future": odd(status=b'"succeeded"', finishedDateTime=b'"2199-01-01T00:00:00Z"'),
    "failed for no known reason": odd(id=b'"f1"', status=b'"failed"', error=b'{"code":"{evil=\\"1\\"}\\n"}'),
    "failed for a number": odd(id=b'"f2"', status=b'"failed"', error=b'{"code":13}'),
    "failed for a list": odd(id=b'"f3"', status=b'"failed"', error=b"[1,2]"),
    "large": odd(text=b'"' + b"x" * 900_000 + b'"'),
    "huge": odd(text=b'"' + b"x" * 2 * CAP + b'"'),
    "many fields": odd(**{f"f{number}": b"0" for number in range(20_000)}),
}  # fmt: skip
IDS = [
    "plain", "j%201%2F%C3%A9", "%70lain", "Plain", "a%2Fb", "a%2fb", "a+b", "a%2Bb", "a%20b", "100%25",
    "%2525", "%3F", "%23", "%22", "%27", "'", "!$&()*,;=:@~", "...", ".hidden", "a..b", "%3Cscript%3E",
    "null", "0", "%C3%A9", "e%CC%81", "%F0%9F%98%80", "%E2%80%AE", "%EF%BF%BD", "%EF%BB%BF", "%C2%85",
    "%E2%80%A8", "%ED%A0%80", "%ED%A0%BD%ED%B8%80", "%FF", "%C0%AF", "%C3", "%F4%90%80%80",
    "i" * 512, "i" * 513, "%69" * 2000,
]  # fmt: skip
"""Segments of paths: every escape, and what does not decode to text (lone surrogates among it)."""
