export interface ByteSpan {
  /** The first byte, and the one behind the last. */
  readonly start: number
  readonly end: number
}

/**
 * What a Range header asks of a file (RFC 9110, 14.1.2 and 14.2). `whole` for anything that a server may leave
 * unanswered: other units, several ranges, and what is not written right. Pure.
 */
export function parseRange(header: string | undefined, size: number): ByteSpan | 'whole' | 'unsatisfiable' {
  const found = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '')
  if (found === null) return 'whole'
  const [, first = '', last = ''] = found
  if (first === '' && last === '') return 'whole'
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'whole'
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}
