"""What the scripts share: the servers they were given, and a client with its events."""

import asyncio
import sys

import nats

PATIENCE = 60


class Target:
    """A server as the test names it: `nats://127.0.0.1:4222=1234`, address and process id."""

    def __init__(self, argument):
        self.url, pid = argument.rsplit("=", 1)
        self.pid = int(pid)


def targets():
    return [Target(argument) for argument in sys.argv[1:]]


async def connect(urls, **options):
    """A client whose events come as words in its `events` queue."""
    events = asyncio.Queue()

    def report(word):
        async def callback(*_):
            await events.put(word)

        return callback

    client = await nats.connect(
        urls,
        disconnected_cb=report("disconnected"),
        reconnected_cb=report("reconnected"),
        closed_cb=report("closed"),
        reconnect_time_wait=0.02,
        dont_randomize=True,
        **options,
    )
    client.events = events
    return client


async def refused(url, **options):
    """The server turns these credentials away."""
    try:
        client = await connect(url, allow_reconnect=False, max_reconnect_attempts=0, **options)
    except Exception as error:
        assert "authorization violation" in str(error).lower(), error
    else:
        await client.close()
        raise AssertionError("let in")


async def settled(client):
    """Waits until the server has taken everything. The client's first PING may overtake what it has
    not written yet; by the second one that is out."""
    await client.flush()
    await client.flush()


async def event(client, wanted):
    """Waits until the client has reported this."""

    async def search():
        while await client.events.get() != wanted:
            pass

    await asyncio.wait_for(search(), PATIENCE)


def run(test):
    asyncio.run(asyncio.wait_for(test(), 2 * PATIENCE))
