#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A consumer's max_deliver gives up a command, and the command has its outcome all the same.

Somebody sets max_deliver of the group's consumer to 2 while the workers read. Two workers are killed while
they run the command; then the server stops delivering it, takes it out of what is pending, and says so in one
advisory. Once a third worker listens; once nobody does, until max_deliver is mended and a worker starts.
Either way: one dead letter that says why, one error result, and no third run. That the server gave up for
real is asserted by an independent client that subscribes to the advisories.
"""

import json
import sys

import clients
import msgpack
import workers
from workers import brokers

TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.given.commands"}
CONSUMER = "COMMANDS.given"
ADVISORY = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{CONSUMER}"
ACK_WAIT_MS = 2000


class Admin(clients.Nats):
    """Somebody else's tool: it changes the consumer, pulls from it, and hears what the server says."""

    def __init__(self, url):
        super().__init__(url)
        self.advisories = {}  # deliveries by sequence
        self._run(self._listen())

    async def _listen(self):
        async def note(message):
            said = json.loads(message.data)
            self.advisories[said["stream_seq"]] = said["deliveries"]
        await self.connection.subscribe(ADVISORY, cb=note)
        await self.connection.flush()

    def api(self, subject, body=None):
        async def ask():
            answer = await self.connection.request(f"$JS.API.{subject}", json.dumps(body or {}).encode(),
                                                   timeout=10)
            return json.loads(answer.data)
        answer = self._run(ask())
        assert "error" not in answer, f"{subject}: {answer}"
        return answer

    def consumer(self):
        return self.api(f"CONSUMER.INFO.{CONSUMER}")

    def set_max_deliver(self, number):
        config = dict(self.consumer()["config"], max_deliver=number)
        self.api(f"CONSUMER.DURABLE.CREATE.{CONSUMER}", {"stream_name": "COMMANDS", "config": config})

    def pull(self):
        """Asks for a message and waits a second: a server of 2.9 gives up only when somebody asks."""
        async def ask():
            inbox = self.connection.new_inbox()
            sub = await self.connection.subscribe(inbox)
            await self.connection.publish(f"$JS.API.CONSUMER.MSG.NEXT.{CONSUMER}",
                                          b'{"batch":1,"expires":1000000000}', reply=inbox)
            try:
                return bool((await sub.next_msg(timeout=1)).reply)
            except TimeoutError:
                return False
            finally:
                await sub.unsubscribe()
        return self._run(ask())


def command(id_, payload):
    return msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "payload": payload})


def publish(admin, id_, payload):
    return admin.publish("commands", [("one-key", command(id_, payload), None)])[0]


def results(admin, id_):
    return [r for r in (msgpack.unpackb(m.value) for m in admin.read("results")) if r["id"] == id_]


def letters(admin, id_):
    return [m for m in admin.read(TOPICS["dead_letters"]) if m.header("dray-dlq-id") == id_]


def running(fleet):
    return [w for w in fleet if w.is_running() and w.metric("dray_running_commands") == 1]


def kill_twice(admin, fleet, id_):
    """A command that ends two workers. Its sequence, and who is left."""
    left = list(fleet)
    # It never ends by itself; only a kill ends a run.
    sequence = publish(admin, id_, {"do": "sleep", "ms": 3600000})
    for delivery in (1, 2):
        workers.settle_down(lambda: len(running(left)) == 1, 60, f"{id_} runs for the {delivery}. time")
        if delivery == 1:
            admin.set_max_deliver(2)
        victim = running(left)[0]
        victim.kill()
        left.remove(victim)
    return sequence, left


def check_outcome(admin, id_, sequence):
    """One dead letter that says why, one error result for the caller."""
    workers.settle_down(lambda: letters(admin, id_) and results(admin, id_), 60, f"the outcome of {id_}")
    letter, result = letters(admin, id_), results(admin, id_)
    assert len(letter) == 1 and len(result) == 1, f"{len(letter)} letters and {len(result)} results of {id_}"
    assert letter[0].header("dray-dlq-reason") == "limit", letter[0].headers
    assert "max_deliver" in letter[0].header("dray-dlq-message"), letter[0].headers
    assert letter[0].header("dray-dlq-source") == f"COMMANDS/{sequence}", letter[0].headers
    assert letter[0].value == command(id_, {"do": "sleep", "ms": 3600000}), "the bytes are the original"
    error = result[0]["error"]
    assert error["dead_letter"] is True and error["kind"] == "limit", error


