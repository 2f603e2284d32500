/** Packs and trees made byte by byte (gitformat-pack), because git gives no help in making bad ones. */
import { createHash } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { PERSON, TIME_MS } from './git-backends.ts'

export type PackType = 'commit' | 'tree' | 'blob' | 'tag'
const TYPES = { commit: 1, tree: 2, blob: 3, tag: 4, 'offset-delta': 6, 'ref-delta': 7 }

export interface Made {
  readonly oid: string
  readonly entry: Buffer
}

/** Any type number, any size announced, any bytes. */
export function rawEntry(type: number, size: number, packed: Buffer, base = Buffer.alloc(0)): Buffer {
  const head = [(type << 4) | (size % 16)]
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    head[head.length - 1] = (head.at(-1) as number) | 0x80
    head.push(rest % 128)
  }
  return Buffer.concat([Buffer.from(head), base, packed])
}

export function made(type: PackType, content: Buffer | string): Made {
  const bytes = Buffer.from(content)
  const oid = createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex')
  return { oid, entry: rawEntry(TYPES[type], bytes.length, deflateSync(bytes)) }
}

export const blob = (content: Buffer | string) => made('blob', content)

/** Entries exactly as given: no order is kept, no name looked at. */
export function tree(
  ...entries: readonly (readonly [mode: string, name: string | Buffer, oid: string])[]
): Made {
  const bytes = entries.map(([mode, name, oid]) =>
    Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.alloc(1), Buffer.from(oid, 'hex')]),
  )
  return made('tree', Buffer.concat(bytes))
}

const PERSON_LINE = `${PERSON.name} <${PERSON.email}> ${TIME_MS / 1_000} +0000`

export function commit(treeId: string, parents: readonly string[] = [], message = 'made by hand\n'): Made {
  const head = [`tree ${treeId}`, ...parents.map((parent) => `parent ${parent}`)]
  return made(
    'commit',
    `${[...head, `author ${PERSON_LINE}`, `committer ${PERSON_LINE}`].join('\n')}\n\n${message}`,
  )
}

/** A delta on the object with this id. */
export function refDelta(base: string, delta: Buffer): Buffer {
  return rawEntry(TYPES['ref-delta'], delta.length, deflateSync(delta), Buffer.from(base, 'hex'))
}

/** A delta on what begins so many bytes before it. */
export function offsetDelta(distance: number, delta: Buffer): Buffer {
  const bytes = [distance & 0x7f]
  for (let rest = Math.floor(distance / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1
    bytes.unshift((rest & 0x7f) | 0x80)
  }
  return rawEntry(TYPES['offset-delta'], delta.length, deflateSync(delta), Buffer.from(bytes))
}

function deltaSize(value: number): Buffer {
  const bytes = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) as number) | 0x80
    bytes.push(rest % 128)
  }
  return Buffer.from(bytes)
}

export type DeltaStep = Buffer | { readonly from: number; readonly length: number }

/** A delta that announces these sizes and then copies and inserts, whether or not that adds up. */
export function delta(baseSize: number, resultSize: number, steps: readonly DeltaStep[]): Buffer {
  const orders = steps.map((step) => {
    if (Buffer.isBuffer(step)) return Buffer.concat([Buffer.from([step.length]), step])
    const order = Buffer.alloc(8)
    order[0] = 0xff
    order.writeUInt32LE(step.from, 1)
    order.writeUIntLE(step.length, 5, 3)
    return order
  })
  return Buffer.concat([deltaSize(baseSize), deltaSize(resultSize), ...orders])
}

/** A pack of these entries, with a true checksum behind it. */
export function packOf(entries: readonly (Made | Buffer)[], announced: number = entries.length): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  header.writeUInt32BE(announced, 8)
  return summed(Buffer.concat([header, ...entries.map((one) => (Buffer.isBuffer(one) ? one : one.entry))]))
}

export function summed(body: Buffer): Buffer {
  return Buffer.concat([body, createHash('sha1').update(body).digest()])
}

/** A commit of one tree and all that was made for it, as a pack and what to ask for. */
export function packFor(top: Made, others: readonly (Made | Buffer)[] = []): { pack: Buffer; want: string } {
  const tip = commit(top.oid)
  return { pack: packOf([tip, top, ...others]), want: tip.oid }
}
