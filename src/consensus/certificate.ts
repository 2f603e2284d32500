/**
 * Certificates (protocols/voting.md §7): the proof that more than two thirds of an electorate confirmed one result.
 * Whoever holds the members' keys, which the sealed confirmations carry, can check it without asking anybody.
 */
import { encodeJson } from '../registry/collection.ts'
import { isDecisive, type Past, quorumOf, type Voter } from './quorum.ts'
import {
  type Certificate,
  type Closing,
  certificateSchema,
  closingSchema,
  confirmationSchema,
  type Opening,
  openingSchema,
  parseValue,
  type Signed,
} from './records.ts'
import { isEnough } from './round.ts'
import {
  compareRounds,
  confirmationKey,
  formatRoundId,
  parseRoundId,
  type RoundId,
  truthPrefix,
} from './round-id.ts'

/** What opening a sealed record gives once its signature holds. */
export interface OpenedRecord {
  readonly author: string
  readonly key: string
  readonly value: Uint8Array
}

/** Opens a sealed record of this federation; throws when the signature, the form or the federation is wrong. */
export type OpenRecord = (envelope: Uint8Array) => Promise<OpenedRecord>

export interface VerifiedCertificate {
  readonly certificate: Certificate
  readonly round: RoundId
  readonly opening: Opening
  readonly closing: Closing
  /** Peer ids of those whose confirmation holds, sorted. */
  readonly signers: readonly string[]
}

export type CertificateCheck = { ok: true; verified: VerifiedCertificate } | { ok: false; reason: string }

export interface CertificateParts {
  readonly round: RoundId
  readonly opening: Signed<Opening>
  readonly closing: Signed<Closing>
  readonly commit: string
  readonly view: number
  /** Sealed, by member. */
  readonly confirmations: ReadonlyMap<string, Uint8Array>
}

/** The value of `/truth/<dataset>`. Members are sorted, so that the same confirmations give the same bytes. */
export function assembleCertificate({
  round,
  opening,
  closing,
  commit,
  view,
  confirmations,
}: CertificateParts): Uint8Array {
  const sorted = [...confirmations].sort(([a], [b]) => (a < b ? -1 : 1))
  const certificate: Certificate = {
    round: formatRoundId(round),
    commit,
    parent: opening.value.parent,
    height: opening.value.height,
    opening: new TextDecoder().decode(opening.bytes),
    closing: new TextDecoder().decode(closing.bytes),
    view,
    confirmations: Object.fromEntries(
      sorted.map(([peer, sealed]) => [peer, Buffer.from(sealed).toString('base64')]),
    ),
  }
  return encodeJson(certificate)
}

/**
 * Checks the certificate of `dataset` clause by clause. `members` are those known now, `past` what is known of others: whoever opened the round, the
 * confirmations must be more than two thirds of all who were members then, so nobody can be left out of an electorate.
 */
export async function verifyCertificate(
  value: Uint8Array,
  context: { dataset: string; members: readonly Voter[]; open: OpenRecord; past?: Past },
): Promise<CertificateCheck> {
  const read = readCertificate(value)
  if (typeof read === 'string') return refuse(read)
  const { certificate, round, opening, closing } = read
  // [C2] A certificate is about the dataset under whose key it stands.
  if (round.dataset !== context.dataset) return refuse(`The certificate is about dataset ${round.dataset}`)
  const chain = brokenLink(read)
  if (chain !== undefined) return refuse(chain)
  const signers: string[] = []
  for (const [peer, sealed] of Object.entries(certificate.confirmations)) {
    // [C6] Words of strangers to the electorate have no place in a certificate.
    if (!opening.value.electorate.includes(peer)) return refuse(`${peer} is not in the electorate`)
    const problem = await brokenConfirmation(peer, sealed, read, context.open)
    if (problem !== undefined) return refuse(`The confirmation of ${peer}: ${problem}`)
    signers.push(peer)
  }
  // [C9] More than two thirds of the electorate and of all who were members at the opening.
  if (!isDecisive(signers, opening.value, context.members, context.past)) {
    return refuse(`${signers.length} confirmations are not those of more than two thirds of the members`)
  }
  const verified = { certificate, round, opening: opening.value, closing: closing.value, signers }
  return { ok: true, verified }
}

/** Where a certificate stands among those of its dataset: the greatest one is the truth. */
export interface Rank {
  readonly openedMs: number
  readonly height: number
  readonly round: RoundId
  readonly commit: string
}

export interface CertifiedRank extends Rank {
  /** In which it was confirmed; of one result there may be several certificates, and the order does not look at it. */
  readonly view: number
}

/**
 * The order of certificates: the one whose round was opened later wins; then height, round and commit id decide. Those
 * few who were the federation when it was small can forge a certificate of that time; it stays behind all that was
 * decided since. Zero only for one result of one opening time.
 */
export function compareRanks(a: Rank, b: Rank): number {
  if (a.openedMs !== b.openedMs) return a.openedMs - b.openedMs
  if (a.height !== b.height) return a.height - b.height
  const rounds = compareRounds(a.round, b.round)
  if (rounds !== 0) return rounds
  return a.commit < b.commit ? -1 : a.commit > b.commit ? 1 : 0
}

