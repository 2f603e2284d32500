import { readFile } from 'node:fs/promises'
import { homedir, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { messageOf, NodeError } from './base/errors.ts'
import { HOUR_MS, MINUTE_MS } from './base/limits.ts'
import { isName, nameSchema } from './base/names.ts'
import { nearestName } from './base/nearest-name.ts'
import { datasetsSettingsSchema } from './datasets/settings.ts'
import { parseRegistry } from './etcd/cluster-address.ts'
import { dockerSettingsSchema } from './execution/engines/settings.ts'
import { SECRET_VARIABLE_PREFIX } from './execution/secrets/secrets.ts'
import { executionSettingsSchema } from './execution/settings.ts'
import { marketplaceSettingsSchema } from './marketplace/settings.ts'
import { notificationSettingsSchema } from './monitoring/settings.ts'
import { networkSettingsSchema } from './network/settings.ts'

/**
 * The node's settings: one schema, with a default for everything, fed from three sources of rising weight: a YAML
 * file, the environment, the flags of `maoctl instance start`. The names in the environment follow from the schema:
 * `api.port` is `MAO_API_PORT`, `execution.stepTimeoutMs` is `MAO_EXECUTION_STEP_TIMEOUT_MS`; lists are separated by
 * commas, maps are JSON. `settings()` lists them all.
 */
const port = z.int().min(0).max(65_535)
const multiaddrText = z.string().regex(/^\/[^\s,]+$/, 'an address looks like /ip4/127.0.0.1/tcp/4001')
const registryText = z.string().superRefine((text, context) => {
  try {
    parseRegistry(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) })
  }
})

const apiSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('address the HTTP API listens on'),
  port: port.default(8080).describe('port of the HTTP API; 0 takes a free one'),
  allowedHosts: z
    .array(z.string().min(1))
    .default([])
    .describe('further values of the Host header that are answered, such as node.example.org:8080'),
  rateLimit: z
    .strictObject({
      perToken: z.number().positive().default(200).describe('requests a second with one token'),
      perAddress: z
        .number()
        .positive()
        .default(20)
        .describe('requests a second from one address without a token that is right'),
    })
    .prefault({}),
})

const etcdSchema = z.strictObject({
  serve: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('serve the registry to etcd clients; auto: unless the port is taken'),
  host: z.string().min(1).default('127.0.0.1').describe('address the etcd surface listens on'),
  port: port.default(2379).describe('port of the etcd surface; 0 takes a free one'),
  requireToken: z
    .boolean()
    .default(false)
    .describe('ask etcd clients for the token also on loopback, where they else need none'),
  allowedHosts: z
    .array(z.string().min(1))
    .default([])
    .describe("further values of the Host header that etcd's JSON gateway answers"),
  certFile: z.string().default('').describe('certificate (PEM) of the etcd surface, needed beyond loopback'),
  keyFile: z.string().default('').describe('private key (PEM) of that certificate'),
})

const historySchema = z.strictObject({
  keepMs: z
    .int()
    .min(MINUTE_MS)
    .default(HOUR_MS)
    .describe('how long replaced versions of keys can still be read and watched'),
})

export const configSchema = z.strictObject({
  name: nameSchema.default(() => nameFrom(hostname())).describe('name of this node in its federation'),
  dataDirectory: z
    .string()
    .min(1)
    .default(() => join(homedir(), '.mao'))
    .transform((path) => resolve(path))
    .meta({ variable: 'MAO_DATA' })
    .describe('where the node keeps its key, store, repositories and logs'),
  listen: z
    .array(multiaddrText)
    .min(1)
    .default(['/ip4/127.0.0.1/tcp/0'])
    .describe('addresses that peers can dial'),
  announce: z
    .array(multiaddrText)
    .default([])
    .describe('addresses told to peers instead of the listening ones'),
  bootstrap: z.array(multiaddrText).default([]).describe('peers dialled at start'),
  mdns: z
    .boolean()
    .default(true)
    .describe('look for peers on the local network, when listening beyond loopback'),
  network: networkSettingsSchema.prefault({}),
  registry: registryText
    .default('gossip')
    .describe('how members share the registry: gossip, or etcd://host:2379,… (etcds:// over TLS)'),
  registryUser: z.string().default('').describe('user at the etcd cluster of the registry'),
  registryPasswordFile: z.string().default('').describe('file with the password of that user, mode 0600'),
  registryCaFile: z.string().default('').describe('certificates (PEM) that the etcd cluster is checked with'),
  api: apiSchema.prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('least level logged'),
    })
    .prefault({}),
  docker: dockerSettingsSchema.prefault({}),
  execution: executionSettingsSchema.prefault({}),
  notifications: notificationSettingsSchema.prefault({}),
  datasets: datasetsSettingsSchema.prefault({}),
  git: z
    .strictObject({
      backend: z
        .enum(['auto', 'native', 'isomorphic'])
        .default('auto')
        .describe('auto: git where it is found'),
      sshDirectory: z
        .string()
        .default('')
        .describe('private keys and known_hosts for upstreams; empty: ssh in the data directory'),
      credentialsFile: z
        .string()
        .default('')
        .describe('lines https://user:password@host for upstreams, mode 0600'),
      caFile: z
        .string()
        .default('')
        .describe("certificates (PEM) that upstreams are checked with instead of the system's"),
      allowHttp: z
        .boolean()
        .default(false)
        .describe('whether upstreams beyond this machine may be reached without encryption'),
    })
    .prefault({}),
  etcd: etcdSchema.prefault({}),
  history: historySchema.prefault({}),
  marketplace: marketplaceSettingsSchema.prefault({}),
  maoApi: z
    .enum(['token', 'open', 'off'])
    .default('token')
    .describe(
      "the predecessor's HTTP routes: with the token, open to whatever comes from this machine (also through a port forward or proxy on it), or off",
    ),
})

