/** The questions of the installer about the machine and whoever owns it; see interview.ts. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { NodeError } from '../../base/errors.ts'
import { installLookTimeoutMs } from '../../base/limits.ts'
import type { Questions } from '../ask.ts'
import { type Answers, multiaddrFrom, type Runner, type Way } from './answers.ts'
import type { Before } from './before.ts'
import type { InstallFlags } from './flags.ts'

const call = promisify(execFile)

const ADDRESS_RULE =
  'an address of a node looks like /ip4/192.0.2.7/tcp/4001 or /dns4/node.example.org/tcp/4001/p2p/12D3…'
const REACH_RULE =
  'a host name, an IP address, either with :port, or a whole address such as /dns4/node.example.org/tcp/4001'
const NOWHERE = 'none'

export async function askReachable(
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
export async function askBootstrap(
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

export async function askAuthor(
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

export async function askIntroduction(
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

export async function askSshKey(questions: Questions): Promise<boolean> {
  const message = 'Make an SSH key of this node, for git hosts that datasets come from or go to?'
  return questions.yes({ flag: '--ssh-key or --no-ssh-key', message, default: true })
}

export async function askRunner(questions: Questions, { system, runWith }: InstallFlags): Promise<Runner> {
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
