import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diskFull, isDiskFull, orDiskFull } from '../../../src/base/disk-space.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { GitExit, ranOutOfRoom } from '../../../src/datasets/git/git-program.ts'

test('git says in several ways that the disk is full, and only our own disk counts', () => {
  for (const said of [
    'error: unable to write file x: No space left on device\nfatal: failed',
    'fatal: write error: Disk quota exceeded\n',
    "fatal: sha1 file '<stdout>' write error. Out of diskspace",
  ]) {
    assert.equal(ranOutOfRoom(said), true, said)
    assert.equal(new GitExit('index-pack', 128, said).code, 'DISK_FULL')
  }
  for (const said of [
    '',
    'fatal: bad object',
    'remote: fatal: write error: No space left on device\nfatal: the remote end hung up',
    'error: remote unpack failed: No space left on device',
  ]) {
    assert.equal(ranOutOfRoom(said), false, said)
    assert.equal(new GitExit('push', 1, said).code, 'GIT_FAILED')
  }
})

test('a full disk is known under whatever it was wrapped in, and nothing else is taken for one', () => {
  const system = (code: string) => Object.assign(new Error(`${code}: write`), { code })
  const wrapped = new Error('outer', {
    cause: new NodeError('GIT_FAILED', 'inner', {}, { cause: system('ENOSPC') }),
  })
  assert.deepEqual([system('ENOSPC'), system('EDQUOT'), wrapped, diskFull('/d')].map(isDiskFull), [
    true,
    true,
    true,
    true,
  ])
  assert.deepEqual(
    [system('EACCES'), new NodeError('QUOTA_EXCEEDED', 'q'), 'ENOSPC', undefined].map(isDiskFull),
    [false, false, false, false],
  )
  const told = orDiskFull(wrapped, '/data') as NodeError
  assert.deepEqual([told.code, told.cause], ['DISK_FULL', wrapped])
  assert.match(told.message, /\/data.*maoctl dataset remove-local/)
  const loop = new Error('loop')
  loop.cause = loop
  assert.equal(isDiskFull(loop), false)
})
