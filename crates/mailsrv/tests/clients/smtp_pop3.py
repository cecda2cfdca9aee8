"""Python's own smtplib and poplib: every verb, STARTTLS and TLS, good and bad passwords."""
import json
import poplib
import smtplib
import ssl
import sys

ports, ca = json.loads(sys.argv[1]), sys.argv[2]
tls = ssl.create_default_context(cafile=ca)


def refused(code, call, *args):
    try:
        result = call(*args)
    except smtplib.SMTPRecipientsRefused as error:
        assert all(reply[0] == code for reply in error.recipients.values()), error
        return
    except smtplib.SMTPResponseException as error:
        assert error.smtp_code == code, error
        return
    raise AssertionError(f"not refused: {result}")


def denied(call, *args):
    try:
        result = call(*args)
    except poplib.error_proto as error:
        return str(error)
    raise AssertionError(f"not refused: {result}")


mail = b"From: u1@a.test\r\nTo: u2@a.test\r\nSubject: from Python\r\n\r\n.dot\r\nlast line\r\n"

# Port 25 without a login: own domains only.
with smtplib.SMTP("127.0.0.1", ports["smtp"]) as smtp:
    assert smtp.helo()[0] == 250
    assert smtp.ehlo()[0] == 250
    for extension in ("size", "8bitmime", "pipelining", "dsn", "smtputf8", "chunking", "starttls"):
        assert smtp.has_extn(extension), extension
    assert smtp.sendmail("u1@a.test", ["u2@a.test"], mail) == {}
    refused(550, smtp.sendmail, "u1@a.test", ["nobody@a.test"], mail)
    refused(550, smtp.sendmail, "u1@a.test", ["x@far.test"], mail)
    some = smtp.sendmail("u1@a.test", ["u2@a.test", "nobody@a.test"], mail)
    assert list(some) == ["nobody@a.test"] and some["nobody@a.test"][0] == 550, some
    assert smtp.verify("u2")[0] == 252
    assert smtp.noop()[0] == 250 and smtp.rset()[0] == 250 and b"EHLO" in smtp.help()

# 587 with STARTTLS, every mechanism.
for mechanism in ("PLAIN", "LOGIN"):
    smtp = smtplib.SMTP("localhost", ports["submission"])
    smtp.starttls(context=tls)
    smtp.ehlo()
    refused(530, smtp.sendmail, "u1@a.test", ["u2@a.test"], mail)
    smtp.rset()
    smtp.user, smtp.password = "u1", "wrong"
    how = smtp.auth_plain if mechanism == "PLAIN" else smtp.auth_login
    refused(535, smtp.auth, mechanism, how)
    smtp.user, smtp.password = "u1@a.test", "pw"
    assert smtp.auth(mechanism, how)[0] == 235
    assert smtp.sendmail("u1@a.test", ["u2@a.test"], mail) == {}
    smtp.quit()

# 465.
with smtplib.SMTP_SSL("localhost", ports["submissions"], context=tls) as smtp:
    smtp.login("u1", "pw")
    smtp.sendmail("u1@a.test", ["u2@a.test"], b"Subject: without date\r\n\r\nx\r\n")

# A certificate of another authority is not trusted.
try:
    smtplib.SMTP_SSL("localhost", ports["submissions"], context=ssl.create_default_context())
    raise AssertionError("an unknown authority was trusted")
except ssl.SSLCertVerificationError:
    pass


def pop3(kind):
    if kind == "pop3s":
        return poplib.POP3_SSL("localhost", ports["pop3s"], context=tls)
    pop = poplib.POP3("localhost", ports["pop3"])
    if kind == "stls":
        assert "STLS" in pop.capa()
        pop.stls(tls)
        assert "STLS" not in pop.capa()
    return pop


uids = None
for kind in ("pop3", "stls", "pop3s"):
    pop = pop3(kind)
    assert "USER" in pop.capa()
    pop.user("u2")
    assert "[AUTH]" in denied(pop.pass_, "wrong")
    pop.user("u2")
    pop.pass_("pw")
    count, octets = pop.stat()
    assert count == 5, count
    assert sum(int(line.split()[1]) for line in pop.list()[1]) == octets
    listed = [line.split()[1] for line in pop.uidl()[1]]
    assert uids in (None, listed) and len(set(listed)) == 5
    uids = listed
    assert pop.uidl(1).split()[-1] == listed[0]
    _, lines, size = pop.retr(1)
    assert lines[0] == b"Return-Path: <u1@a.test>" and lines[-2:] == [b".dot", b"last line"], lines
    assert size == int(pop.list(1).split()[-1])
    _, lines, _ = pop.top(1, 1)
    assert lines[-1] == b".dot", lines
    _, lines, _ = pop.retr(5)
    assert any(line.startswith(b"Date: ") for line in lines)
    assert any(line.startswith(b"Message-ID: ") for line in lines)
    assert "IN-USE" in denied(lambda: [other := pop3("pop3"), other.user("u2"), other.pass_("pw")])
    pop.dele(2)
    denied(pop.retr, 2)
    assert pop.stat()[0] == 4
    pop.rset()
    assert pop.stat()[0] == 5
    pop.noop()
    pop.quit()

pop = pop3("pop3s")
pop.user("u2@a.test")
pop.pass_("pw")
for number in range(1, 6):
    pop.dele(number)
pop.quit()
pop = pop3("pop3")
pop.user("u2")
pop.pass_("pw")
assert pop.stat() == (0, 0)
pop.quit()
print("good")
