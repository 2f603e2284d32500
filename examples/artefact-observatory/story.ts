/**
 * What the demo does, in the order in which a group of people would do it. Whatever changes something goes through
 * `maoctl`, so that this file is also a manual; only runs are submitted to the API, together with a slot, as the
 * scheduler does it.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { datasetSchema } from '../../src/api/dataset-views.ts'
import { type RoundView, roundSchema, truthSchema, verificationSchema } from '../../src/api/round-views.ts'
import { type RunView, runSchema } from '../../src/api/run-views.ts'
import {
  federationSchema,
  invitationSchema,
  memberSchema,
  notificationViewSchema,
  pipelineViewSchema,
  toolViewSchema,
} from '../../src/api/views.ts'
import { lostRows } from './lost-rows.ts'
import { copyInstalledManifests } from './manifests.ts'
import { maoctl } from './maoctl.ts'
import type { NodeProcess } from './node-process.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { everywhere, until } from './patience.ts'

const PROJECT = join(import.meta.dirname, '..', '..')
const PIPELINE_FILE = join(import.meta.dirname, 'pipeline.yaml')
const NAME = 'observatory'

/** The outputs that the members compare, with the step that writes them; the first is the demo's main matter. */
export const OUTPUTS = [
  { dataset: 'packages', step: 'collect' },
  { dataset: 'assessment', step: 'assess' },
] as const

/** The spike rule needs three values. */
export const RUNS = 3

const catchUpTimeoutMs = 20_000
const runTimeoutMs = 60_000
const roundTimeoutMs = 90_000
const roundWindow = '15s'

export interface StoryParts {
  /** The first one founds the federation. */
  nodes: readonly [NodeProcess, ...NodeProcess[]]
  /** For the files of the demo itself. */
  directory: string
  say: (text: string) => void
  signal: AbortSignal
}

export class Story {
  readonly #parts: StoryParts

  constructor(parts: StoryParts) {
    this.#parts = parts
  }

  async tell(): Promise<Outcome> {
    const members = await this.#federate()
    await this.#furnish()
    const runs = await this.#run()
    const datasets = await this.#replicate()
    const rounds: RoundView[] = []
    for (const { dataset, step } of OUTPUTS) rounds.push(await this.#agree(dataset, step))
    const truths = await this.#adopt(rounds)
    const notifications = await this.#notified(runs)
    const [packages] = truths[0] ?? []
    const differing = (packages?.agreement ?? []).filter(({ agrees }) => !agrees)
    const lost = await lostRows({
      node: this.#parts.nodes[0],
      dataset: OUTPUTS[0].dataset,
      directory: join(this.#parts.directory, 'clone'),
      differing: differing.map(({ name: member, differences }) => {
        const files = differences.different.filter((path) => path.startsWith('packages-'))
        return { member, branch: `${OUTPUTS[0].step}-${member}`, files }
      }),
      signal: this.#parts.signal,
    })
    return outcomeOf({
      nodes: this.#parts.nodes,
      members,
      datasets,
      rounds,
      truths,
      runs,
      notifications,
      lost,
    })
  }

  /** One founds, invites; the others join. */
  async #federate() {
    const { nodes, say } = this.#parts
    const [founder, ...others] = nodes
    await this.#maoctl(founder, ['federation', 'create', '--name', NAME], federationSchema)
    for (const node of others) {
      const { token } = await this.#maoctl(founder, ['federation', 'invite'], invitationSchema)
      await this.#maoctl(node, ['federation', 'join', token], federationSchema)
    }
    const [members = []] = await everywhere(
      nodes,
      'all members',
      async (node) => {
        const known = await node.api.get('/federation/members', z.array(memberSchema))
        return known.length === nodes.length ? known : undefined
      },
      this.#patience(catchUpTimeoutMs),
    )
    say(`${nodes.length} nodes know each other`)
    return members
  }

  /** The founder brings tools, data and the pipeline; the others get to know of them. */
  async #furnish(): Promise<void> {
    const { nodes, directory, say } = this.#parts
    const [founder] = nodes
    for (const tool of ['collect', 'assess']) {
      const words = ['tool', 'add', tool, '--image', `mao/${tool}:1`, '--author', NAME]
      await this.#maoctl(founder, words, toolViewSchema)
    }
    const input = join(directory, 'input')
    const packages = await copyInstalledManifests(PROJECT, input)
    say(`${packages} packages are installed here; their manifests are the data`)
    await this.#maoctl(founder, ['dataset', 'import', input, '--name', 'manifests'], datasetSchema)
    for (const { dataset } of OUTPUTS) {
      await this.#maoctl(founder, ['dataset', 'add', '--name', dataset], datasetSchema)
    }
    await this.#maoctl(founder, ['pipeline', 'add', '-f', PIPELINE_FILE], pipelineViewSchema)
    await everywhere(
      nodes,
      `the pipeline ${NAME}`,
      async (node) => {
        const known = await node.api.get('/pipelines', z.array(pipelineViewSchema))
        return known.find(({ name }) => name === NAME)
      },
      this.#patience(catchUpTimeoutMs),
    )
  }

