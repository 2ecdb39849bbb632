"""A client of a server that goes down gently finds itself at the next one, subscriptions and all."""

import os
import signal

from common import PATIENCE, connect, event, run, settled, targets


async def test():
    old, new = targets()
    client = await connect([old.url, new.url])
    subscription = await client.subscribe("moved")
    await settled(client)
    assert client.connected_url.netloc == old.url.removeprefix("nats://")
    os.kill(old.pid, signal.SIGUSR2)
    await event(client, "reconnected")
    assert client.connected_url.netloc == new.url.removeprefix("nats://")
    await settled(client)
    other = await connect(new.url)
    await other.publish("moved", b"here")
    assert (await subscription.next_msg(PATIENCE)).data == b"here"
    await client.close()
    await other.close()


run(test)
