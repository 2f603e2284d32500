import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Command } from 'commander'
import { type Check, diagnosisSchema, machineChecks } from '../api/doctor-checks.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { type Config, loadConfig, unknownVariables } from '../config.ts'
import { engineAnswers } from './engine-ping.ts'
import { EXIT } from './exit-codes.ts'
import type { Output } from './output.ts'
import type { Act, Session } from './session.ts'
import { version } from './version.ts'
import { withWayOut } from './ways-out.ts'

export function doctorCommands(program: Command, act: Act): void {
  program
    .command('doctor')
    .description(
      'look at the node and its surroundings, and say what is wrong and what to do; exit code 8 if anything is',
    )
    .action(
      act(async (session) => {
        const checks = await examine(session)
        const problems = checks.filter(({ verdict }) => verdict === 'problem').length
        const warnings = checks.filter(({ verdict }) => verdict === 'warning').length
        if (problems > 0) session.exitCode = EXIT.OUTCOME
        session.out.result(
          { problems, warnings, checks },
          () =>
            [...checks.map((check) => line(session.out, check)), '', summary(problems, warnings)].join('\n'),
          () =>
            checks
              .filter(({ verdict }) => verdict !== 'ok')
              .map((check) => line(session.out, check))
              .join('\n'),
        )
      }),
    )
}

const MARKS = {
  ok: ['green', '✓'],
  warning: ['yellow', '!'],
  problem: ['red', '✗'],
} as const

function line(out: Output, { verdict, words, wayOut }: Check): string {
  const [style, mark] = MARKS[verdict]
  return `${out.style(style, mark)} ${out.said(words)}.${wayOut === undefined ? '' : `\n  → ${out.said(wayOut)}`}`
}

function summary(problems: number, warnings: number): string {
  if (problems > 0) return `Something is wrong: see each ✗${warnings > 0 ? ', and perhaps each !' : ''}.`
  return warnings > 0 ? 'Nothing is wrong; see each ! for what could be better.' : 'All is well.'
}

/** What the node says of itself, or, where none answers, what can be seen from here. */
async function examine(session: Session): Promise<Check[]> {
  try {
    const client = await session.connect()
    const { version: theirs, checks } = await client.get('/doctor', diagnosisSchema)
    return [
      { id: 'api', verdict: 'ok', words: `The node at ${client.url} answers, and takes the token` },
      versionCheck(version(), theirs),
      ...checks,
      ...strayVariables(session, checks),
    ]
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return [unanswered(error), ...(await localChecks(session, isNodeError(error, 'NODE_UNREACHABLE')))]
  }
}

export function versionCheck(ours: string, theirs: string): Check {
  if (ours === theirs)
    return { id: 'version', verdict: 'ok', words: `maoctl and the node are both version ${ours}` }
  return {
    id: 'version',
    verdict: 'warning',
    words: `maoctl is version ${ours}, the node ${theirs}`,
    wayOut: 'install the same on both, and start the node again',
  }
}

/** What is set here and means nothing, beside what was set where the node was started. */
function strayVariables({ terminal }: Session, told: readonly Check[]): Check[] {
  return unknownVariables(terminal.environment)
    .filter(
      (variable) => !told.some(({ id, words }) => id === 'variables' && words.startsWith(`${variable} `)),
    )
    .map((variable) => ({
      id: 'variables',
      verdict: 'warning',
      words: `${variable} is set in this shell, and neither maoctl nor the node knows it`,
      wayOut: 'unset it; "maoctl help environment" and "maoctl instance settings" list those that are',
    }))
}

function unanswered({ code, message }: NodeError): Check {
  const [words = message, ...ways] = withWayOut(code, message).split('; ')
  return { id: 'api', verdict: 'problem', words, wayOut: ways.join('; ') || 'start the node' }
}

/** @param isHere whether the node would be one of this machine: then its settings and files can be looked at. */
async function localChecks(session: Session, isHere: boolean): Promise<Check[]> {
  if (!isHere) return strayVariables(session, [])
  let config: Config
  const { environment } = session.terminal
  try {
    config = await loadConfig({ environment, flags: { dataDirectory: session.data } })
  } catch (error) {
    if (!isNodeError(error, 'INVALID_CONFIG')) throw error
    const wayOut = 'mend it in config.yaml or the environment; "maoctl instance settings" lists all'
    return [{ id: 'settings', verdict: 'problem', words: error.message, wayOut }]
  }
  // Loaded here alone, so that every other command stays quick.
  const { machineFacts } = await import('../api/doctor-facts.ts')
  const machine = machineChecks(await machineFacts(config, environment), config)
  const { api, etcd } = config
  const ports = await Promise.all([
    portCheck('api', 'api.port', api),
    ...(etcd.serve === 'never' ? [] : [portCheck('etcd', 'etcd.port', etcd)]),
  ])
  return [await engineCheck(config.docker.socketPath), ...ports, ...machine]
}

/** Whether the node would get a port if it were started now. */
async function portCheck(
  id: string,
  setting: string,
  { host, port }: { host: string; port: number },
): Promise<Check> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return { id, verdict: 'ok', words: `Port ${port} of ${host} is free for the node (${setting})` }
  } catch (error) {
    const words = `Port ${port} of ${host} cannot be had (${messageOf(error)})`
    return { id, verdict: 'warning', words, wayOut: `end what has it, or set ${setting} to another` }
  } finally {
    server.close()
  }
}

async function engineCheck(socketPath: string): Promise<Check> {
  const why = await engineAnswers(socketPath)
  if (why === undefined)
    return { id: 'engine', verdict: 'ok', words: `A container engine answers at ${socketPath}` }
  return {
    id: 'engine',
    verdict: 'warning',
    words: `No container engine answers at ${socketPath} (${why}), so no step can run here`,
    wayOut: 'start Docker, let this user reach it, or name its socket in docker.socketPath',
  }
}
