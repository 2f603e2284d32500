/**
 * One network namespace: a machine of its own as far as the network goes. Everything in this directory is made inside
 * namespaces, also the links between them, so that the interfaces and rules of the machine itself are never touched.
 */
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

const DIRECTORY = '/run/netns'
/** The process that made a namespace stands in its name, so that one which a killed test left behind is known. */
const NAME = /^mao-n-(?<pid>\d+)-\d+$/
const COMMAND_TIMEOUT_MS = 10_000
const NEEDED =
  'This test joins nodes over networks of its own. It needs the programs ip and iptables ' +
  '(Debian: apt-get install iproute2 iptables), and root with the right to make network namespaces'

let made = 0
let swept: Promise<void> | undefined

export class Namespace {
  readonly name: string

  private constructor(name: string) {
    this.name = name
  }

  /** A new one in which nothing is up but loopback. @throws Error that says what to install where none can be made. */
  static async add(): Promise<Namespace> {
    swept ??= sweep()
    await swept
    made += 1
    const namespace = new Namespace(`mao-n-${process.pid}-${made}`)
    await command('ip', ['netns', 'add', namespace.name]).catch((cause: unknown) => {
      throw new Error(`${NEEDED}: none can be made here`, { cause })
    })
    await namespace.ip('link set lo up')
    return namespace
  }

  /** Carries out lines of the `ip` program in here, all by one process. */
  async ip(...lines: string[]): Promise<void> {
    await command('ip', ['-n', this.name, '-batch', '-'], `${lines.join('\n')}\n`)
  }

  /** Runs a program in here to its end. @returns what it printed. */
  run(program: string, ...words: string[]): Promise<string> {
    return command('ip', this.words(program, ...words))
  }

  /** The words after `ip` with which a program runs in here, under the process id that `ip` had. */
  words(program: string, ...words: string[]): string[] {
    return ['netns', 'exec', this.name, program, ...words]
  }

  async remove(): Promise<void> {
    await command('ip', ['netns', 'del', this.name])
  }
}

/** Runs a program to its end. @throws Error with what it said. */
async function command(program: string, words: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, words, { timeout: COMMAND_TIMEOUT_MS })
  // A program that ends before it has read everything tells why by its exit code.
  child.stdin.on('error', () => undefined).end(input)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (code === 0) return stdout
  throw new Error(`${program} ${words.join(' ')} ${input} ended with ${code}: ${stderr}`)
}

/** Ends what tests left behind that were killed before they could clear up, first making sure that this machine can do it. */
async function sweep(): Promise<void> {
  await requireNamespaces()
  for (const name of await readdir(DIRECTORY).catch(() => [])) {
    const maker = NAME.exec(name)?.groups?.pid
    if (maker === undefined || isAlive(Number(maker))) continue
    // Two tests that start at once both sweep: what the other has taken away meanwhile is no failure.
    const pids = await command('ip', ['netns', 'pids', name]).catch(() => '')
    for (const pid of pids.split('\n').filter(Boolean)) kill(Number(pid))
    await command('ip', ['netns', 'del', name]).catch(() => undefined)
  }
}

async function requireNamespaces(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error(`${NEEDED}: run it as root`)
  try {
    await Promise.all([command('ip', ['-V']), command('iptables', ['-V'])])
  } catch (cause) {
    throw new Error(`${NEEDED}: a program is missing`, { cause })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself since it was listed.
  }
}
