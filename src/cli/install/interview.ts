/** The questions of the installer, each answered by a flag, a person, or its default. */
import { execFile } from 'node:child_process'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { NodeError } from '../../base/errors.ts'
import { installLookTimeoutMs } from '../../base/limits.ts'
import { isName } from '../../base/names.ts'
import { nameFrom } from '../../config.ts'
import type { Questions } from '../ask.ts'
import { textOf } from '../files.ts'
import type { Session } from '../session.ts'
import {
  type Answers,
  EVERYWHERE,
  LOOPBACK,
  multiaddrFrom,
  pathFrom,
  type Runner,
  type Way,
} from './answers.ts'
import { type Before, beforeIn } from './before.ts'
import { contentOf } from './plan.ts'

const call = promisify(execFile)

/** What the flags say; see install.ts. */
export interface InstallFlags {
  alone?: boolean
  create?: string
  description?: string
  join?: string
  request?: string | boolean
  later?: boolean
  private?: boolean
  address?: string[]
  message?: string
  contact?: string
  name?: string
  listenPort?: number
  reachable?: string
  bootstrap?: string[]
  apiPort?: number
  etcdPort?: number
  gitName?: string
  gitEmail?: string
  sshKey?: boolean
  system?: boolean
  runWith?: 'systemd' | 'compose' | 'hand'
  start?: boolean
  dryRun?: boolean
  wait?: number
}

const NAME_RULE = 'lower-case letters, digits, dots, dashes and underscores, at most 63, such as lab-1'
const ADDRESS_RULE =
  'an address of a node looks like /ip4/192.0.2.7/tcp/4001 or /dns4/node.example.org/tcp/4001/p2p/12D3…'
const REACH_RULE =
  'a host name, an IP address, either with :port, or a whole address such as /dns4/node.example.org/tcp/4001'
const NOWHERE = 'none'

/** @throws NodeError INVALID_INPUT naming a flag that is missing or wrong, CANCELLED */
export async function interview(
  session: Session,
  questions: Questions,
  flags: InstallFlags,
): Promise<Answers> {
  checkFlags(flags)
  const way = await askWay(session, questions, flags)
  const data = await askData(session, questions)
  const before = beforeIn(await contentOf(join(data, 'config.yaml')))
  const chosen = way ?? (await askWayAnew(session, questions, flags, before))
  const name = await askName(questions, flags, before)
  const isLater = chosen.kind === 'later'
  const elsewhere = isLater || before.listenHost !== LOOPBACK ? before.listenHost : EVERYWHERE
  const listenHost = chosen.kind === 'alone' ? LOOPBACK : elsewhere
  const listenPort = flags.listenPort ?? before.listenPort
  const isAlone = listenHost === LOOPBACK
  const announce = isAlone ? undefined : await askReachable(questions, flags, before, listenPort)
  const bootstrap = isAlone ? [] : await askBootstrap(questions, flags, before, chosen)
  const author = await askAuthor(questions, flags, before, session.terminal.environment)
  const way2 =
    chosen.kind === 'request' ? await askIntroduction(questions, flags, chosen, author.email) : chosen
  const { apiPort = before.apiPort, etcdPort = before.etcdPort } = flags
  return {
    ...{ data, name, listenHost, listenPort, announce, bootstrap, apiPort, etcdPort, author },
    way: way2,
    sshKey: flags.sshKey ?? (await askSshKey(questions)),
    runner: await askRunner(questions, flags),
  }
}

function checkFlags({ alone, create, join: token, request, later, system, runWith }: InstallFlags): void {
  const ways = [alone, create, token, request, later].filter((each) => each !== undefined && each !== false)
  if (ways.length > 1) {
    throw new NodeError('INVALID_INPUT', 'Choose one of --alone, --create, --join, --request and --later')
  }
  if (system === true && runWith !== undefined && runWith !== 'systemd') {
    throw new NodeError('INVALID_INPUT', `--system is about systemd, and --run-with says ${runWith}`)
  }
}

