/**
 * Whether whoever answers at an address of this machine is the node of a data directory. A node that was killed leaves
 * its address behind, and any user of the machine may listen there by now: the owner's token goes only to who shows that
 * it knows it already.
 */
import { readFile } from 'node:fs/promises'
import { healthSchema } from '../api/health-view.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { nodeProofTimeoutMs } from '../base/limits.ts'
import { isSameText, newChallenge, nodeProof } from '../identity/access-token.ts'
import { patientFetch } from './patient-fetch.ts'

export interface Proving {
  readonly url: string
  /** The owner's token, which is not sent. */
  readonly token: string
  readonly caFile?: string | undefined
  readonly wayOut: string
  readonly signal?: AbortSignal | undefined
}

/** @throws NodeError NODE_UNREACHABLE when nobody answers, or somebody else does. */
export async function proveNode({ url, token, caFile, wayOut, signal }: Proving): Promise<void> {
  const challenge = newChallenge()
  const asked = new URL(`${url}/healthz`)
  asked.searchParams.set('challenge', challenge)
  const deadline = AbortSignal.timeout(nodeProofTimeoutMs)
  const told = await ask(asked, signal === undefined ? deadline : AbortSignal.any([signal, deadline]), caFile)
    .then((response) => response.json())
    .catch((cause: unknown) => {
      if (cause instanceof NodeError) throw cause
      signal?.throwIfAborted()
      const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
      const message = `No node answers at ${url} (${messageOf(inner)}); ${wayOut}`
      throw new NodeError('NODE_UNREACHABLE', message, { url }, { cause })
    })
  const { proof = '' } = healthSchema.safeParse(told).data ?? {}
  if (isSameText(proof, nodeProof(token, challenge, asked.host))) return
  const message = `Whoever answers at ${url} does not prove to be the node of this data directory, and is not sent its token. If a node of an older version runs there, restart it; else ${wayOut}`
  throw new NodeError('NODE_UNREACHABLE', message, { url })
}

async function ask(url: URL, signal: AbortSignal, caFile: string | undefined): Promise<Response> {
  const headers = { accept: 'application/json' }
  if (url.protocol !== 'https:' || caFile === undefined || caFile === '') {
    return fetch(url, { headers, signal, redirect: 'error' })
  }
  const ca = await readFile(caFile, 'utf8').catch((cause: unknown) => {
    const message = `The certificates in ${caFile} cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_INPUT', message, { caFile }, { cause })
  })
  return patientFetch(url, { method: 'GET', headers, signal, ca })
}
