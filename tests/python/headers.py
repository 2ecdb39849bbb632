"""Headers arrive with the message, and a message without them has none."""

from common import PATIENCE, connect, run, targets


async def test():
    client = await connect(targets()[0].url)
    subscription = await client.subscribe("h")
    await client.publish("h", b"body", headers={"Trace": "1", "With-Space": "a b"})
    await client.publish("h", b"", headers={"Empty-Body": "yes"})
    await client.publish("h", b"plain")
    message = await subscription.next_msg(PATIENCE)
    assert (message.headers, message.data) == ({"Trace": "1", "With-Space": "a b"}, b"body"), message
    message = await subscription.next_msg(PATIENCE)
    assert (message.headers, message.data) == ({"Empty-Body": "yes"}, b""), message
    message = await subscription.next_msg(PATIENCE)
    assert (message.headers, message.data) == (None, b"plain"), message
    await client.close()


run(test)
