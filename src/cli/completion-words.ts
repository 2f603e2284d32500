import type { Argument, Command, Option } from 'commander'
import type { Globals } from './globals.ts'

/** What a node or this machine can name. */
export const KINDS = [
  'dataset',
  'pipeline',
  'tool',
  'run',
  'member',
  'listing',
  'profile',
  'schedule',
  'round',
  'engine',
  'build',
  'publication',
  'secret',
  'request',
  'invitation',
  'token',
  'delivery',
] as const
export type Kind = (typeof KINDS)[number]

export interface Word {
  readonly word: string
  /** What it means, on one line; empty where it says so itself. */
  readonly text: string
}

export interface Answer {
  /** What the shell itself completes beside the words. */
  readonly files: 'none' | 'files' | 'directories'
  readonly words: readonly Word[]
}

type Names = (kind: Kind, globals: Globals) => Promise<readonly string[]>

const NOTHING: Answer = { files: 'none', words: [] }

/** Arguments and values whose own name says of what they are; else it is the noun that says so. */
const BY_NAME: Readonly<Record<string, Kind>> = {
  dataset: 'dataset',
  datasets: 'dataset',
  pipeline: 'pipeline',
  tool: 'tool',
  run: 'run',
  member: 'member',
  members: 'member',
  peer: 'member',
  profile: 'profile',
  engine: 'engine',
  build: 'build',
  variable: 'secret',
  request: 'request',
  delivery: 'delivery',
  into: 'dataset',
  round: 'round',
  candidate: 'member',
}

const BY_NOUN: Readonly<Record<string, Kind>> = {
  dataset: 'dataset',
  access: 'dataset',
  upstream: 'dataset',
  pipeline: 'pipeline',
  tool: 'tool',
  run: 'run',
  market: 'listing',
  profile: 'profile',
  schedule: 'schedule',
  round: 'round',
  engine: 'engine',
  image: 'build',
  build: 'build',
  publication: 'publication',
  federation: 'invitation',
}

/** Verbs whose name is one that is to be made. */
const MAKES = new Set(['add', 'create', 'import', 'init', 'install'])

const FILES = new Set(['file', 'certificate', 'source', 'archive', 'output'])
const DIRECTORIES = new Set(['dir', 'directory'])

/**
 * What the last of the words may become.
 *
 * @param words all that was typed after the name of the program, up to the cursor; the last may be empty.
 */
export async function complete(program: Command, words: readonly string[], names: Names): Promise<Answer> {
  const { at, globals, given, pending, onlyArguments } = walk(program, words.slice(0, -1))
  let current = words.at(-1) ?? ''
  let before = ''
  let option = pending
  const [, flag, value] = /^(--[^=]+)=(.*)$/s.exec(current) ?? []
  if (flag !== undefined && value !== undefined && option === undefined && !onlyArguments) {
    // Shells other than bash hand over `--option=value` as one word, and want it back so.
    option = optionOf(at, flag)
    if (option === undefined) return NOTHING
    ;[before, current] = [`${flag}=`, value]
  }
  if (current === '=') current = ''
  if (option !== undefined) return prefixed(await valuesOf(option, globals, names), before, current)
  if (current.startsWith('-') && !onlyArguments) return narrowed(optionsOf(at), current)
  const own = await argumentsAt(at, given, globals, names)
  // A command may both have verbs and do something itself, as "image build" does.
  const verbs = given === 0 && at.commands.length > 0 ? commandsOf(at).words : []
  return narrowed({ files: own.files, words: [...verbs, ...own.words] }, current)
}

interface Place {
  readonly at: Command
  readonly globals: Globals
  /** Arguments that stand there already. */
  readonly given: number
  /** The option that waits for its value. */
  readonly pending: Option | undefined
  /** After `--`, what looks like an option is none. */
  readonly onlyArguments: boolean
}

