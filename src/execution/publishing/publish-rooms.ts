/** What publishing is made of. Nothing is started here. */
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { withheldAs } from '../../datasets/policies.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { SealedValues } from '../secrets/sealed-values.ts'
import type { ExecutionSettings } from '../settings.ts'
import { type DestinationParts, destinationOf } from './destinations.ts'
import { type Publication, Publications } from './publications.ts'
import { Publishers } from './publishers.ts'

export interface PublishRoomsParts {
  readonly settings: Pick<ExecutionSettings, 'publishers'>
  readonly store: Pick<RunStore, 'find' | 'note'>
  readonly datasets: Pick<Datasets, 'find' | 'upstreams'>
  readonly sealed: Pick<SealedValues, 'get' | 'put'>
  readonly self: DestinationParts['self']
  /** The node's own. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly database: Database
  /** The node's data directory. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
}

/** Where keys of publishers are kept sealed; those of the node's environment go before. */
export const PUBLISHER_KEYS = 'publishers'

export function publishRooms(parts: PublishRoomsParts): Publishers {
  const { store, datasets, sealed, environment, database, clock, log } = parts
  const publications = new Publications({ database, directory: join(parts.directory, 'publications') })
  const credential = async (variable: string) => {
    const value = environment[variable] ?? (await sealed.get(PUBLISHER_KEYS, variable))
    if (value !== undefined && value !== '') return value
    const message = `No value is known for ${variable}, which a publisher needs; give it with "maoctl publisher key ${variable}", or in the environment of this node`
    throw new NodeError('FORBIDDEN', message, { variable })
  }
  // A run that is remembered says of each publication whether it is still there. It is told again at each start.
  const onRemoved = ({ run: id, step, publisher, removedMs }: Publication) => {
    const run = store.find(id)
    if (run === undefined || removedMs === undefined) return
    const steps = run.steps.map((each) => {
      if (each.name !== step || each.published === undefined) return each
      const published = each.published.map((one) =>
        one.publisher === publisher ? { ...one, removedMs } : one,
      )
      return { ...each, published }
    })
    store.note({ ...run, steps })
  }
  const isWithheld = (name: string) => {
    const known = datasets.find(name)
    return known !== undefined && withheldAs(known) !== undefined
  }
  const findRun = (id: string) => store.find(id)
  const { publishers: settings } = parts.settings
  const sealKey = (variable: string, value: string) => sealed.put(PUBLISHER_KEYS, variable, value)
  const place = join(parts.directory, 'renku')
  const makes = {
    ...{ credential, directory: place, self: parts.self },
    // Asked for when one is used: the datasets are started after this.
    get upstreams() {
      return datasets.upstreams
    },
  }
  return new Publishers({
    ...{ settings, publications, sealKey, isWithheld, findRun, onRemoved, clock, log },
    destinationOf: (each) => destinationOf(each, makes),
  })
}
