/** `maoctl instance install`: sets a node up on this machine, and changes nothing before everything has been looked at. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { NodeError } from '../../base/errors.ts'
import { MINUTE_MS } from '../../base/limits.ts'
import { SshAccess } from '../../datasets/upstream/ssh-access.ts'
import { gather, parseDuration, parsePort } from '../arguments.ts'
import { Questions } from '../ask.ts'
import { EXIT_OF } from '../exit-codes.ts'
import type { Act, Session } from '../session.ts'
import type { Answers } from './answers.ts'
import { type Check, checkLines, type Facts, judgeAll } from './checks.ts'
import { type Entered, enter } from './entering.ts'
import { gatherFacts } from './facts.ts'
import type { InstallFlags } from './flags.ts'
import { interview } from './interview.ts'
import { type NextCommands, nextCommands } from './next-commands.ts'
import { giveTo } from './owner.ts'
import { placeOf } from './place.ts'
import {
  changedFiles,
  differences,
  type Place,
  type PlannedFile,
  pathsOf,
  planFiles,
  writeFiles,
} from './plan.ts'
import { startNode } from './starting.ts'

/** A decision by people may take days; this is for those who sit side by side. */
const DECISION_WAIT_MS = 2 * MINUTE_MS

const AFTER_HELP = `
Asks for everything that no flag says, where somebody is there to answer; elsewhere one of --alone, --create, --join,
--request and --later is needed, and all else has a default. Run again, it shows what would change and asks before it
replaces anything; data are never touched.

  maoctl instance install                                    asks
  maoctl instance install --alone --yes --start              one node for itself
  maoctl instance install --create lab --reachable node.example.org
  maoctl instance install --join - < invitation --start
  maoctl instance install --request observatory --message 'Group B' --contact b@example.org --start`

export function installCommand(instance: Command, act: Act): void {
  instance
    .command('install')
    .description('set a node up on this machine: settings, systemd unit, compose file')
    .option('--alone', 'stand alone: a federation of its own, reached by nobody else')
    .option('--create <name>', 'found a federation')
    .option('--description <text>', 'what that federation is for')
    .option('--private', 'of that federation strangers see nothing')
    .option(
      '--join <token>',
      'join by an invitation; - asks for it or reads standard input, and shows it to nobody',
    )
    .option('--request [federation]', 'ask a federation of the marketplace to be let in, by its name or id')
    .option('--address <address>', 'a node of that federation to ask (repeatable)', gather)
    .option('--message <text>', 'with a request: who you are')
    .option('--contact <address>', 'where you are reached: with a request, or for a new federation')
    .option('--later', 'come to a federation another time')
    .option('--name <name>', 'name of this node; default: of this machine')
    .option('--listen-port <number>', 'TCP port that peers dial; default: 4001', parsePort)
    .option('--reachable <host>', 'where others reach that port: a host name or an address; none: found out')
    .option('--bootstrap <address>', 'a node to hear of others through (repeatable)', gather)
    .option('--api-port <number>', 'port of the API, on this machine; default: 8080', parsePort)
    .option('--etcd-port <number>', 'port for etcd clients, on this machine; default: 2379', parsePort)
    .option('--git-name <name>', "name in this node's commits")
    .option('--git-email <address>', 'e-mail there')
    .option('--ssh-key', 'make an SSH key of this node for git hosts (default)')
    .option('--no-ssh-key', 'make none')
    .option('--system', 'a service of the machine, not of this user; needs root')
    .addOption(
      new Option('--run-with <how>', 'how it runs; default: systemd').choices(['systemd', 'compose', 'hand']),
    )
    .option('--start', 'start it, bring it into its federation, and wait for the outcome')
    .option('--wait <time>', 'how long a decision on a request is waited for; default: 2m', parseDuration)
    .option('--dry-run', 'only look, and print all files')
    .addHelpText('after', AFTER_HELP)
    .action(act(install))
}

async function install(session: Session, flags: InstallFlags): Promise<void> {
  const questions = new Questions(session)
  const answers = await interview(session, questions, flags)
  const { environment } = session.terminal
  const place = await placeOf(environment, answers.runner === 'system-service')
  const paths = pathsOf(answers, place)
  const files = await planFiles(answers, place)
  const facts = await gatherFacts({ answers, files, socketPath: place.socketPath, environment })
  const checks = judgeAll(facts, answers)
  const next = nextCommands(runnable(answers, facts), paths, place.usualData)
  if (flags.dryRun === true) return showDry(session, checks, files, next)
  session.out.note(coloured(session, checks).join('\n'))
  refuseBad(checks)
  await agree(session, questions, files)
  const wrote = ({ what, path }: PlannedFile) => session.out.note(`✓ wrote the ${what} ${path}`)
  await writeFiles(changedFiles(files), wrote, place.owner)
  const publicKey = answers.sshKey ? await makeKey(session, answers, place) : undefined
  const entered =
    flags.start === true ? await start(session, questions, answers, facts, next, flags) : undefined
  const written = changedFiles(files).map(({ what, path }) => ({ what, path }))
  const told = {
    checks,
    written,
    publicKey,
    next: flags.start === true ? next.afterwards.slice(-1) : commandsOf(next),
  }
  session.out.result({ ...told, ...entered }, () =>
    summary(session, answers, files, entered, told.next, publicKey),
  )
}

