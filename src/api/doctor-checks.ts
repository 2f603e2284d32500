import { z } from 'zod'
import { DAY_MS, doctorClockMs, doctorDifferenceMs, presenceIntervalMs } from '../base/limits.ts'
import { isLoopback } from '../base/loopback.ts'
import type { Config } from '../config.ts'
import type { petitionSchema } from './federation-views.ts'
import type { Overview } from './status-views.ts'

type OwnRequest = z.output<typeof petitionSchema>

/** One thing that was looked at: what was found in a sentence, and what to do where it is not as it should be. */
export const checkSchema = z
  .object({
    id: z.string(),
    verdict: z.enum(['ok', 'warning', 'problem']),
    words: z.string(),
    wayOut: z.string().optional(),
  })
  .meta({ id: 'Check' })
export type Check = z.output<typeof checkSchema>

export const diagnosisSchema = z
  .object({ version: z.string(), checks: z.array(checkSchema) })
  .meta({ id: 'Diagnosis', description: 'what was looked at, and how it is' })

const ok = (id: string, words: string): Check => ({ id, verdict: 'ok', words })
const warning = (id: string, words: string, wayOut: string): Check => ({
  id,
  verdict: 'warning',
  words,
  wayOut,
})
const problem = (id: string, words: string, wayOut: string): Check => ({
  id,
  verdict: 'problem',
  words,
  wayOut,
})

/** What can be found out about a machine whether or not a node runs on it. */
export interface MachineFacts {
  readonly freeBytes: number
  /** Modes of the files that nobody else may read; undefined for one that is not there yet. */
  readonly modes: readonly { readonly path: string; readonly mode: number | undefined }[]
  /** What `git --version` says; undefined where there is none. */
  readonly git: string | undefined
  /** Variables with our prefix that mean nothing to the node. */
  readonly unknownVariables: readonly string[]
}

export function machineChecks(facts: MachineFacts, config: Config): Check[] {
  return [
    gitCheck(facts.git, config.git.backend),
    diskCheck(facts.freeBytes, config.datasets.freeBytesMin),
    ...facts.modes.map(modeCheck),
    ...settingsChecks(config),
    ...facts.unknownVariables.map((variable) =>
      warning(
        'variables',
        `${variable} is set, and there is no such setting`,
        'unset it, or see "maoctl instance settings" for what was meant',
      ),
    ),
  ]
}

function gitCheck(git: string | undefined, backend: Config['git']['backend']): Check {
  if (git !== undefined) return ok('git', `${git} is there`)
  const words = 'The git program is not to be found on PATH'
  if (backend === 'native') return problem('git', words, 'install git, or set git.backend to auto')
  return warning(
    'git',
    `${words}; datasets are slower and smaller without`,
    'install git, and start the node again',
  )
}

function diskCheck(freeBytes: number, keptBytes: number): Check {
  const words = `${gib(freeBytes)} are free where the data directory is; ${gib(keptBytes)} are kept for the node itself`
  const wayOut = '"maoctl dataset gc", "maoctl dataset remove-local NAME" and "maoctl image gc" free some'
  if (freeBytes < keptBytes) return problem('disk', words, wayOut)
  return freeBytes < 2 * keptBytes ? warning('disk', words, wayOut) : ok('disk', words)
}

function modeCheck({ path, mode }: MachineFacts['modes'][number]): Check {
  if (mode === undefined) return ok('secrecy', `${path} is not there yet; the node makes it`)
  if ((mode & 0o077) === 0) return ok('secrecy', `${path} can be read by its owner alone`)
  const text = (mode & 0o777).toString(8).padStart(4, '0')
  return problem('secrecy', `${path} can be read or written by others (mode ${text})`, `chmod 600 ${path}`)
}

