import type { TestContext } from 'node:test'
import { encodeCommit, encodeTree, type TreeEntry } from '../../src/datasets/git/git-objects.ts'
import { GitProgram } from '../../src/datasets/git/git-program.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import { IsomorphicBackend } from '../../src/datasets/git/isomorphic-repository.ts'
import { NativeBackend } from '../../src/datasets/git/native-repository.ts'
import type { GitBackend, PackRepository } from '../../src/datasets/git/repository.ts'

export type BackendKind = GitBackend['kind']
export const BACKENDS: readonly BackendKind[] = ['native', 'isomorphic']

/** The real thing of each kind, ended with the test. */
export async function gitBackend(test: Pick<TestContext, 'after'>, kind: BackendKind): Promise<GitBackend> {
  const backend = kind === 'isomorphic' ? new IsomorphicBackend() : new NativeBackend(await installedGit())
  test.after(() => backend.stop())
  return backend
}

async function installedGit(): Promise<GitProgram> {
  const git = await GitProgram.find()
  if (git === undefined) throw new Error('These tests need the git program')
  return git
}

export const PERSON = { name: 'Ada', email: 'ada@example.invalid' }
export const TIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5)

/** A commit with these entries at the top of its tree, written without asking whether that is wise. */
export async function plantCommit(
  repository: PackRepository,
  entries: readonly { mode: string; name: string; content?: string; oid?: string }[],
  parents: readonly string[] = [],
): Promise<string> {
  const stored: TreeEntry[] = []
  for (const { mode, name, content, oid } of entries) {
    const id = oid ?? (await writeLoose(repository.path, 'blob', Buffer.from(content ?? '')))
    stored.push({ mode: mode as TreeEntry['mode'], name, oid: id })
  }
  const tree = await writeLoose(repository.path, 'tree', encodeTree(stored))
  return plantTree(repository, tree, parents)
}

export function plantTree(
  repository: PackRepository,
  tree: string,
  parents: readonly string[] = [],
): Promise<string> {
  const commit = encodeCommit({
    tree,
    parents: [...parents],
    message: 'planted\n',
    author: PERSON,
    timeMs: TIME_MS,
  })
  return writeLoose(repository.path, 'commit', commit)
}