export type Config = z.output<typeof configSchema>
/** What a file, the environment or the flags may say: any part of the settings. */
export type ConfigInput = z.input<typeof configSchema>

export interface ConfigSources {
  /** The file named by `--config`; without one, `config.yaml` in the data directory is read where it exists. */
  file?: string
  environment?: Readonly<Record<string, string | undefined>>
  flags?: ConfigInput
}

/** One setting: where it stands, how the environment names it, what it is without a word. */
export interface Setting {
  path: string
  variable: string
  default: unknown
  description: string
  schema: z.core.$ZodType
}

/** Variables with our prefix that are read elsewhere: by the client, and for the place of the file itself. */
const OTHER_VARIABLES = ['MAO_CONFIG', 'MAO_URL', 'MAO_TOKEN', 'MAO_PROFILE', 'MAO_CA_FILE']

/** A secret may have any name, also one that is near to a setting's. */
function isForOthers(variable: string): boolean {
  return OTHER_VARIABLES.includes(variable) || variable.startsWith(SECRET_VARIABLE_PREFIX)
}

/**
 * Reads, merges and checks the settings.
 *
 * @throws NodeError INVALID_CONFIG whose message and `data.problems` list everything that is wrong, each with its path.
 */
export async function loadConfig(sources: ConfigSources = {}): Promise<Config> {
  const environment = sources.environment ?? {}
  const flags: Tree = isTree(sources.flags) ? sources.flags : {}
  const named = sources.file ?? environment.MAO_CONFIG
  const dataDirectory = sources.flags?.dataDirectory ?? environment.MAO_DATA ?? join(homedir(), '.mao')
  const fromFile = await readConfigFile(named ?? join(dataDirectory, 'config.yaml'), named !== undefined)
  const fromEnvironment = readEnvironment(environment)
  const merged = merge(merge(fromFile, fromEnvironment.values), flags)
  const parsed = configSchema.safeParse(merged)
  const problems = [
    ...fromEnvironment.problems,
    ...(parsed.success ? [] : problemsOf(parsed.error, fromEnvironment.variables)),
  ]
  if (!parsed.success || problems.length > 0) {
    const message = `The settings are not valid: ${problems.join('; ')}`
    throw new NodeError('INVALID_CONFIG', message, { problems })
  }
  return parsed.data
}

/** Every setting of the schema, in its order. */
export function settings(): Setting[] {
  return leavesOf(configSchema, [])
}

/** Variables with our prefix that are neither a setting nor read elsewhere: nothing comes of them. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(settings().map(({ variable }) => variable))
  return Object.keys(environment)
    .filter((variable) => variable.startsWith('MAO_') && !isForOthers(variable) && !known.has(variable))
    .sort()
}

type Tree = { [key: string]: unknown }

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `over` wins; maps are merged, lists and scalars are replaced; undefined says nothing. */
function merge(under: Tree, over: Tree): Tree {
  const merged = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    if (value !== undefined) merged[key] = isTree(value) && isTree(below) ? merge(below, value) : value
  }
  return merged
}

