import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import { NodeError } from '../base/errors.ts'
import { printable } from '../base/strangers-words.ts'
import { ApiClient, findNode, isLoopback } from './client.ts'
import { dataDirectoryOf, destinationOf, profilesFileOf } from './destination.ts'
import { EXIT } from './exit-codes.ts'
import type { Globals } from './globals.ts'
import { Output } from './output.ts'
import { needProfile, readProfiles } from './profiles.ts'

/** The world around one command line; tests bring their own. */
export interface Terminal {
  stdin: Readable
  stdout: Writable
  stderr: Writable
  environment: Readonly<Record<string, string | undefined>>
}

/** One command at work: where it says things, and the node it talks to. */
export class Session {
  readonly out: Output
  readonly terminal: Terminal
  readonly globals: Globals
  /** What the program ends with when nothing throws. */
  exitCode: number = EXIT.OK

  constructor(terminal: Terminal, globals: Globals) {
    const { stdout, stderr, environment } = terminal
    this.terminal = terminal
    this.globals = globals
    this.out = new Output({
      stdout,
      stderr,
      environment,
      json: globals.json === true,
      quiet: globals.quiet === true,
    })
  }

  /** The data directory that this command is about. */
  get data(): string {
    return dataDirectoryOf(this.globals, this.terminal.environment)
  }

  /** Whether a person is there who could answer. */
  get isAttended(): boolean {
    const { stdin } = this.terminal
    return 'isTTY' in stdin && stdin.isTTY === true
  }

  /** @throws NodeError NODE_UNREACHABLE, UNAUTHORIZED, INVALID_INPUT, and NOT_FOUND for a profile that is not there. */
  async connect(signal?: AbortSignal): Promise<ApiClient> {
    const { environment } = this.terminal
    const { globals, data } = this
    const profiles = await readProfiles(profilesFileOf(environment))
    const to = destinationOf(globals, environment, profiles.default)
    const caFile = environment.MAO_CA_FILE
    if (to.kind === 'data') return new ApiClient(await findNode({ data, token: to.token, signal }))
    if (to.kind === 'url') {
      refuseInTheClear(to.url)
      return new ApiClient(await findNode({ data, url: to.url, token: to.token, caFile, signal }))
    }
    const profile = needProfile(profiles, to.name)
    const { url, token } = profile
    return new ApiClient(
      await findNode({ data, url, token: to.token ?? token, caFile: profile.caFile ?? caFile }),
    )
  }

  /** @throws NodeError CANCELLED unless a person, or `--yes`, says yes. */
  async confirm(question: string): Promise<void> {
    if (this.globals.yes === true) return
    const { stdin, stderr } = this.terminal
    if (!this.isAttended) {
      throw new NodeError('INVALID_INPUT', `${question} Nobody is there to answer; add --yes`)
    }
    const asking = createInterface({ input: stdin, output: stderr })
    try {
      const answer = await asking.question(`${printable(question)} [y/N] `)
      if (!/^y(es)?$/i.test(answer.trim())) throw new NodeError('CANCELLED', 'Nothing was changed')
    } finally {
      asking.close()
    }
  }
}

/** As for a profile: on the way to another machine a token is not to be read. @throws NodeError INVALID_INPUT */
function refuseInTheClear(url: string): void {
  if (!/^http:/i.test(url) || isLoopback(url)) return
  const message = `${url} is not encrypted: whoever is on the way could read the token; use https://, a tunnel to this machine, or say that it may be so by "maoctl profile add NAME ${url} --insecure"`
  throw new NodeError('INVALID_INPUT', message, { url })
}

/** Makes a command's action from a function that gets the session first, then the arguments and the options. */
export type Act = <A extends unknown[]>(
  action: (session: Session, ...parameters: A) => Promise<void>,
) => (...parameters: unknown[]) => Promise<void>
