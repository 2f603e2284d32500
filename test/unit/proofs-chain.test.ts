import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { checkBundle } from '../../src/consensus/proofs/bundle-check.ts'
import { decodeCommit } from '../../src/datasets/git/git-objects.ts'
import { bytesOf, makeProofVectors, PROOF_VECTORS, readProofVectors } from '../support/proof-vectors.ts'

interface Standalone {
  readonly held: readonly unknown[]
  readonly failure?: { readonly height: number; readonly clause: string; readonly reason: string }
}
type Verify = (bundle: unknown, options: { federation: string; id?: string | undefined }) => Standalone
const script = new URL('../../examples/verify-truth/verify-truth.mjs', import.meta.url).href
const { verifyBundle } = (await import(script)) as { verifyBundle: Verify }
const vectors = await readProofVectors()

test('the vectors are what their stories make', async () => {
  assert.deepEqual(vectors, await makeProofVectors())
})

test('a verifier in another language, written from the document, says the same of all of them', async () => {
  const script = join(import.meta.dirname, '../../examples/verify-truth/verify_truth.py')
  const { stdout } = await promisify(execFile)('python3', [script, '--vectors', PROOF_VECTORS])
  const verdicts = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ name, held, clause, height }) => ({ name, held, clause, height }))
  const expected = vectors.cases.map(({ name, held, clause, height }) => ({ name, held, clause, height }))
  assert.deepEqual(verdicts, expected)
})

for (const { name, federation, id, truth, held, clause, height, ...places } of vectors.cases) {
  test(`node and stand-alone verifier say the same of: ${name}`, async () => {
    const [files, commits] = [bytesOf(vectors, places.files), bytesOf(vectors, places.commits)]
    const read = new Map([...commits].map(([oid, bytes]) => [oid, decodeCommit(oid, bytes)]))
    const found = await checkBundle({ files, commits: read, truth: truth ?? undefined }, federation, id)
    const alone = verifyBundle({ files, commits, truth: truth ?? undefined }, { federation, id })
    for (const { held: links, failure } of [found, alone]) {
      assert.deepEqual(
        [links.length, failure?.clause, failure?.height],
        [held, clause, height],
        failure?.reason,
      )
      if (failure !== undefined) assert.match(failure.reason, /^\S.{10,}/, 'no reason is given')
    }
  })
}
