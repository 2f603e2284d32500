/** The text of `config.yaml`: new with a word on each setting, or an existing one with only the answers changed. Pure. */
import { type Document, isMap, parseDocument } from 'yaml'
import { NodeError } from '../../base/errors.ts'
import type { ConfigInput } from '../../config.ts'

const HEAD = ` The settings of this node; "maoctl instance install" wrote it, and changes only what you answer anew.
 "maoctl instance settings" lists all there are. They count from the next start of the node.`

/** Said above a setting that was not there before. */
const WORDS: Readonly<Record<string, string>> = {
  name: ' Name of this node in its federation, and in its branches.',
  listen: ' Where other nodes dial this one.',
  announce: ' Told to them instead, where they see another address than this machine does.',
  bootstrap: ' Nodes that are dialled at start, to find the others through them.',
  mdns: ' Whether to look for nodes on the local network.',
  api: ' The API and the page, on this machine alone: http://127.0.0.1:<port>',
  etcd: ' The registry for etcd clients, on this machine alone.',
  datasets: ' Who stands in the commits of this node; members read it.',
}

/** @throws NodeError INVALID_CONFIG when the existing text is no map of settings. */
export function configText(settings: ConfigInput, existing?: string): string {
  const document = existing === undefined ? parseDocument('{}\n') : parseDocument(existing)
  if (document.errors.length > 0 || !(document.contents === null || isMap(document.contents))) {
    const why = document.errors[0]?.message.split('\n')[0] ?? 'it holds no map of settings'
    const message = `The settings that are there cannot be read: ${why}; mend config.yaml, or move it away`
    throw new NodeError('INVALID_CONFIG', message)
  }
  if (existing === undefined)
    document.contents = document.createNode({}) as unknown as typeof document.contents
  const changes = Object.entries(settings).map(([key, value]) => plant(document, [key], value))
  // What says the same already stays as it was written.
  if (existing !== undefined && !changes.includes(true)) return existing
  if (existing === undefined) document.commentBefore = HEAD
  return document.toString({ lineWidth: 0 })
}

/** @returns whether the document says something else now. */
function plant(document: Document.Parsed, path: readonly string[], value: unknown): boolean {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    // A group is filled word by word, so that what else stands in it stays.
    return Object.entries(value)
      .map(([key, inner]) => plant(document, [...path, key], inner))
      .includes(true)
  }
  const before = document.getIn(path)
  if (isSame(isCollection(before) ? before.toJSON() : before, value)) return false
  const [top = ''] = path
  const isNewTop = !document.has(top)
  // What is empty says what is so anyway.
  if (Array.isArray(value) && value.length === 0 && before === undefined) return false
  document.setIn(path, Array.isArray(value) ? document.createNode(value, { flow: true }) : value)
  const words = WORDS[top]
  if (!isNewTop || words === undefined || !isMap(document.contents)) return true
  const pair = document.contents.items.at(-1)
  const key = document.createNode(top)
  key.commentBefore = words
  key.spaceBefore = document.contents.items.length > 1
  if (pair !== undefined) (pair as { key: unknown }).key = key
  return true
}

function isCollection(node: unknown): node is { toJSON(): unknown } {
  return typeof node === 'object' && node !== null && 'toJSON' in node
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
