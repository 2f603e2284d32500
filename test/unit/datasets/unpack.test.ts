import assert from 'node:assert/strict'
import { lstat, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { type Header, pack } from 'tar-stream'
import { isNodeError } from '../../../src/base/errors.ts'
import { unpack } from '../../../src/datasets/founding/unpack.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

type Part = { name: string; content?: string } & Partial<Pick<Header, 'type' | 'linkname' | 'mode'>>

async function archive(parts: readonly Part[]): Promise<Buffer> {
  const tar = pack()
  for (const { content = '', ...header } of parts) tar.entry(header, content)
  tar.finalize()
  return buffer(tar as AsyncIterable<Buffer>)
}

function streamOf(bytes: Uint8Array, chunk = 700): ReadableStream<Uint8Array> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, index) => {
    return bytes.subarray(index * chunk, (index + 1) * chunk)
  })
  return ReadableStream.from(chunks)
}

test('files, directories and links come out as they went in', async (t) => {
  const directory = await temporaryDirectory(t)
  const parts: Part[] = [
    { name: './', type: 'directory' },
    { name: './a/b/deep.txt', content: 'deep' },
    { name: 'tool.sh', content: '#!/bin/sh\n', mode: 0o750 },
    { name: 'large', content: 'x'.repeat(100_000) },
    { name: 'link', type: 'symlink', linkname: 'a/b/deep.txt' },
    { name: 'empty', type: 'directory' },
  ]
  const told = await unpack(streamOf(await archive(parts)), directory)
  assert.deepEqual(told, { files: 4, bytes: 100_000 + 4 + 10 })
  assert.equal(await readFile(join(directory, 'a/b/deep.txt'), 'utf8'), 'deep')
  assert.equal((await lstat(join(directory, 'tool.sh'))).mode & 0o777, 0o755)
  assert.equal((await lstat(join(directory, 'large'))).mode & 0o111, 0)
  assert.equal(await readlink(join(directory, 'link')), 'a/b/deep.txt')
})

test('what would lead out, hide in git or be no file is refused, and nothing outside changes', async (t) => {
  const wrong: Part[][] = [
    [{ name: '../outside', content: 'x' }],
    [{ name: 'a/../../outside', content: 'x' }],
    [{ name: '/tmp/outside', content: 'x' }],
    [{ name: 'a\\..\\outside', content: 'x' }],
    [{ name: '.git/config', content: 'x' }],
    [{ name: 'a/.GIT/hooks/post-checkout', content: 'x' }],
    [{ name: 'git~1/config', content: 'x' }],
    [{ name: '.git. /config', content: 'x' }],
    [{ name: 'hard', type: 'link', linkname: 'other' }],
    [{ name: 'device', type: 'character-device' }],
    [{ name: 'pipe', type: 'fifo' }],
    [{ name: Array.from({ length: 70 }, () => 'd').join('/'), content: 'x' }],
    [{ name: `${'long'.repeat(300)}`, content: 'x' }],
  ]
  for (const parts of wrong) {
    const parent = await temporaryDirectory(t)
    const directory = await temporaryDirectory(t)
    await assert.rejects(
      unpack(streamOf(await archive(parts)), directory),
      { code: 'PATH_UNSAFE' },
      parts[0]?.name,
    )
    assert.deepEqual(await readdir(parent), [])
  }
})

test('nothing is written through a link, whatever the order', async (t) => {
  const outside = await temporaryDirectory(t)
  const orders: Part[][] = [
    [
      { name: 'way', type: 'symlink', linkname: outside },
      { name: 'way/file', content: 'x' },
    ],
    [
      { name: 'way', type: 'symlink', linkname: outside },
      { name: 'way/link', type: 'symlink', linkname: 'x' },
    ],
    [
      { name: 'way', type: 'symlink', linkname: outside },
      { name: 'way/sub/link', type: 'symlink', linkname: 'x' },
    ],
    [
      { name: 'file', type: 'symlink', linkname: join(outside, 'file') },
      { name: 'file', content: 'x' },
    ],
  ]
  for (const parts of orders) {
    const directory = await temporaryDirectory(t)
    await assert.rejects(unpack(streamOf(await archive(parts)), directory), (error) => {
      assert.ok(isNodeError(error, 'PATH_UNSAFE'), String(error))
      return !error.message.includes(directory)
    })
    assert.deepEqual(await readdir(outside), [])
  }
})

test('two entries of one name are refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const parts = [
    { name: 'a', content: '1' },
    { name: './a', content: '2' },
  ]
  const below = [
    { name: 'a', content: '1' },
    { name: 'a/b', content: '2' },
  ]
  for (const each of [parts, below]) {
    await assert.rejects(unpack(streamOf(await archive(each)), directory), (error) => {
      assert.ok(isNodeError(error, 'INVALID_INPUT') && /two of its entries have one name/.test(error.message))
      return !error.message.includes(directory)
    })
    await rm(join(directory, 'a'))
  }
})

test('an archive that is cut short is never taken for a whole', async (t) => {
  const whole = await archive([{ name: 'a', content: 'x'.repeat(5_000) }])
  for (const bytes of [3_000, 700, 100]) {
    const directory = await temporaryDirectory(t)
    await assert.rejects(
      unpack(streamOf(whole.subarray(0, bytes)), directory),
      { code: 'INVALID_INPUT' },
      `${bytes}`,
    )
  }
  const directory = await temporaryDirectory(t)
  await assert.rejects(unpack(streamOf(Buffer.from('this is no archive'.repeat(100))), directory), {
    code: 'INVALID_INPUT',
  })
})

test('a sender who breaks off fails the import', { timeout: 10_000 }, async (t) => {
  const directory = await temporaryDirectory(t)
  const bytes = await archive([{ name: 'a', content: 'x'.repeat(5_000) }])
  async function* breaking() {
    yield bytes.subarray(0, 2_000)
    throw new Error('the connection is gone')
  }
  await assert.rejects(unpack(ReadableStream.from(breaking()), directory), /the connection is gone/)
})

test('the limits are held before anything is written beyond them', async (t) => {
  const directory = await temporaryDirectory(t)
  const many = await archive(Array.from({ length: 5 }, (_, index) => ({ name: `f${index}`, content: 'x' })))
  await assert.rejects(unpack(streamOf(many), directory, { bytesMax: 100, entriesMax: 4 }), {
    code: 'TOO_LARGE',
  })
  const other = await temporaryDirectory(t)
  const large = await archive([{ name: 'large', content: 'x'.repeat(101) }])
  await assert.rejects(unpack(streamOf(large), other, { bytesMax: 100, entriesMax: 4 }), {
    code: 'TOO_LARGE',
  })
  assert.deepEqual(await readdir(other), [])
})
