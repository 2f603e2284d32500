#!/usr/bin/env node
/**
 * Checks the ground truth of a dataset, from the genesis of its federation on, with nothing but a copy of its repository:
 * no node, no network, no package. What is checked, and why, stands in protocols/verification.md; labels are its rules'.
 *
 *   node verify-truth.mjs REPOSITORY [--federation ID] [--genesis FILE] [--dataset-id ID] [--expect COMMIT] [--no-files]
 */
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify as holds } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const SKEW_MS = 600_000
const BYTES_MAX = 65_536

/** What is wrong, and which rule says so. */
class Broken extends Error {
  constructor(clause, reason) {
    super(reason)
    this.clause = clause
  }
}
const demand = (truth, clause, reason) => {
  if (!truth) throw new Broken(clause, reason)
}
const sha256 = (bytes, as = 'hex') => createHash('sha256').update(bytes).digest(as)

// ---- Forms of JSON values (§3 to §5) -------------------------------------------------------------------------------

const isText = (value) => typeof value === 'string'
const matches = (pattern) => (value) => isText(value) && pattern.test(value)
const [isOid, isHash] = [matches(/^[0-9a-f]{40}$/), matches(/^[0-9a-f]{64}$/)]
const isSeed = matches(/^[0-9a-f]{32}$/)
const isPeer = matches(/^[A-Za-z0-9]{1,100}$/)
const isName = matches(/^(?!.*\.\.)(?!.*\.lock$)[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/)
const isBase64 = (value) => isText(value) && Buffer.from(value, 'base64').toString('base64') === value
const isTime = (value) => Number.isSafeInteger(value) && value >= 0
const isCount = (value) => isTime(value) && value > 0
const isMap = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const orNull = (is) => (value) => value === null || is(value)
const maybe = (is) => (value) => value === undefined || is(value)
const listOf = (is) => (value) => Array.isArray(value) && value.every(is)
const mapOf = (isKey, is) => (value) =>
  isMap(value) && Object.entries(value).every(([key, one]) => isKey(key) && is(one))
const form = (fields) => (value) =>
  isMap(value) && Object.entries(fields).every(([name, is]) => is(value[name]))

const isSorted = (list) => list.every((one, at) => at === 0 || list[at - 1] < one)
const isElectorate = (value) =>
  listOf(isPeer)(value) && value.length > 0 && value.length <= 64 && isSorted(value)
const [parent, height, openedMs, commit] = [orNull(isOid), isCount, isTime, isOid]
const isCertificate = form({
  ...{ round: isText, commit, parent, height, view: isTime, opening: isText, closing: isText },
  confirmations: mapOf(isPeer, isBase64),
})
const isQuorum = form({ ballots: isCount, votes: isCount, proven: maybe(listOf(isPeer)) })
const isOpening = form({ electorate: isElectorate, quorum: isQuorum, parent, height, openedMs })
const isClosing = form({ opening: isHash, ballots: mapOf(isPeer, form({ commit, tree: isOid })) })
const FIELDS = ['federation', 'key', 'value', 'version', 'time', 'since', 'expires', 'author']
const isKey = matches(/^(?=.{1,512}$)(?:\/[A-Za-z0-9._~-]+)+$/)
const isRecordForm = form({
  key: isKey,
  value: orNull(Buffer.isBuffer),
  version: isCount,
  time: isTime,
  since: isTime,
})
const isRole = (value) => ['operator', 'member', 'observer'].includes(value)
const times = { since: maybe(isTime), worksSince: maybe(isTime), until: maybe(isTime) }
const isWord = form({ name: isName, role: isRole, ...times, removed: maybe(isMap) })
const isSpan = (value) => listOf(isTime)(value) && value.length === 2
const isGrant = form({
  vote: (vote) => typeof vote === 'boolean',
  since: isTime,
  until: maybe(isTime),
  voted: maybe(listOf(isSpan)),
})
const isAccess = form({ vote: isText, voteSince: isTime, voteBefore: maybe(listOf(isTime)) })
const isDataset = form({
  founder: maybe(isPeer),
  foundedMs: maybe(isTime),
  initial: maybe(isOid),
  access: maybe(isAccess),
})

function parseJson(bytes) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

// ---- Who signed what (§3) --------------------------------------------------------------------------------------------

function base58(bytes) {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let [number, text] = [BigInt(`0x${bytes.toString('hex')}`), '']
  for (; number > 0n; number /= 58n) text = digits[Number(number % 58n)] + text
  return '1'.repeat(bytes.findIndex((byte) => byte !== 0)) + text
}

function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return bits
    .match(/.{1,5}/g)
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}

