import { encodedForms, plainForms } from './secret-forms.ts'

/** What stands in a log where a secret was printed. */
export const REDACTED = '[secret]'
/** Shorter lines of a secret of several lines (braces, a closing quote) would blot out innocent text. */
const LINE_CHARACTERS_MIN = 4
/** A line break of an encoder, `\r\n`; with more between two digits it is other text, and is not held back for ever. */
const BREAK_CHARACTERS_MAX = 2

interface Form {
  readonly text: string
  /** Whether line breaks may stand in it. */
  readonly isWrapped: boolean
}

/**
 * Replaces secrets in a stream of text, as they are or encoded (secret-forms.ts), also one that arrives in several
 * chunks. Only the end of a chunk that could be the beginning of a secret is held back, so that a live log stays live.
 */
export class Redactor {
  /** The longest first: a secret that contains another must not leave its rest behind. By their first character. */
  readonly #forms = new Map<string, Form[]>()
  #held = ''

  constructor(secrets: readonly string[]) {
    // A tool that prints a key of several lines may print it line by line.
    const plain = new Set(secrets.flatMap((secret) => plainForms(secret, LINE_CHARACTERS_MIN)))
    const encoded = new Set([...plain].flatMap(encodedForms).filter((text) => !plain.has(text)))
    const forms = [
      ...[...plain].map((text) => ({ text, isWrapped: false })),
      ...[...encoded].map((text) => ({ text, isWrapped: true })),
    ]
    for (const form of forms.sort((a, b) => b.text.length - a.text.length)) {
      const first = form.text.charAt(0)
      this.#forms.set(first, [...(this.#forms.get(first) ?? []), form])
    }
  }

  /** The text that is safe to show by now. */
  push(text: string): string {
    if (this.#forms.size === 0) return text
    const { shown, rest } = this.#replace(this.#held + text, false)
    this.#held = rest
    return shown
  }

  /** What was held back, at the end of the stream. */
  end(): string {
    const { shown } = this.#replace(this.#held, true)
    this.#held = ''
    return shown
  }

  #replace(text: string, final: boolean): { shown: string; rest: string } {
    const shown: string[] = []
    let [at, from] = [0, 0]
    while (at < text.length) {
      const length = this.#lengthAt(text, at, final)
      if (length === undefined) {
        at += 1
        continue
      }
      shown.push(text.slice(from, at))
      if (length === 'open') return { shown: shown.join(''), rest: text.slice(at) }
      shown.push(REDACTED)
      at += length
      from = at
    }
    shown.push(text.slice(from))
    return { shown: shown.join(''), rest: '' }
  }

  /** How long the secret at `at` is; `open` where only more text can tell; undefined where none is. */
  #lengthAt(text: string, at: number, final: boolean): number | 'open' | undefined {
    // A longer secret that may still be completed goes before a shorter one that already is.
    for (const form of this.#forms.get(text.charAt(at)) ?? []) {
      const length = lengthOf(form, text, at)
      if (length === undefined || (length === 'open' && final)) continue
      return length
    }
    return undefined
  }
}

/** The secret may begin anywhere in an encoder's line, so that a break may stand after any of its digits. */
function lengthOf({ text: form, isWrapped }: Form, text: string, from: number): number | 'open' | undefined {
  let at = from
  let breaks = 0
  for (let matched = 0; matched < form.length; at += 1) {
    if (at === text.length) return 'open'
    const sign = text.charAt(at)
    if (sign === form.charAt(matched)) {
      matched += 1
      breaks = 0
    } else {
      breaks += 1
      const isBreak = isWrapped && matched > 0 && (sign === '\n' || sign === '\r')
      if (!isBreak || breaks > BREAK_CHARACTERS_MAX) return undefined
    }
  }
  return at - from
}
