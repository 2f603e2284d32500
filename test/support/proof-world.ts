import { createHash } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { base32 } from 'multiformats/bases/base32'
import { certificatePath, GENESIS_PATH, recordPath } from '../../src/consensus/proofs/layout.ts'
import { confirmationKey } from '../../src/consensus/proofs/link.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { valueHash } from '../../src/consensus/records.ts'
import { RESULT_AUTHOR } from '../../src/consensus/result-commit.ts'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { encodeCommit, nestTrees, objectId } from '../../src/datasets/git/git-objects.ts'
import { successionOf } from '../../src/federation/successions.ts'
import { seal } from '../../src/identity/envelope.ts'
import { type Identity, identityOf } from '../../src/identity/node-key.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { encodeRecord, hashOf } from '../../src/registry/record.ts'

/** Times are minutes after the federation began, so that a story reads. */
const BEGAN_MS = 1_790_000_000_000
export const minute = (minutes: number): number => BEGAN_MS + minutes * 60_000

export interface Word {
  readonly at: number
  readonly by: string
  readonly about: string
  readonly role?: 'operator' | 'member' | 'observer'
  readonly removed?: true
  /** Minutes; without it `at`. */
  readonly since?: number
}

export interface Round {
  readonly at: number
  readonly electorate: readonly string[]
  readonly signers?: readonly string[]
  readonly counted?: readonly string[]
  /** Another than the truth before it, or its height. */
  readonly parent?: string | null
  readonly height?: number
  readonly round?: string
  readonly quorum?: Record<string, unknown>
  readonly opening?: Record<string, unknown>
  /** What confirmations say instead. */
  readonly said?: Record<string, unknown>
  /** Whose key signs for whom. */
  readonly forgedBy?: Readonly<Record<string, string>>
  readonly message?: (message: string) => string
  /** The certificate says something else in the end. */
  readonly certificate?: (certificate: Record<string, unknown>) => Record<string, unknown>
}

/** A federation with one dataset, in nothing but signed bytes: no node, no registry, no git. */
export class ProofWorld {
  readonly keys = new Map<string, Identity>()
  readonly files = new Map<string, Uint8Array>()
  /** Raw commits by id. */
  readonly commits = new Map<string, Uint8Array>()
  readonly initial: string | null
  federation = ''
  truth: string | undefined
  #last: { commit: string | null; height: number }

  /** @param initial whether the dataset was founded with something. */
  private constructor(initial: boolean) {
    this.initial = initial ? this.#commit(commitOf('begun\n', [], minute(1))) : null
    this.#last = { commit: this.initial, height: 0 }
    this.truth = this.initial ?? undefined
  }

