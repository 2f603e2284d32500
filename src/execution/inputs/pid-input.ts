/**
 * Files by persistent identifier. Handles, and so DOIs, are resolved by the handle system's proxy over its REST API
 * (Handle.Net Technical Manual, 14; https://www.handle.net/proxy_servlet.html).
 */
import { json } from 'node:stream/consumers'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { handleAnswerBytesMax } from '../../base/limits.ts'
import { AllowedAddresses } from '../../base/public-address.ts'
import type { StepInput } from '../catalogue/step-input.ts'
import { askChecked, shownUrl, unavailable } from './checked-request.ts'
import { baseNameOf } from './input-names.ts'
import type { Obtained, Obtaining } from './obtained.ts'
import {
  identifierText,
  type PersistentIdentifier,
  parsePersistentIdentifier,
} from './persistent-identifier.ts'
import { fetchFile, requestOf, withinTime } from './url-input.ts'

type PidInput = Extract<StepInput, { pid: string }>

/** @throws NodeError NOT_FOUND for an identifier that nobody knows or that names no address; as `fetchFile`. */
export async function obtainIdentified(input: PidInput, p: Obtaining): Promise<Obtained> {
  const pid = parsePersistentIdentifier(input.pid)
  if (pid === undefined) {
    const message = `"${input.pid}" is no persistent identifier; one looks like doi:10.5281/zenodo.1234 or hdl:20.500.12345/6789`
    throw new NodeError('INVALID_INPUT', message)
  }
  const url = await resolveHandle(pid, p)
  p.say(`${identifierText(pid)} is at ${shownUrl(url)}`)
  const { at, sha256, bytes } = await fetchFile(url, p, { sha256: input.sha256, isIdentified: true })
  return {
    source: { kind: 'pid', source: identifierText(pid), resolved: shownUrl(at), sha256, bytes },
    ...{ base: baseNameOf(at), path: p.file, isOwn: true, release: () => undefined },
  }
}

/** The answer of the proxy: response codes are those of the handle protocol (RFC 3652, 2.2.1.3). */
const answerSchema = z.object({
  responseCode: z.int(),
  values: z
    .array(
      z.object({
        index: z.int(),
        type: z.string(),
        data: z.object({ format: z.string(), value: z.unknown() }),
      }),
    )
    .default([]),
  message: z.string().optional(),
})

const SUCCESS = 1
const FAILED_SERVER = 2
const UNKNOWN_HANDLE = 100
const NO_SUCH_VALUES = 200

/** Where an identifier leads; of several addresses the one with the lowest index. @throws NodeError NOT_FOUND, SOURCE_UNAVAILABLE */
export async function resolveHandle(
  pid: PersistentIdentifier,
  p: Pick<Obtaining, 'settings' | 'signal'>,
): Promise<URL> {
  const { handleProxy, allowedAddresses } = p.settings
  const id = pid.id.split('/').map(encodeURIComponent).join('/')
  const url = new URL(`${handleProxy.replace(/\/+$/, '')}/${id}?type=URL`)
  // Who set the proxy has said that it may be asked.
  const allowed = new AllowedAddresses([...allowedAddresses, url.hostname.replace(/^\[(.*)\]$/, '$1')])
  const request = { ...(await requestOf(p.settings)), allowed, accept: 'application/json' }
  const answer = await withinTime(url, p, async (signal) => {
    const response = await askChecked(url, { ...request, signal })
    try {
      return answerSchema.safeParse(await json(bounded(response)))
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof NodeError) throw cause
      throw unavailable(
        url,
        `${url.host} answers ${response.statusCode}, and not as a handle proxy does`,
        cause,
      )
    } finally {
      response.destroy()
    }
  })
  const text = identifierText(pid)
  if (!answer.success)
    throw unavailable(url, `${url.host} does not answer about ${text} as a handle proxy does`)
  const { responseCode, values, message = '' } = answer.data
  if (responseCode === UNKNOWN_HANDLE) {
    const words = `The handle system knows no ${text}; check the identifier, and change the step`
    throw new NodeError('NOT_FOUND', words, { pid: text })
  }
  if (responseCode === FAILED_SERVER) throw unavailable(url, `${text} was not resolved: ${message}`)
  if (responseCode !== SUCCESS && responseCode !== NO_SUCH_VALUES) {
    throw new NodeError(
      'NOT_FOUND',
      `${text} was not resolved: response code ${responseCode} ${message}`.trim(),
      {
        pid: text,
      },
    )
  }
  const addresses = values.filter(({ type, data }) => type === 'URL' && data.format === 'string')
  const [first] = addresses.toSorted((one, other) => one.index - other.index)
  const found = typeof first?.data.value === 'string' ? URL.parse(first.data.value) : null
  if (found !== null) return found
  throw new NodeError('NOT_FOUND', `${text} is there, but names no address`, { pid: text })
}

async function* bounded(response: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > handleAnswerBytesMax) {
      throw new NodeError('TOO_LARGE', 'The handle proxy answers with more than a handle can hold')
    }
    yield chunk
  }
}
