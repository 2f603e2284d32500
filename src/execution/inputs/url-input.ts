/** Files from the web: http and https, over few redirects, each of which is checked like the first address. */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { type ErrorCode, messageOf, NodeError } from '../../base/errors.ts'
import { inputRedirectsMax, landingItemsToldMax } from '../../base/limits.ts'
import { AllowedAddresses } from '../../base/public-address.ts'
import type { StepInput } from '../catalogue/step-input.ts'
import { bodyToFile, type Written } from './body-to-file.ts'
import { askChecked, type CheckedRequest, shownUrl, unavailable } from './checked-request.ts'
import { baseNameOf } from './input-names.ts'
import { itemsOf } from './landing-page.ts'
import type { Obtained, Obtaining } from './obtained.ts'
import type { InputsSettings } from './settings.ts'

type UrlInput = Extract<StepInput, { url: string }>

/** @throws NodeError as `fetchFile`. */
export async function obtainUrl(input: UrlInput, p: Obtaining): Promise<Obtained> {
  const fetched = await fetchFile(new URL(input.url), p, { sha256: input.sha256, isIdentified: false })
  const resolved = shownUrl(fetched.at)
  return {
    source: {
      ...{ kind: 'url', source: input.url, sha256: fetched.sha256, bytes: fetched.bytes },
      ...(fetched.at.href === new URL(input.url).href ? {} : { resolved }),
    },
    // As the step has it, whatever the redirects call it: so a step can count on it.
    base: baseNameOf(new URL(input.url)),
    ...{ path: p.file, isOwn: true, release: () => undefined },
  }
}

export interface Fetched extends Written {
  /** Where it was in the end. */
  readonly at: URL
}

/**
 * @param p.isIdentified whether a person named it by an identifier, and so means the data behind a landing page.
 * @throws NodeError FORBIDDEN for an address that may not be asked, or a server that refuses; NOT_FOUND, INVALID_INPUT;
 * SOURCE_UNAVAILABLE where the same may succeed later; what `bodyToFile` throws.
 */
export async function fetchFile(
  url: URL,
  p: Obtaining,
  options: { readonly sha256: string | undefined; readonly isIdentified: boolean },
): Promise<Fetched> {
  return withinTime(url, p, async (signal) => {
    const asked = { ...(await requestOf(p.settings)), signal }
    let at = checkedUrl(url)
    for (let hops = 0; hops <= inputRedirectsMax; hops += 1) {
      const response = await askChecked(at, asked)
      const next = redirectOf(at, response) ?? (options.isIdentified ? itemOf(at, response) : undefined)
      if (next === undefined) {
        checkStatus(at, response)
        const body = { url: at, response, file: p.file, budget: p.budget, sha256: options.sha256 }
        return { at, ...(await bodyToFile({ ...body, freeBytesMin: p.freeBytesMin })) }
      }
      response.destroy()
      at = next
    }
    const message = `${shownUrl(url)} leads on more than ${inputRedirectsMax} times`
    throw new NodeError('INVALID_INPUT', message, { url: shownUrl(url) })
  })
}

