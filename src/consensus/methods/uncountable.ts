import { strangersWords } from '../../base/strangers-words.ts'

/** Why a version of a file cannot be counted: one plain sentence, fit to be shown. */
export class Uncountable extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'Uncountable'
  }
}

const SHOWN_CHARACTERS = 40

/** A stranger's column, key or cell within a reason: short, on one line, in quotation marks. */
export function quoted(text: string): string {
  const words = strangersWords(text)
  const characters = [...words]
  const shown =
    characters.length > SHOWN_CHARACTERS ? `${characters.slice(0, SHOWN_CHARACTERS).join('')}…` : words
  return `"${shown}"`
}
