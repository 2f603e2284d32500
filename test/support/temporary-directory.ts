import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A new directory that is gone when the test is over. */
export async function temporaryDirectory(test: Pick<TestContext, 'after'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mao-test-'))
  test.after(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}
