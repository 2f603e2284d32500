/**
 * What a listing of a federation proves of it (protocols/marketplace.md §3, M7): the id of a federation is the hash of
 * its genesis, which its founder has sealed and which names it. Only these three things are looked at, so that what a
 * later version writes into a genesis does not make its listings false.
 */
import { createHash } from 'node:crypto'
import { decode } from '@ipld/dag-cbor'
import { base32 } from 'multiformats/bases/base32'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { open } from '../identity/envelope.ts'
import type { Listing } from './listing.ts'

const proofSchema = z.object({ federation: z.string(), genesis: z.string() })
const namedSchema = z.looseObject({ name: z.string() })

/**
 * Peer id of who founded the federation that is listed; undefined for a listing that carries no genesis, and so proves
 * nothing.
 *
 * @throws NodeError SIGNATURE_INVALID when the genesis is another federation's, has another name, or is none.
 */
export async function provenFounder(
  listing: Pick<Listing, 'kind' | 'name' | 'body'>,
): Promise<string | undefined> {
  const { kind, name, body } = listing
  if (kind !== 'federation' || body?.genesis === undefined) return undefined
  const claim = proofSchema.safeParse(body)
  if (!claim.success) throw untrue('it carries a genesis and does not say whose')
  const { author, payload } = await open('genesis', new Uint8Array(Buffer.from(claim.data.genesis, 'base64')))
  const federation = `mao${base32.encode(createHash('sha256').update(payload).digest())}`
  if (federation !== claim.data.federation) throw untrue(`its genesis is that of ${federation}`)
  const named = namedSchema.safeParse(decode(payload))
  if (named.data?.name !== name) throw untrue(`its genesis does not name it ${name}`)
  return author
}

function untrue(why: string): NodeError {
  return new NodeError('SIGNATURE_INVALID', `The listing is not of the federation that it names: ${why}`)
}
