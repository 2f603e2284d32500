import assert from 'node:assert/strict'
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { MIB } from '../../src/base/units.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { isNoRoom } from '../../src/datasets/upkeep/room-left.ts'
import {
  BACKENDS,
  type BackendKind,
  gitBackend,
  PERSON,
  plantCommit,
  TIME_MS,
} from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MISSING = 'f'.repeat(40)
const signal = AbortSignal.timeout(60_000)
const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const fileOf = (repository: PackRepository, oid: string) =>
  join(repository.path, 'objects', oid.slice(0, 2), oid.slice(2))

async function open(t: TestContext, kind: BackendKind): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

/** Ids of all objects that a pack brings to an empty repository. */
async function packed(t: TestContext, from: PackRepository, wants: string[], haves: string[]) {
  const to = await open(t, 'native')
  const quarantine = await to.quarantine()
  await quarantine.receive(from.packObjects(wants, haves, signal), signal)
  await quarantine.admit([], signal)
  await quarantine.discard()
  return (await to.verify()).objects
}

for (const kind of BACKENDS) {
  suite(`what both backends have to do alike, with the ${kind} backend`, () => {
    test('commits of one second come in the order in which they are named, and the committer counts', async (t) => {
      const repository = await open(t, kind)
      const tree = await repository.writeTree([])
      const write = (message: string, parents: string[], authored: number, committed: number) => {
        const head = [`tree ${tree}`, ...parents.map((parent) => `parent ${parent}`)]
        const people = [`author A <a@b> ${authored} +0000`, `committer A <a@b> ${committed} +0100`]
        return writeLoose(
          repository.path,
          'commit',
          Buffer.from(`${[...head, ...people].join('\n')}\n\n${message}\n`),
        )
      }
      const root = await write('root', [], 100, 100)
      const sides = await Promise.all([1, 2, 3].map((n) => write(`side ${n}`, [root], 100 - n, 200)))
      const rebased = await write('rebased', [root], 5, 900)
      const merge = await write('merge', [...sides, rebased], 1_000, 1_000)
      const order = (await repository.log(merge, 9)).map(({ oid }) => oid)
      assert.deepEqual(order, [merge, rebased, ...sides, root])
    })

    test('a near ancestor is found without the far ones, and what is unrelated is told apart', async (t) => {
      const repository = await open(t, kind)
      const commits: string[] = []
      const tree = await repository.writeTree([])
      for (let i = 0; i < 12; i += 1) {
        const parents = commits.slice(-1)
        const timeMs = TIME_MS + i * 1_000
        commits.push(await repository.writeCommit({ tree, parents, message: `${i}`, author: PERSON, timeMs }))
      }
      const [root, second] = commits as [string, string]
      const [near, tip] = commits.slice(-2) as [string, string]
      const stranger = await plantCommit(repository, [])
      assert.equal(await repository.isAncestor(root, tip), true)
      assert.equal(await repository.isAncestor(tip, root), false)
      assert.equal(await repository.isAncestor(stranger, tip), false)
      assert.equal(await repository.isAncestor(tip, stranger), false)
      await rm(fileOf(repository, second))
      assert.equal(await repository.isAncestor(near, tip), true)
      assert.equal(await repository.isAncestor(tip, near), false)
      assert.equal((await repository.log(tip, 3)).length, 3)
    })

    test('what the other side has is left out, and what nobody knows here is passed over', async (t) => {
      const repository = await open(t, kind)
      const shared = { mode: '100644', name: 'shared', content: 'same in all' }
      const first = await plantCommit(repository, [shared])
      const second = await plantCommit(
        repository,
        [{ mode: '100644', name: 'own', content: 'new' }, shared],
        [first],
      )
      assert.equal(await packed(t, repository, [second], [MISSING, 'HEAD', '--all']), 6)
      assert.equal(await packed(t, repository, [first], [second]), 0)
      const bytes = async (haves: string[]) => {
        let count = 0
        for await (const chunk of repository.packObjects([second], haves, signal)) count += chunk.length
        return count
      }
      assert.ok((await bytes([first])) < (await bytes([])))
      const all = repository.packObjects([MISSING], [], signal)
      await assert.rejects(async () => {
        for await (const chunk of all) assert.ok(chunk)
      }, coded('COMMIT_NOT_FOUND'))
    })
  })
}

suite('the bounds of a node without git', () => {
  test('more than it can serve is refused before the first byte, with a way out', async (t) => {
    const repository = await open(t, 'isomorphic')
    const commit = await plantCommit(repository, [
      { mode: '100644', name: 'a', content: 'a' },
      { mode: '100644', name: 'b', content: 'b' },
    ])
    for (const { oid } of await repository.listFiles(commit))
      await truncate(fileOf(repository, oid), 200 * MIB)
    const chunks: Uint8Array[] = []
    await assert.rejects(
      async () => {
        for await (const chunk of repository.packObjects([commit], [], signal)) chunks.push(chunk)
      },
      (error) => isNodeError(error, 'TOO_LARGE') && /git installed/.test(error.message),
    )
    assert.equal(chunks.length, 0)
  })

  test('more than it can take is refused at the cap, with a way out', async (t) => {
    const repository = await open(t, 'isomorphic')
    const quarantine = await repository.quarantine()
    const piece = Buffer.alloc(4 * MIB)
    let sent = 0
    const pack = async function* () {
      yield Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1')
      for (; ; sent += 1) yield piece
    }
    await assert.rejects(
      quarantine.receive(pack(), signal),
      (error) => isNodeError(error, 'TOO_LARGE') && isNoRoom(error) && /install git/.test(error.message),
    )
    assert.equal(sent, 63)
    await quarantine.discard()
  })

  test('what a node with git has packed is read all the same, deltas and all', async (t) => {
    const place = join(await temporaryDirectory(t), 'data.git')
    const native = await (await gitBackend(t, 'native')).open(place)
    let tip: string | undefined
    const lines = Array.from({ length: 3_000 }, (_, i) => `${i},${(i * 7_919) % 1_000}`)
    for (let i = 0; i < 30; i += 1) {
      lines[i * 50] = `changed,${i}`
      const entries = [{ mode: '100644', name: 'data.csv', content: lines.join('\n') }]
      const next = await plantCommit(native, entries, tip === undefined ? [] : [tip])
      await native.moveBranch('a', next, tip)
      tip = next
    }
    await native.collectGarbage({ pruneOlderThanMs: 0, keep: [] })
    const size = await native.size()
    assert.ok(size.packs === 1 && size.bytes < 200_000, 'git has made no deltas')
    const isomorphic = await (await gitBackend(t, 'isomorphic')).open(place)
    assert.deepEqual(await isomorphic.verify(), await native.verify())
    const commits = await isomorphic.log(tip as string, 50)
    assert.deepEqual(commits, await native.log(tip as string, 50))
    for (const { oid } of commits) {
      assert.deepEqual(await isomorphic.listDirectory(oid, ''), await native.listDirectory(oid, ''))
      const [file] = await isomorphic.listFiles(oid)
      const [ours, gits] = await Promise.all(
        [isomorphic, native].map((one) => one.readBlob(file?.oid as string)),
      )
      assert.deepEqual(Buffer.from(ours as Uint8Array), gits)
    }
  })
})
