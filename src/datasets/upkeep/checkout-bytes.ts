import type { Repository } from '../git/repository.ts'

/** The unit in which file systems give room away, as a rule. */
const BLOCK_BYTES = 4_096

export type Measurable = Pick<Repository, 'listFiles' | 'fileSizes'>

/** What the files of a commit take on the disk once they are written out. @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE */
export async function checkoutBytes(repository: Measurable, commit: string): Promise<number> {
  return filesBytes(repository, await repository.listFiles(commit))
}

/** What files take on the disk once they are written out. */
export async function filesBytes(
  repository: Pick<Repository, 'fileSizes'>,
  files: readonly { readonly oid: string }[],
): Promise<number> {
  const sizes = await repository.fileSizes(files.map(({ oid }) => oid))
  return files.reduce((sum, { oid }) => sum + Math.ceil((sizes.get(oid) ?? 0) / BLOCK_BYTES) * BLOCK_BYTES, 0)
}
