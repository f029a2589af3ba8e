"""T80: what clients see of a secret is linearizable, across kills and restarts. An answer that was lost counts as "maybe".

COFFER_HISTORIES sets how many histories of 8 clients are looked at (20 by default)."""

import http.client
import itertools
import os
import random
import threading
import time
import unittest

from coffer_harness import CofferTestCase
from histories import DELETE, GET, NEVER, PUT, Operation, fault, is_linearizable
from scoped_harness import ScopedTestCase, seal

HISTORIES = int(os.environ.get("COFFER_HISTORIES", "20"))
CLIENTS, OPERATIONS, REGISTERS = 8, 100, 3
# One history in so many has a kill in it, and one in so many a restart.
DISTURBED = 10


class CheckerTests(unittest.TestCase):
    """The checker itself, by histories that were made by hand: (kind, start, end, value or whether it was found)."""

    @staticmethod
    def verdict(*rows):
        operations = []
        for kind, start, end, what in rows:
            what = {"found": what} if kind == DELETE else {"value": what}
            operations.append(Operation(kind, start, end, **what))
        answers = {is_linearizable(order) for order in itertools.islice(itertools.permutations(operations), 24)}
        assert len(answers) == 1, "the order of the list counts"
        return answers.pop()

    def test_good_histories(self):
        for rows in (
            (),
            ((GET, 0, 1, None),),
            ((PUT, 0, 1, "a"), (GET, 2, 3, "a")),
            # At the same time: before or after.
            ((PUT, 0, 9, "a"), (GET, 1, 2, None), (GET, 3, 4, "a")),
            ((PUT, 0, 9, "a"), (PUT, 0, 9, "b"), (GET, 10, 11, "a")),
            ((PUT, 0, 9, "a"), (PUT, 0, 9, "b"), (GET, 10, 11, "b")),
            ((PUT, 0, 1, "a"), (DELETE, 2, 3, True), (GET, 4, 5, None), (DELETE, 6, 7, False)),
            ((PUT, 0, 9, "a"), (DELETE, 0, 9, True), (GET, 10, 11, None)),
            # Without an answer: now, later, or never.
            ((PUT, 0, NEVER, "a"), (GET, 1, 2, "a")),
            ((PUT, 0, NEVER, "a"), (GET, 1, 2, None), (GET, 3, 4, "a")),
            ((PUT, 0, NEVER, "a"), (GET, 1, 2, None), (GET, 30, 40, None)),
            ((PUT, 0, 1, "a"), (DELETE, 2, NEVER, None), (GET, 3, 4, "a"), (GET, 5, 6, None)),
            ((PUT, 0, 1, "a"), (GET, 2, NEVER, None), (GET, 3, 4, "a")),
        ):
            with self.subTest(rows=rows):
                self.assertTrue(self.verdict(*rows))

    def test_planted_bad_histories(self):
        for name, rows in {
            "a stale read": ((PUT, 0, 1, "a"), (PUT, 2, 3, "b"), (GET, 4, 5, "a")),
            "a lost write": ((PUT, 0, 1, "a"), (GET, 2, 3, None)),
            "a deleted value is back": ((PUT, 0, 1, "a"), (DELETE, 2, 3, True), (GET, 4, 5, "a")),
            "a value from nowhere": ((PUT, 0, 1, "a"), (GET, 2, 3, "z")),
            "a value before it was put": ((GET, 0, 1, "a"), (PUT, 2, 3, "a")),
            "two readers see two orders": (
                (PUT, 0, 9, "a"), (PUT, 0, 9, "b"), (GET, 10, 11, "a"), (GET, 12, 13, "b"), (GET, 14, 15, "a")),
            "a write that happens twice": ((PUT, 0, NEVER, "a"), (GET, 1, 2, "a"), (PUT, 3, 4, "b"), (GET, 5, 6, "b"), (GET, 7, 8, "a")),
            "a write seen, then not": ((PUT, 0, 9, "a"), (GET, 1, 2, "a"), (GET, 3, 4, None)),
            "nothing was there to delete": ((DELETE, 0, 1, True),),
            "it was there to delete": ((PUT, 0, 1, "a"), (DELETE, 2, 3, False)),
            "both deleted it": ((PUT, 0, 1, "a"), (DELETE, 2, 9, True), (DELETE, 2, 9, True)),
        }.items():  # fmt: skip
            with self.subTest(name):
                self.assertFalse(self.verdict(*rows))

    def test_long_histories_with_one_fault(self):
        """What a register really did under 8 clients; and the same with one read of what had been overwritten."""
        chance = random.Random(80)
        for _ in range(20):
            operations, state = [], None
            ends = [0.0] * CLIENTS
            moment = 0.0
            for number in range(400):
                # Each happens at its moment, somewhere between its call and its answer.
                moment += 1
                client = min(range(CLIENTS), key=lambda one: ends[one])
                start = max(ends[client], moment - chance.uniform(0, 3))
                end = ends[client] = moment + chance.uniform(0, 3)
                kind = chance.choice((PUT, GET, GET, DELETE))
                if kind == PUT:
                    state = number
                    operations.append(Operation(PUT, start, end, number))
                elif kind == GET:
                    operations.append(Operation(GET, start, end, state))
                else:
                    operations.append(Operation(DELETE, start, end, found=state is not None))
                    state = None
            self.assertTrue(is_linearizable(operations))
            old = next(one for one in operations if one.kind == PUT)
            late = Operation(GET, moment + 10, moment + 11, old.value)
            self.assertFalse(is_linearizable([*operations, late]))
            self.assertTrue(fault([*operations, late]).endswith("get %d" % old.value))


