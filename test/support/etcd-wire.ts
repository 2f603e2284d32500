import { createRequire } from 'node:module'
import fc from 'fast-check'
import type { Message } from '../../src/etcd/wire/codec.ts'
import type { Field, MessageType } from '../../src/etcd/wire/schema.ts'

const require = createRequire(import.meta.url)
const ofEtcd3 = createRequire(require.resolve('etcd3'))

/** What is used of protobufjs, which comes with etcd's client for Node and its .proto files. */
interface ProtobufType {
  readonly fieldsArray: readonly {
    readonly name: string
    readonly id: number
    readonly type: string
    readonly repeated: boolean
    readonly resolvedType: { readonly values?: Record<string, number>; readonly name: string } | null
    readonly partOf: { readonly name: string } | null
    resolve(): unknown
  }[]
  fromObject(message: object): object
  encode(message: object): { finish(): Uint8Array }
  decode(bytes: Uint8Array): object
  toObject(message: object, options: object): Message
}
interface ProtobufRoot {
  lookupType(path: string): ProtobufType
  lookupEnum(path: string): { readonly values: Record<string, number> }
  lookupService(path: string): {
    readonly methods: Record<
      string,
      { requestType: string; responseType: string; requestStream?: boolean; responseStream?: boolean }
    >
  }
}

/** etcd's own definitions, as its client for Node ships them. */
export const etcdProto: ProtobufRoot = (() => {
  const { Root } = ofEtcd3('protobufjs') as {
    Root: new () => ProtobufRoot & { loadSync(...a: unknown[]): void }
  }
  const root = new Root()
  root.loadSync(require.resolve('etcd3/proto/rpc.proto'), { keepCase: true })
  return root
})()

export function protobufType(type: MessageType): ProtobufType {
  const pack = ['KeyValue', 'Event'].includes(type.name) ? 'mvccpb' : 'etcdserverpb'
  return etcdProto.lookupType(`${pack}.${type.name}`)
}

const DEPTH_MAX = 3
const ITEMS_MAX = 3

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 300n }),
)
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 300n }))
const shortBytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
// Long enough that lengths take two and three bytes.
const longBytes = fc.nat({ max: 20_000 }).map((length) => Buffer.alloc(length, length))
const bytes = fc.oneof({ arbitrary: shortBytes, weight: 40 }, { arbitrary: longBytes, weight: 1 })

/** Any message of that type, as decoding would give it. */
export function anyMessage(type: MessageType, depth = 0): fc.Arbitrary<Message> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of type.fields) {
    const one = anyValue(field, depth)
    const wide = depth < DEPTH_MAX || field.kind !== 'message'
    fields[field.name] = field.repeated ? fc.array(one, { maxLength: wide ? ITEMS_MAX : 0 }) : one
  }
  return fc
    .tuple(fc.record(fields, { noNullPrototype: true }), fc.nat())
    .map(([message, chosen]) => withOneOfEachUnion(type, message as Message, chosen))
}

function anyValue(field: Field, depth: number): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'message':
      return depth < DEPTH_MAX
        ? field.repeated
          ? anyMessage(field.type as MessageType, depth + 1)
          : fc.option(anyMessage(field.type as MessageType, depth + 1), { nil: undefined })
        : fc.constant(undefined)
    case 'bytes':
      return bytes
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 20 })
    case 'bool':
      return fc.boolean()
    case 'int64':
      return int64
    case 'uint64':
      return uint64
    case 'uint32':
      return fc.nat({ max: 2 ** 32 - 1 })
    case 'enum':
      return fc.nat({ max: (field.values?.names.length ?? 1) - 1 })
    default:
      return fc.integer()
  }
}

function withOneOfEachUnion(type: MessageType, message: Message, chosen: number): Message {
  for (const field of type.fields) {
    const { rivals } = field
    if (rivals.length > 0 && rivals[chosen % rivals.length] !== field) message[field.name] = field.absent
  }
  return message
}
