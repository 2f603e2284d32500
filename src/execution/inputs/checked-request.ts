/**
 * One GET request to an address that was looked at first. The name is looked up once, what it stands for is checked, and
 * the connection is made to just those addresses: a name that stands for something else a moment later (DNS rebinding)
 * changes nothing.
 */
import { promises as dns, type LookupAddress } from 'node:dns'
import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { rootCertificates } from 'node:tls'
import { messageOf, NodeError } from '../../base/errors.ts'
import { inputAddressesMax, inputLookupTimeoutMs } from '../../base/limits.ts'
import type { AllowedAddresses } from '../../base/public-address.ts'
import { withDeadline } from '../../base/wait.ts'

export interface CheckedRequest {
  readonly allowed: AllowedAddresses
  /** Nothing may come for so long. */
  readonly idleTimeoutMs: number
  /** Certificates (PEM) beside the system's. */
  readonly ca?: string | undefined
  readonly accept?: string
  readonly signal: AbortSignal
  /** Stands in for the system's in tests of what a lying name server does. */
  readonly lookup?: (host: string) => Promise<LookupAddress[]>
}

/**
 * Asks, and resolves with whatever is answered, redirects included, before its body is read.
 *
 * @throws NodeError FORBIDDEN for an address that is not public and not allowed, SOURCE_UNAVAILABLE; the signal's reason.
 */
export async function askChecked(url: URL, p: CheckedRequest): Promise<IncomingMessage> {
  const addresses = await addressesOf(url, p)
  p.signal.throwIfAborted()
  try {
    return await ask(url, addresses, p)
  } catch (cause) {
    p.signal.throwIfAborted()
    if (cause instanceof NodeError) throw cause
    throw unavailable(url, `${url.host} cannot be reached: ${wordsOf(cause)}`, cause)
  }
}

/** An address as it may be told: what stands in a query can be a key to the file. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`
}

export function unavailable(url: URL, message: string, cause?: unknown): NodeError {
  return new NodeError('SOURCE_UNAVAILABLE', message, { url: shownUrl(url) }, { cause })
}

async function addressesOf(url: URL, p: CheckedRequest): Promise<LookupAddress[]> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const found = await lookUp(url, host, p.lookup ?? ((name) => dns.lookup(name, { all: true })))
  const checked = found.map((each) => ({ ...each, refusal: p.allowed.refusal(each.address, host) }))
  const may = checked.filter(({ refusal }) => refusal === undefined)
  if (may.length > 0) return may.map(({ address, family }) => ({ address, family }))
  throw notPublic(url, host, checked[0])
}

/** Refuses an address that is written as a number and not public: no name has to be looked up for it. */
export function checkLiteral(url: URL, allowed: AllowedAddresses): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) === 0) return
  const refusal = allowed.refusal(host, host)
  if (refusal !== undefined) throw notPublic(url, host, { address: host, refusal })
}

function notPublic(
  url: URL,
  host: string,
  first: { readonly address: string; readonly refusal: string | undefined } | undefined,
): NodeError {
  const stands = first?.address === host ? '' : ` stands for ${first?.address}, which`
  const message = `${host}${stands} is not public (${first?.refusal}), so inputs are not fetched from there; if they are to be, allow it with the setting execution.inputs.allowedAddresses of this node`
  return new NodeError('FORBIDDEN', message, { url: shownUrl(url), address: first?.address })
}

async function lookUp(
  url: URL,
  host: string,
  lookup: (host: string) => Promise<LookupAddress[]>,
): Promise<LookupAddress[]> {
  const family = isIP(host)
  if (family !== 0) return [{ address: host, family }]
  try {
    const found = await withDeadline(lookup(host), inputLookupTimeoutMs, `Looking up ${host}`)
    if (found.length > 0) return found.slice(0, inputAddressesMax)
  } catch (cause) {
    throw unavailable(url, `The name ${host} was not found: ${messageOf(cause)}`, cause)
  }
  throw unavailable(url, `The name ${host} stands for no address`)
}

function ask(url: URL, addresses: LookupAddress[], p: CheckedRequest): Promise<IncomingMessage> {
  // Given to the socket instead of a name server; for a host that is an address itself it is not asked.
  const lookup: LookupFunction = (_, { all }, answer) => {
    const [first] = addresses
    if (all === true) answer(null, addresses)
    else answer(null, first?.address ?? '', first?.family)
  }
  const secure = url.protocol === 'https:'
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const asking = (secure ? overHttps : overHttp)(url, {
    // A connection of its own: one that lies ready may lead elsewhere.
    agent: false,
    lookup,
    signal: p.signal,
    timeout: p.idleTimeoutMs,
    ...(secure && p.ca !== undefined ? { ca: [...rootCertificates, p.ca] } : {}),
    headers: {
      accept: p.accept ?? '*/*',
      // As it lies there: a checksum is of the file, not of what a server makes of it on the way.
      'accept-encoding': 'identity',
      'user-agent': 'mao-node',
    },
  })
  const silent = () => {
    const words = `${url.host} sent nothing for ${p.idleTimeoutMs / 1_000} s`
    asking.destroy(unavailable(url, words))
  }
  asking.once('timeout', silent)
  asking.once('response', resolve)
  asking.once('error', reject)
  asking.end()
  return promise
}

/** The first of the errors where several addresses were tried. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return messageOf(error)
}
