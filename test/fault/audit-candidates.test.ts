import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { auditFetchGraceMs, auditsPerOpenerMax } from '../../src/base/limits-audit.ts'
import type { AuditHead } from '../../src/consensus/audit/audit-records.ts'
import { valueHash } from '../../src/consensus/records.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import {
  AUDIT_WAIT_MS,
  type AuditNode,
  ended,
  MovableClock,
  partsIn,
  result,
  startAuditors,
} from '../support/audit-node.ts'
import { forgeHead } from '../support/dataset-node.ts'
import { plainGit } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'

const run = promisify(execFile)
const FOUND = { 'packages.csv': 'a,1\nb,2\n' }
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** Answers as a member would that says what it likes. */
async function answerWith(node: AuditNode, id: string, head: AuditHead | null): Promise<void> {
  const opening = () => node.registry.get(`/audit/${id}`)
  await eventually(() => opening() !== undefined, 'the audit was not heard of', AUDIT_WAIT_MS)
  const hash = valueHash(opening()?.value ?? new Uint8Array())
  const key = `/audit/${id}/${node.identity.peerId}`
  await node.registry.put(key, encodeJson({ opening: hash, head }), { expiresMs: Date.now() + HOUR_MS })
}

/** A commit on the node's branch whose tree holds a file that would land in git's own directory. */
async function hostileCommit(node: AuditNode): Promise<{ commit: string; tree: string }> {
  const { path } = await node.datasets.repository('data')
  const git = (...words: string[]) => plainGit(['-C', path, ...words])
  const raw = (type: string, bytes: Buffer) => {
    const writing = run('git', ['-C', path, 'hash-object', '-t', type, '--literally', '-w', '--stdin'])
    writing.child.stdin?.end(bytes)
    return writing.then(({ stdout }) => stdout.trim())
  }
  const blob = await raw('blob', Buffer.from('#!/bin/sh\n'))
  const tree = await raw('tree', Buffer.concat([Buffer.from('100644 .git\0'), Buffer.from(blob, 'hex')]))
  const commit = await git('commit-tree', '-m', 'collect', tree)
  await git('update-ref', 'refs/heads/collect-carol', commit)
  return { commit, tree }
}

test('a hostile tree, another tree than was named, and a commit that is nowhere are left out; the others are compared', async (t) => {
  const clock = new MovableClock()
  const nodes = await startAuditors(t, ['bob', 'carol', 'dave', 'erin', 'frank'], { clock })
  const [alice, bob, carol, dave, erin, frank] = nodes as [
    AuditNode,
    AuditNode,
    AuditNode,
    AuditNode,
    AuditNode,
    AuditNode,
  ]
  for (const node of [alice, bob]) await result(t, node, FOUND)
  const honest = await result(t, dave, { 'other.csv': 'c,3\n' })
  for (const node of [carol, dave, erin, frank]) await node.audits.stop()
  const hostile = await hostileCommit(carol)
  const { branches } = await forgeHead(carol, 'data', { branches: { 'collect-carol': hostile.commit } })
  assert.equal(branches['collect-carol'], hostile.commit)

  const { id } = await alice.audits.open('data')
  await answerWith(carol, id, { branch: 'collect-carol', ...hostile })
  await answerWith(dave, id, { branch: 'collect-dave', commit: honest, tree: 'd'.repeat(40) })
  await answerWith(erin, id, { branch: 'collect-erin', commit: 'e'.repeat(40), tree: 'e'.repeat(40) })
  // One that changes its mind once it has seen what the others hold.
  await answerWith(frank, id, null)
  await answerWith(frank, id, { branch: 'collect-frank', commit: honest, tree: 'd'.repeat(40) })
  // All but the one that is nowhere.
  const isTried = () => {
    const { state, looked, members } = alice.audits.show(id)
    const missing = members.find(({ name }) => name === 'erin')
    return state === 'comparing' && looked === 4 && missing?.reason !== undefined
  }
  await eventually(isTried, 'not all were looked into', AUDIT_WAIT_MS)
  clock.forward(auditFetchGraceMs)
  const { report } = await ended(alice, id)
  assert.equal(report?.outcome, 'winner')
  assert.deepEqual(
    report?.groups.map(({ peers }) => peers.map(({ name }) => name).sort()),
    [['alice', 'bob']],
  )
  const view = alice.audits.show(id)
  assert.deepEqual(partsIn(view), {
    ...{ alice: 'candidate', bob: 'candidate', carol: 'left-out', dave: 'left-out' },
    ...{ erin: 'unavailable', frank: 'left-out' },
  })
  const reasons = Object.fromEntries(view.members.map(({ name, reason }) => [name, reason ?? '']))
  assert.match(reasons.carol ?? '', /\.git/)
  assert.match(reasons.dave ?? '', /tree/)
  assert.match(reasons.frank ?? '', /more than once/)
  assert.ok((reasons.erin ?? '').length > 0)
})

test('a member that asks for audits without end is answered no more for a while, and takes nobody else’s place', async (t) => {
  const clock = new MovableClock()
  const [alice, bob] = (await startAuditors(t, ['bob'], { clock })) as [AuditNode, AuditNode]
  const { id: dataset } = await alice.datasets.show('data')
  await bob.audits.stop()
  const electorate = [alice.identity.peerId, bob.identity.peerId].sort()
  const answered = () =>
    alice.registry
      .list('/audit/')
      .filter(({ key }) => key.endsWith(`${bob.identity.peerId}/${alice.identity.peerId}`)).length
  const spam = async (count: number, windowMs: number) => {
    for (let made = 0; made < count; made += 1) {
      const openedMs = clock.now()
      const value = { dataset, openedMs, untilMs: openedMs + windowMs, electorate }
      const key = `/audit/data/${openedMs}/${bob.identity.peerId}`
      await bob.registry.put(key, encodeJson(value), { expiresMs: openedMs + 2 * HOUR_MS })
      clock.forward(1)
    }
  }
  await spam(auditsPerOpenerMax, 5 * MINUTE_MS)
  await spam(auditsPerOpenerMax, 10 * MINUTE_MS)
  await eventually(() => answered() >= auditsPerOpenerMax, 'none was answered', AUDIT_WAIT_MS)
  assert.equal(answered(), auditsPerOpenerMax, 'so many at once')
  const { id } = await alice.audits.open('data', { windowMs: 1_000 })
  clock.forward(10_000)
  assert.equal((await ended(alice, id)).report?.outcome, 'nothing')
  // Those that waited are taken up when there is room.
  clock.forward(6 * MINUTE_MS)
  await eventually(() => answered() > auditsPerOpenerMax, 'no further one was answered', AUDIT_WAIT_MS)
})
