import { reasonCharactersMax } from './limits.ts'

/** What a peer says, fit for a log or a terminal: bounded, on one line, without control characters. */
export function strangersWords(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a peer's words must not steer a terminal
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ').slice(0, reasonCharactersMax)
}