  static async of(
    names: readonly string[],
    { founders = [] as string[], initial = true } = {},
  ): Promise<ProofWorld> {
    const world = new ProofWorld(initial)
    for (const [at, name] of names.entries()) {
      const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(at + 1))
      world.keys.set(name, identityOf(key))
    }
    const [first] = names as [string]
    const named = (name: string) => ({ peer: world.peer(name), name })
    const payload = encode({
      ...{
        name: 'lab',
        description: '',
        createdMs: BEGAN_MS,
        founder: named(first),
        nonce: new Uint8Array(16),
      },
      ...(founders.length === 0 ? {} : { founders: founders.map(named) }),
    })
    world.federation = `mao${base32.encode(createHash('sha256').update(payload).digest())}`
    world.files.set(GENESIS_PATH, await seal('genesis', payload, world.key(first)))
    return world
  }

  key(name: string): Identity {
    const key = this.keys.get(name)
    if (key === undefined) throw new Error(`nobody is called ${name}`)
    return key
  }

  peer(name: string): string {
    return this.key(name).peerId
  }

  async word({ at, by, about, role = 'member', removed, since = at }: Word): Promise<string> {
    const ending = removed === undefined ? {} : { removed: { reason: '' } }
    const value = { name: about, role, since: minute(since), ...ending }
    return this.#record(by, `/members/${this.peer(about)}`, encodeJson(value), minute(at))
  }

  /** `next` follows the key of `old`. */
  async succession(at: number, old: string, next: string): Promise<string> {
    const value = successionOf(this.federation, this.peer(old), this.key(next))
    return this.#record(old, `/successions/${this.peer(old)}`, value, minute(at))
  }

  async dataset(at: number, by: string, more: Record<string, unknown> = {}): Promise<string> {
    const founder = this.peer(this.keys.keys().next().value as string)
    const seed = 'ab'.repeat(16)
    const value = {
      ...{ id: datasetId(founder, 'data', seed), seed, founder, foundedMs: minute(at), description: '' },
      ...{
        policy: 'shared',
        createdBy: 'alice',
        ...(this.initial === null ? {} : { initial: this.initial }),
        ...more,
      },
    }
    return this.#record(by, '/dataset/data', encodeJson(value), minute(at))
  }

  async grant(at: number, by: string, to: string, more: Record<string, unknown> = {}): Promise<string> {
    const founder = this.peer(this.keys.keys().next().value as string)
    const dataset = datasetId(founder, 'data', 'ab'.repeat(16))
    const value = { dataset, read: true, vote: true, since: minute(at), ...more }
    return this.#record(by, `/grants/data/${this.peer(to)}/${this.peer(by)}`, encodeJson(value), minute(at))
  }

  async #record(
    by: string,
    key: string,
    value: Uint8Array,
    timeMs: number,
    federation = this.federation,
  ): Promise<string> {
    const author = this.key(by)
    const payload = encodeRecord({
      ...{ federation, key, value, version: 1, time: timeMs, since: timeMs, author: author.peerId },
    })
    const hash = hashOf(payload)
    this.files.set(recordPath(hash), await seal('record', payload, author))
    return hash
  }

  /** The next truth, confirmed by all but who is left out. @returns its commit. */
  async certify(round: Round): Promise<string> {
    const { at, electorate, counted = electorate, said = {}, forgedBy = {} } = round
    const [parent, height] = [this.#last.commit, this.#last.height + 1]
    const signers = round.signers ?? electorate.slice(0, quorumOf(electorate.length))
    const name = round.round ?? `data/collect/${minute(at)}`
    const quorum = quorumOf(electorate.length)
    const opening = JSON.stringify({
      ...{
        electorate: electorate.map((one) => this.peer(one)).sort(),
        method: { name: 'identical' },
        trigger: 'request',
      },
      ...{
        quorum: round.quorum ?? { ballots: quorum, votes: quorum },
        parent: round.parent ?? parent,
        height,
      },
      ...{
        openedMs: minute(at),
        cutoffMs: minute(at + 1),
        votesUntilMs: minute(at + 2),
        openedBy: this.peer(electorate[0] as string),
      },
      ...round.opening,
      ...(round.height === undefined ? {} : { height: round.height }),
    })
    const ballot = { commit: 'b'.repeat(40), tree: nestTrees([]).root }
    const closing = JSON.stringify({
      opening: valueHash(Buffer.from(opening)),
      ballots: Object.fromEntries(counted.map((one) => [this.peer(one), ballot]).sort()),
    })
    const message = `Ground truth ${height} of data, step collect\n\nRound: ${name}\nMethod: identical\nContested: 0\n`
    const follows = round.parent === undefined ? parent : round.parent
    const bytes = commitOf(round.message?.(message) ?? message, follows === null ? [] : [follows], minute(at))
    const commit = this.#commit(bytes)
    const value = encodeJson({ closing: valueHash(Buffer.from(closing)), commit, view: minute(at), ...said })
    const confirmations: Record<string, string> = {}
    for (const one of [...signers].sort((a, b) => (this.peer(a) < this.peer(b) ? -1 : 1))) {
      const author = this.key(forgedBy[one] ?? one)
      const payload = encodeRecord({
        ...{ federation: this.federation, key: confirmationKey(name, this.peer(one)), value, version: 1 },
        ...{ time: minute(at), since: minute(at), author: author.peerId },
      })
      confirmations[this.peer(one)] = Buffer.from(await seal('record', payload, author)).toString('base64')
    }
    const certificate = {
      ...{
        round: name,
        commit,
        parent: round.parent === undefined ? parent : round.parent,
        height: round.height ?? height,
      },
      ...{ opening, closing, view: minute(at), confirmations },
    }
    this.files.set(certificatePath(height), encodeJson(round.certificate?.(certificate) ?? certificate))
    this.#last = { commit, height }
    this.truth = commit
    return commit
  }

  #commit(bytes: Uint8Array): string {
    const oid = objectId('commit', bytes)
    this.commits.set(oid, bytes)
    return oid
  }
}

function commitOf(message: string, parents: readonly string[], timeMs: number): Uint8Array {
  return encodeCommit({ tree: nestTrees([]).root, parents, message, author: RESULT_AUTHOR, timeMs })
}
