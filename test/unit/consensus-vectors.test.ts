import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { verifyCertificate } from '../../src/consensus/certificate.ts'
import { openRecordsOf } from '../../src/consensus/open-record.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { closingOf, closingSchema, openingSchema, parseValue } from '../../src/consensus/records.ts'
import { type Duty, lineUp } from '../../src/consensus/rendezvous.ts'
import { resultCommit } from '../../src/consensus/result-commit.ts'
import { formatRoundId, parseRoundId, type RoundId } from '../../src/consensus/round-id.ts'
import { agrees, tallyIdentical } from '../../src/consensus/tally.ts'
import { encodeCommit, nestTrees, objectId } from '../../src/datasets/git/git-objects.ts'
import { encodeJson } from '../../src/registry/collection.ts'

const file = z.object({ path: z.string(), mode: z.enum(['100644', '100755', '120000']), oid: z.string() })
const paths = z.array(z.string())
const vectors = z
  .object({
    federation: z.string(),
    members: z.array(z.object({ name: z.string(), peer: z.string(), since: z.number() })),
    roundIds: z.object({ valid: paths.min(1), invalid: paths.min(1) }),
    quorums: z.record(z.string(), z.number()),
    lines: z.array(z.object({ round: z.string(), duty: z.string(), line: paths })).min(1),
    tallies: z
      .array(
        z.object({
          name: z.string(),
          ballots: z.record(z.string(), z.array(file)),
          parent: z.array(file),
          decided: z.boolean(),
          files: z.array(file),
          tree: z.string(),
          contested: paths,
          differences: z.record(z.string(), z.object({ missing: paths, extra: paths, different: paths })),
        }),
      )
      .min(1),
    result: z.object({
      round: z.string(),
      opening: z.string(),
      openingHash: z.string(),
      closing: z.string(),
      closingHash: z.string(),
      tree: z.string(),
      contested: z.number(),
      departures: z.record(z.string(), z.number()),
      object: z.string(),
      commit: z.string(),
    }),
    certificate: z.object({ dataset: z.string(), value: z.string(), signers: paths }),
    refused: z
      .array(
        z.object({ name: z.string(), clause: z.string(), dataset: z.string().optional(), value: z.string() }),
      )
      .min(1),
  })
  .parse(JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/voting.json'), 'utf8')))

/** What each clause says when it is broken. */
const COMPLAINTS: Record<string, RegExp> = {
  C1: /no certificate/,
  C2: /about dataset/,
  C3: /another opening/,
  C4: /Height or parent|before it was opened/,
  C5: /ballots are less than the opening asks for|ballot is from outside/,
  C6: /not in the electorate/,
  C7: /signature does not hold|something else/,
  C8: /another result|another view/,
  C9: /not those of more than two thirds of the members/,
}
const bytes = (text: string) => new TextEncoder().encode(text)

test('vectors: round ids, quorums and lines', () => {
  for (const id of vectors.roundIds.valid) assert.equal(formatRoundId(parseRoundId(id) as RoundId), id)
  for (const id of vectors.roundIds.invalid) assert.equal(parseRoundId(id), undefined, id)
  for (const [all, quorum] of Object.entries(vectors.quorums))
    assert.equal(quorumOf(Number(all)), quorum, all)
  for (const { round, duty, line } of vectors.lines) {
    assert.deepEqual(lineUp(round, duty as Duty, [...line].sort()), line)
  }
})

for (const vector of vectors.tallies) {
  test(`vector: ${vector.name}`, () => {
    const tally = tallyIdentical(new Map(Object.entries(vector.ballots)), vector.parent)
    const differences = Object.fromEntries([...tally.members].filter(([, found]) => !agrees(found)))
    const { decided, files, contested } = tally
    const found = { decided, files, tree: nestTrees(files).root, contested, differences }
    const { name: _, ballots: __, parent: ___, ...expected } = vector
    assert.deepEqual(found, expected)
  })
}

test('vector: the same opening, closing and result commit, byte for byte', () => {
  const { result } = vectors
  const opening = parseValue(openingSchema, bytes(result.opening))
  const closing = parseValue(closingSchema, bytes(result.closing))
  assert.ok(opening !== undefined && closing !== undefined)
  assert.equal(opening.hash, result.openingHash)
  assert.equal(closing.hash, result.closingHash)
  const ballots = new Map(Object.entries(closing.value.ballots).reverse())
  assert.equal(new TextDecoder().decode(encodeJson(closingOf(opening.hash, ballots))), result.closing)
  const counted = new Map(
    [...ballots].map(
      ([peer, { commit }]) => [peer, { commit, departures: result.departures[peer] ?? 0 }] as const,
    ),
  )
  const { tree, contested } = result
  const round = parseRoundId(result.round) as RoundId
  const object = encodeCommit(resultCommit({ round, opening: opening.value, counted, tree, contested }))
  assert.equal(new TextDecoder().decode(object), result.object)
  assert.equal(objectId('commit', object), result.commit)
})

test('vector: a certificate with real signatures', async () => {
  const { certificate, members, federation } = vectors
  const context = { dataset: certificate.dataset, members, open: openRecordsOf(federation) }
  const check = await verifyCertificate(bytes(certificate.value), context)
  assert.ok(check.ok, JSON.stringify(check))
  assert.deepEqual(check.verified.signers, certificate.signers)
  assert.equal(check.verified.certificate.commit, vectors.result.commit)
})

for (const { name, clause, dataset, value } of vectors.refused) {
  test(`vector: ${name} breaks ${clause}`, async () => {
    const { certificate, members, federation } = vectors
    const context = { dataset: dataset ?? certificate.dataset, members, open: openRecordsOf(federation) }
    const check = await verifyCertificate(bytes(value), context)
    assert.match(check.ok ? 'accepted' : check.reason, COMPLAINTS[clause] ?? /^$/)
  })
}
