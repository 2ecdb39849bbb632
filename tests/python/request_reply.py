"""Requests get their own replies, also many at once."""

import asyncio

from common import PATIENCE, connect, run, settled, targets


async def test():
    url = targets()[0].url
    worker, asker = await connect(url), await connect(url)

    async def answer(message):
        await message.respond(b"re: " + message.data)

    await worker.subscribe("service", cb=answer)
    await settled(worker)
    questions = [str(number).encode() for number in range(200)]
    replies = await asyncio.gather(*(asker.request("service", text, timeout=PATIENCE) for text in questions))
    assert [reply.data for reply in replies] == [b"re: " + text for text in questions]
    await worker.close()
    await asker.close()


run(test)
