import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { rotateKey } from '../../src/key-rotation.ts'
import { Node } from '../../src/node.ts'
import { startTestApi } from '../support/api.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { git } from '../support/stock-git.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { verifyTruth, verifyTruthInPython } from '../support/verify-truth.ts'

const WAIT_MS = 60_000

/** All of them find the same, and hold it as the truth of that height in the end. */
async function agree(t: TestContext, nodes: readonly Node[], height: number): Promise<string> {
  const [first] = nodes as [Node]
  for (const { federation } of nodes) {
    const directory = await directoryOf(t, { 'found.csv': `${height}\n` })
    await federation.datasets.commitDirectory({
      dataset: 'data',
      step: 'collect',
      directory,
      message: 'found\n',
    })
  }
  await first.federation.consensus.open('data', 'collect', { windowMs: 30_000 })
  const isHeld = async ({ federation }: Node) => {
    const truth = await federation.consensus.truth('data')
    return truth.height === height && truth.adopted
  }
  for (const node of nodes)
    await eventually(() => isHeld(node), `${node.name} lacks truth ${height}`, WAIT_MS)
  return (await first.federation.consensus.truth('data')).commit as string
}

const knows = (node: Node, members: readonly string[]) => {
  const isSo = () =>
    node.federation.members
      .list()
      .map(({ peer }) => peer)
      .sort()
      .join() === [...members].sort().join()
  return eventually(isSo, `${node.name} does not know who is a member`, WAIT_MS)
}

