"""Lets https_get talk with `openssl s_server`, and with servers that do it wrong: test_https_get.py FOLDER"""
import contextlib
import pathlib
import random
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from server_kit import LIMIT, check, check_equal, run_tests, test
from tls_kit import built_with_openssl, certificate, need

FOLDER = pathlib.Path(sys.argv[1])


def https_get(*arguments, trusted="localhost"):
    program = built_with_openssl(FOLDER / "https_get")
    authorities = ["--ca", certificate(trusted)[0]] if trusted else []
    return subprocess.run([program, *authorities, *arguments], capture_output=True, timeout=LIMIT)


def check_failure(ended, expected, out=b""):
    check_equal((ended.returncode, ended.stdout), (1, out))
    check(ended.stderr.startswith(b"https_get: ") and expected in ended.stderr, f"stderr is {ended.stderr!r}")


@contextlib.contextmanager
def openssl_server(folder):
    """`openssl s_server -WWW`, which serves the files of the folder; gives its port."""
    need("openssl")
    cert, key = certificate("localhost")
    server = subprocess.Popen(["openssl", "s_server", "-WWW", "-accept", "localhost:0", "-cert", cert, "-key", key],
                              cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watchdog = threading.Timer(2 * LIMIT, server.kill)
    watchdog.start()
    try:
        for line in server.stdout:
            if accepted := re.match(rb"ACCEPT \S+:(\d+)", line):
                break
        else:
            raise AssertionError("openssl s_server does not say where it listens")
        yield accepted[1].decode()
    finally:
        watchdog.cancel()
        server.kill()
        server.communicate()


@contextlib.contextmanager
def answering(answer, close_notify=True, name="localhost"):
    """A server that answers one request with these bytes; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(name))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)

    def serve():
        with contextlib.suppress(OSError):  # a client that does not trust us leaves
            connection = listener.accept()[0]
            connection.settimeout(LIMIT)
            client = context.wrap_socket(connection, server_side=True)
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += client.recv(4096)
            requests.append(request)
            client.sendall(answer)
            if close_notify:
                client.unwrap()
            client.close()

    requests = []
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(listener.getsockname()[1]), requests
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)
        listener.close()


@test("https_get: prints what `openssl s_server` serves, as curl does")
def _():
    body = random.Random(5).randbytes(1 << 20)
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "page").write_bytes(body)
        with openssl_server(folder) as port:
            got = https_get("localhost", port, "/page")
            check_equal((got.returncode, got.stderr), (0, b""))
            check(got.stdout == body, f"{len(got.stdout)} bytes came, or other ones")
            need("curl")
            by_curl = subprocess.run(["curl", "--silent", "--http1.0", "--noproxy", "*", "--cacert",
                                      certificate("localhost")[0], f"https://localhost:{port}/page"],
                                     capture_output=True, timeout=LIMIT)
            check(by_curl.stdout == body, "curl got something else")


@test("https_get: asks in HTTP/1.1 for one answer, and names the host")
def _():
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes") as (port, requests):
        got = https_get("localhost", port, "/path?query")
        check_equal((got.returncode, got.stdout, got.stderr), (0, b"yes", b""))
    expected = f"GET /path?query HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    check_equal(requests, [expected.encode()])


BODIES = {
    "of a known length": (b"content-length:  11\r\n\r\nhello world and more", b"hello world"),
    "in chunks": (b"Transfer-Encoding: Chunked\r\n\r\n6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\n\r\n", b"hello world"),
    "until the close-notify": (b"\r\nhello world", b"hello world"),
    "that is empty": (b"Content-Length: 0\r\n\r\n", b""),
}

for kind in BODIES:

    @test(f"https_get: prints a body {kind}")
    def _(kind=kind):
        answer, expected = BODIES[kind]
        with answering(b"HTTP/1.1 200 OK\r\nServer: test\r\n" + answer) as (port, _):
            got = https_get("localhost", port)
            check_equal((got.returncode, got.stdout, got.stderr), (0, expected, b""))


CUT_SHORT = {
    "of a known length": (b"Content-Length: 12\r\n\r\nhello world", True, b"hello world"),
    "in chunks": (b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello ", True, b"hello "),
    "without a close-notify": (b"\r\nhello world", False, b"hello world"),
}

for kind in CUT_SHORT:

    @test(f"https_get: a body {kind} that ends too early is an error")
    def _(kind=kind):
        answer, close_notify, printed = CUT_SHORT[kind]
        with answering(b"HTTP/1.1 200 OK\r\n" + answer, close_notify) as (port, _):
            got = https_get("localhost", port)
            check(printed.startswith(got.stdout), f"it printed {got.stdout!r}")
            check_failure(got, b"the answer ends too early" if close_notify else b"cut off", got.stdout)


@test("https_get: an answer that is no success, or no HTTP, is an error")
def _():
    with answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnot me\n") as (port, _):
        check_failure(https_get("localhost", port), b"the server says 404 Not Found", out=b"not me\n")
    for nonsense in (b"220 mail server\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b"\r\n\r\n", b""):
        with answering(nonsense) as (port, _):
            check_failure(https_get("localhost", port), b"")


@test("https_get: a certificate that nobody vouches for is refused before anything is sent")
def _():
    for name, trusted in (("localhost", None), ("localhost", "elsewhere")):
        with answering(b"HTTP/1.1 200 OK\r\n\r\nsecret", name=name) as (port, requests):
            check_failure(https_get("localhost", port, trusted=trusted), b"certificate verify failed: self-signed")
        check_equal(requests, [])


@test("https_get: a certificate for another host is refused")
def _():
    with answering(b"HTTP/1.1 200 OK\r\n\r\nsecret", name="elsewhere") as (port, requests):
        check_failure(https_get("localhost", port, trusted="elsewhere"), b"verify failed: hostname mismatch")
    check_equal(requests, [])
    with answering(b"HTTP/1.1 200 OK\r\n\r\nsecret") as (port, requests):
        check_failure(https_get("127.0.0.1", port), b"verify failed: IP address mismatch")
    check_equal(requests, [])


@test("https_get: a page that cannot be written is an error")
def _():
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes") as (port, _), open("/dev/full", "wb") as full:
        program = built_with_openssl(FOLDER / "https_get")
        ended = subprocess.run([program, "--ca", certificate("localhost")[0], "localhost", port], stdout=full,
                               stderr=subprocess.PIPE, timeout=LIMIT)
        check_equal((ended.returncode, ended.stderr), (1, b"https_get: cannot write the page\n"))


@test("https_get: where nobody listens, or nobody speaks TLS, the error says so")
def _():
    built_with_openssl(FOLDER / "https_get"), certificate("localhost")  # else skipped, before a thread waits
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = threading.Thread(target=answer_in_plain, args=(taken,))
        answer.start()
        check_failure(https_get("localhost", port), b"TLS handshake: ")
        answer.join(LIMIT)
    check_failure(https_get("127.0.0.1", port), b"connection refused")
    check_failure(https_get("localhost", "http"), b'"http" is no number here')


def answer_in_plain(listener):
    listener.settimeout(LIMIT)
    with contextlib.suppress(OSError), listener.accept()[0] as client:  # nobody comes when the test fails
        client.recv(4096)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


sys.exit(run_tests())
