import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { encodeTree } from '../../src/datasets/git/git-objects.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { BACKENDS, type BackendKind, gitBackend, plantCommit, plantTree } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const HOUR_MS = 3_600_000
const AT_ONCE = { pruneOlderThanMs: 0, keep: [] }

async function open(t: TestContext, kind: BackendKind): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

/** A commit with one file of its own. */
function commit(repository: PackRepository, content: string, parents: readonly string[] = []) {
  return plantCommit(repository, [{ mode: '100644', name: 'file', content }], parents)
}

/** As if so many hours had passed. */
async function age(repository: PackRepository, hours: number): Promise<void> {
  const objects = join(repository.path, 'objects')
  for (const name of await readdir(objects, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue
    const file = join(name.parentPath, name.name)
    const then = new Date((await stat(file)).mtimeMs - hours * HOUR_MS)
    await utimes(file, then, then)
    if (!name.name.endsWith('.unreached')) continue
    await writeFile(file, `${Number(await readFile(file, 'utf8')) - hours * HOUR_MS}\n`)
  }
}

function assertSound(repository: PackRepository): void {
  const args = ['-C', repository.path, 'fsck', '--strict', '--no-dangling']
  assert.equal(execFileSync('git', args).toString(), '')
}

for (const kind of BACKENDS) {
  suite(`upkeep with the ${kind} backend`, () => {
    test('loose objects and packs become one pack, and what is reached stays', async (t) => {
      const repository = await open(t, kind)
      let tip = await commit(repository, 'first')
      await repository.moveBranch('a', tip, undefined)
      for (const round of [1, 2, 3]) {
        const next = await commit(repository, `round ${round}`, [tip])
        await repository.moveBranch('a', next, tip)
        tip = next
        if (round === 1) execFileSync('git', ['-C', repository.path, 'repack', '-q', '-d'])
      }
      const kept = await commit(repository, 'kept by a run')
      const { before, after } = await repository.collectGarbage({ pruneOlderThanMs: 0, keep: [kept] })
      assert.deepEqual([before.looseObjects, before.packs, before.objects], [9, 1, 15])
      assert.deepEqual([after.looseObjects, after.packs, after.objects], [0, 1, 15])
      assert.deepEqual(after, await repository.size())
      assert.equal((await repository.log(tip, 10)).length, 4)
      assert.equal((await repository.listFiles(kept)).length, 1)
      assertSound(repository)
      const files = await readdir(join(repository.path, 'objects/pack'))
      const again = await repository.collectGarbage({ pruneOlderThanMs: 0, keep: [kept] })
      assert.deepEqual(again.before, again.after)
      assert.deepEqual(await readdir(join(repository.path, 'objects/pack')), files)
    })

    test('an empty repository has nothing to collect, and an emptied one gives all back', async (t) => {
      const repository = await open(t, kind)
      const nothing = { bytes: 0, looseObjects: 0, packs: 0, objects: 0 }
      assert.deepEqual(await repository.collectGarbage(AT_ONCE), { before: nothing, after: nothing })
      const tip = await commit(repository, 'x')
      await repository.moveBranch('a', tip, undefined)
      await repository.collectGarbage(AT_ONCE)
      await repository.deleteBranch('a', tip)
      assert.deepEqual((await repository.collectGarbage(AT_ONCE)).after, nothing)
      assert.equal(await repository.hasCommit(tip), false)
    })

    test('what a branch has left stays for the whole age, however old it is, and goes then', async (t) => {
      const repository = await open(t, kind)
      const left = await commit(repository, 'left')
      await repository.moveBranch('a', left, undefined)
      await repository.collectGarbage(AT_ONCE)
      await age(repository, 1_000)
      const tip = await commit(repository, 'tip')
      await repository.moveBranch('a', tip, left)
      const daily = { pruneOlderThanMs: 24 * HOUR_MS, keep: [] }
      await repository.collectGarbage(daily)
      assert.equal((await repository.listFiles(left)).length, 1)
      for (let hour = 0; hour < 3; hour += 1) {
        await age(repository, 7)
        const next = await commit(repository, `hour ${hour}`)
        await repository.moveBranch(`b${hour}`, next, undefined)
        await repository.collectGarbage(daily)
        assert.equal(await repository.hasCommit(left), true, `gone after ${7 * (hour + 1)} hours`)
      }
      await age(repository, 7)
      await repository.collectGarbage(daily)
      assert.equal(await repository.hasCommit(left), false)
      assert.equal((await repository.size()).packs, 1)
      assertSound(repository)
    })

    test('a commit that came just now keeps a parent that nobody has reached for long', async (t) => {
      const repository = await open(t, kind)
      const parent = await commit(repository, 'forgotten')
      await age(repository, 100)
      const hourly = { pruneOlderThanMs: HOUR_MS, keep: [] }
      await repository.collectGarbage(hourly)
      await age(repository, 100)
      const child = await commit(repository, 'new', [parent])
      await repository.collectGarbage(hourly)
      await repository.moveBranch('a', child, undefined)
      assert.equal((await repository.log(child, 9)).length, 2)
      assert.equal((await repository.listFiles(parent)).length, 1)
      assertSound(repository)
    })

    test('while a peer is sending, nothing goes that its objects may rest on', async (t) => {
      const repository = await open(t, kind)
      const base = await commit(repository, 'base')
      const quarantine = await repository.quarantine()
      await repository.collectGarbage(AT_ONCE)
      assert.equal(await repository.hasCommit(base), true)
      await quarantine.discard()
      await repository.collectGarbage(AT_ONCE)
      assert.equal(await repository.hasCommit(base), false)
    })

    test('readers and writers go on while it works', async (t) => {
      const repository = await open(t, kind)
      const tips: string[] = []
      const write = async (from: number) => {
        for (let i = from; i < from + 8; i += 1) {
          const tip = await commit(repository, `${i}`.repeat(1_000))
          await repository.moveBranch(`b${i}`, tip, undefined)
          tips.push(tip)
        }
      }
      await write(0)
      const read = async () => {
        for (const tip of [...tips, ...tips]) assert.equal((await repository.listFiles(tip)).length, 1)
      }
      const collect = () => repository.collectGarbage({ pruneOlderThanMs: HOUR_MS, keep: [] })
      await Promise.all([collect(), read(), write(100), collect(), read()])
      assert.equal((await repository.branches()).size, 16)
      for (const tip of tips) assert.equal((await repository.listFiles(tip)).length, 1)
      assertSound(repository)
    })

    test('who is being sent a pack gets all of it, although the packs behind it are joined', async (t) => {
      const repository = await open(t, kind)
      const other = await open(t, 'native')
      const tips: string[] = []
      for (let i = 0; i < 3; i += 1) {
        const parents = tips.slice(-1)
        const tip = await commit(repository, randomBytes(400_000).toString('base64'), parents)
        await repository.moveBranch(`b${i}`, tip, undefined)
        execFileSync('git', ['-C', repository.path, 'repack', '-q', '-d'])
        tips.push(tip)
      }
      const signal = AbortSignal.timeout(20_000)
      const pack = async function* () {
        let first = true
        for await (const chunk of repository.packObjects(tips, [], signal)) {
          if (first) await repository.collectGarbage(AT_ONCE)
          first = false
          yield chunk
        }
      }
      const quarantine = await other.quarantine()
      await quarantine.receive(pack(), signal)
      await quarantine.admit(tips, signal)
      await quarantine.discard()
      assert.equal((await repository.size()).packs, 1)
      assert.deepEqual(await other.verify(), { objects: 9, problems: [] })
    })

    test('a collection that is called off has lost nothing', async (t) => {
      const repository = await open(t, kind)
      await repository.moveBranch('a', await commit(repository, 'x'), undefined)
      const calledOff = AbortSignal.abort(new Error('called off'))
      await assert.rejects(repository.collectGarbage({ ...AT_ONCE, signal: calledOff }), /called off/)
      for (let i = 0; i < 5; i += 1) {
        const tip = await commit(repository, `${i}`)
        await repository.moveBranch(`b${i}`, tip, undefined)
        const ending = new AbortController()
        const collecting = repository.collectGarbage({ ...AT_ONCE, signal: ending.signal })
        setTimeout(() => ending.abort(new Error('called off')), i * 4)
        await collecting.catch((error: Error) => assert.match(error.message, /called off/))
        assert.equal((await repository.listFiles(tip)).length, 1)
      }
      assertSound(repository)
    })

    test('a sound repository has no problems', async (t) => {
      const repository = await open(t, kind)
      await repository.moveBranch('a', await commit(repository, 'x'), undefined)
      await commit(repository, 'nobody needs this')
      await repository.collectGarbage({ pruneOlderThanMs: HOUR_MS, keep: [] })
      assert.deepEqual(await repository.verify(), { objects: 6, problems: [] })
    })

    test('what is missing, broken, or against the rules is told by its id', async (t) => {
      const repository = await open(t, kind)
      const tip = await commit(repository, 'whole')
      const [file] = await repository.listFiles(tip)
      const oid = file?.oid as string
      const evil = await plantCommit(repository, [{ mode: '100644', name: '.GIT', oid }])
      const device = await plantCommit(repository, [{ mode: '100644', name: 'nul', oid }])
      const gone = await plantTree(repository, 'f'.repeat(40))
      const odd = await writeLoose(
        repository.path,
        'tree',
        Buffer.concat([
          encodeTree([{ mode: '100644', name: 'b', oid }]),
          encodeTree([{ mode: '100644', name: 'a', oid }]),
        ]),
      )
      const branches = { tip, evil, device, gone, odd: await plantTree(repository, odd) }
      for (const [name, commitId] of Object.entries(branches))
        await repository.moveBranch(name, commitId, undefined)
      const lost = (await repository.readCommit(await commit(repository, 'lost'))).tree
      await repository.moveBranch('lost', await plantTree(repository, lost), undefined)
      const hollow = join(repository.path, 'objects', lost.slice(0, 2), lost.slice(2))
      await rm(hollow)
      const found = (await repository.verify()).problems
      const told = new Set(found.map((problem) => `${problem.code} ${problem.oid}`))
      const expected = [
        `PATH_UNSAFE ${(await repository.readCommit(evil)).tree}`,
        `PATH_UNSAFE ${(await repository.readCommit(device)).tree}`,
        `PATH_UNSAFE ${odd}`,
        `MISSING ${'f'.repeat(40)}`,
        `MISSING ${lost}`,
      ]
      assert.deepEqual([...told].sort(), expected.sort())
    })

    test('a torn object is told, and the rest is checked all the same', async (t) => {
      const repository = await open(t, kind)
      const tip = await commit(repository, 'x'.repeat(10_000))
      await repository.moveBranch('a', tip, undefined)
      const oid = (await repository.listFiles(tip))[0]?.oid as string
      await truncate(join(repository.path, 'objects', oid.slice(0, 2), oid.slice(2)), 20)
      const { problems } = await repository.verify()
      assert.deepEqual(
        problems.map((problem) => `${problem.code} ${problem.oid}`),
        [`CORRUPT ${oid}`],
      )
    })
  })
}
