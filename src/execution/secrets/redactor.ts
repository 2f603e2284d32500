/** What stands in a log where a secret was printed. */
export const REDACTED = '[secret]'
/** Shorter lines of a secret of several lines (braces, a closing quote) would blot out innocent text. */
const LINE_CHARACTERS_MIN = 4

/**
 * Replaces secrets in a stream of text, also one that arrives in two chunks. Only the end of a chunk that could be the
 * beginning of a secret is held back, so that a live log stays live.
 */
export class Redactor {
  readonly #secrets: readonly string[]
  #held = ''

  constructor(secrets: readonly string[]) {
    // A tool that prints a key of several lines may print it line by line.
    const lines = secrets
      .filter((secret) => secret.includes('\n'))
      .flatMap((secret) => secret.split(/\r?\n/))
      .filter((line) => line.trim().length >= LINE_CHARACTERS_MIN)
    // The longest first: a secret that contains another must not leave its rest behind.
    const all = new Set([...secrets, ...lines].filter((secret) => secret !== ''))
    this.#secrets = [...all].sort((a, b) => b.length - a.length)
  }

  /** The text that is safe to show by now. */
  push(text: string): string {
    if (this.#secrets.length === 0) return text
    const whole = this.#held + text
    const { shown, rest } = this.#replace(whole, false)
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
    let shown = ''
    let at = 0
    while (at < text.length) {
      // A longer secret that may still be completed goes before a shorter one that already is.
      const candidate = this.#secrets.find((secret) => this.#matches(secret, text, at, final))
      if (candidate === undefined) {
        shown += text[at]
        at += 1
      } else if (text.startsWith(candidate, at)) {
        shown += REDACTED
        at += candidate.length
      } else break
    }
    return { shown, rest: text.slice(at) }
  }

  /** True where `secret` stands at `at`, or may once more text has come. */
  #matches(secret: string, text: string, at: number, final: boolean): boolean {
    if (text.startsWith(secret, at)) return true
    return !final && text.length - at < secret.length && secret.startsWith(text.slice(at))
  }
}
