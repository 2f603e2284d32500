import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import { NodeError } from '../base/errors.ts'
import { ApiClient, findNode } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { Output } from './output.ts'

/** The world around one command line; tests bring their own. */
export interface Terminal {
  stdin: Readable
  stdout: Writable
  stderr: Writable
  environment: Readonly<Record<string, string | undefined>>
}

/** The flags that every command understands. */
export interface Globals {
  json?: boolean
  yes?: boolean
  data?: string
  url?: string
  token?: string
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
    this.out = new Output({ stdout, stderr, environment, json: globals.json === true })
  }

  /** The data directory that this command is about. */
  get data(): string {
    return resolve(this.globals.data ?? this.terminal.environment.MAO_DATA ?? join(homedir(), '.mao'))
  }

  /** Whether a person is there who could answer. */
  get isAttended(): boolean {
    const { stdin } = this.terminal
    return 'isTTY' in stdin && stdin.isTTY === true
  }

  async connect(): Promise<ApiClient> {
    const { MAO_URL, MAO_TOKEN } = this.terminal.environment
    const { globals } = this
    // A directory that was named on this line weighs more than an address that lies around in the environment.
    const url = globals.url ?? (globals.data === undefined ? MAO_URL : undefined)
    const token = globals.token ?? (globals.data === undefined ? MAO_TOKEN : undefined)
    return new ApiClient(await findNode({ data: this.data, url, token }))
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
      const answer = await asking.question(`${question} [y/N] `)
      if (!/^y(es)?$/i.test(answer.trim())) throw new NodeError('CANCELLED', 'Nothing was changed')
    } finally {
      asking.close()
    }
  }
}

/** Makes a command's action from a function that gets the session first, then the arguments and the options. */
export type Act = <A extends unknown[]>(
  action: (session: Session, ...parameters: A) => Promise<void>,
) => (...parameters: unknown[]) => Promise<void>
