import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { STATUS, toStatus } from '../../../src/etcd/status.ts'

test('a full disk is told in the words that etcd has for it, another failure of the disk in ours', () => {
  const told = (message: string) => {
    const { code, details } = toStatus(new NodeError('STORE_FAILED', message), silentLogger)
    return [code, details]
  }
  const full =
    'The registry cannot be written: IO error: 000003.log: No space left on device; free some space'
  assert.deepEqual(told(full), [STATUS.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'])
  const broken = 'The registry cannot be written: IO error: 000003.log: Input/output error'
  assert.deepEqual(told(broken), [STATUS.UNAVAILABLE, `mao: ${broken}`])
})
