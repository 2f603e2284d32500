/**
 * Makes protocols/vectors/voting.json anew: `node test/support/voting-vectors.ts`. What people wrote (round ids, the
 * ballots of the tallies) is taken from the file as it is; keys come from the seeds named in it, and all else follows.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { z } from 'zod'
import { assembleCertificate } from '../../src/consensus/certificate.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import {
  type Closing,
  closingOf,
  closingSchema,
  type Opening,
  openingSchema,
  type Signed,
} from '../../src/consensus/records.ts'
import { type Duty, lineUp } from '../../src/consensus/rendezvous.ts'
import { resultCommit } from '../../src/consensus/result-commit.ts'
import { confirmationKey, formatRoundId, type RoundId, voteKey } from '../../src/consensus/round-id.ts'
import { agrees, tallyIdentical } from '../../src/consensus/tally.ts'
import { encodeCommit, nestTrees, objectId } from '../../src/datasets/git/git-objects.ts'
import { seal } from '../../src/identity/envelope.ts'
import { type Identity, identityOf } from '../../src/identity/node-key.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { encodeRecord } from '../../src/registry/record.ts'
import { blobId, filesOf, signed, treeId } from './voting.ts'

const FILE = join(import.meta.dirname, '../../protocols/vectors/voting.json')
const FEDERATION = 'maovectors'
const SINCE_MS = 1_780_000_000_000
const ROUND: RoundId = { dataset: 'observations', step: 'collect', slot: 1_790_000_000_123 }
const OPENED_MS = ROUND.slot + 5_000
const SIGNED_MS = OPENED_MS + 61_000
const PARENT = 'e0390cbe86a51c607aece741da9ee1f22b2bf008'
/** What each of them found; the last one found something else. */
const FOUND = { amy: '42', ben: '42', cat: '42', dan: '43' } as const
type Name = keyof typeof FOUND
const NAMES = Object.keys(FOUND) as Name[]

const file = z.object({ path: z.string(), mode: z.enum(['100644', '100755', '120000']), oid: z.string() })
const written = z.object({
  roundIds: z.object({ valid: z.array(z.string()), invalid: z.array(z.string()) }),
  quorums: z.record(z.string(), z.number()),
  tallies: z.array(
    z.object({ name: z.string(), ballots: z.record(z.string(), z.array(file)), parent: z.array(file) }),
  ),
})

interface People {
  readonly identities: Readonly<Record<Name, Identity>>
  readonly peers: Readonly<Record<Name, string>>
}

async function people(): Promise<People> {
  const entries = await Promise.all(
    NAMES.map(async (name, i) => {
      const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(i + 1))
      return [name, identityOf(key)] as const
    }),
  )
  const identities = Object.fromEntries(entries) as Record<Name, Identity>
  const peers = Object.fromEntries(entries.map(([name, { peerId }]) => [name, String(peerId)])) as Record<
    Name,
    string
  >
  return { identities, peers }
}

/** The vectors, from what people wrote in them. */
export async function votingVectors(source: unknown): Promise<object> {
  const { roundIds, quorums, tallies } = written.parse(source)
  const known = await people()
  const members = NAMES.map((name) => ({ name, peer: known.peers[name], since: SINCE_MS }))
  const round = formatRoundId(ROUND)
  const duties: Duty[] = ['opening', 'closing', 'certificate']
  const decided = decide(known)
  return {
    federation: FEDERATION,
    keys: Object.fromEntries(NAMES.map((name, i) => [name, `32 bytes of 0${i + 1}`])),
    members,
    roundIds,
    quorums: Object.fromEntries(Object.keys(quorums).map((all) => [all, quorumOf(Number(all))])),
    lines: duties.map((duty) => ({ round, duty, line: lineUp(round, duty, Object.values(known.peers)) })),
    tallies: tallies.map(({ name, ballots, parent }) => {
      const { decided, files, contested, members } = tallyIdentical(new Map(Object.entries(ballots)), parent)
      const differences = Object.fromEntries([...members].filter(([, found]) => !agrees(found)))
      return { name, ballots, parent, decided, files, tree: nestTrees(files).root, contested, differences }
    }),
    result: {
      round,
      opening: text(decided.opening.bytes),
      openingHash: decided.opening.hash,
      closing: text(decided.closing.bytes),
      closingHash: decided.closing.hash,
      tree: decided.tree,
      contested: 0,
      departures: { [known.peers.dan]: 1 },
      object: text(decided.object),
      commit: decided.commit,
    },
    ...certificates(known, decided),
  }
}

