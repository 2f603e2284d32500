import { join } from 'node:path'
import type { Command } from 'commander'
import { isNodeError, NodeError } from '../base/errors.ts'
import { StopStack } from '../base/lifecycle.ts'
import { instanceStopTimeoutMs } from '../base/limits.ts'
import { withDeadline } from '../base/wait.ts'
import { type Config, type ConfigInput, loadConfig, settings, unknownVariables } from '../config.ts'
import { TOKEN_FILE } from '../identity/access-token.ts'
import { gather, parsePort } from './arguments.ts'
import { EXIT, EXIT_OF } from './exit-codes.ts'
import { initCommand } from './init/init.ts'
import { installCommand } from './install/install.ts'
import { rotateKeyCommand } from './rotate-key.ts'
import type { Act, Session } from './session.ts'

interface StartOptions {
  config?: string
  name?: string
  listen?: string[]
  announce?: string[]
  bootstrap?: string[]
  host?: string
  port?: number
  logLevel?: string
  mdns: boolean
}

export function instanceCommands(program: Command, act: Act): void {
  const instance = program.command('instance').description('the node itself, on this machine')

  instance
    .command('start')
    .description('run a node until it is stopped')
    .option('--config <file>', 'settings; default: config.yaml in the data directory, where it is')
    .option('--name <name>', 'name of this node in its federation')
    .option(
      '--listen <address>',
      'address that peers can dial, such as /ip4/0.0.0.0/tcp/4001 (repeatable)',
      gather,
    )
    .option('--announce <address>', 'address told to peers instead (repeatable)', gather)
    .option('--bootstrap <address>', 'peer dialled at start (repeatable)', gather)
    .option('--host <address>', 'address the HTTP API listens on')
    .option('--port <number>', 'port of the HTTP API; 0 takes a free one', parsePort)
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .option('--no-mdns', 'do not look for peers on the local network')
    .action(act((session, options: StartOptions) => run(session, options)))

  installCommand(instance, act)
  initCommand(instance, act)
  rotateKeyCommand(instance, act)

  instance
    .command('settings')
    .description('list every setting with its variable and default')
    .action(
      act(async (session) => {
        const all = settings().map(({ schema: _, ...setting }) => setting)
        session.out.result(all, () => {
          const rows = all.map((setting) => {
            return [setting.path, setting.variable, JSON.stringify(setting.default), setting.description]
          })
          return session.out.table(['setting', 'variable', 'default', 'meaning'], rows)
        })
      }),
    )
}

async function run(session: Session, options: StartOptions): Promise<void> {
  const { environment } = session.terminal
  const flags = flagsOf(session.globals.data, options)
  const { config: file } = options
  const config = await loadConfig({ environment, flags, ...(file === undefined ? {} : { file }) })
  const stopRequested = untilSignal(session)
  const running = new StopStack()
  try {
    await compose(session, config, running)
    await stopRequested.promise
    session.out.note('Stopping; a second signal ends the node at once.')
  } finally {
    await stopAll(session, running)
    stopRequested.dispose()
  }
}

/** A part that does not stop must not keep the process: it is ended with it. */
async function stopAll(session: Session, running: StopStack): Promise<void> {
  try {
    await withDeadline(running.unwind(), instanceStopTimeoutMs, 'Stopping the node')
  } catch (error) {
    if (!isNodeError(error, 'TIMED_OUT')) throw error
    session.out.failure(error)
    process.exit(EXIT_OF.TIMED_OUT)
  }
}

/** The node, then its API; they stop in reverse. */
async function compose(session: Session, config: Config, running: StopStack): Promise<void> {
  // Loaded here alone, so that every other command stays quick.
  const { createLogger } = await import('../base/logger.ts')
  const { Node } = await import('../node.ts')
  const { ApiServer } = await import('../api/server.ts')
  const log = createLogger(config.log.level)
  const variables = unknownVariables(session.terminal.environment)
  if (variables.length > 0) log.warn({ variables }, 'these variables are named as settings are, and are none')
  const node = new Node({ config, log })
  await running.start('node', node)
  const api = new ApiServer({ node, log })
  await running.start('api', api)
  const { dataDirectory } = config
  const tokenFile = join(dataDirectory, TOKEN_FILE)
  const { name, peerId } = node
  const ready = {
    url: api.url,
    name,
    peerId,
    dataDirectory,
    tokenFile,
    addresses: node.addresses(),
    pid: process.pid,
  }
  const verb = node.hasFederation ? 'federation members' : 'federation create --name NAME'
  session.out.item(ready, () => {
    return `Node ${name} runs at ${api.url}, its token is in ${tokenFile}; next: maoctl --data ${dataDirectory} ${verb}`
  })
}

function flagsOf(data: string | undefined, options: StartOptions): ConfigInput {
  const { name, listen, announce, bootstrap, host, port, logLevel, mdns } = options
  const said = <T>(key: string, value: T | undefined) => (value === undefined ? {} : { [key]: value })
  return {
    ...said('dataDirectory', data),
    ...said('name', name),
    ...said('listen', listen),
    ...said('announce', announce),
    ...said('bootstrap', bootstrap),
    // Without the flag the other sources decide.
    ...(mdns ? {} : { mdns: false }),
    api: { ...said('host', host), ...said('port', port) },
    log: said('level', logLevel),
  }
}

/** The first SIGTERM or SIGINT asks for a clean stop; the second one is obeyed at once. */
function untilSignal(session: Session): { promise: Promise<void>; dispose: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let asked = false
  const onSignal = (signal: string) => {
    if (asked) {
      session.out.failure(
        new NodeError('CANCELLED', `A second ${signal} ended the node before it had stopped`),
      )
      process.exit(EXIT.INTERRUPTED)
    }
    asked = true
    resolve()
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return { promise, dispose: () => process.off('SIGTERM', onSignal).off('SIGINT', onSignal) }
}
