import assert from 'node:assert/strict'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { type Header, pack } from 'tar-stream'
import { type ErrorCode, isNodeError } from '../../../../src/base/errors.ts'
import { allowance, packAll, staysWithin, unpackOver } from '../../../../src/execution/engines/archive.ts'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-archive-'))
})
after(() => rm(base, { recursive: true, force: true }))

const patience = () => AbortSignal.timeout(10_000)
type Entry = Partial<Header> & { name: string; content?: string }

function archiveOf(entries: readonly Entry[]): Readable {
  const archive = pack()
  for (const { content, ...header } of entries) archive.entry(header, content ?? '')
  archive.finalize()
  return Readable.from(archive)
}

async function fresh(): Promise<string> {
  return mkdtemp(join(base, 'into-'))
}

test('a directory comes out as it went in, and takes the place of what was there', async () => {
  const from = join(base, 'from')
  await mkdir(join(from, 'a/b'), { recursive: true })
  await writeFile(join(from, 'a/b/run'), '#!')
  await chmod(join(from, 'a/b/run'), 0o755)
  await writeFile(join(from, 'empty'), '')
  await symlink('a/b/run', join(from, 'link'))
  const into = await fresh()
  await writeFile(join(into, 'old'), 'old')
  await unpackOver(packAll([{ source: from, path: '/data' }]), into, allowance(100), patience())
  assert.deepEqual((await readdir(into, { recursive: true })).sort(), [
    'a',
    'a/b',
    'a/b/run',
    'empty',
    'link',
  ])
  assert.equal((await stat(join(into, 'a/b/run'))).mode & 0o777, 0o755)
  assert.equal(await readlink(join(into, 'link')), 'a/b/run')
})

test('a single file takes the place of a file', async () => {
  const into = join(await fresh(), 'result')
  await writeFile(into, 'before')
  await unpackOver(archiveOf([{ name: 'result', content: 'after' }]), into, allowance(100), patience())
  assert.equal(await readFile(into, 'utf8'), 'after')
})

test('nothing comes to lie elsewhere, leads elsewhere, or is written through a link', async () => {
  const hostile: readonly (readonly Entry[])[] = [
    [{ name: '../evil', content: 'x' }],
    [{ name: 'data/../../evil', content: 'x' }],
    [{ name: '/etc/evil', content: 'x' }],
    [{ name: 'data/link', type: 'symlink', linkname: '/etc' }],
    [{ name: 'data/link', type: 'symlink', linkname: '../out' }],
    [
      { name: 'data/here', type: 'symlink', linkname: '.' },
      { name: 'data/up', type: 'symlink', linkname: 'here/../../out' },
    ],
    [
      { name: 'data/link', type: 'symlink', linkname: '.' },
      { name: 'data/link/file', content: 'x' },
    ],
    [{ name: 'data/hard', type: 'link', linkname: 'data/../../secret' }],
    [{ name: 'data/hard', type: 'link', linkname: 'data/absent' }],
    [{ name: 'data/pipe', type: 'fifo' }],
    [{ name: 'data/disk', type: 'block-device', devmajor: 8, devminor: 0 }],
    [{ name: 'data', type: 'symlink', linkname: 'x' }],
    [{ name: 'data/no/directory/before', content: 'x' }],
  ]
  await writeFile(join(base, 'secret'), 'secret')
  for (const entries of hostile) {
    const into = await fresh()
    await assert.rejects(
      unpackOver(archiveOf(entries), into, allowance(1_000), patience()),
      (error: Error) => isNodeError(error, 'PATH_UNSAFE' satisfies ErrorCode),
      JSON.stringify(entries),
    )
  }
  assert.deepEqual(
    (await readdir(base)).filter((name) => name === 'evil' || name === 'out'),
    [],
  )
})

test('more than is allowed is not written, over all archives of a step together', async () => {
  const allowed = allowance(10)
  const into = await fresh()
  await unpackOver(archiveOf([{ name: 'd/a', content: '123456' }]), into, allowed, patience())
  const second = await fresh()
  const more = unpackOver(archiveOf([{ name: 'd/b', content: '123456' }]), second, allowed, patience())
  await assert.rejects(more, (error: Error) => isNodeError(error, 'TOO_LARGE'))
  assert.deepEqual(await readdir(second), [])
  const crowd = { bytes: 10, entries: 1 }
  const entries = archiveOf([{ name: 'd', type: 'directory' }, { name: 'd/a' }])
  await assert.rejects(unpackOver(entries, await fresh(), crowd, patience()), (error: Error) =>
    isNodeError(error, 'TOO_LARGE'),
  )
})

test('an archive that breaks off, and one that nobody waits for any more, end', async () => {
  const whole = await archiveOf([{ name: 'd/a', content: 'x'.repeat(5_000) }]).toArray()
  const half = Buffer.concat(whole).subarray(0, 2_000)
  await assert.rejects(unpackOver(Readable.from([half]), await fresh(), allowance(9_999), patience()))
  const stuck = new Readable({ read: () => undefined })
  const given = unpackOver(stuck, await fresh(), allowance(9), AbortSignal.timeout(50))
  await assert.rejects(given, { name: 'TimeoutError' })
})

test('links go up before they go down, and never out', () => {
  const table = [
    ['', 'a', true],
    ['', '..', false],
    ['a', '..', true],
    ['a/b', '../../c', true],
    ['a', '../../c', false],
    ['', 'a/../b', false],
    ['a', './../b', true],
    ['', '/x', false],
  ] as const
  for (const [parent, target, stays] of table)
    assert.equal(staysWithin(parent, target), stays, `${parent} ${target}`)
})
