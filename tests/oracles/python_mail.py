"""Python's own smtplib and poplib against a running sealfax-mailserver, and what is left after kill -9."""

import poplib
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

SERVER = sys.argv[1]
PASSWORDS = {"hanako@b.example": "himitsu 1", "jiro@b.example": "himitsu 2"}
LIMIT = 20_000


class Server:
    """One process, which is ours to kill."""

    def __init__(self, config):
        self.process = subprocess.Popen(
            [SERVER, "serve", "--config", config], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self.smtp = self.pop3 = None
        for line in self.process.stderr:
            found = re.search(r"SMTP at 127\.0\.0\.1:(\d+), POP3 at 127\.0\.0\.1:(\d+)", line)
            if found:
                self.smtp, self.pop3 = int(found[1]), int(found[2])
                break
        assert self.smtp, "the server did not start"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def sender(self):
        return smtplib.SMTP("127.0.0.1", self.smtp, local_hostname="client.example", timeout=30)

    def mailbox(self, who):
        client = poplib.POP3("127.0.0.1", self.pop3, timeout=30)
        client.user(who)
        client.pass_(PASSWORDS[who])
        return client


def mail(number, body="one line\r\n.a dot first\r\n..two\r\n.\r\nlast\r\n"):
    return (
        f"From: Taro <taro@a.example>\r\nTo: hanako@b.example\r\nSubject: {number}\r\n"
        f"Message-ID: <{number}@a.example>\r\n\r\n{body}"
    ).encode()


def whole(client, number):
    return b"\r\n".join(client.retr(number)[1]) + b"\r\n"


def accept_list_retr_dele(server):
    with server.sender() as client:
        code, _ = client.ehlo()
        assert code == 250
        for extension in ("pipelining", "size", "8bitmime", "enhancedstatuscodes"):
            assert client.has_extn(extension), extension
        assert client.sendmail("taro@a.example", ["hanako@b.example"], mail(1)) == {}
        assert client.sendmail("taro@a.example", ["hanako@b.example"], mail(2)) == {}
    client = server.mailbox("hanako@b.example")
    count, octets = client.stat()
    assert count == 2, count
    listed = [line.split() for line in client.list()[1]]
    assert sum(int(size) for _, size in listed) == octets
    assert whole(client, 1).endswith(mail(1)) and whole(client, 2).endswith(mail(2))
    assert len(whole(client, 1)) == int(listed[0][1])
    unique = client.uidl()[1]
    client.dele(1)
    client.quit()
    client = server.mailbox("hanako@b.example")
    assert [line.split()[1] for line in client.uidl()[1]] == [unique[1].split()[1]], "UIDL is not stable"
    # Without QUIT nothing is deleted.
    client.dele(1)
    client.close()
    client = server.mailbox("hanako@b.example")
    assert client.stat()[0] == 1
    client.dele(1)
    client.quit()
    client = server.mailbox("hanako@b.example")
    assert client.stat()[0] == 0
    client.quit()


def refusals(server):
    with server.sender() as client:
        try:
            client.sendmail("taro@a.example", ["nobody@b.example"], mail(3))
            raise AssertionError("an unknown recipient was taken")
        except smtplib.SMTPRecipientsRefused as refused:
            assert refused.recipients["nobody@b.example"][0] == 550, refused.recipients
        # 127.0.0.1 is not among those that may relay.
        try:
            client.sendmail("taro@a.example", ["someone@elsewhere.example"], mail(3))
            raise AssertionError("an open relay")
        except smtplib.SMTPRecipientsRefused as refused:
            assert refused.recipients["someone@elsewhere.example"][0] // 100 == 5, refused.recipients
        # smtplib announces SIZE; the server refuses at MAIL.
        try:
            client.sendmail("taro@a.example", ["hanako@b.example"], mail(4, "x" * 70 + "\r\n") + b"y\r\n" * LIMIT)
            raise AssertionError("an oversized mail was taken")
        except smtplib.SMTPSenderRefused as refused:
            assert refused.smtp_code == 552, refused
    with server.sender() as client:
        # And who does not announce it is refused after the data.
        client.ehlo()
        client.mail("taro@a.example")
        client.rcpt("hanako@b.example")
        code, _ = client.data(mail(4) + b"y\r\n" * LIMIT)
        assert code == 552, code
        assert client.sendmail("taro@a.example", ["jiro@b.example"], mail(5)) == {}, "the session goes on"
    client = poplib.POP3("127.0.0.1", server.pop3, timeout=30)
    client.user("hanako@b.example")
    try:
        client.pass_("himitsu 2")
        raise AssertionError("a wrong password was taken")
    except poplib.error_proto as error:
        assert b"-ERR" in error.args[0], error
    client.close()


def read_reply(file):
    while True:
        line = file.readline()
        assert re.fullmatch(rb"\d{3}[ -][ -~]*\r\n", line), line
        if line[3:4] == b" ":
            return int(line[:3])


def pipelining(server):
    """RFC 2920: all commands at once, the replies in order; here with two mails in one session."""
    with socket.create_connection(("127.0.0.1", server.smtp), timeout=30) as connection:
        file = connection.makefile("rb")
        assert read_reply(file) == 220
        connection.sendall(b"EHLO client.example\r\n")
        assert read_reply(file) == 250
        one = b"MAIL FROM:<taro@a.example>\r\nRCPT TO:<nobody@b.example>\r\nRCPT TO:<jiro@b.example>\r\nDATA\r\n"
        connection.sendall(one)
        assert [read_reply(file) for _ in range(4)] == [250, 550, 250, 354]
        connection.sendall(mail(6).replace(b"\r\n.", b"\r\n..") + b".\r\n" + one)
        assert [read_reply(file) for _ in range(5)] == [250, 250, 550, 250, 354]
        connection.sendall(mail(7).replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n")
        assert [read_reply(file) for _ in range(2)] == [250, 221]


def two_clients(server):
    """Interleaved sessions; and a mailbox has one reader at a time (RFC 1939, 4)."""
    first, second = server.sender(), server.sender()
    for client in (first, second):
        client.ehlo()
        client.mail("taro@a.example")
    for client in (second, first):
        assert client.rcpt("hanako@b.example")[0] == 250
    assert second.data(mail(8))[0] == 250
    assert first.data(mail(9))[0] == 250
    first.quit()
    second.quit()
    reader = server.mailbox("hanako@b.example")
    try:
        server.mailbox("hanako@b.example")
        raise AssertionError("two readers in one mailbox")
    except poplib.error_proto as error:
        assert b"-ERR" in error.args[0], error
    other = server.mailbox("jiro@b.example")
    bodies = [whole(other, number) for number in range(1, other.stat()[0] + 1)]
    for expected in (mail(5), mail(6), mail(7)):
        assert sum(body.endswith(expected) for body in bodies) == 1, expected
    other.quit()
    assert reader.stat()[0] == 2
    for number in (1, 2):
        reader.dele(number)
    reader.quit()


def survives_kill(server, config):
    """Responsibility is taken at 250: what was answered so is there after kill -9, octet for octet, and once."""
    for number in range(10, 15):
        with socket.create_connection(("127.0.0.1", server.smtp), timeout=30) as connection:
            file = connection.makefile("rb")
            for told, expected in (
                (b"", 220),
                (b"EHLO client.example\r\n", 250),
                (b"MAIL FROM:<taro@a.example>\r\n", 250),
                (b"RCPT TO:<hanako@b.example>\r\n", 250),
                (b"DATA\r\n", 354),
                (mail(number).replace(b"\r\n.", b"\r\n..") + b".\r\n", 250),
            ):
                connection.sendall(told)
                assert read_reply(file) == expected, told
            server.kill()
        server = Server(config)
        client = server.mailbox("hanako@b.example")
        count = client.stat()[0]
        assert count == number - 9, f"{count} mails after kill {number}"
        assert whole(client, count).endswith(mail(number))
        client.quit()
    return server


def main():
    with tempfile.TemporaryDirectory() as folder:
        config = str(Path(folder, "mailserver.toml"))
        Path(config).write_text(
            textwrap.dedent(f"""\
            [mail]
            host_name = "mail.b.example"
            domains = ["b.example"]
            smtp = "127.0.0.1:0"
            pop3 = "127.0.0.1:0"
            data = "{folder}/data"
            dns_servers = ["127.0.0.1:9"]
            [mail.limits]
            message_octets = {LIMIT}
            login_failure_delay = "10ms"
            """)
        )
        for address, password in PASSWORDS.items():
            # The password goes in by standard input, never by the command line.
            subprocess.run(
                [SERVER, "account", "--config", config, "add", address, "--name", address.split("@")[0]],
                input=password + "\n", text=True, check=True, stderr=subprocess.PIPE,
            )
        server = Server(config)
        try:
            for test in (accept_list_retr_dele, refusals, pipelining, two_clients):
                test(server)
                print("ok", test.__name__)
            server = survives_kill(server, config)
            print("ok survives_kill")
        finally:
            server.kill()


main()
