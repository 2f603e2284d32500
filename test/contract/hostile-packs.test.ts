import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { pathDepthMax } from '../../src/base/limits.ts'
import { MIB } from '../../src/base/units.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { BACKENDS, type BackendKind, gitBackend } from '../support/git-backends.ts'
import {
  content,
  deltified,
  type Entries,
  evil,
  folder,
  LINKS,
  nested,
  type Offer,
  PACKS,
  PATHS,
  simple,
  twice,
  whole,
} from '../support/hostile-offers.ts'
import {
  blob,
  commit,
  delta,
  type Made,
  offsetDelta,
  packFor,
  packOf,
  refDelta,
  tree,
} from '../support/hostile-pack.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function node(t: Pick<TestContext, 'after'>, kind: BackendKind) {
  const place = await temporaryDirectory(t)
  return { place, repository: await (await gitBackend(t, kind)).open(join(place, 'data.git')) }
}

/** In pieces that respect nothing, as they come from a network. */
async function* pieces(bytes: Buffer, size = 50_000) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function take(repository: PackRepository, { pack, want, bounds }: Offer): Promise<void> {
  const quarantine = await repository.quarantine(bounds)
  const signal = AbortSignal.timeout(60_000)
  try {
    await quarantine.receive(pieces(pack), signal)
    await quarantine.admit([want], signal)
  } finally {
    await quarantine.discard()
  }
}

