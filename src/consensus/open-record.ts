import { NodeError } from '../base/errors.ts'
import { open } from '../identity/envelope.ts'
import { decodeRecord, hashOf } from '../registry/record.ts'
import type { OpenRecord } from './certificate.ts'

/** Opens sealed records of one federation: signature, form, author and federation are checked. */
export function openRecordsOf(federation: string): OpenRecord {
  return async (envelope) => {
    const { author, payload } = await open('record', envelope)
    const record = decodeRecord(payload)
    if (record.author !== author || record.federation !== federation || record.value === null) {
      throw new NodeError(
        'SIGNATURE_INVALID',
        'The envelope holds no record of its signer in this federation',
      )
    }
    return { author, key: record.key, value: record.value }
  }
}

/** The hash by which a sealed record is known, of what this node has taken in already: its signature was checked then. */
export async function hashOfSealed(envelope: Uint8Array): Promise<string> {
  return hashOf((await open('record', envelope)).payload)
}
