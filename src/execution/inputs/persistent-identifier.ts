/** Persistent identifiers as people write them. Pure. */

export interface PersistentIdentifier {
  readonly kind: 'doi' | 'handle'
  /** As the handle system knows it, without a scheme: `10.5281/zenodo.1234`, `20.500.12345/6789`. */
  readonly id: string
}

/** A prefix of numbers with dots, a slash, and any suffix without spaces (RFC 3651, 2; DOI Handbook, 3.2). */
const HANDLE = /^\d+(?:\.\d+)*(?:\.[A-Za-z0-9-]+)*\/[^\s]+$/
const RESOLVERS = /^https?:\/\/(?:dx\.|www\.)?(?:doi\.org|hdl\.handle\.net|handle\.net)\//i
const SCHEMES = /^(?:doi|hdl|handle):(?:\/\/)?\s*/i

/** Reads `doi:10.…`, `hdl:…`, `10.…/…`, `https://doi.org/10.…`, `https://hdl.handle.net/…`; undefined when it is none. */
export function parsePersistentIdentifier(text: string): PersistentIdentifier | undefined {
  const trimmed = text.trim()
  const isAddress = RESOLVERS.test(trimmed)
  const bare = trimmed.replace(RESOLVERS, '').replace(SCHEMES, '')
  const id = isAddress ? decoded(bare.replace(/[?#].*$/, '')) : bare
  if (!HANDLE.test(id)) return undefined
  // Every DOI is a handle whose prefix begins with 10. (ISO 26324).
  const isDoi = id.startsWith('10.')
  if (!isDoi && /^doi:/i.test(trimmed)) return undefined
  return { kind: isDoi ? 'doi' : 'handle', id }
}

/** How an identifier is written in a run: `doi:10.…`, `hdl:20.…`. */
export function identifierText({ kind, id }: PersistentIdentifier): string {
  return `${kind === 'doi' ? 'doi' : 'hdl'}:${id}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign is a character of the identifier.
    return text
  }
}