/** What the flags alone decide; undefined where a person is to, once the directory is known. */
async function askWay(session: Session, questions: Questions, flags: InstallFlags): Promise<Way | undefined> {
  const { alone, create, description = '', join: token, request, later, address: addresses = [] } = flags
  if (alone === true) return { kind: 'alone' }
  if (later === true) return { kind: 'later' }
  if (create !== undefined)
    return { kind: 'create', name: checked(create, '--create'), description, ...foundingOf(flags) }
  if (token !== undefined) return { kind: 'join', token: await tokenIn(session, questions, token) }
  if (request === undefined || request === false) return undefined
  if (request === true && addresses.length === 0 && !questions.areHeard) {
    const message =
      'Nobody is there to choose from the marketplace; name the federation with --request NAME, or its nodes with --address'
    throw new NodeError('INVALID_INPUT', message, { flag: '--request' })
  }
  const federation = request === true ? '' : request
  return { kind: 'request', federation, addresses, message: '', contact: '' }
}

/** A token is good for who has it: a dash reads it from where nobody looks on. */
async function tokenIn(session: Session, questions: Questions, token: string): Promise<string> {
  if (token !== '-') return token
  if (questions.areHeard) return questions.secret({ flag: '--join -', message: 'The invitation' })
  return (await textOf(session, '-')).trim()
}

async function askWayAnew(
  session: Session,
  questions: Questions,
  flags: InstallFlags,
  before: Before,
): Promise<Way> {
  type Kind = Way['kind'] | 'market'
  const later = before.isThere ? 'leave it as it is' : 'decide later'
  const kind = await questions.choice<Kind>({
    flag: 'one of --alone, --create NAME, --join TOKEN, --request NAME and --later',
    message: 'How is this node to take part?',
    choices: [
      { value: 'join', name: 'Join a federation: I have an invitation' },
      { value: 'request', name: 'Join a federation: choose one on the marketplace and ask to be let in' },
      { value: 'create', name: 'Found a new federation, and invite others' },
      { value: 'alone', name: 'Stand alone: on this machine, reached by nobody' },
      { value: 'later', name: `Only set the node up: ${later}` },
    ],
    ...(before.isThere ? { default: 'later' as const } : {}),
  })
  if (kind === 'alone' || kind === 'later') return { kind }
  if (kind === 'join') return { kind, token: await tokenIn(session, questions, '-') }
  if (kind === 'request') {
    return { kind, federation: '', addresses: flags.address ?? [], message: '', contact: '' }
  }
  const name = await questions.text({
    flag: '--create NAME',
    message: 'Name of the federation',
    check: nameProblem,
  })
  const description =
    flags.description ??
    (await questions.text({ flag: '--description', message: 'What it is for, in a sentence', default: '' }))
  return { kind: 'create', name, description, ...foundingOf(flags) }
}

function foundingOf({ contact, private: isPrivate = false }: InstallFlags) {
  return { contacts: contact === undefined ? [] : [contact], isPrivate }
}

async function askData(session: Session, questions: Questions): Promise<string> {
  const { globals, data: fallback } = session
  if (globals.data !== undefined) return session.data
  const home = homedir()
  const shown = fallback.startsWith(`${home}/`) ? `~${fallback.slice(home.length)}` : fallback
  return pathFrom(
    await questions.text({
      flag: '--data DIR',
      message: 'Directory for the data of the node',
      default: shown,
    }),
  )
}

async function askName(questions: Questions, flags: InstallFlags, before: Before): Promise<string> {
  if (flags.name !== undefined) return checked(flags.name, '--name')
  const fallback = before.name !== undefined && isName(before.name) ? before.name : nameFrom(hostname())
  const message = 'Name of this node among the others'
  return questions.text({ flag: '--name NAME', message, default: fallback, check: nameProblem })
}

async function askReachable(
  questions: Questions,
  flags: InstallFlags,
  before: Before,
  port: number,
): Promise<string | undefined> {
  const problem = (text: string) => {
    return text === '' || text === NOWHERE || multiaddrFrom(text, port) !== undefined
      ? undefined
      : `expected ${REACH_RULE}, or ${NOWHERE}`
  }
  const fallback = before.announce ?? NOWHERE
  const said =
    flags.reachable ??
    (await questions.text({
      flag: '--reachable HOST',
      message: `Address at which others reach this node (${NOWHERE}: found out as it runs)`,
      default: fallback,
      check: problem,
    }))
  const wrong = problem(said)
  if (wrong !== undefined) throw new NodeError('INVALID_INPUT', `--reachable ${said}: ${wrong}`)
  return said === NOWHERE ? undefined : multiaddrFrom(said, port)
}

