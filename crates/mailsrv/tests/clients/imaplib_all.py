"""Every verb of Python's imaplib: PLAIN PORT, TLS PORT, CA FILE."""
import base64
import hashlib
import hmac
import imaplib
import ssl
import sys

plain, tls, authority = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False
MESSAGE = (b"From: Fred <a@x.test>\r\nTo: b@y.test\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"
           b"Message-ID: <1@x>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nHello body\r\n")


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def every_verb(m, user):
    try:
        m.login(user, "wrong")
        raise AssertionError("a wrong password was taken")
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error)
    ok(m.login(user, "pw"))
    ok(m.enable("CONDSTORE"))
    ok(m.create("Work/2026"))
    assert len(ok(m.list())) == 7
    ok(m.append("INBOX", "(\\Flagged $kw)", '" 1-Feb-2020 10:00:00 +0100"', MESSAGE))
    ok(m.append("INBOX", None, None, MESSAGE))
    assert m.append("Nope", None, None, MESSAGE)[0] == "NO"
    assert ok(m.select("INBOX")) == [b"2"]
    assert b"1-Feb-2020 09:00:00" in ok(m.fetch("1", "(INTERNALDATE)"))[0]
    for key, numbers in [("ALL", b"1 2"), ("FLAGGED", b"1"), ("KEYWORD $kw", b"1"), ("UNSEEN", b"1 2"),
                         ("BODY hello", b"1 2"), ("SENTON 7-Feb-1994", b"1 2"), ("SENTBEFORE 7-Feb-1994", b""),
                         ("ON 1-Feb-2020", b"1"), ("OR FLAGGED UID 2", b"1 2"), ("NOT FLAGGED", b"2"),
                         ("HEADER Message-ID 1@x", b"1 2"), ("OLDER 100", b"1"), ("YOUNGER 100", b"2"),
                         ("LARGER 10000", b""), ("(FROM fred TO b@y)", b"1 2"), ("2:*", b"2")]:
        found = ok(m.search(None, key))
        assert found == [numbers], (key, found)
    m.literal = "grüße".encode()
    assert ok(m.search("UTF-8", "SUBJECT")) == [b"1 2"]
    assert ok(m.sort("(ARRIVAL)", "UTF-8", "ALL")) == [b"1 2"]
    assert ok(m.thread("REFERENCES", "UTF-8", "ALL"))
    ok(m.store("1", "+FLAGS", "(\\Deleted)"))
    ok(m.copy("1:2", "Trash"))
    ok(m.uid("MOVE", "2", '"Work/2026"'))
    assert ok(m.expunge()) == [b"2", b"1"], m.untagged_responses
    assert b"MESSAGES 2" in ok(m.status("Trash", "(MESSAGES UIDVALIDITY)"))[0]
    ok(m.getquotaroot("INBOX"))
    ok(m.namespace())
    ok(m.rename("Work", "Job"))
    ok(m.subscribe("Job"))
    assert any(b"Job" in line for line in ok(m.lsub()))
    ok(m.unsubscribe("Job"))
    ok(m.check())
    ok(m.noop())
    ok(m.unselect())
    ok(m.delete("Job/2026"))
    ok(m.select("Trash", readonly=True))
    assert m.store("1", "+FLAGS", "(\\Seen)")[0] == "NO"
    ok(m.close())
    assert m.logout()[0] == "BYE"


def scram(user, password):
    """A client of SCRAM-SHA-256 (RFC 5802, 7677) for imaplib's authenticate."""
    first = f"n={user},r=rOprNGfwEbeRWgbNEkqO"
    state = {}

    def respond(challenge):
        if "first" not in state:
            state["first"] = challenge.decode()
            if not challenge:
                del state["first"]
                state["asked"] = True
                return ("n,," + first).encode()
            parts = dict(part.split("=", 1) for part in state["first"].split(","))
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
            key = hmac.digest(salted, b"Client Key", "sha256")
            bare = f"c=biws,r={parts['r']}"
            message = ",".join([first, state["first"], bare]).encode()
            signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
            proof = bytes(a ^ b for a, b in zip(key, signature))
            server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
            state["server"] = b"v=" + base64.b64encode(server)
            return f"{bare},p={base64.b64encode(proof).decode()}".encode()
        assert challenge == state["server"], "the server does not know the password"
        return b""
    return respond


every_verb(imaplib.IMAP4("127.0.0.1", plain), "u1")
every_verb(imaplib.IMAP4_SSL("127.0.0.1", tls, ssl_context=context), "u2")
m = imaplib.IMAP4("127.0.0.1", plain)
ok(m.starttls(ssl_context=context))
assert "STARTTLS" not in m.capabilities
ok(m.authenticate("PLAIN", lambda _: b"\0u1\0pw"))
m.logout()
m = imaplib.IMAP4("127.0.0.1", plain)
ok(m.authenticate("SCRAM-SHA-256", scram("u1", "pw")))
m.logout()
m = imaplib.IMAP4("127.0.0.1", plain)
ok(m.login_cram_md5("u1", "pw"))
m.logout()
m = imaplib.IMAP4("127.0.0.1", plain)
try:
    m.authenticate("SCRAM-SHA-256", scram("u1", "wrong"))
    raise SystemExit("a wrong password was taken")
except imaplib.IMAP4.error as error:
    assert "AUTHENTICATIONFAILED" in str(error), error
print("every verb works")