/** Follows what was typed down the tree. */
function walk(program: Command, words: readonly string[]): Place {
  let at = program
  let given = 0
  let pending: Option | undefined
  let onlyArguments = false
  const globals: Record<string, unknown> = {}
  for (const word of words) {
    // bash takes `--option=value` apart.
    if (pending !== undefined && word === '=') continue
    if (pending !== undefined) {
      if (at === program || program.options.includes(pending)) globals[pending.attributeName()] = word
      pending = undefined
    } else if (word === '--') onlyArguments = true
    else if (word.startsWith('-') && !onlyArguments) {
      const [name = '', value] = word.split('=', 2)
      const option = optionOf(at, name)
      if (option === undefined) continue
      if (value !== undefined && program.options.includes(option)) globals[option.attributeName()] = value
      if (value === undefined && option.required) pending = option
    } else {
      const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word))
      if (next === undefined) given += 1
      else at = next
    }
  }
  return { at, globals: globals as Globals, given, pending, onlyArguments }
}

/** Its own options and those of all that stand above it. */
function allOptions(at: Command): Option[] {
  return [...at.options, ...(at.parent === null ? [] : allOptions(at.parent))]
}

function optionOf(at: Command, name: string): Option | undefined {
  return allOptions(at).find(({ short, long }) => short === name || long === name)
}

function optionsOf(at: Command): Answer {
  const words = allOptions(at)
    .filter(({ hidden }) => !hidden)
    .map(({ long, short, description }) => ({ word: long ?? short ?? '', text: firstLine(description) }))
  return { files: 'none', words: [...words, { word: '--help', text: 'how it is written' }] }
}

function commandsOf(at: Command): Answer {
  const visible = at.createHelp().visibleCommands(at)
  return {
    files: 'none',
    words: visible.map((command) => ({ word: command.name(), text: firstLine(command.description()) })),
  }
}

async function valuesOf(option: Option, globals: Globals, names: Names): Promise<Answer> {
  if (option.argChoices !== undefined) return wordsOf(option.argChoices)
  const [, name = ''] = /[<[]([^>\].]+)/.exec(option.flags) ?? []
  const own = option.name()
  if (own === 'profile') return wordsOf(await names('profile', globals))
  return named([own, name], globals, names)
}

async function argumentsAt(at: Command, given: number, globals: Globals, names: Names): Promise<Answer> {
  const { registeredArguments } = at
  const last = registeredArguments.at(-1)
  const argument = registeredArguments[given] ?? (last?.variadic === true ? last : undefined)
  if (argument === undefined) return NOTHING
  if (argument.argChoices !== undefined) return wordsOf(argument.argChoices)
  const kind = kindOfArgument(argument, at)
  if (kind !== undefined) return wordsOf(await names(kind, globals))
  return named([argument.name()], globals, names)
}

/** Of what kind the names are that an argument takes; undefined where nobody can know them. */
export function kindOfArgument(argument: Argument, command: Command): Kind | undefined {
  const name = argument.name()
  const known = BY_NAME[name]
  if (known !== undefined) return known
  const noun = command.parent?.name() ?? ''
  // Of tokens there are those of the API, which have names, and those of invitations, which nobody lists.
  if (name === 'token') return noun === 'token' ? 'token' : undefined
  if ((name !== 'name' && name !== 'id') || MAKES.has(command.name())) return undefined
  return BY_NOUN[noun]
}

async function named(words: readonly string[], globals: Globals, names: Names): Promise<Answer> {
  if (words.some((word) => FILES.has(word) || word.endsWith('-file'))) return { files: 'files', words: [] }
  if (words.some((word) => DIRECTORIES.has(word))) return { files: 'directories', words: [] }
  const kind = words.map((word) => BY_NAME[word]).find((each) => each !== undefined)
  return kind === undefined ? NOTHING : wordsOf(await names(kind, globals))
}

function wordsOf(words: readonly string[]): Answer {
  return { files: 'none', words: words.map((word) => ({ word, text: '' })) }
}

function narrowed({ files, words }: Answer, current: string): Answer {
  return { files, words: words.filter(({ word }) => word.startsWith(current)) }
}

/** Shells that hand over `--option=value` as one word want it back as one. */
function prefixed(answer: Answer, before: string, current: string): Answer {
  const { files, words } = narrowed(answer, current)
  return { files, words: words.map(({ word, text }) => ({ word: before + word, text })) }
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
