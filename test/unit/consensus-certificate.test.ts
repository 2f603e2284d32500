import assert from 'node:assert/strict'
import { test } from 'node:test'
import { electorateMax, recordBytesMax } from '../../src/base/limits.ts'
import {
  assembleCertificate,
  type CertificateParts,
  compareTruths,
  rankOf,
  refuseTruth,
  verifyCertificate,
} from '../../src/consensus/certificate.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { type Certificate, closingOf, closingSchema, type Opening } from '../../src/consensus/records.ts'
import { confirmationKey, formatRoundId } from '../../src/consensus/round-id.ts'
import { open, seal } from '../../src/identity/envelope.ts'
import { generateIdentity, type Identity } from '../../src/identity/node-key.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import { decodeRecord, encodeRecord } from '../../src/registry/record.ts'
import { names, openingBy, openSealed, SLOT, sealAs, signed } from '../support/voting.ts'

const peers = names(4)
const [alice, bob, carol, dave] = peers as [string, string, string, string]
const members = peers.map((peer) => ({ peer, since: 0 }))
const result = 'c'.repeat(40)

interface Story {
  slot?: number
  opening?: Partial<Opening>
  electorate?: readonly string[]
  counted?: readonly string[]
  signers?: readonly string[]
  commit?: string
}

function partsOf({
  slot = SLOT,
  opening: changes,
  electorate = peers,
  counted,
  signers,
  commit = result,
}: Story = {}) {
  const round = { dataset: 'data', step: 'collect', slot }
  const opening = openingBy(electorate, changes)
  const ballots = (counted ?? electorate).map(
    (peer) => [peer, { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }] as const,
  )
  const closing = signed(closingSchema, closingOf(opening.hash, new Map(ballots)))
  const value = encodeJson({ closing: closing.hash, commit, view: opening.value.openedMs })
  const voters = signers ?? electorate.slice(0, quorumOf(electorate.length))
  const confirmations = new Map(
    voters.map((peer) => [peer, sealAs(peer, confirmationKey(formatRoundId(round), peer), value)]),
  )
  return {
    round,
    opening,
    closing,
    commit,
    view: opening.value.openedMs,
    confirmations,
  } satisfies CertificateParts
}

async function reasonOf(value: Uint8Array, voters = members, dataset = 'data'): Promise<string | undefined> {
  const check = await verifyCertificate(value, { dataset, members: voters, open: openSealed })
  return check.ok ? undefined : check.reason
}

function altered(value: Uint8Array, change: (certificate: Certificate) => Partial<Certificate>): Uint8Array {
  const certificate = decodeJson(value) as Certificate
  return encodeJson({ ...certificate, ...change(certificate) })
}

test('confirmations of more than two thirds make a certificate that anyone can check', async () => {
  const value = assembleCertificate(partsOf())
  const check = await verifyCertificate(value, { dataset: 'data', members, open: openSealed })
  assert.ok(check.ok)
  assert.deepEqual(check.verified.signers, [alice, bob, carol])
  assert.equal(check.verified.certificate.height, 1)
  assert.deepEqual(
    assembleCertificate(partsOf({ signers: [carol, alice, bob] })),
    value,
    'order does not matter',
  )
})

test('each clause refuses the certificate that breaks it', async () => {
  const value = assembleCertificate(partsOf())
  const other = assembleCertificate(partsOf({ opening: { votesUntilMs: SLOT + 200_000 } }))
  const cases: [string, Uint8Array, RegExp][] = [
    ['C1: no certificate', encodeJson({ truth: 'me' }), /no certificate/],
    ['C1: unreadable opening', altered(value, () => ({ opening: '{}' })), /opening cannot be read/],
    ['C1: unreadable closing', altered(value, () => ({ closing: '{}' })), /closing cannot be read/],
    [
      'C3: another opening',
      altered(value, () => ({ opening: (decodeJson(other) as Certificate).opening })),
      /another opening/,
    ],
    ['C4: height not signed', altered(value, () => ({ height: 7 })), /Height or parent/],
    ['C4: parent not signed', altered(value, () => ({ parent: 'd'.repeat(40) })), /Height or parent/],
    ['C5: too few ballots', assembleCertificate(partsOf({ counted: [alice, bob] })), /2 ballots/],
    [
      'C5: a foreign ballot',
      assembleCertificate(partsOf({ counted: [...peers, 'zz'] })),
      /outside the electorate/,
    ],
    [
      'C6: a foreign confirmation',
      assembleCertificate(partsOf({ signers: [alice, bob, 'zz'] })),
      /not in the electorate/,
    ],
    [
      'C7: confirmations of another round',
      altered(value, () => ({ round: 'data/collect/5' })),
      /something else/,
    ],
    ['C8: of another result', altered(value, () => ({ commit: 'd'.repeat(40) })), /another result/],
    ['C4: before it was opened', altered(value, () => ({ view: SLOT - 1 })), /before it was opened/],
    ['C8: of another view', altered(value, () => ({ view: SLOT + 1 })), /of another view/],
    ['C9: too few', assembleCertificate(partsOf({ signers: [alice, bob] })), /more than two thirds/],
  ]
  for (const [clause, broken, expected] of cases)
    assert.match((await reasonOf(broken)) ?? 'accepted', expected, clause)
  assert.match((await reasonOf(value, members, 'other')) ?? '', /dataset data/, 'C2: another dataset')
})

