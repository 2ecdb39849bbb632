"""`*` stands for one token, `>` for one or more at the end."""

from common import PATIENCE, connect, run, settled, targets

SENT = ["a.b", "a.b.c", "a", "a.c", "b.a.c"]
WANTED = {"a.*": ["a.b", "a.c"], "a.>": ["a.b", "a.b.c", "a.c"], "*.*.c": ["a.b.c", "b.a.c"], "a": ["a"]}


async def test():
    client = await connect(targets()[0].url)
    subscriptions = {pattern: await client.subscribe(pattern) for pattern in WANTED}
    for subject in SENT:
        await client.publish(subject, b"")
    await settled(client)
    for pattern, wanted in WANTED.items():
        got = [(await subscriptions[pattern].next_msg(PATIENCE)).subject for _ in wanted]
        assert got == wanted, (pattern, got)
        assert subscriptions[pattern].pending_msgs == 0, pattern
    await client.close()


run(test)
