#!/usr/bin/env node
/**
 * Checks the ground truth of a dataset, from the genesis of its federation on, with nothing but a copy of its repository:
 * no node, no network, no package. What is checked, and why, stands in protocols/verification.md; labels are its rules'.
 *
 *   node verify-truth.mjs REPOSITORY [--federation ID] [--genesis FILE] [--expect COMMIT] [--no-files]
 */
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify as holds } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const SKEW_MS = 600_000
const BYTES_MAX = 65_536

class Broken extends Error {
  constructor(clause, reason, height) {
    super(reason)
    Object.assign(this, { clause, reason, height })
  }
}
const demand = (truth, clause, reason) => {
  if (!truth) throw new Broken(clause, reason)
}
const sha256 = (bytes, as = 'hex') => createHash('sha256').update(bytes).digest(as)

// ---- Forms (§3): who signed what ---------------------------------------------------------------------------------

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

const isTime = (value) => Number.isSafeInteger(value) && value >= 0
const isOid = (value) => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value)
const isHash = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
const isPeer = (value) => typeof value === 'string' && /^[A-Za-z0-9]{1,100}$/.test(value)
const isName = (text) => /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/.test(text) && !/\.\.|\.lock$/.test(text)
const isMap = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const isBase64 = (text) => typeof text === 'string' && Buffer.from(text, 'base64').toString('base64') === text
const optional = (value, is) => value === undefined || is(value)

function parseJson(bytes) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

/** [F3] A registry record of this federation by whoever sealed it. */
function openRecord(bytes, federation) {
  const { author, payload } = openEnvelope(bytes, 'record')
  const record = decodeCbor(payload)
  const isRecord =
    record.author === author && record.federation === federation && typeof record.key === 'string'
  demand(
    isRecord && isTime(record.time) && isTime(record.since),
    'F3',
    'it is no record of its signer in this federation',
  )
  demand(record.value === null || Buffer.isBuffer(record.value), 'F3', 'its value is no bytes')
  return {
    ...record,
    hash: sha256(payload),
    json: record.value === null ? undefined : parseJson(record.value),
  }
}

/** [G1] to [G3]: how the federation began. */
function openGenesis(bytes, expected) {
  const { author, payload } = openEnvelope(bytes, 'genesis')
  const federation = `maob${base32(sha256(payload, 'buffer'))}`
  demand(expected === undefined || federation === expected, 'G1', `this is the genesis of ${federation}`)
  const { name, createdMs, founder, founders = [] } = decodeCbor(payload)
  const all = [founder, ...founders]
  const isGenesis = isTime(createdMs) && all.every((one) => isPeer(one?.peer)) && founder.peer === author
  demand(
    isGenesis && new Set(all.map(({ peer }) => peer)).size === all.length,
    'G2',
    'it is not by its founder',
  )
  return { federation, name, createdMs, founders: all.map(({ peer }) => peer) }
}

// ---- The roll (§4): who voted when ------------------------------------------------------------------------------

/** [R1] What one record says about who votes on the dataset, or undefined for what says nothing about it. */
function readRollRecord(bytes, federation, dataset) {
  try {
    const { key, author, time, since, hash, json: said } = openRecord(bytes, federation)
    const [, room, ...rest] = key.split('/')
    const record = { hash, author, time, since, said, peer: rest[0] }
    if (!isMap(said)) return undefined
    if (room === 'members' && rest.length === 1) {
      const isWord =
        ['operator', 'member', 'observer'].includes(said.role) &&
        typeof said.name === 'string' &&
        isName(said.name)
      const areTimes = [said.since, said.worksSince, said.until].every((value) => optional(value, isTime))
      return isWord && areTimes && optional(said.removed, isMap) ? { kind: 'word', ...record } : undefined
    }
    if (room === 'successions' && rest.length === 1) {
      const proof = openEnvelope(Buffer.from(said.proof, 'base64'), 'succession')
      const { federation: where, old, successor } = decodeCbor(proof.payload)
      const isProven =
        proof.author === said.successor &&
        successor === proof.author &&
        old === author &&
        where === federation
      return isProven && rest[0] === author && successor !== author
        ? { kind: 'succession', ...record }
        : undefined
    }
    if (room === 'dataset' && rest.length === 1 && rest[0] === dataset) {
      const founder = said.founder ?? author
      const id = sha256(`${founder}\n${dataset}\n${said.seed}`).slice(0, 32)
      const isForm = optional(said.initial, isOid) && optional(said.foundedMs, isTime) && isPeer(founder)
      if (!isForm || (said.seed !== undefined && said.id !== id)) return undefined
      return { kind: 'dataset', ...record, founder, id: said.id ?? dataset }
    }
    if (room === 'grants' && rest.length === 3 && rest[0] === dataset && rest[2] === author) {
      const isGrant = typeof said.vote === 'boolean' && isTime(said.since) && optional(said.until, isTime)
      return isGrant && optional(said.voted, Array.isArray)
        ? { kind: 'grant', ...record, peer: rest[1] }
        : undefined
    }
  } catch {
    return undefined
  }
}

