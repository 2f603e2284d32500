/**
 * What a Dockerfile needs from elsewhere: the images that it begins with, and what it fetches. Not a builder: enough of the
 * language (docs.docker.com/reference/dockerfile, of the classic builder) to ask the node's rules before anything runs. Pure.
 */
export interface DockerfileNeeds {
  /** References of images, each once, in order; stages of the file itself and `scratch` left out. */
  readonly bases: readonly string[]
  /** Sources of ADD that lie outside the context, or that cannot be told to lie inside. */
  readonly fetches: readonly string[]
  /** What could not be made out, for people. */
  readonly problems: readonly string[]
}

interface Instruction {
  readonly word: string
  readonly rest: string
  readonly line: number
  /** False where builders may read it otherwise. */
  readonly isWhole: boolean
}

export function dockerfileNeeds(text: string): DockerfileNeeds {
  const { bases, fetches, problems } = read(instructionsOf(text))
  return { bases: [...bases], fetches, problems }
}

/** The same of instructions that images hand on (ONBUILD) to the build of a Dockerfile, whose stages they may name. */
export function handedOn(instructions: readonly string[], dockerfile: string): DockerfileNeeds {
  const { stages } = read(instructionsOf(dockerfile))
  const all = instructions.flatMap((text) => instructionsOf(text))
  const found = new Reading(stages)
  for (const instruction of all) found.take(instruction)
  return { bases: [...found.bases], fetches: found.fetches, problems: found.problems }
}

function read(instructions: readonly Instruction[]): Reading {
  const found = new Reading(new Set())
  for (const instruction of instructions) found.take(instruction)
  if (found.froms === 0) found.problems.push('there is no FROM')
  return found
}

