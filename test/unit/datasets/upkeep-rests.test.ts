import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { PackRepository } from '../../../src/datasets/git/repository.ts'
import { Accounts } from '../../../src/datasets/upkeep/accounts.ts'
import { guarded } from '../../../src/datasets/upkeep/guarded-repository.ts'
import { directoryOf } from '../../support/dataset-node.ts'
import { BACKENDS, gitBackend, PERSON, TIME_MS } from '../../support/git-backends.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

for (const kind of BACKENDS) {
  test(`a repository is opened without what was half-made in it, and with all that was whole (${kind})`, async (t) => {
    const path = join(await temporaryDirectory(t), 'air.git')
    const backend = await gitBackend(t, kind)
    const repository = await backend.open(path)
    const commit = async (content: string) => {
      const tree = await repository.writeTreeFromDirectory(await directoryOf(t, { a: content }))
      return repository.writeCommit({ tree, parents: [], message: 'm\n', author: PERSON, timeMs: TIME_MS })
    }
    const packed = await commit('packed')
    await repository.moveBranch('a-alice', packed, undefined)
    await repository.collectGarbage({ pruneOlderThanMs: 1e9, keep: [] })
    const loose = await commit('loose')
    const files = async () => (await readdir(path, { recursive: true })).sort()
    const whole = await files()
    const name = 'a'.repeat(40)
    await mkdir(join(path, 'objects/ab'), { recursive: true })
    const before = await files()
    for (const rest of [
      'packed-refs.lock',
      'refs/heads/a-alice.lock',
      'objects/ab/tmp_obj_x1y2z3',
      `objects/ab/${'c'.repeat(38)}.1234.lock`,
      'objects/pack/tmp_pack_x1y2z3',
      `objects/pack/.tmp-123-pack-${name}.pack`,
      `objects/pack/pack-${name}.pack`,
      `objects/pack/pack-${name}.rev`,
      `objects/pack/pack-${name}.unreached.1234.lock`,
    ])
      await writeFile(join(path, rest), 'half')
    await backend.open(path)
    assert.deepEqual(await files(), before)
    assert(whole.every((file) => before.includes(file)))
    const again = await backend.open(path)
    assert.deepEqual([await again.hasCommit(packed), await again.hasCommit(loose)], [true, true])
  })
}

test('a collection that fails leaves alone what others are at, and clears up once they are done', async (t) => {
  const directory = await temporaryDirectory(t)
  const inner = await (await gitBackend(t, 'native')).open(join(directory, 'air.git'))
  const packs = join(inner.path, 'objects/pack')
  const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  // As git stores a large file, and as a collection is cut short.
  const repository = new Proxy(inner, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      const own: Partial<PackRepository> = {
        writeTreeFromDirectory: async () => {
          await writeFile(join(packs, 'tmp_pack_large'), 'half')
          begun.resolve()
          await finish.promise
          const here = await readdir(packs)
          await rm(join(packs, 'tmp_pack_large'), { force: true })
          return here.includes('tmp_pack_large') ? 'stored' : 'taken away'
        },
        collectGarbage: async () => {
          await writeFile(join(packs, 'tmp_pack_collection'), 'half')
          throw new Error('cut short')
        },
      }
      return own[key as keyof PackRepository] ?? (typeof member === 'function' ? member.bind(target) : member)
    },
  })
  const settings = { quotaBytes: 0, totalBytes: 0, freeBytesMin: 0 }
  const accounts = new Accounts({ directory, settings, emit: () => undefined })
  const air = guarded('air', repository, { accounts, ingested: () => undefined })
  const storing = air.writeTreeFromDirectory(await directoryOf(t, { a: '1' }))
  await begun.promise
  const collecting = () => air.collectGarbage({ pruneOlderThanMs: 0, keep: [] })
  await assert.rejects(collecting(), /cut short/)
  finish.resolve()
  assert.equal(await storing, 'stored')
  assert.deepEqual(await readdir(packs), [])
  await assert.rejects(collecting(), /cut short/)
  assert.deepEqual(await readdir(packs), [])
})
