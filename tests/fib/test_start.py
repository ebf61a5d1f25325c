"""Starting: what is printed, what can go wrong, and how the server says so."""
import os
import shutil
import socket
import subprocess
import tempfile

from client import FIN, Client
from server import SETTINGS, Server, eventually, launch, patience, run_to_end
from server_kit import Skip, check, check_equal, test


def expect_failure(options, code, *words, **popen):
    """Exit code, and one message on stderr that has all the words in it."""
    got, out, err = run_to_end(*options, **popen)
    check_equal(got, code, f"stderr {err!r}, exit code")
    check_equal(out, "", "stdout")
    messages = [line for line in err.splitlines() if "warning" not in line]
    check(0 < len(messages) <= 2, f"stderr is {err!r}")
    for word in words:
        check(word.lower() in messages[0].lower(), f"{word!r} is not in {messages[0]!r}")
    for word in ("terminate", "what()", "Aborted", "    #"):
        check(word not in err, f"stderr is {err!r}")


@test("start: a port in use is an error that names the address and the cause")
def port_in_use():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        expect_failure(["--host", "127.0.0.1", "--port", port], 1, f"127.0.0.1:{port}", "in use")


@test("start: two servers on one port: the second fails, the first goes on")
def two_servers():
    with Server() as server:
        expect_failure(["--host", "127.0.0.1", "--port", server.port], 1, f"127.0.0.1:{server.port}", "in use")
        with Client(server) as client:
            check_equal(client.ask("10"), "55")


@test("start: a port that only root may have is an error that names the address and the cause")
def privileged_port():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) <= 1:
            raise Skip("every user may have every port here (net.ipv4.ip_unprivileged_port_start)")
    if os.geteuid() != 0:
        return expect_failure(["--host", "127.0.0.1", "--port", "1"], 1, "127.0.0.1:1", "permission denied")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(SETTINGS["fib_server"], folder)
        result = subprocess.run(
            [program, "--host", "127.0.0.1", "--port", "1"], user=65534, group=65534, extra_groups=[], cwd="/",
            capture_output=True, text=True, timeout=patience(10), check=False,
        )
    if "shared librar" in result.stderr:
        raise Skip("another user cannot load the program's libraries")
    check_equal(result.returncode, 1, f"stderr {result.stderr!r}, exit code")
    check("127.0.0.1:1: permission denied" in result.stderr.lower(), f"stderr is {result.stderr!r}")


@test("start: a host that does not exist is an error that names it")
def unknown_host():
    for host in ("no-such-host.invalid", "300.1.1.1", "127.0.0.1:80", "[::1]", " ", ""):
        expect_failure(["--host", host, "--port", "0"], 1, host)


@test("start: an address of another machine is an error that names it")
def foreign_address():
    expect_failure(["--host", "192.0.2.1", "--port", "0"], 1, "192.0.2.1", "cannot assign requested address")


@test("start: what is wrong on the command line is said, with exit code 2")
def usage():
    for options in (
        ["--prot", "1"], ["-p", "1"], ["5566"], ["--"], [""], ["--=1"], ["--port"], ["--port", ""], ["--port", "x"],
        ["--port", "65536"], ["--port", "-1"], ["--port", "+1"], ["--port", "1e3"], ["--port", " 1"], ["--port=x"],
        ["--port", "99999999999999999999"], ["--max-n", "94"], ["--max-n", "-1"], ["--workers", "0"],
        ["--threads", "0"], ["--threads", "1025"], ["--threads", "two"],
        ["--workers", "1025"], ["--queue", "0"], ["--max-connections", "0"], ["--max-line", "0"],
        ["--max-pending", "0"], ["--max-output", "0"], ["--idle-timeout", "0"], ["--idle-timeout", "-1"],
        ["--idle-timeout", "nan"], ["--idle-timeout", "inf"], ["--idle-timeout", "1e7"], ["--line-timeout", "x"],
        ["--write-timeout", "1s"], ["--drain-timeout", ""], ["--help=1"], ["--port", "0", "--port"],
    ):
        expect_failure(options, 2, options[0] if options[0] != "--port=x" else "--port")


@test("start: what a bad option holds cannot play tricks on a terminal")
def escaped_option():
    _, _, err = run_to_end("--port", "\x1b[2J")
    check("\x1b" not in err, f"stderr is {err!r}")


@test("start: --help names every option, on stdout")
def help_text():
    code, out, err = run_to_end("--help")
    check_equal((code, err), (0, ""))
    for name in (
        "host", "port", "threads", "max-n", "workers", "queue", "max-connections", "max-line", "max-skip", "max-output",
        "max-pending", "idle-timeout", "line-timeout", "write-timeout", "drain-timeout", "help",
    ):
        check(f"--{name} " in out, f"--{name} is not in {out!r}")


@test("start: --port 0 prints the port it got before it serves")
def any_port():
    with Server() as server:
        check(server.port > 0, "port 0")
        with Client(server) as client:
            check_equal(client.ask("10"), "55")


