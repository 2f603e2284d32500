import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const open = async (t: TestContext, kind: BackendKind): Promise<PackRepository> =>
  (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))

async function write(
  repository: PackRepository,
  files: Readonly<Record<string, string>>,
  parents: readonly string[] = [],
): Promise<string> {
  const entries = await Promise.all(
    Object.entries(files).map(async ([path, content]) => {
      const oid = await writeLoose(repository.path, 'blob', Buffer.from(content))
      return { path, mode: '100644', oid } as const
    }),
  )
  const tree = await repository.writeTree(entries)
  return repository.writeCommit({ tree, parents, message: 'x', author: PERSON, timeMs: TIME_MS })
}

async function lose(repository: PackRepository, commit: string, path: string): Promise<void> {
  const { oid } = (await repository.listFiles(commit)).find((file) => file.path === path) ?? assert.fail(path)
  await rm(join(repository.path, 'objects', oid.slice(0, 2), oid.slice(2)))
}

const OLD = { top: 'a', 'd/e/deep': 'b', 'same/f': 'c' }

for (const kind of BACKENDS) {
  suite(`rests of what was here, with the ${kind} backend`, () => {
    test('a commit is whole when all is here that it leads to, or a branch says so', async (t) => {
      const repository = await open(t, kind)
      const first = await write(repository, OLD)
      const second = await write(repository, { ...OLD, top: 'A' }, [first])
      assert.deepEqual([await repository.isWhole(first), await repository.isWhole(second)], [true, true])
      assert.equal(await repository.isWhole('f'.repeat(40)), false)
      await lose(repository, first, 'd/e/deep')
      assert.deepEqual([await repository.isWhole(first), await repository.isWhole(second)], [false, false])
      await repository.moveBranch('b', first, undefined)
      assert.deepEqual([await repository.isWhole(first), await repository.isWhole(second)], [true, true])
      const third = await write(repository, { ...OLD, 'new/g': 'g' }, [second])
      assert.equal(await repository.isWhole(third), true)
      await lose(repository, third, 'new/g')
      assert.equal(await repository.isWhole(third), false)
    })

    for (const lost of ['top', 'd/e/deep']) {
      test(`what arrives does not stand on a rest that lacks ${lost}`, async (t) => {
        const [there, here] = [await open(t, kind), await open(t, kind)]
        const first = await write(there, OLD)
        const second = await write(there, { new: 'n' }, [first])
        const signal = AbortSignal.timeout(20_000)
        assert.equal(await write(here, OLD), first)
        const take = async () => {
          const quarantine = await here.quarantine()
          try {
            await quarantine.receive(there.packObjects([second], [first], signal), signal)
            await quarantine.admit([second], signal)
          } finally {
            await quarantine.discard()
          }
        }
        await lose(here, first, lost)
        await assert.rejects(take(), (error: { code?: string; data?: { missing?: boolean } }) => {
          assert.deepEqual([error.code, error.data?.missing], ['PACK_REJECTED', true])
          return true
        })
        assert.equal(await write(here, OLD), first)
        await take()
        assert.equal(await here.isWhole(second), true)
      })
    }
  })
}