class Roll {
  words = new Map()
  next = new Map()
  before = new Map()
  datasets = []
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
    for (const word of of('word'))
      if (this.isOperator(word.author, word.time)) push(this.words, this.nodeOf(word.peer), word)
    for (const one of of('dataset')) {
      if (this.nodeOf(one.author) === this.nodeOf(one.founder) || this.isOperator(one.author, one.time))
        this.datasets.push(one)
    }
    for (const grant of of('grant')) {
      const about = this.datasets.find(({ id }) => id === grant.said.dataset)
      const mayGrant =
        about &&
        (this.nodeOf(grant.author) === this.nodeOf(about.founder) ||
          this.isOperator(grant.author, grant.time))
      if (mayGrant) push(this.grants, this.nodeOf(grant.peer), grant)
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

// ---- The chain (§5) ----------------------------------------------------------------------------------------------

/** [C1] to [C8] of protocols/voting.md: all that a certificate says itself. */
function readCertificate(bytes, federation, dataset) {
  const certificate = parseJson(bytes)
  const isForm =
    isMap(certificate) &&
    isOid(certificate.commit) &&
    (certificate.parent === null || isOid(certificate.parent))
  demand(
    isForm && bytes.length <= BYTES_MAX && certificate.height > 0 && isTime(certificate.height),
    'C1',
    'it is no certificate',
  )
  demand(isTime(certificate.view) && isMap(certificate.confirmations), 'C1', 'it is no certificate')
  const texts = [
    certificate.round,
    certificate.opening,
    certificate.closing,
    ...Object.values(certificate.confirmations),
  ]
  demand(
    texts.every((text) => typeof text === 'string'),
    'C1',
    'it is no certificate',
  )
  const [set, step, slot, ...more] = certificate.round.split('/')
  const isRound =
    isName(set) &&
    isName(step ?? '') &&
    !step.startsWith('for.') &&
    /^(?:0|[1-9][0-9]{0,15})$/.test(slot) &&
    more.length === 0
  demand(isRound && isTime(Number(slot)), 'C1', 'it names no round')
  const [opening, closing] = [certificate.opening, certificate.closing].map((text) =>
    parseJson(Buffer.from(text)),
  )
  const { electorate, quorum, openedMs } = opening ?? {}
  const isElectorate =
    Array.isArray(electorate) && electorate.length > 0 && electorate.length <= 64 && electorate.every(isPeer)
  const isSorted = isElectorate && electorate.every((one, at) => at === 0 || electorate[at - 1] < one)
  const isQuorum =
    isMap(quorum) && isTime(quorum.ballots) && quorum.ballots > 0 && optional(quorum.proven, Array.isArray)
  demand(isSorted && isQuorum && isTime(openedMs), 'C1', 'its opening cannot be read')
  const ballots = Object.entries(closing?.ballots ?? {})
  const areBallots = ballots.every(
    ([peer, ballot]) => isPeer(peer) && isOid(ballot?.commit) && isOid(ballot?.tree),
  )
  demand(
    isMap(closing) && isHash(closing.opening) && isMap(closing.ballots) && areBallots,
    'C1',
    'its closing cannot be read',
  )
  demand(set === dataset, 'C2', `it is about the dataset ${set}`)
  demand(closing.opening === sha256(certificate.opening), 'C3', 'its closing belongs to another opening')
  const { commit, parent, height, view } = certificate
  demand(
    parent === opening.parent && height === opening.height && view >= openedMs,
    'C4',
    'its height, parent or view is not that of its opening',
  )
  const counted = ballots.map(([peer]) => peer)
  demand(
    counted.every((peer) => electorate.includes(peer)),
    'C5',
    'its closing counts a ballot from outside the electorate',
  )
  const isEnough = counted.length >= quorum.ballots || quorum.proven?.some((peer) => counted.includes(peer))
  demand(
    isEnough && quorum.votes === Math.floor((2 * electorate.length) / 3) + 1,
    'C5',
    'its closing counts too few ballots, or its quorum is another',
  )
  const closingHash = sha256(certificate.closing)
  for (const [signer, sealed] of Object.entries(certificate.confirmations)) {
    demand(isPeer(signer) && isBase64(sealed), 'C1', 'it is no certificate')
    demand(electorate.includes(signer), 'C6', `${signer} is not in the electorate`)
    const record = opened(() => openRecord(Buffer.from(sealed, 'base64'), federation))
    demand(record?.author === signer, 'C7', `the signature of ${signer} does not hold`)
    demand(
      record.key === `/confirmations/${certificate.round}/${signer}`,
      'C7',
      `the confirmation of ${signer} is for something else`,
    )
    const { closing: which, commit: what, view: when } = record.json ?? {}
    demand(
      which === closingHash && what === commit && when === view,
      'C8',
      `the confirmation of ${signer} names another result`,
    )
  }
  return {
    round: certificate.round,
    step,
    slot: Number(slot),
    commit,
    parent,
    height,
    openedMs,
    electorate,
    signers: Object.keys(certificate.confirmations).sort(),
  }
}

const opened = (open) => {
  try {
    return open()
  } catch (error) {
    if (error instanceof Broken || error instanceof TypeError) return undefined
    throw error
  }
}

/** [L1] to [L4], [R6] and [C9]: one link and the one before it. @returns whose confirmations counted, of how many. */
function checkLink(link, before, height, roll) {
  demand(link.height === height, 'L1', `what stands here is of height ${link.height}`)
  demand(!before || link.parent === before.commit, 'L2', 'its parent is not the truth before it')
  const began = roll.datasets.map(({ said }) => said.initial ?? null)
  demand(
    height > 1 || began.includes(link.parent) || (began.length === 0 && link.parent === null),
    'L2',
    'no record says that the dataset was founded with its parent',
  )
  demand(
    !before || link.openedMs > before.openedMs,
    'L3',
    'its round was not opened later than that of the truth before it',
  )
  const about = inForce(roll.datasets, link.openedMs)
  demand(
    !about || link.openedMs >= Math.min(about.said.foundedMs ?? 0, about.time),
    'L4',
    'its round was opened before the dataset was founded',
  )
  const stranger = link.electorate.find((key) => !roll.wasAdmitted(key, link.openedMs))
  demand(stranger === undefined, 'R6', `${stranger} is in its electorate, and no record admits it by then`)
  const counted = link.signers.filter((key) => roll.votes(key, link.openedMs))
  const nodes = new Set(counted.map((key) => roll.nodeOf(key)))
  const voters = new Set([...link.electorate.map((key) => roll.nodeOf(key)), ...roll.votersAt(link.openedMs)])
  demand(
    3 * nodes.size > 2 * voters.size,
    'C9',
    `${nodes.size} of those who voted then have confirmed it, which is not more than two thirds of ${voters.size}`,
  )
  return { ...link, counted, voters: voters.size }
}

/** [T1] to [T3] */
function checkCommit(bytes, { commit, parent, height, round, step, slot }) {
  demand(
    bytes && createHash('sha1').update(`commit ${bytes.length}\0`).update(bytes).digest('hex') === commit,
    'T2',
    `its commit ${commit} is not here, or not whole`,
  )
  const [head, ...body] = bytes.toString().split('\n\n')
  const parents = head
    .split('\n')
    .filter((line) => line.startsWith('parent '))
    .map((line) => line.slice(7))
  demand(parents.join() === (parent ?? ''), 'T2', 'its commit follows another one')
  const title = `Ground truth ${height} of ${round.split('/')[0]}, step ${step}`
  demand(
    body[0] === title && body[1]?.startsWith(`Round: ${round}\n`),
    'T3',
    'the message of its commit names another round or height',
  )
  const author = `author MAO consensus <consensus@mao.invalid> ${Math.floor(slot / 1_000)} +0000`
  demand(
    head.split('\n').includes(author),
    'T3',
    'its commit is not by the consensus, at the time of its round',
  )
  return /^tree ([0-9a-f]{40})$/m.exec(head)[1]
}

/**
 * Checks what a branch of certificates says. Pure.
 *
 * @param bundle `{files: Map path → bytes, commits: Map id → bytes, truth: id of the branch ground-truth}`
 * @returns `{federation, dataset, held: links, failure?: {height, clause, reason}}`
 */
export function verifyBundle({ files, commits, truth }, { federation: expected } = {}) {
  const held = []
  const found = { held }
  let height = 0
  try {
    demand(files.has('genesis'), 'G1', 'there is no genesis')
    const genesis = openGenesis(files.get('genesis'), expected)
    Object.assign(found, { federation: genesis.federation, name: genesis.name })
    const certificates = new Map()
    for (const [path, bytes] of files) {
      const at = Number(/^certificates\/\d+\/([1-9]\d{0,5})\.json$/.exec(path)?.[1])
      if (path === `certificates/${Math.floor(at / 100)}/${at}.json`) certificates.set(at, bytes)
    }
    const last = Math.max(0, ...certificates.keys())
    found.dataset = String(parseJson(certificates.get(last) ?? Buffer.alloc(0))?.round ?? '').split('/')[0]
    const envelopes = [...files].filter(([path]) => /^roll\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(path))
    const records = envelopes.map(([, bytes]) => readRollRecord(bytes, genesis.federation, found.dataset))
    const roll = new Roll(
      genesis,
      records.filter((record) => record !== undefined),
    )
    height = 1
    demand(
      new Set(roll.datasets.map(({ id }) => id)).size < 2,
      'R9',
      'its roll has records of several datasets of this name',
    )
    demand(last > 0, 'L1', 'there is no certificate')
    for (; height <= last; height += 1) {
      demand(certificates.has(height), 'L1', 'the certificate of this height is not here')
      const link = readCertificate(certificates.get(height), genesis.federation, found.dataset)
      held.push(checkLink(link, held.at(-1), height, roll))
    }
    height = last
    demand(truth === held.at(-1).commit, 'T1', `the branch ground-truth is at ${truth ?? 'nothing'}`)
    for (const link of held.toReversed()) {
      height = link.height
      link.tree = checkCommit(commits.get(link.commit), link)
    }
  } catch (error) {
    if (!(error instanceof Broken) && !(error instanceof TypeError)) throw error
    found.failure = { height, clause: error.clause ?? 'F2', reason: error.message }
  }
  return found
}

// ---- A repository (§2), read by git without anything that its settings could start ---------------------------------

const ENV = {
  PATH: process.env.PATH,
  LC_ALL: 'C',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: 'none',
}

function git(path, words, input) {
  const env = { ...ENV, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  return execFileSync('git', ['--no-pager', '-C', path, ...words], {
    env,
    input,
    maxBuffer: 2 ** 30,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** What objects hold, by id; what is not here is left out. */
function readObjects(path, oids) {
  const [found, output] = [new Map(), git(path, ['cat-file', '--batch'], `${oids.join('\n')}\n`)]
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(10, at)
    const [oid, , size] = output.toString('utf8', at, end).split(' ')
    if (size !== undefined) found.set(oid, output.subarray(end + 1, end + 1 + Number(size)))
    at = end + 1 + (size === undefined ? 0 : Number(size) + 1)
  }
  return found
}

export function readBundle(path) {
  const tips = (base) =>
    ['certificates', 'ground-truth'].map((branch) => {
      try {
        return git(path, ['rev-parse', '--verify', '--quiet', `${base}${branch}^{commit}`])
          .toString()
          .trim()
      } catch {
        return undefined
      }
    })
  // A clone has what it cloned below origin, a bare repository has its own branches.
  const [branch, truth] = [tips('refs/remotes/origin/'), tips('refs/heads/')].find(([one]) => one) ?? []
  demand(branch, 'B1', 'this repository has no branch certificates')
  const lines = git(path, ['ls-tree', '-r', '-z', branch]).toString().split('\0').filter(Boolean)
  const entries = lines.map((line) => [line.slice(line.indexOf('\t') + 1), ...line.split('\t')[0].split(' ')])
  const files = entries.filter(([, mode, type]) => mode === '100644' && type === 'blob')
  const contents = readObjects(
    path,
    files.map(([, , , oid]) => oid),
  )
  const bundle = { truth, files: new Map(files.map(([name, , , oid]) => [name, contents.get(oid)])) }
  const certificates = [...bundle.files].filter(([name]) => name.startsWith('certificates/'))
  const commits = certificates.map(([, bytes]) => parseJson(bytes)?.commit).filter(isOid)
  return { ...bundle, commits: commits.length === 0 ? new Map() : readObjects(path, commits) }
}

function main() {
  const named = {
    federation: { type: 'string' },
    genesis: { type: 'string' },
    expect: { type: 'string' },
    'no-files': { type: 'boolean' },
  }
  const { values, positionals } = parseArgs({ options: named, allowPositionals: true })
  const [path, ...more] = positionals
  if (path === undefined || more.length > 0)
    throw new Error(
      'usage: verify-truth.mjs REPOSITORY [--federation ID] [--genesis FILE] [--expect COMMIT] [--no-files]',
    )
  const trusted = values.genesis && openGenesis(readFileSync(values.genesis)).federation
  const federation = values.federation ?? trusted
  demand(
    trusted === undefined || trusted === federation,
    'G1',
    'the genesis in the file is of another federation',
  )
  const bundle = readBundle(path)
  const found = verifyBundle(bundle, { federation })
  for (const { height, commit, round, counted, voters } of found.held) {
    console.log(`${height}  ${commit}  ${round}  ${counted.length} of ${voters}: ${counted.join(' ')}`)
  }
  if (!found.failure && values.expect && !found.held.some(({ commit }) => commit === values.expect))
    found.failure = {
      height: found.held.length,
      clause: 'T1',
      reason: `${values.expect} is no truth of this chain`,
    }
  if (!found.failure && !values['no-files']) {
    try {
      git(path, ['fsck', '--full', '--strict', '--no-dangling', '--no-progress'])
    } catch (error) {
      found.failure = {
        height: found.held.length,
        clause: 'T4',
        reason: `its files are not whole: ${error.stderr}`.trim(),
      }
    }
  }
  if (found.failure) {
    const { height, clause, reason } = found.failure
    console.log(`NOT HELD at height ${height} [${clause}]: ${reason}`)
  } else
    console.log(
      `OK  the ground truth of ${found.dataset} is ${found.held.at(-1).commit}, in ${found.federation}`,
    )
  if (!federation)
    console.log(
      'The genesis was taken from the repository itself: compare the federation id with one from elsewhere (--federation).',
    )
  else if (!values.expect)
    console.log(
      'That no later truth is left out, this copy alone cannot show: compare the commit with one from elsewhere (--expect).',
    )
  process.exitCode = found.failure ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    main()
  } catch (error) {
    console.log(error instanceof Broken ? `NOT HELD [${error.clause}]: ${error.message}` : error.message)
    process.exitCode = error instanceof Broken ? 1 : 2
  }
}
