"""The operator's commands of the scoped dialect, with a running server and without one."""

import json
import os
import pathlib
import re
import sqlite3
import time
import unittest

from contract_harness import Agent, Operator
from coffer_harness import Coffer
from nginx_harness import ROOT


# Every route of the operator surface, below /admin/v1 (/tenants/{tenant} is T), and the command that does the same.
COMMANDS = {
    "GET admins": "key list", "POST admins": "key create", "POST admins/{id}/keys": "key create", "DELETE admins/{id}": "key revoke", "GET /metrics": "metrics", "GET status": "doctor", "GET tenants": "tenant list", "POST tenants": "tenant create",
    "GET T": "tenant show", "PATCH T": "tenant rename", "DELETE T": "tenant delete", "GET T/keys": "key list", "POST T/keys": "key create",
    "DELETE keys/{id}": "key revoke", "POST keys/{id}/rotate": "key rotate", "GET T/audit": "audit list", "GET T/audit/head": "audit head",
    "GET T/audit/verify": "audit verify", "POST T/audit/verify": "audit verify", "GET T/audit/export": "audit export",
    "POST T/audit/trim": "audit trim", "POST T/import/openhands": "import openhands", "POST T/export/openhands": "export openhands",
    "GET T/conversations": "conversation list", "DELETE T/conversations/{id}": "conversation revoke", "GET wire-keys": "wire-key list",
    "POST wire-keys/rotate": "wire-key rotate", "DELETE wire-keys/{id}": "wire-key retire", "POST backup": "backup", "POST verify": "verify", "GET root": "root status", "POST root/rewrap": "root rotate",
    "GET seal": "doctor", "POST seal": "seal", "POST unseal": "unseal",
    "GET T/settings": "tenant settings get", "PATCH T/settings": "tenant settings set", "GET T/teams": "team list",
    "POST T/teams": "team create", "GET T/teams/{id}": "team show", "PATCH T/teams/{id}": "team rename", "DELETE T/teams/{id}": "team delete",
    "GET T/projects": "project list", "POST T/projects": "project create", "GET T/projects/{id}": "project show",
    "PATCH T/projects/{id}": "project move", "DELETE T/projects/{id}": "project delete", "GET T/agents": "agent list",
    "POST T/agents": "agent create", "GET T/agents/{id}": "agent show", "PATCH T/agents/{id}": "agent rename",
    "DELETE T/agents/{id}": "agent delete", "POST T/agents/{id}/disable": "agent disable", "POST T/agents/{id}/enable": "agent enable",
    "GET T/agents/{id}/access": "agent access", "GET T/agents/{id}/memberships": "member list",
    "PUT T/agents/{id}/memberships/{scope}/{scopeId}": "member add", "DELETE T/agents/{id}/memberships/{scope}/{scopeId}": "member remove",
    "GET T/agents/{id}/keys": "agent key list", "POST T/agents/{id}/keys": "agent key create",
    "POST T/agents/{id}/keys/{key}/rotate": "agent key rotate", "POST T/agents/{id}/keys/{key}/revoke": "agent key revoke",
    "GET T/invites": "invite list", "POST T/invites": "invite create", "DELETE T/invites/{id}": "invite revoke",
    "GET T/secrets": "secret list", "GET T/secrets/{scope}/{scopeId}/{secretId}": "secret show",
    "GET T/keks": "kek list", "POST T/keks/rotate": "kek rotate", "POST T/keks/{id}/{version}/disable": "kek disable",
    "GET T/keks/rewrap": "kek rewrap",
    "GET T/canaries": "canary list", "PUT T/canaries/settings/{name}": "canary mark", "DELETE T/canaries/settings/{name}": "canary unmark",
    "PUT T/canaries/{scope}/{scopeId}/{secretId}": "canary mark", "DELETE T/canaries/{scope}/{scopeId}/{secretId}": "canary unmark",
    "POST T/secrets/{scope}/{scopeId}/{secretId}/restore": "secret restore", "POST T/secrets/{scope}/{scopeId}/{secretId}/purge": "secret purge",
}  # fmt: skip