/** What an operator may have meant, and should know all the same. */
export function settingsChecks({ api, maoApi, marketplace, git, execution }: Config): Check[] {
  const found: Check[] = []
  if (!isLoopback(api.host)) {
    const words = `The API listens on ${api.host} without encryption; whoever is on the way can read the token`
    found.push(
      warning('settings', words, 'set api.host to 127.0.0.1 behind a proxy with TLS or a tunnel (ssh -L)'),
    )
    if (maoApi === 'open') {
      const open = `maoApi is open: the predecessor's routes ask for no token, and the API listens on ${api.host}`
      found.push(problem('settings', open, 'set maoApi to token, or api.host to 127.0.0.1'))
    }
  } else if (maoApi === 'open') {
    const words =
      "maoApi is open: every user of this machine may use the predecessor's routes without a token, and so may whoever comes through a port forward or proxy on it"
    found.push(
      warning(
        'settings',
        words,
        'set maoApi to token where the machine is not yours alone, or where something on it passes requests on',
      ),
    )
  }
  if (marketplace.hub === 'open') {
    const words =
      "marketplace.hub is open: whoever reaches the API reads the predecessor's market files without a token"
    found.push(ok('settings', words))
  }
  if (git.allowHttp) {
    const words = 'git.allowHttp is on: upstreams may be reached without encryption'
    found.push(warning('settings', words, 'set it to false where no upstream needs it'))
  }
  if (execution.dockerSocketGranted) {
    const words = 'execution.dockerSocketGranted is on: a step may do to this machine whatever root may'
    found.push(warning('settings', words, 'set it to false where no step needs it'))
  }
  return found.length > 0 ? found : [ok('settings', 'No setting opens more than it should')]
}

/** What a node in a federation knows beyond its status. */
export interface NodeFacts {
  readonly overview: Overview
  readonly nowMs: number
  /** What other members that are connected said last, by their own clocks, ms. */
  readonly saidMs: readonly { readonly name: string; readonly timeMs: number }[]
  /** Records that were ignored since they were from the future. */
  readonly fromFuture: number
  readonly peers: readonly {
    readonly name: string
    readonly connected: boolean
    readonly online: boolean
    /** Since when its registry is another than ours; undefined where it is the same or was not compared. */
    readonly differsSinceMs: number | undefined
  }[]
  readonly etcd: 'never' | 'served' | 'not-served'
  readonly etcdPort: number
}

export function nodeChecks(facts: NodeFacts): Check[] {
  const { work } = facts.overview
  return [
    membershipCheck(facts.overview),
    reachabilityCheck(facts),
    // Who is no member hears nothing any more: what it knows of others says nothing of its machine.
    ...(work === null || facts.overview.federation?.ended !== undefined
      ? []
      : [
          peersCheck(facts),
          registryCheck(facts),
          clockCheck(facts),
          ...enginesChecks(work),
          etcdCheck(facts),
        ]),
  ]
}

function membershipCheck({ federation, request }: Overview): Check {
  if (federation === null && request !== null) return requestCheck(request)
  if (federation === null) {
    const wayOut =
      '"maoctl federation create --name NAME" founds one, "maoctl federation join -" joins one, "maoctl federation request" asks one'
    return warning('federation', 'This node is in no federation yet', wayOut)
  }
  if (federation.role !== null)
    return ok('federation', `This node is ${federation.role} of ${federation.name}`)
  if (federation.ended !== undefined) {
    const { reason, endedMs } = federation.ended
    const because = reason === '' ? '' : ` (${reason})`
    const words = `This node's membership of ${federation.name} ended on ${new Date(endedMs).toISOString()}${because}`
    const wayOut = '"maoctl federation leave" makes it free to join again, here or elsewhere'
    return problem('federation', words, wayOut)
  }
  const words = `No admission of this node to ${federation.name} is known here; nobody takes what it writes`
  return problem(
    'federation',
    words,
    'wait for the first catch-up with a member, or ask an operator for an invitation',
  )
}

function requestCheck({ state, federationName, federation, reason }: OwnRequest): Check {
  const where = federationName ?? federation ?? 'a federation'
  const why = reason === undefined || reason === '' ? '' : ` (${reason})`
  const wayOut = '"maoctl federation request --status" tells more, "--withdraw" takes it back'
  if (state === 'denied' || state === 'refused') {
    return warning('federation', `${where} does not admit this node${why}`, wayOut)
  }
  const words =
    state === 'pending'
      ? `This node has asked ${where} to admit it; an operator is to decide`
      : `This node asks ${where} to admit it, and nobody has taken the request yet${why}`
  return warning('federation', words, wayOut)
}

function reachabilityCheck({ overview: { node } }: NodeFacts): Check {
  const { status, words, advice } = node.reachability
  const sentence = words.replace(/\.$/, '')
  if (status === 'public' || status === 'forwarded' || advice.length === 0)
    return ok('reachability', sentence)
  return warning('reachability', sentence, advice.map((each) => each.replace(/\.$/, '')).join('; '))
}

