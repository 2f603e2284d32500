import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { entriesSchema, entryDetailSchema } from '../../src/api/registry-views.ts'
import { allAlike, allConnected, connectedTo, putTool } from '../support/namespaces/federation.ts'
import { cut } from '../support/namespaces/host.ts'
import type { NodeOnHost } from '../support/namespaces/node-on-host.ts'
import { World } from '../support/namespaces/world.ts'

/** Long enough to be noticed; in the slow tests so long that libp2p's own reconnecting has given up. */
const CUT_MS = Number(process.env.MAO_TEST_CUT_MS ?? 0)
/** Lost packets tell nobody anything: only pings that are not answered do. */
const NOTICED_TIMEOUT_MS = 30_000
/** "Within seconds": one round of looking for members, a dial and a catch-up, on a machine that does other things too. */
const HEALED_TIMEOUT_MS = 15_000
const TOOLS = 10

test('a cut through the network: both sides work on, and are one federation again within seconds', {
  timeout: CUT_MS + 180_000,
}, async (t) => {
  const world = await World.open(t)
  const lan = await world.lan('10.8.0')
  const make = async (name: string) => world.node(name, await world.host(lan))
  const [alice, ann, bob, ben] = await Promise.all([make('alice'), make('ann'), make('bob'), make('ben')])
  const [left, right] = [
    [alice, ann],
    [bob, ben],
  ]
  const all = [...left, ...right]
  await Promise.all(all.map((node) => node.start()))
  await alice.found('lab')
  await alice.admit(ann, bob, ben)
  await allConnected(all)
  await allAlike(all)

  const heal = await cut(
    left.map(({ host }) => host),
    right.map(({ host }) => host),
  )
  const begunMs = performance.now()
  // Said before anybody has noticed: it goes into connections that lead nowhere.
  await Promise.all(all.map((node) => putTool(node, `at-once-${node.name}`)))
  await Promise.all([
    ...left.map((node) => connectedTo(node, left, NOTICED_TIMEOUT_MS)),
    ...right.map((node) => connectedTo(node, right, NOTICED_TIMEOUT_MS)),
  ])
  t.diagnostic(`noticed after ${since(begunMs)} ms`)
  for (let n = 0; n < TOOLS; n += 1) {
    await Promise.all(all.map((node) => putTool(node, `of-${node.name}-${n}`)))
    // Both sides also take the same names.
    await Promise.all([alice, bob].map((node) => putTool(node, `contested-${n}`)))
  }
  await Promise.all([allAlike(left), allAlike(right)])
  await sleep(Math.max(0, CUT_MS - since(begunMs)))
  assert.notEqual(await alice.digest(), await bob.digest())
  assert.deepEqual(
    [await toolsOf(ann, bob), await toolsOf(ben, alice)],
    [0, 0],
    'something came through the cut',
  )

  await heal()
  const healedMs = performance.now()
  await allAlike(all, HEALED_TIMEOUT_MS)
  t.diagnostic(`alike ${since(healedMs)} ms after healing`)
  await allConnected(all, HEALED_TIMEOUT_MS)
  t.diagnostic(`all connected ${since(healedMs)} ms after healing`)
  for (const node of all) {
    for (const author of all) assert.equal(await toolsOf(node, author), TOOLS + 1)
    const { author } = await node.get(`/registry/entry?key=/tools/contested-0`, entryDetailSchema)
    assert.equal(author, alice.peerId, 'the operator’s claim is shown')
  }
})

const since = (beginMs: number) => Math.round(performance.now() - beginMs)

/** How many tools of its own alone the author has, as the node knows it. */
async function toolsOf(node: NodeOnHost, author: NodeOnHost): Promise<number> {
  const prefixes = [`/tools/of-${author.name}-`, `/tools/at-once-${author.name}`]
  const found = prefixes.map((prefix) => node.get(`/registry?prefix=${prefix}`, entriesSchema))
  return (await Promise.all(found)).reduce((sum, { total }) => sum + total, 0)
}
