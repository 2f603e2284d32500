import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPerson } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('an import that is interrupted leaves nothing, here or at the node', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const server = createServer((_, response) => {
    // More than is looked at to tell what it is, and no end.
    response.write(Buffer.alloc(400_000, 'x'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const temporary = await temporaryDirectory(t)
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/endless.csv`
  const words = [main, '--data', alice.data, 'dataset', 'import', url, '--name', 'endless']
  const child = spawn(process.execPath, words, {
    env: { ...process.env, TMPDIR: temporary },
    stdio: 'ignore',
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  const hasBegun = async () => {
    const [directory] = await readdir(temporary)
    return directory !== undefined && (await readdir(join(temporary, directory))).includes('download')
  }
  await eventually(hasBegun, 'the download never began')
  child.kill('SIGINT')
  assert.deepEqual(await ended, [130, null])
  assert.deepEqual(await readdir(temporary), [])
  assert.deepEqual(await alice.told('dataset', 'list'), [])
})
