import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { type Startable, StopStack } from '../../base/lifecycle.ts'
import type { Logger } from '../../base/logger.ts'
import type { Repository } from '../git/repository.ts'
import type { DatasetsSettings } from '../settings.ts'
import { Checkouts } from './checkouts.ts'

export interface UpkeepParts {
  /** Of the repositories; trees for runs lie beside it. */
  readonly directory: string
  readonly settings: DatasetsSettings
  readonly repository: (dataset: string) => Promise<Repository>
  readonly clock: Clock
  readonly log: Logger
}

/** Keeps datasets within the disk. */
export class Upkeep implements Startable {
  readonly checkouts: Checkouts
  readonly #running = new StopStack()

  constructor({ directory, settings, repository, clock, log }: UpkeepParts) {
    this.checkouts = new Checkouts({
      directory: join(dirname(directory), 'checkouts'),
      repository,
      bytesMax: settings.checkoutBytesMax,
      reserveBytes: settings.freeBytesMin,
      clock,
      log,
    })
  }

  async start(): Promise<void> {
    await this.#running.start('checkouts', this.checkouts)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }
}
