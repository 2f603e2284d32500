/**
 * What a landing page says of the data that it describes, in the HTTP header `Link` with the relation `item` (RFC 8288;
 * FAIR Signposting Profile, https://signposting.org/FAIR/). It is the one standard way from a DOI to its files: content
 * negotiation at a DOI gives metadata alone. Pure.
 */

/** One link and its parameters; a quoted text may hold commas, semicolons and angle brackets. */
const LINK = /<([^>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]+))?)*)/g
const PARAMETER = /;\s*([\w!#$&+.^`|~*-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+)))?/g

/** The addresses of the files, absolute, each once. */
export function itemsOf(header: string, base: URL): string[] {
  const items: string[] = []
  for (const [, target = '', parameters = ''] of header.matchAll(LINK)) {
    if (!relationsIn(parameters).includes('item')) continue
    const url = URL.parse(target, base.href)
    if (url !== null && !items.includes(url.href)) items.push(url.href)
  }
  return items
}

/** Of several `rel` the first counts (RFC 8288, 3.3). */
function relationsIn(parameters: string): string[] {
  for (const [, name = '', quoted, plain] of parameters.matchAll(PARAMETER)) {
    if (name.toLowerCase() === 'rel') return (quoted ?? plain ?? '').toLowerCase().split(/\s+/)
  }
  return []
}
