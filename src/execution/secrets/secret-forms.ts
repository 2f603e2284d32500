/**
 * The texts by which a secret is known when it comes out of a tool: as it is, its longer lines, and what the usual
 * encodings make of these. A tool that means to hide a secret finds another way; this is against mistakes. Pure.
 */
import { secretSearchBytesMin } from '../../base/limits.ts'

/** The secret and, of one of several lines, each line that has `lineCharactersMin` of them. */
export function plainForms(secret: string, lineCharactersMin: number): string[] {
  const lines = secret.includes('\n') ? secret.split(/\r?\n/) : []
  const long = lines.filter((line) => line.trim().length >= lineCharactersMin)
  return [...new Set([secret, secret.trim(), ...long])].filter((form) => form !== '')
}

/**
 * A text in base64 (RFC 4648, 4 and 5), wherever in a longer one it begins, in hexadecimal digits, percent-encoded
 * (RFC 3986, 2.1) and as it stands in JSON (RFC 8259, 7). Shorter texts than can be told from others have none.
 */
export function encodedForms(text: string): string[] {
  const bytes = Buffer.from(text)
  if (bytes.length < secretSearchBytesMin) return []
  const hex = bytes.toString('hex')
  const forms = [...base64FormsOf(bytes), hex, hex.toUpperCase(), ...percentFormsOf(text), jsonFormOf(text)]
  return [...new Set(forms)].filter((form) => form !== text)
}

/** What base64 makes of `bytes` after nought, one and two other bytes, without the digits that others have a part in. */
function base64FormsOf(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((whole.length * 8) / 6)
    return [whole.toString('base64'), whole.toString('base64url')].map((text) => text.slice(from, to))
  })
}

/** As `encodeURIComponent` writes it, as forms do, and both with lower-case digits. */
function percentFormsOf(text: string): string[] {
  const encoded = encodeURIComponent(text.toWellFormed())
  // RFC 3986 reserves these five, which encodeURIComponent leaves as they are.
  const strict = encoded.replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
  const all = [encoded, strict, strict.replaceAll('%20', '+')]
  return all.flatMap((form) => [form, form.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())])
}

function jsonFormOf(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
