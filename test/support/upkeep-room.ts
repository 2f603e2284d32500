import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { chooseBackend, Shelf } from '../../src/datasets/shelf.ts'
import { Accounts } from '../../src/datasets/upkeep/accounts.ts'
import { Checkouts } from '../../src/datasets/upkeep/checkouts.ts'
import { guarded } from '../../src/datasets/upkeep/guarded-repository.ts'
import type { BackendKind } from './git-backends.ts'

export interface UpkeepRoom {
  readonly air: PackRepository
  readonly checkouts: Checkouts
  close(): Promise<void>
}

/** The repositories of a node and its checkouts below `directory`, opened as a start opens them, and nothing else. */
export async function openUpkeepRoom(directory: string, kind: BackendKind): Promise<UpkeepRoom> {
  const settings = { quotaBytes: 0, totalBytes: 0, freeBytesMin: 0 }
  const accounts = new Accounts({ directory, settings, emit: () => undefined })
  const shelf = new Shelf(join(directory, 'datasets'), await chooseBackend(kind), (name, repository) =>
    guarded(name, repository, { accounts, ingested: () => undefined }),
  )
  await shelf.tidy()
  const checkouts = new Checkouts({
    ...{ directory: join(directory, 'checkouts'), bytesMax: 1_000_000, reserveBytes: 0 },
    ...{ repository: (name: string) => shelf.open(name), clock: systemClock, log: silentLogger },
  })
  await checkouts.start()
  const close = async () => {
    await checkouts.stop()
    await shelf.close()
  }
  return { air: await shelf.open('air'), checkouts, close }
}
