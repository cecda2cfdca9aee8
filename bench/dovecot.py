"""The client of bench/dovecot.sh: one measurement against one server, printed as a number a second.

dovecot.py MEASUREMENT PORT MESSAGES

Raw sockets: what is measured is the server, not a library's parser.
"""
import socket
import sys
import time


class Wire:
    """A connection that reads up to an end mark."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def until(self, mark):
        """Bytes up to and with the mark."""
        at, start = -1, 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                break
            start = max(0, len(self.buffer) - len(mark) + 1)
            more = self.socket.recv(1 << 18)
            assert more, "the server closed"
            self.buffer += more
        taken, self.buffer = self.buffer[: at + len(mark)], self.buffer[at + len(mark):]
        return taken

    def say(self, text):
        self.socket.sendall(text.encode())

    def ask(self, line, good, mark=b"\r\n"):
        self.say(line + "\r\n")
        reply = self.until(mark)
        assert reply.startswith(good), reply[:200]
        return reply


def pop3_login(port, messages):
    wire = Wire(port)
    assert wire.until(b"\r\n").startswith(b"+OK")
    wire.ask("USER bench", b"+OK")
    wire.ask("PASS pw", b"+OK")
    held = int(wire.ask("STAT", b"+OK").split()[1])
    assert held >= messages, held
    wire.ask("UIDL", b"+OK", b"\r\n.\r\n")
    return wire


def pop3_one_by_one(port, messages):
    """As most mail programs fetch: the next RETR after the last byte of the message before."""
    begun = time.perf_counter()
    wire = pop3_login(port, messages)
    for number in range(1, messages + 1):
        assert len(wire.ask(f"RETR {number}", b"+OK", b"\r\n.\r\n")) > 4096
    wire.ask("QUIT", b"+OK")
    return messages / (time.perf_counter() - begun)


def pop3_pipelined(port, messages):
    """RFC 2449, 6.6: 50 RETR in one write."""
    begun = time.perf_counter()
    wire = pop3_login(port, messages)
    for first in range(1, messages + 1, 50):
        numbers = range(first, min(first + 50, messages + 1))
        wire.say("".join(f"RETR {number}\r\n" for number in numbers))
        for _ in numbers:
            assert len(wire.until(b"\r\n.\r\n")) > 4096
    wire.ask("QUIT", b"+OK")
    return messages / (time.perf_counter() - begun)


MEASUREMENTS = {
    "pop3-one-by-one": pop3_one_by_one,
    "pop3-pipelined": pop3_pipelined,
}

if __name__ == "__main__":
    what, port, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(f"{MEASUREMENTS[what](port, messages):.0f}")
