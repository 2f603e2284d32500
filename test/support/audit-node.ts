import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { AuditEvent, AuditView } from '../../src/consensus/audit/audit-views.ts'
import { Audits } from '../../src/consensus/audit/audits.ts'
import {
  type DatasetNode,
  type DatasetNodeOptions,
  directoryOf,
  joinDatasetNode,
  restartDatasetNode,
  startDatasetNode,
} from './dataset-node.ts'
import { eventually } from './eventually.ts'

export const AUDIT_WAIT_MS = 45_000

/** A member with datasets and audits. */
export interface AuditNode extends DatasetNode {
  readonly audits: Audits
  readonly auditEvents: AuditEvent[]
}

/** A clock that runs, and that a test puts forward. */
export class MovableClock implements Clock {
  #aheadMs = 0

  now(): number {
    return systemClock.now() + this.#aheadMs
  }

  forward(ms: number): void {
    this.#aheadMs += ms
  }
}

/** Before the nodes below have said so of themselves, so that what stands on them stops first. */
function stopping(t: TestContext): (stop: () => Promise<void>) => void {
  let stop = async (): Promise<void> => undefined
  t.after(() => stop())
  return (how) => {
    stop = how
  }
}

async function withAudits(
  onStop: ReturnType<typeof stopping>,
  node: DatasetNode,
  options: DatasetNodeOptions = {},
): Promise<AuditNode> {
  const { identity, registry, members, datasets } = node
  const clock = options.clock ?? systemClock
  const self = identity.peerId
  const audits = new Audits({ self, registry, members, datasets, clock, log: silentLogger })
  const auditEvents: AuditEvent[] = []
  audits.onEvent((event) => auditEvents.push(event))
  await audits.start()
  const stop = async () => {
    await audits.stop()
    await node.stop()
  }
  onStop(stop)
  return { ...node, audits, auditEvents, stop }
}

/** A founder, alice, and more members, all connected to her; they know the dataset `data`, which has nothing yet. */
export async function startAuditors(
  t: TestContext,
  names: readonly string[],
  options: DatasetNodeOptions = {},
): Promise<AuditNode[]> {
  const stops = ['alice', ...names].map(() => stopping(t))
  const founder = await startDatasetNode(t, options)
  const nodes = [founder]
  for (const name of names) nodes.push(await joinDatasetNode(t, founder, name, options))
  const auditors: AuditNode[] = []
  for (const [at, node] of nodes.entries())
    auditors.push(await withAudits(stops[at] ?? stopping(t), node, options))
  await founder.datasets.add('data')
  for (const node of nodes) {
    const isKnown = () => node.datasets.list().length === 1 && node.members.list().length === nodes.length
    await eventually(isKnown, 'a member does not know of all', AUDIT_WAIT_MS)
  }
  return auditors
}

export async function joinAuditor(
  t: TestContext,
  founder: AuditNode,
  name: string,
  options: DatasetNodeOptions = {},
): Promise<AuditNode> {
  const onStop = stopping(t)
  return withAudits(onStop, await joinDatasetNode(t, founder, name, options), options)
}

/** The same node again, on the disk of one that was stopped. */
export async function restartAuditor(
  t: TestContext,
  node: AuditNode,
  options: DatasetNodeOptions = {},
): Promise<AuditNode> {
  const onStop = stopping(t)
  return withAudits(onStop, await restartDatasetNode(t, node, options), options)
}

/** Commits these files as the node's result of a step. */
export async function result(
  t: TestContext,
  node: DatasetNode,
  files: Readonly<Record<string, string>>,
  step = 'collect',
): Promise<string> {
  const directory = await directoryOf(t, files)
  const wish = { dataset: 'data', step, directory, message: `${step}\n` }
  return (await node.datasets.commitDirectory(wish)).commit
}

/** The audit at a node once it has ended there. */
export async function ended(node: AuditNode, id: string): Promise<AuditView> {
  const isEnded = async () => {
    const known = node.audits.list('data').some((audit) => audit.id === id)
    return known && node.audits.show(id).state === 'ended'
  }
  await eventually(isEnded, `the audit ${id} did not end`, AUDIT_WAIT_MS)
  return node.audits.show(id)
}

/** Who takes part how, by name. */
export function partsIn({ members }: AuditView): Record<string, string> {
  return Object.fromEntries(members.map(({ name, part }) => [name, part]))
}
