/**
 * What a machine must have, judged before anything is written. The facts were gathered elsewhere (facts.ts); here is
 * only what they mean, and what to do about it. Pure.
 */
import { isIP } from 'node:net'
import { whyNotPublic } from '../../base/public-address.ts'
import { MIB } from '../../base/units.ts'
import { bytesText } from '../output.ts'
import { type Answers, LOOPBACK } from './answers.ts'

/** `ok`; `warn`: the node runs, with less; `bad`: it would not run. */
export type Verdict = 'ok' | 'warn' | 'bad'

export interface Check {
  readonly name: string
  readonly verdict: Verdict
  readonly words: string
  /** What to do, where there is something. */
  readonly advice?: string
}

export interface PortFact {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly flag: string
  /** Without it the node does less, and runs. */
  readonly isOptional: boolean
  /** Why it cannot be listened on, such as EADDRINUSE. */
  readonly refused?: string
}

export interface Facts {
  readonly nodeVersion: string
  /** What `git --version` says. */
  readonly git?: string
  readonly docker:
    | { readonly version: string }
    | { readonly code: string; readonly reason: string; readonly socketPath: string }
  readonly user: string
  /** Where the data are to lie. */
  readonly data: {
    readonly path: string
    readonly freeBytes?: number
    /** Why nothing can be written there. */
    readonly refused?: string
  }
  /** Where the unit is to lie, and why nothing can be written there. */
  readonly unit: { readonly path: string; readonly refused?: string }
  readonly ports: readonly PortFact[]
  /** A node runs on the data directory and answers there. */
  readonly running?: string
  readonly clock: {
    readonly nowMs: number
    /** No clock that is right is behind this: when this program was put on the disk. */
    readonly notBeforeMs: number
    /** Whether the system says that its clock is kept by time servers. */
    readonly synchronised?: boolean
  }
  readonly systemd: { readonly runs: boolean; readonly userRuns: boolean; readonly lingers?: boolean }
  /** What was installed there before. */
  readonly existing: readonly string[]
  /** Addresses of this machine's interfaces, loopback left out. */
  readonly addresses: readonly string[]
}

const OLDEST_NODE = [22, 18] as const
/** Below this the store itself soon stops; below the other, a few datasets and images fill it. */
const FREE_BYTES_MIN = 200 * MIB
const FREE_BYTES_WANTED = 10 * 1_024 * MIB
/** Files may bear times a little ahead, of another zone or machine. */
const CLOCK_MARGIN_MS = 24 * 3_600_000

export function judgeAll(facts: Facts, answers: Answers): Check[] {
  return [
    judgeNode(facts),
    judgeGit(facts),
    judgeDocker(facts),
    judgeDirectory(facts),
    ...judgeDisk(facts),
    ...facts.ports.map((port) => judgePort(port, facts.running)),
    judgeClock(facts),
    ...judgeUnit(facts, answers),
    judgeSystemd(facts, answers),
    judgeReach(facts, answers),
    ...judgeExisting(facts),
  ]
}

function judgeNode({ nodeVersion }: Facts): Check {
  const name = 'Node.js'
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  if (!isOld) return { name, verdict: 'ok', words: nodeVersion }
  const advice = 'install a newer one from your system or https://nodejs.org'
  return {
    name,
    verdict: 'bad',
    words: `${nodeVersion}, and ${OLDEST_NODE.join('.')} or later is needed`,
    advice,
  }
}

function judgeGit({ git }: Facts): Check {
  if (git !== undefined) return { name: 'git', verdict: 'ok', words: git }
  const words = 'not found: datasets are slower, and git clients are not served'
  return { name: 'git', verdict: 'warn', words, advice: 'install git (Debian and others call it: git)' }
}

function judgeDocker({ docker, user }: Facts): Check {
  const name = 'Docker engine'
  if ('version' in docker) return { name, verdict: 'ok', words: `${docker.version} answers ${user}` }
  const { code, socketPath, reason } = docker
  if (code === 'EACCES') {
    const words = `${user} may not use ${socketPath}: no tool can run`
    const advice = `as root: usermod -aG docker ${user}; then log in anew`
    return { name, verdict: 'warn', words, advice }
  }
  if (code === 'ENOENT') {
    const words = `none at ${socketPath}: no tool can run here; datasets and votes work`
    return {
      name,
      verdict: 'warn',
      words,
      advice: 'install one (Debian calls it: docker.io), or set docker.socketPath',
    }
  }
  const words = `does not answer at ${socketPath} (${reason}): no tool can run`
  return { name, verdict: 'warn', words, advice: 'start it, for example: systemctl start docker' }
}

function judgeDirectory({ data: { path, refused } }: Facts): Check {
  const name = 'data directory'
  if (refused === undefined) return { name, verdict: 'ok', words: path }
  return { name, verdict: 'bad', words: `${path}: ${refused}`, advice: 'choose another with --data DIR' }
}

function judgeDisk({ data: { path, freeBytes } }: Facts): Check[] {
  if (freeBytes === undefined) return []
  const name = 'disk'
  const words = `${bytesText(freeBytes)} free`
  if (freeBytes >= FREE_BYTES_WANTED) return [{ name, verdict: 'ok', words }]
  const advice = `free some, or choose a larger disk with --data DIR; ${bytesText(FREE_BYTES_WANTED)} are a good start`
  const verdict = freeBytes < FREE_BYTES_MIN ? 'bad' : 'warn'
  return [{ name, verdict, words: `${words} at ${path}`, advice }]
}

