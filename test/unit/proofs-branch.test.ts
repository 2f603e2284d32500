import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certificatePath, placeAt, recordPath } from '../../src/consensus/proofs/layout.ts'
import { ownerOfBranch } from '../../src/datasets/branches.ts'
import { CERTIFICATES_BRANCH } from '../../src/datasets/git/git-directory.ts'
import { foreignBranches, nextHead } from '../../src/datasets/heads.ts'
import { refusalOf } from '../../src/datasets/push/push-commands.ts'

const commit = 'a'.repeat(40)

test('the branch of certificates is nobody’s: no step, no head and no push can name it', () => {
  // The nearest that a member’s name can come to it.
  const members = ['alice', 'certificates', 'ificates', 's']
  assert.equal(ownerOfBranch(CERTIFICATES_BRANCH, members), undefined)
  const head = nextHead(undefined, 'data', 0, {
    branches: { [CERTIFICATES_BRANCH]: commit, 'x-alice': commit },
  })
  assert.deepEqual(foreignBranches(head, 'alice', members), [CERTIFICATES_BRANCH])
  for (const self of members) {
    const place = { self, members, held: new Map([[CERTIFICATES_BRANCH, commit]]) }
    const push = { ref: `refs/heads/${CERTIFICATES_BRANCH}`, from: commit, to: 'b'.repeat(40) }
    assert.match(refusalOf(push, place) ?? '', /moves with the ground truth alone/)
  }
})

test('what stands in the branch has one place, and what is elsewhere has none', () => {
  for (const height of [1, 99, 100, 100_000]) {
    assert.deepEqual(placeAt(certificatePath(height)), { kind: 'certificate', height })
  }
  const hash = 'ab'.repeat(32)
  assert.deepEqual(placeAt(recordPath(hash)), { kind: 'record', hash })
  const elsewhere = [
    'certificates/1/1.json',
    'certificates/0/01.json',
    'certificates/0/0.json',
    'certificates/1000/100001.json',
  ]
  for (const path of [...elsewhere, `roll/aa/${hash}`, 'Genesis', 'README.md'])
    assert.equal(placeAt(path), undefined, path)
})
