import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { messageOf, NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { isLoopback } from './client.ts'

const OWNER_ONLY = 0o600

const profileSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  token: z.string().min(1),
  caFile: z.string().min(1).optional().describe('certificates (PEM) that the node is checked with'),
  insecure: z.literal(true).optional().describe('its owner accepts that the token travels in the clear'),
})
export type Profile = z.infer<typeof profileSchema>

const fileSchema = z.strictObject({
  default: nameSchema.optional(),
  profiles: z.record(nameSchema, profileSchema).default({}),
})
export type ProfileFile = z.infer<typeof fileSchema>

/**
 * The remote nodes that a person has given names.
 *
 * @throws NodeError FORBIDDEN when others may read the tokens in it, INVALID_CONFIG when it cannot be understood.
 */
export async function readProfiles(path: string): Promise<ProfileFile> {
  let text: string
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) {
      const message = `${path} holds tokens, and others on this machine may read it; "chmod 600 ${path}" closes it`
      throw new NodeError('FORBIDDEN', message, { path })
    }
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    // A home that is no directory has no profiles either.
    if (cause instanceof Error && 'code' in cause && ['ENOENT', 'ENOTDIR'].includes(String(cause.code)))
      return { profiles: {} }
    throw new NodeError('FORBIDDEN', `${path} cannot be read: ${messageOf(cause)}`, { path }, { cause })
  }
  try {
    return fileSchema.parse(parse(text) ?? {})
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause)
    const message = `${path} is not as maoctl writes it (${why.replaceAll('\n', ' ')}); mend it, or remove it and add the profiles anew`
    throw new NodeError('INVALID_CONFIG', message, { path }, { cause })
  }
}

/** Puts the file in the place of the one before, all or nothing, readable by its owner alone. */
export async function writeProfiles(path: string, file: ProfileFile): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const fresh = `${path}.${process.pid}.new`
    await writeFile(fresh, stringify(file), { mode: OWNER_ONLY, flush: true })
    await chmod(fresh, OWNER_ONLY)
    await rename(fresh, path)
  } catch (cause) {
    throw new NodeError('FORBIDDEN', `${path} cannot be written: ${messageOf(cause)}`, { path }, { cause })
  }
}

/** @throws NodeError NOT_FOUND */
export function needProfile(file: ProfileFile, name: string): Profile {
  const profile = Object.hasOwn(file.profiles, name) ? file.profiles[name] : undefined
  if (profile !== undefined) return profile
  const message = `No profile is named ${name}; "maoctl profile list" lists them`
  throw new NodeError('NOT_FOUND', message, { name })
}

/**
 * What a profile is made of, checked.
 *
 * @throws NodeError INVALID_INPUT for what is no address, and for one to which the token would go in the clear.
 */
export function checkedProfile(wanted: z.input<typeof profileSchema>): Profile {
  const parsed = profileSchema.safeParse({ ...wanted, url: wanted.url.replace(/\/+$/, '') })
  if (!parsed.success) {
    const message = `"${wanted.url}" is no address of a node; it looks like https://node.example.org:8080`
    throw new NodeError('INVALID_INPUT', message)
  }
  const { url, insecure } = parsed.data
  if (!url.startsWith('http:') || isLoopback(url) || insecure === true) return parsed.data
  const message = `${url} is not encrypted: whoever is on the way could read the token, and do with the node what you may; use https://, a tunnel to this machine (ssh -L), or say --insecure where the network is yours alone`
  throw new NodeError('INVALID_INPUT', message, { url })
}