class HistoryClient(threading.Thread):
    """Puts, reads and deletes some registers, and keeps what it saw of each."""

    def __init__(self, registers, seed):
        super().__init__(daemon=True)
        self.registers, self.chance, self.seed = registers, random.Random(seed), seed
        self.operations = {register: [] for register in registers}
        self.lost = 0

    def run(self):
        for number in range(OPERATIONS):
            register = self.chance.choice(self.registers)
            kind = self.chance.choices((PUT, GET, DELETE), (3, 6, 1))[0]
            value = "%s-%d" % (self.seed, number)
            try:
                # What a put needs first is not a part of it.
                prepared = self.prepare(register, value) if kind == PUT else None
            except (OSError, http.client.HTTPException):
                continue
            start = time.monotonic()
            try:
                answer = self.perform(kind, register, prepared)
            except (OSError, http.client.HTTPException):
                answer = None
            end = time.monotonic()
            if answer is None:
                self.lost += 1
                answer, end = {"value": prepared[0]} if kind == PUT else {}, NEVER
                # The other side is away for a moment.
                time.sleep(0.05)
            self.operations[register].append(Operation(kind, start, end, **answer))

    @staticmethod
    def expect(answer, *statuses):
        """None when the answer does not say what became of it (a 5xx): as good as lost."""
        if answer.status >= 500:
            return None
        assert answer.status in statuses, (answer.status, answer.body[:200])
        return answer


class CustomSecretClient(HistoryClient):
    def __init__(self, test, registers, seed):
        super().__init__(registers, seed)
        self.ask = test.coffer.client(timeout=10)

    def prepare(self, register, value):
        return value, {"name": register, "value": value}

    def perform(self, kind, register, prepared):
        if kind == PUT:
            answer = self.expect(self.ask("PUT", "/api/settings/secrets", prepared[1]), 200)
            return answer and {"value": prepared[0]}
        answer = self.expect(self.ask("GET" if kind == GET else "DELETE", "/api/settings/secrets/" + register), 200, 404)
        if answer is None:
            return None
        found = answer.status == 200
        return {"value": answer.body.decode() if found else None} if kind == GET else {"found": found}

    def close(self):
        self.ask.close()


