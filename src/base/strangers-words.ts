import { reasonCharactersMax } from './limits.ts'

/** Control characters, and those that turn the direction of writing: both make a terminal show what nobody has said. */
const STEERING = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** What others have written, without what steers a terminal; of that, the `kept` characters stay. */
export function printable(text: string, kept = '\n', instead = '\ufffd'): string {
  return text.replace(STEERING, (character) => (kept.includes(character) ? character : instead))
}

/** JSON whose strings steer no terminal: escaped as JSON has it, so that it still says the same. Its line breaks stay. */
export function escapeSteering(json: string): string {
  return json.replace(STEERING, (character) => {
    return character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** What a peer says, fit for a log or a terminal: bounded, on one line, steering nothing. */
export function strangersWords(text: string): string {
  return printable(text, '', ' ').slice(0, reasonCharactersMax)
}
