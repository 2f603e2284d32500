/** What browsers and programs are told of a file that somebody else has written. */

/** What no browser runs, and programs want to know. */
const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8',
  tsv: 'text/tab-separated-values; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  log: 'text/plain; charset=utf-8',
  json: 'application/json',
  jsonl: 'application/jsonl',
  ndjson: 'application/x-ndjson',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  parquet: 'application/vnd.apache.parquet',
  gz: 'application/gzip',
  zip: 'application/zip',
  tar: 'application/x-tar',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
}

const UNKNOWN = 'application/octet-stream'

export function mediaTypeOf(path: string): string {
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''
  return (Object.hasOwn(TYPES, ending) ? TYPES[ending] : undefined) ?? UNKNOWN
}

/** Saved and never shown, whatever a browser makes of it: a peer's page must not run as one of this node's. */
export function foreignContentHeaders(name: string): Record<string, string> {
  return {
    'content-disposition': dispositionOf(name),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'cross-origin-resource-policy': 'same-origin',
  }
}

/** What is asked for by a commit's id never changes; anything else is asked for again, if only to hear that it is the same. */
export function cacheControl(fixed: boolean): string {
  return fixed ? 'private, max-age=31536000, immutable' : 'private, no-cache'
}

/** The name twice: as old programs read it, and as it is (RFC 6266, RFC 8187). */
function dispositionOf(name: string): string {
  const plain = name.replace(/[^\w .()+-]/g, '_')
  const coded = encodeURIComponent(name).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${coded}`
}
