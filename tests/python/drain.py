"""A drained connection handles what had been delivered to it, then closes."""

import asyncio

from common import PATIENCE, connect, event, run, settled, targets

COUNT = 500


async def test():
    url = targets()[0].url
    sender, receiver = await connect(url), await connect(url)
    got, begun = [], asyncio.Event()

    async def take(message):
        got.append(int(message.data))
        begun.set()
        # Slower than the messages come: most of them wait when the drain begins.
        await asyncio.sleep(0)

    await receiver.subscribe("d", cb=take)
    await settled(receiver)
    for number in range(COUNT):
        await sender.publish("d", str(number).encode())
    await settled(sender)
    await asyncio.wait_for(begun.wait(), PATIENCE)
    await receiver.drain()
    await event(receiver, "closed")
    assert got == list(range(COUNT)), len(got)
    await sender.close()


run(test)