class SealedFieldClient(HistoryClient):
    """Fields of one scoped secret, sealed: what is answered from memory must not be of before."""

    def __init__(self, test, agent, registers, seed):
        super().__init__(registers, seed)
        self.ask = test.coffer.client(None, timeout=10)
        self.agent, self.headers = agent, [("Authorization", "Bearer " + agent.key)]

    def path(self, register):
        return self.agent.path("history") + "/fields/" + register

    def prepare(self, register, value):
        answer = self.ask(
            "POST", "/agent/secrets/generate-data-key", self.agent.binding("history", register), headers=self.headers)  # fmt: skip
        if answer.status >= 500:
            raise OSError("no data key now")
        envelope = seal(answer.json()["data"], value.encode())
        return envelope["ciphertext"], {"sensitivity": "encrypted", "envelope": envelope}

    def perform(self, kind, register, prepared):
        if kind == PUT:
            answer = self.expect(self.ask("PUT", self.path(register), prepared[1], headers=self.headers), 200)
            return answer and {"value": prepared[0]}
        answer = self.expect(self.ask("GET" if kind == GET else "DELETE", self.path(register), headers=self.headers), 200, 404)
        if answer is None:
            return None
        data = answer.json()["data"] if answer.status != 404 else None
        if kind == DELETE:
            return {"found": data is not None and not data["alreadyRemoved"]}
        return {"value": data and data["envelope"]["ciphertext"]}

    def close(self):
        self.ask.close()


class HistoryTestCase:
    """Runs histories; a mix-in for what makes the clients."""

    def check_histories(self, count, registers_of, client_of):
        lost = looked_at = 0
        for history in range(count):
            registers = registers_of(history)
            clients = [client_of(registers, "%d-%d" % (history, number)) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            if history % DISTURBED == DISTURBED // 2:
                time.sleep(random.uniform(0.005, 0.08))
                self.coffer.kill_responder()
            elif history % DISTURBED == DISTURBED - 1:
                self.coffer.command("restart", "--dir", self.coffer.folder)
            for client in clients:
                client.join(120)
                client.close()
                self.assertFalse(client.is_alive())
            for register in registers:
                seen = [one for client in clients for one in client.operations[register]]
                looked_at += len(seen)
                if not is_linearizable(seen):
                    self.fail("%s of history %d:\n%s" % (register, history, fault(seen)))
            lost += sum(client.lost for client in clients)
        self.assertGreater(looked_at, count * CLIENTS * OPERATIONS / 2)
        return "%d histories, %d operations (%d without an answer), 0 violations" % (count, looked_at, lost)


class CustomSecretHistories(HistoryTestCase, CofferTestCase):
    def test_histories_are_linearizable(self):
        self.ask.close()
        reached = self.check_histories(
            (HISTORIES + 1) // 2, lambda history: ["H%d_%d" % (history, number) for number in range(REGISTERS)],
            lambda registers, seed: CustomSecretClient(self, registers, seed))  # fmt: skip
        print("\nT80 reached: custom secrets, " + reached)


class SealedFieldHistories(HistoryTestCase, ScopedTestCase):
    def test_histories_are_linearizable(self):
        agents = {}

        def registers_of(history):
            # An agent of its own for each, and a tenant for some: what one may have has an end.
            if history % 50 == 49:
                self.tenant = self.operator("POST", "/tenants", {"name": "tenant %d" % history}, status=201)["id"]
            agents["now"] = self.agent("history %d" % history)
            plain = {"fields": [{"key": "kept", "sensitivity": "plaintext", "value": "v"}]}
            agents["now"].call("PUT", agents["now"].path("history"), plain)
            agents["now"].client.close()
            self.ask.close()
            return ["f%d" % number for number in range(REGISTERS)]

        reached = self.check_histories(
            HISTORIES // 2, registers_of, lambda registers, seed: SealedFieldClient(self, agents["now"], registers, seed))
        print("\nT80 reached: sealed fields, " + reached)


if __name__ == "__main__":
    unittest.main()
