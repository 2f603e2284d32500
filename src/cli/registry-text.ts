import type { EntryView } from '../api/registry-views.ts'
import { printable } from '../base/strangers-words.ts'
import { shortPeer } from './member-names.ts'
import { jsonText } from './output.ts'

/** The member's name; whoever is none any more is told by id, and nobody by a dash. */
export function authorText(
  by: { author?: string | undefined; authorName?: string | undefined },
  id = '',
): string {
  const name = by.authorName ?? (by.author === undefined ? '-' : shortPeer(by.author))
  return id === '' ? name : `${name} (${id})`
}

type Told = Pick<EntryView, 'value' | 'encoding'>

/** A value as it is, over as many lines as it takes. */
export function wholeValue({ value, encoding }: Told): string {
  if (encoding === 'json') return jsonText(value, 2)
  return encoding === 'text' ? printable(String(value), '\n\t') : `base64: ${value}`
}

const VALUE_CHARACTERS_SHOWN = 60

/** The beginning of a value, on one line. */
export function shortValue({ value, encoding }: Told): string {
  if (encoding === undefined) return ''
  const text =
    encoding === 'json' ? jsonText(value) : encoding === 'text' ? String(value) : `base64: ${value}`
  const line = printable(text.replaceAll(/\s+/g, ' '), '')
  return line.length > VALUE_CHARACTERS_SHOWN ? `${line.slice(0, VALUE_CHARACTERS_SHOWN)}…` : line
}
