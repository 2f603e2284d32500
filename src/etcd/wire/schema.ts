/** Reads the words of `messages.ts` into what the codecs and the server walk over. */
import { ENUMS, FURTHER_METHODS, MESSAGES, METHODS, MVCC_MESSAGES } from './messages.ts'

export type Kind = 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'enum' | 'string' | 'bytes' | 'message'

/** The wire types of protobuf that proto3 still writes, and the two of groups. */
export const WIRE = { varint: 0, fixed64: 1, delimited: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

export interface EnumType {
  /** As generated Go code calls it, which is what etcd's messages say: `etcdserverpb.RangeRequest_SortOrder`. */
  readonly goName: string
  readonly names: readonly string[]
}

export interface Field {
  /** As the .proto file writes it: the property of a decoded message. */
  readonly name: string
  /** The second spelling that JSON accepts. */
  readonly camelName: string
  /** As generated Go code calls it. */
  readonly goName: string
  readonly number: number
  readonly kind: Kind
  readonly repeated: boolean
  /** Field number and wire type in one number, as it is written. A repeated number is written packed. */
  readonly tag: number
  /** What it is when it is absent. */
  readonly absent: unknown
  /** The fields of its union, itself included: one of them excludes the rest. */
  readonly rivals: readonly Field[]
  /** Of a message. */
  readonly type: MessageType | undefined
  /** Of an enumeration. */
  readonly values: EnumType | undefined
}

export interface MessageType {
  readonly name: string
  readonly fields: readonly Field[]
  readonly byNumber: readonly (Field | undefined)[]
  /** A message with all fields absent; to be copied. */
  readonly template: Readonly<Record<string, unknown>>
}

export interface Method {
  readonly service: string
  readonly name: string
  /** `/etcdserverpb.KV/Range` */
  readonly path: string
  /** Paths of the JSON gateway. */
  readonly gatewayPaths: readonly string[]
  readonly requestStream: boolean
  readonly responseStream: boolean
  /** Absent where only the name is known. */
  readonly messages: { readonly request: MessageType; readonly response: MessageType } | undefined
}

export const EMPTY_BYTES: Buffer = Buffer.alloc(0)
const NO_ITEMS: readonly unknown[] = Object.freeze([])
const DEFAULTS: Readonly<Record<Kind, unknown>> = {
  bool: false,
  int32: 0,
  uint32: 0,
  int64: 0n,
  uint64: 0n,
  enum: 0,
  string: '',
  bytes: EMPTY_BYTES,
  message: undefined,
}
const SERVICE_PACKAGE = 'etcdserverpb'

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const types = new Map<string, MessageType>()
const enums = new Map(
  Object.entries(ENUMS).map(([name, names]) => [name, { goName: goEnumName(name), names }]),
)
for (const name of Object.keys(MESSAGES)) types.set(name, { name, fields: [], byNumber: [], template: {} })
for (const [name, words] of Object.entries(MESSAGES)) complete(messageType(name), words)

/** All methods that etcd has, by their gRPC path. */
export const methods: ReadonlyMap<string, Method> = new Map(
  [...allMethods()].map((method) => [method.path, method]),
)

export const serviceNames: ReadonlySet<string> = new Set(
  [...methods.values()].map(({ service }) => `${SERVICE_PACKAGE}.${service}`),
)

/** The type of that name. @throws Error: the table has none, which is a defect of ours. */
export function messageType(name: string): MessageType {
  const type = types.get(name)
  if (type === undefined) throw new Error(`etcd has no message ${name}`)
  return type
}

export const messageNames: readonly string[] = [...types.keys()]

function complete(type: Writable<MessageType>, words: readonly string[]): void {
  const unions = new Map<string, Field[]>()
  const fields = words.map((line) => {
    const { union, ...parts } = partsOf(line)
    const rivals = union === undefined ? [] : (unions.get(union) ?? [])
    const field: Field = { ...parts, rivals }
    if (union !== undefined) {
      rivals.push(field)
      unions.set(union, rivals)
    }
    return field
  })
  const byNumber: (Field | undefined)[] = []
  for (let number = 0; number <= Math.max(0, ...fields.map((f) => f.number)); number++) {
    byNumber.push(fields.find((field) => field.number === number))
  }
  type.fields = fields.map((field) => field)
  type.byNumber = byNumber
  type.template = Object.fromEntries(fields.map(({ name, absent }) => [name, absent]))
}

function partsOf(line: string): Omit<Field, 'rivals'> & { union: string | undefined } {
  const read = /^(?:(repeated) |oneof (\S+) )?(\S+) (\S+) = (\d+)$/.exec(line)
  if (read === null) throw new Error(`not a field: ${line}`)
  const [, rule, union, typeName = '', name = '', digits] = read
  const [type, values, number] = [types.get(typeName), enums.get(typeName), Number(digits)]
  const kind = type !== undefined ? 'message' : values !== undefined ? 'enum' : (typeName as Kind)
  if (!(kind in DEFAULTS)) throw new Error(`no type is named so: ${line}`)
  const repeated = rule !== undefined
  const delimited = kind === 'message' || kind === 'bytes' || kind === 'string' || repeated
  const tag = number * 8 + (delimited ? WIRE.delimited : WIRE.varint)
  const absent = repeated ? NO_ITEMS : DEFAULTS[kind]
  const goName = capitals(name)
  // Only what follows an underscore changes; etcd's own camel case (`peerURLs`, `ID`) stays.
  const camelName = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return { name, camelName, goName, number, kind, repeated, tag, absent, union, type, values }
}

function* allMethods(): Generator<Method> {
  for (const [service, list] of Object.entries(METHODS)) {
    for (const [rpc, ...gatewayPaths] of list) {
      const read = /^(\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)$/.exec(rpc)
      if (read === null) throw new Error(`not a method: ${rpc}`)
      const [, name = '', requestStream, request = '', responseStream, response = ''] = read
      yield {
        ...named(service, name, gatewayPaths),
        requestStream: requestStream !== undefined,
        responseStream: responseStream !== undefined,
        messages: { request: messageType(request), response: messageType(response) },
      }
    }
  }
  for (const [service, list] of Object.entries(FURTHER_METHODS)) {
    for (const [name, path] of list) {
      const unread = { requestStream: false, responseStream: false, messages: undefined }
      yield { ...named(service, name, [path]), ...unread }
    }
  }
}

function named(service: string, name: string, gatewayPaths: readonly string[]) {
  return { service, name, path: `/${SERVICE_PACKAGE}.${service}/${name}`, gatewayPaths }
}

function goEnumName(name: string): string {
  const [outer = ''] = name.split('.')
  const pack = MVCC_MESSAGES.includes(outer) ? 'mvccpb' : SERVICE_PACKAGE
  return `${pack}.${name.replace('.', '_')}`
}

function capitals(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
