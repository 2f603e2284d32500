import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'

/** Below the data directory; emptied when the API starts. */
export const TEMPORARY_DIRECTORY = 'tmp'

/** Beside the repositories, so that what is unpacked is on the disk that has room for datasets. */
export async function temporaryDirectory(dataDirectory: string): Promise<string> {
  const parent = join(dataDirectory, TEMPORARY_DIRECTORY)
  await mkdir(parent, { recursive: true, mode: 0o700 })
  return mkdtemp(join(parent, 'import-'))
}
