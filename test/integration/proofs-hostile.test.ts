import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { recordPath } from '../../src/consensus/proofs/layout.ts'
import type { Repository } from '../../src/datasets/git/repository.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { type ConsensusNode, startVoters } from '../support/consensus-node.ts'
import { directoryOf, forgeHead, meet, noise } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { ProofWorld } from '../support/proof-world.ts'
import { agree, certificatesOf, sameCertificates, startProofs } from '../support/proofs-node.ts'
import { sealRecord } from '../support/records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const WAIT_MS = 60_000

type Files = ReadonlyMap<string, Uint8Array>

/** A commit of these files, as a member makes it that keeps no rules. */
async function commitOf(t: TestContext, repository: Repository, files: Files): Promise<string> {
  const directory = await temporaryDirectory(t)
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  const tree = await repository.writeTreeFromDirectory(directory)
  const author = { name: 'mallory', email: 'mallory@lab.invalid' }
  return repository.writeCommit({ tree, parents: [], message: 'mine\n', author, timeMs: Date.now() })
}

async function filesOf(repository: Repository, commit: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const { path, oid } of await repository.listFiles(commit))
    files.set(path, await repository.readBlob(oid))
  return files
}

test('whatever a member says that its certificates are, nothing false gets into those of the others', async (t) => {
  const nodes = (await startVoters(t, ['bob', 'mallory'])) as [ConsensusNode, ConsensusNode, ConsensusNode]
  const [alice, bob, mallory] = nodes
  await meet(bob, mallory)
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  for (const node of nodes)
    await eventually(() => node.datasets.list().length === 1, 'the dataset was not heard of', WAIT_MS)
  // Mallory votes as it should, and keeps no branch of its own but what it makes up.
  let nowMs = Date.now()
  let refused = 0
  const warn = (_: unknown, said: string) => {
    if (/do not hold/.test(said)) refused += 1
  }
  const more = { clock: { ...systemClock, now: () => nowMs }, log: { ...silentLogger, warn } as Logger }
  const proofs = await Promise.all([alice, bob].map((node) => startProofs(t, node, more)))
  for (let height = 1; height <= 2; height += 1) await agree(t, nodes, height)
  const right = await sameCertificates([alice, bob], 2)
  const repository = await mallory.datasets.repository('data')
  await mallory.datasets.ensureCommit('data', right)
  const files = await filesOf(repository, right)
  const other = await ProofWorld.of(['mallory'])
  await other.certify({ at: 10, electorate: ['mallory'] })
  const [word] = [...files].filter(([path]) => path.startsWith('roll/')).map(([, bytes]) => bytes) as [
    Uint8Array,
  ]
  const value = encodeJson({ name: 'mallory', role: 'operator', since: 1 })
  const { peerId } = mallory.identity
  const { federation } = alice.genesis
  const self = await sealRecord(mallory.identity, {
    federation,
    key: `/members/${peerId}`,
    value,
    version: 9,
  })
  const [first, second] = ['certificates/0/1.json', 'certificates/0/2.json'] as const
  // The dataset's id without the seed that proves it, as if nobody else voted.
  const founded = alice.registry.get('/dataset/data')?.value as Uint8Array
  const { id } = JSON.parse(Buffer.from(founded).toString()) as { id: string }
  const said = { id, description: '', policy: 'shared', createdBy: 'mallory' }
  const access = { read: 'members', vote: 'granted', voteSince: 0 }
  const claims = await Promise.all(
    Array.from({ length: 70 }, (_, at) =>
      sealRecord(mallory.identity, {
        ...{ federation, key: '/dataset/data', version: at + 1 },
        value: encodeJson({ ...said, access }),
      }),
    ),
  )
  const changed = (path: string, change: (text: string) => string) =>
    new Map(files).set(path, Buffer.from(change(Buffer.from(files.get(path) as Uint8Array).toString())))
  const hostile: [what: string, files: Files][] = [
    [
      'nothing but noise',
      new Map([
        ['genesis', noise(2_000)],
        [second, noise(2_000)],
      ]),
    ],
    ['another federation', other.files],
    [
      'signatures that do not hold',
      changed(first, (text) => text.replace(/"view":\d+/, '"view":1999999999999')),
    ],
    ['a file larger than a record', new Map(files).set(first, noise(70_000))],
    ['a record in the place of another', new Map([...files, [`roll/aa/${'a'.repeat(64)}`, word]])],
  ]
  /** What does not fit is left, without a word. */
  const strange: [what: string, files: Files][] = [
    [
      'certificates of another federation under this genesis',
      new Map([...files, [first, other.files.get(first) as Uint8Array]]),
    ],
    ['a certificate in the place of another', new Map(files).set(first, files.get(second) as Uint8Array)],
    ['a word of its own about itself', new Map([...files, [recordPath(self.hash), self.envelope]])],
    [
      'records that say without a proof that nobody else votes',
      new Map([...files, ...claims.map(({ hash, envelope }) => [recordPath(hash), envelope] as const)]),
    ],
    ['noise in the roll', new Map([...files, [`roll/aa/${'a'.repeat(64)}`, noise(500)]])],
  ]
  const shown = async () => Promise.all([alice, bob].map((node) => certificatesOf(node)))
  const announce = async (what: string, forged: Files) => {
    const certificates = await commitOf(t, repository, forged)
    await forgeHead(mallory, 'data', { certificates })
    const isHeard = (node: ConsensusNode) =>
      node.datasets.certificates.announced('data').some(({ commit }) => commit === certificates)
    await eventually(() => [alice, bob].every(isHeard), `${what} was not announced`, WAIT_MS)
  }
  for (const [what, forged] of hostile) {
    refused = 0
    // It is not asked again for long.
    nowMs += 24 * 3_600_000
    await announce(what, forged)
    await eventually(() => refused >= 2, `${what} was not refused`, WAIT_MS)
    assert.deepEqual(await shown(), [right, right], what)
  }
  nowMs += 24 * 3_600_000
  for (const [what, forged] of strange) await announce(what, forged)
  // A commit that nobody has, and a branch that is none of its to move.
  await forgeHead(mallory, 'data', { certificates: 'e'.repeat(40), branches: { certificates: right } })
  for (const one of proofs) assert.equal((await one.verify('data')).ok, true)
  assert.deepEqual(await shown(), [right, right])
  // The next truth is written as ever.
  await agree(t, nodes, 3)
  const next = await sameCertificates([alice, bob], 3)
  assert.notEqual(next, right)
  assert.deepEqual((await proofs[1]?.verify('data'))?.chain?.checked, 3)
  const kept = await filesOf(await alice.datasets.repository('data'), next)
  assert.equal(kept.has(recordPath(self.hash)), false)
})