  /** Every node runs the pipeline, three times; the last runs, in the order of the nodes. */
  async #run(): Promise<RunView[]> {
    const { nodes, say } = this.#parts
    let runs: RunView[] = []
    for (let count = 1; count <= RUNS; count++) {
      // One slot for all members: their files get the same names, and can be compared.
      const slot = Date.now()
      runs = await Promise.all(nodes.map((node) => this.#runAt(node, slot)))
      const collected = runs.map((run, at) => `${nodes[at]?.name} ${run.steps[0]?.report?.value ?? '?'}`)
      say(`run ${count} of ${RUNS}: packages collected: ${collected.join(', ')}`)
    }
    return runs
  }

  async #runAt(node: NodeProcess, slot: number): Promise<RunView> {
    const { id } = await node.api.post('/runs', runSchema, { pipeline: NAME, slot })
    const ended = await until(
      `the run at ${node.name}`,
      async () => {
        const run = await node.api.get(`/runs/${id}`, runSchema)
        return run.endedMs === undefined ? undefined : run
      },
      this.#patience(runTimeoutMs),
    )
    if (ended.state === 'succeeded') return ended
    throw new Error(`The run at ${node.name} ended ${ended.state}: ${ended.reason ?? 'no reason was given'}`)
  }

  /** Every node has fetched the heads of every other; the datasets as the founder sees them. */
  async #replicate() {
    const { nodes, say } = this.#parts
    const [datasets = []] = await everywhere(
      nodes,
      "the others' results",
      async (node) => {
        const shown = OUTPUTS.map(({ dataset }) => node.api.get(`/datasets/${dataset}`, datasetSchema))
        const all = await Promise.all(shown)
        const complete = all.every(({ branches, replicated }) => {
          const announced = branches.filter((each) => each.announced && each.present)
          return replicated && announced.length === nodes.length
        })
        return complete ? all : undefined
      },
      this.#patience(catchUpTimeoutMs),
    )
    say('every node holds the results of every other')
    return datasets
  }

  async #agree(dataset: string, step: string): Promise<RoundView> {
    const { nodes, say } = this.#parts
    const words = ['round', 'open', dataset, '--step', step, '--window', roundWindow]
    const { id } = await this.#maoctl(nodes[0], words, roundSchema)
    const ended = await until(
      `the round on ${dataset}`,
      async () => {
        const round = await nodes[0].api.get(`/rounds/${id}`, roundSchema)
        return round.state === 'decided' || round.state === 'undecided' ? round : undefined
      },
      this.#patience(roundTimeoutMs),
    )
    if (ended.state !== 'decided') {
      throw new Error(`The round on ${dataset} is undecided: ${ended.explanation ?? 'no reason was given'}`)
    }
    say(`${dataset}: ${ended.votes.length} of ${ended.electorate.length} signed one result`)
    return ended
  }

  /** The branch `ground-truth` has moved on every node, and each can say who agreed. */
  async #adopt(rounds: readonly RoundView[]) {
    const { nodes } = this.#parts
    const truths = await everywhere(
      nodes,
      'the ground truth',
      async (node) => {
        const shown = OUTPUTS.map(({ dataset }) => node.api.get(`/datasets/${dataset}/truth`, truthSchema))
        const all = await Promise.all(shown)
        const complete = all.every(({ adopted, commit, agreement }, at) => {
          return adopted && commit === rounds[at]?.commit && agreement.length === nodes.length
        })
        return complete ? all : undefined
      },
      this.#patience(catchUpTimeoutMs),
    )
    const last = nodes.at(-1) ?? nodes[0]
    const words = ['dataset', 'truth', OUTPUTS[0].dataset, '--verify']
    await this.#maoctl(last, words, verificationSchema)
    return truths
  }

  /** The spikes as the founder knows them: each was noticed elsewhere, and came with the registry. */
  #notified(runs: readonly RunView[]) {
    const noticed = runs.flatMap(({ steps }) => steps).filter(({ report }) => report?.verdict === 'spike')
    return until(
      'the notifications of spikes',
      async () => {
        const known = await this.#parts.nodes[0].api.get('/notifications', z.array(notificationViewSchema))
        return known.length === noticed.length ? known : undefined
      },
      this.#patience(catchUpTimeoutMs),
    )
  }

  #patience(timeoutMs: number) {
    return { timeoutMs, signal: this.#parts.signal }
  }

  #maoctl<T>(node: NodeProcess, words: readonly string[], schema: z.ZodType<T>): Promise<T> {
    const shown = words.map((word) => (word.length > 60 ? `${word.slice(0, 12)}…` : word))
    this.#parts.say(`${node.name} $ maoctl ${shown.join(' ')}`)
    return maoctl(node, words, schema, this.#parts.signal)
  }
}
