/**
 * The messages as proto3 JSON, the way etcd 3.4's gateway speaks it: bytes are base64, 64-bit numbers are text, what is
 * absent is left out. In what comes in, names may be etcd's or camel case, numbers text or numbers, and fields that
 * nobody knows are passed over. Refusals are in the words of Go's decoder.
 */
import { Buffer } from 'node:buffer'
import { fromBase64 } from './base64.ts'
import { decode, type Encoded, type Message } from './codec.ts'
import { JsonError, JsonNumber, type JsonValue, onlyJsonValue } from './json-text.ts'
import type { EnumType, Field, Kind, MessageType } from './schema.ts'

const GO_TYPES: Readonly<Record<Kind, string>> = {
  bool: 'bool',
  int32: 'int32',
  uint32: 'uint32',
  int64: 'int64',
  uint64: 'uint64',
  enum: 'int32',
  string: 'string',
  bytes: '[]uint8',
  message: 'map[string]json.RawMessage',
}
const BOUNDS: Partial<Record<Kind, readonly [min: bigint, max: bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  enum: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
}
const BYTE_MAX = 255

/** The message that `value` says. @throws JsonError */
export function fromJson(type: MessageType, value: JsonValue): Message {
  const message: Message = { ...type.template }
  if (value === null) return message
  if (!(value instanceof Map)) throw mismatch(value, GO_TYPES.message)
  for (const field of type.fields) {
    const given = value.get(field.camelName) ?? value.get(field.name)
    if (given === undefined || given === null) continue
    const read = field.repeated ? itemsOf(field, given) : readOne(field, given)
    for (const rival of field.rivals) message[rival.name] = rival.absent
    message[field.name] = read
  }
  return message
}

function itemsOf(field: Field, value: JsonValue): unknown[] {
  if (!Array.isArray(value)) throw mismatch(value, '[]json.RawMessage')
  return value.map((item) => {
    if (item !== null) return readOne(field, item)
    if (field.type === undefined) return field.kind === 'bytes' ? Buffer.alloc(0) : defaultOf(field.kind)
    // etcd breaks the connection off at such a one.
    throw mismatch(item, GO_TYPES.message)
  })
}

function readOne(field: Field, value: JsonValue): unknown {
  switch (field.kind) {
    case 'message':
      return fromJson(field.type as MessageType, value)
    case 'bool':
      if (typeof value !== 'boolean') throw mismatch(value, GO_TYPES.bool)
      return value
    case 'string':
      if (typeof value !== 'string') throw mismatch(value, GO_TYPES.string)
      return value
    case 'bytes':
      return bytesOf(value)
    case 'enum':
      return typeof value === 'string'
        ? namedValue(field.values as EnumType, value)
        : Number(integerOf('enum', value))
    case 'int64':
    case 'uint64':
      return integerOf(field.kind, value)
    default:
      return Number(integerOf(field.kind, value))
  }
}

function integerOf(kind: Kind, value: JsonValue): bigint {
  const number = typeof value === 'string' ? onlyJsonValue(value) : value
  if (number === null) return 0n
  if (!(number instanceof JsonNumber)) throw mismatch(number, GO_TYPES[kind])
  const [min, max] = BOUNDS[kind] as readonly [bigint, bigint]
  // Twenty digits are past any bound; longer numbers are not worth reading.
  const read = /^-?\d{1,20}$/.test(number.text) ? BigInt(number.text) : undefined
  if (read === undefined || read < min || read > max) {
    throw new JsonError(
      `json: cannot unmarshal number ${number.text} into Go value of type ${GO_TYPES[kind]}`,
    )
  }
  return read
}

function bytesOf(value: JsonValue): Buffer {
  if (typeof value === 'string') return fromBase64(value)
  if (!Array.isArray(value)) throw mismatch(value, GO_TYPES.bytes)
  return Buffer.from(
    value.map((item) => {
      if (item === null) return 0
      if (!(item instanceof JsonNumber)) throw mismatch(item, 'uint8')
      const byte = /^\d{1,3}$/.test(item.text) ? Number(item.text) : BYTE_MAX + 1
      if (byte <= BYTE_MAX) return byte
      throw new JsonError(`json: cannot unmarshal number ${item.text} into Go value of type uint8`)
    }),
  )
}

function namedValue({ names, goName }: EnumType, name: string): number {
  const number = names.indexOf(name)
  if (number >= 0) return number
  throw new JsonError(`unknown value ${JSON.stringify(name)} for enum ${goName}`)
}

function defaultOf(kind: Kind): unknown {
  if (kind === 'string') return ''
  if (kind === 'bool') return false
  return kind === 'int64' || kind === 'uint64' ? 0n : 0
}

function mismatch(value: JsonValue, goType: string): JsonError {
  return new JsonError(`json: cannot unmarshal ${jsonTypeOf(value)} into Go value of type ${goType}`)
}

function jsonTypeOf(value: JsonValue): string {
  if (value instanceof JsonNumber) return 'number'
  if (value instanceof Map) return 'object'
  if (typeof value === 'boolean') return 'bool'
  return value === null ? 'null' : Array.isArray(value) ? 'array' : 'string'
}

/** The text of a message; messages that are there in their bytes are read first. */
export function toJson(type: MessageType, message: object): string {
  const { encoded } = message as Partial<Encoded>
  const plain = encoded === undefined ? (message as Message) : decode(type, asBuffer(encoded))
  const parts: string[] = []
  for (const field of type.fields) {
    const value = plain[field.name]
    if (value === undefined || value === null) continue
    if (field.repeated) {
      const items = value as readonly unknown[]
      if (items.length > 0)
        parts.push(`"${field.name}":[${items.map((item) => textOf(field, item)).join(',')}]`)
    } else if (!isDefault(field, value)) parts.push(`"${field.name}":${textOf(field, value)}`)
  }
  return `{${parts.join(',')}}`
}

function isDefault(field: Field, value: unknown): boolean {
  if (field.kind === 'message') return false
  if (field.kind === 'bytes' || field.kind === 'string') return (value as string | Uint8Array).length === 0
  return value === false || value === 0 || value === 0n
}

function textOf(field: Field, value: unknown): string {
  switch (field.kind) {
    case 'message':
      return toJson(field.type as MessageType, value as object)
    case 'bytes': {
      const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : asBuffer(value as Uint8Array)
      return `"${bytes.toString('base64')}"`
    }
    case 'string':
      return goString(value as string)
    case 'int64':
      return `"${BigInt.asIntN(64, BigInt(value as bigint))}"`
    case 'uint64':
      return `"${BigInt.asUintN(64, BigInt(value as bigint))}"`
    case 'enum': {
      const name = field.values?.names[value as number]
      return name === undefined ? String(value) : `"${name}"`
    }
    default:
      return String(value)
  }
}

/** A string as Go writes it: safe to stand in a page, too. */
export function goString(text: string): string {
  return JSON.stringify(text).replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
