/**
 * Whether this node takes a run of another member, and within which limits (protocols/run.md §5). Pure: the request and
 * what this node knows go in, a plan that can be queued as it is comes out, or a refusal in words for whoever asked,
 * which name nothing that the asker may not know.
 */
import type { ErrorCode } from '../../base/errors.ts'
import type { Role } from '../../federation/keyspace.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { type DataFacts, judgeData } from './data-policy.ts'
import { asksForSecrets } from './plan-secrets.ts'
import type { Refused, RunRequest } from './run-request.ts'
import type { RemoteSettings, RoleLimits } from './settings.ts'

/** Limits that a hook may set; each can only be tighter than what the role has. */
export interface LimitOverrides {
  readonly cpus?: number
  readonly memoryBytes?: number
  readonly diskBytes?: number
  readonly pids?: number
  readonly stepTimeoutMs?: number
  readonly runTimeoutMs?: number
}

export interface HostFacts extends DataFacts {
  /** Of whoever asks; undefined for a stranger. */
  readonly role: Role | undefined
  readonly settings: RemoteSettings
  /** The most that this node gives to its own runs. */
  readonly step: {
    readonly cpus: number
    readonly memoryBytes: number
    readonly outputBytes: number
    readonly pids: number
    readonly stepTimeoutMs: number
    readonly runTimeoutMs: number
  }
  /** The image of a tool as this node's registry has it. */
  readonly imageOf: (tool: string) => string | undefined
  /** Why an image may not be run here, where that is so. */
  readonly imageRefusal: (image: string, digest: string | undefined) => string | undefined
  /** Whether a run of this node's is the asker's own. */
  readonly ownsRun: (run: string) => boolean
  /** Runs of the asker that have not ended: at work and waiting. */
  readonly atWork: number
  readonly waiting: number
}

export interface Granted {
  readonly cpus: number
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly pids: number
  readonly stepTimeoutMs: number
  readonly runTimeoutMs: number
}

export type Decision =
  | {
      readonly allow: true
      /** The plan with the limits written into it. */
      readonly steps: PipelineStep[]
      readonly granted: Granted
      /** Tool → digest, for all that the request names. */
      readonly imageDigests: Readonly<Record<string, string>>
      /** Whether the asker may read what the tools print. */
      readonly logs: boolean
    }
  | Refused

export function refuse(code: ErrorCode, reason: string): Refused {
  return { allow: false, code, reason }
}

/** @param overrides what the hook said, once it was asked. */
export function decide(request: RunRequest, facts: HostFacts, overrides: LimitOverrides = {}): Decision {
  const refusal = judgeAsker(facts) ?? judgePlan(request, facts) ?? judgeTools(request, facts)
  if (refusal !== undefined) return refusal
  const data = judgeData(request, facts)
  if ('allow' in data) return data
  const limits = limitsOf(facts)
  const excess = excessOf(request, limits)
  if (excess !== undefined) return excess
  const granted = grantedBy(limits, overrides)
  const digests = Object.entries(request.tools).flatMap(([tool, { digest }]) => {
    return digest === undefined ? [] : [[tool, digest] as const]
  })
  return {
    allow: true,
    steps: request.steps.map((step) => within(step, granted)),
    granted,
    imageDigests: Object.fromEntries(digests),
    logs: data.logs,
  }
}

function judgeAsker({ role, settings, atWork, waiting }: HostFacts): Refused | undefined {
  if (role === undefined) return refuse('NOT_A_MEMBER', 'only members of the federation run anything here')
  if (role === 'observer') return refuse('NOT_A_MEMBER', 'observers read, and run nothing on other nodes')
  if (settings.accept === 'none') return refuse('FORBIDDEN', 'this node takes no runs of others')
  if (settings.accept === 'operators' && role !== 'operator') {
    return refuse('FORBIDDEN', 'this node takes the runs of operators only')
  }
  const { runsMax, queuedMax } = settings.limits[role]
  if (atWork + waiting >= runsMax + queuedMax) {
    const reason = `${atWork + waiting} of your runs are here already, as many as this node takes; try again when one has ended`
    return refuse('QUEUE_FULL', reason)
  }
  return undefined
}

