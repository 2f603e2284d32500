/** What execution knows of images, in the order in which one part needs another. Nothing is started here. */
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Engines } from '../engines/engines.ts'
import { isEnded } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { SealedValues } from '../secrets/sealed-values.ts'
import { BroughtImages } from './brought-images.ts'
import { BuildStore } from './build-store.ts'
import { BuildWork } from './build-work.ts'
import { Builds } from './builds.ts'
import type { Needs } from './image-needs.ts'
import { ImagePins } from './image-pins.ts'
import { parseImageRule } from './image-rules.ts'
import { ImageSweep } from './image-sweep.ts'
import { Images } from './images.ts'
import { RegistryLogins } from './registry-logins.ts'
import { ServiceImages } from './service-images.ts'
import type { BuildsSettings, ImagesSettings } from './settings.ts'

export interface ImageRoomsParts {
  readonly catalogue: Pick<Catalogue, 'tools' | 'addTool'>
  readonly engines: Engines
  readonly datasets: Pick<Datasets, 'repository' | 'show' | 'upstreams'>
  readonly runs: Pick<RunStore, 'list'>
  readonly database: Database
  readonly sealed: SealedValues
  readonly settings: { readonly images: ImagesSettings; readonly builds: BuildsSettings }
  readonly freeBytesMin: () => number
  /** The node's data directory. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
}

export type ImageRooms = ReturnType<typeof imageRooms>

export function imageRooms(parts: ImageRoomsParts) {
  const { catalogue, engines, datasets, database, sealed, freeBytesMin, clock, log } = parts
  const { images: settings, builds: building } = parts.settings
  const pins = new ImagePins({ database })
  const logins = new RegistryLogins({ sealed })
  const brought = new BroughtImages({ database })
  const rules = settings.allow.map(parseImageRule)
  const digestOf = (tool: string) => catalogue.tools.get(tool)?.value.service?.digest
  const images = new Images({ pins, logins, brought, settings, rules, digestOf, clock })
  const services = new ServiceImages({ images, engines, catalogue })
  const needs = () => needsOf({ ...parts, pins })
  const sweep = new ImageSweep({ brought, engines, needs, settings, clock, log })
  const work = new BuildWork({
    ...{ engines, images, brought, datasets, settings: building, freeBytesMin, clock },
  })
  const builds = new Builds({
    ...{ store: new BuildStore({ database }), work, settings: building, freeBytesMin, clock, log },
    directory: join(parts.directory, 'builds'),
    truthOf: async (dataset) => {
      const { truth } = await datasets.show(dataset)
      if (truth !== undefined) return truth
      throw new NodeError('NOT_FOUND', `Nothing was agreed on in ${dataset} yet; name a commit`, { dataset })
    },
    checkUrl: (url) => datasets.upstreams.callTo(url),
  })
  return { pins, logins, brought, images, services, sweep, builds }
}

/** What the tools of the federation name, and what runs of this node that have not ended use or will use. */
async function needsOf(
  parts: Pick<ImageRoomsParts, 'catalogue' | 'runs'> & { pins: ImagePins },
): Promise<Omit<Needs, 'containers'>> {
  const tools = parts.catalogue.tools.list().map(({ value }) => value)
  const atWork = parts.runs.list().filter((run) => !isEnded(run))
  const steps = atWork.flatMap((run) => run.steps)
  const isThere = (text: string | undefined): text is string => text !== undefined
  const references = [
    ...tools.map(({ image }) => image),
    ...steps.flatMap(({ image, filter }) => [image, filter?.image]),
  ].filter(isThere)
  const pinned = await Promise.all([...new Set(references)].map((reference) => parts.pins.find(reference)))
  const digests = [
    ...tools.map(({ service }) => service?.digest),
    ...steps.flatMap(({ digest, filter }) => [digest, filter?.digest]),
    ...atWork.flatMap(({ imageDigests = {} }) => Object.values(imageDigests)),
    ...pinned.flatMap((pin) => [pin?.id, pin?.digest]),
  ].filter(isThere)
  return { references, digests }
}