function judgePort(
  { name, host, port, flag, isOptional, refused }: PortFact,
  running: string | undefined,
): Check {
  const check = `port ${port} (${name})`
  if (refused === undefined) return { name: check, verdict: 'ok', words: 'free' }
  if (running !== undefined)
    return { name: check, verdict: 'ok', words: 'held by this very node, which runs' }
  const advice = `stop what listens there, or choose another with ${flag}`
  const verdict = isOptional ? 'warn' : 'bad'
  const less = isOptional ? ': the node runs without' : ''
  if (refused === 'EACCES')
    return { name: check, verdict, words: `this user may not listen on it${less}`, advice }
  const words = refused === 'EADDRINUSE' ? `taken on ${host}` : `cannot be listened on at ${host}: ${refused}`
  return { name: check, verdict, words: words + less, advice }
}

function judgeClock({ clock: { nowMs, notBeforeMs, synchronised } }: Facts): Check {
  const name = 'clock'
  const now = new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ')
  const advice =
    'members more than ten minutes off are not heard: let a time server keep it, such as systemd-timesyncd or chrony'
  if (nowMs < notBeforeMs - CLOCK_MARGIN_MS) {
    return { name, verdict: 'bad', words: `${now} UTC is before this program was installed`, advice }
  }
  if (synchronised === true) return { name, verdict: 'ok', words: `${now} UTC, kept by time servers` }
  if (synchronised === undefined) return { name, verdict: 'ok', words: `${now} UTC, as far as can be told` }
  return { name, verdict: 'warn', words: `${now} UTC, and no time server keeps it`, advice }
}

/** Told only where it cannot be written. */
function judgeUnit({ unit: { path, refused } }: Facts, { runner }: Answers): Check[] {
  if (refused === undefined) return []
  const advice =
    runner === 'system-service'
      ? 'run this as root, for example with sudo, or leave --system out'
      : 'set XDG_CONFIG_HOME to a directory that can be written'
  return [{ name: 'systemd unit', verdict: 'bad', words: `${path}: ${refused}`, advice }]
}

function judgeSystemd({ systemd, user }: Facts, { runner }: Answers): Check {
  const name = 'systemd'
  const isChosen = runner === 'user-service' || runner === 'system-service'
  const runs = runner === 'user-service' ? systemd.userRuns : systemd.runs
  if (!runs) {
    const whose = runner === 'user-service' ? `not for ${user}` : 'not here'
    const words = `${whose}: the unit is written, and starts nothing`
    const advice = 'start the node with the command below, or with the compose file'
    return { name, verdict: isChosen ? 'warn' : 'ok', words, ...(isChosen ? { advice } : {}) }
  }
  if (runner === 'user-service' && systemd.lingers === false) {
    const words = `runs; services of ${user} end when ${user} logs out`
    return { name, verdict: 'warn', words, advice: `let them stay: loginctl enable-linger ${user}` }
  }
  return { name, verdict: 'ok', words: 'runs' }
}

function judgeReach({ addresses }: Facts, { listenHost, announce }: Answers): Check {
  const name = 'reachable at'
  if (listenHost === LOOPBACK) return { name, verdict: 'ok', words: 'this machine alone, as chosen' }
  if (announce === undefined) {
    const open = addresses.find((address) => whyNotPublic(address) === undefined)
    if (open !== undefined) return { name, verdict: 'ok', words: `${open}, unless a firewall is before it` }
    const words = 'no public address: members elsewhere are reached through those that can be'
    const advice =
      'forward the port in your router and say so with --reachable HOST, or leave it; "maoctl doctor" tells later'
    return { name, verdict: 'warn', words, advice }
  }
  const [, , host = ''] = announce.split('/')
  if (isIP(host) === 0 || whyNotPublic(host) === undefined) return { name, verdict: 'ok', words: announce }
  if (/^(?:127\.|::1$|0\.)/.test(host)) {
    const advice = 'name the address that others dial, with --reachable HOST'
    return { name, verdict: 'bad', words: `${announce} is this machine alone`, advice }
  }
  const words = `${announce} is private: only this network reaches it`
  return { name, verdict: 'warn', words, advice: 'fine within one network; else name the public address' }
}

function judgeExisting({ existing, running }: Facts): Check[] {
  const name = 'earlier installation'
  if (running !== undefined)
    return [
      {
        name,
        verdict: 'warn',
        words: `its node runs at ${running}`,
        advice: 'new settings count after its next start',
      },
    ]
  if (existing.length === 0) return []
  return [
    { name, verdict: 'ok', words: `${existing.join(', ')}: what differs is shown before it is replaced` },
  ]
}

/** Checks as lines for people. */
export function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length))
  return checks.flatMap(({ name, verdict, words, advice }) => [
    `${MARKS[verdict]} ${name.padEnd(width)}  ${words}`,
    ...(advice === undefined || verdict === 'ok' ? [] : [`  ${' '.repeat(width)}  → ${advice}`]),
  ])
}

export const MARKS: Readonly<Record<Verdict, string>> = { ok: '✓', warn: '!', bad: '✗' }
