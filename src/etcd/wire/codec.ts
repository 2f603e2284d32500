/**
 * Protobuf, straight from the table of messages. A decoded message has every field of its type: 64-bit numbers are
 * bigints, bytes are views of what was read, an absent message is undefined and any other absent field is its default.
 * What is encoded may leave out what it likes; numbers may stand for bigints, and Latin-1 text for bytes.
 */
import { etcdMessageDepthMax } from '../../base/limits.ts'
import { MalformedMessage, Reader, tooDeep } from './reader.ts'
import { type Field, type MessageType, WIRE } from './schema.ts'
import { Writer } from './writer.ts'

export type Message = Record<string, unknown>

/**
 * A message that is there in its bytes already: bare, or (`framed`) behind a tag of one byte and its length. The bytes
 * are used as they are.
 */
export interface Encoded {
  readonly encoded: Uint8Array
  readonly framed?: Uint8Array
}

const TAG_BYTES_1_MAX = 127

const writer = new Writer()

/** The bytes of `message`, with `headBytes` of room in front. @throws TypeError, RangeError: not of that type */
export function encode(type: MessageType, message: object, headBytes = 0): Buffer {
  writer.begin(headBytes)
  try {
    const encoded = (message as Partial<Encoded>).encoded
    if (encoded === undefined) encodeFields(type, message as Message)
    else writer.raw(encoded)
    return writer.finish()
  } catch (error) {
    writer.abandon()
    throw error
  }
}

function encodeFields(type: MessageType, message: Message): void {
  for (const field of type.fields) {
    const value = message[field.name]
    if (value === undefined || value === null) continue
    if (field.repeated) encodeItems(field, value as readonly unknown[])
    else if (value !== field.absent) encodeOne(field, value)
  }
}

function encodeItems(field: Field, items: readonly unknown[]): void {
  if (items.length === 0) return
  if (field.kind === 'message' || field.kind === 'bytes' || field.kind === 'string') {
    if (field.kind === 'message') writer.expect(framedBytes(items))
    for (const item of items) encodeOne(field, item)
    return
  }
  writer.varint(field.tag)
  const opened = writer.open()
  for (const item of items) encodeNumber(field, item)
  writer.close(opened)
}

function encodeOne(field: Field, value: unknown): void {
  switch (field.kind) {
    case 'message':
      encodeMessage(field, value as Message)
      return
    case 'bytes':
      if ((value as Uint8Array).length === 0 && !field.repeated) return
      writer.varint(field.tag)
      writer.bytes(value as Uint8Array | string)
      return
    case 'string':
      writer.varint(field.tag)
      writer.string(value as string)
      return
    default:
      // Zero as a number is as absent as zero as a bigint.
      if (value === 0) return
      writer.varint(field.tag)
      encodeNumber(field, value)
  }
}

function encodeNumber({ kind }: Field, value: unknown): void {
  if (kind === 'bool') writer.varint(value === true ? 1 : 0)
  else if (kind === 'uint32') writer.varint((value as number) >>> 0)
  else writer.varint64(value as bigint | number)
}

function encodeMessage(field: Field, message: Message): void {
  const { framed } = message as Partial<Encoded>
  if (framed !== undefined && field.tag <= TAG_BYTES_1_MAX) {
    writer.framed(field.tag, framed)
    return
  }
  const { encoded } = message as Partial<Encoded>
  writer.varint(field.tag)
  if (encoded !== undefined) {
    writer.bytes(encoded)
    return
  }
  const opened = writer.open()
  encodeFields(field.type as MessageType, message)
  writer.close(opened)
}

/** @throws MalformedMessage */
export function decode(type: MessageType, bytes: Buffer): Message {
  return decodeFields(type, new Reader(bytes), bytes.length, etcdMessageDepthMax)
}

function decodeFields(type: MessageType, reader: Reader, end: number, depthLeft: number): Message {
  const message: Message = { ...type.template }
  while (reader.at < end) {
    reader.varint(end)
    const wireType = reader.low & 7
    // A field number has 32 bits in etcd's own code; what is larger is cut there, and here.
    const number = (reader.high << 29) | (reader.low >>> 3) | 0
    if (wireType === WIRE.groupEnd)
      throw new MalformedMessage(`proto: ${type.name}: wiretype end group for non-group`)
    if (number <= 0)
      throw new MalformedMessage(`proto: ${type.name}: illegal tag ${number} (wire type ${wireType})`)
    const field = type.byNumber[number]
    if (field === undefined) reader.skip(wireType, end, depthLeft)
    else if (field.repeated) decodeItem(field, wireType, message, reader, end, depthLeft)
    else {
      if (wireType !== (field.tag & 7)) throw wrongWireType(field, wireType)
      const value = decodeOne(field, reader, end, depthLeft)
      for (const rival of field.rivals) message[rival.name] = rival.absent
      message[field.name] = value
    }
  }
  return message
}

function decodeItem(
  field: Field,
  wireType: number,
  message: Message,
  reader: Reader,
  end: number,
  depthLeft: number,
): void {
  let items = message[field.name] as unknown[]
  if (items === field.absent) {
    items = []
    message[field.name] = items
  }
  const single = field.kind === 'message' || field.kind === 'bytes' || field.kind === 'string'
  if (single && wireType === WIRE.delimited) items.push(decodeOne(field, reader, end, depthLeft))
  else if (!single && wireType === WIRE.varint) items.push(decodeOne(field, reader, end, depthLeft))
  else if (!single && wireType === WIRE.delimited) {
    const length = reader.length(end)
    const packedEnd = reader.at + length
    while (reader.at < packedEnd) items.push(decodeOne(field, reader, packedEnd, depthLeft))
  } else throw wrongWireType(field, wireType)
}

function decodeOne(field: Field, reader: Reader, end: number, depthLeft: number): unknown {
  switch (field.kind) {
    case 'bytes':
      return reader.delimited(end)
    case 'message': {
      if (depthLeft === 0) throw tooDeep()
      const length = reader.length(end)
      return decodeFields(field.type as MessageType, reader, reader.at + length, depthLeft - 1)
    }
    case 'string':
      return reader.delimited(end).toString('utf8')
    case 'int64':
      reader.varint(end)
      return reader.signed64()
    case 'uint64':
      reader.varint(end)
      return reader.unsigned64()
    case 'bool':
      reader.varint(end)
      return reader.low !== 0 || reader.high !== 0
    case 'uint32':
      reader.varint(end)
      return reader.low
    default:
      reader.varint(end)
      return reader.low | 0
  }
}

function wrongWireType(field: Field, wireType: number): MalformedMessage {
  return new MalformedMessage(`proto: wrong wireType = ${wireType} for field ${field.goName}`)
}

/** How much the items take that are there in their bytes. */
function framedBytes(items: readonly unknown[]): number {
  let bytes = 0
  for (const item of items) bytes += (item as Partial<Encoded>).framed?.length ?? 0
  return bytes
}