/** [F1] A sealed envelope, in its one form. @returns the signer's peer id and the payload. */
function openEnvelope(bytes, kind) {
  let at = 0
  const field = (tag) => {
    if (bytes[at] !== tag) return Buffer.alloc(0)
    let [length, shift, byte] = [0, 0, 0x80]
    for (at += 1; byte & 0x80; at += 1, shift += 7) {
      byte = bytes[at] ?? 0
      demand(shift < 21 && !(byte === 0 && shift > 0), 'F1', 'an envelope is malformed')
      length += (byte & 0x7f) << shift
    }
    at += length
    demand(length > 0 && at <= bytes.length, 'F1', 'an envelope is malformed')
    return bytes.subarray(at - length, at)
  }
  const [key, type, payload, signature] = [field(0x0a), field(0x12), field(0x1a), field(0x2a)]
  const isWhole =
    bytes.length <= BYTES_MAX && at === bytes.length && key.length === 36 && signature.length === 64
  demand(isWhole && key.toString('hex', 0, 4) === '08011220', 'F1', 'an envelope is malformed')
  demand(type.toString() === `/mao/${kind}/1`, 'F1', `an envelope holds no ${kind}`)
  const parts = [Buffer.from(`mao-${kind}`), type, payload]
  const signed = Buffer.concat(parts.flatMap((part) => [varint(part.length), part]))
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key.subarray(4)])
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  demand(holds(null, signed, publicKey, signature), 'F1', 'a signature does not hold')
  return { author: base58(Buffer.concat([Buffer.from([0, 36]), key])), payload }
}

function varint(number) {
  const bytes = []
  for (; number >= 0x80; number >>>= 7) bytes.push((number & 0x7f) | 0x80)
  return Buffer.from([...bytes, number])
}

/** [F2] As much of DAG-CBOR as a payload needs, in its one form: no other spelling of a length, keys in order. */
function decodeCbor(bytes) {
  let at = 0
  const wrong = (condition) => demand(!condition, 'F2', 'a payload is not in the one form of DAG-CBOR')
  const take = (length) => {
    at += length
    wrong(at > bytes.length)
    return bytes.subarray(at - length, at)
  }
  const item = (depth) => {
    const [head] = take(1)
    const [major, info] = [head >> 5, head & 31]
    wrong(depth > 16)
    if (major === 7) return wrong(![20, 21, 22].includes(info)) ?? [false, true, null][info - 20]
    wrong(info > 27 || major === 6)
    const size = info < 24 ? 0 : 2 ** (info - 24)
    const count = size === 0 ? info : Number(BigInt(`0x${take(size).toString('hex')}`))
    wrong(
      !Number.isSafeInteger(count) || (size > 0 && count < [24, 2 ** 8, 2 ** 16, 2 ** 32][Math.log2(size)]),
    )
    if (major === 0) return count
    if (major === 1) return -1 - count
    if (major === 2) return take(count)
    if (major === 3) return new TextDecoder('utf-8', { fatal: true }).decode(take(count))
    wrong(count > bytes.length)
    if (major === 4) return Array.from({ length: count }, () => item(depth + 1))
    const map = {}
    for (let [left, before] = [count, undefined]; left > 0; left -= 1) {
      const key = item(depth + 1)
      const name = Buffer.from(typeof key === 'string' ? key : '')
      wrong(
        typeof key !== 'string' ||
          (before && (before.length - name.length || Buffer.compare(before, name)) >= 0),
      )
      before = name
      Object.defineProperty(map, key, { value: item(depth + 1), enumerable: true })
    }
    return map
  }
  const value = item(0)
  wrong(at !== bytes.length)
  return value
}

/** [F3] A registry record of this federation by whoever sealed it. */
function openRecord(bytes, federation) {
  const { author, payload } = openEnvelope(bytes, 'record')
  const record = decodeCbor(payload)
  const isRecord = isRecordForm(record) && Object.keys(record).every((name) => FIELDS.includes(name))
  const isOurs = record.author === author && record.federation === federation
  demand(isRecord && isOurs, 'F3', 'it is no record of its signer in this federation')
  return {
    ...record,
    hash: sha256(payload),
    said: record.value === null ? undefined : parseJson(record.value),
  }
}

