/**
 * One link of a dataset's chain: a certificate taken apart and checked by all that it says itself, [C1] to [C8] of
 * protocols/voting.md. Whether its signers were enough of those who voted then, [C9], the chain says (chain.ts). What a
 * reader of another language needs to know of the form stands in protocols/verification.md §3.
 */
import { z } from 'zod'
import { electorateMax } from '../../base/limits.ts'
import { proofFileBytesMax } from '../../base/limits-proofs.ts'
import { base64Schema } from '../../base/schemas.ts'
import { decodeJson } from '../../registry/collection.ts'
import type { OpenRecord } from '../certificate.ts'
import { quorumOf } from '../quorum.ts'
import { parseValue, valueHash } from '../records.ts'
import { parseRoundId, type RoundId } from '../round-id.ts'

const oid = z.string().regex(/^[0-9a-f]{40}$/)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const peer = z.string().regex(/^[A-Za-z0-9]{1,100}$/)
const time = z.number().int().nonnegative()
const count = z.number().int().positive().max(electorateMax)
const height = z.number().int().positive()

const certificateForm = z.object({
  round: z.string(),
  commit: oid,
  parent: oid.nullable(),
  height,
  opening: z.string(),
  closing: z.string(),
  view: time,
  confirmations: z
    .record(peer, base64Schema)
    .refine((all) => Object.keys(all).length <= electorateMax, 'more signers than an electorate has'),
})

/** What verification needs of an opening; the rest of it is the voters' business, and they signed its hash. */
const openingForm = z.object({
  electorate: z
    .array(peer)
    .min(1)
    .max(electorateMax)
    .refine(
      (peers) => peers.every((one, at) => at === 0 || (peers[at - 1] as string) < one),
      'is not sorted',
    ),
  quorum: z.object({ ballots: count, votes: count, proven: z.array(peer).max(electorateMax).optional() }),
  parent: oid.nullable(),
  height,
  openedMs: time,
})

const closingForm = z.object({
  opening: sha256,
  ballots: z.record(peer, z.object({ commit: oid, tree: oid })),
})

const confirmationForm = z.object({ closing: sha256, commit: oid, view: time })

/** What a certificate says once [C1] to [C8] hold; short enough to be kept of every height. */
export interface Link {
  readonly round: RoundId
  readonly roundName: string
  readonly height: number
  readonly commit: string
  readonly parent: string | null
  readonly openedMs: number
  readonly electorate: readonly string[]
  /** Keys whose confirmation holds, sorted. */
  readonly signers: readonly string[]
  /** SHA-256 of the certificate's bytes, hex: of two for one commit the lower is kept. */
  readonly hash: string
}

/** Why something does not hold: the clause that it breaks, and a sentence. */
export interface Broken {
  readonly clause: string
  readonly reason: string
}

/** `/confirmations/<round>/<peer>` (voting.md §3). */
export function confirmationKey(round: string, signer: string): string {
  return `/confirmations/${round}/${signer}`
}

/**
 * Reads and checks one certificate of `dataset`.
 *
 * @param open opens sealed records of the federation.
 * @returns the link, or the first clause that is broken.
 */
export async function readLink(bytes: Uint8Array, dataset: string, open: OpenRecord): Promise<Link | Broken> {
  const read = formOf(bytes)
  if ('clause' in read) return read
  const { certificate, round, opening, closingHash } = read
  const says = broken(dataset, read)
  if (says !== undefined) return says
  const signers = Object.keys(certificate.confirmations).sort()
  for (const signer of signers) {
    // [C6] Strangers to the electorate have no place in a certificate.
    if (!opening.electorate.includes(signer)) return refusal('C6', `${signer} is not in the electorate`)
    const expected = {
      ...{ signer, key: confirmationKey(certificate.round, signer), closing: closingHash },
      ...{ commit: certificate.commit, view: certificate.view },
    }
    const sealed = Buffer.from(certificate.confirmations[signer] as string, 'base64')
    const wrong = await brokenConfirmation(sealed, expected, open)
    if (wrong !== undefined) return wrong
  }
  return {
    ...{ round, roundName: certificate.round, height: certificate.height, commit: certificate.commit },
    ...{ parent: certificate.parent, openedMs: opening.openedMs, electorate: opening.electorate, signers },
    hash: valueHash(bytes),
  }
}

