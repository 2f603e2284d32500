import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConfigInput } from '../../src/config.ts'
import { isUnspecified } from '../../src/etcd/exposure.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('settings that no etcd surface could be opened with are told before the node is in any federation', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'no-certificate.pem')
  await writeFile(file, 'not what it should be')
  const missing = join(directory, 'missing.pem')
  const wrong: [settings: NonNullable<ConfigInput['etcd']>, says: RegExp][] = [
    [{ host: '0.0.0.0' }, /TLS only/],
    [{ host: '192.0.2.1' }, /etcd\.certFile/],
    [{ certFile: file }, /go together/],
    [{ certFile: missing, keyFile: missing }, /cannot be used.*missing\.pem/],
    [{ certFile: file, keyFile: file }, /cannot be used/],
  ]
  for (const [settings, message] of wrong) {
    for (const serve of ['auto', 'always'] as const) {
      const config = { etcd: { port: 0, ...settings, serve } }
      await assert.rejects(startTestNode(t, 'alice', { config }), { code: 'INVALID_CONFIG', message })
    }
    // Whoever does not serve etcd's clients needs nothing for it.
    const node = await startTestNode(t, 'alice', { config: { etcd: { ...settings, serve: 'never' } } })
    await node.stop()
  }
})

test('an address that stands for every one is known in all its spellings', () => {
  for (const host of ['0.0.0.0', '::', '0::0', '0:0:0:0:0:0:0:0', '::0.0.0.0']) {
    assert(isUnspecified(host), host)
  }
  for (const host of ['127.0.0.1', '::1', '10.0.0.0', 'localhost', '...']) assert(!isUnspecified(host), host)
})