/** How it is started on this machine: where systemd does not run, its units start nothing. */
function runnable(answers: Answers, { systemd }: Facts): Answers {
  const { runner } = answers
  const runs = runner === 'user-service' ? systemd.userRuns : runner !== 'system-service' || systemd.runs
  return runs ? answers : { ...answers, runner: 'hand' }
}

function commandsOf(next: NextCommands): string[] {
  return [...next.start, ...next.afterwards]
}

function coloured(session: Session, checks: readonly Check[]): string[] {
  return checkLines(checks).map((line) => {
    const style = line.startsWith('✓')
      ? 'green'
      : line.startsWith('✗')
        ? 'red'
        : line.startsWith('!')
          ? 'yellow'
          : 'dim'
    return session.out.style(style, line.slice(0, 1)) + line.slice(1)
  })
}

/** @throws NodeError CHECK_FAILED */
function refuseBad(checks: readonly Check[]): void {
  const bad = checks.filter(({ verdict }) => verdict === 'bad')
  if (bad.length === 0) return
  const words = bad.map(
    ({ name, words, advice }) => `${name}: ${words}${advice === undefined ? '' : ` (${advice})`}`,
  )
  throw new NodeError('CHECK_FAILED', `Nothing was written. ${words.join('; ')}`, { checks: bad })
}

function showDry(
  session: Session,
  checks: readonly Check[],
  files: readonly PlannedFile[],
  next: NextCommands,
): void {
  const told = files.map(({ what, path, mode, text, before }) => {
    const state = before === undefined ? 'new' : before === text ? 'same' : 'differs'
    return { what, path, mode: mode.toString(8).padStart(4, '0'), state, text }
  })
  if (checks.some(({ verdict }) => verdict === 'bad')) session.exitCode = EXIT_OF.CHECK_FAILED
  session.out.result({ checks, files: told, next: commandsOf(next) }, () => {
    const shown = told.map(({ path, mode, state, text }) => {
      return `${session.out.style('bold', `── ${path} (${mode}, ${state})`)}\n${text}`
    })
    return [...coloured(session, checks), '', ...shown, 'Nothing was written.'].join('\n')
  })
}

/** What is there and differs is replaced only once somebody has seen how. @throws NodeError CANCELLED, INVALID_INPUT */
async function agree(session: Session, questions: Questions, files: readonly PlannedFile[]): Promise<void> {
  const changed = changedFiles(files)
  if (changed.length === 0) {
    session.out.note('All files are there already, just as they would be written.')
    return
  }
  const differing = differences(files)
  if (differing !== '') {
    session.out.note(differing)
    await session.confirm('Replace what differs?')
    return
  }
  session.out.note(changed.map(({ what, path }) => `  ${what}: ${path}`).join('\n'))
  const yes = await questions.yes({ flag: '--yes', message: 'Write these files?', default: true })
  if (!yes) throw new NodeError('CANCELLED', 'Nothing was changed')
}

/** The same key as "maoctl dataset upstream key" makes; where OpenSSH is missing, the node does without. */
async function makeKey(
  session: Session,
  { data, name }: Answers,
  { owner }: Place,
): Promise<string | undefined> {
  try {
    const directory = join(data, 'ssh')
    const key = await new SshAccess(directory).makeKey(`mao-${name}`)
    if (owner !== undefined) await giveTo(owner, directory)
    return key
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    session.out.note(`! No SSH key was made: ${error.message}`)
    return undefined
  }
}

async function start(
  session: Session,
  questions: Questions,
  answers: Answers,
  { systemd }: Facts,
  next: NextCommands,
  { wait = DECISION_WAIT_MS }: InstallFlags,
): Promise<Entered> {
  const isSystem = answers.runner === 'system-service'
  const paths = pathsOf(answers, await placeOf(session.terminal.environment, isSystem))
  const client = await startNode({ session, answers, paths, systemd, next })
  return enter({ session, questions, client, answers, waitMs: wait })
}

function summary(
  session: Session,
  { name, data }: Answers,
  files: readonly PlannedFile[],
  entered: Entered | undefined,
  commands: readonly string[],
  publicKey: string | undefined,
): string {
  const has = files.map(({ what, path }) => `  ${what.padEnd(13)} ${path}`)
  const key = publicKey === undefined ? [] : ['', 'Key of this node for git hosts:', `  ${publicKey}`]
  const outcome = entered === undefined ? `The node ${name} is set up in ${data}.` : entered.words
  return [
    session.out.style('bold', outcome),
    ...has,
    ...key,
    '',
    'Next:',
    ...commands.map((command) => {
      // It ends with Ctrl-C and not before, so that what follows is typed elsewhere.
      return `  ${command}${command.endsWith('instance start') ? '    # in a terminal of its own' : ''}`
    }),
  ].join('\n')
}