async function readConfigFile(path: string, mustExist: boolean): Promise<Tree> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (absent && !mustExist) return {}
    const message = `The settings file ${path} cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_CONFIG', message, { problems: [message] }, { cause })
  }
  const document = parseDocument(text)
  const problems = document.errors.map((error) => error.message.split('\n')[0] ?? 'not YAML')
  const content: unknown = problems.length === 0 ? document.toJS() : null
  if (content !== null && !isTree(content)) problems.push('the file holds no map of settings')
  if (problems.length > 0) {
    const message = `The settings file ${path} is not valid YAML: ${problems.join('; ')}`
    throw new NodeError('INVALID_CONFIG', message, { problems })
  }
  return isTree(content) ? content : {}
}

function readEnvironment(environment: Readonly<Record<string, string | undefined>>) {
  const values: Tree = {}
  const problems: string[] = []
  const variables = new Map<string, string>()
  const known = new Map(settings().map((setting) => [setting.variable, setting]))
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith('MAO_') || isForOthers(variable)) continue
    const setting = known.get(variable)
    if (setting === undefined) {
      // Other programs may use our prefix, so only what looks like a slip of the pen is refused.
      const meant = nearestName(variable, [...known.keys()])
      if (meant !== undefined) problems.push(`${variable}: no such variable, did you mean ${meant}?`)
      continue
    }
    try {
      plant(values, setting.path.split('.'), fromText(setting.schema, text))
      variables.set(setting.path, variable)
    } catch (error) {
      problems.push(`${variable}: ${messageOf(error)}`)
    }
  }
  return { values, problems, variables }
}

function plant(tree: Tree, path: readonly string[], value: unknown): void {
  const [head = '', ...rest] = path
  if (rest.length === 0) {
    tree[head] = value
    return
  }
  const branch = tree[head]
  const next = isTree(branch) ? branch : {}
  tree[head] = next
  plant(next, rest, value)
}

/** Text of the environment as the type the schema wants; what does not fit is left to the schema's own complaint. */
function fromText(schema: z.core.$ZodType, text: string): unknown {
  if (schema instanceof z.ZodBoolean) return { true: true, false: false, 1: true, 0: false }[text] ?? text
  if (schema instanceof z.ZodNumber)
    return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text)
  if (schema instanceof z.ZodArray) {
    const items = text.split(',').map((item) => item.trim())
    return items.filter((item) => item !== '')
  }
  if (schema instanceof z.ZodRecord) return JSON.parse(text)
  return text
}

function leavesOf(schema: z.core.$ZodType, path: readonly string[]): Setting[] {
  const { inner, fallback, description, variable } = unwrap(schema)
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) => leavesOf(child, [...path, key]))
  }
  const generated = `MAO_${path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join('_')}`
  return [
    { path: path.join('.'), variable: variable ?? generated, default: fallback, description, schema: inner },
  ]
}

/** Looks through defaults and transforms at the type inside, gathering what was said on the way. */
function unwrap(schema: z.core.$ZodType) {
  let inner = schema
  let fallback: unknown
  let description = ''
  let variable: string | undefined
  for (;;) {
    const said = z.globalRegistry.get(inner)
    description ||= said?.description ?? ''
    if (typeof said?.variable === 'string') variable ??= said.variable
    if (inner instanceof z.ZodPipe) inner = inner.def.in
    else if (inner instanceof z.ZodPrefault) inner = inner.def.innerType
    else if (inner instanceof z.ZodDefault) {
      fallback ??= inner.def.defaultValue
      inner = inner.def.innerType
    } else return { inner, fallback, description, variable }
  }
}

/** Sentences for people; `variables` names the environment's part, so that a bad value is found where it was written. */
function problemsOf(error: z.ZodError, variables: ReadonlyMap<string, string>): string[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.join('.')
    if (issue.code !== 'unrecognized_keys') {
      const variable = variables.get(path) ?? variables.get(issue.path.slice(0, -1).join('.'))
      return [`${path}${variable === undefined ? '' : ` (${variable})`}: ${issue.message}`]
    }
    const siblings = settings()
      .filter((setting) => path === '' || setting.path.startsWith(`${path}.`))
      .map((setting) => setting.path.slice(path === '' ? 0 : path.length + 1).split('.')[0] ?? '')
    return issue.keys.map((key) => {
      const meant = nearestName(key, siblings)
      const hint = meant === undefined ? '' : `, did you mean ${path === '' ? meant : `${path}.${meant}`}?`
      return `${path === '' ? key : `${path}.${key}`}: no such setting${hint}`
    })
  })
}

/** A name of ours made of a machine's: `Lab-PC.local` becomes `lab-pc.local`. */
export function nameFrom(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/\.{2,}/g, '.')
    .slice(0, 63)
  const trimmed = name.replace(/^[._-]+|[._-]+$/g, '')
  return isName(trimmed) ? trimmed : 'node'
}
