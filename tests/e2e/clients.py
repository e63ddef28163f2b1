# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Clients in another language that share no code with dray: they produce commands and read what came out.

Both have the same face: publish(topic, [(key, value, headers)]) stores every message in order and returns
their positions; read(topic) gives everything that a topic holds now.
"""

import asyncio
import threading
import time

TIMEOUT_S = 120


class Message:
    """One stored message: position is (partition, offset) or the stream sequence."""

    def __init__(self, position, key, value, headers, stamp_ms):
        self.position = position
        self.key = key
        self.value = value
        self.headers = headers  # [(name, bytes)]
        self.stamp_ms = stamp_ms

    def header(self, name):
        """The last value under this name as text, or None."""
        found = [value for header, value in self.headers if header.lower() == name]
        return found[-1].decode() if found else None


class Kafka:
    """confluent-kafka."""

    kind = "kafka"

    def __init__(self, url):
        import confluent_kafka
        import confluent_kafka.admin

        self._kafka = confluent_kafka
        self.servers = url.removeprefix("kafka://")
        self._admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.servers})
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5,
             "partitioner": "murmur2_random"})

    def create(self, topic, partitions):
        fenced = self._kafka.KafkaError.INVALID_REPLICATION_FACTOR
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            new = self._kafka.admin.NewTopic(topic, partitions, 1)
            try:
                self._admin.create_topics([new])[topic].result(TIMEOUT_S)
                return
            except self._kafka.KafkaException as error:
                # on a slow machine the one broker may just have missed its heartbeat
                if error.args[0].code() != fenced or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def exists(self, topic):
        return topic in self._admin.list_topics(timeout=30).topics

    def publish(self, topic, messages):
        positions = [None] * len(messages)
        errors = []

        def report(at):
            def on_delivery(error, message):
                if error is not None:
                    errors.append(error)
                else:
                    positions[at] = (message.partition(), message.offset())
            return on_delivery

        for at, (key, value, headers) in enumerate(messages):
            while True:
                try:
                    self._producer.produce(topic, value, key, headers=headers or None,
                                           on_delivery=report(at))
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        left = self._producer.flush(TIMEOUT_S)
        assert not errors and left == 0, f"{topic}: {len(errors)} not stored, {left} left: {errors[:1]}"
        return positions

    def _ends(self, consumer, topic, number):
        """First and next offset of a partition, which has no leader for a moment when it was just made."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return consumer.get_watermark_offsets(self._kafka.TopicPartition(topic, number), timeout=30)
            except self._kafka.KafkaException as error:
                without = (self._kafka.KafkaError.LEADER_NOT_AVAILABLE, self._kafka.KafkaError.NOT_LEADER_FOR_PARTITION)
                if error.args[0].code() not in without or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, topic):
        """Everything up to the end as it is now, in the order of partitions and offsets."""
        consumer = self._kafka.Consumer(
            {"bootstrap.servers": self.servers, "group.id": "independent-reader",
             "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        try:
            if not self.exists(topic):
                return []
            parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            ends = {}
            for number in parts:
                low, high = self._ends(consumer, topic, number)
                if high > low:
                    ends[number] = high
            consumer.assign([self._kafka.TopicPartition(topic, n, 0) for n in ends])
            messages = []
            deadline = time.monotonic() + TIMEOUT_S
            while ends:
                assert time.monotonic() < deadline, f"{topic}: partitions {list(ends)} never ended"
                for message in consumer.consume(1000, timeout=1):
                    assert message.error() is None, message.error()
                    if message.offset() + 1 >= ends.get(message.partition(), 0):
                        ends.pop(message.partition(), None)
                    messages.append(Message(
                        (message.partition(), message.offset()), message.key(), message.value(),
                        [(n, v) for n, v in message.headers() or []], message.timestamp()[1]))
            return sorted(messages, key=lambda m: m.position)
        finally:
            consumer.close()

    def cut(self, topic, count):
        """Takes the first messages of a topic with one partition away."""
        parts = [self._kafka.TopicPartition(topic, 0, count)]
        for future in self._admin.delete_records(parts).values():
            future.result(60)

    def tail(self, topic):
        """A consumer of what is published from now on; the caller polls and closes it."""
        consumer = self._kafka.Consumer({"bootstrap.servers": self.servers, "group.id": "tail",
                                         "enable.auto.commit": False, "fetch.wait.max.ms": 10})
        parts = [self._kafka.TopicPartition(topic, n)
                 for n in consumer.list_topics(topic, timeout=30).topics[topic].partitions]
        for part in parts:
            part.offset = self._ends(consumer, topic, part.partition)[1]
        consumer.assign(parts)
        return consumer

    def committed(self, group, topic):
        """partition -> committed offset (-1: none)."""
        consumer = self._kafka.Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            got = consumer.committed(
                [self._kafka.TopicPartition(topic, n) for n in parts], timeout=30)
            return {p.partition: p.offset if p.offset >= 0 else -1 for p in got}
        finally:
            consumer.close()

    def is_settled(self, group, topic):
        """Whether the broker has the group at the end of what is stored."""
        consumer = self._kafka.Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            for partition, committed in self.committed(group, topic).items():
                low, high = self._ends(consumer, topic, partition)
                if high > low and committed != high:
                    return False
            return True
        finally:
            consumer.close()

    def begin_group(self, group, topic, partitions):
        """Commits the beginning of a topic for a group that has no members yet."""
        self.commit(group, topic, {number: 0 for number in range(partitions)})

    def commit(self, group, topic, positions):
        """Commits positions, partition -> offset, for a group that has no members."""
        consumer = self._kafka.Consumer({"bootstrap.servers": self.servers, "group.id": group})
        parts = [self._kafka.TopicPartition(topic, n, at) for n, at in positions.items()]
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while True:
                try:
                    consumer.commit(offsets=parts, asynchronous=False)
                    return
                except self._kafka.KafkaException:  # the coordinator may not know a new topic yet
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
        finally:
            consumer.close()

    def close(self):
        self._producer.flush(10)


class Nats:
    """nats-py on a loop of its own."""

    kind = "nats"

    def __init__(self, url):
        self.url = url
        self._acks = {}  # topic -> (subscription, sequences)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._connect())

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)

    async def _connect(self):
        import nats

        self.connection = await nats.connect(self.url, max_reconnect_attempts=-1)
        self._stream = self.connection.jetstream(timeout=30)

    def create(self, topic, partitions):
        del partitions  # a JetStream subject has none
        self._run(self._create(topic))

    async def _create(self, topic):
        import nats.js.errors

        name = topic.split(".")[0].upper()
        try:
            await self._stream.add_stream(name=name, subjects=[topic.split(".")[0], f"{topic.split('.')[0]}.>"])
        except nats.js.errors.BadRequestError:
            await self._stream.find_stream_name_by_subject(topic)

    def delete_stream(self, name):
        self._run(self._stream.delete_stream(name))

    def publish(self, topic, messages):
        return self._run(self._publish(topic, messages))

    async def _publish(self, topic, messages):
        positions = []
        for at in range(0, len(messages), 256):
            futures = []
            for key, value, headers in messages[at:at + 256]:
                named = {name: text for name, text in headers or []}
                if key is not None:
                    named["dray-key"] = key.decode() if isinstance(key, bytes) else key
                futures.append(await self._stream.publish_async(topic, value, headers=named or None))
            for ack in await asyncio.gather(*futures):
                positions.append(ack.seq)
        return positions

    def read(self, topic):
        return self._run(self._read(topic))

    async def _has_beyond(self, stream, topic, messages):
        """Whether there is one behind what was read: a worker erases what is finished of a park log."""
        import nats.js.errors

        try:
            last = await self._stream.get_last_msg(stream, topic)
        except nats.js.errors.NotFoundError:
            return False
        return not messages or last.seq > messages[-1].position

    async def _read(self, topic):
        import nats.errors
        import nats.js.errors

        try:
            stream = await self._stream.find_stream_name_by_subject(topic)
        except nats.js.errors.NotFoundError:
            return []
        info = await self._stream.stream_info(stream, subjects_filter=topic)
        count = (info.state.subjects or {}).get(topic, 0)
        messages = []
        if count == 0:
            return messages
        reader = await self._stream.subscribe(topic, ordered_consumer=True)
        deadline = time.monotonic() + TIMEOUT_S
        while len(messages) < count:
            assert time.monotonic() < deadline, f"{topic}: {len(messages)} of {count} could be read"
            try:
                message = await reader.next_msg(timeout=2)
            except nats.errors.TimeoutError:
                if not await self._has_beyond(stream, topic, messages):
                    break
                continue
            headers = [(n, v.encode()) for n, v in (message.headers or {}).items()]
            key = [v for n, v in headers if n == "dray-key"]
            messages.append(Message(message.metadata.sequence.stream, key[0] if key else None,
                                    message.data, headers,
                                    int(message.metadata.timestamp.timestamp() * 1000)))
        await reader.unsubscribe()
        return messages

    def is_settled(self, group, topic):
        """Whether the server waits for no acknowledgement, and has nothing left to deliver."""
        del group  # the streams of tests have one
        return self._run(self._is_settled(topic))

    async def _is_settled(self, topic):
        stream = await self._stream.find_stream_name_by_subject(topic)
        consumers = await self._stream.consumers_info(stream)
        return bool(consumers) and all(c.num_pending == 0 and c.num_ack_pending == 0 for c in consumers)

    def cut(self, topic, count):
        """Takes the first messages of a stream with one subject away."""
        name = self._run(self._stream.find_stream_name_by_subject(topic))
        self._run(self._stream.purge_stream(name, seq=count + 1))

    def listen(self, subject, hear):
        """Calls hear(subject, value) for whatever is published from now on."""
        async def on_message(message):
            hear(message.subject, message.data)

        self._run(self._listen(subject, on_message))

    async def _listen(self, subject, on_message):
        await self.connection.subscribe(subject, cb=on_message)
        await self.connection.flush()

    def watch_settled(self, topic):
        """From now on acknowledgements of a topic's messages are seen as they pass; needs its stream.

        The server's own numbers will not do: 2.9 takes one off delivered.stream_seq, and puts it back on
        num_pending, when what is to be delivered again finds only the pull request of a client that is gone.
        """
        self._acks[topic] = self._run(self._watch_settled(topic)), set()

    async def _watch_settled(self, topic):
        stream = await self._stream.find_stream_name_by_subject(topic)
        watch = await self.connection.subscribe(f"$JS.ACK.{stream}.>")
        await self.connection.flush()
        return watch

    def settled(self, topic):
        """The sequences that were acknowledged since watch_settled, as far as the server has read them."""
        watch, settled = self._acks[topic]
        settled.update(self._run(self._settled(watch)))
        return settled

    async def _settled(self, watch):
        await self.connection.flush()
        found = set()
        while watch.pending_msgs > 0:
            message = await watch.next_msg(timeout=30)
            # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
            tokens = message.subject.split(".")
            assert len(tokens) == 9, message.subject
            if message.data in (b"", b"+ACK"):
                found.add(int(tokens[5]))
        return found

    def close(self):
        self._run(self.connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def connect(url):
    """The client for a bus URL."""
    return (Kafka if url.startswith("kafka://") else Nats)(url)