/** [G1], [G2]: how the federation began. */
function openGenesis(bytes, expected) {
  const { author, payload } = openEnvelope(bytes, 'genesis')
  const federation = `maob${base32(sha256(payload, 'buffer'))}`
  demand(expected === undefined || federation === expected, 'G1', `this is the genesis of ${federation}`)
  const { createdMs, founder, founders = [] } = decodeCbor(payload)
  const peers = [founder, ...founders].map((one) => one?.peer)
  const isOnce = new Set(peers).size === peers.length && peers.every(isPeer)
  demand(isOnce && isTime(createdMs) && peers[0] === author, 'G2', 'it is not by its founder')
  return { federation, createdMs, founders: peers }
}

// ---- The roll (§4): who voted when ------------------------------------------------------------------------------------

/** [R1] What one record says about who votes on the dataset, or undefined for what says nothing about it. */
function readRollRecord(bytes, federation, dataset) {
  const record = tried(() => openRecord(bytes, federation))
  const [, room, first, ...rest] = record?.key.split('/') ?? []
  const { said, author } = record ?? {}
  if (room === 'members' && rest.length === 0 && isWord(said)) return { kind: 'word', ...record, peer: first }
  if (room === 'successions' && first === author && rest.length === 0 && isBase64(said?.proof)) {
    const proof = tried(() => openEnvelope(Buffer.from(said.proof, 'base64'), 'succession'))
    const { federation: where, old, successor } = tried(() => decodeCbor(proof.payload)) ?? {}
    const isProven =
      where === federation && old === author && successor === proof.author && successor === said.successor
    if (isProven && successor !== author) return { kind: 'succession', ...record }
  }
  if (room === 'dataset' && first === dataset && rest.length === 0 && isDataset(said)) {
    const { founder = author, seed, id = dataset } = said
    // Without a seed it is from before there were ids: its name is its id, and no name is a seed.
    const isFounders =
      seed === undefined
        ? id === dataset && !isSeed(id)
        : isSeed(seed) && id === sha256(`${founder}\n${dataset}\n${seed}`).slice(0, 32)
    if (isFounders) return { kind: 'dataset', ...record, founder, id }
  }
  if (room === 'grants' && first === dataset && rest.length === 2 && rest[1] === author && isGrant(said))
    return { kind: 'grant', ...record, peer: rest[0] }
  return undefined
}

class Roll {
  words = new Map()
  next = new Map()
  before = new Map()
  grants = new Map()

  constructor(genesis, records) {
    this.genesis = genesis
    const sorted = [...records].sort((a, b) => a.time - b.time || (a.hash < b.hash ? -1 : 1))
    const of = (kind) => sorted.filter((record) => record.kind === kind)
    for (const record of of('succession')) {
      if (this.next.has(record.author)) continue
      this.next.set(record.author, record)
      if (!this.before.has(record.said.successor)) this.before.set(record.said.successor, record)
    }
    // [R3] In the order of time: who may write follows from what was written before.
    const isBy = (node, { author, time }) => this.nodeOf(author) === node || this.isOperator(author, time)
    for (const word of of('word'))
      if (this.isOperator(word.author, word.time)) push(this.words, this.nodeOf(word.peer), word)
    // Without a seed nothing proves who founded it: an operator's word alone counts.
    this.datasets = of('dataset').filter((one) =>
      one.said.seed === undefined
        ? this.isOperator(one.author, one.time)
        : isBy(this.nodeOf(one.founder), one),
    )
    for (const grant of of('grant')) {
      const about = this.datasets.find(({ id }) => id === grant.said.dataset)
      if (about && isBy(this.nodeOf(about.founder), grant)) push(this.grants, this.nodeOf(grant.peer), grant)
    }
  }

  /** [R2] A node is known by the last of its keys; keys in a circle, by the lowest of them. */
  nodeOf(key) {
    const walked = []
    for (let now = key; ; now = this.next.get(now).said.successor) {
      if (!this.next.has(now)) return now
      if (walked.includes(now)) return walked.slice(walked.indexOf(now)).sort()[0]
      walked.push(now)
    }
  }

  founders() {
    return this.genesis.founders.map((peer) => this.nodeOf(peer))
  }

