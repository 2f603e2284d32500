import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { smallFileBytesMax } from '../../src/base/limits.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function open(t: TestContext, kind: BackendKind): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

function commit(repository: PackRepository, tree: string): Promise<string> {
  return repository.writeCommit({ tree, parents: [], message: 'x', author: PERSON, timeMs: TIME_MS })
}

for (const kind of BACKENDS) {
  suite(`storing a directory with the ${kind} backend`, () => {
    test('many files come as one pack, what is there already is not stored again, a few stay single', async (t) => {
      const repository = await open(t, kind)
      const directory = await temporaryDirectory(t)
      for (let i = 0; i < 60; i += 1) {
        await mkdir(join(directory, `d${i % 3}`), { recursive: true })
        // Every tenth holds the same.
        await writeFile(join(directory, `d${i % 3}`, `f${i}`), `content ${i % 10 === 0 ? 0 : i}\n`)
      }
      const tree = await repository.writeTreeFromDirectory(directory)
      const first = await repository.size()
      assert.deepEqual([first.looseObjects, first.packs, first.objects], [0, 1, 55 + 4])
      assert.equal(await repository.writeTreeFromDirectory(directory), tree)
      assert.deepEqual(await repository.size(), first)
      await writeFile(join(directory, 'd0/f0'), 'other\n')
      await repository.writeTreeFromDirectory(directory)
      const second = await repository.size()
      assert.deepEqual([second.looseObjects, second.packs], [3, 1])
      assert.equal((await repository.listFiles(await commit(repository, tree))).length, 60)
      execFileSync('git', ['-C', repository.path, 'fsck', '--strict', '--no-dangling'], { stdio: 'pipe' })
      assert.deepEqual((await repository.verify()).problems, [])
    })

    test('what was on its way out is stored again', async (t) => {
      const repository = await open(t, kind)
      const directory = await temporaryDirectory(t)
      for (let i = 0; i < 20; i += 1) await writeFile(join(directory, `f${i}`), `content ${i}\n`)
      const tree = await repository.writeTreeFromDirectory(directory)
      const aged = { pruneOlderThanMs: 3_600_000, keep: [] }
      await repository.collectGarbage(aged)
      const packs = join(repository.path, 'objects/pack')
      const marked = (await readdir(packs)).filter((name) => /^pack-.*\.(?:pack|unreached)$/.test(name))
      assert.equal(marked.length, 2)
      const before = Date.now() - 100 * aged.pruneOlderThanMs
      for (const name of marked) {
        if (name.endsWith('.unreached')) await writeFile(join(packs, name), `${before}\n`)
        await utimes(join(packs, name), before / 1_000, before / 1_000)
      }
      assert.equal(await repository.writeTreeFromDirectory(directory), tree)
      await repository.collectGarbage(aged)
      await repository.moveBranch('a', await commit(repository, tree), undefined)
      await repository.collectGarbage(aged)
      assert.equal((await repository.listFiles(await commit(repository, tree))).length, 20)
      assert.deepEqual((await repository.verify()).problems, [])
    })

    test('a file that is too large to be read whole is stored among small ones', async (t) => {
      const repository = await open(t, kind)
      const directory = await temporaryDirectory(t)
      await writeFile(join(directory, 'large'), 'large')
      await truncate(join(directory, 'large'), smallFileBytesMax + 1)
      for (let i = 0; i < 20; i += 1) await writeFile(join(directory, `f${i}`), `content ${i}\n`)
      const id = await commit(repository, await repository.writeTreeFromDirectory(directory))
      assert.equal((await repository.entryAt(id, 'large'))?.size, smallFileBytesMax + 1)
      assert.equal((await repository.listDirectory(id, '')).length, 21)
      assert.deepEqual((await repository.verify()).problems, [])
    })
  })
}
