"""A request that nobody serves fails at once, not by its timeout."""

import nats.errors
from common import PATIENCE, connect, run, targets


async def test():
    client = await connect(targets()[0].url)
    try:
        await client.request("nobody.home", b"", timeout=PATIENCE)
    except nats.errors.NoRespondersError:
        pass
    else:
        raise AssertionError("somebody answered")
    await client.close()


run(test)
