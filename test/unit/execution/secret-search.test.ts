import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { secretSearchChunkBytes } from '../../../src/base/limits.ts'
import { withDeadline } from '../../../src/base/wait.ts'
import { findSecret } from '../../../src/execution/secrets/secret-search.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const SECRET = 'correct-horse-battery'
const never = new AbortController().signal
const find = (directory: string, value = SECRET) => findSecret(directory, new Map([['TOKEN', value]]), never)

test('a secret is found wherever a chunk ends, and whatever stands before it', async (t) => {
  const directory = await temporaryDirectory(t)
  for (const before of [0, 1, 2, 3, secretSearchChunkBytes - 5, 2 * secretSearchChunkBytes - 1]) {
    const plain = Buffer.concat([Buffer.alloc(before, 'x'), Buffer.from(`${SECRET} and more`)])
    const encoded = plain.toString('base64')
    const wrapped = encoded.replaceAll(/(.{76})/g, '$1\n')
    const hex = plain.toString('hex')
    for (const content of [plain, encoded, wrapped, plain.toString('base64url'), hex, hex.toUpperCase()]) {
      await writeFile(join(directory, 'file'), content)
      const found = await find(directory)
      assert.deepEqual(found, { variable: 'TOKEN', place: 'the file file' }, `after ${before} bytes`)
    }
  }
})

test('a line of a key is found, a bracket of one is not', async (t) => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'file'), '{\n}\n')
  const key = '{\n  "key": "MIIEvQIBADANBgkqhkiG9w0BAQ"\n}\n'
  assert.equal(await find(directory, key), undefined)
  await writeFile(join(directory, 'file'), 'then   "key": "MIIEvQIBADANBgkqhkiG9w0BAQ" was read')
  assert.equal((await find(directory, key))?.place, 'the file file')
})

test('links are read, not followed, and what is no plain file is not opened', async (t) => {
  const directory = await temporaryDirectory(t)
  const outside = await temporaryDirectory(t)
  await writeFile(join(outside, 'secret'), SECRET)
  await mkdir(join(directory, 'a/b'), { recursive: true })
  await symlink(join(outside, 'secret'), join(directory, 'a/file'))
  await symlink(outside, join(directory, 'a/directory'))
  await once(spawn('mkfifo', [join(directory, 'a/pipe')]), 'exit')
  assert.equal(await withDeadline(find(directory), 5_000, 'the search'), undefined)
  await symlink(`https://user:${SECRET}@host`, join(directory, 'a/b/remote'))
  assert.equal((await find(directory))?.place, 'the link a/b/remote')
  await mkdir(join(directory, `a/${SECRET}`))
  assert.match((await find(directory))?.place ?? '', /^a name in a$|^the link a\/b\/remote$/)
})
