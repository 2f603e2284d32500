/**
 * How long whole nodes (without the git program) take to agree, on loopback in this process: from the cut-off, and from
 * the vote that makes the quorum, to the certificate in everybody's registry. Members' commits are everywhere before, as
 * they are after a window of minutes. The anchor passes the same messages through one real etcd, which all have to trust:
 * a closing, a vote and a confirmation of each client, a certificate; nothing is signed, counted or checked there.
 */
import { withDeadline } from '../../src/base/wait.ts'
import type { Node } from '../../src/node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { agreeThroughEtcd } from './consensus-etcd.ts'
import { federationOf } from './federation-many.ts'
import { median, type Row, row } from './figures.ts'
import { memoryDirectory, type Workplace } from './harness.ts'

const DATASET = 'data'
/** All but one have a result of this step, so that the cut-off decides when its rounds are closed. */
const AWAITED = 'collect'
/** All have a result of this one: its rounds are closed when the last ballot is there. */
const COMPLETE = 'assess'
const FILES = 20
/** All nodes share two cores here: by the end of the window everybody has looked into everybody's ballot. */
const [WINDOW_MIN_MS, WINDOW_MS_EACH] = [2_000, 400]
const READY_TIMEOUT_MS = 300_000
const ROUND_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 60_000

interface Measured {
  readonly sinceCutoffMs: number
  readonly sinceQuorumMs: number
  readonly sinceOpenedMs: number
  readonly adoptedMs: number
}

export async function rounds(work: Workplace, count: number): Promise<Row[]> {
  work.say(`rounds of ${count} nodes: starting them`)
  const directories = await memoryDirectory(work)
  const nodes: Node[] = []
  const stop = async () => {
    const stopped = Promise.all(nodes.splice(0).map((node) => node.stop()))
    await withDeadline(stopped, STOP_TIMEOUT_MS, `The stop of ${count} nodes`)
    await directories.remove()
  }
  work.after(stop)
  // To start a process from one this large takes it tens of milliseconds, hundreds of times a round; in life each node is a
  // process of its own, and starts some ten.
  await federationOf(nodes, count, () => directories.next(), { git: { backend: 'isomorphic' } })
  await prepare(work, nodes)
  const times = work.size(count > 10 ? 5 : 10, 3)
  const windowMs = Math.max(WINDOW_MIN_MS, WINDOW_MS_EACH * count)
  work.say(`rounds of ${count} nodes`)
  const awaited: Measured[] = []
  const complete: Measured[] = []
  for (let n = 0; n < times; n += 1) {
    awaited.push(await oneRound(nodes, n, AWAITED, windowMs))
    complete.push(await oneRound(nodes, n, COMPLETE, ROUND_TIMEOUT_MS))
  }
  await stop()
  const anchors = await agreeThroughEtcd(work, count, work.size(50, 15))
  const figure = (name: string, values: readonly number[], aim: string, among = anchors) => [
    row({
      ...{ name: `${count} nodes: ${name} p50`, unit: 'ms', aim },
      ours: median(values),
      anchor: median(among),
    }),
    row({
      ...{ name: `${count} nodes: ${name} max`, unit: 'ms', aim },
      ours: Math.max(...values),
      anchor: Math.max(...among),
    }),
  ]
  const plain = (name: string, values: readonly number[]) =>
    row({ name: `${count} nodes: ${name} p50`, ours: median(values), anchor: null, unit: 'ms', aim: '' })
  return [
    ...figure(
      'cut-off to certificate on all (anchor: as many messages through one etcd)',
      awaited.map((m) => m.sinceCutoffMs),
      '<= 1000 ms',
    ),
    plain(
      'the vote that makes the quorum to certificate on all',
      awaited.map((m) => m.sinceQuorumMs),
    ),
    plain(
      'cut-off to ground-truth moved on all',
      awaited.map((m) => m.adoptedMs),
    ),
    plain(
      'all results there: round opened to certificate on all',
      complete.map((m) => m.sinceOpenedMs),
    ),
  ]
}

/** A dataset that everybody has, with everybody's results. */
async function prepare(work: Workplace, nodes: readonly Node[]): Promise<void> {
  const files = Object.fromEntries(
    Array.from({ length: FILES }, (_, n) => [`part-${n}.csv`, `${n},as it is\n`]),
  )
  const directory = await directoryOf(work.test, files)
  const [founder] = nodes as [Node]
  await founder.federation.datasets.importDirectory(DATASET, directory)
  const known = (node: Node) => node.federation.datasets.find(DATASET) !== undefined
  await eventually(() => nodes.every(known), 'the dataset was not heard of by all', READY_TIMEOUT_MS)
  const commits: string[] = []
  for (const [index, node] of nodes.entries()) {
    const steps = index === nodes.length - 1 ? [COMPLETE] : [AWAITED, COMPLETE]
    for (const step of steps) {
      const request = { dataset: DATASET, step, directory, message: `${step}\n` }
      commits.push((await node.federation.datasets.commitDirectory(request)).commit)
    }
  }
  const isComplete = async (node: Node) => {
    const repository = await node.federation.datasets.repository(DATASET)
    const branches = new Set((await repository.branches()).values())
    return commits.every((commit) => branches.has(commit))
  }
  work.say(`${commits.length} results on their way to ${nodes.length} nodes`)
  const waiting = new Set(nodes)
  await eventually(
    async () => {
      for (const node of waiting) if (await isComplete(node)) waiting.delete(node)
      return waiting.size === 0
    },
    'the results never came to all',
    READY_TIMEOUT_MS,
    250,
  )
}

async function oneRound(
  nodes: readonly Node[],
  n: number,
  step: string,
  windowMs: number,
): Promise<Measured> {
  const opener = nodes[n % nodes.length] as Node
  const { consensus } = opener.federation
  const height = (await consensus.truth(DATASET)).height + 1
  const certified = new Map<Node, number>()
  const adopted = new Map<Node, number>()
  const deaf = nodes.flatMap((node) => [
    node.federation.registry.watch(`/truth/${DATASET}`, ({ entry }) => {
      if (entry !== undefined && !certified.has(node)) certified.set(node, Date.now())
    }),
    node.federation.consensus.onEvent(({ type }) => {
      if (type === 'adopted' && !adopted.has(node)) adopted.set(node, Date.now())
    }),
  ])
  try {
    const { id } = await consensus.open(DATASET, step, { windowMs })
    const done = () => {
      const { state, explanation } = consensus.round(id)
      if (state === 'undecided') throw new Error(`Round ${id} is undecided: ${explanation}`)
      return certified.size === nodes.length && adopted.size === nodes.length
    }
    await eventually(done, `round ${id} never had a certificate on all`, ROUND_TIMEOUT_MS, 5)
    const round = consensus.round(id)
    if (round.state !== 'decided' || round.height !== height) throw new Error(`Round ${id} is ${round.state}`)
    // Of each member as it was cast; what others show of it comes behind.
    const first = new Map(round.votes.toReversed().map(({ peer, castMs }) => [peer, castMs]))
    const votes = [...first.values()].sort((a, b) => a - b)
    const lastMs = Math.max(...certified.values())
    return {
      sinceCutoffMs: lastMs - round.cutoffMs,
      sinceQuorumMs: lastMs - (votes[round.quorum - 1] ?? lastMs),
      sinceOpenedMs: lastMs - round.openedMs,
      adoptedMs: Math.max(...adopted.values()) - round.cutoffMs,
    }
  } finally {
    for (const end of deaf) end()
  }
}
