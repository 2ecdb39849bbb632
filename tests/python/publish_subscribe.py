"""Messages reach a subscriber in order, and none after it has unsubscribed."""

from common import PATIENCE, connect, run, settled, targets


async def test():
    url = targets()[0].url
    sender, receiver = await connect(url), await connect(url)
    subscription = await receiver.subscribe("greet.joe")
    await settled(receiver)
    for number in range(100):
        await sender.publish("greet.joe", str(number).encode())
    for number in range(100):
        message = await subscription.next_msg(PATIENCE)
        assert (message.subject, message.data) == ("greet.joe", str(number).encode()), message
    await subscription.unsubscribe()
    await settled(receiver)
    probe = await receiver.subscribe("greet.*")
    await settled(receiver)
    await sender.publish("greet.joe", b"late")
    assert (await probe.next_msg(PATIENCE)).data == b"late"
    assert receiver.stats["in_msgs"] == 101, receiver.stats
    await sender.close()
    await receiver.close()


run(test)
