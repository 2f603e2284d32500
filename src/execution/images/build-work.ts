import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import { archive } from '../../datasets/browse/archive.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { type Engines, LOCAL_ENGINE } from '../engines/engines.ts'
import type { BroughtImages } from './brought-images.ts'
import type { Build } from './build.ts'
import { packFiles, readDockerfile, takeContext, wantedFiles } from './build-context.ts'
import { fetchGitSource } from './build-git.ts'
import { type DockerfileNeeds, dockerfileNeeds, handedOn } from './dockerfile.ts'
import { withTag } from './image-reference.ts'
import type { Images } from './images.ts'
import type { BuildsSettings } from './settings.ts'

export interface BuildWorkParts {
  readonly engines: Pick<Engines, 'of'>
  readonly images: Pick<Images, 'bring'>
  readonly brought: Pick<BroughtImages, 'note' | 'list'>
  readonly datasets: Pick<Datasets, 'repository' | 'upstreams'>
  readonly settings: BuildsSettings
  readonly freeBytesMin: () => number
  readonly clock: Clock
}

export interface Working {
  readonly build: Build
  /** Where the files of the build are, or are to be put. */
  readonly context: string
  readonly signal: AbortSignal
  /** Takes what is to stand in the log. */
  readonly say: (text: string) => Promise<void>
  /** Keeps what has been found out on the way. */
  readonly note: (patch: Pick<Build, 'bases'> | Pick<Build, 'source'>) => Promise<void>
}

/** The classic builder names each layer that it has made. */
const LAYER = /^ ---> ([0-9a-f]{12,64})\s*$/

/** One build, from its files to the image. */
export class BuildWork {
  readonly #parts: BuildWorkParts

  constructor(parts: BuildWorkParts) {
    this.#parts = parts
  }

  /**
   * A tag that means an image which this node did not bring stays with that image.
   *
   * @throws NodeError CONFLICT, ENGINE_UNAVAILABLE.
   */
  async checkTag(tag: string): Promise<void> {
    const { engines, brought } = this.#parts
    const found = await engines.of().images.inspect(tag)
    if (found === undefined) return
    const ours = await brought.list()
    const isOurs = ours.some(({ id, references }) => id === found.id && references.includes(withTag(tag)))
    if (isOurs) return
    const message = `${tag} is the name of an image here that this node did not build; choose another tag, or remove that image first`
    throw new NodeError('CONFLICT', message, { tag, image: found.id })
  }

  /**
   * @returns the id of the image.
   * @throws NodeError BUILD_FAILED, IMAGE_FORBIDDEN, IMAGE_NOT_FOUND, INVALID_INPUT, FORBIDDEN, and what fetching throws.
   */
  async run(working: Working): Promise<string> {
    const { build, signal, say } = working
    const root = await this.#files(working)
    const text = await readDockerfile(root, build.dockerfile)
    this.#checkFetches(await this.#bases(working, text))
    if (build.tag !== `mao-build:${build.id}`) await this.checkTag(build.tag)
    const { engines, brought, settings, clock } = this.#parts
    const store = engines.of().images
    const before = new Set((await store.list()).map(({ id }) => id))
    const layers: string[] = []
    let line = ''
    const onOutput = async (piece: string) => {
      line = (line + piece).slice(-200)
      const layer = LAYER.exec(line.trimEnd().split('\n').at(-1) ?? '')?.[1]
      if (layer !== undefined) layers.push(layer)
      if (piece.endsWith('\n')) line = ''
      await say(piece)
    }
    const { memoryBytes, cpus, network } = settings
    try {
      const image = await store.build({
        ...{
          context: packFiles(root, await wantedFiles(root, build.dockerfile)),
          dockerfile: build.dockerfile,
        },
        ...{ tag: build.tag, noCache: build.noCache, network, memoryBytes, cpus, signal, onOutput },
      })
      const built = await store.inspect(image)
      if (built === undefined) throw new NodeError('BUILD_FAILED', 'The image was built and then not there')
      const isNew = before.has(built.id) ? {} : { how: 'built' as const, reference: withTag(build.tag) }
      await brought.note({ engine: LOCAL_ENGINE, image: built, timeMs: clock.now(), ...isNew })
      return built.id
    } finally {
      // What a build leaves in between is this node's to remove, also where the build failed.
      for (const layer of new Set(layers)) {
        const found = await store.inspect(`sha256:${layer}`).catch(() => undefined)
        if (found === undefined || before.has(found.id)) continue
        await brought.note({ engine: LOCAL_ENGINE, image: found, how: 'built', timeMs: clock.now() })
      }
    }
  }

  /** The directory that the build sees. */
  async #files({ build, context, signal, say, note }: Working): Promise<string> {
    const { datasets, settings, freeBytesMin } = this.#parts
    const { source } = build
    if (source.kind === 'upload') return context
    const { contextBytes: bytesMax, contextEntries: entriesMax } = settings
    const limits = { bytesMax, entriesMax, freeBytesMin: freeBytesMin() }
    if (source.kind === 'git') {
      await say(`fetching ${source.url}${source.ref === undefined ? '' : ` ${source.ref}`}\n`)
      const { upstreams } = datasets
      const commit = await fetchGitSource({ upstreams, source, directory: context, limits, signal })
      await note({ source: { ...source, commit } })
      await say(`commit ${commit}\n`)
    } else {
      const { dataset, commit } = source
      await say(`taking ${dataset} at ${commit}\n`)
      const repository = await datasets.repository(dataset)
      const path = source.directory ?? ''
      const files = await archive(repository, commit, { path, timeMs: 0, signal })
      await takeContext(files, context, limits)
    }
    const root = source.directory === undefined ? context : join(context, source.directory)
    const found = await lstat(root).catch(() => undefined)
    if (found?.isDirectory()) return root
    throw new NodeError('NOT_FOUND', `There is no directory ${source.directory} to build from`)
  }

  /** Brings the images that the build begins with or copies from, each by this node's rules. @returns what it fetches. */
  async #bases({ signal, say, note }: Working, text: string): Promise<string[]> {
    const { images, engines } = this.#parts
    const found: { reference: string; digest: string }[] = []
    const onBuild: string[] = []
    const bring = async ({ bases, problems }: DockerfileNeeds) => {
      if (problems.length > 0) {
        const message = `The Dockerfile cannot be built here: ${problems.join('; ')}`
        throw new NodeError('INVALID_INPUT', message, { problems })
      }
      for (const reference of bases) {
        if (found.some((one) => one.reference === reference)) continue
        const lines: string[] = []
        const heard = (line: string) => void lines.push(`${line}\n`)
        const image = await images.bring({ reference, engine: engines.of(), signal, say: heard })
        await say(lines.join(''))
        found.push({ reference, digest: image.digest })
        onBuild.push(...image.onBuild)
      }
    }
    const own = dockerfileNeeds(text)
    await bring(own)
    // What runs in the build though it stands in none of its files; it begins with no image of its own.
    const more = handedOn(onBuild, text)
    await bring(more)
    await note({ bases: found })
    return [...own.fetches, ...more.fetches]
  }

  /** ADD fetches with the engine's own network, whatever RUN is given. */
  #checkFetches(fetches: readonly string[]): void {
    if (this.#parts.settings.network !== 'none' || fetches.length === 0) return
    const message = `ADD would fetch ${fetches.slice(0, 5).join(', ')}, and builds on this node have no network (setting execution.builds.network): put the files beside the Dockerfile, and use COPY`
    throw new NodeError('FORBIDDEN', message, { fetches: fetches.slice(0, 20) })
  }
}
