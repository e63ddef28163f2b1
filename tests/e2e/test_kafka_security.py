#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The Kafka transport over TLS and SASL, against a broker that is set up so: what should work does, and
what should not fails soon, with a sentence that says why.

usage: test_kafka_security.py [KAFKA_VERSION]"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import brokers  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("DRAY_TEST_BUILD", os.path.join(ROOT, "build", "dev"))
TRY = os.path.join(BUILD, "tests", "kafka_try")
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


def run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def make_certificates(folder):
    """A CA, a broker certificate for 127.0.0.1 only, a client certificate, and a CA of somebody else."""
    def at(name):
        return os.path.join(folder, name)

    for ca in ("ca", "other-ca"):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=dray {ca}",
            "-keyout", at(f"{ca}.key"), "-out", at(f"{ca}.pem"))
    for name, extension in (("broker", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", at(f"{name}.key"),
            "-out", at(f"{name}.csr"))
        with open(at(f"{name}.ext"), "w", encoding="utf-8") as file:
            file.write(extension + "\n")
        run("openssl", "x509", "-req", "-in", at(f"{name}.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"),
            "-CAcreateserial", "-days", "2", "-extfile", at(f"{name}.ext"), "-out", at(f"{name}.pem"))
    with open(at("broker-all.pem"), "w", encoding="utf-8") as file:
        for part in ("broker.key", "broker.pem", "ca.pem"):
            with open(at(part), encoding="utf-8") as source:
                file.write(source.read())
    return at


def broker(version, folder, at):
    return brokers.Kafka(
        version, directory=folder,
        listeners={"TLS": "SSL", "MTLS": "SSL", "SASL": "SASL_SSL", "SASLPLAIN": "SASL_PLAINTEXT"},
        properties={
            "ssl.keystore.type": "PEM", "ssl.keystore.location": at("broker-all.pem"),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": at("ca.pem"),
            "listener.name.mtls.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": f'{PLAIN} user_bob="bobs word";',
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{SCRAM};",
            "listener.name.saslplain.plain.sasl.jaas.config": f'{PLAIN} user_bob="bobs word" user_eve="eves word";',
            "listener.name.saslplain.scram-sha-512.sasl.jaas.config": f"{SCRAM};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:alice;User:bob;User:CN=client",
        },
        format_args=["--add-scram", "SCRAM-SHA-512=[name=alice,password=alices word]"])


class Case:
    """One call of kafka_try, with what it printed taken apart."""

    faults = 0
    number = 0

    def __init__(self, what, kafka, listener, *options, host="127.0.0.1", topic="commands", group=None):
        Case.number += 1
        self.what = what
        url = f"kafka://{host}:{kafka.ports[listener]}"
        done = subprocess.run([TRY, url, topic, group or f"g{Case.number}", *options], capture_output=True,
                              text=True, timeout=90, check=False)
        self.line = done.stdout.strip() or f"exit {done.returncode}: {done.stderr[-400:]}"
        self.log = done.stderr
        head, _, self.text = self.line.partition(" text=")
        self.fields = dict(word.split("=", 1) for word in head.split() if "=" in word)

    def wants(self, text="", within_ms=None, **fields):
        holds = all(self.fields.get(key) == value for key, value in fields.items())
        holds = holds and text.lower() in self.text.lower()
        holds = holds and (within_ms is None or int(self.fields.get("ms", "1000000")) < within_ms)
        print(f"{'ok  ' if holds else 'FAIL'} {self.what}: {self.line}", flush=True)
        Case.faults += 0 if holds else 1

    def works(self):
        self.wants(open="OK", ack="STORED", got="1", settled="OK")


def main():
    version = sys.argv[1] if len(sys.argv) > 1 else "3.9.1"
    if not os.path.exists(TRY):
        print(f"skipped: there is no {TRY}")
        return 77
    scram = ("security.protocol=sasl_ssl", "sasl.mechanism=SCRAM-SHA-512", "sasl.username=alice")
    with brokers.tempfile.TemporaryDirectory(prefix="dray-security-") as folder:
        at = make_certificates(folder)
        ca = f"ssl.ca.location={at('ca.pem')}"
        return try_all(folder, at, ca, scram, version)


def try_all(folder, at, ca, scram, version):
    with broker(version, os.path.join(folder, "kafka"), at) as kafka:
        Case("plaintext makes the topic", kafka, "PLAINTEXT", "--create").works()
        Case("TLS", kafka, "TLS", "security.protocol=ssl", ca).works()
        Case("TLS, a CA of somebody else", kafka, "TLS", "security.protocol=ssl",
             f"ssl.ca.location={at('other-ca.pem')}").wants(open="EBROKER", text="certificate", within_ms=9500)
        Case("TLS, a name that is not in the certificate", kafka, "TLS", "security.protocol=ssl", ca,
             host="localhost").wants(open="EBROKER", text="certificate", within_ms=9500)
        Case("no TLS to a TLS port", kafka, "TLS").wants(open="EBROKER", text="security.protocol", within_ms=9500)
        Case("mutual TLS", kafka, "MTLS", "security.protocol=ssl", ca, f"ssl.certificate.location={at('client.pem')}",
             f"ssl.key.location={at('client.key')}").works()
        Case("mutual TLS without a certificate", kafka, "MTLS", "security.protocol=ssl", ca).wants(
            open="EBROKER", text="ssl", within_ms=9500)
        case = Case("SCRAM over TLS", kafka, "SASL", *scram, "sasl.password=alices word", ca)
        if version.startswith("4") and int(case.fields.get("version", "0")) < 0x020601ff:
            case.wants(open="EAUTH", text="2.6.1", within_ms=5000)  # and says what to do about it
        else:
            case.works()
        Case("SCRAM, a wrong password", kafka, "SASL", *scram, "sasl.password=wrong", ca).wants(
            open="EAUTH", text="authentication", within_ms=5000)
        Case("PLAIN over TLS", kafka, "SASL", "security.protocol=sasl_ssl", "sasl.mechanism=PLAIN",
             "sasl.username=bob", "sasl.password=bobs word", ca).works()
        Case("PLAIN, a wrong password", kafka, "SASL", "security.protocol=sasl_ssl", "sasl.mechanism=PLAIN",
             "sasl.username=bob", "sasl.password=x", ca).wants(open="EAUTH", within_ms=5000)
        Case("a mechanism that the broker has not", kafka, "SASL", "security.protocol=sasl_ssl",
             "sasl.mechanism=SCRAM-SHA-256", "sasl.username=alice", "sasl.password=alices word", ca).wants(
                 open="EAUTH", within_ms=9500)
        permissions(kafka)
        command_line(kafka, folder)
        secrets(kafka, scram, ca)
    print(f"{Case.faults} faults")
    return 1 if Case.faults else 0


def permissions(kafka):
    """Eve may only what she was allowed to, one rule after the other."""
    eve = ("security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN", "sasl.username=eve", "sasl.password=eves word")
    Case("a topic that may not be seen", kafka, "SASLPLAIN", *eve, group="eve").wants(
        open="EAUTH", text='"commands" cannot be looked at', within_ms=5000)
    allow(kafka, "eve", "topic", "commands", "read")
    Case("no right to write anything", kafka, "SASLPLAIN", *eve, group="eve").wants(
        open="OK", error="EAUTH", text="authorization failed", got="0")
    # Whoever may write one topic may have an idempotent producer.
    allow(kafka, "eve", "topic", "other", "write")
    Case("no right to the group", kafka, "SASLPLAIN", *eve, group="eve").wants(
        open="OK", error="EAUTH", text="group")
    allow(kafka, "eve", "group", "eve", "read")
    Case("no right to write", kafka, "SASLPLAIN", *eve, group="eve").wants(
        open="OK", ack="NOT_STORED", reason="EAUTH")
    allow(kafka, "eve", "topic", "commands", "write")
    Case("least privilege is enough", kafka, "SASLPLAIN", *eve, group="eve").works()


def command_line(kafka, folder):
    """What a user of dray meets: exit code 77, a sentence, and no password in it."""
    def dray(what, user, password, code, text, *arguments):
        env = {k: v for k, v in os.environ.items() if not k.startswith("DRAY_")}
        env.update(DRAY_BUS=f"kafka://127.0.0.1:{kafka.ports['SASLPLAIN']}", DRAY_KAFKA_SASL_PASSWORD=password)
        done = subprocess.run(
            [os.path.join(BUILD, "bin", "dray"), *arguments, "--set", "kafka.security.protocol=sasl_plaintext",
             "--set", "kafka.sasl.mechanism=PLAIN", "--set", f"kafka.sasl.username={user}", "--set",
             f"state={folder}/state", "--set", "admin.listen=", "--set", "worker.create_topics=false"],
            capture_output=True, text=True, timeout=90, check=False, env=env, stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        holds = done.returncode == code and text.lower() in said.lower() and password not in said
        print(f"{'ok  ' if holds else 'FAIL'} {what}: exit {done.returncode} of {code}: {said.strip()[-400:]}",
              flush=True)
        Case.faults += 0 if holds else 1

    worker = ("worker", "--group", "eve", "--topic", "commands")
    for command in (("send", "a"), worker, ("doctor",), ("dlq", "ls"), ("registry", "ls")):
        dray(f"dray {command[0]}, a wrong password", "bob", "no word of his", 77, "authentication", *command)
    # Eve may read and write commands, and no other topic that these need.
    dray("dray send, permitted", "eve", "eves word", 0, "", "send", "a", "--topic", "commands")
    dray("dray send to a topic of others", "eve", "eves word", 77, "secret", "send", "a", "--topic", "secret")
    dray("dray worker without its topics", "eve", "eves word", 77, "", *worker)
    dray("dray dlq ls without the letters", "eve", "eves word", 77, "dlq.eve.commands", "dlq", "ls", "--group",
         "eve", "--topic", "commands")
    dray("dray registry put without the log", "eve", "eves word", 77, "dray.control", "registry", "put",
         "a@1.0.0", "--module", "probe.so", "--handler", "probe")
    dray("dray doctor names what may not be seen", "eve", "eves word", 77, "authorization failed", "doctor", "--group",
         "eve", "--topic", "commands")


def allow(kafka, *words):
    subprocess.run([TRY, kafka.url, "-", "-", "allow", *words], check=True, timeout=60)


def secrets(kafka, scram, ca):
    case = Case("a password is in no log line", kafka, "SASL", *scram, "sasl.password=s3cr3t-w0rd", ca, "debug=all")
    holds = "s3cr3t-w0rd" not in case.log and "s3cr3t-w0rd" not in case.line and "RDKAFKA-SASL" in case.log
    print(f"{'ok  ' if holds else 'FAIL'} {case.what} ({len(case.log)} bytes of log)", flush=True)
    Case.faults += 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
