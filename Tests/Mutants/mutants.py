"""Faults planted into the product, one at a time: each must turn the test red that is there for it.

    mutants.py [--only WORDS] [--list]

A copy of the sources is built once, without optimisation; its tests must be green there. Then each mutant of TABLE
is planted, built, tried and taken back. A mutant's text must stand in its file exactly once, so that none is planted beside its
place. Exit 1 when one survives, when its place is gone, or when it does not build.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds for one build or test.
PATIENCE = 900


class Mutant:
    """`old` becomes `new` in `file`; `unit` is a filter of swift test, `module` a test of Tests/EndToEnd."""

    def __init__(self, name, file, old, new, unit=None, module=None):
        self.name, self.file, self.old, self.new, self.unit, self.module = name, file, old, new, unit, module


TABLE = [
    Mutant("a version of a tenant's key is disabled while rows are under it", "Service/TenantKeys/KEKDisabling.swift",
           "if let count = rows[version] {", "if let count = rows[version], count < 0 {", unit="RewrappingTests/whatIsDamagedStaysBehindAlone"),
    Mutant("a changed custom secret gets a new MAC with its next value", "Service/Secrets.swift",
           ".map { try self.verified($0, in: transaction) }", "", unit="VerificationTests/aChangedRowGetsNoNewMAC"),
    Mutant("a rollback that is repeated makes a version each time", "Service/Scoped/FieldChanges.swift",
           "if try holds(current, content, earlier, of: secret) {", "if try holds(current, content, earlier, of: secret), version == 0 {",
           module="test_scoped_contract"),
    Mutant("a token of bytes that are no text opens", "Service/SettingsChanges.swift",
           "UTF8Sequence.isValid($0) ?", "UTF8Sequence.isValid($0) || !$0.isEmpty ?", unit="SettingsRoutesTests/tokensOfBytesThatAreNoText"),
    Mutant("a lock that is refused is closed twice", "Store/StoreLock.swift",
           "      close(descriptor)\n      throw code", "      self.descriptor = descriptor\n      close(descriptor)\n      throw code",
           unit="StoreDirectoryTests/aRefusedLockClosesNothingOfOthers"),
    Mutant("the key of a disabled version stays", "Service/TenantKeys/KEKDisabling.swift",
           "row.wrapped = []", "row.wrapped += []", unit="RewrappingTests/aVersionEndsOnceNothingMayNeedIt"),
    Mutant("a re-wrap keeps the MAC of the older version", "Service/TenantKeys/RewrappedRows.swift",
           "    row.kekVersion = keys.version\n    row.mac = try keys.mac(of: row)\n    try transaction.put(row)\n    return 1\n  }\n\n"
           "  private func rewrap(_ found: ScopedSecretRow",
           "    row.kekVersion = keys.version\n    try transaction.put(row)\n    return 1\n  }\n\n  private func rewrap(_ found: ScopedSecretRow",
           unit="RewrappingTests/aWalkBringsEverythingUnderTheNewVersion"),
    Mutant("a re-wrap that was ended is taken for done", "Service/TenantKeys/Rewrapping.swift",
           "catch is Ended { return nil }", "catch is Ended { return Outcome() }", unit="RewrappingTests/aWalkThatIsEndedGoesOnWhereItWas"),
    Mutant("one damaged row stops the re-wrap", "Service/TenantKeys/Rewrapping.swift",
           "if units.count == 1 { return Outcome(unreadable: 1) }", "if units.count == 1 { throw error }",
           unit="RewrappingTests/whatIsDamagedStaysBehindAlone"),
    Mutant("a change of the root key makes good what was not proven", "Service/RootKey/RootRewrapping.swift",
           "guard try before.verify(rowMAC: row.mac, of: row.macMessage) else {\n      counts", "guard try before.verify(rowMAC: row.mac, of: row.macMessage) || !row.mac.isEmpty else {\n      counts",
           unit="RootRotationTests/whatWasNotProvenBeforeIsNotProvenAfter"),
    Mutant("a change of the root key leaves a tenant key under the old one", "Service/RootKey/RootRewrapping.swift",
           "      row.rootKeyID = new.id\n", "", unit="RootRotationTests/everythingIsUnderTheNewKeyAndNothingUnderTheOld"),
    Mutant("the proof of a root key reads no row", "Service/RootKey/RootProof.swift",
           "if let keys { Self.prove(", "if let keys, kek.version == 0 { Self.prove(", unit="RootRotationTests/theProofCatchesABadRewrap"),
    Mutant("a broken chain goes under the new root key unseen", "Service/RootKey/RootRotation.swift",
           "if let bad = walk.firstBad, !acceptsBroken {", "if let bad = walk.firstBad, !acceptsBroken, bad < 0 {",
           unit="RootRotationTests/aBrokenChainStandsInTheWayUntilItIsAccepted"),
    Mutant("entries before a change of the root key are proven by nothing", "KeyRing/AuditWalk.swift",
           "    compare(rootChange)\n", "", unit="AuditWalkTests/aChangeOfTheRootKey"),
    Mutant("what is written behind a change of the root key is under the old one", "Service/RootKey/RootRotation.swift",
           "          vault.use(RootKeys(new, other: old))\n", "          vault.use(RootKeys(old, other: new))\n",
           module="test_root_rotation.RootRotationTests.test_everything_goes_under_the_new_key_and_nobody_sees_it"),
    Mutant("the old root key counts on after the change", "Service/RootKey/RootRotation.swift",
           "root.id == new.id { vault.use", "root.id != new.id { vault.use",
           unit="RootRotationTests/theOldKeyCountsNoMoreOnceReadersAreGone"),
    Mutant("a seal keeps the tenant keys", "Service/Vault.swift",
           "    opened.withLock { $0 = [:] }\n    seals", "    seals", unit="SealTests/tenantKeysGoWithTheSeal"),
    Mutant("a clock that is set back revives a data key", "Service/Scoped/SteadyClock.swift",
           "max(base.map { $0 + uptime } ?? .min, seen)", "seen", module="test_clock.ClockTests.test_a_clock_set_back_revives_no_data_key"),
    Mutant("a clock that is set back holds up threads that wait", "CShim/CShim.c",
           "return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline);",
           "struct timespec end = *deadline; clock_gettime(CLOCK_REALTIME, &end); end.tv_sec += 1; return sem_timedwait(semaphore, &end);",
           module="test_clock.ClockTests.test_no_thread_waits_by_the_clock"),
    Mutant("a seal leaves keys with threads that have nothing to do", "cofferd/Handler.swift",
           "func passes() { desk.forgetWithTheVault() }", "func passes() {}", module="test_seal.MemoryTests"),
    Mutant("a verification takes what a seal hides for damage", "Service/Verification.swift",
           "guard service.vault.sealings == sealings else { throw .sealed }", "", unit="SealTests/aVerificationThatASealInterruptsEnds"),
    Mutant("a list of operators goes on behind another one's cursor", "AdminAPI/ListQuery.swift",
           'desk.caller?.keyID ?? "", target.rawPath]', 'desk.caller?.keyID ?? ""]', unit="AdminListTests/aCursorIsOfItsCallerAndItsQuestion"),
    Mutant("each part of an export begins with the line of the chain", "AdminAPI/AuditExportRoute.swift",
           "      last = place.sequence\n", "      last = place.sequence\n      writer.appendLine(try firstLine(tenant, checkpoint))\n",
           unit="AuditExportTests/partsAreTheWhole"),
    Mutant("a sealed server changes the structure", "AdminAPI/AdminAPI.swift",
           "guard route.isServedSealed || !desk.service.isSealed else", "guard route.isServedSealed || !desk.service.isSealed || request.method == .post else",
           module="test_seal.SealTests.test_operators_read_the_structure_and_change_nothing"),
    Mutant("a start does not look for the root key that waits", "Service/RootKey/RootRotation.swift",
           "guard error == .wrongRootKey, let waiting", "guard error == .notInitialised, let waiting",
           unit="RootRotationTests/theNextStartFindsTheKey"),
    Mutant("a key is used beyond its limit", "Service/Sealing.swift",
           "if kek.row.wrapsReserved >= wrapLimit {", "if kek.row.wrapsReserved >= wrapLimit * 1000 {",
           unit="aKeyVersionIsReplacedAtItsLimit"),
    Mutant("the AAD of a stored value leaves the field out", "KeyRing/TenantKeys.swift",
           "    aad.append(place.field)\n", "", unit="TenantKeysTests/aValueOpensInItsOwnPlaceOnly"),
    Mutant("the AAD of a stored value leaves the version out", "KeyRing/TenantKeys.swift",
           "    aad.append(place.version)\n", "", unit="TenantKeysTests/aValueOpensInItsOwnPlaceOnly"),
    Mutant("a data key opens for another field", "KeyRing/DataKey.swift",
           "    data.append(fieldKey)\n", "",
           unit="DataKeyTests/opensForItsOwnBindingOnly"),
    Mutant("a row MAC does not tell an absent text from an empty one", "KeyRing/MACMessage.swift",
           "    message.appendRaw(text == nil ? 0 : 1)\n    if let text { message.append(text) }\n", "    message.append(text ?? \"\")\n",
           unit="TenantKeysTests/macsTellPresenceFromEmptiness"),
    Mutant("the link of an audit entry to the one before is not judged", "KeyRing/AuditWalk.swift",
           "AuditLink.hash(entry, after: last.hash)", "AuditLink.hash(entry, after: nil)", unit="AuditWalkTests/theWholeAndTheCutChainFit"),
    Mutant("the MAC of an audit entry is not judged", "KeyRing/AuditWalk.swift",
           "return roots.verify(auditMAC: mac, of: hash)", "return roots.verify(auditMAC: mac, of: hash) || !mac.isEmpty", unit="AuditWalkTests/aRewrittenChainHasNoMACs"),
    Mutant("a key file that others may read is taken", "KeyRing/KeyFile.swift",
           "guard facts.st_mode & 0o077 == 0 else", "guard facts.st_mode & 0o002 == 0 else", unit="KeyFileTests/refusals"),
    Mutant("a slip in the copy of a root key is not found", "KeyRing/RootEscrow.swift",
           "      RootKey.check(Array(words[..<7].joined(separator: \" \").utf8)) == Array(words[7].utf8)\n", "      !words[7].isEmpty\n",
           unit="RootEscrowTests/everySlipIsFound"),
    Mutant("a data key may seal two envelopes", "Store/SQLiteScopedWriting.swift",
           "INSERT INTO data_keys", "INSERT OR REPLACE INTO data_keys", unit="ScopedStoreConformance/aDataKeyIsThereOnceForGood"),
    Mutant("a merged run of a history forgets where its parts stood", "Store/AuditRun.swift",
           "mark.moved(by: runs[index].first - first)", "mark.moved(by: 0)", unit="AuditIndexTests/aHistoryIsNewestFirstAcrossAllRuns"),
    Mutant("an index that hides entries from a history is no damage", "Store/SQLiteAuditIndex.swift",
           "if !fits { damaged", "if !fits, chain.newest < 0 { damaged", unit="AuditIndexTests/runsThatDoNotFitTheirEntriesAreFound"),
    Mutant("a batch believes a row whose change was undone", "Store/SQLiteTransaction.swift",
           "    appendedEntries = entries\n    forgetRows()\n", "    appendedEntries = entries\n",
           unit="ScopedStoreConformance/aBatchSeesItsOwnTenantAndKeys"),
    Mutant("a commit is acknowledged before it is on the disk", "Store/SQLiteConnection.swift",
           '"PRAGMA synchronous=FULL", reading: "PRAGMA synchronous", expecting: "2"',
           '"PRAGMA synchronous=NORMAL", reading: "PRAGMA synchronous", expecting: "1"',
           module="test_crash.PowerCutTests"),
    Mutant("a commit counts before its frames are written", "Store/SQLiteLogFile.swift",
           "unsafe SQLiteLogFile.written(file!) { unsafe $0.xSync(file, flags) }", "unsafe SQLiteLogFile.gathered(file!).pointee.methods.pointee.xSync(file, flags)",
           unit="LogFileTests/aCommitIsInTheFile"),
    Mutant("a frame is read before it is written", "Store/SQLiteLogFile.swift",
           "unsafe SQLiteLogFile.written(file!) { unsafe $0.xRead(file, bytes, count, offset) }",
           "unsafe SQLiteLogFile.gathered(file!).pointee.methods.pointee.xRead(file, bytes, count, offset)",
           unit="LogFileTests/aLongTransactionReadsWhatItWrote"),
    Mutant("a context is taken for one that has the key", "Ciphers/ThreadContexts.swift",
           "self.key?.isSame(as: key) == true", "self.key != nil", unit="KeptContextsTests/sealsAndOpens"),
    Mutant("a nonce comes twice", "Ciphers/ThreadContexts.swift",
           "      nonces.bytes = try RandomBytes.generate(count: AES256GCM.nonceBytes * Nonces.count)\n",
           "      if nonces.bytes.isEmpty { nonces.bytes = try RandomBytes.generate(count: AES256GCM.nonceBytes * Nonces.count) }\n",
           unit="AES256GCMTests/noNonceComesTwice"),
    Mutant("what a write carried stays until the next one", "Store/WriteQueue.swift",
           "if !remains.isEmpty {", "if remains.count > 99 {",
           unit="StoreConformance/whatAWriteCarriedIsFreedSoonAfterIt"),
    Mutant("a body that fails is not undone", "Store/SQLiteWriter.swift",
           "try connection.execute(\"ROLLBACK TO body\")", "_ = attempt", unit="StoreConformance/aFailingBodyIsUndoneAlone"),
    Mutant("a deleted tenant's keys stay in the log", "Store/SQLiteWriter.swift",
           "let isAsked = batch.contains { $0.erases }", "let isAsked = batch.isEmpty", unit="StoreConformance/whatATenantHadIsGoneButItsChain"),
    Mutant("the queue for other machines has no end", "Threads/WaitingPool.swift",
           "guard jobs.count < capacity + idle else { return false }", "guard jobs.count < capacity + idle + 1000 else { return false }",
           unit="WaitingPoolTests/itTakesWhatItsThreadsAndItsQueueHoldAndRefusesTheRest"),
    Mutant("a thread believes a sealed field that has changed", "Service/Scoped/ScopedReads.swift",
           "contents = reader.contents, known.contents == contents {", "contents = reader.contents, known.contents != nil || known.contents == contents {",
           module="test_scoped.ConditionTests.test_a_field_that_is_read_again_is_never_an_old_one"),
    Mutant("a thread believes a sealed field that has changed, seen from outside", "Service/Scoped/ScopedReads.swift",
           "contents = reader.contents, known.contents == contents {", "contents = reader.contents, known.contents != nil || known.contents == contents {",
           module="test_histories.SealedFieldHistories"),
    Mutant("threads are not told that a value has changed", "Store/ChangeClock.swift",
           "    if transaction.changesContents { contents.commitBegins() }\n", "",
           module="test_histories.SealedFieldHistories"),
    Mutant("a request sees what its turn saw before it came", "Responder/Loop.swift",
           "      isInTurn = true\n      handler.requestBegins()\n", "      if !isInTurn { handler.requestBegins() }\n      isInTurn = true\n",
           unit="PitfallTests/eachRequestOfATurnIsAnnounced"),
    Mutant("a batch keeps what it worked out of a tenant that has changed since", "Store/SQLiteTransaction.swift",
           "    tenants[row.id] = nil\n    ownMemo.contents = nil\n", "    tenants[row.id] = nil\n", unit="MemoTests/itIsEmptiedWithTheRowsItIsOf"),
    Mutant("keys stay in a transaction that has ended", "Store/SQLiteWriter.swift",
           "        transaction.end()\n", "", unit="MemoTests/itEndsWithItsBatch"),
    Mutant("a secret is restored into a scope that is gone", "Service/Structure/DeletedSecrets.swift",
           "guard try isThere(scope) else { throw ScopedFailure(code: .notFound) }", "_ = try isThere(scope)",
           module="test_scoped.ConditionTests.test_nothing_is_restored_into_a_scope_that_is_gone"),
    Mutant("a disabled agent is shown with its rights", "AdminAPI/StructureRoutes.swift",
           ".array(disabledAt == nil ? grant.rights.names.map(AdminRendering.text) : [])", ".array(grant.rights.names.map(AdminRendering.text))",
           module="test_scoped.ConditionTests.test_a_disabled_agent_may_do_nothing"),
    Mutant("an operator's key that has expired is accepted", "Service/Authenticator.swift",
           "if let expiry = row.expiresAt, expiry <= now { return .keyExpired }", "",
           unit="AdminKeepingTests/aKeyThatHasEndedSaysSo"),
    Mutant("a turn keeps its snapshot over a commit", "Store/SQLiteReading.swift",
           "if let commits, commits == self.commits { return }", "if commits != nil, self.commits != nil { return }",
           unit="ChangeClockTests/afterACommitATurnSeesWhatItDid"),
    Mutant("a turn keeps its snapshot over a change", "Store/SQLiteReading.swift",
           "contentsNumber == clocks.contents.now {", "contentsNumber <= clocks.contents.now ?? 0 {",
           unit="ChangeClockTests/overAChangeATurnDoesNotKeepItsSnapshot"),
    Mutant("entries are read from a snapshot that lacks some", "Store/SQLiteReading.swift",
           "    if lacksEntries { refresh(.everything) }\n", "",
           unit="ChangeClockTests/overAuditEntriesATurnKeepsItsSnapshotUntilTheyAreRead"),
    Mutant("a history and its secret are of two snapshots", "Service/Desk.swift",
           "package func readsEntries() { reader.refresh(.everything) }", "package func readsEntries() { reader.refresh(.contents) }",
           unit="SnapshotTests/entriesAndRowsAreOfOneSnapshot"),
    Mutant("readers are not told of commits of audit entries alone", "Store/ChangeClock.swift",
           "    commits.commitBegins()\n", "    if transaction.changesContents { commits.commitBegins() }\n",
           unit="ChangeClockTests/afterACommitATurnSeesWhatItDid"),
    Mutant("a commit can be seen before the numbers say so", "Store/SQLiteWriter.swift",
           '    clocks.commitBegins(of: transaction)\n    try connection.execute("COMMIT")\n',
           '    try connection.execute("COMMIT")\n    clocks.commitBegins(of: transaction)\n',
           unit="ChangeClockTests/whatOneReaderSawTheNextOneSees"),
    Mutant("what is remembered while a commit is under way holds after it", "Store/ChangeClock.swift",
           "return number == 0 || !number.isMultiple(of: 2) ? nil : number", "return number == 0 ? nil : number & ~1",
           unit="ChangeClockTests/whatOneReaderSawTheNextOneSees"),
    Mutant("a change beside an audit entry counts as none", "Store/SQLiteTransaction.swift",
           "connection.allChangedRows - changedBefore != changedByAudit", "connection.allChangedRows - changedBefore != 0 && changedByAudit == 0",
           unit="ChangeClockTests/everyChangeButAuditEntriesAdvancesTheNumberOfContents"),
    Mutant("an earlier version is set again without being proven", "Service/Scoped/SecretViews.swift",
           "let checked = try verified(row, in: store)", "let checked = row",
           module="test_scoped.BindingTests.test_a_changed_version_is_not_made_good_by_a_rollback"),
    Mutant("a version too many is kept", "Service/Scoped/FieldStoring.swift",
           "min(current.version, UInt64(settings.retainVersions))", "min(current.version, UInt64(settings.retainVersions) + 1)",
           module="test_scoped.ConditionTests.test_versions_and_rollback"),
    Mutant("a data key's row is bound anew without being proven", "Service/Scoped/FieldStoring.swift",
           ".map { try service.verified($0, in: store) }\n    var row", "\n    var row",
           module="test_scoped.BindingTests.test_a_changed_data_key_is_not_made_good_by_a_rollback"),
    Mutant("a kept answer is given out without being proven", "Service/Scoped/ScopedChanges.swift",
           "let row = try vault.verified(stored)", "let row = stored",
           module="test_changed_rows.ChangedRowTests.test_a_kept_answer_that_was_changed_is_not_given_out"),
    Mutant("a token whose row of uses is gone has uses left", "Service/Scoped/KeyUses.swift",
           "    try reading.keyUse(tenant: tenant, id: key).map { try vault.verified($0) }\n",
           "    try reading.keyUse(tenant: tenant, id: key).map { try vault.verified($0) }\n"
           "      ?? KeyUseRow(tenant: tenant, id: key, lastUsedAt: 0, uses: 0, mac: [])\n",
           module="test_changed_rows.ChangedRowTests.test_uses_of_a_token_do_not_come_back"),
    Mutant("a change of a membership is not named in the chain", "Service/Structure/Agents.swift",
           'try record("member.put", id, details, rows: [RowChange(row)])', 'try record("member.put", id, details, rows: [RowChange(row)].filter { _ in false })',
           module="test_changed_rows.ChangedRowTests.test_an_older_row_of_the_structure_is_found"),
    Mutant("noting the time of a use makes a removed row of uses anew", "Service/Scoped/KeyUses.swift",
           "guard caller.maxUses == nil, uses.isDue(", "guard uses.isDue(",
           module="test_changed_rows.ChangedRowTests.test_uses_of_a_token_do_not_come_back"),
    Mutant("verification believes an earlier field", "Service/Scoped/ScopedVerification.swift",
           "if row?.version != field.version || ", "if ",
           module="test_changed_rows.ChangedRowTests.test_an_older_field_is_found"),
    Mutant("an earlier version is taken for the newest", "Service/Scoped/NewestVersions.swift",
           "if !secret.fieldVersions.isEmpty, NewestVersions.version(", "if !secret.fieldVersions.isEmpty, row == nil, NewestVersions.version(",
           module="test_changed_rows.ChangedRowTests.test_an_older_field_is_found"),
    Mutant("verification passes over earlier versions", "Service/Scoped/ScopedVerification.swift",
           "where version.version < field.version {", "where version.version == field.version {",
           module="test_changed_rows.ChangedRowTests.test_every_column_of_every_table"),
    Mutant("a data key that was minted before a rotation keeps its old wrap", "Service/Scoped/FieldStoring.swift",
           "    let content = try service.rewrapped(content, in: key, of: secret, under: keys, in: store)\n", "",
           module="test_rotation.RotationTests.test_everything_goes_under_the_new_version_and_nobody_sees_it"),
    Mutant("an exposure is not in the audit chain", "ScopedAPI/Calls.swift",
           "guard let event else { return .now(response) }", "guard let event, event.revision == nil else { return .now(response) }",
           module="test_scoped.AuditTests"),
    Mutant("a canary's envelope is answered from memory", "Service/Scoped/ScopedReads.swift",
           "guard view.sensitivity == .encrypted, !known.secret.isCanary else", "guard view.sensitivity == .encrypted else",
           module="test_canary_secrets.ScopedSecretTests.test_readings_in_quick_succession_are_each_counted"),
    Mutant("a canary's mark is not under the row's MAC", "Service/SealedRows.swift",
           ".text(Self.canaryMark, if: row.isCanary)", ".text(Self.canaryMark, if: row.position < 0)",
           module="test_canary_secrets.TamperingTests.test_the_flag_is_under_the_mac"),
    Mutant("a canary's row of before is taken for the newest", "Service/Verification.swift",
           "if let found { compare(found, &chain) } else { report.add(.missing, Canary.prefix + place, tenant: tenant) }",
           "if let found { compare(found, &chain) }", module="test_canary_secrets.TamperingTests.test_a_row_of_before_is_found"),
    Mutant("a socket outlives its key", "SocketRelay/RelayLoop.swift",
           "let pass = socket.pass, !judge.stillAdmits(pass) else", "let pass = socket.pass, pass.tenant == pass.keyID else",
           module="test_sockets.KeyTests.test_a_key_that_ends_ends_its_sockets"),
    Mutant("a restart drops sockets without a word", "SocketRelay/RelayLoop.swift",
           'case .open: dismiss(socket, CloseFrame.goingAway, "The server restarts")', "case .open: remove(socket)",
           module="test_sockets.PumpTests.test_a_restart_tells_everybody_to_come_again"),
    Mutant("a socket's buffers have no bound", "SocketRelay/ByteQueue.swift", "Self.capacity - count }", "1 << 24 }",
           module="test_sockets.PumpTests.test_a_reader_that_does_not_read_holds_its_sender_back_and_no_memory"),
    Mutant("the client's key goes on to the agent server", "SettingsAPI/SocketAPI.swift",
           "{ !$0.hasPrefix(keyName) }.joined(", "{ $0 != keyName }.joined(",
           module="test_sockets.KeyTests.test_a_header_or_a_query"),
    Mutant("any key opens a socket", "SettingsAPI/SocketAPI.swift",
           "principal.level.allows(.converse) else", "principal.level.allows(.readRedacted) else",
           module="test_sockets.KeyTests.test_wrong_keys"),
    Mutant("an agent server that is gone is chosen", "Gateway/AgentServers.swift",
           "let good = all.filter { !$0.gateway.isDoubtful }", "let good = all",
           module="test_agent_servers.AgentServersTests.test_one_that_is_gone"),
    Mutant("a conversation's agent server is not stored", "Service/Placements.swift",
           "try transaction.put(row)\n    return (name, RowChange(row))", "return (name, RowChange(row))",
           module="test_agent_servers.AgentServersTests.test_each_conversation_stays_where_it_began"),
    Mutant("what is given back to the heap stays as it was", "CErasingHeap/CErasingHeap.c",
           "explicit_bzero(memory, malloc_usable_size(memory));", "malloc_usable_size(memory);",
           module="test_canary.MemoryTests"),
    Mutant("two programs start two responders", "coffer/SharedHost/OnDemandResponder.swift",
           "while flock(lock, LOCK_EX) != 0, errno == EINTR {}", "",
           module="test_shared_host.StartTests.test_programs_that_find_none_at_once"),
    Mutant("a changed row of a tenant's key gets a new MAC with its next reservation", "Service/Vault.swift",
           "!disabled.withLock({ $0.contains(slot) }), try verify(row) else", "!disabled.withLock({ $0.contains(slot) }) else",
           unit="KEKProofTests/aChangedRowOpensNothing"),
    Mutant("a row of a tenant's key whose MAC was wiped gets one at the next start", "Service/TenantKeys/KEKProofs.swift",
           "try transaction.setRecord(\"key-check\", root.keyCheck(storeID: identity.storeID))", "",
           unit="BaselineTests/rowsOfKEKsGetTheirMACsOnce"),
    Mutant("what was open under the old root key stays so", "Service/Vault.swift",
           "verified.withLock { $0 = [:] }\n    opened.withLock { $0 = [:] }", "verified.withLock { $0 = [:] }",
           unit="RootRotationTests/anOldRowOfAKEKIsNotBelievedOnceReadersAreGone"),
    Mutant("keys of a transaction that came to nothing seal on", "Service/Vault.swift",
           "if let kept, kept.keys.kekID == row.kekID {", "if let kept, kept.keys.version == row.version {",
           unit="UndoneBatchTests/whatIsSealedAgainIsUnderTheKeyThatIsStored"),
    Mutant("a body that failed is not undone", "Store/SQLiteWriter.swift",
           "if attempt.failed, connection.allChangedRows != changed { return nil }", "if attempt.failed, connection.allChangedRows < changed { return nil }",
           unit="ScopedStoreConformance/aBatchSeesItsOwnTenantAndKeys"),
    Mutant("heads that were not taken are not sent again", "cofferd/HeadTeller.swift",
           "wait = min(period, Self.retry)", "sent = logged",
           module="test_audit_heads.AuditHeadTests.test_a_webhook_that_fails_gets_them_again"),
    Mutant("If-Match is not looked at", "Service/Scoped/SecretViews.swift",
           "|| ifMatch?.matches(bytes) == false {", "{", module="test_scoped.ConditionTests.test_create_or_replace"),
    Mutant("an admin whose role was left out is an owner", "AdminAPI/AdminBody.swift",
           "guard let role = value?.string.flatMap({ OperatorRole", 'guard let role = (value ?? "owner").string.flatMap({ OperatorRole',
           unit="AdminAPITests/anAdminHasARole"),
    Mutant("one of two ends is taken", "AdminAPI/StructureBody.swift",
           'object["expiresAt"] == nil || object["expiresIn"] == nil else', 'object["expiresAt"] == nil || !object.members.isEmpty else',
           unit="AdminStructureTests/whatEndsEndsOnceAndLater"),
    Mutant("a membership may end before it is made", "AdminAPI/StructureRoutes.swift",
           'pointer: "", after: desk.service.now())', 'pointer: "", after: .min)', unit="AdminStructureTests/whatEndsEndsOnceAndLater"),
    Mutant("a declaration leaves the description as it was", "coffer/Operator/DeclaredStructure.swift",
           'row["description"]?.string?.text != description {', 'row["description"] == nil, !description.isEmpty {',
           module="test_operator_commands.OperatorCommandTests.test_a_declared_structure"),
    Mutant("a declaration leaves the end of a membership as it was", "coffer/Operator/DeclaredStructure.swift",
           "if found.memberships[agent.name]?.contains(plan) == true { continue }",
           "if found.memberships[agent.name]?.contains(where: { $0.scope == plan.scope && $0.role == plan.role }) == true { continue }",
           module="test_operator_commands.OperatorCommandTests.test_a_declared_structure"),
    Mutant("quotas of a declaration are judged as it is made", "coffer/Operator/DeclaredStructure.swift",
           "guard new == 0 || count + new <= limit else", "guard new == 0 || count + new <= limit || count >= 0 else",
           module="test_operator_commands.OperatorCommandTests.test_quotas_are_judged_before_anything_is_made"),
    Mutant("a declaration is judged behind the store's making", "coffer/Init.swift",
           "      try declaration.map(DeclaredStructure.judgeAlone)\n", "",
           module="test_init.InitTests.test_a_file_that_cannot_be_met_makes_no_store"),
]  # fmt: skip


class Copy:
    """The sources in a folder of their own, with what the end-to-end tests read."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="coffer-mutants-"))
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, listed):
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def run(self, *words, **options):
        """None when it went well, else the end of what it said."""
        try:
            done = subprocess.run(
                words, cwd=options.pop("cwd", self.root), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", timeout=PATIENCE, check=False, **options)  # fmt: skip
        except subprocess.TimeoutExpired:
            return "it did not end"
        return None if done.returncode == 0 else done.stdout[-4000:]

    def build(self, mutant):
        if mutant.unit:
            return self.run("swift", "build", "--build-tests")
        return self.run("swift", "build")

    def test(self, mutant):
        if mutant.unit:
            # A filter that names no test would be green whatever is planted.
            script = 'swift test --skip-build --filter "$0" 2>&1 | tee /dev/stderr | grep -Eq "Test run with [1-9][0-9]* tests? in .* passed"'
            return self.run("bash", "-c", script, mutant.unit)
        environment = {**os.environ, "COFFER_BIN": str(self.root / ".build" / "debug")}
        return self.run(sys.executable, "-m", "unittest", mutant.module, cwd=self.root / "Tests" / "EndToEnd", env=environment)

    def plant(self, mutant):
        """The file and its text from before; None when the place is not there exactly once."""
        path = self.root / "Sources" / mutant.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            return None
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        return path, text


def try_out(copy, mutant):
    """"caught", or what went wrong."""
    planted = copy.plant(mutant)
    if planted is None:
        return "its place is gone"
    path, text = planted
    try:
        if (said := copy.build(mutant)) is not None:
            return "does not build: " + said[-600:]
        return "survived" if copy.test(mutant) is None else "caught"
    finally:
        path.write_text(text, encoding="utf-8")


def green(copy, mutants):
    """Whether every test that is asked for passes without a mutant."""
    for kind in ("unit", "module"):
        some = [mutant for mutant in mutants if getattr(mutant, kind)]
        if some and (said := copy.build(some[0])) is not None:
            print("the sources do not build:\n" + said)
            return False
        for mutant in some:
            if (said := copy.test(mutant)) is not None:
                print("red without a mutant: %s\n%s" % (mutant.unit or mutant.module, said))
                return False
    return True


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", metavar="WORDS", help="mutants whose name or file holds one of these, between commas")
    options.add_argument("--list", action="store_true")
    options = options.parse_args()
    mutants = [mutant for mutant in TABLE if any(word in mutant.name + mutant.file for word in options.only.split(","))]
    if options.list:
        for mutant in mutants:
            print("%-75s %s" % (mutant.name, mutant.unit or mutant.module))
        return
    copy, passed = Copy(), 0
    try:
        if not green(copy, mutants):
            sys.exit(1)
        for mutant in mutants:
            begun = time.monotonic()
            verdict = try_out(copy, mutant)
            passed += verdict == "caught"
            print("%-9s %-75s %s (%.0f s)" % (verdict.split(":")[0], mutant.name, mutant.unit or mutant.module, time.monotonic() - begun))
            if verdict.startswith("does not build"):
                print(verdict)
            sys.stdout.flush()
    finally:
        shutil.rmtree(copy.root, ignore_errors=True)
    print("%d passed, %d failed" % (passed, len(mutants) - passed))
    sys.exit(0 if passed == len(mutants) > 0 else 1)


if __name__ == "__main__":
    main()
