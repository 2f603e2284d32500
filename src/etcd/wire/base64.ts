import { JsonError } from './json-text.ts'

const PADDING = '='
const QUANTUM = 4

/** What standard base64 says, padding and all; ends of lines are passed over, as Go does. @throws JsonError */
export function fromBase64(text: string): Buffer {
  const plain = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, '') : text
  if (plain.length % QUANTUM !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) {
    throw new JsonError(`illegal base64 data at input byte ${firstIllegal(text)}`)
  }
  return Buffer.from(plain, 'base64')
}

/** Where Go's decoder gives up (go: encoding/base64, decodeQuantum). */
function firstIllegal(text: string): number {
  let inQuantum = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (character === '\r' || character === '\n') continue
    if (character === PADDING) return illegalPadding(text, at, inQuantum)
    if (!/[A-Za-z0-9+/]/.test(character)) return at
    inQuantum = (inQuantum + 1) % QUANTUM
  }
  return text.length - inQuantum
}

function illegalPadding(text: string, at: number, inQuantum: number): number {
  if (inQuantum < 2) return at
  let end = at + 1
  const passSpace = () => {
    while (text[end] === '\r' || text[end] === '\n') end++
  }
  if (inQuantum === 2) {
    passSpace()
    if (end === text.length) return end
    if (text[end] !== PADDING) return end - 1
    end++
  }
  passSpace()
  return end
}
