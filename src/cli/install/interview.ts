/** The questions of the installer, each answered by a flag, a person, or its default. */
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { isName } from '../../base/names.ts'
import { nameFrom } from '../../config.ts'
import { decodeInvitation } from '../../federation/invitations.ts'
import type { Questions } from '../ask.ts'
import { textOf } from '../files.ts'
import { timeText } from '../output.ts'
import type { Session } from '../session.ts'
import { type Answers, EVERYWHERE, LOOPBACK, pathFrom, type Way } from './answers.ts'
import { type Before, beforeIn } from './before.ts'
import type { InstallFlags } from './flags.ts'
import { ownerOf } from './owner.ts'
import {
  askAuthor,
  askBootstrap,
  askIntroduction,
  askReachable,
  askRunner,
  askSshKey,
} from './owner-questions.ts'
import { contentOf } from './plan.ts'

const NAME_RULE = 'lower-case letters, digits, dots, dashes and underscores, at most 63, such as lab-1'

/** @throws NodeError INVALID_INPUT naming a flag that is missing or wrong, CANCELLED */
export async function interview(
  session: Session,
  questions: Questions,
  flags: InstallFlags,
): Promise<Answers> {
  checkFlags(flags)
  const way = await askWay(session, questions, flags)
  const data = await askData(session, questions, flags)
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
  const introduced =
    chosen.kind === 'request' ? await askIntroduction(questions, flags, chosen, author.email) : chosen
  const { apiPort = before.apiPort, etcdPort = before.etcdPort } = flags
  return {
    ...{ data, name, listenHost, listenPort, announce, bootstrap, apiPort, etcdPort, author },
    way: introduced,
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

/**
 * A token is good for who has it: a dash reads it from where nobody looks on. What is no invitation, or is over, is told
 * before anything is written; a person may try again.
 *
 * @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, CANCELLED
 */
async function tokenIn(session: Session, questions: Questions, token: string): Promise<string> {
  if (token !== '-') return checkedToken(session, token)
  if (!questions.areHeard) return checkedToken(session, (await textOf(session, '-')).trim())
  for (;;) {
    const typed = (await questions.secret({ flag: '--join -', message: 'The invitation' })).trim()
    try {
      return checkedToken(session, typed)
    } catch (error) {
      if (!isNodeError(error)) throw error
      session.out.note(error.message)
    }
  }
}

function checkedToken(session: Session, token: string): string {
  const { name, expiresMs } = decodeInvitation(token, Date.now())
  session.out.note(`An invitation to the federation ${name}, good until ${timeText(expiresMs)}.`)
  return token
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

async function askData(session: Session, questions: Questions, { system }: InstallFlags): Promise<string> {
  const { globals, terminal } = session
  const { environment } = terminal
  if (globals.data !== undefined) return session.data
  // Root installs it for whoever called root.
  const owner = system === true ? await ownerOf(environment) : undefined
  const isSaid = environment.MAO_DATA !== undefined && environment.MAO_DATA !== ''
  const fallback = owner === undefined || isSaid ? session.data : join(owner.home, '.mao')
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

function nameProblem(text: string): string | undefined {
  return isName(text) ? undefined : NAME_RULE
}

function checked(name: string, flag: string): string {
  if (isName(name)) return name
  throw new NodeError('INVALID_NAME', `${flag} ${name} is no name; it has ${NAME_RULE}`, { name })
}
