import { reasonCharactersMax } from './limits.ts'

/** Control characters, and those that turn the direction of writing: both make a terminal show what nobody has said. */
const STEERING = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** What others have written, without what steers a terminal; of that, the `kept` characters stay. */
export function printable(text: string, kept = '\n', instead = '\ufffd'): string {
  return text.replace(STEERING, (character) => (kept.includes(character) ? character : instead))
}

/** What a peer says, fit for a log or a terminal: bounded, on one line, steering nothing. */
export function strangersWords(text: string): string {
  return printable(text, '', ' ').slice(0, reasonCharactersMax)
}
