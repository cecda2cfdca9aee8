"""Every verb of Python's imaplib: PLAIN PORT, TLS PORT, CA FILE."""
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


every_verb(imaplib.IMAP4("127.0.0.1", plain), "u1")
every_verb(imaplib.IMAP4_SSL("127.0.0.1", tls, ssl_context=context), "u2")
m = imaplib.IMAP4("127.0.0.1", plain)
ok(m.starttls(ssl_context=context))
assert "STARTTLS" not in m.capabilities
ok(m.authenticate("PLAIN", lambda _: b"\0u1\0pw"))
m.logout()
print("every verb works")
