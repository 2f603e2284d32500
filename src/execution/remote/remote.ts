/**
 * Runs between members: what this node offers and takes (its policy, the tools that its private data trust), and the
 * runs that it has given to others.
 */
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import { type Startable, StopStack } from '../../base/lifecycle.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import type { Network } from '../../network/network.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Engines } from '../engines/engines.ts'
import { RunIds } from '../runs/run-ids.ts'
import type { ExecutionSettings } from '../settings.ts'
import { arrivalOf, type ShownRemoteRun } from './arrival.ts'
import { candidatesOf } from './candidates.ts'
import { Offers } from './offers.ts'
import type { Candidate } from './placement.ts'
import { checkHand } from './plan-hand.ts'
import { PolicyHook } from './policy-hook.ts'
import { RemoteLogs } from './remote-logs.ts'
import type { RemoteRun } from './remote-run.ts'
import { RemoteRunStore } from './remote-run-store.ts'
import { RemoteRuns } from './remote-runs.ts'
import { type HostExecution, RunDesk } from './run-desk.ts'
import { RunHost } from './run-host.ts'
import type { RequestedTool } from './run-request.ts'
import { bareDigest, TrustBook, type TrustEntry, type TrustedLayout } from './trust.ts'

export interface RemoteParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'list' | 'get' | 'self' | 'isMember' | 'onChange'>
  /** Whether a member is there now. */
  readonly online: (peer: string) => boolean
  readonly network: Pick<Network, 'handle' | 'open' | 'onConnect'>
  readonly datasets: Pick<
    Datasets,
    'find' | 'list' | 'holds' | 'repository' | 'follows' | 'mayRead' | 'onAccess'
  >
  readonly execution: HostExecution
  readonly engines: Pick<Engines, 'states' | 'of'>
  readonly database: Database
  /** The node's data directory. */
  readonly directory: string
  readonly settings: ExecutionSettings
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

export interface TrustWanted {
  readonly tool?: string | undefined
  readonly digest?: string | undefined
  readonly filter?: string | undefined
  readonly logs?: boolean | undefined
  readonly parameters?: boolean | undefined
  readonly layout?: TrustedLayout | undefined
}

export class Remote implements Startable {
  readonly offers: Offers
  readonly runs: RemoteRuns
  readonly #parts: RemoteParts
  readonly #trust: TrustBook
  readonly #host: RunHost
  readonly #running = new StopStack()

