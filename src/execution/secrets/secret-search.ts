/**
 * Looks through what a tool wrote for the secrets it was given, before any of it is committed: an output goes to every
 * member and stays. It finds what was written by mistake (a token in a dumped environment or a remote's address), as
 * it is or encoded (secret-forms.ts). A tool that means to hide a secret can; that is why it is approved first.
 */
import { constants } from 'node:fs'
import { open, opendir, readlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf, NodeError } from '../../base/errors.ts'
import { secretLineCharactersMin, secretSearchBytesMin, secretSearchChunkBytes } from '../../base/limits.ts'
import { encodedForms, plainForms } from './secret-forms.ts'

export interface FoundSecret {
  readonly variable: string
  /** Where, in words that do not hold the secret themselves. */
  readonly place: string
}

interface Needle {
  readonly variable: string
  readonly bytes: Buffer
}

/**
 * The first place below `directory` that holds one of `secrets` (values by variable): the content of a file, a name, or
 * the target of a link. Links are not followed, and only plain files are opened.
 *
 * @throws NodeError PATH_UNSAFE when something cannot be looked through, the signal's reason when it aborts.
 */
export async function findSecret(
  directory: string,
  secrets: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<FoundSecret | undefined> {
  const needles = [...secrets].flatMap(([variable, value]) => {
    return formsOf(value).map((bytes): Needle => ({ variable, bytes }))
  })
  return needles.length === 0 ? undefined : searchBelow(directory, '', needles, signal)
}

async function searchBelow(
  root: string,
  below: string,
  needles: readonly Needle[],
  signal: AbortSignal,
): Promise<FoundSecret | undefined> {
  for await (const entry of await readable(below, () => opendir(join(root, below)))) {
    signal.throwIfAborted()
    const path = join(below, entry.name)
    const full = join(root, path)
    const named = search(Buffer.from(path), needles)
    // The path above was looked through before this one.
    if (named !== undefined) return { variable: named, place: `a name in ${inWords(dirname(path))}` }
    if (entry.isDirectory()) {
      const found = await searchBelow(root, path, needles, signal)
      if (found !== undefined) return found
    } else if (entry.isSymbolicLink()) {
      const target = await readable(path, () => readlink(full, 'buffer'))
      const variable = search(target, needles)
      if (variable !== undefined) return { variable, place: `the link ${path}` }
    } else if (entry.isFile()) {
      const variable = await readable(path, () => searchFile(full, needles, signal))
      if (variable !== undefined) return { variable, place: `the file ${path}` }
    }
  }
  return undefined
}

/** The variable whose secret the file holds. */
async function searchFile(
  path: string,
  needles: readonly Needle[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const overlap = Math.max(...needles.map(({ bytes }) => bytes.length)) - 1
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const chunk = Buffer.allocUnsafe(secretSearchChunkBytes)
    let plain: Buffer = Buffer.alloc(0)
    let joined: Buffer = plain
    for (;;) {
      signal.throwIfAborted()
      const { bytesRead } = await file.read(chunk, 0, chunk.length)
      if (bytesRead === 0) return undefined
      const fresh = chunk.subarray(0, bytesRead)
      plain = Buffer.concat([tailOf(plain, overlap), fresh])
      // Encoders break their lines.
      joined = Buffer.concat([tailOf(joined, overlap), withoutBreaks(fresh)])
      const variable = search(plain, needles) ?? search(joined, needles)
      if (variable !== undefined) return variable
    }
  } finally {
    await file.close()
  }
}

function search(bytes: Buffer, needles: readonly Needle[]): string | undefined {
  return needles.find((needle) => bytes.includes(needle.bytes))?.variable
}

function tailOf(bytes: Buffer, length: number): Buffer {
  return bytes.subarray(Math.max(0, bytes.length - length))
}

function withoutBreaks(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(/[\r\n]/g, ''), 'latin1')
}

/** The bytes by which a secret is known: itself, its longer lines, and what encodings make of these. */
function formsOf(secret: string): Buffer[] {
  const plain = plainForms(secret, secretLineCharactersMin)
  const long = plain.filter((text) => Buffer.byteLength(text) >= secretSearchBytesMin)
  return [...new Set(long.flatMap((text) => [text, ...encodedForms(text)]))].map((text) => Buffer.from(text))
}

function inWords(path: string): string {
  return path === '.' ? 'the output' : path
}

/** What cannot be read cannot be shown to be clean. */
async function readable<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    const message = `${inWords(path || '.')} cannot be searched for secrets: ${messageOf(cause)}`
    throw new NodeError('PATH_UNSAFE', message, { path }, { cause })
  }
}
