import { diffDepthMax } from '../../base/limits.ts'
import { Unreadable } from './unreadable.ts'

/** A number whose writing a double does not keep, such as `1.0`, `1e3`, or one with more digits than fit. */
export class WrittenNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

export type Json = null | boolean | number | string | WrittenNumber | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

type Reviver = (this: unknown, name: string, value: unknown, context: { readonly source?: string }) => unknown

/** Reads JSON and keeps how its numbers are written. @throws Unreadable with the reason. */
export function parseJson(text: string): Json {
  checkDepth(text)
  const keepWriting: Reviver = (_name, value, { source }) => {
    return typeof value === 'number' && source !== undefined && String(value) !== source
      ? new WrittenNumber(source)
      : value
  }
  try {
    // The types of the language do not know the third argument of the reviver yet (ECMAScript: JSON.parse source text access).
    return JSON.parse(text, keepWriting as Parameters<typeof JSON.parse>[1]) as Json
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Unreadable(`is not readable as JSON: ${reason.slice(0, 200)}`, { cause })
  }
}

/** One text for each value: names sorted, numbers as they are written. Pure. */
export function canonicalJson(value: Json): string {
  if (value instanceof WrittenNumber) return value.source
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] as Json)}`).join(',')}}`
}

export function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value) && !(value instanceof WrittenNumber)
}

/** What is nested deeper than anybody means would overrun the stack of whoever walks it. */
function checkDepth(text: string): void {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (quoted) {
      if (code === 0x5c) at += 1
      else if (code === 0x22) quoted = false
    } else if (code === 0x22) quoted = true
    else if (code === 0x5b || code === 0x7b) {
      depth += 1
      if (depth > diffDepthMax) throw new Unreadable(`is nested deeper than ${diffDepthMax} levels`)
    } else if (code === 0x5d || code === 0x7d) depth -= 1
  }
}