interface Decided {
  readonly opening: Signed<Opening>
  readonly closing: Signed<Closing>
  readonly tree: string
  readonly object: Uint8Array
  readonly commit: string
}

function openingFor(electorate: readonly string[], openedBy: string): Opening {
  const quorum = quorumOf(electorate.length)
  return {
    electorate: [...electorate].sort(),
    method: { name: 'identical' },
    trigger: 'schedule',
    quorum: { ballots: quorum, votes: quorum },
    parent: PARENT,
    height: 1,
    openedMs: OPENED_MS,
    cutoffMs: OPENED_MS + 60_000,
    votesUntilMs: OPENED_MS + 120_000,
    openedBy,
  }
}

/** Each member's head: a commit with its name, so that no two are one. */
function ballotOf(name: Name): { commit: string; tree: string } {
  const tree = treeId(filesOf({ 'result.csv': FOUND[name] }))
  return { commit: blobId(`head of ${name}`), tree }
}

function closingBy(opening: Signed<Opening>, peers: People['peers'], counted: readonly Name[]) {
  const ballots = new Map(counted.map((name) => [peers[name], ballotOf(name)]))
  return signed(closingSchema, closingOf(opening.hash, ballots))
}

function decide({ peers }: People): Decided {
  const opening = signed(openingSchema, openingFor(Object.values(peers), peers.amy))
  const closing = closingBy(opening, peers, NAMES)
  const { tree } = ballotOf('amy')
  const counted = new Map(
    NAMES.map((name) => {
      const { commit } = ballotOf(name)
      return [peers[name], { commit, departures: name === 'dan' ? 1 : 0 }] as const
    }),
  )
  const object = encodeCommit(
    resultCommit({ round: ROUND, opening: opening.value, counted, tree, contested: 0 }),
  )
  return { opening, closing, tree, object, commit: objectId('commit', object) }
}