  /** [R4] Where a node stood, by the last word until then; a founder without one is an operator. */
  placeAt(node, at) {
    const word = (this.words.get(node) ?? []).findLast(({ time }) => time <= at)
    const isFounder = this.founders().includes(node)
    const start = this.genesis.createdMs
    if (word === undefined)
      return isFounder && start <= at ? { role: 'operator', start, isOver: false } : undefined
    const { role, removed, until } = word.said
    return {
      role,
      start: startOf(word, isFounder),
      isOver: removed !== undefined || (until !== undefined && until <= at),
    }
  }

  /** [R4] Where nothing of then is here, the first word after says since when it has been so. */
  placeSince(node, at) {
    const [word] = this.words.get(node) ?? []
    if (word === undefined || word.time <= at) return undefined
    const start = startOf(word, this.founders().includes(node))
    return start <= at + SKEW_MS ? { role: word.said.role, start } : undefined
  }

  /** [R5] Where words leave no operator, the first founder whose place is not over is one. */
  isOperator(key, at) {
    const stays = (node) => this.placeAt(node, at)?.isOver === false
    const works = (node) => stays(node) && this.placeAt(node, at).role === 'operator'
    const [node, founders] = [this.nodeOf(key), this.founders()]
    if ([node, ...founders, ...this.words.keys()].some(works)) return works(node)
    return node === (founders.find(stays) ?? founders[0])
  }

  /** [R6] */
  wasAdmitted(key, at) {
    const node = this.nodeOf(key)
    return (this.placeAt(node, at) ?? this.placeSince(node, at)) !== undefined
  }

  /** [R7] A key speaks from the succession that names it to the one that it writes itself. */
  votes(key, at) {
    if (this.next.get(key)?.time <= at || this.before.get(key)?.time > at + SKEW_MS) return false
    const node = this.nodeOf(key)
    const place = this.placeAt(node, at) ?? this.placeSince(node, at)
    return place !== undefined && !place.isOver && place.role !== 'observer' && this.isGranted(node, at)
  }

  /** [R8] Everybody who voted, by what was written by then. */
  votersAt(at) {
    return [...new Set([...this.words.keys(), ...this.founders()])].filter((node) => {
      const place = this.placeAt(node, at)
      return (
        place && !place.isOver && place.role !== 'observer' && place.start <= at && this.isGranted(node, at)
      )
    })
  }

  /** [R9] Where not every member votes: the founder, and who was granted to. */
  isGranted(node, at) {
    const about = inForce(this.datasets, at)
    const access = about?.said.access
    if (access === undefined || node === this.nodeOf(about.founder)) return true
    const ends = [...(access.voteBefore ?? []), access.voteSince, Infinity]
    const spans = ends.map((until, index) => [ends[index - 1] ?? 0, until])
    const open = spans.filter(
      (_, index) => (access.vote === 'members') === ((ends.length - 1 - index) % 2 === 0),
    )
    const grant = inForce(this.grants.get(node) ?? [], at)?.said
    const given = grant?.vote ? [[grant.since, grant.until ?? Infinity]] : []
    return [...open, ...(grant?.voted ?? []), ...given].some(([from, until]) => from <= at && at < until)
  }
}

const push = (map, key, value) => map.set(key, [...(map.get(key) ?? []), value])
const inForce = (records, at) => records.findLast(({ time }) => time <= at) ?? records[0]
const startOf = ({ said, since }, isFounder) => said.worksSince ?? said.since ?? (isFounder ? 0 : since)

// ---- The chain (§5) ------------------------------------------------------------------------------------------------------

const tried = (open) => {
  try {
    return open()
  } catch (error) {
    if (error instanceof Broken || error instanceof TypeError) return undefined
    throw error
  }
}

