"""A client that stops reading is cut off by the server; it reconnects and goes on."""

import socket

from common import PATIENCE, connect, event, run, settled, targets

# Far more than the sockets' buffers and the server's max_pending take together.
CHUNKS, CHUNK_BYTES = 64, 1 << 20


def flood(url):
    """Publishes without the client's event loop, which stands still meanwhile."""
    host, port = url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as sender:
        answers = sender.makefile("rb")
        sender.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        for _ in range(CHUNKS):
            sender.sendall(b"PUB flood %d\r\n%s\r\nPING\r\n" % (CHUNK_BYTES, bytes(CHUNK_BYTES)))
            while True:
                line = answers.readline()
                assert line, "the server closed the sender"
                if line == b"PONG\r\n":
                    break


async def test():
    url = targets()[0].url
    client = await connect(url)
    await client.subscribe("flood", pending_bytes_limit=1 << 30, pending_msgs_limit=1 << 30)
    answer = await client.subscribe("after")
    await settled(client)
    flood(url)
    await event(client, "reconnected")
    await settled(client)
    await client.publish("after", b"still here")
    assert (await answer.next_msg(PATIENCE)).data == b"still here"
    await client.close()


run(test)
