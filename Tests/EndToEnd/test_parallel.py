"""T81: 16 clients change 1,000 different keys each at the same time; none is lost."""

import concurrent.futures
import unittest

from coffer_harness import CofferTestCase

CLIENTS, CHANGES = 16, 1000


class ParallelTests(CofferTestCase):
    def test_patches_of_different_keys(self):
        def run(client):
            ask = self.coffer.client(timeout=120)
            statuses = set()
            for change in range(CHANGES):
                body = {"misc_settings_diff": {"client%d" % client: {"key%d" % change: change}}}
                statuses.add(ask("PATCH", "/api/settings", body).status)
            ask.close()
            return statuses

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            statuses = set().union(*pool.map(run, range(CLIENTS)))
        self.assertEqual(statuses, {200})
        misc = self.settings()["misc_settings"]
        for client in range(CLIENTS):
            self.assertEqual(misc["client%d" % client], {"key%d" % change: change for change in range(CHANGES)})

    def test_one_winner_under_the_same_revision(self):
        etag = self.ask("GET", "/api/settings").header("ETag")

        def run(client):
            ask = self.coffer.client()
            answer = ask("PATCH", "/api/settings", {"misc_settings_diff": {"winner": client}}, headers={"If-Match": etag})
            ask.close()
            return answer.status

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            statuses = sorted(pool.map(run, range(CLIENTS)))
        self.assertEqual(statuses, [200] + [412] * (CLIENTS - 1))


if __name__ == "__main__":
    unittest.main()