def check_given_up(admin, sequence):
    """The server has told so, and knows nothing of the message any more."""
    assert admin.advisories[sequence] == 2, admin.advisories
    info = admin.consumer()
    assert info["num_ack_pending"] == 0 and info["delivered"]["stream_seq"] >= sequence, info


def check_goes_on(admin, id_):
    publish(admin, id_, {"do": "ok"})
    workers.settle_down(lambda: [r["status"] for r in results(admin, id_)] == ["ok"], 60,
                        f"the next of the key, {id_}")


def check_counted(worker):
    workers.settle_down(lambda: worker.metric("dray_transport_messages_given_up_total") == 1, 60,
                        f"{worker.name} counts it")


def check_refused(worker):
    """A worker does not start on a consumer that would lose messages."""
    try:
        worker.start()
    except brokers.BrokerError:
        pass  # it was quick
    workers.settle_down(lambda: not worker.is_running(), 60, f"{worker.name} refuses to start")
    assert worker.process.returncode not in (0, None), worker.process.returncode
    assert "max_deliver is set" in worker.log(), worker.log()[-2000:]


def somebody_listens(admin, fleet):
    sequence, left = kill_twice(admin, fleet, "heard")
    workers.settle_down(lambda: sequence in admin.advisories, 60, "the advisory")
    check_outcome(admin, "heard", sequence)
    check_given_up(admin, sequence)
    check_counted(left[0])
    check_goes_on(admin, "after-heard")
    admin.set_max_deliver(-1)
    assert left[0].stop() == 0, "the drain is clean"


def nobody_listens(admin, fleet, late):
    sequence, left = kill_twice(admin, fleet[:2], "unheard")
    assert not left
    workers.settle_down(lambda: not admin.pull() and sequence in admin.advisories, 60, "the advisory")
    check_given_up(admin, sequence)
    assert not letters(admin, "unheard"), "nobody was there to write one"
    check_refused(late)
    admin.set_max_deliver(-1)
    late.start().wait_ready()
    check_outcome(admin, "unheard", sequence)
    check_goes_on(admin, "after-unheard")
    check_counted(late)
    assert late.stop() == 0, "the drain is clean"


def scenario(binary):
    with workers.Folder("given") as folder, brokers.Nats(binary=binary) as broker:
        config = workers.configuration(broker.url, "given", TOPICS, lanes=2)
        config["nats"] = {"ack_wait_ms": ACK_WAIT_MS}
        config["routes"][0]["policy"]["timeout_ms"] = 3600000
        fleet = [workers.Worker(folder, name, config) for name in ("one", "two", "three")]
        late = workers.Worker(folder, "late", config)
        admin = None
        try:
            for worker in fleet:
                worker.start().wait_ready()
            admin = Admin(broker.url)
            somebody_listens(admin, fleet)
            for worker in fleet[:2]:
                worker.start().wait_ready()
            nobody_listens(admin, fleet, late)
            ran = [bytes.fromhex(run.id).decode() for run in workers.runs(late.probe_log)]
            print(f"given up by the server: {admin.advisories}; ran to their ends: {ran}")
            assert ran == ["after-heard", "after-unheard"], "what was given up did not run again"
            assert len(admin.advisories) == 2, admin.advisories
        finally:
            for worker in [*fleet, late]:
                if worker.is_running():
                    worker.kill()
            if admin is not None:
                admin.close()


def main():
    binary = None
    if sys.argv[1:] == ["--current"]:
        binary = brokers.nats_current()
        if binary is None:
            print("skipped: there is no current nats-server")
            return 77
    scenario(binary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