async function filesOf(place: string): Promise<string[]> {
  const found = await readdir(place, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

test('git is given no more memory than a file may need, whatever a delta asks for', async (t) => {
  const { repository } = await node(t, 'native')
  const greedy = deltified(delta(1_000, 2 ** 30, twice), 'a')
  await assert.rejects(take(repository, greedy), /over limit/)
})

for (const kind of BACKENDS) {
  suite(`hostile packs before the ${kind} backend`, () => {
    // One repository for all of them: whatever one of them leaves, it is still empty before the next.
    let shared: Awaited<ReturnType<typeof node>>
    const ends: (() => unknown)[] = []
    before(async () => {
      shared = await node({ after: (end: () => unknown) => ends.push(end) }, kind)
    })
    after(async () => {
      for (const end of ends.reverse()) await end()
    })

    for (const [offers, code] of [
      [PATHS, 'PATH_UNSAFE'],
      [PACKS, 'PACK_REJECTED'],
    ] as const) {
      for (const [what, offer] of Object.entries<Offer>(offers)) {
        test(`one with ${what} is ${code}, and nothing of it stays`, async () => {
          const { place, repository } = shared
          const found = await filesOf(place)
          const residentBytes = process.memoryUsage.rss()
          await assert.rejects(take(repository, offer), (error) => {
            assert.ok(isNodeError(error, code as ErrorCode), String((error as Error).stack))
            return true
          })
          assert.ok(process.memoryUsage.rss() - residentBytes < 200 * MIB, 'it took memory')
          assert.equal(await repository.hasCommit(offer.want), false)
          assert.deepEqual(await filesOf(place), found)
          assert.deepEqual(await readdir(join(place, '.quarantine')), [])
        })
      }
    }

    for (const [what, entries] of Object.entries<Entries>(LINKS)) {
      test(`a link ${what} is not written out, and nothing through it`, async (t) => {
        const { place, repository } = await node(t, kind)
        const outside = join(place, 'outside')
        await mkdir(outside)
        const others = entries.map(([, , inner]) => inner)
        const top = tree(...entries.map(([mode, name, inner]) => [mode, name, inner.oid] as const))
        const offer = packFor(top, [...new Set([...others, ...(others.includes(folder) ? [evil] : [])])])
        await take(repository, offer)
        const checkout = repository.checkout(offer.want, join(outside, 'in/out'))
        await assert.rejects(checkout, (error) => isNodeError(error, 'PATH_UNSAFE'))
        assert.deepEqual(await readdir(outside, { recursive: true }), [])
      })
    }

    test('what keeps to the rules to the last byte is taken', async (t) => {
      const { repository } = await node(t, kind)
      for (const offer of [
        simple(),
        whole(nested(pathDepthMax)),
        whole(nested(7, 'x'.repeat(150))),
        deltified(delta(1_000, 2_000, twice), 'a'.repeat(2_000)),
        packFor(tree()),
      ]) {
        await take(repository, offer)
        assert.ok(await repository.listFiles(offer.want))
      }
      assert.deepEqual((await repository.verify()).problems, [])
    })

    test('what is here already may come again, as when an older head is replayed, and changes nothing', async (t) => {
      const { repository } = await node(t, kind)
      const first = simple()
      const next = commit(tree(['100644', 'file', content.oid]).oid, [first.want], 'next\n')
      const second = { pack: packOf([next]), want: next.oid }
      await take(repository, first)
      await repository.moveBranch('a', first.want, undefined)
      await take(repository, second)
      await repository.moveBranch('a', second.want, first.want)
      for (const offer of [first, second, first]) await take(repository, offer)
      assert.deepEqual([...(await repository.branches())], [['a', second.want]])
      await repository.collectGarbage({ pruneOlderThanMs: 0, keep: [] })
      const { packs, objects } = await repository.size()
      assert.deepEqual({ packs, objects }, { packs: 1, objects: 4 })
      assert.deepEqual(await repository.verify(), { objects: 4, problems: [] })
    })

    test('a chain of thousands of deltas is no trouble', async (t) => {
      const { repository } = await node(t, kind)
      const entries: (Made | Buffer)[] = [content]
      let [last, text] = [content.entry.length, 'a'.repeat(1_000)]
      for (let i = 0; i < 4_000; i += 1) {
        const mark = Buffer.from(`${i}`.padStart(6, '-'))
        const step = offsetDelta(last, delta(1_000, 1_000, [mark, { from: 6, length: 994 }]))
        text = mark.toString() + text.slice(6)
        entries.push(step)
        last = step.length
      }
      const end = blob(text)
      const offer = packFor(tree(['100644', 'file', end.oid]), entries)
      await take(repository, offer)
      assert.equal(Buffer.from(await repository.readBlob(end.oid)).toString(), text)
    })

    test('what is here already cannot be used to go deeper than is allowed', async (t) => {
      const { repository } = await node(t, kind)
      const [below, above] = [nested(pathDepthMax - 4), 6]
      const first = whole(below)
      await take(repository, first)
      const trees = [tree(['40000', 'up', (below[0] as Made).oid])]
      while (trees.length < above) trees.push(tree(['40000', 'up', (trees.at(-1) as Made).oid]))
      const tip = commit((trees.at(-1) as Made).oid, [first.want])
      const offer = { pack: packOf([tip, ...trees]), want: tip.oid }
      await assert.rejects(take(repository, offer), (error) => isNodeError(error, 'PATH_UNSAFE'))
      // A node that has been started again knows nothing of what it has taken before.
      const { repository: again } = { repository: await (await gitBackend(t, kind)).open(repository.path) }
      await assert.rejects(take(again, offer), (error) => isNodeError(error, 'PATH_UNSAFE'))
      const fitting = commit((trees[2] as Made).oid, [first.want])
      await take(again, { pack: packOf([fitting, ...trees.slice(0, 3)]), want: fitting.oid })
    })
  })
}

test('a pack of kilobytes on which git would work for long is refused, as one that does not hold', async (t) => {
  const { place, repository } = await node(t, 'native')
  const [bytes, copies] = [16 * MIB - 1, 4]
  const base = blob(Buffer.alloc(bytes))
  const many = Array.from({ length: copies }, () => ({ from: 0, length: bytes }))
  const deltas = Array.from({ length: 40 }, (_, i) =>
    refDelta(base.oid, delta(bytes, bytes * copies + 1, [...many, Buffer.of(i)])),
  )
  const offer = packFor(tree(['100644', 'file', base.oid]), [base, ...deltas])
  assert.ok(offer.pack.length < 40_000)
  const bounds = { workFirstMs: 500, workPerMibMs: 100 }
  await assert.rejects(take(repository, { ...offer, bounds }), { code: 'PACK_REJECTED', message: /too long/ })
  assert.equal(await repository.hasCommit(offer.want), false)
  assert.deepEqual(await readdir(join(place, '.quarantine')), [])
})