/** A certificate that holds, and one for each clause that is broken. */
function certificates({ identities, peers }: People, { opening, closing, commit }: Decided) {
  const round = formatRoundId(ROUND)
  const sign = (by: Name, value: object, changes: { key?: string; federation?: string; as?: Name } = {}) => {
    const author = peers[by]
    const record = {
      federation: changes.federation ?? FEDERATION,
      key: changes.key ?? confirmationKey(round, author),
      value: encodeJson(value),
      version: 1,
      time: SIGNED_MS,
      since: SIGNED_MS,
      author,
    }
    return [peers[changes.as ?? by], seal('record', encodeRecord(record), identities[by])] as const
  }
  const certify = (
    signed: readonly (readonly [string, Uint8Array])[],
    rest: { opening?: Signed<Opening>; closing?: Signed<Closing> } = {},
  ) => {
    const parts = { round: ROUND, opening, closing, commit, view: OPENED_MS, ...rest }
    return assembleCertificate({ ...parts, confirmations: new Map(signed) })
  }
  const said = { closing: closing.hash, commit, view: OPENED_MS }
  const [amy, ben, cat] = [sign('amy', said), sign('ben', said), sign('cat', said)]
  const good = certify([amy, ben, cat])
  const with_ = (changes: object) => JSON.stringify({ ...JSON.parse(text(good)), ...changes })
  const third = (sealed: readonly [string, Uint8Array]) => text(certify([amy, ben, sealed]))

  const late = text(encodeJson({ ...opening.value, votesUntilMs: opening.value.votesUntilMs + 1 }))
  const two = closingBy(opening, peers, ['amy', 'ben'])
  const withStranger = closingOf(
    opening.hash,
    new Map([...NAMES.map((name) => [peers[name], ballotOf(name)] as const), ['stranger', ballotOf('amy')]]),
  )
  const three = (['amy', 'ben', 'cat'] as const).map((name) => peers[name])
  const withoutDan = signed(openingSchema, openingFor(three, peers.amy))
  const closedWithoutDan = closingBy(withoutDan, peers, ['amy', 'ben', 'cat'])
  const alone = signed(openingSchema, openingFor([peers.amy], peers.amy))
  const closedAlone = closingBy(alone, peers, ['amy'])
  const all = (names: readonly Name[], hash: string) =>
    names.map((name) => sign(name, { ...said, closing: hash }))
  const elsewhere = confirmationKey(formatRoundId({ ...ROUND, slot: ROUND.slot - 1 }), peers.cat)

  const refused: { name: string; clause: string; dataset?: string; value: string }[] = [
    { name: 'no certificate', clause: 'C1', value: '{"commit":"mine"}' },
    { name: 'about another dataset', clause: 'C2', dataset: 'other', value: text(good) },
    { name: 'the opening was exchanged', clause: 'C3', value: with_({ opening: late }) },
    { name: 'the height was raised', clause: 'C4', value: with_({ height: 7 }) },
    { name: 'a view before the opening', clause: 'C4', value: with_({ view: OPENED_MS - 1 }) },
    { name: 'the parent was exchanged', clause: 'C4', value: with_({ parent: null }) },
    {
      name: 'ballots of two of four',
      clause: 'C5',
      value: text(certify(all(['amy', 'ben', 'cat'], two.hash), { closing: two })),
    },
    {
      name: 'a ballot from outside',
      clause: 'C5',
      value: with_({ closing: text(encodeJson(withStranger)) }),
    },
    {
      name: 'a confirmation from outside',
      clause: 'C6',
      value: text(
        certify(all(['amy', 'ben', 'dan'], closedWithoutDan.hash), {
          opening: withoutDan,
          closing: closedWithoutDan,
        }),
      ),
    },
    {
      name: 'a confirmation signed by another',
      clause: 'C7',
      value: third(sign('amy', said, { as: 'cat' })),
    },
    {
      name: 'a confirmation from another round',
      clause: 'C7',
      value: third(sign('cat', said, { key: elsewhere })),
    },
    {
      name: 'a confirmation from another federation',
      clause: 'C7',
      value: third(sign('cat', said, { federation: 'elsewhere' })),
    },
    {
      name: 'a confirmation of another result',
      clause: 'C8',
      value: third(sign('cat', { ...said, commit: PARENT })),
    },
    {
      name: 'a confirmation of no majority',
      clause: 'C8',
      value: third(sign('cat', { ...said, commit: null })),
    },
    {
      name: 'a confirmation of another view',
      clause: 'C8',
      value: third(sign('cat', { ...said, view: OPENED_MS + 1 })),
    },
    {
      name: 'a vote in place of a confirmation',
      clause: 'C7',
      value: third(sign('cat', said, { key: voteKey(round, peers.cat) })),
    },
    { name: 'confirmations of two of four', clause: 'C9', value: text(certify([amy, ben])) },
    {
      name: 'an electorate of one among four',
      clause: 'C9',
      value: text(
        certify(all(['amy'], closedAlone.hash), {
          opening: alone,
          closing: closedAlone,
        }),
      ),
    },
  ]
  const signers = [amy, ben, cat].map(([peer]) => peer).sort()
  return { certificate: { dataset: ROUND.dataset, value: text(good), signers }, refused }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

if (process.argv[1] === import.meta.filename) {
  const vectors = await votingVectors(JSON.parse(await readFile(FILE, 'utf8')))
  await writeFile(FILE, `${JSON.stringify(vectors, null, 2)}\n`)
}
