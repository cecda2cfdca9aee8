"""dkimpy verifies a message on standard input with the key record in the first argument."""
import sys

import dkim

record, message = sys.argv[1].encode(), sys.stdin.buffer.read()


def look_up(name, timeout=5):
    assert name == b"lab._domainkey.a.test.", name
    return record


assert dkim.verify(message, dnsfunc=look_up), "the signature is not good"
assert not dkim.verify(message.replace(b"far away", b"far off"), dnsfunc=look_up), "a changed subject"
assert not dkim.verify(message.replace(b"a dot", b"a do"), dnsfunc=look_up), "a changed text"
print("good")