/** What every request of this node is made with. @throws NodeError INVALID_CONFIG */
export async function requestOf(settings: InputsSettings): Promise<Omit<CheckedRequest, 'signal'>> {
  const { allowedAddresses, idleTimeoutMs, caFile } = settings
  const request = { allowed: new AllowedAddresses(allowedAddresses), idleTimeoutMs }
  if (caFile === '') return request
  try {
    return { ...request, ca: await readFile(caFile, 'utf8') }
  } catch (cause) {
    const message = `The certificates of the setting execution.inputs.caFile cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_CONFIG', message, { caFile }, { cause })
  }
}

/** The whole of it has a deadline; a server that sends a byte now and then does not hold a run for ever. */
export async function withinTime<T>(
  url: URL,
  p: Pick<Obtaining, 'settings' | 'signal'>,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeoutMs } = p.settings
  const late = AbortSignal.timeout(timeoutMs)
  try {
    return await task(AbortSignal.any([p.signal, late]))
  } catch (error) {
    p.signal.throwIfAborted()
    if (!late.aborted) throw error
    const message = `${shownUrl(url)} took longer than ${timeoutMs / 1_000} s (setting execution.inputs.timeoutMs)`
    throw unavailable(url, message, error)
  }
}

/** @throws NodeError INVALID_INPUT */
function checkedUrl(url: URL): URL {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    const message = `Inputs are fetched over http and https, not over ${url.protocol.replace(':', '')}`
    throw new NodeError('INVALID_INPUT', message)
  }
  if (url.username === '' && url.password === '') return url
  const message = `The address of ${url.host} holds a name or a password, which do not belong into what others may read; import the data into a dataset, and take that as the input`
  throw new NodeError('INVALID_INPUT', message)
}

const REDIRECTS: readonly (number | undefined)[] = [301, 302, 303, 307, 308]

/** @throws NodeError INVALID_INPUT for one that is not followed. */
function redirectOf(at: URL, { statusCode, headers }: IncomingMessage): URL | undefined {
  if (!REDIRECTS.includes(statusCode) || headers.location === undefined) return undefined
  return leadTo(at, headers.location)
}

/** The data behind the landing page of an identifier, where the page names just one file. */
function itemOf(at: URL, { statusCode, headers }: IncomingMessage): URL | undefined {
  if (statusCode !== 200 || !/^(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? ''))
    return undefined
  const items = itemsOf([headers.link ?? ''].flat().join(', '), at)
  const [only] = items
  if (only !== undefined && items.length === 1) return leadTo(at, only)
  const told = items.slice(0, landingItemsToldMax).join(' ')
  const message =
    items.length === 0
      ? `The identifier leads to a page for people, ${shownUrl(at)}, which does not tell programs where the data are; take the address of the file from there, and name it with url`
      : `The identifier leads to a page, ${shownUrl(at)}, with ${items.length} files; name the one you mean with url: ${told}`
  throw new NodeError('INVALID_INPUT', message, {
    url: shownUrl(at),
    items: items.slice(0, landingItemsToldMax),
  })
}

function leadTo(at: URL, location: string): URL {
  const next = URL.parse(location, at.href)
  if (next === null) {
    throw new NodeError('INVALID_INPUT', `${shownUrl(at)} leads to what is no address`, { url: shownUrl(at) })
  }
  if (at.protocol === 'https:' && next.protocol !== 'https:') {
    const message = `${shownUrl(at)} leads from https to ${next.protocol.replace(':', '')}, which is not followed`
    throw new NodeError('INVALID_INPUT', message, { url: shownUrl(at) })
  }
  // The part behind the # is for browsers.
  next.hash = ''
  return checkedUrl(next)
}

/** What may be otherwise a moment later (RFC 9110, 15): too early, too many requests, all that begins with 5. */
const PASSING: readonly number[] = [408, 425, 429]
const REFUSED: readonly number[] = [401, 402, 403, 407, 451]

/** @throws NodeError unless the whole file comes. */
function checkStatus(at: URL, response: IncomingMessage): void {
  const { statusCode: status = 0, statusMessage = '' } = response
  if (status === 200) return
  response.destroy()
  const said = `${shownUrl(at)} answers ${`${status} ${statusMessage}`.trim()}`
  if (PASSING.includes(status) || status >= 500) throw unavailable(at, said)
  const [code, advice]: [ErrorCode, string] =
    status === 404 || status === 410
      ? ['NOT_FOUND', 'check the address, and change the step']
      : REFUSED.includes(status)
        ? [
            'FORBIDDEN',
            'inputs are fetched without a login; import the data into a dataset, and take that as the input',
          ]
        : ['INVALID_INPUT', 'which is not the file']
  throw new NodeError(code, `${said}: ${advice}`, { url: shownUrl(at), status })
}
