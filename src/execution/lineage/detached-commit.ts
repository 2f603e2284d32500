import type { Repository } from '../../datasets/git/repository.ts'

/**
 * Commits what a directory holds beside all branches: the commit can be read and compared, and stays as long as its run
 * is remembered.
 *
 * @throws NodeError PATH_UNSAFE
 */
export async function commitDetached(p: {
  repository: Pick<Repository, 'writeTreeFromDirectory' | 'writeCommit'>
  directory: string
  message: string
  parent: string | null
  by: { readonly peer: string; readonly name: string }
  timeMs: number
}): Promise<string> {
  const { repository, directory, message, parent, by, timeMs } = p
  const tree = await repository.writeTreeFromDirectory(directory)
  return repository.writeCommit({
    ...{ tree, message, timeMs },
    parents: parent === null ? [] : [parent],
    author: { name: by.name, email: `${by.peer}@mao.invalid` },
  })
}