test('a confirmation in the name of another, or shown twice, does not help', async () => {
  const parts = partsOf({ signers: [alice, bob] })
  const key = confirmationKey(formatRoundId(parts.round), carol)
  const value = encodeJson({ closing: parts.closing.hash, commit: result, view: parts.view })
  const forged = new Map([...parts.confirmations, [carol, sealAs(carol, key, value, 'the secret of bob')]])
  assert.match(
    (await reasonOf(assembleCertificate({ ...parts, confirmations: forged }))) ?? '',
    /signature does not hold/,
  )
  const twice = new Map([...parts.confirmations, [carol, parts.confirmations.get(alice) as Uint8Array]])
  assert.match(
    (await reasonOf(assembleCertificate({ ...parts, confirmations: twice }))) ?? '',
    /something else/,
  )
})

test('members that leave others out of the electorate do not prove anything', async () => {
  const clique = assembleCertificate(partsOf({ electorate: [alice], signers: [alice] }))
  assert.match((await reasonOf(clique)) ?? '', /more than two thirds/)
  const strangers = names(20).slice(4)
  const crowd = [alice, ...strangers]
  const bought = assembleCertificate(partsOf({ electorate: crowd, signers: crowd }))
  assert.match((await reasonOf(bought)) ?? '', /more than two thirds/)
  const joinedLater = members.map((member) =>
    member.peer === alice ? member : { ...member, since: SLOT + 1 },
  )
  assert.equal(await reasonOf(clique, joinedLater), undefined, 'alice was alone at the slot')
})

test('the truth goes forward only: to what was opened later, then by height, then to the later round', async () => {
  const refuse = refuseTruth(() => members)
  const judge = (value: Uint8Array, current: Uint8Array | undefined) =>
    refuse('/truth/data', value, { federationId: 'f', current, open: openSealed })
  const first = assembleCertificate(partsOf())
  const rival = assembleCertificate(partsOf({ slot: SLOT + 1 }))
  const second = assembleCertificate(partsOf({ opening: { height: 2, parent: result } }))
  assert.equal(await judge(first, undefined), undefined)
  assert.equal(await judge(second, first), undefined)
  assert.match((await judge(first, second)) ?? '', /height 2, stands already/)
  assert.match((await judge(first, rival)) ?? '', /stands already/)
  assert.equal(await judge(rival, first), undefined, 'every node prefers the same of two')
  const ofOldTimes = assembleCertificate(partsOf({ opening: { height: 1_000, openedMs: SLOT - 1 } }))
  assert.match((await judge(ofOldTimes, first)) ?? '', /stands already/, 'the past is not written anew')
  assert.equal(await judge(first, ofOldTimes), undefined)
  const otherSigners = assembleCertificate(partsOf({ signers: [bob, carol, dave] }))
  assert.equal(await judge(otherSigners, first), undefined, 'another proof of the same truth moves nothing')
  assert.equal(compareTruths(otherSigners, first), 0)
  assert.ok(compareTruths(encodeJson('junk'), first) < 0)
  assert.equal(rankOf(second)?.height, 2)
})

test('real envelopes prove a certificate, and the largest electorate fits one record', async () => {
  const federation = 'f'.repeat(60)
  const identities = await Promise.all(names(electorateMax).map(() => generateIdentity()))
  const electorate = identities.map(({ peerId }) => peerId).sort()
  const long = 'n'.repeat(63)
  const round = { dataset: long, step: long, slot: SLOT }
  const opening = openingBy(electorate)
  const ballots = electorate.map((peer) => [peer, { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }] as const)
  const closing = signed(closingSchema, closingOf(opening.hash, new Map(ballots)))
  const sealWord = async (identity: Identity): Promise<[string, Uint8Array]> => {
    const author = identity.peerId
    const value = encodeJson({ closing: closing.hash, commit: result, view: SLOT })
    const key = confirmationKey(formatRoundId(round), author)
    const record = { federation, key, value, version: 1, time: SLOT, since: SLOT, author }
    return [author, await seal('record', encodeRecord(record), identity)]
  }
  const confirmations = new Map(await Promise.all(identities.slice(0, quorumOf(electorateMax)).map(sealWord)))
  const value = assembleCertificate({ round, opening, closing, commit: result, view: SLOT, confirmations })
  assert.ok(value.length < recordBytesMax - 1_024, `${value.length} bytes leave no room for the envelope`)
  const check = await verifyCertificate(value, {
    dataset: long,
    members: electorate.map((peer) => ({ peer, since: 0 })),
    open: async (envelope) => decodeRecord((await open('record', envelope)).payload) as never,
  })
  assert.equal(check.ok, true)
})
