/** Looks at the machine for the checks (checks.ts): nothing is changed, and nothing is waited for long. */
import { execFile } from 'node:child_process'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { networkInterfaces, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { z } from 'zod'
import { WHEREABOUTS_FILE } from '../../api/whereabouts.ts'
import { freeBytesAt } from '../../base/disk-space.ts'
import { messageOf } from '../../base/errors.ts'
import { installLookTimeoutMs } from '../../base/limits-install.ts'
import { reasonOf } from '../files.ts'
import type { Answers } from './answers.ts'
import type { Facts, PortFact } from './checks.ts'
import type { PlannedFile } from './plan.ts'

const call = promisify(execFile)

type Environment = Readonly<Record<string, string | undefined>>

export interface Looking {
  readonly answers: Answers
  readonly files: readonly PlannedFile[]
  readonly socketPath: string
  readonly environment: Environment
}

export async function gatherFacts(looking: Looking): Promise<Facts> {
  const { answers, files, socketPath, environment } = looking
  const { data } = answers
  const unit = files.find(({ what }) => what === 'systemd unit')?.path ?? data
  const ports = [
    {
      name: 'peers',
      host: answers.listenHost,
      port: answers.listenPort,
      flag: '--listen-port',
      isOptional: false,
    },
    { name: 'API', host: '127.0.0.1', port: answers.apiPort, flag: '--api-port', isOptional: false },
    { name: 'etcd', host: '127.0.0.1', port: answers.etcdPort, flag: '--etcd-port', isOptional: true },
  ]
  const refused = await refusalOf(data)
  const git = await said('git', ['--version'], environment)
  const running = await runningAt(data)
  const { user } = whoAmI()
  const synchronised = await said(
    'timedatectl',
    ['show', '--property=NTPSynchronized', '--value'],
    environment,
  )
  return {
    nodeVersion: process.versions.node,
    ...(git === undefined ? {} : { git: git.replace(/^git version /, '') }),
    docker: await dockerAt(socketPath),
    user,
    data: { path: data, ...(refused ?? { freeBytes: await freeBytesAt(data) }) },
    unit: { path: unit, ...(await refusalOf(dirname(unit))) },
    ports: await Promise.all(ports.map(probe)),
    ...(running === undefined ? {} : { running }),
    clock: {
      nowMs: Date.now(),
      notBeforeMs: await installedMs(),
      ...(synchronised === 'yes' || synchronised === 'no' ? { synchronised: synchronised === 'yes' } : {}),
    },
    systemd: await systemdFacts(user, environment),
    existing: files.filter(({ before }) => before !== undefined).map(({ path }) => path),
    addresses: Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address }) => address),
  }
}

/** Who installs; the service of a machine is for whoever stands behind sudo. */
export function whoAmI(): { user: string; uid: number; gid: number } {
  const { username: user, uid, gid } = userInfo()
  return { user, uid, gid }
}

/** What a program says on its first line; undefined where it is not there or fails. */
async function said(program: string, words: readonly string[], environment: Environment) {
  try {
    const env = { ...environment, LC_ALL: 'C' }
    const { stdout } = await call(program, [...words], { env, timeout: installLookTimeoutMs })
    return stdout.trim().split('\n')[0]
  } catch {
    // That it is not there is the answer.
    return undefined
  }
}

const versionSchema = z.object({ Version: z.string().max(100) })

function dockerAt(socketPath: string): Promise<Facts['docker']> {
  return new Promise((resolve) => {
    const fail = (code: string, reason: string) => resolve({ code, reason, socketPath })
    const asking = request({ socketPath, path: '/version', timeout: installLookTimeoutMs }, (response) => {
      const read = async () => versionSchema.parse(JSON.parse(await text(response)))
      read().then(
        ({ Version: version }) => resolve({ version }),
        (error: unknown) => fail('EPROTO', messageOf(error).slice(0, 200)),
      )
    })
    asking.once('timeout', () => asking.destroy(new Error('no answer in time')))
    asking.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'ETIMEDOUT', error.message))
    asking.end()
  })
}

/** Whether the directory, or the nearest one above it that exists, takes files. */
async function refusalOf(path: string): Promise<{ refused: string } | undefined> {
  let at = path
  for (;;) {
    try {
      if (!(await stat(at)).isDirectory()) return { refused: `${at} is no directory` }
      await access(at, constants.W_OK | constants.X_OK)
      return undefined
    } catch (error) {
      const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isAbsent || dirname(at) === at) return { refused: `${at} cannot be written: ${reasonOf(error)}` }
      at = dirname(at)
    }
  }
}

function probe(wanted: Omit<PortFact, 'refused'>): Promise<PortFact> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ ...wanted, refused: error.code ?? error.message }),
    )
    server.listen({ host: wanted.host, port: wanted.port, exclusive: true }, () =>
      server.close(() => resolve({ ...wanted })),
    )
  })
}

const whereaboutsSchema = z.object({ url: z.url({ protocol: /^https?$/ }) })

/** The address of the node that runs on the data directory, if one answers. */
export async function runningAt(data: string): Promise<string | undefined> {
  try {
    const { url } = whereaboutsSchema.parse(JSON.parse(await readFile(join(data, WHEREABOUTS_FILE), 'utf8')))
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(installLookTimeoutMs) })
    return answer.ok ? url : undefined
  } catch {
    // Whatever keeps it from answering, no node of this directory is to be spoken to.
    return undefined
  }
}

async function installedMs(): Promise<number> {
  return (await stat(new URL('../../../package.json', import.meta.url))).mtimeMs
}

async function systemdFacts(user: string, environment: Environment): Promise<Facts['systemd']> {
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  const runs = await isThere('/run/systemd/system')
  const runtime = environment.XDG_RUNTIME_DIR
  const userRuns = runs && runtime !== undefined && (await isThere(join(runtime, 'systemd/private')))
  const linger = userRuns
    ? await said('loginctl', ['show-user', user, '--property=Linger', '--value'], environment)
    : undefined
  return { runs, userRuns, ...(linger === undefined ? {} : { lingers: linger === 'yes' }) }
}
