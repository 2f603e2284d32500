/** A decimal number as CSV and JSON write it. A whole number with leading zeros is a code of something, not a number. */
const DECIMAL = /^ *([+-]?)(?:(0|[1-9]\d*)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,6}))? *$/

/** Zeros that a whole number may end in before it is written with an exponent. */
const ZEROS_MAX = 30
/** Digits, of which all but the first may be zeros. */
const PLAIN_DIGITS_MAX = ZEROS_MAX

/**
 * One spelling for all the ways to write a number, exact to its last digit (no floating point): `1.0`, `1` and `10e-1`
 * have the same. Undefined for what is no number. Pure.
 */
export function canonicalNumber(text: string): string | undefined {
  // Most cells are words; the first character tells.
  const first = text.charCodeAt(0)
  if (first > 57 || first < 32) return undefined
  if (isPlain(text)) return text
  const parts = DECIMAL.exec(text)
  if (parts === null) return undefined
  const [, sign = '', whole = '', fraction = '', bare = '', exponent = '0'] = parts
  const decimals = fraction + bare
  const digits = (whole + decimals).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  if (kept === '') return '0'
  const scale = Number(exponent) - decimals.length + (digits.length - kept.length)
  const minus = sign === '-' ? '-' : ''
  // Whole numbers of a usual length keep the writing that most of them have already.
  return scale >= 0 && scale <= ZEROS_MAX
    ? minus + kept.padEnd(kept.length + scale, '0')
    : `${minus}${kept}e${scale}`
}

/** The digits alone, without a zero before them: its own canonical writing. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code > 57 || code < 48) return false
  }
  return text.length <= PLAIN_DIGITS_MAX && (text.charCodeAt(0) !== 48 || text.length === 1)
}

/** Whether two texts that differ are the same number in another writing, such as `1.0` and `1`. Pure. */
export function sameNumber(a: string, b: string): boolean {
  const number = canonicalNumber(a)
  return number !== undefined && number === canonicalNumber(b)
}