type Form<T> = z.infer<T extends z.ZodType ? T : never>

interface Parsed {
  readonly certificate: Form<typeof certificateForm>
  readonly round: RoundId
  readonly opening: Form<typeof openingForm>
  readonly closing: Form<typeof closingForm>
  readonly openingHash: string
  readonly closingHash: string
}

/** [C1] The form of the certificate and of the two records in it. */
function formOf(bytes: Uint8Array): Parsed | Broken {
  if (bytes.length > proofFileBytesMax) return refusal('C1', 'it is larger than a record can be')
  const certificate = certificateForm.safeParse(decodeJson(bytes)).data
  if (certificate === undefined) return refusal('C1', 'it is no certificate')
  const round = parseRoundId(certificate.round)
  if (round === undefined) return refusal('C1', 'it names no round')
  const opening = parseValue(openingForm, new TextEncoder().encode(certificate.opening))
  if (opening === undefined) return refusal('C1', 'its opening cannot be read')
  const closing = parseValue(closingForm, new TextEncoder().encode(certificate.closing))
  if (closing === undefined) return refusal('C1', 'its closing cannot be read')
  return {
    ...{ certificate, round, opening: opening.value, closing: closing.value },
    ...{ openingHash: opening.hash, closingHash: closing.hash },
  }
}

/** [C2] to [C5]. */
function broken(
  dataset: string,
  { certificate, round, opening, closing, openingHash }: Parsed,
): Broken | undefined {
  const { electorate, quorum, parent, height } = opening
  if (round.dataset !== dataset) return refusal('C2', `it is about the dataset ${round.dataset}`)
  if (closing.opening !== openingHash) return refusal('C3', 'its closing belongs to another opening')
  if (certificate.parent !== parent || certificate.height !== height)
    return refusal('C4', 'its height or parent is not that of its opening')
  if (certificate.view < opening.openedMs) return refusal('C4', 'it was confirmed before it was opened')
  const counted = Object.keys(closing.ballots)
  const stranger = counted.find((one) => !electorate.includes(one))
  if (stranger !== undefined)
    return refusal('C5', `its closing counts a ballot of ${stranger}, who is not in the electorate`)
  if (quorum.votes !== quorumOf(electorate.length))
    return refusal('C5', `its quorum is not that of an electorate of ${electorate.length}`)
  const isProven = counted.length > 0 && counted.every((one) => quorum.proven?.includes(one))
  if (counted.length < quorum.ballots && !isProven)
    return refusal(
      'C5',
      `its closing counts ${counted.length} ballots, and its opening asks for ${quorum.ballots}`,
    )
  return undefined
}

interface Expected {
  readonly signer: string
  readonly key: string
  readonly closing: string
  readonly commit: string
  readonly view: number
}

/** [C7], [C8] */
async function brokenConfirmation(
  sealed: Uint8Array,
  { signer, key, closing, commit, view }: Expected,
  open: OpenRecord,
): Promise<Broken | undefined> {
  const record = await open(sealed).catch(() => undefined)
  if (record === undefined) return refusal('C7', `the signature of ${signer} does not hold`)
  if (record.author !== signer || record.key !== key)
    return refusal('C7', `the confirmation of ${signer} is for something else`)
  const said = confirmationForm.safeParse(decodeJson(record.value)).data
  if (said?.closing !== closing || said.commit !== commit || said.view !== view)
    return refusal('C8', `the confirmation of ${signer} names another result`)
  return undefined
}

export function refusal(clause: string, reason: string): Broken {
  return { clause, reason }
}