/** [C1] to [C8] of protocols/voting.md: all that a certificate says itself. */
function readCertificate(bytes, federation, dataset) {
  const certificate = bytes.length > BYTES_MAX ? undefined : parseJson(bytes)
  demand(isCertificate(certificate), 'C1', 'it is no certificate')
  const { round, commit, parent, height, view, confirmations } = certificate
  const [set, step, slot, ...more] = round.split('/')
  const isRound =
    isName(set) && isName(step) && !/^(?:for|vote)\./.test(step) && /^(?:0|[1-9]\d{0,15})$/.test(slot)
  demand(isRound && more.length === 0 && isTime(Number(slot)), 'C1', 'it names no round')
  const [opening, closing] = [certificate.opening, certificate.closing].map((text) =>
    parseJson(Buffer.from(text)),
  )
  demand(isOpening(opening), 'C1', 'its opening cannot be read')
  demand(isClosing(closing), 'C1', 'its closing cannot be read')
  demand(set === dataset, 'C2', `it is about the dataset ${set}`)
  demand(closing.opening === sha256(certificate.opening), 'C3', 'its closing belongs to another opening')
  const isSame = parent === opening.parent && height === opening.height && view >= opening.openedMs
  demand(isSame, 'C4', 'its height, parent or view is not that of its opening')
  const { electorate, quorum, openedMs } = opening
  const counted = Object.keys(closing.ballots)
  demand(
    counted.every((peer) => electorate.includes(peer)),
    'C5',
    'it counts a ballot from outside the electorate',
  )
  const isProven = counted.length > 0 && counted.every((peer) => quorum.proven?.includes(peer))
  const isEnough = counted.length >= quorum.ballots || isProven
  const isQuorum = quorum.votes === Math.floor((2 * electorate.length) / 3) + 1
  demand(isEnough && isQuorum, 'C5', 'it counts too few ballots, or its quorum is not that of its electorate')
  const signers = Object.keys(confirmations).sort()
  for (const signer of signers) {
    demand(electorate.includes(signer), 'C6', `${signer} is not in the electorate`)
    const record = tried(() => openRecord(Buffer.from(confirmations[signer], 'base64'), federation))
    demand(record?.author === signer, 'C7', `the signature of ${signer} does not hold`)
    const isHere = record.key === `/confirmations/${round}/${signer}`
    demand(isHere, 'C7', `the confirmation of ${signer} is for something else`)
    const said = record.said ?? {}
    const isIt = said.closing === sha256(certificate.closing) && said.commit === commit && said.view === view
    demand(isIt, 'C8', `the confirmation of ${signer} names another result`)
  }
  return { round, step, slot: Number(slot), commit, parent, height, openedMs, electorate, signers }
}

/** [L1] to [L4], [R6] and [C9]: one link and the one before it. */
function checkLink(link, before, height, roll) {
  const { openedMs, parent, electorate } = link
  demand(link.height === height, 'L1', `what stands here is of height ${link.height}`)
  demand(!before || parent === before.commit, 'L2', 'its parent is not the truth before it')
  const began = roll.datasets.length === 0 ? [null] : roll.datasets.map(({ said }) => said.initial ?? null)
  demand(
    before || began.includes(parent),
    'L2',
    'no record says that the dataset was founded with its parent',
  )
  demand(
    !before || openedMs > before.openedMs,
    'L3',
    'its round was not opened later than that of the truth before it',
  )
  const about = inForce(roll.datasets, openedMs)
  const foundedMs = about === undefined ? 0 : Math.min(about.said.foundedMs ?? 0, about.time)
  demand(openedMs >= foundedMs, 'L4', 'its round was opened before the dataset was founded')
  const stranger = electorate.find((key) => !roll.wasAdmitted(key, openedMs))
  demand(!stranger, 'R6', `${stranger} is in its electorate, and no record admits it by then`)
  const counted = link.signers.filter((key) => roll.votes(key, openedMs))
  const nodes = new Set(counted.map((key) => roll.nodeOf(key)))
  const voters = new Set([...electorate.map((key) => roll.nodeOf(key)), ...roll.votersAt(openedMs)])
  const few = `${nodes.size} of those who voted then have confirmed it, which is not more than two thirds of ${voters.size}`
  demand(3 * nodes.size > 2 * voters.size, 'C9', few)
  return { ...link, counted, voters: voters.size }
}

/** [T2], [T3] */
function checkCommit(bytes, { commit, parent, height, round, step, slot }) {
  const id = createHash('sha1')
    .update(`commit ${bytes?.length}\0`)
    .update(bytes ?? '')
    .digest('hex')
  demand(id === commit, 'T2', `its commit ${commit} is not here, or not whole`)
  const [head, title, second] = bytes.toString().split('\n\n')
  const lines = head.split('\n')
  const parents = lines.filter((line) => line.startsWith('parent ')).map((line) => line.slice(7))
  demand(parents.join() === (parent ?? ''), 'T2', 'its commit follows another one')
  const isNamed = title === `Ground truth ${height} of ${round.split('/')[0]}, step ${step}`
  const author = `author MAO consensus <consensus@mao.invalid> ${Math.floor(slot / 1_000)} +0000`
  const isOurs = isNamed && second?.split('\n')[0] === `Round: ${round}` && lines.includes(author)
  demand(isOurs, 'T3', 'its commit names another round, height, author or time')
}