def routes():
    """METHOD PATH of every route in the tables of the sources."""
    for name in ("AdminRoute", "StructureRoute"):
        text = (ROOT / "Sources" / "AdminAPI" / (name + ".swift")).read_text(encoding="utf-8")
        entries = re.findall(r'methods: \[([^]]*)\], pattern: "([^"]+)"', text) + re.findall(r'\((\.\w+), "([^"]+)", \.\w+\)', text)
        for methods, pattern in entries:
            path = pattern.removeprefix("/admin/v1/").replace("tenants/{tenant}", "T")
            for method in methods.split(","):
                yield "%s %s" % (method.strip(" .").upper(), path)


class CommandTableTests(unittest.TestCase):
    def test_every_route_has_a_command(self):
        self.assertEqual(sorted(routes()), sorted(COMMANDS))
        coffer = Coffer()
        self.addCleanup(coffer.destroy)
        for command in sorted(set(COMMANDS.values())):
            with self.subTest(command=command):
                self.assertIn("USAGE: coffer " + command, coffer.command(*command.split(), "--help").stdout)


    def test_every_route_is_described(self):
        text = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `([A-Z]+ [^`]+)` \| .* \| `([^`]+)` \|$", text, re.M)
        self.assertEqual(dict(rows), COMMANDS)
        self.assertEqual(len(rows), len(COMMANDS))


class OperatorCommandTests(unittest.TestCase):
    def setUp(self):
        self.coffer = Coffer(options=("--insecure-open",))
        self.addCleanup(self.coffer.destroy)
        self.coffer.init()

    def do(self, *words, check=True):
        result = self.coffer.command(*words, "--dir", self.coffer.folder, check=check)
        return result.stdout.strip() if check else result

    def rows(self, *words):
        return [json.loads(line) for line in self.do(*words, "--json").splitlines()]

    def structure(self):
        team = self.do("team", "create", "Platform")
        project = self.do("project", "create", "Checkout", "--team", team)
        agent = self.do("agent", "create", "build-bot", "--description", "builds")
        for made, prefix in ((team, "team_"), (project, "proj_"), (agent, "agt_")):
            self.assertRegex(made, "^%s[0-9a-z]{26}$" % prefix)
        self.do("member", "add", agent, "project", project, "--role", "writer", "--priority", "3")
        return team, project, agent

    def test_admins(self):
        self.coffer.up()
        owner = Operator(self.coffer)
        self.addCleanup(owner.close)
        refusals = 0
        for role in ("owner", "operator", "auditor"):
            made = owner("POST", "/admins", {"name": "the " + role, "role": role})
            self.assertEqual((made["role"], made["name"]), (role, "the " + role))
            other = Operator(self.coffer, made["key"])
            self.addCleanup(other.close)
            self.assertEqual(other.raw("GET", "/tenants").status, 200)
            for method, path, body, allowed in (
                ("POST", "/tenants/default/teams", {"name": "t-" + role}, role != "auditor"), ("GET", "/admins", None, role == "owner"),
                ("POST", "/admins", {"name": "x", "role": "owner"}, role == "owner"),
                ("POST", "/tenants/default/keys", {"kind": "admin", "name": "x", "role": "auditor"}, role == "owner"),
                ("DELETE", "/admins/" + made["id"], None, role == "owner"),
            ):  # fmt: skip
                answer = other.raw(method, path, body)
                with self.subTest(role=role, call=(method, path)):
                    self.assertIn(answer.status, (200, 201) if allowed else (403,), answer.body[:200])
                    refusals += not allowed
        self.assertEqual(refusals, 9)
        for path, body in (("/admins", {"name": "x"}), ("/admins", {"name": "x", "role": "king"}), ("/tenants/default/keys", {"kind": "admin", "name": "x"})):
            refused = owner.raw("POST", path, body)
            self.assertEqual((refused.status, refused.json()["code"]), (400, "validation_failed"), body)
            self.assertEqual(refused.json()["details"]["issues"][0]["pointer"], "/role")
        second = owner("POST", "/admins", {"name": "two keys", "role": "auditor"})
        again = owner("POST", "/admins/%s/keys" % second["id"])
        self.assertEqual((again["role"], again["name"]), ("auditor", "two keys"))
        self.assertNotEqual(again["id"], second["id"])
        named = owner("POST", "/admins/%s/keys" % second["id"], {"name": "third", "expiresIn": 60})
        self.assertEqual((named["role"], named["name"]), ("auditor", "third"))
        self.assertIsNotNone(named["expiresAt"])
        for body in ({"role": "owner"}, {"name": ""}, {"expiresIn": 0}):
            self.assertEqual(owner.raw("POST", "/admins/%s/keys" % second["id"], body).status, 400, body)
        self.assertEqual(owner.raw("POST", "/admins/0000000000000000/keys").status, 404)
        # The command asks for what its help says.
        self.assertEqual(json.loads(self.do("key", "create", "--kind", "admin", "--json"))["role"], "owner")
        auditor = self.do("key", "create", "--kind", "admin", "--role", "auditor")
        reader = Operator(self.coffer, auditor.splitlines()[0])
        self.addCleanup(reader.close)
        self.assertEqual(reader.raw("POST", "/tenants", {"name": "n"}).status, 403)
        self.assertNotIn(auditor, json.dumps(owner("GET", "/admins")))

    def test_a_change_that_is_sent_twice(self):
        self.coffer.up()
        owner = Operator(self.coffer)
        self.addCleanup(owner.close)
        once = {"Idempotency-Key": "made-once"}
        first, again = (owner.raw("POST", "/tenants/default/teams", {"name": "Once"}, once) for _ in range(2))
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(first.body, again.body)
        self.assertEqual([row["name"] for row in self.rows("team", "list")], ["Once"])
        changed = owner.raw("POST", "/tenants/default/teams", {"name": "Other"}, once)
        self.assertEqual((changed.status, changed.json()["code"]), (422, "idempotency_key_reused"))
        # Of another key, another method and another path it is another one.
        other = Operator(self.coffer, self.do("key", "create", "--kind", "admin", "--role", "operator").splitlines()[0])
        self.addCleanup(other.close)
        self.assertEqual(other.raw("POST", "/tenants/default/teams", {"name": "Second"}, once).status, 201)
        team = first.json()["data"]["id"]
        for _ in range(2):
            self.assertEqual(owner.raw("DELETE", "/tenants/default/teams/" + team, None, once).status, 200)
        self.assertEqual(owner.raw("DELETE", "/tenants/default/teams/" + team).status, 404)
        # A refusal is not kept.
        self.assertEqual(owner.raw("DELETE", "/tenants/default/teams/" + team, None, {"Idempotency-Key": "k2"}).status, 404)
        wrong = owner.raw("POST", "/tenants/default/teams", {"name": "Third"}, {"Idempotency-Key": "x" * 129})
        self.assertEqual((wrong.status, wrong.json()["code"]), (400, "validation_failed"))
        # Nothing that holds a key is kept: each call makes one.
        agent = self.do("agent", "create", "a")
        keys = {owner.raw("POST", "/tenants/default/agents/%s/keys" % agent, {"name": "k"}, once).json()["data"]["key"] for _ in range(2)}
        self.assertEqual(len(keys), 2)

    def test_lists_go_on_behind_signed_cursors(self):
        """Canaries and secrets, which need a server to be there; over a restart too."""
        self.coffer.up()
        owner, other = (Operator(self.coffer, key) for key in (None, self.do("key", "create", "--kind", "admin").splitlines()[0]))
        self.addCleanup(owner.close)
        self.addCleanup(other.close)
        ask = self.coffer.client()
        self.addCleanup(ask.close)
        tenant = self.rows("tenant", "list")[0]["id"]
        agent = self.do("agent", "create", "a")
        client = Agent(self.coffer, tenant, agent, json.loads(self.do("agent", "key", "create", agent, "--json"))["key"])
        self.addCleanup(client.close)
        for number in range(4):
            client.create(client.own, "s%d" % number, fields=[])
            self.do("canary", "mark", "agent", agent, "s%d" % number)
        # Two deleted ones of the same id, each with its mark.
        for _ in range(2):
            client.data("DELETE", client.own + "/s0")
            client.create(client.own, "s0", fields=[])
            self.do("canary", "mark", "agent", agent, "s0")
        for name in ("C1", "C2"):
            self.assertEqual(ask("PUT", "/api/settings/secrets", {"name": name, "value": "v"}).status, 200)
            self.do("canary", "mark", name)
        for path, count in (("/canaries", 8), ("/secrets", 4), ("/secrets?includeDeleted=true", 6)):
            path = "/tenants/%s%s" % (tenant, path)
            whole = owner.raw("GET", path).json()
            self.assertEqual((len(whole["data"]), whole["cursor"], whole["hasMore"]), (count, None, False), path)
            rows, query = [], ""
            while query is not None:
                page = owner.raw("GET", path + ("&" if "?" in path else "?") + "limit=1" + query).json()
                self.assertEqual(page["hasMore"], page["cursor"] is not None)
                rows += page["data"]
                query = page["cursor"] and "&cursor=" + page["cursor"]
            self.assertEqual(rows, whole["data"], path)
        self.assertEqual(len(self.rows("canary", "list")), 8)
        path = "/tenants/%s/secrets?limit=1" % tenant
        cursor = "&cursor=" + owner.raw("GET", path).json()["cursor"]
        self.do("restart")
        self.assertEqual([row["secretId"] for row in owner("GET", path + cursor)], ["s1"])
        for asking, refused in ((other, path + cursor), (owner, path + "&includeDeleted=true" + cursor), (owner, "/tenants/%s/canaries?%s" % (tenant, cursor))):
            answer = asking.raw("GET", refused)
            self.assertEqual((answer.status, answer.json()["code"]), (400, "validation_failed"))
            self.assertEqual([issue["pointer"] for issue in answer.json()["details"]["issues"]], ["/query/cursor"])

    def test_structure_without_a_server(self):
        team, project, agent = self.structure()
        self.assertEqual([row["name"] for row in self.rows("team", "list")], ["Platform"])
        self.assertEqual([(row["id"], row["teamId"]) for row in self.rows("project", "list")], [(project, team)])
        self.assertEqual([row["name"] for row in self.rows("agent", "list")], ["build-bot"])
        self.assertEqual(
            [(row["scope"], row["scopeId"], row["role"], row["priority"]) for row in self.rows("member", "list", agent)],
            [("project", project, "writer", 3)])  # fmt: skip
        self.do("team", "rename", team, "Core")
        self.do("project", "rename", project, "Pay")
        self.assertIn("Core", self.do("team", "list"))
        self.assertIn("Pay", self.do("project", "list"))
        self.do("agent", "describe", agent, "builds and deploys")
        shown = json.loads(self.do("agent", "show", agent))
        self.assertEqual((shown["name"], shown["description"]), ("build-bot", "builds and deploys"))
        self.do("agent", "describe", agent, "")
        self.assertEqual(json.loads(self.do("agent", "show", agent))["description"], "")
        refused = self.do("team", "delete", team, check=False)
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.do("project", "move", project)
        self.do("team", "delete", team)
        self.do("member", "remove", agent, "project", project)
        self.assertEqual(self.rows("member", "list", agent), [])
        access = json.loads(self.do("agent", "access", agent))
        self.assertTrue(access)
        settings = json.loads(self.do("tenant", "settings", "set", "retainVersions=2", "plaintextPolicy=deny"))
        self.assertEqual((settings["retainVersions"], settings["plaintextPolicy"]), (2, "deny"))
        self.assertEqual(json.loads(self.do("tenant", "settings", "get"))["retainVersions"], 2)
        wrong = self.do("tenant", "settings", "set", "retainVersions=51", check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, "Error: refused (400): /retainVersions: is no integer of its range\n"))
        self.do("agent", "key", "create", agent)
        self.assertEqual(self.coffer.command("verify", "--dir", self.coffer.folder).returncode, 0)

    DECLARED = {
        "tenants": [
            {
                "name": "acme", "settings": {"retainVersions": 3}, "teams": ["Platform", "Web"],
                "projects": [{"name": "Checkout", "team": "Platform"}, {"name": "Loose"}],
                "agents": [
                    {"name": "bot", "memberships": [{"project": "Checkout", "role": "writer", "priority": 2}, {"team": "Web", "role": "reader"}]},
                    {"name": "idle", "description": "in no team"},
                ],
            },
            {"name": "default", "teams": ["Ops"]},
        ]
    }  # fmt: skip

    def declare(self, document, check=True):
        file = os.path.join(self.coffer.home, "declared.json")
        with open(file, "w", encoding="utf-8") as declared:
            json.dump(document, declared)
        return self.coffer.command("init", "--from", file, "--dir", self.coffer.folder, check=check)

    def test_a_declared_structure(self):
        self.coffer.up()
        for round in ("offline store, server running", "again"):
            result = self.declare(self.DECLARED)
            self.assertEqual(result.stdout, "", round)
            self.assertIn("made: tenant acme" if round != "again" else "everything is there already", result.stderr)
        acme = next(row["id"] for row in self.rows("tenant", "list") if row["name"] == "acme")
        self.assertEqual(sorted(row["name"] for row in self.rows("team", "list", "--tenant", acme)), ["Platform", "Web"])
        projects = {row["name"]: row for row in self.rows("project", "list", "--tenant", acme)}
        self.assertEqual((set(projects), projects["Loose"]["teamId"]), ({"Checkout", "Loose"}, None))
        agents = {row["name"]: row["id"] for row in self.rows("agent", "list", "--tenant", acme)}
        members = self.rows("member", "list", agents["bot"], "--tenant", acme)
        self.assertEqual(sorted((row["scope"], row["role"], row["priority"]) for row in members), [("project", "writer", 2), ("team", "reader", 0)])
        self.assertEqual(json.loads(self.do("tenant", "settings", "get", "--tenant", acme))["retainVersions"], 3)
        self.assertEqual([row["name"] for row in self.rows("team", "list")], ["Ops"])
        changed = json.loads(json.dumps(self.DECLARED))
        changed["tenants"][0]["projects"][0]["team"] = "Web"
        changed["tenants"][0]["agents"][0]["memberships"][1]["role"] = "manager"
        changed["tenants"][0]["agents"][1]["description"] = "in reserve"
        changed["tenants"][0]["settings"] = {"retainVersions": None, "maxTeams": 9}
        end = "2099-01-01T00:00:00.000Z"
        changed["tenants"][0]["agents"][0]["memberships"][0]["expiresAt"] = "2099-01-01T01:00:00+01:00"
        told = self.declare(changed).stderr
        self.assertEqual(sorted(told.splitlines()), sorted([
            "made: settings of acme: retainVersions, maxTeams", "made: project Checkout moved to Web", "made: description of idle",
            "made: bot is writer in project Checkout until " + end, "made: bot is manager in team Web"]))  # fmt: skip
        self.assertIn("everything is there already", self.declare(changed).stderr)
        self.assertEqual(json.loads(self.do("agent", "show", agents["idle"], "--tenant", acme))["description"], "in reserve")
        settings = json.loads(self.do("tenant", "settings", "get", "--tenant", acme))
        self.assertEqual((settings["retainVersions"], settings["maxTeams"]), (5, 9))
        members = self.rows("member", "list", agents["bot"], "--tenant", acme)
        self.assertEqual(sorted((row["scope"], row["role"], row["expiresAt"]) for row in members), [("project", "writer", end), ("team", "manager", None)])
        # What the file says nothing of stays; an empty text takes a description away.
        del changed["tenants"][0]["agents"][1]["description"]
        self.assertIn("everything is there already", self.declare(changed).stderr)
        changed["tenants"][0]["agents"][1]["description"] = ""
        self.assertEqual(self.declare(changed).stderr, "made: description of idle\n")
        self.assertEqual(json.loads(self.do("agent", "show", agents["idle"], "--tenant", acme))["description"], "")

    def test_a_declaration_with_a_membership_that_ended(self):
        end = "%s.500Z" % time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2))
        agent = {"name": "a", "memberships": [{"team": "T", "role": "reader", "expiresAt": end}]}
        document = {"tenants": [{"name": "default", "teams": ["T"], "agents": [agent]}]}
        self.declare(document)
        time.sleep(3)
        # It is there as the file has it. As another one, or for another agent, it cannot be made any more.
        self.assertIn("everything is there already", self.declare(document).stderr)
        agent["memberships"][0]["role"] = "writer"
        self.assertIn("/tenants/0/agents/0/memberships/0/expiresAt is over", self.declare(document, check=False).stderr)

    def test_quotas_are_judged_before_anything_is_made(self):
        def refused(document, place):
            told = self.declare(document, check=False)
            self.assertEqual((told.returncode, told.stderr.startswith("Error: " + place)), (1, True), told.stderr)
            self.assertEqual([row["name"] for row in self.rows("tenant", "list")], ["default"])
            self.assertEqual(self.rows("team", "list") + self.rows("project", "list") + self.rows("agent", "list"), [])

        for name, list in (("maxTeams", ["a", "b", "c"]), ("maxProjects", [{"name": "a"}, {"name": "b"}]), ("maxAgents", [{"name": "a"}, {"name": "b"}])):
            kind = name[3:].lower()
            full = {"name": "full", "settings": {name: 1}, kind: list}
            refused({"tenants": [{"name": "first", "teams": ["T"]}, full]}, "/tenants/1/%s: %d to be made and 0 there" % (kind, len(list)))
            # Of the tenant as it is, without a word of the file.
            self.do("tenant", "settings", "set", name + "=1")
            refused({"tenants": [{"name": "first"}, {"name": "default", kind: list}]}, "/tenants/1/" + kind)
            self.do("tenant", "settings", "set", name + "=null")
        refused({"tenants": [{"name": "usual", "teams": ["t%d" % number for number in range(51)]}]}, "/tenants/0/teams: 51 to be made")
        # What is there counts, and what is to be made alone asks for room.
        self.do("team", "create", "other")
        self.declare({"tenants": [{"name": "default", "settings": {"maxTeams": 2}, "teams": ["T"]}]})
        self.assertIn("/tenants/0/teams: 1 to be made and 2 there", self.declare({"tenants": [{"name": "default", "teams": ["T", "U"]}]}, check=False).stderr)
        self.declare({"tenants": [{"name": "default", "settings": {"maxTeams": 0}, "teams": ["T", "other"]}]})
        self.assertIn("everything is there already", self.declare({"tenants": [{"name": "default", "teams": ["T"]}]}).stderr)

    def test_a_declaration_is_judged_before_anything_is_made(self):
        for change, place in (
            ({"tenants": [{"name": "x", "team": []}]}, "/tenants/0/team"), ({"tenants": [{"teams": ["a"]}]}, "/tenants/0/name"),
            ({"tenants": [{"name": "x", "projects": [{"name": "p", "team": "none"}]}]}, "/tenants/0/projects/0/team"),
            ({"tenants": [{"name": "x", "agents": [{"name": "a", "memberships": [{"team": "t", "role": "reader"}]}]}]}, "memberships/0"),
            ({"tenants": [{"name": "x"}, {"name": "x"}]}, "/tenants"), ({"tenants": [{"name": "x", "teams": ["a", "a"]}]}, "/teams"),
            ([], "the file"), ({"tenants": {}}, "/tenants"),
            ({"tenants": [{"name": "x", "settings": {"retainVersions": -1}}]}, "/tenants/0/settings/retainVersions: "),
            ({"tenants": [{"name": "x"}, {"name": "y", "settings": {"none": 1}}]}, "/tenants/1/settings/none: is no setting"),
            ({"tenants": [{"name": "x"}, {"name": "y" * 129}]}, "/tenants/1/name"), ({"tenants": [{"name": "x", "teams": ["\n"]}]}, "/teams/0"),
            ({"tenants": [{"name": "x", "teams": ["a", " a"]}]}, "/teams names a twice"),
            ({"tenants": [{"name": "x", "agents": [{"name": "a", "description": "d" * 1001}]}]}, "/agents/0/description"),
            *(({"tenants": [{"name": "x", "teams": ["t"], "agents": [{"name": "a", "memberships": [member]}]}]}, "memberships/0/" + place)
              for member, place in (({"team": "t"}, "role: "), ({"team": "t", "role": "king"}, "role: observer"),
                                    ({"team": "t", "role": "reader", "priority": 2000000}, "priority: "),
                                    ({"team": "t", "role": "reader", "expiresAt": "soon"}, "expiresAt: "),
                                    ({"team": "t", "role": "reader", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt is over"))),
            ({"tenants": [{"name": "x", "teams": ["t"], "agents": [{"name": "a", "memberships": [{"team": "t", "role": "reader"}] * 2}]}]}, "/memberships names"),
        ):  # fmt: skip
            result = self.declare(change, check=False)
            self.assertEqual(result.returncode, 1, change)
            self.assertIn(place, result.stderr)
        for _ in range(2):
            self.do("agent", "create", "twin")
        told = self.declare({"tenants": [{"name": "new"}, {"name": "default", "teams": ["T"], "agents": [{"name": "twin"}]}]}, check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("several agents have the name twin", told.stderr)
        self.assertEqual(self.rows("team", "list"), [])
        self.assertEqual([row["name"] for row in self.rows("tenant", "list")], ["default"])

    def test_verification_finds_every_changed_row(self):
        """Changed, moved and removed rows of the scoped dialect, each put back afterwards."""
        _, _, agent = self.structure()
        self.do("invite", "create", "ci")
        self.coffer.up()
        key = json.loads(self.do("agent", "key", "create", agent, "--json"))
        client = Agent(self.coffer, self.rows("tenant", "list")[0]["id"], agent, key["key"])
        self.addCleanup(client.close)
        client.create(client.own, "one", fields=[{"key": "k", "sensitivity": "plaintext", "value": "v"}])
        client.create(client.own, "two")
        for value in (b"first", b"second"):
            client.set_sealed(client.own, "one", "s", value)
        client.close()
        self.coffer.stop()
        database = os.path.join(self.coffer.folder, "store", "coffer.db")
        untouched = pathlib.Path(database).read_bytes()
        self.assertEqual(self.do("verify", check=False).returncode, 0)
        for statement, place in (
            ("UPDATE teams SET name = 'x'", "teams/"), ("UPDATE projects SET team = NULL", "projects/"),
            ("UPDATE agents SET disabled_at = 1", "agents/"), ("UPDATE memberships SET role = 'manager'", "memberships/"),
            ("UPDATE invites SET max_uses = 9", "invites/"), ("UPDATE api_keys SET grants = NULL WHERE agent IS NOT NULL", "api_keys/"),
            ("UPDATE scoped_secrets SET category = 'x' WHERE secret_id = 'one'", "scoped_secrets/"),
            ("UPDATE fields SET revision = revision - 1 WHERE revision > 1", "scoped_secrets/"),
            ("UPDATE scoped_secrets SET secret_id = 'three' WHERE secret_id = 'two'", "scoped_secrets/"),
            ("DELETE FROM scoped_secrets WHERE secret_id = 'two'", "scoped_secrets/"),
            ("UPDATE fields SET sensitivity = 'plaintext' WHERE sensitivity = 'encrypted'", "fields/"),
            ("UPDATE fields SET sealed = zeroblob(length(sealed)) WHERE field_key = 'k'", "fields/"),
            ("UPDATE fields SET version = version + 7 WHERE field_key = 'k'", "fields/"),
            ("UPDATE data_keys SET field_version = 9", "data_keys/"), ("DELETE FROM data_keys", "data_keys/"),
        ):  # fmt: skip
            with self.subTest(statement=statement):
                connection = sqlite3.connect(database)
                self.assertGreater(connection.execute(statement).rowcount, 0)
                connection.commit()
                connection.close()
                found = self.do("verify", check=False)
                self.assertEqual(found.returncode, 1, found.stdout)
                self.assertIn(place, found.stdout)
                for beside in ("-wal", "-shm"):
                    pathlib.Path(database + beside).unlink(missing_ok=True)
                pathlib.Path(database).write_bytes(untouched)

    def test_keys_invites_and_secrets_of_a_running_server(self):
        _, _, agent = self.structure()
        self.coffer.up()
        made = json.loads(self.do("agent", "key", "create", agent, "--expires", "1h", "--json"))
        self.assertRegex(made["key"], r"^agk_")
        tenant = self.rows("tenant", "list")[0]["id"]
        client = Agent(self.coffer, tenant, agent, made["key"])
        self.addCleanup(client.close)
        client.create(client.own, "acme", fields=[{"key": "k", "sensitivity": "plaintext", "value": "value-of-acme"}])
        client.set_sealed(client.own, "acme", "sealed", b"value")
        listed = self.do("secret", "list", "--json") + self.do("secret", "show", "agent", agent, "acme")
        self.assertIn("acme", listed)
        self.assertNotIn("value-of-acme", listed)
        client.data("DELETE", client.own + "/acme")
        self.assertEqual(self.do("secret", "list"), "")
        deleted = json.loads(self.do("secret", "list", "--deleted", "--json"))
        self.assertIn("%s  " % deleted["incarnation"], self.do("secret", "list", "--deleted"))
        self.do("secret", "restore", "agent", agent, "acme", "--incarnation", deleted["incarnation"])
        self.assertEqual(client.open(client.own, "acme", "sealed"), b"value")
        client.data("DELETE", client.own + "/acme")
        self.assertEqual(self.do("secret", "purge", "agent", agent, "acme", "--confirm", "wrong", check=False).returncode, 64)
        self.do("secret", "purge", "agent", agent, "acme", "--confirm", "acme")
        self.assertNotEqual(self.do("secret", "restore", "agent", agent, "acme", check=False).returncode, 0)

        # What narrows a key, as REST has it.
        narrow = ("agent", "key", "create", agent, "--scope", "agent:" + agent, "--cidr", "127.0.0.0/8", "--cidr", "::1", "--expires-at")
        narrow += ("2099-01-01T00:00:00Z", "--scope", "org:" + tenant, "--secret", "acme", "--rate", "reads=7/9", "--rate", "lists=1/2")
        narrowed = json.loads(self.do(*narrow, "--json"))
        self.assertEqual(narrowed["scopes"], [{"scope": "agent", "scopeId": agent}, {"scope": "org", "scopeId": tenant}])
        self.assertEqual((narrowed["cidrs"], narrowed["expiresAt"]), (["127.0.0.0/8", "::1"], "2099-01-01T00:00:00.000Z"))
        self.assertEqual(narrowed["secretIds"], ["acme"])
        self.assertEqual(narrowed["rateLimit"], {"reads": {"perSecond": 7, "burst": 9}, "lists": {"perSecond": 1, "burst": 2}})
        project = self.rows("project", "list")[0]["id"]
        for key, status in ((made["key"], 200), (narrowed["key"], 403)):
            self.assertEqual(client("GET", "/agent/secrets/project/" + project, key=key).status, status)
        self.assertEqual(client("GET", client.own, key=narrowed["key"]).status, 200)
        for wrong, code in (
            (("--expires", "1h", "--expires-at", "2099-01-01T00:00:00Z"), 64), (("--scope", "team/x"), 64), (("--scope", "king:x"), 64),
            (("--secret", "a/b"), 64), (("--rate", "reads=1"), 64), (("--rate", "reads=a/b"), 64), (("--rate", "reads=1/1/1"), 64),
            (("--rate", "reads=1/1", "--rate", "reads=1/2"), 64), (("--rate", "meals=1/1"), 64), (("--rate", "reads=0/1"), 1),
            (("--cidr", "300.0.0.0/8"), 1), (("--expires-at", "2020-01-01T00:00:00Z"), 1),
        ):  # fmt: skip
            self.assertEqual(self.do("agent", "key", "create", agent, *wrong, check=False).returncode, code, wrong)

        rotated = self.do("agent", "key", "rotate", agent, made["id"], "--grace", "1h")
        self.assertEqual(client("GET", "/agent/identity/whoami").header("X-Key-Deprecated"), "true")
        self.do("agent", "key", "revoke", agent, made["id"])
        self.assertEqual(client("GET", "/agent/identity/whoami").status, 401)
        client.key = rotated.splitlines()[0]
        self.assertEqual(client("GET", "/agent/identity/whoami").status, 200)
        self.do("agent", "disable", agent)
        self.assertEqual(client("GET", "/agent/identity/whoami").status, 401)
        self.do("agent", "enable", agent)

        team = self.rows("team", "list")[0]["id"]
        token = self.do("invite", "create", "ci", "--membership", "team:%s:reader" % team, "--max-uses", "2").splitlines()[0]
        enrolled = client.data("POST", "/agent/enroll", {"inviteToken": token, "agentName": "runner"})
        self.assertTrue(enrolled["apiKey"].startswith("agk_"))
        invite = self.rows("invite", "list")[0]
        self.assertEqual(invite["uses"], 1)
        self.assertNotIn(token, json.dumps(invite))
        self.do("invite", "revoke", invite["id"])
        self.assertEqual(client("POST", "/agent/enroll", {"inviteToken": token, "agentName": "late"}).status, 403)
        verified = self.coffer.command("verify", "--dir", self.coffer.folder, check=False)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        self.assertFalse(re.search("agk_[0-9A-Za-z]{16}_", self.coffer.output()))


if __name__ == "__main__":
    unittest.main()
