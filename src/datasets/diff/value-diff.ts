import { canonicalJson, isArray, isObject, type Json, type JsonObject } from './json-value.ts'
import { sameNumber } from './number-writing.ts'

/** One place of a JSON document, as RFC 6901 points to it. */
export interface ValueChange {
  readonly change: 'added' | 'removed' | 'changed' | 'rewritten'
  readonly pointer: string
  /** As JSON, names sorted. */
  readonly from?: string
  readonly to?: string
}

export interface ValueDiff {
  readonly added: number
  readonly removed: number
  readonly changed: number
  readonly rewritten: number
  /** The names at the top where both are objects. */
  readonly names?: { readonly from: number; readonly to: number; readonly differ: number }
  readonly told: readonly ValueChange[]
}

/**
 * What lies between two JSON documents. Objects are compared by name, lists by place once what they begin and end with
 * alike is set aside. Removed places are those of the first document, added ones those of the second, the others are
 * the same in both. Pure; the same in both directions.
 */
export function diffValues(from: Json, to: Json, toldMax: number): ValueDiff {
  const told: ValueChange[] = []
  const count = { added: 0, removed: 0, changed: 0, rewritten: 0 }

  const tell = (pointer: string, before: Json | undefined, after: Json | undefined) => {
    const texts = {
      ...(before === undefined ? {} : { from: canonicalJson(before) }),
      ...(after === undefined ? {} : { to: canonicalJson(after) }),
    }
    const change = kindOf(texts)
    count[change] += 1
    if (told.length < toldMax) told.push({ change, pointer, ...texts })
  }

  const compare = (pointer: string, before: Json, after: Json): void => {
    if (isObject(before) && isObject(after)) compareObjects(pointer, before, after)
    else if (isArray(before) && isArray(after)) compareLists(pointer, before, after)
    else if (canonicalJson(before) !== canonicalJson(after)) tell(pointer, before, after)
  }

  const compareObjects = (pointer: string, before: JsonObject, after: JsonObject) => {
    for (const name of namesOf(before, after)) {
      const [one, other] = [own(before, name), own(after, name)]
      const at = `${pointer}/${pointerPart(name)}`
      if (one === undefined || other === undefined) tell(at, one, other)
      else compare(at, one, other)
    }
  }

  const compareLists = (pointer: string, before: readonly Json[], after: readonly Json[]) => {
    const { start, end } = alike(before, after)
    const [left, right] = [before.length - end, after.length - end]
    for (let at = start; at < Math.max(left, right); at += 1) {
      const one = at < left ? before[at] : undefined
      const other = at < right ? after[at] : undefined
      if (one === undefined || other === undefined) tell(`${pointer}/${at}`, one, other)
      else compare(`${pointer}/${at}`, one, other)
    }
  }

  compare('', from, to)
  if (!isObject(from) || !isObject(to)) return { ...count, told }
  const differ = namesOf(from, to).filter((name) => {
    const [one, other] = [own(from, name), own(to, name)]
    return one === undefined || other === undefined || canonicalJson(one) !== canonicalJson(other)
  }).length
  return { ...count, names: { from: Object.keys(from).length, to: Object.keys(to).length, differ }, told }
}

function kindOf({ from, to }: { from?: string; to?: string }): ValueChange['change'] {
  if (from === undefined) return 'added'
  if (to === undefined) return 'removed'
  return sameNumber(from, to) ? 'rewritten' : 'changed'
}

function namesOf(a: JsonObject, b: JsonObject): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
}

/** A name like `__proto__` is a name like any other. */
function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** How many items two lists begin, and besides end, with alike. */
function alike(before: readonly Json[], after: readonly Json[]): { start: number; end: number } {
  const [one, other] = [before.map(canonicalJson), after.map(canonicalJson)]
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start += 1
  let end = 0
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1
  return { start, end }
}