/**
 * Checks what a branch of certificates says. Pure.
 *
 * @param bundle `{files: Map path → bytes, commits: Map id → bytes, truth: id of the branch ground-truth}`
 * @param expected ids of the federation and of the dataset, as far as they are known from elsewhere
 * @returns `{federation, dataset, id, founder?, held: links, failure?: {height, clause, reason}}`
 */
export function verifyBundle({ files, commits, truth }, { federation: expected, id: expectedId } = {}) {
  const found = { held: [] }
  const { held } = found
  let height = 0
  try {
    demand(files.has('genesis'), 'G1', 'there is no genesis')
    const genesis = openGenesis(files.get('genesis'), expected)
    const { federation } = genesis
    const certificates = new Map()
    for (const [path, bytes] of files) {
      const at = Number(/^certificates\/\d+\/([1-9]\d{0,5})\.json$/.exec(path)?.[1])
      if (path === `certificates/${Math.floor(at / 100)}/${at}.json`) certificates.set(at, bytes)
    }
    const last = Math.max(0, ...certificates.keys())
    const dataset = String(parseJson(certificates.get(last) ?? Buffer.alloc(0))?.round).split('/')[0]
    Object.assign(found, { federation, dataset })
    const envelopes = [...files].filter(([path]) => /^roll\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(path))
    const records = envelopes.map(([, bytes]) => readRollRecord(bytes, federation, dataset)).filter(Boolean)
    height = 1
    demand(last > 0, 'L1', 'there is no certificate')
    const roll = new Roll(genesis, records)
    const ids = new Set(roll.datasets.map(({ id }) => id))
    demand(ids.size < 2, 'R9', 'its roll has records of several datasets of this name')
    const about = roll.datasets[0]
    Object.assign(found, { id: about?.id ?? dataset, founder: about?.founder })
    demand([undefined, found.id].includes(expectedId), 'R9', `this is the dataset ${found.id}`)
    for (; height <= last; height += 1) {
      demand(certificates.has(height), 'L1', 'the certificate of this height is not here')
      const link = readCertificate(certificates.get(height), federation, dataset)
      held.push(checkLink(link, held.at(-1), height, roll))
    }
    height = last
    demand(truth === held.at(-1).commit, 'T1', `the branch ground-truth is at ${truth ?? 'nothing'}`)
    for (const link of held.toReversed()) {
      height = link.height
      checkCommit(commits.get(link.commit), link)
    }
  } catch (error) {
    if (!(error instanceof Broken) && !(error instanceof TypeError)) throw error
    found.failure = { height, clause: error.clause ?? 'F2', reason: error.message }
  }
  return found
}

// ---- A repository (§2), read by git without anything that its settings could start ----------------------------------------