/** The rank that a value of `/truth/…` claims; undefined when it is no certificate. Checks no signature. */
export function rankOf(value: Uint8Array): CertifiedRank | undefined {
  const read = readCertificate(value)
  return typeof read === 'string' ? undefined : rankOfRead(read)
}

export function rankOfRead({ certificate, round, opening }: ReadCertificate): CertifiedRank {
  const { height, commit, view } = certificate
  return { openedMs: opening.value.openedMs, height, round, commit, view }
}

/** The order of two values of one `/truth/…` key; what is no certificate comes before everything. */
export function compareTruths(a: Uint8Array, b: Uint8Array): number {
  const [left, right] = [rankOf(a), rankOf(b)]
  if (left === undefined || right === undefined)
    return Number(left !== undefined) - Number(right !== undefined)
  return compareRanks(left, right)
}

export interface JudgedTruth {
  readonly federationId: string
  /** The value that the new one would replace. */
  readonly current: Uint8Array | undefined
  readonly open: OpenRecord
  readonly past?: Past
}

/**
 * The registry's rule for `/truth/<dataset>`: only a certificate that holds, and none that ranks below the present one.
 * `members` is asked at each call, since a certificate may arrive before the admission of its signers.
 *
 * @returns a validator that answers with the reason of a refusal, or undefined. Refused records are to be ignored, not
 * rejected: the one who sends them may know members that we have not heard of.
 */
export function refuseTruth(
  members: (dataset: string) => readonly Voter[],
): (key: string, value: Uint8Array, context: JudgedTruth) => Promise<string | undefined> {
  return async (key, value, { current, open, past }) => {
    const dataset = key.slice(truthPrefix.length)
    const check = await verifyCertificate(value, {
      dataset,
      members: members(dataset),
      open,
      ...(past && { past }),
    })
    if (!check.ok) return check.reason
    // [C10] The truth never goes back.
    if (current === undefined || compareTruths(value, current) >= 0) return undefined
    return `A later truth, of height ${rankOf(current)?.height}, stands already`
  }
}

/** A certificate taken apart; nothing of it is checked but its form. */
export interface ReadCertificate {
  readonly certificate: Certificate
  readonly round: RoundId
  readonly opening: Signed<Opening>
  readonly closing: Signed<Closing>
}

/** [C1] The form of the certificate and of the two records in it; a sentence when something cannot be read. */
export function readCertificate(value: Uint8Array): ReadCertificate | string {
  const certificate = parseValue(certificateSchema, value)?.value
  if (certificate === undefined) return 'It is no certificate'
  const round = parseRoundId(certificate.round)
  if (round === undefined) return 'It names no round'
  const opening = parseValue(openingSchema, new TextEncoder().encode(certificate.opening))
  if (opening === undefined) return 'Its opening cannot be read'
  const closing = parseValue(closingSchema, new TextEncoder().encode(certificate.closing))
  if (closing === undefined) return 'Its closing cannot be read'
  return { certificate, round, opening, closing }
}

/** [C3–C5] What the certificate says about opening and closing is what they say. */
function brokenLink({ certificate, opening, closing }: ReadCertificate): string | undefined {
  const { electorate, parent, height, quorum } = opening.value
  // [C3]
  if (closing.value.opening !== opening.hash) return 'The closing belongs to another opening'
  // [C4]
  if (certificate.parent !== parent || certificate.height !== height) {
    return 'Height or parent are not those of the opening'
  }
  if (certificate.view < opening.value.openedMs) return 'It was confirmed before it was opened'
  // [C5]
  const counted = Object.keys(closing.value.ballots)
  if (!counted.every((peer) => electorate.includes(peer))) return 'A ballot is from outside the electorate'
  if (quorum.votes !== quorumOf(electorate.length)) return `Its quorum is not that of ${electorate.length}`
  if (!isEnough(counted, quorum)) return `${counted.length} ballots are less than the opening asks for`
  return undefined
}

async function brokenConfirmation(
  peer: string,
  sealed: string,
  { certificate, closing }: ReadCertificate,
  open: OpenRecord,
): Promise<string | undefined> {
  let record: OpenedRecord
  try {
    record = await open(Buffer.from(sealed, 'base64'))
  } catch {
    // [C7] Why it does not open is of no use to whoever reads this: it does not count.
    return 'its signature does not hold'
  }
  // [C7] Signed by that member, for this round.
  if (record.author !== peer || record.key !== confirmationKey(certificate.round, peer))
    return 'it is for something else'
  const said = parseValue(confirmationSchema, record.value)?.value
  // [C8] For this closing and this result, in this view.
  if (said?.closing !== closing.hash || said.commit !== certificate.commit) return 'it names another result'
  return said.view === certificate.view ? undefined : 'it is of another view'
}

function refuse(reason: string): CertificateCheck {
  return { ok: false, reason }
}
