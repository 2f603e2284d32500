/** What names a thing of the API, the most telling first: a person who asks for little wants to name it in a next command. */
const NAMING = [
  'token',
  'name',
  'id',
  'key',
  'path',
  'commit',
  'oid',
  'digest',
  'variable',
  'pipeline',
  'registry',
  'reference',
  'member',
  'peer',
  'url',
] as const

/**
 * A result in its shortest form, for `--quiet`: of a list the names or ids, one a line; of one thing its own.
 *
 * @returns undefined for what has no name, which is then told as always.
 */
export function briefOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return linesOf(value)
  const own = nameOf(value)
  if (own !== undefined || typeof value !== 'object' || value === null) return own
  // An answer that is about a list says some more beside it.
  const lists = Object.values(value).filter((field) => Array.isArray(field))
  return lists.length === 1 ? linesOf(lists[0] as unknown[]) : undefined
}

function linesOf(list: readonly unknown[]): string | undefined {
  const names = list.map(nameOf)
  return names.some((name) => name === undefined) ? undefined : names.join('\n')
}

function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return undefined
  const fields = value as Readonly<Record<string, unknown>>
  for (const field of NAMING) {
    const name = fields[field]
    if (typeof name === 'string' && name !== '') return name
  }
  return undefined
}