/** What no run of another gets here, whatever it is. */
function judgePlan({ steps }: RunRequest, facts: HostFacts): Refused | undefined {
  for (const step of steps) {
    const { name } = step
    const no = (what: string) => refuse('FORBIDDEN', `the step ${name} ${what}`)
    if (step.docker_socket) return no('asks for the Docker socket, which no run of another gets')
    if ((step.network ?? 'none') !== 'none') {
      return no(`asks for the network "${step.network}"; runs of others have none here`)
    }
    if (step.root === 'writable') return no('asks for a root file system that it can write')
    if ((step.publish ?? []).length > 0) return no("names publishers, which are for this node's own runs")
    if (asksForSecrets(step)) return no('asks for a secret of this node, and gets none')
    for (const input of step.inputs ?? []) {
      const fetched = 'url' in input || 'pid' in input
      if (fetched && !facts.settings.fetchUrls) {
        return no('has an input at an address; this node fetches nothing for others')
      }
      if ('run' in input && !facts.ownsRun(input.run))
        return no('reads the output of a run that is not yours')
    }
  }
  return undefined
}

function judgeTools({ steps, tools }: RunRequest, facts: HostFacts): Refused | undefined {
  for (const name of steps.flatMap(({ tool, filter }) => [tool, ...(filter ? [filter.tool] : [])])) {
    const asked = tools[name]
    const image = facts.imageOf(name)
    // Images are those that members have registered: a request brings none of its own.
    if (asked === undefined || image === undefined) {
      return refuse(
        'TOOL_NOT_FOUND',
        `no tool ${name} is in the registry as this node has it; try again soon`,
      )
    }
    if (asked.image !== image) {
      return refuse('CONFLICT', `the tool ${name} is ${image} here, and ${asked.image} in the request`)
    }
    const why = facts.imageRefusal(image, asked.digest)
    if (why !== undefined) return refuse('IMAGE_FORBIDDEN', why)
  }
  return undefined
}

/** Those of the role, and never more than the node gives to its own. */
function limitsOf({ settings, role, step }: HostFacts): RoleLimits {
  const limits = settings.limits[role === 'operator' ? role : 'member']
  return {
    ...limits,
    cpus: Math.min(limits.cpus, step.cpus),
    memoryBytes: Math.min(limits.memoryBytes, step.memoryBytes),
    diskBytes: Math.min(limits.diskBytes, step.outputBytes),
    pids: Math.min(limits.pids, step.pids),
    stepTimeoutMs: Math.min(limits.stepTimeoutMs, step.stepTimeoutMs),
    runTimeoutMs: Math.min(limits.runTimeoutMs, step.runTimeoutMs),
  }
}

/** [MUST] What is asked for and not to be had is refused, not quietly made smaller (run.md R22). */
function excessOf({ steps }: RunRequest, limits: RoleLimits): Refused | undefined {
  for (const { name, resources = {}, timeoutMs } of steps) {
    const asked = [
      ['processors', resources.cpus, limits.cpus],
      ['bytes of memory', resources.memoryBytes, limits.memoryBytes],
      ['bytes of disk', resources.diskBytes, limits.diskBytes],
      ['processes', resources.pids, limits.pids],
      ['devices', resources.gpus, limits.gpus],
      ['ms', timeoutMs, limits.stepTimeoutMs],
    ] as const
    for (const [unit, wanted, most] of asked) {
      if (wanted === undefined || wanted <= most) continue
      return refuse('FORBIDDEN', `the step ${name} asks for ${wanted} ${unit}; this node gives you ${most}`)
    }
  }
  return undefined
}

/** An override makes a limit tighter, and never wider. */
function grantedBy(limits: RoleLimits, overrides: LimitOverrides): Granted {
  const least = (...of: (number | undefined)[]) => Math.min(...of.filter((one) => one !== undefined))
  return {
    cpus: least(limits.cpus, overrides.cpus),
    memoryBytes: least(limits.memoryBytes, overrides.memoryBytes),
    diskBytes: least(limits.diskBytes, overrides.diskBytes),
    pids: least(limits.pids, overrides.pids),
    stepTimeoutMs: least(limits.stepTimeoutMs, overrides.stepTimeoutMs),
    runTimeoutMs: least(limits.runTimeoutMs, overrides.runTimeoutMs),
  }
}

/** A step as it is queued: what it asked for, else what this node gives, and never more than is granted. */
function within(step: PipelineStep, granted: Granted): PipelineStep {
  const { resources = {} } = step
  return {
    ...step,
    network: 'none',
    timeoutMs: Math.min(step.timeoutMs ?? granted.stepTimeoutMs, granted.stepTimeoutMs),
    resources: {
      ...resources,
      cpus: Math.min(resources.cpus ?? granted.cpus, granted.cpus),
      memoryBytes: Math.min(resources.memoryBytes ?? granted.memoryBytes, granted.memoryBytes),
      diskBytes: Math.min(resources.diskBytes ?? granted.diskBytes, granted.diskBytes),
      pids: Math.min(resources.pids ?? granted.pids, granted.pids),
    },
  }
}
