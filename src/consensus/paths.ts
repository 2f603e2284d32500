/**
 * Paths in the order of their UTF-8 bytes, as git sorts them. JavaScript compares UTF-16 units, which puts the
 * characters beyond U+FFFF (written as surrogates, 0xD800 to 0xDFFF) below U+E000 to U+FFFF; UTF-8 does not.
 */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (left === right) continue
    const surrogates = isSurrogate(left) !== isSurrogate(right) && left >= 0xd800 && right >= 0xd800
    return surrogates ? right - left : left - right
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
