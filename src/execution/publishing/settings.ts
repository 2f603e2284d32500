import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { MINUTE_MS } from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'

/** The names of variables are told; their values are not. */
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of a variable')
const baseUrl = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ''))
/** What stands before the names of all that is published: parts joined by slashes, none of which leads elsewhere. */
const prefix = z
  .string()
  .max(500)
  .transform((text) => text.replace(/^\/+|\/+$/g, ''))
  .refine(
    (text) =>
      text === '' || text.split('/').every((part) => /^[\w .+@=-]+$/.test(part) && !/^\.+$/.test(part)),
    'parts of letters, digits and . _ + @ = - joined by slashes',
  )
  .default('')

const common = {
  prefix,
  /** How long a publication stays; absent: until somebody removes it. */
  keepMs: z.int().min(MINUTE_MS).optional(),
  /** Whether every file is read back and its SHA-256 compared. */
  readBack: z.boolean().default(true),
  /** Whether it also gets what was made of datasets that stay on this node (local-only and compute-only ones). */
  withheld: z.boolean().default(false),
}

const folder = z.strictObject({
  kind: z.literal('folder'),
  directory: z.string().refine(isAbsolute, 'an absolute path'),
  publicUrl: baseUrl.optional(),
  ...common,
})

const s3 = z.strictObject({
  kind: z.literal('s3'),
  endpoint: baseUrl,
  region: z.string().min(1).default('us-east-1'),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'not the name of a bucket'),
  accessKeyVariable: variable,
  secretKeyVariable: variable,
  /** Where the objects can be read by all; the key is appended. */
  publicUrl: baseUrl.optional(),
  ...common,
})

const ipfs = z.strictObject({
  kind: z.literal('ipfs'),
  /** Of Kubo's RPC, such as http://127.0.0.1:5001. */
  api: baseUrl,
  /** Where content can be read by all, such as https://ipfs.example.org. */
  publicGateway: baseUrl.optional(),
  /** Sent as a bearer token. */
  tokenVariable: variable.optional(),
  ...common,
})

const renku = z.strictObject({
  kind: z.literal('renku'),
  /** The project's git repository, over ssh or https, reached as upstreams are. */
  repository: z.string().min(1).max(2_000),
  branch: z.string().min(1).max(200).default('main'),
  /** Where results go, within the project. */
  directory: z
    .string()
    .min(1)
    .max(500)
    .regex(/^[\w .+@=-]+(?:\/[\w .+@=-]+)*$/, 'parts of letters, digits and . _ + @ = - joined by slashes')
    .refine(
      (text) => text.split('/').every((part) => !/^\.+$/.test(part) && part !== '.git'),
      'within the project',
    )
    .default('data/input'),
  /** On PATH, or its path. It runs the project's own workflow on this machine, as the node's user. */
  program: z.string().min(1).max(500).default('renku'),
  arguments: z.array(z.string().max(500)).max(32).default(['update', '--all']),
  prefix,
  withheld: common.withheld,
  /** A project's history is its people's: nothing is taken back from it. */
  keepMs: z.undefined().optional(),
})

export const publisherSchema = z.discriminatedUnion('kind', [folder, s3, ipfs, renku])
export type PublisherSettings = z.output<typeof publisherSchema>
export type FolderSettings = Extract<PublisherSettings, { kind: 'folder' }>
export type S3Settings = Extract<PublisherSettings, { kind: 's3' }>
export type RenkuSettings = Extract<PublisherSettings, { kind: 'renku' }>
export type IpfsSettings = Extract<PublisherSettings, { kind: 'ipfs' }>

/** Publishers of this node by name: where outputs of steps go beside their datasets. */
export const publishersSchema = z
  .record(nameSchema, publisherSchema)
  .default({})
  .describe(
    'where outputs may be published beside their datasets: folders, S3 buckets, IPFS nodes, Renku projects, by name',
  )
