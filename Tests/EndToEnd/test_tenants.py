"""Several tenants over one store: none sees, changes or opens what is another's."""

import json
import sqlite3

from coffer_harness import CofferTestCase


class TenantTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.admin = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]

    def tenant(self, name):
        answer = self.ask("POST", "/admin/v1/tenants", {"name": name}, headers=self.admin, key=None)
        self.assertEqual(answer.status, 201, answer.body[:200])
        return answer.json()["data"]["id"]

    def client_of(self, tenant, level="backend"):
        made = json.loads(
            self.coffer.command("key", "create", "--dir", self.coffer.folder, "--tenant", tenant, "--level", level, "--json").stdout)
        client = self.coffer.client(made["key"])
        self.addCleanup(client.close)
        return client, made["id"]

    def test_each_has_its_own_settings_and_secrets(self):
        first, _ = self.client_of(self.tenant("first"))
        second, _ = self.client_of(self.tenant("second"))
        for client, word in ((first, "one"), (second, "two"), (self.ask, "default")):
            self.put("SHARED_NAME", "value-" + word, client)
            answer = client("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-key-" + word}}})
            self.assertEqual(answer.status, 200)
        for client, word in ((first, "one"), (second, "two"), (self.ask, "default")):
            self.assertEqual(self.value("SHARED_NAME", client), b"value-" + word.encode())
            shown = client("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json()
            self.assertEqual(shown["agent_settings"]["llm"]["api_key"], "value-key-" + word)
        self.put("ONLY_FIRST", "value", first)
        self.assertEqual(second("GET", "/api/settings/secrets/ONLY_FIRST").status, 404)
        self.assertEqual(second("DELETE", "/api/settings/secrets/ONLY_FIRST").status, 404)
        self.assertEqual([entry["name"] for entry in second("GET", "/api/settings/secrets").json()["secrets"]], ["SHARED_NAME"])
        self.assertEqual(self.value("ONLY_FIRST", first), b"value")

    def test_each_has_its_own_audit_chain(self):
        tenant = self.tenant("audited")
        client, _ = self.client_of(tenant)
        self.put("AUDITED", "value", client)
        self.value("AUDITED", client)
        entries = self.ask("GET", "/admin/v1/tenants/%s/audit" % tenant, headers=self.admin, key=None).json()["data"]
        self.assertEqual([entry["sequence"] for entry in entries], list(range(1, len(entries) + 1)))
        self.assertEqual([entry["action"] for entry in entries][-2:], ["secret.create", "secret.read"])
        other = self.ask("GET", "/admin/v1/tenants/default/audit", headers=self.admin, key=None).json()["data"]
        self.assertNotIn("AUDITED", [entry["secretId"] for entry in other])
        verdict = self.ask("POST", "/admin/v1/tenants/%s/audit/verify" % tenant, headers=self.admin, key=None).json()["data"]
        self.assertEqual((verdict["ok"], verdict["entries"]), (True, len(entries)))

    def test_a_cursor_is_of_one_tenant(self):
        paths = []
        for name in ("here", "there"):
            paths.append("/admin/v1/tenants/%s/teams?limit=1" % self.tenant(name))
            for team in ("a", "b"):
                self.ask("POST", paths[-1].split("?")[0], {"name": team}, headers=self.admin, key=None)
        pages = [self.ask("GET", path, headers=self.admin, key=None).json() for path in paths]
        cursors = ["&cursor=" + page["cursor"] for page in pages]
        for place, path in enumerate(paths):
            for origin, cursor in enumerate(cursors):
                answer = self.ask("GET", path + cursor, headers=self.admin, key=None)
                self.assertEqual(answer.status, 200 if place == origin else 400)
                if place == origin:
                    self.assertEqual({team["name"] for team in pages[place]["data"] + answer.json()["data"]}, {"a", "b"})
                    self.assertIs(answer.json()["hasMore"], False)

    def test_revoking_one_key_leaves_the_others(self):
        tenant = self.tenant("revoked")
        (first, key), (second, _) = self.client_of(tenant), self.client_of(tenant)
        self.assertEqual((first("GET", "/api/settings").status, second("GET", "/api/settings").status), (200, 200))
        self.assertEqual(self.ask("DELETE", "/admin/v1/keys/" + key, headers=self.admin, key=None).status, 200)
        self.assertEqual((first("GET", "/api/settings").status, second("GET", "/api/settings").status), (401, 200))

    def test_a_revocation_holds_on_the_next_request_of_a_kept_connection(self):
        """The key was seen a moment ago, on this thread, in this snapshot."""
        tenant = self.tenant("kept")
        client, key = self.client_of(tenant)
        for _ in range(50):
            self.assertEqual(client("GET", "/api/settings").status, 200)
        self.coffer.command("key", "revoke", "--dir", self.coffer.folder, key)
        for _ in range(50):
            self.assertEqual(client("GET", "/api/settings").status, 401)

    def test_a_row_copied_to_another_tenant_does_not_open(self):
        coffer = self.fresh()
        keys = json.loads(coffer.command("key", "create", "--dir", coffer.folder, "--level", "backend", "--json").stdout)
        ask = coffer.client(keys["key"])
        self.addCleanup(ask.close)
        admin = [("Authorization", "Bearer " + coffer.keys["adminKey"])]
        tenant = ask("POST", "/admin/v1/tenants", {"name": "thief"}, headers=admin, key=None).json()["data"]["id"]
        made = json.loads(coffer.command("key", "create", "--dir", coffer.folder, "--tenant", tenant, "--level", "backend", "--json").stdout)
        self.put("STOLEN", "value-of-another", ask)
        ask("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-of-another"}}})
        coffer.stop()
        with sqlite3.connect(coffer.folder + "/store/coffer.db") as database:
            database.execute("UPDATE secrets SET tenant = ?", (tenant,))
            database.execute("UPDATE documents SET tenant = ?", (tenant,))
        database.close()
        coffer.up()
        thief = coffer.client(made["key"])
        self.addCleanup(thief.close)
        for target, headers in (
            ("/api/settings/secrets/STOLEN", {}), ("/api/settings/secrets", {}), ("/api/settings", {}),
            ("/api/settings", {"X-Expose-Secrets": "encrypted"}), ("/api/settings", {"X-Expose-Secrets": "plaintext"}),
        ):  # fmt: skip
            answer = thief("GET", target, headers=headers)
            self.assertEqual(answer.status, 503, target)
            self.assertNotIn(b"value-of-another", answer.body)
