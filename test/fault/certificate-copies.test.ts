import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { ProofWorld } from '../support/proof-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const TIMEOUT_MS = 60_000
const example = (name: string) => join(import.meta.dirname, '../../examples/verify-truth', name)

interface Copy {
  readonly world: ProofWorld
  readonly path: string
  readonly id: string
  readonly git: (words: readonly string[], input?: Uint8Array | string) => string
}

/** A bare repository with two truths, as git has it on disk. */
async function copyOf(t: TestContext): Promise<Copy> {
  const world = await ProofWorld.of(['alice', 'bob'])
  await world.word({ at: 2, by: 'alice', about: 'bob' })
  await world.dataset(3, 'alice')
  for (const at of [10, 20]) await world.certify({ at, electorate: ['alice', 'bob'] })
  const [path, files] = [join(await temporaryDirectory(t), 'copy'), await temporaryDirectory(t)]
  execFileSync('git', ['init', '--quiet', '--bare', path])
  const git = (words: readonly string[], input: Uint8Array | string = '') => {
    const who = ['-c', 'user.name=reader', '-c', 'user.email=reader@lab.invalid']
    return execFileSync('git', ['-C', path, ...who, ...words], { input })
      .toString()
      .trim()
  }
  git(['hash-object', '-w', '-t', 'tree', '--stdin'])
  for (const [oid, bytes] of world.commits)
    assert.equal(git(['hash-object', '-w', '-t', 'commit', '--stdin'], bytes), oid)
  for (const [name, bytes] of world.files) {
    await mkdir(dirname(join(files, name)), { recursive: true })
    await writeFile(join(files, name), bytes)
  }
  git([`--work-tree=${files}`, 'add', '--all', files])
  const proofs = git(['commit-tree', git(['write-tree']), '-m', 'certificates'])
  git(['update-ref', 'refs/heads/certificates', proofs])
  git(['update-ref', 'refs/heads/ground-truth', world.truth as string])
  return { world, path, git, id: datasetId(world.peer('alice'), 'data', 'ab'.repeat(16)) }
}

/** Both verifiers on one copy. @returns what the first says. */
async function verdicts({ path, world }: Copy, id?: string): Promise<string> {
  const said = async (command: string, words: readonly string[]) =>
    new Promise<string>((resolve, reject) =>
      execFile(command, [...words], { timeout: TIMEOUT_MS }, (error, stdout) =>
        error === null || error.code === 1 ? resolve(stdout) : reject(error),
      ),
    )
  const named = id === undefined ? [] : ['--dataset-id', id]
  const words = [example('verify-truth.mjs'), path, '--federation', world.federation, ...named]
  const first = await said(process.execPath, words)
  const more = id === undefined ? [] : [id]
  const second = await said('python3', [example('verify_truth.py'), path, world.federation, ...more])
  const verdict = (text: string) => /^OK|\[\w\d\]/m.exec(text)?.[0]
  assert.equal(verdict(second), verdict(first), second)
  return first
}

test('a copy that shows its reader another truth under the name that was checked is found out', async (t) => {
  const copy = await copyOf(t)
  const older = [...copy.world.commits.keys()][1] as string
  assert.match(await verdicts(copy), /^OK /m)
  copy.git(['update-ref', 'refs/tags/ground-truth', older])
  assert.match(
    await verdicts(copy),
    /NOT HELD at height 2 \[T1\]: refs\/heads\/ground-truth is at .* another/,
  )
  copy.git(['update-ref', '-d', 'refs/tags/ground-truth'])
  // The true branches lie where a clone has them, and the lie is what a reader checks out.
  for (const name of ['certificates', 'ground-truth'])
    copy.git(['update-ref', `refs/remotes/origin/${name}`, copy.git(['rev-parse', `refs/heads/${name}`])])
  assert.match(await verdicts(copy), /^OK /m)
  copy.git(['update-ref', 'refs/heads/ground-truth', older])
  assert.match(await verdicts(copy), /NOT HELD at height 2 \[T1\]/)
})

test('a copy whose missing objects are promised shows nothing of its files', async (t) => {
  const copy = await copyOf(t)
  copy.git(['config', 'remote.origin.promisor', 'true'])
  assert.match(await verdicts(copy), /NOT HELD at height 2 \[T4\]/)
  copy.git(['config', '--unset', 'remote.origin.promisor'])
  const pack = join(copy.path, 'objects/pack', `pack-${'a'.repeat(40)}.promisor`)
  await writeFile(pack, '')
  assert.match(await verdicts(copy), /NOT HELD at height 2 \[T4\]/)
})

test('who knows the id of the dataset is told of another, and who does not learns whose it is', async (t) => {
  const copy = await copyOf(t)
  assert.match(await verdicts(copy), new RegExp(`This is ${copy.id}, founded by ${copy.world.peer('alice')}`))
  assert.doesNotMatch(await verdicts(copy, copy.id), /several datasets/)
  assert.match(await verdicts(copy, 'f'.repeat(32)), /NOT HELD at height 1 \[R9\]/)
})