  constructor(parts: RemoteParts) {
    this.#parts = parts
    const { registry, members, network, datasets, execution, engines, database, directory } = parts
    const { settings, peer, clock } = parts
    const log = parts.log.child({ room: 'remote' })
    this.offers = new Offers({ registry, members, engines, settings, peer, clock, log })
    this.#trust = new TrustBook({ database, datasets, peer, clock })
    const hook = new PolicyHook(settings.remote.hook, log)
    const desk = new RunDesk({
      ...{ execution, datasets, members, engines, trust: this.#trust, hook, settings, peer },
    })
    this.#host = new RunHost({ streams: network, desk, execution, datasets, members, log })
    const ids = new RunIds(clock)
    this.runs = new RemoteRuns({
      streams: network,
      onConnect: (connected) => network.onConnect(connected),
      candidates: () => this.candidates(),
      isOperator: () => members.get(peer)?.role === 'operator',
      isMember: (one) => members.isMember(one),
      store: new RemoteRunStore(database),
      logs: new RemoteLogs(join(directory, 'remote-runs')),
      planOf: (pipeline) => {
        const item = execution.pipelines.get(pipeline)
        if (item !== undefined) {
          checkHand(pipeline, item.value.steps, execution.handIn(pipeline), (name) => datasets.find(name))
          return item.value.steps
        }
        throw new NodeError('PIPELINE_NOT_FOUND', `No pipeline is named ${pipeline}`, { name: pipeline })
      },
      toolOf: (tool) => this.#toolOf(tool),
      newId: () => ids.next(),
      ...{ clock, log },
    })
  }

  async start(): Promise<void> {
    await this.#trust.load()
    await this.#running.start('offers', this.offers)
    await this.#running.start('run host', this.#host)
    await this.#running.start('remote runs', this.runs)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }

  /** The other members as places for runs. */
  candidates(): Candidate[] {
    const { members, online, datasets, peer } = this.#parts
    const others = members.list().filter((member) => member.peer !== peer)
    return candidatesOf(others, { online, offer: (one) => this.offers.of(one), datasets: datasets.list() })
  }

  /** A remote run, and of each of its results whether it is here. @throws NodeError RUN_NOT_FOUND */
  async shown(run: RemoteRun): Promise<ShownRemoteRun> {
    return arrivalOf(run, this.#parts.peer, this.#parts.datasets)
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  trusted(dataset: string): TrustEntry[] {
    this.#known(dataset)
    return this.#trust.of(dataset)
  }

  /**
   * Lets a tool, by the digest that its image has here now, read a dataset that does not leave this node.
   *
   * @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, INVALID_INPUT, TOOL_NOT_FOUND, IMAGE_NOT_FOUND.
   */
  async trust(dataset: string, wanted: TrustWanted): Promise<TrustEntry> {
    this.#known(dataset)
    const { tool, digest, filter, layout, logs = false, parameters = false } = wanted
    const named = digest ?? (tool === undefined ? undefined : await this.#digestHere(tool))
    if (named === undefined) {
      throw new NodeError(
        'INVALID_INPUT',
        'Say which tool is trusted, by its name (--tool) or digest (--digest)',
      )
    }
    const entry = await this.#trust.trust(dataset, {
      digest: named,
      ...(tool === undefined ? {} : { tool }),
      ...(filter === undefined ? {} : { filter: { tool: filter, digest: await this.#digestHere(filter) } }),
      ...(layout === undefined ? {} : { layout }),
      ...{ logs, parameters },
    })
    this.#host.judgeAgain()
    return entry
  }

  /** Runs at work that rely on it are ended. @returns the digests. @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, NOT_FOUND */
  async distrust(
    dataset: string,
    wanted: { tool?: string | undefined; digest?: string | undefined },
  ): Promise<string[]> {
    this.#known(dataset)
    const digests = this.#trust
      .of(dataset)
      .filter(
        (entry) =>
          entry.digest === wanted.digest || (wanted.tool !== undefined && entry.tool === wanted.tool),
      )
      .map(({ digest }) => digest)
    if (digests.length === 0) {
      const what = wanted.digest ?? `a tool named ${wanted.tool}`
      throw new NodeError('NOT_FOUND', `${dataset} does not trust ${what}`, { dataset })
    }
    for (const digest of digests) await this.#trust.distrust(dataset, digest)
    this.#host.judgeAgain()
    return digests
  }

  #known(dataset: string): void {
    if (this.#parts.datasets.find(dataset) !== undefined) return
    throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${dataset}`, { name: dataset })
  }

  /** The digest by which a member knows the image: the reference's own, else that of the image as it is here. */
  async #toolOf(tool: string): Promise<RequestedTool> {
    const image = this.#imageOf(tool)
    const digest = bareDigest(image) ?? (await this.#inspected(image))
    return { image, ...(digest === undefined ? {} : { digest }) }
  }

  /** @throws NodeError TOOL_NOT_FOUND, IMAGE_NOT_FOUND, ENGINE_UNAVAILABLE */
  async #digestHere(tool: string): Promise<string> {
    const image = this.#imageOf(tool)
    const found = await this.#parts.engines.of().images.inspect(image)
    const digest = bareDigest(image) ?? (found === undefined ? undefined : bareDigest(found.digest))
    if (digest !== undefined) return digest
    const message = `The image ${image} of ${tool} is not on this machine; bring it with "docker pull ${image}", or name the digest with --digest`
    throw new NodeError('IMAGE_NOT_FOUND', message, { image })
  }

  async #inspected(image: string): Promise<string | undefined> {
    try {
      const found = await this.#parts.engines.of().images.inspect(image)
      return found === undefined ? undefined : bareDigest(found.digest)
    } catch {
      // A node without an engine gives its runs to others all the same: they know their images.
      return undefined
    }
  }

  #imageOf(tool: string): string {
    const found = this.#parts.execution.tools.get(tool)
    if (found !== undefined) return found.value.image
    throw new NodeError('TOOL_NOT_FOUND', `No tool is named ${tool} in this federation`, { name: tool })
  }
}