function git(path, words, input) {
  const env = {
    ...{ PATH: process.env.PATH, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' },
    ...{ GIT_NO_REPLACE_OBJECTS: '1', GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' },
  }
  return execFileSync('git', ['--no-pager', '-C', path, ...words], {
    env,
    input,
    maxBuffer: 2 ** 30,
    stdio: 'pipe',
  })
}

/** What objects hold, by id; what is not here is left out. */
function readObjects(path, oids) {
  const [found, output] = [
    new Map(),
    git(path, ['cat-file', '--batch'], oids.map((oid) => `${oid}\n`).join('')),
  ]
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(10, at)
    const [oid, , size] = output.toString('utf8', at, end).split(' ')
    if (size !== undefined) found.set(oid, output.subarray(end + 1, end + 1 + Number(size)))
    at = end + 1 + (size === undefined ? 0 : Number(size) + 1)
  }
  return found
}

function readBundle(path) {
  const tip = (ref) => {
    try {
      return git(path, ['rev-parse', '--verify', '--quiet', `${ref}^{commit}`])
        .toString()
        .trim()
    } catch {
      return undefined
    }
  }
  // A clone has what it cloned below origin, a bare repository has its own branches.
  const base = ['refs/remotes/origin/', 'refs/heads/'].find((one) => tip(`${one}certificates`) !== undefined)
  demand(base, 'B1', 'this repository has no branch certificates')
  const listed = git(path, ['ls-tree', '-r', '-z', tip(`${base}certificates`)])
    .toString()
    .split('\0')
  const entries = listed
    .filter((line) => line.startsWith('100644 blob '))
    .map((line) => line.slice(12).split('\t'))
  const contents = readObjects(
    path,
    entries.map(([oid]) => oid),
  )
  const files = new Map(entries.map(([oid, name]) => [name, contents.get(oid) ?? Buffer.alloc(0)]))
  const named = [...files].map(
    ([name, bytes]) => name.startsWith('certificates/') && parseJson(bytes)?.commit,
  )
  const [ref, truth] = [`${base}ground-truth`, tip(`${base}ground-truth`)]
  // [T1] Whatever else a reader may get by this name: a branch of the same name beside a clone's, a tag.
  const others = ['refs/heads/ground-truth', 'refs/remotes/origin/ground-truth', 'ground-truth'].map(tip)
  const isOther = (one, at) => one !== undefined && one !== truth && others.indexOf(one) === at
  return {
    files,
    ref,
    truth,
    others: others.filter(isOther),
    commits: readObjects(path, named.filter(isOid)),
  }
}

/** [T4] Objects that a promisor has may be missing, and `git fsck` is content. */
function isPartial(path) {
  const [said, packs] = [
    git(path, ['config', '--list', '--name-only']).toString().toLowerCase(),
    git(path, ['rev-parse', '--path-format=absolute', '--git-path', 'objects/pack']).toString().trim(),
  ]
  const files = existsSync(packs) ? readdirSync(packs) : []
  const isSaid = /^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$/m.test(said)
  return isSaid || files.some((name) => name.endsWith('.promisor'))
}

function main() {
  const text = { type: 'string' }
  const options = {
    federation: text,
    genesis: text,
    'dataset-id': text,
    expect: text,
    'no-files': { type: 'boolean' },
  }
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const [path, ...more] = positionals
  const usage =
    'verify-truth.mjs REPOSITORY [--federation ID] [--genesis FILE] [--dataset-id ID] [--expect COMMIT] [--no-files]'
  if (path === undefined || more.length > 0) throw new Error(`usage: ${usage}`)
  const trusted = values.genesis && openGenesis(readFileSync(values.genesis), values.federation).federation
  const federation = values.federation ?? trusted
  const bundle = readBundle(path)
  const found = verifyBundle(bundle, { federation, id: values['dataset-id'] })
  const { held, dataset, id, founder = 'nobody' } = found
  for (const { height, commit, round, counted, voters } of held)
    console.log(`${height}  ${commit}  ${round}  ${counted.length} of ${voters}: ${counted.join(' ')}`)
  const fail = (clause, reason) => Object.assign(found, { failure: { height: held.length, clause, reason } })
  if (!found.failure && values.expect && !held.some(({ commit }) => commit === values.expect))
    fail('T1', `${values.expect} is no truth of this chain`)
  if (!found.failure && bundle.others.length > 0)
    fail('T1', `${bundle.ref} is at ${bundle.truth}, and another ground-truth at ${bundle.others}`)
  if (!found.failure && !values['no-files']) {
    if (isPartial(path)) fail('T4', 'it is a part of another repository: what is missing counts as promised')
    try {
      git(path, ['fsck', '--full', '--no-dangling', '--no-progress'])
    } catch (error) {
      fail('T4', `what these commits lead to is not whole: ${error.stderr}`.trim())
    }
  }
  const { failure } = found
  if (failure) console.log(`NOT HELD at height ${failure.height} [${failure.clause}]: ${failure.reason}`)
  else console.log(`OK  the ground truth of ${dataset} is ${held.at(-1).commit}, in ${found.federation}`)
  if (!federation)
    console.log(
      'The genesis was taken from the repository itself: compare the id with one from elsewhere (--federation).',
    )
  if (!values['dataset-id'])
    console.log(
      `There may be several datasets of one name. This is ${id}, founded by ${founder}: compare (--dataset-id).`,
    )
  if (!values.expect)
    console.log(
      'That no later truth was left out, no copy can show: compare the commit with one from elsewhere (--expect).',
    )
  process.exitCode = failure ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    main()
  } catch (error) {
    console.log(error instanceof Broken ? `NOT HELD [${error.clause}]: ${error.message}` : error.message)
    process.exitCode = error instanceof Broken ? 1 : 2
  }
}
