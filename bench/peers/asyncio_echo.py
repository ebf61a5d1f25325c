"""Bench: the echo server on Python's asyncio, a peer: asyncio_echo.py streams|protocols|uvloop"""
import asyncio
import resource
import signal
import socket
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    # Flow control: what the client does not take is not read, either.
    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def echo(reader, writer):
    try:
        while data := await reader.read(16 * 1024):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def listening_socket():
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


async def serve(style):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    listener = listening_socket()
    if style == "streams":
        await asyncio.start_server(echo, sock=listener, backlog=4096)
    else:
        await loop.create_server(Echo, sock=listener, backlog=4096)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await stop.wait()


def main(style):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if style == "uvloop":
        import uvloop
        uvloop.install()
    asyncio.run(serve(style))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("streams", "protocols", "uvloop"):
        sys.exit("asyncio_echo.py streams|protocols|uvloop")
    main(sys.argv[1])
