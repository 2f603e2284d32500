/** Secrets that flags announce and standard input or files bring: no value ever stands on a command line. */
import { NodeError } from '../../base/errors.ts'
import { secretsAskedMax } from '../../base/limits.ts'

/** `NAME`: the next line of standard input; `NAME@FILE`: all of the file but a line break at its end. */
export interface ToldSecret {
  readonly variable: string
  readonly file: string | undefined
}

/** @throws NodeError INVALID_INPUT for what looks like a value, which is not repeated. */
export function parseToldSecrets(words: readonly string[]): ToldSecret[] {
  if (words.length > secretsAskedMax) {
    throw new NodeError('INVALID_INPUT', `At most ${secretsAskedMax} secrets can be told at once`)
  }
  return words.map((word) => {
    const [, variable, file] = /^([A-Za-z_][A-Za-z0-9_]*)(?:@(.+))?$/s.exec(word) ?? []
    if (variable !== undefined) return { variable, file }
    const message =
      '--secret takes the name of a variable, whose value comes on standard input, or NAME@FILE; a value on a command line can be read by every user of the machine'
    throw new NodeError('INVALID_INPUT', message)
  })
}

/**
 * The values by variable.
 *
 * @param input of standard input, a line for each secret without a file, in their order.
 * @throws NodeError INVALID_INPUT when a line is missing or empty.
 */
export function valuesOf(
  told: readonly ToldSecret[],
  input: string,
  files: ReadonlyMap<string, string>,
): Map<string, string> {
  const fromInput = told.filter(({ file }) => file === undefined)
  // With one secret all of the input is its value, line breaks inside it too.
  const lines = fromInput.length === 1 ? [input.replace(/\r?\n$/, '')] : input.split(/\r?\n/)
  const values = new Map<string, string>()
  for (const { variable, file } of told) {
    const index = fromInput.findIndex((each) => each.variable === variable)
    const value = file === undefined ? lines[index] : files.get(file)?.replace(/\r?\n$/, '')
    if (value === undefined || value === '') {
      const where = file === undefined ? `line ${index + 1} of standard input` : file
      throw new NodeError('INVALID_INPUT', `The value of ${variable} is empty: ${where} holds none`)
    }
    values.set(variable, value)
  }
  return values
}
