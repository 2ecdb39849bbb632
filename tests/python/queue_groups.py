"""Each message goes to one member of each group and to every plain subscription."""

import asyncio

from common import PATIENCE, connect, run, settled, targets

COUNT = 300


async def test():
    url = targets()[0].url
    taken = {"red": [], "blue": []}
    shares = []
    done = asyncio.Event()
    clients = []

    def member(group, share):
        async def take(message):
            share.append(message.data)
            taken[group].append(int(message.data))
            if all(len(numbers) >= COUNT for numbers in taken.values()):
                done.set()

        return take

    for group in taken:
        for _ in range(3):
            client = await connect(url)
            clients.append(client)
            shares.append([])
            await client.subscribe("work", queue=group, cb=member(group, shares[-1]))
            await settled(client)
    sender = await connect(url)
    for number in range(COUNT):
        await sender.publish("work", str(number).encode())
    await asyncio.wait_for(done.wait(), PATIENCE)
    for client in clients:
        await settled(client)
    for group, numbers in taken.items():
        assert sorted(numbers) == list(range(COUNT)), group
    assert all(shares), [len(share) for share in shares]
    for client in [*clients, sender]:
        await client.close()


run(test)
