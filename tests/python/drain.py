"""A drained connection handles what had been delivered to it, then closes."""

from common import connect, event, run, targets

COUNT = 500


async def test():
    url = targets()[0].url
    sender, receiver = await connect(url), await connect(url)
    got = []

    async def take(message):
        got.append(int(message.data))

    await receiver.subscribe("d", cb=take)
    await receiver.flush()
    for number in range(COUNT):
        await sender.publish("d", str(number).encode())
    await sender.flush()
    await receiver.drain()
    await event(receiver, "closed")
    assert got == list(range(COUNT)), len(got)
    await sender.close()


run(test)