test('a member goes, another changes its key, a newcomer comes: whoever clones it checks all truths with no node left', async (t) => {
  const { node: alice, api, url, token, ask } = await startTestApi(t, 'alice')
  const [bob, carol, dave, erin] = await Promise.all(
    ['bob', 'carol', 'dave', 'erin'].map((name) => startTestNode(t, name)),
  )
  assert.ok(bob && carol && dave && erin)
  await alice.createFederation({ name: 'lab' })
  for (const node of [bob, carol, dave]) await node.join((await alice.invite()).token)
  const all = [alice, bob, carol, dave]
  for (const node of all)
    await knows(
      node,
      all.map(({ peerId }) => peerId),
    )
  await alice.federation.datasets.importDirectory(
    'data',
    await directoryOf(t, { 'README.md': 'about this\n' }),
  )
  for (const { federation } of all)
    await eventually(() => federation.datasets.find('data') !== undefined, 'data was not heard of', WAIT_MS)
  await agree(t, all, 1)
  await agree(t, all, 2)

  await alice.federation.members.remove(carol.peerId, 'gone')
  await knows(
    bob,
    [alice, bob, dave].map(({ peerId }) => peerId),
  )
  await knows(
    dave,
    [alice, bob, dave].map(({ peerId }) => peerId),
  )
  const third = await agree(t, [alice, bob, dave], 3)

  const { config, peerId: old } = dave
  await dave.stop()
  await rotateKey(config.dataDirectory)
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  assert.notEqual(again.peerId, old)
  for (const node of [alice, bob, again])
    await knows(
      node,
      [alice, bob, again].map(({ peerId }) => peerId),
    )
  const last = await agree(t, [alice, bob, again], 4)

  // Who was not there has it all, and says so.
  await erin.join((await alice.invite()).token)
  const whole = async () => {
    const found = await erin.federation.proofs.verify('data').catch(() => undefined)
    return found?.chain?.checked === 4 && found.ok
  }
  await eventually(whole, 'the newcomer has no whole chain', WAIT_MS)
  const { chain } = JSON.parse((await ask('GET', '/api/v1/datasets/data/truth/verification')).body)
  assert.deepEqual([chain.ok, chain.checked, chain.recomputed], [true, 4, 4])
  assert.deepEqual(
    chain.links.map(({ confirmedBy, voters }: { confirmedBy: unknown[]; voters: number }) => [
      confirmedBy.length >= 3,
      voters,
    ]),
    [4, 4, 3, 3].map((voters) => [true, voters]),
  )

  const clone = join(await temporaryDirectory(t), 'data')
  await git(['clone', '--quiet', `${url.replace('http://', `http://x:${token}@`)}/git/data.git`, clone])
  const bare = join(erin.config.dataDirectory, 'datasets', 'data.git')
  const { federation } = alice.federation.genesis
  const { peerId: next } = again
  await api.stop()
  for (const node of [alice, bob, carol, again, erin]) await node.stop()

  for (const copy of [clone, bare]) {
    const { exit, said } = await verifyTruth(copy, '--federation', federation, '--expect', last)
    assert.equal(exit, 0, said)
    assert.match(said, new RegExp(`^4 {2}${last} {2}data/collect/\\d+ {2}3 of 3: .*${next}`, 'm'))
    assert.match(said, new RegExp(`^OK {2}the ground truth of data is ${last}, in ${federation}$`, 'm'))
  }
  const python = await verifyTruthInPython(clone, federation)
  assert.match(python.said, /^4 [0-9a-f]{40} data\/collect\/\d+ 3 of 3\nOK$/m)
  assert.equal(python.exit, 0)
  const trusting = await verifyTruth(clone)
  assert.equal(trusting.exit, 0)
  assert.match(trusting.said, /genesis was taken from the repository itself/)
  await tampered(t, clone, { federation, third })
})

/** What somebody may do to a copy that is handed on, and the rule by which it is found out. */
async function tampered(
  t: TestContext,
  clone: string,
  { federation, third }: { federation: string; third: string },
): Promise<void> {
  const refused = async (rule: string, how: (copy: string) => Promise<unknown>, ...words: string[]) => {
    const copy = join(await temporaryDirectory(t), 'copy')
    await cp(clone, copy, { recursive: true })
    await how(copy)
    const { exit, said } = await verifyTruth(copy, '--federation', federation, ...words)
    assert.equal(exit, 1, said)
    assert.match(said, new RegExp(`\\[${rule}\\]`), said)
  }
  const run = (copy: string, ...words: string[]) => git(['-C', copy, ...words])
  const nothing = async () => undefined
  const elsewhere = federation.replace(/.$/, (letter) => (letter === 'a' ? 'b' : 'a'))
  await refused('G1', nothing, '--federation', elsewhere)
  await refused('T1', nothing, '--expect', '0'.repeat(40))
  await refused('T1', (copy) => run(copy, 'update-ref', 'refs/remotes/origin/ground-truth', third))
  await refused('B1', (copy) => run(copy, 'update-ref', '-d', 'refs/remotes/origin/certificates'))
  /** Puts another branch of certificates there, with files that are changed. */
  const rewritten = async (copy: string, change: () => Promise<unknown>) => {
    await run(copy, 'checkout', '--quiet', '--detach', 'origin/certificates')
    await change()
    await run(copy, 'add', '--all')
    await run(copy, 'commit', '--quiet', '-m', 'mine')
    await run(copy, 'update-ref', 'refs/remotes/origin/certificates', 'HEAD')
  }
  await refused('L1', (copy) => rewritten(copy, () => run(copy, 'rm', '--quiet', 'certificates/0/2.json')))
  await refused('C8', (copy) =>
    rewritten(copy, async () => {
      const path = join(copy, 'certificates/0/2.json')
      const text = (await readFile(path, 'utf8')).replace(
        /"commit":"[0-9a-f]{40}"/,
        `"commit":"${'d'.repeat(40)}"`,
      )
      await writeFile(path, text)
    }),
  )
  await refused('L2', (copy) => rewritten(copy, () => run(copy, 'rm', '-r', '--quiet', 'roll')))
  // A file of the truth itself, where git keeps it: nothing but its name says what it should be.
  await refused('T4', async (copy) => {
    const file = await run(copy, 'rev-parse', 'origin/ground-truth:found.csv')
    const other = await run(copy, 'rev-parse', 'origin/ground-truth:README.md')
    const at = (oid: string) => join(copy, '.git/objects', oid.slice(0, 2), oid.slice(2))
    const pack = join(copy, '.git/objects/pack')
    const [name] = (await readdir(pack)).filter((one) => one.endsWith('.pack')) as [string]
    const packed = await readFile(join(pack, name))
    for (const one of await readdir(pack)) await rm(join(pack, one), { force: true })
    await feed(copy, packed)
    await writeFile(at(file), await readFile(at(other)))
  })
}

/** Lays the objects of a pack out one by one. */
function feed(copy: string, pack: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile('git', ['-C', copy, 'unpack-objects', '-q'], (error) =>
      error ? reject(error) : resolve(),
    )
    child.stdin?.end(pack)
  })
}
