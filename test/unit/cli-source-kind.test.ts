import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { packedAs, sourceKind } from '../../src/cli/source-kind.ts'

test('a source is told by its spelling', () => {
  const kinds = {
    stdin: ['-'],
    path: ['.', './data', '/srv/data', 'data.tar.gz', 'a/b:c', 'C/x'],
    url: ['https://host/data.tar.gz', 'http://host/data.csv?x=.git'],
    git: [
      'https://host/group/data.git',
      'git+https://host/group/data',
      'git+file:///srv/data',
      'ssh://git@host/data',
      'git://host/data',
      'git@host:group/data.git',
      'host:data',
    ],
  }
  for (const [kind, sources] of Object.entries(kinds)) {
    for (const source of sources) assert.equal(sourceKind(source, false), kind, source)
  }
  assert.equal(sourceKind('host:data', true), 'path', 'a file of that name is there')
})

test('an archive is told by its bytes, whatever its name says', async () => {
  const archive = pack()
  archive.entry({ name: 'a.bin' }, randomBytes(200_000))
  archive.finalize()
  const tar = await buffer(archive as AsyncIterable<Buffer>)
  const text = Buffer.from('a,b\n1,2\n'.repeat(100))
  const head = (bytes: Buffer) => bytes.subarray(0, 160_000)
  assert.equal(await packedAs(head(tar), 'x'), 'tar')
  assert.equal(await packedAs(head(gzipSync(tar)), 'x'), 'gzip')
  assert.equal(await packedAs(head(zstdCompressSync(tar)), 'x'), 'zstd')
  assert.equal(await packedAs(Buffer.from('# v2 git bundle\nabc'), 'x'), 'bundle')
  assert.equal(await packedAs(Buffer.alloc(1_024), 'x'), 'tar', 'an archive without entries')
  for (const plain of [
    text,
    gzipSync(text),
    zstdCompressSync(text),
    Buffer.from([0x1f, 0x8b]),
    Buffer.alloc(0),
  ]) {
    assert.equal(await packedAs(plain, 'data.tar.gz'), 'plain')
  }
  const zip = Buffer.from([0x50, 0x4b, 0x03, 0x04, 0])
  await assert.rejects(packedAs(zip, 'data.tar'), {
    code: 'INVALID_INPUT',
    message: /data\.tar is a zip.*unzip/,
  })
  await assert.rejects(packedAs(Buffer.from('BZh91AY'), 'x'), { code: 'INVALID_INPUT', message: /bzip2 -dc/ })
})