@test("start: --option=value is the same as --option value")
def equals_form():
    with Server("--max-n=7") as server, Client(server) as client:
        check_equal(client.ask("8"), "ERR out of range (0..7)")


@test("start: again on the same port, with connections of the last run in TIME_WAIT")
def start_again():
    port = 0
    for _ in range(3):
        with Server("--idle-timeout", 0.1, port=port) as server:
            port = server.port
            with Client(server) as client:
                check_equal(client.ask("10"), "55")
                client.expect_end("")  # the server closes first, and so TIME_WAIT is on its side


def addresses_printed(process, count):
    return [process.stdout.readline().decode().split()[-1] for _ in range(count)]


def expect_serves_localhost(process, addresses):
    """A server on localhost: one line an address, the same port for all, and each is served."""
    printed = addresses_printed(process, len(addresses))
    hosts = {where.rpartition(":")[0].strip("[]") for where in printed}
    ports = {where.rpartition(":")[2] for where in printed}
    check_equal(hosts, set(addresses), "listening on")
    check_equal(len(ports), 1, "number of ports")

    class Address:
        port = int(ports.pop())

    for host in addresses:
        with Client(Address, host=host) as client:
            check_equal(client.ask("10"), "55", host)


@test("start: localhost is every address it resolves to")
def localhost():
    addresses = sorted({entry[4][0] for entry in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)})
    process = launch("--port", "0")
    try:
        expect_serves_localhost(process, addresses)
    finally:
        process.kill()
        process.communicate()


@test("start: localhost is 127.0.0.1 and ::1 where /etc/hosts says so, each for its own kind of client")
def localhost_of_both_kinds():
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skip("no IPv6 here")
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("127.0.0.1 localhost\n::1 localhost\n")
        hosts.flush()
        script = f"mount --bind {hosts.name} /etc/hosts || exit 99\n" + 'exec "$0" --port 0'
        process = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, SETTINGS["fib_server"]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            pass
        try:
            if process.returncode is not None:
                raise Skip("an own /etc/hosts needs user and mount namespaces")
            expect_serves_localhost(process, ["127.0.0.1", "::1"])
        finally:
            process.kill()
            process.communicate()


@test("start: listening beyond this machine is warned of")
def exposed():
    for host, warned in (("0.0.0.0", True), ("127.0.0.1", False)):
        with Server(host=host) as server:
            pass
        lines = [line for line in server.errors if "other machines" in line]
        check_equal(len(lines), int(warned), f"--host {host}: {server.errors}: warnings")


def open_port_of(pid):
    """The port that a process listens on, when it cannot print it."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                return int(fields[1].split(":")[1], 16)
    return None


def serves_without_output(server, within=5):
    """A server whose stdout we cannot read is up and answers, and ends in good order."""
    server.port = eventually(lambda: open_port_of(server.pid), within, "it listens")
    with Client(server) as client:
        client.send(b"10\nx\n30\n")
        check_equal(client.lines(3), ["55", "ERR not a number", "832040"])
        client.end_input()
        check_equal(client.rest(), (b"", FIN))


@test("output: started with stdin, stdout and stderr closed, it serves, and connections do not take their place")
def closed_streams():
    for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"):
        nothing = subprocess.DEVNULL
        with Server(shell="exec " + closed, stdout=nothing, stderr=nothing) as server:
            serves_without_output(server)
            for fd in (0, 1, 2):
                check_equal(os.readlink(f"/proc/{server.pid}/fd/{fd}"), "/dev/null", f"{closed}: descriptor {fd}")


def full_pipe():
    """The end to write to of a pipe that nobody reads and that has no room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


@test("output: a full pipe as stdout and stderr never blocks it")
def full_pipes():
    reading, writing = full_pipe()
    options = {"stdout": writing, "stderr": writing, "shell": "ulimit -n 30"}
    with Server("--max-connections", 1000, **options) as server:
        serves_without_output(server)
        if not SETTINGS["sanitized"]:  # see tolerant_of_shortage()
            serves_when_it_wants_to_log(server)
    os.close(reading)
    os.close(writing)


def serves_when_it_wants_to_log(server):
    clients = [Client(server) for _ in range(50)]
    eventually(lambda: server.descriptors() >= 30, 5, "no descriptor is left")
    check_equal(clients[0].ask("10"), "55")
    for client in clients:
        client.close()


@test("output: a pipe without a reader as stdout and stderr does not end it")
def broken_pipes():
    reading, writing = os.pipe()
    os.close(reading)
    with Server(host="0.0.0.0", stdout=writing, stderr=writing) as server:
        serves_without_output(server)
    os.close(writing)
    for options, code in ((["--help"], 0), (["--prot"], 2), (["--host", "192.0.2.1"], 1)):
        reading, writing = os.pipe()
        os.close(reading)
        got, _, _ = run_to_end(*options, stdout=writing, stderr=writing)
        os.close(writing)
        check_equal(got, code, f"{options}: exit code")
