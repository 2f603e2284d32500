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
}

export function dockerfileNeeds(text: string): DockerfileNeeds {
  const bases = new Set<string>()
  const fetches: string[] = []
  const problems: string[] = []
  const stages = new Set<string>()
  /** Of ARG before the first FROM; only these count in a FROM. */
  const defaults = new Map<string, string>()
  let froms = 0
  for (const { word, rest, line } of instructionsOf(text)) {
    if (word === 'ARG' && froms === 0) {
      const [, name, value] = /^(\w+)(?:=(.*))?$/.exec(rest.trim()) ?? []
      if (name !== undefined && value !== undefined) defaults.set(name, unquoted(value))
    } else if (word === 'FROM') {
      const [, written = '', stage] = /^(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$/i.exec(rest) ?? []
      const image = substituted(written, defaults)
      if (image === undefined || image === '') {
        problems.push(`line ${line}: FROM ${rest.trim()} does not say which image (an ARG needs a default)`)
      } else if (image !== 'scratch' && !stages.has(image.toLowerCase())) bases.add(image)
      stages.add(String(froms))
      if (stage !== undefined) stages.add(stage.toLowerCase())
      froms += 1
    } else if (word === 'COPY') {
      const from = /(?:^|\s)--from=(\S+)/.exec(rest)?.[1]
      if (from === undefined || stages.has(from.toLowerCase())) continue
      if (/[$]/.test(from)) problems.push(`line ${line}: COPY --from=${from} does not say which image`)
      else bases.add(from)
    } else if (word === 'ADD') fetches.push(...remoteSources(rest))
  }
  if (froms === 0) problems.push('there is no FROM')
  return { bases: [...bases], fetches, problems }
}

/** What instructions that an image hands on to a build (ONBUILD) fetch. */
export function fetchesOf(instructions: readonly string[]): string[] {
  const all = instructions.flatMap((text) => instructionsOf(text))
  return all.filter(({ word }) => word === 'ADD').flatMap(({ rest }) => remoteSources(rest))
}

/** Whole instructions, with lines that go on put together and comments left out. */
function instructionsOf(text: string): Instruction[] {
  const goesOn = /^#\s*escape\s*=\s*`/im.test(text.split(/\r?\n/, 5).join('\n')) ? '`' : '\\'
  const found: Instruction[] = []
  let whole = ''
  let begun = 0
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    if (whole === '') begun = index + 1
    const trimmed = line.trimEnd()
    if (trimmed.endsWith(goesOn)) {
      whole += `${trimmed.slice(0, -1)} `
      continue
    }
    found.push(...instructionIn(whole + trimmed, begun))
    whole = ''
  }
  return [...found, ...instructionIn(whole, begun)]
}

function instructionIn(text: string, line: number): Instruction[] {
  const [, word, rest = ''] = /^\s*([A-Za-z]+)(?:\s+(.*))?$/s.exec(text) ?? []
  return word === undefined ? [] : [{ word: word.toUpperCase(), rest, line }]
}

/** A variable may hold an address, so that it counts as one. */
function remoteSources(rest: string): string[] {
  const words = wordsOf(rest.replace(/^\s*(?:--\S+\s+)*/, ''))
  return words.slice(0, -1).filter((word) => /^\w[\w+.-]*:\/\/|^git@|[$]/.test(word))
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

/** `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`; undefined where one has no value. */
function substituted(text: string, values: ReadonlyMap<string, string>): string | undefined {
  let isWhole = true
  const result = text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_, bare, braced, sign, word) => {
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