function peersCheck({ peers }: NodeFacts): Check {
  if (peers.length === 0) return ok('peers', 'There are no other members yet')
  const connected = peers.filter((peer) => peer.connected)
  const words = `${connected.length} of ${peers.length} other members are connected`
  const missing = peers.filter((peer) => peer.online && !peer.connected).map(({ name }) => name)
  if (connected.length === 0) {
    const wayOut = 'look whether they run and whether this machine has a network; the node goes on trying'
    return problem('peers', words, wayOut)
  }
  if (missing.length === 0) return ok('peers', words)
  return warning(
    'peers',
    `${words}; ${missing.join(', ')} said lately that they are there`,
    '"maoctl peers" tells more',
  )
}

function registryCheck({ peers, nowMs }: NodeFacts): Check {
  const differing = peers.filter(({ differsSinceMs }) => differsSinceMs !== undefined)
  if (differing.length === 0) return ok('registry', 'No member is known to hold another registry')
  const longest = Math.max(...differing.map(({ differsSinceMs = nowMs }) => nowMs - differsSinceMs))
  const words = `${differing.map(({ name }) => name).join(', ')}: another registry than this node's`
  const wayOut = '"maoctl peers" shows how the catch-up goes; it repeats itself every minute'
  return longest > doctorDifferenceMs
    ? problem('registry', words, wayOut)
    : warning('registry', words, wayOut)
}

/**
 * A member says every five minutes that it is there, so what a connected one said last is between no and five minutes
 * old, or its clock or ours is off. The mean would follow a single liar; the middle one does not.
 */
function clockCheck({ saidMs, nowMs, fromFuture }: NodeFacts): Check {
  const wayOut = 'let the system set its clock (timedatectl set-ntp true), and ask the member to do so too'
  const offs = saidMs
    .map(({ name, timeMs }) => ({ name, offMs: offBy(timeMs - nowMs) }))
    .filter(({ offMs }) => Math.abs(offMs) > doctorClockMs)
  if (saidMs.length > 0 && offs.length * 2 > saidMs.length && saidMs.length > 1) {
    const middle = offs.map(({ offMs }) => offMs).sort((a, b) => a - b)[Math.floor(offs.length / 2)] ?? 0
    const words = `This machine's clock is ${middle > 0 ? 'behind' : 'ahead of'} those of most members by ${minutes(middle)}`
    return problem('clock', words, wayOut)
  }
  if (offs.length > 0) {
    const each = offs.map(({ name, offMs }) => `${name} by ${minutes(offMs)}`).join(', ')
    return warning('clock', `The clocks of this machine and of other members differ: ${each}`, wayOut)
  }
  if (fromFuture > 0) {
    const words = `${fromFuture} records came whose time is yet to come; a clock is wrong, an author's or this one`
    return warning('clock', words, wayOut)
  }
  return ok(
    'clock',
    saidMs.length === 0 ? 'There is no member to compare the clock with' : 'The clocks agree',
  )
}

/** @param aheadMs the time of a member's last word, less ours. */
function offBy(aheadMs: number): number {
  if (aheadMs > 0) return aheadMs
  const late = -aheadMs - presenceIntervalMs
  // A node that was paused for a day says nothing of its clock.
  return late > 0 && late < DAY_MS ? -late : 0
}

function enginesChecks({ engines, runs }: NonNullable<Overview['work']>): Check[] {
  return engines.map(({ id, up, problem: why }) => {
    if (up) return ok('engine', `The container engine ${id} answers`)
    const words = `The container engine ${id} does not answer${why === undefined ? '' : `: ${why}`}`
    const wayOut = 'start it, let the user of the node reach it, or name its socket in docker.socketPath'
    return runs.queued > 0 ? problem('engine', words, wayOut) : warning('engine', words, wayOut)
  })
}

function etcdCheck({ etcd, etcdPort }: NodeFacts): Check {
  if (etcd === 'never') return ok('etcd', 'etcd clients are not served, as the settings say')
  if (etcd === 'served') return ok('etcd', `etcd clients are served on port ${etcdPort}`)
  const words = `etcd clients are not served: another program has port ${etcdPort}`
  return warning('etcd', words, 'set etcd.port (MAO_ETCD_PORT) to another, or etcd.serve to never')
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

function minutes(ms: number): string {
  return `${(Math.abs(ms) / 60_000).toFixed(1)} min`
}