/** A newcomer without an invitation hears of others through one that it knows, or on its own network. */
async function askBootstrap(
  questions: Questions,
  flags: InstallFlags,
  before: Before,
  way: Way,
): Promise<readonly string[]> {
  const problem = (text: string) => {
    return words(text).every((each) => /^\/[^\s,]+$/.test(each)) ? undefined : ADDRESS_RULE
  }
  const { bootstrap } = flags
  if (bootstrap !== undefined || way.kind !== 'request' || way.addresses.length > 0) {
    const wrong = problem((bootstrap ?? []).join(' '))
    if (wrong !== undefined) throw new NodeError('INVALID_INPUT', `--bootstrap: ${wrong}`)
    return bootstrap ?? before.bootstrap
  }
  const answer = await questions.text({
    flag: '--bootstrap ADDRESS',
    message: 'Addresses of nodes to hear of others through (empty: those on the local network)',
    default: before.bootstrap.join(' '),
    check: problem,
  })
  return words(answer)
}

async function askAuthor(
  questions: Questions,
  flags: InstallFlags,
  before: Before,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Answers['author']> {
  const problem = (text: string) => (/[<>\p{Cc}]/u.test(text) ? 'no angle brackets here' : undefined)
  const mailProblem = (text: string) => {
    return text === '' || /^[^\s@<>]+@[^\s@<>]+$/.test(text)
      ? undefined
      : 'an address looks like me@example.org'
  }
  const fallback = async (key: string, was: string) =>
    was || (questions.areHeard ? await gitSays(key, environment) : '')
  const name =
    flags.gitName ??
    (await questions.text({
      flag: '--git-name NAME',
      message: "Name in this node's commits, for all members to read (empty: the node's)",
      default: await fallback('user.name', before.author.name),
      check: problem,
    }))
  const email =
    flags.gitEmail ??
    (await questions.text({
      flag: '--git-email ADDRESS',
      message: "E-mail there (empty: the node's id)",
      default: await fallback('user.email', before.author.email),
      check: mailProblem,
    }))
  const wrong = problem(name) ?? mailProblem(email)
  if (wrong !== undefined) throw new NodeError('INVALID_INPUT', `--git-name, --git-email: ${wrong}`)
  return { name, email }
}

async function gitSays(
  key: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  try {
    const { stdout } = await call('git', ['config', '--global', key], {
      env: environment,
      timeout: installLookTimeoutMs,
    })
    return stdout.trim()
  } catch {
    // Nothing is set, or git is not there: then there is no default.
    return ''
  }
}

async function askIntroduction(
  questions: Questions,
  flags: InstallFlags,
  way: Extract<Way, { kind: 'request' }>,
  email: string,
): Promise<Way> {
  const message =
    flags.message ??
    (await questions.text({
      flag: '--message TEXT',
      message: 'Who you are, for those who decide',
      check: someText,
    }))
  const asked = { flag: '--contact ADDRESS', message: 'Where they reach you', check: someText }
  const contact =
    flags.contact ?? (await questions.text({ ...asked, ...(email === '' ? {} : { default: email }) }))
  return { ...way, message, contact }
}

async function askSshKey(questions: Questions): Promise<boolean> {
  const message = 'Make an SSH key of this node, for git hosts that datasets come from or go to?'
  return questions.yes({ flag: '--ssh-key or --no-ssh-key', message, default: true })
}

async function askRunner(questions: Questions, { system, runWith }: InstallFlags): Promise<Runner> {
  if (runWith === 'compose' || runWith === 'hand') return runWith
  if (system === true) return 'system-service'
  if (runWith === 'systemd') return 'user-service'
  return questions.choice<Runner>({
    flag: '--run-with HOW',
    message: 'How is it to run?',
    choices: [
      { value: 'user-service', name: 'As a service of mine (systemd, user unit)' },
      { value: 'system-service', name: 'As a service of this machine (systemd; needs root)' },
      { value: 'compose', name: 'In a container (docker compose)' },
      { value: 'hand', name: 'By hand, in a terminal' },
    ],
    default: 'user-service',
  })
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

function someText(text: string): string | undefined {
  return text === '' ? 'a few words are needed' : undefined
}

function nameProblem(text: string): string | undefined {
  return isName(text) ? undefined : NAME_RULE
}

function checked(name: string, flag: string): string {
  if (isName(name)) return name
  throw new NodeError('INVALID_NAME', `${flag} ${name}: a name has ${NAME_RULE}`, { name })
}