/** Quotes and escapes within a word: the builder takes them out, and the word is then another one. */
const DISGUISE = /["'\\`]/

/** What has been read so far. What may be one thing or another is a problem, never the harmless one of the two. */
class Reading {
  readonly bases = new Set<string>()
  readonly fetches: string[] = []
  readonly problems: string[] = []
  /** Names and numbers of the stages that are done; the one at work is none that it could copy from. */
  readonly stages: Set<string>
  /** Of ARG before the first FROM; only these count in a FROM. */
  readonly #defaults = new Map<string, string>()
  readonly #named = new Set<string>()
  #atWork: string[] = []
  froms = 0

  constructor(stages: ReadonlySet<string>) {
    this.stages = new Set(stages)
  }

  take(instruction: Instruction): void {
    const { word, rest, line, isWhole } = instruction
    if (!isWhole) this.problems.push(`line ${line} may be read in several ways; write it in another`)
    else if (word === 'ARG' && this.froms === 0) this.#arg(rest, line)
    else if (word === 'FROM') this.#from(rest, line)
    else if (word === 'COPY' || word === 'ADD') this.#files(instruction)
    else if (word === 'ONBUILD') {
      // A later stage of the same file may run it.
      this.take(instructionIn(rest, line))
    }
  }

  #arg(rest: string, line: number): void {
    const [, name, value] = /^(\w+)(?:=("[^"\\`]*"|'[^'\\`]*'|[^\s"'\\`]*))?$/.exec(rest.trim()) ?? []
    if (name === undefined || this.#defaults.has(name)) {
      this.problems.push(`line ${line}: ARG ${rest.trim()} is not one new variable with one plain value`)
    } else if (value !== undefined) this.#defaults.set(name, unquoted(value))
  }

  #from(rest: string, line: number): void {
    this.stages.add(String(this.froms - 1))
    for (const stage of this.#atWork) this.stages.add(stage)
    const [, written = '', stage] = /^(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$/i.exec(rest) ?? []
    const image = substituted(written, this.#defaults)
    if (image === undefined || image === '') {
      this.problems.push(
        `line ${line}: FROM ${rest.trim()} does not say which image (an ARG needs a default)`,
      )
    } else if (image !== 'scratch' && !this.#named.has(image.toLowerCase())) this.bases.add(image)
    this.#atWork = stage === undefined ? [] : [stage.toLowerCase()]
    if (stage !== undefined) this.#named.add(stage.toLowerCase())
    this.froms += 1
  }

  #files({ word, rest, line }: Instruction): void {
    const [flags = ''] = /^\s*(?:--\S+\s+)*/.exec(rest) ?? []
    if (DISGUISE.test(flags)) {
      this.problems.push(`line ${line}: the flags of ${word} have quotes or escapes; write them without`)
      return
    }
    if (word === 'ADD') {
      this.fetches.push(...remoteSources(rest.slice(flags.length)))
      return
    }
    for (const [, from = ''] of flags.matchAll(/(?:^|\s)--from=(\S+)/g)) {
      if (this.stages.has(from.toLowerCase())) continue
      if (/[$]/.test(from)) this.problems.push(`line ${line}: COPY --from=${from} does not say which image`)
      else this.bases.add(from)
    }
  }
}

/** As the builder reads them: what looks like a comment there may say how lines go on, and only there. */
const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/
/** Blanks for the builder alone, or for this reader alone. */
const ODD_BLANKS = /[\u0085\ufeff]/

/** Whole instructions, with lines that go on put together and comments left out. */
function instructionsOf(text: string): Instruction[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/)
  const goesOn = escapeOf(lines)
  const found: Instruction[] = []
  let whole = ''
  let begun = 0
  for (const [index, line] of lines.entries()) {
    if (/^\s*(?:#|$)/.test(line) && !ODD_BLANKS.test(line)) continue
    if (whole === '') begun = index + 1
    // Blanks and tabs alone may stand behind it.
    const trimmed = line.replace(/[ \t]+$/, '')
    // Of two of them, the second goes on for older builders and not for newer ones.
    if (trimmed.endsWith(goesOn) && !trimmed.endsWith(goesOn + goesOn)) {
      whole += trimmed.slice(0, -1)
      continue
    }
    const isWhole = !trimmed.endsWith(goesOn) && !ODD_BLANKS.test(whole + trimmed)
    found.push({ ...instructionIn(whole + trimmed, begun), ...(isWhole ? {} : { isWhole }) })
    whole = ''
  }
  return whole === '' ? found : [...found, instructionIn(whole, begun)]
}

/** By the directives that the file begins with, before any other comment, empty line or instruction. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = DIRECTIVE.exec(line.trimStart()) ?? []
    if (name === undefined) break
    if (name.toLowerCase() === 'escape' && value === '`') return value
  }
  return '\\'
}

function instructionIn(text: string, line: number): Instruction {
  const [, word, rest = ''] = /^\s*([A-Za-z]+)(?:\s+(.*))?$/s.exec(text) ?? []
  return { word: (word ?? '').toUpperCase(), rest, line, isWhole: word !== undefined }
}

/** A variable may hold an address, and a word in disguise may be one, so that they count as one. */
function remoteSources(rest: string): string[] {
  const words = wordsOf(rest)
  return words
    .slice(0, -1)
    .filter((word) => /:\/\/|^git@|[$]/.test(word) || DISGUISE.test(word) || ODD_BLANKS.test(word))
}

function wordsOf(text: string): string[] {
  if (text.trimStart().startsWith('[')) {
    try {
      const list: unknown = JSON.parse(text)
      if (Array.isArray(list)) return list.map(String)
    } catch {
      // No JSON: the builder too takes it for words then.
    }
  }
  return text.trim().split(/\s+/).map(unquoted)
}

/** Set by some builders whatever the file says. */
const AUTOMATIC = /^(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)$/

/** `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`; undefined where one has no value. */
function substituted(text: string, values: ReadonlyMap<string, string>): string | undefined {
  let isWhole = true
  const result = text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_, bare, braced, sign, word) => {
      if (AUTOMATIC.test(bare ?? braced)) isWhole = false
      const value = values.get(bare ?? braced) ?? ''
      if (sign === '-') return value === '' ? word : value
      if (sign === '+') return value === '' ? '' : word
      if (value === '') isWhole = false
      return value
    },
  )
  return isWhole && !result.includes('$') ? unquoted(result) : undefined
}

function unquoted(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text
}
