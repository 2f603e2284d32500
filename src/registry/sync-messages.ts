/**
 * What is said on the stream of a catch-up (protocols/registry-sync.md §4): DAG-CBOR, checked at the door, with hashes
 * and digests as raw bytes on the wire and as hex within.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import {
  keyBytesMax,
  syncAuthorsExceptedMax,
  syncListedMax,
  syncPartHeldMax,
  syncPartsMax,
  syncRangesComparedMax,
  syncRangesFetchedMax,
  syncRecordsPerFrameMax,
  versionMax,
} from '../base/limits.ts'
import { bytesSchema } from '../base/schemas.ts'
import type { Fetched, Held, RangeAnswer, RangeDigest, Wanted } from './ranges.ts'

export const SYNC_PROTOCOL = '/mao/sync/2.0.0'

/** [S2] What a puller may ask. */
export type Question =
  | { readonly kind: 'compare'; readonly ranges: readonly RangeDigest[] }
  | {
      readonly kind: 'fetch'
      readonly ranges: readonly Wanted[]
      /** Authors of whom no records are wanted. */
      readonly except: readonly string[]
    }

const HASH_BYTES = 32
/** A key, a space, an author's peer id and, in the range of a single place, a zero byte. */
const AUTHOR_CHARACTERS_MAX = 100
const PLACE_CHARACTERS_MAX = keyBytesMax + AUTHOR_CHARACTERS_MAX + 2

const place = z.string().max(PLACE_CHARACTERS_MAX)
const hash = bytesSchema
  .refine((bytes) => bytes.length === HASH_BYTES, 'a hash has 32 bytes')
  .transform(hexOf)
const count = z.number().int().nonnegative()

/**
 * What one side holds in a range, as one text and one byte string, since there may be thousands of records: on a line
 * each place and version, and the hashes one behind the other.
 */
function heldSchema(recordsMax: number) {
  return z.tuple([z.string(), bytesSchema]).transform(([text, hashes], context): Held[] => {
    // Counted before anything is taken apart: a frame has room for half a million lines.
    const lines = text === '' ? [] : text.split('\n', recordsMax + 1)
    if (lines.length <= recordsMax && hashes.length === HASH_BYTES * lines.length) {
      const hex = hexOf(hashes)
      const held = lines.map((line, at) => {
        const space = line.lastIndexOf(' ')
        const hash = hex.slice(2 * HASH_BYTES * at, 2 * HASH_BYTES * (at + 1))
        return { place: line.slice(0, Math.max(0, space)), version: versionIn(line.slice(space + 1)), hash }
      })
      if (held.every(isSound)) return held
    }
    context.addIssue('the text does not fit the hashes, or there is too much of both')
    return z.NEVER
  })
}

function isSound({ place, version }: Held): boolean {
  return place.length <= PLACE_CHARACTERS_MAX && Number.isInteger(version) && version <= versionMax
}

/** NaN for anything but a positive integer in its usual form. */
function versionIn(text: string): number {
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : Number.NaN
}

/** [S2] Of ranges that overlap one would have to answer for the same records again and again. */
function isInOrder(ranges: readonly (readonly [from: string, to: string | null, ...unknown[]])[]): boolean {
  return ranges.every(([from, to], at) => {
    const next = ranges[at + 1]
    if (to === null) return next === undefined
    return from < to && (next === undefined || to <= next[0])
  })
}
const ORDER = 'ranges are in order, and none is empty or overlaps another'

const compareSchema = z.strictObject({
  kind: z.literal('compare'),
  federation: z.string(),
  ranges: z
    .array(z.tuple([place, place.nullable(), hash]))
    .max(syncRangesComparedMax)
    .refine(isInOrder, ORDER),
})
const fetchSchema = z.strictObject({
  kind: z.literal('fetch'),
  federation: z.string(),
  ranges: z
    .array(z.tuple([place, place.nullable(), heldSchema(syncPartHeldMax)]))
    .max(syncRangesFetchedMax)
    .refine(isInOrder, ORDER),
  except: z.array(z.string().max(AUTHOR_CHARACTERS_MAX)).max(syncAuthorsExceptedMax),
})
const questionSchema = z.discriminatedUnion('kind', [compareSchema, fetchSchema])

const answerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('same') }),
  z.strictObject({
    kind: z.literal('list'),
    digest: hash,
    held: heldSchema(syncListedMax),
  }),
  z.strictObject({
    kind: z.literal('split'),
    digest: hash,
    parts: z
      .array(z.tuple([place, hash, count]).transform(([from, digest, count]) => ({ from, digest, count })))
      .max(syncPartsMax),
  }),
])
const comparedSchema = z.strictObject({ answers: z.array(answerSchema) })
const fetchedSchema = z.strictObject({
  envelopes: z.array(bytesSchema.transform(ownBytes)).max(syncRecordsPerFrameMax),
  next: z
    .tuple([count, place])
    .transform(([range, from]) => ({ range, from }))
    .nullable(),
})

export function encodeQuestion(federation: string, question: Question): Uint8Array {
  const { kind } = question
  if (kind === 'compare') {
    const ranges = question.ranges.map(({ from, to, digest }) => [from, to, bytesOf(digest)])
    return encode({ kind, federation, ranges })
  }
  const ranges = question.ranges.map(({ from, to, have }) => [from, to, wireHeldOf(have)])
  return encode({ kind, federation, ranges, except: question.except })
}

/** @throws Error when the bytes are no question. */
export function decodeQuestion(bytes: Uint8Array): { federation: string; question: Question } {
  const asked = questionSchema.parse(decode(bytes))
  if (asked.kind === 'compare') {
    const ranges = asked.ranges.map(([from, to, digest]) => ({ from, to, digest }))
    return { federation: asked.federation, question: { kind: 'compare', ranges } }
  }
  const ranges = asked.ranges.map(([from, to, have]) => ({ from, to, have }))
  return { federation: asked.federation, question: { kind: 'fetch', ranges, except: asked.except } }
}

export function encodeCompared(answers: readonly RangeAnswer[]): Uint8Array {
  return encode({ answers: answers.map(wireAnswerOf) })
}

/** @throws NodeError INVALID_INPUT when the bytes are no answers to `asked` ranges. */
export function decodeCompared(bytes: Uint8Array, asked: number): readonly RangeAnswer[] {
  const { answers } = answerIn(bytes, comparedSchema)
  if (answers.length === asked) return answers
  throw new NodeError('INVALID_INPUT', `${asked} ranges were asked for, ${answers.length} answered`)
}

export function encodeFetched({ envelopes, next }: Fetched): Uint8Array {
  return encode({ envelopes, next: next === null ? null : [next.range, next.from] })
}

/** @throws NodeError INVALID_INPUT when the bytes are no records. */
export function decodeFetched(bytes: Uint8Array): Fetched {
  return answerIn(bytes, fetchedSchema)
}

function answerIn<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  try {
    return schema.parse(decode(bytes))
  } catch (cause) {
    throw new NodeError('INVALID_INPUT', 'The peer sent no answer to what it was asked', {}, { cause })
  }
}

function wireAnswerOf(answer: RangeAnswer): unknown {
  if (answer.kind === 'same') return answer
  const { kind, digest } = answer
  if (kind === 'list') return { kind, digest: bytesOf(digest), held: wireHeldOf(answer.held) }
  const parts = answer.parts.map((part) => [part.from, bytesOf(part.digest), part.count])
  return { kind, digest: bytesOf(digest), parts }
}

function wireHeldOf(held: readonly Held[]): unknown {
  const text = held.map(({ place, version }) => `${place} ${version}`).join('\n')
  return [text, bytesOf(held.map(({ hash }) => hash).join(''))]
}

/** A record is kept for long: as a view it would keep the whole frame alive that it came in. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength === bytes.length ? bytes : Uint8Array.from(bytes)
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex')
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
