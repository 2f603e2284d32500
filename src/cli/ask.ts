import { isNodeError, NodeError } from '../base/errors.ts'
import { printable } from '../base/strangers-words.ts'
import { askSecret } from './ask-secret.ts'
import type { Session } from './session.ts'

/** What every question has: its words, and the flag that answers it where nobody is there. */
export interface Question {
  /** As it is typed, such as `--name <name>`. */
  flag: string
  message: string
}

export interface TextQuestion extends Question {
  default?: string
  /** Why the text will not do; undefined when it does. */
  check?: (text: string) => string | undefined
}

export interface Choice<T> {
  value: T
  name: string
  /** Told beneath the list while the choice is in sight. */
  description?: string
  checked?: boolean
  /** Why it cannot be chosen. */
  disabled?: string
}

/** Choices in sight at once; the list scrolls. */
const PAGE_SIZE = 12

/**
 * Questions to a person, on standard error, since standard output belongs to the result. Where nobody is there, or
 * `--yes` was said, what has a default takes it, and what has none is refused with the flag that is missing: nothing
 * ever waits for an answer that cannot come.
 */
export class Questions {
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  /** Whether a person is there who could answer. */
  get areHeard(): boolean {
    return this.#session.isAttended
  }

  /** Whether a person is there who has not said yes to everything beforehand. */
  get arePut(): boolean {
    return this.areHeard && this.#session.globals.yes !== true
  }

  /** @throws NodeError INVALID_INPUT naming the flag, CANCELLED */
  async text(question: TextQuestion): Promise<string> {
    const { message, default: fallback, check } = question
    if (!this.#asks(fallback)) return fallback ?? this.#missing(question)
    return this.#put(async ({ input }, context) => {
      const validate = (text: string) => check?.(text.trim()) ?? true
      const answer = await input({ message, validate, ...said('default', fallback) }, context)
      return answer.trim()
    })
  }

  /** One of several. @throws NodeError INVALID_INPUT naming the flag, CANCELLED */
  async choice<T>(question: Question & { choices: readonly Choice<T>[]; default?: NoInfer<T> }): Promise<T> {
    const { message, choices, default: fallback } = question
    if (!this.#asks(fallback)) return fallback ?? this.#missing(question)
    return this.#put(({ select }, context) => {
      const shown = choices.map(inquirerChoice)
      const options = { message, choices: shown, pageSize: PAGE_SIZE, loop: false }
      return select({ ...options, ...said('default', fallback) }, context) as Promise<T>
    })
  }

  /** Any number of several, none included. @throws NodeError INVALID_INPUT naming the flag, CANCELLED */
  async several<T>(question: Question & { choices: readonly Choice<T>[] }): Promise<T[]> {
    if (!this.areHeard) this.#missing(question)
    const { message, choices } = question
    return this.#put(({ checkbox }, context) => {
      const shown = choices.map(inquirerChoice)
      return checkbox({ message, choices: shown, pageSize: PAGE_SIZE, loop: false }, context) as Promise<T[]>
    })
  }

  /** Yes or no. @throws NodeError INVALID_INPUT naming the flag, CANCELLED */
  async yes(question: Question & { default?: boolean }): Promise<boolean> {
    const { message, default: fallback } = question
    if (this.#session.globals.yes === true) return true
    if (!this.#asks(fallback)) return fallback ?? this.#missing(question)
    return this.#put(({ confirm }, context) => confirm({ message, ...said('default', fallback) }, context))
  }

  /** Text that is not shown. @throws NodeError INVALID_INPUT naming the flag, CANCELLED */
  async secret(question: Question): Promise<string> {
    if (!this.areHeard) this.#missing(question)
    return askSecret(this.#session, question.message)
  }

  #asks(fallback: unknown): boolean {
    return this.arePut || (this.areHeard && fallback === undefined)
  }

  #missing({ flag, message }: Question): never {
    throw new NodeError('INVALID_INPUT', `Nobody is there to answer "${message}"; add ${flag}`, { flag })
  }

  async #put<T>(ask: (prompts: Prompts, context: Context) => Promise<T>): Promise<T> {
    // Loaded here alone, so that whoever asks nothing stays quick.
    const prompts = await import('@inquirer/prompts')
    const { stdin, stderr } = this.#session.terminal
    // Ctrl-D and a terminal that hangs up end the question as Ctrl-C does: its reader stops without a word otherwise.
    const gone = new AbortController()
    const hangUp = () => setImmediate(() => gone.abort())
    stdin.once('end', hangUp).once('pause', hangUp)
    try {
      return await ask(prompts, { input: stdin, output: stderr, signal: gone.signal })
    } catch (error) {
      if (isNodeError(error) || !(error instanceof Error) || !ENDINGS.has(error.name)) throw error
      throw new NodeError('CANCELLED', 'Nothing more was changed', {}, { cause: error })
    } finally {
      stdin.off('end', hangUp).off('pause', hangUp)
    }
  }
}

type Prompts = typeof import('@inquirer/prompts')
type Context = NonNullable<Parameters<Prompts['input']>[1]>

/** How a question says that it was left. */
const ENDINGS: ReadonlySet<string> = new Set(['ExitPromptError', 'AbortPromptError', 'CancelPromptError'])

function said<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: T })
}

/** Names and descriptions may be strangers' words. */
function inquirerChoice<T>({ value, name, description, checked, disabled }: Choice<T>) {
  const shown = printable(name, '')
  return {
    value,
    name: shown,
    short: shown.split(/ {2,}/)[0] ?? shown,
    ...said('description', description === undefined ? undefined : printable(description, '')),
    ...said('checked', checked),
    ...said('disabled', disabled),
  }
}
